//! Newness: against a search over everything, and on bad input.

use aiops_detect::novelty::{NoveltyConfig, NoveltyDetector, NoveltyOptions};
use proptest::prelude::*;

/// As the documentation says it, with every distance computed and sorted.
fn naive(values: &[f64], o: &NoveltyOptions) -> Vec<f64> {
    let mut distances: Vec<Vec<f64>> = vec![Vec::new(); o.lengths.len()];
    let mut units = vec![0.0; o.lengths.len()];
    let mut scores = Vec::new();
    for i in 0..values.len() {
        let mut score = 0.0;
        for (at, m) in o.lengths.iter().copied().enumerate() {
            let mut all = Vec::new();
            // The present stretch begins at `begins`; the past is what lies before it.
            let begins = (i + 1).saturating_sub(m);
            if begins > 2 * m + 10 {
                for j in begins.saturating_sub(o.history)..=begins - m {
                    let sum: f64 = (0..m).rev().map(|t| (values[begins + t] - values[j + t]).powi(2)).sum();
                    all.push(sum);
                }
            }
            all.sort_by(f64::total_cmp);
            all.truncate(o.neighbours);
            let distance = all.iter().map(|s| s.sqrt()).sum::<f64>() / all.len().max(1) as f64;
            let known = &distances[at][distances[at].len().saturating_sub(o.history)..];
            if i >= o.warm_up && (i % 16 == 0 || i == o.warm_up) {
                let mut sorted = known.to_vec();
                sorted.sort_by(f64::total_cmp);
                units[at] = sorted[((o.quantile * sorted.len() as f64) as usize).min(sorted.len() - 1)];
            }
            if i >= o.warm_up && known.len() >= 50 && distance > 0.0 {
                score += (distance / units[at]).min(o.cap);
            }
            distances[at].push(distance);
        }
        scores.push(score);
    }
    scores
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn scores_are_those_of_a_full_search(seed in 0..10_000_u64, history in 128..300_usize, neighbours in 1..5_usize) {
        let options = NoveltyOptions { lengths: vec![1, 4, 9], history, neighbours, warm_up: 100, ..Default::default() };
        let mut rng = fastrand::Rng::with_seed(seed);
        let values: Vec<f64> = (0..900).map(|i| f64::from(i % 24) + rng.f64() + if i == 700 { 30.0 } else { 0.0 }).collect();
        let mut detector = NoveltyDetector::new(NoveltyConfig::try_from(options.clone()).unwrap());
        let mut last = None;
        for (i, expected) in naive(&values, &options).into_iter().enumerate() {
            let novel = detector.push(values[i]);
            prop_assert!((novel.score - expected).abs() <= 1e-9 * expected.max(1.0), "{i}: {} {expected}", novel.score);
            let held = last.is_some_and(|at| i - at <= options.hold_off);
            prop_assert_eq!(novel.alarm, novel.score >= options.threshold && !held);
            if novel.alarm {
                last = Some(i);
            }
        }
        prop_assert!(last.is_some());
    }
}

#[test]
fn bad_input_and_constant_series_raise_nothing() {
    let mut detector = NoveltyDetector::new(NoveltyConfig::default());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!detector.push(value).alarm);
    }
    assert_eq!(detector.seen(), 0);
    assert!((0..9000).all(|_| !detector.push(4.0).alarm));
    assert!(detector.push(4.1).alarm, "never anything but 4");
    for value in [f64::MAX, f64::MIN, 0.0, f64::MIN_POSITIVE] {
        let novel = detector.push(value);
        assert!(novel.score.is_finite() && !novel.alarm, "one event, one alarm: {novel:?}");
    }
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut NoveltyOptions)| {
        let mut options = NoveltyOptions::default();
        change(&mut options);
        NoveltyConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.lengths.clear()), "lengths");
    assert_eq!(field(|o| o.lengths = vec![0]), "lengths");
    assert_eq!(field(|o| o.history = 1), "history");
    assert_eq!(field(|o| o.neighbours = 0), "neighbours");
    assert_eq!(field(|o| o.quantile = 1.0), "quantile");
    assert_eq!(field(|o| o.cap = f64::NAN), "cap");
    assert_eq!(field(|o| o.warm_up = 5000), "warm_up");
    assert_eq!(field(|o| o.threshold = 0.0), "threshold");
}
