//! Who may be the origin, from metrics, traces and logs together. // LOC-01, RCA-01

mod accuse;
mod calls;
mod chance;
mod config;
mod costs;
mod explain;
mod fault;
mod finding;
mod fleet;
mod flows;
mod load;
mod logs;
mod metrics;
mod observe;
mod place;
mod spans;
mod summary;
mod traces;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aiops_core::model::{
    EntityId, EntityKind, FaultType, FittedHash, MetricKind, Ranking, SeriesKey, Signal, TelemetryWindow,
    Unit, time,
};
use aiops_core::seam::Localizer;
use aiops_core::{CitedAnomaly, Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;

pub use config::FusionConfig;
pub(crate) use finding::Effect;
pub use finding::{Finding, FindingKind};
pub(crate) use logs::place;
pub(crate) use observe::{fault_of, kind_of};

use crate::cite::{cite, leading};
use crate::config::hash;
use crate::halves::cut;
use crate::onset::onset;
use crate::robust::{count, sorted};
use crate::roles::{MetricRole, MetricRoles, MetricRolesConfig, Polarity, RoleRule};
use accuse::Peers;
use calls::Calls;
use fleet::Fleet;
use metrics::Metrics;
use place::Placement;
use spans::Operations;
use summary::Summary;

/// Raised whenever the same telemetry would be given other scores.
const VERSION: u32 = 6;

/// Compares what was seen since the fault with what is normal, and ranks who may be the origin.
///
/// **Findings.** Each modality gives findings about entities, with a strength on one scale: ln(1 + z / 3).
/// - Metrics: shift against the last hours and against the reference, the weaker of both, weighted by role and direction; requests that
///   an entity gets for each request of its only caller, which are that caller's to make.
/// - Traces: own time and time between caller and callee, as a share of all time added; child spans that always were there
///   and are missing; spans of new kinds; failures.
/// - Logs: lines (by place in the code) that are new, more severe, or missing though the spans that wrote them are there.
///
/// What is there twice, by id or in every respect, counts once, and so does a metric that is told under two names. Counts are held against how many
/// were looked at, so that chance convicts nobody.
///
/// **Graph.** What a caller suffers is its own only as far as no callee suffers as much of the same family; trouble loses a
/// little with each call it travels up. Errors about calls speak of the one called and of the way there, unless it is well; what most copies
/// show is their service's; a machine explains its residents, and one of these the machine where it takes what there is; who asks for more
/// explains who cannot serve it.
///
/// **Fusion.** An entity's score is the sum over symptoms (slowness, failures, other work, each resource) of the strongest finding that
/// nobody else explains, in whatever modality, the others of the symptom adding a little. Those of whom little is known are ordered
/// by how far any of their metrics lies out. A modality that is missing adds nothing and is named in [`Ranking::unseen`].
///
/// **Fleets.** Devices are compared with their peers, and what is their own (errors they count, a clock that falls while they work) weighs at
/// them and their machine; ranks of a job wait for the slowest, so that one sick member explains the whole job, a program's own errors
/// are the job's, and what devices of several machines show since a change of what they have in common is that change's.
///
/// **Time.** [`rank_near`](Self::rank_near) and the seam take the time of the fault as good to a minute and look for the
/// [`onset`](crate::onset()).
///
/// Names and order never count. O(n log n) in samples, spans, lines and calls.
///
/// Spans and lines are summed up here and not by `aiops_compact::traces` and `aiops_compact::logs`: those sum up a stream in bounded
/// memory, by sketches; two recordings of one incident are compared exactly, by medians of every place of a call, children of each
/// span and lines of each span, none of which a sketch of a stream keeps.
#[derive(Debug, Clone)]
pub struct FusedLocalizer {
    roles: MetricRoles,
    config: FusionConfig,
    reference: Option<std::sync::Arc<TelemetryWindow>>,
}

/// A suspect with what it rests on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct FusedSuspect {
    /// Who.
    pub entity: EntityId,
    /// How much, 0 or more; comparable within one answer.
    pub score: f64,
    /// The part of `score` that findings support. The rest orders those of whom little is known, and is evidence of nothing
    /// ([`FusionConfig::tail`]).
    pub supported: f64,
    /// What kind of fault its findings speak for.
    pub fault: FaultType,
    /// Kind of the finding that decided `fault`.
    pub decided_by: Option<FindingKind>,
    /// Its findings, the weightiest first.
    pub findings: Vec<Finding>,
    /// How the trouble travelled, from here to the caller furthest up that feels it.
    pub path: Vec<EntityId>,
}

/// The answer of a [`FusedLocalizer`].
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct FusedRanking {
    /// Every entity of either window by falling score; equal scores by entity.
    pub suspects: Vec<FusedSuspect>,
    /// What could not be seen, in words.
    pub unseen: Vec<String>,
    /// Confidence that the first is right, uncalibrated: how far it stands out, 0..=1.
    pub margin: f64,
    /// When the fault began, where that was looked for.
    pub onset: Option<Timestamp>,
}

impl Default for FusedLocalizer {
    fn default() -> Self {
        Self {
            roles: MetricRoles::new(default_roles()).unwrap_or_default(),
            config: FusionConfig::default(),
            reference: None,
        }
    }
}

/// Names of metrics that only say what they are when nothing else is said of them.
fn default_roles() -> MetricRolesConfig {
    let time = ["second", "duration", "latency", "time", "delay"];
    let rules = vec![
        // What a scheduler holds back.
        RoleRule::new(
            ["pending workload", "pending pod", "pending job", "job pending", "pod group pending"],
            MetricRole::Saturation,
            Polarity::HigherIsWorse,
        )
        .about("queue"),
        RoleRule::new(["availability", "success"], MetricRole::Errors, Polarity::LowerIsWorse).without(time),
        RoleRule::new(["net", "syscall"], MetricRole::Other, Polarity::Either),
        RoleRule::new(["request", "op", "workload"], MetricRole::Traffic, Polarity::Either)
            .without(time.into_iter().chain(["error", "failed", "p50", "p90", "p95", "p99"]))
            .of_kinds([MetricKind::Gauge, MetricKind::Rate, MetricKind::Counter]),
    ];
    MetricRolesConfig { rules, ..MetricRolesConfig::default() }
}

impl FusedLocalizer {
    /// A localiser.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) when the configuration is out of range.
    pub fn new(roles: MetricRoles, config: FusionConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { roles, config, reference: None })
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// [`Invalid`](aiops_core::ErrorKind::Invalid) when the configuration is out of range.
    pub fn with_config(self, config: FusionConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, ..self })
    }

    /// The same with a recording of what is normal, used at the seam beside what precedes the onset.
    #[must_use]
    pub fn with_reference(mut self, reference: TelemetryWindow) -> Self {
        self.reference = Some(std::sync::Arc::new(reference));
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &FusionConfig {
        &self.config
    }

    /// Kind and configuration, as a hash. What it is told to be normal does not count.
    #[must_use]
    pub fn id(&self) -> FittedHash {
        hash("fused", VERSION, &(self.roles.config(), &self.config))
    }

    /// Ranks suspects, without a runtime: `fault` begins with the fault, `reference` is normal.
    #[must_use]
    pub fn rank(&self, reference: &TelemetryWindow, fault: &TelemetryWindow) -> FusedRanking {
        self.rank_for(reference, fault, None)
    }

    /// The same for a symptom that is to be explained: latency or failures count for more where the symptom is such, and
    /// by the share of it they account for.
    #[must_use]
    pub fn rank_for(
        &self,
        reference: &TelemetryWindow,
        fault: &TelemetryWindow,
        symptom: Option<(&EntityId, &SeriesKey)>,
    ) -> FusedRanking {
        let (operations, [old, new]) = spans::tables([&reference.spans, &fault.spans]);
        let (before, after) = (Summary::of(&old, &operations), Summary::of(&new, &operations));
        let calls = Calls::of([reference, fault], &operations, [&before, &after]);
        let (peers, placement) = (Peers::of(&calls), Placement::of([reference, fault]));
        let called = spans::called([&old, &new], operations.len(), &peers);
        let scope = metrics::Scope {
            windows: (reference, fault),
            symptom: symptom.map(|s| s.0),
            roles: &self.roles,
            calls: &calls,
            peers: &peers,
            placement: &placement,
        };
        let Metrics { mut findings, mut accusations, furthest, load, mut answered, slow, pushed, readings } =
            metrics::findings(&scope, &self.config);
        let role = symptom.map(|(_, key)| self.roles.classify(key, MetricKind::Gauge, &Unit::default()).role);
        for finding in &mut findings {
            let beside = matches!(
                (role, finding.kind),
                (Some(MetricRole::Latency), FindingKind::Errors)
                    | (Some(MetricRole::Errors), FindingKind::Latency)
            );
            if beside {
                finding.strength *= self.config.beside_symptom;
            }
        }
        if !reference.spans.is_empty() {
            let (found, accused) =
                traces::findings(&operations, (&called, &placement), (&before, &after), &self.config);
            findings.extend(found);
            accusations.extend(accused);
            answered.extend(traces::answered(&operations, &called, (&before, &after), [reference, fault]));
        }
        if !reference.logs.is_empty() {
            let old = logs::Window { lines: &reference.logs, spans: &old, summary: &before };
            let new = logs::Window { lines: &fault.logs, spans: &new, summary: &after };
            let (found, accused) = logs::findings(&operations, &peers, (old, new), &self.config);
            findings.extend(found);
            accusations.extend(accused);
        }
        for finding in &mut findings {
            finding.strength *= self.weight(finding);
        }
        let fleet = Fleet::of([reference, fault], &placement);
        findings.extend(fleet.findings(&readings, [reference, fault], &self.config));
        placement.roll_up(&mut findings, &self.config);
        let paths = accuse::paths(&accusations, &self.config);
        accuse::waiting(&mut findings, &accusations, &self.config);
        findings.extend(accuse::findings(
            accusations,
            &findings,
            (&accuse::answers(&answered), &slow),
            &calls,
            &self.config,
        ));
        let traced: BTreeSet<&EntityId> = fault.spans.iter().map(|s| &s.entity).collect();
        explain::explain(&mut findings, &calls, &traced, &self.config);
        findings.extend(load);
        let number = |e: &EntityId| placement.whole(e).and_then(|whole| calls.number(whole));
        load::explain(&mut findings, &pushed, &calls, number, &self.config);
        placement.explain(&mut findings, &paths, &self.config);
        fleet.explain(&mut findings, &readings, [reference, fault], &self.config);
        let felt: BTreeSet<u32> = findings
            .iter()
            .filter(|f| f.kind.family() != finding::Family::Own)
            .filter_map(|f| calls.number(&f.entity))
            .collect();
        let tail = ranks(&furthest);
        let mut by_entity: BTreeMap<&EntityId, Vec<Finding>> =
            entities(reference, fault, &operations).into_iter().map(|e| (e, Vec::new())).collect();
        for finding in findings {
            if let Some(own) = by_entity.get_mut(&finding.entity) {
                own.push(finding);
            }
        }
        let suspects = by_entity.into_iter().map(|(entity, findings)| {
            let tail = tail.get(entity).map_or(0.0, |rank| self.config.tail / rank);
            self.suspect(entity.clone(), findings, tail)
        });
        let mut suspects: Vec<FusedSuspect> = suspects.collect();
        suspects.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.entity.cmp(&b.entity)));
        let margin = self.margin(suspects.iter().map(|s| s.supported));
        for suspect in suspects.iter_mut().take(self.config.paths) {
            suspect.path = calls.path_up(&suspect.entity, &felt);
        }
        FusedRanking { suspects, unseen: unseen(reference, fault, &calls), margin, onset: None }
    }

    /// Ranks suspects of a fault that began at about `stated`: the onset is looked for within
    /// [`OnsetConfig::reach`](crate::OnsetConfig::reach), what precedes it in `window` is normal and so is `normal`.
    #[must_use]
    pub fn rank_near(
        &self,
        normal: Option<&TelemetryWindow>,
        window: &TelemetryWindow,
        stated: Timestamp,
        symptom: Option<(&EntityId, &SeriesKey)>,
    ) -> FusedRanking {
        let onset = onset(window, stated, &self.config.onset).at;
        let (mut reference, fault) = cut(window, onset, self.config.guard);
        if let Some(normal) = normal {
            reference.merge(normal.clone());
        }
        let mut answer = self.rank_for(&reference, &fault, symptom);
        answer.onset = Some(onset);
        answer
    }

    /// Anomalies before which enough was recorded to compare with; all, where there are none, or where what is normal is known. What began
    /// before it was looked at, as a leak does, tells when the trouble began only to who knows how it was before.
    fn comparable<'a>(
        &self,
        window: &TelemetryWindow,
        anomalies: &'a [CitedAnomaly],
    ) -> Vec<&'a CitedAnomaly> {
        let known = |a: &&CitedAnomaly| {
            let samples = u32::try_from(self.config.least_samples).unwrap_or(u32::MAX);
            let enough = a.anomaly.reread.step.saturating_mul(samples).saturating_add(self.config.guard);
            self.reference.is_some() || a.anomaly.onset >= time::after(window.range.start(), enough)
        };
        let some: Vec<&CitedAnomaly> = anomalies.iter().filter(known).collect();
        if some.is_empty() { anomalies.iter().collect() } else { some }
    }

    fn weight(&self, finding: &Finding) -> f64 {
        let c = &self.config;
        match finding.kind {
            // A machine's own counters are its way to everybody; those of one process are mostly others'.
            FindingKind::NetworkCounters if place::is_machine(&finding.entity) => c.resource,
            FindingKind::Cpu | FindingKind::Memory | FindingKind::Resource | FindingKind::Saturation => {
                c.resource
            }
            FindingKind::Liveness | FindingKind::Errors => c.errors,
            FindingKind::Latency => c.latency,
            FindingKind::Traffic => c.traffic,
            FindingKind::Other | FindingKind::NetworkCounters => c.other,
            // Weighted where they were found.
            _ => 1.0,
        }
    }

    fn suspect(&self, entity: EntityId, mut findings: Vec<Finding>, tail: f64) -> FusedSuspect {
        findings.sort_by(|a, b| {
            let weight = |f: &Finding| f.strength * f.own;
            weight(b)
                .total_cmp(&weight(a))
                .then_with(|| a.kind.cmp(&b.kind))
                .then_with(|| a.statement.cmp(&b.statement))
        });
        let mut symptoms: BTreeMap<(Effect, finding::Family, Option<FindingKind>), (f64, f64)> =
            BTreeMap::new();
        for f in &findings {
            let effect = f.kind.effect();
            // A failure is one, and so is work that is no longer done, whether metrics, spans or lines show it. Of what metrics alone
            // measure, each resource is its own.
            let kind = Some(f.kind).filter(|_| !matches!(effect, Effect::Answers | Effect::Work));
            let (first, rest) = symptoms.entry((effect, f.kind.family(), kind)).or_default();
            if *first == 0.0 {
                *first = f.strength * f.own;
            } else {
                // Never more than the strongest again.
                *rest = (*rest + self.config.corroboration * f.strength * f.own)
                    .min(self.config.corroboration * self.config.corroborating * *first);
            }
        }
        let supported = symptoms.values().fold(0.0, |sum, (first, rest)| sum + first + rest);
        let (fault, decided_by) = fault::fault(&findings, &self.config);
        findings.truncate(self.config.citations);
        let path = vec![entity.clone()];
        FusedSuspect { entity, score: supported + tail, supported, fault, decided_by, findings, path }
    }

    /// How much of the evidence against the first two is against the first, from half (0) to all (1), less where that is hardly
    /// anything. `evidence` in the order of the ranking.
    fn margin(&self, mut evidence: impl Iterator<Item = f64>) -> f64 {
        match (evidence.next(), evidence.next()) {
            (Some(first), second) if first > 0.0 => {
                let apart = (1.0 - second.unwrap_or(0.0) / first).clamp(0.0, 1.0);
                apart * first / (first + self.config.half_sure)
            }
            _ => 0.0,
        }
    }
}

/// Rank of each entity, from 1, by how far any of its metrics lies out; of equal ones the last.
fn ranks<'a>(furthest: &BTreeMap<&'a EntityId, f64>) -> BTreeMap<&'a EntityId, f64> {
    let sorted = sorted(furthest.values().copied());
    let behind = |out: f64| sorted.len() - sorted.partition_point(|other| *other < out);
    let known = furthest.iter().filter(|(_, out)| **out > 0.0);
    known.map(|(entity, out)| (*entity, count(behind(*out)))).collect()
}

/// Everybody seen; what users see at the front door is nobody's.
fn entities<'a>(
    reference: &'a TelemetryWindow,
    fault: &'a TelemetryWindow,
    operations: &Operations<'a>,
) -> BTreeSet<&'a EntityId> {
    let mut all: HashSet<&EntityId> = operations.iter().map(|o| o.1).collect();
    for window in [reference, fault] {
        all.extend(window.metrics.iter().map(|s| s.entity()));
        all.extend(window.logs.iter().map(|l| &l.entity));
        all.extend(window.topology.edges().flat_map(|e| [&e.from, &e.to]));
        all.extend(window.topology.entities().map(|e| &e.id));
    }
    all.into_iter().filter(|e| e.kind() != EntityKind::Network).collect()
}

fn unseen(reference: &TelemetryWindow, fault: &TelemetryWindow, calls: &Calls<'_>) -> Vec<String> {
    let mut unseen = Vec::new();
    let mut say = |signal: Signal, before: bool, now: bool| match (before, now) {
        (_, false) => unseen.push(format!("{signal} were not seen since the fault")),
        (false, true) => unseen.push(format!("{signal} have nothing normal to be compared with")),
        (true, true) => {}
    };
    say(Signal::Metrics, !reference.metrics.is_empty(), !fault.metrics.is_empty());
    say(Signal::Traces, !reference.spans.is_empty(), !fault.spans.is_empty());
    say(Signal::Logs, !reference.logs.is_empty(), !fault.logs.is_empty());
    if calls.is_empty() {
        unseen.push("who calls whom is not known: victims cannot be told from origins".to_owned());
    }
    unseen
}

/// What precedes the first onset by more than the guard time is normal, what follows is not. What began before enough was recorded
/// to compare with does not tell the onset, where anything else does and no recording of what is normal was given.
///
/// A suspect cites the anomalies found at itself, else those of the callers its trouble travelled to, else the one that gave
/// the onset at which before and after were parted.
#[async_trait]
impl Localizer for FusedLocalizer {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        ctx.check()?;
        let c = &self.config;
        let told = self.comparable(window, anomalies);
        let Some(first) = leading(told, &c.onset, c.unit, c.most_z) else {
            return Ok(Ranking::default());
        };
        let answer = self.rank_near(self.reference.as_deref(), window, first.anomaly.onset, None);
        let mut ranking = answer.ranking(Some(first.anomaly.onset)).by(self.id());
        for suspect in &mut ranking.suspects {
            suspect.evidence = cite(anomalies, &suspect.path);
        }
        Ok(ranking)
    }
}
