//! Rolling statistics beside their floors. `cargo bench -p aiops-benches --bench rolling`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::rolling::{Welford, fused_pass, samples};
use aiops_compact::rolling::{RollingConfig, RollingMad, RollingSigma};
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
        group.bench_function("mad batch", |b| {
            b.iter(|| {
                RollingMad::new(config).push_slice(black_box(&values), black_box(&mut scores)).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, rolling);
criterion_main!(benches);
