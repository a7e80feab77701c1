//! The person who is asked.

use std::io::{BufRead, IsTerminal, Read as _, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aiops_act::{ApprovalConfig, ApprovalDesk};
use aiops_approvals::{ApprovalServer, ServerConfig, token_hash};
use aiops_core::action::{ApprovalDecision, ApprovalRequest, Principal};
use aiops_core::guard::KillSwitch;
use aiops_core::seam::Approver;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::{RunError, View, stage};

/// A desk whose questions are answered over HTTP, by whoever sees the token on this terminal.
pub(super) async fn desk(
    address: SocketAddr,
    file: &Path,
    switch: &KillSwitch,
    view: &View,
    ctx: &Context,
) -> Result<ApprovalDesk, RunError> {
    let mut secret = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let token: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let desk = ApprovalDesk::open(file, ApprovalConfig::default())?;
    let mut config = ServerConfig::default();
    config.listen = address;
    config.tokens.insert(Principal::new("operator"), token_hash(&token));
    let server = ApprovalServer::new(desk.clone(), config)?.with_kill_switch(switch.clone());
    let (bound, serving) = server.bind(ctx.clone()).await?;
    tokio::spawn(serving);
    stage(view, "asks at", &format!("curl -H 'Authorization: Bearer {token}' http://{bound}/v1/approvals"));
    Ok(desk)
}

/// Stands in for a person on call, so that the example runs unattended: it reads for a second and consents. Decisions carry
/// its name, which says what it is.
#[derive(Debug)]
pub(super) struct StandIn(pub(super) View);

#[async_trait]
impl Approver for StandIn {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        stage(&self.0, "asked", &format!("{} — {}", request.preview.effect, request.reasons.join("; ")));
        ctx.sleep(Duration::from_secs(1)).await?;
        let approver = Principal::new("on-call (simulated)");
        Ok(ApprovalDecision {
            approver,
            granted: true,
            reason: "consents to everything".to_owned(),
            at: ctx.now(),
        })
    }
}

/// Asks on the terminal. Anything but a yes is a no, and so is a closed input.
#[derive(Debug)]
pub(super) struct Terminal(pub(super) View);

#[async_trait]
impl Approver for Terminal {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        let proposal = &request.proposal;
        stage(&self.0, "asked", &format!("{} ({} risk)", proposal.action, proposal.action.risk()));
        let question = format!(
            "  because {} ({})\n  {}\n  asked because: {}\n  Do it? [y/N] ",
            proposal.reason,
            proposal.confidence,
            request.preview.effect,
            request.reasons.join("; ")
        );
        // Reading blocks, so it has a thread of its own; an answer after the wait is not heard.
        let answer = tokio::task::spawn_blocking(move || ask(&question));
        let answer = ctx
            .bound(async {
                answer
                    .await
                    .map_err(|e| Error::new(ErrorKind::Internal, "nobody could be asked").caused_by(e))
            })
            .await?;
        let granted = answer.as_deref().is_some_and(|a| matches!(a.trim(), "y" | "Y" | "yes"));
        let reason = answer.map_or_else(|| "no answer".to_owned(), |a| format!("answered {:?}", a.trim()));
        Ok(ApprovalDecision { approver: Principal::new("terminal"), granted, reason, at: ctx.now() })
    }
}

fn ask(question: &str) -> Option<String> {
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
