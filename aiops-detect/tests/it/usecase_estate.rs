//! Named faults of estates: caches, regions, deployments, jobs, networks, settings. Each detector sees its fault, and not what
//! only looks like it.

use std::time::Duration;

use aiops_core::model::{
    Change, ChangeKind, EdgeKind, EntityId, EntityKind, MetricKind, Revision, SeriesKey, Severity,
    TelemetryWindow,
};
use aiops_detect::Options;
use aiops_detect::usecase::{
    CacheSaturation, CacheSaturationOptions, ConcurrencySpike, DeploymentDeadlock, DeploymentDeadlockOptions,
    FailedDeployment, FailedDeploymentOptions, IncompatibleJob, IncompatibleJobOptions, NetworkPath, Posture,
    PostureOptions, PostureRule, RegionOutage,
};
use aiops_testkit::generate;
use proptest::prelude::*;

use crate::usecase::{ROWS, detector, explain, keeps_its_contract, line};
use crate::worlds::{at, empty, normal, rng, series, series_of};

/// A cache: what is asked for an hour, the share that it has, what it throws out, and how full it is, by row.
fn cache(
    window: &mut TelemetryWindow,
    name: &str,
    share: &dyn Fn(usize) -> f64,
    evicted: &dyn Fn(usize) -> f64,
    used: f64,
) {
    let entity = EntityId::new(EntityKind::Cache, name);
    let (mut hits, mut misses) = (0.0, 0.0);
    window.metrics.push(
        series(&entity, "redis_keyspace_hits_total", ROWS, |row| {
            hits += (1000.0 * share(row)).round();
            hits
        })
        .with_kind(MetricKind::Counter),
    );
    window.metrics.push(
        series(&entity, "redis_keyspace_misses_total", ROWS, |row| {
            misses += (1000.0 * (1.0 - share(row))).round();
            misses
        })
        .with_kind(MetricKind::Counter),
    );
    let mut noise = rng(7);
    window.metrics.push(
        series(&entity, "rate(redis_evicted_keys_total)", ROWS, |row| {
            evicted(row) + normal(&mut noise).abs()
        })
        .with_kind(MetricKind::Rate),
    );
    window.metrics.push(series(&entity, "redis_memory_used_bytes", ROWS, |_| used * 1e9));
    window.metrics.push(series(&entity, "redis_memory_max_bytes", ROWS, |_| 1e9));
}

#[test]
fn cache_saturation() {
    let late = |before: f64, after: f64| move |row: usize| if row >= 180 { after } else { before };
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    cache(&mut fault, "sessions", &late(0.95, 0.5), &late(2.0, 200.0), 0.99);
    cache(&mut fault, "prices", &late(0.9, 0.75), &late(2.0, 80.0), 0.97);
    // Emptied: it misses and evicts nothing. Evicts what nobody wants. Evicts at a limit of its own. As always.
    cache(&mut fine, "flushed", &late(0.95, 0.3), &late(0.0, 0.0), 0.2);
    cache(&mut fine, "turns-over", &late(0.95, 0.94), &late(2.0, 200.0), 0.99);
    cache(&mut fine, "has-room", &late(0.95, 0.5), &late(2.0, 200.0), 0.4);
    cache(&mut fine, "always-small", &late(0.5, 0.5), &late(200.0, 200.0), 0.99);
    fault.sort();
    fine.sort();
    keeps_its_contract::<CacheSaturation>(&fault, &fine);
    let found = explain::<CacheSaturation>(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.name(), s.severity)).collect();
    assert_eq!(told, [("prices", Severity::Warning), ("sessions", Severity::Critical)], "{found:?}");
    let said = &found[1].evidence;
    assert!(said.contains("99 % of its memory") && said.contains("where 95 % did"), "{said}");
    let bad = CacheSaturationOptions { critical: 0.05, ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "critical");
}

/// A server with arrivals and work under way, by row; a limit of 100.
fn server(
    window: &mut TelemetryWindow,
    name: &str,
    seed: u64,
    arrivals: &dyn Fn(usize) -> f64,
    under_way: &dyn Fn(usize) -> f64,
) {
    let entity = EntityId::service(name);
    let mut noise = rng(seed);
    for (metric, of) in [("request_rate", arrivals), ("http.server.active_requests", under_way)] {
        window.metrics.push(series(&entity, metric, ROWS, |row| of(row) * (1.0 + 0.03 * normal(&mut noise))));
    }
    window.metrics.push(series(&entity, "http.server.max_active_requests", ROWS, |_| 100.0));
}

#[test]
fn concurrency_spike() {
    let late = |before: f64, after: f64| move |row: usize| if row >= 190 { after } else { before };
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    server(&mut fault, "leaks-slots", 1, &late(50.0, 50.0), &late(10.0, 40.0));
    server(&mut fault, "is-full", 2, &late(50.0, 500.0), &late(10.0, 99.0));
    server(&mut fine, "is-busy", 3, &late(50.0, 200.0), &late(10.0, 40.0));
    server(&mut fine, "calms-down", 4, &late(50.0, 50.0), &late(40.0, 10.0));
    server(&mut fine, "as-always", 5, &late(50.0, 50.0), &late(10.0, 10.0));
    fault.sort();
    fine.sort();
    keeps_its_contract::<ConcurrencySpike>(&fault, &fine);
    let found = explain::<ConcurrencySpike>(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.name(), s.severity)).collect();
    assert_eq!(told, [("is-full", Severity::Critical), ("leaks-slots", Severity::Warning)], "{found:?}");
    assert!(found[1].evidence.contains("arrivals 1.0 times"), "{}", found[1].evidence);
}

/// Three services in each of three regions; errors by (service, region), from row 200 on where `broken` says so.
fn regions(broken: &dyn Fn(usize, &str) -> bool) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for (number, region) in ["eu-west-1", "us-east-1", "us-west-2"].into_iter().enumerate() {
        for service in 0..3 {
            let mut noise = rng((10 * number + service) as u64);
            let values = (0..ROWS).map(|row| {
                let bad = row >= 200 && broken(service, region);
                Some(if bad { 0.6 } else { 0.01 } + 0.002 * normal(&mut noise))
            });
            let key = SeriesKey::new("error_ratio").with("cloud.region", region);
            window.metrics.push(series_of(EntityId::service(format!("s-{service}")), key, values.collect()));
        }
    }
    window.sort();
    window
}

/// Calls of a service in a region to its own and to another, from row 200 on so much of them to the other.
fn calls(window: &mut TelemetryWindow, name: &str, from: &str, to: &str, leaving: f64) {
    for (target, share) in [(from, 1.0 - leaving), (to, leaving)] {
        let mut noise = rng(name.len() as u64);
        let before = if target == from { 0.98 } else { 0.02 };
        let values = (0..ROWS).map(|row| {
            let share = if row >= 200 { share } else { before };
            Some(100.0 * share + 0.5 * normal(&mut noise))
        });
        let key = SeriesKey::new("http.client.requests")
            .with("source.region", from)
            .with("destination.region", target);
        window
            .metrics
            .push(series_of(EntityId::service(name), key, values.collect()).with_kind(MetricKind::Rate));
    }
    window.sort();
}

#[test]
fn region_outage() {
    let mut fault = regions(&|_, region| region == "us-east-1");
    calls(&mut fault, "checkout", "eu-west-1", "us-west-2", 0.7);
    let change =
        Change::new("c-7", at(199), ChangeKind::ConfigRollout, EntityId::service("checkout"), "routes");
    fault.changes.push(change);
    // A failover out of what is down is as it should be.
    calls(&mut fault, "search", "us-east-1", "us-west-2", 0.9);
    let everywhere = regions(&|_, _| true);
    let one_service = regions(&|service, _| service == 0);
    let mut one_entity = regions(&|service, region| service == 0 && region == "us-east-1");
    calls(&mut one_entity, "checkout", "eu-west-1", "us-west-2", 0.05);
    for fine in [everywhere, one_service, one_entity] {
        keeps_its_contract::<RegionOutage>(&fault, &fine);
    }
    let found = explain::<RegionOutage>(&fault);
    assert_eq!(found.len(), 2, "{found:?}");
    let misdirected = found.iter().find(|s| s.entity.name() == "checkout").unwrap();
    assert_eq!(misdirected.severity, Severity::Warning);
    assert!(
        misdirected.evidence.contains("leave eu-west-1")
            && misdirected.evidence.ends_with("after change c-7")
    );
    let outage = found.iter().find(|s| s.entity.name() != "checkout").unwrap();
    assert_eq!(
        (outage.severity, outage.series.labels.get("cloud.region")),
        (Severity::Critical, Some("us-east-1"))
    );
    assert!(outage.evidence.starts_with("3 of the 3 measured in us-east-1"), "{}", outage.evidence);
    // What is only known of one region is no comparison.
    let mut alone = regions(&|_, region| region == "us-east-1");
    alone.metrics.retain(|s| s.key().labels.get("cloud.region") == Some("us-east-1"));
    assert_eq!(explain::<RegionOutage>(&alone), []);
}

fn deployed(row: usize, name: &str, id: &str) -> Change {
    Change::new(id, at(row), ChangeKind::Deployment, EntityId::service(name), "a release")
}

fn deadlock(window: &mut TelemetryWindow, row: usize, name: &str) {
    let mut told = line(row, &EntityId::new(EntityKind::Database, name), &[]);
    told.body = "ERROR: deadlock detected\nDETAIL: process 71 waits for ShareLock".to_owned();
    window.logs.push(told);
}

#[test]
fn deployment_deadlock() {
    let (mut fault, mut before, mut unrelated, mut few) =
        (empty(ROWS), empty(ROWS), empty(ROWS), empty(ROWS));
    let db = |name: &str| EntityId::new(EntityKind::Database, name);
    for window in [&mut fault, &mut before, &mut unrelated, &mut few] {
        window.topology.connect(EntityId::service("orders"), db("orders-db"), EdgeKind::Calls);
        window.topology.connect(EntityId::service("users"), db("users-db"), EdgeKind::Calls);
        window.changes.push(deployed(180, "orders", "d-1"));
    }
    (181..200).for_each(|row| deadlock(&mut fault, row, "orders-db"));
    // The database's own count, and one before the change.
    fault.changes.push(deployed(150, "users", "d-2"));
    let mut total = 0.0;
    fault.metrics.push(
        series(&db("users-db"), "pg_stat_database_deadlocks", ROWS, |row| {
            total += if row == 20 || (160..240).contains(&row) && row % 4 == 0 { 1.0 } else { 0.0 };
            total
        })
        .with_kind(MetricKind::Counter),
    );
    (0..ROWS).step_by(6).for_each(|row| deadlock(&mut before, row, "orders-db"));
    (181..200).for_each(|row| deadlock(&mut unrelated, row, "users-db"));
    (181..183).for_each(|row| deadlock(&mut few, row, "orders-db"));
    fault.sort();
    for fine in [&before, &unrelated, &few] {
        keeps_its_contract::<DeploymentDeadlock>(&fault, fine);
    }
    let found = explain::<DeploymentDeadlock>(&fault);
    let told: Vec<_> =
        found.iter().map(|s| (s.entity.name(), s.value, s.series.labels.get("change.id").unwrap())).collect();
    assert_eq!(told, [("orders-db", 19.0, "d-1"), ("users-db", 20.0, "d-2")], "{found:?}");
    assert!(found[0].onset == at(181) && found[0].severity == Severity::Critical, "{found:?}");
    let bad = DeploymentDeadlockOptions { signatures: vec!["Deadlock".into()], ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "signatures");
}

/// Runs of a job every 20 rows, and what is written of those that fail.
fn job(window: &mut TelemetryWindow, name: &str, outcomes: &[bool], complaint: &str) {
    let entity = EntityId::new(EntityKind::Job, name);
    for (run, passed) in outcomes.iter().enumerate() {
        let status = if *passed { "success" } else { "failed" };
        let mut told = line(20 * run + 10, &entity, &[("job.name", name), ("job.run.status", status)]);
        if !passed {
            told.body = complaint.to_owned();
        }
        window.logs.push(told);
    }
}

#[test]
fn incompatible_job() {
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    let missing = "AnalysisException: [UNRESOLVED_COLUMN] `name` cannot be resolved\n  at Spark";
    job(&mut fault, "report", &[true, true, true, false, false, false, false], missing);
    job(&mut fault, "export", &[true, true, true, true, true, false, false], "Schema mismatch in part 3");
    let lake = EntityId::new(EntityKind::Database, "lake");
    for (row, schema) in [(20, "id:int64, name:string"), (60, "id:int64")] {
        fault.logs.push(line(row, &lake, &[("dataset.name", "orders"), ("dataset.schema", schema)]));
        fine.logs.push(line(row, &lake, &[("dataset.name", "orders"), ("dataset.schema", schema)]));
    }
    // A retry mends it; another reason; never ran; mentions it once among many.
    job(&mut fine, "retried", &[true, false, true, false, true], missing);
    job(&mut fine, "disk", &[true, true, false, false, false], "No space left on device");
    job(&mut fine, "new", &[false, false, false], missing);
    job(&mut fine, "broken", &[true, false, false, false, false, false], "Connection refused");
    let mut once = line(60, &EntityId::new(EntityKind::Job, "broken"), &[("job.name", "broken")]);
    once.body = "warning: schema mismatch ignored".to_owned();
    fine.logs.push(once);
    fault.sort();
    fine.sort();
    keeps_its_contract::<IncompatibleJob>(&fault, &fine);
    let found = explain::<IncompatibleJob>(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.name(), s.value, s.severity)).collect();
    assert_eq!(told, [("export", 2.0, Severity::Warning), ("report", 4.0, Severity::Critical)], "{found:?}");
    assert_eq!(
        found[1].evidence,
        "report failed 4 times in a row since orders: name vanished: AnalysisException: [UNRESOLVED_COLUMN] `name` cannot be resolved"
    );
    let bad = IncompatibleJobOptions { critical: 1, ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "critical");
}

/// Copies of a service that wait for a reason, or are missing, by row.
fn copies(window: &mut TelemetryWindow, name: &str, reason: Option<&str>, count: &dyn Fn(usize) -> f64) {
    let service = EntityId::service(name);
    match reason {
        Some(reason) => {
            let pod = EntityId::new(EntityKind::Pod, format!("{name}-7f9-x"));
            let key = SeriesKey::new("kube_pod_container_status_waiting_reason").with("reason", reason);
            window.metrics.push(series_of(pod.clone(), key, (0..ROWS).map(|row| Some(count(row))).collect()));
            window.topology.connect(pod, service, EdgeKind::PartOf);
        }
        None => {
            window.metrics.push(series(&service, "kube_deployment_status_replicas_unavailable", ROWS, count));
        }
    }
}

#[test]
fn failed_deployment() {
    let from =
        |first: usize, last: usize| move |row: usize| f64::from(u8::from((first..last).contains(&row)));
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    for name in ["pulls", "crashes", "hangs"] {
        fault.changes.push(deployed(100, name, &format!("d-{name}")));
    }
    copies(&mut fault, "pulls", Some("ImagePullBackOff"), &from(104, ROWS));
    copies(&mut fault, "crashes", Some("CrashLoopBackOff"), &from(110, 130));
    copies(&mut fault, "hangs", None, &from(102, ROWS));
    // A roll-out that proceeds, one that pulls twice, a loop from before, one that only starts containers, and none at all.
    for name in ["proceeds", "pulls-twice", "looped", "starts"] {
        fine.changes.push(deployed(100, name, &format!("d-{name}")));
    }
    copies(&mut fine, "proceeds", None, &from(102, 120));
    copies(&mut fine, "pulls-twice", Some("ErrImagePull"), &from(102, 104));
    copies(&mut fine, "looped", Some("CrashLoopBackOff"), &from(0, ROWS));
    copies(&mut fine, "starts", Some("ContainerCreating"), &from(102, 140));
    copies(&mut fine, "node-is-gone", None, &from(50, ROWS));
    fault.sort();
    fine.sort();
    keeps_its_contract::<FailedDeployment>(&fault, &fine);
    let found = explain::<FailedDeployment>(&fault);
    let told: Vec<_> = found
        .iter()
        .map(|s| (s.entity.name(), s.series.labels.get("pattern").unwrap(), s.severity, s.ongoing))
        .collect();
    assert_eq!(
        told,
        [
            ("crashes", "cannot-start", Severity::Warning, false),
            ("hangs", "deadline-exceeded", Severity::Critical, true),
            ("pulls", "cannot-start", Severity::Critical, true),
        ],
        "{found:?}"
    );
    assert_eq!(found[2].evidence, "d-pulls of pulls: 1 of its copies cannot start: ImagePullBackOff");
}

#[test]
fn what_was_taken_back_or_tried_again_failed() {
    let to =
        |change: Change, from: &str, to: &str| change.with_revision(Revision::new(Some(from.into()), to));
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    fault.changes.push(to(deployed(20, "orders", "d-1"), "r1", "r2"));
    fault.changes.push(to(deployed(60, "orders", "d-2"), "r2", "r1"));
    fault.changes.push(deployed(20, "users", "d-3"));
    fault.changes.push(Change::new("b-3", at(40), ChangeKind::Rollback, EntityId::service("users"), "back"));
    (0..5).for_each(|i| fault.changes.push(deployed(100 + 10 * i, "search", &format!("try-{i}"))));
    fine.changes.push(to(deployed(20, "orders", "d-1"), "r1", "r2"));
    fine.changes.push(to(deployed(60, "orders", "d-2"), "r2", "r3"));
    fine.changes.push(Change::new("b-3", at(40), ChangeKind::Rollback, EntityId::service("others"), "back"));
    let told = |window: &TelemetryWindow| {
        let found = explain::<FailedDeployment>(window);
        let told = |s: &aiops_detect::usecase::Symptom| {
            (s.entity.name().to_owned(), s.series.labels.get("pattern").unwrap().to_owned(), s.value)
        };
        found.iter().map(told).collect::<Vec<_>>()
    };
    let owned = |(e, p, v): (&str, &str, f64)| (e.to_owned(), p.to_owned(), v);
    assert_eq!(
        told(&fault),
        [("orders", "rolled-back", 1.0), ("search", "repeated", 5.0), ("users", "rolled-back", 1.0)]
            .map(owned)
    );
    assert_eq!(told(&fine), []);
    let bad = FailedDeploymentOptions { within: Duration::ZERO, ..Default::default() };
    assert_eq!(bad.validate().unwrap_err().field(), "within");
}

/// Loss between five hosts, each to each, from row 200 on where `bad` says so.
fn mesh(bad: &dyn Fn(usize, usize) -> bool) -> TelemetryWindow {
    let mut window = empty(ROWS);
    for from in 0..5 {
        for to in (0..5).filter(|to| *to != from) {
            let mut noise = rng((10 * from + to) as u64);
            let values = (0..ROWS).map(|row| {
                let lost = if row >= 200 && bad(from, to) { 0.08 } else { 0.001 };
                Some(lost + 0.0003 * normal(&mut noise).abs())
            });
            let key = SeriesKey::new("network.path.loss")
                .with("source", format!("h{from}"))
                .with("destination", format!("h{to}"));
            window.metrics.push(series_of(
                EntityId::new(EntityKind::Host, format!("h{from}")),
                key,
                values.collect(),
            ));
        }
    }
    window.sort();
    window
}

#[test]
fn network_path() {
    // Everything to and from h4, and the way from h0 to h1.
    let fault = mesh(&|from, to| from == 4 || to == 4 || (from, to) == (0, 1));
    for fine in [mesh(&|_, _| true), mesh(&|_, _| false)] {
        keeps_its_contract::<NetworkPath>(&fault, &fine);
    }
    let found = explain::<NetworkPath>(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.entity.to_string(), s.evidence.as_str())).collect();
    assert_eq!(
        told,
        [
            (
                "network/h0->h1".to_owned(),
                "the way from h0 to h1 is bad, and others from and to them are not"
            ),
            ("network/h4".to_owned(), "all ways from and to h4 are bad: 8"),
        ]
    );
    // What is over is no fault of now.
    let mut over = mesh(&|from, to| (from, to) == (0, 1));
    for s in &mut over.metrics {
        let values: Vec<Option<f64>> = s.samples().collect();
        let values = [&values[60..], &values[..60]].concat();
        *s = series_of(s.entity().clone(), s.key().clone(), values);
    }
    assert_eq!(explain::<NetworkPath>(&over), []);
}

fn setting(window: &mut TelemetryWindow, row: usize, name: &str, attributes: &[(&str, &str)]) {
    window.logs.push(line(row, &EntityId::service(name), attributes));
}

#[test]
fn posture() {
    let (mut fault, mut fine) = (empty(ROWS), empty(ROWS));
    let open = |port| [("network.ingress.cidr", "0.0.0.0/0"), ("network.ingress.port", port)];
    setting(&mut fault, 10, "bastion", &open("22"));
    setting(&mut fault, 10, "bastion", &open("443"));
    setting(&mut fault, 5, "billing", &[("tls.verify", "true")]);
    setting(&mut fault, 50, "billing", &[("tls.verify", "Off")]);
    setting(&mut fault, 90, "billing", &[("tls.verify", "off")]);
    setting(&mut fine, 10, "shop", &open("443"));
    setting(&mut fine, 10, "archive", &[("storage.acl", "public-read"), ("policy.exception", "SEC-12")]);
    setting(&mut fine, 20, "fixed", &[("auth.anonymous", "true")]);
    setting(&mut fine, 30, "fixed", &[("auth.anonymous", "false")]);
    setting(&mut fine, 30, "private", &[("storage.acl", "private"), ("tls.min_version", "1.3")]);
    keeps_its_contract::<Posture>(&fault, &fine);
    let found = explain::<Posture>(&fault);
    let told: Vec<_> = found.iter().map(|s| (s.evidence.as_str(), s.severity, s.onset)).collect();
    assert_eq!(
        told,
        [
            ("network.ingress.cidr of bastion is 0.0.0.0/0 on 22 (CWE-284)", Severity::Critical, at(10)),
            ("tls.verify of billing is off, and was true (CWE-295)", Severity::Warning, at(50)),
        ]
    );
    // The same from a change, which is then named.
    let mut changed = empty(ROWS);
    let mut change = Change::new("c-1", at(7), ChangeKind::ConfigRollout, EntityId::service("kubelet"), "");
    change.attributes.insert("container.privileged", "true");
    changed.changes.push(change);
    let found = detector::<Posture>().explain(&changed);
    assert_eq!(found[0].evidence, "container.privileged of kubelet is true since c-1 (CWE-250)");
    let none = PostureOptions { rules: Vec::new(), ..Default::default() };
    assert_eq!(none.validate().unwrap_err().field(), "rules");
    let rule = PostureRule {
        setting: String::new(),
        values: vec!["on".into()],
        only: None,
        weakness: "CWE-1".into(),
        critical: false,
    };
    let nameless = PostureOptions { rules: vec![rule], ..Default::default() };
    assert_eq!(nameless.validate().unwrap_err().field(), "rules.setting");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever comes, nothing panics and what is found is well formed.
    #[test]
    fn any_window_is_judged(window in generate::window()) {
        let mut found = detector::<CacheSaturation>().find(&window);
        found.extend(detector::<ConcurrencySpike>().find(&window));
        found.extend(detector::<RegionOutage>().find(&window));
        found.extend(detector::<DeploymentDeadlock>().find(&window));
        found.extend(detector::<IncompatibleJob>().find(&window));
        found.extend(detector::<FailedDeployment>().find(&window));
        found.extend(detector::<NetworkPath>().find(&window));
        found.extend(detector::<Posture>().find(&window));
        for a in found {
            prop_assert!(window.range.contains(a.onset) && a.onset <= a.last && a.baseline.scale > 0.0);
        }
    }
}
