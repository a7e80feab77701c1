//! What compaction hands to a reader, person or model (CMP-06).

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::entity::EntityId;
use crate::model::evidence::EvidenceKind;
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

/// One ranked line: one piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BriefingLine {
    /// What a reader cites, unique within the briefing: the id of the evidence once the briefing is part of a case
    /// ([`Case::brief`](crate::Case::brief)), before that any name (`m1`, `l4`).
    pub reference: String,
    /// Whom it is about.
    pub entity: EntityId,
    /// How much it stands out; larger comes first. Comparable within one briefing only.
    #[serde(with = "crate::model::float")]
    pub weight: f64,
    /// The line.
    pub text: String,
    /// Where it comes from; an anomaly where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<EvidenceKind>,
    /// When what it tells of began; the end of the briefing's range where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Neighbouring lines of the same item, counted from 1, tell of one thing that several signals show; 0 stands alone.
    #[serde(default, skip_serializing_if = "stands_alone")]
    pub item: usize,
}

fn stands_alone(item: &usize) -> bool {
    *item == 0
}

impl BriefingLine {
    /// A line.
    pub fn new(reference: impl Into<String>, entity: EntityId, weight: f64, text: impl Into<String>) -> Self {
        let (reference, text) = (reference.into(), text.into());
        Self { reference, entity, weight, text, kind: None, time: None, item: 0 }
    }

    /// The same line as evidence of `kind` that began at `time`.
    #[must_use]
    pub fn with_evidence(mut self, kind: EvidenceKind, time: Timestamp) -> Self {
        (self.kind, self.time) = (Some(kind), Some(time));
        self
    }

    /// The same line as one of those that tell of `item`, counted from 1.
    #[must_use]
    pub fn with_item(mut self, item: usize) -> Self {
        self.item = item;
        self
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
    /// What stood out most among it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strongest: Option<String>,
}

impl Cut {
    /// `count` items of kind `what` left out because of `why`.
    pub fn new(what: impl Into<String>, count: usize, why: impl Into<String>) -> Self {
        Self { what: what.into(), count, why: why.into(), strongest: None }
    }

    /// The same with what stood out most among it.
    #[must_use]
    pub fn with_strongest(mut self, strongest: impl Into<String>) -> Self {
        self.strongest = Some(strongest.into());
        self
    }
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
        for item in self.items() {
            // Writing to a String cannot fail.
            let _ = match item {
                [line] => writeln!(out, "- [{}] **{}** {}", line.reference, line.entity, line.text),
                lines => lines.first().map_or(Ok(()), |first| writeln!(out, "- **{}**", first.entity)),
            };
            for line in item.iter().filter(|_| item.len() > 1) {
                let _ = writeln!(out, "  - [{}] {}", line.reference, line.text);
            }
        }
        for cut in &self.cuts {
            let _ = write!(out, "- _left out: {} {} ({})", cut.count, cut.what, cut.why);
            if let Some(strongest) = &cut.strongest {
                let _ = write!(out, "; strongest: {strongest}");
            }
            out.push_str("_\n");
        }
        out
    }

    /// Its lines by item: neighbours that tell of one thing.
    pub fn items(&self) -> impl Iterator<Item = &[BriefingLine]> {
        self.lines.chunk_by(|a, b| a.item > 0 && a.item == b.item && a.entity == b.entity)
    }

    /// The briefing as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when it cannot be serialised.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "a briefing cannot be serialised").caused_by(e))
    }
}
