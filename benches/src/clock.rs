//! Time that does not count what others do on the machine, and what repeated runs say.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Processor time of this thread so far, with what the kernel does for it. Being preempted does not count; sharing a cache or
/// a memory channel does.
#[must_use]
pub fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Processor time that `work` takes.
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = processor_time();
    work();
    processor_time().saturating_sub(start)
}

/// The upper median; NaN of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
