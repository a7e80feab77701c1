//! Shapes of synthetic faults: the right one, since when.

use aiops_compact::shape::{Excursion, Persistence, ShapeConfig, ShapeFit, classify, excursions};
use aiops_core::model::Shape;
use proptest::prelude::*;

use crate::synth::normal;

const BEFORE: usize = 60;

/// A fault of height `snr` σ from sample 60 on, `after` samples long; irregular steps and gaps where `ragged`.
fn fault(
    shape: Shape,
    snr: f64,
    after: usize,
    ragged: bool,
    rng: &mut fastrand::Rng,
) -> (Vec<f64>, Vec<f64>, usize) {
    let (mut seconds, mut scores, mut onset, mut now) = (Vec::new(), Vec::new(), None, 0.0);
    let sign =
        if matches!(shape, Shape::Spike | Shape::LevelShiftUp | Shape::SteadyIncrease) { 1.0 } else { -1.0 };
    let end = BEFORE + after;
    for i in 0..end {
        now += if ragged { 5.0 + 10.0 * rng.f64() } else { 10.0 };
        // A tenth is missing.
        if ragged && rng.f64() < 0.1 {
            continue;
        }
        let since = i as f64 - BEFORE as f64 + 1.0;
        let height = match shape {
            _ if i < BEFORE => 0.0,
            Shape::LevelShiftUp | Shape::LevelShiftDown => snr,
            // Each step adds enough for the whole to be `snr` σ after a quarter of its length.
            Shape::SteadyIncrease | Shape::SteadyDecrease => snr * since / (after as f64 / 4.0),
            _ => {
                if i < BEFORE + 3 {
                    snr
                } else {
                    0.0
                }
            }
        };
        if i >= BEFORE && onset.is_none() {
            onset = Some(scores.len());
        }
        seconds.push(now);
        scores.push(sign * height + normal(rng));
    }
    let onset = onset.unwrap();
    (seconds, scores, onset)
}

fn largest(scores: &[f64]) -> Option<Excursion> {
    // A transient of three samples must not need three of five to be seen.
    let found = excursions(scores, &persistence());
    found.into_iter().max_by_key(|e| e.last - e.first)
}

fn persistence() -> Persistence {
    Persistence { hits: 2, of: 4, ..Persistence::default() }
}

fn fit(seconds: &[f64], scores: &[f64]) -> Option<ShapeFit> {
    classify(seconds, scores, 0, &largest(scores)?, &persistence(), &ShapeConfig::default())
}

const SHAPES: [Shape; 6] = [
    Shape::Spike,
    Shape::Dip,
    Shape::LevelShiftUp,
    Shape::LevelShiftDown,
    Shape::SteadyIncrease,
    Shape::SteadyDecrease,
];

/// Right shape in ≥ 95 %, onset within two steps in ≥ 95 %, at a height of 6 σ and above.
#[test]
fn shapes_and_onsets_are_found() {
    let trials = if cfg!(debug_assertions) { 400 } else { 20_000 };
    for ragged in [false, true] {
        for shape in SHAPES {
            for snr in [6.0, 10.0, 30.0] {
                let (mut right, mut on_time) = (0, 0);
                let mut rng = fastrand::Rng::with_seed(11);
                for _ in 0..trials {
                    let after = 16 + rng.usize(0..24);
                    let (seconds, scores, onset) = fault(shape, snr, after, ragged, &mut rng);
                    let Some(fit) = fit(&seconds, &scores) else { continue };
                    right += usize::from(fit.shape == shape);
                    on_time += usize::from(fit.onset.abs_diff(onset) <= 2);
                }
                let share = |n: usize| n as f64 / trials as f64;
                println!(
                    "{shape} {snr} σ ragged {ragged}: right {:.3}, onset {:.3}",
                    share(right),
                    share(on_time)
                );
                assert!(share(right) >= 0.95, "{shape} {snr} {ragged}: {}", share(right));
                assert!(share(on_time) >= 0.95, "{shape} {snr} {ragged}: {}", share(on_time));
            }
        }
    }
}

/// The closed forms against refitting both models for every onset.
fn naive_gain(x: &[f64], y: &[f64], onset: usize, hinge: bool) -> f64 {
    let basis = |i: usize| {
        if i < onset {
            0.0
        } else if hinge {
            x[i] - x[onset - 1]
        } else {
            1.0
        }
    };
    let (mut uu, mut uy) = (0.0, 0.0);
    for (i, y) in y.iter().enumerate() {
        uu += basis(i) * basis(i);
        uy += basis(i) * y;
    }
    if uy > 0.0 { uy * uy / uu } else { 0.0 }
}

proptest! {
    #[test]
    fn the_onset_is_the_least_squares_one(
        noise in prop::collection::vec(-1.0..1.0_f64, 30..60), at in 12..20_usize, slope in prop::bool::ANY,
        steps in prop::collection::vec(0.5..2.0_f64, 60),
    ) {
        let mut now = 0.0;
        let seconds: Vec<f64> = noise.iter().zip(&steps).map(|(_, s)| { now += s; now }).collect();
        let scores: Vec<f64> = noise.iter().enumerate().map(|(i, n)| {
            if i < at { *n } else if slope { n + 2.0 * (i + 1 - at) as f64 } else { n + 10.0 }
        }).collect();
        let Some(fit) = fit(&seconds, &scores) else { return Err(TestCaseError::fail("not found")) };
        let hinge = fit.slope.is_some();
        prop_assert_eq!(hinge, slope);
        // Nothing is clipped in these series, except ramps far above four times their median: none here.
        let best = (1..scores.len()).max_by(|a, b| {
            naive_gain(&seconds, &scores, *a, hinge).total_cmp(&naive_gain(&seconds, &scores, *b, hinge))
        });
        prop_assert_eq!(Some(fit.onset), best);
    }

    /// Scanning with a queue of hits against looking back at every sample.
    #[test]
    fn excursions_start_where_enough_hits_are(scores in prop::collection::vec(-6.0..6.0_f64, 0..80), hits in 1..4_usize, more in 0..3_usize) {
        let persistence = Persistence { hits, of: hits + more, ..Persistence::default() };
        let found = excursions(&scores, &persistence);
        for e in &found {
            let beyond = |i: usize| e.sign() * scores[i] > persistence.sigma;
            prop_assert!(e.first <= e.last && beyond(e.first) && beyond(e.last));
            let window = &scores[e.first..(e.first + persistence.of).min(scores.len())];
            prop_assert!(window.iter().filter(|s| e.sign() * **s > persistence.sigma).count() >= hits);
            if let Some(cleared) = e.cleared {
                prop_assert!(cleared > e.last);
                prop_assert!((cleared..cleared + persistence.clear).all(|i| e.sign() * scores[i] < persistence.clear_sigma));
            }
        }
        // Outside of excursions nothing persists.
        for up in [true, false] {
            let sign = if up { 1.0 } else { -1.0 };
            let inside = |i: usize| found.iter().any(|e| {
                e.up == up && e.first <= i && e.cleared.is_none_or(|c| i < c + persistence.clear)
            });
            for (start, window) in scores.windows(persistence.of).enumerate() {
                let free = (start..start + window.len()).all(|i| !inside(i));
                let count = window.iter().filter(|s| sign * **s > persistence.sigma).count();
                prop_assert!(!free || count < hits, "missed at {}", start);
            }
        }
    }

    #[test]
    fn nothing_panics(scores in prop::collection::vec(prop::num::f64::ANY, 0..40), first in 0..50_usize, length in 0..50_usize, up in prop::bool::ANY, from in 0..60_usize) {
        let seconds: Vec<f64> = (0..scores.len()).map(|i| i as f64).collect();
        prop_assert!(excursions(&scores, &Persistence::default()).iter().all(|e| e.last < scores.len()));
        let excursion = Excursion { up, first, last: first + length, cleared: None };
        let fit = classify(&seconds, &scores, from, &excursion, &Persistence::default(), &ShapeConfig::default());
        prop_assert!(fit.is_none() || first + length < scores.len());
    }
}

#[test]
fn a_shift_that_ended_is_a_shift() {
    let scores: Vec<f64> = (0..60).map(|i| if (20..40).contains(&i) { 9.0 } else { 0.1 }).collect();
    let seconds: Vec<f64> = (0..60).map(f64::from).collect();
    let excursion = largest(&scores).unwrap();
    assert_eq!((excursion.first, excursion.last, excursion.cleared), (20, 39, Some(40)));
    let fit = fit(&seconds, &scores).unwrap();
    assert_eq!((fit.shape, fit.onset), (Shape::LevelShiftUp, 20));
    assert!((fit.magnitude - 9.0).abs() < 1e-12);
}

#[test]
fn equal_times_and_short_runs_have_a_defined_shape() {
    let scores = [0.0, 0.0, 9.0, 9.0, 9.0, 9.0];
    let excursion = largest(&scores).unwrap();
    let fit = classify(&[5.0; 6], &scores, 0, &excursion, &persistence(), &ShapeConfig::default()).unwrap();
    assert_eq!(fit.shape, Shape::LevelShiftUp);
    let short = Excursion { up: false, first: 4, last: 5, cleared: None };
    let down = scores.map(|s| -s);
    let fit = classify(&[5.0; 6], &down, 0, &short, &persistence(), &ShapeConfig::default()).unwrap();
    assert_eq!((fit.shape, fit.magnitude), (Shape::Dip, -9.0));
}
