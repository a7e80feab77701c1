//! A service whose error ratio is quiet, or rises for a while.

use std::time::Duration;

use aiops_core::action::*;
use aiops_core::jiff::Timestamp;
use aiops_core::model::*;
use aiops_core::{Case, CasePart, CaseStatus};

pub(crate) fn at(seconds: u64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    time::after(start, Duration::from_secs(seconds))
}

pub(crate) fn range(from: u64, to: u64) -> TimeRange {
    TimeRange::new(at(from), at(to)).unwrap()
}

/// `errors` of the gateway and `load` of the store, a sample a second, over `from..to`; errors are high in `bad`.
pub(crate) fn window(from: u64, to: u64, bad: std::ops::Range<u64>) -> TelemetryWindow {
    let axis = TimeAxis::covering(range(from, to), Duration::from_secs(1)).unwrap();
    let noise = |t: u64| (t * 7919 % 13) as f64 / 13.0;
    let errors = (from..to).map(|t| Some(if bad.contains(&t) { 60.0 + noise(t) } else { 10.0 + noise(t) }));
    let load = (from..to).map(|t| Some(if bad.contains(&t) { 10.0 + noise(t) } else { 60.0 + noise(t) }));
    let gateway = EntityId::service("gateway");
    let key = SeriesKey::new("errors").with("service", "gateway");
    let mut window = TelemetryWindow::new(range(from, to));
    window.observed = Signal::Metrics.into();
    window.metrics = vec![
        MetricSeries::new(key, gateway, axis.clone(), errors).unwrap(),
        MetricSeries::new(SeriesKey::new("load"), EntityId::service("store"), axis, load).unwrap(),
    ];
    window
}

pub(crate) fn lines(windows: &[TelemetryWindow]) -> String {
    let mut bytes = Vec::new();
    windows.iter().for_each(|w| aiops_core::recording::write_window(&mut bytes, w).unwrap());
    String::from_utf8(bytes).unwrap()
}

/// A case that blamed `orders` and ended as `ending` says.
pub(crate) fn case(id: &str, ending: Option<CaseStatus>) -> Case {
    let orders = EntityId::service("orders");
    let mut case = Case::open(IncidentId::new(id), at(0), Mode::Auto);
    let mut seen = window(0, 60, 30..60);
    let mut blind = CollectorHealth::new(Signal::Logs);
    blind.note = Some("no log collector".to_owned());
    seen.health.push(blind);
    case.observe(at(0), seen);
    case.push(at(1), CasePart::Localized(Ranking::new(vec![Suspect::new(orders.clone(), 2.0)])));
    let sure = Confidence::calibrated(0.9, "fit-1").unwrap();
    let cited = case.evidence().iter().map(|e| e.id.clone()).collect();
    let cause =
        Hypothesis::new(orders.clone(), FaultType::Config, "orders has a wrong time-out", sure, cited);
    case.push(at(2), CasePart::Diagnosed(Diagnosis::new(vec![cause])));
    case.act(receipt(&orders));
    // A later round suspects another; the first guess is what counts.
    case.push(at(3), CasePart::Localized(Ranking::new(vec![Suspect::new(EntityId::service("store"), 1.0)])));
    case.push(at(4), CasePart::Diagnosed(Diagnosis::new(Vec::new())));
    let checks = vec![SignalCheck {
        entity: orders,
        what: "errors".to_owned(),
        recovery: Recovery::NotRecovered,
        detail: "still high".to_owned(),
    }];
    case.push(at(4), CasePart::Verified(RecoveryReport::from_checks(at(4), checks)));
    if let Some(ending) = ending {
        case.push(at(20), CasePart::Closed(ending));
    }
    case
}

/// A restart that was carried out.
fn receipt(target: &EntityId) -> ReceiptRecord {
    let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.25).unwrap() };
    let restart = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    let action = Action::new(restart, target.clone(), radius);
    let receipt = serde_json::json!({
        "key": "k", "fence": 1, "action": action, "started_at": at(2), "finished_at": at(3), "outcome": "completed",
    });
    serde_json::from_value(receipt).unwrap()
}
