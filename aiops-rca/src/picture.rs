//! What deviates, told per service, with the roles of metrics and the ways between services.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aiops_core::model::{
    Anomaly, Direction, EdgeKind, EntityId, EntityKind, MetricKind, MetricSeries, Severity, Shape,
    TelemetryWindow, Topology, time,
};
use aiops_core::{CitedAnomaly, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{positive, within};
use crate::roles::{CAPACITY, MetricClass, MetricRole, MetricRoles, Polarity, Side};

/// How much a deviation weighs as a symptom.
///
/// Strength = `min(1, ln(1 + |σ|) / ln(1 + full_sigma)) · r / (r + half_effect)` with the relative change
/// `r = |value − center| / max(|center|, scale)`: many σ on a signal that hardly moved are no trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SymptomConfig {
    /// Deviation that counts in full, in σ; default 30, 1..=10,000.
    pub full_sigma: f64,
    /// Relative change that counts half; default 0.25, 0..=10.
    pub half_effect: f64,
    /// Factor for what was over at the end of the window; default 0.5, 0..=1.
    pub past: f64,
    /// Factor for what moved in the harmless direction; default 0.15, 0..=1.
    pub harmless: f64,
    /// Rise of traffic, as a multiple of its norm, from which it counts as more load; default 1.5, 1..=1000.
    pub load_rise: f64,
    /// Onsets closer than this are one moment. Default: twice the sampling step of the findings.
    #[serde(with = "aiops_core::model::duration::optional")]
    pub resolution: Option<Duration>,
}

impl Default for SymptomConfig {
    fn default() -> Self {
        Self {
            full_sigma: 30.0,
            half_effect: 0.25,
            past: 0.5,
            harmless: 0.15,
            load_rise: 1.5,
            resolution: None,
        }
    }
}

impl SymptomConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        within("full_sigma", self.full_sigma, 1.0, 1e4)?;
        within("half_effect", self.half_effect, 0.0, 10.0)?;
        within("past", self.past, 0.0, 1.0)?;
        within("harmless", self.harmless, 0.0, 1.0)?;
        within("load_rise", self.load_rise, 1.0, 1e3)?;
        self.resolution.map_or(Ok(()), |r| positive("resolution", r))
    }

    fn strength(&self, a: &Anomaly) -> f64 {
        let grave = if a.severity == Severity::Info { 0.7 } else { 1.0 };
        let lasting = if a.ongoing { 1.0 } else { self.past };
        if a.shape == Shape::Vanished {
            return grave * lasting;
        }
        let sigma = if a.sigma.is_nan() { 0.0 } else { a.sigma.abs() };
        let loud = (sigma.ln_1p() / self.full_sigma.ln_1p()).min(1.0);
        let change =
            (a.value - a.baseline.center).abs() / a.baseline.center.abs().max(a.baseline.scale.abs());
        let effect = match change {
            c if c.is_nan() => 0.0,
            c if c.is_infinite() => 1.0,
            c => c / (c + self.half_effect).max(f64::MIN_POSITIVE),
        };
        grave * lasting * loud * effect
    }
}

/// One anomaly as a symptom.
#[derive(Debug, Clone)]
pub(crate) struct Symptom<'a> {
    pub(crate) cited: &'a CitedAnomaly,
    pub(crate) class: MetricClass,
    pub(crate) kind: MetricKind,
    /// 0..=1.
    pub(crate) strength: f64,
    pub(crate) harmful: bool,
    /// Entity named by the peer label, where one is.
    pub(crate) peer: Option<EntityId>,
}

impl Symptom<'_> {
    pub(crate) fn anomaly(&self) -> &Anomaly {
        &self.cited.anomaly
    }

    pub(crate) fn onset(&self) -> Timestamp {
        self.cited.anomaly.onset
    }

    /// More work than before, by at least `rise` times.
    pub(crate) fn is_load(&self, rise: f64) -> bool {
        let a = self.anomaly();
        self.class.role == MetricRole::Traffic
            && a.direction() == Direction::Up
            && a.value.is_finite()
            && a.value >= rise * a.baseline.center
    }

    /// Whether it shows that this entity serves its callers worse.
    pub(crate) fn is_serving_trouble(&self) -> bool {
        self.harmful
            && match self.class.role {
                MetricRole::Latency | MetricRole::Errors => self.class.side == Side::Server,
                MetricRole::Liveness | MetricRole::Restarts => true,
                _ => false,
            }
    }
}

/// A service (or whatever stands alone) with the symptoms of all its parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group<'a> {
    pub(crate) symptoms: Vec<Symptom<'a>>,
    /// Whether any series is about it or its parts.
    pub(crate) has_metrics: bool,
    /// Series that it tells itself: none of what an orchestrator tells of it.
    pub(crate) own: Vec<&'a MetricSeries>,
    /// Whether latency or errors of its own answers are measured.
    pub(crate) measures_serving: bool,
    /// Whether a resource, pool, lock or queue is measured.
    pub(crate) measures_resources: bool,
    /// Whether requests or work are counted.
    pub(crate) measures_traffic: bool,
    /// Whether most of its parts that report appeared within the window, so that there is no norm to compare with.
    pub(crate) fresh: bool,
    /// Counts of restarts, whether they deviate or not.
    pub(crate) restarts: Vec<&'a MetricSeries>,
    /// Configured bounds (pool sizes, limits), whether they deviate or not.
    pub(crate) bounds: Vec<&'a MetricSeries>,
    /// Parts with telemetry.
    pub(crate) parts: BTreeSet<EntityId>,
}

impl<'a> Group<'a> {
    pub(crate) fn harmful(&self) -> impl Iterator<Item = &Symptom<'a>> {
        self.symptoms.iter().filter(|s| s.harmful)
    }

    /// The strongest symptom that `pick`s.
    pub(crate) fn strongest(&self, pick: impl Fn(&Symptom<'a>) -> bool) -> Option<&Symptom<'a>> {
        self.symptoms
            .iter()
            .filter(|s| pick(s))
            .max_by(|a, b| a.strength.total_cmp(&b.strength).then_with(|| b.onset().cmp(&a.onset())))
    }

    /// First harmful onset.
    pub(crate) fn onset(&self) -> Option<Timestamp> {
        self.harmful().map(Symptom::onset).min()
    }

    /// How badly it serves, 0..=1, and since when. Where its answers are not measured, its resources stand in.
    pub(crate) fn trouble(&self) -> Option<(f64, Timestamp)> {
        let serving = self.strongest(Symptom::is_serving_trouble);
        if let Some(s) = serving {
            let since = self.symptoms.iter().filter(|s| s.is_serving_trouble()).map(Symptom::onset).min();
            return Some((s.strength, since.unwrap_or(s.onset())));
        }
        if self.measures_serving {
            return None;
        }
        let stand_in = |s: &Symptom<'_>| {
            s.harmful && matches!(s.class.role, MetricRole::Saturation | MetricRole::Resource)
        };
        self.strongest(stand_in).map(|s| (0.7 * s.strength, s.onset()))
    }
}

/// Everything that deviates, by service.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) groups: BTreeMap<EntityId, Group<'a>>,
    /// Who needs whom, between wholes.
    needs: BTreeMap<EntityId, BTreeSet<EntityId>>,
    needed_by: BTreeMap<EntityId, BTreeSet<EntityId>>,
    /// Onsets closer than this are one moment.
    pub(crate) resolution: Duration,
    /// First harmful onset of all.
    pub(crate) first: Option<Timestamp>,
}

impl<'a> Picture<'a> {
    /// O((series + anomalies) · rules + edges).
    pub(crate) fn of(
        window: &'a TelemetryWindow,
        anomalies: &'a [CitedAnomaly],
        roles: &MetricRoles,
        config: &SymptomConfig,
    ) -> Self {
        let topology = &window.topology;
        let known: BTreeSet<&EntityId> =
            topology.entities().map(|e| &e.id).chain(window.metrics.iter().map(|m| m.entity())).collect();
        let mut groups: BTreeMap<EntityId, Group<'a>> = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for series in &window.metrics {
            let class = roles.classify(series.key(), series.kind(), series.unit());
            let group = subject(topology, &known, roles, series.entity(), series.key(), &class);
            let entry = groups.entry(group).or_default();
            entry.has_metrics = true;
            entry.measures_serving |=
                matches!(class.role, MetricRole::Latency | MetricRole::Errors) && class.side == Side::Server;
            entry.measures_resources |= matches!(class.role, MetricRole::Resource | MetricRole::Saturation);
            entry.measures_traffic |= class.role == MetricRole::Traffic;
            let told_of_it =
                matches!(class.role, MetricRole::Liveness | MetricRole::Restarts | MetricRole::Configuration);
            if !told_of_it {
                entry.own.push(series);
            }
            if class.role == MetricRole::Restarts {
                entry.restarts.push(series);
            }
            if class.role == MetricRole::Configuration && class.mechanism.as_deref() == Some(CAPACITY) {
                entry.bounds.push(series);
            }
            entry.parts.insert(series.entity().clone());
            kinds.insert((series.entity(), series.key()), series.kind());
        }
        mark_fresh(&mut groups, window);
        let step = anomalies.iter().map(|a| a.anomaly.reread.step).max().unwrap_or_default();
        for cited in anomalies {
            let a = &cited.anomaly;
            let kind = kinds.get(&(&a.entity, &a.series)).copied().unwrap_or(MetricKind::Gauge);
            let class = roles.classify(&a.series, kind, &a.unit);
            let group = subject(topology, &known, roles, &a.entity, &a.series, &class);
            let direction = a.direction();
            let harmful = class.role != MetricRole::Configuration
                && match class.polarity {
                    Polarity::HigherIsWorse => direction == Direction::Up,
                    Polarity::LowerIsWorse => direction == Direction::Down,
                    Polarity::AwayFrom(_) => class.polarity.worse_by(a.baseline.center, a.value) >= 0.0,
                    Polarity::Either => true,
                };
            let mut strength = config.strength(a);
            if !harmful {
                strength *= config.harmless;
            }
            let peer = class.peer.as_deref().map(|p| named(&known, p));
            groups.entry(group).or_default().symptoms.push(Symptom {
                cited,
                class,
                kind,
                strength,
                harmful,
                peer,
            });
        }
        let parts_left =
            |parts: &BTreeSet<EntityId>, gone: &BTreeSet<EntityId>| parts.difference(gone).count();
        for group in groups.values_mut() {
            // One of several copies that went away is what roll-outs and scaling do.
            let vanished = |s: &Symptom<'_>| s.anomaly().shape == Shape::Vanished;
            let gone: BTreeSet<EntityId> =
                group.symptoms.iter().filter(|s| vanished(s)).map(|s| s.anomaly().entity.clone()).collect();
            if !gone.is_empty() && parts_left(&group.parts, &gone) > 0 {
                for s in group.symptoms.iter_mut().filter(|s| vanished(s)) {
                    s.strength *= config.harmless;
                }
            }
        }
        let (needs, needed_by) = lift(topology);
        let first = groups.values().filter_map(Group::onset).min();
        let resolution = config.resolution.unwrap_or(step * 2);
        Self { topology, groups, needs, needed_by, resolution, first }
    }

    /// Those that `id` needs and that have telemetry; through those that have none.
    pub(crate) fn callees(&self, id: &EntityId) -> BTreeSet<&EntityId> {
        self.neighbours(id, &self.needs, false)
    }

    /// Those that need `id` and have telemetry; through those that have none.
    pub(crate) fn callers(&self, id: &EntityId) -> BTreeSet<&EntityId> {
        self.neighbours(id, &self.needed_by, false)
    }

    /// Those that `id` needs, directly or not.
    pub(crate) fn all_callees(&self, id: &EntityId) -> BTreeSet<&EntityId> {
        self.neighbours(id, &self.needs, true)
    }

    /// Those that need `id`, directly or not.
    pub(crate) fn all_callers(&self, id: &EntityId) -> BTreeSet<&EntityId> {
        self.neighbours(id, &self.needed_by, true)
    }

    /// Those that `id` calls directly, whether anything is seen of them or not, in the order of their ids.
    pub(crate) fn direct_callees(&self, id: &EntityId) -> impl Iterator<Item = &EntityId> {
        self.needs.get(id).into_iter().flatten().filter(|n| n.kind() != EntityKind::Node)
    }

    /// Those that `id` needs directly and of which nothing is seen.
    pub(crate) fn dark_callees(&self, id: &EntityId) -> impl Iterator<Item = &EntityId> {
        self.needs
            .get(id)
            .into_iter()
            .flatten()
            .filter(|n| n.kind() != EntityKind::Node && !self.groups.get(n).is_some_and(|g| g.has_metrics))
    }

    fn neighbours<'s>(
        &'s self,
        id: &EntityId,
        ways: &'s BTreeMap<EntityId, BTreeSet<EntityId>>,
        through_all: bool,
    ) -> BTreeSet<&'s EntityId> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::from([id.clone()]);
        let mut queue = VecDeque::from([id.clone()]);
        while let Some(here) = queue.pop_front() {
            for next in ways.get(&here).into_iter().flatten() {
                if !seen.insert(next.clone()) {
                    continue;
                }
                let visible = self.groups.get(next).is_some_and(|g| g.has_metrics || !g.symptoms.is_empty());
                if visible {
                    found.insert(next);
                }
                if !visible || through_all {
                    queue.push_back(next.clone());
                }
            }
        }
        found
    }

    /// The whole `id` belongs to.
    pub(crate) fn whole(&self, id: &EntityId) -> EntityId {
        self.topology.whole(id).clone()
    }

    /// `later` is not before `earlier`, within the resolution.
    pub(crate) fn not_before(&self, earlier: Timestamp, later: Timestamp) -> bool {
        earlier <= time::after(later, self.resolution)
    }
}

/// Marks groups whose reporting parts are, for the greater part, younger than a third of the time that telemetry covers: a
/// window that reaches back before the collector was started makes nobody fresh.
fn mark_fresh(groups: &mut BTreeMap<EntityId, Group<'_>>, window: &TelemetryWindow) {
    let mut seen: BTreeMap<&EntityId, (Timestamp, Timestamp)> = BTreeMap::new();
    for series in &window.metrics {
        let (first, last) = (series.points().next(), series.points().next_back());
        let (Some((first, _)), Some((last, _))) = (first, last) else { continue };
        let entry = seen.entry(series.entity()).or_insert((first, last));
        *entry = (entry.0.min(first), entry.1.max(last));
    }
    let covered = seen.values().map(|(first, _)| *first).min().unwrap_or(window.range.start());
    let third = time::elapsed(covered, window.range.end()) / 3;
    let young = time::after(covered, third);
    let alive = time::before(window.range.end(), third);
    for group in groups.values_mut() {
        let reporting = || group.parts.iter().filter_map(|p| seen.get(p)).filter(|(_, last)| *last >= alive);
        let fresh = reporting().filter(|(first, _)| *first > young).count();
        group.fresh = fresh > 0 && 2 * fresh >= reporting().count();
    }
}

/// Whom a series is about: the whole of its entity, or whom an exporter speaks about.
fn subject(
    topology: &Topology,
    known: &BTreeSet<&EntityId>,
    roles: &MetricRoles,
    entity: &EntityId,
    series: &aiops_core::model::SeriesKey,
    class: &MetricClass,
) -> EntityId {
    let whole = topology.whole(entity);
    if matches!(class.role, MetricRole::Liveness | MetricRole::Restarts | MetricRole::Configuration) {
        for name in roles.subject(series) {
            let other = EntityId::service(name);
            if known.contains(&other) {
                return other;
            }
        }
    }
    whole.clone()
}

/// The entity a label names: the one known by that name, a service first; else a service nobody reported on.
fn named(known: &BTreeSet<&EntityId>, name: &str) -> EntityId {
    let service = EntityId::service(name);
    if known.contains(&service) {
        return service;
    }
    known.iter().find(|e| e.name() == name).map_or(service, |e| (*e).clone())
}

type Ways = BTreeMap<EntityId, BTreeSet<EntityId>>;

/// Edges between wholes, both ways.
fn lift(topology: &Topology) -> (Ways, Ways) {
    let (mut needs, mut needed_by) = (Ways::new(), Ways::new());
    for edge in topology.edges().filter(|e| e.kind != EdgeKind::PartOf) {
        let (from, to) = (topology.whole(&edge.from), topology.whole(&edge.to));
        if from != to {
            needs.entry(from.clone()).or_default().insert(to.clone());
            needed_by.entry(to.clone()).or_default().insert(from.clone());
        }
    }
    (needs, needed_by)
}
