//! Did a change make it worse? Before against after a change, and a canary against its baseline. // DET-10
//!
//! # Method
//! [`RegressionDetector`] looks at every change of the window: for each series of what was changed, of its parts and its
//! whole, and of its callers, the samples before the change are compared with those after it by Mann and Whitney's test.
//! Samples just after the change are left out (a restart is no regression), and where another change of the same things
//! lies near, the comparison ends there: a difference belongs to one change or to none. [`CanaryDetector`] compares
//! copies that run the new version with copies that run the old one at the same instants, by Wilcoxon's signed-rank test on
//! the differences: what moves both, load above all, drops out.
//!
//! A verdict needs three things at once: significance, with p-values corrected for the number of series looked at and
//! variances reckoned with the number of *independent* samples (see [`crate::stats`]), or else every series that wanders
//! would regress at every change; a large effect (Vargha and Delaney, *A critique and improvement of the CL common
//! language effect size statistics*, 2000); and a shift that matters in the series' own unit. Whether a shift is worse
//! follows from what the metric counts ([`HarmRule`]); where that is unknown the verdict says that it changed, no more.
//! With too few samples on either side nothing is claimed: [`Verdict::Inconclusive`].
//!
//! Mann-Whitney on canaries, with the effect size beside the test, follows Kayenta (Graff and Sanden, *Automated canary
//! analysis at Netflix with Kayenta*, 2018); the treatment of autocorrelation does not.

mod canary;
mod compare;
mod config;
mod detector;
mod scope;

pub use canary::{CanaryAssessment, CanaryDetector, CanaryOptions};
pub use compare::{Comparison, Side, Verdict, compare_paired, compare_samples};
pub(crate) use config::check_duration;
pub use config::{CompareOptions, HarmRule, RegressionOptions};
pub use detector::{ChangeAssessment, RegressionDetector, SeriesVerdict};
