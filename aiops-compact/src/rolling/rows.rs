//! Rolling σ of a frame without gaps: the columns are independent, so they are what is vectorised.

use std::ops::Range;

use aiops_core::model::MetricFrame;
use ndarray::Array2;

use super::lanes::Shared;
use super::side::Running;
use super::sums::Reciprocals;
use super::{RollingConfig, RollingSigma};

/// Columns that are scored together: a cache line of each row.
const SIDE: usize = 8;

/// Samples of a row in these columns, or something of each column.
type Row = [f64; SIDE];

/// Columns whose rows are walked down together: so many that what is read of a row is worth going there, so few that the samples of a
/// window stay in the second cache.
const COLUMNS: usize = 512;

/// Rows of the front that are there at a time. The sums of all rows are twice as large as the samples; the sums at every
/// `STEP`th row are enough to make those of the next few rows anew, in the same operations.
const STEP: usize = 16;

/// Scores `frame` in the very operations of `RollingSigma::push`; `None` when a sample is missing or unusable.
pub(super) fn score(frame: &MetricFrame, config: &RollingConfig) -> Option<Array2<f64>> {
    let present = frame.present().as_slice()?;
    // Without branches, so that it is vectorised.
    if !present.iter().fold(true, |all, present| all & present) {
        return None;
    }
    let mut scores = Array2::zeros(frame.values().raw_dim());
    let (rows, columns) = scores.dim();
    let whole = columns - columns % SIDE;
    let mut bands = Bands {
        rows,
        columns,
        values: frame.values().as_slice()?,
        scores: scores.as_slice_mut()?,
        shared: Shared { config: *config, reciprocals: Reciprocals::of(config.window()) },
    };
    let mut band = Vec::new();
    for first in (0..whole).step_by(COLUMNS) {
        band.clear();
        band.extend((first..whole.min(first + COLUMNS)).step_by(SIDE).map(Side::at));
        if config.has_floors() { bands.score::<true>(&mut band)? } else { bands.score::<false>(&mut band)? }
    }
    bands.last_columns(whole);
    Some(scores)
}

/// [`SIDE`] columns of a frame. See `RollingSigma` for the method.
struct Side {
    first: usize,
    back: Running<SIDE>,
    /// What is added up of the front.
    older: Running<SIDE>,
    /// The sums of the front from every [`STEP`]th row on.
    marks: Vec<(Row, Row)>,
}

impl Side {
    fn at(first: usize) -> Self {
        let empty = Running::around(Row::default());
        Self { first, back: empty, older: empty, marks: Vec::new() }
    }
}

/// A frame, row by row, and its scores.
struct Bands<'f> {
    rows: usize,
    columns: usize,
    values: &'f [f64],
    scores: &'f mut [f64],
    /// What full windows share.
    shared: Shared,
}

/// The sums of the front from each row of a step on, in some columns.
type Front = [(Row, Row); STEP];

impl Bands<'_> {
    /// Scores the columns of a band, window after window; `None` when a sample cannot be scored.
    fn score<const FLOORS: bool>(&mut self, band: &mut [Side]) -> Option<()> {
        let window = self.shared.config.window();
        let mut front = [(Row::default(), Row::default()); STEP];
        for from in (0..self.rows).step_by(window) {
            self.turn_over(band, from.checked_sub(window));
            let until = self.rows.min(from + window);
            for (step, row) in (from..until).step_by(STEP).enumerate() {
                let rows = row..until.min(row + STEP);
                for side in band.iter_mut() {
                    if from == 0 {
                        self.begin::<FLOORS>(side, rows.clone());
                    } else {
                        self.step::<FLOORS>(side, &mut front, rows.clone(), step);
                    }
                }
            }
            if !band.iter().all(|side| side.back.sound() == [true; SIDE]) {
                return None;
            }
        }
        Some(())
    }

    /// Scores the columns from `first` on, fewer than [`SIDE`], one by one.
    fn last_columns(&mut self, first: usize) {
        let mut rolling = RollingSigma::new(self.shared.config);
        for column in first..self.columns {
            rolling.clear();
            let values = self.values.iter().skip(column).step_by(self.columns);
            let scores = self.scores.iter_mut().skip(column).step_by(self.columns);
            values.zip(scores).for_each(|(value, score)| *score = rolling.push(*value).to_f64());
        }
    }

    /// The samples of some columns in a row.
    #[inline(always)]
    fn row(&self, row: usize, first: usize) -> &Row {
        const NONE: &Row = &[0.0; SIDE];
        // INVARIANT: every row has them.
        self.values.get(row * self.columns + first..).and_then(|rest| rest.first_chunk()).unwrap_or(NONE)
    }

    #[inline(always)]
    fn write(&mut self, row: usize, first: usize, scores: Row) {
        let rest = self.scores.get_mut(row * self.columns + first..).unwrap_or_default();
        if let Some(place) = rest.first_chunk_mut() {
            *place = scores;
        }
    }

    /// Makes the window that begins at row `before` the front: its last row the pivot, and the sums from every [`STEP`]th
    /// row on. Without a window before, the first row is the pivot.
    fn turn_over(&self, band: &mut [Side], before: Option<usize>) {
        let window = self.shared.config.window();
        let last = before.map_or(0, |before| before + window - 1);
        let steps = if before.is_some() { window.div_ceil(STEP) } else { 0 };
        for side in band.iter_mut() {
            side.back = Running::around(*self.row(last, side.first));
            side.older = side.back;
            side.marks.resize(steps, Default::default());
        }
        // The first mark is that of the whole window, which nobody asks for.
        for step in (1..steps).rev() {
            let rows = before.unwrap_or_default() + step * STEP..last + 1;
            for side in band.iter_mut() {
                for row in rows.clone().take(STEP).rev() {
                    side.older.add(self.row(row, side.first));
                }
                if let Some(mark) = side.marks.get_mut(step) {
                    *mark = (side.older.sum, side.older.squares);
                }
            }
        }
    }

    /// Scores rows of the first window, which grows.
    fn begin<const FLOORS: bool>(&mut self, side: &mut Side, rows: Range<usize>) {
        let Shared { config, .. } = self.shared;
        let none = Row::default();
        for at in rows {
            let row = *self.row(at, side.first);
            let shared = Shared { config, reciprocals: Reciprocals::of(at) };
            let scores = if at < config.warm_up() {
                [f64::NAN; SIDE]
            } else {
                side.back.score::<FLOORS>(&row, (&none, &none), &shared)
            };
            self.write(at, side.first, scores);
            side.back.add(&row);
        }
    }

    /// Scores rows whose window is full, the `step`th of it.
    #[inline(never)]
    fn step<const FLOORS: bool>(
        &mut self,
        side: &mut Side,
        front: &mut Front,
        rows: Range<usize>,
        step: usize,
    ) {
        let (window, shared) = (self.shared.config.window(), self.shared);
        let mut older = Running::around(side.back.pivot);
        // Past the last mark there is nothing to add up.
        (older.sum, older.squares) = side.marks.get(step + 1).copied().unwrap_or_default();
        let places = front.len().min(window - (step * STEP).min(window));
        for at in (0..places).rev() {
            older.add(self.row(rows.start + at - window, side.first));
            if let Some(sums) = front.get_mut(at) {
                *sums = (older.sum, older.squares);
            }
        }
        let mut back = side.back;
        for (row, (sum, squares)) in rows.zip(front.iter()) {
            let values = *self.row(row, side.first);
            let scores = back.score::<FLOORS>(&values, (sum, squares), &shared);
            back.add(&values);
            self.write(row, side.first, scores);
        }
        side.back = back;
    }
}
