//! Forecasts behind the detector's seam.

use aiops_compact::shape::excursions;
use aiops_core::Result;
use aiops_core::model::time::before;
use aiops_core::model::{
    Anomaly, Baseline, Direction, FittedHash, MetricSeries, Severity, Shape, TelemetryWindow,
};
use jiff::Timestamp;

use super::config::Limit;
use super::fitted::FittedForecasts;
use super::series::{Prediction, SeasonalForecast};
use crate::events::{Event, Finder, positive, sort};

/// Half-widths of an interval that make one σ: of normal errors at the default coverage, nearly.
const SIGMAS: f64 = 2.0;

/// Finds series that leave the interval of their forecast, and series that will reach a [`Limit`] soon.
///
/// Pure in (fitted state, window): what was learned goes on with the earlier part of the window, its last part is compared with
/// the forecast from there. Series it has not learned yield none.
#[derive(Debug, Clone)]
pub struct ForecastDetector {
    fitted: FittedForecasts,
    hash: FittedHash,
}

impl ForecastDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "forecast";

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](aiops_core::ErrorKind::Internal) when the state cannot be hashed.
    pub fn new(fitted: FittedForecasts) -> Result<Self> {
        Ok(Self { hash: fitted.hash()?, fitted })
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedForecasts {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let finder = Finder { id: Self::ID, fitted: &self.hash, window };
        let mut found = Vec::new();
        for series in &window.metrics {
            let key = (series.entity().clone(), series.key().clone());
            let Some(forecast) = self.fitted.series().get(&key) else { continue };
            let deviating = self.deviating(forecast, series, window);
            found.extend(deviating.iter().map(|event| finder.anomaly(series, event, event.shape())));
            for limit in
                self.fitted.config().options().limits.iter().filter(|l| l.metric == series.key().name)
            {
                let shape = match limit.direction {
                    Direction::Up => Shape::SteadyIncrease,
                    Direction::Down => Shape::SteadyDecrease,
                };
                let event = reaching(limit, forecast, series, window);
                found.extend(event.map(|event| finder.anomaly(series, &event, shape)));
            }
        }
        sort(&mut found);
        found
    }

    fn deviating(
        &self,
        forecast: &SeasonalForecast,
        series: &MetricSeries,
        window: &TelemetryWindow,
    ) -> Vec<Event> {
        let options = self.fitted.config().options();
        let recent = window.range.length().mul_f64(options.recent_share);
        let boundary = before(window.range.end(), recent);
        let mut forecast = forecast.clone();
        let mut judged: Vec<(Timestamp, f64, Prediction)> = Vec::new();
        for (at, value) in series.points().filter(|(at, _)| window.range.contains(*at)) {
            if at < boundary {
                // What is rejected says nothing; the next one may.
                let _ = forecast.push(at, value);
            } else if let Some(prediction) = forecast.predict_at(at) {
                judged.push((at, value, prediction));
            }
        }
        let baseline = |prediction: &Prediction, value: f64| {
            let half = if value >= prediction.point {
                prediction.upper - prediction.point
            } else {
                prediction.point - prediction.lower
            };
            // Where errors were all on one side, that side's interval says something of the other, too.
            let width = prediction.upper - prediction.lower;
            let half = positive(&[half, 0.25 * width], prediction.point);
            (
                half,
                Baseline { center: prediction.point, scale: half / SIGMAS, samples: forecast.known_steps() },
            )
        };
        let heights: Vec<f64> =
            judged.iter().map(|(_, value, p)| (value - p.point) / baseline(p, *value).0).collect();
        let mut events = Vec::new();
        for excursion in excursions(&heights, &options.persistence) {
            let Some(part) = judged.get(excursion.first..=excursion.last) else { continue };
            let Some(sizes) = heights.get(excursion.first..=excursion.last) else { continue };
            let size = |h: &f64| if h.is_nan() { 0.0 } else { excursion.sign() * h };
            let peak = part.iter().zip(sizes).max_by(|a, b| size(a.1).total_cmp(&size(b.1)));
            let (Some((first, ..)), Some((last, ..)), Some(((_, value, prediction), height))) =
                (part.first(), part.last(), peak)
            else {
                continue;
            };
            let critical = size(height) >= options.critical;
            events.push(Event {
                onset: *first,
                last: *last,
                ongoing: excursion.cleared.is_none(),
                samples: part.len(),
                value: *value,
                baseline: baseline(prediction, *value).1,
                severity: if critical { Severity::Critical } else { Severity::Warning },
            });
        }
        events
    }
}

/// The finding that a limit will be reached.
fn reaching(
    limit: &Limit,
    forecast: &SeasonalForecast,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<Event> {
    let mut forecast = forecast.clone();
    let mut seen: Option<(Timestamp, Timestamp, f64, f64)> = None;
    for (at, value) in series.points().filter(|(at, _)| window.range.contains(*at)) {
        if forecast.push(at, value).is_ok() {
            let (first, from) = seen.map_or((at, value), |(first, _, from, _)| (first, from));
            seen = Some((first, at, from, value));
        }
    }
    // Without a sample of the window nothing is known of now.
    let (onset, last, from, value) = seen?;
    let crossing = forecast.time_to(limit.value, limit.direction, limit.warn_within);
    let expected = crossing.expected?;
    let next = forecast.predict(1);
    let scale = positive(&[(next.upper - next.lower) / (2.0 * SIGMAS)], from);
    Some(Event {
        onset,
        last,
        ongoing: true,
        samples: 0,
        value,
        baseline: Baseline { center: from, scale, samples: forecast.known_steps() },
        severity: if expected <= limit.critical_within { Severity::Critical } else { Severity::Warning },
    })
}

crate::seam::detector!(ForecastDetector);
