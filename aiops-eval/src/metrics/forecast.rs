//! Forecasts of key figures: how many values their intervals hold, and how far off they are beside the value of a day before.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_detect::forecast::{ForecastConfig, SeasonalForecast};

use super::FileFigures;
use crate::EvalError;

/// How far ahead is looked: names of coverage, width and error, and the time.
const AHEAD: [(&str, &str, &str, Duration); 4] = [
    ("coverage_next", "width_next", "error_next", Duration::ZERO),
    ("coverage_1h", "width_1h", "error_1h", Duration::from_secs(3600)),
    ("coverage_6h", "width_6h", "error_6h", Duration::from_secs(6 * 3600)),
    ("coverage_1d", "width_1d", "error_1d", Duration::from_secs(86_400)),
];

/// Forecasts compared on each series, about.
const ORIGINS: usize = 2000;

/// Learns from `train`, then goes through `test`, forecasting now and then. Widths and errors are in units of the mean absolute
/// error of the value a day before.
pub(super) fn evaluate(
    name: &str,
    train: &[f64],
    test: &[f64],
    step: Duration,
    at: impl Fn(usize) -> Timestamp,
    config: &ForecastConfig,
) -> Result<FileFigures, EvalError> {
    let learned = train.iter().enumerate().map(|(row, value)| (at(row), *value));
    let mut forecast = SeasonalForecast::fit(learned, config)?;
    let all: Vec<f64> = train.iter().chain(test).copied().collect();
    let day = (86_400.0 / step.as_secs_f64()).round() as usize;
    let (mut naive, mut compared) = (0.0, 0.0);
    for (value, before) in all.iter().skip(day).zip(&all).skip(train.len().saturating_sub(day)) {
        naive += (value - before).abs();
        compared += 1.0;
    }
    let naive = naive / compared;
    let stride = (test.len() / ORIGINS).max(1);
    let mut sums = [[0.0; 4]; AHEAD.len()];
    for (row, value) in test.iter().enumerate() {
        if row % stride == 0 {
            for ((_, _, _, ahead), [count, inside, width, error]) in AHEAD.iter().zip(&mut sums) {
                let steps = ((ahead.as_secs_f64() / step.as_secs_f64()).round() as usize).max(1);
                let Some(actual) = test.get(row + steps - 1) else { continue };
                let p = forecast.predict(steps);
                *count += 1.0;
                *inside += f64::from(u8::from((p.lower..=p.upper).contains(actual)));
                *width += p.upper - p.lower;
                *error += (actual - p.point).abs();
            }
        }
        // What is rejected is not taken in; the next value is a gap later.
        let _ = forecast.push(at(train.len() + row), *value);
    }
    let mut figures = Vec::new();
    for ((coverage, widths, errors, _), [count, inside, width, error]) in AHEAD.iter().zip(sums) {
        figures.push((*coverage, inside / count));
        figures.push((*widths, width / count / naive));
        figures.push((*errors, error / count / naive));
    }
    figures.push(("season", f64::from(u8::from(forecast.uses_season()))));
    Ok(FileFigures { name: name.to_owned(), figures })
}
