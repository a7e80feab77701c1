//! Alert correlation on streams whose truth is known. // COR-02, COR-03, SCN-01
//!
//! # How the truth is made
//! [`harvest()`] runs the rolling detector, learned on what each incident's set calls normal, over the minutes after each injection: every
//! series that left its norm is an alert of that incident. The same over hours without a fault gives alerts that mean
//! nothing; what fires there too is not held to be of any incident. [`stream()`] then lays all of them out as one monitoring would see them: the incidents of each system in random
//! order with exponential gaps, so that many overlap; the meaningless ones one by one at random times; every alert sent
//! again and again by two replicas until it ends, out of order, some notifications lost. An alert belongs to the incident
//! it was harvested from; a meaningless one belongs to nothing.
//!
//! What groups sees alerts, arrival times and the topology (the sets' call graphs), nothing of the incidents; names of systems stand in
//! the label `namespace`, as in any cluster. Alerts of an incident may be chance findings of the detector; [`System::chance`]
//! says how many are to be expected.

mod harvest;
mod score;
mod speed;
mod stream;

use std::fmt::Write as _;
use std::path::PathBuf;

use aiops_detect::correlate::CorrelatorConfig;
use serde::Serialize;

use crate::EvalError;

pub use harvest::{Raised, Symptom, System, harvest};
pub use score::{Grouping, Score, correlate, no_grouping, one_for_all, sessions};
pub use speed::{SpeedReport, measure};
pub use stream::{Episode, Notification, Stream, StreamOptions, Truth, stream};

/// What is known of one system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemReport {
    /// Name of its folder.
    pub name: String,
    /// Incidents with alerts.
    pub incidents: usize,
    /// Incidents without any alert, or without anything normal to compare with.
    pub silent: usize,
    /// Of those with alerts: how many have one about the service at fault.
    pub with_root: usize,
    /// Mean alerts of an incident.
    pub alerts: f64,
    /// Alerts to be expected by chance in as much time without a fault.
    pub chance: f64,
    /// Kinds of meaningless alerts.
    pub noise: usize,
}

/// One way of grouping, over all seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// Name of the method.
    pub method: String,
    /// One score for each seed.
    pub scores: Vec<Score>,
}

impl MethodReport {
    /// Mean over seeds.
    #[must_use]
    pub fn mean(&self, of: impl Fn(&Score) -> f64) -> f64 {
        self.scores.iter().map(of).sum::<f64>() / self.scores.len().max(1) as f64
    }
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertsReport {
    /// How the streams were laid out.
    pub options: StreamOptions,
    /// The systems.
    pub systems: Vec<SystemReport>,
    /// Mean notifications, alerts, and shares of incidents that overlap, of the streams.
    pub streams: StreamReport,
    /// The methods.
    pub methods: Vec<MethodReport>,
}

/// What the streams hold, as means over seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StreamReport {
    /// Notifications.
    pub notifications: f64,
    /// Alerts.
    pub alerts: f64,
    /// Of these: meaningless.
    pub noise: f64,
    /// Incidents.
    pub incidents: f64,
    /// Share of incidents during which, or within five minutes of which, another of the same system began or went on.
    pub overlap_same: f64,
    /// The same for incidents of other systems.
    pub overlap_other: f64,
}

/// Harvests the sets in `folders` and scores the correlator and the baselines on a stream for each of `seeds` seeds.
///
/// # Errors
/// Those of [`harvest()`].
pub fn evaluate(
    folders: &[PathBuf],
    options: &StreamOptions,
    seeds: u64,
    config: &CorrelatorConfig,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<AlertsReport, EvalError> {
    let mut systems = Vec::new();
    for (done, folder) in folders.iter().enumerate() {
        systems.push(harvest(folder)?);
        progress(done + 1, folders.len() + 1);
    }
    let mut methods: Vec<MethodReport> = Vec::new();
    let mut means = StreamReport::default();
    for seed in 0..seeds.max(1) {
        let stream = stream(&systems, &StreamOptions { seed: options.seed + seed, ..*options });
        let facts = stream.facts();
        means.notifications += facts.notifications;
        means.alerts += facts.alerts;
        means.noise += facts.noise;
        means.incidents += facts.incidents;
        means.overlap_same += facts.overlap_same;
        means.overlap_other += facts.overlap_other;
        let groupings = [
            correlate(&stream, config),
            one_for_all(&stream),
            no_grouping(&stream),
            sessions(&stream, "service", |alert| alert.entity.to_string()),
            sessions(&stream, "namespace", |alert| {
                alert.labels.get("namespace").unwrap_or_default().to_owned()
            }),
            sessions(&stream, "time", |_| String::new()),
        ];
        for (at, grouping) in groupings.into_iter().enumerate() {
            let score = grouping.score(&stream);
            match methods.get_mut(at) {
                Some(report) => report.scores.push(score),
                None => methods.push(MethodReport { method: grouping.method, scores: vec![score] }),
            }
        }
    }
    let n = seeds.max(1) as f64;
    for value in [
        &mut means.notifications,
        &mut means.alerts,
        &mut means.noise,
        &mut means.incidents,
        &mut means.overlap_same,
        &mut means.overlap_other,
    ] {
        *value /= n;
    }
    progress(folders.len() + 1, folders.len() + 1);
    let systems = systems.iter().map(System::report).collect();
    Ok(AlertsReport { options: *options, systems, streams: means, methods })
}

impl AlertsReport {
    /// The report in a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for s in &self.systems {
            let _ = writeln!(
                text,
                "{}: {} incidents with {:.1} alerts each ({:.2} by chance), {} of them about the root; {} without; {} kinds of noise",
                s.name, s.incidents, s.alerts, s.chance, s.with_root, s.silent, s.noise
            );
        }
        let f = &self.streams;
        let _ = writeln!(
            text,
            "streams of {:.0} notifications of {:.0} alerts ({:.0} noise) of {:.0} incidents; {:.0} % overlap one of the same system, {:.0} % one of another",
            f.notifications,
            f.alerts,
            f.noise,
            f.incidents,
            100.0 * f.overlap_same,
            100.0 * f.overlap_other
        );
        let _ = writeln!(
            text,
            "{:<34} {:>6} {:>6} {:>6}  {:>9} {:>9}  {:>6} {:>6}  {:>7} {:>6}",
            "method", "prec", "recall", "F1", "of notif", "of alerts", "root", "handed", "groups", "top-1"
        );
        for method in &self.methods {
            let mean = |of: fn(&Score) -> f64| method.mean(of);
            let _ = writeln!(
                text,
                "{:<34} {:>6.3} {:>6.3} {:>6.3}  {:>8.1}% {:>8.1}%  {:>5.1}% {:>5.1}%  {:>7.1} {:>6}",
                method.method,
                mean(|s| s.precision),
                mean(|s| s.recall),
                mean(|s| s.f1),
                100.0 * mean(|s| s.reduction),
                100.0 * mean(|s| s.alert_reduction),
                100.0 * mean(|s| s.root_kept),
                100.0 * mean(|s| s.root_handed_on),
                mean(|s| s.groups as f64),
                match method.scores.first().and_then(|s| s.suspect_right) {
                    Some(_) => format!("{:.1}%", 100.0 * mean(|s| s.suspect_right.unwrap_or(0.0))),
                    None => "-".to_owned(),
                }
            );
        }
        text
    }
}
