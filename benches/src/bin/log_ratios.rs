//! Prints the time of log mining as a share of its floor and of other miners: medians over interleaved pairs, so that a
//! busy or throttled machine slows both. `cargo run --release -p aiops-benches --bin log_ratios [PAIRS] [LINES]`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;
use std::time::Instant;

use aiops_benches::clock::median;
use aiops_benches::logs::{Corpus, TEMPLATES, block_store, mixed, split_and_hash};
use aiops_benches::peers;
use aiops_compact::ConfigError;
use aiops_compact::logs::{Header, LogMiner, MinerConfig, MinerOptions};

type MakePeer = fn() -> drain3::Matcher;

fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Median seconds of the subject, of the reference, and of their ratio within a pair (reference / subject).
fn compare(pairs: usize, mut reference: impl FnMut(), mut subject: impl FnMut()) -> [f64; 3] {
    let (mut references, mut subjects, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let (r, s) = (seconds(&mut reference), seconds(&mut subject));
        references.push(r);
        subjects.push(s);
        ratios.push(r / s);
    }
    [median(subjects), median(references), median(ratios)]
}

fn mine(corpus: &Corpus, config: &MinerConfig) -> LogMiner {
    let mut miner = LogMiner::new(config.clone());
    for line in corpus.iter() {
        black_box(miner.push(line));
    }
    miner
}

fn row(name: &str, corpus: &Corpus, [subject, reference, ratio]: [f64; 3]) {
    let rate = |seconds: f64| corpus.lines as f64 / seconds / 1e6;
    println!("| {name} | {:.2} | {:.2} | {ratio:.3} |", rate(subject), rate(reference));
}

/// What is measured; all of it when none is named.
const PARTS: [&str; 3] = ["floor", "peers", "random"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pairs = arguments.next().map_or(Ok(5), |pairs| pairs.parse())?;
    let lines = arguments.next().map_or(Ok(2_000_000), |lines| lines.parse())?;
    let parts: Vec<String> = arguments.collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("{unknown} is none of {PARTS:?}").into());
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|own| own == part);
    if wanted("floor") {
        floor(pairs, lines)?;
    }
    if wanted("peers") {
        beside_peers(pairs, lines)?;
    }
    if wanted("random") {
        random(lines);
    }
    Ok(())
}

/// The miner beside splitting and hashing, and many lines beside few.
fn floor(pairs: usize, lines: usize) -> Result<(), ConfigError> {
    let config = |header| MinerConfig::try_from(MinerOptions { header, ..MinerOptions::default() });
    let (content, raw) = (config(Header::None)?, config(Header::Infer)?);
    let large = mixed(lines);
    let small = mixed(lines / 10);
    let blocks = block_store(lines);
    println!(
        "{TEMPLATES} templates, {lines} lines, {} bytes; medians of {pairs} interleaved pairs",
        large.bytes.len()
    );
    println!("\n| miner / reference | miner, M lines/s | reference, M lines/s | ratio of rates |");
    println!("|---|---|---|---|");
    for (name, corpus) in [("mixed", &large), ("mixed, a tenth", &small), ("block store", &blocks)] {
        let floor = || split_and_hash(black_box(&corpus.bytes));
        row(
            &format!("{name} / split and FxHash"),
            corpus,
            compare(pairs, floor, || {
                black_box(mine(corpus, &content));
            }),
        );
        row(
            &format!("{name}, header inferred / split and FxHash"),
            corpus,
            compare(pairs, floor, || {
                black_box(mine(corpus, &raw));
            }),
        );
    }
    let mut rates = Vec::new();
    for _ in 0..pairs {
        let big = seconds(|| drop(black_box(mine(&large, &content)))) / large.lines as f64;
        let little = seconds(|| drop(black_box(mine(&small, &content)))) / small.lines as f64;
        rates.push(little / big);
    }
    println!("\nrate at {lines} lines / rate at {} lines: {:.3}", lines / 10, median(rates));
    let mut miner = mine(&large, &content);
    miner.settle();
    println!(
        "templates found: {}, patterns: {}, memory: {} bytes",
        miner.templates().len(),
        miner.patterns(),
        miner.memory()
    );
    Ok(())
}

/// The miner beside other miners in Rust.
fn beside_peers(pairs: usize, lines: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (large, content) = (mixed(lines), MinerConfig::default());
    let text = std::str::from_utf8(&large.bytes)?;
    let makers: [(&str, MakePeer); 2] =
        [("drain3, no masking", peers::drain3), ("drain3, masking", peers::drain3_masked)];
    for (name, make) in makers {
        let mut clusters = 0;
        let times = compare(
            pairs,
            || {
                let mut peer = make();
                for line in text.lines() {
                    clusters =
                        black_box(peer.add_log_message(line)).map_or(clusters, |t| clusters.max(t.id()));
                }
            },
            || drop(black_box(mine(&large, &content))),
        );
        println!("{name}: takes {:.1} times as long, finds {clusters} templates", times[2]);
    }
    #[cfg(feature = "peer-drain-rs")]
    {
        // The same lines for both, and more and more of them: what a line costs depends on how many groups there are.
        for share in [100, 10, 1] {
            let some = mixed(lines / share);
            let text = std::str::from_utf8(&some.bytes)?;
            let times = compare(
                pairs,
                || {
                    let mut peer = peers::drain_rs();
                    text.lines().for_each(|line| {
                        black_box(peer.add_log_line(line));
                    });
                },
                || drop(black_box(mine(&some, &content))),
            );
            println!("drain-rs, {} lines: takes {:.1} times as long", some.lines, times[2]);
        }
    }
    Ok(())
}

/// Lines of which each is new.
fn random(lines: usize) {
    let content = MinerConfig::default();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut hostile = LogMiner::new(content.clone());
    let mut most = 0;
    let mut line = String::new();
    let before = peak();
    let took = seconds(|| {
        for _ in 0..lines {
            line.clear();
            for _ in 0..rng.usize(1..12) {
                line.extend(std::iter::repeat_with(|| rng.lowercase()).take(8));
                line.push(' ');
            }
            hostile.push(line.as_bytes());
            most = most.max(hostile.memory());
        }
    });
    println!(
        "{lines} lines of random words: at most {most} bytes of {} allowed, {} patterns forgotten, {:.3} M lines/s",
        content.options().max_bytes,
        hostile.stats().evicted_patterns,
        lines as f64 / took / 1e6
    );
    if let (Some(before), Some(after)) = (before, peak()) {
        println!("peak of resident memory: from {before} to {after} KiB");
    }
}

/// Peak of resident memory so far in KiB, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
