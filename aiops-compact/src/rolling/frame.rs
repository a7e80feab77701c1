use aiops_core::model::MetricFrame;
use ndarray::{Array2, ArrayView1, Axis, Zip};

use super::{RollingConfig, RollingMad, RollingSigma, Score};

/// Scores every column of `frame` with [`RollingSigma`]: `rows × columns`, in σ, NaN where there is no score (gap,
/// warm-up, unusable sample). Same bits as pushing each column sample by sample.
#[must_use]
pub fn score_frame_sigma(frame: &MetricFrame, config: RollingConfig) -> Array2<f64> {
    by_column(frame, |values, present, scores| {
        let mut rolling = RollingSigma::new(config);
        score_column(values, present, scores, |slot| match slot {
            Some(value) => rolling.push(value),
            None => rolling.push_gap(),
        });
    })
}

/// As [`score_frame_sigma`] with [`RollingMad`].
#[must_use]
pub fn score_frame_mad(frame: &MetricFrame, config: RollingConfig) -> Array2<f64> {
    by_column(frame, |values, present, scores| {
        let mut rolling = RollingMad::new(config);
        score_column(values, present, scores, |slot| match slot {
            Some(value) => rolling.push(value),
            None => rolling.push_gap(),
        });
    })
}

fn score_column(
    values: ArrayView1<'_, f64>,
    present: ArrayView1<'_, bool>,
    scores: &mut [f64],
    mut push: impl FnMut(Option<f64>) -> Score,
) {
    Zip::from(scores).and(values).and(present).for_each(|score, value, present| {
        *score = push(present.then_some(*value)).to_f64();
    });
}

fn by_column(
    frame: &MetricFrame,
    mut score: impl FnMut(ArrayView1<'_, f64>, ArrayView1<'_, bool>, &mut [f64]),
) -> Array2<f64> {
    let mut all = Array2::from_elem(frame.values().raw_dim(), f64::NAN);
    let mut scratch = vec![f64::NAN; frame.values().nrows()];
    let columns = frame.values().axis_iter(Axis(1)).zip(frame.present().axis_iter(Axis(1)));
    for ((values, present), mut out) in columns.zip(all.axis_iter_mut(Axis(1))) {
        score(values, present, &mut scratch);
        out.iter_mut().zip(&scratch).for_each(|(out, score)| *out = *score);
    }
    all
}
