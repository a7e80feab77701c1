use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use aiops_core::action::{ActionOutcome, GuardId, IncidentId, Principal, Verdict};
use aiops_core::model::{Anomaly, DetectorId, EntityId, Recovery, time};
use aiops_core::pipeline::Trigger;
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Case, CaseEntry, CasePart, Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use jiff::Timestamp;

use super::config::ForetoldConfig;
use super::record::{Foretelling, Judgement, Line, Outcome, Record, Tally};
use crate::guards::{guard_id, is_own_revert};
use crate::ledger::Keeper;

/// The record of predictions, in one file, and the guard that asks a person until it is good enough. Clones share it.
///
/// A proposal of which somebody felt something already is none of its business. Where several detectors foretold a case, the record of each
/// must be good enough: what is to be done may rest on any of them.
///
/// # Errors
/// [`ErrorKind::Malformed`] with [`Damage`](crate::ledger::Damage) as its source when the file is not as it was written. A guard that cannot read the
/// file denies.
#[derive(Debug, Clone)]
pub struct Foretold {
    keeper: Keeper<Arc<Record>>,
    config: ForetoldConfig,
}

impl Foretold {
    /// Opens the record at `path`, or creates it with nothing foretold.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for settings out of range; [`ErrorKind::Malformed`] for a damaged file; [`ErrorKind::Unavailable`] for one that
    /// cannot be read.
    pub fn open(path: impl AsRef<Path>, config: ForetoldConfig) -> Result<Self> {
        config.validate()?;
        let blank = Arc::new(Record::new(config.most));
        Ok(Self { keeper: Keeper::open(path.as_ref(), blank)?, config })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &ForetoldConfig {
        &self.config
    }

    /// Writes down what `case`, open or closed, shows by the `trigger` that opened it: that it was foretold, that users felt it later, that something
    /// was done; and of earlier predictions about the same systems, that users felt them. Hand it every case, those that users felt
    /// from the first among them. What is known already changes nothing, so it may be called as often as one likes, by any replica.
    /// Returns what was news. O(entries of the case + predictions kept).
    ///
    /// # Errors
    /// The file's own.
    pub async fn note(&self, case: &Case, trigger: &Trigger, ctx: &Context) -> Result<Vec<Line>> {
        let seen = Seen::of(case, trigger);
        let record = self.record(ctx).await?;
        let mut lines = Vec::new();
        if let Some(foretold) = &seen.foretold {
            let incident = case.id().clone();
            let at = case.opened_at();
            let until = time::after(at, self.config.horizon(&foretold.by));
            let (by, about) = (foretold.by.clone(), foretold.about.clone());
            lines.push(Line::Foretold { incident: incident.clone(), by, about, at, until });
            lines.extend(seen.felt.map(|at| Line::Felt { incident: incident.clone(), at }));
            lines.extend(acted(case).map(|(at, recovered)| Line::Acted { incident, at, recovered }));
        }
        if let Some(felt) = seen.felt {
            let came = |f: &&Foretelling| {
                f.incident != *case.id()
                    && f.felt.is_none()
                    && (f.at..=f.until).contains(&felt)
                    && !f.about.is_disjoint(&seen.concerned)
            };
            lines.extend(
                record.all().filter(came).map(|f| Line::Felt { incident: f.incident.clone(), at: felt }),
            );
        }
        drop(record);
        if lines.is_empty() {
            return Ok(lines);
        }
        self.keeper.write(lines).await
    }

    /// Writes down a prediction that no case was opened for, such as one of a [capacity planner](crate::CapacityPlanner::ahead), by `detectors`, of
    /// `about`, under the incident of its proposal. Cases that users feel are then found to have been foretold by it ([`note`](Self::note)). Whether it
    /// was news.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where nobody foretold it; the file's own.
    pub async fn foretell(
        &self,
        incident: &IncidentId,
        detectors: &BTreeSet<DetectorId>,
        about: impl IntoIterator<Item = EntityId>,
        ctx: &Context,
    ) -> Result<bool> {
        let at = ctx.now();
        let until = time::after(at, self.config.horizon(detectors));
        let (incident, by, about) = (incident.clone(), detectors.clone(), about.into_iter().collect());
        let news = self.keeper.write(vec![Line::Foretold { incident, by, about, at, until }]).await?;
        Ok(!news.is_empty())
    }

    /// Writes down that something was done about such a prediction, and whether telemetry showed what was wanted. For cases
    /// [`note`](Self::note) does it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an incident that foretold nothing; the file's own.
    pub async fn acted(&self, incident: &IncidentId, recovered: bool, ctx: &Context) -> Result<()> {
        self.of(incident, ctx).await?;
        let line = Line::Acted { incident: incident.clone(), at: ctx.now(), recovered };
        self.keeper.write(vec![line]).await.map(drop)
    }

    /// Writes down that `by` vouches that nobody did anything about the prediction of `incident`, as a change feed can that sees all
    /// changes. Without that nobody knows whether what did not come was prevented by hand.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a case that foretold nothing; [`ErrorKind::Conflict`] where we acted; the file's own.
    pub async fn left_alone(&self, incident: &IncidentId, by: Principal, ctx: &Context) -> Result<()> {
        if self.of(incident, ctx).await?.acted.is_some() {
            return Err(
                Error::new(ErrorKind::Conflict, "something was done about it").with("incident", incident)
            );
        }
        let line = Line::LeftAlone { incident: incident.clone(), by, at: ctx.now() };
        self.keeper.write(vec![line]).await.map(drop)
    }

    /// Writes down what a person says of the prediction of `incident`. The last word counts, and what users felt in time counts more.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a case that foretold nothing; [`ErrorKind::Invalid`] for nobody, or no reason; the file's own.
    pub async fn judge(
        &self,
        incident: &IncidentId,
        judgement: Judgement,
        by: Principal,
        reason: impl Into<String>,
        ctx: &Context,
    ) -> Result<()> {
        let reason = reason.into();
        if reason.trim().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a judgement has a reason").with("incident", incident));
        }
        self.of(incident, ctx).await?;
        let line = Line::Judged { incident: incident.clone(), judgement, by, reason, at: ctx.now() };
        self.keeper.write(vec![line]).await.map(drop)
    }

    /// What became of the prediction of `incident`, as known now.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a case that foretold nothing; the file's own.
    pub async fn outcome(&self, incident: &IncidentId, ctx: &Context) -> Result<Outcome> {
        Ok(self.of(incident, ctx).await?.outcome(ctx.now()))
    }

    /// Every prediction that is kept, in the order they were made.
    ///
    /// # Errors
    /// The file's own.
    pub async fn foretellings(&self, ctx: &Context) -> Result<Vec<Foretelling>> {
        Ok(self.record(ctx).await?.all().cloned().collect())
    }

    /// What became of the predictions of `detector`, or of all, that count now.
    ///
    /// # Errors
    /// The file's own.
    pub async fn tally(&self, detector: Option<&DetectorId>, ctx: &Context) -> Result<Tally> {
        Ok(self.record(ctx).await?.tally(detector, ctx.now(), self.config.memory))
    }

    /// What `detector` lacks for acting alone, in words; `None` when its record is enough.
    ///
    /// # Errors
    /// The file's own.
    pub async fn lacking(&self, detector: &DetectorId, ctx: &Context) -> Result<Option<String>> {
        Ok(self.config.lacking(&self.tally(Some(detector), ctx).await?))
    }

    async fn of(&self, incident: &IncidentId, ctx: &Context) -> Result<Foretelling> {
        let none = || Error::new(ErrorKind::NotFound, "the case foretold nothing").with("incident", incident);
        self.record(ctx).await?.get(incident).cloned().ok_or_else(none)
    }

    async fn record(&self, ctx: &Context) -> Result<Arc<Record>> {
        ctx.check()?;
        self.keeper.view().await
    }
}

#[async_trait]
impl Guardrail for Foretold {
    fn id(&self) -> GuardId {
        guard_id("foretold")
    }

    async fn check(&self, review: &Review<'_>, ctx: &Context) -> Result<Verdict> {
        let by = &review.proposal.foretold_by;
        if by.is_empty() {
            return Ok(Verdict::allow("it is felt already"));
        }
        if is_own_revert(review) {
            return Ok(Verdict::allow("undoes our own action"));
        }
        let record = self.record(ctx).await?;
        for detector in by {
            // By the clock of the review, as every guard.
            let tally = record.tally(Some(detector), review.now, self.config.memory);
            if let Some(lacking) = self.config.lacking(&tally) {
                return Ok(Verdict::needs_approval(format!("{} only suggests: {lacking}", detector.0)));
            }
        }
        let names: Vec<&str> = by.iter().map(|detector| detector.0.as_str()).collect();
        Ok(Verdict::allow(format!("the record of {} permits it", names.join(", "))))
    }
}

/// What a case shows by its trigger.
struct Seen {
    /// What foretold it, where nobody felt anything when it was opened.
    foretold: Option<Opening>,
    /// When users were first seen to feel it.
    felt: Option<Timestamp>,
    /// Systems whose trouble it was: those felt, and those diagnosed.
    concerned: BTreeSet<EntityId>,
}

struct Opening {
    by: BTreeSet<DetectorId>,
    about: BTreeSet<EntityId>,
}

impl Seen {
    fn of(case: &Case, trigger: &Trigger) -> Self {
        let looks: Vec<(&CaseEntry, Vec<&Anomaly>)> = case
            .entries()
            .iter()
            .filter_map(|entry| match &entry.part {
                CasePart::Detected(found) => Some((entry, found.iter().map(|a| &a.anomaly).collect())),
                _ => None,
            })
            .collect();
        let feels = |found: &[&Anomaly]| found.iter().any(|a| trigger.feels(a));
        let opening = looks.first().filter(|(_, found)| !feels(found));
        let foretold = opening.and_then(|(_, found)| {
            let told = || found.iter().filter(|a| trigger.foretells(a));
            let by: BTreeSet<DetectorId> = told().map(|a| a.detector.clone()).collect();
            let about = told().map(|a| a.entity.clone()).collect();
            (!by.is_empty()).then_some(Opening { by, about })
        });
        let felt = looks.iter().find(|(_, found)| feels(found)).map(|(entry, _)| entry.at);
        let mut concerned: BTreeSet<EntityId> = looks
            .iter()
            .flat_map(|(_, found)| found)
            .filter(|a| trigger.feels(a))
            .map(|a| a.entity.clone())
            .collect();
        concerned.extend(case.diagnosis().and_then(|d| d.cause()).map(|cause| cause.system.clone()));
        Self { foretold, felt, concerned }
    }
}

/// When an action for `case` was last carried out, or nobody knows whether it was, and whether all was back to normal after it.
fn acted(case: &Case) -> Option<(Timestamp, bool)> {
    let begun = |outcome: &ActionOutcome| !matches!(outcome, ActionOutcome::NotStarted { .. });
    let ran = case.attempts().filter(|(receipt, _)| begun(&receipt.outcome)).last();
    let ran = ran.map(|(receipt, recovery)| (receipt.finished_at, recovery == Some(Recovery::Recovered)));
    let doubt = case.entries().iter().rev().find(|e| matches!(e.part, CasePart::InDoubt { .. }));
    ran.into_iter().chain(doubt.map(|e| (e.at, false))).max_by_key(|(at, recovered)| (*at, !recovered))
}
