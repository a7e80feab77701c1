//! Journal and audit log on disk beside their floors. `cargo bench -p aiops-benches --bench ledger`
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "criterion's macros document nothing; the inputs are constant"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use aiops_act::FileJournal;
use aiops_act::audit::{AuditConfig, FileAudit, verify};
use aiops_core::Context;
use aiops_core::action::{IncidentId, JournalEntry};
use aiops_core::model::EntityId;
use aiops_core::seam::{AuditEvent, AuditSink, Journal};
use aiops_testkit::sample;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use futures_lite::future::block_on;
use futures_util::future::join_all;

/// Entries of a batch that waits together.
const TOGETHER: usize = 1_000;

fn intents(n: usize) -> Vec<JournalEntry> {
    let ctx = Context::system();
    let intent = |i: usize| {
        let target = EntityId::service(format!("service-{i}"));
        block_on(sample::intent(&format!("intent-{i}"), target, &ctx)).unwrap()
    };
    (0..n).map(|i| JournalEntry::Intent(Box::new(intent(i)))).collect()
}

/// Time for `n` entries, each on a fresh file; opening and closing are not counted.
fn timed<T>(n: u64, mut open: impl FnMut() -> T, mut write: impl FnMut(&mut T, usize)) -> Duration {
    let mut file = open();
    let began = Instant::now();
    (0..n).for_each(|i| write(&mut file, usize::try_from(i).unwrap_or_default()));
    began.elapsed()
}

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let ctx = Context::system();
    // More than a measurement takes; what comes after them begins anew in a fresh file.
    let entries = intents(20_000);
    let line = serde_json::to_vec(&entries[0]).unwrap();
    let mut group = criterion.benchmark_group("journal");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(1));
    group.bench_function("floor: append and fdatasync", |b| {
        let open = || File::options().create(true).truncate(true).write(true).open(&path).unwrap();
        b.iter_custom(|n| {
            timed(n, open, |file, _| {
                file.write_all(&line).unwrap();
                file.sync_data().unwrap();
            })
        });
    });
    let fresh = || {
        let _ = fs::remove_file(&path);
        FileJournal::open(&path).unwrap()
    };
    group.bench_function("FileJournal, one by one", |b| {
        b.iter_custom(|n| {
            timed(n, fresh, |journal, i| {
                black_box(block_on(journal.append(&entries[i], None, &ctx)).unwrap());
            })
        });
    });
    group.throughput(Throughput::Elements(TOGETHER as u64));
    group.bench_function("FileJournal, a thousand together", |b| {
        b.iter_custom(|n| {
            (0..n)
                .map(|_| {
                    timed(1, fresh, |journal, _| {
                        let appends = entries[..TOGETHER].iter().map(|e| journal.append(e, None, &ctx));
                        black_box(block_on(join_all(appends)));
                    })
                })
                .sum()
        });
    });
    group.finish();
}

fn audit(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let ctx = Context::system();
    let log = FileAudit::open(&path, AuditConfig::default()).unwrap();
    let detail = serde_json::to_value(&intents(1)[0]).unwrap();
    let event = AuditEvent::new(ctx.now(), Some(IncidentId::new("inc-1")), "intended", detail);
    for _ in 0..20 {
        block_on(join_all((0..TOGETHER).map(|_| log.append(&event, &ctx))));
    }
    let size = fs::metadata(&path).unwrap().len();
    let mut group = criterion.benchmark_group("audit");
    group.throughput(Throughput::Bytes(size));
    group.bench_function("floor: read, and hash line by line", |b| {
        b.iter(|| {
            let mut bytes = Vec::new();
            File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            bytes.split(|b| *b == b'\n').for_each(|line| {
                black_box(blake3::hash(line));
            });
        });
    });
    group.bench_function("verify", |b| b.iter(|| verify(&path, &[]).unwrap()));
    group.finish();
}

criterion_group!(benches, journal, audit);
criterion_main!(benches);
