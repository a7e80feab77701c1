use aiops_core::model::MetricFrame;
use ndarray::{Array2, Axis};

use super::{RollingConfig, RollingMad, RollingSigma, rows};

/// Columns that are scored together: so many that walking down the rows costs little for each of them, so few that their
/// windows stay in the second cache.
const COLUMNS: usize = 256;

/// Rows that are brought into columns at a time.
const ROWS: usize = 64;

/// Distance of two columns of a tile: not a power of two, so that they do not compete for the same cache sets.
const STRIDE: usize = ROWS + 8;

/// Scores every column of `frame` with [`RollingSigma`]: `rows × columns`, in σ, NaN where there is no score (gap,
/// warm-up, unusable sample). Same bits as pushing each column sample by sample. O(rows · columns); beside the result,
/// the windows of a few columns at a time.
#[must_use]
pub fn score_frame_sigma(frame: &MetricFrame, config: RollingConfig) -> Array2<f64> {
    if let Some(scores) = rows::score(frame, &config) {
        return scores;
    }
    by_tile(frame, RollingSigma::new(config), RollingSigma::clear, |rolling, values, scores| {
        // INVARIANT: a tile has as many scores as values.
        let _ = rolling.push_slice(values, scores);
    })
}

/// As [`score_frame_sigma`] with [`RollingMad`].
#[must_use]
pub fn score_frame_mad(frame: &MetricFrame, config: RollingConfig) -> Array2<f64> {
    by_tile(frame, RollingMad::new(config), RollingMad::clear, |rolling, values, scores| {
        let _ = rolling.push_slice(values, scores);
    })
}

/// Scores tile by tile: a frame lies row by row, a window runs along a column, and a column alone would use one value of
/// every cache line, and one cache line of every page, that it fetches.
fn by_tile<W: Clone>(
    frame: &MetricFrame,
    empty: W,
    clear: impl Fn(&mut W),
    push: impl Fn(&mut W, &[f64], &mut [f64]),
) -> Array2<f64> {
    let (rows, columns) = frame.values().dim();
    let mut all = Array2::zeros((rows, columns));
    let mut windows = vec![empty; COLUMNS.min(columns)];
    let mut samples = vec![0.0; windows.len() * STRIDE];
    let mut scores = samples.clone();
    let bands = frame.values().axis_chunks_iter(Axis(1), COLUMNS);
    let bands = bands.zip(frame.present().axis_chunks_iter(Axis(1), COLUMNS));
    for ((values, present), mut out) in bands.zip(all.axis_chunks_iter_mut(Axis(1), COLUMNS)) {
        windows.iter_mut().for_each(&clear);
        let tiles = values.axis_chunks_iter(Axis(0), ROWS).zip(present.axis_chunks_iter(Axis(0), ROWS));
        for ((values, present), mut out) in tiles.zip(out.axis_chunks_iter_mut(Axis(0), ROWS)) {
            let (rows, columns) = values.dim();
            for (row, (values, present)) in values.rows().into_iter().zip(present.rows()).enumerate() {
                let places = samples.iter_mut().skip(row).step_by(STRIDE);
                for ((place, value), present) in places.zip(values).zip(present) {
                    // A gap scores as an unusable sample does: not at all, and takes a slot.
                    *place = if *present { *value } else { f64::NAN };
                }
            }
            let lines = samples.chunks_exact(STRIDE).zip(scores.chunks_exact_mut(STRIDE));
            for (window, (samples, scores)) in windows.iter_mut().take(columns).zip(lines) {
                push(
                    window,
                    samples.get(..rows).unwrap_or_default(),
                    scores.get_mut(..rows).unwrap_or_default(),
                );
            }
            for (row, mut out) in out.rows_mut().into_iter().enumerate() {
                let scores = scores.iter().skip(row).step_by(STRIDE);
                out.iter_mut().zip(scores).for_each(|(out, score)| *out = *score);
            }
        }
    }
    all
}
