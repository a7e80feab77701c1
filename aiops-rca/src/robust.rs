//! Order statistics and robust location and scale.

/// Finite values in order.
pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Quantile `q` of values in order, linear between neighbours (type 7 of Hyndman & Fan 1996); `None` where there are none.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * count(last);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the length of a slice"
    )]
    let low = at.floor() as usize;
    let (a, b) = (sorted.get(low)?, sorted.get(low + 1).or(sorted.last())?);
    Some(a + (b - a) * (at - count(low)))
}

/// Location and scale of values in order: the median, and the wider of what quartiles and 5 % tails say of a normal
/// distribution's σ, so that neither outliers nor rare bursts that belong to the norm count as deviation.
pub(crate) fn location_and_scale(sorted: &[f64]) -> Option<(f64, f64)> {
    let at = |q| quantile(sorted, q);
    let quartiles = (at(0.75)? - at(0.25)?) / 1.349;
    let tails = (at(0.95)? - at(0.05)?) / 3.290;
    Some((at(0.5)?, quartiles.max(tails)))
}

/// Mean over the deciles 1, 3, 5, 7 and 9: a mean that a few outliers do not move.
pub(crate) fn decile_mean(sorted: &[f64]) -> Option<f64> {
    let mut sum = 0.0;
    for q in [0.1, 0.3, 0.5, 0.7, 0.9] {
        sum += quantile(sorted, q)?;
    }
    Some(sum / 5.0)
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}
