//! Sliding-window deviation scores: [`RollingSigma`] (mean and standard deviation) and [`RollingMad`] (median and
//! median absolute deviation). // CMP-01
//!
//! Both score a sample against the window *before* it, so a spike does not hide in its own statistics.
//! A window spans a fixed number of *slots*; a gap takes a slot, so the window's length in time stays fixed on a
//! regular series. Pushing sample by sample and passing slices or frames give the same bits.

mod config;
mod frame;
mod lanes;
mod mad;
mod rows;
mod side;
mod sigma;
mod sums;
mod windows;

pub use config::RollingConfig;
pub use frame::{score_frame_mad, score_frame_sigma};
pub use mad::RollingMad;
pub use sigma::RollingSigma;

/// Largest magnitude that is scored. Its square, summed over the largest window, does not overflow.
pub const MAX_MAGNITUDE: f64 = 1e150;

/// Largest window, in slots.
pub const MAX_WINDOW: usize = 1 << 24;

/// Standard deviations below this count as zero: their squares would be subnormal or vanish.
pub(crate) const MIN_SCALE: f64 = 1e-150;

/// What a rolling statistic says about one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// Signed deviation from the window before, in units of its scale (σ). ±∞ when the window is constant, no floor
    /// is configured, and the sample differs; 0 when it does not. Never NaN.
    Sigma(f64),
    /// The window before held fewer samples than the warm-up asks for.
    WarmUp,
    /// The slot was a gap.
    Gap,
    /// The sample was NaN, infinite or above [`MAX_MAGNITUDE`]; it took a slot but did not enter the window.
    OutOfRange,
}

impl Score {
    /// The deviation, where there is one.
    #[must_use]
    pub fn sigma(self) -> Option<f64> {
        match self {
            Self::Sigma(sigma) => Some(sigma),
            Self::WarmUp | Self::Gap | Self::OutOfRange => None,
        }
    }

    /// The deviation, NaN where there is none: the form batch calls write.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.sigma().unwrap_or(f64::NAN)
    }
}

/// Location and scale of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowStats {
    /// Mean or median, in the series' unit.
    pub location: f64,
    /// Standard deviation or its robust estimate, after the configured floors, in the series' unit.
    pub scale: f64,
    /// Samples in the window; gaps and unusable samples do not count.
    pub count: usize,
}

/// Whether a sample can be scored; NaN cannot.
#[inline(always)]
pub(crate) fn usable(value: f64) -> bool {
    value.abs() <= MAX_MAGNITUDE
}

/// `deviation / scale`, defined for a zero scale: 0 without a deviation, else an infinity of its sign. What is selected is
/// the divisor, without branches, so that loops vectorise and end with the quotient.
#[inline(always)]
fn standardise(deviation: f64, scale: f64) -> f64 {
    let without = if deviation == 0.0 { 1.0 } else { 0.0 };
    deviation / if scale > MIN_SCALE { scale } else { without }
}
