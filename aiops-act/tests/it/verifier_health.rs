//! VER-01: whether the target lives and serves.

use Recovery::{Inconclusive, NotRecovered, Recovered};
use aiops_act::{LivenessCheck, TrafficCheck, VerifierConfig};
use aiops_core::model::{Anomaly, EntityId, EntityKind, Recovery, RecoveryReport, SeriesKey};

use crate::feed::{BAD, Feed, GOOD, context, down, slow, slow_on, verdict, verify_in};
use crate::support::{orders, secs};

const FIRST: i64 = 330;
const LAST: i64 = 900;

fn liveness() -> VerifierConfig {
    let check = LivenessCheck {
        desired: "desired".into(),
        ready: "ready".into(),
        restarts: Some("restarts".into()),
        service_label: "service".into(),
    };
    VerifierConfig { liveness: Some(check), ..VerifierConfig::default() }
}

fn traffic() -> VerifierConfig {
    let check = TrafficCheck {
        requests: "requests".into(),
        service_label: "service".into(),
        min_share: 0.5,
        reference: secs(600),
    };
    VerifierConfig { traffic: Some(check), ..VerifierConfig::default() }
}

fn of(name: &str) -> SeriesKey {
    SeriesKey::new(name).with("service", "orders")
}

/// A level over time.
type Level = fn(i64, i64) -> Option<f64>;

/// The latency is fine; copies and restarts are as given.
fn living(desired: Level, ready: Level, restarts: Level) -> Feed {
    Feed::latency(|_, _| GOOD).with(of("desired"), orders(), desired).with(of("ready"), orders(), ready).with(
        of("restarts"),
        orders(),
        restarts,
    )
}

fn said(feed: &Feed, config: VerifierConfig, detected: &[Anomaly]) -> RecoveryReport {
    verify_in(feed, config, detected, &context()).unwrap()
}

fn lives(feed: &Feed) -> (Recovery, i64) {
    verdict(&said(feed, liveness(), &[slow()]))
}

const TWO: Level = |_, _| Some(2.0);
const NONE: Level = |_, _| Some(0.0);

#[test]
fn a_target_whose_copies_all_serve_lives() {
    let report = said(&living(TWO, TWO, NONE), liveness(), &[slow()]);
    assert_eq!(verdict(&report), (Recovered, FIRST));
    let what: Vec<_> = report.checks.iter().map(|c| c.what.as_str()).collect();
    assert_eq!(what, ["latency{service=\"orders\"}", "liveness", "restarts"]);
    assert_eq!(lives(&living(TWO, |_, _| Some(3.0), NONE)), (Recovered, FIRST), "one more during a roll-out");
}

#[test]
fn scaled_to_zero_is_not_recovered() {
    assert_eq!(lives(&living(NONE, NONE, NONE)), (NotRecovered, LAST));
    assert_eq!(lives(&living(NONE, |_, _| None, NONE)), (NotRecovered, LAST), "even where none is reported");
    let at_the_end: Level = |t, now| Some(if now - t <= 15 { 0.0 } else { 2.0 });
    assert_eq!(lives(&living(at_the_end, at_the_end, NONE)), (NotRecovered, LAST));
}

#[test]
fn copies_that_do_not_serve_are_not_recovered() {
    assert_eq!(lives(&living(TWO, |_, _| Some(1.0), NONE)), (NotRecovered, LAST));
    let comes_up: Level = |t, _| Some(if t < 400 { 1.0 } else { 2.0 });
    assert_eq!(lives(&living(TWO, comes_up, NONE)), (Recovered, 420));
}

#[test]
fn a_deleted_target_is_never_recovered() {
    let nothing: Level = |_, _| None;
    assert_eq!(lives(&living(nothing, nothing, nothing)), (Inconclusive, LAST));
    let until_now: Level = |t, now| if now - t > 45 { Some(2.0) } else { None };
    assert_eq!(
        lives(&living(until_now, until_now, NONE)),
        (Inconclusive, LAST),
        "an old sample proves nothing"
    );
    assert_eq!(lives(&living(TWO, until_now, NONE)), (Inconclusive, LAST));
    let elsewhere = Feed::latency(|_, _| GOOD)
        .with(SeriesKey::new("desired").with("service", "gateway"), orders(), TWO)
        .with(SeriesKey::new("ready").with("service", "gateway"), orders(), TWO)
        .with(SeriesKey::new("restarts").with("service", "gateway"), orders(), NONE);
    assert_eq!(lives(&elsewhere), (Inconclusive, LAST), "another service lives");
}

#[test]
fn copies_that_are_no_numbers_cannot_be_read() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let odd = move |_: i64, _: i64| Some(value);
        let feed = |desired: bool| {
            let base = Feed::latency(|_, _| GOOD).with(of("restarts"), orders(), NONE);
            if desired {
                base.with(of("desired"), orders(), odd).with(of("ready"), orders(), TWO)
            } else {
                base.with(of("desired"), orders(), TWO).with(of("ready"), orders(), odd)
            }
        };
        assert_eq!(lives(&feed(true)), (Inconclusive, LAST), "{value}");
        assert_eq!(lives(&feed(false)), (Inconclusive, LAST), "{value}");
    }
}

#[test]
fn one_that_restarts_over_and_over_is_not_recovered() {
    let looping: Level = |t, _| Some(if t % 60 == 0 { 0.1 } else { 0.0 });
    let report = said(&living(TWO, TWO, looping), liveness(), &[slow()]);
    assert_eq!(verdict(&report), (NotRecovered, LAST));
    assert!(report.checks[2].detail.contains("service/orders"), "{report:?}");
    let our_own: Level = |t, _| Some(if t < 30 { 0.1 } else { 0.0 });
    assert_eq!(
        lives(&living(TWO, TWO, our_own)),
        (Recovered, FIRST),
        "the action itself is not held against it"
    );
}

#[test]
fn restarts_that_cannot_be_read_are_inconclusive() {
    let nan: Level = |_, _| Some(f64::NAN);
    let once: Level = |t, now| if now - t > 60 { Some(0.0) } else { None };
    for restarts in [nan, once, |_, _| None] {
        assert_eq!(lives(&living(TWO, TWO, restarts)), (Inconclusive, LAST));
    }
    let not_asked =
        Feed::latency(|_, _| GOOD).with(of("desired"), orders(), TWO).with(of("ready"), orders(), TWO);
    let mut config = liveness();
    config.liveness.as_mut().unwrap().restarts = None;
    assert_eq!(verdict(&said(&not_asked, config, &[slow()])), (Recovered, FIRST));
}

#[test]
fn several_deployments_of_one_name_are_each_held_against_their_own() {
    let of = |name: &str, ns: &str| SeriesKey::new(name).with("service", "orders").with("namespace", ns);
    let feed = |b_ready: Level| {
        Feed::latency(|_, _| GOOD)
            .with(of("desired", "a"), orders(), TWO)
            .with(of("desired", "b"), orders(), TWO)
            .with(of("ready", "a"), orders(), |_, _| Some(4.0))
            .with(of("ready", "b"), orders(), b_ready)
            .with(of("restarts", "a"), orders(), NONE)
    };
    assert_eq!(lives(&feed(TWO)), (Recovered, FIRST));
    assert_eq!(lives(&feed(NONE)), (NotRecovered, LAST), "copies of a do not serve for b");
    assert_eq!(lives(&feed(|_, _| None)), (Inconclusive, LAST));
}

#[test]
fn a_living_target_alone_proves_nothing() {
    assert_eq!(verdict(&said(&living(TWO, TWO, NONE), liveness(), &[])), (Inconclusive, LAST));
    assert_eq!(verdict(&said(&living(NONE, NONE, NONE), liveness(), &[])), (NotRecovered, LAST));
}

#[test]
fn signals_that_are_back_do_not_excuse_a_dead_source_of_liveness() {
    let feed = living(TWO, TWO, NONE).first(|_, _| Ok(()));
    assert_eq!(lives(&feed), (Recovered, FIRST));
    assert_eq!(lives(&living(TWO, TWO, NONE).first(|_, _| Err(down()))), (Inconclusive, LAST));
}

/// The latency is fine; orders served 100 requests a second before, and now as given.
fn serving(now: impl Fn(i64, i64) -> Option<f64> + Send + Sync + 'static) -> Feed {
    Feed::latency(|_, _| GOOD).with(of("requests"), orders(), move |t, read_at| {
        if t < -120 { Some(100.0) } else { now(t, read_at) }
    })
}

fn serves(feed: &Feed) -> (Recovery, i64) {
    verdict(&said(feed, traffic(), &[slow()]))
}

#[test]
fn traffic_must_be_back_to_its_share() {
    assert_eq!(serves(&serving(|_, _| Some(100.0))), (Recovered, FIRST));
    assert_eq!(serves(&serving(|_, _| Some(50.0))), (Recovered, FIRST));
    assert_eq!(serves(&serving(|_, _| Some(49.9))), (NotRecovered, LAST));
}

#[test]
fn the_level_before_is_taken_from_before_the_onset() {
    let feed = serving(|_, _| Some(100.0));
    said(&feed, traffic(), &[slow()]);
    let before = &feed.fetched()[1].range;
    assert_eq!((crate::feed::since_action(before.start()), before.length()), (-720, secs(600)));
}

#[test]
fn traffic_that_is_gone_is_never_recovered() {
    assert_eq!(serves(&serving(|_, _| Some(0.0))), (NotRecovered, LAST));
    assert_eq!(serves(&serving(|_, _| None)), (NotRecovered, LAST), "not seen is not served");
    assert_eq!(serves(&serving(|_, _| Some(f64::NAN))), (NotRecovered, LAST));
    let stopped = |s: i64| serving(move |t, now| if now - t > s { Some(100.0) } else { Some(0.0) });
    assert_eq!(serves(&stopped(75)), (NotRecovered, LAST), "it flowed for most of the time, and stopped");
    let fell_silent = serving(|t, now| if now - t > 75 { Some(100.0) } else { None });
    assert_eq!(serves(&fell_silent), (NotRecovered, LAST));
    let mostly_gone = serving(|t, now| if now - t <= 90 { Some(100.0) } else { None });
    assert_eq!(serves(&mostly_gone), (NotRecovered, LAST));
    assert_eq!(
        serves(&serving(|t, now| if now - t > 15 { Some(100.0) } else { None })),
        (Recovered, FIRST),
        "lag"
    );
}

#[test]
fn traffic_of_all_copies_is_summed() {
    let copy = |n: &str| of("requests").with("instance", n);
    let feed = |second: Level| {
        Feed::latency(|_, _| GOOD)
            .with(copy("1"), EntityId::instance("orders-1"), |t, _| Some(if t < -120 { 50.0 } else { 30.0 }))
            .with(copy("2"), EntityId::instance("orders-2"), second)
    };
    assert_eq!(serves(&feed(|t, _| Some(if t < -120 { 50.0 } else { 30.0 }))), (Recovered, FIRST));
    assert_eq!(serves(&feed(|t, _| if t < -120 { Some(50.0) } else { None })), (NotRecovered, LAST));
}

#[test]
fn without_traffic_before_nothing_can_be_compared() {
    for before in [None, Some(0.0), Some(f64::NAN), Some(-5.0), Some(f64::INFINITY)] {
        let feed = Feed::latency(|_, _| GOOD)
            .with(of("requests"), orders(), move |t, _| if t < -120 { before } else { Some(100.0) });
        assert_eq!(serves(&feed), (Inconclusive, LAST), "{before:?}");
    }
}

#[test]
fn a_symptom_without_the_label_is_about_its_service() {
    let plain = SeriesKey::new("p99");
    let p99: Level = |t, _| if t < 0 { BAD } else { GOOD };
    let feed = |now: f64| serving(move |_, _| Some(now)).with(plain.clone(), orders(), p99);
    let symptom = [slow_on(plain.clone(), orders())];
    assert_eq!(verdict(&said(&feed(100.0), traffic(), &symptom)), (Recovered, FIRST));
    assert_eq!(verdict(&said(&feed(0.0), traffic(), &symptom)), (NotRecovered, LAST));
}

#[test]
fn symptoms_that_name_no_service_leave_traffic_unproven() {
    let node = EntityId::new(EntityKind::Node, "n1");
    let load = SeriesKey::new("load");
    let feed = serving(|_, _| Some(100.0)).with(load.clone(), node.clone(), |_, _| GOOD);
    let symptom = slow_on(load, node);
    assert_eq!(verdict(&said(&feed, traffic(), std::slice::from_ref(&symptom))), (Inconclusive, LAST));
    assert_eq!(
        verdict(&said(&feed, traffic(), &[symptom, slow()])),
        (Recovered, FIRST),
        "another one names it"
    );
}

#[test]
fn an_absurd_reference_is_read_in_coarser_slots() {
    let mut config = traffic();
    config.traffic.as_mut().unwrap().reference = secs(10 * 365 * 86_400);
    let feed = Feed::latency(|_, _| GOOD).first(|_, _| Ok(()));
    assert_eq!(verdict(&said(&feed, config, &[slow()])).0, Inconclusive);
}
