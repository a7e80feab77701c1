//! Alerts of other systems.

use aiops_core::model::{AlertState, Severity};
use aiops_detect::intake::{
    AlertmanagerIntake, EntityRule, IntakeConfig, IntakeError, IntakeOptions, RejectReason,
};
use serde_json::{Value, json};

/// The example of the Prometheus documentation, with two alerts.
fn body() -> Value {
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"HighLatency\"}",
        "truncatedAlerts": 3,
        "status": "firing",
        "receiver": "aiops",
        "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighLatency", "service": "checkout", "severity": "critical", "pod": "checkout-0"},
                "annotations": {"summary": "slow", "runbook_url": "https://runbooks/latency"},
                "startsAt": "2026-01-01T10:00:00.123Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph",
                "fingerprint": "9a1b2c3d4e5f6071"
            },
            {
                "status": "resolved",
                "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "job": "node-exporter"},
                "annotations": {},
                "startsAt": "2026-01-01T11:00:00+01:00",
                "endsAt": "2026-01-01T10:30:00Z"
            }
        ]
    })
}

fn read(body: &Value) -> Result<aiops_detect::intake::AlertBatch, IntakeError> {
    AlertmanagerIntake::default().webhook(body.to_string().as_bytes())
}

#[test]
fn a_webhook_is_read() {
    let batch = read(&body()).unwrap();
    assert_eq!((batch.alerts.len(), batch.rejected.len(), batch.truncated), (2, 0, 3));
    assert_eq!(batch.receiver.as_deref(), Some("aiops"));
    let [latency, disk] = &batch.alerts[..] else { panic!() };
    assert_eq!(
        (latency.name.as_str(), latency.entity.to_string().as_str()),
        ("HighLatency", "service/checkout")
    );
    assert_eq!((latency.state, latency.severity), (AlertState::Firing, Severity::Critical));
    assert_eq!(latency.started_at.to_string(), "2026-01-01T10:00:00.123Z");
    assert_eq!(latency.labels.get("pod"), Some("checkout-0"));
    assert_eq!(latency.labels.get("alertname"), None, "it is the name");
    assert_eq!(latency.annotations.get("generatorURL"), Some("http://prometheus:9090/graph"));
    assert_eq!((disk.state, disk.severity), (AlertState::Resolved, Severity::Warning));
    assert_eq!(disk.entity.to_string(), "host/db-1", "about the machine, not the exporter");
    assert_eq!(disk.started_at.to_string(), "2026-01-01T10:00:00Z");
}

#[test]
fn one_bad_alert_does_not_spoil_the_rest() {
    let mut body = body();
    let alerts = body["alerts"].as_array_mut().unwrap();
    alerts.insert(0, json!(17));
    alerts.insert(
        1,
        json!({"status": "firing", "labels": {"service": "x"}, "startsAt": "2026-01-01T10:00:00Z"}),
    );
    alerts.insert(2, json!({"status": "firing", "labels": {"alertname": "X"}, "startsAt": "yesterday"}));
    alerts.insert(
        3,
        json!({"status": "pending", "labels": {"alertname": "X"}, "startsAt": "2026-01-01T10:00:00Z"}),
    );
    alerts.insert(
        4,
        json!({"status": "firing", "labels": {"alertname": "X", "n": 1}, "startsAt": "2026-01-01T10:00:00Z"}),
    );
    alerts.insert(5, json!({"status": "firing", "labels": {"alertname": "X"}}));
    let batch = read(&body).unwrap();
    assert_eq!(batch.alerts.len(), 2);
    let reasons: Vec<&RejectReason> = batch.rejected.iter().map(|r| &r.reason).collect();
    assert!(
        matches!(
            reasons[..],
            [
                RejectReason::Malformed(_),
                RejectReason::NoName,
                RejectReason::NoStart(_),
                RejectReason::Status(_),
                RejectReason::Malformed(_),
                RejectReason::NoStart(_)
            ]
        ),
        "{reasons:?}"
    );
    assert_eq!(batch.rejected.iter().map(|r| r.index).collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
}

#[test]
fn the_api_is_read_without_what_is_silenced() {
    let of = |state: &str| {
        json!({
            "labels": {"alertname": "X", "service": "a"}, "annotations": {}, "fingerprint": "1",
            "startsAt": "2026-01-01T10:00:00Z", "endsAt": "2026-01-01T10:05:00Z", "updatedAt": "2026-01-01T10:01:00Z",
            "receivers": [{"name": "aiops"}],
            "status": {"state": state, "silencedBy": [], "inhibitedBy": ["2"], "mutedBy": []}
        })
    };
    let body = json!([of("active"), of("suppressed"), of("unprocessed"), of("strange")]).to_string();
    let batch = AlertmanagerIntake::default().api(body.as_bytes()).unwrap();
    assert_eq!((batch.alerts.len(), batch.suppressed, batch.rejected.len()), (1, 2, 1));
    // Its end lies ahead: the API says when it will end if nothing more is heard.
    assert_eq!(batch.alerts[0].state, AlertState::Firing);
}

#[test]
fn labels_say_what_an_alert_is_about() {
    for (labels, about) in [
        (json!({"service": "prometheus-kube-state-metrics", "deployment": "cart"}), "service/cart"),
        (
            json!({"service": "kube-state-metrics", "job": "kube-state-metrics", "pod": "cart-7d9f8b6c5d-x2x7k"}),
            "pod/cart-7d9f8b6c5d-x2x7k",
        ),
        (json!({"service.name": "cart", "service": "other"}), "service/cart"),
        (json!({"job": "api", "instance": "10.0.0.1:80"}), "service/api"),
        (json!({"instance": "[2001:db8::1]:9100"}), "host/2001:db8::1"),
        (json!({"instance": "2001:db8::1"}), "host/2001:db8::1"),
        (json!({"instance": "https://shop.example:8443/health"}), "host/shop.example"),
        (json!({"service": "", "node": "n1"}), "node/n1"),
        (json!({"other": "x"}), "external/Rule"),
        (json!({"gpu_uuid": "GPU-1", "instance": "h:9400"}), "gpu/GPU-1"),
    ] {
        let mut labels = labels;
        labels["alertname"] = "Rule".into();
        let body =
            json!({"alerts": [{"status": "firing", "labels": labels, "startsAt": "2026-01-01T10:00:00Z"}]});
        assert_eq!(read(&body).unwrap().alerts[0].entity.to_string(), about);
    }
}

#[test]
fn severities_are_words() {
    for (word, severity) in [
        ("CRITICAL", Severity::Critical),
        (" page ", Severity::Critical),
        ("warning", Severity::Warning),
        ("none", Severity::Info),
        ("weird", Severity::Warning),
    ] {
        let labels = json!({"alertname": "X", "severity": word});
        let body = json!({"alerts": [{"labels": labels, "startsAt": "2026-01-01T10:00:00Z"}]});
        assert_eq!(read(&body).unwrap().alerts[0].severity, severity, "{word}");
    }
}

#[test]
fn bodies_that_cannot_be_read_are_errors() {
    let intake = AlertmanagerIntake::default();
    assert!(matches!(intake.webhook(b""), Err(IntakeError::Malformed(_))));
    assert!(matches!(intake.webhook(b"\xff\xfe{}"), Err(IntakeError::Malformed(_))));
    assert!(matches!(intake.webhook(b"{\"version\":\"4\"}"), Err(IntakeError::Malformed(_))));
    assert!(matches!(intake.webhook("[".repeat(100_000).as_bytes()), Err(IntakeError::Malformed(_))));
    let newer = br#"{"version":"5","alerts":[]}"#;
    assert!(matches!(intake.webhook(newer), Err(IntakeError::Version { version }) if version == "5"));
    let options = IntakeOptions { max_bytes: 1024, max_alerts: 1, ..IntakeOptions::default() };
    let small = AlertmanagerIntake::new(IntakeConfig::try_from(options).unwrap());
    assert!(matches!(small.webhook(&[b' '; 1025]), Err(IntakeError::TooLong { bytes: 1025, allowed: 1024 })));
    let one = json!({"labels": {"alertname": "X"}, "startsAt": "2026-01-01T10:00:00Z"});
    let batch = small.webhook(json!({"alerts": [one, one, one]}).to_string().as_bytes()).unwrap();
    assert_eq!((batch.alerts.len(), &batch.rejected[0].reason), (1, &RejectReason::TooMany));
}

#[test]
fn options_are_checked() {
    let field = |change: fn(&mut IntakeOptions)| {
        let mut options = IntakeOptions::default();
        change(&mut options);
        IntakeConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.max_alerts = 0), "max_alerts");
    assert_eq!(field(|o| o.max_bytes = 1), "max_bytes");
    assert_eq!(
        field(|o| {
            o.severities.insert("P0".into(), Severity::Critical);
        }),
        "severities"
    );
    assert_eq!(
        field(|o| {
            o.exporters.insert(String::new());
        }),
        "exporters"
    );
    let kind = aiops_core::model::EntityKind::Host;
    let rule = EntityRule { label: String::new(), kind };
    let options = IntakeOptions { entities: vec![rule], ..IntakeOptions::default() };
    assert_eq!(IntakeConfig::try_from(options).unwrap_err().field(), "entities");
    let stored = serde_json::to_string(&IntakeConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<IntakeConfig>(&stored).unwrap(), IntakeConfig::default());
}
