//! The fused localiser on growing graphs, beside one pass over the same spans. `cargo bench -p aiops-benches --bench localise`
#![allow(missing_docs, reason = "criterion's macros document nothing")]

use std::hint::black_box;

use aiops_benches::incident::{incident, one_pass};
use aiops_rca::FusedLocalizer;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn localise(criterion: &mut Criterion) {
    let localizer = FusedLocalizer::default();
    let mut group = criterion.benchmark_group("localise");
    group.sample_size(10);
    for (entities, spans) in [(100, 100_000), (1_000, 100_000), (10_000, 100_000), (10_000, 400_000)] {
        let incident = incident(entities, spans);
        let name = format!("{entities} entities, {spans} spans");
        group.throughput(Throughput::Elements(spans as u64));
        group.bench_with_input(BenchmarkId::new("floor: one pass", &name), &incident, |b, incident| {
            b.iter(|| one_pass(black_box(incident)));
        });
        group.bench_with_input(BenchmarkId::new("fused", &name), &incident, |b, incident| {
            b.iter(|| localizer.rank(black_box(&incident.reference), black_box(&incident.fault)));
        });
    }
    group.finish();
}

criterion_group!(benches, localise);
criterion_main!(benches);
