//! Alerts of other systems as the model's: pure parsing, without any transport. // ING-03
//!
//! [`AlertmanagerIntake`] reads the body of an Alertmanager webhook and the answer of its API. Ordering, replay and
//! back-pressure are the business of whatever carries the bodies; that the same alert comes twice is the business of
//! [`correlate`](crate::correlate).

mod alertmanager;
mod config;
mod filtered;

pub use alertmanager::{AlertBatch, AlertmanagerIntake, IntakeError, RejectReason, Rejected};
pub use config::{EntityRule, IntakeConfig, IntakeOptions};
pub use filtered::{FILTERED_VERSION, FilteredIntake, FilteredOptions, FilteredStats, HeldAlert, Taken};
