//! What makes alerts one incident, and what does not.

use aiops_core::model::{Alert, Change, ChangeKind, EdgeKind, EntityId, EntityKind, Severity, Topology};
use aiops_detect::correlate::{
    Correlator, CorrelatorOptions, Disposition, Fingerprint, Reason, Way, workload,
};
use proptest::prelude::*;

use super::{alert, at, calls, grouped, knowing, resolved, service, with};

#[test]
fn the_same_service_within_five_minutes_is_one_incident() {
    let mut correlator = knowing(&[]);
    correlator.push(&alert("HighLatency", "cart", 0), at(0));
    correlator.push(&alert("HighErrors", "cart", 300), at(300));
    assert_eq!(grouped(&correlator.incidents()), [["cart", "cart"]]);
    // After half an hour of silence it is another incident.
    correlator.push(&alert("LowTraffic", "cart", 2_100), at(2_100));
    assert_eq!(correlator.incidents().len(), 2);
}

/// Edges of `n` services that have nothing to do with what a test is about.
fn strangers(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("stranger{i}>stranger{}", i + 1)).collect()
}

fn knowing_among_strangers(edges: &[&str]) -> Correlator {
    let strangers = strangers(60);
    let edges: Vec<&str> = edges.iter().copied().chain(strangers.iter().map(String::as_str)).collect();
    knowing(&edges)
}

#[test]
fn neighbours_are_related_by_distance_and_the_link_says_how() {
    let mut correlator = knowing_among_strangers(&["web>cart", "cart>db", "db>disk", "other>thing"]);
    correlator.push(&alert("Slow", "web", 0), at(0));
    correlator.push(&alert("Slow", "disk", 0), at(0));
    correlator.push(&alert("Slow", "thing", 0), at(0));
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents), [vec!["web", "disk"], vec!["thing"]]);
    let link = incidents[0].links().next().unwrap();
    let [onset, topology] = &link.reasons[..] else { panic!("{link:?}") };
    let Reason::Topology { hops, way, .. } = &topology.reason else { panic!("{link:?}") };
    assert_eq!((*hops, *way), (3, Way::NeededBy));
    assert!(matches!(onset.reason, Reason::Onset { .. }));
    // Four of the 67 entities are as near or nearer; within an incident 0.45 + 0.45 · (1 − ½³) are, or one hop more and as many.
    let expected = ((0.45 + 0.45 * (1.0 - 0.0625)) / (4.0 / 67.0_f64)).ln();
    assert!((topology.log_ratio - expected).abs() < 1e-9, "{} {expected}", topology.log_ratio);
    let odds = (onset.log_ratio + topology.log_ratio).exp();
    assert!((link.strength - odds / (1.0 + odds)).abs() < 1e-9);
    assert!(link.to_string().contains("service/web needs service/disk over 3 hops"), "{link}");
}

#[test]
fn evidence_fades_with_the_gap() {
    for (to, gap, one) in [("a1", 300, true), ("a1", 1_200, false), ("a3", 300, true), ("a3", 1_200, false)] {
        let mut correlator = knowing_among_strangers(&["a>a1", "a1>a2", "a2>a3"]);
        correlator.push(&alert("Slow", "a", 0), at(0));
        correlator.push(&alert("Slow", to, gap), at(gap));
        assert_eq!(correlator.incidents().len() == 1, one, "{to} after {gap} s");
    }
}

fn within(namespace: &str, mut alert: Alert) -> Alert {
    alert.labels.insert("namespace", namespace);
    alert
}

/// Each is close to the one before, and yet it is not one incident that lasts for ever.
#[test]
fn a_trickle_keeps_no_incident_going() {
    let mut correlator = knowing(&[]);
    for i in 0..40 {
        // On no grid.
        let t = 150 * i + (i * i * 13) % 47;
        correlator.push(&within("shop", alert("Slow", &format!("s{i}"), t)), at(t));
    }
    let incidents = correlator.incidents();
    assert!(incidents.len() > 3, "{}", incidents.len());
    assert!(incidents.iter().all(|incident| incident.span().as_secs() < 1_800));
    // All at once they are one.
    let mut correlator = knowing(&[]);
    for i in 0..40 {
        correlator.push(&within("shop", alert("Slow", &format!("s{i}"), i)), at(i));
    }
    assert_eq!(correlator.incidents().len(), 1);
}

#[test]
fn a_place_in_which_much_begins_says_little() {
    for (lone, one) in [(0, true), (200, false)] {
        let mut correlator = knowing(&[]);
        for i in 0..lone {
            let t = 400 * i + (i * i * 13) % 97;
            correlator.push(&within("busy", alert(&format!("Rule{i}"), &format!("s{i}"), t)), at(t));
        }
        let t = 400 * lone + 3_600;
        correlator.push(&within("busy", alert("Slow", "x", t)), at(t));
        let outcome = correlator.push(&within("busy", alert("Slow", "y", t + 170)), at(t + 170));
        let Disposition::New(placed) = outcome.disposition else { panic!("{outcome:?}") };
        assert_eq!(placed.link.is_some(), one, "after {lone} lone alerts");
    }
}

/// An alert that is often alone is alone again; one that never was is not.
#[test]
fn what_often_fires_alone_is_no_symptom() {
    let mut correlator = knowing(&[]);
    for i in 0..40 {
        let t = 3_600 * i + (i * i * 97) % 1_009;
        let nightly = within("shop", alert("Nightly", "batch", t));
        correlator.push(&nightly, at(t));
        correlator.push(&resolved(&nightly), at(t + 60));
        correlator.advance(at(t + 1_800));
    }
    let t = 3_600 * 40;
    correlator.push(&within("shop", alert("Slow", "x", t)), at(t));
    let linked = |correlator: &mut Correlator, name: &str, about: &str| {
        let outcome = correlator.push(&within("shop", alert(name, about, t + 200)), at(t + 200));
        let Disposition::New(placed) = outcome.disposition else { panic!("{outcome:?}") };
        placed.link.is_some()
    };
    assert!(!linked(&mut correlator.clone(), "Nightly", "batch"));
    assert!(linked(&mut correlator, "Slow", "batch"));
}

/// On a grid of ten minutes an incident's alerts are that far apart, and that is close.
#[test]
fn the_resolution_is_learnt_from_the_onsets() {
    for (step, one) in [(600, true), (1, false)] {
        let mut correlator = knowing(&[]);
        for i in 0..24 {
            // Incidents of three alerts, one step apart each, every hour.
            for n in 0..3 {
                let t = 3_600 * i + step * n;
                let alert = within("shop", alert(&format!("Rule{n}"), &format!("s{n}"), t));
                correlator.push(&alert, at(t));
                correlator.push(&resolved(&alert), at(t + 900));
            }
        }
        let t = 3_600 * 24;
        correlator.push(&within("shop", alert("Slow", "x", t)), at(t));
        let outcome = correlator.push(&within("shop", alert("Slow", "y", t + 600)), at(t + 600));
        let Disposition::New(placed) = outcome.disposition else { panic!("{outcome:?}") };
        assert_eq!(placed.link.is_some(), one, "step {step} s");
    }
}

/// In one namespace at one time it is one incident, unless the topology knows better and some time has passed.
#[test]
fn strangers_in_one_namespace_part_sooner_than_neighbours() {
    for (about, gap, one) in [("db", 120, true), ("db", 240, true), ("mail", 5, true), ("mail", 240, false)] {
        let mut correlator =
            knowing_among_strangers(&["web>db", "web>stranger0", "front>stranger0", "front>mail"]);
        correlator.push(&within("shop", alert("Slow", "web", 0)), at(0));
        correlator.push(&within("shop", alert("Slow", about, gap)), at(gap));
        assert_eq!(correlator.incidents().len() == 1, one, "{about} after {gap} s");
    }
}

#[test]
fn what_fires_again_after_it_ended_is_another_incident_sooner() {
    for (again, one) in [(false, true), (true, false)] {
        let soon = std::time::Duration::from_secs(60);
        let mut correlator = with(CorrelatorOptions { reopen_within: soon, ..CorrelatorOptions::default() });
        let first = alert("Slow", "cart", 0);
        correlator.push(&first, at(0));
        correlator.push(&resolved(&first), at(10));
        let name = if again { "Slow" } else { "Errors" };
        correlator.push(&alert(name, "cart", 180), at(180));
        assert_eq!(correlator.incidents().len() == 1, one, "again: {again}");
    }
}

#[test]
fn rare_labels_relate_and_common_ones_do_not() {
    let on = |about: &str, seconds: i64, rack: &str| {
        let mut alert = alert("Slow", about, seconds);
        alert.labels.insert("rack", rack);
        alert.labels.insert("team", "sre");
        alert
    };
    let mut correlator = knowing(&[]);
    for i in 0..300 {
        correlator.push(&on(&format!("job{i}"), 1000 * i, &format!("r{i}")), at(1000 * i));
    }
    let t = 400_000;
    for (about, rack) in [("billing", "r9-17"), ("reports", "r9-17"), ("other", "r1-1")] {
        correlator.push(&on(about, t, rack), at(t));
    }
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents[300..]), [vec!["billing", "reports"], vec!["other"]]);
    let link = incidents[300].links().next().unwrap().to_string();
    assert!(link.contains("rack=\"r9-17\""), "{link}");
}

#[test]
fn a_common_need_relates_and_a_common_caller_does_not() {
    let mut correlator = knowing(&["a>db", "b>db", "web>x", "web>y"]);
    for name in ["a", "x", "b", "y"] {
        correlator.push(&alert("Slow", name, 0), at(0));
    }
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents), [vec!["a", "b"], vec!["x"], vec!["y"]]);
    let link = incidents[0].links().next().unwrap();
    let shared = |reason: &Reason| matches!(reason, Reason::Topology { hops: 2, way: Way::Shared, .. });
    assert!(link.reasons.iter().any(|weighed| shared(&weighed.reason)), "{link}");
}

#[test]
fn a_common_cause_unites_incidents_and_a_common_effect_does_not() {
    let mut correlator = knowing(&["a>db", "b>db2", "db>disk", "db2>disk", "web>x", "web>y"]);
    // Without disk nothing relates a and b, nor without web x and y.
    let edges = ["a>db", "b>db2", "web>x", "web>y"];
    correlator.set_topology(calls(&edges));
    for name in ["a", "b", "x", "y"] {
        correlator.push(&alert("Slow", name, 0), at(0));
    }
    assert_eq!(correlator.incidents().len(), 4);
    correlator.set_topology(calls(&[&edges[..], &["a>disk", "b>disk"]].concat()));
    let cause = correlator.push(&alert("Full", "disk", 10), at(10));
    let Disposition::New(placed) = cause.disposition else { panic!("{cause:?}") };
    assert_eq!(placed.merged.len(), 1);
    let effect = correlator.push(&alert("Errors", "web", 10), at(10));
    let Disposition::New(placed) = effect.disposition else { panic!("{effect:?}") };
    assert!(placed.merged.is_empty());
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents), [vec!["a", "b", "disk"], vec!["x", "web"], vec!["y"]]);
    assert_eq!(incidents[0].links().count(), 2, "one link for each that disk joined");
    assert_eq!(incidents[0].merged.len(), 1);
    assert_eq!(correlator.stats().merged, 1);
}

#[test]
fn parts_are_known_by_their_whole_and_pods_by_their_workload() {
    let mut topology = Topology::new();
    let pod = EntityId::new(EntityKind::Pod, "checkout-0");
    let node = EntityId::new(EntityKind::Node, "n1");
    topology.connect(pod.clone(), service("checkout"), EdgeKind::PartOf);
    topology.connect(pod.clone(), node.clone(), EdgeKind::RunsOn);
    let mut correlator = with(CorrelatorOptions::default());
    correlator.set_topology(topology);
    correlator.push(&Alert::new("CrashLoop", pod, at(0), Severity::Warning), at(0));
    correlator.push(&alert("Errors", "checkout", 5), at(5));
    correlator.push(&Alert::new("DiskFull", node, at(9), Severity::Warning), at(9));
    // No topology knows this one: the name of its pod tells the workload.
    let stray = EntityId::new(EntityKind::Pod, "mailer-7d9f8b6c5d-x2x7k");
    correlator.push(&Alert::new("CrashLoop", stray, at(9), Severity::Warning), at(9));
    correlator.push(&alert("Errors", "mailer", 12), at(12));
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents), [vec!["checkout", "checkout", "n1"], vec!["mailer", "mailer"]]);
}

#[test]
fn a_change_relates_what_it_touches_for_longer() {
    let mut correlator = knowing(&["web>cart", "cart>db"]);
    correlator.change(Change::new("dep-1", at(-100), ChangeKind::FeatureFlag, service("db"), "flag on"));
    correlator.push(&alert("Slow", "cart", 0), at(0));
    correlator.push(&alert("Slow", "web", 600), at(600));
    let incidents = correlator.incidents();
    assert_eq!(incidents.len(), 1);
    let link = incidents[0].links().next().unwrap();
    assert!(
        link.reasons.iter().any(|r| matches!(&r.reason, Reason::Change { change } if change.0 == "dep-1"))
    );
    assert!(
        link.reasons.iter().any(|r| matches!(r.reason, Reason::Topology { .. })),
        "and the topology: {link}"
    );
    assert_eq!(incidents[0].changes.len(), 1);
    // Without the change they are ten minutes apart.
    let mut correlator = knowing(&["web>cart", "cart>db"]);
    correlator.push(&alert("Slow", "cart", 0), at(0));
    correlator.push(&alert("Slow", "web", 600), at(600));
    assert_eq!(correlator.incidents().len(), 2);
}

#[test]
fn rare_words_relate_and_common_ones_do_not() {
    let mut correlator = knowing(&[]);
    let saying = |about: &str, seconds: i64, text: &str| {
        let mut alert = alert("JobFailed", about, seconds);
        alert.annotations.insert("summary", text);
        alert
    };
    for i in 0..300 {
        let text = format!("the nightly job failed on host{i} with timeout");
        correlator.push(&saying(&format!("job{i}"), 1000 * i, &text), at(1000 * i));
    }
    let before = correlator.incidents().len();
    assert_eq!(before, 300);
    let t = 400_000;
    correlator.push(&saying("billing", t, "certificate of ldap-gateway-7 expired yesterday"), at(t));
    correlator.push(&saying("reports", t, "certificate of ldap-gateway-7 expired today"), at(t));
    correlator.push(&saying("other", t, "the nightly job failed with timeout"), at(t));
    correlator.push(&saying("another", t, "the nightly job failed with timeout"), at(t));
    let incidents = correlator.incidents();
    let late = &incidents[before..];
    assert_eq!(grouped(late), [vec!["billing", "reports"], vec!["other"], vec!["another"]]);
}

#[test]
fn naming_the_other_relates() {
    for swapped in [false, true] {
        let mut correlator = knowing(&[]);
        let mut pool = alert("PoolExhausted", "checkout", 0);
        pool.annotations.insert("description", "no free connection to payments-db within 5 s");
        let mut alerts = [pool, alert("HighLoad", "payments-db", 0)];
        if swapped {
            alerts.reverse();
        }
        alerts.iter().for_each(|a| drop(correlator.push(a, at(0))));
        let incidents = correlator.incidents();
        assert_eq!(incidents.len(), 1, "in either order");
        assert!(incidents[0].links().next().unwrap().to_string().contains("names service/payments-db"));
    }
}

#[test]
fn namespaces_stand_in_for_a_topology_and_environments_part() {
    let of = |about: &str, labels: &[(&str, &str)]| {
        let mut alert = alert("Slow", about, 0);
        labels.iter().for_each(|(k, v)| drop(alert.labels.insert(*k, *v)));
        alert
    };
    let mut correlator = knowing(&["a>b"]);
    for alert in [
        of("x", &[("namespace", "shop")]),
        of("y", &[("namespace", "shop")]),
        of("z", &[("namespace", "bank")]),
        of("y", &[("namespace", "bank")]),
        // The topology knows both and relates them whatever the namespace …
        of("a", &[("namespace", "front"), ("env", "prod")]),
        of("b", &[("namespace", "back"), ("env", "prod")]),
        // … but not across environments.
        of("b", &[("namespace", "back"), ("env", "staging")]),
    ] {
        correlator.push(&alert, at(0));
    }
    let incidents = correlator.incidents();
    assert_eq!(grouped(&incidents), [vec!["x", "y"], vec!["z", "y"], vec!["a", "b"], vec!["b"]]);
}

#[test]
fn workloads_are_told_from_names() {
    for (pod, name) in [
        ("checkout-7d9f8b6c5d-x2x7k", "checkout"),
        ("a-b-c-5f4d7c9b8-zzzzz", "a-b-c"),
        ("node-exporter-4kq9z", "node-exporter"),
        ("web-12", "web"),
        ("payment-https", "payment-https"),
        ("payment-proxy", "payment-proxy"),
        ("-x2x7k", "-x2x7k"),
        ("x2x7k", "x2x7k"),
        ("", ""),
        ("-", "-"),
        ("web-10101", "web-10101"),
    ] {
        assert_eq!(workload(pod), name, "{pod}");
    }
}

#[test]
fn an_incident_does_not_grow_for_ever() {
    let mut correlator = knowing(&[]);
    for i in 0..200 {
        let t = 100 * i;
        correlator.push(&alert(&format!("Rule{i}"), "cart", t), at(t));
    }
    let incidents = correlator.incidents();
    assert!((3..=5).contains(&incidents.len()), "20 000 s in spans of at most two hours");
    assert!(incidents.iter().all(|i| i.span().as_secs() <= 7200));
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((".{0,8}", ".{0,12}"), 0..6)
}

proptest! {
    /// Only what identifies an alert is in its fingerprint, whatever bytes stand there.
    #[test]
    fn fingerprints_tell_identities_apart(
        a in labels(), b in labels(), name in ".{0,10}", volatile in ".{0,10}", about in ".{0,10}",
    ) {
        let options = CorrelatorOptions::default();
        let make = |labels: &[(String, String)]| {
            let mut alert = alert(&name, &about, 0);
            alert.labels = labels.iter().cloned().collect();
            alert
        };
        let (first, second) = (make(&a), make(&b));
        let identifying = |alert: &Alert| -> Vec<(String, String)> {
            let own = alert.labels.iter().filter(|(k, _)| !options.volatile_labels.contains(*k) && !k.starts_with("__"));
            own.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
        };
        let same = identifying(&first) == identifying(&second);
        prop_assert_eq!(Fingerprint::of(&first, &options) == Fingerprint::of(&second, &options), same);
        let mut copy = first.clone();
        copy.labels.insert("instance", volatile.clone());
        copy.labels.insert("severity", volatile.clone());
        copy.annotations.insert("value", volatile);
        copy.severity = Severity::Critical;
        copy.started_at = at(99);
        prop_assert_eq!(Fingerprint::of(&first, &options), Fingerprint::of(&copy, &options));
        let text = Fingerprint::of(&first, &options).to_string();
        prop_assert_eq!(text.parse::<Fingerprint>().unwrap(), Fingerprint::of(&first, &options));
    }

    /// Alerts that come within the window go to the same incidents whatever the order they come in, where no chain of
    /// alerts hangs on the order: here, services of separate systems.
    #[test]
    fn the_order_of_arrival_does_not_matter(order in Just((0..24_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let edges: Vec<String> = (0..4).flat_map(|s| (0..3).map(move |i| format!("s{s}-{i}>s{s}-{}", i + 1))).collect();
        let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
        let mut correlator = knowing(&edges);
        for i in order {
            let (system, place) = (i % 4, i / 4 % 4);
            let alert = alert(&format!("Rule{i}"), &format!("s{system}-{place}"), (i as i64) % 30);
            correlator.push(&alert, at(40));
        }
        let incidents = correlator.incidents();
        prop_assert_eq!(incidents.len(), 4);
        for incident in incidents {
            let system = &incident.members[0].about.name()[..2];
            prop_assert!(incident.members.iter().all(|m| m.about.name().starts_with(system)));
            prop_assert_eq!(incident.members.len(), 6);
        }
    }
}

#[test]
fn a_fingerprint_reads_only_what_it_writes() {
    for text in ["", "12", &"g".repeat(32), &"+0".repeat(16), &"0".repeat(33)] {
        assert!(text.parse::<Fingerprint>().is_err(), "{text}");
    }
}
