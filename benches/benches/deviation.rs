//! Deviations of a window, shapes, moments and the top of a ranking, beside a read of the samples.
//! `cargo bench -p aiops-benches --bench deviation`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::deviation::{read, window};
use aiops_benches::rolling::{Welford, samples};
use aiops_compact::deviation::{DeviationConfig, References, deviations, rank_entities, rank_metrics};
use aiops_compact::shape::{Persistence, ShapeConfig, classify, excursions};
use aiops_compact::{Moments, TopK};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn of_a_window(criterion: &mut Criterion) {
    const SERIES: usize = 1_000;
    const LENGTH: usize = 288;
    let (window, config) = (window(SERIES, LENGTH).unwrap(), DeviationConfig::default());
    let mut group = criterion.benchmark_group("deviation");
    group.throughput(Throughput::Elements((SERIES * LENGTH) as u64));
    group.bench_function("floor: reading the samples", |b| b.iter(|| read(black_box(&window))));
    group.bench_function("deviations and their top 20", |b| {
        b.iter(|| {
            let report = deviations(black_box(&window), &References::new(), &config);
            black_box((rank_entities(&report.deviating, 20), rank_metrics(&report.deviating, 20)));
        });
    });
    group.finish();
}

fn shapes(criterion: &mut Criterion) {
    const N: usize = 2_016;
    let seconds: Vec<f64> = (0..N).map(|i| i as f64 * 300.0).collect();
    // Scores with a level shift for the last eighth.
    let scores: Vec<f64> = samples(N)
        .iter()
        .enumerate()
        .map(|(i, v)| v / 100.0 + if i > N - N / 8 { 8.0 } else { 0.0 })
        .collect();
    let (persistence, config) = (Persistence::default(), ShapeConfig::default());
    let found = excursions(&scores, &persistence);
    let last = found.last().unwrap();
    let mut group = criterion.benchmark_group("shape");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("floor: reading the scores", |b| b.iter(|| black_box(&scores).iter().sum::<f64>()));
    group.bench_function("excursions", |b| b.iter(|| excursions(black_box(&scores), &persistence)));
    group.bench_function("classify", |b| {
        b.iter(|| classify(black_box(&seconds), black_box(&scores), 0, last, &persistence, &config));
    });
    group.finish();
}

fn summaries(criterion: &mut Criterion) {
    const N: usize = 200_000;
    let values = samples(N);
    let mut group = criterion.benchmark_group("summaries");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("floor: bare Welford update", |b| {
        b.iter(|| {
            let mut welford = Welford::default();
            values.iter().for_each(|v| {
                black_box(welford.push(*v));
            });
        });
    });
    group.bench_function("Moments push", |b| {
        b.iter(|| {
            let mut moments = Moments::new();
            values.iter().for_each(|v| moments.push(*v));
            black_box(moments)
        });
    });
    group.bench_function("floor: sort", |b| {
        b.iter(|| {
            let mut sorted = black_box(&values).clone();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        });
    });
    group.bench_function("TopK of 20", |b| {
        b.iter(|| {
            let mut top = TopK::new(20);
            values.iter().enumerate().for_each(|(i, v)| top.push(*v, i));
            top.into_sorted_vec()
        });
    });
    group.finish();
}

criterion_group!(benches, of_a_window, shapes, summaries);
criterion_main!(benches);
