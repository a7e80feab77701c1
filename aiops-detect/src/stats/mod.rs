//! Tests of samples that need no distribution, and that know of autocorrelation and of being asked many times.
//!
//! Samples of operations follow each other closely: a hundred samples of a series that wanders say as much as a handful of
//! independent ones. Every test here therefore takes, or computes, an *effective* number of samples, see
//! [`effective_size`], and reckons its variance with that.

mod autocorrelation;
mod distribution;
mod multiple;
mod rank;
mod rise;
mod trend;

pub use autocorrelation::effective_size;
pub use distribution::{binomial_sf, chi_squared_sf, kolmogorov_sf, normal_quantile, normal_sf};
pub use multiple::{Correction, adjust};
pub use rank::{RankTest, hodges_lehmann, mann_whitney, pseudo_median, signed_rank};
pub(crate) use rise::{RiseTest, latest_rise};
pub use trend::{Trend, mann_kendall};

use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};

use aiops_compact::Moments;
use aiops_core::model::Baseline;

/// Median and a positive scale of finite `values`: the MAD, the standard deviation where most values are equal, and where
/// nothing varies a hundredth of the level or of one unit. `None` without a finite value. O(n log n).
pub(crate) fn robust(values: impl IntoIterator<Item = f64>) -> Option<Baseline> {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let center = median_of_sorted(&values)?;
    let mad = MAD_TO_SIGMA * mad_of_sorted(&values, center)?;
    let deviation = values.iter().copied().collect::<Moments>().standard_deviation();
    let candidates = [mad, deviation.unwrap_or(0.0), 0.01 * center.abs(), 0.01];
    let scale = candidates.into_iter().find(|s| s.is_finite() && *s > 0.0)?;
    Some(Baseline { center, scale, samples: values.len() })
}

/// Median of `values` without its NaN; NaN without any. O(n).
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    let upper = *upper;
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(upper);
    if lower == upper { lower } else { lower + (upper - lower) * 0.5 }
}
