//! What was foretold, and what became of it: the record by which predictions may act. // DET-13
//!
//! A case that no user felt was opened by a prediction (memory that will be full, a pattern that came before incidents). Remedies for it are
//! [proposed as such](aiops_core::action::Proposal::foretold_by) and pass the same guards as all others, and one more: [`Foretold`]
//! asks a person until the share of false alarms of whoever foretold it, measured here, is surely small enough.
//!
//! # What can be known
//! | what was seen | outcome |
//! |---|---|
//! | users felt it in time, whatever was done | [`CameTrue`](Outcome::CameTrue) |
//! | nobody felt it, and a person says it would have come | [`Prevented`](Outcome::Prevented) |
//! | nobody felt it, and a person says it would not have | [`FalseAlarm`](Outcome::FalseAlarm) |
//! | nobody felt it, nothing was done, and somebody vouches that nobody else did anything | [`FalseAlarm`](Outcome::FalseAlarm) |
//! | anything else whose time is over | [`Unknown`](Outcome::Unknown) |
//!
//! Where we acted and nothing came, nobody can know by looking whether it was prevented or would never have come. It counts for neither: a
//! predictor that is always wrong would otherwise look perfect as soon as it may act. [`Tally::averted`] counts such cases apart, and
//! [`Tally::expected`] says how many of them the record makes probable, which is an estimate and named so.
//!
//! So the record of a predictor that acts stops growing. What is older than [`memory`](ForetoldConfig::memory) counts no more: the right
//! to act runs out, suggestions are measured again, and it comes back only if they are right.

mod config;
mod guard;
mod record;

pub use config::{ForetoldConfig, Horizon};
pub use guard::Foretold;
pub use record::{Foretelling, Judgement, Line, Outcome, Tally};
