use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::ChangeKind;
use serde::{Deserialize, Serialize};

use super::priors::{Priors, check_priors};
use crate::error::{check, check_count};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What makes an alert the suspected root of its incident; shares, each 0 to 1, of which at least one is more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RootWeights {
    /// Share of the other alerting entities that need it, directly or not. Default 0.4.
    pub coverage: f64,
    /// How early it began. Default 0.2.
    pub onset: f64,
    /// Share of the incident's alerts that are about it. Default 0.2.
    pub breadth: f64,
    /// How grave its gravest alert is. Default 0.1.
    pub severity: f64,
    /// That it was changed shortly before. Default 0.1.
    pub change: f64,
}

impl Default for RootWeights {
    fn default() -> Self {
        Self { coverage: 0.4, onset: 0.2, breadth: 0.2, severity: 0.1, change: 0.1 }
    }
}

/// Tiers of the limit on alerts that are not known yet: token buckets, by severity and by entity.
///
/// Critical alerts have a path of their own and are never limited. Repeats of known alerts cost no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitOptions {
    /// Informational alerts a minute, 1 to 1 000 000. Default 300.
    pub info_per_minute: u32,
    /// Informational alerts at once, 1 to 1 000 000. Default 1 000.
    pub info_burst: u32,
    /// Warnings a minute, 1 to 1 000 000. Default 1 200.
    pub warning_per_minute: u32,
    /// Warnings at once, 1 to 1 000 000. Default 5 000.
    pub warning_burst: u32,
    /// Alerts of one entity a minute, 1 to 1 000 000. Default 120.
    pub entity_per_minute: u32,
    /// Alerts of one entity at once, 1 to 1 000 000. Default 500.
    pub entity_burst: u32,
    /// Entities with a bucket of their own, 1 to 1 000 000; the rest share one. Default 10 000.
    pub max_entities: usize,
}

impl Default for LimitOptions {
    fn default() -> Self {
        Self {
            info_per_minute: 300,
            info_burst: 1_000,
            warning_per_minute: 1_200,
            warning_burst: 5_000,
            entity_per_minute: 120,
            entity_burst: 500,
            max_entities: 10_000,
        }
    }
}

/// How alerts become incidents.
///
/// Plain fields with documented defaults; [`CorrelatorConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrelatorOptions {
    /// Labels that do not identify an alert: they may differ between cycles, replicas and copies of the same thing.
    /// Default: names of copies (`instance`, `pod`, `uid`, …), of the senders' replicas, and the severity.
    pub volatile_labels: BTreeSet<String>,
    /// Whether names of Kubernetes pods lose the hash of their replica set and their own suffix. Default true.
    pub strip_pod_suffix: bool,
    /// Labels that part whole systems: alerts that differ in one are never related. Default: environment and cluster.
    pub scope_labels: Vec<String>,
    /// Labels of what belongs together where no topology says so, and within which names are unique. Default: the namespace.
    pub near_labels: Vec<String>,
    /// An alert that was not seen for this long is forgotten: the next one is a new one. 1 min to 30 days. Default 6 h, longer than
    /// the hours after which senders repeat themselves (Alertmanager: 4).
    #[serde(with = "aiops_core::model::duration")]
    pub remember: Duration,
    /// An alert that fires again within this time after it ended is the same one, flapping. 0 to 1 day. Default 1 min: away for one
    /// evaluation of its rule. One that comes back later is a new firing, whose incident is sought anew: pinned to the
    /// former one it would draw everything that begins with it there.
    #[serde(with = "aiops_core::model::duration")]
    pub reopen_within: Duration,
    /// A notification that an alert fires, with the start it had, that comes this soon after its end came late and does not
    /// open it again; 0 to `reopen_within`. Default 1 min.
    #[serde(with = "aiops_core::model::duration")]
    pub late_within: Duration,
    /// An alert is compared with incidents whose last onset is no farther from its own than this, 1 s to 1 day. Default 1 h: not what
    /// parts incidents, but what bounds the search for one.
    #[serde(with = "aiops_core::model::duration")]
    pub horizon: Duration,
    /// How long before an onset a change is looked for, 1 s to 1 day. Default 30 min. An incident that a change began goes on for as long.
    #[serde(with = "aiops_core::model::duration")]
    pub change_window: Duration,
    /// Changes that an incident lists: so long before its first onset, `change_window` to 7 days. Default 4 h.
    #[serde(with = "aiops_core::model::duration")]
    pub change_lookback: Duration,
    /// An incident takes no alert whose onset is later than this after its first, 1 s to 30 days. Default 2 h: a
    /// trickle of alerts must not keep one incident growing for ever.
    #[serde(with = "aiops_core::model::duration")]
    pub max_span: Duration,
    /// An incident is closed when all its alerts have ended and nothing was heard of it for this long; `reopen_within` to 7 days.
    /// Default 15 min.
    #[serde(with = "aiops_core::model::duration")]
    pub close_after: Duration,
    /// Least probability that an alert is of an incident rather than the beginning of another, more than 0 and less than 1. Default 0.5:
    /// whichever is more probable. More makes smaller incidents.
    pub threshold: f64,
    /// What is held of incidents beforehand.
    pub priors: Priors,
    /// What makes a suspect.
    pub root: RootWeights,
    /// Most hops between related entities, 1 to 16. Default 4.
    pub max_distance: usize,
    /// Entities looked at around a new alert, nearest first, 1 to 100 000. Default 256.
    pub max_neighbours: usize,
    /// Incidents looked at in its place and at each entity around it, and alerts by each other kind of evidence, latest first; 1 to
    /// 1000. Default 8.
    pub max_candidates: usize,
    /// Incidents that a new alert is compared with in all, nearest first, 1 to 10 000. Default 64.
    pub max_compared: usize,
    /// Time over which it is counted how often incidents begin in a place, 1 h to 30 days. Default 1 day.
    #[serde(with = "aiops_core::model::duration")]
    pub pace_memory: Duration,
    /// Least similarity of texts that is evidence, more than 0 to 1. Default 0.6.
    pub text_similarity: f64,
    /// Alerts that must have been seen before it is known which words are rare, and texts are compared; 1 to 1 000 000. Default 200.
    pub text_after: u64,
    /// Words that more than this share of alerts have say nothing, more than 0 to 1. Default 0.05.
    pub text_common: f64,
    /// How long after a change alerts about what was changed are held back, 0 to 1 day. Default 5 min. Critical ones are not.
    #[serde(with = "aiops_core::model::duration")]
    pub suppress_for: Duration,
    /// Kinds of change that do so. Default: deployments, roll-outs of configuration, restarts, scaling, patches, rollbacks
    /// and upkeep.
    pub suppress_kinds: Vec<ChangeKind>,
    /// Limits.
    pub limits: LimitOptions,
    /// Alerting entities from which on an incident is wide, which raises its priority; 1 to 1 000 000. Default 5.
    pub wide: usize,
    /// Alerts kept, 16 to 10 000 000. Default 100 000. Beyond, the one seen longest ago is folded into its incident: counted
    /// there, no longer listed; critical ones last.
    pub max_alerts: usize,
    /// Estimated bytes they may take, 64 KiB to 1 TiB. Default 256 MiB.
    pub max_bytes: usize,
    /// Open incidents, 1 to 1 000 000. Default 10 000. Alerts that would open more join one for the storm.
    pub max_incidents: usize,
    /// Changes, and maintenance windows, that are kept, 1 to 1 000 000. Default 10 000; the oldest go first.
    pub max_events: usize,
    /// Labels and annotations of an alert that are kept, 1 to 10 000 each. Default 64.
    pub max_labels: usize,
    /// Bytes of a name or value that are kept, 16 to 1 048 576. Default 1024.
    pub max_label_bytes: usize,
}

/// Labels that name a copy of something or the path an alert came by.
const VOLATILE: [&str; 26] = [
    "container_id",
    "controller_revision_hash",
    "endpoint",
    "host_ip",
    "id",
    "image_id",
    "instance",
    "k8s.pod.ip",
    "k8s.pod.name",
    "k8s.pod.uid",
    "monitor",
    "pod",
    "pod_ip",
    "pod_name",
    "pod_template_hash",
    "pod_uid",
    "process_id",
    "prometheus",
    "prometheus_replica",
    "replica",
    "service.instance.id",
    "service_instance_id",
    "severity",
    "span_id",
    "trace_id",
    "uid",
];

const SCOPE: [&str; 5] = ["deployment.environment.name", "environment", "env", "k8s.cluster.name", "cluster"];

const NEAR: [&str; 2] = ["k8s.namespace.name", "namespace"];

impl Default for CorrelatorOptions {
    fn default() -> Self {
        Self {
            volatile_labels: VOLATILE.iter().map(|name| (*name).to_owned()).collect(),
            strip_pod_suffix: true,
            scope_labels: SCOPE.iter().map(|name| (*name).to_owned()).collect(),
            near_labels: NEAR.iter().map(|name| (*name).to_owned()).collect(),
            remember: HOUR * 6,
            reopen_within: MINUTE,
            late_within: MINUTE,
            horizon: HOUR,
            change_window: MINUTE * 30,
            change_lookback: HOUR * 4,
            max_span: HOUR * 2,
            close_after: MINUTE * 15,
            threshold: 0.5,
            priors: Priors::default(),
            root: RootWeights::default(),
            max_distance: 4,
            max_neighbours: 256,
            max_candidates: 8,
            max_compared: 64,
            pace_memory: DAY,
            text_similarity: 0.6,
            text_after: 200,
            text_common: 0.05,
            suppress_for: MINUTE * 5,
            suppress_kinds: vec![
                ChangeKind::Deployment,
                ChangeKind::ConfigRollout,
                ChangeKind::Restart,
                ChangeKind::Scaling,
                ChangeKind::Patch,
                ChangeKind::Rollback,
                ChangeKind::Maintenance,
            ],
            limits: LimitOptions::default(),
            wide: 5,
            max_alerts: 100_000,
            max_bytes: 256 << 20,
            max_incidents: 10_000,
            max_events: 10_000,
            max_labels: 64,
            max_label_bytes: 1024,
        }
    }
}

/// Checked [`CorrelatorOptions`].
///
/// ```
/// use aiops_detect::correlate::{CorrelatorConfig, CorrelatorOptions};
/// let options = CorrelatorOptions { threshold: 0.0, ..Default::default() };
/// assert_eq!(CorrelatorConfig::try_from(options).unwrap_err().field(), "threshold");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CorrelatorOptions", into = "CorrelatorOptions")]
pub struct CorrelatorConfig(CorrelatorOptions);

impl CorrelatorConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &CorrelatorOptions {
        &self.0
    }
}

impl From<CorrelatorConfig> for CorrelatorOptions {
    fn from(config: CorrelatorConfig) -> Self {
        config.0
    }
}

pub(super) fn check_time(
    field: &'static str,
    value: Duration,
    range: RangeInclusive<Duration>,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, format!("{value:?}"), allowed)) }
}

impl TryFrom<CorrelatorOptions> for CorrelatorConfig {
    type Error = ConfigError;

    fn try_from(o: CorrelatorOptions) -> Result<Self, ConfigError> {
        check_time("remember", o.remember, MINUTE..=DAY * 30, "1 min to 30 days")?;
        check_time("reopen_within", o.reopen_within, Duration::ZERO..=DAY, "0 to 1 day")?;
        let late = Duration::ZERO..=o.reopen_within;
        check_time("late_within", o.late_within, late, "0 to `reopen_within`")?;
        let second = Duration::from_secs(1);
        check_time("horizon", o.horizon, second..=DAY, "1 s to 1 day")?;
        check_time("change_window", o.change_window, second..=DAY, "1 s to 1 day")?;
        let lookback = o.change_window..=DAY * 7;
        check_time("change_lookback", o.change_lookback, lookback, "`change_window` to 7 days")?;
        check_time("max_span", o.max_span, second..=DAY * 30, "1 s to 30 days")?;
        check_time("close_after", o.close_after, o.reopen_within..=DAY * 7, "`reopen_within` to 7 days")?;
        check_time("suppress_for", o.suppress_for, Duration::ZERO..=DAY, "0 to 1 day")?;
        check("threshold", o.threshold, 0.001..=0.999, "0.001 to 0.999")?;
        check_priors(&o.priors)?;
        let r = &o.root;
        let shares = [
            ("root.coverage", r.coverage),
            ("root.onset", r.onset),
            ("root.breadth", r.breadth),
            ("root.severity", r.severity),
            ("root.change", r.change),
        ];
        for (field, value) in shares {
            check(field, value, 0.0..=1.0, "0 to 1")?;
        }
        if shares.iter().all(|(_, share)| *share == 0.0) {
            return Err(ConfigError::new("root", 0, "at least one share of more than 0"));
        }
        check("text_similarity", o.text_similarity, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("text_common", o.text_common, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        let million = 1..=1_000_000_usize;
        let l = &o.limits;
        for (field, value) in [
            ("limits.info_per_minute", l.info_per_minute),
            ("limits.info_burst", l.info_burst),
            ("limits.warning_per_minute", l.warning_per_minute),
            ("limits.warning_burst", l.warning_burst),
            ("limits.entity_per_minute", l.entity_per_minute),
            ("limits.entity_burst", l.entity_burst),
        ] {
            check_count(field, value as usize, million.clone(), "1 to 1000000")?;
        }
        check_count("limits.max_entities", l.max_entities, million.clone(), "1 to 1000000")?;
        let text_after = usize::try_from(o.text_after).unwrap_or(usize::MAX);
        check_count("text_after", text_after, million.clone(), "1 to 1000000")?;
        check_count("max_distance", o.max_distance, 1..=16, "1 to 16 hops")?;
        check_count("max_neighbours", o.max_neighbours, 1..=100_000, "1 to 100000")?;
        check_count("max_candidates", o.max_candidates, 1..=1000, "1 to 1000")?;
        check_count("max_compared", o.max_compared, 1..=10_000, "1 to 10000")?;
        check_time("pace_memory", o.pace_memory, HOUR..=DAY * 30, "1 h to 30 days")?;
        check_count("wide", o.wide, million.clone(), "1 to 1000000")?;
        check_count("max_alerts", o.max_alerts, 16..=10_000_000, "16 to 10000000")?;
        check_count("max_bytes", o.max_bytes, 64 << 10..=1 << 40, "64 KiB to 1 TiB")?;
        check_count("max_incidents", o.max_incidents, million.clone(), "1 to 1000000")?;
        check_count("max_events", o.max_events, million, "1 to 1000000")?;
        check_count("max_labels", o.max_labels, 1..=10_000, "1 to 10000")?;
        check_count("max_label_bytes", o.max_label_bytes, 16..=1 << 20, "16 to 1048576")?;
        Ok(Self(o))
    }
}
