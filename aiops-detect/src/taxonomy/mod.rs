//! What kinds of incidents are called, and whether the names still mean what they did. // COR-06
//!
//! A [`Taxonomy`] is one version of the names; a [`TaxonomyHistory`] holds every version and carries a label of any of them to the latest, or says
//! that a person must choose. [`label_drift`] compares how often names were given in two periods.
//! A [`Labeller`] gives incidents their names by the words of their alerts; [`ErrorFingerprint`] tells application errors apart by what failed and where.

mod drift;
mod errors;
mod label;
mod names;

pub use drift::{LabelDrift, LabelDriftOptions, LabelShift, label_drift};
pub use errors::{ErrorFingerprint, ErrorReport};
pub use label::{IncidentLabel, LabelRule, Labeller};
pub use names::{Category, Relabelled, Taxonomy, TaxonomyError, TaxonomyHistory};
