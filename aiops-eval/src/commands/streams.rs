//! What streams of alerts are made of, whoever asks for them.

use aiops_eval::alerts::StreamOptions;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Streams {
    /// First seed.
    #[arg(long, default_value_t = StreamOptions::default().seed)]
    seed: u64,
    /// Mean minutes from one incident of a system to the next.
    #[arg(long, default_value_t = StreamOptions::default().gap_minutes)]
    gap_minutes: f64,
    /// Meaningless alerts per hour and system.
    #[arg(long, default_value_t = StreamOptions::default().noise_per_hour)]
    noise_per_hour: f64,
}

impl Streams {
    pub(super) fn layout(&self) -> StreamOptions {
        StreamOptions {
            seed: self.seed,
            gap_minutes: self.gap_minutes,
            noise_per_hour: self.noise_per_hour,
            ..StreamOptions::default()
        }
    }
}
