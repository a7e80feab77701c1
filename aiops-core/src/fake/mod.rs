//! In-memory implementations of every seam, always compiled, for tests of pipelines.
//!
//! [`InMemorySource`], [`InMemoryJournal`], [`InMemoryBus`] and [`InMemoryMitigator`] really do what their seams promise, in
//! memory. The `Scripted…` ones answer what they were told to, in order, and then repeat the last answer.

mod bus;
mod journal;
mod mitigator;
mod scripted;
mod source;

pub use bus::InMemoryBus;
pub use journal::InMemoryJournal;
pub use mitigator::{InMemoryMitigator, Mishap, SimulatedWorkload};
pub use scripted::{
    FixedGuard, FixedMask, InMemoryKnowledge, RecordingAudit, RecordingNotifier, Script, ScriptedApprover,
    ScriptedCompactor, ScriptedDetector, ScriptedLanguageModel, ScriptedLocalizer, ScriptedPlanner,
    ScriptedRca, ScriptedVerifier,
};
pub use source::{InMemorySource, StaticChangeFeed};
