use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiops_core::Result;
use aiops_core::model::{Briefing, BriefingLine, Cut, EntityId, EvidenceKind, TimeRange, TokenBudget, time};
use aiops_core::seam::Mask;

use super::fit::longest;
use super::text::one_line;
use super::{BriefingConfig, CountTokens, EstimatedTokens, Finding};

/// Makes one ranked briefing of the findings of all modalities. // CMP-06
///
/// # Method
/// Findings of one entity whose onsets follow each other closely become one item. Where findings have a strength on a scale
/// common to all, an item weighs the sum over its aspects of the strongest, the strongest of all being worth 1 / (offset + 1).
/// The others are ranked by score within their modality; an item weighs the sum of 1 / (offset + rank) over its modalities
/// (reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009), so their scores need no common scale. Lines enter in the
/// order of weight × discount^(lines of the item before it), until the budget is full.
///
/// # Promises
/// - The budget is hard: the Markdown, with references as long as any id of a case with less than 10,000 pieces of
///   evidence of a kind, has no more tokens than it, by the counter in use.
/// - The order of findings does not matter, equal ones are told once, and what was cut is said per modality with the
///   strongest of it.
#[derive(Debug, Clone)]
pub struct BriefingBuilder {
    config: BriefingConfig,
    counter: Arc<dyn CountTokens>,
    mask: Option<Arc<dyn Mask>>,
}

impl Default for BriefingBuilder {
    fn default() -> Self {
        Self::new(BriefingConfig::default())
    }
}

/// Findings of one entity that began together, strongest line first.
struct Item {
    entity: EntityId,
    findings: Vec<Finding>,
    weight: f64,
}

/// A line and what it is worth.
struct Candidate<'i> {
    item: usize,
    depth: usize,
    value: f64,
    finding: &'i Finding,
}

impl BriefingBuilder {
    /// A builder that estimates tokens and masks nothing.
    #[must_use]
    pub fn new(config: BriefingConfig) -> Self {
        Self { config, counter: Arc::new(EstimatedTokens), mask: None }
    }

    /// Counts tokens with `counter` instead.
    #[must_use]
    pub fn with_counter(mut self, counter: impl CountTokens) -> Self {
        self.counter = Arc::new(counter);
        self
    }

    /// Masks every summary with `mask`. Telemetry that came through [`LayerExt::masked`](aiops_core::layer::LayerExt::masked)
    /// needs no second one.
    #[must_use]
    pub fn with_mask(mut self, mask: impl Mask) -> Self {
        self.mask = Some(Arc::new(mask));
        self
    }

    /// The briefing of `range` from `findings`; `cuts` is what was lost before. O(n log n) in the findings, and as many
    /// counts of tokens as the logarithm of the lines.
    ///
    /// # Errors
    /// [`Limit`](aiops_core::ErrorKind::Limit) when not even the stated loss fits `budget`.
    pub fn build(
        &self,
        range: TimeRange,
        findings: Vec<Finding>,
        cuts: Vec<Cut>,
        budget: TokenBudget,
    ) -> Result<Briefing> {
        let options = self.config.options();
        let items = self.items(findings);
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for (item, group) in items.iter().enumerate().take(options.top_items) {
            let mut value = group.weight;
            for (depth, finding) in group.findings.iter().enumerate().take(options.lines_per_item) {
                candidates.push(Candidate { item, depth, value, finding });
                value *= options.line_discount;
            }
        }
        // Equal worth: the better item first; stable, so an item's lines keep their order.
        candidates.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.item.cmp(&b.item)));
        let build =
            |kept: usize| self.assemble(range, &items, candidates.get(..kept).unwrap_or_default(), &cuts);
        let needed = |briefing: &Briefing| self.counter.count(&widest(briefing).to_markdown());
        longest(candidates.len(), budget, build, needed)
    }

    /// Findings grouped by entity and onset, ranked; equal ones once.
    fn items(&self, mut findings: Vec<Finding>) -> Vec<Item> {
        let options = self.config.options();
        for finding in &mut findings {
            if let Some(mask) = &self.mask {
                finding.summary = mask.mask(&finding.summary).into_owned();
            }
            finding.summary = one_line(&finding.summary, options.summary_chars);
            // An order of scores needs numbers; what has none comes last.
            finding.score = if finding.score.is_nan() { f64::NEG_INFINITY } else { finding.score + 0.0 };
            if let Some(strength) = &mut finding.strength {
                strength.value = if strength.value.is_finite() { strength.value.max(0.0) } else { 0.0 };
            }
        }
        findings.sort_by(|a, b| {
            (&a.entity, a.onset, a.kind, &a.summary)
                .cmp(&(&b.entity, b.onset, b.kind, &b.summary))
                .then(b.score.total_cmp(&a.score))
                .then(a.evidence.cmp(&b.evidence))
        });
        findings.dedup_by(|a, b| {
            (&a.entity, a.onset, a.kind, &a.summary) == (&b.entity, b.onset, b.kind, &b.summary)
        });
        let mut items: Vec<Item> = Vec::new();
        let mut last = None;
        for finding in findings {
            let near = last.is_some_and(|onset| time::elapsed(onset, finding.onset) <= options.same_onset);
            last = Some(finding.onset);
            match items.last_mut() {
                Some(item) if near && item.entity == finding.entity => item.findings.push(finding),
                _ => {
                    items.push(Item { entity: finding.entity.clone(), findings: vec![finding], weight: 0.0 })
                }
            }
        }
        weigh(&mut items, options.rank_offset);
        // Stable: equal items stay in the order of entity and onset.
        items.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        for item in &mut items {
            item.findings = interleaved(std::mem::take(&mut item.findings));
        }
        items
    }

    /// The briefing with these lines, grouped by item, and what is missing from it.
    fn assemble(&self, range: TimeRange, items: &[Item], kept: &[Candidate<'_>], cuts: &[Cut]) -> Briefing {
        let mut briefing = Briefing::new(range);
        let mut lines: Vec<&Candidate<'_>> = kept.iter().collect();
        lines.sort_by_key(|candidate| (candidate.item, candidate.depth));
        let mut numbers: BTreeMap<EvidenceKind, usize> = BTreeMap::new();
        for candidate in &lines {
            let finding = candidate.finding;
            let number = numbers.entry(finding.kind).or_default();
            *number += 1;
            let reference = match &finding.evidence {
                Some(id) => id.to_string(),
                None => format!("{}{number}", letter(finding.kind)),
            };
            let weight = items.get(candidate.item).map_or(0.0, |item| item.weight);
            let line = BriefingLine::new(reference, finding.entity.clone(), weight, finding.summary.clone());
            briefing
                .lines
                .push(line.with_evidence(finding.kind, finding.onset).with_item(candidate.item + 1));
        }
        // Lines of an item are a prefix of its findings, so what is missing is the rest.
        let mut told: BTreeMap<usize, usize> = BTreeMap::new();
        for candidate in &lines {
            *told.entry(candidate.item).or_default() += 1;
        }
        let mut missing: BTreeMap<EvidenceKind, (usize, &Finding)> = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            for finding in item.findings.iter().skip(told.get(&i).copied().unwrap_or(0)) {
                let (count, strongest) = missing.entry(finding.kind).or_insert((0, finding));
                *count += 1;
                if finding.score > strongest.score {
                    *strongest = finding;
                }
            }
        }
        for (kind, (count, strongest)) in missing {
            let line = format!("{} {}", strongest.entity, strongest.summary);
            let cut = Cut::new(format!("{kind} findings"), count, "less telling");
            briefing.cuts.push(cut.with_strongest(one_line(&line, STRONGEST)));
        }
        briefing.cuts.extend(cuts.iter().cloned());
        briefing
    }
}

/// Characters of the strongest finding that was cut.
const STRONGEST: usize = 60;

/// Gives items their weights: strengths by aspect where findings have one, else ranks among the findings of their kind.
fn weigh(items: &mut [Item], offset: f64) {
    let strengths = items.iter().flat_map(|item| &item.findings).filter_map(|finding| finding.strength);
    let largest = strengths.map(|strength| strength.value).fold(0.0, f64::max);
    for item in items.iter_mut().filter(|_| largest > 0.0) {
        let mut aspects: BTreeMap<&str, f64> = BTreeMap::new();
        for strength in item.findings.iter().filter_map(|finding| finding.strength) {
            let best = aspects.entry(strength.aspect).or_default();
            *best = best.max(strength.value);
        }
        // The strongest finding of all earns what the first of a kind does.
        item.weight += aspects.values().sum::<f64>() / largest / (offset + 1.0);
    }
    let ranked = |f: &&Finding| f.strength.is_none();
    let kinds: BTreeSet<EvidenceKind> =
        items.iter().flat_map(|item| item.findings.iter().filter(ranked).map(|f| f.kind)).collect();
    for kind in kinds {
        let best = |item: &Item| {
            let of_kind = item.findings.iter().filter(ranked).filter(|f| f.kind == kind);
            of_kind.map(|f| f.score).max_by(f64::total_cmp)
        };
        let mut scores: Vec<f64> = items.iter().filter_map(best).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        for item in items.iter_mut() {
            if let Some(score) = best(item) {
                // Equal scores share the better rank.
                let rank = scores.partition_point(|other| other.total_cmp(&score).is_gt()) + 1;
                item.weight += 1.0 / (offset + rank as f64);
            }
        }
    }
}

/// The strongest of each modality first, then the second of each, …; modalities by the strength of what they tell, those of
/// unknown strength in order of their kind.
fn interleaved(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        a.kind
            .cmp(&b.kind)
            .then(b.score.total_cmp(&a.score))
            .then_with(|| (a.onset, &a.summary).cmp(&(b.onset, &b.summary)))
    });
    let mut ranked: Vec<(usize, Finding)> = Vec::with_capacity(findings.len());
    let mut previous = None;
    for finding in findings {
        let rank = match previous {
            Some((kind, rank)) if kind == finding.kind => rank + 1,
            _ => 0,
        };
        previous = Some((finding.kind, rank));
        ranked.push((rank, finding));
    }
    let strength = |finding: &Finding| finding.strength.map_or(f64::NEG_INFINITY, |strength| strength.value);
    // Stable: those of equal strength, or none, stay in the order of their kind.
    ranked.sort_by(|(i, a), (j, b)| i.cmp(j).then(strength(b).total_cmp(&strength(a))));
    ranked.into_iter().map(|(_, finding)| finding).collect()
}

fn letter(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::Anomaly => "m",
        EvidenceKind::Log => "l",
        EvidenceKind::Trace => "t",
        EvidenceKind::Change => "c",
        EvidenceKind::Alert => "a",
        EvidenceKind::Gap => "g",
        _ => "e",
    }
}

/// The briefing with the longest references that a case may give its lines.
pub(super) fn widest(briefing: &Briefing) -> Briefing {
    let mut wide = briefing.clone();
    for line in &mut wide.lines {
        line.reference = format!("{}-9999", line.kind.unwrap_or(EvidenceKind::Anomaly));
    }
    wide
}
