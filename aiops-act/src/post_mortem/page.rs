//! A post-mortem as a page.

use std::fmt::{self, Write as _};

use aiops_core::CaseStatus;
use aiops_core::action::ActionOutcome;
use aiops_core::model::Recovery;

use crate::foretold::Outcome;

use super::{ActionItem, Automation, Impact, Moment, PostMortem};
use crate::audit::cell;

impl PostMortem {
    /// As Markdown. Text from outside can neither end its place nor become a link or HTML.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::new();
        // INVARIANT: writing to a `String` cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let status = match &self.status {
            CaseStatus::Recovered => "recovered, verified from telemetry".to_owned(),
            CaseStatus::Escalated { reason } => format!("handed to a person: {reason}"),
            CaseStatus::Yielded { reason } => format!("left to another replica: {reason}"),
        };
        writeln!(
            out,
            "# Post-mortem of incident {}\n\nIt ended: {}.\n",
            cell(self.incident.as_str()),
            cell(&status)
        )?;
        let Impact { began, unnoticed, lasted, signals, entities } = &self.impact;
        let names: Vec<String> = entities.iter().map(|entity| cell(&entity.to_string())).collect();
        writeln!(
            out,
            "## Impact\n\nFrom {began:.0}, for {:.1} s; noticed after {:.1} s. {signals} signals of {} left their norm.\n\n\
             What customers lost is for people to say.\n",
            lasted.as_secs_f64(),
            unnoticed.as_secs_f64(),
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") },
        )?;
        if !self.foretold_by.is_empty() {
            let names: Vec<String> = self.foretold_by.iter().map(|detector| cell(&detector.0)).collect();
            let became = match self.foretelling {
                Some(Outcome::CameTrue) => "It came true: users felt it.",
                Some(Outcome::Prevented) => "It was prevented: it would have come, says a person.",
                Some(Outcome::FalseAlarm) => "It was a false alarm.",
                Some(Outcome::Unknown) => "Nobody can know whether it would have come.",
                Some(Outcome::Open) | None => "Whether it would have come is not known yet.",
            };
            writeln!(
                out,
                "## What was foretold\n\nRemedies were proposed before anybody felt anything, on the word of {}. {became}\n",
                names.join(", ")
            )?;
        }
        writeln!(out, "## Cause\n")?;
        match &self.cause {
            None => writeln!(out, "None was told.\n")?,
            Some(cause) => {
                let borne_out = match cause.borne_out {
                    Some(true) => "Acting on it helped, which bears it out.",
                    Some(false) => "Acting on it did not help, which speaks against it.",
                    None => "Nothing that was done bears it out or speaks against it.",
                };
                let (fault, confidence) = (&cause.fault, &cause.confidence);
                writeln!(
                    out,
                    "{} in {} ({}): {}. {} symptoms are left unexplained. {borne_out}\n",
                    cell(&fault.to_string()),
                    cell(&cause.system.to_string()),
                    cell(&confidence.to_string()),
                    cell(&cause.statement),
                    cause.unexplained,
                )?;
            }
        }
        for earlier in &self.discarded {
            let (system, statement) = (cell(&earlier.system.to_string()), cell(&earlier.statement));
            writeln!(out, "Held before, and not borne out: {system}. {statement}\n")?;
        }
        let helped = match self.automation {
            Automation::Helped => "helped",
            Automation::DidNotHelp => "did not help",
            Automation::CannotBeTold => "cannot be told to have helped",
            Automation::DidNothing => "did nothing",
        };
        writeln!(out, "## What was done\n\nAutomation {helped}.\n")?;
        for attempt in &self.attempts {
            let ended = match &attempt.outcome {
                ActionOutcome::Completed => "done".to_owned(),
                ActionOutcome::Failed { reason } => format!("failed: {reason}"),
                ActionOutcome::NotStarted { reason } => format!("not begun: {reason}"),
            };
            let then = match attempt.recovery {
                Some(Recovery::Recovered) => "telemetry recovered",
                Some(Recovery::NotRecovered) => "telemetry did not recover",
                Some(Recovery::Inconclusive) => "telemetry does not tell",
                None => "not verified",
            };
            writeln!(out, "- {}: {}; {then}", cell(&attempt.action), cell(&ended))?;
        }
        writeln!(out, "\n## Timeline\n\n| when | what |\n|---|---|")?;
        for Moment { at, what } in &self.timeline {
            writeln!(out, "| {at:.3} | {} |", cell(what))?;
        }
        writeln!(out, "\n## What could not be seen\n")?;
        for what in &self.unseen {
            writeln!(out, "- {}", cell(what))?;
        }
        if self.unseen.is_empty() {
            writeln!(out, "Nothing is known to have been missing.")?;
        }
        writeln!(out, "\n## Action items\n\n| owner | what |\n|---|---|")?;
        for ActionItem { owner, what } in &self.items {
            writeln!(out, "| {owner} | {} |", cell(what))?;
        }
        Ok(())
    }
}
