//! What the fused localiser holds against whom: those who are accused, machines, copies, who asks for more.

use std::time::Duration;

use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EdgeKind, Entity, EntityId, EntityKind, FaultType, FetchRequest,
    FittedHash, LogRecord, LogSeverity, MetricKind, MetricSeries, SeriesKey, Shape, Signal, Span, SpanId,
    TelemetryWindow, TimeAxis, TimeRange, TraceId, Unit, time,
};
use aiops_core::seam::Localizer;
use aiops_core::{CitedAnomaly, Context};
use aiops_rca::{FindingKind, FusedLocalizer, FusedRanking, FusedSuspect};
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::fused::{FAULT, NORMAL, at, noise, service};

/// Samples and lines before the fault, and since.
const BEFORE: u64 = 60;
const SINCE: u64 = 12;

/// Two windows, one before the fault and one since.
pub(crate) struct Scene {
    pub(crate) reference: TelemetryWindow,
    pub(crate) fault: TelemetryWindow,
    drawn: u64,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let window = |from: i64, n: u64| {
            let end = from + i64::try_from(n).unwrap() * 60;
            TelemetryWindow::new(TimeRange::new(at(from), at(end)).unwrap())
        };
        Self { reference: window(NORMAL, BEFORE), fault: window(FAULT, SINCE), drawn: 0 }
    }

    fn calls(mut self, pairs: &[(&EntityId, &EntityId)]) -> Self {
        for (from, to) in pairs {
            self = self.connect(from, to, EdgeKind::Calls);
        }
        self
    }

    pub(crate) fn connect(mut self, from: &EntityId, to: &EntityId, kind: EdgeKind) -> Self {
        for window in [&mut self.reference, &mut self.fault] {
            window.topology.connect(from.clone(), to.clone(), kind);
        }
        self
    }

    /// Samples about `was`, and since the fault about `is`, 2 % of each off.
    pub(crate) fn metric(
        mut self,
        entity: &EntityId,
        key: SeriesKey,
        kind: MetricKind,
        was: f64,
        is: f64,
    ) -> Self {
        self.drawn += 1;
        for (window, n, level) in [(&mut self.reference, BEFORE, was), (&mut self.fault, SINCE, is)] {
            let axis =
                TimeAxis::regular(window.range.start(), Duration::from_secs(60), usize::try_from(n).unwrap())
                    .unwrap();
            let values: Vec<Option<f64>> =
                (0..n).map(|i| Some(level * (1.0 + 0.02 * noise(self.drawn, i)))).collect();
            let series =
                MetricSeries::new(key.clone(), entity.clone(), axis, values).unwrap().with_kind(kind);
            let unit = if kind == MetricKind::Quantile { Unit::new("s") } else { Unit::new("1") };
            window.metrics.push(series.with_unit(unit));
        }
        self
    }

    fn served(self, entity: &EntityId, was: f64, is: f64) -> Self {
        let key = SeriesKey::new("rate(http_server_requests_total)");
        self.metric(entity, key, MetricKind::Rate, was, is)
    }

    fn cpu(self, entity: &EntityId, was: f64, is: f64) -> Self {
        let key = SeriesKey::new("rate(process_cpu_seconds_total)");
        self.metric(entity, key, MetricKind::Rate, was, is)
    }

    fn p95(self, entity: &EntityId, was: f64, is: f64) -> Self {
        let key = SeriesKey::new("p95(http_server_request_duration_seconds)");
        self.metric(entity, key, MetricKind::Quantile, was, is)
    }

    fn machine(self, name: &EntityId, was: f64, is: f64) -> Self {
        self.metric(name, SeriesKey::new("node_cpu_utilization"), MetricKind::Ratio, was, is)
    }

    /// What `entity` measures of its calls to `peer`.
    fn calls_take(self, entity: &EntityId, peer: &EntityId, was: f64, is: f64) -> Self {
        let key =
            SeriesKey::new("p95(http_client_request_duration_seconds)").with("peer_service", peer.name());
        self.metric(entity, key, MetricKind::Quantile, was, is)
    }

    /// A request in ten seconds, `was` long before the fault and `is` since, about 10 % of each off.
    fn spans(mut self, entity: &EntityId, was: Duration, is: Duration) -> Self {
        self.drawn += 1;
        for (window, long) in [(&mut self.reference, was), (&mut self.fault, is)] {
            let whole = window.range.end().duration_since(window.range.start()).unsigned_abs();
            for i in 0..whole.as_secs() / 10 {
                let number = (self.drawn << 32) | (i + 1);
                let start = time::after(window.range.start(), Duration::from_secs(10 * i));
                let took = long.mul_f64(1.0 + 0.1 * noise(self.drawn, i));
                let trace = TraceId(u128::from(number));
                window.spans.push(Span::new(trace, SpanId(number), entity.clone(), "serve", start, took));
            }
        }
        self
    }

    /// `was` lines before the fault and `is` since, spread evenly.
    pub(crate) fn lines(
        mut self,
        entity: &EntityId,
        severity: LogSeverity,
        text: &str,
        was: u64,
        is: u64,
    ) -> Self {
        for (window, n) in [(&mut self.reference, was), (&mut self.fault, is)] {
            let whole = window.range.end().duration_since(window.range.start()).unsigned_abs();
            for i in 0..n {
                let step = whole * u32::try_from(i).unwrap() / u32::try_from(n).unwrap();
                let mut line = LogRecord::new(time::after(window.range.start(), step), entity.clone(), text);
                line.severity = Some(severity);
                window.logs.push(line);
            }
        }
        self
    }

    /// Lines of daily work: five kinds, so that shares mean something.
    fn daily(mut self, entity: &EntityId) -> Self {
        for word in ["begun", "read", "written", "sent", "done"] {
            self = self.lines(entity, LogSeverity::Info, word, 300, 60);
        }
        self
    }

    pub(crate) fn rank(&self) -> FusedRanking {
        FusedLocalizer::default().rank(&self.reference, &self.fault)
    }
}

fn first(answer: &FusedRanking) -> &FusedSuspect {
    &answer.suspects[0]
}

fn of<'a>(answer: &'a FusedRanking, entity: &EntityId) -> &'a FusedSuspect {
    answer.suspects.iter().find(|s| s.entity == *entity).unwrap()
}

fn external(name: &str) -> EntityId {
    EntityId::new(EntityKind::External, name)
}

fn node(name: &str) -> EntityId {
    EntityId::new(EntityKind::Node, name)
}

#[test]
fn who_is_accused_and_tells_nothing_is_suspected_before_the_accuser() {
    let (front, cart, bank) = (service("front"), service("cart"), external("card-bank"));
    let scene = Scene::new()
        .calls(&[(&front, &cart), (&cart, &bank), (&cart, &service("stock"))])
        .daily(&front)
        .daily(&cart)
        .lines(&cart, LogSeverity::Error, "connect to card-bank: connection refused", 0, 90)
        .lines(&front, LogSeverity::Error, "cart answered 502, bad gateway", 0, 90);
    let answer = scene.rank();
    assert_eq!(first(&answer).entity, bank, "{answer:#?}");
    let finding = &first(&answer).findings[0];
    assert_eq!((finding.kind, finding.signal), (FindingKind::CallErrors, Signal::Logs));
    assert!(finding.statement.contains("service/cart says: connect to card-bank"), "{finding:?}");
    // The way back up: each accuses the next, and only the last has nobody to accuse.
    assert!(of(&answer, &cart).score < 0.5 * first(&answer).score);
    assert!(of(&answer, &front).score < of(&answer, &cart).score);
}

#[test]
fn whom_nobody_else_accuses_and_who_answers_as_ever_is_well() {
    let (front, cart, order, store) = (service("front"), service("cart"), service("order"), service("store"));
    let scene = |silent: bool| {
        Scene::new()
            .calls(&[(&front, &cart), (&front, &order), (&cart, &store), (&order, &store)])
            .daily(&cart)
            .daily(&order)
            .served(&store, 20.0, if silent { 0.0 } else { 19.0 })
            .p95(&store, 0.02, 0.02)
            .lines(&cart, LogSeverity::Error, "call to http://store:8080/v1 timed out", 0, 90)
    };
    let well = scene(false).rank();
    assert_eq!(first(&well).entity, cart, "{well:#?}");
    // The same words about somebody who falls silent.
    let silent = scene(true);
    let silent =
        silent.lines(&order, LogSeverity::Error, "call to http://store:8080/v1 timed out", 0, 90).rank();
    assert_eq!(first(&silent).entity, store, "{silent:#?}");
}

/// front → cart → store ← order ← front. Few requests of cart and order need the store, which tells of itself where `seen`.
fn waiting_for_a_store(seen: bool) -> FusedRanking {
    let (front, cart, order, store) = (service("front"), service("cart"), service("order"), service("store"));
    let millis = Duration::from_millis;
    let pairs = [(&front, &cart), (&front, &order), (&cart, &store), (&order, &store)];
    let mut scene = Scene::new().calls(&pairs);
    for caller in [&cart, &order] {
        let p50 = SeriesKey::new("p50(http_server_request_duration_seconds)");
        scene = scene
            .served(caller, 20.0, 20.0)
            .metric(caller, p50, MetricKind::Quantile, 0.01, 0.0095)
            .p95(caller, 0.02, 0.08)
            .calls_take(caller, &store, 0.01, 0.07)
            .spans(caller, millis(20), millis(26));
    }
    if seen {
        scene =
            scene.served(&store, 40.0, 40.0).p95(&store, 0.005, 0.005).spans(&store, millis(5), millis(5));
    }
    scene.rank()
}

#[test]
fn who_tells_nothing_is_suspected_of_the_time_that_all_its_callers_wait_for_it() {
    let (cart, store) = (service("cart"), service("store"));
    let own_time = |answer: &FusedRanking| {
        let own = of(answer, &cart).findings.iter().find(|f| f.kind == FindingKind::SelfTime);
        own.unwrap_or_else(|| panic!("{answer:#?}")).own
    };
    let dark = waiting_for_a_store(false);
    assert_eq!(first(&dark).entity, store, "{dark:#?}");
    let finding = &first(&dark).findings[0];
    assert_eq!((finding.kind, finding.signal), (FindingKind::CallTime, Signal::Metrics), "{finding:?}");
    // What spans of the callers show as their own time is the store's, who writes none.
    assert!(own_time(&dark) < 0.5, "{dark:#?}");
    let seen = waiting_for_a_store(true);
    assert!(own_time(&seen) >= 1.0, "{seen:#?}");
    assert!(of(&seen, &store).score < of(&seen, &cart).score);
}

#[test]
fn errors_that_name_nobody_who_is_called_stay_with_their_writer() {
    let (front, cart, store) = (service("front"), service("cart"), service("store"));
    let scene = Scene::new()
        .calls(&[(&front, &cart), (&front, &store)])
        .daily(&cart)
        // It does not call the store; nor is a word inside another a name.
        .lines(&cart, LogSeverity::Error, "cannot restore store from bookstore", 0, 90);
    let answer = scene.rank();
    assert_eq!(first(&answer).entity, cart);
    assert!(of(&answer, &store).supported <= 0.0);
}

/// Many kinds of lines of many writers, as many of each as chance brings.
fn noisy(rare: u32, seed: u64, fault: bool) -> FusedRanking {
    let names: Vec<EntityId> = (0..12).map(|i| service(&format!("s{i}"))).collect();
    let mut scene = Scene::new();
    for pair in names.windows(2) {
        scene = scene.calls(&[(&pair[0], &pair[1])]);
    }
    for (w, writer) in (0_u64..).zip(&names) {
        scene = scene.lines(writer, LogSeverity::Info, "served", 900, 180);
        for (k, kind) in
            (0_u64..).zip(["swept", "rotated", "lagged", "renewed", "resized", "expired", "synced"])
        {
            // About a fifth as many since, off by Poisson's standard deviation twice.
            let expected = f64::from(rare);
            let off = expected + 2.0 * noise(seed * 1000 + w * 10 + k, 7) * expected.sqrt();
            let now = off.round().max(0.0) as u64;
            let severity = if k > 4 { LogSeverity::Error } else { LogSeverity::Info };
            scene = scene.lines(writer, severity, kind, u64::from(5 * rare), now);
        }
    }
    if fault {
        scene = scene.lines(&names[5], LogSeverity::Error, "disk full", 0, 60);
    }
    scene.rank()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn noise_of_few_lines_never_comes_before_many(rare in 1..6_u32, seed in 0..10_000_u64) {
        let calm = noisy(rare, seed, false);
        prop_assert!(first(&calm).supported < 0.3, "{:?}", first(&calm));
        let answer = noisy(rare, seed, true);
        prop_assert_eq!(&first(&answer).entity, &service("s5"));
        prop_assert!(first(&answer).score > 3.0 * answer.suspects[1].score);
    }

    #[test]
    fn other_names_get_the_same_scores(names in prop::sample::subsequence(vec!["a", "cart-2", "m_x", "order", "z.svc", "über"], 4)) {
        let ask = |names: &[&str]| {
            let [front, cart, order, store] = [0, 1, 2, 3].map(|i| service(names[i]));
            let text = format!("call to {} timed out", names[3]);
            let scene = Scene::new()
                .calls(&[(&front, &cart), (&front, &order), (&cart, &store), (&order, &store)])
                .daily(&cart)
                .daily(&order)
                .served(&front, 10.0, 10.0)
                .lines(&cart, LogSeverity::Error, &text, 0, 90)
                .lines(&order, LogSeverity::Error, &text, 0, 40)
                .lines(&front, LogSeverity::Error, &format!("{} answered badly", names[1]), 0, 50);
            let answer = scene.rank();
            [front, cart, order, store].map(|e| of(&answer, &e).score)
        };
        let (known, other) = (ask(&["front", "basket", "bill", "vault"]), ask(&names));
        for (a, b) in known.iter().zip(other) {
            prop_assert!((a - b).abs() < 1e-9, "{known:?} {other:?}");
        }
        prop_assert!(known[3] > known[0].max(known[1]).max(known[2]));
    }
}

#[test]
fn what_most_copies_show_is_their_services_and_what_one_shows_its_own() {
    let cart = service("cart");
    let copy = |i: usize| EntityId::instance(format!("cart-{i}"));
    let scene = |grown: usize| {
        let mut scene = Scene::new().calls(&[(&service("front"), &cart)]);
        for i in 0..3 {
            let is = if i < grown { 9e8 } else { 3e8 };
            let key = SeriesKey::new("process_resident_memory_bytes").with("instance", format!("cart-{i}"));
            scene = scene.connect(&copy(i), &cart, EdgeKind::PartOf);
            scene = scene.metric(&copy(i), key, MetricKind::Gauge, 3e8, is);
        }
        scene.rank()
    };
    let all = scene(3);
    assert_eq!(first(&all).entity, cart);
    assert!(first(&all).findings[0].statement.ends_with("3 of 3 copies"), "{:?}", first(&all).findings);
    assert!((0..3).all(|i| of(&all, &copy(i)).supported <= 0.0));
    assert_eq!(first(&scene(1)).entity, copy(0));
}

/// Two services on a machine, a third elsewhere.
fn machines(work: f64) -> FusedRanking {
    let (a, b, c, m, n) = (service("a"), service("b"), service("c"), node("m"), node("n"));
    let mut scene = Scene::new().calls(&[(&service("front"), &a), (&service("front"), &b), (&a, &c)]);
    for (i, (of, on)) in [(&a, &m), (&b, &m), (&c, &n)].into_iter().enumerate() {
        let copy = EntityId::instance(format!("{}-{i}", of.name()));
        scene = scene.connect(&copy, of, EdgeKind::PartOf).connect(&copy, on, EdgeKind::RunsOn);
        scene = scene.cpu(&copy, 0.1, if *of == a { work } else { 0.1 });
    }
    scene
        .machine(&m, 0.15, 1.0)
        .machine(&n, 0.15, 0.15)
        .p95(&a, 0.05, 0.6)
        .p95(&b, 0.05, 0.6)
        .p95(&c, 0.05, 0.05)
        .lines(&b, LogSeverity::Error, "gave up", 0, 10)
        .daily(&b)
        .rank()
}

#[test]
fn a_machine_that_is_busy_explains_who_is_slow_on_it_unless_one_of_them_is_what_keeps_it_busy() {
    let answer = machines(0.1);
    assert_eq!(first(&answer).entity, node("m"), "{answer:#?}");
    let answer = machines(3.0);
    assert_eq!(first(&answer).entity, service("a"), "{answer:#?}");
}

#[test]
fn counters_of_the_network_are_held_against_a_machine_in_which_several_paths_meet() {
    let lossy = |paths: usize| {
        let front = service("front");
        let mut scene = Scene::new();
        for i in 0..4 {
            let (from, to) = (service(&format!("f{i}")), service(&format!("t{i}")));
            let copy = EntityId::instance(format!("t{i}-0"));
            scene = scene.calls(&[(&front, &from), (&from, &to)]).connect(&copy, &to, EdgeKind::PartOf);
            scene = scene.connect(&copy, &node("m"), EdgeKind::RunsOn);
            let key =
                SeriesKey::new("p95(http_client_request_duration_seconds)").with("peer_service", to.name());
            let is = if i < paths { 0.9 } else { 0.05 };
            // Who waits for those who wait is no second path, and what is hardly worse than by chance none at all.
            let felt = if i < paths { 0.95 } else { 0.1055 };
            scene = scene
                .calls_take(&front, &from, 0.1, felt)
                .metric(&from, key, MetricKind::Quantile, 0.05, is)
                .p95(&to, 0.02, 0.02)
                .served(&to, 9.0, 9.0);
        }
        let segments = SeriesKey::new("rate(node_netstat_tcp_retrans_segs_total)");
        scene = scene.metric(&node("m"), segments.clone(), MetricKind::Rate, 0.01, 30.0);
        scene.metric(&node("n"), segments, MetricKind::Rate, 0.01, 6.0).rank()
    };
    assert_eq!(first(&lossy(4)).entity, node("m"));
    // One path: one of its ends.
    let one = lossy(1);
    assert!([service("f0"), service("t0")].contains(&first(&one).entity), "{one:#?}");
}

#[test]
fn paths_that_do_not_meet_in_a_machine_are_not_its() {
    let (front, m) = (service("front"), node("m"));
    let lossy = |meet: bool| {
        let mut scene = Scene::new();
        for i in 0..3 {
            let (from, to) = (service(&format!("f{i}")), service(&format!("t{i}")));
            scene = scene.calls(&[(&front, &from), (&from, &to)]);
            for (of, on) in [
                (&from, node(&format!("n{i}"))),
                (&to, if meet { m.clone() } else { node(&format!("o{i}")) }),
            ] {
                let copy = EntityId::instance(format!("{}-0", of.name()));
                scene = scene.connect(&copy, of, EdgeKind::PartOf).connect(&copy, &on, EdgeKind::RunsOn);
            }
            scene = scene.calls_take(&from, &to, 0.05, 0.9).p95(&to, 0.02, 0.02).served(&to, 9.0, 9.0);
        }
        let other = EntityId::instance("other-0");
        scene =
            scene.connect(&other, &service("other"), EdgeKind::PartOf).connect(&other, &m, EdgeKind::RunsOn);
        let segments = SeriesKey::new("rate(node_netstat_tcp_retrans_segs_total)");
        scene.metric(&m, segments, MetricKind::Rate, 0.01, 30.0).rank()
    };
    assert_eq!(first(&lossy(true)).entity, m);
    let apart = lossy(false);
    assert!(of(&apart, &m).supported < 0.01, "{apart:#?}");
}

/// A service of some copies at which one in so many requests takes forty times as long; 0 for all of them.
fn slow_in(copies: usize, one_in: u64, waits: bool) -> FusedRanking {
    let (front, cart, store) = (service("front"), service("cart"), service("store"));
    let mut scene = Scene::new().calls(&[(&front, &cart), (&cart, &store)]).p95(&store, 0.02, 0.02);
    for i in 0..copies {
        scene = scene.connect(&EntityId::instance(format!("cart-{i}")), &cart, EdgeKind::PartOf);
    }
    let usual = Duration::from_millis(20);
    scene = scene.calls_take(&cart, &store, 0.02, if waits { 0.9 } else { 0.02 }).spans(&cart, usual, usual);
    for (i, span) in (0..).zip(&mut scene.fault.spans) {
        if one_in == 0 || i % one_in == 0 {
            span.duration *= 40;
        }
    }
    scene.rank()
}

#[test]
fn time_that_one_of_several_copies_takes_is_its_programs_and_not_the_ways() {
    let told = |answer: &FusedRanking| {
        let of_cart = of(answer, &service("cart"));
        (of_cart.fault, of_cart.decided_by)
    };
    let copy = (FaultType::Code, Some(FindingKind::CopyTime));
    let way = (FaultType::Network, Some(FindingKind::SelfTime));
    for copies in [2_u8, 3, 4] {
        let answer = slow_in(usize::from(copies), u64::from(copies), false);
        assert_eq!(told(&answer), copy, "{answer:#?}");
        assert_eq!(first(&answer).entity, service("cart"));
        let said = format!("one of {copies} copies");
        assert!(of(&answer, &service("cart")).findings[0].statement.contains(&said), "{answer:#?}");
    }
    assert_eq!(told(&slow_in(2, 0, false)), way, "both");
    assert_eq!(told(&slow_in(1, 2, false)), way, "there is one");
    assert_eq!(told(&slow_in(5, 2, false)), way, "far more than its share");
    assert_eq!(
        told(&slow_in(3, 3, true)).1.filter(|k| *k == FindingKind::CopyTime),
        None,
        "it waits for another"
    );
}

#[test]
fn a_collector_that_works_as_much_more_as_the_processor_lacks_no_memory() {
    let (front, store) = (service("front"), service("store"));
    let scene = |collects: f64| {
        let key = SeriesKey::new("rate(process_runtime_gc_seconds_total)");
        Scene::new()
            .calls(&[(&front, &store)])
            .served(&store, 5.0, 5.0)
            .cpu(&store, 0.03, 0.9)
            .metric(&store, key, MetricKind::Rate, 0.001, 0.001 * collects)
            .rank()
    };
    let busy = scene(30.0);
    assert_eq!((&first(&busy).entity, first(&busy).decided_by), (&store, Some(FindingKind::Cpu)));
    // Little is left, and what is left is looked through over and over.
    assert_eq!(first(&scene(600.0)).decided_by, Some(FindingKind::Memory));
}

/// `rises`: how many times as much each tenant asks for.
fn asked(rises: [f64; 3]) -> FusedRanking {
    let (front, cart) = (service("front"), service("cart"));
    let mut scene = Scene::new().calls(&[(&front, &cart)]).daily(&cart);
    let mut sum = 0.0;
    for (i, times) in rises.into_iter().enumerate() {
        let name = format!("tenant-{i}");
        let key = SeriesKey::new("rate(gateway_requests_total)").with("tenant", &*name);
        scene = scene.metric(&front, key, MetricKind::Rate, 4.0, 4.0 * times);
        let known = Entity::new(EntityId::new(EntityKind::Tenant, name));
        for window in [&mut scene.reference, &mut scene.fault] {
            window.topology.insert(known.clone());
        }
        sum += 4.0 * times;
    }
    scene
        .served(&front, 12.0, sum)
        .served(&cart, 12.0, sum)
        .cpu(&cart, 0.2, 0.2 * sum / 12.0)
        .lines(&cart, LogSeverity::Error, "queue full", 0, 90)
        .rank()
}

#[test]
fn who_asks_for_more_explains_who_cannot_serve_it() {
    let one = asked([1.0, 12.0, 1.0]);
    assert_eq!(first(&one).entity, EntityId::new(EntityKind::Tenant, "tenant-1"), "{one:#?}");
    assert_eq!(first(&one).findings[0].kind, FindingKind::Load);
    let everybody = asked([5.0, 6.0, 5.0]);
    assert_eq!(first(&everybody).entity, service("front"), "{everybody:#?}");
    // A little more is no load: what fails fails by itself.
    let nobody = asked([1.0, 1.2, 1.0]);
    assert_eq!(first(&nobody).entity, service("cart"), "{nobody:#?}");
}

#[test]
fn what_is_turned_away_uncounted_was_asked_for_all_the_same() {
    let (front, cart) = (service("front"), service("cart"));
    let tenant = EntityId::new(EntityKind::Tenant, "tenant-0");
    let key = SeriesKey::new("rate(gateway_requests_total)").with("tenant", tenant.name());
    let mut scene = Scene::new().calls(&[(&front, &cart)]).daily(&cart);
    for window in [&mut scene.reference, &mut scene.fault] {
        window.topology.insert(Entity::new(tenant.clone()));
    }
    let answer = scene
        .served(&front, 12.0, 20.0)
        .metric(&front, key.clone(), MetricKind::Rate, 4.0, 200.0)
        .metric(&front, SeriesKey::new(key.name.clone()).with("tenant", "x"), MetricKind::Rate, 8.0, 8.0)
        .served(&cart, 12.0, 20.0)
        .lines(&cart, LogSeverity::Error, "queue full", 0, 90)
        .rank();
    let load = |e: &EntityId| of(&answer, e).findings.iter().find(|f| f.kind == FindingKind::Load).cloned();
    let (asks, counts) = (load(&tenant).unwrap(), load(&front).unwrap());
    assert!(asks.strength > 6.0 && asks.strength.to_bits() == counts.strength.to_bits(), "{answer:#?}");
}

#[test]
fn who_calls_more_often_for_each_request_explains_who_is_called() {
    let (front, cart, store) = (service("front"), service("cart"), service("store"));
    let scene = |code: &str| {
        let sent = SeriesKey::new("rate(http_client_requests_total)")
            .with("peer_service", "store")
            .with("code", code);
        Scene::new()
            .calls(&[(&front, &cart), (&cart, &store)])
            .served(&front, 5.0, 5.0)
            .served(&cart, 5.0, 5.0)
            .metric(&cart, sent, MetricKind::Rate, 5.0, 45.0)
            .served(&store, 5.0, 45.0)
            .cpu(&store, 0.1, 0.9)
            .p95(&store, 0.02, 0.5)
            .rank()
    };
    let answer = scene("200");
    assert_eq!(first(&answer).entity, cart, "{answer:#?}");
    assert_eq!(first(&answer).findings[0].kind, FindingKind::CallsMore);
    // What fails is tried again: that is no reason.
    let found = scene("503").suspects.into_iter().flat_map(|s| s.findings);
    assert!(found.into_iter().all(|f| f.kind != FindingKind::CallsMore));
}

#[test]
fn one_event_in_a_rate_is_no_shift() {
    let (a, b) = (service("a"), service("b"));
    let errors = |scene: Scene, of: &EntityId, events: f64| {
        let key = SeriesKey::new("rate(http_server_requests_total)").with("code", "500");
        let mut scene = scene.metric(of, key, MetricKind::Rate, 0.0, 0.0);
        let series = scene.fault.metrics.pop().unwrap();
        // Each event shows for a minute, as a rate over it.
        let once = |i: u64| f64::from(u8::from(i % 2 == 1));
        let values: Vec<Option<f64>> =
            (0..SINCE).map(|i| Some(if i > 4 { events } else { once(i) } / 60.0)).collect();
        let again =
            MetricSeries::new(series.key().clone(), of.clone(), series.times().clone(), values).unwrap();
        scene.fault.metrics.push(again.with_kind(MetricKind::Rate).with_unit(Unit::new("1")));
        scene
    };
    let answer = errors(errors(Scene::new().calls(&[(&a, &b)]), &a, 1.0), &b, 40.0).rank();
    assert_eq!(first(&answer).entity, b);
    assert!(of(&answer, &a).supported < 0.2 * first(&answer).supported, "{answer:#?}");
}

#[test]
fn requests_that_vary_as_ever_excuse_no_busy_processor() {
    let (front, cart) = (service("front"), service("cart"));
    let busy = |requests: [f64; 4]| {
        let mut scene = Scene::new().calls(&[(&front, &cart)]).cpu(&cart, 0.1, 0.4).served(&cart, 1.0, 1.0);
        for (window, values) in [(&mut scene.reference, [0.0, 2.0, 2.0, 12.0]), (&mut scene.fault, requests)]
        {
            let served = window.metrics.pop().unwrap();
            let values: Vec<_> =
                values.iter().cycle().take(served.times().len()).map(|v| Some(v / 60.0)).collect();
            let varies =
                MetricSeries::new(served.key().clone(), cart.clone(), served.times().clone(), values)
                    .unwrap();
            window.metrics.push(varies.with_kind(MetricKind::Rate).with_unit(Unit::new("1")));
        }
        let answer = scene.rank();
        let found = of(&answer, &cart).findings.iter().filter(|f| f.kind == FindingKind::Cpu);
        found.map(|f| f.strength).fold(0.0, f64::max)
    };
    let as_ever = busy([0.0, 2.0, 2.0, 12.0]);
    let by_chance = busy([2.0, 8.0, 8.0, 2.0]);
    assert!(as_ever > 0.0 && by_chance > 0.9 * as_ever, "{by_chance} of {as_ever}");
    let more = busy([120.0, 122.0, 122.0, 132.0]);
    assert!(more < 0.2 * as_ever, "{more} of {as_ever}");
}

fn anomaly(entity: &EntityId, minute: i64, sigma: f64, ongoing: bool) -> CitedAnomaly {
    let range = TimeRange::new(at(NORMAL), at(FAULT + 720)).unwrap();
    let mut anomaly = Anomaly::new(
        DetectorId("d".to_owned()),
        FittedHash::of(b"x"),
        entity.clone(),
        SeriesKey::new("x"),
        Shape::LevelShiftUp,
        at(FAULT + 60 * minute),
        sigma,
        Baseline { center: 0.0, scale: 1.0, samples: 60 },
        FetchRequest::new(range),
    );
    anomaly.ongoing = ongoing;
    CitedAnomaly {
        id: serde_json::from_value(serde_json::json!(format!("anomaly-{minute}"))).unwrap(),
        anomaly,
    }
}

/// Since when the first suspect is suspected, in minutes from the fault.
fn since(anomalies: &[CitedAnomaly]) -> i64 {
    let (cart, store) = (service("cart"), external("store"));
    let scene = Scene::new().calls(&[(&cart, &store)]).daily(&cart);
    let scene = scene.lines(&cart, LogSeverity::Error, "connect to store: refused", 0, 90);
    let mut window = scene.reference;
    window.merge(scene.fault);
    let ranking =
        block_on(FusedLocalizer::default().localize(&window, anomalies, &Context::system())).unwrap();
    let since = ranking.suspects[0].observations[0].since.unwrap();
    since.duration_since(at(FAULT)).as_secs() / 60
}

#[test]
fn the_time_is_that_of_what_is_loud_and_lasts() {
    let (cart, store) = (service("cart"), external("store"));
    let felt = anomaly(&cart, 2, 80.0, true);
    // A little off, a while ago; over since; and both.
    let blips =
        [anomaly(&store, -9, 5.0, true), anomaly(&store, -7, 90.0, false), anomaly(&store, -8, 5.0, false)];
    let mut all = blips.to_vec();
    all.push(felt.clone());
    assert_eq!(since(&all), 2);
    // A leak is loud long before it is felt.
    all.push(anomaly(&store, -6, 30.0, true));
    assert_eq!(since(&all), -6);
    // Of a hundred some happen to leave their norm before: here 30 after, with one or two.
    let many = |early: &[CitedAnomaly]| {
        let rest = (0..30).map(|_| felt.clone());
        since(&rest.chain(early.iter().cloned()).collect::<Vec<_>>())
    };
    let early = [anomaly(&store, -6, 80.0, true), anomaly(&store, -5, 80.0, true)];
    assert_eq!((many(&early[..1]), many(&early)), (2, -5));
    // Where nothing lasts, what was loud.
    assert_eq!(since(&blips[1..]), -7);
    // What is no number is no reason.
    let odd = [anomaly(&store, -9, f64::NAN, true), anomaly(&store, -9, f64::INFINITY, false), felt.clone()];
    assert_eq!(since(&odd), 2);
    // What began when recording did leaves nothing to compare with.
    assert_eq!(since(&[anomaly(&store, -60, 90.0, true), felt]), 2);
}
