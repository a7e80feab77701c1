//! What closed cases taught, class of action by class of action (VER-04): how likely its remedies harm, and how sure a diagnosis must be for them to run
//! alone.
//!
//! Every outcome of a remedy is a [`Lesson`] about its [class](crate::graduation::ActionClass). It moves two numbers, and says from where to where:
//!
//! | number | moved by | used by |
//! |---|---|---|
//! | [`HarmBelief`]: a Beta distribution of the share of remedies that do not help; conjugate, so an outcome adds one to one of its counts | outcomes | [`ByRecord`], which orders what a planner proposes |
//! | the floor: the confidence below which a person is asked | outcomes, and diagnoses that people held to be wrong | [`Learned`] as a guard |
//!
//! The floor follows adaptive conformal inference (Gibbs & Candès, *Adaptive conformal inference under distribution shift*, NeurIPS 2021): a wrong
//! action raises what the record asks for by `rate · (1 − target)`, one that helped lowers it by `rate · target`, within `base..=most`. So at `target`
//! wrong actions it stays where it is, whatever their distribution. Their bound on the long-run share holds where `base` is 0 and `most` is 1, no diagnosis is held
//! for certain, and people send back what they are asked about: under `base` this guard asks nobody, at `most` and above a class acts whatever its record, and with
//! what people let run share and floor are theirs. A floor that nobody lowers only asks more than it must. The guard goes only half of that way by itself: the floor *in force* rises at once
//! with what the record asks for, and falls to it, by one step of at most `rate`, when a person [accepts](Learned::accept) what is
//! [proposed](Learned::looser). No lesson loosens anything: the guard counts what the journal knows before it is learned, by the same rule.
//!
//! Nothing is overwritten: numbers are a fold over the [changes](Change) that stand, each with its evidence by name, in a
//! [ledger](crate::ledger) of kind `learned`. Taking one [back](Learned::revert) gives the numbers as if it had never been: a floor that was lowered on what
//! was taken back is not lowered any more. One piece of evidence teaches once, also after it was taken back; a remedy that taught as one that helped teaches once more, as one that
//! did not, when that turns out.

mod book;
mod change;
mod config;
mod guard;
mod order;

pub use change::{Change, ChangeId, Evidence, Lesson, Looser, Lowering, Moved, Outcome, Reversal};
pub use config::{HarmBelief, LearnedConfig};
pub use guard::{LEARNER, Learned};
pub use order::ByRecord;
