//! A mixed window as it arrives, to its briefing. `cargo bench -p aiops-benches --bench briefing`
#![allow(missing_docs, reason = "criterion's macros document nothing")]

use std::hint::black_box;

use aiops_compact::briefing::{WindowCompactor, WindowStream};
use aiops_core::model::TokenBudget;
use aiops_eval::window::{MixedStream, Second};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Every byte of the records' content once: what reading them costs at least.
fn read(seconds: &[Second]) -> u64 {
    let mut sum = 0_u64;
    for second in seconds {
        let bytes = |text: &str| text.bytes().map(u64::from).sum::<u64>();
        let samples = second.metrics.iter().flat_map(|series| series.values());
        sum = samples.fold(sum, |sum, value| sum.wrapping_add(value.to_bits()));
        for span in &second.spans {
            sum = sum.wrapping_add(bytes(&span.operation) + bytes(span.entity.name()) + span.span_id.0);
        }
        for line in &second.lines {
            sum = sum.wrapping_add(bytes(&line.body) + bytes(line.entity.name()));
        }
    }
    sum
}

fn take_in(stream: &mut WindowStream, seconds: &[Second]) {
    for second in seconds {
        second.metrics.iter().for_each(|series| stream.push_metrics(series));
        second.spans.iter().for_each(|span| stream.push_span(span));
        second.lines.iter().for_each(|line| stream.push_line(line));
    }
}

fn briefing(criterion: &mut Criterion) {
    let Ok(mut source) = MixedStream::new(60, 1) else { return };
    let mut seconds = Vec::new();
    while let Ok(Some(second)) = source.next_second() {
        seconds.push(second);
    }
    let mut group = criterion.benchmark_group("briefing");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(seconds.iter().map(Second::bytes).sum()));
    group.bench_function("floor: every byte read once", |b| b.iter(|| read(black_box(&seconds))));
    let compactor = WindowCompactor::default();
    group.bench_function("stream and finish, 4,000 tokens", |b| {
        b.iter(|| {
            let mut stream = compactor.stream(source.range());
            take_in(&mut stream, black_box(&seconds));
            stream.finish(Vec::new(), TokenBudget(4000))
        });
    });
    group.finish();
}

criterion_group!(benches, briefing);
criterion_main!(benches);
