//! Which templates of a window say something, held against a baseline window. // CMP-04, ING-09
//!
//! Every line is counted; a filter by severity and keyword only limits what is ranked, and what is new, has vanished or
//! bursts is ranked in any case.

use std::collections::BTreeMap;

use aiops_core::model::LogSeverity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TemplateId;
use super::hash;
use crate::error::{ConfigError, check};

/// Thresholds of the ranking. Plain fields with the defaults that are documented on each; [`RankConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RankOptions {
    /// Words of which one makes a template worth ranking, compared without regard to case. Default: the usual words for
    /// failure.
    pub keywords: Vec<String>,
    /// Severity from which a template is ranked whatever it says. Default: warn.
    pub severity: LogSeverity,
    /// Percentile of the scores from which an entry is kept; 0 to 100. Default 80.
    pub percentile: f64,
    /// Deviation from the expected count, in standard deviations of a Poisson count, that makes a burst; 1 to 1000. Default 6.
    pub burst_sigma: f64,
    /// Lines expected from the baseline from which none at all means that a template has vanished; 1 to 10⁶. Default 8,
    /// which leaves chance a probability of e⁻⁸.
    pub vanished_expected: f64,
}

impl Default for RankOptions {
    fn default() -> Self {
        let keywords = [
            "fatal",
            "error",
            "exception",
            "crash",
            "fail",
            "panic",
            "abort",
            "denied",
            "refused",
            "timeout",
            "timed out",
            "unavailable",
            "unreachable",
            "corrupt",
            "killed",
            "out of memory",
            "lost",
            "reset by peer",
        ];
        Self {
            keywords: keywords.map(str::to_owned).to_vec(),
            severity: LogSeverity::Warn,
            percentile: 80.0,
            burst_sigma: 6.0,
            vanished_expected: 8.0,
        }
    }
}

/// Checked [`RankOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RankOptions", into = "RankOptions")]
pub struct RankConfig(RankOptions);

impl RankConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &RankOptions {
        &self.0
    }
}

impl From<RankConfig> for RankOptions {
    fn from(config: RankConfig) -> Self {
        config.0
    }
}

impl TryFrom<RankOptions> for RankConfig {
    type Error = ConfigError;

    fn try_from(options: RankOptions) -> Result<Self, ConfigError> {
        check("percentile", options.percentile, 0.0..=100.0, "0 to 100")?;
        check("burst_sigma", options.burst_sigma, 1.0..=1000.0, "1 to 1000")?;
        check("vanished_expected", options.vanished_expected, 1.0..=1e6, "1 to 10^6 lines")?;
        Ok(Self(options))
    }
}

/// Examples kept of each template.
const EXAMPLES: usize = 3;

/// Bytes kept of an example.
const EXAMPLE_BYTES: usize = 1024;

/// What a window holds of one template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    severity: Option<LogSeverity>,
    /// Minute since the epoch → lines.
    minutes: BTreeMap<i64, u64>,
    /// The lines of smallest hash, by hash: the same sample whatever the order and the shards.
    examples: BTreeMap<u64, String>,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.severity = self.severity.max(other.severity);
        for (minute, count) in other.minutes {
            *self.minutes.entry(minute).or_default() += count;
        }
        self.examples.extend(other.examples);
        while self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
    }
}

/// Lines of a window by template and minute. // ING-09
///
/// Memory: one entry per template and minute in which it was seen, and three examples per template: a reservoir by
/// template, so that however rare a line is, its template keeps it. [`merge`](Self::merge) is exact, associative and
/// commutative.
///
/// ```
/// use aiops_compact::logs::window::{LogWindow, RankConfig, rank};
/// use aiops_compact::logs::{LogMiner, MinerConfig};
/// use aiops_core::jiff::Timestamp;
///
/// let mut miner = LogMiner::new(MinerConfig::default());
/// let (mut baseline, mut window) = (LogWindow::new(), LogWindow::new());
/// for second in 0..600 {
///     let into = if second < 300 { &mut baseline } else { &mut window };
///     let mut see = |line: String| into.observe(Timestamp::from_second(second).unwrap(), miner.push(line.as_bytes()), &line, None);
///     see(format!("served request {second}"));
///     if second > 400 {
///         see(format!("cannot reach database at 10.0.0.{}", second % 9));
///     }
/// }
/// let top = rank(&window, &baseline, &RankConfig::default(), |id| miner.template(id).map(|t| t.to_string()));
/// assert_eq!(top[0].template, "cannot reach database at <*>");
/// assert_eq!(top[0].count, 199);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWindow {
    templates: BTreeMap<TemplateId, Seen>,
    minutes: BTreeMap<i64, u64>,
}

impl LogWindow {
    /// An empty window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a line; order does not matter.
    pub fn observe(
        &mut self,
        time: Timestamp,
        template: TemplateId,
        line: &str,
        severity: Option<LogSeverity>,
    ) {
        let minute = time.as_second().div_euclid(60);
        *self.minutes.entry(minute).or_default() += 1;
        let seen = self.templates.entry(template).or_insert_with(|| Seen {
            count: 0,
            first: time,
            last: time,
            severity: None,
            minutes: BTreeMap::new(),
            examples: BTreeMap::new(),
        });
        seen.count += 1;
        seen.first = seen.first.min(time);
        seen.last = seen.last.max(time);
        seen.severity = seen.severity.max(severity);
        *seen.minutes.entry(minute).or_default() += 1;
        let key = hash::finish(hash::add_bytes(1, line.as_bytes()));
        let full = seen.examples.len() >= EXAMPLES;
        if !full || seen.examples.last_key_value().is_some_and(|(worst, _)| key < *worst) {
            let mut end = line.len().min(EXAMPLE_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            seen.examples.insert(key, line.get(..end).unwrap_or_default().to_owned());
            if seen.examples.len() > EXAMPLES {
                seen.examples.pop_last();
            }
        }
    }

    /// Adds what a shard counted. Both must have the ids of one miner; [`resolved`](Self::resolved) translates.
    pub fn merge(&mut self, other: Self) {
        for (minute, count) in other.minutes {
            *self.minutes.entry(minute).or_default() += count;
        }
        for (id, seen) in other.templates {
            match self.templates.get_mut(&id) {
                Some(own) => own.merge(seen),
                None => {
                    self.templates.insert(id, seen);
                }
            }
        }
    }

    /// The window with each id replaced, after templates merged or miners did.
    #[must_use]
    pub fn resolved(self, resolve: impl Fn(TemplateId) -> TemplateId) -> Self {
        let mut window = Self { templates: BTreeMap::new(), minutes: self.minutes };
        for (id, seen) in self.templates {
            let part = Self { templates: [(resolve(id), seen)].into(), minutes: BTreeMap::new() };
            window.merge(part);
        }
        window
    }

    /// Lines counted.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.minutes.values().sum()
    }

    /// Templates seen.
    #[must_use]
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Minutes with lines.
    #[must_use]
    pub fn minutes(&self) -> usize {
        self.minutes.len()
    }
}

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
