use aiops_core::action::{ApprovalDecision, ApprovalRequest};
use aiops_core::seam::Approver;
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, cancelled, ensure, late, refused};

/// What [`approver`] is asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApproverFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A request.
    pub request: ApprovalRequest,
    /// The answer that the person at the other end gives.
    pub granted: bool,
}

impl ApproverFixture {
    /// A request and the answer it will get.
    #[must_use]
    pub fn new(ctx: Context, request: ApprovalRequest, granted: bool) -> Self {
        Self { ctx, request, granted }
    }

    async fn ask(&self, approver: &dyn Approver) -> Outcome<ApprovalDecision> {
        Ok(approver.decide(&self.request, &self.ctx).await?)
    }
}

/// The contract of [`Approver`]: 5 clauses.
pub async fn approver(approver: &dyn Approver, fx: &ApproverFixture) -> Report {
    let mut report = Report::of("Approver");
    report.clause("answer", answer(approver, fx)).await;
    report.clause("who", who(approver, fx)).await;
    report.clause("when", when(approver, fx)).await;
    report.clause("cancelled", async { refused(approver.decide(&fx.request, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(approver.decide(&fx.request, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn answer(approver: &dyn Approver, fx: &ApproverFixture) -> Outcome {
    let decision = fx.ask(approver).await?;
    ensure!(decision.granted == fx.granted, "the person said {}, the answer is {decision:?}", fx.granted);
    Ok(())
}

/// The chain refuses approvals by the proposer, so the answer must name the person, not echo the request.
async fn who(approver: &dyn Approver, fx: &ApproverFixture) -> Outcome {
    let decision = fx.ask(approver).await?;
    ensure!(!decision.approver.as_str().is_empty(), "nobody answered");
    ensure!(decision.approver != fx.request.proposal.proposed_by, "the proposer answered");
    Ok(())
}

async fn when(approver: &dyn Approver, fx: &ApproverFixture) -> Outcome {
    let before = fx.ctx.now();
    let decision = fx.ask(approver).await?;
    ensure!(before <= decision.at && decision.at <= fx.ctx.now(), "answered at {}", decision.at);
    Ok(())
}
