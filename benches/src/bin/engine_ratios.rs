//! Prints what a push through the streaming engine costs beside its floor, and what a series takes in memory: medians over
//! interleaved pairs. `cargo run --release -p aiops-benches --bin engine_ratios [PAIRS [SERIES]]`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;
use std::time::Instant;

use aiops_benches::clock::median;
use aiops_benches::engine::Load;

/// Resident memory of this process in bytes, where the system says it.
fn resident() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    statm.split_whitespace().nth(1)?.parse::<f64>().ok().map(|pages| pages * 4096.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |at: usize, default: u32| std::env::args().nth(at).map_or(Ok(default), |text| text.parse());
    let (pairs, series) = (number(1, 15)?, number(2, 100_000)?);
    let before = resident();
    let mut load = Load::new(series, 300)?;
    let after = resident();
    let (mut floors, mut pushes, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut severe = 0;
    for _ in 0..pairs {
        let begun = Instant::now();
        black_box(load.push_floor());
        let floor = begun.elapsed().as_secs_f64() * 1e9 / f64::from(series);
        let begun = Instant::now();
        severe += load.push_all();
        let push = begun.elapsed().as_secs_f64() * 1e9 / f64::from(series);
        floors.push(floor);
        pushes.push(push);
        ratios.push(push / floor);
    }
    println!(
        "| {series} series, medians of {pairs} interleaved pairs | ns/sample | floor ns/sample | ratio |"
    );
    println!("|---|---|---|---|");
    println!(
        "| push through baseline, rolling window and change point / bare Welford update over the same memory | {:.1} | {:.1} | {:.2} |",
        median(pushes),
        median(floors),
        median(ratios)
    );
    println!();
    println!("state: {} bytes a series", load.engine.state_bytes() / series as usize);
    if let (Some(before), Some(after)) = (before, after) {
        let floor = load.floor.capacity() * size_of::<aiops_benches::engine::Padded>();
        let used = (after - before - floor as f64) / f64::from(series);
        println!("resident memory, less the floor's: {used:.0} bytes a series");
    }
    println!("severe samples: {severe} of {}", u64::from(series) * u64::from(pairs));
    Ok(())
}
