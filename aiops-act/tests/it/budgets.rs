//! Error budgets, error rates after our actions, nodes, classes of servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_act::guards::{
    BandsConfig, BudgetBoard, BudgetSource, ConfidenceBands, ErrorBudgetConfig, ErrorBudgetGuard,
    ErrorRateBreaker, ErrorRateConfig, NodeCap, NodeCapConfig, ServerClass, StanceConfig, StanceGuard,
};
use aiops_act::policy::Effect;
use aiops_core::action::{ActionKind, Operation, Proposal, Verdict};
use aiops_core::fake::{InMemorySource, SimulatedWorkload};
use aiops_core::model::{
    DetectorId, EntityId, EntityKind, MetricSeries, Recovery, SeriesKey, Stance, TelemetryWindow, TimeAxis,
    TimeRange,
};
use aiops_core::seam::Guardrail;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use crate::support::{
    World, action, allowed, asks, at, orders, propose, refused, restart, restart_of, rollback_of, secs, sure,
    undoing,
};

fn with_confidence(p: f64) -> Proposal {
    let mut proposal = propose("p", "inc", restart_of(orders()));
    proposal.confidence = sure(p);
    proposal
}

fn guard_on(remaining: f64, config: ErrorBudgetConfig) -> ErrorBudgetGuard {
    let board = BudgetBoard::new();
    board.set(orders(), remaining, at(0));
    ErrorBudgetGuard::new(board, config).unwrap()
}

#[test]
fn the_less_is_left_the_surer_it_must_be() {
    let world = World::new();
    let judge = |remaining: f64, confidence: f64| {
        world.judge(&guard_on(remaining, ErrorBudgetConfig::default()), &with_confidence(confidence))
    };
    for remaining in [1.0, 0.5, 0.25] {
        assert!(allowed(&judge(remaining, 0.7)), "{remaining}");
    }
    for remaining in [0.2499, 0.1, f64::MIN_POSITIVE] {
        assert!(asks(&judge(remaining, 0.9499)), "{remaining}");
        let sure_enough = judge(remaining, 0.95);
        assert!(matches!(sure_enough, Verdict::Allow { notify: true, .. }), "{sure_enough:?}");
    }
    for remaining in [0.0, -0.0, -3.0, f64::NEG_INFINITY] {
        assert!(asks(&judge(remaining, 1.0)), "{remaining}");
        let strict = ErrorBudgetConfig { exhausted: Effect::Deny, ..ErrorBudgetConfig::default() };
        assert!(refused(&world.judge(&guard_on(remaining, strict), &with_confidence(1.0))), "{remaining}");
    }
}

#[derive(Debug)]
struct Broken;

#[async_trait]
impl BudgetSource for Broken {
    async fn remaining(&self, _: &EntityId, _: &Context) -> Result<Option<f64>> {
        Err(Error::new(ErrorKind::Unavailable, "down"))
    }
}

#[test]
fn what_is_not_known_is_as_configured() {
    let world = World::new();
    let of = |unknown| ErrorBudgetConfig { unknown, ..ErrorBudgetConfig::default() };
    let old = |config| {
        let board = BudgetBoard::new();
        board.set(orders(), 1.0, at(-601));
        ErrorBudgetGuard::new(board, config).unwrap()
    };
    let guards: [&dyn Fn(ErrorBudgetConfig) -> ErrorBudgetGuard; 4] = [
        &|config| ErrorBudgetGuard::new(BudgetBoard::new(), config).unwrap(),
        &|config| ErrorBudgetGuard::new(Broken, config).unwrap(),
        &|config| guard_on(f64::NAN, config),
        &old,
    ];
    for make in guards {
        assert!(asks(&world.judge(&make(ErrorBudgetConfig::default()), &with_confidence(1.0))));
        assert!(refused(&world.judge(&make(of(Effect::Deny)), &with_confidence(1.0))));
        assert!(allowed(&world.judge(&make(of(Effect::Allow)), &with_confidence(1.0))));
    }
}

/// Nobody knows how old a figure is that was written before the clock was set back.
#[test]
fn a_budget_from_the_future_is_not_known() {
    let world = World::new();
    let board = BudgetBoard::new();
    board.set(orders(), 1.0, at(1));
    let guard = ErrorBudgetGuard::new(board, ErrorBudgetConfig::default()).unwrap();
    assert!(asks(&world.judge(&guard, &with_confidence(1.0))));
    world.go_to(1);
    assert!(allowed(&world.judge(&guard, &with_confidence(1.0))));
}

#[test]
fn an_exhausted_budget_leaves_no_failed_remedy_in_place() {
    let world = World::new();
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    let strict = ErrorBudgetConfig { exhausted: Effect::Deny, ..ErrorBudgetConfig::default() };
    assert!(allowed(&world.judge(&guard_on(-1.0, strict), &undoing(&done))));
}

/// The share of failed requests of `service`, a sample every 15 s from an hour before the start to an hour after it.
fn errors(rate: impl Fn(i64) -> f64, service: &str) -> InMemorySource {
    let times: Vec<_> = (-240..240).map(|n| at(n * 15)).collect();
    let values = (-240..240).map(|n| Some(rate(n * 15)));
    let key = SeriesKey::new("error_ratio").with("service", service);
    let axis = TimeAxis::irregular(times).unwrap();
    let series = MetricSeries::new(key, EntityId::service(service), axis, values).unwrap();
    let mut window = TelemetryWindow::new(TimeRange::new(at(-3600), at(3600)).unwrap());
    window.metrics.push(series);
    InMemorySource::holding(window)
}

fn breaker(source: InMemorySource) -> ErrorRateBreaker {
    ErrorRateBreaker::new(source, ErrorRateConfig::of("error_ratio")).unwrap()
}

/// Remedies at the start and ten minutes later, on different services.
fn two_remedies(world: &World) {
    for (n, name) in ["orders", "gateway"].into_iter().enumerate() {
        world.go_to(i64::try_from(n).unwrap() * 600);
        world.done(&propose(&format!("p{n}"), "inc", restart_of(EntityId::service(name))), None);
    }
    world.go_to(1_200);
}

fn next() -> Proposal {
    propose("next", "inc", restart_of(EntityId::service("store")))
}

#[test]
fn errors_that_rise_after_our_actions_open_the_breaker() {
    // Twice as many after each action.
    let rising = |t: i64| {
        if t < 0 {
            0.01
        } else if t < 600 {
            0.03
        } else {
            0.09
        }
    };
    let world = World::new();
    two_remedies(&world);
    let verdict = world.judge(&breaker(errors(rising, "orders")), &next());
    assert!(refused(&verdict), "{verdict:?}");
    assert!(verdict.reason().contains("from 0.030 to 0.090"), "the larger rise: {}", verdict.reason());
    // Half an hour after the first one it is forgotten, and one is not two.
    world.go_to(1_801);
    assert!(allowed(&world.judge(&breaker(errors(rising, "orders")), &next())));
}

#[test]
fn errors_that_fall_stay_or_rise_by_little_do_not() {
    let world = World::new();
    two_remedies(&world);
    let cases: [&dyn Fn(i64) -> f64; 5] = [
        &|_| 0.2,
        &|t| if t < 0 { 0.2 } else { 0.01 },
        // By a factor of three, and by less than a hundredth.
        &|t| {
            if t < 0 {
                0.001
            } else if t < 600 {
                0.003
            } else {
                0.009
            }
        },
        // By a tenth, and less than twice.
        &|t| {
            if t < 0 {
                0.3
            } else if t < 600 {
                0.4
            } else {
                0.5
            }
        },
        // Only while the action itself breaks something.
        &|t| if (0..30).contains(&t) || (600..630).contains(&t) { 0.9 } else { 0.01 },
    ];
    for (n, rate) in cases.into_iter().enumerate() {
        let verdict = world.judge(&breaker(errors(rate, "orders")), &next());
        assert!(allowed(&verdict), "{n}: {verdict:?}");
    }
}

#[test]
fn what_cannot_be_read_says_nothing_and_what_fails_denies() {
    let world = World::new();
    two_remedies(&world);
    assert!(allowed(&world.judge(&breaker(errors(|_| f64::NAN, "orders")), &next())));
    assert!(allowed(&world.judge(&breaker(InMemorySource::new()), &next())));
    let outage = errors(|_| 0.0, "orders");
    outage.set_outage(Some("down".to_owned()));
    let guard = breaker(outage);
    let history = world.history();
    let preview = crate::support::preview(4, 16);
    let proposal = next();
    let review = aiops_core::seam::Review {
        proposal: &proposal,
        preview: &preview,
        history: &history,
        mode: aiops_core::action::Mode::Auto,
        now: at(1_200),
        revert_window: secs(1800),
    };
    let error = futures_lite::future::block_on(guard.check(&review, &world.ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "an error of a guard is a denial");
}

#[test]
fn with_a_label_each_action_is_held_against_its_own_service() {
    let rising = |t: i64| {
        if t < 0 {
            0.01
        } else if t < 600 {
            0.03
        } else {
            0.09
        }
    };
    let world = World::new();
    two_remedies(&world);
    let mut config = ErrorRateConfig::of("error_ratio");
    config.service_label = Some("service".to_owned());
    // Only one of the two acted on the service whose errors rise.
    let labelled = |config| ErrorRateBreaker::new(errors(rising, "orders"), config).unwrap();
    assert!(allowed(&world.judge(&labelled(config.clone()), &next())));
    config.actions = 1;
    assert!(refused(&world.judge(&labelled(config), &next())));
}

/// What spoils settings.
type Change = &'static dyn Fn(&mut ErrorRateConfig);

#[test]
fn settings_of_the_breaker_are_checked() {
    let fine = ErrorRateConfig::of("error_ratio");
    let with = |change: &dyn Fn(&mut ErrorRateConfig)| {
        let mut config = fine.clone();
        change(&mut config);
        ErrorRateBreaker::new(InMemorySource::new(), config)
    };
    let bad: [(&str, Change); 11] = [
        ("metric", &|c| c.metric.clear()),
        ("service_label", &|c| c.service_label = Some(String::new())),
        ("step", &|c| c.step = secs(0)),
        ("window", &|c| c.window = secs(59)),
        ("recent", &|c| c.recent = secs(299)),
        ("factor", &|c| c.factor = 1.0),
        ("factor", &|c| c.factor = f64::NAN),
        ("least_rise", &|c| c.least_rise = 0.0),
        ("least_rise", &|c| c.least_rise = f64::INFINITY),
        ("actions", &|c| c.actions = 0),
        ("actions", &|c| c.actions = 101),
    ];
    for (field, change) in bad {
        let error = with(change).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.message().contains(field), "{field}: {error}");
    }
    let written = serde_json::to_value(&fine).unwrap();
    assert_eq!(serde_json::from_value::<ErrorRateConfig>(written.clone()).unwrap(), fine);
    let bare = serde_json::json!({"metric": "error_ratio"});
    assert_eq!(serde_json::from_value::<ErrorRateConfig>(bare).unwrap(), fine);
    let mut unknown = written;
    unknown["extra"] = 1.into();
    assert!(serde_json::from_value::<ErrorRateConfig>(unknown).is_err());
}

#[test]
fn settings_of_the_budget_and_the_nodes_are_checked() {
    let budget = |config| ErrorBudgetGuard::new(BudgetBoard::new(), config);
    let fine = ErrorBudgetConfig::default();
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(budget(ErrorBudgetConfig { careful_below: bad, ..fine }).is_err());
        assert!(budget(ErrorBudgetConfig { careful_confidence: bad, ..fine }).is_err());
    }
    assert!(budget(ErrorBudgetConfig { exhausted: Effect::Allow, ..fine }).is_err());
    assert!(serde_json::from_str::<ErrorBudgetConfig>(r#"{"extra": 1}"#).is_err());
    assert!(NodeCap::new(NodeCapConfig { nodes: 0, ..NodeCapConfig::default() }).is_err());
    assert!(NodeCap::new(NodeCapConfig { window: secs(0), ..NodeCapConfig::default() }).is_err());
    assert!(serde_json::from_str::<NodeCapConfig>(r#"{"extra": 1}"#).is_err());
}

fn node(name: &str) -> EntityId {
    EntityId::new(EntityKind::Node, name)
}

#[test]
fn one_machine_after_the_other_is_capped() {
    let world = World::new();
    for name in ["n1", "n2"] {
        drop(world.mitigator.clone().with(node(name), SimulatedWorkload::new(1, "r1")));
    }
    let cap = NodeCap::new(NodeCapConfig { nodes: 2, ..NodeCapConfig::default() }).unwrap();
    let on = |id: &str, target: EntityId| propose(id, "inc", action(restart(), target));
    world.done(&on("a", node("n1")), None);
    world.done(&on("b", EntityId::service("orders")), None);
    assert!(allowed(&world.judge(&cap, &on("c", node("n2")))));
    world.done(&on("c", node("n2")), None);
    assert!(refused(&world.judge(&cap, &on("d", node("n3")))));
    assert!(refused(&world.judge(&cap, &on("d", EntityId::new(EntityKind::Host, "n1")))), "another machine");
    assert!(allowed(&world.judge(&cap, &on("d", node("n1")))), "one of the two");
    assert!(allowed(&world.judge(&cap, &on("d", EntityId::service("gateway")))), "no machine");
    world.go_to(3_601);
    assert!(allowed(&world.judge(&cap, &on("d", node("n3")))));
}

fn bands(escalate_below: f64, silent_above: f64) -> BandsConfig {
    BandsConfig { escalate_below, silent_above }
}

fn class(id: &str, names: &[&str], bands: BandsConfig) -> ServerClass {
    let names = names.iter().map(|n| aiops_act::guards::Pattern::new(*n).unwrap()).collect();
    ServerClass {
        id: id.to_owned(),
        targets: [(EntityKind::Service, names)].into(),
        bands,
        by_kind: BTreeMap::new(),
    }
}

#[test]
fn classes_of_servers_have_bands_of_their_own() {
    let mut critical = class("critical", &["pay-*", "orders"], bands(0.9, 0.99));
    critical.by_kind.insert(ActionKind::Scale, bands(0.5, 0.6));
    let spare = class("spare", &["batch-*", "pay-test"], bands(0.3, 0.4));
    let guard = ConfidenceBands::default().with_classes(vec![critical, spare]).unwrap();
    let judge = |name: &str, operation: Operation, p: f64| {
        let mut proposal = propose("p", "inc", action(operation, EntityId::service(name)));
        proposal.confidence = sure(p);
        crate::support::judge(&guard, &proposal, &crate::support::preview(4, 16))
    };
    let told = |verdict: &Verdict| matches!(verdict, Verdict::Allow { notify: true, .. });
    assert!(refused(&judge("orders", restart(), 0.89)) && told(&judge("orders", restart(), 0.95)));
    assert!(judge("orders", restart(), 0.89).reason().contains("critical"));
    assert!(told(&judge("batch-1", restart(), 0.35)) && refused(&judge("batch-1", restart(), 0.29)));
    assert!(told(&judge("gateway", restart(), 0.7)), "in no class");
    assert!(
        told(&judge("orders", Operation::Scale { replicas: 5 }, 0.55)),
        "bands of the kind within the class"
    );
    let both = judge("pay-test", restart(), 0.85);
    assert!(refused(&both) && both.reason().contains("critical, spare"), "the strictest: {both:?}");
    // Of another kind, the name is another thing.
    let host = propose("p", "inc", action(restart(), EntityId::new(EntityKind::Host, "orders")));
    assert!(allowed(&crate::support::judge(&guard, &host, &crate::support::preview(4, 16))));
}

#[test]
fn classes_are_checked() {
    let with = |classes| ConfidenceBands::default().with_classes(classes);
    let fine = class("a", &["x"], bands(0.5, 0.6));
    with(vec![fine.clone()]).unwrap();
    let mut by_kind = fine.clone();
    by_kind.by_kind.insert(ActionKind::Scale, bands(0.7, 0.6));
    let bad = [
        vec![fine.clone(), fine.clone()],
        vec![class("a", &[], bands(0.5, 0.6))],
        vec![class("a", &["x"], bands(0.7, 0.6))],
        vec![by_kind],
    ];
    for classes in bad {
        let error = with(classes).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("class: a"), "{error}");
    }
    let mut written = serde_json::to_value(&fine).unwrap();
    assert_eq!(serde_json::from_value::<ServerClass>(written.clone()).unwrap(), fine);
    written["extra"] = 1.into();
    assert!(serde_json::from_value::<ServerClass>(written).is_err());
}

#[test]
fn a_board_is_shared_by_its_clones() {
    let board = BudgetBoard::new();
    board.clone().set(orders(), 0.5, at(0));
    let ctx = Context::new(Arc::new(aiops_core::ManualClock::at(at(600))));
    let read = futures_lite::future::block_on(board.remaining(&orders(), &ctx)).unwrap();
    assert_eq!(read, Some(0.5), "ten minutes old, and no older");
}

fn on_stance(stance: Stance) -> StanceGuard {
    let board = BudgetBoard::new();
    board.post(orders(), 0.5, stance, at(0));
    StanceGuard::new(board, StanceConfig::default()).unwrap()
}

#[test]
fn how_fast_a_budget_burns_moves_how_sure_automation_must_be() {
    let world = World::new();
    let felt = |stance, confidence: f64| world.judge(&on_stance(stance), &with_confidence(confidence));
    for stance in [Stance::Usual, Stance::Careful] {
        assert!(allowed(&felt(stance, 0.1)), "{stance:?}: autonomy stays");
    }
    assert!(asks(&felt(Stance::Mitigate, 0.7499)) && allowed(&felt(Stance::Mitigate, 0.75)));
    assert!(asks(&felt(Stance::Frozen, 0.9499)));
    assert!(matches!(felt(Stance::Frozen, 0.95), Verdict::Allow { notify: true, .. }), "people are told");
    // While it burns fast, whoever is on call hears of a silence sooner.
    assert!(matches!(felt(Stance::Frozen, 0.5), Verdict::NeedsApproval { wait, .. } if wait == secs(120)));
    let foretold = |stance| {
        let told = with_confidence(1.0).foretold([DetectorId("capacity".into())]);
        world.judge(&on_stance(stance), &told)
    };
    assert!(allowed(&foretold(Stance::Usual)));
    assert!(matches!(foretold(Stance::Careful), Verdict::NeedsApproval { wait, .. } if wait == secs(300)));
    assert!(refused(&foretold(Stance::Mitigate)) && refused(&foretold(Stance::Frozen)));
    // Nothing is left in place because the budget burns.
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    assert!(allowed(&world.judge(&on_stance(Stance::Frozen), &undoing(&done))));
}

#[test]
fn a_stance_nobody_knows_is_as_configured() {
    let world = World::new();
    let of = |unknown| StanceConfig { unknown, ..StanceConfig::default() };
    let old = |config| {
        let board = BudgetBoard::new();
        board.post(orders(), 1.0, Stance::Usual, at(-601));
        StanceGuard::new(board, config).unwrap()
    };
    let speechless = |config| {
        let board = BudgetBoard::new();
        board.set(orders(), 1.0, at(0));
        StanceGuard::new(board, config).unwrap()
    };
    let nobody = |config| StanceGuard::new(BudgetBoard::new(), config).unwrap();
    let guards: [&dyn Fn(StanceConfig) -> StanceGuard; 3] = [&old, &speechless, &nobody];
    for guard in guards {
        assert!(asks(&world.judge(&guard(of(Effect::Ask)), &with_confidence(1.0))));
        assert!(refused(&world.judge(&guard(of(Effect::Deny)), &with_confidence(1.0))));
        assert!(allowed(&world.judge(&guard(of(Effect::Allow)), &with_confidence(1.0))));
    }
    // A budget posted with its burn rate is one for the other guard too.
    let board = BudgetBoard::new();
    board.post(orders(), 0.1, Stance::Usual, at(0));
    let guard = ErrorBudgetGuard::new(board, ErrorBudgetConfig::default()).unwrap();
    assert!(asks(&world.judge(&guard, &with_confidence(0.9))));
}

#[test]
fn stances_are_configured_within_bounds() {
    let refused = |change: fn(&mut StanceConfig)| {
        let mut config = StanceConfig::default();
        change(&mut config);
        StanceGuard::new(BudgetBoard::new(), config).unwrap_err().to_string()
    };
    assert!(refused(|c| c.mitigate_confidence = f64::NAN).contains("mitigate_confidence"));
    assert!(refused(|c| c.frozen_confidence = 0.7).contains("frozen_confidence"));
    assert!(refused(|c| c.frozen_confidence = 1.1).contains("frozen_confidence"));
    assert!(refused(|c| c.wait = secs(0)).contains("wait"));
    assert!(refused(|c| c.urgent_wait = secs(301)).contains("urgent_wait"));
}
