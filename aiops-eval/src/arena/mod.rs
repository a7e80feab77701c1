//! The arena: simulated systems in which faults have causes and actions have consequences. // EVA-05
//!
//! An episode draws a system ([`sim`]) and, for most, a fault ([`faults`]). A pipeline sees it through the seams of
//! `aiops-core` and nothing else ([`World`]): telemetry as any source gives it, a feed of changes, and a mitigator whose actions
//! have true effects, delays and failures. All of it runs on virtual time, an episode of two hours in about a second.
//!
//! | module | what |
//! |---|---|
//! | [`sim`] | the discrete-event simulator |
//! | [`faults`] | the catalogue, and the trait by which a user adds to it |
//! | [`protocol`] | episodes, players, gold-signal classes, scores |
//! | [`trajectory`] | records, from which every number is derived again |
//! | [`audit`] | what gives a fault away, and scores without it |
//! | [`kpi`] | key figures of an incident store |
//! | [`cheats`] | pipelines that cheat, to show that it does not pay |
//! | `informed` | the pipeline told the truth: the upper bound of what lies behind the diagnosis |
//! | [`verdict`] | whether it does |
//! | [`shipped`] | the calibration of the default pipeline |
//! | [`report`] | tables, and the results page |
//! | `live` (feature `live`) | the same against real processes |
//!
//! What a pipeline can read depends on a fault by its physical effects alone.

pub mod audit;
pub mod cheats;
mod clock;
pub mod faults;
mod informed;
pub mod kpi;
#[cfg(feature = "live")]
pub mod live;
pub mod protocol;
pub mod report;
pub mod shipped;
pub mod sim;
pub(crate) mod telemetry;
pub mod trajectory;
pub mod verdict;
mod world;

use std::time::Duration;

use aiops_core::Clock;
use aiops_core::model::{FetchRequest, TimeRange};

pub use clock::VirtualClock;
pub use world::{ArenaFeed, ArenaMitigator, ArenaSource, DELETE, Deed, SILENCE, World};

use crate::EvalError;
use faults::{Fault, Site, catalogue, system_for};

/// Version of the simulator and the protocol, for people. The [`arena_hash`] tells them apart by what they do.
pub const ARENA_VERSION: &str = "5";

/// BLAKE3 over the version, the thresholds of gold-signal classes and scores, what every fault of the catalogue does to three
/// systems, and what two systems and a fleet of GPUs tell in five minutes: any change of the arena that could change a score changes
/// it.
///
/// # Errors
/// When something cannot be serialised.
pub fn arena_hash() -> Result<String, EvalError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(ARENA_VERSION.as_bytes());
    hasher.update(protocol::gold::thresholds().as_bytes());
    hasher.update(protocol::score::thresholds().as_bytes());
    let internal = |e: serde_json::Error| {
        EvalError::Judge(
            aiops_core::Error::new(aiops_core::ErrorKind::Internal, "no hash of the arena").caused_by(e),
        )
    };
    for fault in catalogue() {
        hasher.update(fault.id().as_bytes());
        for seed in 0..3 {
            let spec = system_for(fault.family(), seed);
            let injection = fault.inject(&mut Site::new(&spec, seed, 3000.0));
            hasher.update(&serde_json::to_vec(&injection).map_err(internal)?);
        }
    }
    for world in [World::new(0), World::new(1), World::fleet(0)] {
        let (ctx, clock) = (world.context(), world.clock().clone());
        let window = clock.drive(async {
            clock.sleep(Duration::from_secs(300)).await;
            let range = TimeRange::ending_at(ctx.now(), Duration::from_secs(300));
            aiops_core::seam::TelemetrySource::fetch(&world.source(), &FetchRequest::new(range), &ctx).await
        })?;
        hasher.update(&serde_json::to_vec(&window).map_err(internal)?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// How fast the simulator tells things.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Speed {
    /// Samples, lines, spans and changes.
    pub told: u64,
    /// Metric samples alone, as sources count them.
    pub samples: u64,
    /// Simulated seconds.
    pub simulated_seconds: u64,
    /// Processor seconds of this thread.
    pub seconds: f64,
}

impl Speed {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{} simulated s in {:.3} s: {:.0} samples/s, {:.0} with lines and spans\n",
            self.simulated_seconds,
            self.seconds,
            self.samples as f64 / self.seconds,
            self.told as f64 / self.seconds
        )
    }
}

/// Simulates `seeds` systems, every other one a fleet of GPUs, for two hours each on this thread and measures.
///
/// # Errors
/// When the processor time cannot be read.
pub fn measure(seeds: u64) -> Result<Speed, EvalError> {
    let begun = crate::metrics::cpu_seconds()?;
    let (mut told, mut samples) = (0, 0);
    for seed in 0..seeds {
        let world = if seed.is_multiple_of(2) { World::new(seed) } else { World::fleet(seed) };
        let clock = world.clock().clone();
        clock.drive(clock.sleep(Duration::from_secs(7200)));
        told += world.told();
        samples += world.with(|sim| sim.telemetry.samples());
    }
    let seconds = crate::metrics::cpu_seconds()? - begun;
    Ok(Speed { told, samples, simulated_seconds: seeds * 7200, seconds })
}
