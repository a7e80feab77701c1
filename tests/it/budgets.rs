//! From requests that fail to what automation may do: indicator, burn rate, stance, guard.

use std::time::Duration;

use aiops::act::guards::{BudgetBoard, StanceConfig, StanceGuard};
use aiops::core::action::{
    Action, BlastRadius, History, IncidentId, Mode, Operation, Preview, Principal, Proposal, ProposalId,
    Share, TargetState, Verdict,
};
use aiops::core::jiff::Timestamp;
use aiops::core::model::{
    Confidence, DetectorId, EntityId, MetricSeries, SeriesKey, Stance, TelemetryWindow, TimeAxis, TimeRange,
};
use aiops::core::seam::{Guardrail, Review};
use aiops::core::{Context, ManualClock};
use aiops::detect::burn::{BurnOptions, BurnRateDetector, Slo};
use futures_lite::future::block_on;

const MINUTE: Duration = Duration::from_secs(60);

fn slo(name: &str, target: f64) -> Slo {
    Slo {
        name: name.into(),
        journey: "pay for a basket".into(),
        owner: "payments".into(),
        indicator: "error_ratio".into(),
        requests: None,
        target,
        period: Duration::from_secs(30 * 86_400),
    }
}

/// Six hours of a service of which `share` fails in the last hour.
fn window(share: f64, now: Timestamp) -> TelemetryWindow {
    let range = TimeRange::ending_at(now, MINUTE * 360);
    let axis = TimeAxis::regular(range.start(), MINUTE, 360).unwrap();
    let values: Vec<_> = (0..360).map(|i| Some(if i < 300 { 0.0 } else { share })).collect();
    let mut window = TelemetryWindow::new(range);
    let series =
        MetricSeries::new(SeriesKey::new("error_ratio"), EntityId::service("pay"), axis, values).unwrap();
    window.metrics.push(series);
    window
}

#[test]
fn what_fails_decides_what_automation_may_do() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let ctx = Context::new(std::sync::Arc::new(ManualClock::at(now)));
    let options =
        BurnOptions { slos: vec![slo("pay", 0.999), slo("lenient", 0.5)], ..BurnOptions::default() };
    let detector = BurnRateDetector::new(options.try_into().unwrap()).unwrap();
    let board = BudgetBoard::new();
    let guard = StanceGuard::new(board.clone(), StanceConfig::default()).unwrap();
    let judge = |share: f64, foretold: bool| {
        let budgets = detector.budgets(&window(share, now));
        assert_eq!(budgets.len(), 1);
        for (service, budget) in budgets {
            board.post(service, budget.remaining, budget.stance, budget.at);
        }
        let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1).unwrap() };
        let restart = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
        let action = Action::new(restart, EntityId::service("pay"), radius);
        let sure = Confidence::calibrated(0.9, "test").unwrap();
        let (id, incident) = (ProposalId::new("p"), IncidentId::new("i"));
        let by = foretold.then(|| DetectorId("capacity".into()));
        let proposal =
            Proposal::new(id, incident, action, Principal::new("planner"), sure, "it leaks").foretold(by);
        let (history, preview) = (History::new(), Preview::new(TargetState::existing(), "a preview"));
        let review = Review {
            proposal: &proposal,
            preview: &preview,
            history: &history,
            mode: Mode::Auto,
            now,
            revert_window: MINUTE,
        };
        block_on(guard.check(&review, &ctx)).unwrap()
    };
    let stance = |share: f64| detector.budgets(&window(share, now))[&EntityId::service("pay")].stance;
    assert_eq!(stance(0.0), Stance::Usual);
    assert!(matches!(judge(0.0, true), Verdict::Allow { .. }));
    // An hour at five times what may: executives hear of it and roll-outs slow down, remedies go on.
    assert_eq!(stance(0.0055), Stance::Careful);
    assert!(matches!(judge(0.0055, false), Verdict::Allow { .. }));
    assert!(matches!(judge(0.0055, true), Verdict::NeedsApproval { .. }));
    assert_eq!(stance(0.02), Stance::Frozen);
    assert!(matches!(judge(0.02, true), Verdict::Deny { .. }));
    assert!(matches!(judge(0.02, false), Verdict::NeedsApproval { .. }), "0.9 is not 0.95");
    // An empty window says nothing, and nothing is posted.
    let empty = TelemetryWindow::new(TimeRange::ending_at(now, MINUTE));
    assert!(detector.budgets(&empty).is_empty());
}
