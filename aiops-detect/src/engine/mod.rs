//! Hundreds of thousands of series on one core: what is usual at this time of day, the last samples, and changes of level, in
//! bounded state.
//!
//! # What is followed
//! Each series has, in flat arrays:
//! - the contextual baseline of [`baseline`](crate::baseline) without weekdays, by the same rules
//!   ([`push`](crate::baseline::ContextualBaseline::push)), with cells packed into twelve bytes;
//! - mean and standard deviation of the [`WINDOW`] samples before, with sums that are made anew each time the window has gone
//!   by, so that no error accumulates; a sample far away enters cut, so that an event widens its own window slowly;
//! - Bayesian online change points ([`OnlineChangePoints`](crate::changepoint::OnlineChangePoints)) of the deviation from the
//!   baseline, with at most [`RUNS`] run lengths: a daily wave is no change of level.
//!
//! What deviates is not learned, and neither is an event that lasts, until it is adopted as the new normal. While one is being
//! adopted no changes are told, and the run lengths begin anew.
//!
//! # Bounds
//! [`StreamEngine::state_bytes`] says what is in use: less than 2 KB a series at the default cells, whatever the length of
//! the stream, with the index of keys of a few bytes. Series beyond [`max_series`](EngineOptions::max_series) are
//! refused, those silent for [`expire_after`](EngineOptions::expire_after) are dropped by [`StreamEngine::expire`], and
//! their places are used again.
//!
//! # Time
//! - Samples that are not later than the one before are rejected and counted.
//! - A gap longer than [`forget_after`](EngineOptions::forget_after) empties the window and the run lengths; what is usual
//!   stays. A jump of the clock forward is a gap.
//! - After a jump back every sample is late. When [`RESYNC`] of them in a row lie more than `forget_after` behind, in
//!   order, the clock is taken to be right and goes on from there: one wrong time does not silence a series for ever.
//! - Cells are those of the zone's local clock; the hour that comes twice in autumn is learned twice, the one that does not come
//!   in spring keeps what it knew.

mod config;
mod core;
mod detector;
mod packed;
mod rules;
mod series;
mod snapshot;
mod verdict;

pub use self::core::{Slot, StreamEngine};
pub use config::{EngineConfig, EngineOptions};
pub use detector::{EngineDetector, EngineFit};
pub use snapshot::{ENGINE_VERSION, EngineSnapshot};
pub use verdict::{LevelChange, Refused, Verdict};

/// Samples in the rolling window.
pub const WINDOW: usize = 32;

/// Cells of a day at most: one for each quarter of an hour.
pub(crate) const CELLS: usize = 96;

/// Run lengths followed at most.
pub const RUNS: usize = 8;

/// Late samples in a row, in order among themselves, after which the clock is taken to have been set back.
pub const RESYNC: u8 = 5;

/// Largest magnitude of a sample that is taken in.
pub const MOST: f64 = 1e30;
