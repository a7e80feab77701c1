//! A matrix view of many series on one grid, for multivariate algorithms.

use std::time::Duration;

use jiff::Timestamp;
use ndarray::Array2;

use crate::error::{Error, ErrorKind, Result};
use crate::model::metric::{MetricSeries, SeriesKey};
use crate::model::time::TimeAxis;

/// Many series on one regular grid.
///
/// # Shape
/// `values` and `present` are `rows × columns`: one row a sampling instant, one column a series.
/// A sample belongs to the last grid instant at or before it; of several in one step the last wins.
/// Where `present` is false there was no sample and the value is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricFrame {
    keys: Vec<SeriesKey>,
    start: Timestamp,
    step: Duration,
    values: Array2<f64>,
    present: Array2<bool>,
}

impl MetricFrame {
    /// Lays `series` on the regular grid `axis`.
    ///
    /// Cost: O(rows · columns + samples). Samples outside the grid are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `axis` is irregular.
    pub fn new<'a>(series: impl IntoIterator<Item = &'a MetricSeries>, axis: &TimeAxis) -> Result<Self> {
        let TimeAxis::Regular { start, step, len } = axis else {
            return Err(Error::new(ErrorKind::Invalid, "a frame needs a regular time axis"));
        };
        axis.check()?;
        let series: Vec<&MetricSeries> = series.into_iter().collect();
        let mut values = Array2::zeros((*len, series.len()));
        let mut present = Array2::from_elem((*len, series.len()), false);
        for (column, s) in series.iter().enumerate() {
            for (t, v) in s.points() {
                let Ok(offset) = Duration::try_from(t.duration_since(*start)) else { continue };
                let Ok(row) = usize::try_from(offset.as_nanos() / step.as_nanos().max(1)) else { continue };
                if let (Some(value), Some(p)) =
                    (values.get_mut([row, column]), present.get_mut([row, column]))
                {
                    *value = v;
                    *p = true;
                }
            }
        }
        let keys = series.iter().map(|s| s.key().clone()).collect();
        Ok(Self { keys, start: *start, step: *step, values, present })
    }

    /// Keys of the columns.
    #[must_use]
    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// Instant of row 0.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Distance of two rows.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    /// Values, `rows × columns`.
    #[must_use]
    pub fn values(&self) -> &Array2<f64> {
        &self.values
    }

    /// Which values exist, `rows × columns`.
    #[must_use]
    pub fn present(&self) -> &Array2<bool> {
        &self.present
    }
}
