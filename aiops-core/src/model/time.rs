//! Instants, ranges and sampling axes. All instants are UTC (`jiff::Timestamp`).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// `t + d`, clamped to the representable range instead of panicking.
#[must_use]
pub fn after(t: Timestamp, d: Duration) -> Timestamp {
    t.saturating_add(d).unwrap_or(Timestamp::MAX)
}

/// `t - d`, clamped to the representable range instead of panicking.
#[must_use]
pub fn before(t: Timestamp, d: Duration) -> Timestamp {
    t.saturating_sub(d).unwrap_or(Timestamp::MIN)
}

/// Time from `earlier` to `later`; zero when the clock jumped back between the two.
#[must_use]
pub fn elapsed(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// A half-open interval of time, `start ≤ t < end`.
///
/// A *time range* is only an interval. What was observed in one is a
/// [`TelemetryWindow`](crate::model::TelemetryWindow); when changes may be made is a *maintenance window*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RangeParts", into = "RangeParts")]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeParts {
    start: Timestamp,
    end: Timestamp,
}

impl TryFrom<RangeParts> for TimeRange {
    type Error = Error;
    fn try_from(p: RangeParts) -> Result<Self> {
        Self::new(p.start, p.end)
    }
}

impl From<TimeRange> for RangeParts {
    fn from(r: TimeRange) -> Self {
        Self { start: r.start, end: r.end }
    }
}

impl TimeRange {
    /// The range `start ≤ t < end`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `end` is before `start`. An empty range (`start == end`) is allowed.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self> {
        if end < start {
            return Err(Error::new(ErrorKind::Invalid, "a time range ends before it starts")
                .with("start", start)
                .with("end", end));
        }
        Ok(Self { start, end })
    }

    /// The range of length `length` that ends at `end`.
    #[must_use]
    pub fn ending_at(end: Timestamp, length: Duration) -> Self {
        Self { start: before(end, length), end }
    }

    /// First instant inside.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// First instant after.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Length of the range.
    #[must_use]
    pub fn length(&self) -> Duration {
        elapsed(self.start, self.end)
    }

    /// Whether `t` lies inside.
    #[must_use]
    pub fn contains(&self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether no instant lies inside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The smallest range that covers both.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl std::fmt::Display for TimeRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.start, self.end)
    }
}

/// When the samples of a series were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TimeAxis {
    /// Samples at `start + i · step` for `i < len`.
    Regular {
        /// Instant of sample 0.
        start: Timestamp,
        /// Distance of two samples; more than zero.
        #[serde(with = "crate::model::duration")]
        step: Duration,
        /// Number of samples.
        len: usize,
    },
    /// Samples at the listed instants, strictly increasing.
    Irregular(Vec<Timestamp>),
}

impl TimeAxis {
    /// Samples every `step` from `start` on.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `step` is zero or the last instant is not representable.
    pub fn regular(start: Timestamp, step: Duration, len: usize) -> Result<Self> {
        let axis = Self::Regular { start, step, len };
        axis.check()?;
        Ok(axis)
    }

    /// The regular axis that covers `range`: samples at `start`, `start + step`, … before `end`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `step` is zero.
    pub fn covering(range: TimeRange, step: Duration) -> Result<Self> {
        if step.is_zero() {
            return Err(Error::new(ErrorKind::Invalid, "a sampling step must be longer than zero"));
        }
        let len = range.length().as_nanos().div_ceil(step.as_nanos());
        let len = usize::try_from(len).map_err(|_| {
            Error::new(ErrorKind::Limit, "too many samples in the range").with("range", range)
        })?;
        Self::regular(range.start(), step, len)
    }

    /// Samples at the given instants.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the instants are not strictly increasing.
    pub fn irregular(times: Vec<Timestamp>) -> Result<Self> {
        let axis = Self::Irregular(times);
        axis.check()?;
        Ok(axis)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Regular { start, step, len } => {
                if step.is_zero() {
                    return Err(Error::new(ErrorKind::Invalid, "a sampling step must be longer than zero"));
                }
                let whole = u32::try_from(len.saturating_sub(1)).ok().and_then(|n| step.checked_mul(n));
                match whole.map(|d| start.checked_add(d)) {
                    Some(Ok(_)) => Ok(()),
                    _ => Err(Error::new(ErrorKind::Invalid, "a time axis leaves the representable time")
                        .with("start", start)
                        .with("len", len)),
                }
            }
            Self::Irregular(times) => match times.windows(2).find(|w| matches!(w, [a, b] if a >= b)) {
                Some(pair) => Err(Error::new(ErrorKind::Invalid, "sample times are not strictly increasing")
                    .with("times", format!("{pair:?}"))),
                None => Ok(()),
            },
        }
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Regular { len, .. } => *len,
            Self::Irregular(t) => t.len(),
        }
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Instant of sample `i`, if there is one.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<Timestamp> {
        match self {
            Self::Regular { start, step, len } => {
                let n = u32::try_from(i).ok()?;
                (i < *len).then(|| after(*start, step.saturating_mul(n)))
            }
            Self::Irregular(t) => t.get(i).copied(),
        }
    }

    /// All instants in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Timestamp> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// Instant of the last sample.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.len().checked_sub(1).and_then(|i| self.get(i))
    }

    /// Index of the first sample at or after `t` (`len` when there is none).
    #[must_use]
    pub fn index_at_or_after(&self, t: Timestamp) -> usize {
        match self {
            Self::Regular { start, step, len } => {
                let n = elapsed(*start, t).as_nanos().div_ceil(step.as_nanos().max(1));
                usize::try_from(n).unwrap_or(usize::MAX).min(*len)
            }
            Self::Irregular(times) => times.partition_point(|x| *x < t),
        }
    }
}
