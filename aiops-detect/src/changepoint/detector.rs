//! Changes of level in the series of a window.

use aiops_compact::ConfigError;
use aiops_core::Result;
use aiops_core::model::{
    Anomaly, Baseline, FittedHash, MetricKind, MetricSeries, Severity, Shape, TelemetryWindow,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{OnlineChangePoints, OnlineConfig, SegmentConfig, change_points};
use crate::error::{check, check_count};
use crate::events::{Event, Finder, positive, sort};
use crate::rows::Rows;

/// How changes are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// The whole window at once, exactly. A window is short: its cost is no matter.
    Segment(SegmentConfig),
    /// Sample by sample, as it would have been told at the time.
    Online(OnlineConfig),
}

impl Default for Method {
    fn default() -> Self {
        Self::Segment(SegmentConfig::default())
    }
}

/// When a change of level is a finding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorOptions {
    /// How changes are looked for. Default: the whole window at once.
    pub method: Method,
    /// Smallest change, in σ around the level before, 0.1 to 1000. Default 3.
    pub least_sigma: f64,
    /// Smallest change, as a share of the level before, 0 to 10. Default 0.05: less is not worth anybody's time however quiet
    /// the series was.
    pub least_share: f64,
    /// Change from which a finding is critical, in σ; `least_sigma` to 10⁶. Default 10.
    pub critical_sigma: f64,
    /// Fewest samples that are judged, 8 to 10⁶. Default 30.
    pub min_samples: usize,
    /// Samples a level must have lasted at the window's end, 1 to 1000. Default 3.
    pub persist: usize,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        Self {
            method: Method::default(),
            least_sigma: 3.0,
            least_share: 0.05,
            critical_sigma: 10.0,
            min_samples: 30,
            persist: 3,
        }
    }
}

/// Checked [`DetectorOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DetectorOptions", into = "DetectorOptions")]
pub struct DetectorConfig(DetectorOptions);

impl DetectorConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &DetectorOptions {
        &self.0
    }
}

impl From<DetectorConfig> for DetectorOptions {
    fn from(config: DetectorConfig) -> Self {
        config.0
    }
}

impl TryFrom<DetectorOptions> for DetectorConfig {
    type Error = ConfigError;

    fn try_from(o: DetectorOptions) -> std::result::Result<Self, ConfigError> {
        check("least_sigma", o.least_sigma, 0.1..=1000.0, "0.1 to 1000")?;
        check("least_share", o.least_share, 0.0..=10.0, "0 to 10")?;
        check("critical_sigma", o.critical_sigma, o.least_sigma..=1e6, "least_sigma to 10⁶")?;
        check_count("min_samples", o.min_samples, 8..=1_000_000, "8 to 1000000 samples")?;
        check_count("persist", o.persist, 1..=1000, "1 to 1000 samples")?;
        Ok(Self(o))
    }
}

/// Finds where the level of a series changed within a window.
///
/// Pure in (configuration, window): nothing is learned beforehand. One finding for each change that is large enough, with
/// its onset; the last one is ongoing. Running totals yield none. A window should be longer than what is usual for a series
/// to go up and down in: half a wave is a change of level.
#[derive(Debug, Clone)]
pub struct ChangePointDetector {
    config: DetectorConfig,
    hash: FittedHash,
}

impl ChangePointDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "change-point";

    /// Detects by this configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: DetectorConfig) -> Result<Self> {
        Ok(Self { hash: crate::state::hash(&config)?, config })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let finder = Finder { id: Self::ID, fitted: &self.hash, window };
        let mut found = Vec::new();
        for series in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let events = self.judge(series, window).unwrap_or_default();
            found.extend(events.iter().map(|event| finder.anomaly(series, event, shape(event))));
        }
        sort(&mut found);
        found
    }

    fn judge(&self, series: &MetricSeries, window: &TelemetryWindow) -> Option<Vec<Event>> {
        let options = self.config.options();
        let (times, values): (Vec<Timestamp>, Vec<f64>) =
            series.points().filter(|(at, value)| window.range.contains(*at) && usable(*value)).unzip();
        if values.len() < options.min_samples {
            return None;
        }
        let onsets: Vec<usize> = match &options.method {
            Method::Segment(config) => {
                change_points(Rows::new(&values, 1).ok()?, config).iter().map(|change| change.onset).collect()
            }
            Method::Online(config) => {
                let mut changes = OnlineChangePoints::new(*config);
                let told = values.iter().filter_map(|value| changes.push(*value));
                told.filter_map(|change| usize::try_from(change.onset).ok()).collect()
            }
        };
        let mut bounds = vec![0];
        bounds.extend(onsets);
        bounds.push(values.len());
        let mut events: Vec<Event> = Vec::new();
        for at in bounds.windows(3) {
            let [from, cut, to] = *<&[usize; 3]>::try_from(at).ok()?;
            let (before, after) = (Level::of(values.get(from..cut)?)?, Level::of(values.get(cut..to)?)?);
            let change = (after.mean - before.mean).abs();
            let scale = positive(&[before.deviation], before.mean);
            if to - cut < options.persist
                || change < options.least_share * before.mean.abs()
                || change < options.least_sigma * scale
            {
                continue;
            }
            let critical = change >= options.critical_sigma * scale;
            events.push(Event {
                onset: *times.get(cut)?,
                last: *times.get(to - 1)?,
                ongoing: to == values.len(),
                samples: to - cut,
                value: after.mean,
                baseline: Baseline { center: before.mean, scale, samples: cut - from },
                severity: if critical { Severity::Critical } else { Severity::Warning },
            });
        }
        Some(events)
    }
}

/// Whether a sample can be squared.
fn usable(value: f64) -> bool {
    value.abs() <= aiops_compact::rolling::MAX_MAGNITUDE
}

/// A change of level is none of the passing shapes.
fn shape(event: &Event) -> Shape {
    if event.value >= event.baseline.center { Shape::LevelShiftUp } else { Shape::LevelShiftDown }
}

#[derive(Debug, Clone, Copy)]
struct Level {
    mean: f64,
    deviation: f64,
}

impl Level {
    fn of(values: &[f64]) -> Option<Self> {
        let moments: aiops_compact::Moments = values.iter().copied().collect();
        Some(Self { mean: moments.mean()?, deviation: moments.standard_deviation().unwrap_or(0.0) })
    }
}

crate::seam::detector!(ChangePointDetector);
