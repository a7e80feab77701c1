//! Compaction of traces beside its floors. `cargo bench -p aiops-benches --bench traces`
#![allow(missing_docs, reason = "criterion's macros document nothing")]

use std::hint::black_box;

use aiops_benches::traces::{Layout, by_call, by_callee, by_callee_and_path, by_entity, spans, traces};
use aiops_compact::traces::{
    CompareConfig, SamplerConfig, SpanColumns, TailSampler, TraceCompactor, TraceConfig, TraceSummary,
    compare,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn compaction(criterion: &mut Criterion) {
    const N: usize = 200_000;
    for layout in [Layout::Grouped, Layout::Interleaved] {
        let columns = spans(N, layout);
        let mut group = criterion.benchmark_group(format!("traces/{layout:?}"));
        group.throughput(Throughput::Elements(columns.len() as u64));
        group
            .bench_function("floor: one map update by callee", |b| b.iter(|| by_callee(black_box(&columns))));
        group.bench_function("floor: parent join, one map update by callee and one by path", |b| {
            b.iter(|| by_callee_and_path(black_box(&columns)));
        });
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

/// What is done with whole traces and with summaries.
fn sampling(criterion: &mut Criterion) {
    let traces = traces(2_000);
    let count: usize = traces.iter().map(Vec::len).sum();
    let columns: SpanColumns = traces.iter().flatten().collect();
    let summary = TraceCompactor::summarize(TraceConfig::default(), &columns);
    let mut group = criterion.benchmark_group("traces/whole");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("floor: one map update by entity", |b| b.iter(|| by_entity(black_box(&traces))));
    group.bench_function("TailSampler offer", |b| {
        b.iter(|| {
            let mut sampler = TailSampler::new(SamplerConfig::default(), &summary);
            traces.iter().enumerate().for_each(|(i, trace)| {
                sampler.offer(trace, i);
            });
            sampler.finish()
        });
    });
    group.bench_function("columns of the model's spans", |b| {
        b.iter(|| black_box(&traces).iter().flatten().collect::<SpanColumns>());
    });
    group.finish();

    let mut group = criterion.benchmark_group("traces/summary");
    let other = TraceCompactor::summarize(TraceConfig::default(), &spans(200_000, Layout::Grouped));
    group.throughput(Throughput::Elements(other.paths().len() as u64));
    group.bench_function("merge", |b| {
        b.iter(|| {
            let mut sum = TraceSummary::new();
            sum.merge(black_box(&other));
            sum.merge(black_box(&other));
            sum
        });
    });
    let config = CompareConfig::default();
    group.bench_function("compare", |b| b.iter(|| compare(black_box(&other), black_box(&other), &config)));
    group.finish();
}

criterion_group!(benches, compaction, sampling);
criterion_main!(benches);
