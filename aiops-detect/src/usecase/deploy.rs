use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{
    Change, ChangeKind, EntityId, MetricSeries, SeriesKey, Severity, Signal, TelemetryWindow, time,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{Counted, check_names, inside, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::check_count;

/// When a deployment failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailedDeploymentOptions {
    /// Metrics of copies that wait to start, more than 0 while one does.
    pub waiting: Vec<String>,
    /// Label of these that says why.
    pub reason: Vec<String>,
    /// Why they wait when it is a failure, not a beginning.
    pub failures: Vec<String>,
    /// Metrics of copies that are wanted and not available.
    pub unavailable: Vec<String>,
    /// Samples for which a copy must wait, 2 to 1000: pulling an image again is no failure. Default 3.
    pub min_samples: usize,
    /// Time that a roll-out has to make its copies available; as Kubernetes' `progressDeadlineSeconds`. Default 10 min.
    #[serde(with = "aiops_core::model::duration")]
    pub progress_deadline: Duration,
    /// Time in which taking a revision back says that it failed, and in which deployments are counted. Default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub within: Duration,
    /// Deployments of one thing in that time that are attempts, 3 to 1000. Default 4.
    pub attempts: usize,
}

impl Default for FailedDeploymentOptions {
    fn default() -> Self {
        Self {
            waiting: names(&["kube_pod_container_status_waiting_reason", "k8s.container.status.reason"]),
            reason: names(&["reason", "k8s.container.status.reason"]),
            failures: names(&[
                "CrashLoopBackOff",
                "ImagePullBackOff",
                "ErrImagePull",
                "InvalidImageName",
                "CreateContainerConfigError",
                "CreateContainerError",
                "RunContainerError",
            ]),
            unavailable: names(&[
                "kube_deployment_status_replicas_unavailable",
                "k8s.deployment.unavailable_pods",
                "deployment.unavailable_replicas",
            ]),
            min_samples: 3,
            progress_deadline: Duration::from_secs(600),
            within: Duration::from_secs(3600),
            attempts: 4,
        }
    }
}

impl Options for FailedDeploymentOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("waiting", &self.waiting),
            ("reason", &self.reason),
            ("failures", &self.failures),
            ("unavailable", &self.unavailable),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        check_count("min_samples", self.min_samples, 2..=1000, "2 to 1000 samples")?;
        for (field, time) in [("progress_deadline", self.progress_deadline), ("within", self.within)] {
            if time.is_zero() {
                return Err(ConfigError::new(field, "0s", "more than 0"));
            }
        }
        check_count("attempts", self.attempts, 3..=1000, "3 to 1000 deployments")
    }
}

/// The ways in which a deployment fails: its copies cannot start (with the reason that the platform gives), do not become available
/// by the deadline, it is taken back, or it is tried again and again (Kubernetes, *Deployments*, on failed deployments).
///
/// *Needs* deployments or roll-outs of configuration, and why copies wait or how many are unavailable; changes alone
/// tell what was taken back.
/// *Is none:* copies that are unavailable while a roll-out proceeds, one that waits for a sample or two, a crash loop that was there before,
/// and a roll-back a day later.
/// *Does not see* a revision that starts and answers wrongly: that is [`RegressionDetector`](crate::regression::RegressionDetector)'s business.
#[derive(Debug, Clone, Copy)]
pub struct FailedDeployment;

/// [`FailedDeployment`] behind its seam.
pub type FailedDeploymentDetector = UseCaseDetector<FailedDeployment>;

/// How one deployment failed.
struct Failure {
    pattern: &'static str,
    times: (Timestamp, Timestamp),
    ongoing: bool,
    count: f64,
    severity: Severity,
    signal: Signal,
    evidence: String,
}

fn is_deployment(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Deployment | ChangeKind::ConfigRollout)
}

/// Whether what a series is about is what was changed, or a copy of it.
fn is_of(window: &TelemetryWindow, series: &MetricSeries, changed: &EntityId) -> bool {
    series.entity() == changed || window.topology.whole(series.entity()) == changed
}

/// Copies that cannot start, and since which sample.
fn cannot_start(
    options: &FailedDeploymentOptions,
    window: &TelemetryWindow,
    change: &Change,
    until: Timestamp,
) -> Option<Failure> {
    let mut reasons: BTreeMap<&str, (usize, Timestamp, Timestamp, bool)> = BTreeMap::new();
    for series in named(window, &options.waiting).into_iter().filter(|s| is_of(window, s, &change.entity)) {
        let reason = options.reason.iter().find_map(|label| series.key().labels.get(label));
        let Some(reason) = reason.filter(|r| options.failures.iter().any(|f| f == r)) else { continue };
        let points = inside(series, window);
        // The same copy waited for the same reason before: the deployment is not to blame.
        if points.iter().rfind(|p| p.0 < change.time).is_some_and(|p| p.1 > 0.0) {
            continue;
        }
        let after = points.iter().filter(|p| (change.time..until).contains(&p.0));
        let waits: Vec<_> = after.clone().filter(|p| p.1 > 0.0).map(|p| p.0).collect();
        let (Some(first), Some(last)) = (waits.first(), waits.last()) else { continue };
        if waits.len() < options.min_samples {
            continue;
        }
        let still = after.clone().next_back().is_some_and(|p| p.1 > 0.0);
        let told = reasons.entry(reason).or_insert((0, *first, *last, false));
        *told = (told.0 + 1, told.1.min(*first), told.2.max(*last), told.3 || still);
    }
    // The reason that most copies give; of equal ones the first in the alphabet.
    let (reason, (copies, first, last, ongoing)) =
        reasons.into_iter().max_by(|a, b| a.1.0.cmp(&b.1.0).then(b.0.cmp(a.0)))?;
    Some(Failure {
        pattern: "cannot-start",
        times: (first, last),
        ongoing,
        count: copies as f64,
        severity: if ongoing { Severity::Critical } else { Severity::Warning },
        signal: Signal::Metrics,
        evidence: format!("{copies} of its copies cannot start: {reason}"),
    })
}

/// Copies that are not available when the deadline is over, nor at any sample between.
fn never_available(
    options: &FailedDeploymentOptions,
    window: &TelemetryWindow,
    change: &Change,
    until: Timestamp,
) -> Option<Failure> {
    for series in named(window, &options.unavailable).into_iter().filter(|s| is_of(window, s, &change.entity))
    {
        let points = inside(series, window);
        if points.iter().rfind(|p| p.0 < change.time).is_some_and(|p| p.1 > 0.0) {
            continue;
        }
        let missing = points.iter().filter(|p| (change.time..until).contains(&p.0));
        // A sample without any means that the roll-out got there; what is missing later is not its doing.
        let missing: Vec<_> = missing.skip_while(|p| p.1 <= 0.0).take_while(|p| p.1 > 0.0).collect();
        let (Some(first), Some(last)) = (missing.first(), missing.last()) else { continue };
        if time::elapsed(change.time, last.0) < options.progress_deadline
            || time::elapsed(change.time, first.0) > options.progress_deadline
        {
            continue;
        }
        let most = missing.iter().map(|p| p.1).fold(0.0, f64::max);
        return Some(Failure {
            pattern: "deadline-exceeded",
            times: (first.0, last.0),
            ongoing: points.last().is_some_and(|p| p.0 == last.0),
            count: most,
            severity: Severity::Critical,
            signal: Signal::Metrics,
            evidence: format!("{most:.0} copies are still missing {:?} after it", options.progress_deadline),
        });
    }
    None
}

/// The change that takes this one back.
fn taken_back(
    options: &FailedDeploymentOptions,
    window: &TelemetryWindow,
    change: &Change,
) -> Option<Failure> {
    let from = change.revision.as_ref().and_then(|r| r.from.as_ref());
    let back = window
        .changes
        .iter()
        .filter(|later| later.entity == change.entity && later.id != change.id && later.time > change.time)
        .filter(|later| time::elapsed(change.time, later.time) <= options.within)
        .min_by_key(|later| (later.time, &later.id.0))?;
    let returns = is_deployment(back) && from.is_some() && back.revision.as_ref().map(|r| &r.to) == from;
    (back.kind == ChangeKind::Rollback || returns).then(|| Failure {
        pattern: "rolled-back",
        times: (change.time, back.time),
        ongoing: false,
        count: 1.0,
        severity: Severity::Warning,
        signal: Signal::Changes,
        evidence: format!("{} took it back", back.id),
    })
}

/// Deployments of one thing that follow each other too closely to have been looked at.
fn attempts<'w>(options: &FailedDeploymentOptions, changes: &[&'w Change]) -> Option<(&'w Change, Failure)> {
    let runs = changes.iter().enumerate().map(|(at, first)| {
        let until = time::after(first.time, options.within);
        let run = changes.iter().skip(at).take_while(move |c| c.time <= until);
        (run.clone().count(), *first, run.last().map_or(first.time, |c| c.time))
    });
    let (count, first, last) = runs.max_by(|a, b| a.0.cmp(&b.0).then(b.1.time.cmp(&a.1.time)))?;
    let failure = Failure {
        pattern: "repeated",
        times: (first.time, last),
        ongoing: false,
        count: count as f64,
        severity: Severity::Warning,
        signal: Signal::Changes,
        evidence: format!("{count} deployments within {:?}", options.within),
    };
    (count >= options.attempts).then_some((first, failure))
}

impl UseCase for FailedDeployment {
    const ID: &'static str = "failed-deployment";

    type Options = FailedDeploymentOptions;

    fn look(options: &FailedDeploymentOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut by_entity: BTreeMap<&EntityId, Vec<&Change>> = BTreeMap::new();
        for change in window.changes.iter().filter(|c| is_deployment(c)) {
            by_entity.entry(&change.entity).or_default().push(change);
        }
        let mut found = Vec::new();
        let mut tell = |change: &Change, failure: Failure| {
            let counted = Counted {
                entity: &change.entity,
                series: SeriesKey::new("deployment.failed")
                    .with("change.id", &change.id.0)
                    .with("pattern", failure.pattern),
                times: failure.times,
                count: failure.count,
                usual: 0.0,
                samples: 1,
                severity: failure.severity,
                signal: failure.signal,
                evidence: format!("{} of {}: {}", change.id, change.entity.name(), failure.evidence),
            };
            let mut symptom = counted.symptom(window);
            symptom.ongoing = failure.ongoing;
            found.push(symptom);
        };
        for changes in by_entity.values_mut() {
            changes.sort_by(|a, b| (a.time, &a.id.0).cmp(&(b.time, &b.id.0)));
            changes.dedup_by(|a, b| a.id == b.id);
            let later = changes.iter().skip(1).map(|c| c.time).chain([window.range.end()]);
            for (change, until) in changes.iter().zip(later) {
                // What shows why comes before what only shows that it failed.
                let failure = cannot_start(options, window, change, until)
                    .or_else(|| never_available(options, window, change, until))
                    .or_else(|| taken_back(options, window, change));
                if let Some(failure) = failure {
                    tell(change, failure);
                }
            }
            if let Some((first, failure)) = attempts(options, changes) {
                tell(first, failure);
            }
        }
        found
    }
}
