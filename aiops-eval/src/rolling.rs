//! How far the rolling statistics are from exact arithmetic after very many updates.
//!
//! Every stream consists of whole numbers times a power of two, so that its exact sums fit into 128-bit integers. At the
//! end of every block of samples mean, variance and the score of the next sample are compared with what the integers of
//! the window give. Beside it runs what one would write first, sums from which the oldest sample is subtracted again.

use aiops_compact::Moments;
use aiops_compact::rolling::{RollingConfig, RollingSigma, Score};
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// Samples between two comparisons.
const BLOCK: usize = 4096;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollingOptions {
    /// Updates of each stream, rounded up to whole blocks of 4096; default 10⁷, 1 to 10¹².
    pub updates: u64,
    /// Slots of the window; default 288, 2 to 4096.
    pub window: usize,
    /// Seed of the streams; default 1.
    pub seed: u64,
}

impl Default for RollingOptions {
    fn default() -> Self {
        Self { updates: 10_000_000, window: 288, seed: 1 }
    }
}

impl RollingOptions {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`EvalError::Config`] names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), EvalError> {
        let wrong = |field, value: String, allowed| Err(EvalError::Config { field, value, allowed });
        if !(1..=1_000_000_000_000).contains(&self.updates) {
            return wrong("updates", self.updates.to_string(), "1 to 10^12");
        }
        if !(2..=BLOCK).contains(&self.window) {
            return wrong("window", self.window.to_string(), "2 to 4096 slots");
        }
        Ok(())
    }
}

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stream {
    /// Around 10⁹ with a standard deviation of 10⁻³.
    Offset,
    /// The same, wandering by up to a standard deviation with every sample.
    Wander,
    /// The same, one slot in fifty without a sample.
    Gaps,
    /// −3 to 3, one sample in a thousand is 10¹⁵.
    Outliers,
}

impl Stream {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Offset, Self::Wander, Self::Gaps, Self::Outliers];

    fn name(self) -> &'static str {
        match self {
            Self::Offset => "10^9 ± 10^-3",
            Self::Wander => "10^9 ± 10^-3, wandering",
            Self::Gaps => "10^9 ± 10^-3, 2 % gaps",
            Self::Outliers => "-3 to 3, 0.1 % are 10^15",
        }
    }

    /// A sample is `(base + j) · 2^-scale` for the `j` that the stream draws.
    fn base(self) -> (i64, i32) {
        match self {
            Self::Offset | Self::Wander | Self::Gaps => (1_000_000_000 << 20, 20),
            Self::Outliers => (0, 0),
        }
    }
}

/// Draws the samples of a stream.
#[derive(Debug)]
struct Source {
    stream: Stream,
    rng: fastrand::Rng,
    level: i64,
}

impl Source {
    /// The next slot relative to the base; `None` is a gap.
    fn next(&mut self) -> Option<i64> {
        let bits = self.rng.u64(..);
        if self.stream == Stream::Outliers {
            let small = ((bits >> 32) % 7) as i64 - 3;
            return Some(if (bits as u32).is_multiple_of(1000) { 1_000_000_000_000_000 } else { small });
        }
        // The sum of four numbers below 2¹¹ has a standard deviation of 1182 · 2⁻²⁰ ≈ 1.1 · 10⁻³.
        let noise = (0..4).map(|i| ((bits >> (11 * i)) & 0x7ff) as i64).sum::<i64>() - 4094;
        match self.stream {
            // The walk is reflected, so that every sample stays an exact number.
            Stream::Wander => {
                let step = ((bits >> 44) & 0x7ff) as i64 - 1023;
                self.level +=
                    if self.level.abs() > 1 << 40 { -self.level.signum() * step.abs() } else { step };
                Some(self.level + noise)
            }
            Stream::Gaps if (bits >> 44).is_multiple_of(50) => None,
            _ => Some(noise),
        }
    }
}

/// Errors of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamErrors {
    /// Which.
    pub stream: Stream,
    /// Updates.
    pub updates: u64,
    /// Comparisons with exact arithmetic.
    pub comparisons: u64,
    /// Largest relative error of the window's variance.
    pub variance: f64,
    /// Largest error of a score, relative to the larger of 1 σ and the score.
    pub score: f64,
    /// Largest relative error of the variance from sliding sums, for comparison.
    pub sliding_sums: f64,
    /// Relative error of the variance of all samples by [`Moments`], where exact sums of all of them fit (not for streams
    /// that wander or have outliers).
    pub moments: Option<f64>,
}

/// Errors of every stream beside what is stated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollingReport {
    /// Slots of the window.
    pub window: usize,
    /// The stated bound of the relative error of the variance, `4 (w + 4)² u` with `u = 2⁻⁵³`.
    pub bound: f64,
    /// Each stream's errors.
    pub streams: Vec<StreamErrors>,
}

impl RollingReport {
    /// Whether every error is within the stated bound.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.streams.iter().all(|errors| errors.variance <= self.bound && errors.score <= self.bound)
    }

    /// The report as a Markdown table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "window {}, stated bound {:.1e}\n\n| stream | updates | comparisons | variance | score | moments of all | sliding sums |\n|---|---|---|---|---|---|---|\n",
            self.window, self.bound
        );
        for errors in &self.streams {
            let moments = errors.moments.map_or_else(|| "-".to_owned(), |error| format!("{error:.1e}"));
            text.push_str(&format!(
                "| {} | {} | {} | {:.1e} | {:.1e} | {moments} | {:.1e} |\n",
                errors.stream.name(),
                errors.updates,
                errors.comparisons,
                errors.variance,
                errors.score,
                errors.sliding_sums
            ));
        }
        text
    }
}

/// Exact sums of whole numbers.
#[derive(Debug, Clone, Copy, Default)]
struct Exact {
    count: i128,
    sum: i128,
    squares: i128,
}

impl Exact {
    fn add(&mut self, j: i64) {
        self.count += 1;
        self.sum += i128::from(j);
        self.squares += i128::from(j) * i128::from(j);
    }

    /// In units of the stream; `None` below two samples.
    fn variance(&self) -> Option<f64> {
        let n = self.count;
        (n > 1).then(|| (n * self.squares - self.sum * self.sum) as f64 / (n * (n - 1)) as f64)
    }

    /// The score of `j`, where the variance is not 0.
    fn score(&self, j: i64) -> Option<f64> {
        let deviation = (self.count * i128::from(j) - self.sum) as f64 / self.count as f64;
        self.variance().filter(|variance| *variance > 0.0).map(|variance| deviation / variance.sqrt())
    }
}

/// What one would write first.
#[derive(Debug, Clone, Copy, Default)]
struct SlidingSums {
    count: f64,
    sum: f64,
    squares: f64,
}

impl SlidingSums {
    fn update(&mut self, value: f64, sign: f64) {
        if !value.is_nan() {
            self.count += sign;
            self.sum += sign * value;
            self.squares += sign * value * value;
        }
    }

    fn variance(&self) -> f64 {
        (self.squares - self.sum * self.sum / self.count) / (self.count - 1.0)
    }
}

fn relative(actual: f64, exact: f64) -> f64 {
    let error = (actual - exact).abs();
    if error == 0.0 { 0.0 } else { error / exact.abs() }
}

/// Runs every stream. `progress` is told how many of how many blocks were taken in. O(updates).
///
/// # Errors
/// [`EvalError::Config`] when an option is out of range.
pub fn measure(
    options: &RollingOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<RollingReport, EvalError> {
    options.validate()?;
    let out_of_range = |error: aiops_compact::ConfigError| EvalError::Config {
        field: "window",
        value: error.to_string(),
        allowed: "2 to 4096 slots",
    };
    let config = RollingConfig::new(options.window).map_err(out_of_range)?;
    let blocks = usize::try_from(options.updates.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
    let total = blocks.saturating_mul(Stream::ALL.len());
    let streams = Stream::ALL.iter().enumerate().map(|(i, stream)| {
        let done = i * blocks;
        run(*stream, options.seed, config, blocks, |block| progress(done + block, total))
    });
    let streams = streams.collect();
    let bound = 4.0 * (options.window as f64 + 4.0).powi(2) * f64::EPSILON / 2.0;
    Ok(RollingReport { window: options.window, bound, streams })
}

fn run(
    stream: Stream,
    seed: u64,
    config: RollingConfig,
    blocks: usize,
    mut progress: impl FnMut(usize),
) -> StreamErrors {
    let window = config.window();
    let (base, scale) = stream.base();
    let unit = 2_f64.powi(-scale);
    let value = |slot: Option<i64>| slot.map_or(f64::NAN, |j| (base + j) as f64 * unit);
    let mut source = Source { stream, rng: fastrand::Rng::with_seed(seed), level: 0 };
    let mut rolling = RollingSigma::new(config);
    let mut scores = vec![0.0; BLOCK];
    let (mut sliding, mut moments, mut all) = (
        SlidingSums::default(),
        Moments::new(),
        matches!(stream, Stream::Offset | Stream::Gaps).then(Exact::default),
    );
    // The slots that leave the window while the next block comes in are the last of this one.
    let mut before: Vec<f64> = Vec::new();
    let mut errors = StreamErrors {
        stream,
        updates: (blocks as u64).saturating_mul(BLOCK as u64),
        comparisons: 0,
        variance: 0.0,
        score: 0.0,
        sliding_sums: 0.0,
        moments: None,
    };
    let (mut block, mut values) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    for done in 0..blocks {
        block.clear();
        block.extend((0..BLOCK).map(|_| source.next()));
        values.clear();
        values.extend(block.iter().map(|slot| value(*slot)));
        // INVARIANT: both are blocks.
        let _ = rolling.push_slice(&values, &mut scores);
        let leaving = before.iter().chain(&values);
        for (new, old) in
            values.iter().zip(std::iter::repeat_n(&f64::NAN, window - before.len()).chain(leaving))
        {
            sliding.update(*new, 1.0);
            sliding.update(*old, -1.0);
        }
        if let Some(all) = &mut all {
            for (slot, value) in block.iter().zip(&values) {
                if let Some(j) = slot {
                    all.add(*j);
                    moments.push(*value);
                }
            }
        }
        before.clear();
        before.extend(values.iter().skip(BLOCK - window));

        let mut exact = Exact::default();
        block.iter().skip(BLOCK - window).flatten().for_each(|j| exact.add(*j));
        if let (Some(is), Some(should)) = (rolling.variance(), exact.variance()) {
            let should = should * unit * unit;
            errors.comparisons += 1;
            errors.variance = errors.variance.max(relative(is, should));
            errors.sliding_sums = errors.sliding_sums.max(relative(sliding.variance(), should));
            // A sample like the window's own, so that its score is of ordinary size.
            let probe = block.iter().flatten().next().copied();
            if let Some((probe, should)) = probe.and_then(|j| Some((j, exact.score(j)?)))
                && let Score::Sigma(is) = rolling.peek(value(Some(probe)))
            {
                errors.score = errors.score.max((is - should).abs() / should.abs().max(1.0));
            }
        }
        progress(done + 1);
    }
    if let (Some(is), Some(should)) = (moments.variance(), all.and_then(|all| all.variance())) {
        errors.moments = Some(relative(is, should * unit * unit));
    }
    errors
}
