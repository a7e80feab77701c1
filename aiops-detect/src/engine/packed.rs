//! What is usual at a time of day, in ten bytes.

use serde::{Deserialize, Serialize};

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
