//! Localisers on labelled incidents. // LOC-01, RCA-01, EVA
//!
//! What is scored sees two windows, what is normal and what came since the fault, and neither labels nor ids. Ties count
//! against it: the rank of the root is the number of entities that score at least as much.

mod ablation;
mod calibration;
mod detect;
mod method;
mod modalities;
mod report;

use std::path::Path;
use std::time::Duration;

use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{EntityId, FaultType, Signal, TelemetryWindow};
use aiops_rca::{Baseline, FindingKind, FusedLocalizer, FusedSuspect};
use detect::Watch;
use method::{Method, Shown};
use serde::Serialize;

use crate::EvalError;
use crate::incidents::{IncidentCase, IncidentSet, Layout, NormalSpans};

pub use calibration::{Calibration, ReliabilityBin};
pub(crate) use detect::part;
pub use detect::{QuietReport, WatchConfig};
pub use modalities::Modalities;
pub use report::{ClassScore, Detection, MethodReport, SetReport, Share};

/// When the fault is said to have begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultTime {
    /// As the set says.
    Given,
    /// Wrong by up to a minute either way, evenly; as many draws as given, deterministic.
    Jitter {
        /// Draws.
        seeds: u32,
    },
    /// Not at all: the fault is looked for, who does not find it does not answer, and who does answers from what was recorded by then
    /// and [`WatchConfig::wait`] later.
    Detected,
}

/// One answer about one incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Id of the incident.
    pub case: String,
    /// Which of several draws of a wrong time, from 0; `None` where there is one time only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<u32>,
    /// Class of the fault in the set's words, for grouping.
    pub class: String,
    /// Rank of the root, ties against the localiser; `None` where it was not ranked.
    pub rank: Option<usize>,
    /// Class answered for the first suspect, in the set's words; `None` where the method has none, nobody is suspected, or several are
    /// first and differ.
    pub answered: Option<String>,
    /// Whether that was right, no answer being wrong; `None` where the set or the method has no classes.
    pub class_right: Option<bool>,
    /// How far the first stands out, 0..=1; 0 for methods that do not say.
    pub margin: f64,
    /// When the fault was found to have begun, where the method looks for that.
    pub onset: Option<Timestamp>,
    /// Seconds from the injection to the alarm, where the fault was to be detected and was.
    pub delay: Option<f64>,
    /// Time to answer, from parsed telemetry.
    #[serde(with = "aiops_core::model::duration")]
    pub took: Duration,
    /// Time of one pass over the same telemetry.
    #[serde(with = "aiops_core::model::duration")]
    pub floor: Duration,
    /// Entities by falling score, with class.
    #[serde(skip)]
    pub ranking: Vec<(EntityId, f64, String)>,
    /// What the suspects rest on, where the method says.
    pub suspects: Vec<FusedSuspect>,
    /// What could not be seen.
    pub unseen: Vec<String>,
}

/// The class of a fault in the set's own words: resources by the one that was named, the rest by type.
#[must_use]
pub fn class_in_words_of_the_set(
    layout: Layout,
    fault: FaultType,
    by: Option<FindingKind>,
) -> Option<String> {
    let word = match (layout, fault) {
        (Layout::PetShop, _) => return None,
        (Layout::SockShop, _) if by == Some(FindingKind::Memory) => "mem",
        (_, FaultType::ResourceExhaustion | FaultType::Load) => match by {
            Some(FindingKind::Memory) => "memory",
            _ => "cpu",
        },
        (_, FaultType::Network | FaultType::Dependency) => "network",
        (_, FaultType::Code | FaultType::Config) => "code",
        _ => "unknown",
    };
    Some(word.to_owned())
}

/// What to run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocaliseOptions {
    /// When the fault is said to have begun; default: as the set says.
    pub time: FaultTime,
    /// What may be seen; default: everything.
    pub modalities: Modalities,
    /// Whether the fused localiser is run on every other choice of modalities and without each of its components too;
    /// default: not.
    pub ablate: bool,
    /// How faults are looked for whose time is not stated.
    pub watch: WatchConfig,
}

impl Default for LocaliseOptions {
    fn default() -> Self {
        Self {
            time: FaultTime::Given,
            modalities: Modalities::ALL,
            ablate: false,
            watch: WatchConfig::default(),
        }
    }
}

/// Runs the fused localiser and every baseline over one set. Incidents without anything normal to compare with are left out
/// and counted.
///
/// # Errors
/// [`EvalError`] for what cannot be read.
pub fn localise(
    folder: &Path,
    localizer: &FusedLocalizer,
    options: &LocaliseOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<SetReport, EvalError> {
    options.watch.validate()?;
    let set = IncidentSet::open(folder)?;
    let time = options.time;
    // Where faults are looked for, an onset may lie anywhere in what a look judges.
    let localizer = &match time {
        FaultTime::Detected => {
            let mut config = localizer.config().clone();
            config.onset.reach = options.watch.length / 2;
            config.onset.error = options.watch.length / 2;
            localizer.clone().with_config(config)?
        }
        _ => localizer.clone(),
    };
    let watch = Watch { localizer, config: &options.watch };
    let mut methods = vec![Method::fused(localizer, options.modalities)];
    if time == FaultTime::Detected {
        methods.push(Method::patient(localizer, options.modalities));
    }
    if options.ablate {
        let others = Modalities::CHOICES.into_iter().filter(|m| *m != options.modalities);
        methods.extend(others.map(|m| Method::fused(localizer, m)));
        for (name, without) in ablation::without_each(localizer)? {
            let localizer = Box::new(without);
            methods.push(Method::Fused { name, localizer, modalities: options.modalities, waits: false });
        }
    }
    let baselines: &[Baseline] = if time == FaultTime::Given { &Baseline::ALL } else { &[Baseline::Baro] };
    methods.extend(baselines.iter().copied().map(Method::Baseline));
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); methods.len()];
    let usable: Vec<&IncidentCase> = set.cases().iter().filter(|c| c.comparable).collect();
    let draws = match time {
        FaultTime::Given | FaultTime::Detected => vec![None],
        FaultTime::Jitter { seeds } => (0..seeds).map(Some).collect(),
    };
    let spans = NormalSpans::of(&set)?;
    for (i, case) in usable.iter().enumerate() {
        progress(i, usable.len());
        let recording = spans.complete(set.recording(case)?, case);
        for draw in &draws {
            let off = SignedDuration::from_millis(draw.map_or(0, |draw| jitter(i, draw)));
            let onset = recording.onset(set.layout(), case);
            let mut stated = onset.saturating_add(off).unwrap_or(onset);
            let (mut delay, mut seen) = (None, None);
            if time == FaultTime::Detected {
                let see = |window| options.modalities.part(window, set.layout());
                let (normal, window) = (see(&recording.normal), see(&recording.window));
                let Some(alarm) = watch.detect(&normal, &window, case.onset)? else {
                    let silent = methods.iter().map(|m| m.silence(set.layout(), case));
                    outcomes.iter_mut().zip(silent).for_each(|(o, silent)| o.push(silent));
                    continue;
                };
                (stated, delay) = (alarm.stated, Some(alarm.delay));
                seen = Some(watch.until_told(&recording, &alarm)?);
            }
            let unsure =
                if set.layout() == Layout::Nezha { localizer.config().guard } else { Duration::ZERO };
            for (method, outcomes) in methods.iter().zip(&mut outcomes) {
                let recording = seen.as_ref().filter(|_| !method.waits()).unwrap_or(&recording);
                let shown = Shown { layout: set.layout(), case, recording, stated, unsure };
                // Nobody is asked to answer from what was not recorded.
                if sees_any(method.modalities(), &recording.window, stated) {
                    outcomes.push(Outcome { delay, draw: *draw, ..method.answer(&shown) });
                } else if time == FaultTime::Detected {
                    // There was an alarm, so that somebody has to be told.
                    outcomes.push(Outcome { delay, ..method.silence(set.layout(), case) });
                }
            }
        }
    }
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let methods = methods.iter().map(Method::name).zip(outcomes).collect();
    let mut report = SetReport::of(name, set.cases().len() - usable.len(), methods);
    if time == FaultTime::Detected {
        report.detection = report.methods.first().map(|m| Detection::of(&m.outcomes));
        if let Some(detection) = &mut report.detection {
            detection.quiet = detect::quiet(&set, &watch)?;
        }
    }
    Ok(report)
}

/// Whether anything of `modalities` was recorded since the fault.
fn sees_any(modalities: Modalities, window: &TelemetryWindow, since: Timestamp) -> bool {
    let there = |signal| match signal {
        Signal::Metrics => !window.metrics.is_empty(),
        Signal::Traces => window.spans.iter().any(|s| s.start >= since),
        _ => window.logs.iter().any(|l| l.time >= since),
    };
    [Signal::Metrics, Signal::Traces, Signal::Logs].into_iter().any(|s| modalities.sees(s) && there(s))
}

/// Milliseconds in ±60,000, from a hash (SplitMix64) of incident and draw.
fn jitter(case: usize, draw: u32) -> i64 {
    let mut z =
        (u64::try_from(case).unwrap_or(0) << 32 | u64::from(draw)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((z ^ z >> 31) % 120_001).unwrap_or(0) - 60_000
}
