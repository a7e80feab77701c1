//! What is learned of the series of a window, and its stored form.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::model::{EntityId, FittedHash, MetricKind, SeriesKey, TelemetryWindow};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::config::ForecastConfig;
use super::errors::Horizon;
use super::model::{State, Weights};
use super::series::SeasonalForecast;

/// Version of stored [`FittedForecasts`].
pub const FORECAST_VERSION: u32 = 1;

/// What a [`ForecastDetector`](super::ForecastDetector) knows: a forecast of each series it has seen.
///
/// Serialises to a versioned document; a version this crate does not know is refused, as is a damaged one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedForecasts {
    config: ForecastConfig,
    series: BTreeMap<(EntityId, SeriesKey), SeasonalForecast>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: ForecastConfig,
    series: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entity: EntityId,
    series: SeriesKey,
    #[serde(with = "aiops_core::model::duration")]
    step: Duration,
    last: Timestamp,
    weights: Weights,
    state: State,
    horizons: Vec<Horizon>,
}

impl From<FittedForecasts> for Document {
    fn from(fitted: FittedForecasts) -> Self {
        let entry = |((entity, series), f): ((EntityId, SeriesKey), SeasonalForecast)| Entry {
            entity,
            series,
            step: f.step,
            last: f.last,
            weights: f.weights,
            state: f.state,
            horizons: f.horizons,
        };
        Self {
            version: FORECAST_VERSION,
            config: fitted.config,
            series: fitted.series.into_iter().map(entry).collect(),
        }
    }
}

impl Entry {
    /// Whether it is what this configuration makes.
    fn fits(&self, config: &ForecastConfig) -> bool {
        let options = config.options();
        let Weights { level, trend, damping, season } = self.weights;
        let rising = self.horizons.windows(2).all(|w| w.first().map(|h| h.steps) < w.last().map(|h| h.steps));
        let horizon = |h: &Horizon| {
            h.steps > 0
                && h.errors.len() <= options.errors
                && h.errors.iter().all(|error| error.is_finite())
                && (0.0..1.0).contains(&h.miss)
        };
        [level, trend, damping].iter().all(|weight| (0.0..=1.0).contains(weight))
            && (-1.0..=1.0).contains(&season)
            && !self.step.is_zero()
            && [self.state.level, self.state.trend].iter().all(|v| v.is_finite())
            && self.state.scale.is_finite()
            && self.state.scale > 0.0
            && self.state.season.len() <= options.cells
            && self.state.season.iter().all(|v| v.is_finite())
            && !self.horizons.is_empty()
            && rising
            && self.horizons.iter().all(horizon)
    }
}

impl TryFrom<Document> for FittedForecasts {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FORECAST_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of fitted forecasts")
                .with("version", document.version)
                .with("known", FORECAST_VERSION));
        }
        let mut fitted = Self::unfitted(document.config);
        for entry in document.series {
            if !entry.fits(&fitted.config) {
                return Err(Error::new(ErrorKind::Invalid, "a stored forecast is damaged")
                    .with("series", &entry.series));
            }
            let Entry { entity, series, step, last, weights, state, horizons } = entry;
            let config = fitted.config.clone();
            let forecast = SeasonalForecast::restored(config, step, last, weights, state, horizons);
            fitted.series.insert((entity, series), forecast);
        }
        Ok(fitted)
    }
}

impl FittedForecasts {
    /// Knows no series: nothing is found.
    #[must_use]
    pub fn unfitted(config: ForecastConfig) -> Self {
        Self { config, series: BTreeMap::new() }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ForecastConfig {
        &self.config
    }

    /// Forecasts by entity and series.
    #[must_use]
    pub fn series(&self) -> &BTreeMap<(EntityId, SeriesKey), SeasonalForecast> {
        &self.series
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns to forecast the series of a window.
#[derive(Debug, Clone, Default)]
pub struct ForecastFit {
    config: ForecastConfig,
}

impl ForecastFit {
    /// Learns by this configuration.
    #[must_use]
    pub fn new(config: ForecastConfig) -> Self {
        Self { config }
    }
}

impl Fit for ForecastFit {
    type Fitted = FittedForecasts;

    /// Running totals and series with too few samples are passed over.
    fn fit(&self, history: &TelemetryWindow) -> Result<FittedForecasts> {
        let mut fitted = FittedForecasts::unfitted(self.config.clone());
        for series in history.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            if let Ok(forecast) = SeasonalForecast::fit(series.points(), &self.config) {
                fitted.series.insert((series.entity().clone(), series.key().clone()), forecast);
            }
        }
        if fitted.series.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no series has enough samples to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len()));
        }
        Ok(fitted)
    }
}
