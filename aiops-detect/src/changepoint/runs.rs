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

pub(crate) use super::run::{Fresh, Law, Run};
use super::run::{Sample, narrow, weigh};

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
        let known = larger(f64::from(self.noise), f64::from(self.everything.1));
        let usual_noise = larger(larger(known, exact), f64::from(f32::MIN_POSITIVE));
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
        let followed = runs.get_mut(..live).unwrap_or_default();
        // Relative to the density of a new level, so that nothing under- or overflows in the end.
        let total = weigh(followed, &Sample::of(value, &new, law), law) + law.hazard;
        let scale = 1.0 / total;
        let mut forgotten = false;
        for run in followed {
            run.weight = narrow(f64::from(run.weight) * scale);
            forgotten |= f64::from(run.weight) < law.prune;
        }
        let kept = if forgotten { forget(runs, live, law.prune) } else { live };
        new.begin(value);
        new.weight = narrow(law.hazard * scale);
        // Else forgotten before it began: where runs below a thousandth are, most samples begin none.
        let begins = kept == 0 || f64::from(new.weight) >= law.prune;
        self.live = if begins { begin(runs, kept, new) } else { kept } as u32;

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
        let most = CUT_ALL * larger(variance, f64::from(self.noise));
        let away = value - mean;
        // The root only where it is needed: everything that follows waits for it.
        let away = if away * away > most { most.sqrt().copysign(away) } else { away };
        let after = mean + gain * away;
        let variance = (1.0 - gain) * (variance + gain * (away * away));
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

/// The larger of two numbers, of which the first is no NaN: one instruction, where `f64::max` is five.
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Squared residuals within runs count up to this many variances.
const CUT: f64 = 9.0;

/// Squared deviations from the mean of everything count up to this many variances.
const CUT_ALL: f64 = 100.0;

/// Leaves out the runs below a share of the posterior, of so many that are in use; returns how many are left, in their order.
#[inline(never)]
fn forget(runs: &mut [Run], live: usize, prune: f64) -> usize {
    let mut kept = 0;
    for at in 0..live {
        let Some(run) = runs.get(at).copied().filter(|run| f64::from(run.weight) >= prune) else { continue };
        if let Some(place) = runs.get_mut(kept) {
            *place = run;
        }
        kept += 1;
    }
    kept
}

/// Puts a new run behind those in use, in the place of the least probable one where all are taken; returns how many are in use.
#[inline(never)]
fn begin(runs: &mut [Run], kept: usize, new: Run) -> usize {
    if let Some(place) = runs.get_mut(kept) {
        *place = new;
        return kept + 1;
    }
    let mut least = (0, f32::INFINITY);
    for (at, run) in runs.iter().enumerate() {
        if run.weight < least.1 {
            least = (at, run.weight);
        }
    }
    if let Some(rest) = runs.get_mut(least.0..) {
        // In the order of their beginnings, the newest last.
        rest.rotate_left(1);
        rest.iter_mut().rev().take(1).for_each(|place| *place = new);
    }
    kept
}

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
