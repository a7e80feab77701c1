use aiops_core::model::{Calibration, Diagnosis, FittedHash};
use aiops_core::{Error, ErrorKind, Result};
use aiops_rca::{
    CalibrationConfig, CalibrationError, Calibrator, FittedOn, FusedLocalizer, LocalizerConfig, MetricRoles,
    RuleRca, RuleRcaConfig, TopologyLocalizer,
};
use proptest::prelude::*;

use crate::world::World;

/// Whose scores the outcomes are.
fn ours() -> FittedHash {
    FittedHash::of(b"ours")
}

fn fit(pairs: &[(f64, bool)], config: &CalibrationConfig) -> Result<Calibrator> {
    Calibrator::fit(pairs, FittedOn::new(ours(), pairs.len()), config)
}

fn outcomes(n: u32) -> Vec<(f64, bool)> {
    (0..n).map(|i| (f64::from(i) / f64::from(n), i * 7 % n < i)).collect()
}

#[test]
fn too_few_outcomes_are_refused() {
    let error = fit(&outcomes(29), &CalibrationConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(fit(&outcomes(30), &CalibrationConfig::default()).is_ok());
    let mut lax = CalibrationConfig::default();
    lax.least_outcomes = 2;
    assert!(fit(&outcomes(30), &lax).is_err());
}

#[test]
fn bad_scores_are_refused() {
    for bad in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        let mut pairs = outcomes(40);
        pairs[3].0 = bad;
        assert!(fit(&pairs, &CalibrationConfig::default()).is_err());
        assert!(fit(&outcomes(40), &CalibrationConfig::default()).unwrap().confidence(bad, &ours()).is_err());
    }
}

#[test]
fn all_right_is_not_certain() {
    let pairs: Vec<(f64, bool)> = (0..40).map(|i| (0.3 + f64::from(i) / 200.0, true)).collect();
    let p =
        fit(&pairs, &CalibrationConfig::default()).unwrap().confidence(0.9, &ours()).unwrap().probability();
    assert!(p > 0.9 && p < 1.0, "{p}");
}

#[test]
fn frequencies_are_told() {
    // Scores about 0.2 are right one time in ten, about 0.8 nine times in ten.
    let pairs: Vec<(f64, bool)> =
        (0..200).map(|i| if i % 2 == 0 { (0.2, i % 20 == 0) } else { (0.8, i % 20 != 1) }).collect();
    let c = fit(&pairs, &CalibrationConfig::default()).unwrap();
    let p = |raw: f64| c.confidence(raw, &ours()).unwrap().probability();
    assert!((p(0.2) - 0.1).abs() < 0.02 && (p(0.8) - 0.9).abs() < 0.02, "{} {}", p(0.2), p(0.8));
    assert!((p(0.5) - 0.5).abs() < 0.02);
    assert_eq!((p(0.0), p(1.0)), (p(0.2), p(0.8)));
    assert_eq!(c.outcomes(), 200);
}

#[test]
fn what_is_read_back_is_the_same_and_is_checked() {
    let on = FittedOn::new(ours(), 40).with_sets(["spring", "autumn"]);
    let c = Calibrator::fit(&outcomes(100), on.clone(), &CalibrationConfig::default()).unwrap();
    assert_eq!((c.fitted_on(), c.outcomes()), (Some(&on), 100));
    let json = serde_json::to_value(&c).unwrap();
    assert_eq!(json["fitted_on"]["sets"], serde_json::json!(["spring", "autumn"]));
    assert_eq!(serde_json::from_value::<Calibrator>(json.clone()).unwrap(), c);
    let read = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        change(&mut json);
        serde_json::from_value::<Calibrator>(json)
    };
    assert!(read(&|j| j["knots"][0]["probability"] = 1.0.into()).is_err(), "bins fall");
    assert!(read(&|j| j["knots"] = serde_json::json!([])).is_err(), "no bins");
    assert!(read(&|j| j["version"] = 3.into()).is_err(), "a later version");
    assert!(read(&|j| j["version"] = 1.into()).is_err(), "version 1 says nothing of what it was fitted on");
    assert!(read(&|j| drop(j.as_object_mut().unwrap().remove("fitted_on"))).is_err());
    // What it was fitted on is part of its name.
    let elsewhere = Calibrator::fit(&outcomes(100), FittedOn::new(ours(), 41), &CalibrationConfig::default());
    assert_ne!(elsewhere.unwrap().id(), c.id());
    for cases in [0, 101] {
        let on = FittedOn::new(ours(), cases);
        let error = Calibrator::fit(&outcomes(100), on, &CalibrationConfig::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{cases} cases of 100 outcomes");
    }
}

/// A file written before calibrators said what they were fitted on.
const VERSION_1: &str = r#"{"version":1,"knots":[
    {"raw":0.1,"probability":0.25,"outcomes":20},{"raw":0.7,"probability":0.9,"outcomes":20}]}"#;

#[test]
fn a_file_of_version_1_is_read_and_holds_for_nothing() {
    let old: Calibrator = serde_json::from_str(VERSION_1).unwrap();
    assert_eq!((old.fitted_on(), old.outcomes()), (None, 40));
    let again: Calibrator = serde_json::from_str(&serde_json::to_string(&old).unwrap()).unwrap();
    assert_eq!(again, old);
    let refused = old.confidence(0.5, &ours()).unwrap_err();
    let other = CalibrationError::OtherConfiguration { fitted_on: None, asked_about: Some(ours()) };
    assert_eq!(refused, other);
    assert!(!told(old, RuleRcaConfig::default(), &TopologyLocalizer::default()).0);
}

/// Whether the first hypothesis is calibrated, and the diagnosis.
fn told(calibrator: Calibrator, config: RuleRcaConfig, localizer: &TopologyLocalizer) -> (bool, Diagnosis) {
    let rca = RuleRca::new(MetricRoles::default(), config).unwrap().with_calibrator(calibrator);
    let mut world = World::shop();
    world.slow("store", 40);
    let mut case = world.ranked().0;
    let ranking = localizer.rank(case.window().unwrap(), case.anomalies());
    case.localize(case.opened_at(), ranking);
    let diagnosis = rca.analyze(&case).unwrap();
    let calibration = diagnosis.hypotheses[0].confidence.calibration().clone();
    (calibration != Calibration::Uncalibrated, diagnosis)
}

#[test]
fn confidences_of_another_configuration_stay_uncalibrated_and_it_is_said() {
    let (config, localizer) = (RuleRcaConfig::default(), TopologyLocalizer::default());
    let configuration = RuleRca::default().configuration(&localizer.id());
    let on = FittedOn::new(configuration, 100);
    let c = Calibrator::fit(&outcomes(100), on, &CalibrationConfig::default()).unwrap();
    let (calibrated, diagnosis) = told(c.clone(), config.clone(), &localizer);
    assert!(calibrated, "{:?}", diagnosis.unseen);
    let fitted = Calibration::Fitted(c.id().to_owned());
    assert_eq!(*diagnosis.hypotheses[0].confidence.calibration(), fitted);
    assert!(!diagnosis.unseen.iter().any(|u| u.contains("calibrator")));

    let mut other_rules = config.clone();
    other_rules.doubt = 0.3;
    let mut steeper = LocalizerConfig::default();
    steeper.blame /= 2.0;
    let other_localizer = TopologyLocalizer::new(MetricRoles::default(), steeper).unwrap();
    for (config, localizer) in [(other_rules, &localizer), (config, &other_localizer)] {
        let (calibrated, diagnosis) = told(c.clone(), config, localizer);
        assert!(!calibrated);
        assert!(
            diagnosis.unseen.iter().any(|u| u.contains("another configuration")),
            "{:?}",
            diagnosis.unseen
        );
    }
    let other = RuleRca::default().configuration(&FusedLocalizer::default().id());
    let refused = Error::from(c.confidence(0.5, &other).unwrap_err());
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(matches!(
        c.confidence(1.5, &c.fitted_on().unwrap().configuration),
        Err(CalibrationError::RawScore(_))
    ));
}

#[test]
fn a_ranking_that_names_no_localiser_is_nobodys() {
    let configuration = RuleRca::default().configuration(&TopologyLocalizer::default().id());
    let on = FittedOn::new(configuration, 100);
    let c = Calibrator::fit(&outcomes(100), on, &CalibrationConfig::default()).unwrap();
    let mut world = World::shop();
    world.slow("store", 40);
    let mut case = world.ranked().0;
    let mut ranking = case.ranking().unwrap().clone();
    ranking.localizer = None;
    case.localize(case.opened_at(), ranking);
    let diagnosis = RuleRca::default().with_calibrator(c).analyze(&case).unwrap();
    assert!(diagnosis.hypotheses.iter().all(|h| !h.confidence.is_calibrated()));
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
        let c = fit(&pairs, &config).unwrap();
        let p = |raw: f64| c.confidence(raw, &ours()).unwrap().probability();
        prop_assert!(p(low.min(high)) <= p(low.max(high)) + 1e-12);
        let reversed: Vec<_> = pairs.iter().rev().copied().collect();
        prop_assert_eq!(&fit(&reversed, &config).unwrap(), &c);
        let json = serde_json::to_string(&c).unwrap();
        let back: Calibrator = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back, c);
    }
}
