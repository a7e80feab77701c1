//! Members combined into one p-value.

use aiops_core::Context;
use aiops_core::model::{EntityId, TelemetryWindow};
use aiops_core::seam::{Detector, Fit};
use aiops_detect::ensemble::{
    Calibration, EnsembleConfig, EnsembleDetector, EnsembleDetectorConfig, EnsembleFit, EnsembleModel,
    EnsembleOptions, FittedEnsemble, fisher_statistic,
};
use aiops_detect::group::{GroupOptions, RowModel};
use aiops_detect::{Checked, FitError, Rows};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::worlds::{disordered, empty, normal, rng, series, spoiled};

const WIDTH: usize = 5;

/// What is wrong with rows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// One metric is higher than all others explain.
    Level,
    /// Two metrics that move together part.
    Parted,
    /// All are a little off in directions nobody has seen together.
    Corner,
}

/// Rows of metrics under one load; of the faulty half each is as `fault` says.
fn rows(n: usize, seed: u64, fault: Fault) -> (Vec<f64>, Vec<bool>) {
    let mut noise = rng(seed);
    let (mut load, mut values, mut labels) = (0.0, Vec::new(), Vec::new());
    for row in 0..n {
        load = 0.5 * load + normal(&mut noise);
        let faulty = fault != Fault::None && row % 100 >= 60;
        let mut cells: Vec<f64> =
            (0..WIDTH).map(|c| (if c < 3 { 2.0 * load } else { 0.0 }) + normal(&mut noise)).collect();
        match fault {
            Fault::Level if faulty => cells[3] += 4.0,
            Fault::Parted if faulty => cells[0] = -2.0 * load + normal(&mut noise),
            Fault::Corner if faulty => {
                for (cell, up) in cells.iter_mut().zip([2.5, -2.5, 2.5, 2.5, -2.5]) {
                    *cell += up;
                }
            }
            _ => {}
        }
        values.extend(cells);
        labels.push(faulty);
    }
    (values, labels)
}

fn model() -> EnsembleModel {
    let (healthy, _) = rows(4000, 1, Fault::None);
    EnsembleModel::learn(Rows::new(&healthy, WIDTH).unwrap(), &EnsembleConfig::default()).unwrap()
}

fn auc(labels: &[bool], scores: &[f64]) -> f64 {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut area) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|t| t.1).count() as f64;
        let misses = tied.len() as f64 - hits;
        area += hits * (below + misses / 2.0);
        below += misses;
    }
    let positives = labels.iter().filter(|l| **l).count() as f64;
    area / (positives * (labels.len() as f64 - positives))
}

/// Nobody knows beforehand which fault comes. Over all of them the ensemble is no worse than the best member, and on none
/// far behind the one that is made for it.
#[test]
fn the_ensemble_is_not_worse_than_its_best_member() {
    let model = model();
    let mut means = [0.0; 4];
    for (at, fault) in [Fault::Level, Fault::Parted, Fault::Corner].into_iter().enumerate() {
        let (values, labels) = rows(3000, 10 + at as u64, fault);
        let rows = Rows::new(&values, WIDTH).unwrap();
        let members = model.member_p_values(rows).unwrap();
        let mut areas = [0.0; 4];
        for (m, area) in areas.iter_mut().take(3).enumerate() {
            *area = auc(&labels, &members.iter().map(|p| -p[m]).collect::<Vec<f64>>());
        }
        areas[3] = auc(&labels, &model.judge(rows).unwrap());
        let best = areas[..3].iter().copied().fold(0.0, f64::max);
        assert!(areas[3] >= best - 0.05, "{fault:?}: {areas:?}");
        means.iter_mut().zip(areas).for_each(|(mean, area)| *mean += area / 3.0);
    }
    let best = means[..3].iter().copied().fold(0.0, f64::max);
    assert!(means[3] >= best - 0.005, "{means:?}");
}

/// The p-value is what it says, on rows that neither learning nor calibration has seen.
#[test]
fn a_p_value_is_a_share_of_healthy_rows() {
    let model = model();
    let (values, _) = rows(20_000, 77, Fault::None);
    let p_values = model.p_values(Rows::new(&values, WIDTH).unwrap()).unwrap();
    for alpha in [0.1, 0.03, 0.01] {
        let share = p_values.iter().filter(|p| **p <= alpha).count() as f64 / p_values.len() as f64;
        assert!((0.3 * alpha..=2.0 * alpha).contains(&share), "{share} at {alpha}");
    }
    let height = model.judge(Rows::new(&values, WIDTH).unwrap()).unwrap();
    assert!(p_values.iter().zip(&height).all(|(p, h)| (*h >= 1.0) == (*p <= 1e-4)));
}

#[test]
fn calibrations_continue_beyond_what_was_seen() {
    let mut noise = rng(5);
    let normal_scores: Vec<f64> = (0..5000).map(|_| normal(&mut noise)).collect();
    let calibration = Calibration::learn(&normal_scores).unwrap();
    assert!(
        (calibration.p_value(0.0) - 0.5).abs() < 0.02 && (calibration.p_value(1.645) - 0.05).abs() < 0.01
    );
    let beyond = calibration.p_value(6.0);
    assert!(beyond < 1e-4 && beyond > calibration.p_value(12.0), "{beyond}");
    // A heavy tail stays heavy.
    let heavy: Vec<f64> = (1..5000).map(|i| (1.0 - f64::from(i) / 5000.0).powf(-0.4)).collect();
    let p = Calibration::learn(&heavy).unwrap().p_value(100.0);
    assert!((p.ln() - 100.0_f64.powf(-2.5).ln()).abs() < 1.5, "{p}");
    assert_eq!(Calibration::learn(&[1.0; 99]), Err(FitError::TooFew { usable: 99, needed: 100 }));
    let constant = Calibration::learn(&[2.0; 200]).unwrap();
    assert!(
        constant.p_value(2.0) == 1.0 && constant.p_value(2.1) < 1e-6 && constant.p_value(f64::NAN).is_nan()
    );
    assert!(fisher_statistic([f64::NAN].into_iter()).is_nan());
    assert!(fisher_statistic([0.0, 1.0].into_iter()).is_finite());
}

proptest! {
    #[test]
    fn p_values_fall_as_scores_rise(mut scores in proptest::collection::vec(-1e6..1e6_f64, 100..300), x in -2e6..2e6_f64, by in 0.0..1e6_f64) {
        scores.push(f64::NAN);
        let calibration = Calibration::learn(&scores).unwrap();
        prop_assert!(calibration.p_value(x + by) <= calibration.p_value(x) + 1e-12);
    }
}

fn window(n: usize, seed: u64, fault: Option<usize>) -> TelemetryWindow {
    let mut window = empty(n);
    for (i, name) in ["orders", "store"].into_iter().enumerate() {
        let (values, _) = rows(n, seed * 2 + i as u64, Fault::None);
        for column in 0..WIDTH {
            window.metrics.push(series(&EntityId::service(name), &format!("m{column}"), n, |row| {
                let up = if column == 3 && fault.is_some_and(|from| row >= from) { 12.0 } else { 0.0 };
                100.0 + 5.0 * (values[row * WIDTH + column] + up)
            }));
        }
    }
    window.sort();
    window
}

fn detector() -> EnsembleDetector {
    EnsembleDetector::new(EnsembleFit::default().fit(&window(1500, 1, None)).unwrap()).unwrap()
}

#[test]
fn contract() {
    let detector = detector();
    let mut fixture = DetectorFixture::new(Context::system(), window(120, 7, Some(80)));
    fixture.normal = Some(window(120, 8, None));
    fixture.thin = Some(window(1, 9, None));
    block_on(conformance(&detector, &fixture)).assert_counts(11, 0);
    let found = detector.find(&fixture.anomalous);
    assert!(found.iter().any(|a| a.series.name == "m3") && found.iter().all(|a| a.ongoing), "{found:?}");
    let stored = serde_json::to_string(detector.state()).unwrap();
    let back: FittedEnsemble = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (detector.state(), detector.fitted()));
    for damage in [("\"alpha\":0.0001", "\"alpha\":0.0"), ("\"samples\":450", "\"samples\":4")] {
        assert!(stored.contains(damage.0));
        assert!(
            serde_json::from_str::<FittedEnsemble>(&stored.replacen(damage.0, damage.1, 1)).is_err(),
            "{damage:?}"
        );
    }
}

#[test]
fn bad_input_is_survived() {
    let detector = detector();
    for (what, spoiled) in spoiled(&window(120, 7, Some(80))) {
        let found = detector.find(&spoiled);
        assert!(what == "constant" || found.is_empty(), "{what}: {found:?}");
    }
    let _ = detector.find(&disordered(&window(120, 7, Some(80))));
    let few = EnsembleFit::default().fit(&window(150, 1, None)).unwrap_err();
    assert_eq!(few.kind(), aiops_core::ErrorKind::Invalid);
    let wide = Checked::new(EnsembleOptions { calibration: 0.9, ..Default::default() }).unwrap_err();
    assert_eq!(wide.field(), "calibration");
    let options = GroupOptions { min_rows: 16, ..Default::default() };
    let lax: EnsembleDetectorConfig = options.try_into().unwrap();
    assert!(EnsembleFit::new(lax).fit(&window(60, 1, None)).is_err());
}
