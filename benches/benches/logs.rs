//! Log mining beside its floors and other miners in Rust. `cargo bench -p aiops-benches --bench logs`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::hint::black_box;

use aiops_benches::logs::{Corpus, block_store, mixed, newlines, split_and_hash};
use aiops_compact::logs::{Header, LogMiner, MinerConfig, MinerOptions};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

fn mine(corpus: &Corpus, header: Header) -> LogMiner {
    let config = MinerConfig::try_from(MinerOptions { header, ..MinerOptions::default() }).unwrap();
    let mut miner = LogMiner::new(config);
    for line in corpus.iter() {
        black_box(miner.push(line));
    }
    miner
}

fn logs(criterion: &mut Criterion) {
    let corpora = [("mixed", mixed(200_000)), ("block store", block_store(200_000))];
    for (name, corpus) in &corpora {
        let mut group = criterion.benchmark_group(format!("logs/{name}"));
        group.throughput(Throughput::Bytes(corpus.bytes.len() as u64));
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        group.bench_function("floor: newline scan", |b| b.iter(|| newlines(black_box(&corpus.bytes))));
        group.bench_function("floor: split and FxHash", |b| {
            b.iter(|| split_and_hash(black_box(&corpus.bytes)))
        });
        group.bench_function("LogMiner push", |b| b.iter(|| mine(corpus, Header::None)));
        group.bench_function("LogMiner push, header inferred", |b| b.iter(|| mine(corpus, Header::Infer)));
        let warm = mine(corpus, Header::None);
        group.bench_function("LogMiner extract", |b| {
            b.iter(|| {
                corpus.iter().take(10_000).for_each(|line| {
                    black_box(warm.extract(line));
                })
            });
        });
        let text = String::from_utf8(corpus.bytes.clone()).unwrap();
        group.bench_function("peer: drain3", |b| {
            b.iter(|| {
                let mut peer = aiops_benches::peers::drain3();
                text.lines().for_each(|line| {
                    let _ = black_box(peer.add_log_message(line));
                });
            });
        });
        #[cfg(feature = "peer-drain-rs")]
        group.bench_function("peer: drain-rs", |b| {
            b.iter(|| {
                let mut peer = aiops_benches::peers::drain_rs();
                text.lines().for_each(|line| {
                    black_box(peer.add_log_line(line));
                });
            });
        });
        group.finish();
    }
}

criterion_group!(benches, logs);
criterion_main!(benches);
