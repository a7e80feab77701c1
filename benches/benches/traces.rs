//! Compaction of traces beside its floors. `cargo bench -p aiops-benches --bench traces`
#![allow(missing_docs, reason = "criterion's macros document nothing")]

use std::hint::black_box;

use aiops_benches::traces::{Layout, by_call, by_callee, spans};
use aiops_compact::traces::{TraceCompactor, TraceConfig};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn traces(criterion: &mut Criterion) {
    const N: usize = 200_000;
    for layout in [Layout::Grouped, Layout::Interleaved] {
        let columns = spans(N, layout);
        let mut group = criterion.benchmark_group(format!("traces/{layout:?}"));
        group.throughput(Throughput::Elements(columns.len() as u64));
        group
            .bench_function("floor: one map update by callee", |b| b.iter(|| by_callee(black_box(&columns))));
        group.bench_function("floor: parent join and one map update by call", |b| {
            b.iter(|| by_call(black_box(&columns)));
        });
        group.bench_function("summarize", |b| {
            b.iter(|| TraceCompactor::summarize(TraceConfig::default(), black_box(&columns)));
        });
        group.bench_function("push and finish", |b| {
            b.iter(|| {
                let mut compactor = TraceCompactor::new(TraceConfig::default());
                compactor.push(black_box(&columns));
                compactor.finish()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, traces);
criterion_main!(benches);
