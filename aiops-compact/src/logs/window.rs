//! Which templates of a window say something, held against a baseline window. // CMP-04, ING-09
//!
//! Every line is counted; a filter by severity and keyword only limits what is ranked, and what is new, has vanished or
//! bursts is ranked in any case.

use std::collections::{BTreeMap, BTreeSet};

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

/// How much a [`LogWindow`] keeps. Plain fields with the defaults that are documented on each; [`WindowConfig`] holds a
/// checked set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowOptions {
    /// Most templates kept; 1 to 10⁶. Beyond it an eighth of them, seen longest ago, is forgotten. Default 16384.
    pub max_templates: usize,
    /// Most distinct minutes with lines kept; 1 to 10⁶. Beyond it the oldest are forgotten. Default 1440: a day.
    pub max_minutes: usize,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self { max_templates: 1 << 14, max_minutes: 1440 }
    }
}

/// Checked [`WindowOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowOptions", into = "WindowOptions")]
pub struct WindowConfig(WindowOptions);

impl WindowConfig {
    /// The limits.
    #[must_use]
    pub fn options(&self) -> &WindowOptions {
        &self.0
    }
}

impl From<WindowConfig> for WindowOptions {
    fn from(config: WindowConfig) -> Self {
        config.0
    }
}

impl TryFrom<WindowOptions> for WindowConfig {
    type Error = ConfigError;

    fn try_from(options: WindowOptions) -> Result<Self, ConfigError> {
        for (field, value) in [("max_templates", options.max_templates), ("max_minutes", options.max_minutes)]
        {
            if !(1..=1_000_000).contains(&value) {
                return Err(ConfigError::new(field, value, "1 to 1000000"));
            }
        }
        Ok(Self(options))
    }
}

/// Examples kept of each template.
const EXAMPLES: usize = 3;

/// Bytes kept of an example.
const EXAMPLE_BYTES: usize = 1024;

/// What a window holds of one template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
/// Memory: one entry per template and minute in which it was seen, and three examples of at most 1 KiB per template: a
/// reservoir by template, so that however rare a line is, its template keeps it. [`WindowConfig`] bounds both: the oldest
/// minutes go, and the templates seen longest ago; [`dropped`](Self::dropped) counts their lines.
///
/// [`merge`](Self::merge) is associative and commutative, and exact as long as nothing was dropped. Where minutes were, the
/// counts of those that stay are exact still; a template's first line, severity and examples may be of a minute that went. Which
/// templates stay, once some were dropped, depends on order and shards.
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
#[serde(try_from = "Parts")]
pub struct LogWindow {
    config: WindowConfig,
    templates: BTreeMap<TemplateId, Seen>,
    /// Lines of the minutes kept, those of dropped templates included.
    minutes: BTreeMap<i64, u64>,
    /// Lines counted, those that were dropped included.
    lines: u64,
}

/// A window as stored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    config: WindowConfig,
    templates: BTreeMap<TemplateId, Seen>,
    minutes: BTreeMap<i64, u64>,
    lines: u64,
}

/// A stored window that none can have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a window of log lines: {0}")]
pub struct WindowError(&'static str);

/// Most lines that a stored window may have: what every reader of JSON takes exactly, and far from where counts overflow.
const MAX_LINES: u64 = 1 << 53;

impl TryFrom<Parts> for LogWindow {
    type Error = WindowError;

    fn try_from(parts: Parts) -> Result<Self, WindowError> {
        let require = |holds: bool, what| if holds { Ok(()) } else { Err(WindowError(what)) };
        let Parts { config, templates, minutes, lines } = parts;
        let limits = config.options();
        let sum = |counts: &BTreeMap<i64, u64>| {
            counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count))
        };
        require(templates.len() <= limits.max_templates, "too many templates")?;
        require(minutes.len() <= limits.max_minutes, "too many minutes")?;
        require(lines <= MAX_LINES && sum(&minutes) <= lines, "more lines in minutes than in all")?;
        let mut left = minutes.clone();
        for seen in templates.values() {
            require(
                seen.count > 0 && seen.count == sum(&seen.minutes),
                "a count is not that of its minutes",
            )?;
            require(seen.first <= seen.last, "a last line before the first")?;
            let shown = seen.examples.values().all(|example| example.len() <= EXAMPLE_BYTES);
            require(shown && seen.examples.len() <= EXAMPLES, "examples too many or too long")?;
            for (minute, count) in &seen.minutes {
                let rest = left.get_mut(minute).ok_or(WindowError("a template in a minute without lines"))?;
                *rest = rest
                    .checked_sub(*count)
                    .ok_or(WindowError("a minute with fewer lines than its templates"))?;
            }
        }
        Ok(Self { config, templates, minutes, lines })
    }
}

impl LogWindow {
    /// An empty window with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty window.
    #[must_use]
    pub fn with_config(config: WindowConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// The limits.
    #[must_use]
    pub fn config(&self) -> &WindowConfig {
        &self.config
    }

    /// Counts a line; order does not matter, but for which templates are dropped. O(log templates), and O(templates) where a
    /// minute must go for a new one.
    pub fn observe(
        &mut self,
        time: Timestamp,
        template: TemplateId,
        line: &str,
        severity: Option<LogSeverity>,
    ) {
        let minute = time.as_second().div_euclid(60);
        self.lines += 1;
        let full = self.minutes.len() >= self.config.options().max_minutes;
        if full && self.minutes.first_key_value().is_some_and(|(oldest, _)| minute < *oldest) {
            return;
        }
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
        self.keep_limits();
    }

    /// Drops the oldest minutes, then the templates seen longest ago.
    fn keep_limits(&mut self) {
        let limits = *self.config.options();
        if self.minutes.len() > limits.max_minutes {
            while self.minutes.len() > limits.max_minutes {
                self.minutes.pop_first();
            }
            let oldest = self.minutes.first_key_value().map_or(i64::MAX, |(minute, _)| *minute);
            self.templates.retain(|_, seen| {
                while let Some(entry) = seen.minutes.first_entry().filter(|entry| *entry.key() < oldest) {
                    seen.count -= entry.remove();
                }
                seen.count > 0
            });
        }
        if self.templates.len() > limits.max_templates {
            // Several at once: to find them takes a look at all.
            let keep = limits.max_templates - limits.max_templates / 8;
            let mut order: Vec<_> = self.templates.iter().map(|(id, seen)| (seen.last, *id)).collect();
            order.sort_unstable();
            let excess = order.len() - keep;
            let gone: BTreeSet<TemplateId> = order.into_iter().take(excess).map(|(_, id)| id).collect();
            self.templates.retain(|id, _| !gone.contains(id));
        }
    }

    /// Adds what a shard counted; the limits stay those of this window. Both must have the ids of one miner;
    /// [`resolved`](Self::resolved) translates.
    pub fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        for (minute, count) in other.minutes {
            *self.minutes.entry(minute).or_default() += count;
        }
        for (id, seen) in other.templates {
            self.add(id, seen);
        }
        self.keep_limits();
    }

    fn add(&mut self, id: TemplateId, seen: Seen) {
        match self.templates.get_mut(&id) {
            Some(own) => own.merge(seen),
            None => {
                self.templates.insert(id, seen);
            }
        }
    }

    /// The window with each id replaced, after templates merged or miners did.
    #[must_use]
    pub fn resolved(mut self, resolve: impl Fn(TemplateId) -> TemplateId) -> Self {
        for (id, seen) in std::mem::take(&mut self.templates) {
            self.add(resolve(id), seen);
        }
        self
    }

    /// Lines counted, those that were dropped included.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Lines that count in no template and minute any more, because of the limits.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lines - self.templates.values().map(|seen| seen.count).sum::<u64>()
    }

    /// Templates kept.
    #[must_use]
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// Minutes with lines kept.
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
