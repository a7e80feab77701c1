//! What came before incidents: signatures learned from labelled ones, matched while there is time left. // DET-06
//!
//! # Method
//! The history is cut into frames. Of each frame and entity it is noted what was unusual: levels, trends and spreads of its
//! metrics, against what was usual for the same series in healthy time ([`Aspect`]); metrics are known by their names, so
//! what preceded the incidents of one entity is recognised in another. Frames 15 to 90 minutes before a labelled incident
//! of the entity are precursors, frames far from any incident are healthy, the others count as neither. A signature of a
//! class of incidents is a naive Bayes model of the aspects that are several times as common before its incidents as in
//! health, each incident weighing the same however many frames it has (Bernoulli events: McCallum and Nigam, *A comparison of
//! event models for naive Bayes text classification*, 1998). The threshold is the lowest that keeps the wanted rate of false
//! alarms on healthy frames.
//!
//! With a handful of incidents, what was learned describes them and proves nothing. So the figures of a signature are those
//! of leaving one incident out: each is looked for with a signature, usual levels and threshold learned without it and all of
//! the time around it ([`LeaveOneOut`]). Fewer incidents than a minimum are refused ([`PrecursorError::TooFew`]).
//!
//! A random forest was not chosen: with as few examples as there are incidents, it has nothing to grow on, and its votes name
//! no aspects to cite.
//!
//! # Use
//! [`PrecursorDetector::matches`] tells class, aspects, figures and the lead times seen while learning. A finding is
//! information, and a warning only when the precision of leaving one out reaches the configured one: predictions act through
//! the same guards as anything else (DET-13).

mod config;
mod detector;
mod features;
mod fitted;
mod learn;

pub use config::PrecursorOptions;
pub use detector::{PrecursorDetector, PrecursorMatch};
pub use features::{Aspect, Item};
pub use fitted::{FittedPrecursors, LeaveOneOut, Signature};
pub use learn::{LabelledIncident, PrecursorError, PrecursorFit};
