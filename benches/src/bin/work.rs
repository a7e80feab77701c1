//! Does one piece of work a number of times and prints nothing: what a counter of instructions is run over.
//! `work NAME TIMES`, or `work` for the names; see `scripts/instructions.sh`.
#![allow(clippy::print_stdout, reason = "a list on standard output is what this program is for")]

use std::hint::black_box;

use aiops_benches::mask::{log_lines, read_memory};
use aiops_benches::rolling::{Welford, frame, fused_frame_pass, fused_pass, samples};
use aiops_benches::traces::{Layout, by_callee_and_path, spans};
use aiops_compact::mask::{MaskConfig, MaskKey, Masker};
use aiops_compact::rolling::{RollingConfig, RollingMad, RollingSigma, score_frame_sigma};
use aiops_compact::traces::{TraceCompactor, TraceConfig};

/// Samples, spans or bytes of one turn.
const N: usize = 1 << 16;

/// Columns of the frame.
const COLUMNS: usize = 64;

type Error = Box<dyn std::error::Error>;

/// Something to do and what it counts.
type Work = (&'static str, &'static str, fn(usize) -> Result<(), Error>);

/// Sets up once, then works `times` times: the difference of two runs is the work alone.
const WORKS: [Work; 11] = [
    ("floor: bare Welford update", "sample", |times| {
        let values = samples(N);
        (0..times).for_each(|_| {
            let mut welford = Welford::default();
            values.iter().for_each(|v| {
                black_box(welford.push(*v));
            });
        });
        Ok(())
    }),
    ("RollingSigma push, window 288", "sample", |times| {
        let (values, config) = (samples(N), RollingConfig::new(288)?);
        (0..times).for_each(|_| {
            let mut rolling = RollingSigma::new(config);
            values.iter().for_each(|v| {
                black_box(rolling.push(*v));
            });
        });
        Ok(())
    }),
    ("floor: plain fused pass, window 288", "sample", |times| {
        let (values, mut scores) = (samples(N), vec![0.0; N]);
        (0..times).for_each(|_| fused_pass(black_box(&values), 288, black_box(&mut scores)));
        Ok(())
    }),
    ("RollingSigma batch, window 288", "sample", |times| {
        let (values, mut scores, config) = (samples(N), vec![0.0; N], RollingConfig::new(288)?);
        for _ in 0..times {
            RollingSigma::new(config).push_slice(black_box(&values), black_box(&mut scores))?;
        }
        Ok(())
    }),
    ("RollingMad batch, window 288", "sample", |times| {
        let (values, mut scores, config) = (samples(N), vec![0.0; N], RollingConfig::new(288)?);
        for _ in 0..times {
            RollingMad::new(config).push_slice(black_box(&values), black_box(&mut scores))?;
        }
        Ok(())
    }),
    ("floor: plain fused pass row by row, window 288", "sample", |times| {
        let (frame, mut scores) = (frame(N / COLUMNS, COLUMNS)?, vec![0.0; N]);
        let rows = frame.values().as_slice().unwrap_or_default();
        (0..times).for_each(|_| fused_frame_pass(black_box(rows), COLUMNS, 288, black_box(&mut scores)));
        Ok(())
    }),
    ("score_frame_sigma, window 288", "sample", |times| {
        let (frame, config) = (frame(N / COLUMNS, COLUMNS)?, RollingConfig::new(288)?);
        (0..times).for_each(|_| {
            black_box(score_frame_sigma(black_box(&frame), config));
        });
        Ok(())
    }),
    ("floor: join, one map update by callee and one by path", "span", |times| {
        let columns = spans(N, Layout::Grouped);
        (0..times).for_each(|_| {
            black_box(by_callee_and_path(black_box(&columns)));
        });
        Ok(())
    }),
    ("TraceCompactor summarize", "span", |times| {
        let columns = spans(N, Layout::Grouped);
        (0..times).for_each(|_| {
            black_box(TraceCompactor::summarize(TraceConfig::default(), black_box(&columns)));
        });
        Ok(())
    }),
    ("floor: memory read", "byte", |times| {
        let text = log_lines(N, 0);
        (0..times).for_each(|_| {
            black_box(read_memory(black_box(text.as_bytes())));
        });
        Ok(())
    }),
    ("Masker, ordinary lines", "byte", |times| {
        let masker = Masker::new(&MaskConfig::default(), MaskKey::new([7; 32]))?;
        let text = log_lines(N, 0);
        (0..times).for_each(|_| {
            for line in black_box(&text).split_inclusive('\n') {
                black_box(masker.mask_bytes(line.as_bytes()));
            }
        });
        Ok(())
    }),
];

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        WORKS.iter().for_each(|(name, unit, _)| println!("{name}\t{unit}\t{N}"));
        return Ok(());
    };
    let times = arguments.next().map_or(Ok(1), |times| times.parse())?;
    match WORKS.iter().find(|(known, ..)| *known == name) {
        Some((.., work)) => work(times),
        None => Err(format!("no such work: {name}").into()),
    }
}
