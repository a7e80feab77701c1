//! What guards promise holds over chains that share a journal.

use std::sync::Arc;

use aiops_act::guards::{
    ActionCap, CapConfig, CircuitBreaker, Cooldown, OneAtATime, RateSpike, RollbackRequired, SpikeConfig,
};
use aiops_core::Context;
use aiops_core::action::{JournalEntry, Mode, Proposal};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::EntityId;
use aiops_core::seam::{Journal, Mitigator};
use aiops_core::{ErrorKind, ManualClock, Result};
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::support::{World, at, forged_undoing, propose, restart_of, rollback_of, secs, undoing};

const CAP: usize = 3;
const SPIKE: usize = 5;
const COOLDOWN: u64 = 120;

/// A chain as one replica of a service would have it.
fn replica(world: &World) -> GuardChain {
    GuardChain::builder(world.journal.clone())
        .guard(ActionCap::new(CapConfig { remedies: CAP, reverts: 1 }).unwrap())
        .guard(Cooldown)
        .guard(RateSpike::new(SpikeConfig { actions: SPIKE, window: secs(600) }).unwrap())
        .guard(CircuitBreaker::default())
        .guard(RollbackRequired)
        .guard(OneAtATime)
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap()
}

/// Guards, records, executes and settles, as a pipeline does.
fn run(chain: &GuardChain, world: &World, proposal: Proposal) -> Result<()> {
    let (mitigator, ctx) = (&world.mitigator, &world.ctx);
    block_on(async {
        let right = chain.authorize(proposal, mitigator, ctx).await?;
        let intended = right.record(ctx).await?;
        let receipt = mitigator.execute(intended, ctx).await?;
        let (key, outcome) = (receipt.record().key.clone(), receipt.record().outcome.clone());
        let entry = JournalEntry::Outcome { key, outcome, at: ctx.now() };
        world.journal.append(&entry, None, ctx).await?;
        Ok(())
    })
}

#[test]
fn the_cap_is_for_all_replicas_together() {
    let world = World::new();
    let (a, b) = (replica(&world), replica(&world));
    let remedy = |n: i64| propose(&format!("p{n}"), "inc", restart_of(EntityId::service("orders")));
    for n in 0..3 {
        world.go_to(n * 1000);
        run(if n % 2 == 0 { &a } else { &b }, &world, remedy(n)).unwrap();
    }
    world.go_to(3000);
    for chain in [&a, &b] {
        let error = run(chain, &world, remedy(9)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("action-cap"), "{error}");
    }
    assert_eq!(world.mitigator.executed().len(), 3);
}

#[test]
fn of_two_replicas_that_decide_at_once_one_acts() {
    let world = World::new();
    let (a, b) = (replica(&world), replica(&world));
    let remedy = |id: &str, name: &str| propose(id, "inc", restart_of(EntityId::service(name)));
    let authorize = |chain: &GuardChain, proposal| {
        block_on(chain.authorize(proposal, &world.mitigator, &world.ctx)).unwrap()
    };
    // Both decide on the same history, on targets that do not hold each other off.
    let (first, second) = (authorize(&a, remedy("p", "orders")), authorize(&b, remedy("q", "gateway")));
    let intended = block_on(first.record(&world.ctx)).unwrap();
    let late = block_on(second.record(&world.ctx)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "the journal moved on since it was decided");
    // Heard anew, the guards see the other's action.
    let denied = block_on(b.authorize(remedy("q", "gateway"), &world.mitigator, &world.ctx)).unwrap_err();
    assert!(denied.reason().contains("one-at-a-time"), "{denied}");
    drop(intended);
    assert!(world.mitigator.executed().is_empty());
}

#[test]
fn a_used_up_cap_leaves_the_way_back_open_to_another_replica() {
    let world = World::new();
    let chain = replica(&world);
    for n in 0..2 {
        world.go_to(n * 1000);
        run(&chain, &world, propose(&format!("p{n}"), "inc", restart_of(EntityId::service("orders"))))
            .unwrap();
    }
    world.go_to(2000);
    let last = propose("last", "inc", rollback_of(EntityId::service("orders")));
    // A roll-back is of medium risk, which these guards do not ask about.
    run(&chain, &world, last.clone()).unwrap();
    world.go_to(2010);
    let another = replica(&world);
    assert!(run(&another, &world, propose("z", "inc", restart_of(EntityId::service("store")))).is_err());
    run(&another, &world, undoing(&last)).unwrap();
    let workload = world.mitigator.workload(&EntityId::service("orders")).unwrap();
    assert_eq!((workload.revision.as_str(), workload.restarts), ("r2", 2));
}

#[test]
fn a_forged_undoing_gets_no_further_than_a_remedy() {
    let world = World::new();
    let chain = replica(&world);
    let mut ran = 0;
    for n in 0..10 {
        world.go_to(n * 1000);
        let action = restart_of(EntityId::service("orders"));
        ran += usize::from(run(&chain, &world, forged_undoing(&format!("f{n}"), "inc", action)).is_ok());
    }
    assert_eq!(ran, CAP);
}

#[test]
fn a_restarted_replica_remembers() {
    let world = World::new();
    let before = replica(&world);
    run(&before, &world, propose("p", "inc", restart_of(EntityId::service("orders")))).unwrap();
    drop(before);
    let after = replica(&world);
    let again = run(&after, &world, propose("q", "inc", restart_of(EntityId::service("orders"))));
    assert!(again.unwrap_err().to_string().contains("cooldown"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is proposed to whichever replica, at whatever time: never more than the cap in an incident, never
    /// within the cooldown, never more than the alarm allows.
    #[test]
    fn no_order_of_proposals_gets_around_the_guards(
        steps in prop::collection::vec((0..400_u64, any::<bool>(), 0..3_usize, 0..2_usize, 0..3_u8), 1..40),
    ) {
        let world = World::new();
        let (a, b) = (replica(&world), replica(&world));
        let mut now = 0_u64;
        let mut ran: Vec<(u64, usize, usize)> = Vec::new();
        for (n, (wait, first, target, incident, wish)) in steps.into_iter().enumerate() {
            now += wait;
            world.go_to(i64::try_from(now).unwrap());
            let (id, name) = (format!("p{n}"), ["gateway", "orders", "inventory"][target]);
            let action = restart_of(EntityId::service(name)).with_cooldown(secs(COOLDOWN));
            let inc = ["inc-1", "inc-2"][incident];
            let proposal = if wish == 0 { forged_undoing(&id, inc, action) } else { propose(&id, inc, action) };
            let chain = if first { &a } else { &b };
            if run(chain, &world, proposal).is_ok() {
                ran.push((now, target, incident));
            }
        }
        prop_assert_eq!(world.mitigator.executed().len(), ran.len());
        for incident in 0..2 {
            prop_assert!(ran.iter().filter(|r| r.2 == incident).count() <= CAP);
        }
        for (i, one) in ran.iter().enumerate() {
            prop_assert!(ran[..i].iter().all(|r| r.1 != one.1 || one.0 - r.0 >= COOLDOWN));
            prop_assert!(ran[..i].iter().filter(|r| one.0 - r.0 <= 600).count() < SPIKE);
        }
    }
}

#[test]
fn a_right_lives_by_the_clock_it_was_minted_on() {
    let world = World::new();
    let chain = replica(&world);
    let remedy = propose("p", "inc", restart_of(EntityId::service("orders")));
    let right = block_on(chain.authorize(remedy, &world.mitigator, &world.ctx)).unwrap();
    world.go_to(31);
    // A context on another clock, where no time has passed, does not make it younger.
    let other = Context::new(Arc::new(ManualClock::at(at(0))));
    assert_eq!(block_on(right.record(&other)).unwrap_err().kind(), ErrorKind::Expired);
    assert!(world.history().actions().next().is_none());
}
