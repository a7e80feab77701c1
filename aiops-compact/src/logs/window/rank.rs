//! Ranking of templates against a baseline.

use aiops_core::model::LogSeverity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LogWindow, RankConfig, Seen};
use crate::logs::TemplateId;

/// How a template's count relates to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// As often as before, give or take.
    Usual,
    /// Not in the baseline.
    New,
    /// In the baseline, and expected, but not in the window.
    Vanished,
    /// Far more often than before.
    Bursting,
}

/// A template that says something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogSummary {
    /// Its id.
    pub id: TemplateId,
    /// Its text.
    pub template: String,
    /// TF-IDF weight times what is unusual about the count; only its order means something.
    pub score: f64,
    /// How its count relates to the baseline.
    pub novelty: Novelty,
    /// Lines in the window.
    pub count: u64,
    /// Lines to be expected from the baseline.
    pub expected: f64,
    /// First line; of the baseline when it has vanished.
    pub first: Timestamp,
    /// Last line; of the baseline when it has vanished.
    pub last: Timestamp,
    /// Highest severity.
    pub severity: Option<LogSeverity>,
    /// Lines by minute, each minute by its beginning.
    pub minutes: Vec<(Timestamp, u64)>,
    /// Up to three lines.
    pub examples: Vec<String>,
}

/// Ranks the templates of `window`: what is new, vanished or bursting before what is usual, each best first; ties by id. `text` gives a template's text; what has none is left out.
///
/// The weight is TF-IDF with a minute as document: `(1 + ln count) · ln((1 + m) / (1 + b))`, with `m` minutes of the
/// baseline of which `b` show the template, plus one in the logarithm so that nothing weighs zero (Salton and Buckley, 1988),
/// times `1 + ln(1 + |z|)` with `z` the deviation of the count from what the baseline lets expect. Entries below the
/// percentile of all weights are dropped, unless they are new, vanished or bursting.
pub fn rank(
    window: &LogWindow,
    baseline: &LogWindow,
    config: &RankConfig,
    mut text: impl FnMut(TemplateId) -> Option<String>,
) -> Vec<LogSummary> {
    let options = config.options();
    let (here, before) = (window.minutes.len() as f64, baseline.minutes.len() as f64);
    let mut ranked = Vec::new();
    for (id, seen) in &window.templates {
        let past = baseline.templates.get(id);
        let expected = past.map_or(0.0, |p| p.count as f64 * here / before.max(1.0));
        let z = (seen.count as f64 - expected) / (expected + 1.0).sqrt();
        let novelty = match past {
            // Without a baseline nothing is new.
            None if before > 0.0 => Novelty::New,
            Some(_) if z >= options.burst_sigma => Novelty::Bursting,
            _ => Novelty::Usual,
        };
        ranked.extend(summary(*id, seen, past, before, (novelty, expected, z), seen.count, &mut text));
    }
    for (id, past) in &baseline.templates {
        let expected = past.count as f64 * here / before.max(1.0);
        if !window.templates.contains_key(id) && expected >= options.vanished_expected {
            let found = (Novelty::Vanished, expected, expected.sqrt());
            ranked.extend(summary(*id, past, Some(past), before, found, 0, &mut text));
        }
    }
    ranked.retain(|entry| {
        let says = || {
            let lower = entry.template.to_lowercase();
            options.keywords.iter().any(|word| lower.contains(&word.to_lowercase()))
        };
        entry.novelty != Novelty::Usual || entry.severity >= Some(options.severity) || says()
    });
    let cut = percentile(&mut ranked, options.percentile);
    ranked.retain(|entry| entry.novelty != Novelty::Usual || entry.score >= cut);
    let usual = |entry: &LogSummary| entry.novelty == Novelty::Usual;
    ranked.sort_by(|a, b| {
        usual(a).cmp(&usual(b)).then_with(|| b.score.total_cmp(&a.score)).then_with(|| a.id.cmp(&b.id))
    });
    ranked
}

fn summary(
    id: TemplateId,
    seen: &Seen,
    past: Option<&Seen>,
    baseline_minutes: f64,
    (novelty, expected, z): (Novelty, f64, f64),
    count: u64,
    text: &mut impl FnMut(TemplateId) -> Option<String>,
) -> Option<LogSummary> {
    let shown = past.map_or(0.0, |p| p.minutes.len() as f64);
    let idf = (1.0 + (1.0 + baseline_minutes) / (1.0 + shown)).ln();
    let score = (1.0 + (seen.count.max(1) as f64).ln()) * idf * (1.0 + z.abs().ln_1p());
    let at = |minute: i64| Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(seen.first);
    let minutes =
        if count == 0 { Vec::new() } else { seen.minutes.iter().map(|(m, n)| (at(*m), *n)).collect() };
    Some(LogSummary {
        id,
        template: text(id)?,
        score,
        novelty,
        count,
        expected,
        first: seen.first,
        last: seen.last,
        severity: seen.severity,
        minutes,
        examples: seen.examples.values().cloned().collect(),
    })
}

/// Score at the percentile (nearest rank).
fn percentile(ranked: &mut [LogSummary], percentile: f64) -> f64 {
    ranked.sort_by(|a, b| a.score.total_cmp(&b.score));
    let rank = ((percentile / 100.0) * ranked.len() as f64).ceil() as usize;
    ranked.get(rank.saturating_sub(1)).map_or(f64::NEG_INFINITY, |entry| entry.score)
}
