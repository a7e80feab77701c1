//! The streaming engine beside its floor. `cargo bench -p aiops-benches --bench engine`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::engine::Load;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn engine(criterion: &mut Criterion) {
    const SERIES: u32 = 100_000;
    let mut load = Load::new(SERIES, 300).unwrap();
    let mut group = criterion.benchmark_group("engine/100k series");
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    group.sample_size(20);
    group.bench_function("floor: bare Welford update over the same memory", |b| {
        b.iter(|| black_box(load.push_floor()));
    });
    group.bench_function("push", |b| b.iter(|| black_box(load.push_all())));
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
