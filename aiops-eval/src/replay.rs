//! Alarms that the rolling detector would have raised on recorded telemetry.
//!
//! A window slides over the recording as a pipeline looks at it; an alarm is what would have opened a case: symptoms that
//! [`ReplayConfig::confirmations`] looks in a row show. After an alarm its symptoms, and those that join them, belong to
//! whoever looks after it, until a look shows none of them or [`ReplayConfig::hold_off`] is over, as in
//! [`PipelineConfig`](aiops_core::pipeline::PipelineConfig).

use std::collections::BTreeSet;
use std::time::Duration;

use aiops_compact::deviation::DeviationConfig;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Anomaly, EntityId, SeriesKey, TimeRange, time};
use aiops_core::pipeline::{Confirmation, Sighting, Trigger};
use aiops_core::seam::Fit as _;
use aiops_detect::{RollingDetector, RollingFit};
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::recording::Recording;

/// Most looks in one replay; more would only be a mistyped interval.
const MOST_LOOKS: u128 = 1_000_000;

/// How to replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayConfig {
    /// Length of the window; default 40 min, more than 0.
    #[serde(with = "aiops_core::model::duration")]
    pub window: Duration,
    /// Time between two looks; default 60 s, more than 0.
    #[serde(with = "aiops_core::model::duration")]
    pub interval: Duration,
    /// Beginning of the recording to learn from; it is not judged. Default 0: every window is compared with its own past.
    #[serde(with = "aiops_core::model::duration")]
    pub learn: Duration,
    /// What is a symptom.
    pub trigger: Trigger,
    /// Looks in a row that must show the same symptom; default 2, 1 to 100.
    pub confirmations: u32,
    /// How long the symptoms of an alarm raise no other; default 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub hold_off: Duration,
    /// Thresholds of the detector.
    pub deviation: DeviationConfig,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self {
            window: minutes(40),
            interval: minutes(1),
            learn: Duration::ZERO,
            trigger: Trigger::default(),
            confirmations: 2,
            hold_off: minutes(60),
            deviation: DeviationConfig::default(),
        }
    }
}

impl ReplayConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`EvalError::Config`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EvalError> {
        for (field, value) in [("window", self.window), ("interval", self.interval)] {
            if value.is_zero() {
                return Err(EvalError::Config { field, value: "0 s".to_owned(), allowed: "more than 0 s" });
            }
        }
        if !(1..=100).contains(&self.confirmations) {
            let value = self.confirmations.to_string();
            return Err(EvalError::Config { field: "confirmations", value, allowed: "1 to 100" });
        }
        Ok(())
    }
}

/// A symptom: whose signal, and which.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// Whose.
    pub entity: EntityId,
    /// Which.
    pub series: SeriesKey,
}

impl From<&Anomaly> for Symptom {
    fn from(anomaly: &Anomaly) -> Self {
        Self { entity: anomaly.entity.clone(), series: anomaly.series.clone() }
    }
}

/// What would have opened a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// The look that raised it.
    pub at: Timestamp,
    /// What that look showed, in order.
    pub symptoms: Vec<Symptom>,
}

/// Alarms over a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayReport {
    /// Telemetry that was judged: the recording without the part that was learned from.
    pub judged: TimeRange,
    /// Hours of it.
    pub hours: f64,
    /// Series in the recording.
    pub series: usize,
    /// Looks taken.
    pub looks: usize,
    /// Looks that showed any symptom.
    pub looks_with_symptoms: usize,
    /// Alarms, in order of time.
    pub alarms: Vec<Alarm>,
    /// Alarms per hour of judged telemetry.
    pub alarms_per_hour: f64,
}

impl ReplayReport {
    /// The report as text: every alarm, then the rate.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for alarm in &self.alarms {
            let symptoms: Vec<String> =
                alarm.symptoms.iter().map(|s| format!("{} of {}", s.series, s.entity)).collect();
            text.push_str(&format!("{}  {}\n", alarm.at, symptoms.join(", ")));
        }
        text + &format!(
            "{} alarms in {:.2} h of telemetry ({:.2} an hour): {} series, {} looks, {} of them with symptoms\n",
            self.alarms.len(),
            self.hours,
            self.alarms_per_hour,
            self.series,
            self.looks,
            self.looks_with_symptoms
        )
    }
}

/// Runs the detector over `recording`. `progress` is told how many of how many looks were taken.
///
/// O(looks · samples of a window · log of it).
///
/// # Errors
/// [`EvalError::Config`] when a setting is out of range or the recording is too short for one look,
/// [`EvalError::Judge`] when nothing can be learned from its beginning.
pub fn replay(
    recording: &Recording,
    config: &ReplayConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<ReplayReport, EvalError> {
    config.validate()?;
    let whole = recording.range();
    let from = time::after(whole.start(), config.learn).min(whole.end());
    let judged = TimeRange::new(from, whole.end())?;
    if judged.length() < config.window {
        let value = format!("{:?}", config.window);
        let allowed = "up to the length of the recording after the part to learn from";
        return Err(EvalError::Config { field: "window", value, allowed });
    }
    let more = (judged.length() - config.window).as_nanos() / config.interval.as_nanos();
    if more >= MOST_LOOKS {
        let value = format!("{:?}", config.interval);
        let allowed = "long enough for at most 1000000 looks";
        return Err(EvalError::Config { field: "interval", value, allowed });
    }
    let looks = usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1);
    let detector = if config.learn.is_zero() {
        RollingDetector::unfitted(config.deviation)?
    } else {
        let healthy = recording.window(TimeRange::new(whole.start(), from)?)?;
        RollingDetector::new(RollingFit::new(config.deviation).fit(&healthy)?)?
    };

    let mut confirmation = Confirmation::new(config.confirmations);
    let mut alarms = Vec::new();
    let mut looks_with_symptoms = 0;
    let mut end = time::after(from, config.window);
    for look in 0..looks {
        let window = recording.window(TimeRange::ending_at(end, config.window))?;
        let found = detector.find(&window);
        let symptoms: BTreeSet<Symptom> =
            found.iter().filter(|a| config.trigger.matches(a)).map(Symptom::from).collect();
        looks_with_symptoms += usize::from(!symptoms.is_empty());
        if confirmation.look(end, symptoms.clone()) == Sighting::Confirmed {
            // Whoever the alarm calls looks after its symptoms.
            confirmation.hold(symptoms.clone(), time::after(end, config.hold_off));
            alarms.push(Alarm { at: end, symptoms: symptoms.into_iter().collect() });
        }
        progress(look + 1, looks);
        end = time::after(end, config.interval);
    }
    let hours = judged.length().as_secs_f64() / 3600.0;
    let alarms_per_hour = alarms.len() as f64 / hours;
    let series = recording.series();
    Ok(ReplayReport { judged, hours, series, looks, looks_with_symptoms, alarms, alarms_per_hour })
}
