//! Rights: they expire, can be taken back, and are used once.

use aiops_core::action::*;
use aiops_core::fake::Mishap;
use aiops_core::guard::{Authorized, Intended, KillSwitch, Receipt, Revocations};
use aiops_core::seam::{Journal, Mitigator};
use aiops_core::{Cancellation, Error, ErrorKind};
use futures_lite::future::block_on;

use crate::world::*;

fn authorized(world: &World, id: &str) -> Authorized<Action> {
    let chain = world.chain(allow()).build().unwrap();
    world.authorize(&chain, propose(id, action(restart()))).unwrap()
}

fn intended(world: &World, id: &str) -> Intended<Action> {
    block_on(authorized(world, id).record(&world.ctx)).unwrap()
}

fn kind<T>(answer: Result<T, Error>) -> ErrorKind {
    match answer {
        Ok(_) => panic!("it must fail"),
        Err(e) => e.kind(),
    }
}

#[test]
fn the_whole_way() {
    let world = World::new();
    let right = intended(&world, "p1");
    let key = right.key().clone();
    let history = block_on(world.journal.history(&world.ctx)).unwrap();
    assert!(history.get(&key).unwrap().in_doubt(), "written before anything is run");
    assert!(world.mitigator.executed().is_empty());
    world.clock.advance(seconds(3));
    let record = block_on(world.mitigator.execute(right, &world.ctx)).unwrap().into_record();
    assert_eq!((record.key, record.fence), (key, Fence(1)));
    assert_eq!((record.action, record.outcome), (action(restart()), ActionOutcome::Completed));
    assert_eq!(record.started_at, start() + seconds(3));
    assert_eq!(world.mitigator.workload(&target()).unwrap().restarts, 1);
}

#[test]
fn rights_expire_before_and_after_recording() {
    let world = World::new();
    let (early, right) = (authorized(&world, "p1"), authorized(&world, "p2"));
    world.clock.advance(seconds(29));
    let right = block_on(right.record(&world.ctx)).unwrap();
    world.clock.advance(seconds(1));
    assert_eq!(kind(block_on(early.record(&world.ctx))), ErrorKind::Expired);
    assert_eq!(kind(right.spend(&world.ctx)), ErrorKind::Expired);
    assert!(world.mitigator.executed().is_empty());
}

/// The clock that set the expiry decides, not the one of whoever spends.
#[test]
fn another_clock_does_not_prolong_a_right() {
    let (world, elsewhere) = (World::new(), World::new());
    let right = intended(&world, "p1");
    world.clock.advance(seconds(31));
    assert_eq!(kind(right.spend(&elsewhere.ctx)), ErrorKind::Expired);
}

#[test]
fn a_clock_that_jumps_far_back_ends_a_right() {
    let world = World::new();
    let (nudged, thrown) = (authorized(&world, "p1"), authorized(&world, "p2"));
    world.clock.set(start() - seconds(1));
    assert!(block_on(nudged.record(&world.ctx)).is_ok());
    world.clock.set(start() - seconds(31));
    assert_eq!(kind(block_on(thrown.record(&world.ctx))), ErrorKind::Expired);
}

#[test]
fn a_clock_that_jumps_back_does_not_revive_what_was_refused() {
    let world = World::new();
    let right = authorized(&world, "p1");
    world.clock.advance(seconds(31));
    assert_eq!(kind(block_on(right.record(&world.ctx))), ErrorKind::Expired);
    world.clock.set(start());
    let history = block_on(world.journal.history(&world.ctx)).unwrap();
    assert_eq!(history.head(), Sequence(0));
}

#[test]
fn rights_can_be_revoked_before_and_after_recording() {
    let world = World::new();
    let revocations = Revocations::new();
    let chain = world.chain(allow()).revocations(revocations.clone()).build().unwrap();
    let one = world.authorize(&chain, propose("p1", action(restart()))).unwrap();
    revocations.revoke(one.key().clone(), start());
    assert_eq!(kind(block_on(one.record(&world.ctx))), ErrorKind::Denied);
    let two = world.authorize(&chain, propose("p2", action(restart()))).unwrap();
    let two = block_on(two.record(&world.ctx)).unwrap();
    revocations.revoke(two.key().clone(), start());
    assert_eq!(kind(block_on(world.mitigator.execute(two, &world.ctx))), ErrorKind::Denied);
    assert!(world.mitigator.executed().is_empty());
}

#[test]
fn the_kill_switch_stops_what_was_recorded() {
    let world = World::new();
    let kill_switch = KillSwitch::new();
    let chain = world.chain(allow()).kill_switch(kill_switch.clone()).build().unwrap();
    let right = world.authorize(&chain, proposal()).unwrap();
    let right = block_on(right.record(&world.ctx)).unwrap();
    kill_switch.engage(&Principal::new("ann"), "stop everything");
    let answer = block_on(world.mitigator.execute(right, &world.ctx));
    assert_eq!(kind(answer), ErrorKind::Killed);
    assert!(world.mitigator.executed().is_empty());
    assert!(chain.kill_switch().is_engaged(), "clones share one switch");
}

#[test]
fn a_cancelled_context_uses_the_right_up() {
    let world = World::new();
    let cancellation = Cancellation::new();
    cancellation.cancel();
    let ctx = world.ctx.clone().with_cancellation(cancellation);
    assert_eq!(kind(intended(&world, "p1").spend(&ctx)), ErrorKind::Cancelled);
}

#[test]
fn of_two_rights_on_one_head_one_is_recorded() {
    let world = World::new();
    let (one, two) = (authorized(&world, "p1"), authorized(&world, "p2"));
    let two = block_on(two.record(&world.ctx)).unwrap();
    // The target is free again: only the head of the journal speaks against the first.
    let ended =
        JournalEntry::Outcome { key: two.key().clone(), outcome: ActionOutcome::Completed, at: start() };
    block_on(world.journal.append(&ended, None, &world.ctx)).unwrap();
    assert_eq!(kind(block_on(one.record(&world.ctx))), ErrorKind::Conflict);
}

#[test]
fn a_held_target_and_a_used_key_conflict() {
    let world = World::new();
    let first = intended(&world, "p1");
    let held = authorized(&world, "p2");
    assert_eq!(kind(block_on(held.record(&world.ctx))), ErrorKind::Conflict);
    let ended =
        JournalEntry::Outcome { key: first.key().clone(), outcome: ActionOutcome::Completed, at: start() };
    block_on(world.journal.append(&ended, None, &world.ctx)).unwrap();
    let again = authorized(&world, "p1");
    assert_eq!(kind(block_on(again.record(&world.ctx))), ErrorKind::Conflict);
    assert!(block_on(authorized(&world, "p2").record(&world.ctx)).is_ok());
}

#[test]
fn a_lost_reply_is_in_doubt_and_its_status_tells() {
    let world = World::new();
    let right = intended(&world, "p1");
    let key = right.key().clone();
    world.mitigator.set_mishap(Some(Mishap::LostReply));
    let answer = block_on(world.mitigator.execute(right, &world.ctx));
    assert_eq!(kind(answer), ErrorKind::InDoubt);
    assert_eq!(block_on(world.mitigator.status(&key, &world.ctx)).unwrap(), ActionStatus::Completed);
}

#[test]
fn a_receipt_is_what_was_paid_for() {
    let world = World::new();
    let (paid, spent) = intended(&world, "p1").spend(&world.ctx).unwrap();
    let failed = ActionOutcome::Failed { reason: "half-way".to_owned() };
    let receipt = Receipt::new(spent, failed.clone(), "why");
    assert_eq!((&receipt.record().action, &receipt.record().outcome), (&paid, &failed));
    assert_eq!(receipt.record().detail, "why");
}

/// What stands in a log must not show what the right is for, only which one it is.
#[test]
fn tokens_print_their_key_only() {
    let world = World::new();
    let right = authorized(&world, "p1");
    let key = right.key().to_string();
    assert_eq!(format!("{right:?}"), format!("Authorized {{ key: IdempotencyKey(\"{key}\"), .. }}"));
    let right = block_on(right.record(&world.ctx)).unwrap();
    let shown = format!("{right:?}");
    assert!(shown.contains(&key) && !shown.contains("orders"), "{shown}");
}
