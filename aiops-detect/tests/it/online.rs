//! Change points while samples come in: against the whole posterior, and on bad input.

use aiops_detect::changepoint::{OnlineChangePoints, OnlineConfig, OnlineOptions};
use proptest::prelude::*;

fn config(change: impl FnOnce(&mut OnlineOptions)) -> OnlineConfig {
    let mut options = OnlineOptions::default();
    change(&mut options);
    OnlineConfig::try_from(options).unwrap()
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// ln Γ(x) by Stirling's series after shifting x up: another way than the one under test.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift -= x.ln();
        x += 1.0;
    }
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * x)
        - 1.0 / (360.0 * x.powi(3))
}

#[derive(Debug, Clone)]
struct Hypothesis {
    start: u64,
    weight: f64,
    kappa: f64,
    mean: f64,
    alpha: f64,
    beta: f64,
}

impl Hypothesis {
    fn density(&self, x: f64) -> f64 {
        let nu = 2.0 * self.alpha;
        let scale = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let t2 = (x - self.mean).powi(2) / scale;
        let log = ln_gamma((nu + 1.0) / 2.0)
            - ln_gamma(nu / 2.0)
            - 0.5 * (nu * std::f64::consts::PI * scale).ln()
            - (nu + 1.0) / 2.0 * (1.0 + t2 / nu).ln();
        log.exp()
    }

    fn begin(&mut self, x: f64) {
        self.mean = x;
        self.kappa += 1.0;
        self.alpha += 0.5;
    }

    fn learn(&mut self, x: f64, w: f64) {
        let away = x - self.mean;
        self.beta += w * self.kappa * away * away / (2.0 * (self.kappa + w));
        self.mean += w * away / (self.kappa + w);
        self.kappa += w;
        self.alpha += w / 2.0;
    }
}

/// Every run length kept, as the paper has it, with the contamination and the prior that the module documents.
struct Whole {
    runs: Vec<Hypothesis>,
    noise: f64,
    /// Mean, variance and number of everything.
    all: (f64, f64, f64),
    options: OnlineOptions,
}

impl Whole {
    fn push(&mut self, at: u64, x: f64) {
        let o = &self.options;
        let (mean, variance, n) = self.all;
        self.all = if n == 0.0 {
            (x, 1.0, 1.0)
        } else {
            let reach = (100.0 * variance.max(self.noise)).sqrt();
            let away = (x - mean).clamp(-reach, reach);
            let n = (n + 1.0).min(o.memory as f64);
            (mean + away / n, variance + (away * (away - away / n) - variance) / n, n)
        };
        let known = self.noise.max(self.all.1).max((1e-6 * x).powi(2));
        let (kappa, alpha) = (1.0 / (o.level_spread * o.level_spread), o.noise_weight / 2.0);
        let fresh = |mean: f64, noise: f64| Hypothesis {
            start: at,
            weight: 1.0,
            kappa,
            mean,
            alpha,
            beta: alpha * noise,
        };
        let Some(best) = self.runs.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)).cloned() else {
            let mut first = fresh(x, known);
            first.begin(x);
            self.runs.push(first);
            return;
        };
        let mut new = fresh(best.mean, known);
        let anywhere = new.density(x);
        for run in &mut self.runs {
            let usual = (1.0 - o.outliers) * (run.density(x) / anywhere).powf(o.information);
            run.weight *= (1.0 - 1.0 / o.expected_run) * (usual + o.outliers);
            run.learn(x, usual / (usual + o.outliers));
        }
        new.begin(x);
        new.weight = 1.0 / o.expected_run;
        self.runs.push(new);
        let total: f64 = self.runs.iter().map(|r| r.weight).sum();
        self.runs.iter_mut().for_each(|r| r.weight /= total);
        let gain = 1.0 / (o.memory as f64).min(best.kappa - kappa + 8.0);
        let squared = (x - best.mean).powi(2).min(9.0 * self.noise);
        self.noise += gain * (squared - self.noise);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// What pruning and four-byte numbers leave out is little.
    #[test]
    fn the_posterior_is_that_of_all_run_lengths(seed in 0..10_000_u64, jump in 2.0..8.0_f64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let config = config(|o| (o.warm_up, o.run_lengths) = (8, 300));
        let mut changes = OnlineChangePoints::new(config);
        let values: Vec<f64> = (0..250).map(|i| normal(&mut rng) + if i >= 150 { jump } else { 0.0 }).collect();
        let mut sorted = values[..8].to_vec();
        sorted.sort_by(f64::total_cmp);
        let center = (sorted[3] + sorted[4]) / 2.0;
        let mut away: Vec<f64> = sorted.iter().map(|v| (v - center).abs()).collect();
        away.sort_by(f64::total_cmp);
        let scale = 1.482_602_218_505_602 * (away[3] + away[4]) / 2.0;
        let mut whole = Whole { runs: Vec::new(), noise: 1.0, all: (0.0, 0.0, 0.0), options: *config.options() };
        for (at, value) in values.iter().enumerate() {
            changes.push(*value);
            whole.push(at as u64, (value - center) / scale);
            if at < 8 {
                continue;
            }
            let known: std::collections::BTreeMap<u64, f64> = changes.beginnings().collect();
            let apart: f64 = whole.runs.iter()
                .map(|run| (run.weight - known.get(&run.start).copied().unwrap_or(0.0)).abs()).sum();
            prop_assert!(apart < 0.02, "{at}: {apart}");
        }
    }

    #[test]
    fn nothing_is_told_of_what_keeps_its_level(seed in 0..10_000_u64, offset in -1e6..1e6_f64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut changes = OnlineChangePoints::new(OnlineConfig::default());
        // Stray values among them, as many as ε says.
        let told: Vec<_> = (0..2000_u32)
            .filter_map(|i| changes.push(offset + normal(&mut rng) + if i % 101 == 100 { 40.0 } else { 0.0 }))
            .collect();
        prop_assert!(told.len() <= 1, "{told:?}");
    }
}

#[test]
fn changes_are_told_once_with_onset_levels_and_confidence() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut changes = OnlineChangePoints::new(OnlineConfig::default());
    let level = |i: u64| match i {
        0..400 => 100.0,
        400..900 => 108.0,
        _ => 95.0,
    };
    let told: Vec<_> = (0..1500).filter_map(|i| changes.push(level(i) + 1.5 * normal(&mut rng))).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (change, (onset, before, after)) in told.iter().zip([(400, 100.0, 108.0), (900, 108.0, 95.0)]) {
        assert!(change.onset.abs_diff(onset) <= 2 && change.told <= onset + 15, "{change:?}");
        assert!((change.before - before).abs() < 0.5 && (change.after - after).abs() < 2.0, "{change:?}");
        assert!((0.9..=1.0).contains(&change.confidence) && (0.5..4.0).contains(&change.noise), "{change:?}");
    }
}

#[test]
fn a_spike_is_no_change_however_high() {
    for height in [10.0, 1e3, 1e9, 1e200] {
        let mut rng = fastrand::Rng::with_seed(6);
        let mut changes = OnlineChangePoints::new(OnlineConfig::default());
        let told = (0..600_u32)
            .filter_map(|i| changes.push(normal(&mut rng) + if i == 300 { height } else { 0.0 }))
            .count();
        assert_eq!(told, 0, "{height}");
        // And it has not spoilt what is known: a change afterwards is still told where it is.
        let told: Vec<_> = (0..60).filter_map(|_| changes.push(8.0 + normal(&mut rng))).collect();
        assert_eq!(told.len(), 1, "{height}");
        assert!(told[0].onset.abs_diff(600) <= 2 && (told[0].before).abs() < 0.5, "{told:?}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut changes = OnlineChangePoints::new(config(|o| o.run_lengths = 16));
    let mut most = 0;
    for i in 0..50_000_u32 {
        changes.push(f64::from(i / 97 % 5) * 6.0 + normal(&mut rng));
        most = most.max(changes.beginnings().count());
    }
    assert!((2..=16).contains(&most), "{most}");
    let total: f64 = changes.beginnings().map(|(_, weight)| weight).sum();
    assert!((total - 1.0).abs() < 1e-2, "{total}");
    assert!(changes.beginnings().is_sorted_by_key(|(start, _)| start));
    assert!(serde_json::to_string(&changes).unwrap().len() < 4000);
}

#[test]
fn bad_input_says_nothing() {
    let mut changes = OnlineChangePoints::new(OnlineConfig::default());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().cycle().take(100) {
        assert_eq!(changes.push(value), None);
    }
    assert_eq!((changes.seen(), changes.beginnings().count()), (100, 0));
    // Constant, until it is not; onsets count the samples that said nothing.
    assert!((0..500).all(|_| changes.push(3.0).is_none()));
    let told: Vec<_> = (0..40).filter_map(|_| changes.push(4.0)).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].onset, told[0].before.round(), told[0].after.round()), (600, 3.0, 4.0));
    let mut extreme = OnlineChangePoints::new(OnlineConfig::default());
    for i in 0..200 {
        let value = [f64::MAX, f64::MIN, 0.0, f64::MIN_POSITIVE][i % 4];
        if let Some(change) = extreme.push(value) {
            assert!(change.noise > 0.0 && !change.before.is_nan() && !change.after.is_nan());
        }
    }
}

#[test]
fn a_stored_state_goes_on_bit_for_bit() {
    let mut rng = fastrand::Rng::with_seed(8);
    for at in [3, 29, 30, 250] {
        let mut changes = OnlineChangePoints::new(OnlineConfig::default());
        let mut value = |i: u32| normal(&mut rng) + if i >= 200 { 5.0 } else { 0.0 };
        (0..at).for_each(|i| {
            changes.push(value(i));
        });
        let stored = serde_json::to_string(&changes).unwrap();
        let mut back: OnlineChangePoints = serde_json::from_str(&stored).unwrap();
        assert_eq!(back, changes);
        for i in at..400 {
            let value = value(i);
            assert_eq!(back.push(value), changes.push(value));
        }
        assert_eq!(back, changes);
        for (what, damage) in [("\"version\":1", "\"version\":2"), ("\"scale\":", "\"scale\":-")] {
            assert!(stored.contains(what));
            let damaged = stored.replace(what, damage);
            assert!(serde_json::from_str::<OnlineChangePoints>(&damaged).is_err(), "{damage}");
        }
    }
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut OnlineOptions)| {
        let mut options = OnlineOptions::default();
        change(&mut options);
        OnlineConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.expected_run = 1.0), "expected_run");
    assert_eq!(field(|o| o.outliers = 0.5), "outliers");
    assert_eq!(field(|o| o.information = f64::NAN), "information");
    assert_eq!(field(|o| o.level_spread = 0.0), "level_spread");
    assert_eq!(field(|o| o.noise_weight = 0.0), "noise_weight");
    assert_eq!(field(|o| o.memory = 1), "memory");
    assert_eq!(field(|o| o.run_lengths = 3), "run_lengths");
    assert_eq!(field(|o| o.prune = 0.5), "prune");
    assert_eq!(field(|o| o.warm_up = 1), "warm_up");
    assert_eq!(field(|o| o.confidence = 1.0), "confidence");
    assert_eq!(field(|o| o.persist = 0), "persist");
    assert_eq!(field(|o| o.least_sigma = -1.0), "least_sigma");
}
