//! Incidents carry names, and open cases.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::fake::InMemorySource;
use aiops_core::model::{
    Alert, Change, ChangeKind, EdgeKind, EntityId, Severity, TelemetryWindow, TimeRange,
};
use aiops_core::pipeline::Look;
use aiops_core::{Context, ManualClock};
use aiops_detect::Correlator;
use aiops_detect::correlate::{CorrelatorConfig, IncidentDetector};
use aiops_detect::taxonomy::{Category, LabelRule, Labeller, Taxonomy, TaxonomyError};
use aiops_testkit::conformance::{DetectorFixture, detector as conformance};
use futures_lite::future::block_on;

use super::{alert, at, knowing, resolved, service};

fn labeller() -> Labeller {
    Labeller::common().unwrap()
}

#[test]
fn incidents_carry_the_names_of_a_taxonomy() {
    let mut correlator = knowing(&["shop>db"]);
    correlator.set_labeller(Some(labeller()));
    // The suspected root decides, though more alerts say otherwise.
    correlator.push(&alert("PoolExhausted", "db", 0), at(0));
    correlator.push(&alert("HighLatency", "shop", 5), at(5));
    correlator.push(&alert("p99_latency", "shop", 6), at(6));
    let incident = correlator.incidents().remove(0);
    assert_eq!(incident.primary_service, service("db"));
    let label = incident.label.unwrap();
    assert_eq!((label.version, label.category.as_str()), (1, "saturation"));
    assert!((label.share - 1.0 / 3.0).abs() < 1e-12, "{label:?}");
    // A stored correlator is told again how to name; without, nothing is named.
    let stored = serde_json::to_string(&correlator).unwrap();
    let restored: Correlator = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored.incidents()[0].label, None);
    // What no rule knows has no name.
    let mut odd = knowing(&[]);
    odd.set_labeller(Some(labeller()));
    odd.push(&alert("Wobble", "cart", 0), at(0));
    assert_eq!(odd.incidents()[0].label, None);
}

#[test]
fn words_are_read_out_of_names_and_rules_are_checked() {
    let labeller = labeller();
    let label = |name: &str| labeller.label(None, [("x", name)]).map(|label| label.category);
    for (name, kind) in [
        ("KubePodCrashLooping", Some("availability")),
        ("HTTP5xxRate", Some("traffic")),
        ("node_memory_MemAvailable", Some("saturation")),
        ("service-down", Some("availability")),
        ("DNSLookupFailures", Some("network")),
        ("", None),
        ("数据库错误", None),
    ] {
        assert_eq!(label(name).as_deref(), kind, "{name}");
    }
    // Most kinds of alerts decide, and of equal ones the first rule.
    let most = labeller.label(None, [("a", "Slow"), ("b", "Slow"), ("a", "Errors")]).unwrap();
    assert_eq!((most.category.as_str(), most.share), ("latency", 2.0 / 3.0));
    let even = labeller.label(None, [("a", "Slow"), ("a", "Errors")]).unwrap();
    assert_eq!(even.category, "errors");
    let taxonomy = || Taxonomy::new([("slow", Category::new("late"))]).unwrap();
    let rule = |category: &str, words: &[&str]| vec![LabelRule::new(category, words.iter().copied())];
    assert!(matches!(Labeller::new(taxonomy(), rule("fast", &["x"])), Err(TaxonomyError::Dangling { .. })));
    assert_eq!(Labeller::new(taxonomy(), rule("slow", &[])), Err(TaxonomyError::Unnamed));
    let stored = serde_json::to_string(&labeller).unwrap();
    assert_eq!(serde_json::from_str::<Labeller>(&stored).unwrap(), labeller);
    assert!(
        serde_json::from_str::<Labeller>(&stored.replace("\"category\":\"latency\"", "\"category\":\"l\""))
            .is_err()
    );
}

/// A window of an hour with these alerts, in which the shop needs the database.
fn window(alerts: Vec<Alert>) -> TelemetryWindow {
    let mut window = TelemetryWindow::new(TimeRange::new(at(0), at(3600)).unwrap());
    window.topology.connect(service("shop"), service("db"), EdgeKind::Calls);
    window.alerts = alerts;
    window
}

fn outage() -> TelemetryWindow {
    let mut alerts = vec![alert("PoolExhausted", "db", 600), alert("HighLatency", "shop", 620)];
    alerts[0].severity = Severity::Critical;
    alerts.push(alert("DiskFull", "archive", 3000));
    let mut window = window(alerts);
    window.changes.push(Change::new("d-1", at(500), ChangeKind::Deployment, service("db"), "pool of 5"));
    window
}

fn detector(from: Severity) -> IncidentDetector {
    IncidentDetector::new(CorrelatorConfig::default(), from, Some(labeller())).unwrap()
}

#[test]
fn one_incident_is_one_finding() {
    let told = detector(Severity::Warning).find(&outage());
    let told: Vec<_> = told
        .iter()
        .map(|a| (a.entity.clone(), a.value, a.severity, a.onset, a.series.labels.get("category")))
        .collect();
    assert_eq!(
        told,
        [
            (service("archive"), 1.0, Severity::Warning, at(3000), Some("saturation")),
            (service("db"), 2.0, Severity::Critical, at(600), Some("saturation")),
        ]
    );
    let incidents = detector(Severity::Warning).incidents(&outage());
    assert_eq!(incidents[0].changes.len(), 1);
    assert_eq!(detector(Severity::Critical).find(&outage()).len(), 1);
}

#[test]
fn contract() {
    let mut fixture = DetectorFixture::new(Context::system(), outage());
    let info = |mut alert: Alert| {
        alert.severity = Severity::Info;
        alert
    };
    fixture.normal = Some(window(vec![info(alert("Nightly", "shop", 10))]));
    fixture.thin = Some(window(Vec::new()));
    block_on(conformance(&detector(Severity::Warning), &fixture)).assert_counts(11, 0);
}

#[test]
fn windows_of_odd_alerts_are_judged() {
    let told = |window: &TelemetryWindow| detector(Severity::Warning).find(window);
    // In any order the same; twice is once; what ended is not going on; what began before the window, or after it.
    let mut unordered = outage();
    unordered.alerts.reverse();
    assert_eq!(told(&unordered), told(&outage()));
    let mut twice = outage();
    twice.alerts.extend(outage().alerts);
    assert_eq!(told(&twice), told(&outage()));
    let over = window(vec![resolved(&alert("Slow", "shop", 100))]);
    assert!(told(&over).iter().all(|a| !a.ongoing) && told(&over).len() == 1);
    let early = window(vec![alert("Slow", "shop", -5000)]);
    assert_eq!(told(&early)[0].onset, at(0));
    assert_eq!(told(&window(vec![alert("Slow", "shop", 3600), alert("Slow", "", 99_999)])), []);
    assert_eq!(told(&window(vec![alert("", "", 5)])).len(), 1);
}

#[test]
fn alerts_open_a_case_of_the_pipeline() {
    let quiet = window(Vec::new());
    let now = quiet.range.end();
    let ctx = Context::new(Arc::new(ManualClock::leaping(now)));
    let source = InMemorySource::holding(quiet);
    let later = now + Duration::from_secs(1);
    let pipeline = crate::pipeline::pipeline(Box::new(detector(Severity::Critical)), source.clone(), later);
    assert!(matches!(block_on(pipeline.step(&ctx)).unwrap(), Look::Quiet));
    let mut window = outage();
    // The pipeline of these tests reads the last eight hours.
    window.alerts.iter_mut().for_each(|alert| alert.started_at = now - Duration::from_secs(1200));
    source.set(window);
    match block_on(pipeline.step(&ctx)).unwrap() {
        Look::Incident(case) => {
            let found = case.anomalies();
            assert_eq!(found[0].anomaly.entity, EntityId::service("db"));
            assert_eq!(found[0].anomaly.detector.0, IncidentDetector::ID);
        }
        other => panic!("{other:?}"),
    }
}
