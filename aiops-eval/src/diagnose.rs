//! The whole way from telemetry to a diagnosis on labelled incidents, and whether its confidence keeps what it says.
//! // RCA-01, RCA-02
//!
//! The time of the fault is given, good to a minute. A case is made of each incident as a pipeline would make it: what was read, who is suspected and what was seen of them,
//! then the diagnosis. Confidence is judged where it was not fitted: on every incident by a fit on all the others, and on every
//! set by a fit on the other sets.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use aiops_core::action::{IncidentId, Mode};
use aiops_core::model::{Diagnosis, DiagnosisStatus, FaultType, SeriesKey, Signal, SignalSet, mechanism};
use aiops_core::{Case, Error};
use aiops_rca::{CalibrationConfig, Calibrator, FindingKind, FittedOn, FusedLocalizer, RuleRca};
use serde::Serialize;

use crate::EvalError;
use crate::incidents::{IncidentCase, IncidentSet, Layout, NormalSpans, Recording};
use crate::localise::{Calibration, Share, class_in_words_of_the_set};

/// The first hypothesis about one incident, against its label.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnosed {
    /// Id of the incident.
    pub case: String,
    /// Its statement; `None` where nothing was told.
    pub statement: Option<String>,
    /// Uncalibrated confidence, 0..=1; 0 where nothing was told.
    pub raw: f64,
    /// It names the failing system, and no other with as much confidence.
    pub system_right: bool,
    /// It names the kind of fault, in the set's words; `None` where the set has none.
    pub fault_right: Option<bool>,
    /// Symptoms it explains, of all it had to.
    pub explains: Share,
    /// How far the diagnosis went.
    pub status: DiagnosisStatus,
    /// Time from ranking to diagnosis.
    #[serde(with = "aiops_core::model::duration")]
    pub took: Duration,
}

impl Diagnosed {
    /// System and, where the set says, kind of fault are right.
    #[must_use]
    pub fn right(&self) -> bool {
        self.system_right && self.fault_right != Some(false)
    }
}

/// One set.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiagnosedSet {
    /// Name of its folder.
    pub set: String,
    /// Incidents left out because nothing normal was recorded.
    pub left_out: usize,
    /// Answers in the order of the incidents.
    pub answers: Vec<Diagnosed>,
    /// Confidence by a fit on all other incidents of the set; `None` where they are too few.
    pub leave_one_out: Option<Calibration>,
    /// Confidence by a fit on the other sets; `None` where they are too few.
    pub leave_set_out: Option<Calibration>,
}

/// Every set asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DiagnoseReport {
    /// Sets.
    pub sets: Vec<DiagnosedSet>,
    /// Over all sets, each told by a fit on the others.
    pub across_sets: Option<Calibration>,
}

/// Diagnoses the incidents of `folders`, one set each.
///
/// # Errors
/// [`EvalError`] for what cannot be read.
pub fn diagnose(
    folders: &[impl AsRef<Path>],
    localizer: &FusedLocalizer,
    rca: &RuleRca,
    mut progress: impl FnMut(usize, usize),
) -> Result<DiagnoseReport, EvalError> {
    let mut sets = Vec::new();
    for folder in folders {
        sets.push(one_set(folder.as_ref(), localizer, rca, &mut progress)?);
    }
    let outcomes =
        |set: &DiagnosedSet| -> Vec<(f64, bool)> { set.answers.iter().map(|a| (a.raw, a.right())).collect() };
    let all: Vec<Vec<(f64, bool)>> = sets.iter().map(outcomes).collect();
    let names: Vec<String> = sets.iter().map(|set| set.set.clone()).collect();
    let configuration = rca.configuration(&localizer.id());
    let mut across = Vec::new();
    for (i, set) in sets.iter_mut().enumerate() {
        let own = all.get(i).map(Vec::as_slice).unwrap_or_default();
        let others: Vec<(f64, bool)> =
            all.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, o)| o.iter().copied()).collect();
        set.leave_one_out = Calibration::leave_one_out(own);
        let names = names.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, name)| name.clone());
        let on = FittedOn::new(configuration.clone(), others.len()).with_sets(names);
        let Ok(fitted) = Calibrator::fit(&others, on, &CalibrationConfig::default()) else { continue };
        let told: Vec<(f64, bool)> = own
            .iter()
            .filter_map(|(raw, right)| {
                Some((fitted.confidence(*raw, &configuration).ok()?.probability(), *right))
            })
            .collect();
        set.leave_set_out = Some(Calibration::of(&told));
        across.extend(told);
    }
    let across_sets = (!across.is_empty()).then(|| Calibration::of(&across));
    Ok(DiagnoseReport { sets, across_sets })
}

fn one_set(
    folder: &Path,
    localizer: &FusedLocalizer,
    rca: &RuleRca,
    progress: &mut impl FnMut(usize, usize),
) -> Result<DiagnosedSet, EvalError> {
    let set = IncidentSet::open(folder)?;
    let spans = NormalSpans::of(&set)?;
    let usable: Vec<&IncidentCase> = set.cases().iter().filter(|c| c.comparable).collect();
    let mut answers = Vec::with_capacity(usable.len());
    for (i, case) in usable.iter().enumerate() {
        progress(i, usable.len());
        let recording = spans.complete(set.recording(case)?, case);
        let failed = |source| EvalError::Case { path: folder.join(&case.id), source };
        answers.push(answer(set.layout(), case, recording, localizer, rca).map_err(failed)?);
    }
    Ok(DiagnosedSet {
        set: folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned(),
        left_out: set.cases().len() - usable.len(),
        answers,
        leave_one_out: None,
        leave_set_out: None,
    })
}

fn answer(
    layout: Layout,
    labelled: &IncidentCase,
    recording: Recording,
    localizer: &FusedLocalizer,
    rca: &RuleRca,
) -> Result<Diagnosed, Error> {
    let symptom = labelled.target.as_ref().map(|t| (&t.entity, SeriesKey::new(&t.metric)));
    let symptom = symptom.as_ref().map(|(e, k)| (*e, k));
    let stated = recording.onset(layout, labelled);
    let ranking = localizer.rank_near(Some(&recording.normal), &recording.window, stated, symptom);
    let since = ranking.onset.unwrap_or(stated);
    let mut window = recording.window;
    let read = [
        (Signal::Metrics, !window.metrics.is_empty()),
        (Signal::Traces, !window.spans.is_empty()),
        (Signal::Logs, !window.logs.is_empty()),
    ];
    window.observed = read.into_iter().filter(|r| r.1).map(|r| r.0).collect::<SignalSet>();
    let end = window.range.end();
    let begun = Instant::now();
    let mut case = Case::open(IncidentId::new("incident"), end, Mode::Suggest);
    case.observe(end, window);
    case.localize(end, ranking.ranking(Some(since)).by(localizer.id()));
    let diagnosis = rca.analyze(&case)?;
    Ok(judged(layout, labelled, diagnosis, begun.elapsed()))
}

fn judged(layout: Layout, labelled: &IncidentCase, diagnosis: Diagnosis, took: Duration) -> Diagnosed {
    let label = labelled.label();
    let truth = match layout {
        Layout::SockShop => label.fault_type.as_ref(),
        _ => label.fault_class.as_ref(),
    };
    let status = diagnosis.status.clone();
    // Ties count against: a name that comes first in the alphabet is no knowledge.
    let tied = diagnosis.hypotheses.iter().skip(1).any(|h| {
        let first = diagnosis.hypotheses.first();
        first
            .is_some_and(|f| f.system != h.system && h.confidence.probability() >= f.confidence.probability())
    });
    let Some(first) = diagnosis.hypotheses.into_iter().next() else {
        let nothing = Share::of(0, 0);
        return Diagnosed {
            case: labelled.id.clone(),
            statement: None,
            raw: 0.0,
            system_right: false,
            fault_right: truth.map(|_| false),
            explains: nothing,
            status,
            took,
        };
    };
    let resource = match first.mechanism.as_deref() {
        Some(mechanism::MEMORY) => Some(FindingKind::Memory),
        _ if first.fault == FaultType::ResourceExhaustion => Some(FindingKind::Cpu),
        _ => None,
    };
    let answered = class_in_words_of_the_set(layout, first.fault, resource);
    Diagnosed {
        case: labelled.id.clone(),
        raw: first.confidence.probability(),
        system_right: !tied && first.system == label.root,
        fault_right: truth.map(|t| answered.as_ref() == Some(t)),
        explains: Share::of(first.explains.len(), first.explains.len() + first.unexplained.len()),
        statement: Some(first.statement),
        status,
        took,
    }
}

impl DiagnoseReport {
    /// A table by set, with the reliability curves.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for set in &self.sets {
            let n = set.answers.len();
            let share =
                |right: usize, of: usize| format!("{:.2} ({right}/{of})", Share::of(right, of).value());
            let systems = set.answers.iter().filter(|a| a.system_right).count();
            let told: Vec<bool> = set.answers.iter().filter_map(|a| a.fault_right).collect();
            let faults = told.iter().filter(|t| **t).count();
            let both = set.answers.iter().filter(|a| a.right()).count();
            let dark = |a: &&Diagnosed| matches!(a.status, DiagnosisStatus::ObservabilityDark { .. });
            let open = set.answers.iter().filter(|a| a.status == DiagnosisStatus::Inconclusive).count();
            let mut times: Vec<Duration> = set.answers.iter().map(|a| a.took).collect();
            times.sort();
            let median = times.get(times.len() / 2).map_or(0.0, |t| t.as_secs_f64() * 1e3);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} ({} left out): system {}, kind of fault {}, both {}; {} dark, {open} inconclusive; median {median:.1} ms",
                set.set,
                set.left_out,
                share(systems, n),
                share(faults, told.len()),
                share(both, n),
                set.answers.iter().filter(dark).count()
            );
            for (how, calibration) in
                [("others of the set", &set.leave_one_out), ("other sets", &set.leave_set_out)]
            {
                calibrated(&mut text, how, calibration.as_ref());
            }
        }
        calibrated(&mut text, "other sets, over all", self.across_sets.as_ref());
        text
    }
}

fn calibrated(text: &mut String, how: &str, calibration: Option<&Calibration>) {
    let Some(c) = calibration else {
        let _ = writeln!(text, "  fitted on {how}: too few outcomes");
        return;
    };
    let _ = writeln!(
        text,
        "  fitted on {how}: n {}, ECE {:.3} (95 % of perfect predictors ≤ {:.3}), Brier {:.3} (base rate {:.3}), above 0.85: {}/{}",
        c.answers, c.ece, c.ece_of_perfect, c.brier, c.brier_of_base_rate, c.above_85.0, c.above_85.1
    );
    let curve: Vec<String> =
        c.bins.iter().map(|b| format!("{:.2}→{:.2} ({})", b.confidence, b.right, b.answers)).collect();
    let _ = writeln!(text, "    said→right: {}", curve.join(", "));
}
