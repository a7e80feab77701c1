use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::{EntityId, TelemetryWindow, TimeRange, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PrecursorOptions;
use super::features::{History, Item, Span, Usual};
use super::fitted::{FittedPrecursors, LeaveOneOut, Signature, Weight};
use crate::checked::Checked;

/// An incident as a person labelled it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelledIncident {
    /// Where it broke out.
    pub entity: EntityId,
    /// When.
    pub at: Timestamp,
    /// What sort of incident; signatures are learned for each class.
    pub class: String,
}

/// Why nothing was learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrecursorError {
    /// No class has enough incidents with telemetry before them.
    #[error("{incidents} incidents of the most frequent class where at least {needed} are needed")]
    TooFew {
        /// Incidents of the most frequent class, with telemetry before them.
        incidents: usize,
        /// Fewest.
        needed: usize,
    },
    /// Too little healthy time to tell what is usual.
    #[error("{frames} healthy frames where at least {needed} are needed")]
    TooLittleHealth {
        /// Healthy frames.
        frames: usize,
        /// Fewest.
        needed: usize,
    },
    /// Nothing is more common before the incidents than in health.
    #[error("nothing precedes the incidents that does not happen in health too")]
    NoSignature,
}

impl From<PrecursorError> for aiops_core::Error {
    fn from(error: PrecursorError) -> Self {
        Self::new(aiops_core::ErrorKind::Invalid, "no precursors can be learned").caused_by(error)
    }
}

/// Learns what precedes incidents.
#[derive(Debug, Clone, Default)]
pub struct PrecursorFit {
    config: Checked<PrecursorOptions>,
}

/// One frame of one entity.
struct Frame {
    entity: EntityId,
    end: Timestamp,
    items: BTreeSet<Item>,
    /// Which incident it precedes, of all.
    before: Option<usize>,
    healthy: bool,
}

/// Incidents and history that belong together.
struct Material<'a> {
    history: History,
    range: TimeRange,
    incidents: &'a [LabelledIncident],
    options: &'a PrecursorOptions,
}

impl Material<'_> {
    /// From the first sign to the end of the recovery of each incident of `entity`.
    fn unhealthy(&self, entity: &EntityId) -> Vec<Span> {
        let of = self.incidents.iter().filter(|i| i.entity == *entity);
        of.map(|i| {
            let early = time::before(i.at, self.options.lead_max + self.options.frame);
            (early, time::after(i.at, self.options.recovery))
        })
        .collect()
    }

    /// Ends of frames inside `span`.
    fn ends(&self, span: Span) -> impl Iterator<Item = Timestamp> {
        let (first, stride) = (time::after(self.range.start(), self.options.frame), self.options.stride);
        // Frames lie on one grid, whatever part of the history is asked for.
        let skip = time::elapsed(first, span.0).as_nanos().div_ceil(stride.as_nanos().max(1));
        let begin = time::after(first, stride.saturating_mul(u32::try_from(skip).unwrap_or(u32::MAX)));
        let until = span.1.min(self.range.end());
        std::iter::successors(Some(begin), move |t| Some(time::after(*t, stride)).filter(|next| next > t))
            .take_while(move |t| *t <= until)
    }

    fn frames(&self, span: Span, usual: &Usual) -> Vec<Frame> {
        let mut frames = Vec::new();
        for entity in self.history.entities() {
            let unhealthy = self.unhealthy(entity);
            for end in self.ends(span) {
                let Some(items) = self.history.items(entity, end, usual, self.options) else { continue };
                let before = self.incidents.iter().position(|i| {
                    let earliest = time::before(i.at, self.options.lead_max);
                    let latest = time::before(i.at, self.options.lead_min);
                    i.entity == *entity && earliest <= end && end <= latest
                });
                let healthy = unhealthy.iter().all(|(a, b)| end < *a || end >= *b);
                let items = items.into_keys().collect();
                frames.push(Frame { entity: entity.clone(), end, items, before, healthy });
            }
        }
        frames
    }

    /// A signature of the incidents `of` from `frames`; `None` when nothing sets them apart. Its figures are empty.
    fn signature(&self, class: &str, frames: &[Frame], of: &[usize]) -> Option<Signature> {
        let healthy: Vec<&Frame> = frames.iter().filter(|f| f.healthy).collect();
        let mut shares: BTreeMap<&Item, (f64, usize)> = BTreeMap::new();
        let mut seen = 0;
        for incident in of {
            let precursors: Vec<&Frame> = frames.iter().filter(|f| f.before == Some(*incident)).collect();
            if precursors.is_empty() {
                continue;
            }
            seen += 1;
            let items: BTreeSet<&Item> = precursors.iter().flat_map(|f| &f.items).collect();
            for item in items {
                let share = precursors.iter().filter(|f| f.items.contains(item)).count();
                let entry = shares.entry(item).or_default();
                entry.0 += share as f64 / precursors.len() as f64;
                entry.1 += 1;
            }
        }
        if seen == 0 || healthy.is_empty() {
            return None;
        }
        let weights: BTreeMap<Item, Weight> = shares
            .into_iter()
            .filter_map(|(item, (weight, incidents))| {
                // Laplace's rule: a few incidents prove nothing with certainty, nor do many healthy frames.
                let before = (weight + 0.5) / (seen as f64 + 1.0);
                let usual = healthy.iter().filter(|f| f.items.contains(item)).count() as f64;
                let usual = (usual + 0.5) / (healthy.len() as f64 + 1.0);
                let common = incidents as f64 >= self.options.support * seen as f64;
                let weight =
                    Weight { present: (before / usual).ln(), absent: ((1.0 - before) / (1.0 - usual)).ln() };
                (common && before >= self.options.lift * usual).then(|| (item.clone(), weight))
            })
            .collect();
        if weights.is_empty() {
            return None;
        }
        let measured =
            LeaveOneOut { incidents: 0, announced: 0, false_alarms: 0, days: 0.0, lead_times: Vec::new() };
        let mut signature =
            Signature { class: class.to_owned(), weights, threshold: f64::INFINITY, measured };
        signature.threshold = self.threshold(&signature, frames, &healthy)?;
        Some(signature)
    }

    /// The lowest score that raises no more alarms on healthy frames than wanted, and needs at least one aspect.
    fn threshold(&self, signature: &Signature, frames: &[Frame], healthy: &[&Frame]) -> Option<f64> {
        let nothing = signature.score(|_| false);
        let of = |f: &Frame| signature.score(|item| f.items.contains(item));
        let mut scores: Vec<f64> = frames.iter().map(of).filter(|s| *s > nothing).collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores.dedup();
        let ends: BTreeSet<Timestamp> = healthy.iter().map(|f| f.end).collect();
        let days = ends.len() as f64 * self.options.stride.as_secs_f64() / 86_400.0;
        let allowed = (self.options.false_alarms_per_day * days).floor() as usize;
        let alarms = |threshold: f64| {
            let entities: BTreeSet<&EntityId> = healthy.iter().map(|f| &f.entity).collect();
            let of_entity = |entity: &EntityId| {
                let scored = healthy.iter().filter(|f| f.entity == *entity).map(|f| (f.end, of(f)));
                episodes(scored, threshold, self.options).len()
            };
            entities.into_iter().map(of_entity).sum::<usize>()
        };
        // Fewer alarms the higher the threshold, but for what a hold-off hides: the first that fits from below.
        scores.into_iter().find(|score| alarms(*score) <= allowed)
    }

    /// Time around incident `left` of `class`: halfway to its neighbours of any class.
    fn around(&self, left: usize) -> Option<Span> {
        let at = self.incidents.get(left)?.at;
        let half = |other: Timestamp| {
            let (early, late) = (at.min(other), at.max(other));
            time::after(early, time::elapsed(early, late) / 2)
        };
        let others = || self.incidents.iter().map(|i| i.at);
        let from = others().filter(|t| *t < at).max().map_or(self.range.start(), half);
        let to = others().filter(|t| *t > at).min().map_or(self.range.end(), half);
        Some((from, to))
    }

    fn leave_one_out(&self, class: &str, of: &[usize]) -> LeaveOneOut {
        let mut measured = LeaveOneOut {
            incidents: of.len(),
            announced: 0,
            false_alarms: 0,
            days: 0.0,
            lead_times: Vec::new(),
        };
        for left in of {
            let (Some(incident), Some(fold)) = (self.incidents.get(*left), self.around(*left)) else {
                continue;
            };
            let usual = self.history.usual(|entity| {
                let mut out = self.unhealthy(entity);
                out.push(fold);
                out
            });
            let whole = (self.range.start(), self.range.end());
            let margin = self.options.frame;
            let apart = |f: &Frame| f.end < fold.0 || time::before(f.end, margin) >= fold.1;
            let training: Vec<Frame> = self.frames(whole, &usual).into_iter().filter(apart).collect();
            let others: Vec<usize> = of.iter().copied().filter(|i| i != left).collect();
            measured.days += time::elapsed(fold.0, fold.1).as_secs_f64() / 86_400.0;
            let Some(signature) = self.signature(class, &training, &others) else { continue };
            let mut lead: Option<Duration> = None;
            let judged = self.frames(fold, &usual);
            for entity in self.history.entities() {
                let own = judged.iter().filter(|f| f.entity == *entity);
                let scored = own.map(|f| (f.end, signature.score(|item| f.items.contains(item))));
                for alarm in episodes(scored, signature.threshold, self.options) {
                    let ahead = time::elapsed(alarm, incident.at);
                    let announces = *entity == incident.entity && alarm < incident.at;
                    let in_time =
                        announces && (self.options.lead_min..=self.options.lead_max).contains(&ahead);
                    let ill = self.unhealthy(entity).iter().any(|(a, b)| *a <= alarm && alarm < *b);
                    if in_time {
                        lead = Some(lead.map_or(ahead, |known| known.max(ahead)));
                    } else if !ill {
                        measured.false_alarms += 1;
                    }
                }
            }
            if let Some(lead) = lead {
                measured.announced += 1;
                measured.lead_times.push(lead);
            }
        }
        measured.lead_times.sort_unstable();
        measured
    }
}

/// When alarms are raised: at the `hits`-th frame in a row at or above `threshold`, and not again before the signs were gone
/// and the longest lead has passed. `scored` in order of time.
pub(super) fn episodes(
    scored: impl Iterator<Item = (Timestamp, f64)>,
    threshold: f64,
    options: &PrecursorOptions,
) -> Vec<Timestamp> {
    let mut alarms: Vec<Timestamp> = Vec::new();
    let mut in_row = 0;
    let mut last: Option<Timestamp> = None;
    for (end, score) in scored {
        // A hole of more than two strides ends a row.
        let holds = last.is_none_or(|last| time::elapsed(last, end) <= 2 * options.stride);
        in_row = match (score >= threshold, holds) {
            (true, true) => in_row + 1,
            (true, false) => 1,
            (false, _) => 0,
        };
        last = Some(end);
        let held = alarms.last().is_some_and(|alarm| time::elapsed(*alarm, end) < options.lead_max);
        if in_row == options.hits && !held {
            alarms.push(end);
        }
    }
    alarms
}

impl PrecursorFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: Checked<PrecursorOptions>) -> Self {
        Self { config }
    }

    /// Learns a signature for each class with enough incidents, and measures it by leaving one incident out after the other.
    /// O(incidents² · frames · series); a learning of minutes, not of every look.
    ///
    /// Incidents outside the range of `history`, or without telemetry before them, do not count.
    ///
    /// # Errors
    /// [`PrecursorError`] when there is too little to learn from, or nothing to learn.
    pub fn learn(
        &self,
        history: &TelemetryWindow,
        incidents: &[LabelledIncident],
    ) -> Result<FittedPrecursors, PrecursorError> {
        let options = self.config.options();
        let mut incidents: Vec<LabelledIncident> =
            incidents.iter().filter(|i| history.range.contains(i.at)).cloned().collect();
        incidents.sort_by(|a, b| (a.at, &a.entity, &a.class).cmp(&(b.at, &b.entity, &b.class)));
        incidents.dedup();
        let range = history.range;
        let material = Material { history: History::of(history), range, incidents: &incidents, options };
        let usual = material.history.usual(|entity| material.unhealthy(entity));
        let frames = material.frames((range.start(), range.end()), &usual);
        let mut classes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, incident) in incidents.iter().enumerate() {
            if frames.iter().any(|f| f.before == Some(i)) {
                classes.entry(&incident.class).or_default().push(i);
            }
        }
        let most = classes.values().map(Vec::len).max().unwrap_or(0);
        if most < options.min_incidents {
            return Err(PrecursorError::TooFew { incidents: most, needed: options.min_incidents });
        }
        let healthy = frames.iter().filter(|f| f.healthy).count();
        if healthy < options.min_healthy {
            return Err(PrecursorError::TooLittleHealth { frames: healthy, needed: options.min_healthy });
        }
        let mut signatures = Vec::new();
        for (class, of) in classes {
            if of.len() < options.min_incidents {
                continue;
            }
            if let Some(mut signature) = material.signature(class, &frames, &of) {
                signature.measured = material.leave_one_out(class, &of);
                signatures.push(signature);
            }
        }
        if signatures.is_empty() {
            return Err(PrecursorError::NoSignature);
        }
        Ok(FittedPrecursors { config: self.config, signatures, usual })
    }
}
