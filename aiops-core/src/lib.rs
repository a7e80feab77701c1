#![doc = include_str!("../README.md")]
//!
//! | module | what |
//! |---|---|
//! | [`model`] | telemetry, entities, topology, evidence, diagnoses |
//! | [`action`] | operations, proposals, decisions, receipts, the journal's records |
//! | [`guard`] | the chain of guards and the tokens of an action's way |
//! | [`seam`] | every trait that an implementation may take the place of |
//! | [`layer`] | timeouts, retries, rate limits, tracing, masking, chaos around a seam |
//! | [`pipeline`] | the closed loop |
//! | [`fake`] | an in-memory implementation of every seam |

pub mod action;
mod case;
mod clock;
mod composite;
mod context;
pub mod danger;
mod error;
pub mod fake;
pub mod guard;
pub mod layer;
pub mod model;
pub mod pipeline;
pub mod recording;
pub mod seam;

pub use case::{CASE_VERSION, Case, CaseEntry, CasePart, CaseStatus, CitedAnomaly, CitedChange};
pub use clock::{BoxFuture, Clock, ManualClock, SystemClock};
pub use composite::CompositeSource;
pub use context::{Budget, Cancellation, Context};
pub use error::{Error, ErrorKind, Result};

pub use {jiff, ndarray};
