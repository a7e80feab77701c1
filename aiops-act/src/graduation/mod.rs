//! From suggesting to acting alone, one class of action at a time (ACT-08).
//!
//! A class, restarts of services say, begins in [`Stage::Suggest`]: every action of it asks a person. What the journal says of its actions, and
//! the approval desk of its diagnoses, is its [`Record`]. When the record is long, good and old enough, a person who vouches for the rest (tested way back, least
//! permissions, an escalation playbook) may [`promote`](Graduation::promote) it to [`Stage::Auto`]. A remedy of the class that fails takes that back: at once in the
//! guard, and in writing by [`review`](Graduation::review). The record then begins anew.
//!
//! Every change of a stage is a line in a [ledger](crate::ledger) of kind `graduation`, with who decided it, why, and the record it rested
//! on. [`Graduation`] is also the guard that holds a class to its stage; the chain's mode stays the ceiling.

mod guard;
mod record;
mod stages;

pub use guard::Graduation;
pub use record::{GraduationConfig, Record, Seen, wilson_lower_bound};
pub use stages::{ActionClass, Assessment, Attestation, Stage, StageChange};
