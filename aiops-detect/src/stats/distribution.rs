use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::checked_gamma_ur;

/// Probability that a standard normal variable exceeds `z`; NaN for NaN.
#[must_use]
pub fn normal_sf(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The `z` that a standard normal variable stays below with probability `p`; −∞ at 0, ∞ at 1, NaN outside.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    if (0.0..=1.0).contains(&p) { -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p) } else { f64::NAN }
}

/// Probability that a χ² variable of `degrees` of freedom exceeds `x`; 1 for x ≤ 0, NaN where it is undefined.
#[must_use]
pub fn chi_squared_sf(x: f64, degrees: f64) -> f64 {
    if x <= 0.0 && degrees > 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY && degrees > 0.0 {
        return 0.0;
    }
    checked_gamma_ur(degrees / 2.0, x / 2.0).unwrap_or(f64::NAN)
}

/// Kolmogorov's distribution: probability that √n · D exceeds `lambda` when both samples come from one continuous
/// distribution (Smirnov, *Table for estimating the goodness of fit of empirical distributions*, 1948). To 1e-12.
///
/// ```
/// use aiops_detect::stats::kolmogorov_sf;
/// // The critical value of the 5 % level in every table.
/// assert!((kolmogorov_sf(1.3581) - 0.05).abs() < 1e-5);
/// ```
#[must_use]
pub fn kolmogorov_sf(lambda: f64) -> f64 {
    if lambda.is_nan() {
        return f64::NAN;
    }
    if lambda <= 0.05 {
        return 1.0;
    }
    if lambda < 1.0 {
        // Jacobi's transformation of the series below, which converges slowly here.
        let t = -std::f64::consts::PI.powi(2) / (8.0 * lambda * lambda);
        let sum: f64 = (0..20_u32).map(|k| (f64::from(2 * k + 1).powi(2) * t).exp()).sum();
        return (1.0 - std::f64::consts::TAU.sqrt() / lambda * sum).clamp(0.0, 1.0);
    }
    let term = |k: u32| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(k).powi(2) * lambda * lambda).exp()
    };
    (2.0 * (1..20).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// Probability of at least `k` hits in `n` trials that hit with probability `p` each, by the regularised incomplete beta function; counts
/// need not be whole. 1 for `k` ≤ 0, NaN where it is undefined.
///
/// ```
/// use aiops_detect::stats::binomial_sf;
/// assert!((binomial_sf(3.0, 3.0, 0.5) - 0.125).abs() < 1e-12);
/// ```
#[must_use]
pub fn binomial_sf(k: f64, n: f64, p: f64) -> f64 {
    if !(k <= n && (0.0..=1.0).contains(&p)) {
        return f64::NAN;
    }
    if k <= 0.0 { 1.0 } else { checked_beta_reg(k, n - k + 1.0, p).unwrap_or(f64::NAN) }
}
