//! A small system whose signals can be set.

use std::time::Duration;

use aiops_core::action::{IncidentId, Mode};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Anomaly, Baseline, Change, DetectorId, Diagnosis, EdgeKind, Entity, EntityId, EntityKind, FetchRequest,
    FittedHash, MetricKind, MetricSeries, Ranking, SeriesKey, Shape, SignalSet, TelemetryWindow, TimeAxis,
    TimeRange, Topology, Unit,
};
use aiops_core::{Case, CasePart};
use aiops_rca::{LocalizerConfig, MetricRoles, RuleRca, RuleRcaConfig, TopologyLocalizer};

/// Start of the window; the window is 60 s long with samples every second.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_750_000_000 + second).unwrap()
}

pub(crate) fn service(name: &str) -> EntityId {
    EntityId::service(name)
}

pub(crate) const STEP: Duration = Duration::from_secs(1);
pub(crate) const END: i64 = 60;

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) window: TelemetryWindow,
    pub(crate) anomalies: Vec<Anomaly>,
}

impl World {
    pub(crate) fn new() -> Self {
        let range = TimeRange::new(at(0), at(END)).unwrap();
        let mut window = TelemetryWindow::new(range);
        window.observed = SignalSet::all();
        Self { window, anomalies: Vec::new() }
    }

    /// gateway → orders → inventory → store, two copies each; worker → store.
    pub(crate) fn shop() -> Self {
        let mut world = Self::new();
        for name in ["gateway", "orders", "inventory", "store", "worker"] {
            for copy in 1..=2 {
                world.copy(name, &format!("{name}-{copy}"));
            }
        }
        for (from, to) in
            [("gateway", "orders"), ("orders", "inventory"), ("inventory", "store"), ("worker", "store")]
        {
            world.calls(from, to);
        }
        world
    }

    pub(crate) fn calls(&mut self, from: &str, to: &str) {
        self.window.topology.connect(service(from), service(to), EdgeKind::Calls);
    }

    /// A copy of a service that reports latency and traffic.
    pub(crate) fn copy(&mut self, of: &str, name: &str) {
        let id = EntityId::instance(name);
        self.window.topology.connect(id.clone(), service(of), EdgeKind::PartOf);
        self.series(&id, "p95(http_server_request_duration_seconds)", MetricKind::Quantile, 0..END);
        self.series(&id, "rate(http_server_requests_total)", MetricKind::Rate, 0..END);
    }

    pub(crate) fn series(
        &mut self,
        entity: &EntityId,
        name: &str,
        kind: MetricKind,
        seconds: std::ops::Range<i64>,
    ) {
        self.labelled(entity, SeriesKey::new(name), kind, seconds);
    }

    pub(crate) fn labelled(
        &mut self,
        entity: &EntityId,
        key: SeriesKey,
        kind: MetricKind,
        seconds: std::ops::Range<i64>,
    ) {
        let axis =
            TimeAxis::covering(TimeRange::new(at(seconds.start), at(seconds.end)).unwrap(), STEP).unwrap();
        let samples = vec![Some(1.0); axis.len()];
        let series = MetricSeries::new(key, entity.clone(), axis, samples).unwrap().with_kind(kind);
        self.window.metrics.push(series);
    }

    /// A deviation of both copies of a service from `center` to `value`, `scale` = 5 % of the centre.
    #[allow(clippy::too_many_arguments, reason = "the parts of a finding")]
    pub(crate) fn both(
        &mut self,
        of: &str,
        name: &str,
        kind: MetricKind,
        shape: Shape,
        onset: i64,
        center: f64,
        value: f64,
    ) {
        for copy in 1..=2 {
            let id = EntityId::instance(format!("{of}-{copy}"));
            self.deviates(&id, SeriesKey::new(name), kind, shape, onset, center, value);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a finding")]
    pub(crate) fn deviates(
        &mut self,
        entity: &EntityId,
        key: SeriesKey,
        kind: MetricKind,
        shape: Shape,
        onset: i64,
        center: f64,
        value: f64,
    ) {
        let there = self.window.metrics.iter().any(|m| m.entity() == entity && *m.key() == key);
        if !there {
            self.labelled(entity, key.clone(), kind, 0..END);
        }
        let scale = (center.abs() * 0.05).max(0.01);
        let baseline = Baseline { center, scale, samples: 30 };
        let reread = FetchRequest::new(self.window.range).with_step(STEP);
        let (detector, fitted) = (DetectorId("test".into()), FittedHash::of(b"test"));
        let mut anomaly =
            Anomaly::new(detector, fitted, entity.clone(), key, shape, at(onset), value, baseline, reread);
        anomaly.last = at(END - 1);
        if kind == MetricKind::Quantile {
            anomaly.unit = Unit::new("s");
        }
        self.anomalies.push(anomaly);
    }

    /// Latency of a service rises tenfold.
    pub(crate) fn slow(&mut self, of: &str, onset: i64) {
        let name = "p95(http_server_request_duration_seconds)";
        self.both(of, name, MetricKind::Quantile, Shape::LevelShiftUp, onset, 0.05, 0.5);
    }

    pub(crate) fn changed(&mut self, change: Change) {
        self.window.changes.push(change);
    }

    pub(crate) fn node(&mut self, copy: &str, node: &str) {
        let node = EntityId::new(EntityKind::Node, node);
        self.window.topology.connect(EntityId::instance(copy), node, EdgeKind::RunsOn);
    }

    /// The case up to detection.
    pub(crate) fn detected(&self) -> Case {
        let mut window = self.window.clone();
        window.sort();
        let mut anomalies = self.anomalies.clone();
        anomalies.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        let mut case = Case::open(IncidentId::new("inc-1"), at(END), Mode::Auto);
        case.observe(at(END), window);
        case.detect(at(END), anomalies);
        case
    }

    pub(crate) fn ranked(&self) -> (Case, Ranking) {
        let mut case = self.detected();
        let ranking = localizer().rank(case.window().unwrap(), case.anomalies());
        case.push(at(END), CasePart::Localized(ranking.clone()));
        (case, ranking)
    }

    pub(crate) fn ranking(&self) -> Ranking {
        self.ranked().1
    }

    pub(crate) fn first(&self) -> EntityId {
        self.ranking().first().expect("a suspect").entity.clone()
    }

    pub(crate) fn diagnosis(&self) -> Diagnosis {
        rca().analyze(&self.ranked().0).unwrap()
    }

    /// The same world with every entity renamed.
    pub(crate) fn renamed(&self, rename: impl Fn(&EntityId) -> EntityId) -> Self {
        let mut topology = Topology::new();
        for e in self.window.topology.entities() {
            topology.insert(Entity::new(rename(&e.id)));
        }
        for e in self.window.topology.edges() {
            topology.connect(rename(&e.from), rename(&e.to), e.kind);
        }
        let mut world = self.clone();
        world.window.topology = topology;
        world.window.metrics = self
            .window
            .metrics
            .iter()
            .map(|m| {
                let (times, values) = (m.times().clone(), m.values().to_vec());
                let again = MetricSeries::from_columns(
                    m.key().clone(),
                    rename(m.entity()),
                    times,
                    values,
                    m.validity().clone(),
                );
                again.unwrap().with_kind(m.kind()).with_unit(m.unit().clone())
            })
            .collect();
        for a in &mut world.anomalies {
            a.entity = rename(&a.entity);
        }
        world
    }
}

pub(crate) fn localizer() -> TopologyLocalizer {
    TopologyLocalizer::new(MetricRoles::default(), LocalizerConfig::default()).unwrap()
}

pub(crate) fn rca() -> RuleRca {
    let mut config = RuleRcaConfig::default();
    config.changes.decay = Duration::from_secs(10);
    RuleRca::new(MetricRoles::default(), config).unwrap()
}
