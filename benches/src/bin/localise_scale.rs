//! Prints how the cost of the fused localiser grows with entities and spans, beside one pass over the same telemetry; n counts
//! spans, samples and entities.
//! `cargo run --release -p aiops-benches --bin localise_scale [ENTITIES:SPANS]…`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;
use std::time::Instant;

use aiops_benches::incident::{incident, one_pass};
use aiops_rca::FusedLocalizer;

fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let result = black_box(work());
    (result, begun.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let default = ["100:100000", "1000:100000", "10000:100000", "10000:1000000"].map(str::to_owned);
    let sizes = if given.is_empty() { default.to_vec() } else { given };
    let localizer = FusedLocalizer::default();
    println!("| entities | spans | s | ns / (n · log₂ n) | passes | root first |\n|---|---|---|---|---|---|");
    for size in sizes {
        let (entities, spans) = size.split_once(':').ok_or("expected ENTITIES:SPANS")?;
        let (entities, spans): (usize, usize) = (entities.parse()?, spans.parse()?);
        let incident = incident(entities, spans);
        let (_, pass) = seconds(|| one_pass(&incident));
        let (answer, took) = seconds(|| localizer.rank(&incident.reference, &incident.fault));
        let windows = [&incident.reference, &incident.fault];
        let samples: usize = windows.iter().map(|w| w.sample_count()).sum();
        let n = (windows.iter().map(|w| w.spans.len()).sum::<usize>() + samples + entities) as f64;
        let first = answer.suspects.first().is_some_and(|s| s.entity == incident.root);
        println!(
            "| {entities} | {} | {took:.3} | {:.2} | {:.1} | {} |",
            incident.reference.spans.len() + incident.fault.spans.len(),
            took * 1e9 / (n * n.log2()),
            took / pass,
            if first { "yes" } else { "no" }
        );
    }
    Ok(())
}
