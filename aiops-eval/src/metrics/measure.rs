//! Figures of scores against labels. Higher scores are more anomalous; NaN counts as the lowest.

/// Positions by falling score, in groups of equal scores: (labelled ones, all) of each group.
fn steps(labels: &[bool], scores: &[f64]) -> Vec<(f64, f64)> {
    let key = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
    let mut order: Vec<(f64, bool)> = scores.iter().map(|s| key(*s)).zip(labels.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    // −0 and 0 are one score, as are equal ones.
    order
        .chunk_by(|a, b| a.0 == b.0)
        .map(|group| (group.iter().filter(|(_, label)| *label).count() as f64, group.len() as f64))
        .collect()
}

/// Average precision: the area under the precision-recall curve in steps, ties as one step. NaN without a labelled row.
#[must_use]
pub fn average_precision(labels: &[bool], scores: &[f64]) -> f64 {
    let positives = labels.iter().filter(|l| **l).count() as f64;
    let (mut hits, mut all, mut area) = (0.0, 0.0, 0.0);
    for (labelled, size) in steps(labels, scores) {
        hits += labelled;
        all += size;
        area += labelled / positives * (hits / all);
    }
    if positives > 0.0 { area } else { f64::NAN }
}

/// Area under the receiver operating characteristic, ties halved (Mann and Whitney). NaN without rows of both kinds.
#[must_use]
pub fn roc_auc(labels: &[bool], scores: &[f64]) -> f64 {
    let positives = labels.iter().filter(|l| **l).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let (mut hits, mut area) = (0.0, 0.0);
    for (labelled, size) in steps(labels, scores) {
        area += (size - labelled) * (hits + labelled / 2.0);
        hits += labelled;
    }
    area / (positives * negatives)
}

/// Best F1 over all thresholds, which looks at the labels.
fn best_f1(labels: &[bool], scores: &[f64]) -> f64 {
    let positives = labels.iter().filter(|l| **l).count() as f64;
    let (mut hits, mut all, mut best) = (0.0, 0.0, 0.0_f64);
    for (labelled, size) in steps(labels, scores) {
        hits += labelled;
        all += size;
        best = best.max(2.0 * hits / (all + positives));
    }
    best
}

/// Figures point by point, without any adjustment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointMeasures {
    /// [`average_precision`].
    pub auc_pr: f64,
    /// [`roc_auc`].
    pub roc_auc: f64,
    /// Best F1 over all thresholds.
    pub f1_best: f64,
}

impl PointMeasures {
    /// Measures `scores` against `labels` of the same length. O(n log n).
    #[must_use]
    pub fn of(labels: &[bool], scores: &[f64]) -> Self {
        Self {
            auc_pr: average_precision(labels, scores),
            roc_auc: roc_auc(labels, scores),
            f1_best: best_f1(labels, scores),
        }
    }

    /// Figures by name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        vec![("auc_pr", self.auc_pr), ("roc_auc", self.roc_auc), ("f1_best", self.f1_best)]
    }
}

/// What a fixed threshold gives on labelled rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Alarms {
    /// Runs of rows at or above the threshold.
    pub(super) raised: usize,
    /// Those without a labelled row in them.
    pub(super) false_ones: usize,
    /// Labelled runs.
    pub(super) events: usize,
    /// Those with a row at or above the threshold.
    pub(super) events_hit: usize,
}

impl Alarms {
    pub(super) fn count(labels: &[bool], scores: &[f64], threshold: f64) -> Self {
        let rows: Vec<(bool, bool)> =
            labels.iter().copied().zip(scores.iter().map(|score| *score >= threshold)).collect();
        let alarms = rows.chunk_by(|a, b| a.1 == b.1).filter(|run| run.iter().all(|row| row.1));
        let events = rows.chunk_by(|a, b| a.0 == b.0).filter(|run| run.iter().all(|row| row.0));
        let mut counted = Self::default();
        for run in alarms {
            counted.raised += 1;
            counted.false_ones += usize::from(run.iter().all(|row| !row.0));
        }
        for run in events {
            counted.events += 1;
            counted.events_hit += usize::from(run.iter().any(|row| row.1));
        }
        counted
    }

    /// Figures by name, for rows that took `days`.
    pub(super) fn named(&self, days: f64) -> Vec<(&'static str, f64)> {
        vec![
            ("alarms_per_day", self.raised as f64 / days),
            ("false_alarms_per_day", self.false_ones as f64 / days),
            ("events", self.events as f64),
            ("events_hit", self.events_hit as f64),
        ]
    }
}
