//! Signatures of what precedes incidents.

use std::time::Duration;

use aiops_core::Context;
use aiops_core::model::{EntityId, MetricSeries, SeriesKey, Severity, TelemetryWindow, TimeAxis, TimeRange};
use aiops_core::seam::Detector;
use aiops_detect::Checked;
use aiops_detect::precursor::{
    Aspect, FittedPrecursors, LabelledIncident, PrecursorDetector, PrecursorError, PrecursorFit,
    PrecursorOptions,
};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;
use jiff::Timestamp;

use crate::worlds::{disordered, normal, rng, spoiled, start};

const STEP: Duration = Duration::from_secs(60);
const DAY: usize = 1440;

fn at(row: usize) -> Timestamp {
    start() + STEP * u32::try_from(row).unwrap()
}

/// Two brokers over so many rows. In the 75 minutes before each incident of a broker its queue is deep and its collector
/// unsteady, if `signs`; after it, everything is upset for half an hour. Beforehand and otherwise all is noise, and
/// now and then one of the signs comes alone.
fn world(rows: usize, seed: u64, incidents: &[(usize, &str)], signs: bool) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(start(), at(rows)).unwrap());
    for broker in ["a", "b"] {
        for metric in ["cpu", "gc_pause", "queue_depth"] {
            let mut noise =
                rng(seed * 100 + metric.len() as u64 * 7 + broker.len() as u64 + u64::from(broker == "b"));
            let values = (0..rows).map(|row| {
                let z = normal(&mut noise);
                let near = |before: usize, after: usize| {
                    incidents.iter().any(|(i, b)| *b == broker && row + before >= *i && row < i + after)
                };
                let lone = metric == "queue_depth" && row % (2 * DAY) / 50 == 10;
                let value = match metric {
                    "queue_depth" if lone || signs && near(75, 0) => 100.0 + 40.0 + 10.0 * z,
                    "queue_depth" => 100.0 + 10.0 * z,
                    "gc_pause" if signs && near(75, 0) => 20.0 + 10.0 * z,
                    "gc_pause" => 20.0 + 2.0 * z,
                    _ => 50.0 + 5.0 * z,
                };
                Some(if near(0, 30) { value * 3.0 } else { value })
            });
            let values: Vec<Option<f64>> = values.collect();
            let axis = TimeAxis::regular(start(), STEP, rows).unwrap();
            let entity = EntityId::service(broker);
            window.metrics.push(MetricSeries::new(SeriesKey::new(metric), entity, axis, values).unwrap());
        }
    }
    window.sort();
    window
}

/// Eight incidents in a week, in turn on either broker.
const PAST: [(usize, &str); 8] =
    [(900, "a"), (2100, "b"), (3300, "a"), (4600, "b"), (5700, "a"), (6900, "b"), (8200, "a"), (9400, "b")];

fn labels(incidents: &[(usize, &str)]) -> Vec<LabelledIncident> {
    let label = |(row, broker): &(usize, &str)| LabelledIncident {
        entity: EntityId::service(*broker),
        at: at(*row),
        class: "broker-stall".to_owned(),
    };
    incidents.iter().map(label).collect()
}

fn fitted() -> FittedPrecursors {
    PrecursorFit::default().learn(&world(7 * DAY, 1, &PAST, true), &labels(&PAST)).unwrap()
}

/// Three hours in which an incident of each broker is in the making, or of none.
fn looming(seed: u64, signs: bool) -> TelemetryWindow {
    let soon = [(200, "a"), (210, "b")];
    world(180, seed, if signs { &soon } else { &[] }, signs)
}

#[test]
fn contract() {
    let detector = PrecursorDetector::new(fitted()).unwrap();
    let mut fixture = DetectorFixture::new(Context::system(), looming(5, true));
    fixture.normal = Some(looming(6, false));
    fixture.thin = Some(world(20, 7, &[], false));
    block_on(conformance(&detector, &fixture)).assert_counts(11, 0);
}

#[test]
fn what_precedes_incidents_is_learned_measured_and_matched() {
    let fitted = fitted();
    let [signature] = fitted.signatures() else { panic!("{:?}", fitted.signatures()) };
    let items: Vec<(&str, Aspect)> = signature.items().map(|i| (i.metric.as_str(), i.aspect)).collect();
    assert!(
        items.contains(&("queue_depth", Aspect::High)) && items.contains(&("gc_pause", Aspect::Unsteady)),
        "{items:?}"
    );
    assert!(items.iter().all(|(metric, _)| *metric != "cpu"), "{items:?}");
    let measured = signature.measured();
    assert_eq!(measured.incidents, 8);
    assert!(measured.recall() >= 0.85 && measured.precision().unwrap() >= 0.7, "{measured:?}");
    assert!(measured.false_alarms_per_day() <= 0.5 && (5.0..=7.1).contains(&measured.days), "{measured:?}");
    let lead = measured.lead_time().unwrap();
    assert!((Duration::from_secs(900)..=Duration::from_secs(5400)).contains(&lead), "{lead:?}");

    let detector = PrecursorDetector::new(fitted.clone()).unwrap();
    let matches = detector.matches(&looming(5, true));
    assert_eq!(matches.iter().map(|m| m.entity.name()).collect::<Vec<_>>(), ["a", "b"]);
    for matched in &matches {
        assert_eq!(matched.class, "broker-stall");
        assert!(matched.score >= matched.threshold && !matched.seen.is_empty());
        // Known well before it happens, at row 200 or 210.
        assert!(matched.since <= at(185) && matched.since >= at(125), "{}", matched.since);
    }
    assert!(detector.find(&looming(5, true)).iter().all(|a| a.severity == Severity::Warning && a.ongoing));

    let stored = serde_json::to_string(&fitted).unwrap();
    let back: FittedPrecursors = serde_json::from_str(&stored).unwrap();
    assert_eq!((&back, back.hash().unwrap()), (&fitted, detector.fitted()));
    for damage in [
        ("\"version\":1", "\"version\":2"),
        ("\"hits\":2", "\"hits\":0"),
        ("\"announced\":", "\"announced\":9"),
    ] {
        assert!(stored.contains(damage.0), "{stored}");
        assert!(
            serde_json::from_str::<FittedPrecursors>(&stored.replacen(damage.0, damage.1, 1)).is_err(),
            "{damage:?}"
        );
    }
    let nothing = PrecursorDetector::new(FittedPrecursors::unfitted(Checked::default())).unwrap();
    assert_eq!(nothing.find(&looming(5, true)), []);
}

/// Incidents that nothing precedes: nothing is learned, or the figures say what it is worth.
#[test]
fn what_is_not_there_is_not_learned() {
    for seed in [11, 12, 13] {
        match PrecursorFit::default().learn(&world(7 * DAY, seed, &PAST, false), &labels(&PAST)) {
            Err(error) => assert_eq!(error, PrecursorError::NoSignature),
            Ok(fitted) => {
                let measured = fitted.signatures()[0].measured();
                assert!(measured.recall() <= 0.3, "{measured:?}");
            }
        }
    }
}

#[test]
fn too_little_is_refused() {
    let history = world(7 * DAY, 1, &PAST, true);
    let fit = PrecursorFit::default();
    let error = fit.learn(&history, &labels(&PAST[..4])).unwrap_err();
    assert_eq!(error, PrecursorError::TooFew { incidents: 4, needed: 5 });
    // Incidents of several classes do not add up; nor do those outside the history, or said twice.
    let mut classes = labels(&PAST);
    classes.iter_mut().skip(4).for_each(|i| i.class = "other".to_owned());
    assert_eq!(
        fit.learn(&history, &classes).unwrap_err(),
        PrecursorError::TooFew { incidents: 4, needed: 5 }
    );
    let mut outside = labels(&PAST[..4]);
    outside.extend(labels(&[(9 * DAY, "a"), (3, "b"), PAST[0], PAST[1]]));
    assert_eq!(
        fit.learn(&history, &outside).unwrap_err(),
        PrecursorError::TooFew { incidents: 4, needed: 5 }
    );
    let many: Vec<(usize, &str)> =
        (0..100).map(|i| (100 * i + 95, if i % 2 == 0 { "a" } else { "b" })).collect();
    let crowded = fit.learn(&world(7 * DAY, 1, &many, false), &labels(&many)).unwrap_err();
    assert!(matches!(crowded, PrecursorError::TooLittleHealth { needed: 200, .. }), "{crowded:?}");
    let seam: aiops_core::Error = error.into();
    assert_eq!(seam.kind(), aiops_core::ErrorKind::Invalid);
}

#[test]
fn bad_input_is_survived() {
    let detector = PrecursorDetector::new(fitted()).unwrap();
    let window = looming(5, true);
    for (what, spoiled) in spoiled(&window) {
        let found = detector.find(&spoiled);
        assert!(what == "constant" || found.is_empty(), "{what}: {found:?}");
    }
    let _ = detector.find(&disordered(&window));
    for (what, spoiled) in spoiled(&world(2 * DAY, 1, &PAST, true)) {
        assert!(PrecursorFit::default().learn(&spoiled, &labels(&PAST)).is_err(), "{what}");
    }
    let bad = |change: fn(&mut PrecursorOptions)| {
        let mut options = PrecursorOptions::default();
        change(&mut options);
        Checked::new(options).unwrap_err().field()
    };
    assert_eq!(bad(|o| o.lead_max = o.lead_min), "lead_max");
    assert_eq!(bad(|o| o.stride = o.frame * 2), "stride");
    assert_eq!(bad(|o| o.min_incidents = 2), "min_incidents");
    assert_eq!(bad(|o| o.lift = 1.0), "lift");
}
