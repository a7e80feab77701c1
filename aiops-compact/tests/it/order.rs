//! Order statistics against sorting.

use aiops_compact::order::{mad_of_sorted, median_of_sorted, quantile_of_sorted};
use proptest::prelude::*;

pub(crate) fn naive_median(values: &[f64]) -> Option<f64> {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    let n = v.len();
    match n {
        0 => None,
        _ if n % 2 == 1 => Some(v[n / 2]),
        _ => Some(v[n / 2 - 1] + (v[n / 2] - v[n / 2 - 1]) * 0.5),
    }
}

pub(crate) fn naive_mad(values: &[f64]) -> Option<f64> {
    let median = naive_median(values)?;
    naive_median(&values.iter().map(|v| (v - median).abs()).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn the_search_in_two_runs_finds_the_mad(
        mut values in prop::collection::vec(prop_oneof![-1e6..1e6_f64, (-3..3_i32).prop_map(f64::from)], 0..60),
    ) {
        let (median, mad) = (naive_median(&values), naive_mad(&values));
        values.sort_by(f64::total_cmp);
        prop_assert_eq!(median_of_sorted(&values), median);
        prop_assert_eq!(mad_of_sorted(&values, median.unwrap_or(0.0)), mad);
    }

    #[test]
    fn quantiles_ascend_and_stay_inside(
        mut values in prop::collection::vec(-1e6..1e6_f64, 1..40), p in 0.0..=1.0_f64, q in 0.0..=1.0_f64,
    ) {
        values.sort_by(f64::total_cmp);
        let (low, high) = (p.min(q), p.max(q));
        let (a, b) = (quantile_of_sorted(&values, low).unwrap(), quantile_of_sorted(&values, high).unwrap());
        prop_assert!(values[0] <= a && a <= b && b <= values[values.len() - 1]);
    }
}

#[test]
fn nothing_has_no_quantile() {
    assert_eq!(median_of_sorted(&[]), None);
    assert_eq!(mad_of_sorted(&[], 0.0), None);
    assert_eq!(quantile_of_sorted(&[], 0.5), None);
    assert_eq!(quantile_of_sorted(&[7.0], f64::NAN).map(|q| q == 7.0), Some(true));
}
