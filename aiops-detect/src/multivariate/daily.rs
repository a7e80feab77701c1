use std::time::Duration;

use aiops_compact::order::median_of_sorted;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::FitError;
use crate::rows::Rows;

/// Cells of a day: half hours.
const CELLS: usize = 48;

const DAY: Duration = Duration::from_secs(86_400);

/// What the time of day explains of each column: medians of half hours of the UTC day, smoothed with their
/// neighbours. Where days are local, a change of the clock shifts it by an hour until it is learned anew.
///
/// ```
/// use std::time::Duration;
/// use aiops_detect::{Rows, multivariate::DailyProfile};
/// let hourly: Vec<f64> = (0..240).map(|hour| f64::from(hour % 24 / 12)).collect();
/// let profile = DailyProfile::learn(Rows::new(&hourly, 1)?, Default::default(), Duration::from_secs(3600))?;
/// let rest = profile.residuals(Rows::new(&hourly, 1)?, Default::default(), Duration::from_secs(3600))?;
/// assert_eq!(rest.get(6), Some(&0.0));
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyProfile {
    columns: usize,
    /// Cell by cell; a cell nothing was seen in holds what the one before it does.
    medians: Vec<f64>,
}

/// Half hour of the UTC day of row `i`.
fn cell(start: Timestamp, step: Duration, i: usize) -> usize {
    let day = DAY.as_nanos();
    // A day has fewer nanoseconds than a u64 holds, so nothing here overflows.
    let begun = u128::try_from(start.as_nanosecond().rem_euclid(day as i128)).unwrap_or(0);
    let into = (begun + step.as_nanos() % day * i as u128) % day;
    usize::try_from(into * CELLS as u128 / day).unwrap_or(0)
}

impl DailyProfile {
    /// Learns from rows that lie `step` apart from `start` on; NaN and ±∞ are left out. O(n log n).
    ///
    /// # Errors
    /// [`FitError::TooFew`] when the rows do not cover three days: two would take any fault for a habit.
    pub fn learn(rows: Rows<'_>, start: Timestamp, step: Duration) -> Result<Self, FitError> {
        let needed = 3 * DAY.as_nanos().div_ceil(step.as_nanos().max(1));
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        if rows.len() < needed {
            return Err(FitError::TooFew { usable: rows.len(), needed });
        }
        let columns = rows.columns();
        let mut cells: Vec<Vec<f64>> = vec![Vec::new(); CELLS * columns];
        let mut whole: Vec<Vec<f64>> = vec![Vec::new(); columns];
        for (i, row) in rows.iter().enumerate() {
            let from = cell(start, step, i) * columns;
            for ((values, all), value) in cells.iter_mut().skip(from).zip(&mut whole).zip(row) {
                if value.is_finite() {
                    values.push(*value);
                    all.push(*value);
                }
            }
        }
        let median = |values: &mut Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            median_of_sorted(values)
        };
        let overall = whole.iter_mut().map(|values| median(values).unwrap_or(0.0));
        // Twice around, so that a cell without rows has what the last one before it had, over midnight too.
        let mut last: Vec<f64> = overall.collect();
        let seen: Vec<Option<f64>> = cells.iter_mut().map(median).collect();
        let mut raw = Vec::new();
        for _ in 0..2 {
            raw.clear();
            for cell in seen.chunks_exact(columns) {
                last.iter_mut().zip(cell).for_each(|(last, seen)| *last = seen.unwrap_or(*last));
                raw.extend_from_slice(&last);
            }
        }
        let at = |i: usize| raw.get(i % raw.len().max(1)).copied().unwrap_or(0.0);
        let smooth = |i: usize| {
            let (before, after) = (at(i + raw.len() - columns), at(i + columns));
            0.25 * before + 0.5 * at(i) + 0.25 * after
        };
        Ok(Self { columns, medians: (0..raw.len()).map(smooth).collect() })
    }

    /// Rows less what their time of day explains.
    ///
    /// # Errors
    /// [`FitError::Columns`] when the rows are of another width.
    pub fn residuals(&self, rows: Rows<'_>, start: Timestamp, step: Duration) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns)?;
        let mut rest = Vec::with_capacity(rows.len() * self.columns);
        for (i, row) in rows.iter().enumerate() {
            let from = cell(start, step, i) * self.columns;
            rest.extend(row.iter().zip(self.medians.iter().skip(from)).map(|(value, usual)| value - usual));
        }
        Ok(rest)
    }
}
