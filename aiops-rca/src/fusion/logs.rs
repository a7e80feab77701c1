//! Log lines that are new, and lines that are missing where they always stood.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EntityId, LogRecord, LogSeverity, SpanId, TelemetryWindow};

use super::config::FusionConfig;
use super::finding::{Finding, FindingKind, strength};
use crate::robust::count;

/// What lines have in common: the place in the code that wrote them where the text names it, else the first words without
/// what looks like a value.
fn place(body: &str) -> String {
    let mut words = body.split_whitespace();
    if let Some(first) = words.next()
        && is_location(first)
    {
        return first.to_owned();
    }
    let masked = body
        .split_whitespace()
        .take(8)
        .map(|word| if word.bytes().any(|b| b.is_ascii_digit()) { "*" } else { word });
    masked.collect::<Vec<_>>().join(" ")
}

/// `package.Class#123`, `file.rs:12`.
fn is_location(word: &str) -> bool {
    let Some((file, line)) = word.rsplit_once(['#', ':']) else { return false };
    !line.is_empty()
        && line.bytes().all(|b| b.is_ascii_digit())
        && file.bytes().any(|b| b.is_ascii_alphabetic())
        && file.bytes().all(|b| b.is_ascii_graphic())
}

/// Lines by writer, operation under which they were written, and place.
#[derive(Default)]
struct Counts<'a> {
    /// By writer and operation: lines.
    lines: BTreeMap<(&'a EntityId, String), BTreeMap<&'a str, u64>>,
    severe: BTreeMap<(&'a EntityId, String), u64>,
    exposure: BTreeMap<(&'a EntityId, &'a str), u64>,
    total: BTreeMap<&'a EntityId, u64>,
}

/// Operation under which lines of no span were written.
const NONE: &str = "";

impl<'a> Counts<'a> {
    fn of(window: &'a TelemetryWindow) -> Self {
        let mut counts = Self::default();
        let mut operation: std::collections::HashMap<SpanId, &str> = std::collections::HashMap::new();
        for span in &window.spans {
            operation.insert(span.span_id, &span.operation);
            *counts.exposure.entry((&span.entity, &span.operation)).or_default() += 1;
        }
        for line in &window.logs {
            let under = line.span_id.and_then(|id| operation.get(&id).copied()).unwrap_or(NONE);
            let key = (&line.entity, place(&line.body));
            if is_severe(line) {
                *counts.severe.entry(key.clone()).or_default() += 1;
            }
            *counts.lines.entry(key).or_default().entry(under).or_default() += 1;
            *counts.total.entry(&line.entity).or_default() += 1;
            if under.is_empty() {
                *counts.exposure.entry((&line.entity, NONE)).or_default() += 1;
            }
        }
        counts
    }
}

fn is_severe(line: &LogRecord) -> bool {
    line.severity.is_some_and(|s| s >= LogSeverity::Error)
}

pub(super) fn findings(
    reference: &TelemetryWindow,
    fault: &TelemetryWindow,
    config: &FusionConfig,
) -> Vec<Finding> {
    let (before, after) = (Counts::of(reference), Counts::of(fault));
    let least = u64::try_from(config.least_spans).unwrap_or(u64::MAX);
    let common: BTreeSet<&str> = before.lines.keys().map(|(_, place)| place.as_str()).collect();
    let mut found = Vec::new();
    for ((entity, place), by_operation) in &after.lines {
        let key = (*entity, place.clone());
        let seen = count(usize::try_from(by_operation.values().sum::<u64>()).unwrap_or(usize::MAX));
        let expected = expected(&before, &after, &key);
        let severe = after.severe.contains_key(&key);
        // Half a line stands for what a short reference missed.
        let known = expected.unwrap_or(0.0) + 0.5;
        let z = (seen - known) / (known + config.overdispersion * known * known).sqrt();
        let share = 1.0 - (known / seen).min(1.0);
        // Under what was known already: a request nobody made before is no fault.
        let exposed = |o: &&str| before.exposure.get(&(*entity, *o)).copied().unwrap_or(0);
        if by_operation.keys().map(exposed).max().unwrap_or(0) < least {
            continue;
        }
        let (kind, weight) = if severe {
            // What anybody writes at times tells little about who writes it now.
            let common = common.contains(place.as_str()) && !before.lines.contains_key(&key);
            (FindingKind::LogErrors, if common { config.common_errors } else { 1.0 } * config.log_errors)
        } else if before.lines.contains_key(&key) {
            continue;
        } else {
            (FindingKind::LogNew, config.log_new)
        };
        let strength = strength(z) * share * weight;
        if strength >= config.least_strength {
            let statement = format!("{place}: {seen} lines where {:.1} were to be expected", known - 0.5);
            found.push(Finding::new(entity, kind, strength, statement));
        }
    }
    for key in before.lines.keys() {
        let Some(expected) = expected(&before, &after, key) else { continue };
        let seen: u64 = after.lines.get(key).map_or(0, |l| l.values().sum());
        let seen = count(usize::try_from(seen).unwrap_or(usize::MAX));
        // Fewer errors are no harm.
        if before.severe.contains_key(key) {
            continue;
        }
        let half = seen + 0.5;
        let z = (expected - half) / (half + config.overdispersion * half * half).sqrt();
        let share = 1.0 - seen / expected.max(f64::MIN_POSITIVE);
        let strength = strength(z) * share * config.log_missing;
        if expected >= config.least_expected && strength >= config.least_strength {
            let (entity, place) = key;
            let statement = format!("{place}: {seen} lines where {expected:.1} were to be expected");
            found.push(Finding::new(entity, FindingKind::LogMissing, strength, statement));
        }
    }
    found
}

/// How many lines of `key` the spans (without them, the lines) seen after the fault would have written before.
fn expected(before: &Counts<'_>, after: &Counts<'_>, key: &(&EntityId, String)) -> Option<f64> {
    let lines = before.lines.get(key)?;
    let mut sum = 0.0;
    for (operation, lines) in lines {
        let exposed = |c: &Counts<'_>| {
            let n = c.exposure.get(&(key.0, *operation)).copied().unwrap_or(0);
            count(usize::try_from(n).unwrap_or(usize::MAX))
        };
        let was = exposed(before);
        if was > 0.0 {
            let lines = count(usize::try_from(*lines).unwrap_or(usize::MAX));
            sum += lines / was * exposed(after);
        }
    }
    Some(sum)
}
