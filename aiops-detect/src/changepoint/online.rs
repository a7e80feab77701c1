//! One series, sample by sample.

use aiops_compact::ConfigError;
use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::runs::{Follow, Fresh, Law, Run, Tell};
use crate::error::{check, check_count};

/// Version of a stored [`OnlineChangePoints`].
pub const ONLINE_VERSION: u32 = 1;

/// How changes are told while samples come in.
///
/// Plain fields with documented defaults; [`OnlineConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnlineOptions {
    /// Samples between two changes, on average (λ; the hazard is 1/λ); 2 to 10⁹. Default 250.
    pub expected_run: f64,
    /// Share of samples that are outliers and say nothing of the level, 0 to 0.2. Default 0.01.
    pub outliers: f64,
    /// What a sample is worth, 0.05 to 1: the power its likelihood is raised to. Default 0.25. Neighbouring samples of
    /// operations resemble each other, so that as many say less than independent ones would; the same reason, and the
    /// same factor, as in the default penalty of [`SegmentOptions`](super::SegmentOptions).
    pub information: f64,
    /// How far apart levels are expected to lie, in σ of the noise, 0.1 to 1000. Default 5.
    pub level_spread: f64,
    /// Samples that what is known of the noise is worth to a new run, 1 to 1000. Default 20. Known is the larger of the noise
    /// within runs and the variance of everything the series did, changes included.
    pub noise_weight: f64,
    /// Samples after which a run forgets its oldest ones, 16 to 10⁶. Default 1000. A level that drifts slowly is then
    /// one run and not many.
    pub memory: usize,
    /// Run lengths followed at most, 4 to 4096; 20 bytes each. Default 64.
    pub run_lengths: usize,
    /// Share of the posterior below which a run length is forgotten, 0 to 0.01. Default 10⁻⁵.
    pub prune: f64,
    /// Samples that location and scale of the series are taken from before anything is told, 8 to 10 000. Default 30.
    pub warm_up: usize,
    /// Probability of a change from which it is told, 0.5 to 0.999999. Default 0.9.
    pub confidence: f64,
    /// Samples the new level must have lasted, 1 to 1000. Default 5. What lasts shorter is a spike.
    pub persist: usize,
    /// Smallest change that is told, in σ of the noise of the new level, 0 to 1000. Default 3.
    pub least_sigma: f64,
}

impl Default for OnlineOptions {
    fn default() -> Self {
        Self {
            expected_run: 250.0,
            outliers: 0.01,
            information: 0.25,
            level_spread: 5.0,
            noise_weight: 20.0,
            memory: 1000,
            run_lengths: 64,
            prune: 1e-5,
            warm_up: 30,
            confidence: 0.9,
            persist: 5,
            least_sigma: 3.0,
        }
    }
}

/// Checked [`OnlineOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OnlineOptions", into = "OnlineOptions")]
pub struct OnlineConfig(OnlineOptions);

impl OnlineConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &OnlineOptions {
        &self.0
    }

    /// Options that are known to be good.
    pub(crate) fn unchecked(options: OnlineOptions) -> Self {
        Self(options)
    }

    pub(crate) fn law(&self) -> Law {
        let o = &self.0;
        let (level_weight, noise_shape) = (1.0 / (o.level_spread * o.level_spread), 0.5 * o.noise_weight);
        Law {
            hazard: 1.0 / o.expected_run,
            outliers: o.outliers,
            information: o.information,
            level_weight,
            noise_shape,
            memory: o.memory as f64,
            prune: o.prune,
            fresh: Fresh::of(level_weight, noise_shape),
        }
    }

    pub(crate) fn tell(&self) -> Tell {
        // A sample that is none by a tenth still counts.
        Tell {
            confidence: self.0.confidence,
            samples: 0.9 * self.0.persist as f64,
            least: self.0.least_sigma,
        }
    }
}

impl From<OnlineConfig> for OnlineOptions {
    fn from(config: OnlineConfig) -> Self {
        config.0
    }
}

impl TryFrom<OnlineOptions> for OnlineConfig {
    type Error = ConfigError;

    fn try_from(o: OnlineOptions) -> Result<Self, ConfigError> {
        check("expected_run", o.expected_run, 2.0..=1e9, "2 to 10⁹ samples")?;
        check("outliers", o.outliers, 0.0..=0.2, "0 to 0.2")?;
        check("information", o.information, 0.05..=1.0, "0.05 to 1")?;
        check("level_spread", o.level_spread, 0.1..=1000.0, "0.1 to 1000")?;
        check("noise_weight", o.noise_weight, 1.0..=1000.0, "1 to 1000 samples")?;
        check_count("memory", o.memory, 16..=1_000_000, "16 to 1000000 samples")?;
        check_count("run_lengths", o.run_lengths, 4..=4096, "4 to 4096")?;
        check("prune", o.prune, 0.0..=0.01, "0 to 0.01")?;
        check_count("warm_up", o.warm_up, 8..=10_000, "8 to 10000 samples")?;
        check("confidence", o.confidence, 0.5..=0.999_999, "0.5 to 0.999999")?;
        check_count("persist", o.persist, 1..=1000, "1 to 1000 samples")?;
        check("least_sigma", o.least_sigma, 0.0..=1000.0, "0 to 1000")?;
        Ok(Self(o))
    }
}

/// A change of level, told once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlineChange {
    /// Most probable first sample of the new level, counted from 0 over all that were pushed.
    pub onset: u64,
    /// Sample that made it certain enough.
    pub told: u64,
    /// Probability that the level changed since the last change that was told, 0 to 1.
    pub confidence: f64,
    /// Level before, in the unit of the series.
    pub before: f64,
    /// Level since the onset.
    pub after: f64,
    /// Noise around the new level, one σ in the unit of the series; more than 0.
    pub noise: f64,
}

/// Bayesian online change point detection of one series (Adams and MacKay 2007), in bounded memory, robust to outliers.
///
/// # Cost
/// O([`run_lengths`](OnlineOptions::run_lengths)) a sample and as much memory, however long the series: the paper's
/// posterior grows by one hypothesis a sample. What is left out is at most [`prune`](OnlineOptions::prune) of it for each
/// run length that was forgotten, and at most the least probable one where all places are taken.
///
/// ```
/// use aiops_detect::changepoint::OnlineChangePoints;
/// let mut changes = OnlineChangePoints::new(Default::default());
/// let noise = |i: u64| (i * 7919 % 101) as f64 / 50.0;
/// let told: Vec<_> = (0..400).filter_map(|i| changes.push(noise(i) + if i < 200 { 10.0 } else { 14.0 })).collect();
/// assert_eq!(told.len(), 1);
/// assert!(told[0].onset.abs_diff(200) <= 1 && told[0].told < 220 && told[0].confidence > 0.9);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct OnlineChangePoints {
    config: OnlineConfig,
    law: Law,
    /// Samples until location and scale are known; empty from then on.
    first: Vec<f64>,
    center: f64,
    scale: f64,
    follow: Follow,
    runs: Box<[Run]>,
    seen: u64,
}

impl PartialEq for OnlineChangePoints {
    /// Of what is known; what was left in places that are free is not.
    fn eq(&self, other: &Self) -> bool {
        let known = |c: &Self| (c.config, c.center, c.scale, c.follow, c.seen);
        let live = |c: &Self| c.runs.get(..c.follow.live as usize).map(<[Run]>::to_vec);
        known(self) == known(other) && self.first == other.first && live(self) == live(other)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: OnlineConfig,
    first: Vec<f64>,
    center: f64,
    scale: f64,
    follow: Follow,
    runs: Vec<Run>,
    seen: u64,
}

impl From<OnlineChangePoints> for Document {
    fn from(changes: OnlineChangePoints) -> Self {
        let OnlineChangePoints { config, law: _, first, center, scale, follow, runs, seen } = changes;
        let runs = runs.iter().take(follow.live as usize).copied().collect();
        Self { version: ONLINE_VERSION, config, first, center, scale, follow, runs, seen }
    }
}

impl TryFrom<Document> for OnlineChangePoints {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        let Document { version, config, first, center, scale, follow, mut runs, seen } = document;
        if version != ONLINE_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of stored change points")
                .with("version", version)
                .with("known", ONLINE_VERSION));
        }
        let places = config.options().run_lengths;
        let whole = follow.usable(places)
            && runs.len() == follow.live as usize
            && runs.iter().all(Run::usable)
            && first.len() < config.options().warm_up
            && first.iter().all(|value| value.is_finite())
            && center.is_finite()
            && scale.is_finite()
            && scale > 0.0
            && u64::from(follow.told) <= seen;
        if !whole {
            return Err(Error::new(ErrorKind::Invalid, "stored change points are damaged"));
        }
        runs.resize(places, Run::default());
        let law = config.law();
        Ok(Self { config, law, first, center, scale, follow, runs: runs.into(), seen })
    }
}

impl OnlineChangePoints {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: OnlineConfig) -> Self {
        Self {
            config,
            law: config.law(),
            first: Vec::new(),
            center: 0.0,
            scale: 1.0,
            follow: Follow::default(),
            runs: vec![Run::default(); config.options().run_lengths].into(),
            seen: 0,
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &OnlineConfig {
        &self.config
    }

    /// Samples pushed, those that say nothing among them.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The posterior over when the present run began: sample and probability, the oldest first. Empty while warming up.
    pub fn beginnings(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        let live = self.runs.iter().take(self.follow.live as usize);
        live.map(|run| (u64::from(run.start), f64::from(run.weight)))
    }

    /// Takes in the next sample. NaN and ±∞ count as a sample that says nothing.
    ///
    /// Counts samples up to 2³² − 1; beyond them nothing is told.
    pub fn push(&mut self, value: f64) -> Option<OnlineChange> {
        let at = u32::try_from(self.seen).ok()?;
        self.seen += 1;
        if !value.is_finite() {
            return None;
        }
        if self.follow.live == 0 {
            self.first.push(value);
            if self.first.len() < self.config.options().warm_up {
                return None;
            }
            return self.begin(at);
        }
        self.take_in(at, value)
    }

    /// Location and scale are known now: what was held back is taken in.
    fn begin(&mut self, at: u32) -> Option<OnlineChange> {
        let first = std::mem::take(&mut self.first);
        let mut sorted = first.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        // Halved, so that the difference of the largest numbers stays one.
        let half = median_of_sorted(&sorted).unwrap_or(0.0).clamp(f64::MIN / 4.0, f64::MAX / 4.0);
        let mad = MAD_TO_SIGMA * mad_of_sorted(&sorted, half).unwrap_or(0.0);
        let range = sorted.last().zip(sorted.first()).map_or(0.0, |(high, low)| high / 8.0 - low / 8.0);
        // Mostly equal samples: what varies at all says more than the zero of the middle half; where nothing varies, a
        // millionth of the level stands for the noise.
        let found = [mad, range, 1e-6 * half.abs(), 1e-9].into_iter().find(|s| s.is_finite() && *s > 0.0);
        (self.center, self.scale) = (half, found.unwrap_or(1.0));
        self.follow.noise = 1.0;
        let begun = at.saturating_sub(u32::try_from(first.len()).unwrap_or(u32::MAX).saturating_sub(1));
        let mut told = None;
        for (at, value) in (begun..).zip(first) {
            told = self.take_in(at, value).or(told);
        }
        told
    }

    fn take_in(&mut self, at: u32, value: f64) -> Option<OnlineChange> {
        let scaled = ((value - self.center) / self.scale).clamp(-1e15, 1e15);
        self.follow.step(&mut self.runs, at, scaled, &self.law);
        let told = self.follow.tell(&self.runs, at, &self.law, &self.config.tell())?;
        Some(OnlineChange {
            onset: u64::from(told.start),
            told: u64::from(at),
            confidence: told.confidence,
            before: self.center + self.scale * told.before,
            after: self.center + self.scale * told.after,
            noise: (self.scale * told.noise).clamp(f64::MIN_POSITIVE, f64::MAX),
        })
    }
}
