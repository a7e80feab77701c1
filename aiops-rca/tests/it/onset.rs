//! When a fault began.

use std::time::Duration;

use aiops_core::jiff::{SignedDuration, Timestamp};
use aiops_core::model::{
    EntityId, LogRecord, MetricSeries, SeriesKey, Span, SpanId, TelemetryWindow, TimeAxis, TimeRange,
    TraceId, time,
};
use aiops_rca::{OnsetConfig, onset};
use proptest::prelude::*;

const BEGIN: i64 = 1_750_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap()
}

/// Six minutes of two services, a request a second; from `change` on the second answers 80 ms later and errs in every other line.
fn window(change: Option<i64>) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(360)).unwrap());
    for second in 0..360 {
        let slow = change.is_some_and(|change| second >= change);
        let n = u64::try_from(second).unwrap();
        let took = Duration::from_micros(2000 + n * 7919 % 400 + if slow { 80_000 } else { 0 });
        let (trace, id) = (TraceId(u128::from(n) + 1), 2 * n + 1);
        let (front, back) = (EntityId::service("front"), EntityId::service("back"));
        let outer = Span::new(trace, SpanId(id), front, "GET /", at(second), took + Duration::from_millis(1));
        let inner = Span::new(trace, SpanId(id + 1), back.clone(), "query", at(second), took);
        window.spans.extend([outer, inner.with_parent(SpanId(id))]);
        let text = if slow && second % 2 == 0 { "Back.rs:20 failed" } else { "Back.rs:10 done" };
        window.logs.push(LogRecord::new(at(second), back, text));
    }
    window
}

fn off(found: Timestamp, second: i64) -> f64 {
    found.duration_since(at(second)).as_secs_f64()
}

#[test]
fn nothing_seen_leaves_what_was_stated() {
    let config = OnsetConfig::default();
    let empty = TelemetryWindow::new(TimeRange::new(at(0), at(0)).unwrap());
    for (window, what) in [(&empty, "nothing"), (&window(None), "no change")] {
        let found = onset(window, at(180), &config);
        assert_eq!((found.at, found.channels), (at(180), 0), "{what}");
    }
}

/// At the edge of a recording a clump of requests looks like a change.
#[test]
fn no_onset_lies_at_the_edge_of_what_was_recorded() {
    let config = OnsetConfig::default();
    let ending = |lasts: i64| {
        let mut window = window(Some(230));
        window.spans.retain(|s| s.start < at(230 + lasts));
        window.logs.retain(|l| l.time < at(230 + lasts));
        onset(&window, at(190), &config).at
    };
    for lasts in [1, 5, 10, 20] {
        let found = ending(lasts);
        assert!(found <= at(230 + lasts) - config.lasting, "{lasts} s of it recorded, found at {found}");
    }
    assert!(off(ending(40), 230).abs() <= 5.0, "{}", ending(40));
}

#[test]
fn a_change_beyond_the_reach_does_not_pull_the_onset_to_its_edge() {
    for stated in [100, 260] {
        let found = onset(&window(Some(180)), at(stated), &OnsetConfig::default());
        assert_eq!((found.at, found.channels), (at(stated), 0));
    }
}

#[test]
fn at_the_ends_of_time_and_with_what_is_no_number_there_is_an_answer() {
    let mut odd = window(Some(180));
    let axis = TimeAxis::regular(at(0), Duration::from_secs(1), 4).unwrap();
    let values = [Some(f64::NAN), None, Some(f64::INFINITY), Some(-1.0)];
    odd.metrics
        .push(MetricSeries::new(SeriesKey::new("m"), EntityId::service("back"), axis, values).unwrap());
    odd.spans[0].duration = Duration::MAX;
    odd.spans.reverse();
    for stated in [Timestamp::MIN, Timestamp::MAX, at(180)] {
        let found = onset(&odd, stated, &OnsetConfig::default());
        assert!(found.gain.is_finite());
        assert!(time::elapsed(found.at.min(stated), found.at.max(stated)) <= Duration::from_secs(60));
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |change: fn(&mut OnsetConfig)| {
        let mut config = OnsetConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert!(refused(|c| c.step = Duration::ZERO).contains("onset.step"));
    assert!(refused(|c| c.reach = Duration::from_secs(3600)).contains("onset.reach"));
    assert!(refused(|c| c.lasting = Duration::from_secs(181)).contains("onset.lasting"));
    assert!(refused(|c| c.clip = f64::NAN).contains("onset.clip"));
    assert!(refused(|c| c.context = Duration::MAX).contains("onset.context"));
    assert!(refused(|c| c.least_events = 0).contains("onset.least_events"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn a_change_is_found_though_the_time_stated_is_wrong(change in 150..210_i64, error in -60..=60_i64) {
        let stated = at(change + error);
        let found = onset(&window(Some(change)), stated, &OnsetConfig::default());
        prop_assert!(off(found.at, change).abs() <= 5.0, "{} s off, stated {error} s off", off(found.at, change));
        prop_assert!(found.channels > 0);
    }

    #[test]
    fn no_reach_believes_what_is_stated(change in 150..210_i64, error in -60..=60_i64) {
        let mut config = OnsetConfig::default();
        config.reach = Duration::ZERO;
        let stated = at(change) + SignedDuration::from_secs(error);
        prop_assert_eq!(onset(&window(Some(change)), stated, &config).at, stated);
    }
}
