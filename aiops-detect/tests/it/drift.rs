//! Drift of inputs and of hits.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aiops_core::Context;
use aiops_core::model::{DetectorId, EntityId, FittedHash, TelemetryWindow};
use aiops_core::seam::{Detector, Fit};
use aiops_detect::drift::{
    Adwin, AdwinOptions, DriftDetector, DriftFit, DriftOptions, DriftReason, DriftWatch, DriftWatchOptions,
    FeatureReference, FittedDrift, psi,
};
use aiops_detect::{Checked, FitError};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::worlds::{at, autoregressive, disordered, empty, normal, rng, series, spoiled, start};

fn sample(seed: u64, n: usize, level: f64, scale: f64) -> Vec<f64> {
    let mut noise = rng(seed);
    (0..n).map(|_| level + scale * normal(&mut noise)).collect()
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// By hand: shares 0.25 each against 0.5, 0.25, 0.125, 0.125.
#[test]
fn the_index_is_the_sum_it_is_defined_by() {
    let reference: Vec<f64> = (0..400).map(f64::from).collect();
    let other: Vec<f64> = [(50.0, 200), (150.0, 100), (250.0, 50), (350.0, 50)]
        .into_iter()
        .flat_map(|(v, n)| std::iter::repeat_n(v, n))
        .collect();
    let options = aiops_detect::drift::PsiOptions { bins: 4 };
    let found = psi(&reference, &other, (400.0, 400.0), &options).unwrap();
    let expected = 0.25 * 2.0_f64.ln() + 2.0 * 0.125 * 2.0_f64.ln();
    assert!((found.index - expected).abs() < 1e-9 && found.bins == 4, "{found:?}");
    assert_eq!(psi(&[], &other, (1.0, 1.0), &options), None);
    let constant = psi(&[3.0; 100], &[3.0; 100], (100.0, 100.0), &options).unwrap();
    assert_eq!((constant.index, constant.p_value, constant.bins), (0.0, 1.0, 1));
}

/// Under no change the p-value of the index is what it says.
#[test]
fn the_index_has_its_distribution() {
    let small = (0..600).filter(|seed| {
        let (a, b) = (sorted(sample(seed * 2, 1000, 0.0, 1.0)), sample(seed * 2 + 1, 500, 0.0, 1.0));
        psi(&a, &b, (1000.0, 500.0), &Default::default()).unwrap().p_value <= 0.05
    });
    let small = small.count();
    assert!((10..=60).contains(&small), "{small} of 600 at 5 %");
}

#[test]
fn drift_needs_size_and_certainty() {
    let config = Checked::default();
    let options = DriftOptions::default();
    let reference = FeatureReference::learn(&sample(1, 5000, 10.0, 1.0), &config).unwrap();
    let judge = |values: &[f64]| {
        let drift = reference.compare(values, &config).unwrap();
        drift.is_clear(drift.ks.p_value, &options)
    };
    assert!(judge(&sample(2, 500, 11.0, 1.0)), "another level");
    assert!(judge(&sample(3, 500, 10.0, 2.5)), "another spread");
    assert!(!judge(&sample(4, 500, 10.0, 1.0)), "the same");
    assert!(!judge(&sample(5, 20_000, 10.1, 1.0)), "sure, and too small to matter");
    // A wandering input looks different on every short stretch; it is not.
    let wandering = FeatureReference::learn(&autoregressive(&mut rng(6), 0.99, 20_000), &config).unwrap();
    let wrong = (0..60).filter(|seed| {
        let drift = wandering.compare(&autoregressive(&mut rng(100 + seed), 0.99, 300), &config).unwrap();
        drift.is_clear(drift.ks.p_value, &options)
    });
    assert!(wrong.count() <= 2);
    assert_eq!(reference.compare(&[1.0; 49], &config), None);
    assert_eq!(
        FeatureReference::learn(&[f64::NAN; 80], &config),
        Err(FitError::TooFew { usable: 0, needed: 50 })
    );
    assert!(reference.quantiles().len() == 512 && reference.samples() == 5000);
}

/// The window by keeping every sample: a cut is where the bound of the paper is exceeded at a bucket's edge.
#[test]
fn adaptive_windows_follow_the_mean() {
    let mut adwin = Adwin::new(Default::default());
    let mut noise = rng(1);
    let mut quiet = 0;
    for _ in 0..20_000 {
        quiet += usize::from(adwin.push(0.3 + 0.1 * (noise.f64() - 0.5)).is_some());
    }
    assert!(quiet <= 1, "{quiet} shifts where nothing changed");
    assert!(adwin.len() > 5_000 && adwin.buckets() < 5 * 16, "{} {}", adwin.len(), adwin.buckets());
    let shift = (0..200).find_map(|_| adwin.push(0.6 + 0.1 * (noise.f64() - 0.5))).unwrap();
    assert!((shift.before - 0.3).abs() < 0.02 && shift.after > 0.33, "{shift:?}");
    for _ in 0..2000 {
        adwin.push(0.6 + 0.1 * (noise.f64() - 0.5));
    }
    assert!((adwin.mean().unwrap() - 0.6).abs() < 0.02);
}

proptest! {
    /// Buckets add up to the samples they stand for, whatever comes.
    #[test]
    fn buckets_are_exact(values in proptest::collection::vec(prop_oneof![9 => 0.0..1.0_f64, 1 => Just(f64::NAN)], 0..400)) {
        let config = Checked::new(AdwinOptions { delta: 1e-12, ..Default::default() }).unwrap();
        let mut adwin = Adwin::new(config);
        let mut kept = VecDeque::new();
        for value in values {
            let shift = adwin.push(value);
            if value.is_finite() { kept.push_back(value); }
            if let Some(shift) = shift { kept.drain(..shift.samples.0 as usize); }
        }
        prop_assert_eq!(adwin.len(), kept.len() as u64);
        let mean = kept.iter().sum::<f64>() / kept.len() as f64;
        prop_assert!(kept.is_empty() == adwin.mean().is_none());
        prop_assert!(kept.is_empty() || (adwin.mean().unwrap() - mean).abs() < 1e-9);
        let stored = serde_json::to_string(&adwin).unwrap();
        prop_assert_eq!(serde_json::from_str::<Adwin>(&stored).unwrap(), adwin);
    }
}

#[test]
fn a_damaged_adaptive_window_is_refused() {
    let mut adwin = Adwin::new(Default::default());
    for i in 0..100 {
        let _ = adwin.push(f64::from(i % 2));
    }
    let stored = serde_json::to_string(&adwin).unwrap();
    for damage in
        [("\"version\":1", "\"version\":2"), ("\"count\":4", "\"count\":5"), ("\"seen\":100", "\"seen\":3")]
    {
        assert!(stored.contains(damage.0), "{stored}");
        assert!(serde_json::from_str::<Adwin>(&stored.replacen(damage.0, damage.1, 1)).is_err());
    }
}

fn watch(hold_off: Duration) -> DriftWatch {
    let config = Checked::default();
    let references = ["cpu", "latency"]
        .into_iter()
        .map(|name| (name.to_owned(), FeatureReference::learn(&sample(1, 2000, 10.0, 1.0), &config).unwrap()))
        .collect();
    let options = DriftWatchOptions { window: 300, hold_off, ..Default::default() };
    let id = DetectorId("isolation-forest".to_owned());
    DriftWatch::new(id, FittedHash::of(b"v1"), references, Checked::new(options).unwrap())
}

#[test]
fn a_drifted_input_asks_for_learning_anew_once() {
    let mut watch = watch(Duration::from_secs(3600));
    let mut noise = rng(2);
    for _ in 0..300 {
        watch.observe("cpu", 10.0 + normal(&mut noise));
        watch.observe("latency", 10.0 + normal(&mut noise));
        watch.observe("disk", 1.0);
        watch.observe("cpu", f64::NAN);
    }
    assert_eq!((watch.check(at(0)), watch.unknown()), (None, 300));
    (0..300).for_each(|_| watch.observe("latency", 13.0 + normal(&mut noise)));
    let request = watch.check(at(1)).unwrap();
    assert_eq!(
        (request.model.0.as_str(), &request.fitted, request.at),
        ("isolation-forest", &FittedHash::of(b"v1"), at(1))
    );
    match request.reasons.as_slice() {
        [DriftReason::Distribution { feature, drift, adjusted }] => {
            assert!(feature == "latency" && drift.psi.index > 1.0 && *adjusted < 1e-6);
            assert!((drift.shift - 3.0).abs() < 0.3);
        }
        other => panic!("{other:?}"),
    }
    // Held off, also when the clock jumps back; then again; and not once the model is new.
    assert_eq!((watch.check(at(2)), watch.check(start())), (None, None));
    assert!(watch.check(at(1) + Duration::from_secs(3600)).is_some());
    let config = Checked::default();
    let renewed = BTreeMap::from([(
        "latency".to_owned(),
        FeatureReference::learn(&sample(3, 2000, 13.0, 1.0), &config).unwrap(),
    )]);
    watch.renew(FittedHash::of(b"v2"), renewed);
    (0..300).for_each(|_| watch.observe("latency", 13.0 + normal(&mut noise)));
    assert_eq!(watch.check(at(3)), None);
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(serde_json::from_str::<aiops_detect::RetrainRequest>(&text).unwrap(), request);
}

#[test]
fn rising_false_alarms_ask_too_and_falling_ones_do_not() {
    let mut watch = watch(Duration::ZERO);
    (0..400).for_each(|i| watch.outcome(i % 2 == 0));
    assert_eq!(watch.check(at(0)), None);
    (0..400).for_each(|i| watch.outcome(i % 10 == 0));
    assert_eq!(watch.check(at(1)), None, "people call fewer of them false");
    (0..400).for_each(|i| watch.outcome(i % 3 != 0));
    match watch.check(at(2)).unwrap().reasons.as_slice() {
        [DriftReason::FalsePositives { shift }] => assert!(shift.after > shift.before + 0.2, "{shift:?}"),
        other => panic!("{other:?}"),
    }
    assert!((watch.false_positive_rate().unwrap() - 0.67).abs() < 0.1);
    assert_eq!(watch.check(at(3)), None, "said once");
}

fn window(seed: u64, rows: usize, level: f64) -> TelemetryWindow {
    let mut window = empty(rows);
    for (i, (name, level)) in [("price", level), ("rows", level), ("age", 10.0)].into_iter().enumerate() {
        let mut noise = rng(seed * 3 + i as u64);
        window.metrics.push(series(&EntityId::service("lake"), name, rows, |_| level + normal(&mut noise)));
    }
    window.sort();
    window
}

fn detector() -> DriftDetector {
    DriftDetector::new(DriftFit::default().fit(&window(1, 2000, 10.0)).unwrap()).unwrap()
}

#[test]
fn contract() {
    let mut fixture = DetectorFixture::new(Context::system(), window(2, 300, 12.0));
    fixture.normal = Some(window(3, 300, 10.0));
    fixture.thin = Some(window(4, 20, 12.0));
    block_on(conformance(&detector(), &fixture)).assert_counts(11, 0);
    let found = detector().find(&fixture.anomalous);
    assert_eq!(found.iter().map(|a| a.series.name.as_str()).collect::<Vec<_>>(), ["price", "rows"]);
    let stored = serde_json::to_string(detector().state()).unwrap();
    let back: FittedDrift = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (detector().state(), detector().fitted()));
    assert!(serde_json::from_str::<FittedDrift>(&stored.replace("\"version\":1", "\"version\":3")).is_err());
    assert_eq!(
        DriftDetector::new(FittedDrift::unfitted(Checked::default())).unwrap().find(&fixture.anomalous),
        []
    );
}

#[test]
fn bad_input_is_survived() {
    let drifted = window(2, 300, 12.0);
    for (what, spoiled) in spoiled(&drifted) {
        // A constant is another distribution than noise around it.
        assert!(detector().find(&spoiled).is_empty() || what == "constant", "{what}");
    }
    let _ = detector().find(&disordered(&drifted));
    let few = DriftFit::default().fit(&window(1, 20, 10.0)).unwrap_err();
    assert_eq!(few.kind(), aiops_core::ErrorKind::Invalid);
}
