//! Compaction of telemetry: anomalies with shapes, top-k, briefings.
pub mod rolling;
pub mod order;
mod error;
mod moments;
mod topk;
pub use error::{ConfigError, LengthMismatch};
pub use moments::Moments;
pub use topk::TopK;
pub mod shape;
pub mod deviation;
