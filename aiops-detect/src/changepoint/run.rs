//! One run, what a sample says of it, and how it takes the sample in.
//!
//! Runs are weighed two at a time in the lanes of one vector, with nothing but additions, multiplications, divisions and
//! [powers](super::power) that are made of them: on a processor of any kind the same bits come out.

use serde::{Deserialize, Serialize};
use wide::f64x2;

use super::power::{exp2, log2};

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
    pub(crate) fresh: Fresh,
}

/// What is the same of every run that holds no sample yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh {
    /// (κ₀+1)/κ₀.
    spread: f64,
    /// log₂ Γ(α₀+½)/Γ(α₀).
    front: f64,
}

impl Fresh {
    pub(crate) fn of(level_weight: f64, noise_shape: f64) -> Self {
        let [front, _] = log2(gammas(f64x2::splat(noise_shape))).to_array();
        Self { spread: (level_weight + 1.0) / level_weight, front: 0.5 * front }
    }
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
    pub(super) fn prior(start: u32, level: f64, noise: f64, law: &Law) -> Self {
        let squares = narrow(2.0 * law.noise_shape * noise);
        Self { start, weight: 0.0, count: 0.0, mean: narrow(level), squares }
    }

    /// Its first sample is its level: how far that lies from the level before says how probable the run is, and nothing of its
    /// noise.
    pub(super) fn begin(&mut self, value: f64) {
        (self.mean, self.count) = (narrow(value), 1.0);
    }

    /// Variance of its noise, prior and samples.
    pub(crate) fn variance(&self, law: &Law) -> f64 {
        f64::from(self.squares) / (2.0 * law.noise_shape + f64::from(self.count))
    }
}

/// As f32, huge values at its ends instead of at ±∞.
pub(super) fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// A sample, and how probable it is to begin a run: all others are compared with that one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    value: f64,
    /// Binary logarithm of its density in the new run, without the √π that all have.
    anywhere: f64,
}

impl Sample {
    /// The sample as `new` sees it, which holds none yet.
    ///
    /// At distance d the density is Γ(α+½)/Γ(α) (πt)^−½ (1 + d²/t)^−(α+½), where t = 2β(κ+1)/κ. The logarithm is that of
    /// t^α (t + d²)^−(α+½), which needs no division: everything else waits for it.
    #[inline]
    pub(super) fn of(value: f64, new: &Run, law: &Law) -> Self {
        let spread = f64::from(new.squares) * law.fresh.spread;
        let away = value - f64::from(new.mean);
        let [near, far] = log2(f64x2::from([spread, spread + away * away])).to_array();
        let shape = law.noise_shape;
        Self { value, anywhere: law.fresh.front + shape * near - (shape + 0.5) * far }
    }
}

/// (Γ(α+½)/Γ(α))² from the asymptotic series of Γ(α+½)/Γ(α) (Abramowitz and Stegun 6.1.49): off by 0.2 % at α = 1, less
/// beyond.
#[inline]
fn gammas(shape: f64x2) -> f64x2 {
    let part = 1.0 / shape;
    let gamma = 1.0 + part * (-0.125 + part * (0.007_812_5 + part * 0.004_882_812_5));
    shape * gamma * gamma
}

/// Weighs runs by a sample, which each of them takes in by the probability that it is no outlier. Returns the sum of the weights,
/// which are relative to that of a run that begins with the sample.
#[inline]
pub(super) fn weigh(runs: &mut [Run], sample: &Sample, law: &Law) -> f64 {
    let mut total = 0.0;
    for two in runs.chunks_mut(2) {
        let first = two.first().copied().unwrap_or_default();
        let mut pair = Pair::of(&first, two.get(1).unwrap_or(&first));
        pair.take_in(sample, law);
        for (run, [weight, count, mean, squares]) in two.iter_mut().zip(pair.lanes()) {
            *run = Run {
                start: run.start,
                weight: weight as f32,
                count: count as f32,
                mean: mean as f32,
                squares: squares as f32,
            };
            total += weight;
        }
    }
    total
}

/// Two runs side by side.
struct Pair {
    weight: f64x2,
    count: f64x2,
    mean: f64x2,
    squares: f64x2,
}

impl Pair {
    #[inline]
    fn of(a: &Run, b: &Run) -> Self {
        let both = |of: fn(&Run) -> f32| f64x2::from([f64::from(of(a)), f64::from(of(b))]);
        Self {
            weight: both(|run| run.weight),
            count: both(|run| run.count),
            mean: both(|run| run.mean),
            squares: both(|run| run.squares),
        }
    }

    #[inline]
    fn lanes(&self) -> [[f64; 4]; 2] {
        let within = |numbers: f64x2| {
            numbers.fast_max(f64x2::splat(f64::from(f32::MIN))).fast_min(f64x2::splat(f64::from(f32::MAX)))
        };
        let ([weight, other_weight], [count, other_count]) = (self.weight.to_array(), self.count.to_array());
        let ([mean, other_mean], [squares, other_squares]) =
            (within(self.mean).to_array(), within(self.squares).to_array());
        [[weight, count, mean, squares], [other_weight, other_count, other_mean, other_squares]]
    }

    #[inline]
    fn take_in(&mut self, sample: &Sample, law: &Law) {
        let away = sample.value - self.mean;
        let squared = away * away;
        let shape = law.noise_shape + 0.5 * self.count;
        let weight = law.level_weight + self.count;
        let inverse = weight / ((weight + 1.0) * self.squares);
        let power = 0.5 * log2(gammas(shape) * inverse) - (shape + 0.5) * log2(1.0 + squared * inverse);
        let like = exp2(
            (law.information * (power - sample.anywhere))
                .fast_min(f64x2::splat(MOST))
                .fast_max(f64x2::splat(LEAST)),
        );
        let usual = (1.0 - law.outliers) * like;
        let density = usual + law.outliers;
        self.weight = self.weight * (1.0 - law.hazard) * density;

        let memory = f64x2::splat(law.memory);
        if self.count.simd_gt(memory).any() {
            let count = self.count.fast_min(memory);
            self.squares *= count / self.count;
            self.count = count;
        }
        // As `share` of a sample, the mean moves by share/(κ + share) of the distance.
        let weight = law.level_weight + self.count;
        let gain = usual / (weight * density + usual);
        self.squares += gain * weight * squared;
        self.mean += gain * away;
        self.count += usual / density;
    }
}

/// Binary logarithms of densities relative to that of a new level are cut here, so that nothing under- or overflows.
const MOST: f64 = 80.0 * std::f64::consts::LOG2_E;
const LEAST: f64 = -1000.0;

#[cfg(test)]
mod tests {
    use super::{Fresh, Law, Run, Sample, narrow, weigh};

    fn law(information: f64) -> Law {
        let (level_weight, noise_shape) = (1.0 / 25.0, 10.0);
        Law {
            hazard: 1e-3,
            outliers: 0.01,
            information,
            level_weight,
            noise_shape,
            memory: 500.0,
            prune: 1e-3,
            fresh: Fresh::of(level_weight, noise_shape),
        }
    }

    /// The logarithm of the density as it is written in books.
    fn predict(run: &Run, value: f64, law: &Law) -> f64 {
        let shape = law.noise_shape + 0.5 * f64::from(run.count);
        let weight = law.level_weight + f64::from(run.count);
        let twice = f64::from(run.squares) * (weight + 1.0) / weight;
        let away = value - f64::from(run.mean);
        let part = 1.0 / shape;
        let gamma = 1.0 + part * (-0.125 + part * (0.007_812_5 + part * 0.004_882_812_5));
        let front = shape * gamma * gamma / (std::f64::consts::PI * twice);
        0.5 * front.ln() - (shape + 0.5) * (1.0 + away * away / twice).ln()
    }

    /// One run and sample, step by step; returns its relative weight.
    fn plain(run: &mut Run, new: &Run, value: f64, law: &Law) -> f64 {
        let apart = predict(run, value, law) - predict(new, value, law);
        let usual = (1.0 - law.outliers) * (law.information * apart).exp();
        let density = usual + law.outliers;
        let weight = f64::from(run.weight) * (1.0 - law.hazard) * density;
        let (share, mut count, mut squares) = (usual / density, f64::from(run.count), f64::from(run.squares));
        if count > law.memory {
            (squares, count) = (squares * law.memory / count, law.memory);
        }
        let kappa = law.level_weight + count;
        let away = value - f64::from(run.mean);
        let gain = share / (kappa + share);
        run.squares = narrow(squares + gain * kappa * away * away);
        run.mean = narrow(f64::from(run.mean) + gain * away);
        run.count = narrow(count + share);
        run.weight = narrow(weight);
        weight
    }

    fn any_run(rng: &mut fastrand::Rng) -> Run {
        Run {
            start: rng.u32(..),
            weight: rng.f32(),
            count: 1.0 + 700.0 * rng.f32() * rng.f32(),
            mean: 8.0 * (rng.f32() - 0.5),
            squares: 2f32.powi(rng.i32(-20..20)) * (1.0 + rng.f32()),
        }
    }

    /// Near values and far ones, sharp runs and blunt ones, any number of them: what comes out is what the plain arithmetic
    /// gives, to the last digit of four bytes, and it does not matter which two runs are weighed together.
    #[test]
    fn runs_are_weighed_as_if_one_by_one() {
        let mut rng = fastrand::Rng::with_seed(4);
        let same = |a: f32, b: f32| (a - b).abs() <= 2.0 * f32::EPSILON * a.abs().max(f32::MIN_POSITIVE);
        for case in 0..20_000 {
            let law = law([0.25, 1.0][case % 2]);
            let value = [8.0, 1e3, 1e9][case % 3] * (rng.f64() - 0.5);
            let new = Run::prior(0, f64::from(any_run(&mut rng).mean), 2f64.powi(rng.i32(-20..20)), &law);
            let before: Vec<Run> = (0..rng.usize(1..8)).map(|_| any_run(&mut rng)).collect();
            let (mut expected, mut found) = (before.clone(), before.clone());
            let sample = Sample::of(value, &new, &law);
            let total: f64 = expected.iter_mut().map(|run| plain(run, &new, value, &law)).sum();
            if total > 1e30 {
                // Cut before that, so that nothing overflows.
                continue;
            }
            let weighed = weigh(&mut found, &sample, &law);
            assert!((weighed - total).abs() <= 1e-11 * total, "{weighed} {total}");
            for (a, b) in found.iter().zip(&expected) {
                let fits = same(a.weight, b.weight) && same(a.count, b.count) && same(a.squares, b.squares);
                assert!(fits && (a.mean - b.mean).abs() <= 1e-6 * b.mean.abs().max(1.0), "{a:?} {b:?}");
            }
            for (run, found) in before.iter().zip(&found) {
                let mut alone = [*run];
                weigh(&mut alone, &sample, &law);
                assert_eq!(alone, [*found]);
            }
        }
    }
}
