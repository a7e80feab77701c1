//! Log lines that are new, and lines that are missing where they always stood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiops_core::model::{EntityId, LogRecord, LogSeverity};

use super::config::FusionConfig;
use super::finding::{Finding, FindingKind};
use super::spans::{Operation, Operations, Spans};
use super::summary::{Summary, as_f64};

/// What lines have in common: the place in the code that wrote them where the text names it, else the first words without
/// what looks like a value.
pub(crate) fn place(body: &str, words: usize) -> Cow<'_, str> {
    if let Some(first) = body.split_whitespace().next()
        && is_location(first)
    {
        return Cow::Borrowed(first);
    }
    let masked = body
        .split_whitespace()
        .take(words)
        .map(|word| if word.bytes().any(|b| b.is_ascii_digit()) { "*" } else { word });
    Cow::Owned(masked.collect::<Vec<_>>().join(" "))
}

/// `package.Class#123`, `file.rs:12`.
fn is_location(word: &str) -> bool {
    let Some((file, line)) = word.rsplit_once(['#', ':']) else { return false };
    !line.is_empty()
        && line.bytes().all(|b| b.is_ascii_digit())
        && file.bytes().any(|b| b.is_ascii_alphabetic())
        && file.bytes().all(|b| b.is_ascii_graphic())
}

/// Operation under which a line was written; `None` for lines of no span of their writer.
type Under = Option<Operation>;

/// Lines of one writer and place, in one window.
#[derive(Debug, Default)]
struct Lines {
    under: BTreeMap<Under, u64>,
    severe: bool,
}

impl Lines {
    fn seen(&self) -> f64 {
        as_f64(self.under.values().sum())
    }
}

/// One window: its lines, its spans, and what these add up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a, 's> {
    pub(super) lines: &'a [LogRecord],
    pub(super) spans: &'s Spans<'a>,
    pub(super) summary: &'s Summary,
}

/// Lines by writer and place; how often each of the operations under which they stand was seen.
struct Counts<'a, 's> {
    lines: HashMap<(&'a EntityId, Cow<'a, str>), Lines>,
    /// By writer: lines of no span.
    loose: HashMap<&'a EntityId, u64>,
    summary: &'s Summary,
}

impl<'a, 's> Counts<'a, 's> {
    /// A line that is there twice, the same in every respect, counts once. O(lines · log lines).
    fn of(window: Window<'a, 's>, operations: &Operations<'_>, words: usize) -> Self {
        let mut all: Vec<&LogRecord> = window.lines.iter().collect();
        all.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        all.dedup_by(|a, b| a == b);
        let mut counts = Self { lines: HashMap::new(), loose: HashMap::new(), summary: window.summary };
        for line in all {
            let of_span = line.span_id.and_then(|id| window.spans.operation_of(id));
            let under = of_span.filter(|o| operations.get(*o).is_some_and(|o| *o.0 == line.entity));
            let lines = counts.lines.entry((&line.entity, place(&line.body, words))).or_default();
            *lines.under.entry(under).or_default() += 1;
            lines.severe |= line.severity.is_some_and(|s| s >= LogSeverity::Error);
            if under.is_none() {
                *counts.loose.entry(&line.entity).or_default() += 1;
            }
        }
        counts
    }

    fn exposure(&self, writer: &EntityId, under: Under) -> f64 {
        match under {
            Some(operation) => self.summary.spans_of(operation),
            None => as_f64(self.loose.get(writer).copied().unwrap_or(0)),
        }
    }
}

fn order(line: &LogRecord) -> impl Ord + '_ {
    (line.time, line.span_id, &line.entity, &line.body, line.severity, line.trace_id, &line.attributes)
}

pub(super) fn findings(
    operations: &Operations<'_>,
    (before, after): (Window<'_, '_>, Window<'_, '_>),
    config: &FusionConfig,
) -> Vec<Finding> {
    let before = Counts::of(before, operations, config.place_words);
    let after = Counts::of(after, operations, config.place_words);
    let common: BTreeSet<&str> = before.lines.keys().map(|(_, place)| place.as_ref()).collect();
    let mut found = new(&before, &after, &common, config);
    missing(&before, &after, config, &mut found);
    found
}

/// What stands for the lines that a short reference missed.
const HALF: f64 = 0.5;

/// Standard errors by which a count is above what was expected, its variance beyond Poisson's.
fn standard_errors(more: f64, expected: f64, config: &FusionConfig) -> f64 {
    (more - expected) / (expected + config.overdispersion * expected * expected).sqrt()
}

fn new(
    before: &Counts<'_, '_>,
    after: &Counts<'_, '_>,
    common: &BTreeSet<&str>,
    config: &FusionConfig,
) -> Vec<Finding> {
    let least = as_f64(u64::try_from(config.least_spans).unwrap_or(u64::MAX));
    let mut found = Vec::new();
    for (key, lines) in &after.lines {
        let (writer, place) = key;
        // Under what was known already: a request nobody made before is no fault.
        if !lines.under.keys().any(|under| before.exposure(writer, *under) >= least) {
            continue;
        }
        let then = before.lines.get(key);
        let (kind, weight) = match (lines.severe, then) {
            // What anybody writes at times tells little about who writes it now.
            (true, None) if common.contains(place.as_ref()) => {
                (FindingKind::LogErrors, config.common_errors * config.log_errors)
            }
            (true, _) => (FindingKind::LogErrors, config.log_errors),
            (false, Some(_)) => continue,
            (false, None) => (FindingKind::LogNew, config.log_new),
        };
        let seen = lines.seen();
        let expected = then.map_or(0.0, |then| expected(then, writer, before, after));
        let known = expected + HALF;
        let share = 1.0 - (known / seen).min(1.0);
        let strength = config.strength(standard_errors(seen, known, config)) * share * weight;
        if strength >= config.least_strength {
            let statement = format!("{place}: {seen} lines where {expected:.1} were to be expected");
            found.push(Finding::new(writer, kind, strength, statement));
        }
    }
    found
}

fn missing(before: &Counts<'_, '_>, after: &Counts<'_, '_>, config: &FusionConfig, found: &mut Vec<Finding>) {
    // Fewer errors are no harm.
    for (key, then) in before.lines.iter().filter(|(_, then)| !then.severe) {
        let (writer, place) = key;
        let expected = expected(then, writer, before, after);
        let seen = after.lines.get(key).map_or(0.0, Lines::seen);
        let share = 1.0 - seen / expected.max(f64::MIN_POSITIVE);
        let z = standard_errors(expected, seen + HALF, config);
        let strength = config.strength(z) * share * config.log_missing;
        if expected >= config.least_expected && strength >= config.least_strength {
            let statement = format!("{place}: {seen} lines where {expected:.1} were to be expected");
            found.push(Finding::new(writer, FindingKind::LogMissing, strength, statement));
        }
    }
}

/// How many such lines the spans (without them, the lines) seen after the fault would have written before.
fn expected(then: &Lines, writer: &EntityId, before: &Counts<'_, '_>, after: &Counts<'_, '_>) -> f64 {
    let part = |(under, lines): (&Under, &u64)| {
        let was = before.exposure(writer, *under);
        if was > 0.0 { as_f64(*lines) / was * after.exposure(writer, *under) } else { 0.0 }
    };
    then.under.iter().map(part).sum()
}
