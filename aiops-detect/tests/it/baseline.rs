//! The contextual baseline: its noise, its clock, what it learns, and its seam.

use std::time::Duration;

use aiops_core::model::calendar::{Day, Every, Once, When};
use aiops_core::model::{
    Calendar, CalendarEvent, CalendarFile, EntityId, EventKind, MetricKind, MetricSeries, SeriesKey,
    Severity, TelemetryWindow, TimeAxis, TimeRange,
};
use aiops_core::seam::{Detector, Fit};
use aiops_core::{Context, ErrorKind};
use aiops_detect::baseline::{BaselineConfig, BaselineOptions, During, Rejected, Watch};
use aiops_detect::{BaselineDetector, BaselineFit, ContextualBaseline, FitError, FittedBaselines};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use jiff::civil::{date, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const STEP: Duration = Duration::from_secs(300);
const DAY: u32 = 288;

fn start() -> Timestamp {
    // A Monday.
    "2024-01-01T00:00:00Z".parse().unwrap()
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn at(i: u32) -> Timestamp {
    start() + STEP * i
}

/// A day's load around 100, busy from 8:00 to 16:00, with noise of σ 2.
fn load(i: u32, rng: &mut fastrand::Rng) -> f64 {
    100.0 + if (96..192).contains(&(i % DAY)) { 60.0 } else { 0.0 } + 2.0 * normal(rng)
}

fn history(days: u32, rng: &mut fastrand::Rng) -> Vec<(Timestamp, f64)> {
    (0..days * DAY).map(|i| (at(i), load(i, rng))).collect()
}

fn config(change: impl FnOnce(&mut BaselineOptions)) -> BaselineConfig {
    let mut options = BaselineOptions::default();
    change(&mut options);
    BaselineConfig::try_from(options).unwrap()
}

#[test]
fn noise_is_beyond_the_warning_as_often_as_it_should_be() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(5);
    // Without a jump in the day: where cells share samples across one, their scale is wider on purpose.
    let flat = |i: u32, rng: &mut fastrand::Rng| (at(i), 100.0 + 2.0 * normal(rng));
    let usual = contextual.fit((0..60 * DAY).map(|i| flat(i, &mut rng))).unwrap();
    let mut watch = Watch::default();
    let (mut warned, mut critical) = (0, 0);
    let judged = 200 * DAY;
    for i in 60 * DAY..60 * DAY + judged {
        let (at, value) = flat(i, &mut rng);
        match contextual.judge(&usual, &mut watch, at, value).unwrap().severity {
            Some(Severity::Warning) => warned += 1,
            Some(_) => critical += 1,
            None => {}
        }
    }
    let share = f64::from(warned + critical) / f64::from(judged);
    assert!((0.004..0.0075).contains(&share), "{share}");
    assert!(f64::from(critical) / f64::from(judged) < 0.0004, "{critical}");
}

#[test]
fn what_is_usual_at_noon_is_not_at_night() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(1);
    let usual = contextual.fit(history(21, &mut rng)).unwrap();
    assert_eq!((usual.days(), usual.uses_weekday()), (21, false));
    assert!(usual.state_bytes() <= 2048, "{}", usual.state_bytes());
    let sigma = |i: u32, value: f64| {
        contextual.judge(&usual, &mut Watch::default(), at(i), value).unwrap().sigma.unwrap()
    };
    assert!(sigma(21 * DAY + 20, 160.0) > 10.0 && sigma(21 * DAY + 140, 160.0).abs() < 1.0);
    assert!(sigma(21 * DAY + 140, 100.0) < -10.0);
}

/// A job at 9:00 local time stays in its cell when the clock changes.
#[test]
fn daylight_saving_does_not_move_the_day() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let contextual = ContextualBaseline::new(config(|o| o.time_zone = "Europe/Berlin".into()));
    let plain = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(2);
    let first = date(2024, 3, 1).at(0, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
    let value = |at: Timestamp, rng: &mut fastrand::Rng| {
        let busy = (9..17).contains(&zone.to_datetime(at).hour());
        100.0 + if busy { 60.0 } else { 0.0 } + normal(rng)
    };
    let samples = |from: u32, to: u32| (from * DAY..to * DAY).map(|i| first + STEP * i);
    let learned: Vec<_> = samples(0, 25).map(|at| (at, value(at, &mut rng))).collect();
    let mut deviating = |contextual: &ContextualBaseline| {
        let usual = contextual.fit(learned.iter().copied()).unwrap();
        let mut watch = Watch::default();
        // 31 March 2024: 2:00 became 3:00.
        let after = samples(33, 36).filter(|at| {
            let value = value(*at, &mut rng);
            contextual.judge(&usual, &mut watch, *at, value).unwrap().severity == Some(Severity::Critical)
        });
        after.count()
    };
    assert_eq!(deviating(&contextual), 0);
    assert!(deviating(&plain) >= 3 * 2 * 9, "an hour at both ends of each working day");
    // The hour that exists twice in autumn, and the one that does not in spring, are judged like any other.
    for day in [date(2024, 3, 31), date(2024, 10, 27)] {
        let usual = contextual.fit(learned.iter().copied()).unwrap();
        let midnight = day.at(0, 0, 0, 0).to_zoned(zone.clone()).unwrap().timestamp();
        let mut watch = Watch::default();
        for minute in (0..360).step_by(5) {
            let judged = contextual.judge(&usual, &mut watch, midnight + minute.minutes(), 100.0).unwrap();
            assert_eq!(judged.severity, None, "{day} +{minute}");
        }
    }
}

#[test]
fn the_weekday_is_used_only_where_it_helps() {
    let contextual = ContextualBaseline::new(config(|o| o.weekday_gain = 0.25));
    let mut rng = fastrand::Rng::with_seed(4);
    let weekly = |i: u32, rng: &mut fastrand::Rng| {
        let weekend = i / DAY % 7 >= 5;
        load(i, rng) - if weekend { 30.0 } else { 0.0 }
    };
    let usual = contextual.fit((0..42 * DAY).map(|i| (at(i), weekly(i, &mut rng)))).unwrap();
    assert!(usual.uses_weekday() && usual.state_bytes() <= 2048);
    let sigma = |contextual: &ContextualBaseline, day: u32, value: f64| {
        contextual.judge(&usual, &mut Watch::default(), at(day * DAY + 30), value).unwrap().sigma.unwrap()
    };
    assert!(sigma(&contextual, 42, 100.0).abs() < 2.8 && sigma(&contextual, 47, 70.0).abs() < 2.8);
    assert!(sigma(&contextual, 42, 70.0) < -4.0 && sigma(&contextual, 47, 100.0) > 4.0);
    // Monday 12 February 2024 as a holiday is like a Sunday.
    let holiday = ContextualBaseline::new(config(|o| o.holidays = vec![date(2024, 2, 12)]));
    assert!(sigma(&holiday, 42, 70.0).abs() < 2.8);
    // Eleven days in a row of one kind and three of another are no week.
    let other = |i: u32, rng: &mut fastrand::Rng| load(i, rng) - if i / DAY % 11 >= 8 { 30.0 } else { 0.0 };
    let usual = contextual.fit((0..77 * DAY).map(|i| (at(i), other(i, &mut rng)))).unwrap();
    assert!(!usual.uses_weekday());
}

fn calendar(events: Vec<CalendarEvent>) -> Calendar {
    Calendar::try_from(CalendarFile { events, ..CalendarFile::default() }).unwrap()
}

/// A job on working nights from 1:00 to 4:00.
fn nightly() -> CalendarEvent {
    let working = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday];
    let nights = Every::day(time(1, 0, 0, 0), time(4, 0, 0, 0)).on(working);
    CalendarEvent::new("nightly", EventKind::Batch, When::Every(nights))
}

/// Load with the job: 300 while it runs.
fn with_job(i: u32, rng: &mut fastrand::Rng) -> f64 {
    let working = i / DAY % 7 < 5;
    if working && (12..48).contains(&(i % DAY)) { 300.0 + 4.0 * normal(rng) } else { load(i, rng) }
}

#[test]
fn a_batch_job_is_usual_in_its_nights_and_not_in_others() {
    let blind = ContextualBaseline::new(config(|_| {}));
    let knowing = blind.clone().with_calendar(calendar(vec![nightly()]));
    let mut rng = fastrand::Rng::with_seed(21);
    let history: Vec<_> = (0..28 * DAY).map(|i| (at(i), with_job(i, &mut rng))).collect();
    let fitted = knowing.fit(history.iter().copied()).unwrap();
    assert_eq!((fitted.event_days("nightly"), fitted.event_days("other"), fitted.days()), (20, 0, 28));
    assert!(fitted.state_bytes() <= 2048, "{}", fitted.state_bytes());
    let judge = |by: &ContextualBaseline, day: u32, value: f64| {
        let usual = by.fit(history.iter().copied()).unwrap();
        // Three in the morning.
        by.judge(&usual, &mut Watch::default(), at(day * DAY + 36), value).unwrap()
    };
    // Day 28 is a Monday, day 34 a Sunday.
    let job = judge(&knowing, 28, 300.0);
    assert_eq!((job.severity, job.during), (None, During::Event));
    let sunday = judge(&knowing, 34, 300.0);
    assert_eq!((sunday.severity, sunday.during), (Some(Severity::Critical), During::Nothing));
    assert_eq!(judge(&knowing, 34, 100.0).severity, None);
    assert_eq!(
        judge(&knowing, 28, 100.0).severity,
        Some(Severity::Critical),
        "a job that does not run is a finding"
    );
    // Without the calendar the night of the job is what every night is compared with.
    assert_eq!(judge(&blind, 34, 300.0).severity, None);
    assert_eq!(judge(&blind, 34, 300.0).during, During::Nothing);
}

#[test]
fn learned_sample_by_sample_an_event_starts_cold_and_is_trusted_soon() {
    let knowing = ContextualBaseline::new(config(|_| {})).with_calendar(calendar(vec![nightly()]));
    let mut rng = fastrand::Rng::with_seed(22);
    let (mut usual, mut watch) = (knowing.empty(), Watch::default());
    let mut severe = Vec::new();
    for i in 0..28 * DAY {
        let judged = knowing.push(&mut usual, &mut watch, at(i), with_job(i, &mut rng)).unwrap();
        if judged.during == During::Event && judged.severity.is_some() {
            severe.push(i / DAY);
        }
    }
    assert_eq!((usual.event_days("nightly"), usual.days()), (20, 28));
    assert!(severe.len() <= 20 * 36 / 30, "{severe:?}");
    let mut judge = |i: u32, value: f64| knowing.judge(&usual, &mut watch, at(i), value).unwrap().severity;
    assert_eq!(judge(28 * DAY + 36, 300.0), None);
    assert_eq!(judge(34 * DAY + 36, 300.0), Some(Severity::Critical));
    // The second of its kind ever: far from the first is a warning and no more, and not learned.
    let (mut usual, mut watch) = (knowing.empty(), Watch::default());
    for i in 0..DAY {
        knowing.push(&mut usual, &mut watch, at(i), with_job(i, &mut rng)).unwrap();
    }
    let far = knowing.push(&mut usual, &mut watch, at(DAY + 36), 300.0).unwrap();
    assert_eq!(far.severity, None);
    let far = knowing.push(&mut usual, &mut watch, at(DAY + 37), 9000.0).unwrap();
    assert_eq!(far.severity, Some(Severity::Warning));
    assert_eq!(usual.event_days("nightly"), 2);
}

#[test]
fn nothing_is_learned_or_raised_in_maintenance() {
    let day = date(2024, 1, 22);
    let once = When::Once(Once { from: day.at(2, 0, 0, 0), to: day.at(8, 0, 0, 0) });
    let upkeep = calendar(vec![CalendarEvent::new("upkeep", EventKind::Maintenance, once)]);
    let contextual = ContextualBaseline::new(config(|_| {})).with_calendar(upkeep);
    let mut rng = fastrand::Rng::with_seed(23);
    let mut usual = contextual.fit(history(21, &mut rng)).unwrap();
    let mut watch = Watch::default();
    for i in 21 * DAY..21 * DAY + 24 {
        contextual.push(&mut usual, &mut watch, at(i), load(i, &mut rng)).unwrap();
    }
    let before = (usual.clone(), serde_json::to_value(&watch).unwrap());
    for i in 21 * DAY + 24..21 * DAY + 96 {
        let judged = contextual.push(&mut usual, &mut watch, at(i), 900.0).unwrap();
        assert_eq!((judged.severity, judged.alarm, judged.during), (None, None, During::Maintenance));
        assert!(judged.sigma.unwrap() > 10.0 && !judged.in_event, "what it is, is told all the same");
    }
    let mut after = serde_json::to_value(&watch).unwrap();
    after["last"] = before.1["last"].clone();
    assert_eq!((usual.clone(), after), before, "no trace but the clock");
    let next = contextual.push(&mut usual, &mut watch, at(21 * DAY + 96), 900.0).unwrap();
    assert_eq!(next.severity, Some(Severity::Critical), "it is over");
    // In a history too: what was out of order on purpose leaves no mark.
    let spoilt: Vec<_> = history(22, &mut fastrand::Rng::with_seed(9)).into_iter().enumerate().collect();
    let dirty = spoilt.iter().map(|(i, (at, value))| {
        (*at, if (21 * DAY as usize + 24..21 * DAY as usize + 96).contains(i) { 900.0 } else { *value })
    });
    let clean = spoilt.iter().map(|(_, sample)| *sample);
    assert_eq!(contextual.fit(dirty).unwrap(), contextual.fit(clean).unwrap());
}

#[test]
fn of_two_that_hold_maintenance_goes_first_and_a_job_before_its_day() {
    let all_day = |id, kind| CalendarEvent::new(id, kind, When::Every(Every::default()));
    let mut upkeep = all_day("upkeep", EventKind::Maintenance);
    upkeep.when = When::Every(Every { dates: [date(2024, 1, 3)].into(), ..Every::default() });
    let knowing = ContextualBaseline::new(config(|_| {})).with_calendar(calendar(vec![
        all_day("sale", EventKind::Demand),
        nightly(),
        upkeep,
    ]));
    let mut rng = fastrand::Rng::with_seed(24);
    let usual = knowing.fit((0..7 * DAY).map(|i| (at(i), with_job(i, &mut rng)))).unwrap();
    // Of the week one day is maintenance, one of the five nights on it.
    assert_eq!(
        (usual.event_days("nightly"), usual.event_days("sale"), usual.event_days("upkeep")),
        (4, 6, 0)
    );
    assert_eq!(usual.days(), 0, "every hour of it belongs to something");
}

#[test]
fn one_event_is_one_alarm() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(6);
    let usual = contextual.fit(history(21, &mut rng)).unwrap();
    let mut watch = Watch::default();
    let mut alarms = Vec::new();
    for i in 21 * DAY..23 * DAY {
        // Flaps for four hours, then again ten hours later.
        let sick = (30..78).contains(&(i % DAY)) && i % 4 != 0 || (200..203).contains(&(i % DAY));
        let value = load(i, &mut rng) + if sick { 40.0 } else { 0.0 };
        alarms
            .extend(contextual.judge(&usual, &mut watch, at(i), value).unwrap().alarm.map(|a| (i % DAY, a)));
    }
    let when: Vec<u32> = alarms.iter().map(|(i, _)| *i).collect();
    assert_eq!(when, [33, 202, 33, 202]);
    assert_eq!((alarms[0].1.onset, alarms[0].1.severity), (at(21 * DAY + 30), Severity::Critical));
}

#[test]
fn a_cold_start_is_conservative_and_ends_after_14_days() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut usual, mut watch) = (contextual.empty(), Watch::default());
    let mut first = None;
    for i in 0..40 * DAY {
        let judged = contextual.push(&mut usual, &mut watch, at(i), load(i, &mut rng)).unwrap();
        if first.is_none() && i / DAY >= 14 {
            first = Some(usual.days());
        }
        if i / DAY < 13 {
            assert_eq!(judged.severity, None, "the day's swing is no finding while the day is unknown: {i}");
        }
    }
    assert_eq!(usual.days(), 40);
    // Learned sample by sample, it knows the day nearly as well as when it is fitted.
    let mut errors = 0;
    for i in 40 * DAY..41 * DAY {
        let judged = contextual.judge(&usual, &mut watch, at(i), load(i, &mut rng)).unwrap();
        errors += u32::from(judged.severity.is_some());
    }
    assert!(errors <= DAY / 50, "{errors}");
    let sick = contextual.judge(&usual, &mut watch, at(41 * DAY + 40), 130.0).unwrap();
    assert_eq!(sick.severity, Some(Severity::Critical));
    // While cold, what is far beyond everything seen is a warning, never more.
    let (mut usual, mut watch) = (contextual.empty(), Watch::default());
    for i in 0..5 * DAY {
        contextual.push(&mut usual, &mut watch, at(i), load(i, &mut rng)).unwrap();
    }
    let far = contextual.push(&mut usual, &mut watch, at(5 * DAY), 10_000.0).unwrap();
    assert_eq!(far.severity, Some(Severity::Warning));
}

#[test]
fn anomalies_are_not_learned_until_they_are_the_new_normal() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(8);
    let mut usual = contextual.fit(history(21, &mut rng)).unwrap();
    let before = usual.clone();
    let mut watch = Watch::default();
    for i in 21 * DAY..22 * DAY {
        contextual.push(&mut usual, &mut watch, at(i), 400.0).unwrap();
    }
    // Only what came before the event was certain can have been learned: nothing, for the first sample deviates.
    assert_eq!(usual, before);
    let mut alarms = 0;
    for i in 22 * DAY..150 * DAY {
        let judged = contextual.push(&mut usual, &mut watch, at(i), 300.0 + load(i, &mut rng)).unwrap();
        alarms += u32::from(judged.alarm.is_some());
    }
    assert_eq!(watch.event(), None, "learned after three days");
    assert!(alarms <= 12, "less than one in ten days, the shift among them: {alarms}");
    let back = contextual.judge(&usual, &mut watch, at(150 * DAY), 100.0).unwrap();
    assert_eq!(back.severity, Some(Severity::Critical));
}

#[test]
fn bad_samples_are_rejected_and_change_nothing() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    let mut rng = fastrand::Rng::with_seed(9);
    let mut usual = contextual.fit(history(15, &mut rng)).unwrap();
    let mut watch = Watch::default();
    let now = at(15 * DAY);
    contextual.push(&mut usual, &mut watch, now, 100.0).unwrap();
    let before = (usual.clone(), watch.clone());
    let mut push = |at, value| contextual.push(&mut usual, &mut watch, at, value).unwrap_err();
    assert!(matches!(push(now + STEP, f64::NAN), Rejected::NotFinite(v) if v.is_nan()));
    assert_eq!(push(now + STEP, f64::INFINITY), Rejected::NotFinite(f64::INFINITY));
    assert_eq!(push(now, 100.0), Rejected::NotLater { last: now, at: now });
    assert_eq!(push(start(), 100.0), Rejected::NotLater { last: now, at: start() });
    assert_eq!(watch.rejected(), 4);
    let stored = |w: &Watch| serde_json::to_value(w).unwrap();
    let (mut a, mut b) = (stored(&watch), stored(&before.1));
    a["rejected"] = 0.into();
    b["rejected"] = 0.into();
    assert_eq!((usual.clone(), a), (before.0, b));
    // A jump of the clock by a century, and the largest numbers, are judged.
    for (at, value) in
        [(now + 876_000.hours(), f64::MAX), (now + 876_001.hours(), f64::MIN), (Timestamp::MAX, 0.0)]
    {
        let judged = contextual.push(&mut usual, &mut watch, at, value).unwrap();
        assert!(judged.sigma.is_some_and(|s| !s.is_nan()) && !judged.score.is_nan(), "{judged:?}");
    }
    assert_eq!(
        contextual.fit([(now, 1.0), (now + STEP, f64::NAN)]).unwrap_err(),
        FitError::TooFew { usable: 1, needed: 8 }
    );
}

#[test]
fn a_constant_series_is_usual_until_it_changes() {
    let contextual = ContextualBaseline::new(config(|_| {}));
    for level in [0.0, 7.0, -1e300] {
        let mut usual = contextual.fit((0..20 * DAY).map(|i| (at(i), level))).unwrap();
        let mut watch = Watch::default();
        assert_eq!(contextual.push(&mut usual, &mut watch, at(20 * DAY), level).unwrap().severity, None);
        let changed = contextual.push(&mut usual, &mut watch, at(20 * DAY + 1), level * 2.0 + 5.0).unwrap();
        assert_eq!(changed.severity, Some(Severity::Critical), "{level}");
    }
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut BaselineOptions)| {
        let mut options = BaselineOptions::default();
        change(&mut options);
        BaselineConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.time_zone = "Nowhere".into()), "time_zone");
    assert_eq!(field(|o| o.cell_minutes = 7), "cell_minutes");
    assert_eq!(field(|o| o.critical_sigma = 2.0), "critical_sigma");
    assert_eq!(field(|o| o.warn_sigma = f64::NAN), "warn_sigma");
    assert_eq!(field(|o| o.hits = 6), "hits");
    assert_eq!(field(|o| o.smoothing = 0), "smoothing");
    assert_eq!(field(|o| o.hold_off = Duration::MAX), "hold_off");
    let stored = serde_json::to_string(&config(|o| o.time_zone = "Asia/Tokyo".into())).unwrap();
    assert_eq!(serde_json::from_str::<BaselineConfig>(&stored).unwrap().options().time_zone, "Asia/Tokyo");
    assert!(serde_json::from_str::<BaselineConfig>(&stored.replace("hits", "hitz")).is_err());
}

fn series(entity: &str, first: u32, values: Vec<Option<f64>>) -> MetricSeries {
    let axis = TimeAxis::regular(at(first), STEP, values.len()).unwrap();
    MetricSeries::new(SeriesKey::new("load"), EntityId::service(entity), axis, values).unwrap()
}

/// Two services from sample `first` on; `height` is added from sample 40 on.
fn window(first: u32, len: u32, seed: u64, height: f64) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(first), at(first + len)).unwrap());
    for entity in ["orders", "store"] {
        let mut rng = fastrand::Rng::with_seed(seed + entity.len() as u64);
        let value = |i: u32| load(first + i, &mut rng) + if i >= 40 { height } else { 0.0 };
        window.metrics.push(series(entity, first, (0..len).map(value).map(Some).collect()));
    }
    window
}

#[test]
fn the_detector_keeps_its_contract() {
    let mut past = window(0, 21 * DAY, 1, 0.0);
    past.metrics.push(series("counted", 0, vec![Some(1.0); 900]).with_kind(MetricKind::Counter));
    let fitted = BaselineFit::default().fit(&past).unwrap();
    assert_eq!(fitted.series().len(), 2);
    let stored = serde_json::to_string(&fitted).unwrap();
    let detector = BaselineDetector::new(fitted).unwrap();
    let mut fixture = DetectorFixture::new(Context::system(), window(21 * DAY, 60, 3, 50.0));
    fixture.normal = Some(window(22 * DAY, 60, 4, 0.0));
    fixture.thin = Some(window(22 * DAY, 1, 5, 0.0));
    block_on(conformance(&detector, &fixture)).assert_counts(11, 0);

    let found = detector.find(&fixture.anomalous);
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|a| a.onset == at(21 * DAY + 40) && a.ongoing && a.severity == Severity::Critical)
    );
    assert!(found.iter().all(|a| (90.0..110.0).contains(&a.baseline.center) && a.sigma > 4.0));

    let back: FittedBaselines = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (detector.state(), detector.fitted()));
    for (what, damage) in [("\"version\":1", "\"version\":2"), ("\"cell_minutes\":15", "\"cell_minutes\":30")]
    {
        assert!(stored.contains(what));
        assert!(serde_json::from_str::<FittedBaselines>(&stored.replace(what, damage)).is_err(), "{damage}");
    }
    let coarse = ContextualBaseline::new(config(|o| o.cell_minutes = 60)).empty();
    let refused = back.with(EntityId::service("x"), SeriesKey::new("y"), coarse).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);

    let unfitted = BaselineDetector::new(FittedBaselines::unfitted(config(|_| {}))).unwrap();
    assert_eq!(unfitted.find(&fixture.anomalous), []);
    let mut nan = window(21 * DAY, 60, 3, 50.0);
    nan.metrics =
        vec![series("orders", 21 * DAY, vec![Some(f64::NAN); 60]), series("store", 21 * DAY, vec![None; 60])];
    assert_eq!(detector.find(&nan), []);
    assert_eq!(BaselineFit::default().fit(&nan).unwrap_err().kind(), ErrorKind::Invalid);
}

/// CPU of one host, that of the job; another host has none.
fn cpu(host: &str, first: u32, len: u32, seed: u64) -> MetricSeries {
    let mut rng = fastrand::Rng::with_seed(seed);
    let values: Vec<_> = (first..first + len).map(|i| Some(with_job(i, &mut rng))).collect();
    let axis = TimeAxis::regular(at(first), STEP, len as usize).unwrap();
    let host = EntityId::new(aiops_core::model::EntityKind::Host, host);
    MetricSeries::new(SeriesKey::new("cpu"), host, axis, values).unwrap()
}

fn hosts(first: u32, len: u32, seed: u64) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(first), at(first + len)).unwrap());
    window.metrics.extend([cpu("a", first, len, seed), cpu("b", first, len, seed)]);
    window
}

#[test]
fn a_stored_state_keeps_its_calendar_and_one_without_is_as_before() {
    let about_a = nightly().about([EntityId::new(aiops_core::model::EntityKind::Host, "a")]);
    let knowing = calendar(vec![about_a]);
    let history = hosts(0, 21 * DAY, 3);
    let plain = BaselineFit::default().fit(&history).unwrap();
    let stored = serde_json::to_value(&plain).unwrap();
    assert_eq!(stored["version"], 1);
    assert!(stored.get("calendar").is_none() && stored["config"].get("event_days").is_none());
    assert!(stored["series"][0]["usual"].get("events").is_none());
    // An empty calendar is none.
    let empty = BaselineFit::default().with_calendar(Calendar::new()).fit(&history).unwrap();
    assert_eq!(empty.hash().unwrap(), plain.hash().unwrap());

    let fitted = BaselineFit::default().with_calendar(knowing.clone()).fit(&history).unwrap();
    let text = serde_json::to_string(&fitted).unwrap();
    assert!(text.contains(r#""version":2"#));
    let back: FittedBaselines = serde_json::from_str(&text).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (&fitted, fitted.hash().unwrap()));
    assert_ne!(fitted.hash().unwrap(), plain.hash().unwrap());
    assert_eq!(back.calendar(), &knowing);
    let days: Vec<u32> = back.series().values().map(|usual| usual.event_days("nightly")).collect();
    assert_eq!(days, [15, 0], "only about whom it is");
    assert_eq!(back.series().values().last(), plain.series().values().last());
    // A state of the old version that knows events is damaged; one of a version to come is not read.
    let wrong = |version: u32| {
        let text = text.replace(r#""version":2"#, &format!(r#""version":{version}"#));
        serde_json::from_str::<FittedBaselines>(&text).unwrap_err().to_string()
    };
    assert!(wrong(1).contains("another version") && wrong(3).contains("unknown version"));
    let damaged = text.replacen(r#""hours":[[1,"#, r#""hours":[[24,"#, 1);
    assert!(damaged != text && serde_json::from_str::<FittedBaselines>(&damaged).is_err());
    // What is no longer known is forgotten with its event; new maintenance needs no new fit.
    let forgotten = fitted.with_calendar(Calendar::new());
    assert_eq!(serde_json::to_value(&forgotten).unwrap()["version"], 1);

    // The detector goes by it: the job's host on a Sunday at three, and not on Monday.
    let detector = BaselineDetector::new(back).unwrap();
    let mut monday = hosts(21 * DAY, DAY, 8);
    monday.metrics.truncate(1);
    assert_eq!(detector.find(&monday), []);
    let mut sunday = TelemetryWindow::new(TimeRange::new(at(27 * DAY), at(28 * DAY)).unwrap());
    let values = (0..DAY).map(|i| {
        Some(if (36..60).contains(&i) {
            300.0
        } else {
            100.0 + 60.0 * f64::from(u8::from((96..192).contains(&i)))
        })
    });
    let axis = TimeAxis::regular(at(27 * DAY), STEP, DAY as usize).unwrap();
    let host = EntityId::new(aiops_core::model::EntityKind::Host, "a");
    sunday.metrics.push(MetricSeries::new(SeriesKey::new("cpu"), host, axis, values).unwrap());
    let found = detector.find(&sunday);
    assert_eq!(
        found.iter().map(|a| (a.onset, a.severity)).collect::<Vec<_>>(),
        [(at(27 * DAY + 36), Severity::Critical)]
    );
}
