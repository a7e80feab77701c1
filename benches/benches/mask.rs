//! Masking beside a read of memory. `cargo bench -p aiops-benches --bench mask`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::mask::{log_lines, read_memory};
use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn mask(criterion: &mut Criterion) {
    let masker = Masker::new(&MaskConfig::default(), MaskKey::new([7; 32])).unwrap();
    for (name, every) in [("no secret", 0), ("a secret in 1 % of lines", 100), ("a secret in every line", 1)]
    {
        let text = log_lines(1 << 20, every);
        let lines: Vec<&[u8]> = text.as_bytes().split_inclusive(|b| *b == b'\n').collect();
        let mut group = criterion.benchmark_group(format!("mask/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("floor: memory read", |b| b.iter(|| read_memory(black_box(text.as_bytes()))));
        group.bench_function("line by line", |b| {
            b.iter(|| lines.iter().map(|line| black_box(masker.mask_bytes(line)).len()).sum::<usize>());
        });
        group.bench_function("one text", |b| b.iter(|| masker.mask_bytes(black_box(text.as_bytes())).len()));
        group.finish();
    }
}

criterion_group!(benches, mask);
criterion_main!(benches);
