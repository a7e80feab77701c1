//! The closed loop: observe → detect → localise → diagnose → plan → guard → act → verify, and again if it did not help.
//!
//! ```text
//!  step ── look ──▶ quiet
//!           │ confirmed symptoms
//!           ▼
//!         Case ─▶ localise ─▶ diagnose ─▶ plan ─▶ guard chain ─▶ journal ─▶ mitigator ─▶ verifier
//!           ▲                                                                              │
//!           └──────── not recovered: undo, look again, re-diagnose with the failed attempt ─┘
//! ```
//!
//! While nothing may be done on what is known, a case can be looked at again for a while
//! ([`look_again`](PipelineConfig::look_again)): what is unclear two minutes after an onset often is not after five.
//!
//! A failed step, an unknown outcome, missing telemetry, a denial of every proposal or a used-up budget ends in an
//! escalation to a person with the whole case, never in improvisation.

mod act;
mod builder;
mod config;
mod confirm;
mod handle;
mod look;
mod resume;

pub use builder::{
    NeedsDetector, NeedsGuards, NeedsLocalizer, NeedsMitigator, NeedsPlanner, NeedsRca, NeedsSource,
    NeedsVerifier, PipelineBuilder, Ready,
};
pub use config::{PipelineConfig, Trigger};
pub use confirm::{Confirmation, Sighting};
pub use look::Look;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use async_lock::Semaphore;

use crate::action::IncidentId;
use crate::case::{Case, CaseEntry};
use crate::context::{Cancellation, Context};
use crate::error::Result;
use crate::guard::GuardChain;
use crate::seam::{
    AuditSink, Compactor, Detector, Localizer, Mitigator, Notification, NotificationKind, Notifier, Planner,
    Rca, TelemetrySource, Verifier,
};

/// Is told of every part as a case grows, for progress views. Called on the pipeline's own task: be quick.
pub trait CaseListener: Debug + Send + Sync + 'static {
    /// `entry` was just added to `case`.
    fn appended(&self, case: &Case, entry: &CaseEntry);
}

/// A composed pipeline. Cheap to share behind an `Arc`; every method takes `&self`.
#[derive(Debug)]
pub struct Pipeline {
    source: Arc<dyn TelemetrySource>,
    detectors: Vec<Arc<dyn Detector>>,
    localizer: Arc<dyn Localizer>,
    rca: Arc<dyn Rca>,
    planner: Arc<dyn Planner>,
    guards: GuardChain,
    mitigator: Arc<dyn Mitigator>,
    verifier: Arc<dyn Verifier>,
    compactor: Option<Arc<dyn Compactor>>,
    notifier: Option<Arc<dyn Notifier>>,
    audit: Option<Arc<dyn AuditSink>>,
    listener: Option<Arc<dyn CaseListener>>,
    config: PipelineConfig,
    /// Bounds how many cases are handled at once.
    slots: Semaphore,
    confirmation: Mutex<Confirmation<look::Symptom>>,
    /// The incident that a person took over last.
    handed_over: Mutex<Option<IncidentId>>,
}

impl Pipeline {
    /// Starts composing: each stage leads to the next, and only a whole pipeline can be built.
    #[must_use]
    pub fn builder() -> PipelineBuilder<NeedsSource> {
        PipelineBuilder::new()
    }

    /// The guard chain, with its mode and kill switch.
    #[must_use]
    pub fn guards(&self) -> &GuardChain {
        &self.guards
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// One look, and if it confirms an incident, the whole way to its end.
    ///
    /// # Errors
    /// When telemetry cannot be read or a stage before the case fails. Failures after that end in the case.
    pub async fn step(&self, ctx: &Context) -> Result<Look> {
        let _slot = ctx.bound(async { Ok(self.slots.acquire().await) }).await?;
        match self.look(ctx).await? {
            Look::Incident(case) => Ok(Look::Incident(self.handle(case, ctx).await)),
            other => Ok(other),
        }
    }

    /// Looks every [`interval`](PipelineConfig::interval) until `shutdown`, settling before each look what was left in doubt.
    ///
    /// Shutdown is graceful: no action is begun any more, undoing included, and nobody is waited for to approve one; an
    /// action under way is awaited, recorded and verified; an open case goes to a person. Returns how many cases were
    /// handled; the cases themselves are handed to the [listener](PipelineBuilder::listener) as they grow, and not kept.
    ///
    /// # Errors
    /// When the journal cannot be read at the start, or `ctx` ends.
    pub async fn run(&self, ctx: &Context, shutdown: &Cancellation) -> Result<u64> {
        let mut told = BTreeSet::new();
        self.settle(&mut told, ctx).await?;
        let (mut cases, mut blind) = (0_u64, 0_u32);
        while !shutdown.is_cancelled() {
            match self.step_until(ctx, shutdown).await {
                Ok(look) => {
                    blind = 0;
                    cases = cases.saturating_add(u64::from(matches!(look, Look::Incident(_))));
                }
                Err(e) => {
                    ctx.check()?;
                    blind = blind.saturating_add(1);
                    tracing::warn!(error = %e, looks = blind, "a look failed");
                    if blind == self.config.blind_after {
                        self.report_blindness(&e, ctx).await;
                    }
                }
            }
            let nap = ctx.sleep(self.config.interval);
            let woken = async {
                shutdown.cancelled().await;
                Ok(())
            };
            futures_lite::future::or(nap, woken).await?;
            if let Err(e) = self.settle(&mut told, ctx).await {
                ctx.check()?;
                tracing::warn!(error = %e, "what is in doubt cannot be settled now");
            }
        }
        Ok(cases)
    }

    async fn step_until(&self, ctx: &Context, shutdown: &Cancellation) -> Result<Look> {
        let _slot = ctx.bound(async { Ok(self.slots.acquire().await) }).await?;
        match self.look(ctx).await? {
            Look::Incident(case) => Ok(Look::Incident(self.handle_until(case, ctx, shutdown).await)),
            other => Ok(other),
        }
    }

    /// Not seeing is itself a finding (ING-07).
    async fn report_blindness(&self, error: &crate::Error, ctx: &Context) {
        let id = crate::action::IncidentId::new("observability-dark");
        let title = "telemetry cannot be read";
        let notice = Notification::new(id, NotificationKind::Escalation, title, error.to_string());
        self.tell(&notice, ctx).await;
    }
}
