use aiops_core::action::ReceiptRecord;
use aiops_core::model::{Anomaly, Recovery, RecoveryReport};
use aiops_core::seam::Verifier;
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, cancelled, ensure, given, late, refused};

/// What [`verifier`] shows to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifierFixture {
    /// Context of all calls.
    pub ctx: Context,
    /// The action after which it looks.
    pub receipt: ReceiptRecord,
    /// What was detected.
    pub detected: Vec<Anomaly>,
    /// The verdict it must come to.
    pub expected: Recovery,
    /// Whether the answer depends on what it is shown; a scripted one's does not.
    pub scripted: bool,
}

impl VerifierFixture {
    /// A fixture for a verifier that looks at its input.
    #[must_use]
    pub fn new(ctx: Context, receipt: ReceiptRecord, detected: Vec<Anomaly>, expected: Recovery) -> Self {
        Self { ctx, receipt, detected, expected, scripted: false }
    }

    async fn ask(&self, verifier: &dyn Verifier) -> Outcome<RecoveryReport> {
        Ok(verifier.verify(&self.receipt, &self.detected, &self.ctx).await?)
    }
}

/// The contract of [`Verifier`]: 7 clauses.
pub async fn verifier(verifier: &dyn Verifier, fx: &VerifierFixture) -> Report {
    let mut report = Report::of("Verifier");
    report.clause("verdict", verdict(verifier, fx)).await;
    report.clause("follows_from_checks", follows_from_checks(verifier, fx)).await;
    report.clause("covers_what_was_detected", covers(verifier, fx)).await;
    report.clause("instant", instant(verifier, fx)).await;
    report.clause("nothing_detected", nothing_detected(verifier, fx)).await;
    let ask = |ctx: Context| async move { verifier.verify(&fx.receipt, &fx.detected, &ctx).await };
    report.clause("cancelled", async { refused(ask(cancelled(&fx.ctx)).await, ErrorKind::Cancelled) }).await;
    report.clause("deadline", async { refused(ask(late(&fx.ctx)).await, ErrorKind::Timeout) }).await;
    report
}

async fn verdict(verifier: &dyn Verifier, fx: &VerifierFixture) -> Outcome {
    let report = fx.ask(verifier).await?;
    ensure!(report.recovery == fx.expected, "expected {:?}, got {report:?}", fx.expected);
    Ok(())
}

async fn follows_from_checks(verifier: &dyn Verifier, fx: &VerifierFixture) -> Outcome {
    let report = fx.ask(verifier).await?;
    let follows = RecoveryReport::from_checks(report.at, report.checks.clone()).recovery;
    ensure!(report.recovery == follows, "{:?} follows, not {:?}", follows, report.recovery);
    Ok(())
}

/// Every signal that was detected is checked, or there is no recovery.
async fn covers(verifier: &dyn Verifier, fx: &VerifierFixture) -> Outcome {
    let report = fx.ask(verifier).await?;
    let missing = fx.detected.iter().find(|a| !report.checks.iter().any(|c| c.entity == a.entity));
    let series = missing.map(|a| &a.series);
    ensure!(missing.is_none() || report.recovery != Recovery::Recovered, "recovered, {series:?} unchecked");
    Ok(())
}

async fn instant(verifier: &dyn Verifier, fx: &VerifierFixture) -> Outcome {
    let report = fx.ask(verifier).await?;
    ensure!(report.at <= fx.ctx.now(), "a verdict from the future: {}", report.at);
    Ok(())
}

/// Whatever was never detected cannot be seen to have ended.
async fn nothing_detected(verifier: &dyn Verifier, fx: &VerifierFixture) -> Outcome {
    let seeing = (!fx.scripted).then_some(&fx.receipt);
    let receipt = given(&seeing, "verifier that looks at its input")?;
    let report = verifier.verify(receipt, &[], &fx.ctx).await?;
    ensure!(report.recovery != Recovery::Recovered, "recovered from nothing: {report:?}");
    Ok(())
}
