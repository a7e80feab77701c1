use aiops_core::action::IncidentId;
use aiops_core::seam::{AuditEvent, AuditSink};
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, late, refused};

/// How [`audit`] reads the log.
#[non_exhaustive]
pub struct AuditFixture<'a> {
    /// Context of all calls.
    pub ctx: Context,
    /// Everything in the log, oldest first.
    pub log: &'a (dyn Fn() -> Vec<AuditEvent> + Send + Sync),
}

impl std::fmt::Debug for AuditFixture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditFixture").finish_non_exhaustive()
    }
}

impl<'a> AuditFixture<'a> {
    /// A fixture.
    pub fn new(ctx: Context, log: &'a (dyn Fn() -> Vec<AuditEvent> + Send + Sync)) -> Self {
        Self { ctx, log }
    }

    fn event(&self, what: &str) -> AuditEvent {
        AuditEvent::new(self.ctx.now(), Some(IncidentId::new("conformance")), what, serde_json::json!({ "n": 1 }))
    }
}

/// The contract of [`AuditSink`]: 5 clauses.
pub async fn audit(sink: &dyn AuditSink, fx: &AuditFixture<'_>) -> Report {
    let mut report = Report::of("AuditSink");
    report.clause("order", order(sink, fx)).await;
    report.clause("append_only", append_only(sink, fx)).await;
    report.clause("duplicates", duplicates(sink, fx)).await;
    report.clause("cancelled", ended(sink, fx, &cancelled(&fx.ctx), ErrorKind::Cancelled)).await;
    report.clause("deadline", ended(sink, fx, &late(&fx.ctx), ErrorKind::Timeout)).await;
    report
}

async fn append_all(sink: &dyn AuditSink, fx: &AuditFixture<'_>, whats: &[&str]) -> Outcome<Vec<String>> {
    let before = (fx.log)().len();
    for what in whats {
        sink.append(&fx.event(what), &fx.ctx).await?;
    }
    Ok((fx.log)().split_off(before).into_iter().map(|e| e.what).collect())
}

async fn order(sink: &dyn AuditSink, fx: &AuditFixture<'_>) -> Outcome {
    let whats = ["decided", "intended", "acted", "verified"];
    alike(&whats.map(str::to_owned).to_vec(), &append_all(sink, fx, &whats).await?)
}

async fn append_only(sink: &dyn AuditSink, fx: &AuditFixture<'_>) -> Outcome {
    sink.append(&fx.event("first"), &fx.ctx).await?;
    let before = (fx.log)();
    sink.append(&fx.event("second"), &fx.ctx).await?;
    let mut after = (fx.log)();
    after.truncate(before.len());
    alike(&before, &after)
}

/// An event that looks like one before is an event of its own.
async fn duplicates(sink: &dyn AuditSink, fx: &AuditFixture<'_>) -> Outcome {
    let kept = append_all(sink, fx, &["acted", "acted", "acted"]).await?.len();
    ensure!(kept == 3, "{kept} of three equal events were kept");
    Ok(())
}

async fn ended(sink: &dyn AuditSink, fx: &AuditFixture<'_>, ctx: &Context, kind: ErrorKind) -> Outcome {
    let before = (fx.log)().len();
    refused(sink.append(&fx.event("too late"), ctx).await, kind)?;
    ensure!((fx.log)().len() == before, "refused, and yet written");
    Ok(())
}
