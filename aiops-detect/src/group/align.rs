use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::Result;
use aiops_core::model::{EntityId, MetricFrame, MetricKind, MetricSeries, TelemetryWindow, TimeAxis};

use crate::rolling::typical_step;

/// Series of each entity that a model may look at: all but running totals, and each key once.
pub(super) fn by_entity(window: &TelemetryWindow) -> BTreeMap<&EntityId, Vec<&MetricSeries>> {
    let mut groups: BTreeMap<&EntityId, Vec<&MetricSeries>> = BTreeMap::new();
    for series in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
        groups.entry(series.entity()).or_default().push(series);
    }
    for group in groups.values_mut() {
        group.sort_by(|a, b| a.key().cmp(b.key()));
        group.dedup_by(|a, b| a.key() == b.key());
    }
    groups
}

/// The distance of rows that suits `group`: the median of its series' steps.
pub(super) fn step_of(group: &[&MetricSeries]) -> Option<Duration> {
    let mut steps: Vec<Duration> = group.iter().filter_map(|series| typical_step(series.times())).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().filter(|step| !step.is_zero())
}

/// Rows of one entity over a window, one each `step`.
#[derive(Debug)]
pub(super) struct Aligned {
    pub(super) axis: TimeAxis,
    pub(super) values: Vec<f64>,
}

/// Lays `columns` on the grid of `step`. A sample is carried forward over up to `carry` missing ones; what is missing
/// longer, or a column that is not there at all, has the value of `missing`. A row without any sample of its own or
/// carried is NaN throughout.
pub(super) fn align(
    window: &TelemetryWindow,
    columns: &[Option<&MetricSeries>],
    step: Duration,
    carry: usize,
    missing: &[f64],
) -> Result<Aligned> {
    let axis = TimeAxis::covering(window.range, step)?;
    let present: Vec<&MetricSeries> = columns.iter().copied().flatten().collect();
    let frame = MetricFrame::new(present, &axis)?;
    let mut held: Vec<Option<(f64, usize)>> = vec![None; columns.len()];
    let mut values = Vec::with_capacity(axis.len() * columns.len());
    for (row, seen) in frame.values().rows().into_iter().zip(frame.present().rows()) {
        let mut cells = row.iter().zip(seen);
        let mut any = false;
        let from = values.len();
        for ((column, held), missing) in columns.iter().zip(&mut held).zip(missing) {
            let sample = if column.is_some() { cells.next().filter(|(_, seen)| **seen) } else { None };
            *held = match (sample, *held) {
                (Some((value, _)), _) => Some((*value, 0)),
                (None, Some((value, age))) if age < carry => Some((value, age + 1)),
                (None, _) => None,
            };
            any |= held.is_some();
            values.push(held.map_or(*missing, |(value, _)| value));
        }
        if !any {
            values.iter_mut().skip(from).for_each(|value| *value = f64::NAN);
        }
    }
    Ok(Aligned { axis, values })
}
