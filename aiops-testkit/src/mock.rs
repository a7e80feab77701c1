//! `mockall` mocks of every seam, to expect calls and their order.
//!
//! Where a test needs behaviour, the fakes in [`aiops_core::fake`] are shorter and obey the contracts; a mock obeys nothing.
//!
//! ```
//! use aiops_core::model::{FetchRequest, TelemetryWindow};
//! use aiops_core::seam::TelemetrySource as _;
//! use aiops_testkit::{mock::MockTelemetrySource, sample};
//!
//! let mut source = MockTelemetrySource::new();
//! source.expect_fetch().times(1).returning(|request, _| Ok(TelemetryWindow::new(request.range)));
//! let request = FetchRequest::new(sample::range());
//! let window = futures_lite::future::block_on(source.fetch(&request, &sample::context()))?;
//! assert!(window.metrics.is_empty());
//! # Ok::<(), aiops_core::Error>(())
//! ```
#![allow(missing_docs, reason = "generated; the methods are those of the seams with `expect_` before them")]

use std::borrow::Cow;
use std::sync::Arc;

use aiops_core::action::{
    Action, ActionStatus, ApprovalDecision, ApprovalRequest, GuardId, History, IdempotencyKey, JournalEntry,
    Mode, Preview, Proposal, ReceiptRecord, Sequence, Verdict,
};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::model::{
    Anomaly, Briefing, Change, DetectorId, Diagnosis, FetchRequest, FittedHash, Ranking, RecoveryReport,
    TelemetryWindow, TimeRange, TokenBudget,
};
use aiops_core::seam::{
    Approver, AuditEvent, AuditSink, ChangeFeed, Compactor, Completion, Delivered, Detector, Event, EventBus,
    Guardrail, Journal, KnowledgeBase, LanguageModel, Localizer, Mask, Mitigator, MitigatorCapability,
    Notification, Notifier, Offset, Passage, Planner, Prompt, Rca, Review, SourceCapability, TelemetrySource,
    Topic, Verifier,
};
use aiops_core::{Case, CitedAnomaly, Context, Result};
use async_trait::async_trait;
use mockall::mock;

mock! {
    /// Mock of [`TelemetrySource`].
    #[derive(Debug)]
    pub TelemetrySource {}
    #[async_trait]
    impl TelemetrySource for TelemetrySource {
        fn capability(&self) -> SourceCapability;
        async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow>;
    }
}

mock! {
    /// Mock of [`Detector`].
    #[derive(Debug)]
    pub Detector {}
    #[async_trait]
    impl Detector for Detector {
        fn id(&self) -> DetectorId;
        fn fitted(&self) -> FittedHash;
        async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>>;
    }
}

mock! {
    /// Mock of [`Localizer`].
    #[derive(Debug)]
    pub Localizer {}
    #[async_trait]
    impl Localizer for Localizer {
        async fn localize(
            &self, window: &TelemetryWindow, anomalies: &[CitedAnomaly], ctx: &Context,
        ) -> Result<Ranking>;
    }
}

mock! {
    /// Mock of [`Rca`].
    #[derive(Debug)]
    pub Rca {}
    #[async_trait]
    impl Rca for Rca {
        async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis>;
    }
}

mock! {
    /// Mock of [`Guardrail`]. Expect [`judge`](MockGuardrail::judge): `mockall` cannot expect calls with a [`Review`], which
    /// borrows its parts, so the mock hands proposal and mode on.
    #[derive(Debug)]
    pub Guardrail {
        pub fn name(&self) -> GuardId;
        pub fn judge(&self, proposal: &Proposal, mode: Mode) -> Result<Verdict>;
    }
}

#[async_trait]
impl Guardrail for MockGuardrail {
    fn id(&self) -> GuardId {
        self.name()
    }

    async fn check(&self, review: &Review<'_>, _: &Context) -> Result<Verdict> {
        self.judge(review.proposal, review.mode)
    }
}

mock! {
    /// Mock of [`Mitigator`]. To answer with a [`Receipt`] it has to spend what it was handed, like everybody.
    #[derive(Debug)]
    pub Mitigator {}
    #[async_trait]
    impl Mitigator for Mitigator {
        fn capability(&self) -> MitigatorCapability;
        async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview>;
        async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt>;
        async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus>;
    }
}

mock! {
    /// Mock of [`Verifier`].
    #[derive(Debug)]
    pub Verifier {}
    #[async_trait]
    impl Verifier for Verifier {
        async fn verify(
            &self, receipt: &ReceiptRecord, detected: &[Anomaly], ctx: &Context,
        ) -> Result<RecoveryReport>;
    }
}

mock! {
    /// Mock of [`Compactor`].
    #[derive(Debug)]
    pub Compactor {}
    #[async_trait]
    impl Compactor for Compactor {
        async fn compact(&self, window: &TelemetryWindow, budget: TokenBudget, ctx: &Context) -> Result<Briefing>;
    }
}

mock! {
    /// Mock of [`Planner`].
    #[derive(Debug)]
    pub Planner {}
    #[async_trait]
    impl Planner for Planner {
        async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>>;
    }
}

mock! {
    /// Mock of [`Approver`].
    #[derive(Debug)]
    pub Approver {}
    #[async_trait]
    impl Approver for Approver {
        async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision>;
    }
}

mock! {
    /// Mock of [`Notifier`].
    #[derive(Debug)]
    pub Notifier {}
    #[async_trait]
    impl Notifier for Notifier {
        async fn notify(&self, notification: &Notification, ctx: &Context) -> Result<()>;
    }
}

mock! {
    /// Mock of [`AuditSink`].
    #[derive(Debug)]
    pub AuditSink {}
    #[async_trait]
    impl AuditSink for AuditSink {
        async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()>;
    }
}

mock! {
    /// Mock of [`Journal`].
    #[derive(Debug)]
    pub Journal {}
    #[async_trait]
    impl Journal for Journal {
        async fn append(
            &self, entry: &JournalEntry, expected: Option<Sequence>, ctx: &Context,
        ) -> Result<Sequence>;
        async fn history(&self, ctx: &Context) -> Result<Arc<History>>;
    }
}

mock! {
    /// Mock of [`ChangeFeed`].
    #[derive(Debug)]
    pub ChangeFeed {}
    #[async_trait]
    impl ChangeFeed for ChangeFeed {
        async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>>;
    }
}

mock! {
    /// Mock of [`KnowledgeBase`].
    #[derive(Debug)]
    pub KnowledgeBase {}
    #[async_trait]
    impl KnowledgeBase for KnowledgeBase {
        async fn search(&self, query: &str, top: usize, ctx: &Context) -> Result<Vec<Passage>>;
    }
}

mock! {
    /// Mock of [`LanguageModel`].
    #[derive(Debug)]
    pub LanguageModel {}
    #[async_trait]
    impl LanguageModel for LanguageModel {
        async fn complete(&self, prompt: &Prompt, ctx: &Context) -> Result<Completion>;
    }
}

mock! {
    /// Mock of [`EventBus`].
    #[derive(Debug)]
    pub EventBus {}
    #[async_trait]
    impl EventBus for EventBus {
        async fn publish(&self, topic: &Topic, event: &Event, ctx: &Context) -> Result<Offset>;
        async fn read(&self, topic: &Topic, after: Offset, most: usize, ctx: &Context) -> Result<Vec<Delivered>>;
    }
}

mock! {
    /// Mock of [`Mask`]. Expect [`masked`](MockMask::masked), the same with an owned answer.
    #[derive(Debug)]
    pub Mask {
        pub fn masked(&self, text: &str) -> String;
    }
}

impl Mask for MockMask {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Owned(self.masked(text))
    }
}
