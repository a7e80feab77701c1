//! Input and floors of the rolling statistics.

/// `n` samples with a daily wave, noise and rare spikes, from a fixed seed.
#[must_use]
pub fn samples(n: usize) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(42);
    let wave = |i: usize| (i as f64 * std::f64::consts::TAU / 288.0).sin();
    (0..n)
        .map(|i| {
            let noise: f64 = (0..4).map(|_| rng.f64() - 0.5).sum();
            let spike = if rng.f64() < 0.001 { 50.0 } else { 0.0 };
            100.0 + 10.0 * wave(i) + noise + spike
        })
        .collect()
}

/// Floor of a push: the textbook update of count, mean and squared deviations, which never forgets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Welford {
    count: f64,
    mean: f64,
    m2: f64,
}

impl Welford {
    /// Adds a sample; returns the sum of squared deviations so that nothing is optimised away.
    #[inline]
    pub fn push(&mut self, value: f64) -> f64 {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.m2 += delta * (value - self.mean);
        self.m2
    }
}

/// Floor of a batch: one fused pass over sliding sums, adding the new and subtracting the old, writing scores.
/// Fast and numerically unsound: what was once added is never exactly taken out again.
pub fn fused_pass(values: &[f64], window: usize, scores: &mut [f64]) {
    let (head, tail) = values.split_at(window.min(values.len()));
    let (mut sum, mut squares) = head.iter().fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
    let (of_n, of_degrees) = (1.0 / window as f64, 1.0 / (window as f64 - 1.0));
    scores.iter_mut().take(window).for_each(|score| *score = f64::NAN);
    for ((new, old), score) in tail.iter().zip(values).zip(scores.iter_mut().skip(window)) {
        let mean = sum * of_n;
        let variance = (squares - sum * mean) * of_degrees;
        *score = (new - mean) / variance.sqrt();
        sum += new - old;
        squares += new * new - old * old;
    }
}
