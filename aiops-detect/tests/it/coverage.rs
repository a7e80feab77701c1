//! Which services have signals that correlate.

use aiops_core::model::{
    CollectorHealth, EdgeKind, EntityId, EntityKind, LogRecord, Signal, SignalSet, Span, SpanId,
    TelemetryWindow, TraceId,
};
use aiops_detect::coverage::{CoverageAudit, CoverageGap, CoverageOptions, ServiceCoverage};
use aiops_detect::{Checked, Options};
use aiops_testkit::generate;
use proptest::prelude::*;
use std::time::Duration;

use crate::worlds::{at, empty, series};

/// Series, lines of which every `traced`th carries a trace id, and spans of these traces from `first` on.
fn signals(
    window: &mut TelemetryWindow,
    entity: &EntityId,
    (metrics, lines, spans): (usize, usize, usize),
    traced: usize,
    first: u128,
) {
    for n in 0..metrics {
        window.metrics.push(series(entity, &format!("m{n}"), 5, |row| row as f64));
    }
    for n in 0..lines {
        let mut line = LogRecord::new(at(n % 5), entity.clone(), "done");
        line.trace_id = (n % traced == 0).then_some(TraceId(n as u128 + 1));
        window.logs.push(line);
    }
    for n in 0..spans {
        let id = SpanId(n as u64 + 1);
        let took = Duration::from_millis(5);
        window.spans.push(Span::new(TraceId(first + n as u128), id, entity.clone(), "get", at(0), took));
    }
}

fn audit(window: &TelemetryWindow) -> CoverageAudit {
    CoverageAudit::of([window], &Checked::default())
}

fn of<'a>(audit: &'a CoverageAudit, name: &str) -> &'a ServiceCoverage {
    audit.services.iter().find(|s| s.entity.name() == name).unwrap()
}

#[test]
fn every_service_is_told_with_what_it_lacks() {
    let mut window = empty(5);
    window.observed = SignalSet::all();
    let service = |name: &str| EntityId::service(name);
    signals(&mut window, &service("whole"), (2, 40, 40), 1, 1);
    signals(&mut window, &service("untraced"), (1, 40, 40), 10, 1);
    signals(&mut window, &service("elsewhere"), (1, 40, 3), 1, 90_000);
    for line in window.logs.iter_mut().filter(|line| line.entity.name() == "elsewhere") {
        line.trace_id = line.trace_id.map(|id| TraceId(id.0 + 500_000));
    }
    signals(&mut window, &service("mute"), (1, 0, 5), 1, 1);
    // A pod counts with its service, a node with nobody.
    let pod = EntityId::new(EntityKind::Pod, "orders-1");
    window.topology.connect(pod.clone(), service("orders"), EdgeKind::PartOf);
    signals(&mut window, &pod, (1, 3, 0), 1, 1);
    signals(&mut window, &EntityId::new(EntityKind::Node, "n-1"), (1, 1, 0), 1, 1);
    // One service under two names.
    signals(&mut window, &service("Cart-Service"), (3, 0, 0), 1, 1);
    signals(&mut window, &service("cart"), (0, 30, 30), 1, 1);
    window.topology.insert(aiops_core::model::Entity::new(service("silent")));
    let mut dark = CollectorHealth::new(Signal::Logs);
    dark.entity = Some(service("mute"));
    window.health.push(dark);
    let audit = audit(&window);
    assert_eq!((audit.whole(), audit.services.len()), (1, 8), "{}", audit.text());
    assert!(of(&audit, "whole").is_whole() && of(&audit, "whole").gaps.is_empty());
    assert_eq!(of(&audit, "untraced").gaps, [CoverageGap::Untraced(0.1)]);
    assert_eq!(of(&audit, "elsewhere").gaps, [CoverageGap::Unresolved(0.0)]);
    assert_eq!(of(&audit, "elsewhere").correlated.len(), 2);
    let mute = [CoverageGap::Dark(Signal::Logs), CoverageGap::Missing(Signal::Logs)];
    assert_eq!(of(&audit, "mute").gaps, mute);
    assert_eq!((of(&audit, "orders").series, of(&audit, "orders").lines), (1, 3));
    assert!(of(&audit, "Cart-Service").gaps.contains(&CoverageGap::NamedOtherwise(service("cart"))));
    assert!(of(&audit, "cart").gaps.contains(&CoverageGap::NamedOtherwise(service("Cart-Service"))));
    assert_eq!(of(&audit, "silent").gaps.len(), 3);
    let text = audit.text();
    assert!(text.starts_with("1 of 8 services") && text.contains("; is it service/cart?"), "{text}");
    let stored = serde_json::to_string(&audit).unwrap();
    assert_eq!(serde_json::from_str::<CoverageAudit>(&stored).unwrap(), audit);
}

#[test]
fn what_was_not_looked_at_is_not_missing() {
    let mut window = empty(5);
    window.observed = Signal::Metrics.into();
    signals(&mut window, &EntityId::service("a"), (1, 0, 0), 1, 1);
    assert_eq!(of(&audit(&window), "a").gaps, []);
    // Another window looked: then it is.
    let mut other = empty(5);
    other.observed = Signal::Logs.into();
    let both = CoverageAudit::of([&window, &other], &Checked::default());
    assert_eq!(of(&both, "a").gaps, [CoverageGap::Missing(Signal::Logs)]);
    // Series without a finite sample are none; nothing at all is an empty report.
    window.metrics = vec![series(&EntityId::service("a"), "m", 5, |_| f64::NAN)];
    assert_eq!(audit(&window).services, []);
    assert_eq!(audit(&empty(0)).text(), "0 of 0 services have signals that correlate\n");
    for (field, bad) in [
        ("kinds", CoverageOptions { kinds: Vec::new(), ..Default::default() }),
        ("min_lines", CoverageOptions { min_lines: 0, ..Default::default() }),
        ("traced", CoverageOptions { traced: f64::NAN, ..Default::default() }),
        ("endings", CoverageOptions { endings: vec!["Svc".into()], ..Default::default() }),
    ] {
        assert_eq!(bad.validate().unwrap_err().field(), field);
    }
}

proptest! {
    /// Whatever comes, every line and span of a service is counted once.
    #[test]
    fn any_window_is_audited(window in generate::window()) {
        let audit = audit(&window);
        let counted = |kinds: &[EntityKind]| {
            window.logs.iter().filter(|l| kinds.contains(&window.topology.whole(&l.entity).kind())).count()
        };
        let lines: usize = audit.services.iter().map(|s| s.lines).sum();
        prop_assert_eq!(lines, counted(&[EntityKind::Service, EntityKind::Job]));
        prop_assert!(audit.services.iter().all(|s| s.traced.1 <= s.traced.0 && s.traced.0 <= s.lines));
    }
}
