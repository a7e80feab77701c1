//! The multivariate model by itself, and the daily profile.

use std::time::Duration;

use aiops_detect::group::RowModel;
use aiops_detect::multivariate::{DailyProfile, MultivariateConfig, MultivariateModel, MultivariateOptions};
use aiops_detect::{FitError, Rows};
use jiff::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// Two metrics that follow one load closely, and one by itself.
fn related(rows: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..rows)
        .flat_map(|_| {
            let load = normal(&mut rng);
            [load + 0.05 * normal(&mut rng), 2.0 * load + 0.05 * normal(&mut rng), normal(&mut rng)]
        })
        .collect()
}

fn learned() -> MultivariateModel {
    let rows = related(2000, 1);
    MultivariateModel::learn(Rows::new(&rows, 3).unwrap(), &MultivariateConfig::default()).unwrap()
}

/// SCN-04 in small: each metric stays well within its bounds, their relation does not.
#[test]
fn a_broken_relation_is_seen_though_each_metric_is_within_bounds() {
    let model = learned();
    let mut rows = related(100, 2);
    for row in rows.chunks_exact_mut(3).skip(60) {
        row[1] = -row[1].clamp(-3.0, 3.0);
    }
    let judged = model.judge(Rows::new(&rows, 3).unwrap()).unwrap();
    assert!(judged[..60].iter().all(|h| *h < 1.0), "{judged:?}");
    assert!(judged[66..].iter().filter(|h| **h > 1.0).count() > 30, "{judged:?}");
    let shares = model.contributions(Rows::new(&rows, 3).unwrap(), &[0.0; 3]).unwrap();
    assert!(shares[0] > 5.0 * shares[2] && shares[1] > 5.0 * shares[2], "{shares:?}");
}

#[test]
fn rows_are_judged_by_what_was_before_them_only() {
    let model = learned();
    let rows = related(50, 3);
    let whole = model.judge(Rows::new(&rows, 3).unwrap()).unwrap();
    for upto in 1..50 {
        let part = model.judge(Rows::new(&rows[..3 * upto], 3).unwrap()).unwrap();
        assert_eq!(part, whole[..upto]);
    }
}

#[test]
fn columns_that_never_vary_and_numbers_that_are_none() {
    let config = MultivariateConfig::default();
    let mut rows = related(500, 4);
    rows.chunks_exact_mut(3).for_each(|row| row[2] = 7.0);
    rows[3] = f64::NAN;
    rows[7] = f64::INFINITY;
    let model = MultivariateModel::learn(Rows::new(&rows, 3).unwrap(), &config).unwrap();
    let judged =
        model.judge(Rows::new(&[0.0, 0.0, 7.0, f64::NAN, 0.0, 7.0, 0.0, 0.0, 9.0], 3).unwrap()).unwrap();
    assert!(judged[0] < 1.0 && judged[1].is_nan() && judged[2] > 1.0, "{judged:?}");
    let one = MultivariateModel::learn(Rows::new(&related(100, 1), 1).unwrap(), &config).unwrap();
    assert!(one.judge(Rows::new(&[0.0, 1e300], 1).unwrap()).unwrap()[1] > 1.0);
    let few = MultivariateModel::learn(Rows::new(&rows[9..30], 3).unwrap(), &config);
    assert_eq!(few.unwrap_err(), FitError::TooFew { usable: 7, needed: 16 });
    assert_eq!(
        model.judge(Rows::new(&[1.0], 1).unwrap()).unwrap_err(),
        FitError::Columns { actual: 1, expected: 3 }
    );
}

#[test]
fn options_are_checked() {
    let field = |change: fn(&mut MultivariateOptions)| {
        let mut options = MultivariateOptions::default();
        change(&mut options);
        MultivariateConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.smooth = 0), "smooth");
    assert_eq!(field(|o| o.explained = 0.0), "explained");
    assert_eq!(field(|o| o.floor = f64::NAN), "floor");
    assert_eq!(field(|o| o.quantile = 1.5), "quantile");
    assert_eq!(field(|o| o.margin = 0.9), "margin");
}

#[test]
fn a_daily_profile_takes_the_time_of_day_out() {
    let mut rng = fastrand::Rng::with_seed(1);
    let usual = |hour: usize| if (8..20).contains(&(hour % 24)) { 100.0 } else { 20.0 };
    let values: Vec<f64> = (0..24 * 10).map(|hour| usual(hour) + normal(&mut rng)).collect();
    let start = Timestamp::from_second(1_700_006_400).unwrap(); // 00:00 UTC
    let rows = Rows::new(&values, 1).unwrap();
    let profile = DailyProfile::learn(rows, start, HOUR).unwrap();
    let rest = profile.residuals(rows, start, HOUR).unwrap();
    // Around the two steps the neighbours are mixed in.
    let inner = |hour: usize| ![7, 8, 19, 20].contains(&(hour % 24));
    assert!(rest.iter().enumerate().all(|(hour, r)| !inner(hour) || r.abs() < 25.0));
    let deep = rest.iter().skip(12).step_by(24);
    assert!(deep.clone().all(|r| r.abs() < 35.0) && deep.count() == 10);
    // The phase is that of the clock, not of the first row.
    let later = start + HOUR * 36;
    let moved = profile.residuals(Rows::new(&values[36..], 1).unwrap(), later, HOUR).unwrap();
    assert_eq!(moved, rest[36..]);
    let two_days = Rows::new(&values[..48], 1).unwrap();
    assert_eq!(
        DailyProfile::learn(two_days, start, HOUR).unwrap_err(),
        FitError::TooFew { usable: 48, needed: 72 }
    );
    let stored = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<DailyProfile>(&stored).unwrap(), profile);
}
