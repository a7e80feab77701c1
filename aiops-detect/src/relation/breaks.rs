use aiops_core::model::{EntityId, SeriesKey, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CorrelationBreakDetector;

/// A relation that broke, with the metrics named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationBreak {
    /// Whose metrics.
    pub entity: EntityId,
    /// The metric that parted from the others: the one with the largest partial residual.
    pub metric: SeriesKey,
    /// The metrics it normally moves together with, strongest relation first; empty where many explain it together and
    /// none alone.
    pub from: Vec<SeriesKey>,
    /// Correlation with the first of `from` while learning; 0 without one.
    pub correlation: f64,
    /// What the others predicted of it where the break was largest, in its unit.
    pub expected: f64,
    /// What it was then.
    pub value: f64,
    /// Whether it, and the first of `from`, kept within their own bounds then: what no single threshold sees.
    pub within_bounds: bool,
    /// How far the relation was left, in limits: more than 1.
    pub height: f64,
    /// When it began.
    pub onset: Timestamp,
    /// Last row of it.
    pub last: Timestamp,
}

impl CorrelationBreakDetector {
    /// Which relations broke in `window`, by entity and onset.
    #[must_use]
    pub fn breaks(&self, window: &TelemetryWindow) -> Vec<RelationBreak> {
        self.each_excursion(window, |at| {
            let surprises = at.model.last_surprises(at.rows);
            let ranked = surprises.iter().copied().zip(0_usize..);
            let (_, column) = ranked.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
            let together = at.model.together_with(column);
            let cells = at.model.cells(at.rows.iter().next_back()?)?;
            let cell = cells.get(column)?;
            let bounds = at.model.options().bounds;
            let bounded = |c: &usize| cells.get(*c).is_none_or(|cell| cell.value.abs() <= bounds);
            let first = together.first();
            Some(RelationBreak {
                entity: at.entity.clone(),
                metric: at.keys.get(column)?.clone(),
                from: together.iter().filter_map(|c| at.keys.get(*c).cloned()).collect(),
                correlation: first.map_or(0.0, |c| at.model.correlation(column, *c)),
                expected: at.model.in_unit(column, cell.expected),
                value: at.model.in_unit(column, cell.value),
                within_bounds: bounded(&column) && first.is_none_or(bounded),
                height: at.height,
                onset: at.onset,
                last: at.last,
            })
        })
    }
}
