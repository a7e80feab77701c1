//! The acceptance scenarios, as far as alerts go. // SCN-01, SCN-02, SCN-04

use aiops_core::model::{
    Alert, Change, ChangeKind, Entity, EntityId, EntityKind, Revision, Severity, Topology,
};
use aiops_detect::correlate::{Correlator, CorrelatorOptions, Priority};

use super::{alert, at, calls, critical, knowing, service, with};

/// A shop, its bank, a data platform and an office, as one monitoring sees them.
fn estate() -> Topology {
    let mut topology = calls(&[
        "web>checkout",
        "web>catalogue",
        "web>auth",
        "mobile>checkout",
        "mobile>auth",
        "checkout>auth",
        "checkout>orders",
        "auth>session-pool",
        "session-pool>session",
        "orders>orders-db",
        "ledger>ledger-db",
        "transfers>ledger",
        "cards>ledger",
        "statements>ledger",
        "bank-web>transfers",
        "bank-web>cards",
        "ingest>kafka",
        "reports>warehouse",
        "warehouse>kafka",
        "printing>print-queue",
    ]);
    let mut session = Entity::new(service("session"));
    session.owner = Some("identity".into());
    topology.insert(session);
    topology
}

/// 847 notifications: a silent roll-out of configuration leaks memory in the session service, which starves the
/// connection pool, authentication and checkout; meanwhile a broker disk fills up, one printer jams, and a nightly job warns.
fn storm(correlator: &mut Correlator) -> usize {
    let rollout =
        Change::new("cfg-118", at(-300), ChangeKind::ConfigRollout, service("session"), "cache.ttl")
            .with_revision(Revision::new(Some("117".into()), "118"));
    correlator.change(rollout);
    let mut alerts: Vec<(i64, Alert)> = Vec::new();
    let mut raise = |t: i64, alert: Alert| alerts.push((t, alert));
    let cascade: [(&str, i64, &[&str]); 7] = [
        ("session", 10, &["MemoryHigh", "GarbageCollection", "Restarts", "Latency"]),
        ("session-pool", 60, &["PoolExhausted", "WaitTime", "Latency"]),
        ("auth", 100, &["Latency", "Errors", "Saturation"]),
        ("checkout", 140, &["Latency", "Errors", "OrdersDropped"]),
        ("web", 160, &["Latency", "Errors"]),
        ("mobile", 170, &["Latency", "Errors"]),
        ("orders", 200, &["TrafficLow"]),
    ];
    for (about, onset, rules) in cascade {
        for rule in rules {
            for copy in 0..4 {
                for cycle in 0..10 {
                    let mut alert = alert(rule, about, onset);
                    if matches!(*rule, "PoolExhausted" | "OrdersDropped") {
                        alert.severity = Severity::Critical;
                    }
                    alert.labels.insert("pod", format!("{about}-7d9f8b6c5d-x2x7{copy}"));
                    alert.annotations.insert("runbook_url", format!("https://runbooks/{about}"));
                    raise(onset + 60 * cycle, alert);
                }
            }
        }
    }
    for cycle in 0..57 {
        raise(90 + 10 * cycle, critical("DiskFull", "kafka", 90));
    }
    for cycle in 0..40 {
        raise(120 + 10 * cycle, alert("ConsumerLag", "warehouse", 120));
    }
    for cycle in 0..20 {
        raise(100 + 25 * cycle, alert("PaperJam", "printing", 100));
    }
    for cycle in 0..10 {
        raise(50 + 60 * cycle, alert("BatchLate", "statements", 50));
    }
    alerts.sort_by_key(|(t, _)| *t);
    alerts.iter().for_each(|(t, alert)| drop(correlator.push(alert, at(*t))));
    correlator.advance(at(700));
    alerts.len()
}

#[test]
fn eight_hundred_and_forty_seven_alerts_are_four_incidents() {
    let mut correlator = with(CorrelatorOptions::default());
    correlator.set_topology(estate());
    assert_eq!(storm(&mut correlator), 847);
    let incidents = correlator.incidents();
    let primaries: Vec<&str> = incidents.iter().map(|i| i.primary_service.name()).collect();
    assert_eq!(primaries.len(), 4, "{primaries:?}");
    for expected in ["session", "kafka", "printing", "statements"] {
        assert!(primaries.contains(&expected), "{primaries:?}");
    }
    let main = incidents.iter().find(|i| i.primary_service == service("session")).unwrap();
    assert_eq!((main.members.len(), main.notifications), (18, 720));
    assert_eq!((main.severity, main.priority), (Severity::Critical, Priority::P1));
    assert_eq!(main.root_alert().unwrap().about, service("session"));
    let cause = main.root_cause.as_ref().unwrap();
    assert!(cause.contains("roll-out of configuration of service/session (cache.ttl)"), "{cause}");
    assert!(main.suggested_actions[0].contains("rolling service/session back to 117"), "{main:?}");
    assert_eq!(main.owner.as_deref(), Some("identity"));
    assert_eq!(main.runbooks[0], "https://runbooks/session");
    assert_eq!(main.changes.len(), 1);
    assert_eq!(main.links().count(), 17, "every alert but the first says why it is here");
    let lag = incidents.iter().find(|i| i.primary_service == service("kafka")).unwrap();
    assert_eq!(lag.members.len(), 2);
    assert!(lag.blast_radius.at_risk.contains(&service("reports")));
}

/// 47 alerts about 12 services: the pool of one database, with eight services downstream of it.
#[test]
fn forty_seven_alerts_over_twelve_services_are_one_incident() {
    let mut edges: Vec<String> = (0..4).map(|i| format!("direct-{i}>payments-db")).collect();
    edges.extend((0..4).map(|i| format!("indirect-{i}>direct-{i}")));
    edges.extend(
        ["web>indirect-0", "web>indirect-1", "payments-db>volume", "payments-db>replica"].map(str::to_owned),
    );
    let mut correlator = knowing(&edges.iter().map(String::as_str).collect::<Vec<_>>());
    let mut alerts: Vec<Alert> = Vec::new();
    for rule in ["PoolExhausted", "Saturation", "SlowQueries"] {
        alerts.push(critical(rule, "payments-db", 0));
    }
    for i in 0..4 {
        for rule in ["Latency", "Errors", "Timeouts", "Retries", "QueueLength"] {
            alerts.push(alert(rule, &format!("direct-{i}"), 20 + i));
        }
        for rule in ["Latency", "Errors", "Timeouts", "Retries", "QueueLength"] {
            alerts.push(alert(rule, &format!("indirect-{i}"), 50 + i));
        }
    }
    for about in ["web", "volume", "replica"] {
        alerts.push(alert("Latency", about, 70));
    }
    alerts.push(alert("Errors", "web", 70));
    assert_eq!(alerts.len(), 47);
    // In whatever order they arrive.
    for seed in 0..5 {
        let mut correlator = correlator.clone();
        let mut order = alerts.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        order.iter().for_each(|alert| drop(correlator.push(alert, at(80))));
        let incidents = correlator.incidents();
        assert_eq!(incidents.len(), 1, "seed {seed}");
        let incident = &incidents[0];
        assert_eq!((incident.members.len(), incident.blast_radius.alerting.len()), (47, 12));
        assert_eq!(incident.primary_service, service("payments-db"));
        let root = incident.root_alert().unwrap();
        assert_eq!((&root.about, root.alert.severity), (&service("payments-db"), Severity::Critical));
        assert!(
            (incident.suspects[0].parts.coverage - 9.0 / 11.0).abs() < 1e-12,
            "eight and the front door need it"
        );
    }
    correlator.push(&alerts[0], at(0));
    let at_risk = &correlator.incidents()[0].blast_radius.at_risk;
    assert_eq!(at_risk.len(), 9, "known before any of them alerts: {at_risk:?}");
}

/// Three signals of one machine, each only worth knowing, are together worth more than any.
#[test]
fn weak_signals_add_up() {
    let mut correlator = knowing(&[]);
    let host = EntityId::new(EntityKind::Host, "storage-3");
    let score = |correlator: &Correlator| correlator.incidents()[0].score;
    let mut last = 0.0;
    for (t, rule) in ["CpuElevated", "DiskIoElevated", "PacketLoss"].into_iter().enumerate() {
        let alert = Alert::new(rule, host.clone(), at(10 * t as i64), Severity::Info);
        correlator.push(&alert, at(10 * t as i64));
        assert!(score(&correlator) > last);
        last = score(&correlator);
        correlator.push(&alert, at(10 * t as i64 + 1));
        assert!((score(&correlator) - last).abs() < 1e-12, "repeats add nothing");
    }
    let incident = &correlator.incidents()[0];
    assert!((incident.score - (1.0 - 0.9_f64.powi(3))).abs() < 1e-12);
    assert_eq!((incident.severity, incident.priority), (Severity::Info, Priority::P5));
}
