//! The posterior over run lengths, kept short.
//!
//! A *run* is a stretch of samples around one level. Adams and MacKay (*Bayesian online changepoint detection*, 2007) follow
//! the probability of every possible beginning of the present run; level and noise of each have a normal-inverse-gamma
//! posterior (Murphy, *Conjugate Bayesian analysis of the Gaussian distribution*, 2007, §3), so that the next sample has a
//! Student t distribution. Three things differ from the paper:
//! - A run begins *with* the sample that is unlike the ones before, not after it: the same model, one index earlier.
//! - A share ε of samples are outliers, which may lie wherever a new level may. Each run takes a sample in by the probability
//!   that it is none, so a stray value neither ends a run nor spoils it (a contaminated normal: Tukey 1960).
//! - Runs below a share of the posterior are forgotten, and the least probable one makes room for a new one when all
//!   places are taken. Work and memory are bounded whatever the length of the series.

use serde::{Deserialize, Serialize};

/// What does not change from sample to sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Law {
    /// Probability that a run ends at any sample.
    pub(crate) hazard: f64,
    /// ε: share of samples that are outliers.
    pub(crate) outliers: f64,
    /// Power of the likelihood: what a sample is worth where neighbours resemble each other.
    pub(crate) information: f64,
    /// κ₀: samples that the prior of a level is worth; its spread is σ / √κ₀.
    pub(crate) level_weight: f64,
    /// α₀: half the samples that the prior of the noise is worth.
    pub(crate) noise_shape: f64,
    /// Samples after which a run forgets its oldest ones.
    pub(crate) memory: f64,
    /// Share of the posterior below which a run is forgotten.
    pub(crate) prune: f64,
}

/// One possible beginning of the present run, with what its samples say.
///
/// Four-byte numbers keep the state of a series small; the arithmetic is done in eight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, f32, f32, f32, f32)", into = "(u32, f32, f32, f32, f32)")]
pub(crate) struct Run {
    /// When it began, in the unit of the caller's clock.
    pub(crate) start: u32,
    /// Share of the posterior.
    pub(crate) weight: f32,
    /// Samples it took in, outliers not counted.
    pub(crate) count: f32,
    pub(crate) mean: f32,
    /// 2β: prior and samples' squares about the mean.
    squares: f32,
}

impl From<(u32, f32, f32, f32, f32)> for Run {
    fn from((start, weight, count, mean, squares): (u32, f32, f32, f32, f32)) -> Self {
        Self { start, weight, count, mean, squares }
    }
}

impl From<Run> for (u32, f32, f32, f32, f32) {
    fn from(run: Run) -> Self {
        (run.start, run.weight, run.count, run.mean, run.squares)
    }
}

impl Run {
    /// Whether every number is one a run can have.
    pub(crate) fn usable(&self) -> bool {
        (0.0..=1.0001).contains(&self.weight)
            && (0.0..=1e9).contains(&self.count)
            && self.mean.is_finite()
            && (0.0..=f32::MAX).contains(&self.squares)
    }

    /// A run of no sample yet.
    fn prior(start: u32, level: f64, noise: f64, law: &Law) -> Self {
        let squares = narrow(2.0 * law.noise_shape * noise);
        Self { start, weight: 0.0, count: 0.0, mean: narrow(level), squares }
    }

    /// Its first sample is its level: how far that lies from the level before says how probable the run is, and nothing of its
    /// noise.
    fn begin(&mut self, value: f64) {
        (self.mean, self.count) = (narrow(value), 1.0);
    }

    /// Variance of its noise, prior and samples.
    pub(crate) fn variance(&self, law: &Law) -> f64 {
        f64::from(self.squares) / (2.0 * law.noise_shape + f64::from(self.count))
    }

    /// Logarithm of the density of the next sample.
    fn predict(&self, value: f64, law: &Law) -> f64 {
        let shape = law.noise_shape + 0.5 * f64::from(self.count);
        let weight = law.level_weight + f64::from(self.count);
        // With s² = β(κ+1)/(ακ): the density is Γ(α+½)/Γ(α) (2παs²)^−½ (1 + d²/(2αs²))^−(α+½).
        let twice = f64::from(self.squares) * (weight + 1.0) / weight;
        let away = value - f64::from(self.mean);
        // Γ(α+½)/Γ(α) from its asymptotic series (Abramowitz and Stegun 6.1.49): off by 0.1 % at α = 1, less beyond.
        let part = 1.0 / shape;
        let gamma = 1.0 + part * (-0.125 + part * (0.007_812_5 + part * 0.004_882_812_5));
        let front = shape * gamma * gamma / (std::f64::consts::PI * twice);
        0.5 * front.ln() - (shape + 0.5) * (1.0 + away * away / twice).ln()
    }

    /// Takes a sample in, as `share` of one.
    fn learn(&mut self, value: f64, share: f64, law: &Law) {
        let mut count = f64::from(self.count);
        let mut squares = f64::from(self.squares);
        if count > law.memory {
            squares *= law.memory / count;
            count = law.memory;
        }
        let weight = law.level_weight + count;
        let away = value - f64::from(self.mean);
        let gain = share / (weight + share);
        self.squares = narrow(squares + gain * weight * away * away);
        self.mean = narrow(f64::from(self.mean) + gain * away);
        self.count = narrow(count + share);
    }
}

/// As f32, huge values at its ends instead of at ±∞.
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// What is followed beside the runs themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Follow {
    /// Runs that are in use.
    pub(crate) live: u32,
    /// When a change was told last; what began until then is no news.
    pub(crate) told: u32,
    /// Variance of the noise within runs, over the memory.
    pub(crate) noise: f32,
    /// Level of the run that was told last.
    pub(crate) settled: f32,
    /// Mean and variance of everything, changes of level included, over the memory; and the samples they rest on, up to it.
    everything: (f32, f32),
    samples: u32,
}

/// A change that has become certain enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Told {
    /// When the new run began.
    pub(crate) start: u32,
    /// Probability that a run began since the last one that was told.
    pub(crate) confidence: f64,
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// Noise within the new run, one σ.
    pub(crate) noise: f64,
}

/// When a change is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tell {
    pub(crate) confidence: f64,
    /// Samples the new run must have.
    pub(crate) samples: f64,
    /// Smallest change of level, in σ of the noise.
    pub(crate) least: f64,
}

impl Follow {
    /// Knows nothing but how large the noise is thought to be.
    pub(crate) fn of(noise: f32) -> Self {
        Self { noise, ..Self::default() }
    }

    pub(crate) fn usable(&self, places: usize) -> bool {
        (self.live as usize) <= places
            && (0.0..=f32::MAX).contains(&self.noise)
            && self.settled.is_finite()
            && self.everything.0.is_finite()
            && (0.0..=f32::MAX).contains(&self.everything.1)
    }

    /// Forgets every run, what was told, and what the series did.
    pub(crate) fn restart(&mut self) {
        (self.live, self.samples) = (0, 0);
    }

    /// Takes in a sample, finite, at `now` of the caller's clock. O(places).
    pub(crate) fn step(&mut self, runs: &mut [Run], now: u32, value: f64, law: &Law) {
        self.include(value, law);
        // What is a change has to be large against everything the series does, and not only against its quiet moments.
        // Numbers of four bytes are exact to less than a millionth, which must not pass for a change.
        let exact = (1e-6 * value) * (1e-6 * value);
        let known = f64::from(self.noise.max(self.everything.1)).max(exact);
        let usual_noise = known.max(f64::from(f32::MIN_POSITIVE));
        let live = (self.live as usize).min(runs.len());
        let best = most_probable(runs.get(..live).unwrap_or_default());
        let Some(best) = best else {
            let mut first = Run::prior(now, value, usual_noise, law);
            first.begin(value);
            first.weight = 1.0;
            runs.iter_mut().take(1).for_each(|place| *place = first);
            (self.live, self.told, self.settled) = (1, now, narrow(value));
            return;
        };
        let mut new = Run::prior(now, f64::from(best.mean), usual_noise, law);
        let anywhere = new.predict(value, law);

        // Densities relative to that of a new level, so that nothing under- or overflows in the end.
        let mut total = 0.0;
        for run in runs.iter_mut().take(live) {
            let like = (law.information * (run.predict(value, law) - anywhere)).min(80.0).exp();
            let usual = (1.0 - law.outliers) * like;
            let density = usual + law.outliers;
            let weight = f64::from(run.weight) * (1.0 - law.hazard) * density;
            run.learn(value, usual / density, law);
            run.weight = narrow(weight);
            total += weight;
        }
        new.begin(value);
        let begun = law.hazard;
        total += begun;

        let scale = 1.0 / total;
        let (mut kept, mut least) = (0_usize, (0_usize, f32::INFINITY));
        for at in 0..live {
            let Some(mut run) = runs.get(at).copied() else { break };
            run.weight = narrow(f64::from(run.weight) * scale);
            if f64::from(run.weight) < law.prune {
                continue;
            }
            if run.weight < least.1 {
                least = (kept, run.weight);
            }
            if let Some(place) = runs.get_mut(kept) {
                *place = run;
            }
            kept += 1;
        }
        new.weight = narrow(begun * scale);
        if kept > 0 && f64::from(new.weight) < law.prune {
            // Forgotten before it began: where runs below a thousandth are, most samples begin none.
        } else if kept < runs.len() {
            if let Some(place) = runs.get_mut(kept) {
                *place = new;
            }
            kept += 1;
        } else if let Some(rest) = runs.get_mut(least.0..kept) {
            // In the order of their beginnings, the newest last.
            rest.rotate_left(1);
            rest.iter_mut().rev().take(1).for_each(|place| *place = new);
        }
        self.live = kept as u32;

        // An exponential mean of squared residuals of the run that was most probable, cut so that neither an outlier nor a
        // jump counts as noise.
        let noise = f64::from(self.noise).max(f64::from(f32::MIN_POSITIVE));
        let away = value - f64::from(best.mean);
        let gain = 1.0 / law.memory.min(f64::from(best.count) + 8.0);
        self.noise = narrow(noise + gain * ((away * away).min(CUT * noise) - noise));
    }

    /// Mean and variance of everything; one sample adds so much at most that a spike does not pass for what the series does.
    fn include(&mut self, value: f64, law: &Law) {
        self.samples = self.samples.saturating_add(1).min(law.memory as u32);
        let (mean, variance) = (f64::from(self.everything.0), f64::from(self.everything.1));
        if self.samples == 1 {
            self.everything = (narrow(value), self.noise);
            return;
        }
        let gain = 1.0 / f64::from(self.samples);
        let reach = (CUT_ALL * variance.max(f64::from(self.noise))).sqrt();
        let away = (value - mean).clamp(-reach, reach);
        let after = mean + gain * away;
        let variance = variance + gain * (away * (mean + away - after) - variance);
        self.everything = (narrow(after), narrow(variance));
    }

    /// The change that this sample made certain, once.
    pub(crate) fn tell(&mut self, runs: &[Run], now: u32, law: &Law, tell: &Tell) -> Option<Told> {
        let live = runs.get(..(self.live as usize).min(runs.len()))?;
        let best = most_probable(live)?;
        if best.start <= self.told {
            self.settled = best.mean;
            return None;
        }
        if f64::from(best.count) < tell.samples {
            return None;
        }
        let since = live.iter().filter(|run| run.start > self.told);
        let all: f64 = live.iter().map(|run| f64::from(run.weight)).sum();
        let confidence = (since.map(|run| f64::from(run.weight)).sum::<f64>() / all).min(1.0);
        if confidence < tell.confidence {
            return None;
        }
        let (before, after) = (f64::from(self.settled), f64::from(best.mean));
        let noise = best.variance(law).sqrt();
        // A level that is hardly another one is not told, and not taken for the level to compare the next one with.
        if (after - before).abs() < tell.least * noise {
            return None;
        }
        (self.told, self.settled) = (now, best.mean);
        Some(Told { start: best.start, confidence, before, after, noise })
    }
}

/// Squared residuals within runs count up to this many variances.
const CUT: f64 = 9.0;

/// Squared deviations from the mean of everything count up to this many variances.
const CUT_ALL: f64 = 100.0;

/// The most probable run, the oldest of equally probable ones.
pub(crate) fn most_probable(runs: &[Run]) -> Option<Run> {
    let mut best: Option<Run> = None;
    for run in runs {
        if best.is_none_or(|best| run.weight > best.weight) {
            best = Some(*run);
        }
    }
    best
}
