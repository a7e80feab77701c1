//! The person who is asked. Every question and every answer goes over the desk, so that both are kept.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aiops_act::ApprovalDesk;
use aiops_act::approval::{Reply, Ticket};
use aiops_approvals::{ApprovalServer, ServerConfig, token_hash};
use aiops_core::action::Principal;
use aiops_core::guard::KillSwitch;
use aiops_core::seam::{Notification, NotificationKind, Notifier};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::safety::random;
use super::{Options, RunError, View, stage};

/// How often the desk is looked at, beside when it says that something changed.
const LOOK: Duration = Duration::from_millis(250);

/// Opens the place where the operator is asked, as the options say: over HTTP, on the terminal, or nowhere, where a stand-in consents.
pub(super) async fn ask_somebody(
    options: &Options,
    desk: &ApprovalDesk,
    switch: &KillSwitch,
    view: &View,
    ctx: &Context,
) -> std::result::Result<JoinHandle<()>, RunError> {
    if let Some(address) = options.approve_at {
        return over_http(address, options, desk, switch, view, ctx).await;
    }
    let person = if options.suggest { Person::AtTheTerminal } else { Person::Simulated };
    Ok(tokio::spawn(answer(person, desk.clone(), Arc::clone(view), ctx.clone())))
}

/// Questions are answered over HTTP, by whoever sees the token on this terminal.
async fn over_http(
    address: SocketAddr,
    options: &Options,
    desk: &ApprovalDesk,
    switch: &KillSwitch,
    view: &View,
    ctx: &Context,
) -> std::result::Result<JoinHandle<()>, RunError> {
    let token: String = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut config = ServerConfig::default();
    config.listen = address;
    config.tokens.insert(Principal::new("operator"), token_hash(&token));
    let server = ApprovalServer::new(desk.clone(), config)?;
    let server = match &options.kill_file {
        // Who stops this process stops the next one too.
        Some(file) => server.with_kill_file(switch.clone(), aiops_act::KillFile::new(file)?),
        None => server.with_kill_switch(switch.clone()),
    };
    let (bound, serving) = server.bind(ctx.clone()).await?;
    stage(view, "asks at", &format!("curl -H 'Authorization: Bearer {token}' http://{bound}/v1/approvals"));
    Ok(tokio::spawn(async move {
        if let Err(e) = serving.await {
            tracing::error!(error = %e, "nobody can answer over HTTP any more");
        }
    }))
}

#[derive(Debug, Clone, Copy)]
enum Person {
    /// Stands in for a person on call, so that the example runs unattended: it reads for a second and consents. Its answers carry its name,
    /// which says what it is.
    Simulated,
    AtTheTerminal,
}

/// Answers one question after the other.
async fn answer(person: Person, desk: ApprovalDesk, view: View, ctx: Context) {
    let mut seen = BTreeSet::new();
    loop {
        match desk.pending(&ctx).await {
            Ok(waiting) => {
                for ticket in waiting.into_iter().filter(|ticket| seen.insert(ticket.id.clone())) {
                    let reply = match person {
                        Person::Simulated => simulated(&ticket, &view, &ctx).await,
                        Person::AtTheTerminal => at_the_terminal(&ticket, &view).await,
                    };
                    let Some(reply) = reply else { continue };
                    if let Err(e) = desk.answer(&ticket.id, reply, &ctx).await {
                        stage(&view, "too late", &e.to_string());
                    }
                }
            }
            Err(e) => tracing::error!(error = %e, "the desk cannot be read"),
        }
        tokio::select! {
            () = desk.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn simulated(ticket: &Ticket, view: &View, ctx: &Context) -> Option<Reply> {
    let request = &ticket.request;
    stage(view, "asked", &format!("{} — {}", request.preview.effect, request.reasons.join("; ")));
    ctx.sleep(Duration::from_secs(1)).await.ok()?;
    Some(Reply::grant(Principal::new("on-call (simulated)"), "consents to everything"))
}

/// Anything but a yes is a no, and so is a closed input.
async fn at_the_terminal(ticket: &Ticket, view: &View) -> Option<Reply> {
    let request = &ticket.request;
    let proposal = &request.proposal;
    stage(view, "asked", &format!("{} ({} risk)", proposal.action, proposal.action.risk()));
    let question = format!(
        "  because {} ({})\n  {}\n  asked because: {}\n  Do it? [y = yes, n = no, w = no, the diagnosis is wrong] ",
        proposal.reason,
        proposal.confidence,
        request.preview.effect,
        request.reasons.join("; ")
    );
    // Reading blocks, so it has a thread of its own.
    let line = tokio::task::spawn_blocking(move || read_answer(&question)).await.ok().flatten();
    let by = Principal::new("terminal");
    let said = line.as_deref().map_or("", str::trim);
    Some(match said {
        // Whoever consents to the remedy has seen the diagnosis, and holds it to be right.
        "y" | "Y" | "yes" => Reply::grant(by, "yes").with_diagnosis(Some(true)),
        "w" | "W" => Reply::refuse(by, "the diagnosis is wrong").with_diagnosis(Some(false)),
        _ if line.is_none() => Reply::refuse(by, "no answer"),
        _ => Reply::refuse(by, "no"),
    })
}

fn read_answer(question: &str) -> Option<String> {
    let mut out = std::io::stderr();
    // A question nobody can see gets no answer below.
    let _ = write!(out, "{question}").and_then(|()| out.flush());
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    if !std::io::stdin().is_terminal() {
        let _ = writeln!(out, "{}", line.trim());
    }
    (read > 0).then_some(line)
}

/// Shows what people are told unasked.
#[derive(Debug)]
pub(super) struct Pager(pub(super) View);

#[async_trait]
impl Notifier for Pager {
    async fn notify(&self, notification: &Notification, _: &Context) -> Result<()> {
        if notification.kind != NotificationKind::Closed {
            stage(&self.0, "told", &notification.title);
        }
        Ok(())
    }
}
