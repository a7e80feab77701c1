#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`rolling`] | deviation of each sample from the window before it: 3σ and median/MAD, push and batch |
//! | [`shape`] | what an excursion looks like, since when, how much |
//! | [`deviation`] | which series of a window left their norm; the most deviating entities and metrics |
//! | [`logs`] | templates of log lines and their variables; which templates of a window say something |
//! | [`traces`] | what each service does itself, by call type and path, and what changed |
//! | [`mask`] | personal data and secrets replaced by stable tokens |
//! | [`briefing`] | ranked, cited lines within a token budget |

pub mod briefing;
pub mod deviation;
mod error;
mod evidence;
pub mod logs;
pub mod mask;
mod moments;
pub mod order;
pub mod rolling;
pub mod shape;
mod topk;
pub mod traces;

pub use error::{ConfigError, LengthMismatch};
pub use moments::Moments;
pub use topk::TopK;
