//! Capacity: closed forms, what plans promise, proposals through guards, trials that are taken back.

use std::time::Duration;

use aiops_act::capacity::{
    Ahead, CapacityPlanner, CriticalLast, CriticalLastConfig, Demand, Lever, LoadForecast, Managed,
    Objective, Queue, Serving, Sizing, SizingConfig, Trial, TrialConfig, Trialled, Unmet,
};
use aiops_act::guards::BudgetBoard;
use aiops_core::action::{
    Action, ActionKind, ActionStatus, IdempotencyKey, Mode, Operation, Preview, Principal, RollbackPlan,
    Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryMitigator, Mishap, ScriptedVerifier};
use aiops_core::guard::{ChainConfig, GuardChain, Intended, KillSwitch, Receipt};
use aiops_core::model::{Confidence, EntityId, Recovery, RecoveryReport, SignalCheck};
use aiops_core::seam::{Mitigator, MitigatorCapability, Planner};
use aiops_core::{Case, CasePart, Context, ErrorKind};
use async_trait::async_trait;
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::support::{World, action, allowed, asks, at, orders, propose, sure};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[track_caller]
fn near(left: f64, right: f64, within: f64) {
    assert!((left - right).abs() <= within, "{left} is not {right}");
}

fn queue(rate: f64, work: u64, servers: u32) -> Queue {
    Queue::new(rate, millis(work), servers).unwrap()
}

#[test]
fn queues_are_as_the_closed_forms_say() {
    // M/M/1: waits ρ, mean wait ρ/(μ−λ), answered within t 1 − exp(−(μ−λ)t).
    for load in [0.1, 0.5, 0.9, 0.999] {
        let one = queue(load * 10.0, 100, 1);
        near(one.waits(), load, 1e-12);
        near(one.mean_wait().unwrap().as_secs_f64(), load / (10.0 - load * 10.0), 1e-8);
        for t in [1, 50, 300, 20_000] {
            let expected = 1.0 - (-(10.0 - load * 10.0) * t as f64 / 1000.0).exp();
            near(one.answered_within(millis(t)), expected, 1e-12);
        }
    }
    // Erlang's own tables: two servers, one erlang: C = 1/3; ten servers, eight erlangs: .409.
    near(queue(10.0, 100, 2).waits(), 1.0 / 3.0, 1e-12);
    near(queue(80.0, 100, 10).waits(), 0.40918, 1e-5);
    // Where the queue drains as fast as a server serves, c − a = 1: the limit, and no jump beside it.
    let at_limit = |a: f64| queue(a * 10.0, 100, 3).answered_within(millis(150));
    let c = queue(20.0, 100, 3).waits();
    near(at_limit(2.0), 1.0 - (-1.5_f64).exp() * (1.0 + c * 1.5), 1e-12);
    near(at_limit(2.0 - 1e-9), at_limit(2.0 + 1e-9), 1e-8);
    near(at_limit(2.0 - 1e-4), at_limit(2.0 + 1e-4), 1e-3);
    // Nobody, and too many.
    near(queue(0.0, 100, 1).answered_within(millis(100)), 1.0 - (-1.0_f64).exp(), 1e-12);
    for rate in [10.0, 11.0, 1e9] {
        let full = queue(rate, 100, 1);
        assert_eq!((full.waits(), full.mean_wait(), full.answered_within(millis(1000))), (1.0, None, 0.0));
    }
}

/// The distribution by simulation: customers in order, each to the server that is free first (Kiefer & Wolfowitz, 1955).
#[test]
fn the_distribution_is_that_of_simulated_customers() {
    for (rate, work, servers) in [(8.0, 100_u32, 1), (27.0, 100, 3), (95.0, 100, 10)] {
        let mut random = fastrand::Rng::with_seed(5);
        let mut exponential = |mean: f64| -mean * (1.0 - random.f64()).ln();
        let (mut free, mut now) = (vec![0.0_f64; servers], 0.0);
        let (mut in_time, mut waited, customers) = (0_u32, 0_u32, 400_000_u32);
        for _ in 0..customers {
            now += exponential(1.0 / rate);
            let first = free.iter_mut().min_by(|a, b| a.total_cmp(b)).unwrap();
            waited += u32::from(*first > now);
            *first = first.max(now) + exponential(f64::from(work) / 1000.0);
            in_time += u32::from(*first - now <= 0.25);
        }
        let model = queue(rate, u64::from(work), u32::try_from(servers).unwrap());
        near(model.answered_within(millis(250)), f64::from(in_time) / f64::from(customers), 0.015);
        near(model.waits(), f64::from(waited) / f64::from(customers), 0.02);
    }
}

fn serving() -> Serving {
    Serving { lever: Lever::Copies, work: millis(50), slots: 4, least: 2, most: 50, unit_cost: 0.5 }
}

fn objective() -> Objective {
    Objective { within: millis(300), share: 0.99 }
}

fn sizing(config: SizingConfig) -> Sizing {
    Sizing::new(serving(), objective(), config).unwrap()
}

fn demand(expected: f64, upper: f64) -> Demand {
    Demand::new(expected, upper).unwrap()
}

#[test]
fn a_plan_is_the_fewest_that_keep_the_objective_at_the_upper_demand() {
    let sizing = sizing(SizingConfig::default());
    let plan = sizing.plan(demand(300.0, 500.0), 1.0).unwrap();
    let in_time = |units: u32, rate: f64| queue(rate, 50, units * 4).answered_within(millis(300));
    assert!(in_time(plan.units, 500.0) >= 0.99 && in_time(plan.units - 1, 500.0) < 0.99);
    near(plan.at_upper, in_time(plan.units, 500.0), 1e-12);
    near(plan.expected, in_time(plan.units, 300.0), 1e-12);
    near(plan.cost, f64::from(plan.units) * 0.5, 0.0);
    near(plan.utilisation, 15.0 / f64::from(plan.units * 4), 1e-12);
    assert!(sizing.plan(demand(0.0, 0.0), 1.0).unwrap().units == 2, "never fewer than the least");
    // The square-root staffing rule (Halfin & Whitt, 1981): beside the offered load a few of its square roots.
    let plain = Serving { slots: 1, least: 1, most: 100_000, ..serving() };
    let large = Sizing::new(plain, objective(), SizingConfig::default()).unwrap();
    let plan = large.plan(demand(200_000.0, 200_000.0), 1.0).unwrap();
    let beyond = (f64::from(plan.units) - 10_000.0) / 100.0;
    assert!((0.0..3.0).contains(&beyond), "{beyond} square roots");
}

#[test]
fn the_less_is_left_of_the_budget_the_more_is_asked_for() {
    let sizing = sizing(SizingConfig::default());
    let of = |left: f64| sizing.plan(demand(480.0, 480.0), left).unwrap();
    near(of(1.0).asked, 0.99, 1e-12);
    near(of(7.0).asked, 0.99, 1e-12);
    near(of(0.25).asked, 0.9975, 1e-12);
    assert!(of(0.25).units > of(1.0).units);
    // exp(−6) of the requests take longer by themselves: one minus that no number reaches. It is asked for but for a thousandth of the way.
    let best = 1.0 - (-6.0_f64).exp();
    let strictest = of(0.0);
    near(strictest.asked, best - 0.001 * (best - 0.99), 1e-12);
    for none in [0.24, 0.1, -3.0, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(of(none), strictest, "{none}");
    }
    assert!(strictest.at_upper >= strictest.asked && strictest.units < 12, "{strictest:?}");
    let mut before = 0;
    for hundredth in (0..=100).rev() {
        let plan = of(f64::from(hundredth) / 100.0);
        assert!(plan.units >= before && plan.at_upper >= 0.99, "{hundredth} hundredths left: {plan:?}");
        before = plan.units;
    }
}

#[test]
fn what_a_spent_budget_asks_for_is_no_reason_to_plan_nothing() {
    let rate = demand(480.0, 480.0);
    let usual = sizing(SizingConfig::default()).plan(rate, 1.0).unwrap();
    // All that may be had, where that keeps the objective and not what is asked for beyond.
    let few = Serving { most: usual.units, ..serving() };
    let most = Sizing::new(few, objective(), SizingConfig::default()).unwrap().plan(rate, 0.0).unwrap();
    assert_eq!(most.units, usual.units);
    near(most.asked, most.at_upper, 0.0);
    let one_more = SizingConfig { cost_cap: Some(usual.cost + 0.5), ..SizingConfig::default() };
    assert_eq!(sizing(one_more).plan(rate, 0.0).unwrap().units, usual.units + 1);
    // One fewer does not keep the objective itself.
    let too_few = Serving { most: usual.units - 1, ..serving() };
    let unmet =
        Sizing::new(too_few, objective(), SizingConfig::default()).unwrap().plan(rate, 0.0).unwrap_err();
    assert!(matches!(unmet, Unmet::Units { asked, .. } if asked == 0.99), "{unmet}");
    let poor = SizingConfig { cost_cap: Some(usual.cost - 0.5), ..SizingConfig::default() };
    let unmet = sizing(poor).plan(rate, 0.0).unwrap_err();
    assert!(matches!(unmet, Unmet::Cost { units, .. } if units == usual.units), "{unmet}");
}

#[test]
fn more_than_the_most_are_never_kept() {
    // With slack not even the most would do.
    let serving = Serving { work: millis(32), slots: 2, ..serving() };
    let sizing = Sizing::new(serving, objective(), SizingConfig::default()).unwrap();
    let load = demand(2689.4, 2689.4);
    for there in [51, 56, 1_000_000, u32::MAX] {
        let plan = sizing.plan_from(there, load, 0.817).unwrap();
        assert_eq!(plan.units, 50, "{there} are there");
        assert_eq!(sizing.plan_from(plan.units, load, 0.817).unwrap().units, 50);
    }
    // Nor more than the cap pays for, and as many as it does.
    let cap = SizingConfig { cost_cap: Some(24.5), ..SizingConfig::default() };
    let capped = Sizing::new(serving, objective(), cap).unwrap();
    assert_eq!(capped.plan_from(u32::MAX, load, 0.817).unwrap().units, 49);
}

#[test]
fn what_cannot_be_met_is_said_by_name() {
    let plan = |serving, config, rate| {
        Sizing::new(serving, objective(), config).unwrap().plan(demand(rate, rate), 1.0).unwrap_err()
    };
    let slow = Serving { work: millis(400), ..serving() };
    assert!(matches!(plan(slow, SizingConfig::default(), 1.0), Unmet::Objective { .. }));
    let unmet = plan(serving(), SizingConfig::default(), 5_000.0);
    assert!(matches!(unmet, Unmet::Units { most: 50, .. }), "{unmet}");
    let poor = SizingConfig { cost_cap: Some(3.0), ..SizingConfig::default() };
    let unmet = plan(serving(), poor, 500.0);
    assert!(matches!(unmet, Unmet::Cost { cap, cost, .. } if cost > cap), "{unmet}");
    assert!(unmet.to_string().contains("the cap is 3.00"), "{unmet}");
}

#[test]
fn what_is_out_of_range_is_refused_and_named() {
    let wrong = |of: aiops_core::Result<()>, field: &str| {
        let refused = of.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(field), "{refused}");
    };
    let new = |serving, objective, config| Sizing::new(serving, objective, config).map(drop);
    let config = SizingConfig::default();
    wrong(new(Serving { work: Duration::ZERO, ..serving() }, objective(), config), "work");
    wrong(new(Serving { slots: 0, ..serving() }, objective(), config), "slots");
    wrong(new(Serving { least: 0, ..serving() }, objective(), config), "least");
    wrong(new(Serving { most: 1, ..serving() }, objective(), config), "most");
    wrong(new(Serving { most: u32::MAX, slots: u32::MAX, ..serving() }, objective(), config), "most");
    wrong(new(Serving { unit_cost: f64::NAN, ..serving() }, objective(), config), "unit_cost");
    wrong(new(serving(), Objective { share: 1.0, ..objective() }, config), "share");
    wrong(new(serving(), Objective { within: Duration::ZERO, ..objective() }, config), "within");
    wrong(new(serving(), objective(), SizingConfig { cost_cap: Some(-1.0), ..config }), "cost_cap");
    wrong(new(serving(), objective(), SizingConfig { slack: f64::INFINITY, ..config }), "slack");
    wrong(new(serving(), objective(), SizingConfig { least_budget: 0.0, ..config }), "least_budget");
    for wrong_share in [0.0, 1.1, f64::NAN] {
        let config = SizingConfig { least_waiting: wrong_share, ..config };
        wrong(new(serving(), objective(), config), "least_waiting");
    }
    for (expected, upper, field) in [
        (-1.0, 1.0, "expected"),
        (f64::NAN, 1.0, "expected"),
        (2.0, 1.0, "upper"),
        (1.0, f64::INFINITY, "upper"),
        (1.0, f64::NAN, "upper"),
    ] {
        wrong(Demand::new(expected, upper).map(drop), field);
    }
    wrong(Queue::new(1.0, millis(1), 0).map(drop), "servers");
    wrong(Queue::new(f64::NAN, millis(1), 1).map(drop), "rate");
    wrong(Queue::new(1.0, Duration::MAX, 1).map(drop), "work");
    for config in [
        CriticalLastConfig { record: 0, ..CriticalLastConfig::default() },
        CriticalLastConfig { success: 1.1, ..CriticalLastConfig::default() },
        CriticalLastConfig { z: f64::NAN, ..CriticalLastConfig::default() },
    ] {
        assert_eq!(CriticalLast::new(config).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_load_that_swings_within_the_slack_moves_nothing() {
    let sizing = sizing(SizingConfig::default());
    let mut units = sizing.plan(demand(400.0, 400.0), 1.0).unwrap().units;
    let (mut moves, mut random) = (0, fastrand::Rng::with_seed(3));
    for _ in 0..500 {
        let rate = 360.0 + 40.0 * random.f64();
        let plan = sizing.plan_from(units, demand(rate, rate), 1.0).unwrap();
        moves += u32::from(plan.units != units);
        units = plan.units;
    }
    assert_eq!(moves, 0);
    // A third of the load is another matter, and the load that comes back is served at once.
    let few = sizing.plan_from(units, demand(120.0, 120.0), 1.0).unwrap().units;
    assert!(few < units);
    assert_eq!(sizing.plan_from(few, demand(400.0, 400.0), 1.0).unwrap().units, units);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_keep_what_they_promise(
        rate in 0.0..3_000.0_f64, more in 0.0..500.0_f64, left in -0.5..1.5_f64, work in 1_u64..120, slots in 1_u32..9,
        units in 1_u32..60, cap in prop::option::of(0.0..30.0_f64),
    ) {
        let serving = Serving { work: millis(work), slots, ..serving() };
        let config = SizingConfig { cost_cap: cap, ..SizingConfig::default() };
        let sizing = Sizing::new(serving, objective(), config).unwrap();
        let less = sizing.plan(demand(rate, rate), left);
        let greater = sizing.plan(demand(rate, rate + more), left);
        // More load is never cheaper, and what cannot be met for less is not met for more.
        match (less, greater) {
            (Ok(less), Ok(greater)) => prop_assert!(less.units <= greater.units && less.cost <= greater.cost),
            (Err(_), Ok(greater)) => prop_assert!(false, "{greater:?}"),
            _ => {}
        }
        // Less of a budget is never less capacity, and never a reason for none.
        let usual = sizing.plan(demand(rate, rate), 1.0);
        prop_assert_eq!(less.is_ok(), usual.is_ok());
        if let (Ok(careful), Ok(usual)) = (less, usual) {
            prop_assert!(careful.units >= usual.units);
        }
        for plan in [less, greater, sizing.plan_from(units, demand(rate, rate), left)].into_iter().flatten() {
            prop_assert!((2..=50).contains(&plan.units));
            prop_assert!(plan.at_upper >= 0.99 && plan.asked >= 0.99);
            prop_assert!(plan.at_upper >= plan.asked && plan.expected >= plan.at_upper - 1e-9);
            prop_assert!(cap.is_none_or(|cap| plan.cost <= cap), "the cap is never exceeded");
            prop_assert!([plan.expected, plan.at_upper].iter().all(|s| (0.0..=1.0).contains(s)));
        }
        // What is taken away is not needed again at once.
        if let Ok(plan) = sizing.plan_from(units, demand(rate, rate), left) {
            let again = sizing.plan_from(plan.units, demand(rate, rate), left);
            prop_assert_eq!(again.unwrap().units, plan.units);
        }
    }

    #[test]
    fn more_servers_and_more_time_never_answer_fewer(
        offered in 0.0..200.0_f64, servers in 1_u32..250, time in 1_u64..100_000, work in 1_u64..5_000,
    ) {
        let rate = offered / (work as f64 / 1000.0);
        let share = |servers, time| queue(rate, work, servers).answered_within(millis(time));
        let here = share(servers, time);
        prop_assert!((0.0..=1.0).contains(&here));
        prop_assert!(share(servers + 1, time) >= here - 1e-12 && share(servers, time + 1) >= here - 1e-12);
        let now = queue(rate, work, servers);
        prop_assert!((0.0..=1.0).contains(&now.waits()));
        prop_assert!(queue(rate, work, servers + 1).waits() <= now.waits() + 1e-12);
    }
}

#[derive(Debug, Clone, Copy)]
struct Told {
    demand: Option<(f64, f64)>,
    units: Option<u32>,
}

#[async_trait]
impl LoadForecast for Told {
    async fn demand(&self, _: &EntityId, _: &Context) -> aiops_core::Result<Option<Demand>> {
        self.demand.map(|(expected, upper)| Demand::new(expected, upper)).transpose()
    }

    async fn units(&self, _: &EntityId, _: &Context) -> aiops_core::Result<Option<u32>> {
        Ok(self.units)
    }
}

fn planner(
    lever: Lever,
    demand: Option<(f64, f64)>,
    units: Option<u32>,
) -> CapacityPlanner<Told, BudgetBoard> {
    let serving = Serving { lever, ..serving() };
    let sizing = Sizing::new(serving, objective(), SizingConfig::default()).unwrap();
    let budget = BudgetBoard::new();
    budget.set(orders(), 1.0, at(0));
    CapacityPlanner::new(Managed::from([(orders(), sizing)]), Told { demand, units }, budget)
}

/// Like `planner`, where nobody knows what is left of the error budget.
fn planner_without_budget(demand: (f64, f64), units: u32) -> CapacityPlanner<Told, BudgetBoard> {
    let told = Told { demand: Some(demand), units: Some(units) };
    let managed = Managed::from([(orders(), sizing(SizingConfig::default()))]);
    CapacityPlanner::new(managed, told, BudgetBoard::new())
}

fn forecast_worth() -> Confidence {
    sure(0.9)
}

#[test]
fn what_is_wanted_is_proposed_with_its_way_back() {
    let world = World::new();
    let ahead = |planner: &CapacityPlanner<Told, BudgetBoard>| {
        let Ahead { proposals, failed, .. } = block_on(planner.ahead(&forecast_worth(), &world.ctx));
        assert!(failed.is_empty(), "{failed:?}");
        proposals
    };
    let proposals = ahead(&planner(Lever::Copies, Some((300.0, 500.0)), Some(4)));
    let [more] = proposals.as_slice() else { panic!("{proposals:?}") };
    let Operation::Scale { replicas } = more.action.operation else { panic!("{more:?}") };
    assert!(replicas > 4);
    assert_eq!(more.action.rollback, RollbackPlan::Operation(Box::new(Operation::Scale { replicas: 4 })));
    assert_eq!(more.action.blast_radius.replicas, replicas - 4);
    let fewer = &ahead(&planner(Lever::Concurrency, Some((10.0, 10.0)), Some(20)))[0];
    assert!(matches!(fewer.action.operation, Operation::Concurrency { limit } if limit < 20));
    // Nobody can tell, it is enough, or it cannot be met: nothing.
    for (demand, units) in
        [(None, Some(4)), (Some((1.0, 1.0)), None), (Some((1.0, 1.0)), Some(2)), (Some((1e6, 1e6)), Some(4))]
    {
        assert!(ahead(&planner(Lever::Copies, demand, units)).is_empty(), "{demand:?} {units:?}");
    }
    // A budget that nobody knows counts as used up.
    world.go_to(3_600);
    let stale = planner(Lever::Copies, Some((480.0, 480.0)), Some(4));
    let (_, plan) = block_on(stale.plan(&orders(), &world.ctx)).unwrap().unwrap();
    assert_eq!(plan, sizing(SizingConfig::default()).plan_from(4, demand(480.0, 480.0), 0.0));
    assert!(
        plan.unwrap().units > sizing(SizingConfig::default()).plan(demand(480.0, 480.0), 1.0).unwrap().units
    );
}

#[test]
fn more_units_than_there_can_be_are_refused() {
    let world = World::new();
    for (units, fine) in [(1_000_000, true), (1_000_001, false), (u32::MAX, false)] {
        let planner = planner(Lever::Copies, Some((1.0, 1.0)), Some(units));
        let planned = block_on(planner.plan(&orders(), &world.ctx));
        assert_eq!(planned.map_or_else(|e| Some(e.kind()), |_| None), (!fine).then_some(ErrorKind::Invalid));
        let ahead = block_on(planner.ahead(&forecast_worth(), &world.ctx));
        assert_eq!((ahead.proposals.len(), ahead.failed.len()), (usize::from(fine), usize::from(!fine)));
    }
}

#[test]
fn a_service_whose_forecast_fails_holds_up_no_other() {
    /// Cannot be asked for the service of that name.
    #[derive(Debug)]
    struct Partly(EntityId, Told);

    #[async_trait]
    impl LoadForecast for Partly {
        async fn demand(&self, service: &EntityId, ctx: &Context) -> aiops_core::Result<Option<Demand>> {
            if *service == self.0 {
                return Err(aiops_core::Error::new(ErrorKind::Unavailable, "no forecast"));
            }
            self.1.demand(service, ctx).await
        }
        async fn units(&self, service: &EntityId, ctx: &Context) -> aiops_core::Result<Option<u32>> {
            self.1.units(service, ctx).await
        }
    }

    let world = World::new();
    let services = ["inventory", "orders", "store"].map(EntityId::service);
    for failing in &services {
        let managed = services.iter().map(|s| (s.clone(), sizing(SizingConfig::default()))).collect();
        let told = Told { demand: Some((300.0, 500.0)), units: Some(4) };
        let planner = CapacityPlanner::new(managed, Partly(failing.clone(), told), BudgetBoard::new());
        let ahead = block_on(planner.ahead(&forecast_worth(), &world.ctx));
        let targets: Vec<_> = ahead.proposals.iter().map(|p| &p.action.target).collect();
        assert_eq!(targets, services.iter().filter(|s| *s != failing).collect::<Vec<_>>());
        let failed: Vec<_> = ahead.failed.iter().map(|(s, e)| (s, e.kind())).collect();
        assert_eq!(failed, [(failing, ErrorKind::Unavailable)]);
    }
}

/// A case whose finding is load on `orders`.
fn case_of_load() -> Case {
    let mut case = aiops_testkit::sample::diagnosed_case().unwrap();
    let mut diagnosis = case.diagnosis().unwrap().clone();
    for hypothesis in &mut diagnosis.hypotheses {
        hypothesis.fault = aiops_core::model::FaultType::Load;
        hypothesis.system = orders();
    }
    case.push(at(1), CasePart::Diagnosed(diagnosis));
    case
}

#[test]
fn a_finding_of_load_is_answered_by_more_or_not_at_all() {
    let (world, case) = (World::new(), case_of_load());
    let low = planner(Lever::Copies, Some((10.0, 10.0)), Some(20));
    assert!(block_on(Planner::plan(&low, &case, &world.ctx)).unwrap().is_empty());
    assert_eq!(block_on(low.ahead(&forecast_worth(), &world.ctx)).proposals.len(), 1, "ahead of any it may");
    // Least of all does a spent budget leave it unanswered.
    let spent = planner_without_budget((480.0, 480.0), 4);
    let usual = planner(Lever::Copies, Some((480.0, 480.0)), Some(4));
    let replicas = |planner: &CapacityPlanner<Told, BudgetBoard>| {
        let proposals = block_on(Planner::plan(planner, &case, &world.ctx)).unwrap();
        let [proposal] = proposals.as_slice() else { panic!("{proposals:?}") };
        let Operation::Scale { replicas } = proposal.action.operation else { panic!("{proposal:?}") };
        replicas
    };
    assert!(replicas(&spent) > replicas(&usual) && replicas(&usual) > 4);
}

#[test]
fn a_finding_of_load_is_answered_by_the_plan_once() {
    let world = World::new();
    let planner = planner(Lever::Copies, Some((300.0, 500.0)), Some(4));
    let other = aiops_testkit::sample::diagnosed_case().unwrap();
    assert!(block_on(Planner::plan(&planner, &other, &world.ctx)).unwrap().is_empty(), "no load");
    let mut case = case_of_load();
    let proposals = block_on(Planner::plan(&planner, &case, &world.ctx)).unwrap();
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0].incident, *case.id());
    assert_eq!(proposals[0].action.kind(), ActionKind::Scale);
    // What was done to another is no attempt at this one; what was done to it is, however it ended.
    let mut done = aiops_testkit::sample::receipt().unwrap();
    done.action = proposals[0].action.clone();
    done.action.target = EntityId::service("store");
    case.push(at(2), CasePart::Acted(done.clone()));
    let again = block_on(Planner::plan(&planner, &case, &world.ctx)).unwrap();
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, proposals[0].id);
    done.action = again[0].action.clone();
    case.push(at(3), CasePart::Acted(done));
    assert!(block_on(Planner::plan(&planner, &case, &world.ctx)).unwrap().is_empty(), "once");
    case.push(at(4), CasePart::Verified(report(Recovery::NotRecovered)));
    assert!(block_on(Planner::plan(&planner, &case, &world.ctx)).unwrap().is_empty(), "once");
}

fn report(recovery: Recovery) -> RecoveryReport {
    let check =
        SignalCheck { entity: orders(), what: "share in time".to_owned(), recovery, detail: String::new() };
    RecoveryReport::from_checks(at(0), vec![check])
}

struct Rig {
    world: World,
    switch: KillSwitch,
}

impl Rig {
    fn new() -> Self {
        Self { world: World::new(), switch: KillSwitch::new() }
    }

    fn trial(&self, verdict: &Verdict, recoveries: &[Recovery], mitigator: impl Mitigator) -> Trial {
        let chain = GuardChain::builder(self.world.journal.clone())
            .guard(FixedGuard::new("fixed", verdict.clone()))
            .kill_switch(self.switch.clone())
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap();
        let verifier = ScriptedVerifier::of(recoveries.iter().map(|r| report(*r)));
        Trial::new(chain, mitigator, verifier, TrialConfig::default()).unwrap()
    }

    fn run(&self, trial: &Trial) -> Trialled {
        self.run_at(trial, (300.0, 500.0))
    }

    /// A trial of what that demand asks for, from four copies.
    fn run_at(&self, trial: &Trial, demand: (f64, f64)) -> Trialled {
        let planner = planner(Lever::Copies, Some(demand), Some(4));
        let proposal = block_on(planner.ahead(&forecast_worth(), &self.world.ctx)).proposals.remove(0);
        block_on(trial.run(&proposal, &[], &self.world.ctx)).unwrap()
    }

    fn copies(&self) -> u32 {
        self.world.mitigator.workload(&orders()).unwrap().replicas
    }
}

#[test]
fn what_had_no_effect_is_taken_back() {
    let fine = Verdict::allow("fine");
    let rig = Rig::new();
    let kept = rig.run(&rig.trial(&fine, &[Recovery::Recovered], rig.world.mitigator.clone()));
    assert!(matches!(kept, Trialled::Kept { .. }), "{kept:?}");
    assert!(rig.copies() > 4);

    let (up, down) = ((300.0, 500.0), (10.0, 10.0));
    let without_effect =
        [(up, Recovery::NotRecovered), (down, Recovery::NotRecovered), (down, Recovery::Inconclusive)];
    for (demand, verdict) in without_effect {
        let rig = Rig::new();
        let ended = rig.run_at(&rig.trial(&fine, &[verdict], rig.world.mitigator.clone()), demand);
        let Trialled::Reverted { key, by } = ended else { panic!("{ended:?}") };
        assert_eq!(rig.copies(), 4, "as it was");
        assert_eq!(rig.world.mitigator.executed().len(), 2, "there and back");
        let history = rig.world.history();
        assert_eq!(history.get(&key).unwrap().recovery, Some(verdict));
        assert!(!history.get(&by).unwrap().is_remedy());
        assert_eq!(history.in_doubt().count(), 0);
    }
}

#[test]
fn capacity_is_not_taken_back_blind() {
    let rig = Rig::new();
    let trial = rig.trial(&Verdict::allow("fine"), &[Recovery::Inconclusive], rig.world.mitigator.clone());
    let ended = rig.run(&trial);
    let Trialled::KeptUnseen { key } = ended else { panic!("{ended:?}") };
    assert!(rig.copies() > 4);
    let history = rig.world.history();
    assert_eq!(history.get(&key).unwrap().recovery, Some(Recovery::Inconclusive));
    assert_eq!((history.actions().count(), history.in_doubt().count()), (1, 0));
}

#[test]
fn guards_and_the_kill_switch_hold_for_trials() {
    let rig = Rig::new();
    let refused = rig.run(&rig.trial(&Verdict::deny("no"), &[], rig.world.mitigator.clone()));
    assert!(matches!(refused, Trialled::NotDone { .. }), "{refused:?}");
    rig.switch.engage(&Principal::new("operator"), "stop");
    let stopped = rig.run(&rig.trial(&Verdict::allow("fine"), &[], rig.world.mitigator.clone()));
    assert!(matches!(stopped, Trialled::NotDone { .. }), "{stopped:?}");
    assert_eq!((rig.copies(), rig.world.history().actions().count()), (4, 0));
}

#[test]
fn what_nobody_saw_the_end_of_is_for_a_person_and_holds_its_target() {
    let fine = Verdict::allow("fine");
    for (mishap, in_doubt) in [(Mishap::LostReply, 1), (Mishap::Crash, 1), (Mishap::Failure, 0)] {
        let rig = Rig::new();
        rig.world.mitigator.set_mishap(Some(mishap));
        let trial = rig.trial(&fine, &[Recovery::Recovered], rig.world.mitigator.clone());
        let ended = rig.run(&trial);
        assert!(matches!(ended, Trialled::Stuck { .. }), "{mishap:?}: {ended:?}");
        assert_eq!(rig.world.history().in_doubt().count(), in_doubt, "{mishap:?}");
        // The same again finds the target held, or its key used: nothing is repeated.
        rig.world.go_to(1);
        let executed = rig.world.mitigator.executed().len();
        if in_doubt > 0 {
            assert!(matches!(rig.run(&trial), Trialled::NotDone { .. }), "{mishap:?}");
            assert_eq!(rig.world.mitigator.executed().len(), executed, "{mishap:?}");
        }
    }
}

#[test]
fn a_right_that_is_stopped_before_it_is_spent_holds_nothing() {
    /// Engages the kill switch when it is asked to act.
    #[derive(Debug)]
    struct Late(InMemoryMitigator, KillSwitch);

    #[async_trait]
    impl Mitigator for Late {
        fn capability(&self) -> MitigatorCapability {
            self.0.capability()
        }
        async fn preview(&self, action: &Action, ctx: &Context) -> aiops_core::Result<Preview> {
            self.0.preview(action, ctx).await
        }
        async fn execute(&self, action: Intended<Action>, ctx: &Context) -> aiops_core::Result<Receipt> {
            self.1.engage(&Principal::new("operator"), "stop");
            self.0.execute(action, ctx).await
        }
        async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> aiops_core::Result<ActionStatus> {
            self.0.status(key, ctx).await
        }
    }

    let rig = Rig::new();
    let late = Late(rig.world.mitigator.clone(), rig.switch.clone());
    let ended = rig.run(&rig.trial(&Verdict::allow("fine"), &[Recovery::Recovered], late));
    assert!(matches!(ended, Trialled::NotDone { .. }), "{ended:?}");
    let history = rig.world.history();
    assert_eq!((rig.copies(), history.in_doubt().count(), history.actions().count()), (4, 0, 1));
}

#[test]
fn critical_services_come_last() {
    let world = World::new();
    let critical = serde_json::from_value(serde_json::json!({ "service": ["gateway"] })).unwrap();
    let guard = CriticalLast::new(CriticalLastConfig { critical, ..CriticalLastConfig::default() }).unwrap();
    let gateway = EntityId::service("gateway");
    let scale =
        |id: &str, target: EntityId| propose(id, id, action(Operation::Scale { replicas: 5 }, target));
    let judge = || world.judge(&guard, &scale("next", gateway.clone()));
    assert!(asks(&judge()));
    assert!(allowed(&world.judge(&guard, &scale("other", orders()))));
    for n in 0..9 {
        world.done(&scale(&format!("o{n}"), orders()), Some(Recovery::Recovered));
    }
    assert!(asks(&judge()), "nine of ten");
    // What was done to a critical one under a person's consent is no record of others.
    world.done(&scale("g", gateway.clone()), Some(Recovery::Recovered));
    assert!(asks(&judge()));
    world.done(&scale("o9", orders()), Some(Recovery::Recovered));
    assert!(allowed(&judge()));
    for n in 0..3 {
        world.done(&scale(&format!("bad{n}"), orders()), Some(Recovery::NotRecovered));
    }
    assert!(asks(&judge()), "the newest count");
    let restart = propose("r", "r", crate::support::restart_of(gateway));
    assert!(allowed(&world.judge(&guard, &restart)));
}

#[test]
fn more_for_others_is_no_record_for_less() {
    let world = World::new();
    let critical = serde_json::from_value(serde_json::json!({ "service": ["gateway"] })).unwrap();
    let guard = CriticalLast::new(CriticalLastConfig { critical, ..CriticalLastConfig::default() }).unwrap();
    let scale = |id: &str, target: EntityId, from: u32, to: u32| {
        let back = RollbackPlan::Operation(Box::new(Operation::Scale { replicas: from }));
        propose(id, id, action(Operation::Scale { replicas: to }, target).with_rollback(back))
    };
    let judge = |from, to| world.judge(&guard, &scale("next", EntityId::service("gateway"), from, to));
    for n in 0..10 {
        world.done(&scale(&format!("up{n}"), orders(), 4, 5), Some(Recovery::Recovered));
    }
    assert!(allowed(&judge(4, 9)) && asks(&judge(9, 4)));
    // Nor do ten that took some away count against adding more, or make the other's record old.
    for n in 0..10 {
        world.done(&scale(&format!("down{n}"), orders(), 5, 4), Some(Recovery::NotRecovered));
    }
    assert!(allowed(&judge(4, 9)) && asks(&judge(9, 4)));
    for n in 0..10 {
        world.done(&scale(&format!("again{n}"), orders(), 5, 4), Some(Recovery::Recovered));
    }
    assert!(allowed(&judge(9, 4)));
    // Whose way back tells nothing is neither.
    let untold = propose("u", "u", action(Operation::Scale { replicas: 5 }, EntityId::service("gateway")));
    assert!(asks(&world.judge(&guard, &untold)));
}
