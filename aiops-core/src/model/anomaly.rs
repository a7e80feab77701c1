//! What a detector found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;
use crate::model::fetch::FetchRequest;
use crate::model::metric::{SeriesKey, Unit};

/// Name of a detector, e.g. `rolling-sigma`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DetectorId(pub String);

impl std::fmt::Display for DetectorId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hash of a fitted state, so that a finding names what produced it. Stateless detectors hash their configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FittedHash(pub String);

impl FittedHash {
    /// BLAKE3 of the bytes, as 16 hex digits.
    #[must_use]
    pub fn of(state: &[u8]) -> Self {
        Self(blake3::hash(state).to_hex().chars().take(16).collect())
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth watching.
    Warning,
    /// Worth acting on now.
    Critical,
}

/// Which way a signal left its norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above.
    Up,
    /// Below.
    Down,
}

/// Shape of an anomaly over time (CMP-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Shape {
    /// Up and back within a few samples.
    Spike,
    /// Down and back within a few samples.
    Dip,
    /// To a higher level, and there it stays.
    LevelShiftUp,
    /// To a lower level, and there it stays.
    LevelShiftDown,
    /// Growing steadily, as a leak does.
    SteadyIncrease,
    /// Shrinking steadily.
    SteadyDecrease,
    /// The signal stopped arriving.
    Vanished,
}

impl Shape {
    /// Which way the shape goes.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self {
            Self::Spike | Self::LevelShiftUp | Self::SteadyIncrease => Direction::Up,
            Self::Dip | Self::LevelShiftDown | Self::SteadyDecrease | Self::Vanished => Direction::Down,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spike => "spike",
            Self::Dip => "dip",
            Self::LevelShiftUp => "level shift up",
            Self::LevelShiftDown => "level shift down",
            Self::SteadyIncrease => "steady increase",
            Self::SteadyDecrease => "steady decrease",
            Self::Vanished => "vanished",
        })
    }
}

/// What was normal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Location, in the unit of the signal.
    #[serde(with = "crate::model::float")]
    pub center: f64,
    /// Scale (one σ), in the unit of the signal; more than zero.
    #[serde(with = "crate::model::float")]
    pub scale: f64,
    /// Number of samples it rests on.
    pub samples: usize,
}

/// A signal that left its norm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Anomaly {
    /// Who found it.
    pub detector: DetectorId,
    /// With which fitted state.
    pub fitted: FittedHash,
    /// Whose signal.
    pub entity: EntityId,
    /// Which signal.
    pub series: SeriesKey,
    /// Unit of the values.
    #[serde(default)]
    pub unit: Unit,
    /// Shape over time.
    pub shape: Shape,
    /// When it began.
    pub onset: Timestamp,
    /// Last anomalous sample; later than any normal one while it goes on.
    pub last: Timestamp,
    /// Whether it went on at the end of the window.
    pub ongoing: bool,
    /// Most deviating value, in `unit`.
    #[serde(with = "crate::model::float")]
    pub value: f64,
    /// Deviation of `value` from the baseline in σ; signed.
    #[serde(with = "crate::model::float")]
    pub sigma: f64,
    /// What was normal.
    pub baseline: Baseline,
    /// How grave.
    pub severity: Severity,
    /// The read that shows the signal again, for verification.
    pub reread: FetchRequest,
}

impl Anomaly {
    /// An ongoing level shift; the rest is set on the fields.
    #[allow(
        clippy::too_many_arguments,
        reason = "the parts of a finding are independent; none has a default"
    )]
    pub fn new(
        detector: DetectorId,
        fitted: FittedHash,
        entity: EntityId,
        series: SeriesKey,
        shape: Shape,
        onset: Timestamp,
        value: f64,
        baseline: Baseline,
        reread: FetchRequest,
    ) -> Self {
        let sigma = (value - baseline.center) / baseline.scale;
        Self {
            detector,
            fitted,
            entity,
            series,
            unit: Unit::default(),
            shape,
            onset,
            last: onset,
            ongoing: true,
            value,
            sigma,
            baseline,
            severity: Severity::Warning,
            reread,
        }
    }

    /// Which way the signal went.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.shape.direction()
    }
}
