use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::action::{
    ApprovalDecision, ApprovalRequest, GuardId, Principal, Proposal, ReceiptRecord, Verdict,
};
use crate::case::{Case, CitedAnomaly};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Anomaly, Briefing, DetectorId, Diagnosis, FittedHash, Ranking, RecoveryReport, TelemetryWindow,
    TokenBudget,
};
use crate::seam::{
    Approver, AuditEvent, AuditSink, Compactor, Completion, Detector, Guardrail, KnowledgeBase,
    LanguageModel, Localizer, Mask, Notification, Notifier, Passage, Planner, Prompt, Rca, Review, Verifier,
};

/// Answers in order; the last one repeats. Clones share the script.
#[derive(Debug)]
pub struct Script<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Clone for Script<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Script<T> {
    /// These answers.
    pub fn of(answers: impl IntoIterator<Item = T>) -> Self {
        Self(Arc::new(Mutex::new(answers.into_iter().collect())))
    }

    fn next(&self) -> Result<T> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the script is empty"))
    }
}

macro_rules! scripted {
    ($(#[$doc:meta])* $name:ident: $answer:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Script<$answer>);

        impl $name {
            /// Answers in order; the last one repeats.
            pub fn of(answers: impl IntoIterator<Item = $answer>) -> Self {
                Self(Script::of(answers))
            }
        }
    };
}

scripted!(
    /// Finds what it was told to.
    ScriptedDetector: Vec<Anomaly>
);
scripted!(
    /// Ranks as it was told to.
    ScriptedLocalizer: Ranking
);
scripted!(
    /// Diagnoses what it was told to.
    ScriptedRca: Diagnosis
);
scripted!(
    /// Proposes what it was told to.
    ScriptedPlanner: Vec<Proposal>
);
scripted!(
    /// Says what it was told to.
    ScriptedVerifier: RecoveryReport
);
scripted!(
    /// Briefs as it was told to.
    ScriptedCompactor: Briefing
);
scripted!(
    /// Completes as it was told to.
    ScriptedLanguageModel: Completion
);

#[async_trait]
impl Detector for ScriptedDetector {
    fn id(&self) -> DetectorId {
        DetectorId("scripted".to_owned())
    }
    fn fitted(&self) -> FittedHash {
        FittedHash::of(b"scripted")
    }
    async fn detect(&self, _window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl Localizer for ScriptedLocalizer {
    async fn localize(&self, _: &TelemetryWindow, _: &[CitedAnomaly], ctx: &Context) -> Result<Ranking> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl Rca for ScriptedRca {
    async fn diagnose(&self, _case: &Case, ctx: &Context) -> Result<Diagnosis> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl Planner for ScriptedPlanner {
    async fn plan(&self, _case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl Verifier for ScriptedVerifier {
    async fn verify(&self, _: &ReceiptRecord, _: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl Compactor for ScriptedCompactor {
    async fn compact(&self, _: &TelemetryWindow, _: TokenBudget, ctx: &Context) -> Result<Briefing> {
        ctx.check()?;
        self.0.next()
    }
}

#[async_trait]
impl LanguageModel for ScriptedLanguageModel {
    async fn complete(&self, _prompt: &Prompt, ctx: &Context) -> Result<Completion> {
        ctx.check()?;
        let completion = self.0.next()?;
        ctx.tokens().take(completion.tokens)?;
        Ok(completion)
    }
}

/// A guard with one verdict for everything.
#[derive(Debug, Clone)]
pub struct FixedGuard {
    /// Its name.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
}

impl FixedGuard {
    /// A guard `name` that says `verdict`.
    pub fn new(name: impl Into<String>, verdict: Verdict) -> Self {
        Self { name: name.into(), verdict }
    }
}

#[async_trait]
impl Guardrail for FixedGuard {
    fn id(&self) -> GuardId {
        GuardId(self.name.clone())
    }
    async fn check(&self, _review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        ctx.check()?;
        Ok(self.verdict.clone())
    }
}

/// Answers requests as it was told to, and remembers them. Clones share the memory.
#[derive(Debug, Clone)]
pub struct ScriptedApprover {
    who: Principal,
    answers: Script<bool>,
    asked: Arc<Mutex<Vec<ApprovalRequest>>>,
}

impl ScriptedApprover {
    /// `who` answers in this order; the last answer repeats.
    pub fn of(who: Principal, answers: impl IntoIterator<Item = bool>) -> Self {
        Self { who, answers: Script::of(answers), asked: Arc::default() }
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<ApprovalRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Approver for ScriptedApprover {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        ctx.check()?;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let granted = self.answers.next()?;
        Ok(ApprovalDecision {
            approver: self.who.clone(),
            granted,
            reason: "scripted".to_owned(),
            at: ctx.now(),
        })
    }
}

/// Keeps notifications. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RecordingNotifier(Arc<Mutex<Vec<Notification>>>);

impl RecordingNotifier {
    /// What was handed over so far.
    #[must_use]
    pub fn sent(&self) -> Vec<Notification> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    async fn notify(&self, notification: &Notification, ctx: &Context) -> Result<()> {
        ctx.check()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(notification.clone());
        Ok(())
    }
}

/// Keeps audit events. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RecordingAudit(Arc<Mutex<Vec<AuditEvent>>>);

impl RecordingAudit {
    /// Everything appended so far.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl AuditSink for RecordingAudit {
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()> {
        ctx.check()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        Ok(())
    }
}

/// Passages in memory, found by the number of query words they hold.
#[derive(Debug, Clone, Default)]
pub struct InMemoryKnowledge(pub Vec<Passage>);

#[async_trait]
impl KnowledgeBase for InMemoryKnowledge {
    async fn search(&self, query: &str, top: usize, ctx: &Context) -> Result<Vec<Passage>> {
        ctx.check()?;
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<Passage> = self
            .0
            .iter()
            .filter_map(|p| {
                let text = p.text.to_lowercase();
                let hits = words.iter().filter(|w| text.contains(w.as_str())).count();
                let score = f64::from(u32::try_from(hits).unwrap_or(u32::MAX));
                (hits > 0).then(|| Passage { score, ..p.clone() })
            })
            .collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.source.cmp(&b.source)));
        found.truncate(top);
        Ok(found)
    }
}

/// Replaces every occurrence of one secret by `[masked]`.
#[derive(Debug, Clone)]
pub struct FixedMask(pub String);

impl Mask for FixedMask {
    fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.0.is_empty() || !text.contains(&self.0) {
            return Cow::Borrowed(text);
        }
        // What stands in place of the secret may itself hold it ("mask"); masked twice is still masked once.
        const TOKEN: &str = "[masked]";
        let parts = text.split(TOKEN).map(|part| part.replace(&self.0, TOKEN));
        let masked = parts.collect::<Vec<_>>().join(TOKEN);
        if masked == text { Cow::Borrowed(text) } else { Cow::Owned(masked) }
    }
}
