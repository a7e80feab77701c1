use std::fmt::Write as _;
use std::path::Path;

use aiops_core::action::{
    ActionOutcome, ActionTrace, DecisionOutcome, DecisionRecord, GuardVerdict, History, IdempotencyKey,
    IncidentId, Mode, Principal, ProposalId, Risk, Verdict,
};
use aiops_core::model::{Recovery, TimeRange};
use aiops_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verify::events;

/// One action: what ran, on whose word, under which rules, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ActionLine {
    /// Key it ran under.
    pub key: IdempotencyKey,
    /// The incident.
    pub incident: IncidentId,
    /// When it was intended.
    pub at: Timestamp,
    /// What, to whom.
    pub action: String,
    /// Its class.
    pub risk: Risk,
    /// Who proposed it.
    pub proposed_by: Principal,
    /// What the system might do by itself then.
    pub mode: Mode,
    /// Who consented; `None` where nobody had to be asked.
    pub approved_by: Option<Principal>,
    /// What every guard said when it was allowed, with the ids of rules.
    pub verdicts: Vec<GuardVerdict>,
    /// How it ended; `None` while nobody knows.
    pub outcome: Option<ActionOutcome>,
    /// Whether it helped; `None` where that was not told.
    pub recovery: Option<Recovery>,
}

impl ActionLine {
    fn of(action: &ActionTrace) -> Self {
        let (proposal, decision) = (&action.intent.proposal, &action.intent.decision);
        Self {
            key: action.intent.key.clone(),
            incident: proposal.incident.clone(),
            at: action.intent.at,
            action: proposal.action.to_string(),
            risk: proposal.action.risk(),
            proposed_by: proposal.proposed_by.clone(),
            mode: decision.mode,
            approved_by: decision.approval.as_ref().map(|a| a.approver.clone()),
            verdicts: decision.verdicts.clone(),
            outcome: action.outcome.clone(),
            recovery: action.recovery,
        }
    }
}

/// A proposal that was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DenialLine {
    /// The incident.
    pub incident: Option<IncidentId>,
    /// The proposal.
    pub proposal: ProposalId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who said no, where it was a person.
    pub refused_by: Option<Principal>,
}

/// Who approved what, what ran, under which rule, what came of it, and what was denied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ComplianceReport {
    /// The time it speaks of.
    pub range: TimeRange,
    /// Events of the audit log in that time.
    pub events: u64,
    /// Hash of the log's last line when the report was made, in hexadecimal: what it was made from.
    pub log: String,
    /// Actions intended in that time that began, or of which nobody knows that they did not, in the order of the journal.
    pub actions: Vec<ActionLine>,
    /// Those that never began.
    pub not_begun: Vec<ActionLine>,
    /// Denials in that time, in the order of the log.
    pub denials: Vec<DenialLine>,
}

impl ComplianceReport {
    /// The report on `range`, from the audit log at `path` and the journal's history.
    ///
    /// # Errors
    /// As [`events`]; [`ErrorKind::Malformed`] for a decision in the log that is none.
    pub fn of(path: impl AsRef<Path>, history: &History, range: TimeRange) -> Result<Self> {
        let (mut count, mut log, mut denials, mut wrong) = (0, String::new(), Vec::new(), None);
        events(path, |event, link| {
            log = link.hash().to_hex().to_string();
            if !range.contains(event.at) {
                return;
            }
            count += 1;
            if event.what != "decided" {
                return;
            }
            match serde_json::from_value::<DecisionRecord>(event.detail) {
                Ok(decision) => denials.extend(denial(event.incident, decision)),
                Err(e) => wrong = wrong.take().or(Some((link.lines().saturating_sub(1), e))),
            }
        })?;
        if let Some((line, e)) = wrong {
            return Err(Error::new(ErrorKind::Malformed, "a decision in the log is none")
                .with("line", line)
                .caused_by(e));
        }
        let intended = history.actions().filter(|a| range.contains(a.intent.at));
        let (began, not): (Vec<_>, Vec<_>) = intended.partition(|a| a.counts());
        let lines = |actions: Vec<&ActionTrace>| actions.into_iter().map(ActionLine::of).collect();
        Ok(Self { range, events: count, log, actions: lines(began), not_begun: lines(not), denials })
    }

    /// The report in Markdown. Text that came from elsewhere is escaped, so that it stays in its cell.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // Writing to memory does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self { range, events, log, actions, not_begun, denials } = self;
        let alone = actions.iter().filter(|a| a.approved_by.is_none()).count();
        writeln!(out, "# Automated actions, {} to {}\n", range.start(), range.end())?;
        writeln!(
            out,
            "{} actions, {alone} without asking and {} with consent; {} not begun; {} denials; {events} events in the log, which ended in `{log}`.\n",
            actions.len(),
            actions.len() - alone,
            not_begun.len(),
            denials.len()
        )?;
        writeln!(out, "## What ran\n")?;
        table(out, actions)?;
        if !not_begun.is_empty() {
            writeln!(out, "\n## What was intended and not begun\n")?;
            table(out, not_begun)?;
        }
        writeln!(out, "\n## What was denied\n")?;
        writeln!(out, "| when | incident | proposal | why | by |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for d in denials {
            let incident = d.incident.as_ref().map_or("", |i| i.as_str());
            let by = d.refused_by.as_ref().map_or("the guards", |p| p.as_str());
            let (incident, proposal) = (cell(incident), cell(d.proposal.as_str()));
            writeln!(out, "| {} | {incident} | {proposal} | {} | {} |", d.at, cell(&d.reason), cell(by))?;
        }
        Ok(())
    }
}

fn table(out: &mut String, actions: &[ActionLine]) -> std::fmt::Result {
    writeln!(
        out,
        "| when | incident | action | risk | proposed by | approved by | rules | outcome | helped |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for a in actions {
        let approved = a.approved_by.as_ref().map_or("nobody was asked", |p| p.as_str());
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            a.at,
            cell(a.incident.as_str()),
            cell(&a.action),
            a.risk,
            cell(a.proposed_by.as_str()),
            cell(approved),
            cell(&rules(&a.verdicts)),
            cell(&ended(a.outcome.as_ref())),
            helped(a.recovery)
        )?;
    }
    Ok(())
}

fn denial(incident: Option<IncidentId>, decision: DecisionRecord) -> Option<DenialLine> {
    let DecisionOutcome::Denied { reason } = decision.outcome else { return None };
    let refused_by = decision.approval.filter(|a| !a.granted).map(|a| a.approver);
    Some(DenialLine { incident, proposal: decision.proposal, at: decision.at, reason, refused_by })
}

/// Rules by id, and which guards wanted a person.
fn rules(verdicts: &[GuardVerdict]) -> String {
    let named = verdicts.iter().filter_map(|GuardVerdict { guard, verdict }| match verdict {
        Verdict::NeedsApproval { reason, .. } => Some(format!("{} asked: {reason}", guard.0)),
        other => other.reason().starts_with("rule ").then(|| format!("{} {}", guard.0, other.reason())),
    });
    named.collect::<Vec<_>>().join("; ")
}

fn ended(outcome: Option<&ActionOutcome>) -> String {
    match outcome {
        None => "not known".to_owned(),
        Some(ActionOutcome::Completed) => "carried out".to_owned(),
        Some(ActionOutcome::Failed { reason }) => format!("failed: {reason}"),
        Some(ActionOutcome::NotStarted { reason }) => format!("not begun: {reason}"),
    }
}

fn helped(recovery: Option<Recovery>) -> &'static str {
    match recovery {
        Some(Recovery::Recovered) => "yes",
        Some(Recovery::NotRecovered) => "no",
        Some(Recovery::Inconclusive) => "cannot be told",
        None => "not verified",
    }
}

/// Text that can neither end its cell nor become a link or HTML.
pub(crate) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '[' | ']' | '`' | '*' | '_' | '\\' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
