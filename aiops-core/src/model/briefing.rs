//! What compaction hands to a reader, person or model (CMP-06).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::model::entity::EntityId;
use crate::model::time::TimeRange;

/// A hard limit on the length of a briefing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenBudget(pub usize);

impl Default for TokenBudget {
    /// 4,000 tokens.
    fn default() -> Self {
        Self(4_000)
    }
}

/// One ranked line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BriefingLine {
    /// Reference that a reader can cite, unique within the briefing (`m1`, `l4`).
    pub reference: String,
    /// Whom it is about.
    pub entity: EntityId,
    /// How much it stands out; larger comes first. Comparable within one briefing only.
    #[serde(with = "crate::model::float")]
    pub weight: f64,
    /// The line.
    pub text: String,
}

impl BriefingLine {
    /// A line.
    pub fn new(reference: impl Into<String>, entity: EntityId, weight: f64, text: impl Into<String>) -> Self {
        Self { reference: reference.into(), entity, weight, text: text.into() }
    }
}

/// What did not fit (the stated loss).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// What kind of item: series, lines, entities, ….
    pub what: String,
    /// How many were left out.
    pub count: usize,
    /// Why.
    pub why: String,
}

/// A ranked, cited summary of a window within a token budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Briefing {
    /// What time it is about.
    pub range: TimeRange,
    /// Ranked lines, most telling first.
    pub lines: Vec<BriefingLine>,
    /// Stated loss.
    #[serde(default)]
    pub cuts: Vec<Cut>,
}

impl Briefing {
    /// A briefing of `range` without lines.
    #[must_use]
    pub fn new(range: TimeRange) -> Self {
        Self { range, lines: Vec::new(), cuts: Vec::new() }
    }

    /// The briefing as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!("## {} – {}\n\n", self.range.start(), self.range.end());
        if self.lines.is_empty() {
            out.push_str("Nothing stands out.\n");
        }
        for line in &self.lines {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "- [{}] **{}** {}", line.reference, line.entity, line.text);
        }
        for cut in &self.cuts {
            let _ = writeln!(out, "- _left out: {} {} ({})_", cut.count, cut.what, cut.why);
        }
        out
    }
}
