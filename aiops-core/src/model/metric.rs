//! Metric series: columnar samples with typed gaps.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::model::entity::EntityId;
use crate::model::labels::Labels;
use crate::model::time::TimeAxis;

/// Name and labels of a series, unique within a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesKey {
    /// Name of the metric.
    pub name: String,
    /// Labels that tell series of one metric apart.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl SeriesKey {
    /// A series without labels.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), labels: Labels::new() }
    }

    /// The same series with one more label.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name, value);
        self
    }
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}{}", self.name, self.labels)
        }
    }
}

/// What a sample of a series says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricKind {
    /// A level at an instant.
    Gauge,
    /// A running total that only resets to zero.
    Counter,
    /// Change per second, derived from a counter.
    Rate,
    /// A quantile of a distribution, derived from a histogram.
    Quantile,
    /// A share between 0 and 1.
    Ratio,
}

/// Unit of a series in UCUM notation (`s`, `By`, `1`, `{request}/s`), as OpenTelemetry writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unit(pub String);

impl Unit {
    /// The unit `ucum`.
    pub fn new(ucum: impl Into<String>) -> Self {
        Self(ucum.into())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which samples exist. A sample that exists may still be NaN; a gap is a sample nobody took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    len: usize,
    /// One bit a sample, lowest first; empty when every sample exists.
    bits: Vec<u64>,
}

impl Validity {
    /// `len` samples, all present.
    #[must_use]
    pub fn all(len: usize) -> Self {
        Self { len, bits: Vec::new() }
    }

    /// Whether sample `i` exists; false beyond the end.
    #[must_use]
    pub fn get(&self, i: usize) -> bool {
        i < self.len && self.bits.get(i / 64).is_none_or(|word| word >> (i % 64) & 1 == 1)
    }

    /// Number of samples and gaps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is neither sample nor gap.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of gaps.
    #[must_use]
    pub fn gaps(&self) -> usize {
        if self.bits.is_empty() {
            return 0;
        }
        let present: usize = self.bits.iter().map(|w| w.count_ones() as usize).sum();
        self.len - present
    }
}

impl FromIterator<bool> for Validity {
    fn from_iter<I: IntoIterator<Item = bool>>(present: I) -> Self {
        let mut len = 0;
        let mut bits = Vec::new();
        let mut word = 0_u64;
        for p in present {
            word |= u64::from(p) << (len % 64);
            len += 1;
            if len % 64 == 0 {
                bits.push(std::mem::take(&mut word));
            }
        }
        if len % 64 != 0 {
            bits.push(word);
        }
        let all = Self { len, bits };
        if all.gaps() == 0 { Self::all(len) } else { all }
    }
}

/// One metric of one entity over time, columnar.
///
/// # Shape
/// `times`, `values` and `validity` have the same length. Where `validity` is false the value is
/// meaningless and stored as 0. NaN and ±∞ are values. In case files a gap is `null` and the
/// non-finite values are the strings `"NaN"`, `"Inf"`, `"-Inf"`, so nothing is lost in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SeriesParts", into = "SeriesParts")]
pub struct MetricSeries {
    key: SeriesKey,
    entity: EntityId,
    kind: MetricKind,
    unit: Unit,
    times: TimeAxis,
    values: Vec<f64>,
    validity: Validity,
}

impl MetricSeries {
    /// A series from its samples; `None` is a gap.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `times` and `samples` differ in length.
    pub fn new(
        key: SeriesKey,
        entity: EntityId,
        times: TimeAxis,
        samples: impl IntoIterator<Item = Option<f64>>,
    ) -> Result<Self> {
        let samples = samples.into_iter();
        let mut values = Vec::with_capacity(times.len());
        let validity = samples.map(|s| (values.push(s.unwrap_or(0.0)), s.is_some()).1).collect();
        Self::from_columns(key, entity, times, values, validity)
    }

    /// A series from its columns.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the columns differ in length or the axis is malformed.
    pub fn from_columns(
        key: SeriesKey,
        entity: EntityId,
        times: TimeAxis,
        values: Vec<f64>,
        validity: Validity,
    ) -> Result<Self> {
        times.check()?;
        if times.len() != values.len() || values.len() != validity.len() {
            return Err(Error::new(ErrorKind::Invalid, "the columns of a series differ in length")
                .with("series", &key)
                .with("times", times.len())
                .with("values", values.len()));
        }
        Ok(Self { key, entity, kind: MetricKind::Gauge, unit: Unit::default(), times, values, validity })
    }

    /// The same series, of another kind than gauge.
    #[must_use]
    pub fn with_kind(mut self, kind: MetricKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same series with a unit.
    #[must_use]
    pub fn with_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Name and labels.
    #[must_use]
    pub fn key(&self) -> &SeriesKey {
        &self.key
    }

    /// What it is about.
    #[must_use]
    pub fn entity(&self) -> &EntityId {
        &self.entity
    }

    /// What a sample says.
    #[must_use]
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// Unit of the values.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// When samples were taken.
    #[must_use]
    pub fn times(&self) -> &TimeAxis {
        &self.times
    }

    /// Raw values; meaningless where [`Self::validity`] is false.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Which samples exist.
    #[must_use]
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Number of samples and gaps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is neither sample nor gap.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sample `i`: `None` for a gap or beyond the end.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<f64> {
        if self.validity.get(i) { self.values.get(i).copied() } else { None }
    }

    /// Samples and gaps in order of time.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = Option<f64>> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The existing samples with their instants.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = (jiff::Timestamp, f64)> + '_ {
        (0..self.len()).filter_map(|i| Some((self.times.get(i)?, self.get(i)?)))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesParts {
    key: SeriesKey,
    entity: EntityId,
    kind: MetricKind,
    #[serde(default)]
    unit: Unit,
    times: TimeAxis,
    samples: Vec<Sample>,
}

impl TryFrom<SeriesParts> for MetricSeries {
    type Error = Error;
    fn try_from(p: SeriesParts) -> Result<Self> {
        let series = Self::new(p.key, p.entity, p.times, p.samples.into_iter().map(|s| s.0))?;
        Ok(series.with_kind(p.kind).with_unit(p.unit))
    }
}

impl From<MetricSeries> for SeriesParts {
    fn from(s: MetricSeries) -> Self {
        let samples = s.samples().map(Sample).collect();
        Self { key: s.key, entity: s.entity, kind: s.kind, unit: s.unit, times: s.times, samples }
    }
}

/// One sample in a file: `null` is a gap, a string is a value JSON has no number for.
struct Sample(Option<f64>);

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            None => s.serialize_none(),
            Some(v) => crate::model::float::serialize(&v, s),
        }
    }
}

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Value(#[serde(with = "crate::model::float")] f64);
        Ok(Self(Option::<Value>::deserialize(d)?.map(|v| v.0)))
    }
}
