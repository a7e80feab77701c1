//! Tests without distributions: known values, and how often they are wrong where nothing is the matter.

use aiops_detect::drift::ks_two_sample;
use aiops_detect::stats::{
    Correction, adjust, chi_squared_sf, effective_size, hodges_lehmann, kolmogorov_sf, mann_kendall,
    mann_whitney, normal_quantile, normal_sf, pseudo_median, signed_rank,
};
use proptest::prelude::*;

use crate::worlds::{autoregressive, normal, rng};

#[test]
fn distributions_have_their_tabled_values() {
    for (got, expected) in [
        (normal_sf(1.959_963_984_540_054), 0.025),
        (normal_sf(-1.0), 0.841_344_746_068_543),
        (normal_sf(10.0), 7.619_853_024_160_527e-24),
        (normal_quantile(0.975), 1.959_963_984_540_054),
        (normal_quantile(1e-10), -6.361_340_902_404_056),
        (chi_squared_sf(3.841_458_820_694_124, 1.0), 0.05),
        (chi_squared_sf(16.918_977_604_620_45, 9.0), 0.05),
        (kolmogorov_sf(1.627_623_611_518_922_5), 0.01),
        (kolmogorov_sf(0.5), 0.963_945_243_664_875),
    ] {
        assert!((got - expected).abs() <= 1e-9 * expected.abs().max(1e-12), "{got} {expected}");
    }
    assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    assert!(normal_quantile(1.5).is_nan() && normal_quantile(f64::NAN).is_nan());
    assert_eq!((chi_squared_sf(-1.0, 3.0), chi_squared_sf(f64::INFINITY, 3.0)), (1.0, 0.0));
    assert_eq!((kolmogorov_sf(0.0), kolmogorov_sf(1e9)), (1.0, 0.0));
    // Where the two series of Kolmogorov's distribution meet they agree.
    assert!((kolmogorov_sf(1.0 - 1e-12) - kolmogorov_sf(1.0)).abs() < 1e-11);
}

/// SciPy 1: `mannwhitneyu(..., method="asymptotic")` has U = 12 and p = 0.014548; the pairs, the example of many
/// textbooks, `wilcoxon(..., correction=True, method="asymptotic")` has T = 18 and p = 0.635289, as R does.
#[test]
fn rank_tests_agree_with_scipy() {
    let first = [1.1, 2.2, 3.3, 4.4, 5.5, 6.6, 7.7, 8.8];
    let second: Vec<f64> = (0..10).map(|i| 3.0 + 2.0 * f64::from(i)).collect();
    let test = mann_whitney(&first, &second, (8.0, 10.0)).unwrap();
    assert!((test.p_value - 0.014_548_023_867).abs() < 1e-9, "{}", test.p_value);
    assert!((test.effect - (1.0 - 2.0 * 12.0 / 80.0)).abs() < 1e-12);

    let one = [125.0, 115.0, 130.0, 140.0, 140.0, 115.0, 140.0, 125.0, 140.0, 135.0];
    let other = [110.0, 122.0, 125.0, 120.0, 140.0, 124.0, 123.0, 137.0, 135.0, 145.0];
    let differences: Vec<f64> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    let test = signed_rank(&differences, 10.0).unwrap();
    assert!((test.p_value - 0.635_289_318_835).abs() < 1e-9, "{}", test.p_value);
    assert!((test.effect - 9.0 / 45.0).abs() < 1e-12);
    assert_eq!(signed_rank(&[0.0, 0.0], 2.0), None);
    assert_eq!(mann_whitney(&[], &[1.0], (0.0, 1.0)), None);
}

#[test]
fn p_values_are_corrected_as_r_does() {
    let p = [0.01, 0.02, 0.03, 0.04, 0.05];
    assert_eq!(adjust(&p, Correction::Holm), [0.05, 0.08, 0.09, 0.09, 0.09]);
    let bh = adjust(&[0.005, 0.03, 0.02, 0.9], Correction::BenjaminiHochberg);
    assert!(bh.iter().zip([0.02, 0.04, 0.04, 0.9]).all(|(a, b)| (a - b).abs() < 1e-12), "{bh:?}");
    let with_hole = adjust(&[f64::NAN, 0.5, 0.01], Correction::Holm);
    assert!(with_hole[0].is_nan() && with_hole[1..] == [0.5, 0.02]);
    assert_eq!(adjust(&[], Correction::Holm), [0.0; 0]);
}

/// n ÷ effective size of a first-order autoregression is (1 + φ) ÷ (1 − φ).
#[test]
fn independent_samples_are_counted() {
    for memory in [0.0, 0.5, 0.8, 0.95] {
        let known = (1.0 + memory) / (1.0 - memory);
        let mean = (0..40)
            .map(|seed| 4000.0 / effective_size(&autoregressive(&mut rng(seed), memory, 4000)))
            .sum::<f64>()
            / 40.0;
        assert!((mean / known - 1.0).abs() < 0.15, "{memory}: {mean} for {known}");
    }
    assert_eq!(effective_size(&[3.0; 50]), 50.0);
    assert_eq!(effective_size(&[]), 0.0);
}

/// Share of comparisons of two halves of one process that are significant at 1 %.
fn false_share(memory: f64, half: usize) -> f64 {
    let mut significant = 0;
    for seed in 0..2000 {
        let values = autoregressive(&mut rng(seed), memory, 2 * half);
        let (before, after) = values.split_at(half);
        let effective = (effective_size(before), effective_size(after));
        significant += usize::from(mann_whitney(before, after, effective).unwrap().p_value <= 0.01);
    }
    significant as f64 / 2000.0
}

#[test]
fn autocorrelation_makes_no_false_findings() {
    assert!(false_share(0.0, 60) <= 0.015);
    assert!(false_share(0.6, 60) <= 0.02);
    assert!(false_share(0.9, 120) <= 0.02);
    // And without that care it would: the plain test is wrong half of the time.
    let plain = (0..500).filter(|seed| {
        let values = autoregressive(&mut rng(*seed), 0.9, 240);
        let (before, after) = values.split_at(120);
        mann_whitney(before, after, (120.0, 120.0)).unwrap().p_value <= 0.01
    });
    assert!(plain.count() > 150);
}

#[test]
fn trends_are_no_wandering() {
    let points =
        |values: Vec<f64>| values.into_iter().zip(0..).map(|(y, x)| (f64::from(x), y)).collect::<Vec<_>>();
    let wandering = (0..300).filter(|seed| {
        let values = autoregressive(&mut rng(*seed), 0.9, 200);
        mann_kendall(&points(values)).unwrap().p_value <= 0.01
    });
    assert!(wandering.count() <= 15);
    let mut noise = rng(5);
    let rising: Vec<f64> = (0..200).map(|i| 0.05 * f64::from(i) + normal(&mut noise)).collect();
    let trend = mann_kendall(&points(rising)).unwrap();
    assert!(trend.p_value < 1e-6 && (trend.slope - 0.05).abs() < 0.005 && trend.tau > 0.5);
    assert!((trend.at(100.0) - 5.0).abs() < 0.5);
    assert_eq!(mann_kendall(&[(0.0, 1.0); 7]), None);
    let constant = mann_kendall(&points(vec![2.0; 100])).unwrap();
    assert_eq!((constant.p_value, constant.slope), (1.0, 0.0));
    // Long series are reduced; the line stays where it is.
    let long: Vec<f64> = (0..5000).map(|i| 3.0 + 0.01 * f64::from(i)).collect();
    assert!((mann_kendall(&points(long)).unwrap().at(1000.0) - 13.0).abs() < 0.2);
}

fn sample() -> impl Strategy<Value = Vec<f64>> {
    // Few different values, so that ties are common.
    proptest::collection::vec((-6..6_i8).prop_map(f64::from), 1..40)
}

proptest! {
    /// Effect, statistic and shifts by counting pairs.
    #[test]
    fn ranks_are_pairs_counted(first in sample(), second in sample()) {
        let pairs = || first.iter().flat_map(|a| second.iter().map(move |b| b - a));
        let wins = pairs().filter(|d| *d > 0.0).count() as f64 - pairs().filter(|d| *d < 0.0).count() as f64;
        let (n, m) = (first.len() as f64, second.len() as f64);
        let test = mann_whitney(&first, &second, (n, m)).unwrap();
        prop_assert!((test.effect - wins / (n * m)).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&test.p_value));
        let mirrored = mann_whitney(&second, &first, (m, n)).unwrap();
        prop_assert!((test.p_value - mirrored.p_value).abs() < 1e-12);
        let mut all: Vec<f64> = pairs().collect();
        all.sort_by(f64::total_cmp);
        let middle = (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
        prop_assert_eq!(hodges_lehmann(&first, &second), middle);

        let (mut a, mut b) = (first.clone(), second.clone());
        a.sort_by(f64::total_cmp);
        b.sort_by(f64::total_cmp);
        let below = |values: &[f64], x: f64| values.iter().filter(|v| **v <= x).count() as f64 / values.len() as f64;
        let distance = a.iter().chain(&b).map(|x| (below(&a, *x) - below(&b, *x)).abs()).fold(0.0, f64::max);
        prop_assert!((ks_two_sample(&a, &b, (n, m)).unwrap().statistic - distance).abs() < 1e-12);
    }

    #[test]
    fn walsh_means_by_counting(differences in sample()) {
        let n = differences.len();
        let mut means: Vec<f64> =
            (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).map(|(i, j)| (differences[i] + differences[j]) / 2.0).collect();
        means.sort_by(f64::total_cmp);
        prop_assert_eq!(pseudo_median(&differences), (means[(means.len() - 1) / 2] + means[means.len() / 2]) / 2.0);
    }
}
