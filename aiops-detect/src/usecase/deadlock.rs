use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{
    Change, ChangeKind, EdgeKind, EntityId, SeriesKey, Severity, Signal, TelemetryWindow, time,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{Counted, check_names, increments, lines, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::stats::binomial_sf;

/// When deadlocks are a deployment's doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentDeadlockOptions {
    /// Texts, in lower case, of which a line about a deadlock holds one.
    pub signatures: Vec<String>,
    /// Metrics that count deadlocks: running totals, or counts a sample.
    pub metrics: Vec<String>,
    /// Time after a change in which what begins may be its doing. Default 30 min.
    #[serde(with = "aiops_core::model::duration")]
    pub within: Duration,
    /// Fewest deadlocks after the change, 2 to 10⁶. Default 3.
    pub min_events: usize,
    /// Deadlocks a minute from which it is critical, more than 0. Default 1.
    pub critical_per_minute: f64,
    /// Probability below which as many after the change are no chance, 10⁻¹² to 0.1. Default 0.001.
    pub alpha: f64,
}

impl Default for DeploymentDeadlockOptions {
    fn default() -> Self {
        Self {
            signatures: names(&[
                "deadlock detected",
                "deadlock found when trying to get lock",
                "was deadlocked on lock",
                "ora-00060",
                "found one java-level deadlock",
                "all goroutines are asleep - deadlock",
            ]),
            metrics: names(&[
                "pg_stat_database_deadlocks",
                "postgresql.deadlocks",
                "mysql_global_status_innodb_deadlocks",
                "sqlserver.deadlock.count",
                "db.deadlocks",
            ]),
            within: Duration::from_secs(1800),
            min_events: 3,
            critical_per_minute: 1.0,
            alpha: 1e-3,
        }
    }
}

impl Options for DeploymentDeadlockOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("signatures", &self.signatures)?;
        check_names("metrics", &self.metrics)?;
        if let Some(odd) = self.signatures.iter().find(|text| **text != text.to_lowercase()) {
            return Err(ConfigError::new("signatures", odd, "texts in lower case"));
        }
        if self.within.is_zero() {
            return Err(ConfigError::new("within", "0s", "more than 0"));
        }
        check_count("min_events", self.min_events, 2..=1_000_000, "2 to 1000000 deadlocks")?;
        check("critical_per_minute", self.critical_per_minute, f64::MIN_POSITIVE.., "more than 0")?;
        check("alpha", self.alpha, 1e-12..=0.1, "1e-12 to 0.1")
    }
}

/// Deadlocks that a deployment brought: of those of an entity, more came after a change of it, or of what uses it, than the time
/// before lets expect (Przyborowski and Wilenski's exact test of two Poisson rates, 1940).
///
/// *Needs* lines or counts of deadlocks (PostgreSQL 40P01, MySQL 1213, SQL Server 1205, ORA-00060, those of run-times), changes, and
/// the topology where the one changed is not the one deadlocked.
/// *Is none:* deadlocks that were as frequent before the change, that follow no change, or that a change of something unrelated precedes;
/// one or two, which retries are for.
/// *Does not see* a program that hangs without a line: that is the liveness of its process.
#[derive(Debug, Clone, Copy)]
pub struct DeploymentDeadlock;

/// [`DeploymentDeadlock`] behind its seam.
pub type DeploymentDeadlockDetector = UseCaseDetector<DeploymentDeadlock>;

/// Deadlocks: when, how many, and whence it is known.
type Deadlocks = Vec<(Timestamp, f64)>;

fn deadlocks<'w>(
    options: &DeploymentDeadlockOptions,
    window: &'w TelemetryWindow,
) -> BTreeMap<&'w EntityId, (Deadlocks, Signal)> {
    let mut by_entity: BTreeMap<&EntityId, (Deadlocks, Signal)> = BTreeMap::new();
    for line in lines(window) {
        let text = line.body.to_lowercase();
        if options.signatures.iter().any(|signature| text.contains(signature)) {
            let told = by_entity.entry(&line.entity).or_insert_with(|| (Vec::new(), Signal::Logs));
            told.0.push((line.time, 1.0));
        }
    }
    for series in named(window, &options.metrics) {
        let counts = increments(series, window).into_iter().filter(|(_, count)| *count > 0.0);
        let counts: Deadlocks = counts.collect();
        // What the database counts itself is complete; its lines say the same again.
        if !counts.is_empty() {
            let told = by_entity.entry(series.entity()).or_insert_with(|| (Vec::new(), Signal::Metrics));
            if told.1 == Signal::Logs {
                *told = (Vec::new(), Signal::Metrics);
            }
            told.0.extend(counts);
        }
    }
    by_entity.values_mut().for_each(|(events, _)| events.sort_by_key(|event| event.0));
    by_entity
}

/// Whether a change of `changed` may bring deadlocks to `entity`: it is that, a part of it, or uses it.
fn concerns(window: &TelemetryWindow, changed: &EntityId, entity: &EntityId) -> bool {
    let whole = window.topology.whole(entity);
    changed == entity
        || changed == whole
        || window.topology.whole(changed) == whole
        || [EdgeKind::Calls, EdgeKind::DependsOn].into_iter().any(|kind| {
            window.topology.needs(changed, kind).any(|needed| needed == entity || needed == whole)
        })
}

struct Blamed<'w> {
    change: &'w Change,
    p_value: f64,
    count: f64,
    times: (Timestamp, Timestamp),
    /// Deadlocks in as much time before.
    usual: f64,
    minutes: f64,
}

fn blame<'w>(
    options: &DeploymentDeadlockOptions,
    window: &TelemetryWindow,
    change: &'w Change,
    events: &Deadlocks,
) -> Option<Blamed<'w>> {
    let until = time::after(change.time, options.within).min(window.range.end());
    let since = change.time.max(window.range.start());
    let (before, after) = (time::elapsed(window.range.start(), since), time::elapsed(since, until));
    // Without a time before there is nothing to compare with.
    if before.is_zero() || after.is_zero() {
        return None;
    }
    let of = |keep: &dyn Fn(Timestamp) -> bool| events.iter().filter(|e| keep(e.0)).map(|e| e.1).sum::<f64>();
    let (n0, n1) = (of(&|t| t < since), of(&|t| since <= t && t < until));
    let share = after.as_secs_f64() / (before + after).as_secs_f64();
    let p_value = binomial_sf(n1, n0 + n1, share);
    if n1 < options.min_events as f64 || p_value > options.alpha {
        return None;
    }
    let own = || events.iter().filter(|e| since <= e.0 && e.0 < until).map(|e| e.0);
    Some(Blamed {
        change,
        p_value,
        count: n1,
        times: (own().next()?, own().next_back()?),
        usual: n0 * after.as_secs_f64() / before.as_secs_f64(),
        minutes: after.as_secs_f64() / 60.0,
    })
}

impl UseCase for DeploymentDeadlock {
    const ID: &'static str = "deployment-deadlock";

    type Options = DeploymentDeadlockOptions;

    fn look(options: &DeploymentDeadlockOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let kinds =
            [ChangeKind::Deployment, ChangeKind::ConfigRollout, ChangeKind::FeatureFlag, ChangeKind::Patch];
        let mut found = Vec::new();
        for (entity, (events, signal)) in deadlocks(options, window) {
            let changes = window.changes.iter().filter(|c| kinds.contains(&c.kind));
            let blamed = changes
                .filter(|change| concerns(window, &change.entity, entity))
                .filter_map(|change| blame(options, window, change, &events))
                // The least probable to be chance; of equal ones the one that came last before it.
                .min_by(|a, b| {
                    a.p_value
                        .total_cmp(&b.p_value)
                        .then(b.change.time.cmp(&a.change.time))
                        .then(a.change.id.0.cmp(&b.change.id.0))
                });
            let Some(blamed) = blamed else { continue };
            let critical = blamed.count / blamed.minutes >= options.critical_per_minute;
            let counted = Counted {
                entity,
                series: SeriesKey::new("db.deadlocks").with("change.id", &blamed.change.id.0),
                times: blamed.times,
                count: blamed.count,
                usual: blamed.usual,
                samples: events.len(),
                severity: if critical { Severity::Critical } else { Severity::Warning },
                signal,
                evidence: format!(
                    "{:.0} deadlocks in {:.0} min after {} of {} where {:.1} are usual (p {:.1e})",
                    blamed.count,
                    blamed.minutes,
                    blamed.change.id,
                    blamed.change.entity.name(),
                    blamed.usual,
                    blamed.p_value,
                ),
            };
            found.push(counted.symptom(window));
        }
        found
    }
}
