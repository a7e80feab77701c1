//! Prints the compaction of traces as a ratio to its floors: medians over interleaved rounds, so that a busy or
//! throttled machine slows both. `cargo run --release -p aiops-benches --bin trace_ratios [ROUNDS] [SPANS]`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;
use std::time::Instant;

use aiops_benches::traces::{Layout, by_call, by_callee, spans};
use aiops_compact::traces::{SpanColumns, TraceCompactor, TraceConfig};

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A name and what is timed under it.
type Work = (&'static str, fn(&SpanColumns));

/// Nanoseconds per span.
fn time(columns: &SpanColumns, work: impl Fn(&SpanColumns)) -> f64 {
    let start = Instant::now();
    work(black_box(columns));
    start.elapsed().as_secs_f64() * 1e9 / columns.len() as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(7), |rounds| rounds.parse())?;
    let n: usize = std::env::args().nth(2).map_or(Ok(2_000_000), |n| n.parse())?;
    println!(
        "| {n} spans, medians of {rounds} interleaved rounds | ns/span | million spans/s | callee floor / it | join floor / it |"
    );
    println!("|---|---|---|---|---|");
    for layout in [Layout::Grouped, Layout::Interleaved] {
        let columns = spans(n, layout);
        let works: [Work; 4] = [
            ("floor: one map update by callee", |c| {
                black_box(by_callee(c));
            }),
            ("floor: parent join, one map update by call", |c| {
                black_box(by_call(c));
            }),
            ("summarize", |c| {
                black_box(TraceCompactor::summarize(TraceConfig::default(), c));
            }),
            ("push and finish", |c| {
                let mut compactor = TraceCompactor::new(TraceConfig::default());
                compactor.push(c);
                black_box(compactor.finish());
            }),
        ];
        let runs: Vec<[f64; 4]> = (0..rounds).map(|_| works.map(|(_, work)| time(&columns, work))).collect();
        for (at, (name, _)) in works.iter().enumerate() {
            let of = |run: &[f64; 4], at: usize| run.get(at).copied().unwrap_or(f64::NAN);
            let nanos = median(runs.iter().map(|run| of(run, at)));
            let to = |floor: usize| median(runs.iter().map(|run| of(run, floor) / of(run, at)));
            println!(
                "| {layout:?}, {name} | {nanos:.2} | {:.1} | {:.3} | {:.3} |",
                1e3 / nanos,
                to(0),
                to(1)
            );
        }
    }
    Ok(())
}
