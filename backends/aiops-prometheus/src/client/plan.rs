//! Cutting a long range into queries under the server's limit, and laying the answers out on one grid.

use std::collections::BTreeMap;

use super::ClientError;
use super::decode::MatrixItem;
use crate::exposition::seconds_to_millis;
use crate::selector::LabelMap;
use crate::store::Grid;

/// A part of a grid: points `first` to `first + grid.len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) first: usize,
    pub(super) grid: Grid,
}

/// Cuts `grid` into parts of at most `max_points`, without overlap: a query evaluates each point by itself, so parts
/// laid side by side are what one query would give.
pub(super) fn chunks(grid: Grid, max_points: usize) -> Vec<Chunk> {
    let max_points = max_points.max(1);
    (0..grid.len.div_ceil(max_points))
        .map(|index| {
            let first = index.saturating_mul(max_points);
            let len = max_points.min(grid.len.saturating_sub(first));
            Chunk { first, grid: Grid { start_ms: grid.at(first), step_ms: grid.step_ms, len } }
        })
        .collect()
}

/// A series on the grid of its request; `None` is a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSeries {
    /// Labels, the metric name under `__name__` where the expression keeps it.
    pub labels: LabelMap,
    /// One value or gap per grid point. NaN is a value.
    pub values: Vec<Option<f64>>,
}

/// Answers to the chunks of one request, laid out on its grid.
#[derive(Debug)]
pub(super) struct Stitcher {
    grid: Grid,
    max_series: usize,
    series: BTreeMap<LabelMap, Vec<Option<f64>>>,
}

impl Stitcher {
    pub(super) fn new(grid: Grid, max_series: usize) -> Self {
        Self { grid, max_series, series: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, chunk: Chunk, items: Vec<MatrixItem>) -> Result<(), ClientError> {
        for item in items {
            let values = self.series.entry(item.metric).or_insert_with(|| vec![None; self.grid.len]);
            for pair in item.values {
                let at = seconds_to_millis(pair.0).and_then(|at_ms| index(chunk.grid, at_ms));
                let slot = at.and_then(|at| values.get_mut(chunk.first.saturating_add(at)));
                match slot {
                    Some(slot @ None) => *slot = Some(pair.1.0),
                    Some(Some(_)) => {
                        return Err(ClientError::Protocol(format!(
                            "two samples of one series at {}",
                            pair.0
                        )));
                    }
                    None => {
                        return Err(ClientError::Protocol(format!("a sample at {}, off the grid", pair.0)));
                    }
                }
            }
            if self.series.len() > self.max_series {
                return Err(ClientError::TooManySeries { series: self.series.len(), limit: self.max_series });
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<RangeSeries> {
        let series = self.series.into_iter();
        series.map(|(labels, values)| RangeSeries { labels, values }).collect()
    }
}

/// Index of a time on the grid; a millisecond of rounding on either side is forgiven.
fn index(grid: Grid, at_ms: i64) -> Option<usize> {
    let offset = at_ms.checked_sub(grid.start_ms)?.checked_add(1)?;
    let index = offset.checked_div_euclid(grid.step_ms)?;
    let exact = offset.checked_rem_euclid(grid.step_ms)? <= 2;
    usize::try_from(index).ok().filter(|index| exact && *index < grid.len)
}
