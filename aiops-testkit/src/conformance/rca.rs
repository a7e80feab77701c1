use aiops_core::model::{Diagnosis, DiagnosisStatus, FetchRequest, Standing};
use aiops_core::seam::Rca;
use aiops_core::{Case, Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, given, late, refused};

/// What [`rca`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RcaFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// A case with a telling change and anomalies.
    pub case: Case,
    /// A case in which nothing was observed.
    pub dark: Option<Case>,
}

impl RcaFixture {
    /// A fixture without a dark case.
    #[must_use]
    pub fn new(ctx: Context, case: Case) -> Self {
        Self { ctx, case, dark: None }
    }

    async fn ask(&self, rca: &dyn Rca) -> Outcome<Diagnosis> {
        Ok(rca.diagnose(&self.case, &self.ctx).await?)
    }
}

/// The contract of [`Rca`]: 13 clauses.
pub async fn rca(rca: &dyn Rca, fx: &RcaFixture) -> Report {
    let mut report = Report::of("Rca");
    report.clause("answers", answers(rca, fx)).await;
    report.clause("order", order(rca, fx)).await;
    report.clause("status", status(rca, fx)).await;
    report.clause("cites", cites(rca, fx)).await;
    report.clause("accounts", accounts(rca, fx)).await;
    report.clause("path", path(rca, fx)).await;
    report.clause("checks", checks(rca, fx)).await;
    report.clause("distinguishes", distinguishes(rca, fx)).await;
    report.clause("blames_known_change", blames_known_change(rca, fx)).await;
    report.clause("dark", dark(rca, fx)).await;
    report.clause("deterministic", async { alike(&fx.ask(rca).await?, &fx.ask(rca).await?) }).await;
    report
        .clause("cancelled", async {
            refused(rca.diagnose(&fx.case, &cancelled(&fx.ctx)).await, ErrorKind::Cancelled)
        })
        .await;
    report
        .clause("deadline", async {
            refused(rca.diagnose(&fx.case, &late(&fx.ctx)).await, ErrorKind::Timeout)
        })
        .await;
    report
}

async fn answers(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    ensure!(!fx.ask(rca).await?.hypotheses.is_empty(), "no hypothesis");
    Ok(())
}

async fn order(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    let diagnosis = fx.ask(rca).await?;
    let falling =
        diagnosis.hypotheses.is_sorted_by(|a, b| a.confidence.probability() >= b.confidence.probability());
    ensure!(falling, "hypotheses are not ordered by confidence");
    Ok(())
}

async fn status(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    let diagnosis = fx.ask(rca).await?;
    let first = diagnosis.hypotheses.first().map(|h| h.standing());
    match &diagnosis.status {
        DiagnosisStatus::Diagnosed => {
            ensure!(first == Some(Standing::Finding), "diagnosed, but the first hypothesis is no finding");
        }
        DiagnosisStatus::ObservabilityDark { missing } => {
            ensure!(!missing.is_empty(), "dark, but does not say what to instrument");
        }
        DiagnosisStatus::Inconclusive => {}
    }
    Ok(())
}

async fn cites(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for hypothesis in &fx.ask(rca).await?.hypotheses {
        let unknown = hypothesis.citations.iter().find(|id| fx.case.cited(id).is_none());
        ensure!(unknown.is_none(), "cites {unknown:?}, which is not in the case");
    }
    Ok(())
}

/// What a hypothesis explains and what it leaves unexplained is evidence of the case, and nothing is both.
async fn accounts(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for hypothesis in &fx.ask(rca).await?.hypotheses {
        let of_both = || hypothesis.explains.iter().chain(&hypothesis.unexplained);
        let unknown = of_both().find(|id| fx.case.cited(id).is_none());
        ensure!(unknown.is_none(), "accounts for {unknown:?}, which is not in the case");
        let twice = hypothesis.explains.iter().find(|id| hypothesis.unexplained.contains(id));
        ensure!(twice.is_none(), "{twice:?} is explained and is not");
    }
    Ok(())
}

/// Trouble travels from the failing system.
async fn path(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for hypothesis in &fx.ask(rca).await?.hypotheses {
        let first = hypothesis.path.first();
        let system = &hypothesis.system;
        ensure!(first.is_none_or(|f| f == system), "the path of {system} starts at {first:?}");
    }
    Ok(())
}

/// A check asks something, and a read that answers it covers some time.
async fn checks(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for check in fx.ask(rca).await?.hypotheses.iter().flat_map(|h| &h.next_checks) {
        ensure!(!check.question.trim().is_empty(), "a check asks nothing");
        let readable = |r: &FetchRequest| !r.range.is_empty() && !r.signals.is_empty() && !r.step.is_zero();
        ensure!(check.request.as_ref().is_none_or(readable), "nothing can be read by {:?}", check.request);
    }
    Ok(())
}

/// A kind of fault is set apart from others, by evidence of the case.
async fn distinguishes(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for hypothesis in &fx.ask(rca).await?.hypotheses {
        for apart in &hypothesis.distinctions {
            ensure!(apart.from != hypothesis.fault, "{} is set apart from itself", apart.from);
            let unknown = apart.evidence.iter().find(|id| fx.case.cited(id).is_none());
            ensure!(unknown.is_none(), "set apart by {unknown:?}, which is not in the case");
        }
    }
    Ok(())
}

async fn blames_known_change(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    for hypothesis in &fx.ask(rca).await?.hypotheses {
        let unknown = hypothesis.change.as_ref().filter(|id| fx.case.change(id).is_none());
        ensure!(unknown.is_none(), "blames {unknown:?}, which is not in the case");
    }
    Ok(())
}

/// Without any telemetry nothing can be diagnosed; that is an answer, not an error.
async fn dark(rca: &dyn Rca, fx: &RcaFixture) -> Outcome {
    let diagnosis = rca.diagnose(given(&fx.dark, "dark case")?, &fx.ctx).await?;
    ensure!(diagnosis.status != DiagnosisStatus::Diagnosed, "a diagnosis of nothing: {diagnosis:?}");
    Ok(())
}
