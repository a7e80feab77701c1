//! Methods under test, and how an answer is scored.

use std::time::{Duration, Instant};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityKind, SeriesKey, Suspect, TelemetryWindow};
use aiops_rca::{Baseline, FusedLocalizer, FusedSuspect};

use super::{Modalities, Outcome, class_in_words_of_the_set};
use crate::incidents::{IncidentCase, Layout, Recording};

/// A method under test.
#[derive(Debug, Clone)]
pub(super) enum Method {
    Fused {
        name: String,
        localizer: Box<FusedLocalizer>,
        modalities: Modalities,
        /// Whether it answers from all that was recorded, however long after an alarm.
        waits: bool,
    },
    Baseline(Baseline),
}

/// What a method is shown of one incident.
pub(super) struct Shown<'a> {
    pub(super) layout: Layout,
    pub(super) case: &'a IncidentCase,
    pub(super) recording: &'a Recording,
    /// When the fault is said to have begun.
    pub(super) stated: Timestamp,
    /// How far before that nobody knows whether it was normal.
    pub(super) unsure: Duration,
}

/// What a method answers.
#[derive(Default)]
struct Answer {
    /// Whether the method tells classes of faults at all.
    classifies: bool,
    suspects: Vec<FusedSuspect>,
    /// Of methods that say no more.
    plain: Vec<Suspect>,
    unseen: Vec<String>,
    margin: f64,
    onset: Option<Timestamp>,
}

impl Method {
    pub(super) fn fused(localizer: &FusedLocalizer, modalities: Modalities) -> Self {
        let name = format!("fused/{modalities}");
        Self::Fused { name, localizer: Box::new(localizer.clone()), modalities, waits: false }
    }

    /// The same, from all that was recorded, however long after an alarm.
    pub(super) fn patient(localizer: &FusedLocalizer, modalities: Modalities) -> Self {
        let name = format!("fused/{modalities}, to the end");
        Self::Fused { name, localizer: Box::new(localizer.clone()), modalities, waits: true }
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Fused { waits: true, .. })
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Fused { name, .. } => name.clone(),
            Self::Baseline(baseline) => baseline.name().to_owned(),
        }
    }

    pub(super) fn modalities(&self) -> Modalities {
        match self {
            Self::Fused { modalities, .. } => *modalities,
            Self::Baseline(_) => Modalities::ALL,
        }
    }

    pub(super) fn answer(&self, shown: &Shown<'_>) -> Outcome {
        let part = |window| self.modalities().part(window, shown.layout);
        let (normal, window) = (part(&shown.recording.normal), part(&shown.recording.window));
        let floor = one_pass(&[&normal, &window]);
        let begun = Instant::now();
        let answer = match self {
            Self::Fused { localizer, .. } => {
                let symptom = shown.case.target.as_ref().map(|t| (&t.entity, SeriesKey::new(&t.metric)));
                let symptom = symptom.as_ref().map(|(e, k)| (*e, k));
                let answer = localizer.rank_near(Some(&normal), &window, shown.stated, symptom);
                Answer {
                    classifies: true,
                    suspects: answer.suspects,
                    plain: Vec::new(),
                    unseen: answer.unseen,
                    margin: answer.margin,
                    onset: answer.onset,
                }
            }
            Self::Baseline(baseline) => {
                let suspects =
                    baseline.rank_near(Some(&normal), &window, shown.stated, shown.unsure).suspects;
                Answer { plain: suspects, ..Answer::default() }
            }
        };
        outcome(shown, answer, begun.elapsed(), floor)
    }

    /// Who does not notice does not answer, and is wrong.
    pub(super) fn silence(&self, layout: Layout, case: &IncidentCase) -> Outcome {
        let nobody = Recording::default();
        let shown = Shown { layout, case, recording: &nobody, stated: case.onset, unsure: Duration::ZERO };
        let answer = Answer { classifies: matches!(self, Self::Fused { .. }), ..Answer::default() };
        outcome(&shown, answer, Duration::ZERO, Duration::ZERO)
    }
}

/// Time to read every number and every byte of text once.
fn one_pass(windows: &[&TelemetryWindow]) -> Duration {
    let begun = Instant::now();
    let mut sum = 0_u64;
    let mut add = |more: u64| sum = sum.wrapping_add(more);
    for window in windows {
        for series in &window.metrics {
            series.times().iter().for_each(|t| add(t.as_second().cast_unsigned()));
            series.values().iter().for_each(|v| add(v.to_bits()));
        }
        for span in &window.spans {
            add(span.span_id.0 ^ span.parent.map_or(0, |p| p.0));
            add(span.start.as_microsecond().cast_unsigned());
            add(u64::from(span.duration.subsec_nanos()));
            span.entity.name().bytes().chain(span.operation.bytes()).for_each(|b| add(b.into()));
        }
        for line in &window.logs {
            add(line.time.as_microsecond().cast_unsigned() ^ line.span_id.map_or(0, |s| s.0));
            line.entity.name().bytes().chain(line.body.bytes()).for_each(|b| add(b.into()));
        }
    }
    std::hint::black_box(sum);
    begun.elapsed()
}

/// Scores an answer.
fn outcome(shown: &Shown<'_>, answer: Answer, took: Duration, floor: Duration) -> Outcome {
    let (layout, label) = (shown.layout, shown.case.label());
    let fused = answer
        .suspects
        .iter()
        .map(|s| (s.entity.clone(), s.score, class_in_words_of_the_set(layout, s.fault, s.decided_by)));
    let plain = answer.plain.into_iter().map(|s| (s.entity, s.score, None));
    let ranking: Vec<_> = fused.chain(plain).filter(|r| r.0.kind() == EntityKind::Service).collect();
    let root = ranking.iter().find(|(e, ..)| *e == label.root).map(|r| r.1);
    let rank = root.map(|score| ranking.iter().filter(|r| r.1 >= score).count());
    let truth = match layout {
        Layout::SockShop => label.fault_type.clone(),
        _ => label.fault_class.clone(),
    };
    // Of several first ones none is preferred.
    let first = |r: &&(_, f64, _)| ranking.first().is_some_and(|best| r.1 >= best.1);
    let mut classes = ranking.iter().filter(first).map(|r| r.2.clone());
    let answered = classes.next().flatten().filter(|class| classes.all(|c| c.as_ref() == Some(class)));
    let class_right = truth.as_ref().filter(|_| answer.classifies).map(|t| answered.as_ref() == Some(t));
    let of_target = || shown.case.target.as_ref().map(|t| t.metric.clone());
    Outcome {
        case: shown.case.id.clone(),
        draw: None,
        class: truth.or_else(of_target).unwrap_or_default(),
        rank,
        answered,
        class_right,
        margin: answer.margin,
        onset: answer.onset,
        delay: None,
        took,
        floor,
        ranking: ranking.into_iter().map(|(e, s, c)| (e, s, c.unwrap_or_default())).collect(),
        suspects: answer.suspects.into_iter().take(5).collect(),
        unseen: answer.unseen,
    }
}
