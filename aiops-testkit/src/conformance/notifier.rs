use aiops_core::action::IncidentId;
use aiops_core::seam::{Notification, NotificationKind, Notifier};
use aiops_core::{Context, ErrorKind};

use super::report::{Outcome, Report, alike, cancelled, ensure, late, refused};

/// How [`notifier`] sees what arrived.
#[non_exhaustive]
pub struct NotifierFixture<'a> {
    /// Context of all calls.
    pub ctx: Context,
    /// Everything that arrived so far, oldest first.
    pub arrived: &'a (dyn Fn() -> Vec<Notification> + Send + Sync),
}

impl std::fmt::Debug for NotifierFixture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifierFixture").finish_non_exhaustive()
    }
}

impl<'a> NotifierFixture<'a> {
    /// A fixture.
    pub fn new(ctx: Context, arrived: &'a (dyn Fn() -> Vec<Notification> + Send + Sync)) -> Self {
        Self { ctx, arrived }
    }

    /// What arrives while `sent` are handed over.
    async fn send(&self, notifier: &dyn Notifier, sent: &[Notification]) -> Outcome<Vec<Notification>> {
        let before = (self.arrived)().len();
        for notification in sent {
            notifier.notify(notification, &self.ctx).await?;
        }
        Ok((self.arrived)().split_off(before))
    }
}

/// The contract of [`Notifier`]: 5 clauses.
pub async fn notifier(notifier: &dyn Notifier, fx: &NotifierFixture<'_>) -> Report {
    let mut report = Report::of("Notifier");
    report.clause("arrives", arrives(notifier, fx)).await;
    report.clause("order", order(notifier, fx)).await;
    report.clause("hostile_text", hostile_text(notifier, fx)).await;
    report.clause("cancelled", ended(notifier, fx, &cancelled(&fx.ctx), ErrorKind::Cancelled)).await;
    report.clause("deadline", ended(notifier, fx, &late(&fx.ctx), ErrorKind::Timeout)).await;
    report
}

fn note(kind: NotificationKind, title: &str, body: &str) -> Notification {
    Notification::new(IncidentId::new("conformance"), kind, title, body)
}

/// At least once.
async fn arrives(notifier: &dyn Notifier, fx: &NotifierFixture<'_>) -> Outcome {
    let sent = note(NotificationKind::Escalation, "orders is down", "A person takes over.");
    let arrived = fx.send(notifier, std::slice::from_ref(&sent)).await?;
    ensure!(arrived.contains(&sent), "handed over, and not arrived: {arrived:?}");
    Ok(())
}

async fn order(notifier: &dyn Notifier, fx: &NotifierFixture<'_>) -> Outcome {
    use NotificationKind::{Acted, Closed, Escalation};
    let sent = [note(Acted, "one", ""), note(Escalation, "two", ""), note(Closed, "three", "")];
    let mut arrived = fx.send(notifier, &sent).await?;
    arrived.dedup();
    alike(&sent.to_vec(), &arrived)
}

async fn hostile_text(notifier: &dyn Notifier, fx: &NotifierFixture<'_>) -> Outcome {
    let body = format!("\u{0}\u{1b}[2J\u{202e}\"'`$(reboot)</script>\r\n{}", "x".repeat(2_000));
    let sent = note(NotificationKind::Acted, "{{7*7}} %s", &body);
    let arrived = fx.send(notifier, std::slice::from_ref(&sent)).await?;
    ensure!(arrived.iter().any(|n| n.title == sent.title), "the notification was lost: {arrived:?}");
    Ok(())
}

async fn ended(notifier: &dyn Notifier, fx: &NotifierFixture<'_>, ctx: &Context, kind: ErrorKind) -> Outcome {
    let before = (fx.arrived)().len();
    let sent = note(NotificationKind::Closed, "too late", "");
    refused(notifier.notify(&sent, ctx).await, kind)?;
    ensure!((fx.arrived)().len() == before, "refused, and yet arrived");
    Ok(())
}
