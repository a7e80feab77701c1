//! What lines say: those that were not there, and those that are missing where they always stood.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use aiops_core::model::{EntityId, EvidenceKind, LogSeverity};

use super::digest::{Digest, Lines, Operation};
use super::evidence::{Evidence, Family, strength};
use super::names::NONE;
use super::text::one_line;
use super::{Finding, WeightOptions};
use crate::logs::TemplateId;

/// Characters shown of a template.
const TEMPLATE_CHARS: usize = 96;

/// How often an operation was there to write lines: its spans; for lines of no span, the lines of no span of the entity.
struct Exposure<'a> {
    digest: &'a Digest,
    loose: BTreeMap<&'a EntityId, u64>,
}

impl<'a> Exposure<'a> {
    fn of(digest: &'a Digest) -> Self {
        let mut loose = BTreeMap::new();
        for ((entity, _), lines) in &digest.lines {
            *loose.entry(&**entity).or_default() += lines.under.get(NONE).copied().unwrap_or(0);
        }
        Self { digest, loose }
    }

    fn count(&self, entity: &Arc<EntityId>, operation: &Arc<str>) -> u64 {
        if operation.is_empty() {
            return self.loose.get(&**entity).copied().unwrap_or(0);
        }
        let operation: Operation = (Arc::clone(entity), Arc::clone(operation));
        self.digest.spans_of(&operation)
    }
}

/// The lines of one writer that are one statement, as far as their text tells.
#[derive(Default)]
struct Statement<'a> {
    /// Templates with the lines to be expected of each, and those seen.
    members: Vec<(TemplateId, f64, f64)>,
    now: Vec<&'a Lines>,
    /// Whether any was there before.
    known: bool,
}

impl Statement<'_> {
    fn sum(&self) -> (f64, f64) {
        self.members.iter().fold((0.0, 0.0), |(usual, seen), member| (usual + member.1, seen + member.2))
    }

    /// The member by which it changed most, upwards or downwards.
    fn most(&self, sign: f64) -> Option<TemplateId> {
        let change = |member: &&(TemplateId, f64, f64)| sign * (member.2 - member.1);
        let most = self.members.iter().max_by(|a, b| change(a).total_cmp(&change(b)).then(b.0.cmp(&a.0)));
        most.map(|(template, ..)| *template)
    }
}

/// Words of a template that are compared.
const MOST_WORDS: usize = 64;

/// Templates of one writer, one severity and one first word that are compared with each other.
const MOST_ALIKE: usize = 256;

/// A template's words, by hash, in order; and the first.
fn words(text: &str) -> (u64, Vec<u64>) {
    let hash = |word: &str| {
        // Fixed keys: the same on every machine.
        let mut hasher = std::hash::DefaultHasher::new();
        word.hash(&mut hasher);
        hasher.finish()
    };
    let mut words: Vec<u64> = text.split_whitespace().take(MOST_WORDS).map(hash).collect();
    let first = words.first().copied().unwrap_or(0);
    words.sort_unstable();
    (first, words)
}

/// Share of words that two templates have in common (Dice's coefficient of the multisets).
fn alike(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut common) = (a.iter().peekable(), b.iter().peekable(), 0_usize);
    while let (Some(left), Some(right)) = (i.peek(), j.peek()) {
        let order = left.cmp(right);
        common += usize::from(order.is_eq());
        if order.is_le() {
            i.next();
        }
        if order.is_ge() {
            j.next();
        }
    }
    2.0 * common as f64 / (a.len() + b.len()).max(1) as f64
}

/// Groups of places in `words` that are alike, each with its first place: the transitive closure of similarity.
fn groups(words: &[&[u64]], least: f64) -> Vec<usize> {
    let mut group: Vec<usize> = (0..words.len()).collect();
    for (i, a) in words.iter().enumerate().take(MOST_ALIKE) {
        for (j, b) in words.iter().enumerate().take(i) {
            let (of_i, of_j) = (group.get(i).copied().unwrap_or(i), group.get(j).copied().unwrap_or(j));
            if of_i != of_j && alike(a, b) >= least {
                let (low, high) = (of_i.min(of_j), of_i.max(of_j));
                group.iter_mut().filter(|g| **g == high).for_each(|g| *g = low);
            }
        }
    }
    group
}

/// What changed in lines from `before` to `now`; `text` gives a template's text, and what has none is left out.
///
/// Templates of one writer that share most of their words are one statement: a value that was not seen before makes a new
/// template, and one that is seen no more a missing one, although the same line of code wrote both.
pub(super) fn line_evidence(
    before: &Digest,
    now: &Digest,
    options: &WeightOptions,
    text: impl Fn(TemplateId) -> Option<String>,
) -> Vec<Evidence> {
    let Some(since) = now.first_line else { return Vec::new() };
    if before.lines.is_empty() {
        return Vec::new();
    }
    let (past, present) = (Exposure::of(before), Exposure::of(now));
    // How many lines of `key` what is seen now would have written before.
    let expected = |entity: &Arc<EntityId>, known: &Lines| {
        known.under.iter().fold(0.0, |sum, (operation, lines)| {
            let was = past.count(entity, operation);
            if was == 0 {
                return sum;
            }
            sum + *lines as f64 / was as f64 * present.count(entity, operation) as f64
        })
    };
    let common: BTreeSet<TemplateId> = before.lines.keys().map(|(_, template)| *template).collect();
    let keys: BTreeSet<&(Arc<EntityId>, TemplateId)> = before.lines.keys().chain(now.lines.keys()).collect();
    let ids: BTreeSet<TemplateId> = keys.iter().map(|(_, template)| *template).collect();
    let words: BTreeMap<TemplateId, (u64, Vec<u64>)> =
        ids.into_iter().filter_map(|id| Some((id, words(&text(id)?)))).collect();
    // By writer, trouble and first word.
    let mut buckets: BTreeMap<(&Arc<EntityId>, bool, u64), Vec<TemplateId>> = BTreeMap::new();
    for key in keys {
        let Some((first, _)) = words.get(&key.1) else { continue };
        let severity = [&before.lines, &now.lines].map(|lines| lines.get(key).and_then(|l| l.severity));
        let trouble = severity.into_iter().flatten().max() >= Some(LogSeverity::Error);
        buckets.entry((&key.0, trouble, *first)).or_default().push(key.1);
    }
    let mut found = Vec::new();
    for ((entity, trouble, _), templates) in buckets {
        let texts: Vec<&[u64]> =
            templates.iter().filter_map(|id| words.get(id)).map(|(_, words)| words.as_slice()).collect();
        let mut statements: BTreeMap<usize, Statement<'_>> = BTreeMap::new();
        for (template, group) in templates.iter().zip(groups(&texts, options.same_statement)) {
            let key = (Arc::clone(entity), *template);
            let (known, lines) = (before.lines.get(&key), now.lines.get(&key));
            let statement = statements.entry(group).or_default();
            let usual = known.map_or(0.0, |known| expected(entity, known));
            statement.members.push((*template, usual, lines.map_or(0, Lines::count) as f64));
            statement.now.extend(lines);
            statement.known |= known.is_some();
        }
        for statement in statements.values() {
            let (usual, seen) = statement.sum();
            let risen =
                risen(statement, trouble, &common, options, |operation| past.count(entity, operation));
            let (aspect, onset, worth, template, said) = if let Some((aspect, worth, severity)) = risen {
                let novelty = if statement.known { "more" } else { "new" };
                let level = severity.map(|s| format!(" {s:?}").to_lowercase()).unwrap_or_default();
                let lines = if statement.known { " lines" } else { " line" };
                let said = format!("{novelty}{level}{lines}, {usual:.0} → {seen}");
                let first = statement.now.iter().map(|lines| lines.first).min().unwrap_or(since);
                (aspect, first, worth, statement.most(1.0), said)
            } else if let Some(worth) = fallen(usual, seen, options).filter(|_| !trouble) {
                let said = format!("line missing, {usual:.0} expected → {seen}");
                ("missing lines", since, worth, statement.most(-1.0), said)
            } else {
                continue;
            };
            let Some(shown) = template.and_then(&text) else { continue };
            let summary = format!("{said}: {}", one_line(&shown, TEMPLATE_CHARS));
            let finding = Finding::new((**entity).clone(), EvidenceKind::Log, onset, worth, summary);
            let (family, exclusive) = (Family::Outcome, false);
            found.push(Evidence { finding, aspect, family, strength: worth, exclusive });
        }
    }
    found
}

/// What a statement that is written more often is worth, in which aspect, with its severity from warning on.
fn risen(
    statement: &Statement<'_>,
    trouble: bool,
    common: &BTreeSet<TemplateId>,
    options: &WeightOptions,
    past: impl Fn(&Arc<str>) -> u64,
) -> Option<(&'static str, f64, Option<LogSeverity>)> {
    let (usual, seen) = statement.sum();
    // Half a line stands for what a short past missed.
    let usual = usual + 0.5;
    let z = (seen - usual) / (usual + options.overdispersion * usual * usual).sqrt();
    // Under what was known already: a request that nobody made before is no fault. Trouble is one in any case.
    let exposed = statement.now.iter().flat_map(|lines| lines.under.keys()).map(past).max().unwrap_or(0);
    if z < options.min_sigma || (!trouble && (statement.known || exposed < options.min_calls)) {
        return None;
    }
    let (aspect, weight) = if trouble {
        // What anybody writes at times tells little about who writes it now.
        let elsewhere = !statement.known && statement.members.iter().any(|(id, ..)| common.contains(id));
        ("error lines", options.error_lines * if elsewhere { options.common_errors } else { 1.0 })
    } else {
        ("new lines", options.new_lines)
    };
    let severity = statement.now.iter().filter_map(|lines| lines.severity).max();
    let worth = strength(z) * (1.0 - (usual / seen.max(1.0)).min(1.0)) * weight;
    Some((aspect, worth, severity.filter(|severity| *severity >= LogSeverity::Warn)))
}

/// What a statement that is written less often than its operations let expect is worth.
fn fallen(usual: f64, seen: f64, options: &WeightOptions) -> Option<f64> {
    let half = seen + 0.5;
    let z = (usual - half) / (half + options.overdispersion * half * half).sqrt();
    let lost = usual >= options.min_expected && z >= options.min_sigma;
    lost.then(|| strength(z) * (1.0 - seen / usual) * options.missing_lines)
}
