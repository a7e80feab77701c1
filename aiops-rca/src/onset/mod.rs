//! When the fault began, where that is known about. // LOC-02
//!
//! Time stated by people, change records or detectors is off by a minute or so, and what is compared before and after a time
//! that is wrong is mixed up. A single time at which many channels change together is found from the recording itself: the
//! sum of what a change at τ gains each channel, in log-likelihood, as far as that is beyond a penalty (sparsified binary
//! segmentation: Cho and Fryzlewicz, *Multiple-change-point detection for high dimensional time series via sparsified binary
//! segmentation*, J. Royal Statistical Society B 77, 2015), with a normal prior about what was stated.
//!
//! | channel | model |
//! |---|---|
//! | share of one operation in its entity's spans, of one kind of line in its writer's lines | binomial: load does not count |
//! | time of an operation's spans (logarithm) | normal, values far off clipped |
//! | a metric sampled at least twice within the reach, against all that precedes the context | normal, values far off clipped |
//!
//! Spans and lines come in clumps, a request at a time; their gains are divided by the variance found between neighbouring
//! steps.

mod channels;
mod config;

use std::time::Duration;

use aiops_core::model::{TelemetryWindow, time};
use jiff::{SignedDuration, Timestamp};

pub use config::OnsetConfig;

use channels::Gains;

/// When a fault began.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Onset {
    /// The time.
    pub at: Timestamp,
    /// What a change at that time gains all channels together beyond their penalties, in units of log-likelihood.
    pub gain: f64,
    /// How many channels changed.
    pub channels: usize,
}

/// Steps of time about the stated one.
#[derive(Debug, Clone, Copy)]
struct Grid {
    from: Timestamp,
    step: Duration,
    /// Steps on either side of the stated time.
    half: usize,
}

impl Grid {
    /// Step in which `t` lies; `None` outside the context.
    fn step_of(&self, t: Timestamp) -> Option<usize> {
        if t < self.from {
            return None;
        }
        let steps = time::elapsed(self.from, t).as_nanos() / self.step.as_nanos().max(1);
        usize::try_from(steps).ok().filter(|s| *s < 2 * self.half)
    }
}

/// The time within [`OnsetConfig::reach`] of `stated` at which `window` changed; `stated` itself where nothing tells, or where the change lies
/// further away.
/// O(spans + lines + samples, + channels · steps).
///
/// `window` is one recording with what precedes the fault and what follows it.
#[must_use]
pub fn onset(window: &TelemetryWindow, stated: Timestamp, config: &OnsetConfig) -> Onset {
    let steps = |d: Duration| {
        let steps = d.as_nanos() / config.step.as_nanos().max(1);
        usize::try_from(steps).unwrap_or(usize::MAX)
    };
    let half = steps(config.context);
    let reach = steps(config.reach).min(half.saturating_sub(1));
    let grid = Grid {
        from: time::before(stated, config.step * u32::try_from(half).unwrap_or(0)),
        step: config.step,
        half,
    };
    // One further on either side: a gain that goes on rising is that of a change beyond the reach.
    let first = (half - reach).saturating_sub(1);
    let mut gains = Gains::new(grid, first..=half + reach + 1, config);
    gains.spans(&window.spans);
    gains.lines(&window.logs);
    gains.metrics(&window.metrics);
    let totals: Vec<(f64, usize)> = gains.totals().collect();
    let peaks = totals.windows(3).enumerate().filter_map(|(i, around)| match around {
        [(before, _), (gain, channels), (after, _)] if gain >= before && gain >= after => {
            Some((first + 1 + i, *gain, *channels))
        }
        _ => None,
    });
    let off = |candidate: usize| {
        let steps = i32::try_from(candidate).unwrap_or(i32::MAX) - i32::try_from(half).unwrap_or(0);
        SignedDuration::try_from(config.step).unwrap_or_default() * steps
    };
    let prior = |candidate: usize| -0.5 * (off(candidate).as_secs_f64() / config.error.as_secs_f64()).powi(2);
    let best = peaks
        .map(|(candidate, gain, channels)| (gain + prior(candidate), candidate, gain, channels))
        // Of equal ones the nearest to what was stated, then the earlier.
        .max_by(|a, b| {
            let near = |c: usize| std::cmp::Reverse((c.abs_diff(half), c));
            a.0.total_cmp(&b.0).then_with(|| near(a.1).cmp(&near(b.1)))
        });
    match best {
        Some((_, candidate, gain, channels)) if gain >= config.least => {
            let at = stated.checked_add(off(candidate)).unwrap_or(stated);
            Onset { at, gain, channels }
        }
        _ => Onset { at: stated, gain: 0.0, channels: 0 },
    }
}
