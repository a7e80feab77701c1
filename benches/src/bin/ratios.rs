//! Prints each algorithm's time as a ratio to its floor: medians over interleaved pairs, so that a busy or throttled
//! machine slows both; processor time of the thread. `cargo run --release -p aiops-benches --bin ratios [PAIRS [PART OF A NAME]]`
#![allow(clippy::print_stdout, reason = "a report on standard output is what this program is for")]

use std::hint::black_box;

use aiops_benches::clock::{median, timed};
use aiops_benches::deviation;
use aiops_benches::mask::{log_lines, read_memory};
use aiops_benches::rolling::{Welford, frame, fused_column_passes, fused_frame_pass, fused_pass, samples};
use aiops_compact::deviation::{DeviationConfig, References, deviations, rank_entities, rank_metrics};
use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
use aiops_compact::rolling::{RollingConfig, RollingMad, RollingSigma, score_frame_sigma};

const N: usize = 10_000_000;

/// Nanoseconds per sample of `samples`.
fn time(samples: usize, work: impl FnMut()) -> f64 {
    timed(work).as_secs_f64() * 1e9 / samples as f64
}

/// Whether a comparison is asked for.
fn wanted(name: &str) -> bool {
    std::env::args().nth(2).is_none_or(|part| name.contains(&part))
}

fn compare(name: &str, pairs: usize, floor: impl FnMut(), subject: impl FnMut()) {
    compare_over(N, name, pairs, floor, subject);
}

fn compare_over(
    samples: usize,
    name: &str,
    pairs: usize,
    mut floor: impl FnMut(),
    mut subject: impl FnMut(),
) {
    if !wanted(name) {
        return;
    }
    let (mut floors, mut subjects, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let (f, s) = (time(samples, &mut floor), time(samples, &mut subject));
        floors.push(f);
        subjects.push(s);
        ratios.push(s / f);
    }
    let (floor, subject, ratio) = (median(floors), median(subjects), median(ratios));
    println!("| {name} | {subject:.2} | {floor:.2} | {ratio:.2} |");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pairs = std::env::args().nth(1).map_or(Ok(7), |pairs| pairs.parse())?;
    let values = samples(N);
    let mut floor_scores = vec![0.0; N];
    let mut scores = vec![0.0; N];
    println!(
        "| {N} samples where nothing else is said, medians of {pairs} interleaved pairs | ns/sample | floor ns/sample | ratio |"
    );
    println!("|---|---|---|---|");
    for window in [60, 288, 1440] {
        let config = RollingConfig::new(window)?;
        compare(
            &format!("RollingSigma push, window {window} / bare Welford update"),
            pairs,
            || {
                let mut welford = Welford::default();
                values.iter().for_each(|v| {
                    black_box(welford.push(*v));
                });
            },
            || {
                let mut rolling = RollingSigma::new(config);
                values.iter().for_each(|v| {
                    black_box(rolling.push(*v));
                });
            },
        );
        compare(
            &format!("RollingSigma batch, window {window} / plain fused pass"),
            pairs,
            || fused_pass(black_box(&values), window, black_box(&mut floor_scores)),
            || {
                // Cannot fail: both slices have N elements.
                let _ = RollingSigma::new(config).push_slice(black_box(&values), black_box(&mut scores));
            },
        );
        compare(
            &format!("RollingMad batch, window {window} / plain fused pass"),
            pairs.min(3),
            || fused_pass(black_box(&values), window, black_box(&mut floor_scores)),
            || {
                let _ = RollingMad::new(config).push_slice(black_box(&values), black_box(&mut scores));
            },
        );
    }
    let config = RollingConfig::new(288)?;
    // One sample in a hundred is missing.
    let gappy: Vec<f64> =
        values.iter().enumerate().map(|(i, v)| if i % 100 == 57 { f64::NAN } else { *v }).collect();
    compare(
        "RollingSigma batch, window 288, 1 % gaps / plain fused pass without gaps",
        pairs,
        || fused_pass(black_box(&values), 288, black_box(&mut floor_scores)),
        || {
            let _ = RollingSigma::new(config).push_slice(black_box(&gappy), black_box(&mut scores));
        },
    );
    drop((values, gappy, scores));
    let columns = 1000;
    let by_column = "score_frame_sigma, 1000 columns, window 288 / plain fused pass column by column";
    let by_row = "score_frame_sigma, 1000 columns, window 288 / plain fused pass row by row";
    // Making it takes longer than scoring it.
    let rows = if wanted(by_column) || wanted(by_row) { N / columns } else { 1 };
    let frame = frame(rows, columns)?;
    let rows = frame.values().as_slice().unwrap_or_default();
    compare(
        by_column,
        pairs,
        || {
            let mut scores = vec![0.0; N];
            fused_column_passes(black_box(rows), columns, 288, &mut scores);
            black_box(scores);
        },
        || {
            black_box(score_frame_sigma(black_box(&frame), config));
        },
    );
    compare(
        by_row,
        pairs,
        || {
            // The result is new memory on both sides.
            let mut scores = vec![0.0; N];
            fused_frame_pass(black_box(rows), columns, 288, &mut scores);
            black_box(scores);
        },
        || {
            black_box(score_frame_sigma(black_box(&frame), config));
        },
    );
    drop(frame);
    let masker = Masker::new(&MaskConfig::default(), MaskKey::new([7; 32]))?;
    for (name, every) in [("no secret", 0), ("a secret in 1 % of lines", 100), ("a secret in every line", 1)]
    {
        let text = log_lines(8 << 20, every);
        let read = || {
            black_box(read_memory(black_box(text.as_bytes())));
        };
        compare_over(
            text.len(),
            &format!("Masker line by line, {name}, per byte / memory read"),
            pairs,
            read,
            || {
                for line in black_box(&text).split_inclusive('\n') {
                    black_box(masker.mask_bytes(line.as_bytes()));
                }
            },
        );
        compare_over(
            text.len(),
            &format!("Masker one text, {name}, per byte / memory read"),
            pairs,
            read,
            || {
                black_box(masker.mask_bytes(black_box(text.as_bytes())));
            },
        );
    }
    let (series, length) = (10_000, 288);
    let window = deviation::window(series, length)?;
    let config = DeviationConfig::default();
    compare_over(
        series * length,
        "deviations of 10000 series of 288 samples and their top 20 / reading the samples",
        pairs,
        || {
            black_box(deviation::read(black_box(&window)));
        },
        || {
            let report = deviations(black_box(&window), &References::new(), &config);
            black_box((rank_entities(&report.deviating, 20), rank_metrics(&report.deviating, 20)));
        },
    );
    Ok(())
}
