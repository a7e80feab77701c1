//! Which templates of a window say something, held against a baseline window. // CMP-04, ING-09
//!
//! Every line is counted; a filter by severity and keyword only limits what is ranked, and what is new, has vanished or
//! bursts is ranked in any case.

mod config;
mod rank;

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::LogSeverity;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::TemplateId;
use super::hash;

pub use config::{LogWindowConfig, LogWindowOptions, RankConfig, RankOptions};
pub use rank::{LogSummary, Novelty, rank};

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
/// reservoir by template, so that however rare a line is, its template keeps it. [`LogWindowConfig`] bounds both: the oldest
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
    config: LogWindowConfig,
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
    config: LogWindowConfig,
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
    pub fn with_config(config: LogWindowConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// The limits.
    #[must_use]
    pub fn config(&self) -> &LogWindowConfig {
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
