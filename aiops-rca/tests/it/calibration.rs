use aiops_core::ErrorKind;
use aiops_rca::{CalibrationConfig, Calibrator, MetricRoles, RuleRca, RuleRcaConfig};
use proptest::prelude::*;

use crate::world::World;

fn outcomes(n: u32) -> Vec<(f64, bool)> {
    (0..n).map(|i| (f64::from(i) / f64::from(n), i * 7 % n < i)).collect()
}

#[test]
fn too_few_outcomes_are_refused() {
    let error = Calibrator::fit(&outcomes(29), &CalibrationConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(Calibrator::fit(&outcomes(30), &CalibrationConfig::default()).is_ok());
    let mut lax = CalibrationConfig::default();
    lax.least_outcomes = 2;
    assert!(Calibrator::fit(&outcomes(30), &lax).is_err());
}

#[test]
fn bad_scores_are_refused() {
    for bad in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        let mut pairs = outcomes(40);
        pairs[3].0 = bad;
        assert!(Calibrator::fit(&pairs, &CalibrationConfig::default()).is_err());
        assert!(
            Calibrator::fit(&outcomes(40), &CalibrationConfig::default()).unwrap().confidence(bad).is_err()
        );
    }
}

#[test]
fn all_right_is_not_certain() {
    let pairs: Vec<(f64, bool)> = (0..40).map(|i| (0.3 + f64::from(i) / 200.0, true)).collect();
    let p = Calibrator::fit(&pairs, &CalibrationConfig::default())
        .unwrap()
        .confidence(0.9)
        .unwrap()
        .probability();
    assert!(p > 0.9 && p < 1.0, "{p}");
}

#[test]
fn frequencies_are_told() {
    // Scores about 0.2 are right one time in ten, about 0.8 nine times in ten.
    let pairs: Vec<(f64, bool)> =
        (0..200).map(|i| if i % 2 == 0 { (0.2, i % 20 == 0) } else { (0.8, i % 20 != 1) }).collect();
    let c = Calibrator::fit(&pairs, &CalibrationConfig::default()).unwrap();
    let p = |raw: f64| c.confidence(raw).unwrap().probability();
    assert!((p(0.2) - 0.1).abs() < 0.02 && (p(0.8) - 0.9).abs() < 0.02, "{} {}", p(0.2), p(0.8));
    assert!((p(0.5) - 0.5).abs() < 0.02);
    assert_eq!((p(0.0), p(1.0)), (p(0.2), p(0.8)));
    assert_eq!(c.outcomes(), 200);
}

#[test]
fn what_is_read_back_is_the_same_and_is_checked() {
    let c = Calibrator::fit(&outcomes(100), &CalibrationConfig::default()).unwrap();
    let json = serde_json::to_value(&c).unwrap();
    assert_eq!(serde_json::from_value::<Calibrator>(json.clone()).unwrap(), c);
    let mut falling = json.clone();
    falling["knots"][0]["probability"] = 1.0.into();
    assert!(serde_json::from_value::<Calibrator>(falling).is_err());
    let mut later = json.clone();
    later["version"] = 2.into();
    assert!(serde_json::from_value::<Calibrator>(later).is_err());
    let mut empty = json;
    empty["knots"] = serde_json::json!([]);
    assert!(serde_json::from_value::<Calibrator>(empty).is_err());
}

#[test]
fn a_calibrated_analysis_says_so() {
    let c = Calibrator::fit(&outcomes(100), &CalibrationConfig::default()).unwrap();
    let id = c.id().to_owned();
    let rca = RuleRca::new(MetricRoles::default(), RuleRcaConfig::default()).unwrap().with_calibrator(c);
    let mut world = World::shop();
    world.slow("store", 40);
    let diagnosis = rca.analyze(&world.ranked().0).unwrap();
    let calibration = diagnosis.hypotheses[0].confidence.calibration();
    assert_eq!(*calibration, aiops_core::model::Calibration::Fitted(id));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_rises_and_does_not_depend_on_order(
        pairs in prop::collection::vec((0.0..=1.0_f64, any::<bool>()), 30..200),
        low in 0.0..=1.0_f64,
        high in 0.0..=1.0_f64,
    ) {
        let config = CalibrationConfig::default();
        let c = Calibrator::fit(&pairs, &config).unwrap();
        let p = |raw: f64| c.confidence(raw).unwrap().probability();
        prop_assert!(p(low.min(high)) <= p(low.max(high)) + 1e-12);
        let reversed: Vec<_> = pairs.iter().rev().copied().collect();
        prop_assert_eq!(&Calibrator::fit(&reversed, &config).unwrap(), &c);
        let json = serde_json::to_string(&c).unwrap();
        let back: Calibrator = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back, c);
    }
}
