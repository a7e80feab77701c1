//! Forecasts: what they say of series whose future is known.

use std::time::Duration;

use aiops_core::model::Direction;
use aiops_detect::FitError;
use aiops_detect::forecast::{ForecastConfig, ForecastOptions, SeasonalForecast};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

const STEP: Duration = Duration::from_secs(900);
const DAY: u32 = 96;

fn at(i: u32) -> Timestamp {
    Timestamp::from_second(1_700_006_400).unwrap() + STEP * i
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn config(change: impl FnOnce(&mut ForecastOptions)) -> ForecastConfig {
    let mut options = ForecastOptions::default();
    change(&mut options);
    ForecastConfig::try_from(options).unwrap()
}

fn wave(i: u32) -> f64 {
    100.0 + 30.0 * (f64::from(i % DAY) * std::f64::consts::TAU / f64::from(DAY)).sin()
}

#[test]
fn a_season_is_learned_and_a_level_without_one_is_not_bent() {
    let mut rng = fastrand::Rng::with_seed(1);
    let seasonal = SeasonalForecast::fit(
        (0..14 * DAY).map(|i| (at(i), wave(i) + normal(&mut rng))),
        &ForecastConfig::default(),
    )
    .unwrap();
    assert!(seasonal.uses_season());
    for steps in [1, 20, 48, 96] {
        let p = seasonal.predict(steps);
        let truth = wave(14 * DAY - 1 + steps as u32);
        assert!(
            (p.point - truth).abs() < 3.0 && p.lower < truth && truth < p.upper,
            "{steps}: {p:?} {truth}"
        );
        assert!(p.upper - p.lower < 15.0, "{p:?}");
        assert_eq!(p.at, at(14 * DAY - 1 + steps as u32));
        assert_eq!(seasonal.predict_at(p.at), Some(p));
    }
    let level = SeasonalForecast::fit(
        (0..14 * DAY).map(|i| (at(i), 50.0 + normal(&mut rng))),
        &ForecastConfig::default(),
    )
    .unwrap();
    let p = level.predict(90);
    assert!((p.point - 50.0).abs() < 1.0 && (2.5..7.0).contains(&(p.upper - p.lower)), "{p:?}");
}

/// Of what comes, as many values lie inside as the configuration says; noise of a kind that no normal interval fits, too.
#[test]
fn intervals_hold_what_they_promise() {
    for (coverage, skewed) in [(0.9, false), (0.9, true), (0.99, false)] {
        let (mut inside, mut all) = (0, 0);
        for seed in 0..4 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut noise = || if skewed { -3.0 * (1.0 - rng.f64()).ln() } else { 2.0 * normal(&mut rng) };
            let values: Vec<f64> = (0..40 * DAY).map(|i| wave(i) + noise()).collect();
            let past = values.iter().take(20 * DAY as usize);
            let config = config(|o| o.coverage = coverage);
            let mut forecast = SeasonalForecast::fit((0..).map(at).zip(past.copied()), &config).unwrap();
            for i in 20 * DAY..40 * DAY {
                if i % 7 == 0 {
                    for steps in [1, 16, 96] {
                        let there = i + steps - 1;
                        let Some(value) = values.get(there as usize) else { continue };
                        let p = forecast.predict(steps as usize);
                        inside += u32::from((p.lower..=p.upper).contains(value));
                        all += 1;
                    }
                }
                forecast.push(at(i), values[i as usize]).unwrap();
            }
        }
        let share = f64::from(inside) / f64::from(all);
        assert!((share - coverage).abs() < 0.02, "{coverage} {skewed}: {share}");
    }
}

#[test]
fn outliers_move_nothing() {
    let mut rng = fastrand::Rng::with_seed(3);
    let values: Vec<f64> = (0..15 * DAY).map(|i| wave(i) + normal(&mut rng)).collect();
    let mut spoilt = values.clone();
    (0..15 * DAY as usize).step_by(37).for_each(|i| spoilt[i] = 1e6);
    let fit = |values: &[f64]| {
        SeasonalForecast::fit((0..).map(at).zip(values.iter().copied()), &ForecastConfig::default()).unwrap()
    };
    let (clean, spoilt) = (fit(&values), fit(&spoilt));
    for steps in [1, 30, 96] {
        let (a, b) = (clean.predict(steps).point, spoilt.predict(steps).point);
        assert!((a - b).abs() < 4.0, "{steps}: {a} {b}");
    }
}

#[test]
fn the_time_to_a_limit_is_told_with_its_uncertainty() {
    let mut rng = fastrand::Rng::with_seed(4);
    // 4.8 a day, from 10.
    let fill = |i: u32| 10.0 + 0.05 * f64::from(i);
    let samples: Vec<_> = (0..10 * DAY).map(|i| (at(i), fill(i) + 0.2 * normal(&mut rng))).collect();
    let forecast = SeasonalForecast::fit(samples, &ForecastConfig::default()).unwrap();
    let week = Duration::from_secs(7 * 86_400);
    let now = fill(10 * DAY - 1);
    let crossing = forecast.time_to(now + 9.6, Direction::Up, week);
    let (expected, earliest, latest) =
        (crossing.expected.unwrap(), crossing.earliest.unwrap(), crossing.latest.unwrap());
    let days = expected.as_secs_f64() / 86_400.0;
    assert!((days - 2.0).abs() < 0.2, "{days}");
    assert!(earliest < expected && expected < latest && crossing.probability > 0.95, "{crossing:?}");
    // What lies farther than it is looked for, and what lies behind.
    let far = forecast.time_to(now + 100.0, Direction::Up, week);
    assert_eq!((far.expected, far.latest), (None, None));
    assert!(far.probability < 0.05, "{far:?}");
    let away = forecast.time_to(now - 20.0, Direction::Down, week);
    assert_eq!(away.expected, None);
    assert_eq!(forecast.time_to(now - 5.0, Direction::Up, week).expected, Some(STEP), "it is there already");
}

/// Nine o'clock stays nine o'clock when the clock changes.
#[test]
fn the_season_follows_the_clock_of_its_zone() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let first = date(2024, 3, 10).at(0, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
    let busy = |at: Timestamp| (9..17).contains(&zone.to_datetime(at).hour());
    let value = |at: Timestamp| if busy(at) { 100.0 } else { 10.0 };
    let samples: Vec<_> = (0..21 * DAY).map(|i| first + STEP * i).map(|at| (at, value(at))).collect();
    // 31 March 2024: 2:00 became 3:00, on the 21st day after 20 whole ones; forecast from its midnight.
    let learned = |name: &str| {
        let config = config(|o| o.time_zone = name.into());
        SeasonalForecast::fit(samples.iter().take(21 * DAY as usize).copied(), &config).unwrap()
    };
    let wrong = |forecast: &SeasonalForecast| {
        let day = (8 * 4..=17 * 4).map(|steps| forecast.predict(steps));
        day.filter(|p| (p.point - value(p.at)).abs() > 60.0).count()
    };
    assert_eq!(wrong(&learned("Europe/Berlin")), 0);
    assert!(wrong(&learned("UTC")) >= 6);
}

#[test]
fn gaps_jumps_and_bad_samples_are_defined() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut forecast = SeasonalForecast::fit(
        (0..10 * DAY).map(|i| (at(i), wave(i) + normal(&mut rng))),
        &ForecastConfig::default(),
    )
    .unwrap();
    let before = forecast.clone();
    for (when, value) in [(10 * DAY, f64::NAN), (10 * DAY, f64::INFINITY), (10 * DAY - 1, 1.0), (0, 1.0)] {
        assert!(forecast.push(at(when), value).is_err());
    }
    assert_eq!((forecast.rejected(), &forecast), (4, &before));
    assert!(forecast.push(at(10 * DAY - 1) + STEP / 4, 1.0).is_err(), "nearer than half a step");
    // Half a day is missing, then it goes on.
    forecast.push(at(10 * DAY + 48), wave(10 * DAY + 48)).unwrap();
    assert_eq!(forecast.last(), at(10 * DAY + 48));
    assert!((forecast.predict(10).point - wave(10 * DAY + 58)).abs() < 5.0);
    // A jump of the clock by thirty years keeps the level, and takes no time.
    let later = at(10 * DAY + 49) + Duration::from_secs(30 * 365 * 86_400);
    forecast.push(later, 100.0).unwrap();
    assert!((50.0..150.0).contains(&forecast.predict(1).point));
    assert!(forecast.predict_at(at(0)).is_none());

    let fit = |samples: Vec<(Timestamp, f64)>| SeasonalForecast::fit(samples, &ForecastConfig::default());
    assert_eq!(fit(vec![]).unwrap_err(), FitError::TooFew { usable: 0, needed: 64 });
    let nan: Vec<_> = (0..200).map(|i| (at(i), f64::NAN)).collect();
    assert_eq!(fit(nan).unwrap_err(), FitError::TooFew { usable: 0, needed: 64 });
    assert!(fit(vec![(at(0), 1.0); 200]).is_err(), "one instant only");
    let mut jumped: Vec<_> = (0..100).map(|i| (at(i), 1.0)).collect();
    jumped.push((Timestamp::MAX, 1.0));
    assert!(fit(jumped).is_err(), "hardly anything but a gap");
    // A constant series is forecast as such, and any order is good.
    let mut constant: Vec<_> = (0..10 * DAY).map(|i| (at(i), 7.0)).collect();
    constant.reverse();
    let p = fit(constant).unwrap().predict(50);
    assert!(
        (p.point - 7.0).abs() < 1e-9 && (p.lower - 7.0).abs() < 1e-6 && (p.upper - 7.0).abs() < 1e-6,
        "{p:?}"
    );
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut ForecastOptions)| {
        let mut options = ForecastOptions::default();
        change(&mut options);
        ForecastConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.season = Duration::ZERO), "season");
    assert_eq!(field(|o| o.horizon = Duration::MAX), "horizon");
    assert_eq!(field(|o| o.cells = 1), "cells");
    assert_eq!(field(|o| o.coverage = 1.0), "coverage");
    assert_eq!(field(|o| o.adapt = f64::NAN), "adapt");
    assert_eq!(field(|o| o.errors = 1), "errors");
    assert_eq!(field(|o| o.clip = 0.0), "clip");
    assert_eq!(field(|o| o.min_samples = 1), "min_samples");
    assert_eq!(field(|o| o.critical = 0.5), "critical");
    assert_eq!(field(|o| o.recent_share = 0.9), "recent_share");
}
