//! Log lines that are new, and lines that are missing where they always stood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiops_core::model::{EntityId, LogRecord, LogSeverity, Signal};

use super::accuse::{Accusation, Peers};
use super::chance::{believed, deviance};
use super::config::FusionConfig;
use super::finding::{Finding, FindingKind};
use super::spans::{Operation, Operations, Spans};
use super::summary::{Summary, as_f64};
use crate::robust::count;

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
struct Lines<'a> {
    under: BTreeMap<Under, u64>,
    severe: bool,
    /// Severe ones by whom they name of those whom the writer calls.
    naming: BTreeMap<&'a EntityId, u64>,
}

impl Lines<'_> {
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
    lines: HashMap<(&'a EntityId, Cow<'a, str>), Lines<'a>>,
    /// By writer: lines of no span.
    loose: HashMap<&'a EntityId, u64>,
    summary: &'s Summary,
}

impl<'a, 's> Counts<'a, 's> {
    /// A line that is there twice, the same in every respect, counts once. O(lines · log lines).
    fn of(window: Window<'a, 's>, operations: &Operations<'_>, peers: &Peers<'a>, words: usize) -> Self {
        let mut all: Vec<&LogRecord> = window.lines.iter().collect();
        all.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        all.dedup_by(|a, b| a == b);
        let mut counts = Self { lines: HashMap::new(), loose: HashMap::new(), summary: window.summary };
        for line in all {
            let of_span = line.span_id.and_then(|id| window.spans.operation_of(id));
            let under = of_span.filter(|o| operations.get(*o).is_some_and(|o| *o.0 == line.entity));
            let lines = counts.lines.entry((&line.entity, place(&line.body, words))).or_default();
            *lines.under.entry(under).or_default() += 1;
            if line.severity.is_some_and(|s| s >= LogSeverity::Error) {
                lines.severe = true;
                if let Some(peer) = peers.in_text(&line.entity, &line.body) {
                    *lines.naming.entry(peer).or_default() += 1;
                }
            }
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

pub(super) fn findings<'a>(
    operations: &Operations<'a>,
    peers: &Peers<'a>,
    (before, after): (Window<'a, '_>, Window<'a, '_>),
    config: &FusionConfig,
) -> (Vec<Finding>, Vec<Accusation<'a>>) {
    let before = Counts::of(before, operations, peers, config.place_words);
    let after = Counts::of(after, operations, peers, config.place_words);
    let common: BTreeSet<&str> = before.lines.keys().map(|(_, place)| place.as_ref()).collect();
    let only_now = after.lines.keys().filter(|key| !before.lines.contains_key(*key)).count();
    let looked = before.lines.len() + only_now;
    let mut accusations = Vec::new();
    let mut found = new(&before, &after, (&common, count(looked)), config, &mut accusations);
    missing(&before, &after, count(looked), config, &mut found);
    (found, accusations)
}

/// How far the counts of one place, under every operation, speak for more (positive) or fewer lines than before.
fn odds(
    key: (&EntityId, Option<&Lines<'_>>, Option<&Lines<'_>>),
    (before, after): (&Counts<'_, '_>, &Counts<'_, '_>),
    dispersion: f64,
) -> f64 {
    let (writer, then, now) = key;
    let unders = then.into_iter().chain(now).flat_map(|l| l.under.keys()).collect::<BTreeSet<_>>();
    let of = |lines: Option<&Lines<'_>>, under: &Under| {
        as_f64(lines.and_then(|l| l.under.get(under)).copied().unwrap_or(0))
    };
    let part = |under: &&Under| {
        let (was, is) = (before.exposure(writer, **under), after.exposure(writer, **under));
        deviance((of(then, under), was), (of(now, under), is), dispersion)
    };
    unders.iter().map(part).sum()
}

/// What stands for the lines that a short reference missed.
const HALF: f64 = 0.5;

/// Standard errors by which a count is above what was expected, its variance beyond Poisson's.
fn standard_errors(more: f64, expected: f64, config: &FusionConfig) -> f64 {
    (more - expected) / (expected + config.overdispersion * expected * expected).sqrt()
}

fn new<'a>(
    before: &Counts<'a, '_>,
    after: &Counts<'a, '_>,
    (common, looked): (&BTreeSet<&str>, f64),
    config: &FusionConfig,
    accusations: &mut Vec<Accusation<'a>>,
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
        if strength < config.least_strength {
            continue;
        }
        let more = odds((writer, then, Some(lines)), (before, after), 1.0 + config.overdispersion * seen);
        let strength = strength * believed(more, looked);
        if strength >= config.least_strength {
            let statement = format!("{place}: {seen} lines where {expected:.1} were to be expected");
            // Where most of them name one and the same.
            let named = lines.naming.iter().find(|(_, n)| 2.0 * as_f64(**n) > seen);
            accusations.extend(named.filter(|_| kind == FindingKind::LogErrors).map(|(of, _)| Accusation {
                by: writer,
                of,
                kind: FindingKind::CallErrors,
                signal: Signal::Logs,
                strength,
                certainty: strength,
                statement: statement.clone(),
            }));
            let finding = Finding::new(writer, kind, strength, statement);
            found.push(Finding { about: place.to_string(), ..finding });
        }
    }
    found
}

fn missing(
    before: &Counts<'_, '_>,
    after: &Counts<'_, '_>,
    looked: f64,
    config: &FusionConfig,
    found: &mut Vec<Finding>,
) {
    // Fewer errors are no harm.
    for (key, then) in before.lines.iter().filter(|(_, then)| !then.severe) {
        let (writer, place) = key;
        let expected = expected(then, writer, before, after);
        let seen = after.lines.get(key).map_or(0.0, Lines::seen);
        let share = 1.0 - seen / expected.max(f64::MIN_POSITIVE);
        let z = standard_errors(expected, seen + HALF, config);
        let strength = config.strength(z) * share * config.log_missing;
        if expected < config.least_expected || strength < config.least_strength {
            continue;
        }
        let now = after.lines.get(key);
        let fewer = -odds((writer, Some(then), now), (before, after), 1.0 + config.overdispersion * expected);
        let strength = strength * believed(fewer, looked);
        if strength >= config.least_strength {
            let statement = format!("{place}: {seen} lines where {expected:.1} were to be expected");
            let finding = Finding::new(writer, FindingKind::LogMissing, strength, statement);
            found.push(Finding { about: place.to_string(), ..finding });
        }
    }
}

/// How many such lines the spans (without them, the lines) seen after the fault would have written before.
fn expected(then: &Lines<'_>, writer: &EntityId, before: &Counts<'_, '_>, after: &Counts<'_, '_>) -> f64 {
    let part = |(under, lines): (&Under, &u64)| {
        let was = before.exposure(writer, *under);
        if was > 0.0 { as_f64(*lines) / was * after.exposure(writer, *under) } else { 0.0 }
    };
    then.under.iter().map(part).sum()
}
