#![doc = include_str!("../README.md")]
//!
//! # Crates
//!
//! This crate only re-exports. `default = []`: a feature adds a backend or tokenizers and never changes behaviour.
//!
//! | module | crate | feature |
//! |---|---|---|
//! | [`core`] | `aiops-core`: model, seams, guards, pipeline, fakes | always |
//! | [`compact`] | `aiops-compact`: masking, telemetry to briefings | always; real tokenizers: `tokenizer` |
//! | [`detect`] | `aiops-detect`: detectors | always |
//! | [`rca`] | `aiops-rca`: localisation and root cause | always |
//! | [`act`] | `aiops-act`: guards, planning, verification | always |
//! | `prometheus` | `aiops-prometheus`: Prometheus, VictoriaMetrics, scraping | `backend-prometheus` |
//! | `process` | `aiops-process`: local process supervisor | `backend-process` |
//! | `biscuit` | `aiops-biscuit`: credentials of single actions | `backend-biscuit` |
//! | `redis` | `aiops-redis`: what several instances share | `backend-redis` |
//! | `cedar` | `aiops-cedar`: policies in Cedar | `backend-cedar` |
//! | `approvals` | `aiops-approvals`: HTTP API for approvals | `backend-approvals` |
//!
//! Not among them: `aiops-testkit`, a dev-dependency of those who implement a seam.

pub use aiops_act as act;
#[cfg(feature = "backend-approvals")]
pub use aiops_approvals as approvals;
#[cfg(feature = "backend-biscuit")]
pub use aiops_biscuit as biscuit;
#[cfg(feature = "backend-cedar")]
pub use aiops_cedar as cedar;
pub use aiops_compact as compact;
pub use aiops_core as core;
pub use aiops_detect as detect;
#[cfg(feature = "backend-process")]
pub use aiops_process as process;
#[cfg(feature = "backend-prometheus")]
pub use aiops_prometheus as prometheus;
pub use aiops_rca as rca;
#[cfg(feature = "backend-redis")]
pub use aiops_redis as redis;

/// What composing a pipeline needs: `use aiops::prelude::*;`.
pub mod prelude {
    pub use aiops_core::action::{Action, Mode, Operation, Principal, Proposal};
    pub use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch};
    pub use aiops_core::layer::LayerExt;
    pub use aiops_core::model::{EntityId, FetchRequest, TelemetryWindow, TimeRange};
    pub use aiops_core::pipeline::{Look, Pipeline, PipelineConfig, Trigger};
    pub use aiops_core::seam::{
        Approver, ChangeFeed, Compactor, Detector, Guardrail, Journal, Localizer, Mitigator, Notifier,
        Planner, Rca, TelemetrySource, Verifier,
    };
    pub use aiops_core::{
        Case, CaseStatus, Clock, CompositeSource, Context, Error, ErrorKind, ManualClock, Result, SystemClock,
    };
}
