//! Shifts of metrics against what was normal lately and against the reference.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{
    EntityId, EntityKind, MetricKind, MetricSeries, SeriesKey, Signal, TelemetryWindow, time,
};
use jiff::Timestamp;

use super::accuse::{Accusation, Answered, Peers};
use super::calls::Calls;
use super::config::FusionConfig;
use super::costs::Costs;
use super::finding::{Finding, FindingKind};
use super::fleet::{Reading, one_utilisation};
use super::flows::Flows;
use super::load::{self, Arriving, Askers};
use super::place::{Placement, is_machine};
use crate::robust::{count, location_and_scale, quantile, sorted};
use crate::roles::{MetricClass, MetricRole, MetricRoles, Polarity, Side, Words};

/// A shift in standard deviations, signed.
#[derive(Debug, Clone, Copy)]
struct Shift {
    z: f64,
    from: f64,
    to: f64,
}

impl Shift {
    /// In standard deviations, harm positive.
    fn harm(&self, polarity: Polarity) -> f64 {
        match polarity {
            // From one wrong state to another is none the better.
            Polarity::AwayFrom(_) => self.z.abs().copysign(polarity.worse_by(self.from, self.to)),
            Polarity::LowerIsWorse => -self.z,
            Polarity::HigherIsWorse | Polarity::Either => self.z,
        }
    }
}

/// One series as both windows know it.
struct Track<'a> {
    series: &'a MetricSeries,
    before: Vec<(Timestamp, f64)>,
    now: Vec<(Timestamp, f64)>,
    /// Samples there might be.
    slots: usize,
}

struct Seen<'a> {
    series: &'a MetricSeries,
    class: MetricClass,
    kind: FindingKind,
    shift: Shift,
}

/// Finite samples of every series, in order. Where a series is there twice, samples of one time count once.
fn points(window: &TelemetryWindow) -> BTreeMap<(&EntityId, &SeriesKey), Track<'_>> {
    let mut tracks: BTreeMap<_, Track<'_>> = BTreeMap::new();
    for series in &window.metrics {
        let track = tracks.entry((series.entity(), series.key())).or_insert_with(|| Track {
            series,
            before: Vec::new(),
            now: Vec::new(),
            slots: 0,
        });
        track.slots = track.slots.max(series.len());
        track.now.extend(series.points().filter(|p| p.1.is_finite()));
    }
    for track in tracks.values_mut() {
        track.now.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        track.now.dedup_by_key(|p| p.0);
    }
    tracks
}

/// What metrics say.
pub(super) struct Metrics<'a> {
    pub(super) findings: Vec<Finding>,
    /// What clients say of those they call.
    pub(super) accusations: Vec<Accusation<'a>>,
    /// More from outside than before.
    pub(super) load: Vec<Finding>,
    /// Requests that arrive.
    pub(super) answered: Vec<Answered<'a>>,
    /// How sure it is that answers take longer, whatever of it is their own.
    pub(super) slow: BTreeMap<&'a EntityId, f64>,
    /// Who is called more often for each request of its caller, and how sure that is.
    pub(super) pushed: Vec<(&'a EntityId, f64)>,
    /// Interquartile ranges by which any metric of an entity that varies lies out, whatever it means (the robust scorer of BARO,
    /// either way).
    pub(super) furthest: BTreeMap<&'a EntityId, f64>,
    /// What devices show.
    pub(super) readings: Vec<Reading<'a>>,
}

/// What metrics are read with.
pub(super) struct Scope<'a, 's> {
    pub(super) windows: (&'a TelemetryWindow, &'a TelemetryWindow),
    pub(super) symptom: Option<&'a EntityId>,
    pub(super) roles: &'s MetricRoles,
    pub(super) calls: &'s Calls<'a>,
    pub(super) peers: &'s Peers<'a>,
    pub(super) placement: &'s Placement<'a>,
}

/// O(samples · log samples).
pub(super) fn findings<'a>(scope: &Scope<'a, '_>, config: &FusionConfig) -> Metrics<'a> {
    let Scope { windows: (reference, fault), symptom, roles, calls, peers, placement } = *scope;
    let known = load::known_askers(fault);
    let mut askers = Askers::default();
    let mut accusations = Vec::new();
    let mut slow: BTreeMap<&EntityId, f64> = BTreeMap::new();
    let mut poorer: BTreeMap<&EntityId, f64> = BTreeMap::new();
    let mut sent: BTreeMap<(&EntityId, &EntityId), Arriving> = BTreeMap::new();
    let mut normal = points(reference);
    let mut copies_of = Copies::before(&normal, placement);
    let mut furthest: BTreeMap<&EntityId, f64> = BTreeMap::new();
    let mut all = Vec::new();
    let mut readings = Vec::new();
    let mut costs = Costs::new(symptom);
    let mut flows = Flows::default();
    // By entity and resource: how much of it is used.
    let mut used: BTreeMap<(&EntityId, FindingKind), f64> = BTreeMap::new();
    for (key, mut track) in points(fault) {
        let Some(before) = normal.get_mut(&key) else { continue };
        track.before = std::mem::take(&mut before.now);
        let series = track.series;
        copies_of.add(series.entity(), count(track.now.len()) / count(track.slots.max(1)));
        let class = roles.classify(series.key(), series.kind(), series.unit());
        let Some(kind) = kind(class.role, class.mechanism.as_deref()) else { continue };
        let host = of_host(&series.key().name) && !is_machine(series.entity());
        if kind == FindingKind::Traffic && class.side != Side::Client && !host {
            let lately = track.before.iter().filter(|p| is_recent(p.0, fault.range.start(), config));
            flows.add(series.entity(), &series.key().name, lately, &track.now);
        }
        let now = sorted(track.now.iter().map(|p| p.1));
        let was = sorted(track.before.iter().map(|p| p.1));
        if series.entity().kind() == EntityKind::Gpu {
            // What a device shows is mostly what works on it; its peers tell what is its own.
            let shift = shift(&track.before, &now, fault.range.start(), (kind, 0.0), config);
            let harm = shift.map_or(0.0, |s| s.harm(class.polarity));
            readings.extend(Reading::of(series, class, harm, (&was, &now), &track.now, config));
            continue;
        }
        if kind == FindingKind::Traffic
            && let Some(asker) = load::asker(series.key(), &known)
            && let Some(arriving) = Arriving::of(&was, &now, config)
        {
            let at = (series.entity(), series.key().name.as_str());
            askers.0.entry(at).or_default().push((asker, arriving));
        }
        let peer = class.peer.as_deref().filter(|_| class.side == Side::Client);
        if kind == FindingKind::Traffic
            && let Some(callee) = peer.and_then(|p| peers.named(series.entity(), p))
            && let Some(more) = Arriving::of(&was, &now, config)
        {
            let sum = sent.entry((series.entity(), callee)).or_default();
            *sum = sum.with(more);
        }
        if let Some(out) = outlying(&was, &now) {
            let furthest = furthest.entry(series.entity()).or_default();
            *furthest = furthest.max(out);
        }
        if class.side != Side::Client && !host {
            let covered = count(now.len()) / count(track.slots.max(1));
            costs.of(series.entity()).add(series.kind(), &was, &now, covered, kind, &class);
        }
        let grain = grain(series.kind(), kind, [&was, &now]);
        let Some(shift) = shift(&track.before, &now, fault.range.start(), (kind, grain), config) else {
            continue;
        };
        if let Some(percent) = percent(series).filter(|_| !host) {
            let level = used.entry((series.entity(), kind)).or_insert(0.0);
            *level = level.max(shift.to * percent);
        }
        all.push(Seen { series, class, kind, shift });
    }
    let spans_tell: BTreeSet<&EntityId> = if reference.spans.is_empty() {
        BTreeSet::new()
    } else {
        fault.spans.iter().map(|s| &s.entity).collect()
    };
    one_utilisation(&mut readings);
    let usual = usual(&all);
    let (missing, arriving) = flows.findings(calls, config);
    let slower = costs.shares(FindingKind::Latency, calls, config.longest_chain);
    let failing = costs.shares(FindingKind::Errors, calls, config.longest_chain);
    let busier = busier(&all);
    let mut found = Vec::new();
    for Seen { series, class, kind, shift } in all {
        let entity = series.entity();
        let up = shift.z > 0.0;
        let harm = match class.polarity {
            Polarity::HigherIsWorse if up => 1.0,
            Polarity::LowerIsWorse if !up => 1.0,
            Polarity::AwayFrom(_) if shift.harm(class.polarity) > 0.0 => 1.0,
            Polarity::Either => config.either,
            _ => config.relief,
        };
        // What a client sees tells as much about the one it calls.
        let side = if class.side == Side::Client { config.client_side } else { 1.0 };
        // A machine's metric repeated at everyone on it tells little about one of them.
        let of_machine = is_machine(entity);
        let host = if of_host(&series.key().name) && !of_machine { config.host_metric } else { 1.0 };
        let mut certainty = config.strength(shift.z.abs());
        let sure = certainty;
        let mut weight = harm * side * host;
        let mut shared = false;
        match kind {
            FindingKind::Latency | FindingKind::Errors => {
                if kind == FindingKind::Latency && class.side != Side::Client && harm >= 1.0 {
                    let surest = slow.entry(entity).or_default();
                    *surest = surest.max(certainty);
                }
                certainty = certainty.min(config.sure);
                let shares = if kind == FindingKind::Latency { &slower } else { &failing };
                if let Some(share) = shares.get(entity) {
                    weight *= share.max(config.unaccounted);
                    shared = true;
                }
                if kind == FindingKind::Latency && spans_tell.contains(entity) {
                    weight *= config.told_by_spans;
                }
            }
            FindingKind::Cpu | FindingKind::Memory | FindingKind::Resource => {
                if kind == FindingKind::Memory {
                    // Memory hardly varies, so that σ says little about how much was added, nor does growth of next to nothing:
                    // it is measured by what others have.
                    let others = usual.get(series.key().name.as_str()).copied().unwrap_or(0.0);
                    let grown = (shift.to - shift.from) / shift.from.abs().max(others).max(f64::MIN_POSITIVE);
                    weight *= (grown.abs() / config.growth).min(1.0);
                }
                let collects = class.mechanism.as_deref() == Some("garbage collection");
                let of_requests = collects || class.mechanism.as_deref() == Some("cpu");
                if of_requests && !of_machine {
                    let whole = placement.whole(entity).unwrap_or(entity);
                    let asked = arriving.get(whole).map_or(1.0, |a| a.surely_times());
                    let asked = asked * copies_of.fewer(whole);
                    let more = shift.to / shift.from.max(f64::MIN_POSITIVE);
                    if up && more > 1.0 && more.is_finite() && asked.is_finite() {
                        // What each request takes, not how many there are.
                        let mut beyond = (more / asked - 1.0) / (more - 1.0);
                        // What is computed leaves garbage: a collector that works as much harder as the processor lacks no memory.
                        if let Some(worked) = busier.get(entity).filter(|_| collects) {
                            beyond = beyond.min((more - worked) / (more - 1.0));
                        }
                        weight *= beyond.clamp(0.0, 1.0);
                    }
                }
                if let Some(level) = used.get(&(entity, kind)) {
                    let busy = if of_machine { config.machine_busy } else { config.busy };
                    weight *= (level / busy).clamp(config.idle, 1.0);
                }
            }
            FindingKind::Other if class.mechanism.as_deref() == Some("cache") && harm >= 1.0 => {
                let surest = poorer.entry(entity).or_default();
                *surest = surest.max(certainty);
            }
            _ => {}
        }
        let peer = class.peer.as_deref().filter(|_| class.side == Side::Client);
        let callee = peer.and_then(|p| peers.named(entity, p)).filter(|_| harm >= 1.0);
        let accuses = match kind {
            FindingKind::Errors => Some((FindingKind::CallErrors, certainty * config.errors)),
            FindingKind::Latency => Some((FindingKind::CallTime, certainty * config.latency)),
            _ => None,
        };
        // However little of what a client measures is its own, of whom it names it tells in full.
        let accuses = accuses.filter(|(_, strength)| *strength >= config.least_strength);
        let accuses = callee.and_then(|of| accuses.map(|(kind, strength)| (of, kind, strength)));
        if accuses.is_none() && certainty * weight < config.least_strength {
            continue;
        }
        let way = if up { "rose" } else { "fell" };
        let (name, from, to, z) = (series.key(), shift.from, shift.to, shift.z);
        let statement = format!("{name} {way} from {from:.4} to {to:.4} ({z:+.1} σ)");
        if let Some((of, kind, strength)) = accuses {
            let statement = statement.clone();
            accusations.push(Accusation {
                by: entity,
                of,
                kind,
                signal: Signal::Metrics,
                strength,
                certainty: sure,
                statement,
            });
        }
        if certainty * weight < config.least_strength {
            continue;
        }
        let mut finding = Finding::new(entity, kind, certainty * weight, statement);
        finding.shared = shared;
        finding.mark = mark(&shift);
        finding.about.clone_from(&series.key().name);
        let collects = class.mechanism.as_deref() == Some("garbage collection");
        finding.level = if collects { 0.0 } else { (shift.to - shift.from).abs() };
        finding.occupied = matches!(class.mechanism.as_deref(), Some("file descriptors" | "threads"))
            && matches!(kind, FindingKind::Resource);
        found.push(finding);
    }
    found.extend(missing);
    let mut pushed = Vec::new();
    for (finding, callee) in load::multiplied(&sent, &arriving, &poorer, calls, config) {
        pushed.push((callee, finding.strength * finding.own));
        found.push(finding);
    }
    let load = load::findings(&arriving, &askers, calls, config);
    let answered = arriving.iter().map(|(entity, a)| (*entity, a.was, a.is)).collect();
    Metrics { findings: copies(found), accusations, furthest, load, answered, slow, pushed, readings }
}

/// The same for shifts of one observation: as many standard deviations, whatever the unit. From nothing every rise is as many,
/// so that the level has to be the same too.
fn mark(shift: &Shift) -> (u64, u64) {
    // Changing the unit rounds.
    let rounded = shift.z.abs().to_bits() & !0xFFFF;
    (rounded, if shift.from == 0.0 { shift.to.to_bits() } else { 0 })
}

/// One of those that say the same in other words: a metric exported under two names, or in two units, is one observation.
fn copies(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|a, b| {
        let key = |f: &Finding| (f.kind, f.mark);
        a.entity
            .cmp(&b.entity)
            .then_with(|| key(a).cmp(&key(b)))
            .then_with(|| b.strength.total_cmp(&a.strength))
            .then_with(|| a.statement.cmp(&b.statement))
    });
    found.dedup_by(|b, a| a.entity == b.entity && a.kind == b.kind && a.mark == b.mark);
    found
}

/// How many copies of everything tell something, before and since.
struct Copies<'a, 's> {
    placement: &'s Placement<'a>,
    before: BTreeMap<&'a EntityId, BTreeSet<&'a EntityId>>,
    /// By copy: the largest share of the time since that a series of it covers.
    now: BTreeMap<&'a EntityId, f64>,
}

impl<'a, 's> Copies<'a, 's> {
    fn before(
        normal: &BTreeMap<(&'a EntityId, &SeriesKey), Track<'a>>,
        placement: &'s Placement<'a>,
    ) -> Self {
        let mut before: BTreeMap<&EntityId, BTreeSet<&EntityId>> = BTreeMap::new();
        for (part, _) in normal.keys() {
            if let Some(whole) = placement.whole(part) {
                before.entry(whole).or_default().insert(part);
            }
        }
        Self { placement, before, now: BTreeMap::new() }
    }

    fn add(&mut self, part: &'a EntityId, covered: f64) {
        if self.placement.whole(part).is_some() {
            let most = self.now.entry(part).or_default();
            *most = most.max(covered);
        }
    }

    /// How many times the work of before each copy of `whole` does that is left; 1 where none is missing.
    fn fewer(&self, whole: &EntityId) -> f64 {
        let Some(before) = self.before.get(whole) else { return 1.0 };
        let now: f64 = before.iter().filter_map(|part| self.now.get(part)).sum();
        (count(before.len()) / now.max(1.0)).max(1.0)
    }
}

/// Most interquartile ranges of `normal` by which one of `now` lies off its median; `None` where it does not vary. Both in
/// order.
fn outlying(normal: &[f64], now: &[f64]) -> Option<f64> {
    let range = quantile(normal, 0.75)? - quantile(normal, 0.25)?;
    let centre = quantile(normal, 0.5)?;
    let off = (now.last()? - centre).max(centre - now.first()?);
    (range > 0.0).then(|| off / range)
}

/// Median over entities of what a metric of memory was before.
fn usual<'a>(all: &[Seen<'a>]) -> BTreeMap<&'a str, f64> {
    let mut levels: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for seen in all.iter().filter(|s| s.kind == FindingKind::Memory) {
        levels.entry(&seen.series.key().name).or_default().push(seen.shift.from.abs());
    }
    levels.into_iter().filter_map(|(name, of)| Some((name, quantile(&sorted(of), 0.5)?))).collect()
}

/// Factor from the series' values to percent of what there is, where it is such a share.
fn percent(series: &MetricSeries) -> Option<f64> {
    match (series.unit().0.as_str(), series.kind()) {
        ("%", _) => Some(1.0),
        (_, MetricKind::Ratio) => Some(100.0),
        // Seconds in a second.
        ("1" | "s/s", MetricKind::Rate) if is_machine(series.entity()) => Some(100.0),
        _ => None,
    }
}

/// How many times as busy as before the processor of each entity is, where it is; of several series the least.
fn busier<'a>(all: &[Seen<'a>]) -> BTreeMap<&'a EntityId, f64> {
    let mut times: BTreeMap<&EntityId, f64> = BTreeMap::new();
    for seen in all.iter().filter(|s| s.kind == FindingKind::Cpu && s.shift.from > 0.0) {
        let more = (seen.shift.to / seen.shift.from).max(1.0);
        let least = times.entry(seen.series.entity()).or_insert(more);
        *least = least.min(more);
    }
    times
}

fn of_host(name: &str) -> bool {
    let words = Words::of(name);
    words.contain(&Words::of("node")) || words.contain(&Words::of("host"))
}

fn kind(role: MetricRole, mechanism: Option<&str>) -> Option<FindingKind> {
    Some(match (role, mechanism) {
        (MetricRole::Resource, Some("cpu")) => FindingKind::Cpu,
        (MetricRole::Resource, Some("memory" | "garbage collection")) => FindingKind::Memory,
        (MetricRole::Resource, Some("network")) => FindingKind::NetworkCounters,
        (MetricRole::Resource, _) => FindingKind::Resource,
        (MetricRole::Latency, _) => FindingKind::Latency,
        (MetricRole::Errors, _) => FindingKind::Errors,
        (MetricRole::Traffic, _) => FindingKind::Traffic,
        (MetricRole::Saturation, _) => FindingKind::Saturation,
        (MetricRole::Restarts | MetricRole::Liveness, _) => FindingKind::Liveness,
        (MetricRole::Efficiency | MetricRole::Other, _) => FindingKind::Other,
        (MetricRole::Configuration, _) => return None,
    })
}

/// Whether `t` lies in the last hours before `onset`.
fn is_recent(t: Timestamp, onset: Timestamp, config: &FusionConfig) -> bool {
    time::before(onset, config.recent) <= t && t < onset
}

/// The weaker of the shifts against the last hours and against all else known to be normal, where both are known: a drift of
/// the day is in the first, a neighbouring disturbance in the second.
fn shift(
    normal: &[(Timestamp, f64)],
    now: &[f64],
    onset: Timestamp,
    (kind, grain): (FindingKind, f64),
    config: &FusionConfig,
) -> Option<Shift> {
    let floor = if kind == FindingKind::Errors { config.failure_floor } else { config.relative_floor };
    let part =
        |recent: bool| sorted(normal.iter().filter(|p| is_recent(p.0, onset, config) == recent).map(|p| p.1));
    let (recent, other) = (part(true), part(false));
    let enough = |v: &[f64]| v.len() >= config.least_samples;
    match (enough(&recent), enough(&other)) {
        (true, true) => {
            let (a, b) = (
                against(&recent, now, (floor, grain), config)?,
                against(&other, now, (floor, grain), config)?,
            );
            if a.z * b.z <= 0.0 {
                return None;
            }
            Some(if a.z.abs() <= b.z.abs() { a } else { b })
        }
        _ => {
            let all = sorted(normal.iter().map(|p| p.1));
            if all.len() < 2 { None } else { against(&all, now, (floor, grain), config) }
        }
    }
}

/// What one event adds to a sample of a rate or of a share of failures, as far as its values tell: the least by which two of them differ;
/// 0 for what does not count events. Of measured amounts values differ by next to nothing. Both in order.
fn grain(of: MetricKind, kind: FindingKind, values: [&[f64]; 2]) -> f64 {
    let counts = match of {
        // That something begins anew is worth as much once as often.
        _ if kind == FindingKind::Liveness => false,
        MetricKind::Rate | MetricKind::Counter => true,
        MetricKind::Ratio => kind == FindingKind::Errors,
        MetricKind::Gauge => {
            matches!(kind, FindingKind::Saturation | FindingKind::Resource | FindingKind::Traffic)
        }
        _ => false,
    };
    if !counts {
        return 0.0;
    }
    let all = sorted(values.into_iter().flatten().copied().chain([0.0]));
    let apart = |pair: &[f64]| match pair {
        [a, b] if b - a > 1e-9 * b.abs() => Some(b - a),
        _ => None,
    };
    let least = all.windows(2).filter_map(apart).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

fn against(normal: &[f64], now: &[f64], (floor, grain): (f64, f64), config: &FusionConfig) -> Option<Shift> {
    let (centre, scale) = location_and_scale(normal)?;
    let (low, high) = (quantile(now, 1.0 - config.reach)?, quantile(now, config.reach)?);
    let one = |to: f64| {
        // A share of what is compared bounds z where the norm is constant.
        let floor = (floor * centre.abs()).max(to.abs() / config.most_z).max(f64::MIN_POSITIVE);
        // Counts of events vary by their square root at least.
        let floor = floor.max((grain * centre.abs().max(grain)).sqrt());
        Shift { z: (to - centre) / scale.max(floor), from: centre, to }
    };
    let (down, up) = (one(low), one(high));
    Some(if up.z.abs() >= down.z.abs() { up } else { down })
}
