//! What is usual at a time of day, in ten bytes.

use serde::{Deserialize, Serialize};

use super::CELLS;
use crate::baseline::Cell;

/// Location, scale and weight of a time of day; the location relative to the series' origin, so that four bytes are enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f32, f32, u16)", into = "(f32, f32, u16)")]
pub(super) struct Packed {
    pub(super) offset: f32,
    pub(super) scale: f32,
    pub(super) weight: u16,
}

impl From<(f32, f32, u16)> for Packed {
    fn from((offset, scale, weight): (f32, f32, u16)) -> Self {
        Self { offset, scale, weight }
    }
}

impl From<Packed> for (f32, f32, u16) {
    fn from(cell: Packed) -> Self {
        (cell.offset, cell.scale, cell.weight)
    }
}

impl Packed {
    pub(super) fn cell(self, origin: f64) -> Cell {
        Cell { center: origin + f64::from(self.offset), scale: self.scale, weight: self.weight }
    }

    pub(super) fn of(cell: Cell, origin: f64) -> Self {
        Self { offset: narrow_signed(cell.center - origin), scale: cell.scale, weight: cell.weight }
    }

    pub(super) fn usable(&self) -> bool {
        self.offset.is_finite() && self.scale.is_finite() && self.scale >= 0.0
    }
}

pub(super) fn narrow_signed(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// Median of the scales of the cells that know anything, as
/// [`median_of_sorted`](aiops_compact::order::median_of_sorted); 0 where none does. O(cells), and nothing on the heap: at
/// midnight all series ask for it.
#[cold]
pub(super) fn typical_scale(cells: &[Packed]) -> f64 {
    let (mut scales, mut known) = ([0.0; CELLS], 0);
    for (scale, cell) in scales.iter_mut().zip(cells.iter().filter(|cell| cell.weight > 0)) {
        *scale = cell.scale;
        known += 1;
    }
    let scales = scales.get_mut(..known).unwrap_or_default();
    if scales.is_empty() {
        return 0.0;
    }
    let (below, upper, _) = scales.select_nth_unstable_by(known / 2, f32::total_cmp);
    let lower = below.iter().copied().max_by(f32::total_cmp).filter(|_| known % 2 == 0).unwrap_or(*upper);
    let (lower, upper) = (f64::from(lower), f64::from(*upper));
    lower + (upper - lower) * 0.5
}

#[cfg(test)]
mod tests {
    use super::{Packed, typical_scale};

    /// Of any number of cells, with equal scales and with cells that know nothing among them.
    #[test]
    fn the_typical_scale_is_the_median_of_scales() {
        let mut rng = fastrand::Rng::with_seed(3);
        for n in 0..=96 {
            for _ in 0..20 {
                let cells: Vec<Packed> = (0..n)
                    .map(|_| Packed {
                        offset: 0.0,
                        scale: (rng.f32() * 40.0).floor() / 7.0,
                        weight: rng.u16(0..4),
                    })
                    .collect();
                let known = cells.iter().filter(|cell| cell.weight > 0);
                let mut sorted: Vec<f64> = known.map(|cell| f64::from(cell.scale)).collect();
                sorted.sort_by(f64::total_cmp);
                let expected = aiops_compact::order::median_of_sorted(&sorted).unwrap_or(0.0);
                assert_eq!(typical_scale(&cells).to_bits(), expected.to_bits(), "{sorted:?}");
            }
        }
    }
}
