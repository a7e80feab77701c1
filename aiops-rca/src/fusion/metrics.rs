//! Shifts of metrics against what was normal lately and against the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::{EntityId, MetricKind, MetricSeries, TelemetryWindow, time};
use jiff::Timestamp;

use super::config::FusionConfig;
use super::explain::Calls;
use super::finding::{Finding, FindingKind, strength};
use crate::robust::{count, decile_mean, location_and_scale, quantile, sorted};
use crate::roles::{MetricClass, MetricRole, MetricRoles, Polarity, Side, Words};

/// A shift in standard deviations, signed.
#[derive(Debug, Clone, Copy)]
struct Shift {
    z: f64,
    from: f64,
    to: f64,
}

/// What one entity's requests cost more since the fault: seconds or failures a second (or whatever traffic counts), as far as
/// metrics say how many requests there are.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    traffic: Option<f64>,
    /// Rank of the series it is from (means before low quantiles before high ones), and the rise.
    slower: Option<(f64, f64)>,
    failing: Option<f64>,
}

impl Cost {
    fn of(self, kind: FindingKind) -> Option<f64> {
        let rise = match kind {
            FindingKind::Latency => self.slower.map(|s| s.1),
            _ => self.failing,
        };
        Some(self.traffic? * rise?.max(0.0))
    }
}

/// Share of the symptom's cost that arises at each entity and not at those it calls: requests times what each costs more is
/// conserved along calls.
struct Costs<'a> {
    costs: BTreeMap<&'a EntityId, Cost>,
    symptom: Option<&'a EntityId>,
}

impl Costs<'_> {
    /// By entity: what it adds itself of what reaches the symptom, as a share of the symptom's cost.
    fn shares(&self, kind: FindingKind, calls: &Calls<'_>) -> BTreeMap<EntityId, f64> {
        let cost = |e: &EntityId| self.costs.get(e).and_then(|c| c.of(kind));
        let most = || self.costs.values().filter_map(|c| c.of(kind)).fold(0.0, f64::max);
        let whole = self.symptom.and_then(cost).filter(|w| *w > 0.0).unwrap_or_else(most);
        // Through callers flows no more than they themselves suffer. From above, so that circles settle.
        let mut flows: BTreeMap<&EntityId, f64> =
            self.costs.keys().filter_map(|e| Some((*e, cost(e)?))).collect();
        for _ in 0..ROUNDS {
            let mut settled = true;
            for (entity, was) in flows.clone() {
                let mut arriving = 0.0;
                let mut known = 0;
                for caller in calls.callers(entity) {
                    // Whose cost is not known lets everything through.
                    arriving += flows.get(caller).copied().unwrap_or(f64::INFINITY);
                    known += 1;
                }
                if known > 0 && arriving < was {
                    flows.insert(entity, arriving);
                    settled = false;
                }
            }
            if settled {
                break;
            }
        }
        let own = |e: &EntityId| {
            let below: f64 = calls.callees(e).filter_map(cost).sum();
            let own = (cost(e)? - below).min(*flows.get(e)?);
            Some(if whole > 0.0 { (own / whole).clamp(0.0, 1.0) } else { 0.0 })
        };
        self.costs.keys().filter_map(|e| Some(((*e).clone(), own(e)?))).collect()
    }
}

/// Longest chain of calls along which costs are followed.
const ROUNDS: usize = 32;

struct Seen<'a> {
    series: &'a MetricSeries,
    class: MetricClass,
    kind: FindingKind,
    shift: Shift,
}

pub(super) fn findings(
    (reference, fault): (&TelemetryWindow, &TelemetryWindow),
    symptom: Option<&EntityId>,
    roles: &MetricRoles,
    calls: &Calls<'_>,
    config: &FusionConfig,
) -> Vec<Finding> {
    let normal: BTreeMap<_, _> = reference.metrics.iter().map(|s| ((s.entity(), s.key()), s)).collect();
    let mut all = Vec::new();
    let mut costs = Costs { costs: BTreeMap::new(), symptom };
    // By entity and resource: how much of it is used.
    let mut used: BTreeMap<(&EntityId, FindingKind), f64> = BTreeMap::new();
    for series in &fault.metrics {
        let Some(before) = normal.get(&(series.entity(), series.key())) else { continue };
        let class = roles.classify(series.key(), series.kind(), series.unit());
        let Some(kind) = kind(class.role, class.mechanism.as_deref()) else { continue };
        let host = of_host(&series.key().name);
        if class.side != Side::Client && !host {
            cost(costs.costs.entry(series.entity()).or_default(), before, series, kind, &class);
        }
        let Some(shift) = shift(before, series, fault.range.start(), kind, config) else { continue };
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
    let usual = usual(&all);
    let slower = costs.shares(FindingKind::Latency, calls);
    let failing = costs.shares(FindingKind::Errors, calls);
    let mut found = Vec::new();
    for Seen { series, class, kind, shift } in all {
        let entity = series.entity();
        let up = shift.z > 0.0;
        let harm = match class.polarity {
            Polarity::HigherIsWorse if up => 1.0,
            Polarity::LowerIsWorse if !up => 1.0,
            Polarity::Either => config.either,
            _ => config.relief,
        };
        // What a client sees tells as much about the one it calls.
        let side = if class.side == Side::Client { config.client_side } else { 1.0 };
        // A machine's metric repeated at everyone on it tells little about one of them.
        let host = if of_host(&series.key().name) { config.host_metric } else { 1.0 };
        let mut certainty = strength(shift.z.abs());
        let mut weight = harm * side * host;
        let mut shared = false;
        match kind {
            FindingKind::Latency | FindingKind::Errors => {
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
                if let Some(level) = used.get(&(entity, kind)) {
                    weight *= (level / config.busy).clamp(config.idle, 1.0);
                }
            }
            _ => {}
        }
        if certainty * weight < config.least_strength {
            continue;
        }
        let way = if up { "rose" } else { "fell" };
        let (name, from, to, z) = (series.key(), shift.from, shift.to, shift.z);
        let statement = format!("{name} {way} from {from:.4} to {to:.4} ({z:+.1} σ)");
        let mut finding = Finding::new(entity, kind, certainty * weight, statement);
        finding.shared = shared;
        found.push(finding);
    }
    found
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
        _ => None,
    }
}

fn cost(cost: &mut Cost, before: &MetricSeries, now: &MetricSeries, kind: FindingKind, class: &MetricClass) {
    let mean = |s: &MetricSeries| decile_mean(&sorted(s.points().map(|p| p.1)));
    let (Some(was), Some(is)) = (mean(before), mean(now)) else { return };
    match kind {
        // No sample, no request.
        FindingKind::Traffic => {
            let covered = count(now.points().count()) / count(now.len().max(1));
            cost.traffic = Some(cost.traffic.unwrap_or(0.0).max(is * covered));
        }
        FindingKind::Latency => {
            // The quantile is not known by number; the lowest lies lowest.
            let rank = if now.kind() == MetricKind::Quantile { 1.0 + was.max(0.0) } else { 0.0 };
            if cost.slower.is_none_or(|(known, _)| rank < known) {
                cost.slower = Some((rank, is - was));
            }
        }
        FindingKind::Errors => {
            let worse = if class.polarity == Polarity::LowerIsWorse { was - is } else { is - was };
            cost.failing = Some(cost.failing.unwrap_or(0.0).max(worse));
        }
        _ => {}
    }
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

/// The weaker of the shifts against the last hours and against all else known to be normal, where both are known: a drift of
/// the day is in the first, a neighbouring disturbance in the second.
fn shift(
    normal: &MetricSeries,
    fault: &MetricSeries,
    onset: Timestamp,
    kind: FindingKind,
    config: &FusionConfig,
) -> Option<Shift> {
    let floor = if kind == FindingKind::Errors { config.failure_floor } else { config.relative_floor };
    let now = sorted(fault.points().map(|p| p.1));
    let recent_from = time::before(onset, config.recent);
    let is_recent = |t: Timestamp| recent_from <= t && time::elapsed(t, onset) > Duration::ZERO;
    let part = |recent: bool| sorted(normal.points().filter(|p| is_recent(p.0) == recent).map(|p| p.1));
    let (recent, other) = (part(true), part(false));
    let enough = |v: &[f64]| v.len() >= config.least_samples;
    match (enough(&recent), enough(&other)) {
        (true, true) => {
            let (a, b) = (against(&recent, &now, floor, config)?, against(&other, &now, floor, config)?);
            if a.z * b.z <= 0.0 {
                return None;
            }
            Some(if a.z.abs() <= b.z.abs() { a } else { b })
        }
        _ => {
            let all = sorted(normal.points().map(|p| p.1));
            if all.len() < 2 { None } else { against(&all, &now, floor, config) }
        }
    }
}

fn against(normal: &[f64], now: &[f64], floor: f64, config: &FusionConfig) -> Option<Shift> {
    let (centre, scale) = location_and_scale(normal)?;
    let (low, high) = (quantile(now, 1.0 - config.reach)?, quantile(now, config.reach)?);
    let one = |to: f64| {
        // A hundredth of what is compared bounds z where the norm is constant.
        let floor = (floor * centre.abs()).max(to.abs() / 100.0).max(f64::MIN_POSITIVE);
        Shift { z: (to - centre) / scale.max(floor), from: centre, to }
    };
    let (down, up) = (one(low), one(high));
    Some(if up.z.abs() >= down.z.abs() { up } else { down })
}
