//! ACT-01: from a diagnosis to proposals, or to none.

use std::sync::Arc;

use aiops_act::{PlannerConfig, RemedyPlanner};
use aiops_core::action::{
    Action, IncidentId, Mode, Operation, Precondition, Principal, Proposal, ReceiptRecord, Risk,
    RollbackPlan, Share,
};
use aiops_core::model::{
    CausalGround, CausalTest, Change, ChangeId, ChangeKind, Diagnosis, DiagnosisStatus, EdgeKind, EntityId,
    EntityKind, EvidenceId, FaultType, Hypothesis, MetricKind, MetricSeries, Ranking, Recovery,
    RecoveryReport, Revision, SeriesKey, Suspect, TelemetryWindow, TimeAxis, TimeRange, mechanism,
};
use aiops_core::seam::Planner;
use aiops_core::{Cancellation, Case, CasePart, Context, ErrorKind, ManualClock};
use futures_lite::future::block_on;
use serde_json::json;

use crate::support::{action, at, back_to, orders, restart, secs, start, sure};

const DESIRED: &str = "desired";

fn config() -> PlannerConfig {
    PlannerConfig { desired_replicas: Some(DESIRED.to_owned()), proposals: 10, ..PlannerConfig::default() }
}

fn context() -> Context {
    Context::new(Arc::new(ManualClock::at(start())))
}

fn plan(case: &Case) -> Vec<Proposal> {
    plan_as(config(), case)
}

fn plan_as(config: PlannerConfig, case: &Case) -> Vec<Proposal> {
    block_on(RemedyPlanner::new(config).unwrap().plan(case, &context())).unwrap()
}

fn operations(proposals: &[Proposal]) -> Vec<Operation> {
    proposals.iter().map(|p| p.action.operation.clone()).collect()
}

fn evidence(id: &str) -> Vec<EvidenceId> {
    vec![serde_json::from_value(json!(id)).unwrap()]
}

fn cause(fault: FaultType, mechanism: Option<&str>) -> Hypothesis {
    let mut cause = Hypothesis::new(orders(), fault, "because", sure(0.9), evidence("anomaly-1"));
    cause.mechanism = mechanism.map(str::to_owned);
    cause
}

fn blaming(change: &str) -> Hypothesis {
    let mut cause = cause(FaultType::Config, None);
    cause.change = Some(ChangeId(change.to_owned()));
    cause
}

fn rollout(id: &str, from: Option<&str>, to: &str, seconds: i64) -> Change {
    Change::new(id, at(seconds), ChangeKind::ConfigRollout, orders(), "a roll-out")
        .with_revision(Revision::new(from.map(str::to_owned), to))
}

fn desired(entity: EntityId, samples: &[Option<f64>]) -> MetricSeries {
    let from = at(-15 * i64::try_from(samples.len()).unwrap());
    let times = TimeAxis::regular(from, secs(15), samples.len()).unwrap();
    MetricSeries::new(SeriesKey::new(DESIRED), entity, times, samples.iter().copied()).unwrap()
}

fn case(changes: Vec<Change>, metrics: Vec<MetricSeries>, hypotheses: Vec<Hypothesis>) -> Case {
    let mut window = TelemetryWindow::new(TimeRange::ending_at(start(), secs(600)));
    (window.changes, window.metrics) = (changes, metrics);
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    case.observe(start(), window);
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(hypotheses)));
    case
}

fn receipt(action: &Action, outcome: serde_json::Value) -> ReceiptRecord {
    serde_json::from_value(json!({
        "key": "k", "fence": 1, "action": action, "started_at": start(), "finished_at": start(), "outcome": outcome,
    }))
    .unwrap()
}

fn completed(action: &Action) -> ReceiptRecord {
    receipt(action, json!("completed"))
}

#[test]
fn what_ran_out_is_restarted() {
    let restarted = [mechanism::MEMORY, mechanism::CONNECTION_POOL, mechanism::LOCK, mechanism::SLOW_WORK];
    let causes = restarted.map(|m| cause(FaultType::Unknown, Some(m)));
    for cause in causes.into_iter().chain([cause(FaultType::ResourceExhaustion, None)]) {
        let proposals = plan(&case(vec![], vec![], vec![cause.clone()]));
        assert_eq!(operations(&proposals), [restart()], "{cause:?}");
        let proposal = &proposals[0];
        assert_eq!(proposal.action.target, orders());
        assert!(
            matches!(&proposal.action.rollback, RollbackPlan::NotNeeded { reason } if !reason.is_empty())
        );
        assert_eq!(proposal.action.preconditions, [Precondition::Exists]);
        assert_eq!((&proposal.evidence, &proposal.reason), (&cause.citations, &cause.statement));
        assert_eq!((proposal.confidence.clone(), proposal.incident.as_str()), (cause.confidence, "inc"));
    }
}

#[test]
fn a_job_that_hangs_starts_anew_and_one_that_is_slow_goes_on() {
    let of_job = |mechanism: &str| {
        let job = EntityId::new(EntityKind::Job, "pretrain");
        operations(&plan(&case(vec![], vec![], vec![of(job, FaultType::Code, Some(mechanism))])))
    };
    assert_eq!(of_job("collective hang"), [restart()]);
    assert_eq!(of_job(mechanism::SLOW_WORK), []);
    assert_eq!(of_job(mechanism::CRASH_LOOP), [], "what it starts from is its work");
    let starves = cause(FaultType::Code, Some("scheduling"));
    assert_eq!(operations(&plan(&case(vec![], vec![], vec![starves]))), [restart()]);
}

#[test]
fn a_crash_loop_gets_its_cache_purged_else_a_restart() {
    let proposals = plan(&case(vec![], vec![], vec![cause(FaultType::Unknown, Some(mechanism::CRASH_LOOP))]));
    assert_eq!(operations(&proposals), [Operation::CachePurge, restart()]);
    assert!(proposals.iter().all(|p| matches!(p.action.rollback, RollbackPlan::NotNeeded { .. })));
}

#[test]
fn a_change_is_undone_while_it_still_runs() {
    let proposals = plan(&case(vec![rollout("c", Some("r1"), "r2", -60)], vec![], vec![blaming("c")]));
    assert_eq!(operations(&proposals), [back_to("r1")]);
    let action = &proposals[0].action;
    assert_eq!(action.rollback, RollbackPlan::Operation(Box::new(back_to("r2"))));
    assert!(action.preconditions.contains(&Precondition::Revision("r2".into())));
    assert!(action.preconditions.contains(&Precondition::Exists));
}

#[test]
fn the_change_says_whom_to_roll_back() {
    let mut cause = blaming("c");
    cause.system = EntityId::service("gateway");
    let proposals = plan(&case(vec![rollout("c", Some("r1"), "r2", -60)], vec![], vec![cause]));
    assert_eq!(proposals[0].action.target, orders(), "the one that was changed, not the one that suffers");
}

#[test]
fn a_change_without_a_way_back_is_not_undone() {
    let unknown_before = rollout("c", None, "r2", -60);
    let nothing_changed = rollout("c", Some("r2"), "r2", -60);
    let no_revision = Change::new("c", at(-60), ChangeKind::Maintenance, orders(), "a flush");
    for change in [unknown_before, nothing_changed, no_revision] {
        assert!(plan(&case(vec![change.clone()], vec![], vec![blaming("c")])).is_empty(), "{change:?}");
    }
    let someone_elses = case(vec![rollout("c", Some("r1"), "r2", -60)], vec![], vec![blaming("unheard of")]);
    assert!(plan(&someone_elses).is_empty(), "a change the case does not know");
}

#[test]
fn for_one_cause_the_change_comes_first() {
    let mut cause = blaming("c");
    cause.mechanism = Some(mechanism::MEMORY.to_owned());
    let proposals = plan(&case(vec![rollout("c", Some("r1"), "r2", -60)], vec![], vec![cause]));
    assert_eq!(operations(&proposals), [back_to("r1"), restart()]);
}

#[test]
fn a_tenant_is_throttled_with_its_revision_as_the_way_back() {
    let tenant = || vec![cause(FaultType::Load, Some(mechanism::TENANT_LOAD))];
    let throttle = Operation::Throttle { to: Share::new(0.25).unwrap() };
    let changes = vec![rollout("b", Some("r2"), "r3", -60), rollout("a", Some("r1"), "r2", -90)];
    let proposals = plan(&case(changes, vec![], tenant()));
    assert_eq!(operations(&proposals), std::slice::from_ref(&throttle));
    assert_eq!(proposals[0].action.rollback, RollbackPlan::Operation(Box::new(back_to("r3"))));
    let mut other = rollout("x", Some("r1"), "r9", -10);
    other.entity = EntityId::service("gateway");
    let proposals = plan(&case(vec![other], vec![], tenant()));
    assert_eq!(operations(&proposals), [throttle]);
    assert_eq!(proposals[0].action.rollback, RollbackPlan::Impossible, "what it runs is not known");
}

#[test]
fn load_gets_one_copy_more() {
    let metrics =
        vec![desired(EntityId::service("gateway"), &[Some(6.0)]), desired(orders(), &[Some(9.0), Some(2.0)])];
    let proposals = plan(&case(vec![], metrics, vec![cause(FaultType::Load, None)]));
    assert_eq!(operations(&proposals), [Operation::Scale { replicas: 3 }]);
    let action = &proposals[0].action;
    assert_eq!(action.rollback, RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 2 })));
    assert_eq!((action.blast_radius.replicas, action.blast_radius.share_of_fleet.get()), (1, 0.125));
}

const REQUESTS: &str = "rate(requests_total)";

/// Ten minutes of requests with answers of two kinds; the last four samples `now`, before them `was`.
fn requests(entity: EntityId, was: f64, now: f64) -> Vec<MetricSeries> {
    let of = |code: &str, share: f64| {
        let times = TimeAxis::regular(at(-600), secs(15), 40).unwrap();
        let rates = (0..40).map(|i| Some(share * if i < 36 { was } else { now }));
        MetricSeries::new(SeriesKey::new(REQUESTS).with("code", code), entity.clone(), times, rates).unwrap()
    };
    vec![of("200", 0.75), of("503", 0.25)]
}

fn by_requests() -> PlannerConfig {
    PlannerConfig { requests: Some(REQUESTS.to_owned()), ..config() }
}

#[test]
fn copies_follow_requests_so_that_each_has_as_much_to_do_as_before() {
    let scaled = |copies: f64, was: f64, now: f64| {
        let mut metrics = requests(orders(), was, now);
        metrics.extend([desired(orders(), &[Some(copies)]), desired(EntityId::service("x"), &[Some(6.0)])]);
        plan_as(by_requests(), &case(vec![], metrics, vec![cause(FaultType::Load, None)]))
    };
    let proposals = scaled(4.0, 10.0, 17.0);
    assert_eq!(operations(&proposals), [Operation::Scale { replicas: 7 }]);
    let action = &proposals[0].action;
    assert_eq!(action.rollback, RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 4 })));
    assert_eq!((action.blast_radius.replicas, action.blast_radius.share_of_fleet.get()), (3, 0.3));
    assert_eq!(operations(&scaled(4.0, 10.0, 10.5)), [Operation::Scale { replicas: 5 }]);
    assert_eq!(operations(&scaled(4.0, 10.0, 20.0)), [Operation::Scale { replicas: 8 }], "at most twice");
    assert!(scaled(4.0, 10.0, 21.0).is_empty(), "how much to add and pay for is a person's");
    assert!(scaled(4.0, 10.0, 10.0).is_empty(), "nobody asks for more");
    // From nothing there is no telling, and nobody counts: one more.
    for (was, now) in [(0.0, 50.0), (f64::NAN, f64::NAN)] {
        assert_eq!(operations(&scaled(4.0, was, now)), [Operation::Scale { replicas: 5 }], "{was} {now}");
    }
    let twice = PlannerConfig { most_times: 3.0, ..by_requests() };
    let mut metrics = requests(orders(), 10.0, 30.0);
    metrics.push(desired(orders(), &[Some(2.0)]));
    let case = case(vec![], metrics, vec![cause(FaultType::Load, None)]);
    assert_eq!(operations(&plan_as(twice, &case)), [Operation::Scale { replicas: 6 }]);
}

#[test]
fn who_is_below_will_be_asked_for_as_many_times_more_as_comes_in() {
    let gateway = || EntityId::service("gateway");
    let scaled = |comes_in: f64| {
        // The gateway cannot pass on what it is asked.
        let mut metrics = [requests(gateway(), 10.0, comes_in), requests(orders(), 10.0, 12.0)].concat();
        metrics.extend([desired(gateway(), &[Some(2.0)]), desired(orders(), &[Some(4.0)])]);
        let crowd = of(gateway(), FaultType::Load, None);
        let proposals = plan_as(by_requests(), &on_machines(vec![crowd], metrics));
        proposals.iter().map(|p| p.action.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(scaled(15.0), ["scale to 6 service/orders", "scale to 3 service/gateway"]);
    assert_eq!(scaled(60.0), [""; 0], "six times as many");
}

#[test]
fn how_many_asked_before_is_told_by_the_first_look() {
    let look = |was: f64| {
        let mut window = TelemetryWindow::new(TimeRange::ending_at(start(), secs(600)));
        window.metrics = requests(orders(), was, 60.0);
        window.metrics.push(desired(orders(), &[Some(2.0)]));
        window
    };
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    for was in [10.0, 59.0] {
        case.observe(start(), look(was));
        case.push(start(), CasePart::Diagnosed(Diagnosis::new(vec![cause(FaultType::Load, None)])));
    }
    assert!(plan_as(by_requests(), &case).is_empty(), "six times as many since the case was opened");
}

#[test]
fn a_program_that_answers_wrongly_is_not_started_anew_and_one_of_its_copies_is() {
    let wrong = |system: EntityId, fault| {
        let cause = of(system, fault, Some(mechanism::FAILING_RESPONSES));
        operations(&plan(&on_machines(vec![cause], vec![])))
    };
    // All copies of the gateway are suspected together, and of the orders one.
    assert_eq!(wrong(EntityId::service("gateway"), FaultType::Code), []);
    assert_eq!(wrong(orders(), FaultType::Code), [restart()]);
    assert_eq!(wrong(EntityId::service("gateway"), FaultType::Dependency), [restart()], "it may be stuck");
    // That those who call it find it failing is the same again.
    let twice = [FaultType::Code, FaultType::Dependency]
        .map(|fault| of(EntityId::service("gateway"), fault, Some(mechanism::FAILING_RESPONSES)));
    assert!(plan(&on_machines(twice.to_vec(), vec![])).is_empty());
    let [told, first] = twice;
    assert_eq!(operations(&plan(&on_machines(vec![first, told], vec![]))), [restart()]);
    let nobody_ranked = cause(FaultType::Code, Some(mechanism::FAILING_RESPONSES));
    assert!(plan(&case(vec![], vec![], vec![nobody_ranked])).is_empty());
}

#[test]
fn nothing_is_scaled_on_copies_that_cannot_be_told() {
    let load = || vec![cause(FaultType::Load, None)];
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -1e-9, 1e7, f64::MAX];
    for value in bad {
        let metrics = vec![desired(orders(), &[Some(2.0), Some(value)])];
        assert!(plan(&case(vec![], metrics, load())).is_empty(), "{value}");
    }
    assert!(plan(&case(vec![], vec![], load())).is_empty(), "no such series");
    assert!(plan(&case(vec![], vec![desired(orders(), &[])], load())).is_empty(), "no sample");
    assert!(plan(&case(vec![], vec![desired(orders(), &[None])], load())).is_empty(), "only a gap");
    let metrics = vec![desired(orders(), &[Some(2.0)])];
    let unnamed = PlannerConfig { desired_replicas: None, ..config() };
    assert!(plan_as(unnamed, &case(vec![], metrics, load())).is_empty(), "no metric is configured");
}

#[test]
fn copies_are_taken_from_a_recent_sample() {
    let load = || vec![cause(FaultType::Load, None)];
    let with_gaps = |gaps: usize| {
        let samples: Vec<_> = [Some(2.0)].into_iter().chain(std::iter::repeat_n(None, gaps)).collect();
        plan(&case(vec![], vec![desired(orders(), &samples)], load()))
    };
    assert_eq!(operations(&with_gaps(7)), [Operation::Scale { replicas: 3 }], "2 min old");
    assert!(with_gaps(8).is_empty(), "meanwhile somebody may have scaled");
}

#[test]
fn most_and_least_copies() {
    let scaled = |now: f64| {
        let proposals =
            plan(&case(vec![], vec![desired(orders(), &[Some(now)])], vec![cause(FaultType::Load, None)]));
        operations(&proposals)
    };
    assert_eq!(scaled(0.0), [Operation::Scale { replicas: 1 }]);
    assert_eq!(scaled(-0.0), [Operation::Scale { replicas: 1 }]);
    assert_eq!(scaled(2.4), [Operation::Scale { replicas: 3 }]);
    assert_eq!(scaled(1e6), [Operation::Scale { replicas: 1_000_001 }]);
}

#[test]
fn the_blast_radius_is_every_copy_of_the_target() {
    let metrics = vec![desired(EntityId::service("gateway"), &[Some(6.0)]), desired(orders(), &[Some(2.0)])];
    let proposals = plan(&case(vec![], metrics, vec![cause(FaultType::Unknown, Some(mechanism::MEMORY))]));
    let radius = proposals[0].action.blast_radius;
    assert_eq!((radius.replicas, radius.share_of_fleet.get()), (2, 0.25));
}

#[test]
fn what_nobody_knows_a_remedy_for_is_left_to_a_person() {
    for fault in [
        FaultType::Config,
        FaultType::Code,
        FaultType::Network,
        FaultType::Hardware,
        FaultType::Dependency,
        FaultType::Security,
        FaultType::Unknown,
    ] {
        for mechanism in [None, Some("cosmic rays"), Some("MEMORY")] {
            assert!(plan(&case(vec![], vec![], vec![cause(fault, mechanism)])).is_empty(), "{fault}");
        }
    }
}

#[test]
fn only_findings_of_a_diagnosed_case_are_acted_on() {
    let finding = || cause(FaultType::Unknown, Some(mechanism::MEMORY));
    let guess = || {
        let mut guess = cause(FaultType::Unknown, Some(mechanism::CRASH_LOOP));
        guess.citations.clear();
        guess
    };
    let open = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    assert!(plan(&open).is_empty(), "no diagnosis");
    assert!(plan(&case(vec![], vec![], vec![])).is_empty(), "no hypothesis");
    assert!(plan(&case(vec![], vec![], vec![guess(), finding()])).is_empty(), "a guess leads");
    assert_eq!(operations(&plan(&case(vec![], vec![], vec![finding(), guess()]))), [restart()]);
    for status in [DiagnosisStatus::Inconclusive, DiagnosisStatus::ObservabilityDark { missing: vec![] }] {
        let mut diagnosis = Diagnosis::new(vec![finding()]);
        diagnosis.status = status;
        let mut case = case(vec![], vec![], vec![finding()]);
        case.push(start(), CasePart::Diagnosed(diagnosis));
        assert!(plan(&case).is_empty(), "the last diagnosis counts");
    }
}

#[test]
fn proposals_are_in_order_bounded_distinct_and_named() {
    let causes = || {
        let mut second = cause(FaultType::Unknown, Some(mechanism::LOCK));
        second.statement = "said again".to_owned();
        let mut third = cause(FaultType::Unknown, Some(mechanism::LOCK));
        third.system = EntityId::service("gateway");
        vec![cause(FaultType::Unknown, Some(mechanism::CRASH_LOOP)), second, third]
    };
    let proposals = plan(&case(vec![], vec![], causes()));
    let told: Vec<_> = proposals.iter().map(|p| (p.id.as_str(), p.action.to_string())).collect();
    let expected = [
        ("inc-1-1", "cache purge service/orders"),
        ("inc-1-2", "rolling restart service/orders"),
        ("inc-1-3", "rolling restart service/gateway"),
    ];
    assert_eq!(told, expected.map(|(id, text)| (id, text.to_owned())));
    assert_eq!(proposals[1].reason, "because", "the likelier cause proposes first");
    let two = plan_as(PlannerConfig { proposals: 2, ..config() }, &case(vec![], vec![], causes()));
    assert_eq!(two, proposals[..2]);
    assert_eq!(plan(&case(vec![], vec![], causes())), proposals, "the same case, the same plan");
}

#[test]
fn what_was_tried_is_not_proposed_again() {
    let crash = || vec![cause(FaultType::Unknown, Some(mechanism::CRASH_LOOP))];
    let mut case = case(vec![], vec![], crash());
    let first = plan(&case);
    case.push(start(), CasePart::Planned(first.clone()));
    case.act(completed(&first[0].action));
    case.push(start(), CasePart::Verified(RecoveryReport::from_checks(start(), vec![])));
    let second = plan(&case);
    assert_eq!(operations(&second), [restart()]);
    assert_ne!(second[0].id, first[1].id, "ids are unique within the incident");
    case.act(receipt(&second[0].action, json!({"failed": {"reason": "broke"}})));
    assert!(plan(&case).is_empty());
    assert_eq!(case.attempts().map(|(_, r)| r).collect::<Vec<_>>(), [Some(Recovery::Inconclusive), None]);
}

#[test]
fn a_restart_with_other_parameters_is_the_same_thing_again() {
    let mut case = case(vec![], vec![], vec![cause(FaultType::Unknown, Some(mechanism::MEMORY))]);
    case.act(completed(&action(Operation::RollingRestart { max_unavailable: 9, max_surge: 9 }, orders())));
    assert!(plan(&case).is_empty());
}

#[test]
fn what_was_tried_elsewhere_or_never_begun_may_be_proposed() {
    let mut case = case(vec![], vec![], vec![cause(FaultType::Unknown, Some(mechanism::MEMORY))]);
    case.act(completed(&action(restart(), EntityId::service("gateway"))));
    case.act(receipt(&action(restart(), orders()), json!({"not_started": {"reason": "no"}})));
    assert_eq!(operations(&plan(&case)), [restart()]);
}

#[test]
fn undoing_a_throttle_does_not_rule_a_rollback_out() {
    let changes = vec![rollout("c", Some("r1"), "r2", -60)];
    let mut case = case(changes, vec![], vec![cause(FaultType::Load, Some(mechanism::TENANT_LOAD))]);
    let throttle = plan(&case);
    case.push(start(), CasePart::Planned(throttle.clone()));
    case.act(completed(&throttle[0].action));
    let mut undo = throttle[0].action.clone();
    undo.operation = back_to("r2");
    undo.rollback = RollbackPlan::Impossible;
    case.act(completed(&undo));
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(vec![blaming("c")])));
    let proposals = plan(&case);
    assert_eq!(operations(&proposals), [back_to("r1")], "the pipeline undid; nobody tried a roll-back");
    // Once it was planned and tried, it was tried.
    case.push(start(), CasePart::Planned(proposals.clone()));
    case.act(completed(&proposals[0].action));
    assert!(plan(&case).is_empty());
}

#[test]
fn a_database_needs_healthy_replication_first() {
    let database = EntityId::new(EntityKind::Database, "orders-db");
    let mut leak = cause(FaultType::Unknown, Some(mechanism::MEMORY));
    leak.system = database.clone();
    let mut change = rollout("c", Some("r1"), "r2", -60);
    change.entity = database;
    leak.change = Some(ChangeId("c".into()));
    let proposals = plan(&case(vec![change], vec![], vec![leak]));
    assert_eq!(operations(&proposals), [back_to("r1"), restart()]);
    for proposal in proposals {
        assert!(proposal.action.preconditions.contains(&Precondition::ReplicationHealthy), "{proposal:?}");
    }
}

#[test]
fn settings_reach_the_actions() {
    let config = PlannerConfig {
        throttle_to: 0.5,
        max_unavailable: 3,
        cooldown: secs(42),
        principal: Principal::new("me"),
        ..config()
    };
    let causes = vec![
        cause(FaultType::Unknown, Some(mechanism::MEMORY)),
        cause(FaultType::Load, Some(mechanism::TENANT_LOAD)),
    ];
    let proposals = plan_as(config, &case(vec![], vec![], causes));
    let rolling = Operation::RollingRestart { max_unavailable: 3, max_surge: 0 };
    assert_eq!(operations(&proposals), [rolling, Operation::Throttle { to: Share::new(0.5).unwrap() }]);
    assert!(proposals.iter().all(|p| p.action.cooldown == secs(42) && p.proposed_by == Principal::new("me")));
}

#[test]
fn a_cancelled_plan_is_an_error() {
    let cancelled = Cancellation::new();
    cancelled.cancel();
    let ctx = context().with_cancellation(cancelled);
    let case = case(vec![], vec![], vec![cause(FaultType::Unknown, Some(mechanism::MEMORY))]);
    let error = block_on(RemedyPlanner::default().plan(&case, &ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

fn named(kind: EntityKind, name: &str) -> EntityId {
    EntityId::new(kind, name)
}

fn of(system: EntityId, fault: FaultType, mechanism: Option<&str>) -> Hypothesis {
    let mut cause = cause(fault, mechanism);
    cause.system = system;
    cause
}

/// gateway → orders → orders-db; both services have copies on two machines.
fn on_machines(hypotheses: Vec<Hypothesis>, metrics: Vec<MetricSeries>) -> Case {
    let mut window = TelemetryWindow::new(TimeRange::ending_at(start(), secs(600)));
    window.metrics = metrics;
    let gateway = EntityId::service("gateway");
    window.topology.connect(gateway.clone(), orders(), EdgeKind::Calls);
    window.topology.connect(orders(), named(EntityKind::Database, "orders-db"), EdgeKind::Calls);
    for (copy, whole, node) in [
        ("gateway-0", gateway.clone(), "node-a"),
        ("orders-0", orders(), "node-a"),
        ("orders-1", orders(), "node-b"),
    ] {
        let copy = EntityId::instance(copy);
        window.topology.connect(copy.clone(), whole, EdgeKind::PartOf);
        window.topology.connect(copy, named(EntityKind::Node, node), EdgeKind::RunsOn);
    }
    let mut case = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    case.observe(start(), window);
    let suspects = [(gateway, 3.0), (EntityId::instance("orders-1"), 2.0), (orders(), 1.0)];
    case.localize(start(), Ranking::new(suspects.map(|(e, score)| Suspect::new(e, score)).into()));
    case.push(start(), CasePart::Diagnosed(Diagnosis::new(hypotheses)));
    case
}

#[test]
fn work_is_moved_off_a_broken_machine_and_a_person_brings_it_back() {
    let node = || named(EntityKind::Node, "node-a");
    for (fault, mechanism) in [
        (FaultType::Hardware, None),
        (FaultType::Hardware, Some("disk")),
        (FaultType::Network, Some("network")),
        (FaultType::ResourceExhaustion, Some(mechanism::MEMORY)),
        (FaultType::ResourceExhaustion, Some("cpu")),
    ] {
        let copies =
            vec![desired(EntityId::service("gateway"), &[Some(1.0)]), desired(orders(), &[Some(3.0)])];
        let proposals = plan(&on_machines(vec![of(node(), fault, mechanism)], copies));
        assert_eq!(operations(&proposals), [Operation::Drain], "{fault} {mechanism:?}");
        let action = &proposals[0].action;
        assert_eq!((&action.target, &action.rollback), (&node(), &RollbackPlan::Impossible));
        // Two copies run there, of four.
        assert_eq!((action.blast_radius.replicas, action.blast_radius.share_of_fleet.get()), (2, 0.5));
    }
    let busy = of(node(), FaultType::Load, None);
    assert!(plan(&on_machines(vec![busy], vec![])).is_empty(), "a job ends by itself or by whoever sent it");
    let only = case(vec![], vec![], vec![of(node(), FaultType::Hardware, None)]);
    assert!(plan(&only).is_empty(), "no other machine is known");
}

#[test]
fn a_disk_that_fills_gets_its_logs_rotated_and_nothing_is_restarted_on_it() {
    for kind in [EntityKind::Node, EntityKind::Database, EntityKind::Service] {
        let full = of(named(kind, "it"), FaultType::ResourceExhaustion, Some("disk"));
        let proposals = plan(&on_machines(vec![full], vec![]));
        assert_eq!(operations(&proposals), [Operation::LogRotation], "{kind}");
        assert!(matches!(proposals[0].action.rollback, RollbackPlan::NotNeeded { .. }));
    }
}

#[test]
fn a_cache_is_purged_else_restarted() {
    let cache = || named(EntityKind::Cache, "sessions");
    for (fault, mechanism) in
        [(FaultType::ResourceExhaustion, Some("waiting")), (FaultType::Dependency, None)]
    {
        let proposals = plan(&case(vec![], vec![], vec![of(cache(), fault, mechanism)]));
        assert_eq!(operations(&proposals), [Operation::CachePurge, restart()], "{fault}");
    }
    assert!(plan(&case(vec![], vec![], vec![of(cache(), FaultType::Network, None)])).is_empty());
}

#[test]
fn a_database_is_restarted_for_what_it_holds_and_not_for_what_it_computes() {
    let database = || named(EntityKind::Database, "orders-db");
    for mechanism in [mechanism::LOCK, mechanism::CONNECTION_POOL, "waiting", "file descriptors"] {
        let held = of(database(), FaultType::ResourceExhaustion, Some(mechanism));
        let proposals = plan(&case(vec![], vec![], vec![held]));
        assert_eq!(operations(&proposals), [restart()], "{mechanism}");
        assert!(proposals[0].action.preconditions.contains(&Precondition::ReplicationHealthy));
    }
    for (fault, mechanism) in [
        (FaultType::ResourceExhaustion, "cpu"),
        (FaultType::Dependency, mechanism::SLOW_WORK),
        (FaultType::Dependency, mechanism::FAILING_RESPONSES),
    ] {
        let computes = of(database(), fault, Some(mechanism));
        assert!(plan(&case(vec![], vec![], vec![computes])).is_empty(), "{mechanism}");
    }
}

#[test]
fn nobody_acts_on_what_is_somebody_elses() {
    for mechanism in [None, Some(mechanism::SLOW_WORK), Some(mechanism::MEMORY)] {
        for fault in [FaultType::Dependency, FaultType::ResourceExhaustion, FaultType::Load] {
            let theirs = of(named(EntityKind::External, "bank"), fault, mechanism);
            assert!(plan(&case(vec![], vec![], vec![theirs])).is_empty(), "{fault} {mechanism:?}");
        }
    }
}

#[test]
fn what_burns_on_purpose_is_not_started_anew() {
    let miner = cause(FaultType::Security, Some(mechanism::MEMORY));
    assert!(plan(&case(vec![], vec![], vec![miner])).is_empty());
}

#[test]
fn a_tenant_keeps_as_much_as_it_sent_before() {
    let tenant = || named(EntityKind::Tenant, "acme");
    let sends = |was: f64, now: f64, label: &str| {
        let from = at(-150);
        let times = TimeAxis::regular(from, secs(15), 10).unwrap();
        let rates = (0..10).map(|i| Some(if i < 6 { was } else { now }));
        let key = SeriesKey::new("rate(requests_total)").with("tenant", label);
        let series = MetricSeries::new(key, EntityId::service("gateway"), times, rates).unwrap();
        series.with_kind(MetricKind::Rate)
    };
    let share = |metrics: Vec<MetricSeries>, fault| {
        let proposals = plan(&case(vec![], metrics, vec![of(tenant(), fault, None)]));
        match operations(&proposals).as_slice() {
            [Operation::Throttle { to }] => to.get(),
            other => panic!("{other:?}"),
        }
    };
    for fault in [FaultType::Load, FaultType::Security] {
        assert!((share(vec![sends(2.0, 40.0, "acme")], fault) - 0.05).abs() < 1e-12);
        assert!((share(vec![sends(2.0, 3.0, "acme")], fault) - 0.25).abs() < 1e-12, "at most");
        assert!((share(vec![sends(1.0, 1000.0, "acme")], fault) - 0.02).abs() < 1e-12, "at least");
        assert!((share(vec![sends(2.0, 40.0, "other")], fault) - 0.25).abs() < 1e-12, "another's");
        assert!((share(vec![sends(2.0, f64::NAN, "acme")], fault) - 0.25).abs() < 1e-12, "untold");
    }
    assert!(plan(&case(vec![], vec![], vec![of(tenant(), FaultType::Code, None)])).is_empty());
}

#[test]
fn users_are_never_throttled_as_a_whole_and_those_who_suffer_below_get_a_copy() {
    let gateway = || EntityId::service("gateway");
    for (fault, mechanism) in [(FaultType::Load, Some(mechanism::TENANT_LOAD)), (FaultType::Load, None)] {
        let copies = vec![desired(gateway(), &[Some(2.0)]), desired(orders(), &[Some(3.0)])];
        let proposals = plan(&on_machines(vec![of(gateway(), fault, mechanism)], copies));
        let told: Vec<_> = proposals.iter().map(|p| p.action.to_string()).collect();
        assert_eq!(told, ["scale to 4 service/orders", "scale to 3 service/gateway"], "{mechanism:?}");
    }
    let loud = of(orders(), FaultType::Load, Some(mechanism::TENANT_LOAD));
    assert!(matches!(operations(&plan(&on_machines(vec![loud], vec![])))[..], [Operation::Throttle { .. }]));

    // Nobody calls this one either, and what it sends is felt by others.
    let mut worker = of(gateway(), FaultType::Load, Some(mechanism::TENANT_LOAD));
    worker.path = vec![gateway(), orders(), EntityId::service("shopfront")];
    assert!(matches!(
        operations(&plan(&on_machines(vec![worker], vec![])))[..],
        [Operation::Throttle { .. }]
    ));
}

#[test]
fn proposals_of_later_looks_have_names_of_their_own() {
    let mut case = case(vec![], vec![], vec![cause(FaultType::Unknown, Some(mechanism::MEMORY))]);
    let first = plan(&case);
    case.push(start(), CasePart::Planned(first.clone()));
    let second = plan(&case);
    assert_eq!(operations(&first), operations(&second), "it was denied, and may be allowed now");
    assert_ne!(first[0].id, second[0].id);
}

#[test]
fn a_least_share_is_above_none_and_not_above_the_most() {
    for least in [0.0, -0.1, 0.3, f64::NAN] {
        let config = PlannerConfig { throttle_least: least, ..config() };
        assert_eq!(RemedyPlanner::new(config).unwrap_err().kind(), ErrorKind::Invalid, "{least}");
    }
}

fn tested(tests: &[(CausalGround, bool)]) -> Hypothesis {
    let mut cause = cause(FaultType::Unknown, Some(mechanism::LOCK));
    cause.causal_tests =
        tests.iter().map(|(ground, passed)| CausalTest::new(*ground, *passed, "2 of 9")).collect();
    cause
}

#[test]
fn what_does_not_stand_its_causal_tests_is_for_a_person() {
    use CausalGround::{Intervention, Order, Topology};
    for (tests, failed) in [
        (vec![(Order, true), (Topology, false)], Some("topology")),
        (vec![(Order, false), (Topology, true)], Some("order")),
        (vec![(Order, true), (Topology, true)], None),
        // What was tried and did not help is weighed in the confidence, and another remedy may help.
        (vec![(Topology, true), (Intervention, false)], None),
        (vec![], None),
    ] {
        let case = case(vec![], vec![], vec![tested(&tests)]);
        let proposals = plan(&case);
        assert_eq!(operations(&proposals), [restart()], "it is proposed all the same");
        let Proposal { action, reason, .. } = &proposals[0];
        match failed {
            Some(ground) => {
                assert_eq!(action.risk(), Risk::Medium, "{tests:?}");
                assert!(reason.starts_with("because; a person decides: "), "{reason}");
                assert!(reason.contains(ground) && reason.ends_with("2 of 9"), "{reason}");
            }
            None => assert_eq!((action.risk(), reason.as_str()), (Risk::Low, "because"), "{tests:?}"),
        }
        let alone = plan_as(PlannerConfig { doubtful: Risk::Low, ..config() }, &case);
        assert_eq!((alone[0].action.raised_risk, alone[0].reason.as_str()), (None, "because"));
        let always = plan_as(PlannerConfig { doubtful: Risk::High, ..config() }, &case);
        assert_eq!(always[0].action.risk(), if failed.is_some() { Risk::High } else { Risk::Low });
    }
}

#[test]
fn what_a_look_did_not_name_first_is_for_a_person() {
    let said = |system: &str| {
        let mut cause = cause(FaultType::Unknown, Some(mechanism::LOCK));
        cause.system = EntityId::service(system);
        CasePart::Diagnosed(Diagnosis::new(vec![cause]))
    };
    let risk = |case: &Case| plan(case)[0].action.risk();
    let mut case = case(vec![], vec![], vec![tested(&[])]);
    case.push(start(), said("orders"));
    assert_eq!(risk(&case), Risk::Low, "two looks agree");
    case.push(start(), said("gateway"));
    let proposals = plan(&case);
    assert_eq!(proposals[0].action.risk(), Risk::Medium);
    assert!(proposals[0].reason.contains("service/orders"), "{}", proposals[0].reason);
    // Who names nobody contradicts nobody.
    let mut unclear = Diagnosis::new(vec![tested(&[])]);
    unclear.status = DiagnosisStatus::Inconclusive;
    let mut other = Case::open(IncidentId::new("inc"), start(), Mode::Auto);
    other.observe(start(), TelemetryWindow::new(TimeRange::ending_at(start(), secs(600))));
    other.push(start(), CasePart::Diagnosed(unclear));
    other.push(start(), said("gateway"));
    assert_eq!(risk(&other), Risk::Low);
    // What an attempt leaves over may be another cause.
    case.act(completed(&action(restart(), orders())));
    case.push(start(), said("gateway"));
    assert_eq!(risk(&case), Risk::Low);
}

#[test]
fn what_is_done_to_somebody_of_whom_nothing_is_diagnosed_is_for_a_person() {
    let gateway = || EntityId::service("gateway");
    let crowded = || of(gateway(), FaultType::Load, None);
    let risks = |causes: Vec<Hypothesis>| -> Vec<(String, Risk)> {
        let copies = vec![desired(gateway(), &[Some(2.0)]), desired(orders(), &[Some(3.0)])];
        let proposals = plan(&on_machines(causes, copies));
        let why = "; a person decides: nothing is diagnosed of service/orders itself";
        assert_eq!(proposals[0].reason.ends_with(why), proposals[0].action.raised_risk.is_some());
        proposals.iter().map(|p| (p.action.to_string(), p.action.risk())).take(2).collect()
    };
    let told = |below: Risk| {
        vec![
            ("scale to 4 service/orders".to_owned(), below),
            ("scale to 3 service/gateway".to_owned(), Risk::Low),
        ]
    };
    assert_eq!(risks(vec![crowded()]), told(Risk::Medium));
    let suffers = of(orders(), FaultType::ResourceExhaustion, Some("cpu"));
    assert_eq!(risks(vec![crowded(), suffers]), told(Risk::Low));
}
