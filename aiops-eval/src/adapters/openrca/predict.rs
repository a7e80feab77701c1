//! The one declared pipeline, detector → localiser → root cause, on the stretch of time that a question names.

use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::action::{IncidentId, Mode};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Anomaly, TelemetryWindow, TimeRange, time};
use aiops_core::seam::Fit;
use aiops_core::{Case, ErrorKind};
use aiops_detect::{RollingDetector, RollingFit};
use aiops_rca::{FusedLocalizer, RuleRca};

use super::OpenRcaConfig;
use super::answer::Answer;
use super::question::Question;
use super::read::{LeftOut, Telemetry};
use super::words::Candidates;
use crate::EvalError;
use crate::localise::part;

/// Anomalies that begin so soon after one another are one beginning.
const TOGETHER: std::time::Duration = std::time::Duration::from_secs(60);
/// σ beyond which a deviation says no more.
const MOST_SIGMA: f64 = 1e6;

/// What was answered, and what of the telemetry was not used.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Predicted {
    /// By question; as many answers as it speaks of failures.
    pub answers: Vec<Vec<Answer>>,
    /// Over all stretches of time that were read.
    pub left_out: LeftOut,
    /// By line of `query.csv`: why it was answered with less than all that was there.
    pub notes: BTreeMap<u64, String>,
}

/// Answers `questions` about the system in `folder`. Questions about one stretch of time are answered by one analysis. Labels are not read.
///
/// # Errors
/// Those of [`Telemetry::read`].
pub fn predict(
    folder: &Path,
    questions: &[Question],
    candidates: &Candidates,
    config: &OpenRcaConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<Predicted, EvalError> {
    config.validate()?;
    let mut stretches: BTreeMap<(Timestamp, Timestamp, usize), Vec<usize>> = BTreeMap::new();
    let nothing = |q: &Question| vec![Answer::default(); q.failures];
    let mut predicted =
        Predicted { answers: questions.iter().map(nothing).collect(), ..Predicted::default() };
    for (i, question) in questions.iter().enumerate() {
        match &question.range {
            Ok(range) => {
                stretches.entry((range.start(), range.end(), question.failures)).or_default().push(i);
            }
            Err(why) => {
                predicted.notes.insert(question.line, why.clone());
            }
        }
    }
    let mut telemetry = Telemetry::of(folder, config.zone()?, config.most_rows);
    let total = stretches.len();
    for (done, ((start, end, failures), asking)) in stretches.into_iter().enumerate() {
        progress(done, total);
        let whole = TimeRange::new(time::before(start, config.history), end)?;
        let reading = telemetry.read(whole)?;
        predicted.left_out.add(reading.left_out);
        let range = TimeRange::new(start, end)?;
        let (answers, mut note) = answer(&reading.window, range, failures, candidates, config)?;
        if !reading.missing_days.is_empty() {
            note.push(format!("no telemetry of {}", reading.missing_days.join(", ")));
        }
        for i in asking {
            if let Some(slot) = predicted.answers.get_mut(i) {
                slot.clone_from(&answers);
            }
            if let (Some(question), false) = (questions.get(i), note.is_empty()) {
                predicted.notes.insert(question.line, note.join("; "));
            }
        }
    }
    Ok(predicted)
}

fn answer(
    window: &TelemetryWindow,
    range: TimeRange,
    failures: usize,
    candidates: &Candidates,
    config: &OpenRcaConfig,
) -> Result<(Vec<Answer>, Vec<String>), EvalError> {
    let mut notes = Vec::new();
    let history = part(window, window.range.start(), range.start())?;
    let judged = part(window, range.start(), range.end())?;
    let anomalies = match RollingFit::default().fit(&history) {
        Ok(fitted) => RollingDetector::new(fitted)?.find(&judged),
        // What it says of a history without a series that is long enough.
        Err(e) if e.kind() == ErrorKind::Invalid => {
            notes.push("too little before it to learn from".to_owned());
            Vec::new()
        }
        Err(e) => return Err(e.into()),
    };
    let mut begun = beginnings(&anomalies, range, failures, config.separation);
    if begun.is_empty() {
        notes.push("no series left its norm".to_owned());
        // The fault is somewhere in there: the middle is off by the least.
        begun.push(time::before(range.end(), range.length() / 2));
    }
    begun.sort();
    let mut answers = Vec::with_capacity(failures);
    for (i, at) in begun.iter().enumerate() {
        // What comes with the next failure is not of this one.
        let until = begun.get(i + 1).copied().unwrap_or(range.end());
        let seen = part(window, window.range.start(), until)?;
        let own: Vec<Anomaly> = anomalies.iter().filter(|a| a.onset < until).cloned().collect();
        answers.push(one(seen, own, (*at, range), candidates, config)?);
    }
    answers.resize(failures, Answer::default());
    Ok((answers, notes))
}

fn one(
    window: TelemetryWindow,
    anomalies: Vec<Anomaly>,
    (stated, asked): (Timestamp, TimeRange),
    candidates: &Candidates,
    config: &OpenRcaConfig,
) -> Result<Answer, EvalError> {
    let (localizer, rca) = (FusedLocalizer::default(), RuleRca::default());
    let ranking = localizer.rank_near(None, &window, stated, None);
    let since = ranking.onset.unwrap_or(stated);
    let end = window.range.end();
    let mut case = Case::open(IncidentId::new("question"), end, Mode::Suggest);
    case.observe(end, window);
    case.detect(end, anomalies);
    case.localize(end, ranking.ranking(Some(since)).by(localizer.id()));
    let diagnosis = rca.analyze(&case)?;
    let cause = diagnosis.hypotheses.iter().find(|h| candidates.allows(h.system.name()));
    let suspects = ranking.suspects.iter().filter(|s| s.supported > 0.0);
    let suspect = match cause {
        Some(cause) => ranking.suspects.iter().find(|s| s.entity == cause.system),
        None => suspects.clone().find(|s| candidates.allows(s.entity.name())),
    };
    let component = cause.map(|c| &c.system).or(suspect.map(|s| &s.entity));
    let component = component.map(|e| e.name().to_owned()).unwrap_or_default();
    // The localiser may look before the stretch that is asked about; an answer lies within it.
    let at = since.clamp(asked.start(), asked.end());
    Ok(Answer::new(Some(at), config.zone()?, component, candidates.reason(cause, suspect)))
}

/// When most began, at most `n` instants no two of which are within `apart`: by the sum over the anomalies that begin within a minute of
/// ln(1 + |σ|). O(n log n) in anomalies for each.
fn beginnings(
    anomalies: &[Anomaly],
    range: TimeRange,
    n: usize,
    apart: std::time::Duration,
) -> Vec<Timestamp> {
    let weight = |a: &Anomaly| {
        let sigma = a.sigma.abs();
        (if sigma.is_nan() { 0.0 } else { sigma.min(MOST_SIGMA) }).ln_1p()
    };
    let mut onsets: Vec<(Timestamp, f64)> =
        anomalies.iter().filter(|a| range.contains(a.onset)).map(|a| (a.onset, weight(a))).collect();
    onsets.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut chosen: Vec<Timestamp> = Vec::new();
    while chosen.len() < n {
        let far = |t: Timestamp| chosen.iter().all(|c| time::elapsed(t.min(*c), t.max(*c)) > apart);
        let left: Vec<&(Timestamp, f64)> = onsets.iter().filter(|o| far(o.0)).collect();
        let mut best: Option<(Timestamp, f64)> = None;
        let (mut sum, mut last) = (0.0, 0);
        for first in &left {
            while let Some(next) = left.get(last).filter(|o| time::elapsed(first.0, o.0) < TOGETHER) {
                sum += next.1;
                last += 1;
            }
            if best.is_none_or(|b| sum > b.1) {
                best = Some((first.0, sum));
            }
            sum -= first.1;
        }
        let Some((at, _)) = best else { break };
        chosen.push(at);
    }
    chosen
}
