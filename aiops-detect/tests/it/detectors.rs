//! Every detector of series behind its seam: its contract, and windows that nobody would want.

use std::time::Duration;

use aiops_compact::deviation::DeviationConfig;
use aiops_core::model::{
    Anomaly, Direction, EntityId, MetricKind, MetricSeries, SeriesKey, Severity, Shape, TelemetryWindow,
    TimeAxis, TimeRange,
};
use aiops_core::seam::{Detector, Fit};
use aiops_core::{Context, ErrorKind};
use aiops_detect::baseline::{BaselineConfig, BaselineOptions};
use aiops_detect::burn::{BurnAction, BurnConfig, BurnOptions, Slo};
use aiops_detect::changepoint::{DetectorConfig, DetectorOptions, Method, OnlineConfig};
use aiops_detect::engine::{EngineConfig, EngineOptions};
use aiops_detect::forecast::{ForecastConfig, ForecastOptions, Limit};
use aiops_detect::novelty::{NoveltyConfig, NoveltyOptions};
use aiops_detect::{
    BaselineDetector, BaselineFit, BurnRateDetector, ChangePointDetector, EngineDetector, EngineFit,
    ForecastDetector, ForecastFit, NoveltyFit, NoveltySeriesDetector, RollingDetector, RollingFit,
};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

pub(crate) const STEP: Duration = Duration::from_secs(300);
const DAY: u32 = 288;
const ZONE: &str = "Europe/Berlin";

/// Three weeks before the clock goes forward in Berlin, at midnight there.
fn start() -> Timestamp {
    date(2024, 3, 10).at(0, 0, 0, 0).to_zoned(TimeZone::get(ZONE).unwrap()).unwrap().timestamp()
}

fn at(i: u32) -> Timestamp {
    start() + STEP * i
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

/// A working day by the clock of Berlin: 100 and some, 160 from nine to five.
fn load(i: u32, rng: &mut fastrand::Rng) -> f64 {
    let hour = TimeZone::get(ZONE).unwrap().to_datetime(at(i)).hour();
    100.0 + if (9..17).contains(&hour) { 60.0 } else { 0.0 } + normal(rng)
}

fn series(entity: &str, name: &str, first: u32, values: Vec<Option<f64>>) -> MetricSeries {
    let axis = TimeAxis::regular(at(first), STEP, values.len()).unwrap();
    MetricSeries::new(SeriesKey::new(name), EntityId::service(entity), axis, values).unwrap()
}

fn window_of(metrics: Vec<MetricSeries>, first: u32, len: u32) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(first), at(first + len)).unwrap());
    window.metrics = metrics;
    window
}

/// Two services; from `fault` of the window on their load is `height` more, and as much a share of requests fails as `failing`.
pub(crate) fn window(
    first: u32,
    len: u32,
    seed: u64,
    fault: u32,
    height: f64,
    failing: f64,
) -> TelemetryWindow {
    let mut metrics = Vec::new();
    for entity in ["orders", "store"] {
        let mut rng = fastrand::Rng::with_seed(seed + entity.len() as u64);
        let value = |i: u32| load(first + i, &mut rng) + if i >= fault { height } else { 0.0 };
        metrics.push(series(entity, "load", first, (0..len).map(value).map(Some).collect()));
        let share = |i: u32| if i >= fault { failing } else { 0.0005 };
        let failed = series(entity, "error_ratio", first, (0..len).map(share).map(Some).collect());
        metrics.push(failed.with_kind(MetricKind::Ratio));
        let counted = (0..len).map(|i| Some(f64::from(i) * 100.0)).collect();
        metrics.push(series(entity, "total", first, counted).with_kind(MetricKind::Counter));
    }
    window_of(metrics, first, len)
}

fn slo() -> Slo {
    Slo {
        name: "orders".into(),
        journey: "order".into(),
        owner: "shop".into(),
        indicator: "error_ratio".into(),
        requests: None,
        target: 0.99,
        period: Duration::from_secs(30 * 86_400),
    }
}

fn baseline() -> BaselineConfig {
    BaselineConfig::try_from(BaselineOptions { time_zone: ZONE.into(), ..Default::default() }).unwrap()
}

/// Each detector of series, learned from two weeks and a half.
pub(crate) fn detectors() -> Vec<Box<dyn Detector>> {
    let history = window(0, 18 * DAY, 1, u32::MAX, 0.0, 0.0);
    let forecast = ForecastOptions { time_zone: ZONE.into(), ..Default::default() };
    let engine = EngineOptions { baseline: baseline(), ..Default::default() };
    let engine = EngineConfig::try_from(engine).unwrap();
    let online = DetectorOptions { method: Method::Online(OnlineConfig::default()), ..Default::default() };
    let burn = BurnOptions { slos: vec![slo()], ..Default::default() };
    // Two days, so that the test is quick.
    let novelty = NoveltyConfig::try_from(NoveltyOptions { history: 576, ..Default::default() }).unwrap();
    vec![
        Box::new(RollingDetector::new(RollingFit::default().fit(&history).unwrap()).unwrap()),
        Box::new(RollingDetector::unfitted(DeviationConfig::default()).unwrap()),
        Box::new(BaselineDetector::new(BaselineFit::new(baseline()).fit(&history).unwrap()).unwrap()),
        Box::new(NoveltySeriesDetector::new(NoveltyFit::new(novelty).fit(&history).unwrap()).unwrap()),
        Box::new(ChangePointDetector::new(DetectorConfig::default()).unwrap()),
        Box::new(ChangePointDetector::new(DetectorConfig::try_from(online).unwrap()).unwrap()),
        Box::new(
            ForecastDetector::new(
                ForecastFit::new(ForecastConfig::try_from(forecast).unwrap()).fit(&history).unwrap(),
            )
            .unwrap(),
        ),
        Box::new(EngineDetector::new(EngineFit::new(engine).fit(&history).unwrap()).unwrap()),
        Box::new(BurnRateDetector::new(BurnConfig::try_from(burn).unwrap()).unwrap()),
    ]
}

fn find(detector: &dyn Detector, window: &TelemetryWindow) -> Vec<Anomaly> {
    block_on(detector.detect(window, &Context::system())).unwrap()
}

/// From midnight on, eight hours: the load is level.
pub(crate) const FIRST: u32 = 18 * DAY;
pub(crate) const LEN: u32 = 96;

#[test]
fn every_detector_keeps_its_contract() {
    for detector in detectors() {
        let mut fixture = DetectorFixture::new(Context::system(), window(FIRST, LEN, 3, 84, 120.0, 0.5));
        fixture.normal = Some(window(FIRST, LEN, 4, u32::MAX, 0.0, 0.0));
        fixture.thin = Some(window(FIRST, 1, 5, u32::MAX, 0.0, 0.0));
        let report = block_on(conformance(detector.as_ref(), &fixture));
        report.assert_counts(11, 0);
        let found = find(detector.as_ref(), &fixture.anomalous);
        for entity in ["orders", "store"] {
            let of = found.iter().find(|a| a.entity == EntityId::service(entity) && a.ongoing);
            let of = of.unwrap_or_else(|| panic!("{}: {found:#?}", detector.id()));
            assert!((at(FIRST + 82)..=at(FIRST + 86)).contains(&of.onset), "{}: {of:?}", detector.id());
            assert_eq!(of.direction(), Direction::Up);
        }
        assert!(found.iter().all(|a| a.series.name != "total"), "{}", detector.id());
    }
}

/// What the clock of the zone does is no fault.
#[test]
fn daylight_saving_is_no_fault() {
    for detector in detectors() {
        // 31 March 2024: 2:00 became 3:00, on the 21st day. Three hours on both sides of nine o'clock on the day after.
        let mut quiet = window(22 * DAY - 12 + 30, 60, 6, u32::MAX, 0.0, 0.0);
        quiet.metrics.retain(|s| s.key().name != "total");
        let id = detector.id().0;
        // Half a day of level is the wrong window for what knows no day.
        if ["change-point", "rolling-deviation"].contains(&id.as_str()) {
            continue;
        }
        assert_eq!(find(detector.as_ref(), &quiet), [], "{id}");
    }
}

#[test]
fn zones_that_are_none_are_refused() {
    for zone in ["", "Mars/Olympus", "CET-1CEST,,"] {
        let zone = || zone.to_owned();
        let baseline = BaselineConfig::try_from(BaselineOptions { time_zone: zone(), ..Default::default() });
        assert_eq!(baseline.unwrap_err().field(), "time_zone");
        let forecast = ForecastConfig::try_from(ForecastOptions { time_zone: zone(), ..Default::default() });
        assert_eq!(forecast.unwrap_err().field(), "time_zone");
    }
    let stored = serde_json::to_string(&EngineConfig::default()).unwrap();
    assert!(serde_json::from_str::<EngineConfig>(&stored).is_ok());
    let damaged = stored.replace("\"time_zone\":\"UTC\"", "\"time_zone\":\"Mars\"");
    assert_ne!(damaged, stored);
    assert!(serde_json::from_str::<EngineConfig>(&damaged).is_err());
}

fn both(values: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<MetricSeries> {
    let one = |entity, name| series(entity, name, FIRST, values(name));
    ["orders", "store"].into_iter().flat_map(|e| [one(e, "load"), one(e, "error_ratio")]).collect()
}

/// Nothing to see, in every form.
#[test]
fn nothing_is_found_in_nothing() {
    let mut rng = fastrand::Rng::with_seed(9);
    let usual: Vec<f64> = (0..LEN).map(|i| load(FIRST + i, &mut rng)).collect();
    let value = |name: &str, i: usize| if name == "load" { usual[i] } else { 0.0005 };
    let windows = [
        ("no series", vec![]),
        ("no samples", both(|_| vec![])),
        ("gaps", both(|_| vec![None; LEN as usize])),
        ("NaN", both(|_| vec![Some(f64::NAN); LEN as usize])),
        ("a single sample", both(|name| vec![Some(value(name, 0))])),
        ("constant", both(|name| vec![Some(if name == "load" { 100.0 } else { 0.0005 }); LEN as usize])),
        (
            "one spike of infinity among gaps",
            both(|name| {
                let sample = |i: usize| match i {
                    40 => Some(f64::INFINITY),
                    _ if i.is_multiple_of(3) => None,
                    _ => Some(value(name, i)),
                };
                (0..LEN as usize).map(sample).collect()
            }),
        ),
    ];
    for detector in detectors() {
        for (what, metrics) in &windows {
            let found = find(detector.as_ref(), &window_of(metrics.clone(), FIRST, LEN));
            assert_eq!(found, [], "{} of {what}", detector.id());
        }
    }
}

/// Whatever comes: no panic, findings that are whole, and the same again.
#[test]
fn jumps_of_the_clock_and_extremes_are_survived() {
    let jump = |times: Vec<Timestamp>, values: Vec<f64>| {
        let axis = TimeAxis::irregular(times.clone()).unwrap();
        let one = |entity: &str, name: &str| {
            let samples = values.iter().map(|v| Some(if name == "load" { *v } else { 0.0005 }));
            MetricSeries::new(SeriesKey::new(name), EntityId::service(entity), axis.clone(), samples).unwrap()
        };
        let range = TimeRange::new(times[0], *times.last().unwrap() + STEP).unwrap();
        let mut window = TelemetryWindow::new(range);
        window.metrics = vec![one("orders", "load"), one("orders", "error_ratio"), one("store", "load")];
        window
    };
    let mut rng = fastrand::Rng::with_seed(11);
    let year = Duration::from_secs(366 * 86_400);
    let usual: Vec<f64> = (0..LEN).map(|i| load(FIRST + i, &mut rng)).collect();
    let forward = |i: u32| at(FIRST + i) + if i >= 48 { year * 30 } else { Duration::ZERO };
    let before = |i: u32| at(i) - year * 50;
    let huge = (0..LEN).map(|i| [f64::MAX, f64::MIN, 1e300, 0.0][i as usize % 4]).collect();
    let windows = [
        jump((0..LEN).map(forward).collect(), usual.clone()),
        jump((0..LEN).map(before).collect(), usual),
        jump((0..LEN).map(|i| at(FIRST + i)).collect(), huge),
    ];
    for detector in detectors() {
        for window in &windows {
            let found = find(detector.as_ref(), window);
            assert_eq!(find(detector.as_ref(), window), found, "{}", detector.id());
            for a in found {
                let baseline = [a.baseline.center, a.baseline.scale];
                assert!(baseline.iter().all(|v| v.is_finite()), "{}: {a:?}", detector.id());
                assert!(a.baseline.scale > 0.0 && !a.sigma.is_nan(), "{}: {a:?}", detector.id());
                assert!(window.range.contains(a.onset) && a.onset <= a.last, "{}: {a:?}", detector.id());
            }
        }
    }
}

#[test]
fn burn_rates_name_their_rules_and_owners() {
    let burn = BurnConfig::try_from(BurnOptions { slos: vec![slo()], ..Default::default() }).unwrap();
    let detector = BurnRateDetector::new(burn).unwrap();
    let mut failing = window(FIRST, LEN, 3, 40, 0.0, 0.07);
    // It ends after two hours.
    for s in &mut failing.metrics {
        if s.key().name == "error_ratio" {
            let samples = s.samples().enumerate().map(|(i, v)| if i >= 64 { Some(0.0) } else { v }).collect();
            *s = series(s.entity().name(), "error_ratio", FIRST, samples);
        }
    }
    let found = detector.assess(&failing);
    assert_eq!(found.len(), 2);
    for f in &found {
        assert_eq!((f.slo.as_str(), f.owner.as_str(), f.anomaly.onset), ("orders", "shop", at(FIRST + 40)));
        let actions: Vec<BurnAction> = f.rules.iter().map(|b| b.rule.action).collect();
        assert!(
            actions.contains(&BurnAction::ExecutiveNotice) && actions.contains(&BurnAction::SlowRollouts)
        );
        // 7 % of 1 % is a burn rate of 7: no page before six hours at 6, and none at 14.4.
        assert!(!actions.contains(&BurnAction::Page), "{actions:?}");
        assert_eq!((f.anomaly.severity, f.anomaly.ongoing), (Severity::Warning, false));
        assert!((f.anomaly.sigma - 7.0).abs() < 1e-6, "{}", f.anomaly.sigma);
    }
    // By traffic: what fails at night, when hardly anybody is there, hardly counts.
    let weighted = Slo { requests: Some("rps".into()), ..slo() };
    let burn = BurnConfig::try_from(BurnOptions { slos: vec![weighted], ..Default::default() }).unwrap();
    for entity in ["orders", "store"] {
        for route in ["a", "b"] {
            let rate = |i: u32| Some(if (40..64).contains(&i) { 0.1 } else { 100.0 });
            let axis = TimeAxis::regular(at(FIRST), STEP, LEN as usize).unwrap();
            let key = SeriesKey::new("rps").with("route", route);
            let rates = (0..LEN).map(rate);
            failing.metrics.push(MetricSeries::new(key, EntityId::service(entity), axis, rates).unwrap());
        }
    }
    for f in BurnRateDetector::new(burn).unwrap().assess(&failing) {
        // Only what looks at nothing but that hour sees it.
        assert!(f.rules.iter().all(|b| b.rule.long <= Duration::from_secs(3600)), "{f:?}");
    }
}

#[test]
fn limits_that_will_be_reached_are_told_with_how_soon() {
    let hours = |h: u64| Duration::from_secs(h * 3600);
    let limit = |metric: &str, value, direction| Limit {
        metric: metric.into(),
        value,
        direction,
        warn_within: hours(48),
        critical_within: hours(12),
    };
    let limits = vec![limit("disk", 100.0, Direction::Up), limit("certificate", 0.0, Direction::Down)];
    let config = ForecastConfig::try_from(ForecastOptions { limits, ..Default::default() }).unwrap();
    let make = |first: u32, len: u32, per_day: f64, at_end: f64| {
        let mut rng = fastrand::Rng::with_seed(2);
        let slope = per_day / f64::from(DAY);
        let end = f64::from(7 * DAY);
        let disk = |i: u32| Some(at_end + slope * (f64::from(first + i) - end) + 0.05 * normal(&mut rng));
        let days = |i: u32| Some(at_end - 40.0 + 1e-3 - (f64::from(first + i) - end) / f64::from(DAY));
        let disk = series("store", "disk", first, (0..len).map(disk).collect());
        let certificate = series("store", "certificate", first, (0..len).map(days).collect());
        window_of(vec![disk, certificate], first, len)
    };
    let found = |at_end: f64| {
        let fitted = ForecastFit::new(config.clone()).fit(&make(0, 6 * DAY, 10.0, at_end)).unwrap();
        ForecastDetector::new(fitted).unwrap().find(&make(6 * DAY, DAY, 10.0, at_end))
    };
    // 10 a day: from 70 three days are left, from 85 a day and a half, from 97 seven hours.
    assert_eq!(found(70.0), []);
    let soon = found(85.0);
    assert_eq!(soon.len(), 1, "{soon:?}");
    assert_eq!(
        (soon[0].series.name.as_str(), soon[0].shape, soon[0].severity),
        ("disk", Shape::SteadyIncrease, Severity::Warning)
    );
    assert_eq!(found(97.0)[0].severity, Severity::Critical);
    // A certificate with a day left, beside a disk that has days.
    let ends = found(41.0);
    assert_eq!(
        (ends[0].series.name.as_str(), ends[0].shape, ends[0].severity),
        ("certificate", Shape::SteadyDecrease, Severity::Warning)
    );
}

#[test]
fn stored_states_are_checked() {
    let history = window(0, 15 * DAY, 1, u32::MAX, 0.0, 0.0);
    let novelty = NoveltyFit::default().fit(&history).unwrap();
    let stored = serde_json::to_string(&novelty).unwrap();
    let back: aiops_detect::novelty::FittedNovelty = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (&novelty, novelty.hash().unwrap()));
    for (what, damage) in [
        ("\"version\":1", "\"version\":3"),
        ("\"unit\":", "\"unit\":-"),
        ("\"warm_up\":150", "\"warm_up\":151"),
    ] {
        assert!(stored.contains(what), "{what}");
        // Of the whole, not of its series: they no longer fit together.
        let times = if what.contains("warm_up") { 1 } else { usize::MAX };
        let damaged = stored.replacen(what, damage, times);
        assert!(serde_json::from_str::<aiops_detect::novelty::FittedNovelty>(&damaged).is_err(), "{damage}");
    }
    let forecasts = ForecastFit::default().fit(&history).unwrap();
    let stored = serde_json::to_string(&forecasts).unwrap();
    let back: aiops_detect::forecast::FittedForecasts = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (&forecasts, forecasts.hash().unwrap()));
    for (what, damage) in
        [("\"version\":1", "\"version\":3"), ("\"scale\":", "\"scale\":-"), ("\"steps\":1,", "\"steps\":9,")]
    {
        assert!(stored.contains(what), "{what}");
        let damaged = stored.replace(what, damage);
        assert!(
            serde_json::from_str::<aiops_detect::forecast::FittedForecasts>(&damaged).is_err(),
            "{damage}"
        );
    }
    let nothing = window_of(vec![], 0, 10);
    for kind in [
        NoveltyFit::default().fit(&nothing).unwrap_err().kind(),
        ForecastFit::default().fit(&nothing).unwrap_err().kind(),
        EngineFit::default().fit(&nothing).unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::Invalid);
    }
}
