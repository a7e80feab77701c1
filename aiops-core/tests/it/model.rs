//! Axes, series, windows and topology at their edges.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::*;
use aiops_core::{Case, ErrorKind};

use crate::world::{seconds, start};

fn regular(len: usize) -> TimeAxis {
    TimeAxis::regular(start(), seconds(15), len).unwrap()
}

fn series(samples: &[Option<f64>]) -> MetricSeries {
    let (key, entity) = (SeriesKey::new("up"), EntityId::service("a"));
    MetricSeries::new(key, entity, regular(samples.len()), samples.iter().copied()).unwrap()
}

#[test]
fn an_axis_is_checked_when_it_is_made() {
    let invalid =
        |axis: aiops_core::Result<TimeAxis>| assert_eq!(axis.unwrap_err().kind(), ErrorKind::Invalid);
    invalid(TimeAxis::regular(start(), Duration::ZERO, 3));
    invalid(TimeAxis::regular(start(), Duration::MAX, 3));
    invalid(TimeAxis::regular(start(), seconds(1), usize::MAX));
    invalid(TimeAxis::regular(Timestamp::MAX, seconds(1), 2));
    invalid(TimeAxis::irregular(vec![start(), start()]));
    invalid(TimeAxis::irregular(vec![start() + seconds(1), start()]));
    invalid(TimeAxis::covering(TimeRange::ending_at(start(), seconds(1)), Duration::ZERO));
    assert!(TimeAxis::regular(Timestamp::MAX, seconds(1), 1).is_ok());
    assert!(TimeAxis::irregular(Vec::new()).unwrap().is_empty());
}

#[test]
fn an_axis_covers_a_half_open_range() {
    let covering =
        |length| TimeAxis::covering(TimeRange::new(start(), start() + length).unwrap(), seconds(15)).unwrap();
    assert_eq!(covering(seconds(60)).len(), 4);
    assert_eq!(covering(seconds(61)).len(), 5);
    assert_eq!(covering(seconds(0)).len(), 0);
    assert_eq!(covering(seconds(60)).last(), Some(start() + seconds(45)));
}

#[test]
fn an_axis_finds_the_next_sample() {
    let axis = regular(4);
    assert_eq!(axis.index_at_or_after(start() - seconds(1)), 0);
    assert_eq!(axis.index_at_or_after(start()), 0);
    assert_eq!(axis.index_at_or_after(start() + Duration::from_nanos(1)), 1);
    assert_eq!(axis.index_at_or_after(start() + seconds(45)), 3);
    assert_eq!(axis.index_at_or_after(start() + seconds(46)), 4);
    assert_eq!(axis.index_at_or_after(Timestamp::MAX), 4);
    assert_eq!((axis.get(3), axis.get(4)), (Some(start() + seconds(45)), None));
}

#[test]
fn a_gap_is_no_zero_and_no_nan() {
    let all = [Some(0.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY)];
    let series = series(&all);
    assert_eq!((series.len(), series.validity().gaps(), series.points().count()), (5, 1, 4));
    let json = serde_json::to_value(&series).unwrap();
    assert_eq!(json["samples"], serde_json::json!([0.0, null, "NaN", "Inf", "-Inf"]));
    let read: MetricSeries = serde_json::from_value(json).unwrap();
    assert_eq!(format!("{read:?}"), format!("{series:?}"));
}

#[test]
fn hostile_series_files_are_refused() {
    let good = serde_json::to_value(series(&[Some(1.0), None])).unwrap();
    let read = |change: fn(&mut serde_json::Value)| {
        let mut json = good.clone();
        change(&mut json);
        serde_json::from_value::<MetricSeries>(json).map(drop).unwrap_err().to_string()
    };
    assert!(read(|j| j["samples"] = serde_json::json!([1.0])).contains("differ in length"));
    assert!(read(|j| j["samples"] = serde_json::json!([1.0, "nan"])).contains("not a number"));
    assert!(read(|j| j["times"]["regular"]["step"] = "0s".into()).contains("longer than zero"));
    assert!(read(|j| j["times"]["regular"]["len"] = 3.into()).contains("differ in length"));
    assert!(read(|j| j["entity"] = "orders".into()).contains("kind/name"));
    assert!(read(|j| j["more"] = 1.into()).contains("unknown field"));
}

#[test]
fn ids_are_read_strictly() {
    for bad in ["", "service", "planet/mars", "/orders", "Service/orders"] {
        assert_eq!(bad.parse::<EntityId>().unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!("service/a/b".parse::<EntityId>().unwrap().name(), "a/b");
    // Telemetry may leave a name empty; what is written is read back.
    assert_eq!("service/".parse::<EntityId>().unwrap(), EntityId::service(""));
    for bad in ["", "+1", "-1", "0x1", "g", "123456789012345678901234567890123"] {
        assert!(bad.parse::<SpanId>().is_err(), "{bad:?}");
    }
    assert_eq!("00f067aa0ba902b7".parse::<SpanId>().unwrap().to_string(), "00f067aa0ba902b7");
}

fn service(name: &str) -> EntityId {
    EntityId::service(name)
}

fn topology(edges: &[(&str, &str, EdgeKind)]) -> Topology {
    let mut topology = Topology::new();
    for (from, to, kind) in edges {
        topology.connect(service(from), service(to), *kind);
    }
    topology
}

fn way(topology: &Topology, from: &str, to: &str) -> Option<String> {
    let way = topology.path(&service(from), &service(to))?;
    Some(way.iter().map(EntityId::name).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_path_is_the_shortest_and_ties_go_to_the_smaller_name() {
    use EdgeKind::{Calls, DependsOn, RunsOn};
    let t = topology(&[
        ("a", "z", Calls),
        ("a", "b", DependsOn),
        ("z", "end", Calls),
        ("b", "end", Calls),
        ("end", "a", Calls),
        ("a", "short", RunsOn),
        ("short", "end", Calls),
    ]);
    // `z` is called and `b` depended on: the kind of the edge must not decide.
    assert_eq!(way(&t, "a", "end").as_deref(), Some("a b end"));
    assert_eq!(way(&t, "end", "b").as_deref(), Some("end a b"));
    assert_eq!(way(&t, "a", "a").as_deref(), Some("a"));
    assert_eq!(way(&t, "a", "short"), None, "trouble does not travel along other edges");
    assert_eq!(way(&t, "a", "nowhere"), None);
}

#[test]
fn the_whole_of_a_part_is_found() {
    let t = topology(&[("orders-1", "orders", EdgeKind::PartOf)]);
    assert_eq!(t.whole(&service("orders-1")), &service("orders"));
    assert_eq!(t.whole(&service("orders")), &service("orders"));
}

#[test]
fn limits_name_what_exceeds_them() {
    let mut window = TelemetryWindow::new(TimeRange::ending_at(start(), seconds(60)));
    window.metrics = vec![series(&[Some(1.0), None, Some(2.0)])];
    window.logs = vec![LogRecord::new(start(), service("a"), "x"); 3];
    let mut limits = FetchLimits::default();
    (limits.series, limits.samples, limits.records) = (1, 2, 3);
    assert!(limits.check(&window).is_ok(), "a gap is no sample, and the limit is allowed");
    let refused = |set: fn(&mut FetchLimits)| {
        let mut tight = limits;
        set(&mut tight);
        let e = tight.check(&window).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Limit);
        e.context().next().unwrap().0
    };
    assert_eq!(refused(|l| l.series = 0), "series");
    assert_eq!(refused(|l| l.samples = 1), "samples");
    assert_eq!(refused(|l| l.records = 2), "records");
}

#[test]
fn case_files_of_other_versions_and_other_files_are_refused() {
    let refused = |json: &str| Case::from_json(json.as_bytes()).unwrap_err().kind();
    assert_eq!(refused("{\"version\": 2}"), ErrorKind::Unsupported);
    for garbage in ["", "null", "[]", "{}", "{\"version\": 1}", "{\"version\": \"1\"}", "\u{0}"] {
        assert_eq!(refused(garbage), ErrorKind::Malformed, "{garbage:?}");
    }
    assert_eq!(Case::from_json(&[0xff, 0xfe]).unwrap_err().kind(), ErrorKind::Malformed);
}
