//! Prints the compaction of traces as a ratio to its floors: medians over interleaved rounds, so that a busy or
//! throttled machine slows both; processor time of the thread. `cargo run --release -p aiops-benches --bin trace_ratios [ROUNDS] [SPANS]…`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;

use aiops_benches::clock::{median, timed};
use aiops_benches::traces::{Layout, by_call, by_callee, by_callee_and_path, spans};
use aiops_compact::traces::{SpanColumns, TraceCompactor, TraceConfig};

/// Nanoseconds per span. Small inputs are repeated, so that a run takes some milliseconds.
fn time(columns: &SpanColumns, work: impl Fn(&SpanColumns)) -> f64 {
    let times = (1_000_000 / columns.len().max(1)).max(1);
    let took = timed(|| (0..times).for_each(|_| work(black_box(columns))));
    took.as_secs_f64() * 1e9 / (times * columns.len()) as f64
}

/// What is measured.
type Work = fn(&SpanColumns);

const WORKS: [(&str, Work); 5] = [
    ("floor: join, one map update by callee and one by path", |c| {
        black_box(by_callee_and_path(c));
    }),
    ("floor: join, one map update by call", |c| {
        black_box(by_call(c));
    }),
    ("floor: one map update by callee", |c| {
        black_box(by_callee(c));
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1);
    let rounds: usize = numbers.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let mut sizes: Vec<usize> = numbers.map(|n| n.parse()).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        sizes = vec![1 << 16, 200_000, 1_000_000, 1 << 22];
    }
    println!(
        "| spans, layout, medians of {rounds} interleaved rounds | ns/span | million spans/s | callee and path floor / it | call floor / it | callee floor / it |"
    );
    println!("|---|---|---|---|---|---|");
    for n in sizes {
        for layout in [Layout::Grouped, Layout::Interleaved] {
            let columns = spans(n, layout);
            let runs: Vec<[f64; 5]> =
                (0..rounds).map(|_| WORKS.map(|(_, work)| time(&columns, work))).collect();
            for (at, (name, _)) in WORKS.iter().enumerate() {
                let of = |run: &[f64; 5], at: usize| run.get(at).copied().unwrap_or(f64::NAN);
                let nanos = median(runs.iter().map(|run| of(run, at)));
                let to = |floor: usize| median(runs.iter().map(|run| of(run, floor) / of(run, at)));
                println!(
                    "| {n}, {layout:?}, {name} | {nanos:.1} | {:.1} | {:.2} | {:.2} | {:.3} |",
                    1e3 / nanos,
                    to(0),
                    to(1),
                    to(2)
                );
            }
        }
    }
    Ok(())
}
