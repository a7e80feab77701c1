//! Against NumPy and SciPy; `tests/golden/rolling.py` makes the numbers.

use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted, quantile_of_sorted};
use aiops_compact::rolling::{RollingConfig, RollingMad, RollingSigma};
use aiops_compact::shape::fit_line;

const ROWS: [usize; 8] = [30, 40, 50, 60, 61, 62, 63, 79];

const SIGMA: [f64; 8] = [
    -0.7782832735032836,
    -1.9982418592657656,
    1.1503015486888841,
    2.2329813581592437,
    2.182263381394029,
    2.115840971456615,
    0.648870221145341,
    0.9889099852573199,
];

const MAD: [f64; 8] = [
    -0.6109385542469101,
    -2.0234692505882452,
    1.0488277287428402,
    2.2465006149255045,
    2.068753215380212,
    2.181168173746226,
    0.8424280655544619,
    0.6968927013964217,
];

const QUANTILES: [f64; 6] =
    [0.0, 10.313800000000002, 25.8845, 52.760000000000005, 97.77920000000002, 122.062];

const LINE: [f64; 3] = [3.702566663717666, 1.6629589108926621, 32.30065606939881];

fn input() -> Vec<f64> {
    let spike = |i: u32| if (60..63).contains(&i) { 50.0 } else { 0.0 };
    (0..80_u32).map(|i| f64::from((i * 7919) % 104_729) / 1000.0 + spike(i)).collect()
}

fn close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-11 * expected.abs().max(1.0), "{actual} is not {expected}");
}

#[test]
fn rolling_scores_agree_with_numpy() {
    let config = RollingConfig::new(20).unwrap();
    let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
    let scores: Vec<_> = input().iter().map(|v| (sigma.push(*v), mad.push(*v))).collect();
    for (i, row) in ROWS.into_iter().enumerate() {
        close(scores[row].0.sigma().unwrap(), SIGMA[i]);
        close(scores[row].1.sigma().unwrap(), MAD[i]);
    }
}

#[test]
fn order_statistics_agree_with_numpy() {
    let mut sorted = input();
    sorted.sort_by(f64::total_cmp);
    for (i, q) in [0.0, 0.1, 0.25, 0.5, 0.9, 1.0].into_iter().enumerate() {
        close(quantile_of_sorted(&sorted, q).unwrap(), QUANTILES[i]);
    }
    close(median_of_sorted(&sorted).unwrap(), QUANTILES[3]);
    // The constant is 1 / Φ⁻¹(3/4): SciPy's scale="normal".
    close(MAD_TO_SIGMA, 1.0 / 0.674_489_750_196_081_7);
    assert_eq!(mad_of_sorted(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0], 2.0), Some(1.0));
}

#[test]
fn the_line_agrees_with_linregress() {
    let input = input();
    let line = fit_line(input.iter().enumerate().map(|(i, y)| ((i as f64).sqrt(), *y))).unwrap();
    close(line.slope, LINE[0]);
    close(line.slope_error, LINE[1]);
    close(line.intercept, LINE[2]);
}
