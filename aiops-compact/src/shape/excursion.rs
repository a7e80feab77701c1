//! Where a standardised series leaves its norm.

use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

/// When samples beyond a threshold make an excursion, and when it is over.
///
/// Defaults: 3 of 5 samples beyond 3 σ on the same side; over after 3 samples in a row within 1.5 σ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Persistence {
    /// Deviation a sample must exceed, in σ; more than 0. Default 3.
    pub sigma: f64,
    /// So many samples must exceed it …; 1 to `of`. Default 3.
    pub hits: usize,
    /// … among so many in a row; 1 to 1000. Default 5.
    pub of: usize,
    /// A sample below this is back to normal, in σ; 0 to `sigma`. Lower than `sigma`, so that noise around the
    /// threshold does not cut one excursion into many (hysteresis). Default 1.5.
    pub clear_sigma: f64,
    /// So many normal samples in a row end an excursion; 1 to 1000. Default 3.
    pub clear: usize,
}

impl Default for Persistence {
    fn default() -> Self {
        Self { sigma: 3.0, hits: 3, of: 5, clear_sigma: 1.5, clear: 3 }
    }
}

impl Persistence {
    /// Checks every field.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check("persistence.sigma", self.sigma, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("persistence.clear_sigma", self.clear_sigma, 0.0..=self.sigma, "0 to `sigma`")?;
        if !(1..=1000).contains(&self.of) {
            return Err(ConfigError::new("persistence.of", self.of, "1 to 1000 samples"));
        }
        if !(1..=self.of).contains(&self.hits) {
            return Err(ConfigError::new("persistence.hits", self.hits, "1 to `of` samples"));
        }
        if !(1..=1000).contains(&self.clear) {
            return Err(ConfigError::new("persistence.clear", self.clear, "1 to 1000 samples"));
        }
        Ok(())
    }

    /// The highest deviation that `hits` of `of` samples in a row reach or exceed, anywhere in `scores`:
    /// what persists, as opposed to what flashes up. `−∞` for fewer than `hits` samples. O(n · of) at worst, O(n) for
    /// samples in random order.
    pub(crate) fn level(&self, scores: &[f64], sign: f64) -> f64 {
        let width = self.of.min(scores.len());
        if width < self.hits {
            return f64::NEG_INFINITY;
        }
        let mut window = Vec::with_capacity(width);
        let mut best = f64::NEG_INFINITY;
        for (position, slots) in scores.windows(width.max(1)).enumerate() {
            // Without a new sample above the best level so far, what reaches higher was there one window earlier.
            let newest = slots.last().map_or(best, |score| sign * score);
            if position > 0 && newest.total_cmp(&best).is_le() {
                continue;
            }
            window.clear();
            window.extend(slots.iter().map(|score| sign * score));
            window.sort_unstable_by(|a, b| b.total_cmp(a));
            best = best.max(window.get(self.hits - 1).copied().unwrap_or(f64::NEG_INFINITY));
        }
        best
    }
}

/// A run of samples beyond the threshold on one side, as positions in the slice it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excursion {
    /// Whether it lies above the norm.
    pub up: bool,
    /// First sample beyond the threshold that counted.
    pub first: usize,
    /// Last sample beyond the threshold.
    pub last: usize,
    /// Position of the sample with which normal samples began again; `None` while it goes on.
    pub cleared: Option<usize>,
}

impl Excursion {
    /// +1 above the norm, −1 below.
    #[must_use]
    pub fn sign(&self) -> f64 {
        if self.up { 1.0 } else { -1.0 }
    }
}

/// Finds the excursions in `scores` (deviations in σ, no gaps, ascending in time), ordered by their first sample.
///
/// Both sides are followed apart. A NaN score is neither a hit nor normal. O(n).
#[must_use]
pub fn excursions(scores: &[f64], persistence: &Persistence) -> Vec<Excursion> {
    let mut found = one_side(scores, true, persistence);
    found.extend(one_side(scores, false, persistence));
    found.sort_by_key(|excursion| (excursion.first, !excursion.up));
    found
}

fn one_side(scores: &[f64], up: bool, persistence: &Persistence) -> Vec<Excursion> {
    let sign = if up { 1.0 } else { -1.0 };
    let mut found = Vec::new();
    let mut open: Option<Excursion> = None;
    let mut normal_in_row = 0;
    // Positions of the last hits, oldest first; at most `of` of them.
    let mut hits = std::collections::VecDeque::with_capacity(persistence.of);
    for (position, score) in scores.iter().enumerate() {
        let height = sign * score;
        let hit = height > persistence.sigma;
        normal_in_row = if height < persistence.clear_sigma { normal_in_row + 1 } else { 0 };
        if hit {
            hits.push_back(position);
        }
        while hits.front().is_some_and(|oldest| oldest + persistence.of <= position) {
            hits.pop_front();
        }
        match &mut open {
            Some(excursion) => {
                if hit {
                    excursion.last = position;
                }
                if normal_in_row >= persistence.clear {
                    excursion.cleared = Some(position + 1 - persistence.clear);
                    found.push(*excursion);
                    open = None;
                    hits.clear();
                }
            }
            None if hits.len() >= persistence.hits => {
                let first = hits.front().copied().unwrap_or(position);
                open = Some(Excursion { up, first, last: position, cleared: None });
            }
            None => {}
        }
    }
    found.extend(open);
    found
}
