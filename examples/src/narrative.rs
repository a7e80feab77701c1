//! The story of an incident, for a person, from its case file.

use std::fmt::Write as _;

use aiops_core::action::{ActionOutcome, DecisionOutcome, DecisionRecord, Proposal, ReceiptRecord, Verdict};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    Diagnosis, DiagnosisStatus, EvidenceId, Hypothesis, Ranking, Recovery, RecoveryReport,
};
use aiops_core::{Case, CasePart, CaseStatus, CitedAnomaly};

/// Anomalies, suspects and checks told at most; the rest is counted.
const MOST: usize = 5;

/// Tells a case in the order in which it happened. Times count from the opening of the case.
///
/// Text from outside (names, summaries, reasons) is stripped of control characters: a change message cannot
/// move the reader's cursor.
#[must_use]
pub fn narrative(case: &Case) -> String {
    let mut story = Story { case, text: String::new(), change_told: 0 };
    story.line(0, &format!("Incident {}, opened {:.0}", case.id(), case.opened_at()));
    for entry in case.entries() {
        story.part(entry.at, &entry.part);
    }
    if case.status().is_none() {
        story.line(0, "The case is still open.");
    }
    story.text
}

struct Story<'a> {
    case: &'a Case,
    text: String,
    change_told: usize,
}

impl Story<'_> {
    fn part(&mut self, at: Timestamp, part: &CasePart) {
        match part {
            CasePart::Detected(anomalies) => self.detected(at, anomalies),
            CasePart::Localized(ranking) => self.localized(at, ranking),
            CasePart::Diagnosed(diagnosis) => self.diagnosed(at, diagnosis),
            CasePart::Planned(proposals) => self.planned(at, proposals),
            CasePart::Decided(decision) => self.decided(at, decision),
            CasePart::Acted(receipt) => self.acted(receipt),
            CasePart::InDoubt { key, reason } => {
                self.head(at, &format!("Nobody knows whether the action ran ({reason}; key {key})."));
            }
            CasePart::Verified(report) => self.verified(at, report),
            CasePart::Closed(status) => self.closed(at, status),
            // Raw telemetry and its digest are in the file; the story tells what was made of them.
            _ => {}
        }
    }

    fn detected(&mut self, at: Timestamp, anomalies: &[CitedAnomaly]) {
        if anomalies.is_empty() {
            self.head(at, "Nothing is out of the ordinary.");
            return;
        }
        let mut loudest: Vec<&CitedAnomaly> = anomalies.iter().collect();
        loudest.sort_by(|a, b| b.anomaly.sigma.abs().total_cmp(&a.anomaly.sigma.abs()));
        let mut entities: Vec<_> = anomalies.iter().map(|cited| &cited.anomaly.entity).collect();
        entities.sort();
        entities.dedup();
        let (signals, entities) = (plural(anomalies.len(), "signal"), plural(entities.len(), "entity"));
        self.head(at, &format!("{signals} on {entities} left the norm. The loudest:"));
        for cited in loudest.iter().take(MOST) {
            let onset = self.clock(cited.anomaly.onset);
            let statement = self.statement(&cited.id);
            self.line(1, &format!("[{}] {}: {statement}, since {onset}", cited.id, cited.anomaly.entity));
        }
        self.rest(anomalies.len());
        self.changes();
    }

    /// Changes that were not told before.
    fn changes(&mut self) {
        let case = self.case;
        let new = case.changes().iter().skip(self.change_told);
        let lines: Vec<String> = new
            .map(|cited| {
                let change = &cited.change;
                let by = change.author.as_ref().map(|author| format!(" by {author}")).unwrap_or_default();
                let when = self.clock(change.time);
                format!("[{}] {when} {}: {}{by}", cited.id, change.entity, self.statement(&cited.id))
            })
            .collect();
        if !lines.is_empty() {
            self.line(1, "What was changed lately:");
            for line in lines {
                self.line(2, &line);
            }
        }
        self.change_told = case.changes().len();
    }

    fn localized(&mut self, at: Timestamp, ranking: &Ranking) {
        let Some(first) = ranking.first() else {
            self.head(at, "Nobody in particular is suspected.");
            return;
        };
        self.head(at, &format!("First suspect: {} (score {:.2}).", first.entity, first.score));
        if first.path.len() > 1 {
            let path: Vec<String> = first.path.iter().map(|entity| entity.name().to_owned()).collect();
            self.line(1, &format!("Spread along {}", path.join(" → ")));
        }
        let others: Vec<String> = ranking
            .suspects
            .iter()
            .skip(1)
            .take(MOST - 1)
            .map(|suspect| format!("{} ({:.2})", suspect.entity, suspect.score))
            .collect();
        if !others.is_empty() {
            self.line(1, &format!("Then {}", others.join(", ")));
        }
        for unseen in &ranking.unseen {
            self.line(1, &format!("Not seen: {unseen}"));
        }
    }

    fn diagnosed(&mut self, at: Timestamp, diagnosis: &Diagnosis) {
        match &diagnosis.status {
            DiagnosisStatus::ObservabilityDark { missing } => {
                self.head(
                    at,
                    &format!("The telemetry does not show the cause; missing: {}.", missing.join(", ")),
                );
            }
            DiagnosisStatus::Inconclusive => self.head(at, "The cause could not be told for certain."),
            DiagnosisStatus::Diagnosed => {}
        }
        if let Some(first) = diagnosis.hypotheses.first() {
            self.hypothesis(at, first);
        }
        for other in diagnosis.hypotheses.iter().skip(1).take(2) {
            self.line(1, &format!("Less likely, {}: {}", other.confidence, other.statement));
        }
        for finding in diagnosis.null_findings.iter().take(MOST) {
            self.line(1, &format!("Ruled out: {}", finding.statement));
        }
        for unseen in diagnosis.unseen.iter().take(MOST) {
            self.line(1, &format!("Not seen: {unseen}"));
        }
    }

    fn hypothesis(&mut self, at: Timestamp, hypothesis: &Hypothesis) {
        let Hypothesis { fault, system, confidence, statement, .. } = hypothesis;
        self.head(at, &format!("Diagnosis, {confidence}: {fault} in {system}. {statement}"));
        if !hypothesis.citations.is_empty() {
            let cited: Vec<&str> = hypothesis.citations.iter().map(EvidenceId::as_str).collect();
            self.line(1, &format!("It rests on {}", cited.join(", ")));
        }
        if !hypothesis.explains.is_empty() || !hypothesis.unexplained.is_empty() {
            let (told, open) = (hypothesis.explains.len(), hypothesis.unexplained.len());
            self.line(1, &format!("It explains {}, and leaves {open} unexplained", plural(told, "symptom")));
        }
        for apart in hypothesis.distinctions.iter().take(MOST) {
            self.line(1, &format!("Not {}: {}", apart.from, apart.statement));
        }
        for test in &hypothesis.causal_tests {
            let stood = if test.passed { "✓" } else { "✗" };
            self.line(1, &format!("{stood} {}", test.statement));
        }
        for check in &hypothesis.next_checks {
            self.line(1, &format!("Would settle it: {check}"));
        }
    }

    fn planned(&mut self, at: Timestamp, proposals: &[Proposal]) {
        match proposals.first() {
            None => self.head(at, "No remedy is known."),
            Some(first) => {
                self.head(at, &format!("Proposed: {}. {}", first.action, first.reason));
                for other in proposals.iter().skip(1).take(MOST - 1) {
                    self.line(1, &format!("Otherwise: {}", other.action));
                }
            }
        }
    }

    fn decided(&mut self, at: Timestamp, decision: &DecisionRecord) {
        match &decision.outcome {
            DecisionOutcome::Authorized { .. } => self.head(at, "It was allowed."),
            DecisionOutcome::Denied { reason } => self.head(at, &format!("It was denied: {reason}.")),
        }
        for heard in &decision.verdicts {
            let verdict = match &heard.verdict {
                Verdict::Allow { reason, .. } => format!("no objection, {reason}"),
                Verdict::NeedsApproval { reason, .. } => format!("wants a person, {reason}"),
                Verdict::Deny { reason } => format!("refuses, {reason}"),
            };
            self.line(1, &format!("{}: {verdict}", heard.guard.0));
        }
        if let Some(approval) = &decision.approval {
            let answer = if approval.granted { "granted" } else { "refused" };
            self.line(1, &format!("{} {answer} it: {}", approval.approver, approval.reason));
        }
    }

    fn acted(&mut self, receipt: &ReceiptRecord) {
        let took = receipt.finished_at.duration_since(receipt.started_at).as_secs_f64();
        let outcome = match &receipt.outcome {
            ActionOutcome::Completed => format!("done in {took:.1} s"),
            ActionOutcome::Failed { reason } => format!("failed after {took:.1} s: {reason}"),
            ActionOutcome::NotStarted { reason } => format!("not begun: {reason}"),
        };
        self.head(receipt.started_at, &format!("Action: {} – {outcome}.", receipt.action));
        if !receipt.detail.is_empty() {
            self.line(1, &receipt.detail);
        }
    }

    fn verified(&mut self, at: Timestamp, report: &RecoveryReport) {
        let verdict = match report.recovery {
            Recovery::Recovered => "Telemetry is back to normal",
            Recovery::NotRecovered => "Telemetry is not back to normal",
            Recovery::Inconclusive => "Telemetry does not tell whether it is over",
        };
        self.head(at, &format!("{verdict} ({}).", plural(report.checks.len(), "check")));
        // What speaks against recovery first.
        let mut checks: Vec<_> = report.checks.iter().collect();
        checks.sort_by_key(|check| check.recovery == Recovery::Recovered);
        for check in checks.iter().take(MOST) {
            let mark = match check.recovery {
                Recovery::Recovered => '✓',
                Recovery::NotRecovered => '✗',
                Recovery::Inconclusive => '?',
            };
            self.line(1, &format!("{mark} {} of {}: {}", check.what, check.entity, check.detail));
        }
        self.rest(report.checks.len());
    }

    fn closed(&mut self, at: Timestamp, status: &CaseStatus) {
        let status = match status {
            CaseStatus::Recovered => "Recovered, verified from telemetry.".to_owned(),
            CaseStatus::Escalated { reason } => format!("Handed to a person: {reason}."),
            CaseStatus::Yielded { reason } => format!("Left to another replica: {reason}."),
        };
        self.head(at, &status);
    }

    fn statement(&self, id: &EvidenceId) -> String {
        self.case.cited(id).map(|evidence| evidence.statement.clone()).unwrap_or_default()
    }

    fn rest(&mut self, all: usize) {
        if all > MOST {
            self.line(1, &format!("and {} more", all - MOST));
        }
    }

    /// Seconds from the opening of the case, with sign.
    fn clock(&self, at: Timestamp) -> String {
        let seconds = at.duration_since(self.case.opened_at()).as_secs_f64();
        format!("{seconds:+.1} s")
    }

    fn head(&mut self, at: Timestamp, text: &str) {
        let clock = self.clock(at);
        self.text.push('\n');
        self.line(0, &format!("{clock:>9}  {text}"));
    }

    fn line(&mut self, depth: usize, text: &str) {
        let indent = if depth == 0 { 0 } else { 9 + 2 * depth };
        let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        // INVARIANT: writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{:indent$}{clean}", "");
    }
}

fn plural(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}
