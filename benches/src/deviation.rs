//! Input and floor of the deviations of a window.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, MetricSeries, SeriesKey, TelemetryWindow, TimeAxis, TimeRange, time};

use crate::rolling::samples;

/// `series` of `length` samples, five minutes apart, twenty to an entity. One in two hundred shifts for the last eighth.
///
/// # Errors
/// None for a size that fits in memory.
pub fn window(series: usize, length: usize) -> aiops_core::Result<TelemetryWindow> {
    let step = Duration::from_secs(300);
    let axis = TimeAxis::regular(Timestamp::UNIX_EPOCH, step, length)?;
    let end = time::after(Timestamp::UNIX_EPOCH, step * u32::try_from(length).unwrap_or(u32::MAX));
    let mut window = TelemetryWindow::new(TimeRange::new(Timestamp::UNIX_EPOCH, end)?);
    for (i, values) in samples(series * length).chunks_exact(length).enumerate() {
        let shift = |at: usize| if i % 200 == 7 && at >= length - length / 8 { 60.0 } else { 0.0 };
        let samples = values.iter().enumerate().map(|(at, value)| Some(value + shift(at)));
        let key = SeriesKey::new(format!("metric_{}", i % 20)).with("instance", format!("i-{}", i / 20));
        let entity = EntityId::service(format!("service-{}", i / 20));
        window.metrics.push(MetricSeries::new(key, entity, axis.clone(), samples)?);
    }
    Ok(window)
}

/// Floor: every sample is read once, in the order of memory.
#[must_use]
pub fn read(window: &TelemetryWindow) -> f64 {
    window.metrics.iter().flat_map(|series| series.samples()).flatten().sum()
}
