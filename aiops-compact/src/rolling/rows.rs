//! Rolling σ of a frame without gaps, row by row: the columns are independent, so they are what is vectorised, and memory
//! is read in the order in which it lies.

use aiops_core::model::MetricFrame;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::RollingConfig;
use super::lanes::Shared;
use super::side::is_sound;
use super::sums::{Reciprocals, Sums};

/// Columns that are scored together: so many that walking down the rows costs little for each of them, so few that the
/// sums of a window stay in the second cache.
const COLUMNS: usize = 512;

/// Scores `frame` in the very operations of `RollingSigma::push`; `None` when a sample is missing or unusable.
pub(super) fn score(frame: &MetricFrame, config: &RollingConfig) -> Option<Array2<f64>> {
    let present = frame.present().as_slice()?;
    // Without branches, so that it is vectorised.
    if !present.iter().fold(true, |all, present| all & present) {
        return None;
    }
    if config.has_floors() { score_as::<true>(frame, config) } else { score_as::<false>(frame, config) }
}

fn score_as<const FLOORS: bool>(frame: &MetricFrame, config: &RollingConfig) -> Option<Array2<f64>> {
    let values = frame.values();
    let mut scores = Array2::zeros(values.raw_dim());
    let mut band = Band::new(config.window().min(values.nrows()), COLUMNS.min(values.ncols()));
    let bands = values.axis_chunks_iter(Axis(1), COLUMNS);
    for (values, scores) in bands.zip(scores.axis_chunks_iter_mut(Axis(1), COLUMNS)) {
        band.score::<FLOORS>(values, scores, config)?;
    }
    Some(scores)
}

/// The windows of some columns side by side. See `RollingSigma` for the method.
struct Band {
    width: usize,
    /// For every row of a window the sums of each column from there to its end, row by row.
    front_sum: Vec<f64>,
    front_squares: Vec<f64>,
    columns: Columns,
}

/// What belongs to each column.
#[derive(Default)]
struct Columns {
    pivot: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Columns {
    /// Empty sums around the samples of a row.
    fn anchor(&mut self, row: &[f64]) {
        for (column, pivot) in [(&mut self.pivot, row), (&mut self.sum, &[]), (&mut self.squares, &[])] {
            column.clear();
            column.extend_from_slice(pivot);
            column.resize(row.len(), 0.0);
        }
    }

    /// Whether all samples that were added can be scored.
    fn sound(&self) -> bool {
        self.pivot.iter().zip(&self.squares).all(|(pivot, squares)| is_sound(*pivot, *squares))
    }

    fn add(&mut self, row: &[f64]) {
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((value, pivot), (sum, squares)) in row.iter().zip(&self.pivot).zip(sums) {
            let mut sums = Sums { sum: *sum, squares: *squares };
            sums.add(value - pivot);
            (*sum, *squares) = (sums.sum, sums.squares);
        }
    }

    /// Scores a row against front and back, and adds it to the back.
    #[inline(never)]
    fn score<const FLOORS: bool>(
        &mut self,
        row: &[f64],
        (front_sum, front_squares): (&[f64], &[f64]),
        shared: &Shared,
        scores: &mut [f64],
    ) {
        let back = self.sum.iter_mut().zip(&mut self.squares).zip(&self.pivot);
        let front = front_sum.iter().zip(front_squares);
        for (((value, score), (front_sum, front_squares)), ((sum, squares), pivot)) in
            row.iter().zip(scores).zip(front).zip(back)
        {
            let mut back = Sums { sum: *sum, squares: *squares };
            let window = Sums { sum: front_sum + back.sum, squares: front_squares + back.squares };
            *score = shared.score_as::<FLOORS>(*value, *pivot, window);
            back.add(value - pivot);
            (*sum, *squares) = (back.sum, back.squares);
        }
    }

    /// Adds a row and writes what the sums then are.
    #[inline(never)]
    fn add_into(&mut self, row: &[f64], front_sum: &mut [f64], front_squares: &mut [f64]) {
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        let front = front_sum.iter_mut().zip(front_squares);
        for (((value, pivot), (sum, squares)), (front_sum, front_squares)) in
            row.iter().zip(&self.pivot).zip(sums).zip(front)
        {
            let mut sums = Sums { sum: *sum, squares: *squares };
            sums.add(value - pivot);
            (*sum, *squares) = (sums.sum, sums.squares);
            (*front_sum, *front_squares) = (sums.sum, sums.squares);
        }
    }
}

impl Band {
    fn new(rows: usize, width: usize) -> Self {
        let front_sum = vec![0.0; rows * width];
        Self { width, front_squares: front_sum.clone(), front_sum, columns: Columns::default() }
    }

    /// Scores the columns of a band, window after window; `None` when a sample cannot be scored.
    fn score<const FLOORS: bool>(
        &mut self,
        values: ArrayView2<'_, f64>,
        mut scores: ArrayViewMut2<'_, f64>,
        config: &RollingConfig,
    ) -> Option<()> {
        let window = config.window();
        self.front_sum.fill(0.0);
        self.front_squares.fill(0.0);
        let periods = values.axis_chunks_iter(Axis(0), window);
        for (period, (values, mut scores)) in
            periods.zip(scores.axis_chunks_iter_mut(Axis(0), window)).enumerate()
        {
            if period == 0 {
                self.columns.anchor(
                    values.rows().into_iter().next().and_then(|row| row.to_slice()).unwrap_or_default(),
                );
            }
            let fronts =
                self.front_sum.chunks_exact(self.width).zip(self.front_squares.chunks_exact(self.width));
            let rows = values.rows().into_iter().zip(scores.rows_mut());
            for (at, ((row, mut scores), front)) in rows.zip(fronts).enumerate() {
                let (row, scores) = (row.to_slice()?, scores.as_slice_mut()?);
                let count = if period == 0 { at } else { window };
                if count < config.warm_up() {
                    scores.fill(f64::NAN);
                    self.columns.add(row);
                } else {
                    let shared = Shared { config: *config, reciprocals: Reciprocals::of(count) };
                    self.columns.score::<FLOORS>(row, front, &shared, scores);
                }
            }
            if !self.columns.sound() {
                return None;
            }
            if values.nrows() == window {
                self.turn_over(values);
            }
        }
        Some(())
    }

    /// Makes the rows of a window the new front.
    fn turn_over(&mut self, values: ArrayView2<'_, f64>) {
        let mut rows = values.rows().into_iter().rev().filter_map(|row| row.to_slice()).peekable();
        self.columns.anchor(rows.peek().copied().unwrap_or_default());
        let (front_sum, front_squares) =
            (self.front_sum.chunks_exact_mut(self.width), self.front_squares.chunks_exact_mut(self.width));
        for ((row, front_sum), front_squares) in rows.zip(front_sum.rev()).zip(front_squares.rev()) {
            self.columns.add_into(row, front_sum, front_squares);
        }
        self.columns.sum.fill(0.0);
        self.columns.squares.fill(0.0);
    }
}
