use aiops_core::model::Shape;

use super::{Excursion, Persistence, ShapeConfig};
use crate::order::{median_of_sorted, sorted};

/// What an excursion looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShapeFit {
    /// Its shape.
    pub shape: Shape,
    /// Position of the first affected sample.
    pub onset: usize,
    /// Position of the most deviating sample from the onset on.
    pub peak: usize,
    /// Signed height in σ: the level of a shift, the rise of a trend up to its last sample, the peak of a transient.
    pub magnitude: f64,
    /// Change in σ per second from the onset on, for a trend.
    pub slope: Option<f64>,
}

/// Straight line through points, by ordinary least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Change of y per unit of x.
    pub slope: f64,
    /// Standard error of the slope.
    pub slope_error: f64,
    /// y at x = 0.
    pub intercept: f64,
}

impl Line {
    /// The slope in units of its standard error: ±∞ for a perfect fit with a slope, 0 for a flat one.
    #[must_use]
    pub fn t(&self) -> f64 {
        if self.slope == 0.0 { 0.0 } else { self.slope / self.slope_error }
    }
}

/// Ordinary least squares through `(x, y)`; `None` for fewer than three points or when all x are equal. O(n).
#[must_use]
pub fn fit_line(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Line> {
    let (mut n, mut mean_x, mut mean_y) = (0.0, 0.0, 0.0);
    for (x, y) in points.clone() {
        n += 1.0;
        mean_x += x;
        mean_y += y;
    }
    if n < 3.0 {
        return None;
    }
    (mean_x, mean_y) = (mean_x / n, mean_y / n);
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y) in points.clone() {
        xx += (x - mean_x) * (x - mean_x);
        xy += (x - mean_x) * (y - mean_y);
    }
    if xx.is_nan() || xx <= 0.0 {
        return None;
    }
    let slope = xy / xx;
    let residual: f64 = points.map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
    Some(Line { slope, slope_error: (residual / (n - 2.0) / xx).sqrt(), intercept: mean_y - slope * mean_x })
}

/// The best onset of one model.
#[derive(Debug, Clone, Copy)]
struct Onset {
    position: usize,
    /// Reduction of the residual sum of squares against "nothing happened", in σ².
    gain: f64,
    /// Level (step) or slope per unit of scaled time (hinge).
    parameter: f64,
}

/// Classifies `excursion` of the standardised series `scores` sampled at `seconds` (ascending, any origin).
///
/// Samples before `from` are not looked at: the caller's end of an earlier excursion, or 0.
/// An excursion of less than three samples that goes on is called a transient until it proves to last.
/// `None` when the excursion does not lie within the slices. O(n log n).
#[must_use]
pub fn classify(
    seconds: &[f64],
    scores: &[f64],
    from: usize,
    excursion: &Excursion,
    persistence: &Persistence,
    config: &ShapeConfig,
) -> Option<ShapeFit> {
    let Excursion { first, last, .. } = *excursion;
    let from = from.min(first);
    let inside = scores.get(first..=last)?;
    let seconds = seconds.get(from..=last)?;
    let sign = excursion.sign();
    let shape = |up, down| if excursion.up { up } else { down };
    let peak_from = |onset: usize| {
        let heights =
            scores.iter().enumerate().take(last + 1).skip(onset).map(|(i, score)| (sign * score, i));
        // The earliest of equal peaks.
        heights.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    };
    let ended = excursion.cleared.is_some();
    let length = last - first + 1;
    if (ended && length <= config.transient_samples) || length < 3 {
        let (height, peak) = peak_from(first)?;
        let magnitude = sign * height;
        return Some(ShapeFit {
            shape: shape(Shape::Spike, Shape::Dip),
            onset: first,
            peak,
            magnitude,
            slope: None,
        });
    }

    // Least squares is not robust; lone outliers must not pull the onset. Before the excursion nothing persistent
    // exceeds the threshold, so what does is an outlier; inside, a straight ramp peaks at about twice its median.
    let typical = median_of_sorted(&sorted(inside.iter().map(|score| sign * score)))?;
    let cap = 4.0 * typical.max(persistence.sigma);
    let heights: Vec<f64> = scores
        .get(from..=last)?
        .iter()
        .enumerate()
        .map(|(i, score)| {
            let limit = if from + i < first { persistence.sigma } else { cap };
            (sign * score).clamp(-limit, limit)
        })
        .collect();
    let origin = seconds.first().copied()?;
    let span = seconds.last().copied()? - origin;
    let scaled: Vec<f64> =
        seconds.iter().map(|t| if span > 0.0 { (t - origin) / span } else { 0.0 }).collect();
    // The first hit may be a stray one, as far ahead of the others as the persistence rule tolerates.
    let latest = first - from + (persistence.of - persistence.hits);
    let (step, hinge) = best_onsets(&scaled, &heights, latest);
    let step = step?;

    if let Some(hinge) = hinge
        && is_trend(&scaled, &heights, step, hinge, config)
    {
        let onset = from + hinge.position;
        let kink = scaled.get(hinge.position.saturating_sub(1)).copied()?;
        let (_, peak) = peak_from(onset)?;
        return Some(ShapeFit {
            shape: shape(Shape::SteadyIncrease, Shape::SteadyDecrease),
            onset,
            peak,
            magnitude: sign * hinge.parameter * (1.0 - kink),
            slope: Some(sign * hinge.parameter / span),
        });
    }
    let onset = from + step.position;
    let level = median_of_sorted(&sorted(heights.iter().skip(step.position).copied()))?;
    let (_, peak) = peak_from(onset)?;
    Some(ShapeFit {
        shape: shape(Shape::LevelShiftUp, Shape::LevelShiftDown),
        onset,
        peak,
        magnitude: sign * level,
        slope: None,
    })
}

fn is_trend(x: &[f64], y: &[f64], step: Onset, hinge: Onset, config: &ShapeConfig) -> bool {
    let after = x.iter().copied().zip(y.iter().copied()).skip(hinge.position);
    if y.len() - hinge.position < config.trend_samples {
        return false;
    }
    // Noise may grow with the level; evidence counts in units of what the better model leaves unexplained.
    let total: f64 = y.iter().map(|y| y * y).sum();
    let unexplained = (total - hinge.gain.max(step.gain)) / y.len() as f64;
    let evidence = (hinge.gain - step.gain) / unexplained.max(1.0);
    evidence >= config.trend_evidence && fit_line(after).is_some_and(|line| line.t() >= config.trend_t)
}

/// The least-squares onset of a step and of a hinge over all positions up to `latest`. O(n).
///
/// The hinge with first affected sample `i` starts to rise at sample `i − 1`.
fn best_onsets(x: &[f64], y: &[f64], latest: usize) -> (Option<Onset>, Option<Onset>) {
    let (mut step, mut hinge): (Option<Onset>, Option<Onset>) = (None, None);
    let better = |best: &Option<Onset>, gain: f64| best.is_none_or(|best| gain > best.gain);
    // Suffix sums over the samples from `position` on, in x measured back from the end.
    let (mut n, mut sum_x, mut sum_xx, mut sum_y, mut sum_xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for position in (0..y.len()).rev() {
        let (Some(at), Some(height)) = (x.get(position), y.get(position)) else { break };
        let back = 1.0 - at;
        n += 1.0;
        sum_x += back;
        sum_xx += back * back;
        sum_y += height;
        sum_xy += back * height;
        if position > latest {
            continue;
        }
        let gain = sum_y * sum_y / n;
        if sum_y > 0.0 && better(&step, gain) {
            step = Some(Onset { position, gain, parameter: sum_y / n });
        }
        let kink = position.checked_sub(1).and_then(|before| x.get(before)).map(|x| 1.0 - x);
        if let Some(kink) = kink {
            // u = kink − back is the time since the kink.
            let uu = n * kink * kink - 2.0 * kink * sum_x + sum_xx;
            let uy = kink * sum_y - sum_xy;
            let gain = uy * uy / uu;
            if uu > 0.0 && uy > 0.0 && better(&hinge, gain) {
                hinge = Some(Onset { position, gain, parameter: uy / uu });
            }
        }
    }
    (step, hinge)
}
