//! What all series have in common: the configuration, and where an instant lies in the day.

use super::RUNS;
use super::config::EngineOptions;
use crate::baseline::BaselineOptions;
use crate::changepoint::runs::{Law, Tell};

/// The configuration in the form a push needs.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) baseline: BaselineOptions,
    pub(super) cells: usize,
    pub(super) rolling_warm_up: u8,
    pub(super) rolling_floor: f64,
    pub(super) rolling_clip: f64,
    pub(super) forget: i64,
    pub(super) hold_off: i64,
    pub(super) adopt: i64,
    pub(super) restlessness: f64,
    pub(super) hits_mask: u32,
    pub(super) law: Law,
    pub(super) tell: Tell,
    pub(super) places: usize,
}

impl Rules {
    pub(super) fn of(options: &EngineOptions) -> Self {
        let baseline = options.baseline.options().clone();
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Self {
            cells: options.baseline.cells(),
            rolling_warm_up: options.rolling_warm_up as u8,
            rolling_floor: options.rolling_floor,
            rolling_clip: options.rolling_clip,
            forget: micros(options.forget_after),
            hold_off: micros(baseline.hold_off),
            adopt: micros(baseline.adopt_after),
            restlessness: baseline.restlessness.as_secs_f64(),
            hits_mask: u32::MAX >> (32 - baseline.of.clamp(1, 32)),
            law: options.changes.law(),
            tell: options.changes.tell(),
            places: options.changes.options().run_lengths.min(RUNS),
            baseline,
        }
    }

    pub(super) fn memory(&self, step: f64) -> u16 {
        let cell = f64::from(self.baseline.cell_minutes) * 60.0;
        let per_visit = (cell / step.max(1.0)).max(1.0) * (2 * self.baseline.neighbours + 1) as f64;
        (per_visit * f64::from(self.baseline.memory_days)) as u16
    }
}

/// Where an instant lies in the local day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) cell: usize,
    pub(super) day: i32,
}

impl Place {
    #[inline]
    pub(super) fn of(local_second: i64, cells: usize) -> Self {
        const DAY: i64 = 86_400;
        let (day, into) = (local_second.div_euclid(DAY), local_second.rem_euclid(DAY));
        // `into` is less than a day, so the cell is one of them.
        let cell = into * cells as i64 / DAY;
        Self { cell: cell as usize, day: day as i32 }
    }
}
