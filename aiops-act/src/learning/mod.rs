//! What follows from cases that were closed (VER-04), in writing: stages of the classes of action they used, what those classes
//! [taught](crate::learned), and a calibration that was fitted anew.
//!
//! | what | by itself | by a person | taken back by |
//! |---|---|---|---|
//! | stage of a class | demoted when it fails | promoted, once it has the record | the other of the two |
//! | confidence asked for | raised | lowered, once the record allows it | [`Learning::revert`] |
//! | belief in harm, by which plans are ordered | moved by every outcome | | [`Learning::revert`] |
//! | right of a prediction to act | granted and lost by the measured false alarms ([`foretold`](crate::foretold)) | judged case by case | its evidence, which ages |
//! | calibration of confidences | fitted, and registered as a candidate | [promoted](crate::FittedRegistry::promote) | [`FittedRegistry::roll_back`] |
//!
//! What makes the system bolder is proposed and decided by a person; what makes it more careful is not put off.

mod refit;

use std::collections::BTreeSet;
use std::sync::Arc;

use aiops_core::action::{History, Principal};
use aiops_core::model::FittedHash;
use aiops_core::pipeline::Trigger;
use aiops_core::seam::{AuditEvent, AuditSink, Journal};
use aiops_core::{Case, Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::refit::{Judge, JudgedDiagnosis, Refit, judged};
use crate::approval::{ApprovalDesk, ApprovalLabel};
use crate::fitted::{FittedEntry, FittedRegistry};
use crate::foretold::{Foretold, Line};
use crate::graduation::{ActionClass, Assessment, Graduation, Seen, Stage, StageChange};
use crate::learned::{Change, ChangeId, LEARNER, Learned, Looser};

/// Learns from closed cases. To be called with every case at its end, whoever ran it; calling it twice changes nothing.
///
/// A class of action that failed since it acts alone is demoted, by a recorded decision that is also a line of the audit log. Nobody is promoted: a class whose
/// record is long, good and old enough is named, and a person [decides](Graduation::promote). The same holds for [what is learned](Learned) beside it. What came
/// to its end while nobody learned, as before a crash, is caught up on with the next case.
#[derive(Debug, Clone)]
pub struct Learning {
    graduation: Graduation,
    journal: Arc<dyn Journal>,
    learned: Option<Learned>,
    refit: Option<(FittedRegistry, Arc<dyn Refit>)>,
    foretold: Option<(Foretold, Trigger)>,
    desk: Option<ApprovalDesk>,
    audit: Option<Arc<dyn AuditSink>>,
}

/// What was learned from a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lessons {
    /// Classes that lost the right to act alone, of this case or another that came to its end meanwhile.
    pub demoted: Vec<StageChange>,
    /// How the classes that acted in the case stand now, in order of their names.
    pub classes: Vec<Assessment>,
    /// What was taught by outcomes and answers that had not taught before, of this case or others, oldest first.
    #[serde(default)]
    pub taught: Vec<Change>,
    /// Lower floors that the record allows: a person may [accept](Learning::accept) them.
    #[serde(default)]
    pub looser: Vec<Looser>,
    /// A state that was fitted anew and is a candidate now: a person may promote it.
    #[serde(default)]
    pub refitted: Option<FittedEntry>,
    /// What the case says of predictions, its own or earlier ones, that was not known.
    #[serde(default)]
    pub foretold: Vec<Line>,
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
        let journal = Arc::new(journal);
        Self { graduation, journal, learned: None, refit: None, foretold: None, desk: None, audit: None }
    }

    /// The same; outcomes and answers teach `learned` too.
    #[must_use]
    pub fn with_learned(mut self, learned: Learned) -> Self {
        self.learned = Some(learned);
        self
    }

    /// The same; judged diagnoses are fitted by `refit`, and what comes of it is a candidate in `registry`.
    #[must_use]
    pub fn with_refit(mut self, registry: FittedRegistry, refit: impl Refit) -> Self {
        self.refit = Some((registry, Arc::new(refit)));
        self
    }

    /// The same; what cases say of predictions, by the `trigger` that opened them, goes to the record `foretold`.
    #[must_use]
    pub fn with_foretold(mut self, foretold: Foretold, trigger: Trigger) -> Self {
        self.foretold = Some((foretold, trigger));
        self
    }

    /// The same, with what people said at `desk` of diagnoses.
    #[must_use]
    pub fn with_desk(mut self, desk: ApprovalDesk) -> Self {
        self.desk = Some(desk);
        self
    }

    /// The same; what is decided and learned are lines of `audit` too, once they are in their files.
    #[must_use]
    pub fn with_audit(mut self, audit: impl AuditSink) -> Self {
        self.audit = Some(Arc::new(audit));
        self
    }

    /// Learns from `case`, which is closed.
    ///
    /// # Errors
    /// Those of the journal, the desk, the files of stages and of what was learned, the registry, `refit` and the audit log. What was decided
    /// by then stays decided, and is not told to the audit log later: the files of stages and of what was learned have it. Until then
    /// [`Graduation`] and [`Learned`] as guards ask a person anyway.
    pub async fn learn(&self, case: &Case, ctx: &Context) -> Result<Lessons> {
        let history = self.journal.history(ctx).await?;
        let demoted = self.graduation.review(&history, ctx).await?;
        for change in &demoted {
            self.audit(Some(case), "demoted", json!(change), ctx).await?;
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
            self.audit(Some(case), "assessed", json!(classes), ctx).await?;
        }
        let (mut taught, mut looser) = (Vec::new(), Vec::new());
        if let Some(learned) = &self.learned {
            taught = learned.learn(&history, &labels, ctx).await?;
            looser = learned.looser(ctx).await?;
            for change in &taught {
                self.audit(Some(case), "learned", json!(change), ctx).await?;
            }
            if !taught.is_empty() && !looser.is_empty() {
                self.audit(Some(case), "proposed a lower floor", json!(looser), ctx).await?;
            }
        }
        let foretold = match &self.foretold {
            Some((record, trigger)) => record.note(case, trigger, ctx).await?,
            None => Vec::new(),
        };
        if !foretold.is_empty() {
            self.audit(Some(case), "saw what became of predictions", json!(foretold), ctx).await?;
        }
        let refitted = self.refit(case, &history, &labels, ctx).await?;
        Ok(Lessons { demoted, classes, taught, looser, refitted, foretold })
    }

    /// Lets a lower floor come into force, by the decision of `by`, in the file and the audit log.
    ///
    /// # Errors
    /// As [`Learned::accept`]; [`ErrorKind::Unsupported`] where nothing is learned beside stages; those of the audit log, after it was
    /// decided.
    pub async fn accept(
        &self,
        looser: &Looser,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<Change> {
        let change = self.learned()?.accept(looser, by, reason, ctx).await?;
        self.audit(None, "lowered a floor", json!(change), ctx).await?;
        Ok(change)
    }

    /// Takes a change back, by the decision of `by`, in the file and the audit log.
    ///
    /// # Errors
    /// As [`Learned::revert`] and [`accept`](Self::accept).
    pub async fn revert(
        &self,
        of: ChangeId,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<Change> {
        let change = self.learned()?.revert(of, by, reason, ctx).await?;
        self.audit(None, "took back what was learned", json!(change), ctx).await?;
        Ok(change)
    }

    fn learned(&self) -> Result<&Learned> {
        let none = || Error::new(ErrorKind::Unsupported, "only stages are learned here");
        self.learned.as_ref().ok_or_else(none)
    }

    /// A candidate, unless the same state is registered already, in whatever role.
    async fn refit(
        &self,
        case: &Case,
        history: &History,
        labels: &[ApprovalLabel],
        ctx: &Context,
    ) -> Result<Option<FittedEntry>> {
        let Some((registry, refit)) = &self.refit else { return Ok(None) };
        let judged = judged(history, labels);
        let Some(state) = refit.refit(&judged, ctx).await? else { return Ok(None) };
        let known =
            |entries: &[FittedEntry], hash: &FittedHash| entries.iter().any(|e| e.state.hash == *hash);
        if known(&registry.entries(&state.kind, ctx).await?, &state.hash) {
            return Ok(None);
        }
        let reason = format!("{} judged diagnoses, the last in {}", judged.len(), case.id());
        let entry = match registry.register(state, Principal::new(LEARNER), reason, ctx).await {
            Ok(entry) => entry,
            // Another replica was first.
            Err(e) if e.kind() == ErrorKind::Conflict => return Ok(None),
            Err(e) => return Err(e),
        };
        self.audit(Some(case), "refitted", json!({ "state": entry, "judged": judged }), ctx).await?;
        Ok(Some(entry))
    }

    async fn audit(
        &self,
        case: Option<&Case>,
        what: &str,
        detail: serde_json::Value,
        ctx: &Context,
    ) -> Result<()> {
        let Some(audit) = &self.audit else { return Ok(()) };
        let incident = case.map(|case| case.id().clone());
        audit.append(&AuditEvent::new(ctx.now(), incident, what, detail), ctx).await
    }
}
