//! Metrics that leave their usual relation, though each may stay within its bounds. // DET-04
//!
//! Rows are standardised by median and interquartile range. Three sums of squares are followed, each averaged over the last
//! rows, so that single stray rows do not count:
//! 1. the Mahalanobis distance, under Ledoit and Wolf's shrunk covariance (2004);
//! 2. the same of the change from row to row;
//! 3. what the principal components leave unexplained (Jackson and Mudholkar, *Control procedures for residuals
//!    associated with principal component analysis*, Technometrics 21, 1979).
//!
//! Each is divided by what 95 % of the learned rows keep below; the score is the sum of log(1 + part). A level that all
//! metrics share hardly counts, one metric that parts from the others does.
//!
//! [`DailyProfile`] takes the time of day out of rows beforehand.

mod config;
mod daily;
pub(crate) mod linear;
mod model;

use crate::group::{FittedGroups, GroupDetector, GroupFit};

pub use config::{MultivariateConfig, MultivariateOptions};
pub use daily::DailyProfile;
pub use model::MultivariateModel;
pub(crate) use model::{Scaling, shrunk_covariance};

/// The multivariate model for each entity, behind the [`Detector`](aiops_core::seam::Detector) seam.
pub type MultivariateDetector = GroupDetector<MultivariateModel>;
/// Learns what a [`MultivariateDetector`] knows.
pub type MultivariateFit = GroupFit<MultivariateModel>;
/// What a [`MultivariateDetector`] knows.
pub type FittedMultivariate = FittedGroups<MultivariateModel>;
