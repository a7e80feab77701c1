//! The protocol: what an episode is, who plays it, what is recorded, how it is scored.
//!
//! One declared [`RunConfig`] holds for a whole run. An episode is a drawn system, its daily life, and at most one fault
//! whose onset is drawn; a pipeline learns from the time before, then looks every minute. What is scored is taken from the
//! record alone ([`score`]), so whoever has the records has the numbers. // EVA-04

pub mod episode;
pub mod gold;
pub mod players;
pub mod remedies;
pub mod remedy;
pub mod run;
pub mod score;

use aiops_rca::Calibrator;
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// What holds for every episode of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// First seed; default 1. Episode `i` has the seed `first_seed + i`, hashed, so that neighbours have nothing in common.
    pub first_seed: u64,
    /// Episodes of each fault; default 7, 0 to 1000.
    pub of_each: u32,
    /// Episodes without a fault; default 70, 0 to 100,000.
    pub nulls: u32,
    /// Whether seeds are of the held-out half: a domain of its own, never used to develop a pipeline. Default no.
    pub held_out: bool,
    /// Minutes from which a pipeline learns, 20 to 240; default 45.
    pub learn_minutes: u32,
    /// Minutes that are watched after the latest onset, 10 to 240; default 40.
    pub watch_minutes: u32,
    /// Minutes after the end of a case during which it is still watched, 5 to 240; default 12.
    pub after_minutes: u32,
    /// Threads, 1 to 64; default 2. They change nothing but the time it takes.
    pub threads: usize,
    /// Only faults whose id begins so, or those of the [scenario](crate::arena::faults::SCENARIOS) of this number; default all.
    pub only: Option<String>,
    /// What raw confidences are worth; default none, and every confidence is marked as uncalibrated. Fit it on other seeds.
    pub calibration: Option<Calibrator>,
    /// Plant the name of each fault where the pipeline can read it. For the proof that the leak audit works.
    pub leaky: bool,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            first_seed: 1,
            of_each: 7,
            nulls: 70,
            held_out: false,
            learn_minutes: 45,
            watch_minutes: 40,
            after_minutes: 12,
            threads: 2,
            only: None,
            calibration: None,
            leaky: false,
        }
    }
}

impl RunConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`EvalError::Config`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), EvalError> {
        let check = |ok: bool, field: &'static str, value: String, allowed: &'static str| {
            if ok { Ok(()) } else { Err(EvalError::Config { field, value, allowed }) }
        };
        check(self.of_each <= 1000, "of_each", self.of_each.to_string(), "0 to 1000")?;
        check(self.nulls <= 100_000, "nulls", self.nulls.to_string(), "0 to 100,000")?;
        let minutes = self.learn_minutes;
        check((20..=240).contains(&minutes), "learn_minutes", minutes.to_string(), "20 to 240")?;
        let minutes = self.watch_minutes;
        check((10..=240).contains(&minutes), "watch_minutes", minutes.to_string(), "10 to 240")?;
        let minutes = self.after_minutes;
        check((5..=240).contains(&minutes), "after_minutes", minutes.to_string(), "5 to 240")?;
        check((1..=64).contains(&self.threads), "threads", self.threads.to_string(), "1 to 64")
    }

    /// Seed of episode `index`; the halves never meet.
    #[must_use]
    pub fn seed(&self, index: u64) -> u64 {
        let half: &[u8] = if self.held_out { b"aiops arena, held out" } else { b"aiops arena, development" };
        let mut hasher = blake3::Hasher::new();
        hasher.update(half).update(&self.first_seed.wrapping_add(index).to_le_bytes());
        let hash = hasher.finalize();
        hash.as_bytes().iter().take(8).fold(0, |seed, b| seed << 8 | u64::from(*b))
    }
}
