//! Detection over all metrics of one entity together.
//!
//! A [`RowModel`] judges rows, one column a metric. [`GroupFit`] learns a model for each entity from a healthy window,
//! and a [`GroupDetector`] finds where the rows of a window leave it, and names the metrics that contribute most.

mod align;
mod detector;
mod fitted;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::FitError;
use crate::rows::Rows;

pub use detector::GroupDetector;
pub use fitted::{FittedGroups, GROUPS_VERSION, GroupConfig, GroupFit, GroupOptions};

/// A model of rows, one column a metric, in order of time.
pub trait RowModel: Debug + Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Name of a detector with this model.
    const ID: &'static str;

    /// How it is learned.
    type Config: Debug + Clone + Default + PartialEq + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// Whether [`judge`](Self::judge) takes a NaN cell for one that was not seen. Otherwise such a cell is given the
    /// column's normal value.
    const SEES_GAPS: bool = false;

    /// Learns what is normal; `centers` are the columns' medians. Rows with NaN or ±∞ are left out.
    ///
    /// # Errors
    /// [`FitError`] when there is too little to learn from.
    fn learn(rows: Rows<'_>, config: &Self::Config) -> Result<Self, FitError>;

    /// Number of columns.
    fn columns(&self) -> usize;

    /// How far each row is from normal, ≥ 0: 1 is as far as normal rows get, NaN where it cannot be told.
    ///
    /// # Errors
    /// [`FitError::Columns`] when the rows are of another width.
    fn judge(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError>;

    /// What each column contributes to the judgement of the last row, ≥ 0; larger is more. `centers` holds a normal
    /// value of each column.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    fn contributions(&self, rows: Rows<'_>, centers: &[f64]) -> Result<Vec<f64>, FitError>;
}
