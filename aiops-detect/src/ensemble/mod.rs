//! Several models of the same rows, combined so that the result has a meaning: a p-value. // DET-08
//!
//! # Method
//! The members ([`crate::multivariate`], [`crate::forest`], [`crate::relation`]) are learned from the first part of healthy rows and
//! calibrated on the rest, which they have not seen. A member's score becomes a p-value: the share of calibration rows that
//! scored as high or higher (conformal: Laxhammar and Falkman, *Inductive conformal anomaly detection*, 2015), continued beyond
//! the highest ones by a generalised Pareto tail (Pickands 1975; fitted by probability-weighted moments: Hosking and Wallis
//! 1987), since an empirical share cannot tell the extreme from the merely new. Of the p-values of a row Fisher's statistic is
//! taken (*Statistical methods for research workers*, 1925), the mean of −ln p. Members that look at the same rows depend on each
//! other, so it has not its textbook distribution; Brown (*A method for combining non-independent, one-sided tests of
//! significance*, 1975) corrects that by moments, here the statistic itself is calibrated on the same rows as the members:
//! dependence of any kind is part of what was seen. The Cauchy combination of Liu and Xie (2020), which is valid without
//! such rows, was tried first: a member that is blind to a fault cost it far more.
//!
//! # Semantics
//! [`EnsembleModel::p_values`] of a row is, for rows like those it was calibrated on, at most α in about a share α of them; a
//! height of 1 is the configured α. One member that is sure is enough, several that suspect are too, and one that sees
//! nothing takes little away. What is *not* promised: rows are neighbours in time, so a share of rows is no rate of events; and
//! what changed since the calibration is, rightly, not like it.

mod calibration;
mod config;
mod model;

use crate::group::{FittedGroups, GroupConfig, GroupDetector, GroupFit};

pub use calibration::{Calibration, fisher_statistic};
pub use config::{EnsembleConfig, EnsembleOptions};
pub use model::EnsembleModel;

/// The ensemble over the metrics of each entity, behind the [`Detector`](aiops_core::seam::Detector) seam.
pub type EnsembleDetector = GroupDetector<EnsembleModel>;
/// Learns what an [`EnsembleDetector`] knows.
pub type EnsembleFit = GroupFit<EnsembleModel>;
/// What an [`EnsembleDetector`] knows.
pub type FittedEnsemble = FittedGroups<EnsembleModel>;
/// Configuration of an [`EnsembleDetector`].
pub type EnsembleDetectorConfig = GroupConfig<EnsembleConfig>;
