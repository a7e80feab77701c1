//! What follows from a case that was closed (VER-04): the stages of the classes of action it used, in writing.

use std::collections::BTreeSet;
use std::sync::Arc;

use aiops_core::seam::{AuditEvent, AuditSink, Journal};
use aiops_core::{Case, Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::approval::ApprovalDesk;
use crate::graduation::{ActionClass, Assessment, Graduation, Seen, Stage, StageChange};

/// Learns from closed cases. To be called with every case at its end, whoever ran it; calling it twice changes nothing.
///
/// A class of action that failed since it acts alone is demoted, by a recorded decision that is also a line of the audit log. Nobody is promoted: a class whose
/// record is long, good and old enough is named, and a person [decides](Graduation::promote).
#[derive(Debug, Clone)]
pub struct Learning {
    graduation: Graduation,
    journal: Arc<dyn Journal>,
    desk: Option<ApprovalDesk>,
    audit: Option<Arc<dyn AuditSink>>,
}

/// What was learned from a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lessons {
    /// Classes that lost the right to act alone, of this case or another that came to its end meanwhile.
    pub demoted: Vec<StageChange>,
    /// How the classes that acted in the case stand now, in order of their names.
    pub classes: Vec<Assessment>,
}

impl Lessons {
    /// Classes that only suggest, and have the record for more: a person may promote them.
    pub fn ready(&self) -> impl Iterator<Item = &Assessment> {
        self.classes.iter().filter(|class| class.stage == Stage::Suggest && class.lacking.is_empty())
    }
}

impl Learning {
    /// Learns what `journal` says into `graduation`.
    pub fn new(graduation: Graduation, journal: impl Journal) -> Self {
        Self { graduation, journal: Arc::new(journal), desk: None, audit: None }
    }

    /// The same, with what people said at `desk` of diagnoses.
    #[must_use]
    pub fn with_desk(mut self, desk: ApprovalDesk) -> Self {
        self.desk = Some(desk);
        self
    }

    /// The same; decisions on stages are lines of `audit` too.
    #[must_use]
    pub fn with_audit(mut self, audit: impl AuditSink) -> Self {
        self.audit = Some(Arc::new(audit));
        self
    }

    /// Learns from `case`, which is closed.
    ///
    /// # Errors
    /// Those of the journal, the desk, the file of the stages and the audit log. What was decided by then stays decided, and until then
    /// [`Graduation`] as a guard asks a person anyway.
    pub async fn learn(&self, case: &Case, ctx: &Context) -> Result<Lessons> {
        let history = self.journal.history(ctx).await?;
        let demoted = self.graduation.review(&history, ctx).await?;
        for change in &demoted {
            self.audit(case, "demoted", json!(change), ctx).await?;
        }
        let labels = match &self.desk {
            Some(desk) => desk.labels(ctx).await?,
            None => Vec::new(),
        };
        let used: BTreeSet<ActionClass> =
            case.attempts().map(|(receipt, _)| ActionClass::of(&receipt.action)).collect();
        let mut classes = Vec::with_capacity(used.len());
        for class in used {
            let seen = Seen::of(&history).with_labels(&labels);
            classes.push(self.graduation.assess(class, seen, ctx).await?);
        }
        if !classes.is_empty() {
            self.audit(case, "assessed", json!(classes), ctx).await?;
        }
        Ok(Lessons { demoted, classes })
    }

    async fn audit(&self, case: &Case, what: &str, detail: serde_json::Value, ctx: &Context) -> Result<()> {
        let Some(audit) = &self.audit else { return Ok(()) };
        audit.append(&AuditEvent::new(ctx.now(), Some(case.id().clone()), what, detail), ctx).await
    }
}
