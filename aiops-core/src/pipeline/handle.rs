//! The rounds of one case.

use std::collections::BTreeSet;
use std::future::Future;

use tracing::Instrument as _;

use super::Pipeline;
use super::act::Attempt;
use super::resume::LeftOff;
use crate::action::Proposal;
use crate::case::{Case, CasePart, CaseStatus};
use crate::context::{Cancellation, Context};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DetectorId, Diagnosis, DiagnosisStatus, Recovery, time};
use crate::seam::{Notification, NotificationKind};

/// How a round ended.
pub(super) enum Round {
    /// The case is over.
    Closed(CaseStatus),
    /// It did not help; look again and re-diagnose.
    Again,
    /// On what is known now nothing may be done.
    Unsure(String),
}

impl Pipeline {
    /// Takes a case to its end. Failures become an escalation in the case.
    pub(super) async fn handle(&self, case: Case, ctx: &Context) -> Case {
        self.handle_until(case, ctx, &Cancellation::new()).await
    }

    /// The same, beginning no action after `shutdown`.
    pub(super) async fn handle_until(&self, case: Case, ctx: &Context, shutdown: &Cancellation) -> Case {
        self.handle_from(case, None, ctx, shutdown).await
    }

    /// The same from where a former run left the case.
    pub(super) async fn handle_from(
        &self,
        mut case: Case,
        left: Option<LeftOff>,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Case {
        let span = tracing::info_span!("case", id = %case.id());
        let limited = ctx.with_timeout(self.config.case_timeout);
        let status = match self.rounds(&mut case, left, &limited, shutdown).instrument(span).await {
            Ok(status) => status,
            Err(e) => CaseStatus::Escalated { reason: e.to_string() },
        };
        if matches!(status, CaseStatus::Escalated { .. }) {
            self.hand_over(&case, ctx);
        }
        // People are told even when the case ran out of time or was cancelled.
        let last_words = ctx.detached(self.config.stage_timeout);
        self.append(&mut case, |case| case.push(ctx.now(), CasePart::Closed(status.clone())));
        self.announce(&case, &status, &last_words).await;
        case
    }

    async fn rounds(
        &self,
        case: &mut Case,
        left: Option<LeftOff>,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<CaseStatus> {
        let resumed = left.is_some();
        let untouched = matches!(left, Some(LeftOff::LookAgain));
        if let Some(left) = left
            && let Round::Closed(status) = self.rest_of_round(case, left, ctx, shutdown).await?
        {
            return Ok(status);
        }
        for round in 0..self.config.rounds {
            // What a resumed case saw last is as old as the run that saw it.
            if round > 0 || resumed {
                self.see_again(case, ctx).await?;
                // Nobody can say of what went by itself that it will not come back.
                if untouched && !self.symptoms_show(case) {
                    return Ok(escalated("its symptoms were gone when it was taken up again".to_owned()));
                }
            }
            match self.round(case, ctx, shutdown).await? {
                Round::Closed(status) => return Ok(status),
                Round::Again => {}
                Round::Unsure(reason) => {
                    if let Some(status) = self.wait_for_more(case, reason, ctx, shutdown).await? {
                        return Ok(status);
                    }
                }
            }
        }
        Ok(escalated(format!("not recovered after {} rounds", self.config.rounds)))
    }

    /// Reads and judges a window anew.
    async fn see_again(&self, case: &mut Case, ctx: &Context) -> Result<()> {
        let window = self.observe(ctx).await?;
        let anomalies = self.detect(&window, ctx).await?;
        self.append(case, |case| case.observe(ctx.now(), window));
        self.append(case, |case| case.detect(ctx.now(), anomalies));
        Ok(())
    }

    /// Whether what was judged last holds anything that opens a case.
    fn symptoms_show(&self, case: &Case) -> bool {
        case.anomalies().iter().any(|a| self.config.trigger.matches(&a.anomaly))
    }

    /// Looks again for as long as [`look_again`](super::PipelineConfig::look_again) allows, until something may be done: `None` once an
    /// action ran. While no symptom shows nothing is diagnosed, so that nothing is done about what has passed.
    async fn wait_for_more(
        &self,
        case: &mut Case,
        mut reason: String,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Option<CaseStatus>> {
        let until = time::after(case.opened_at(), self.config.look_again);
        while time::after(ctx.now(), self.config.interval) <= until && !shutdown.is_cancelled() {
            let woken = async {
                shutdown.cancelled().await;
                Ok(())
            };
            futures_lite::future::or(ctx.sleep(self.config.interval), woken).await?;
            if shutdown.is_cancelled() {
                break;
            }
            self.see_again(case, ctx).await?;
            if !self.symptoms_show(case) {
                "its symptoms went away while nothing was done".clone_into(&mut reason);
                continue;
            }
            match self.round(case, ctx, shutdown).await? {
                Round::Closed(status) => return Ok(Some(status)),
                Round::Again => return Ok(None),
                Round::Unsure(still) => reason = still,
            }
        }
        Ok(Some(escalated(reason)))
    }

    async fn round(&self, case: &mut Case, ctx: &Context, shutdown: &Cancellation) -> Result<Round> {
        self.brief(case, ctx).await?;
        let diagnosis = self.localize_and_diagnose(case, ctx).await?;
        if let DiagnosisStatus::ObservabilityDark { missing } = &diagnosis.status {
            return Ok(Round::Closed(escalated(format!("cannot be seen; missing: {}", missing.join(", ")))));
        }
        let mut proposals = self.stage("plan", ctx, self.planner.plan(case, ctx)).await?;
        // Whether anybody feels it is not the planner's to say.
        let foretold_by = self.foretold_by(case);
        proposals.iter_mut().for_each(|proposal| proposal.foretold_by.clone_from(&foretold_by));
        self.append(case, |case| case.push(ctx.now(), CasePart::Planned(proposals.clone())));
        if proposals.is_empty() {
            return Ok(Round::Unsure("no safe action is known".to_owned()));
        }
        let mut refused = false;
        for proposal in proposals {
            if shutdown.is_cancelled() {
                return Ok(Round::Closed(escalated("shut down before acting".to_owned())));
            }
            let attempt = self.attempt(case, &proposal, ctx, shutdown).await?;
            refused |= matches!(attempt, Attempt::Denied { by_guards: false });
            if let Some(round) = self.after_attempt(case, &proposal, attempt, ctx, shutdown).await? {
                return Ok(round);
            }
        }
        let reason = "no proposal was allowed".to_owned();
        // Who refused is not asked the same again a minute later.
        Ok(if refused { Round::Closed(escalated(reason)) } else { Round::Unsure(reason) })
    }

    /// Who foretold what the case is about; nobody once any of it was felt.
    fn foretold_by(&self, case: &Case) -> BTreeSet<DetectorId> {
        let trigger = &self.config.trigger;
        let mut by = BTreeSet::new();
        for entry in case.entries() {
            let CasePart::Detected(found) = &entry.part else { continue };
            if found.iter().any(|cited| trigger.feels(&cited.anomaly)) {
                return BTreeSet::new();
            }
            let told = found.iter().filter(|cited| trigger.foretells(&cited.anomaly));
            by.extend(told.map(|cited| cited.anomaly.detector.clone()));
        }
        by
    }

    /// Whether the last verification saw some of the present symptoms back, and others not.
    fn helped_in_part(&self, case: &Case) -> bool {
        let reports = case.entries().iter().rev();
        let report = reports
            .into_iter()
            .find_map(|e| if let CasePart::Verified(r) = &e.part { Some(r) } else { None });
        let symptoms =
            || case.anomalies().iter().map(|a| &a.anomaly).filter(|a| self.config.trigger.matches(a));
        report.is_some_and(|report| {
            report.checks.iter().filter(|c| c.recovery == Recovery::Recovered).any(|check| {
                symptoms().any(|a| a.entity == check.entity && a.series.to_string() == check.what)
            })
        })
    }

    /// What follows from an attempt; `None` when the next proposal has its chance.
    pub(super) async fn after_attempt(
        &self,
        case: &mut Case,
        proposal: &Proposal,
        attempt: Attempt,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Option<Round>> {
        Ok(Some(match attempt {
            Attempt::Denied { .. } => return Ok(None),
            Attempt::Yielded(reason) => Round::Closed(CaseStatus::Yielded { reason }),
            Attempt::Stopped(reason) => Round::Closed(escalated(reason)),
            Attempt::Verified(Recovery::Recovered) => Round::Closed(CaseStatus::Recovered),
            Attempt::Verified(Recovery::Inconclusive) => {
                Round::Closed(escalated("the effect cannot be seen in telemetry".to_owned()))
            }
            // A planner does not propose reverts, but if one does, what it undid is as it was before.
            Attempt::Reverted => Round::Again,
            Attempt::Verified(Recovery::NotRecovered) => {
                self.after_failure(case, proposal, ctx, shutdown).await?
            }
        }))
    }

    /// It did not help: undo it where that is possible, then look again.
    async fn after_failure(
        &self,
        case: &mut Case,
        proposal: &Proposal,
        ctx: &Context,
        shutdown: &Cancellation,
    ) -> Result<Round> {
        if self.config.keep_partial && self.helped_in_part(case) {
            return Ok(Round::Again);
        }
        let Some(revert) = super::act::revert_of(proposal)? else { return Ok(Round::Again) };
        match self.attempt(case, &revert, ctx, shutdown).await? {
            Attempt::Reverted | Attempt::Verified(_) => Ok(Round::Again),
            Attempt::Denied { .. } => {
                Ok(Round::Closed(escalated("undoing a failed action was denied".to_owned())))
            }
            Attempt::Yielded(reason) | Attempt::Stopped(reason) => {
                Ok(Round::Closed(escalated(format!("a failed action could not be undone: {reason}"))))
            }
        }
    }

    async fn brief(&self, case: &mut Case, ctx: &Context) -> Result<()> {
        let Some(compactor) = &self.compactor else { return Ok(()) };
        let window = case.window().ok_or_else(nothing_observed)?;
        let compact = compactor.compact(window, self.config.briefing, ctx);
        let briefing = self.stage("compact", ctx, compact).await?;
        self.append(case, |case| case.brief(ctx.now(), briefing));
        Ok(())
    }

    async fn localize_and_diagnose(&self, case: &mut Case, ctx: &Context) -> Result<Diagnosis> {
        let window = case.window().ok_or_else(nothing_observed)?;
        let localize = self.localizer.localize(window, case.anomalies(), ctx);
        let ranking = self.stage("localise", ctx, localize).await?;
        self.append(case, |case| case.localize(ctx.now(), ranking));
        let diagnosis = self.stage("diagnose", ctx, self.rca.diagnose(case, ctx)).await?;
        self.append(case, |case| case.push(ctx.now(), CasePart::Diagnosed(diagnosis.clone())));
        Ok(diagnosis)
    }

    /// Runs a stage that only reads, in its span and within its time.
    async fn stage<T>(
        &self,
        name: &'static str,
        ctx: &Context,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let span = tracing::info_span!("stage", name);
        let limited = ctx.with_timeout(self.config.stage_timeout);
        limited.bound(work).instrument(span).await.map_err(|e| e.at(name))
    }

    /// Adds to the case and tells the listener what was added.
    pub(super) fn append(&self, case: &mut Case, add: impl FnOnce(&mut Case)) {
        let before = case.entries().len();
        add(case);
        if let Some(listener) = &self.listener {
            for entry in case.entries().iter().skip(before) {
                listener.appended(case, entry);
            }
        }
    }

    async fn announce(&self, case: &Case, status: &CaseStatus, ctx: &Context) {
        let (kind, title) = match status {
            CaseStatus::Recovered => {
                (NotificationKind::Closed, "recovered, verified from telemetry".to_owned())
            }
            CaseStatus::Yielded { reason } => {
                (NotificationKind::Closed, format!("left to another replica: {reason}"))
            }
            CaseStatus::Escalated { reason } => (NotificationKind::Escalation, reason.clone()),
        };
        let cause = case.diagnosis().and_then(Diagnosis::cause).map(|h| h.statement.as_str());
        let body = cause.unwrap_or("No cause was told.");
        let notice = Notification::new(case.id().clone(), kind, title, body);
        self.tell(&notice, ctx).await;
    }
}

pub(super) fn escalated(reason: String) -> CaseStatus {
    CaseStatus::Escalated { reason }
}

fn nothing_observed() -> Error {
    Error::new(ErrorKind::Internal, "a case without telemetry")
}
