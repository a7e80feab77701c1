//! Alert correlation on streams whose truth is known. // COR-02, COR-03, SCN-01
//!
//! # How the truth is made
//! [`harvest()`] runs the rolling detector, learned on what each incident's set calls normal, over the minutes after each injection: every
//! series that left its norm is an alert of that incident. The same over hours without a fault gives alerts that mean
//! nothing; what fires there too is not held to be of any incident. [`stream()`] then lays all of them out as one monitoring would see them: the incidents of each system in random
//! order with exponential gaps, so that many overlap; the meaningless ones one by one at random times; every alert sent
//! again and again by two replicas until it ends, out of order, some notifications lost. A system that is sampled every few minutes
//! sees everything at its samples only. What is firing already cannot fire again: where two incidents would raise the same
//! alert at the same time, it is the first one's, and the second has it not. An alert belongs to the incident
//! it was harvested from; a meaningless one belongs to nothing.
//!
//! What groups sees alerts, arrival times and the topology (the sets' call graphs), nothing of the incidents; names of systems stand in
//! the label `namespace`, as in any cluster. Alerts of an incident may be chance findings of the detector; [`System::chance`]
//! says how many are to be expected.

mod generate;
mod harvest;
mod score;
mod speed;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use aiops_detect::correlate::CorrelatorConfig;
use serde::Serialize;

use crate::EvalError;

pub use generate::{EstateOptions, estate};
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
    /// The same for the alerts and incidents of each system by itself.
    pub by_system: BTreeMap<String, Vec<Score>>,
}

impl MethodReport {
    /// Mean over seeds.
    #[must_use]
    pub fn mean(&self, of: impl Fn(&Score) -> f64) -> f64 {
        mean(&self.scores, of)
    }
}

fn mean(scores: &[Score], of: impl Fn(&Score) -> f64) -> f64 {
    scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64
}

/// What [`evaluate`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertsReport {
    /// How the streams were laid out.
    pub options: StreamOptions,
    /// What was generated, where the streams are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estate: Option<EstateOptions>,
    /// The systems that were harvested.
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
    /// Alerts that an incident would have raised, had they not been firing already.
    pub swallowed: f64,
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
    let streams =
        (0..seeds.max(1)).map(|n| stream(&systems, &StreamOptions { seed: options.seed + n, ..*options }));
    let (methods, streams) = compare(streams, config);
    progress(folders.len() + 1, folders.len() + 1);
    let systems = systems.iter().map(System::report).collect();
    Ok(AlertsReport { options: *options, estate: None, systems, streams, methods })
}

/// Scores the correlator and the baselines on generated estates, one for each of `seeds` seeds.
#[must_use]
pub fn evaluate_generated(
    options: &StreamOptions,
    made: &EstateOptions,
    seeds: u64,
    config: &CorrelatorConfig,
) -> AlertsReport {
    let streams =
        (0..seeds.max(1)).map(|n| estate(&StreamOptions { seed: options.seed + n, ..*options }, made));
    let (methods, streams) = compare(streams, config);
    AlertsReport { options: *options, estate: Some(*made), systems: Vec::new(), streams, methods }
}

/// All methods on all streams.
fn compare(
    streams: impl Iterator<Item = Stream>,
    config: &CorrelatorConfig,
) -> (Vec<MethodReport>, StreamReport) {
    let mut methods: Vec<MethodReport> = Vec::new();
    let mut means = StreamReport::default();
    let mut n = 0.0;
    for stream in streams {
        n += 1.0;
        let facts = stream.facts();
        for (sum, fact) in means.all().into_iter().zip(facts.clone().all()) {
            *sum += *fact;
        }
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
        let names: BTreeSet<&str> = stream.incidents.iter().map(|i| i.system.as_str()).collect();
        for (at, grouping) in groupings.into_iter().enumerate() {
            if methods.len() == at {
                let method = grouping.method.clone();
                methods.push(MethodReport { method, scores: Vec::new(), by_system: BTreeMap::new() });
            }
            if let Some(report) = methods.get_mut(at) {
                report.scores.push(grouping.score(&stream));
                for name in &names {
                    let part = grouping.score_part(&stream, |system| system == *name);
                    report.by_system.entry((*name).to_owned()).or_default().push(part);
                }
            }
        }
    }
    means.all().into_iter().for_each(|value| *value /= f64::max(n, 1.0));
    (methods, means)
}

impl StreamReport {
    fn all(&mut self) -> [&mut f64; 7] {
        [
            &mut self.notifications,
            &mut self.alerts,
            &mut self.noise,
            &mut self.swallowed,
            &mut self.incidents,
            &mut self.overlap_same,
            &mut self.overlap_other,
        ]
    }
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
            "streams of {:.0} notifications of {:.0} alerts ({:.0} noise; {:.0} more were firing already) of {:.0} incidents; {:.0} % overlap one of the same system, {:.0} % one of another",
            f.notifications,
            f.alerts,
            f.noise,
            f.swallowed,
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
        let Some(systems) = self.methods.first().map(|m| m.by_system.keys()) else { return text };
        let _ = write!(text, "\n{:<34}", "F1 (root kept) by system");
        for name in systems.clone() {
            let _ = write!(text, " {name:>15}");
        }
        for method in &self.methods {
            let _ = write!(text, "\n{:<34}", method.method);
            for name in systems.clone() {
                let scores = method.by_system.get(name).map_or(&[][..], Vec::as_slice);
                let (f1, root) = (mean(scores, |s| s.f1), 100.0 * mean(scores, |s| s.root_kept));
                let _ = write!(text, " {f1:>7.3} ({root:>4.0}%)");
            }
        }
        text.push('\n');
        text
    }
}
