//! Stretches of a series unlike any before: a streaming score for one series of any kind, without a season to state.
//!
//! # Method
//! The last few samples are compared with every stretch of the same length in a bounded history: the distance to the
//! nearest ones says how new the stretch is (a discord: Keogh, Lin and Fu, *HOT SAX*, 2005; as a streaming score, the
//! `k` nearest neighbours of Burnaev and Ishimtsev, *Conformalized density- and distance-based anomaly detection*, 2016).
//! Days, weeks and odd rhythms need not be told: yesterday's noon is a near neighbour of today's. Distances mean little by
//! themselves, so each is divided by a high quantile of the distances the series itself had lately; noisy series raise
//! their own bar. Several lengths are summed, each cut, so that neither one huge spike nor one length alone decides.
//! After an alarm none is raised for a number of samples: a stretch stays in sight for a while.
//!
//! # Cost
//! O(history · Σ lengths) a sample in the worst case, near O(history · lengths) in practice, since a sum stops growing once
//! it exceeds the nearest ones; memory O(history · lengths). For the few series that matter, not for all of them.

mod detector;
mod state;

use std::collections::VecDeque;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use crate::error::{check, check_count};

pub use detector::{FittedNovelty, NOVELTY_VERSION, NoveltyFit, NoveltySeriesDetector};

/// Samples between two looks at the quantile: it moves slowly, and sorting is what costs.
const REFRESH: u64 = 16;

/// Fewest distances a quantile is taken of.
const FEWEST: usize = 50;

/// How newness is told.
///
/// Plain fields with documented defaults; [`NoveltyConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoveltyOptions {
    /// Lengths of the stretches, in samples; 1 to 8 of them, each 1 to 256. Default 5, 10 and 20: a
    /// burst, an odd hour, a change of shape.
    pub lengths: Vec<usize>,
    /// Samples stretches are compared with, 128 to 100 000. Default 2000: a week of samples every five minutes.
    pub history: usize,
    /// Nearest stretches whose distances are averaged, 1 to 16. Default 3: what happened once or twice is still new.
    pub neighbours: usize,
    /// Quantile of the distances in `history` that counts as 1, 0.5 to 0.999. Default 0.97.
    pub quantile: f64,
    /// Most that one length adds to the score, 1 to 1000. Default 3.
    pub cap: f64,
    /// Samples before the first score, 2 to `history`. Default 150.
    pub warm_up: usize,
    /// Score from which an alarm is raised, more than 0, to 8000. Default 4: by a third more than usual at each of three lengths.
    pub threshold: f64,
    /// Score from which a finding is critical, `threshold` to 8000. Default 8: nearly as new as can be said at each of three
    /// lengths.
    pub critical: f64,
    /// Samples after an alarm in which no other is raised, 0 to 100 000. Default 100.
    pub hold_off: usize,
}

impl Default for NoveltyOptions {
    fn default() -> Self {
        Self {
            lengths: vec![5, 10, 20],
            history: 2000,
            neighbours: 3,
            quantile: 0.97,
            cap: 3.0,
            warm_up: 150,
            threshold: 4.0,
            critical: 8.0,
            hold_off: 100,
        }
    }
}

/// Checked [`NoveltyOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NoveltyOptions", into = "NoveltyOptions")]
pub struct NoveltyConfig(NoveltyOptions);

impl NoveltyConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &NoveltyOptions {
        &self.0
    }
}

impl From<NoveltyConfig> for NoveltyOptions {
    fn from(config: NoveltyConfig) -> Self {
        config.0
    }
}

impl TryFrom<NoveltyOptions> for NoveltyConfig {
    type Error = ConfigError;

    fn try_from(o: NoveltyOptions) -> Result<Self, ConfigError> {
        if !(1..=8).contains(&o.lengths.len()) || o.lengths.iter().any(|length| !(1..=256).contains(length)) {
            return Err(ConfigError::new(
                "lengths",
                format!("{:?}", o.lengths),
                "1 to 8 lengths of 1 to 256",
            ));
        }
        check_count("history", o.history, 128..=100_000, "128 to 100000 samples")?;
        check_count("neighbours", o.neighbours, 1..=16, "1 to 16")?;
        check("quantile", o.quantile, 0.5..=0.999, "0.5 to 0.999")?;
        check("cap", o.cap, 1.0..=1000.0, "1 to 1000")?;
        check_count("warm_up", o.warm_up, 2..=o.history, "2 to `history` samples")?;
        check("threshold", o.threshold, f64::MIN_POSITIVE..=8000.0, "more than 0, to 8000")?;
        check("critical", o.critical, o.threshold..=8000.0, "`threshold` to 8000")?;
        check_count("hold_off", o.hold_off, 0..=100_000, "0 to 100000 samples")?;
        Ok(Self(o))
    }
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Novel {
    /// How new the stretches that end here are: the sum over lengths of distances in units of what is usual. 0 while warming
    /// up.
    pub score: f64,
    /// Whether this sample raises an alarm.
    pub alarm: bool,
}

/// Distances of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    length: usize,
    distances: VecDeque<f64>,
    /// What counts as 1.
    unit: f64,
}

/// Scores one series, sample by sample.
///
/// ```
/// use aiops_detect::novelty::NoveltyDetector;
/// let mut detector = NoveltyDetector::new(Default::default());
/// let beat = |i: u32| f64::from(i % 12) + f64::from(i * i % 7) / 10.0;
/// assert!((0..1000).all(|i| !detector.push(beat(i)).alarm));
/// // Within all bounds, but never flat before.
/// assert!((1000..1020).any(|_| detector.push(6.0).alarm));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "state::Document", into = "state::Document")]
pub struct NoveltyDetector {
    config: NoveltyConfig,
    /// Newest last.
    values: Vec<f64>,
    scales: Vec<Scale>,
    seen: u64,
    last_alarm: Option<u64>,
}

impl NoveltyDetector {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: NoveltyConfig) -> Self {
        let scale = |length: &usize| Scale { length: *length, distances: VecDeque::new(), unit: 0.0 };
        let scales = config.options().lengths.iter().map(scale).collect();
        Self { config, values: Vec::new(), scales, seen: 0, last_alarm: None }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &NoveltyConfig {
        &self.config
    }

    /// Samples taken in.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes in the next sample. NaN and ±∞ are passed over: score 0, no alarm, nothing remembered.
    pub fn push(&mut self, value: f64) -> Novel {
        if !value.is_finite() {
            return Novel { score: 0.0, alarm: false };
        }
        let options = self.config.options();
        let longest = options.lengths.iter().copied().max().unwrap_or(1);
        // Trimmed in one go now and then, so that the history stays one slice.
        if self.values.len() >= 2 * (options.history + longest) {
            self.values.drain(..self.values.len() - options.history - longest);
        }
        self.values.push(value);
        let warm = self.seen >= options.warm_up as u64;
        let mut score = 0.0;
        for scale in &mut self.scales {
            let distance = nearest(&self.values, scale.length, options.history, options.neighbours);
            if warm && (self.seen.is_multiple_of(REFRESH) || self.seen == options.warm_up as u64) {
                scale.refresh(options.quantile);
            }
            if warm && scale.distances.len() >= FEWEST && distance > 0.0 {
                // Where nothing was ever new, the unit is 0 and whatever is new is entirely so.
                score += (distance / scale.unit).min(options.cap);
            }
            scale.distances.push_back(distance);
            if scale.distances.len() > options.history {
                scale.distances.pop_front();
            }
        }
        let held = self.last_alarm.is_some_and(|last| self.seen - last <= options.hold_off as u64);
        let alarm = score >= options.threshold && !held;
        if alarm {
            self.last_alarm = Some(self.seen);
        }
        self.seen += 1;
        Novel { score, alarm }
    }
}

impl Scale {
    fn refresh(&mut self, quantile: f64) {
        let mut sorted: Vec<f64> = self.distances.iter().copied().collect();
        let at = ((quantile * sorted.len() as f64) as usize).min(sorted.len().saturating_sub(1));
        if at < sorted.len() {
            self.unit = *sorted.select_nth_unstable_by(at, f64::total_cmp).1;
        }
    }
}

/// Mean Euclidean distance of the last `length` values to the nearest of the `history` stretches that ended before it
/// began; 0 where there is none.
fn nearest(values: &[f64], length: usize, history: usize, neighbours: usize) -> f64 {
    let Some(begins) = values.len().checked_sub(length).filter(|begins| *begins > 2 * length + 10) else {
        return 0.0;
    };
    let (past, present) = values.split_at(begins);
    let past = past.get(past.len().saturating_sub(history)..).unwrap_or(past);
    let mut best: Vec<f64> = Vec::with_capacity(neighbours + 1);
    let mut bound = f64::INFINITY;
    for stretch in past.windows(length) {
        let mut sum = 0.0;
        // From the newest on: where a stretch becomes new, its end does first.
        for (a, b) in present.iter().zip(stretch).rev() {
            sum += (a - b) * (a - b);
            if sum >= bound {
                break;
            }
        }
        if sum < bound {
            let at = best.partition_point(|known| *known <= sum);
            best.insert(at, sum);
            best.truncate(neighbours);
            if best.len() == neighbours {
                bound = best.last().copied().unwrap_or(bound);
            }
        }
    }
    let count = best.len().max(1) as f64;
    // Squares of the largest numbers overflow: such a stretch is as far away as can be said.
    best.iter().map(|sum| sum.sqrt().min(f64::MAX / 1e3)).sum::<f64>() / count
}
