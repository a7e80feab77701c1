//! Rolling statistics against exact arithmetic and naive windows.

use std::collections::VecDeque;

use aiops_compact::rolling::{
    MAX_MAGNITUDE, RollingConfig, RollingMad, RollingSigma, Score, score_frame_mad, score_frame_sigma,
};
use aiops_core::model::{MetricFrame, MetricKind, TimeAxis};
use proptest::prelude::*;

use crate::order::{naive_mad, naive_median};
use crate::synth::{normal, series, start};

/// `(n Σk² − (Σk)²) / (n (n − 1))` of the window, without any rounding before the last division.
struct ExactWindow {
    slots: VecDeque<Option<i64>>,
    window: usize,
    count: i128,
    sum: i128,
    squares: i128,
}

impl ExactWindow {
    fn new(window: usize) -> Self {
        Self { slots: VecDeque::new(), window, count: 0, sum: 0, squares: 0 }
    }

    fn push(&mut self, slot: Option<i64>) {
        if self.slots.len() == self.window
            && let Some(old) = self.slots.pop_front().flatten()
        {
            self.count -= 1;
            self.sum -= i128::from(old);
            self.squares -= i128::from(old).pow(2);
        }
        if let Some(new) = slot {
            self.count += 1;
            self.sum += i128::from(new);
            self.squares += i128::from(new).pow(2);
        }
        self.slots.push_back(slot);
    }

    fn variance(&self) -> Option<f64> {
        let n = self.count;
        (n > 1).then(|| (n * self.squares - self.sum.pow(2)) as f64 / (n * (n - 1)) as f64)
    }
}

fn bound(window: usize) -> f64 {
    4.0 * (window as f64 + 4.0).powi(2) * f64::EPSILON / 2.0
}

fn assert_within(actual: Option<f64>, exact: Option<f64>, bound: f64) -> f64 {
    match (actual, exact) {
        (None, None) => 0.0,
        (Some(actual), Some(exact)) => {
            let error = (actual - exact).abs();
            assert!(error <= bound * exact, "{actual} is not {exact}");
            if exact > 0.0 { error / exact } else { 0.0 }
        }
        (actual, exact) => panic!("{actual:?} is not {exact:?}"),
    }
}

/// Mean 10⁹, σ 10⁻³ (in units of 2⁻²⁰ the spread is ≈ 1000): the textbook update has no correct digit left here.
#[test]
fn a_huge_offset_does_not_swallow_a_tiny_spread() {
    let updates = if cfg!(debug_assertions) { 300_000 } else { 20_000_000 };
    for window in [2, 17, 288, 1440] {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut rolling = RollingSigma::new(RollingConfig::new(window).unwrap());
        let mut exact = ExactWindow::new(window);
        let mut worst = 0.0_f64;
        for i in 0..updates {
            let k = (1_000_000_000_i64 << 20) + (1049.0 * normal(&mut rng)) as i64;
            rolling.push(k as f64 * 2_f64.powi(-20));
            exact.push(Some(k));
            if i % 97 == 0 {
                let exact = exact.variance().map(|v| v * 2_f64.powi(-40));
                worst = worst.max(assert_within(rolling.variance(), exact, bound(window)));
            }
        }
        println!("window {window}: worst relative error of the variance {worst:e}");
        assert!(worst < 1e-12);
    }
}

/// A value of 10¹⁵ passes through windows of values around 1: once it has left, nothing of it remains.
#[test]
fn an_outlier_leaves_no_trace() {
    let window = 50;
    let mut rng = fastrand::Rng::with_seed(3);
    let mut rolling = RollingSigma::new(RollingConfig::new(window).unwrap());
    let mut exact = ExactWindow::new(window);
    for i in 0..200_000_i64 {
        let k = if i % 173 == 0 { 1_000_000_000_000_000 } else { i64::from(rng.i32(-3..4)) };
        rolling.push(k as f64);
        exact.push(Some(k));
        assert_within(rolling.variance(), exact.variance(), bound(window));
    }
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Value(i64),
    Gap,
    Unusable(f64),
}

fn slots() -> impl Strategy<Value = Vec<Slot>> {
    let slot = prop_oneof![
        6 => (-5..5_i64).prop_map(Slot::Value),
        2 => (-(1_i64 << 40)..1 << 40).prop_map(Slot::Value),
        1 => Just(Slot::Value(1 << 52)),
        2 => Just(Slot::Gap),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -f64::INFINITY, 1e200]).prop_map(Slot::Unusable),
    ];
    prop::collection::vec(slot, 0..300)
}

proptest! {
    #[test]
    fn sigma_agrees_with_exact_arithmetic_on_mixed_magnitudes(slots in slots(), window in 2..40_usize) {
        let mut rolling = RollingSigma::new(RollingConfig::new(window).unwrap());
        let mut exact = ExactWindow::new(window);
        for slot in slots {
            let score = match slot {
                Slot::Value(k) => { exact.push(Some(k)); rolling.push(k as f64) }
                Slot::Gap => { exact.push(None); rolling.push_gap() }
                Slot::Unusable(v) => { exact.push(None); rolling.push(v) }
            };
            match slot {
                Slot::Gap => prop_assert_eq!(score, Score::Gap),
                Slot::Unusable(_) => prop_assert_eq!(score, Score::OutOfRange),
                Slot::Value(_) => prop_assert!(!score.to_f64().is_nan() || score == Score::WarmUp),
            }
            prop_assert_eq!(rolling.count() as i128, exact.count);
            prop_assert_eq!(rolling.slots(), exact.slots.len());
            assert_within(rolling.variance(), exact.variance(), bound(window));
        }
    }

    #[test]
    fn mad_agrees_with_sorting_every_window(slots in slots(), window in 2..40_usize) {
        let config = RollingConfig::new(window).unwrap();
        let mut rolling = RollingMad::new(config);
        let mut naive: VecDeque<Option<f64>> = VecDeque::new();
        for slot in slots {
            let (value, score) = match slot {
                Slot::Value(k) => (Some(k as f64), rolling.push(k as f64)),
                Slot::Gap => (None, rolling.push_gap()),
                Slot::Unusable(v) => (None, rolling.push(v)),
            };
            let held: Vec<f64> = naive.iter().flatten().copied().collect();
            if let (Some(value), true) = (value, held.len() >= config.warm_up()) {
                let deviation = value - naive_median(&held).unwrap();
                let scale = aiops_compact::order::MAD_TO_SIGMA * naive_mad(&held).unwrap();
                let expected = if scale > 0.0 { deviation / scale } else if deviation == 0.0 { 0.0 } else { f64::INFINITY.copysign(deviation) };
                prop_assert_eq!(score, Score::Sigma(expected));
            }
            if naive.len() == window { naive.pop_front(); }
            naive.push_back(value);
            prop_assert_eq!(rolling.count(), naive.iter().flatten().count());
        }
    }

    /// However a stream is cut, appending the windows of its parts gives the window of the whole. // CMP-07
    #[test]
    fn appending_is_associative(slots in slots(), window in 2..40_usize, cuts in prop::array::uniform2(0..300_usize)) {
        let config = RollingConfig::new(window).unwrap();
        let [first, second] = cuts.map(|cut| cut.min(slots.len()));
        let (first, second) = (first.min(second), first.max(second));
        let mut exact = ExactWindow::new(window);
        let part = |slots: &[Slot]| {
            let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
            for slot in slots {
                match slot {
                    Slot::Value(k) => { sigma.push(*k as f64); mad.push(*k as f64); }
                    Slot::Gap => { sigma.push_gap(); mad.push_gap(); }
                    Slot::Unusable(v) => { sigma.push(*v); mad.push(*v); }
                }
            }
            (sigma, mad)
        };
        let append = |mut left: (RollingSigma, RollingMad), right: &(RollingSigma, RollingMad)| {
            left.0.append(&right.0);
            left.1.append(&right.1);
            left
        };
        let [a, b, c] = [&slots[..first], &slots[first..second], &slots[second..]].map(part);
        slots.iter().for_each(|slot| exact.push(if let Slot::Value(k) = slot { Some(*k) } else { None }));
        let whole = part(&slots);
        for (sigma, mad) in [append(append(a.clone(), &b), &c), append(a.clone(), &append(b.clone(), &c))] {
            prop_assert_eq!((sigma.slots(), sigma.count()), (whole.0.slots(), whole.0.count()));
            assert_within(sigma.variance(), exact.variance(), bound(window));
            prop_assert_eq!(mad.baseline(), whole.1.baseline());
        }
    }

    /// Slices, masks and frames give the bits that pushing gives. // CMP-07
    #[test]
    fn batch_is_push(slots in slots(), window in 2..40_usize, chunk in 1..50_usize, floor in 0.0..0.2_f64) {
        let config = RollingConfig::new(window).unwrap().with_relative_floor(floor).unwrap();
        let values: Vec<f64> = slots.iter().map(|s| match s { Slot::Value(k) => *k as f64, Slot::Gap => 0.0, Slot::Unusable(v) => *v }).collect();
        let valid: Vec<bool> = slots.iter().map(|s| !matches!(s, Slot::Gap)).collect();
        let bits = |scores: &[f64]| scores.iter().map(|s| s.to_bits()).collect::<Vec<_>>();

        let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
        let (mut sigma_pushed, mut mad_pushed) = (Vec::new(), Vec::new());
        for (value, valid) in values.iter().zip(&valid) {
            sigma_pushed.push(if *valid { sigma.push(*value) } else { sigma.push_gap() }.to_f64());
            mad_pushed.push(if *valid { mad.push(*value) } else { mad.push_gap() }.to_f64());
        }
        let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
        let (mut sigma_batch, mut mad_batch) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        for (i, (values, valid)) in values.chunks(chunk).zip(valid.chunks(chunk)).enumerate() {
            let range = i * chunk..i * chunk + values.len();
            sigma.push_masked(values, valid, &mut sigma_batch[range.clone()]).unwrap();
            mad.push_masked(values, valid, &mut mad_batch[range]).unwrap();
        }
        prop_assert_eq!(bits(&sigma_batch), bits(&sigma_pushed));
        prop_assert_eq!(bits(&mad_batch), bits(&mad_pushed));

        let dense: Vec<f64> = values.iter().zip(&valid).map(|(v, valid)| if *valid { *v } else { f64::NAN }).collect();
        let mut sigma = RollingSigma::new(config);
        let mut from_slice = vec![0.0; dense.len()];
        for (values, scores) in dense.chunks(chunk).zip(from_slice.chunks_mut(chunk)) {
            sigma.push_slice(values, scores).unwrap();
        }
        prop_assert_eq!(bits(&from_slice), bits(&sigma_pushed));

        if !values.is_empty() {
            let one = series("one", MetricKind::Gauge, values.iter().zip(&valid).map(|(v, valid)| valid.then_some(*v)));
            let frame = MetricFrame::new([&one, &one], one.times()).unwrap();
            let (sigma, mad) = (score_frame_sigma(&frame, config), score_frame_mad(&frame, config));
            for column in 0..2 {
                prop_assert_eq!(bits(&sigma.column(column).to_vec()), bits(&sigma_pushed));
                prop_assert_eq!(bits(&mad.column(column).to_vec()), bits(&mad_pushed));
            }
        }
    }
}

/// Whole windows of a slice are scored side by side: the same bits, whatever stands between them.
#[test]
fn long_slices_give_the_bits_of_pushes() {
    let mut rng = fastrand::Rng::with_seed(13);
    for (window, floor) in [(2, 0.0), (3, 0.1), (16, 0.0), (37, 0.0), (64, 0.05), (5000, 0.0)] {
        let config = RollingConfig::new(window).unwrap().with_relative_floor(floor).unwrap();
        let dense: Vec<f64> = (0..11 * window + 5).map(|_| 1e6 + normal(&mut rng)).collect();
        let spoilt = |at: &[usize], value: f64| {
            let mut values = dense.clone();
            at.iter().for_each(|at| values[*at] = value);
            values
        };
        // In each of the windows of a group; the last sample, which is the pivot; several.
        let cases = [
            dense.clone(),
            spoilt(&[3 * window], f64::NAN),
            spoilt(&[5 * window - 1], f64::INFINITY),
            spoilt(&[4 * window + 1, 9 * window], 1e200),
            spoilt(&[window - 1, 6 * window], MAX_MAGNITUDE),
            spoilt(&[2 * window - 1, 8 * window + 1], -3e149),
            vec![0.1; dense.len()],
            vec![0.0; dense.len()],
            dense.iter().map(|value| value.floor()).collect(),
        ];
        for values in cases {
            for cut in [0, 1, window, 2 * window + 1, values.len()] {
                let (mut pushed, mut sliced) = (RollingSigma::new(config), RollingSigma::new(config));
                let one_by_one: Vec<u64> =
                    values.iter().map(|value| pushed.push(*value).to_f64().to_bits()).collect();
                let mut scores = vec![0.0; values.len()];
                let (first, second) = scores.split_at_mut(cut);
                sliced.push_slice(&values[..cut], first).unwrap();
                sliced.push_slice(&values[cut..], second).unwrap();
                assert_eq!(scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>(), one_by_one);
                let state = |rolling: &RollingSigma| (rolling.count(), rolling.variance().map(f64::to_bits));
                assert_eq!(state(&sliced), state(&pushed));
                let next = values[0] + 1.0;
                assert_eq!(sliced.push(next).to_f64().to_bits(), pushed.push(next).to_f64().to_bits());
            }
        }
    }
}

/// Frames wider than a band, with and without gaps, longer and shorter than the window, or with nothing in them.
#[test]
fn frames_of_any_size_give_the_bits_of_their_columns() {
    for (columns, rows, window) in [
        (530, 70, 9),
        (300, 12, 60),
        (3, 0, 5),
        (0, 20, 5),
        (1, 301, 7),
        (7, 99, 2),
        (6, 64, 16),
        (261, 57, 28),
    ] {
        for gaps in [false, true] {
            let mut rng = fastrand::Rng::with_seed(11);
            let all: Vec<_> = (0..columns)
                .map(|i| {
                    let samples = (0..rows).map(|row| {
                        let value = Some(50.0 + normal(&mut rng)).filter(|_| !gaps || (row + i) % 5 != 0);
                        if gaps && (row + i) % 31 == 1 { Some(f64::NAN) } else { value }
                    });
                    series(&format!("m{i}"), MetricKind::Gauge, samples.collect::<Vec<_>>())
                })
                .collect();
            let axis = TimeAxis::regular(start(), std::time::Duration::from_secs(1), rows).unwrap();
            let frame = MetricFrame::new(&all, &axis).unwrap();
            let config = RollingConfig::new(window).unwrap();
            let scores = score_frame_sigma(&frame, config);
            assert_eq!(scores.dim(), (rows, columns));
            for (series, scores) in all.iter().zip(scores.columns()) {
                let mut rolling = RollingSigma::new(config);
                for (sample, score) in series.samples().zip(scores) {
                    let pushed = match sample {
                        Some(sample) => rolling.push(sample),
                        None => rolling.push_gap(),
                    };
                    assert_eq!(pushed.to_f64().to_bits(), score.to_bits());
                }
            }
        }
    }
}

/// A series taken over by another shard in the middle goes on as if it had never been cut. // CMP-07
#[test]
fn windows_of_consecutive_stretches_append() {
    let mut rng = fastrand::Rng::with_seed(12);
    for window in [3, 20, 64] {
        let config = RollingConfig::new(window).unwrap();
        let slots: Vec<Option<i64>> = (0..300)
            .map(|_| (!rng.u8(..).is_multiple_of(6)).then(|| (1 << 50) + i64::from(rng.i32(-1000..1000))))
            .collect();
        for cuts in [(0, 300), (100, 110), (7, 290), (299, 299)] {
            let parts = [&slots[..cuts.0], &slots[cuts.0..cuts.1], &slots[cuts.1..]].map(|part| {
                let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
                for slot in part {
                    match slot {
                        Some(k) => {
                            sigma.push(*k as f64);
                            mad.push(*k as f64);
                        }
                        None => {
                            sigma.push_gap();
                            mad.push_gap();
                        }
                    }
                }
                (sigma, mad)
            });
            let mut exact = ExactWindow::new(window);
            slots.iter().for_each(|slot| exact.push(*slot));
            let held: Vec<f64> = exact.slots.iter().flatten().map(|k| *k as f64).collect();
            let [first, second, third] = parts;
            let mut left = first.clone();
            left.0.append(&second.0);
            left.0.append(&third.0);
            left.1.append(&second.1);
            left.1.append(&third.1);
            let mut tail = second;
            tail.0.append(&third.0);
            tail.1.append(&third.1);
            let mut right = first;
            right.0.append(&tail.0);
            right.1.append(&tail.1);
            for (sigma, mad) in [left, right] {
                assert_eq!((sigma.slots(), sigma.count()), (window, held.len()));
                assert_within(sigma.variance(), exact.variance(), bound(window));
                assert_eq!(mad.count(), held.len());
                assert_eq!(mad.baseline().map(|window| window.location), naive_median(&held));
            }
        }
    }
}

#[test]
fn a_constant_window_scores_zero_or_infinity_unless_floored() {
    let config = RollingConfig::new(4).unwrap();
    let mut rolling = RollingSigma::new(config);
    let mut floored = RollingSigma::new(config.with_absolute_floor(0.5).unwrap());
    for _ in 0..4 {
        rolling.push(7.0);
        floored.push(7.0);
    }
    assert_eq!(rolling.peek(7.0), Score::Sigma(0.0));
    assert_eq!(rolling.peek(8.0), Score::Sigma(f64::INFINITY));
    assert_eq!(rolling.peek(6.0), Score::Sigma(f64::NEG_INFINITY));
    assert_eq!(floored.peek(8.0), Score::Sigma(2.0));
    assert_eq!(rolling.peek(f64::NAN), Score::OutOfRange);
}

#[test]
fn huge_values_neither_overflow_nor_linger() {
    let mut rolling = RollingSigma::new(RollingConfig::new(3).unwrap());
    for value in [MAX_MAGNITUDE, -MAX_MAGNITUDE, MAX_MAGNITUDE, 1.0, 2.0, 3.0] {
        assert!(!matches!(rolling.push(value), Score::Sigma(s) if s.is_nan()));
        assert!(rolling.variance().is_none_or(f64::is_finite));
    }
    assert_eq!(rolling.variance(), Some(1.0));
}

#[test]
fn a_window_of_gaps_forgets() {
    let config = RollingConfig::new(3).unwrap();
    let (mut sigma, mut mad) = (RollingSigma::new(config), RollingMad::new(config));
    for value in [1.0, 2.0, 3.0] {
        sigma.push(value);
        mad.push(value);
    }
    for _ in 0..3 {
        sigma.push_gap();
        mad.push_gap();
    }
    assert_eq!((sigma.count(), sigma.slots(), sigma.baseline()), (0, 3, None));
    assert_eq!((mad.count(), mad.slots(), mad.baseline()), (0, 3, None));
    assert_eq!(sigma.push(1.0), Score::WarmUp);
    sigma.clear();
    assert_eq!(sigma.slots(), 0);
}

#[test]
fn lengths_must_agree_and_configurations_be_sound() {
    let config = RollingConfig::new(3).unwrap();
    let mut rolling = RollingSigma::new(config);
    assert!(rolling.push_slice(&[1.0, 2.0], &mut [0.0]).is_err());
    assert!(rolling.push_masked(&[1.0], &[true, false], &mut [0.0]).is_err());
    assert_eq!(rolling.slots(), 0, "nothing was pushed");
    assert!(RollingConfig::new(0).is_err());
    assert!(config.with_warm_up(4).is_err());
    assert!(config.with_absolute_floor(f64::NAN).is_err());
    assert!(config.with_relative_floor(-0.1).is_err());
    let stored = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<RollingConfig>(&stored).unwrap(), config);
    assert!(serde_json::from_str::<RollingConfig>(r#"{"window":1}"#).is_err());
    assert!(serde_json::from_str::<RollingConfig>(r#"{"window":9,"x":1}"#).is_err());
}
