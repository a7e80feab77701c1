//! From recorded incidents to the alerts they would have raised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{
    Anomaly, Direction, EdgeKind, EntityId, EntityKind, Severity, TelemetryWindow, TimeRange, Topology, time,
};
use aiops_detect::rolling::{RollingDetector, RollingFit};

use super::SystemReport;
use crate::EvalError;
use crate::incidents::{IncidentSet, front_door};

/// Samples of a recording that is learned from itself: the first half teaches the second.
const HALF: u32 = 2;

/// One alert that an incident, or nothing, raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptom {
    /// Name of the rule: the metric and where it went.
    pub rule: String,
    /// Whom it is about.
    pub entity: EntityId,
    /// Labels of the series.
    pub labels: Vec<(String, String)>,
    /// How grave.
    pub severity: Severity,
    /// What its annotation says.
    pub text: String,
    /// From the injection to its onset; 0 for one that means nothing.
    pub after: Duration,
    /// How long it held.
    pub length: Duration,
}

/// The alerts of one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// What was at fault. For scoring only.
    pub root: EntityId,
    /// Its alerts, by onset.
    pub symptoms: Vec<Symptom>,
}

/// A system, what its incidents raised, and what nothing raised.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Its name, and namespace.
    pub name: String,
    /// Who calls whom.
    pub topology: Topology,
    /// Incidents that raised alerts.
    pub incidents: Vec<Raised>,
    /// Incidents that raised none, or could not be compared with anything.
    pub silent: usize,
    /// Alerts that nothing raised.
    pub noise: Vec<Symptom>,
    /// Time without a fault in which that was.
    pub quiet: Duration,
    /// Mean time after an injection in which alerts were harvested.
    pub looked: Duration,
    /// Time between its samples.
    pub step: Duration,
}

impl System {
    /// Alerts to be expected in an incident although they have nothing to do with it.
    #[must_use]
    pub fn chance(&self) -> f64 {
        self.noise.len() as f64 * self.looked.as_secs_f64() / self.quiet.as_secs_f64().max(1.0)
    }

    pub(super) fn report(&self) -> SystemReport {
        let alerts: usize = self.incidents.iter().map(|i| i.symptoms.len()).sum();
        let with_root =
            self.incidents.iter().filter(|i| i.symptoms.iter().any(|s| s.entity == i.root)).count();
        let kinds: BTreeSet<_> = self.noise.iter().map(|s| (&s.rule, &s.entity, &s.labels)).collect();
        SystemReport {
            name: self.name.clone(),
            incidents: self.incidents.len(),
            silent: self.silent,
            with_root,
            alerts: alerts as f64 / self.incidents.len().max(1) as f64,
            chance: self.chance(),
            noise: kinds.len(),
        }
    }
}

/// The same name in two systems is two things.
fn own(system: &str, entity: &EntityId) -> EntityId {
    EntityId::new(entity.kind(), format!("{system}.{}", entity.name()))
}

/// What `detector` finds in `window`, one alert for each series and direction.
fn symptoms(
    system: &str,
    detector: &RollingDetector,
    window: &TelemetryWindow,
    from: Timestamp,
) -> Vec<Symptom> {
    let mut all: Vec<Symptom> = detector.find(window).iter().map(|a| symptom(system, a, from)).collect();
    let mut told = BTreeSet::new();
    all.retain(|s| told.insert((s.entity.clone(), s.rule.clone(), s.labels.clone())));
    all.sort_by(|a, b| (&a.entity, &a.rule, &a.labels).cmp(&(&b.entity, &b.rule, &b.labels)));
    all.sort_by_key(|symptom| symptom.after);
    all
}

fn symptom(system: &str, anomaly: &Anomaly, from: Timestamp) -> Symptom {
    let way = match anomaly.direction() {
        Direction::Up => "High",
        Direction::Down => "Low",
    };
    let key = &anomaly.series;
    Symptom {
        rule: format!("{}{way}", key.name),
        entity: own(system, &anomaly.entity),
        labels: key.labels.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
        severity: anomaly.severity,
        text: format!(
            "{} of {} is {:.3} {} where {:.3} is usual",
            key.name,
            anomaly.entity.name(),
            anomaly.value,
            anomaly.unit,
            anomaly.baseline.center
        ),
        after: time::elapsed(from, anomaly.onset),
        length: time::elapsed(anomaly.onset, anomaly.last),
    }
}

/// The first and the second part of a recording, where nothing else says what is normal.
fn halves(window: &TelemetryWindow) -> Result<[TelemetryWindow; 2], EvalError> {
    let middle = time::after(window.range.start(), window.range.length() / HALF);
    let part = |keep: &dyn Fn(Timestamp) -> bool, range| -> Result<TelemetryWindow, EvalError> {
        let mut part = TelemetryWindow::new(range);
        for series in &window.metrics {
            let kept: Vec<(Timestamp, Option<f64>)> =
                series.times().iter().zip(series.samples()).filter(|(t, _)| keep(*t)).collect();
            let (times, samples): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
            let times = aiops_core::model::TimeAxis::irregular(times)?;
            let made = aiops_core::model::MetricSeries::new(
                series.key().clone(),
                series.entity().clone(),
                times,
                samples,
            )?;
            part.metrics.push(made.with_kind(series.kind()).with_unit(series.unit().clone()));
        }
        Ok(part)
    };
    Ok([
        part(&|t| t < middle, TimeRange::new(window.range.start(), middle)?)?,
        part(&|t| t >= middle, TimeRange::new(middle, window.range.end())?)?,
    ])
}

/// The parts of `window` that are as long as what is looked at after an injection: what is rare there must be rare here.
fn slices(window: &TelemetryWindow, length: Duration) -> Result<Vec<TelemetryWindow>, EvalError> {
    let mut slices = Vec::new();
    let mut start = window.range.start();
    while time::after(start, length) <= window.range.end() && !length.is_zero() {
        let range = TimeRange::new(start, time::after(start, length))?;
        let mut slice = TelemetryWindow::new(range);
        for series in &window.metrics {
            let kept = series.times().iter().zip(series.samples()).filter(|(t, _)| range.contains(*t));
            let (times, samples): (Vec<_>, Vec<_>) = kept.unzip();
            if times.is_empty() {
                continue;
            }
            let times = aiops_core::model::TimeAxis::irregular(times)?;
            let made = aiops_core::model::MetricSeries::new(
                series.key().clone(),
                series.entity().clone(),
                times,
                samples,
            )?;
            slice.metrics.push(made.with_kind(series.kind()).with_unit(series.unit().clone()));
        }
        slices.push(slice);
        start = range.end();
    }
    Ok(slices)
}

/// Harvests the set in `folder`. Labels are read after the alerts have been made, and only for scoring.
///
/// # Errors
/// Those of [`IncidentSet::open`] and [`IncidentSet::load`].
pub fn harvest(folder: &Path) -> Result<System, EvalError> {
    let set = IncidentSet::open(folder)?;
    let name =
        folder.file_name().map_or_else(|| "system".to_owned(), |name| name.to_string_lossy().into_owned());
    let fit = RollingFit::default();
    let mut topology = Topology::new();
    let mut system = System {
        name: name.clone(),
        topology: Topology::new(),
        incidents: Vec::new(),
        silent: 0,
        noise: Vec::new(),
        quiet: Duration::ZERO,
        looked: Duration::ZERO,
        step: Duration::from_secs(1),
    };
    let mut steps: Vec<Duration> = Vec::new();
    let mut normal: BTreeMap<String, TelemetryWindow> = BTreeMap::new();
    let mut lengths = Vec::new();
    for case in set.cases() {
        let incident = set.load(case)?;
        topology.merge(incident.fault.topology.clone());
        if incident.reference.metrics.is_empty() {
            system.silent += 1;
            continue;
        }
        let detector = RollingDetector::new(fit.fit_counting(&incident.reference).0)?;
        let found = symptoms(&name, &detector, &incident.fault, incident.fault.range.start());
        lengths.push(incident.fault.range.length());
        for series in &incident.fault.metrics {
            let times = series.times();
            steps.extend(times.iter().zip(times.iter().skip(1)).map(|(a, b)| time::elapsed(a, b)));
        }
        if found.is_empty() {
            system.silent += 1;
        } else {
            system.incidents.push(Raised { root: own(&name, &case.label().root), symptoms: found });
        }
        normal.entry(case.reference.clone()).or_insert(incident.reference);
    }
    let cases = u32::try_from(lengths.len().max(1)).unwrap_or(u32::MAX);
    system.looked = lengths.iter().sum::<Duration>() / cases;
    steps.sort_unstable();
    system.step = steps.get(steps.len() / 2).copied().unwrap_or(system.step);
    let quiet = set.quiet()?;
    if quiet.is_empty() {
        for reference in normal.values() {
            let [first, second] = halves(reference)?;
            let detector = RollingDetector::new(fit.fit_counting(&first).0)?;
            add_noise(&mut system, &detector, &second)?;
        }
    } else {
        for recording in &quiet {
            // The reference nearest in time: what is normal changes with the day.
            let near = normal
                .values()
                .min_by_key(|reference| reference.range.end().duration_since(recording.range.start()).abs());
            let Some(reference) = near else { continue };
            let detector = RollingDetector::new(fit.fit_counting(reference).0)?;
            add_noise(&mut system, &detector, recording)?;
        }
    }
    system.topology = named(&name, &topology);
    // What also fires without a fault says nothing about one: such rules are noise wherever they fire.
    let idle: BTreeSet<(String, EntityId)> =
        system.noise.iter().map(|s| (s.rule.clone(), s.entity.clone())).collect();
    for raised in &mut system.incidents {
        raised.symptoms.retain(|s| !idle.contains(&(s.rule.clone(), s.entity.clone())));
    }
    let before = system.incidents.len();
    system.incidents.retain(|raised| !raised.symptoms.is_empty());
    system.silent += before - system.incidents.len();
    Ok(system)
}

fn add_noise(
    system: &mut System,
    detector: &RollingDetector,
    recording: &TelemetryWindow,
) -> Result<(), EvalError> {
    for slice in slices(recording, system.looked)? {
        system.quiet += slice.range.length();
        for mut symptom in symptoms(&system.name, detector, &slice, slice.range.start()) {
            symptom.after = Duration::ZERO;
            system.noise.push(symptom);
        }
    }
    Ok(())
}

/// The same calls between entities of this system, and what comes in at its front door.
fn named(system: &str, topology: &Topology) -> Topology {
    let mut named = Topology::new();
    let called: BTreeSet<&EntityId> = topology.edges().map(|edge| &edge.to).collect();
    let callers: BTreeSet<&EntityId> = topology.edges().map(|edge| &edge.from).collect();
    for edge in topology.edges() {
        named.connect(own(system, &edge.from), own(system, &edge.to), edge.kind);
    }
    for entry in callers.difference(&called) {
        if entry.kind() == EntityKind::Service {
            named.connect(own(system, &front_door()), own(system, entry), EdgeKind::Calls);
        }
    }
    named
}

/// Where a symptom stands in time.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
