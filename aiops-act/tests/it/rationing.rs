//! Guards that judge the history.

use aiops_act::guards::{
    ActionCap, BreakerConfig, CapConfig, CircuitBreaker, Cooldown, OneAtATime, RateSpike, SpikeConfig,
};
use aiops_core::action::{Action, ActionOutcome, Operation, Proposal, RollbackPlan};
use aiops_core::model::{EntityId, Recovery};

use crate::support::{
    World, action, allowed, back_to, forged_undoing, orders, propose, refused, restart_of, rollback_of, secs,
    undoing,
};

fn cap(remedies: usize, reverts: usize) -> ActionCap {
    ActionCap::new(CapConfig { remedies, reverts }).unwrap()
}

fn restart(id: &str, incident: &str) -> Proposal {
    propose(id, incident, restart_of(orders()))
}

#[test]
fn a_cap_counts_what_was_done_in_its_incident() {
    let world = World::new();
    let cap = cap(2, 8);
    world.done(&restart("a", "inc"), None);
    world.done(&restart("b", "other"), None);
    world.not_started(&restart("c", "inc"));
    assert!(allowed(&world.judge(&cap, &restart("z", "inc"))), "one of two so far");
    world.failed(&restart("d", "inc"));
    assert!(refused(&world.judge(&cap, &restart("z", "inc"))), "a failed one counts");
    assert!(allowed(&world.judge(&cap, &restart("z", "other"))));
}

#[test]
fn what_is_in_doubt_counts_until_it_is_known_not_to_have_begun() {
    let world = World::new();
    let key = world.intend(&restart("a", "inc"));
    let gateway = propose("z", "inc", restart_of(EntityId::service("gateway")));
    assert!(refused(&world.judge(&cap(1, 8), &gateway)));
    assert!(refused(&world.judge(&Cooldown, &restart("z", "inc"))));
    assert!(refused(&world.judge(&spike(1, 60), &gateway)));
    assert!(refused(&world.judge(&OneAtATime, &gateway)));
    world.settle(&key, ActionOutcome::NotStarted { reason: "no".into() });
    assert!(allowed(&world.judge(&cap(1, 8), &gateway)));
    assert!(allowed(&world.judge(&Cooldown, &restart("z", "inc"))));
    assert!(allowed(&world.judge(&spike(1, 60), &gateway)));
    assert!(allowed(&world.judge(&OneAtATime, &gateway)));
}

#[test]
fn undoing_has_an_allowance_of_its_own() {
    let world = World::new();
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    let cap = cap(1, 1);
    assert!(refused(&world.judge(&cap, &restart("z", "inc"))), "the remedies are used up");
    assert!(allowed(&world.judge(&cap, &undoing(&done))), "the undoings are not");
    world.done(&undoing(&done), None);
    let second = propose("b", "inc", rollback_of(orders()));
    world.done(&second, Some(Recovery::NotRecovered));
    assert!(refused(&world.judge(&cap, &undoing(&second))), "now they are");
}

#[test]
fn a_forged_undoing_draws_on_the_remedies() {
    let world = World::new();
    let cap = cap(2, 8);
    world.done(&forged_undoing("a", "inc", restart_of(orders())), None);
    world.done(&forged_undoing("b", "inc", restart_of(orders())), None);
    for forged in [restart("z", "inc"), forged_undoing("z", "inc", restart_of(orders()))] {
        assert!(refused(&world.judge(&cap, &forged)), "what was forged before counts as remedies");
    }
    let done = propose("c", "inc", rollback_of(orders()));
    world.done(&done, None);
    let one = ActionCap::new(CapConfig { remedies: 2, reverts: 1 }).unwrap();
    assert!(allowed(&world.judge(&one, &undoing(&done))), "and takes nothing from the undoings");
}

/// Every way in which a proposal may claim to undo something and does not.
fn forgeries(done: &Proposal) -> Vec<(&'static str, Proposal)> {
    let honest = undoing(done);
    let varied = |change: fn(&mut Proposal)| {
        let mut forged = honest.clone();
        change(&mut forged);
        forged
    };
    vec![
        ("another operation", varied(|p| p.action.operation = Operation::Stop)),
        ("another revision", varied(|p| p.action.operation = back_to("r0"))),
        ("another target", varied(|p| p.action.target = EntityId::service("gateway"))),
        ("another incident", varied(|p| p.incident = aiops_core::action::IncidentId::new("other"))),
        ("an action that never was", forged_undoing("p", "inc", honest.action.clone())),
        ("a remedy", propose("p", "inc", honest.action)),
    ]
}

#[test]
fn only_a_proven_undoing_passes_cooldown_spike_and_breaker() {
    let world = World::new();
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    let (spike, breaker) = (spike(1, 3600), breaker(1, 3600));
    for guard in [&Cooldown as &dyn aiops_core::seam::Guardrail, &spike, &breaker] {
        assert!(allowed(&world.judge(guard, &undoing(&done))), "{guard:?}");
    }
    for (how, forged) in forgeries(&done) {
        assert!(refused(&world.judge(&spike, &forged)), "{how}");
        assert!(refused(&world.judge(&breaker, &forged)), "{how}");
    }
    world.done(&undoing(&done), None);
    assert!(refused(&world.judge(&breaker, &undoing(&done))), "not a second time");
}

#[test]
fn an_undoing_is_ours_after_the_longest_verification_and_not_for_ever() {
    let world = World::new();
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    // The action took a minute, the verification its 15, and deciding another.
    world.go_to(17 * 60);
    assert!(allowed(&world.judge(&breaker(1, 86_400), &undoing(&done))));
    world.go_to(1800);
    assert!(allowed(&world.judge(&breaker(1, 86_400), &undoing(&done))));
    world.go_to(1801);
    assert!(refused(&world.judge(&breaker(1, 86_400), &undoing(&done))));
}

#[test]
fn an_undoing_is_not_undone() {
    let world = World::new();
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, None);
    let mut undo = undoing(&done);
    undo.action.rollback = RollbackPlan::Operation(Box::new(back_to("r1")));
    world.done(&undo, None);
    assert!(refused(&world.judge(&spike(1, 3600), &undoing(&undo))));
}

#[test]
fn the_longer_cooldown_counts_from_both_sides() {
    let with = |id: &str, cooldown| propose(id, "inc", restart_of(orders()).with_cooldown(secs(cooldown)));
    let world = World::new();
    world.done(&with("a", 100), None);
    for (now, asked, ok) in [
        (99, 0, false),
        (100, 0, true),
        (100, 100, true),
        (100, 200, false),
        (199, 200, false),
        (200, 200, true),
    ] {
        world.go_to(now);
        let said = world.judge(&Cooldown, &with("z", asked));
        assert_eq!(allowed(&said), ok, "{now} s after, {asked} s asked");
        assert_eq!(refused(&said), !ok);
    }
}

#[test]
fn a_cooldown_is_for_one_kind_on_one_target() {
    let world = World::new();
    world.done(&restart("a", "inc"), None);
    world.not_started(&propose("b", "inc", rollback_of(orders())));
    assert!(allowed(&world.judge(&Cooldown, &propose("z", "inc", restart_of(EntityId::service("gateway"))))));
    assert!(allowed(&world.judge(&Cooldown, &propose("z", "inc", rollback_of(orders())))));
    assert!(refused(&world.judge(&Cooldown, &restart("z", "another incident"))));
}

#[test]
fn undoing_does_not_shorten_a_cooldown() {
    let world = World::new();
    let long = propose("a", "inc", rollback_of(orders()).with_cooldown(secs(3600)));
    world.done(&long, Some(Recovery::NotRecovered));
    world.go_to(600);
    world.done(&undoing(&long), None);
    world.go_to(1200);
    let again = propose("z", "inc", rollback_of(orders()).with_cooldown(secs(60)));
    assert!(refused(&world.judge(&Cooldown, &again)), "the first roll-back asked for an hour");
}

fn spike(actions: usize, window: u64) -> RateSpike {
    RateSpike::new(SpikeConfig { actions, window: secs(window) }).unwrap()
}

#[test]
fn a_spike_is_seen_over_all_incidents_within_its_window() {
    let world = World::new();
    let spike = spike(3, 600);
    for (i, incident) in ["x", "y", "z"].into_iter().enumerate() {
        world.go_to(i64::try_from(i).unwrap() * 100);
        assert!(allowed(&world.judge(&spike, &restart("p", "inc"))));
        world.done(&restart("a", incident), None);
    }
    world.go_to(600);
    assert!(refused(&world.judge(&spike, &restart("p", "inc"))), "the first is just within");
    world.go_to(601);
    assert!(allowed(&world.judge(&spike, &restart("p", "inc"))));
}

#[test]
fn a_clock_that_jumps_hides_no_action() {
    let world = World::new();
    let spike = spike(3, 600);
    // Two now, then the clock is wrong for one action, then right again.
    for (i, now) in [10_000, 10_010, -50_000, 10_020].into_iter().enumerate() {
        world.go_to(now);
        world.done(&restart(&format!("a{i}"), "inc"), None);
    }
    world.go_to(10_030);
    assert!(refused(&world.judge(&spike, &restart("p", "inc"))), "three within 600 s");
    assert!(refused(&world.judge(&Cooldown, &restart("p", "inc"))));
    // Set back: what lies in the future is recent.
    world.go_to(-60_000);
    assert!(refused(&world.judge(&spike, &restart("p", "inc"))));
    assert!(refused(&world.judge(&Cooldown, &restart("p", "inc"))));
}

#[test]
fn a_clock_that_jumped_back_for_one_action_shortens_no_cooldown() {
    let world = World::new();
    world.go_to(10_000);
    world.done(&restart("a", "inc"), None);
    world.go_to(-50_000);
    world.done(&restart("b", "inc"), None);
    world.go_to(10_100);
    assert!(refused(&world.judge(&Cooldown, &restart("p", "inc"))), "done 100 s ago");
}

fn breaker(failures: usize, open_for: u64) -> CircuitBreaker {
    CircuitBreaker::new(BreakerConfig { failures, open_for: secs(open_for) }).unwrap()
}

/// A remedy on a target of its own that the breaker counts.
fn remedy(n: usize) -> Proposal {
    let target = ["gateway", "orders", "inventory", "store"][n % 4];
    propose(&format!("r{n}"), &format!("inc{n}"), restart_of(EntityId::service(target)))
}

#[test]
fn the_breaker_opens_after_failures_in_a_row_and_closes_by_time() {
    let world = World::new();
    let breaker = breaker(3, 600);
    world.done(&remedy(0), Some(Recovery::NotRecovered));
    world.go_to(10);
    world.failed(&remedy(1));
    assert!(allowed(&world.judge(&breaker, &remedy(9))), "two in a row");
    world.go_to(20);
    world.done(&remedy(2), Some(Recovery::NotRecovered));
    assert!(refused(&world.judge(&breaker, &remedy(9))), "three in a row");
    world.go_to(619);
    assert!(refused(&world.judge(&breaker, &remedy(9))));
    world.go_to(620);
    assert!(allowed(&world.judge(&breaker, &remedy(9))), "half open");
    world.done(&remedy(3), Some(Recovery::NotRecovered));
    assert!(refused(&world.judge(&breaker, &remedy(9))), "one more failure opens it again");
    world.go_to(1220);
    world.done(&remedy(4), Some(Recovery::Recovered));
    world.done(&remedy(5), Some(Recovery::NotRecovered));
    assert!(allowed(&world.judge(&breaker, &remedy(9))), "a recovery closed it for good");
}

#[test]
fn what_nobody_knows_neither_opens_nor_closes_the_breaker() {
    let world = World::new();
    let breaker = breaker(2, 600);
    world.done(&remedy(0), Some(Recovery::NotRecovered));
    world.done(&remedy(1), Some(Recovery::Inconclusive));
    world.done(&remedy(2), None);
    world.not_started(&remedy(3));
    let doubt = world.intend(&remedy(4));
    assert!(allowed(&world.judge(&breaker, &remedy(9))), "one failure is known");
    world.settle(&doubt, ActionOutcome::Failed { reason: "broke".into() });
    assert!(refused(&world.judge(&breaker, &remedy(9))), "the unknown ones between do not break the row");
}

#[test]
fn undoing_does_not_count_for_the_breaker_but_a_forgery_does() {
    let world = World::new();
    let breaker = breaker(2, 600);
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    world.failed(&undoing(&done));
    assert!(allowed(&world.judge(&breaker, &remedy(9))), "one remedy failed");
    world.failed(&forged_undoing("f", "inc", restart_of(orders())));
    assert!(refused(&world.judge(&breaker, &remedy(9))));
}

#[test]
fn a_clock_that_jumps_back_does_not_close_the_breaker() {
    let world = World::new();
    let breaker = breaker(2, 600);
    world.go_to(10_000);
    world.failed(&remedy(0));
    world.go_to(-50_000);
    world.failed(&remedy(1));
    world.go_to(10_100);
    assert!(refused(&world.judge(&breaker, &remedy(9))), "a remedy failed 100 s ago");
    world.go_to(-60_000);
    assert!(refused(&world.judge(&breaker, &remedy(9))), "in the future counts as now");
}

#[test]
fn one_at_a_time_holds_over_targets_and_for_undoing() {
    let world = World::new();
    let done = propose("a", "inc", rollback_of(orders()));
    world.done(&done, None);
    assert!(allowed(&world.judge(&OneAtATime, &undoing(&done))));
    let other: Action = action(crate::support::restart(), EntityId::service("gateway"));
    let key = world.intend(&propose("b", "elsewhere", other));
    assert!(refused(&world.judge(&OneAtATime, &undoing(&done))));
    assert!(refused(&world.judge(&OneAtATime, &remedy(3))));
    world.settle(&key, ActionOutcome::Failed { reason: "broke".into() });
    assert!(allowed(&world.judge(&OneAtATime, &remedy(3))));
}
