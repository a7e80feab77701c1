//! Metrics that normally move together part ways, though each stays within its bounds. // DET-04
//!
//! # Method
//! From healthy rows, standardised robustly, the covariance is learned under Ledoit and Wolf's shrinkage (2004). Its inverse
//! predicts each metric from all others (Gaussian conditional mean: Lauritzen, *Graphical Models*, 1996, §5.1); what is left
//! over, in units of what was left over while learning, is the metric's *partial residual*. Its mean square over the
//! last rows grows when the metric leaves the others for another level, and also when it merely stops following them. Only
//! metrics of which the others explain a good part take part; a metric that moves by itself has no relation to break.
//!
//! A shared surge breaks nothing, however large: that is what tells this from the distances of
//! [`crate::multivariate`], which listen to levels, changes and residuals at once.
//!
//! A cell that was not seen is no broken relation: it is given what the seen ones predict, so it has no residual, and
//! the others are predicted without it.
//!
//! [`CorrelationBreakDetector::breaks`] names for each break the metric that parted, the ones it parted from, what
//! was expected of it, and whether it kept within its own bounds.

mod breaks;
mod config;
mod model;

use crate::group::{FittedGroups, GroupConfig, GroupDetector, GroupFit};

pub use breaks::RelationBreak;
pub use config::{RelationConfig, RelationOptions};
pub use model::RelationModel;

/// Relations of the metrics of each entity, behind the [`Detector`](aiops_core::seam::Detector) seam. A finding names the
/// metric that parted and the one it parted from.
pub type CorrelationBreakDetector = GroupDetector<RelationModel>;
/// Learns what a [`CorrelationBreakDetector`] knows.
pub type CorrelationBreakFit = GroupFit<RelationModel>;
/// What a [`CorrelationBreakDetector`] knows.
pub type FittedRelations = FittedGroups<RelationModel>;
/// Configuration of a [`CorrelationBreakDetector`].
pub type CorrelationBreakConfig = GroupConfig<RelationConfig>;
