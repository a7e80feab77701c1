//! From what a detector says of single samples to findings.

use aiops_core::model::{
    Anomaly, Baseline, DetectorId, FittedHash, MetricSeries, Severity, Shape, TelemetryWindow,
};
use jiff::Timestamp;

use crate::rolling::reread;

/// An event of at most so many samples that is over is a spike or dip.
pub(crate) const TRANSIENT: usize = 5;

/// A stretch of one series that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event {
    pub(crate) onset: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) ongoing: bool,
    /// Samples that deviated.
    pub(crate) samples: usize,
    pub(crate) value: f64,
    pub(crate) baseline: Baseline,
    pub(crate) severity: Severity,
}

impl Event {
    /// The shape a level or a passing deviation has.
    pub(crate) fn shape(&self) -> Shape {
        let brief = !self.ongoing && self.samples <= TRANSIENT;
        match (self.value >= self.baseline.center, brief) {
            (true, true) => Shape::Spike,
            (false, true) => Shape::Dip,
            (true, false) => Shape::LevelShiftUp,
            (false, false) => Shape::LevelShiftDown,
        }
    }
}

/// Who found something, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finder<'a> {
    pub(crate) id: &'static str,
    pub(crate) fitted: &'a FittedHash,
    pub(crate) window: &'a TelemetryWindow,
}

impl Finder<'_> {
    /// The finding of an event.
    pub(crate) fn anomaly(&self, series: &MetricSeries, event: &Event, shape: Shape) -> Anomaly {
        let mut anomaly = Anomaly::new(
            DetectorId(self.id.to_owned()),
            self.fitted.clone(),
            series.entity().clone(),
            series.key().clone(),
            shape,
            event.onset,
            event.value,
            event.baseline,
            reread(self.window, series),
        );
        anomaly.unit = series.unit().clone();
        anomaly.last = event.last;
        anomaly.ongoing = event.ongoing;
        anomaly.severity = event.severity;
        anomaly
    }
}

/// Findings in the order the seam asks for.
pub(crate) fn sort(found: &mut [Anomaly]) {
    found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
}

/// A scale that divides: finite and more than 0, by the largest of `candidates` or what a level says by itself.
pub(crate) fn positive(candidates: &[f64], level: f64) -> f64 {
    let best = candidates.iter().copied().filter(|s| s.is_finite()).fold(0.0, f64::max);
    if best > 0.0 { best } else { (1e-6 * level.abs()).clamp(1e-9, f64::MAX) }
}
