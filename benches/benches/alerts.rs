//! Correlation of alerts beside the hash of an alert. `cargo bench -p aiops-benches --bench alerts`
#![allow(missing_docs, reason = "criterion's macros document nothing")]

use std::hint::black_box;
use std::time::Duration;

use aiops_benches::alerts::{alerts, topology};
use aiops_core::jiff::Timestamp;
use aiops_core::model::time::after;
use aiops_detect::correlate::{Correlator, CorrelatorOptions, Fingerprint};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn correlation(criterion: &mut Criterion) {
    const N: usize = 2_000;
    let begin = Timestamp::UNIX_EPOCH;
    let mut group = criterion.benchmark_group("alerts");
    group.throughput(Throughput::Elements(N as u64));
    let options = CorrelatorOptions::default();
    let new = alerts(N, 1);
    group.bench_function("floor: fingerprint", |b| {
        b.iter(|| new.iter().map(|alert| Fingerprint::of(black_box(alert), &options)).max());
    });
    let mut empty = Correlator::new(Default::default());
    empty.set_topology(topology(2_000));
    // Half an hour of alerts before, so that there is something to compare with.
    let mut lived = empty.clone();
    for (n, alert) in alerts(10_000, 2).into_iter().enumerate() {
        lived.push(&alert, after(begin, Duration::from_millis(180 * n as u64)));
    }
    let now = after(begin, Duration::from_secs(1_800));
    let push = |mut correlator: Correlator| {
        for (n, alert) in new.iter().enumerate() {
            let mut alert = alert.clone();
            alert.started_at = after(now, Duration::from_millis(180 * n as u64));
            black_box(correlator.push(&alert, alert.started_at));
        }
        correlator
    };
    group.bench_function("new alerts, nothing before", |b| {
        b.iter_batched(|| empty.clone(), push, BatchSize::LargeInput);
    });
    group.bench_function("new alerts, ten thousand before", |b| {
        b.iter_batched(|| lived.clone(), push, BatchSize::LargeInput);
    });
    let known = push(lived.clone());
    group.bench_function("repeats", |b| {
        b.iter_batched(
            || known.clone(),
            |mut correlator| {
                for alert in &new {
                    black_box(correlator.push(black_box(alert), now));
                }
                correlator
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, correlation);
criterion_main!(benches);
