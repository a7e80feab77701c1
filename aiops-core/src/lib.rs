//! Model, seams, guard tokens, pipeline and in-memory fakes of aiops.

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
