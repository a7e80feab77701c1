//! Rolling statistics beside their floors. `cargo bench -p aiops-benches --bench rolling`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::rolling::{Welford, frame, fused_frame_pass, fused_pass, samples};
use aiops_compact::rolling::{RollingConfig, RollingMad, RollingSigma, score_frame_mad, score_frame_sigma};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn rolling(criterion: &mut Criterion) {
    const N: usize = 200_000;
    let values = samples(N);
    let mut scores = vec![0.0; N];
    for window in [60, 288] {
        let config = RollingConfig::new(window).unwrap();
        let mut group = criterion.benchmark_group(format!("rolling/{window}"));
        group.throughput(Throughput::Elements(N as u64));
        group.bench_function("floor: bare Welford update", |b| {
            b.iter(|| {
                let mut welford = Welford::default();
                values.iter().for_each(|v| {
                    black_box(welford.push(*v));
                });
            });
        });
        group.bench_function("sigma push", |b| {
            b.iter(|| {
                let mut rolling = RollingSigma::new(config);
                values.iter().for_each(|v| {
                    black_box(rolling.push(*v));
                });
            });
        });
        group.bench_function("floor: plain fused pass", |b| {
            b.iter(|| fused_pass(black_box(&values), window, black_box(&mut scores)));
        });
        group.bench_function("sigma batch", |b| {
            b.iter(|| {
                RollingSigma::new(config).push_slice(black_box(&values), black_box(&mut scores)).unwrap()
            });
        });
        let gappy: Vec<f64> =
            values.iter().enumerate().map(|(i, v)| if i % 100 == 57 { f64::NAN } else { *v }).collect();
        group.bench_function("sigma batch, 1 % gaps", |b| {
            b.iter(|| {
                RollingSigma::new(config).push_slice(black_box(&gappy), black_box(&mut scores)).unwrap()
            });
        });
        group.bench_function("mad batch", |b| {
            b.iter(|| {
                RollingMad::new(config).push_slice(black_box(&values), black_box(&mut scores)).unwrap()
            });
        });
        group.finish();
    }
}

fn frames(criterion: &mut Criterion) {
    const ROWS: usize = 2_000;
    const COLUMNS: usize = 500;
    let (frame, config) = (frame(ROWS, COLUMNS).unwrap(), RollingConfig::new(288).unwrap());
    let rows = frame.values().as_slice().unwrap();
    let mut group = criterion.benchmark_group("rolling/frame");
    group.throughput(Throughput::Elements((ROWS * COLUMNS) as u64));
    group.sample_size(20);
    group.bench_function("floor: plain fused pass row by row", |b| {
        b.iter(|| {
            // The result is new memory on both sides.
            let mut scores = vec![0.0; ROWS * COLUMNS];
            fused_frame_pass(black_box(rows), COLUMNS, 288, &mut scores);
            scores
        });
    });
    group.bench_function("score_frame_sigma", |b| b.iter(|| score_frame_sigma(black_box(&frame), config)));
    group.bench_function("score_frame_mad", |b| b.iter(|| score_frame_mad(black_box(&frame), config)));
    group.finish();
}

criterion_group!(benches, rolling, frames);
criterion_main!(benches);
