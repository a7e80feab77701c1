use std::collections::BTreeSet;

use aiops_core::action::Proposal;
use aiops_core::seam::Planner;
use aiops_core::{Case, Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, given, late, refused};

/// What [`planner`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlannerFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A diagnosed case for which there is a remedy.
    pub case: Case,
    /// The same case after its best remedy was tried and did not help.
    pub tried: Option<Case>,
    /// A case without a diagnosis.
    pub undiagnosed: Option<Case>,
}

impl PlannerFixture {
    /// A fixture with one case.
    #[must_use]
    pub fn new(ctx: Context, case: Case) -> Self {
        Self { ctx, case, tried: None, undiagnosed: None }
    }

    async fn ask(&self, planner: &dyn Planner) -> Outcome<Vec<Proposal>> {
        Ok(planner.plan(&self.case, &self.ctx).await?)
    }
}

/// The contract of [`Planner`]: 9 clauses.
pub async fn planner(planner: &dyn Planner, fx: &PlannerFixture) -> Report {
    let mut report = Report::of("Planner");
    report.clause("answers", answers(planner, fx)).await;
    report.clause("incident", incident(planner, fx)).await;
    report.clause("unique", unique(planner, fx)).await;
    report.clause("cites", cites(planner, fx)).await;
    report.clause("learns", learns(planner, fx)).await;
    report.clause("never_guesses", never_guesses(planner, fx)).await;
    report.clause("deterministic", async { alike(&fx.ask(planner).await?, &fx.ask(planner).await?) }).await;
    report.clause("cancelled", async { refused(planner.plan(&fx.case, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(planner.plan(&fx.case, &late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn answers(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    ensure!(!fx.ask(planner).await?.is_empty(), "no proposal");
    Ok(())
}

async fn incident(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    for proposal in fx.ask(planner).await? {
        ensure!(proposal.incident == *fx.case.id(), "{} belongs to {}", proposal.id, proposal.incident);
    }
    Ok(())
}

async fn unique(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    let proposals = fx.ask(planner).await?;
    let ids: BTreeSet<_> = proposals.iter().map(|p| &p.id).collect();
    ensure!(ids.len() == proposals.len(), "two proposals share an id");
    Ok(())
}

async fn cites(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    for proposal in fx.ask(planner).await? {
        let unknown = proposal.evidence.iter().find(|id| fx.case.cited(id).is_none());
        ensure!(unknown.is_none(), "{} cites {unknown:?}, which is not in the case", proposal.id);
    }
    Ok(())
}

/// What was tried and did not help is not proposed again.
async fn learns(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    let case = given(&fx.tried, "case in which a remedy was tried")?;
    for proposal in planner.plan(case, &fx.ctx).await? {
        let same = |action: &aiops_core::action::Action| {
            action.operation == proposal.action.operation && action.target == proposal.action.target
        };
        let again = case.attempts().any(|(receipt, _)| same(&receipt.action));
        ensure!(!again, "proposes {} again, which did not help", proposal.action);
    }
    Ok(())
}

async fn never_guesses(planner: &dyn Planner, fx: &PlannerFixture) -> Outcome {
    let case = given(&fx.undiagnosed, "case without a diagnosis")?;
    let proposals = planner.plan(case, &fx.ctx).await?;
    ensure!(proposals.is_empty(), "proposes {proposals:?} without a diagnosis");
    Ok(())
}
