//! The streaming engine: against the algorithms it packs, its bounds, its clock, its stored form.

use std::time::Duration;

use aiops_compact::rolling::{RollingConfig, RollingSigma};
use aiops_detect::baseline::{BaselineConfig, BaselineOptions, ContextualBaseline, Watch};
use aiops_detect::engine::{
    EngineConfig, EngineOptions, EngineSnapshot, RESYNC, Refused, StreamEngine, WINDOW,
};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

const STEP: Duration = Duration::from_secs(300);
const DAY: u32 = 288;

fn at(i: u32) -> Timestamp {
    Timestamp::from_second(1_700_006_400).unwrap() + STEP * i
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn load(i: u32, rng: &mut fastrand::Rng) -> f64 {
    100.0 + if (108..204).contains(&(i % DAY)) { 60.0 } else { 0.0 } + normal(rng)
}

fn config(change: impl FnOnce(&mut EngineOptions)) -> EngineConfig {
    let mut options = EngineOptions::default();
    change(&mut options);
    EngineConfig::try_from(options).unwrap()
}

fn engine() -> StreamEngine<u32> {
    StreamEngine::new(EngineConfig::default())
}

/// Severities, events and alarms are those of the contextual baseline, σ within the precision of packed cells: over cold start,
/// outliers, gaps, a lasting shift that is adopted, and changes of the clock.
#[test]
fn what_is_usual_is_what_the_baseline_says() {
    for (seed, zone, offset) in [(1, "UTC", 0.0), (2, "Europe/Berlin", 1e6), (3, "America/Sao_Paulo", -500.0)]
    {
        let baseline = BaselineOptions { time_zone: zone.into(), ..Default::default() };
        let baseline = BaselineConfig::try_from(baseline).unwrap();
        let contextual = ContextualBaseline::new(baseline.clone());
        let (mut usual, mut watch) = (contextual.empty(), Watch::default());
        let mut engine = StreamEngine::new(config(|o| o.baseline = baseline));
        let slot = engine.register(0).unwrap();
        let mut rng = fastrand::Rng::with_seed(seed);
        let first = date(2024, 3, 1).at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let (mut alarms, mut judged, mut apart) = (0, 0, 0.0_f64);
        for i in 0..60 * DAY {
            if (20 * DAY..20 * DAY + 100).contains(&i) || rng.f64() < 0.01 {
                continue;
            }
            let shift = if i >= 40 * DAY { 30.0 } else { 0.0 };
            let spike = if rng.f64() < 0.002 { 80.0 } else { 0.0 };
            let (when, value) = (first + STEP * i, offset + load(i, &mut rng) + shift + spike);
            let expected = contextual.push(&mut usual, &mut watch, when, value).unwrap();
            let verdict = engine.push(slot, when, value).unwrap();
            assert_eq!(verdict.severity, expected.severity, "{zone} {i}: {verdict:?} {expected:?}");
            assert_eq!((verdict.in_event, verdict.alarm), (expected.in_event, expected.alarm), "{zone} {i}");
            if let (Some(a), Some(b)) = (verdict.sigma, expected.sigma) {
                apart = apart.max((a - b).abs() / b.abs().max(1.0));
                judged += 1;
            } else {
                assert_eq!((verdict.sigma, expected.sigma), (None, None));
            }
            alarms += u32::from(expected.alarm.is_some());
        }
        assert!(apart < 1e-3 && judged > 16_000 && alarms > 0, "{apart} {judged} {alarms}");
        assert_eq!(watch.rejected(), engine.rejected(slot));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// While nothing is cut, the window is that of the rolling statistic.
    #[test]
    fn the_window_is_that_of_the_rolling_statistic(
        values in prop::collection::vec(-100.0..100.0_f64, 1..200), offset in -1e9..1e9_f64,
    ) {
        let mut engine = StreamEngine::new(config(|o| (o.rolling_clip, o.rolling_floor) = (100.0, 0.0)));
        let slot = engine.register(1).unwrap();
        let rolling = RollingConfig::new(WINDOW).unwrap().with_warm_up(WINDOW / 2).unwrap();
        let mut rolling = RollingSigma::new(rolling);
        for (i, value) in (0..).zip(&values) {
            let value = offset + value;
            let expected = rolling.push(value).sigma();
            let found = engine.push(slot, at(i), value).unwrap().rolling;
            match (found, expected) {
                (Some(a), Some(b)) => prop_assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{a} {b}"),
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }

    /// Whatever is pushed in whatever order: no panic, finite state, and nothing is lost uncounted.
    #[test]
    fn any_stream_is_survived(
        samples in prop::collection::vec((0..4_u32, any::<i64>(), any::<f64>()), 0..300),
    ) {
        let mut engine = engine();
        let (mut taken, mut refused) = (0_u64, 0_u64);
        for (key, nanos, value) in &samples {
            let when = Timestamp::from_nanosecond(i128::from(*nanos)).unwrap();
            match engine.push_key(key, when, *value) {
                Ok(verdict) => {
                    taken += 1;
                    prop_assert!(verdict.sigma.is_none_or(f64::is_finite));
                    prop_assert!(verdict.rolling.is_none_or(f64::is_finite));
                }
                Err(_) => refused += 1,
            }
        }
        let counted: u64 = (0..4).filter_map(|k| engine.slot(&k)).map(|slot| engine.rejected(slot)).sum();
        prop_assert_eq!((taken + refused, counted), (samples.len() as u64, refused));
        let stored = serde_json::to_string(&engine.snapshot()).unwrap();
        let back: EngineSnapshot<u32> = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(back, engine.snapshot());
    }
}

#[test]
fn state_is_bounded_whatever_the_stream() {
    let mut engine = engine();
    let mut rng = fastrand::Rng::with_seed(4);
    engine.reserve(1000);
    let slots: Vec<_> = (0..1000).map(|key| engine.register(key).unwrap()).collect();
    let before = engine.state_bytes();
    assert!(before <= 2048 * 1000, "{before}");
    for i in 0..2000 {
        for slot in slots.iter().take(if i < 20 { 1000 } else { 10 }) {
            engine.push(*slot, at(i), load(i, &mut rng)).unwrap();
        }
    }
    assert_eq!(engine.state_bytes(), before);
}

#[test]
fn a_change_of_level_is_told_once_and_a_daily_wave_is_none() {
    let mut engine = engine();
    let slot = engine.register(7).unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    let mut changes = Vec::new();
    for i in 0..30 * DAY {
        // By four σ from the 25th day on.
        let shift = if i >= 25 * DAY { 4.0 } else { 0.0 };
        let verdict = engine.push(slot, at(i), load(i, &mut rng) + shift).unwrap();
        changes.extend(verdict.change.filter(|_| i >= 14 * DAY));
        if i >= 26 * DAY {
            break;
        }
    }
    assert_eq!(changes.len(), 1, "{changes:?}");
    let change = changes[0];
    assert!(change.onset >= at(25 * DAY - 3) && change.onset <= at(25 * DAY + 6), "{change:?}");
    assert!(
        change.confidence > 0.99 && change.before.abs() < 0.5 && (2.0..5.0).contains(&change.after),
        "{change:?}"
    );
}

#[test]
fn an_event_is_not_learned_until_it_is_the_new_normal() {
    let mut engine = engine();
    let slot = engine.register(7).unwrap();
    let mut rng = fastrand::Rng::with_seed(6);
    for i in 0..20 * DAY {
        engine.push(slot, at(i), load(i, &mut rng)).unwrap();
    }
    let mut alarms = 0;
    let mut first = None;
    let mut sigmas = Vec::new();
    for i in 20 * DAY..40 * DAY {
        let verdict = engine.push(slot, at(i), 200.0 + load(i, &mut rng)).unwrap();
        alarms += u32::from(verdict.alarm.is_some());
        first = first.or(verdict.alarm.map(|a| a.onset));
        // Three days long it is as far from what was usual as at first.
        if i < 20 * DAY + 12 {
            assert!(verdict.baseline.unwrap().center < 180.0);
        }
        if i == 22 * DAY {
            assert!(verdict.baseline.unwrap().center < 110.0, "{verdict:?}");
        }
        sigmas.push(verdict.sigma.unwrap().abs());
    }
    // A sample before it may have deviated by chance.
    assert!(first.is_some_and(|at_| (at(20 * DAY - 4)..=at(20 * DAY)).contains(&at_)), "{first:?}");
    // As the baseline does: less than one a day while the day is adopted cell by cell.
    assert!(alarms <= 20, "{alarms}");
    assert!(sigmas[sigmas.len() - DAY as usize..].iter().filter(|s| **s > 4.0).count() < 12);
    // The window before it is cut, and follows all the same.
    let verdict = engine.push(slot, at(40 * DAY), 300.0).unwrap();
    assert!(verdict.rolling.unwrap().abs() < 8.0, "{verdict:?}");
}

#[test]
fn late_samples_gaps_and_jumps_of_the_clock_are_defined() {
    let mut engine = engine();
    let slot = engine.register(7).unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for i in 0..100 {
        engine.push(slot, at(i), load(i, &mut rng)).unwrap();
    }
    for (when, value, reason) in [
        (at(99), 1.0, Refused::NotLater),
        (at(98), 1.0, Refused::NotLater),
        (at(200), f64::NAN, Refused::OutOfRange),
        (at(200), f64::INFINITY, Refused::OutOfRange),
        (at(200), 1e31, Refused::OutOfRange),
    ] {
        assert_eq!(engine.push(slot, when, value), Err(reason));
    }
    assert_eq!((engine.rejected(slot), engine.last(slot)), (5, Some(at(99))));
    assert!(engine.push(slot, at(100), 100.0).unwrap().rolling.is_some());
    // After a long gap nothing is "right before"; what is usual stays.
    let after = engine.push(slot, at(200), 100.0).unwrap();
    assert!(after.rolling.is_none() && after.sigma.is_some());
    // One wrong time, thirty years ahead, does not silence the series for ever.
    let wrong = at(201) + Duration::from_secs(30 * 365 * 86_400);
    engine.push(slot, wrong, 100.0).unwrap();
    let results: Vec<bool> = (201..215).map(|i| engine.push(slot, at(i), 100.0).is_ok()).collect();
    assert_eq!(results.iter().filter(|ok| !**ok).count(), usize::from(RESYNC) - 1);
    assert!(results[usize::from(RESYNC) - 1..].iter().all(|ok| *ok), "{results:?}");
    assert_eq!(engine.last(slot), Some(at(214)));
    // Late samples that are not in order among themselves never set it back.
    for i in [10, 9, 10, 9, 10, 9, 10, 9, 10, 9, 10, 9] {
        assert!(engine.push(slot, at(i), 100.0).is_err());
    }
    assert_eq!(engine.last(slot), Some(at(214)));
    for extreme in [Timestamp::MAX, Timestamp::MIN] {
        let _ = engine.push(slot, extreme, 100.0);
    }
}

#[test]
fn series_come_and_go_within_the_bound() {
    let mut engine = StreamEngine::new(config(|o| o.max_series = 3));
    let slots: Vec<_> = ["a", "b", "c"].into_iter().map(|key| engine.register(key).unwrap()).collect();
    assert_eq!(engine.register("a"), Ok(slots[0]), "it is there");
    assert_eq!(engine.register("d"), Err(Refused::Full { max_series: 3 }));
    assert_eq!(engine.push_key(&"d", at(0), 1.0), Err(Refused::Full { max_series: 3 }));
    for i in 0..50 {
        engine.push(slots[0], at(i), 5.0).unwrap();
    }
    engine.push(slots[1], at(8 * DAY), 5.0).unwrap();
    // "a" is silent for more than a week, "c" never said anything.
    assert_eq!(engine.expire(at(8 * DAY)), ["a", "c"]);
    assert_eq!((engine.len(), engine.slot(&"a"), engine.slot(&"b")), (1, None, Some(slots[1])));
    assert_eq!(engine.push(slots[0], at(60), 5.0), Err(Refused::Unknown));
    assert_eq!(engine.last(slots[0]), None);
    // Its place is another's now, who knows nothing of it, and whose slot is another one.
    let (d, e) = (engine.register("d").unwrap(), engine.register("e").unwrap());
    assert!([d, e].iter().all(|slot| !slots.contains(slot)));
    assert_eq!(engine.push(slots[0], at(60), 5.0), Err(Refused::Unknown));
    let fresh = engine.push(d, at(0), 5.0).unwrap();
    assert_eq!((fresh.sigma, fresh.rolling, fresh.change), (None, None, None));
    assert!(engine.remove(&"e") && !engine.remove(&"e"));
    assert_eq!(engine.keys().map(|(key, _)| *key).collect::<Vec<_>>(), ["b", "d"]);
}

#[test]
fn constant_series_are_usual_until_they_change() {
    let mut engine = engine();
    for (key, level) in [(0, 0.0), (1, 7.0), (2, -1e29)] {
        let slot = engine.register(key).unwrap();
        for i in 0..20 * DAY {
            let verdict = engine.push(slot, at(i), level).unwrap();
            assert_eq!((verdict.severity, verdict.change), (None, None), "{level} {i}");
        }
        let changed = (20 * DAY..20 * DAY + 20).map(|i| engine.push(slot, at(i), level * 2.0 + 5.0).unwrap());
        let verdicts: Vec<_> = changed.collect();
        assert_eq!(verdicts.iter().filter(|v| v.alarm.is_some()).count(), 1, "{level}");
        assert_eq!(verdicts.iter().filter(|v| v.change.is_some()).count(), 1, "{level}");
    }
}

#[test]
fn a_restored_engine_goes_on_bit_for_bit() {
    let mut engine = StreamEngine::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(8);
    let push = |engine: &mut StreamEngine<String>, from: u32, to: u32, seed: u64| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut said = Vec::new();
        for i in from..to {
            for key in ["a", "b", "c"] {
                let value = load(i, &mut rng) + if i % 1000 > 990 { 40.0 } else { 0.0 };
                said.push(engine.push_key(&key.to_owned(), at(i), value));
            }
        }
        said
    };
    push(&mut engine, 0, 16 * DAY, rng.u64(..));
    engine.remove(&"b".to_owned());
    let stored = serde_json::to_string(&engine.snapshot()).unwrap();
    let snapshot: EngineSnapshot<String> = serde_json::from_str(&stored).unwrap();
    assert_eq!(snapshot, engine.snapshot());
    assert_eq!(serde_json::to_string(&snapshot).unwrap(), stored);
    let mut back = snapshot.restore().unwrap();
    let digest = |engine: &StreamEngine<String>| engine.snapshot().digest().unwrap();
    assert_eq!(digest(&back), digest(&engine));
    assert_eq!(push(&mut back, 16 * DAY, 18 * DAY, 9), push(&mut engine, 16 * DAY, 18 * DAY, 9));
    assert_eq!(digest(&back), digest(&engine));
    assert_ne!(digest(&back), snapshot.digest().unwrap());

    let refused = |damaged: &str| {
        assert_ne!(damaged, stored);
        assert!(serde_json::from_str::<EngineSnapshot<String>>(damaged).is_err());
    };
    refused(&stored.replace("\"version\":1", "\"version\":2"));
    refused(&stored.replacen("\"days\":16", "\"days\":17", 1));
    refused(&stored.replace("\"key\":\"a\"", "\"key\":\"z\""));
    refused(&stored.replace("\"cell_minutes\":15", "\"cell_minutes\":30"));
    refused(&stored[..stored.len() / 2]);
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut EngineOptions)| {
        let mut options = EngineOptions::default();
        change(&mut options);
        EngineConfig::try_from(options).unwrap_err().field()
    };
    let baseline = |change: fn(&mut BaselineOptions)| {
        let mut options = BaselineOptions::default();
        change(&mut options);
        let baseline = BaselineConfig::try_from(options).unwrap();
        EngineConfig::try_from(EngineOptions { baseline, ..Default::default() }).unwrap_err().field()
    };
    assert_eq!(baseline(|o| o.cell_minutes = 5), "baseline.cell_minutes");
    assert_eq!(baseline(|o| o.weekday_gain = 0.5), "baseline.weekday_gain");
    assert_eq!(baseline(|o| o.holidays = vec![date(2024, 1, 1)]), "baseline.weekday_gain");
    assert_eq!(field(|o| o.changes = Default::default()), "changes.run_lengths");
    assert_eq!(field(|o| o.rolling_warm_up = 1), "rolling_warm_up");
    assert_eq!(field(|o| o.rolling_floor = f64::NAN), "rolling_floor");
    assert_eq!(field(|o| o.rolling_clip = 0.0), "rolling_clip");
    assert_eq!(field(|o| o.forget_after = Duration::ZERO), "forget_after");
    assert_eq!(field(|o| o.expire_after = Duration::MAX), "expire_after");
    assert_eq!(field(|o| o.max_series = 0), "max_series");
    let stored = serde_json::to_string(&EngineConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<EngineConfig>(&stored).unwrap(), EngineConfig::default());
}
