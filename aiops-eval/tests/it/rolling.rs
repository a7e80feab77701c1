//! Rolling statistics against exact arithmetic. The record of 10⁹ updates is `benches/records`.

use aiops_eval::EvalError;
use aiops_eval::rolling::{RollingOptions, Stream, measure};

#[test]
fn errors_stay_within_the_stated_bound() {
    for window in [2, 60, 288, 4096] {
        let options = RollingOptions { updates: 300_000, window, seed: 3 };
        let report = measure(&options, |_, _| {}).unwrap();
        assert!(report.holds(), "{}", report.text());
        assert_eq!(report.streams.iter().map(|errors| errors.stream).collect::<Vec<_>>(), Stream::ALL);
        for errors in &report.streams {
            assert_eq!(errors.updates, 303_104);
            // A window of two slots with a gap has no variance.
            assert!((70..=74).contains(&errors.comparisons), "{errors:?}");
            // What the comparison is worth: it tells sums that are subtracted from again.
            let always_outliers = errors.stream == Stream::Outliers && window == 4096;
            assert!(always_outliers || errors.sliding_sums > 1e-3, "{errors:?}");
        }
        let moments: Vec<f64> = report.streams.iter().filter_map(|errors| errors.moments).collect();
        assert!(moments.len() == 2 && moments.iter().all(|error| *error < 1e-12), "{moments:?}");
    }
}

#[test]
fn options_out_of_range_are_named() {
    let options = RollingOptions::default();
    for (field, options) in [
        ("updates", RollingOptions { updates: 0, ..options.clone() }),
        ("window", RollingOptions { window: 1, ..options.clone() }),
        ("window", RollingOptions { window: 4097, ..options }),
    ] {
        let error = measure(&options, |_, _| {}).unwrap_err();
        assert!(matches!(error, EvalError::Config { field: named, .. } if named == field), "{error:?}");
    }
}
