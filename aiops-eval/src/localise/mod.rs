//! Localisers on labelled incidents. // LOC-01, RCA-01, EVA
//!
//! What is scored sees two windows, what is normal and what came since the fault, and neither labels nor ids. Ties count
//! against it: the rank of the root is the number of entities that score at least as much.

mod calibration;
mod report;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use aiops_core::jiff::SignedDuration;
use aiops_core::model::{EntityId, EntityKind, FaultType, SeriesKey, Signal, TelemetryWindow, Topology};
use aiops_rca::{Baseline, FindingKind, FusedLocalizer, FusedSuspect};
use serde::Serialize;

use crate::EvalError;
use crate::incidents::{Incident, IncidentCase, IncidentSet, Layout};

pub use calibration::{Calibration, ReliabilityBin};
pub use report::{ClassScore, MethodReport, SetReport, Share};

/// What a localiser may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modalities {
    /// Everything the set has.
    All,
    /// Metrics (and the call graph where the set gives one).
    Metrics,
    /// Spans.
    Traces,
    /// Log lines.
    Logs,
    /// Metrics and spans.
    NoLogs,
}

impl Modalities {
    /// Every choice.
    pub const ALL: [Self; 5] = [Self::All, Self::Metrics, Self::Traces, Self::Logs, Self::NoLogs];

    fn signals(self) -> &'static [Signal] {
        match self {
            Self::All => &[Signal::Metrics, Signal::Traces, Signal::Logs],
            Self::Metrics => &[Signal::Metrics],
            Self::Traces => &[Signal::Traces],
            Self::Logs => &[Signal::Logs],
            Self::NoLogs => &[Signal::Metrics, Signal::Traces],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::NoLogs => "no-logs",
        }
    }

    /// The window without what may not be seen. A call graph made of spans goes with them.
    fn of(self, window: &TelemetryWindow, layout: Layout) -> TelemetryWindow {
        let sees = |signal| self.signals().contains(&signal);
        let mut part = window.clone();
        if !sees(Signal::Metrics) {
            part.metrics.clear();
        }
        if !sees(Signal::Traces) {
            part.spans.clear();
            if layout == Layout::Nezha {
                part.topology = Topology::new();
            }
        }
        if !sees(Signal::Logs) {
            part.logs.clear();
        }
        part
    }
}

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
}

/// One answer about one incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Id of the incident.
    pub case: String,
    /// Class of the fault in the set's words, for grouping.
    pub class: String,
    /// Rank of the root, ties against the localiser; `None` where it was not ranked.
    pub rank: Option<usize>,
    /// Class answered for the first suspect, in the set's words, where the method gives one.
    pub answered: Option<String>,
    /// Whether that was right; `None` where the set or the method has none.
    pub class_right: Option<bool>,
    /// How far the first stands out, 0..=1; 0 for methods that do not say.
    pub margin: f64,
    /// Time to answer, from parsed telemetry.
    #[serde(with = "aiops_core::model::duration")]
    pub took: Duration,
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

/// A method under test.
#[derive(Debug, Clone)]
enum Method<'a> {
    Fused(&'a FusedLocalizer, Modalities),
    Baseline(Baseline),
}

impl Method<'_> {
    fn name(&self) -> String {
        match self {
            Self::Fused(_, modalities) => format!("fused/{}", modalities.name()),
            Self::Baseline(baseline) => baseline.name().to_owned(),
        }
    }

    fn answer(&self, layout: Layout, case: &IncidentCase, incident: &Incident) -> Outcome {
        let modalities = match self {
            Self::Fused(_, m) => *m,
            Self::Baseline(_) => Modalities::All,
        };
        let (reference, fault) =
            (modalities.of(&incident.reference, layout), modalities.of(&incident.fault, layout));
        let begun = Instant::now();
        let (suspects, unseen, margin, plain) = match self {
            Self::Fused(localizer, _) => {
                let symptom = case.target.as_ref().map(|t| (&t.entity, SeriesKey::new(&t.metric)));
                let symptom = symptom.as_ref().map(|(e, k)| (*e, k));
                let answer = localizer.rank_for(&reference, &fault, symptom);
                (answer.suspects, answer.unseen, answer.margin, Vec::new())
            }
            Self::Baseline(baseline) => {
                (Vec::new(), Vec::new(), 0.0, baseline.rank(&reference, &fault).suspects)
            }
        };
        let took = begun.elapsed();
        let fused = suspects
            .iter()
            .map(|s| (s.entity.clone(), s.score, class_in_words_of_the_set(layout, s.fault, s.decided_by)));
        let plain = plain.into_iter().map(|s| (s.entity, s.score, None));
        let ranking: Vec<_> = fused.chain(plain).filter(|r| r.0.kind() == EntityKind::Service).collect();
        let label = case.label();
        let root = ranking.iter().find(|(e, ..)| *e == label.root).map(|r| r.1);
        let rank = root.map(|score| ranking.iter().filter(|r| r.1 >= score).count());
        let truth = match layout {
            Layout::SockShop => label.fault_type.clone(),
            _ => label.fault_class.clone(),
        };
        let answered = ranking.first().and_then(|r| r.2.clone());
        let class_right = match (&answered, &truth) {
            (Some(a), Some(t)) => Some(a == t),
            _ => None,
        };
        let class = truth.or_else(|| case.target.as_ref().map(|t| t.metric.clone())).unwrap_or_default();
        let ranking = ranking.into_iter().map(|(e, s, c)| (e, s, c.unwrap_or_default())).collect();
        let suspects = suspects.into_iter().take(5).collect();
        Outcome {
            case: case.id.clone(),
            class,
            rank,
            answered,
            class_right,
            margin,
            took,
            ranking,
            suspects,
            unseen,
        }
    }
}

/// Runs the fused localiser with every choice of modalities, and every baseline, over one set. Incidents without anything
/// normal to compare with are left out and counted.
///
/// # Errors
/// [`EvalError`] for what cannot be read.
pub fn localise(
    folder: &Path,
    localizer: &FusedLocalizer,
    time: FaultTime,
    mut progress: impl FnMut(usize, usize),
) -> Result<SetReport, EvalError> {
    let set = IncidentSet::open(folder)?;
    let mut methods: Vec<Method<'_>> = vec![Method::Fused(localizer, Modalities::All)];
    match time {
        FaultTime::Given => {
            let others = Modalities::ALL.into_iter().skip(1);
            methods.extend(others.map(|m| Method::Fused(localizer, m)));
            methods.extend(Baseline::ALL.map(Method::Baseline));
        }
        FaultTime::Jitter { .. } => methods.push(Method::Baseline(Baseline::RobustScorer)),
    }
    let mut outcomes: Vec<Vec<Outcome>> = vec![Vec::new(); methods.len()];
    let usable: Vec<&IncidentCase> = set.cases().iter().filter(|c| c.comparable).collect();
    let draws = match time {
        FaultTime::Given => vec![0],
        FaultTime::Jitter { seeds } => (0..seeds).collect(),
    };
    let spans = set.normal_spans()?;
    for (i, case) in usable.iter().enumerate() {
        progress(i, usable.len());
        for draw in &draws {
            let mut said = (*case).clone();
            if let FaultTime::Jitter { .. } = time {
                let off = SignedDuration::from_millis(jitter(i, *draw));
                said.onset = said.onset.saturating_add(off).unwrap_or(said.onset);
            }
            let mut incident = set.load(&said)?;
            if incident.reference.spans.is_empty() {
                // Who calls whom is known though nobody traced the fault.
                incident.reference.spans = spans.get(&case.reference).cloned().unwrap_or_default();
            }
            let mut seen: BTreeSet<Signal> = BTreeSet::from([Signal::Metrics]);
            seen.extend((!incident.fault.spans.is_empty()).then_some(Signal::Traces));
            seen.extend((!incident.fault.logs.is_empty()).then_some(Signal::Logs));
            for (method, outcomes) in methods.iter().zip(&mut outcomes) {
                // Nobody is asked to answer from what was not recorded.
                let blind = match method {
                    Method::Fused(_, Modalities::Traces) => !seen.contains(&Signal::Traces),
                    Method::Fused(_, Modalities::Logs) => !seen.contains(&Signal::Logs),
                    _ => false,
                };
                if !blind {
                    outcomes.push(method.answer(set.layout(), case, &incident));
                }
            }
        }
    }
    let name = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let methods = methods.iter().map(Method::name).zip(outcomes).collect();
    Ok(SetReport::of(name, set.cases().len() - usable.len(), methods))
}

/// Milliseconds in ±60,000, from a hash (SplitMix64) of incident and draw.
fn jitter(case: usize, draw: u32) -> i64 {
    let mut z =
        (u64::try_from(case).unwrap_or(0) << 32 | u64::from(draw)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((z ^ z >> 31) % 120_001).unwrap_or(0) - 60_000
}
