//! Change points against exhaustive search.

use aiops_detect::Rows;
use aiops_detect::changepoint::{SegmentConfig, SegmentOptions, change_points};
use proptest::prelude::*;

fn config(penalty: f64) -> SegmentConfig {
    SegmentConfig::try_from(SegmentOptions { penalty }).unwrap()
}

fn onsets(values: &[f64], columns: usize, config: &SegmentConfig) -> Vec<usize> {
    change_points(Rows::new(values, columns).unwrap(), config).iter().map(|c| c.onset).collect()
}

/// Sum of squares about the mean, after standardising the whole series, plus the penalty of each cut.
fn penalised(values: &[f64], cuts: &[usize], penalty: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let mut bounds = vec![0];
    bounds.extend(cuts);
    bounds.push(values.len());
    let squares: f64 = bounds
        .windows(2)
        .map(|w| {
            let part = &values[w[0]..w[1]];
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        })
        .sum();
    squares / variance + cuts.len() as f64 * penalty * n.ln()
}

#[test]
fn levels_onsets_and_gains_are_told() {
    let mut rng = fastrand::Rng::with_seed(1);
    let values: Vec<f64> = (0..300)
        .flat_map(|i| {
            let level = match i {
                0..100 => 10.0,
                100..220 => 30.0,
                _ => 12.0,
            };
            [level + rng.f64(), 5.0]
        })
        .collect();
    let found = change_points(Rows::new(&values, 2).unwrap(), &SegmentConfig::default());
    assert_eq!(found.iter().map(|c| c.onset).collect::<Vec<_>>(), [100, 220]);
    assert!((found[0].before[0] - 10.5).abs() < 0.3 && (found[0].after[0] - 30.5).abs() < 0.3);
    assert_eq!((found[0].before[1], found[1].after[1]), (5.0, 5.0));
    assert!(found.iter().all(|c| c.gain > 1.0));
}

#[test]
fn nothing_constant_and_numbers_that_are_none() {
    let default = SegmentConfig::default();
    assert_eq!(onsets(&[], 1, &default), [0_usize; 0]);
    assert_eq!(onsets(&[1.0], 1, &default), [0_usize; 0]);
    assert_eq!(onsets(&[3.0; 50], 1, &default), [0_usize; 0]);
    assert_eq!(onsets(&[f64::NAN; 50], 1, &default), [0_usize; 0]);
    // Gaps do not move the onset.
    let mut values: Vec<f64> = (0..100).map(|i| f64::from(i % 2) + if i < 60 { 0.0 } else { 50.0 }).collect();
    values[10] = f64::NAN;
    values[30] = f64::INFINITY;
    assert_eq!(onsets(&values, 1, &default), [60]);
    let huge: Vec<f64> = (0..40).map(|i| if i < 20 { -1e300 } else { 1e300 }).collect();
    assert!(onsets(&huge, 1, &default).len() <= 1);
    for penalty in [0.0, f64::NAN, 2000.0] {
        assert_eq!(SegmentConfig::try_from(SegmentOptions { penalty }).unwrap_err().field(), "penalty");
    }
}

proptest! {
    /// No set of cuts of a short series costs less than the one found.
    #[test]
    fn the_segmentation_is_the_best_there_is(
        values in prop::collection::vec(-5.0..5.0_f64, 2..11), penalty in 0.1..2.0_f64,
    ) {
        let found = onsets(&values, 1, &config(penalty));
        let n = values.len();
        let best = (0_u32..1 << (n - 1))
            .map(|set| (1..n).filter(|i| set >> (i - 1) & 1 == 1).collect::<Vec<_>>())
            .map(|cuts| penalised(&values, &cuts, penalty))
            .fold(f64::INFINITY, f64::min);
        let ours = penalised(&values, &found, penalty);
        let slack = 1e-9 * best.abs().max(1.0);
        prop_assert!(ours <= best + slack, "{found:?}: {ours} against {best}");
    }
}
