//! Input and floors of the rolling statistics.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, MetricFrame, MetricSeries, SeriesKey, TimeAxis};

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

/// Floor of a frame: [`fused_pass`] over `rows × columns` that lie row by row, all columns of a row side by side, so that
/// it reads memory in order and the compiler vectorises it.
pub fn fused_frame_pass(values: &[f64], columns: usize, window: usize, scores: &mut [f64]) {
    let (mut sums, mut squares) = (vec![0.0; columns], vec![0.0; columns]);
    let (head, tail) = values.split_at((window * columns).min(values.len()));
    for row in head.chunks_exact(columns) {
        for ((sum, squares), v) in sums.iter_mut().zip(&mut squares).zip(row) {
            *sum += v;
            *squares += v * v;
        }
    }
    let (of_n, of_degrees) = (1.0 / window as f64, 1.0 / (window as f64 - 1.0));
    let (blank, scores) = scores.split_at_mut(head.len());
    blank.fill(f64::NAN);
    let rows = tail.chunks_exact(columns).zip(values.chunks_exact(columns));
    for ((new, old), scores) in rows.zip(scores.chunks_exact_mut(columns)) {
        let sums = sums.iter_mut().zip(&mut squares);
        for ((((new, old), score), sum), squares) in
            new.iter().zip(old).zip(scores).zip(sums).map(|(((n, o), s), (sum, q))| ((((n, o), s), sum), q))
        {
            let mean = *sum * of_n;
            let variance = (*squares - *sum * mean) * of_degrees;
            *score = (new - mean) / variance.sqrt();
            *sum += new - old;
            *squares += new * new - old * old;
        }
    }
}

/// Floor of a frame, as one would write it first: [`fused_pass`] over each column of `rows × columns` that lie row by row.
pub fn fused_column_passes(values: &[f64], columns: usize, window: usize, scores: &mut [f64]) {
    let rows = values.len() / columns.max(1);
    let (mut column, mut scored) = (Vec::with_capacity(rows), vec![0.0; rows]);
    for first in 0..columns {
        column.clear();
        column.extend(values.iter().skip(first).step_by(columns));
        fused_pass(&column, window, &mut scored);
        let places = scores.iter_mut().skip(first).step_by(columns);
        places.zip(&scored).for_each(|(place, score)| *place = *score);
    }
}

/// `columns` series of `rows` samples as a frame without gaps.
///
/// # Errors
/// None for a size that fits in memory.
pub fn frame(rows: usize, columns: usize) -> aiops_core::Result<MetricFrame> {
    let axis = TimeAxis::regular(Timestamp::UNIX_EPOCH, Duration::from_secs(300), rows)?;
    let values = samples(rows * columns);
    let series = values.chunks_exact(rows).enumerate().map(|(i, values)| {
        let key = SeriesKey::new("load").with("instance", i.to_string());
        MetricSeries::new(key, EntityId::service("shop"), axis.clone(), values.iter().map(|v| Some(*v)))
    });
    MetricFrame::new(&series.collect::<aiops_core::Result<Vec<_>>>()?, &axis)
}
