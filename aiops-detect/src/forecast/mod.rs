//! What a series will do, how sure that is, and when it will reach a limit. // DET-03
//!
//! # Method
//! Additive Holt–Winters with a damped or steady trend (Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*,
//! 3rd ed., chapter 8), whose innovations are cut so that outliers neither move level nor season (Gelper, Fried and Croux,
//! *Robust forecasting with exponential and Holt–Winters smoothing*, 2010). The season is a profile over cells of the local
//! day or of any other period, found as medians. Smoothing weights, whether there is a trend, and whether the season helps at
//! all are chosen by how well the past would have been forecast over all horizons.
//!
//! # Intervals
//! Errors of such forecasts are kept by horizon; their quantiles are the interval (split conformal prediction: Vovk, Gammerman
//! and Shafer, 2005; Lei et al., 2018), without any assumption about their distribution. Errors of a series resemble each
//! other, so the guarantee of exchangeable ones does not hold; instead the quantile's level follows the misses (adaptive
//! conformal inference: Gibbs and Candès, 2021), and what coverage that gives is measured (`aiops-eval series kpi`).
//!
//! # Use
//! - [`SeasonalForecast::fit`] learns one series, [`SeasonalForecast::push`] goes on with it, [`SeasonalForecast::predict`] and
//!   [`SeasonalForecast::time_to`] look ahead.
//! - [`ForecastFit`] and [`ForecastDetector`] do so for windows, behind the seams: series that leave their interval, and
//!   series that will reach a [`Limit`] soon.

mod config;
mod detector;
mod errors;
mod fitted;
mod model;
mod series;

pub use config::{ForecastConfig, ForecastOptions, Limit};
pub use detector::ForecastDetector;
pub use fitted::{FORECAST_VERSION, FittedForecasts, ForecastFit};
pub use series::{Crossing, Prediction, SeasonalForecast};
