//! Isolation forests: agreement with scikit-learn, storage, sliding, and the filter of alerts.

use std::time::Duration;

use aiops_core::model::Severity;
use aiops_detect::forest::{
    AlertPrefilter, ForestConfig, ForestOptions, IsolationForest, PrefilterConfig, PrefilterCounts,
    PrefilterFeatures, PrefilterOptions, Reason, SlidingConfig, SlidingForest, SlidingOptions,
    average_path_length,
};
use aiops_detect::{FitError, Rows};
use proptest::prelude::*;

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn cloud(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..rows * columns).map(|_| normal(&mut rng)).collect()
}

fn config(trees: usize, sample_size: usize, seed: u64) -> ForestConfig {
    ForestConfig::try_from(ForestOptions { trees, sample_size, seed }).unwrap()
}

/// Written by scripts/forest_golden.py.
#[test]
fn scores_are_those_of_scikit_learn_given_its_trees() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/forest-sklearn.json")).unwrap();
    let forest: IsolationForest = serde_json::from_value(golden["forest"].clone()).unwrap();
    let numbers = |name: &str| serde_json::from_value::<Vec<f64>>(golden[name].clone()).unwrap();
    let values = numbers("rows");
    let rows = Rows::new(&values, 3).unwrap();
    assert_eq!((forest.trees(), forest.sample_size(), rows.len()), (12, 64, 62));
    let agree = |ours: Vec<f64>, theirs: Vec<f64>| {
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        }
    };
    agree(forest.score_samples(rows).unwrap(), numbers("score_samples"));
    agree(forest.decision_function(rows).unwrap(), numbers("decision_function"));
    // Stored again it is the same.
    assert_eq!(serde_json::to_value(&forest).unwrap(), golden["forest"]);
}

/// c(n) = 2 H(n−1) − 2 (n−1)/n with the harmonic number itself.
#[test]
fn average_path_lengths_approximate_the_harmonic_form() {
    assert_eq!([0, 1, 2].map(average_path_length), [0.0, 0.0, 1.0]);
    for n in [16_usize, 256, 5000] {
        let harmonic: f64 = (1..n).map(|i| 1.0 / i as f64).sum();
        let exact = 2.0 * harmonic - 2.0 * (n as f64 - 1.0) / n as f64;
        assert!((average_path_length(n) - exact).abs() < 1.5 / n as f64, "{n}");
    }
}

#[test]
fn what_is_far_away_is_found_and_what_is_not_there_is_told() {
    let mut values = cloud(1000, 4, 1);
    values.extend([8.0, -8.0, 8.0, -8.0]);
    values.extend([f64::NAN, 0.0, 0.0, 0.0]);
    values.extend([f64::INFINITY, 0.0, 0.0, f64::NEG_INFINITY]);
    let rows = Rows::new(&values, 4).unwrap();
    let forest = IsolationForest::fit(rows, ForestConfig::default()).unwrap();
    let scores = forest.score_samples(rows).unwrap();
    assert!(scores[..1000].iter().all(|s| (-1.0..0.0).contains(s)));
    let median = {
        let mut s = scores[..1000].to_vec();
        s.sort_by(f64::total_cmp);
        s[500]
    };
    assert!((-0.5..-0.4).contains(&median), "{median}");
    assert!(scores[1000] < -0.7 && scores[1001].is_nan() && scores[1002] < -0.6);
    assert_eq!(forest.decision_function(rows).unwrap()[1000], scores[1000] + 0.5, "scikit-learn's offset");
    let three = Rows::new(&values[..3], 3).unwrap();
    assert_eq!(forest.score_samples(three), Err(FitError::Columns { actual: 3, expected: 4 }));
    assert_eq!(forest.score_samples(Rows::new(&[], 4).unwrap()), Ok(vec![]));
}

#[test]
fn constant_few_and_huge_rows() {
    let fit = |values: &[f64]| IsolationForest::fit(Rows::new(values, 1).unwrap(), ForestConfig::default());
    assert_eq!(fit(&[]).unwrap_err(), FitError::TooFew { usable: 0, needed: 2 });
    assert_eq!(fit(&[1.0, f64::NAN]).unwrap_err(), FitError::TooFew { usable: 1, needed: 2 });
    let constant = fit(&[7.0; 40]).unwrap();
    let scores = constant.score_samples(Rows::new(&[7.0, 9.0], 1).unwrap()).unwrap();
    assert!(scores.iter().all(|s| (s + 0.5).abs() < 1e-12), "{scores:?}");
    let huge = fit(&[-f64::MAX, f64::MAX, 0.0, 1.0]).unwrap();
    let scores = huge.score_samples(Rows::new(&[f64::MAX, 0.5], 1).unwrap()).unwrap();
    assert!(scores[0] < scores[1]);
}

#[test]
fn damaged_forests_are_refused() {
    let values = cloud(100, 2, 3);
    let forest = IsolationForest::fit(Rows::new(&values, 2).unwrap(), config(3, 16, 0)).unwrap();
    let stored = serde_json::to_value(&forest).unwrap();
    assert_eq!(serde_json::from_value::<IsolationForest>(stored.clone()).unwrap(), forest);
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut damaged = stored.clone();
        change(&mut damaged);
        serde_json::from_value::<IsolationForest>(damaged).is_err()
    };
    assert!(refused(&|f| f["version"] = 2.into()));
    assert!(refused(&|f| f["columns"] = 1.into()));
    assert!(refused(&|f| f["trees"] = serde_json::json!([])));
    assert!(refused(&|f| f["unknown"] = 1.into()));
    assert!(refused(&|f| f["trees"][0]["feature"].as_array_mut().unwrap().clear()));
    assert!(refused(&|f| f["trees"][0]["feature"].as_array_mut().unwrap().push((-1).into())));
    assert!(refused(&|f| f["trees"][0]["threshold"].as_array_mut().unwrap().push(1.0.into())));
    assert!(refused(&|f| f["trees"][0]["samples"][0] = 0.into()));
    assert!(refused(&|f| f["trees"][0]["samples"][0] = 400.into()));
    // A chain of splits: deeper than any forest grows.
    let chain: Vec<i64> = std::iter::repeat_n(0, 70).chain(std::iter::repeat_n(-1, 71)).collect();
    let tree = serde_json::json!({ "feature": chain, "threshold": vec![0.0; 70], "samples": vec![1; 71] });
    assert!(refused(&|f| f["trees"] = serde_json::json!([tree])));
}

#[test]
fn a_sliding_forest_forgets_what_is_gone() {
    let options = SlidingOptions { forest: config(40, 64, 5), window: 256, renew_every: 32, renew_trees: 10 };
    let mut forest = SlidingForest::new(1, SlidingConfig::try_from(options).unwrap()).unwrap();
    let mut rng = fastrand::Rng::with_seed(2);
    for i in 0..400 {
        let score = forest.push(&[normal(&mut rng)]).unwrap();
        assert_eq!(score.is_some(), i >= 64);
    }
    let surprised = forest.push(&[30.0]).unwrap().unwrap();
    for _ in 0..400 {
        forest.push(&[30.0 + normal(&mut rng)]).unwrap();
    }
    assert_eq!(forest.len(), 256);
    // Stored and restored in between, it goes on as if nothing had been.
    let mut restored: SlidingForest = serde_json::from_str(&serde_json::to_string(&forest).unwrap()).unwrap();
    let used_to = forest.push(&[30.0]).unwrap().unwrap();
    assert!(surprised < -0.7 && used_to > -0.55, "{surprised} {used_to}");
    assert_eq!(restored.push(&[30.0]).unwrap(), Some(used_to));
    for _ in 0..100 {
        let row = [30.0 + normal(&mut rng)];
        assert_eq!(forest.push(&row), restored.push(&row));
    }
    assert_eq!(forest, restored);
    assert_eq!(forest.push(&[f64::NAN]).unwrap(), None);
    assert!(forest.push(&[f64::INFINITY]).unwrap().is_some());
    assert_eq!((forest.skipped(), forest.len()), (2, 256));
    assert!(forest.push(&[1.0, 2.0]).is_err());
}

#[test]
fn a_stored_sliding_forest_with_impossible_counts_is_refused() {
    let options = SlidingOptions { forest: config(10, 16, 5), window: 64, renew_every: 8, renew_trees: 2 };
    let mut forest = SlidingForest::new(1, SlidingConfig::try_from(options).unwrap()).unwrap();
    let mut rng = fastrand::Rng::with_seed(3);
    for rows in 0..60 {
        let stored = serde_json::to_value(&forest).unwrap();
        assert_eq!(
            serde_json::from_value::<SlidingForest>(stored.clone()).unwrap(),
            forest,
            "after {rows} rows"
        );
        for field in ["since_renewal", "renewals", "skipped"] {
            let mut changed = stored.clone();
            changed[field] = u64::MAX.into();
            let error = serde_json::from_value::<SlidingForest>(changed).unwrap_err();
            assert!(error.to_string().contains("counts"), "{field}: {error}");
        }
        forest.push(&[normal(&mut rng)]).unwrap();
    }
}

/// Alerts of an ordinary day: few rules fire again and again with values like their own, some are unlike.
fn day(alerts: usize, seed: u64) -> Vec<PrefilterFeatures> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut make = || {
        let rule = rng.usize(0..20);
        let unusual = rng.f64() < 0.05;
        let spread = if unusual { 8.0 } else { 1.0 };
        PrefilterFeatures {
            rule: format!("rule-{rule}"),
            service: format!("service-{}", (rng.f64() * rng.f64() * 40.0) as u32),
            value: 10.0_f64.powi(rule as i32 % 5) * (10.0 + spread * normal(&mut rng)),
            duration: Duration::from_secs_f64(
                300.0 * (0.5 * spread * normal(&mut rng)).clamp(-9.0, 9.0).exp(),
            ),
            impacted_pods: if unusual { rng.u32(5..60) } else { rng.u32(1..4) },
            severity: Severity::Warning,
        }
    };
    (0..alerts).map(|_| make()).collect()
}

/// The acceptance of DET-02: of 2,400 alerts a day 200 to 400 go on.
#[test]
fn the_prefilter_lets_usual_alerts_rest() {
    let prefilter = AlertPrefilter::fit(&day(2400 * 7, 1), PrefilterConfig::default()).unwrap();
    let mut counts = PrefilterCounts::default();
    for alert in day(2400, 2) {
        let filtered = prefilter.judge(&alert);
        assert_eq!(filtered.goes_on(), filtered.score.unwrap() < -0.5);
        counts.record(&filtered);
    }
    assert_eq!(counts.of(Reason::Unusual) + counts.of(Reason::Usual), 2400);
    assert!((200..=400).contains(&counts.went_on()), "{counts:?}");
    let stored = serde_json::to_string(&prefilter).unwrap();
    assert_eq!(serde_json::from_str::<AlertPrefilter>(&stored).unwrap(), prefilter);
}

#[test]
fn critical_and_unscorable_alerts_always_go_on() {
    let past = day(2000, 1);
    let prefilter = AlertPrefilter::fit(&past, PrefilterConfig::default()).unwrap();
    let usual = past.iter().find(|a| !prefilter.judge(a).goes_on()).unwrap();
    let critical = PrefilterFeatures { severity: Severity::Critical, ..usual.clone() };
    assert_eq!(prefilter.judge(&critical).reason, Reason::Critical);
    assert_eq!(prefilter.judge(&critical).score, prefilter.judge(usual).score);
    let nan = PrefilterFeatures { value: f64::NAN, ..usual.clone() };
    assert_eq!((prefilter.judge(&nan).reason, prefilter.judge(&nan).score), (Reason::Unscored, None));
    let unknown = PrefilterFeatures { rule: "new".into(), service: "new".into(), ..usual.clone() };
    assert!(prefilter.judge(&unknown).score < prefilter.judge(usual).score);
    let options = PrefilterOptions { max_names: 3, ..Default::default() };
    let few = AlertPrefilter::fit(&past, PrefilterConfig::try_from(options).unwrap()).unwrap();
    assert!(few.judge(usual).score.is_some());
    assert!(matches!(
        AlertPrefilter::fit(&past[..10], PrefilterConfig::default()),
        Err(FitError::TooFew { usable: 10, needed: 256 })
    ));
}

#[test]
fn options_are_checked() {
    let field = |options: ForestOptions| ForestConfig::try_from(options).unwrap_err().field();
    assert_eq!(field(ForestOptions { trees: 0, ..Default::default() }), "trees");
    assert_eq!(field(ForestOptions { sample_size: 1, ..Default::default() }), "sample_size");
    let sliding = |change: fn(&mut SlidingOptions)| {
        let mut options = SlidingOptions::default();
        change(&mut options);
        SlidingConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(sliding(|o| o.window = 255), "window");
    assert_eq!(sliding(|o| o.renew_every = 0), "renew_every");
    assert_eq!(sliding(|o| o.renew_trees = 101), "renew_trees");
    let prefilter = PrefilterOptions { threshold: 0.1, ..Default::default() };
    assert_eq!(PrefilterConfig::try_from(prefilter).unwrap_err().field(), "threshold");
    assert!(serde_json::from_str::<ForestConfig>(r#"{"tree":3}"#).is_err());
}

proptest! {
    /// The same rows, options and seed give the same forest; scores do not depend on the company of a row.
    #[test]
    fn scoring_is_by_row(seed in 0..200_u64, rows in 2..60_usize, columns in 1..5_usize) {
        let values = cloud(rows, columns, seed);
        let view = Rows::new(&values, columns).unwrap();
        let forest = IsolationForest::fit(view, config(9, 32, seed)).unwrap();
        prop_assert_eq!(&IsolationForest::fit(view, config(9, 32, seed)).unwrap(), &forest);
        let together = forest.score_samples(view).unwrap();
        for (row, score) in view.iter().zip(&together) {
            let alone = forest.score_samples(Rows::new(row, columns).unwrap()).unwrap();
            prop_assert_eq!(alone, vec![*score]);
        }
    }
}
