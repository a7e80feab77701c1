//! Where incidents stand, from the journal alone.

use std::sync::Arc;

use aiops_act::FileJournal;
use aiops_act::incident::{IncidentState, NextStep, incidents};
use aiops_core::action::{ActionOutcome, JournalEntry};
use aiops_core::model::{EntityId, Recovery};
use aiops_core::seam::Journal;
use futures_lite::future::block_on;

use crate::support::{World, at, orders, propose, restart_of, rollback_of, undoing};

fn only(world: &World) -> IncidentState {
    let mut all = incidents(&world.history());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn every_state_names_its_next_step() {
    let remedy = || propose("p", "inc", rollback_of(orders()));
    let world = World::new();
    assert!(incidents(&world.history()).is_empty());
    let key = world.intend(&remedy());
    assert_eq!(
        (only(&world).next, only(&world).in_doubt),
        (NextStep::Settle(key.clone()), vec![key.clone()])
    );
    world.settle(&key, ActionOutcome::Completed);
    assert_eq!((only(&world).next, only(&world).in_doubt), (NextStep::Verify(key.clone()), vec![]));
    world.verify(&key, Recovery::NotRecovered);
    assert_eq!(only(&world).next, NextStep::Undo(key.clone()));
    let back = world.intend(&undoing(&remedy()));
    assert_eq!(only(&world).next, NextStep::Settle(back.clone()));
    world.settle(&back, ActionOutcome::Completed);
    assert_eq!(only(&world).next, NextStep::Diagnose, "as it was before: look again");
    assert_eq!((only(&world).remedies, only(&world).undoings), (1, 1));
    let again = world.done(&propose("q", "inc", restart_of(orders())), Some(Recovery::NotRecovered));
    assert_eq!(only(&world).next, NextStep::Diagnose, "a restart has nothing to undo");
    world.verify(&again, Recovery::Recovered);
    assert_eq!(only(&world).next, NextStep::Closed);
    assert!(only(&world).is_closed());
}

#[test]
fn what_broke_or_cannot_be_seen_is_for_a_person() {
    let world = World::new();
    world.failed(&propose("p", "inc", rollback_of(orders())));
    assert!(matches!(only(&world).next, NextStep::Escalate(_)));
    let unseen = World::new();
    unseen.done(&propose("p", "inc", rollback_of(orders())), Some(Recovery::Inconclusive));
    assert!(matches!(only(&unseen).next, NextStep::Escalate(_)));
    // An undoing that broke leaves nobody knows what.
    let broken = World::new();
    let remedy = propose("p", "inc", rollback_of(orders()));
    broken.done(&remedy, Some(Recovery::NotRecovered));
    broken.failed(&undoing(&remedy));
    assert!(matches!(only(&broken).next, NextStep::Escalate(_)));
}

#[test]
fn what_was_never_begun_changes_nothing() {
    let world = World::new();
    world.not_started(&propose("p", "inc", restart_of(orders())));
    let state = only(&world);
    assert_eq!((state.next, state.remedies), (NextStep::Diagnose, 0));
    let key = world.done(&propose("q", "inc", restart_of(orders())), None);
    world.not_started(&propose("r", "inc", restart_of(EntityId::service("gateway"))));
    assert_eq!(only(&world).next, NextStep::Verify(key));
}

#[test]
fn an_older_doubt_comes_before_everything() {
    let world = World::new();
    let doubt = world.intend(&propose("p", "inc", restart_of(orders())));
    world.done(&propose("q", "inc", restart_of(EntityId::service("gateway"))), Some(Recovery::Recovered));
    assert_eq!(only(&world).next, NextStep::Settle(doubt));
}

/// A process dies before it looked whether its remedy helped, and another one ends the incident by one of its own.
#[test]
fn what_nobody_verified_is_not_closed_by_a_later_remedy() {
    let world = World::new();
    let unseen = world.done(&propose("p", "inc", rollback_of(orders())), None);
    let later = world.done(&propose("q", "inc", restart_of(orders())), Some(Recovery::Recovered));
    assert_eq!(only(&world).next, NextStep::Verify(unseen.clone()));
    assert!(!only(&world).is_closed());
    world.verify(&unseen, Recovery::NotRecovered);
    assert_eq!(only(&world).next, NextStep::Closed, "all is well since: nothing is undone now");
    // While it is not well, what did not help is undone, however long ago it was.
    world.verify(&later, Recovery::NotRecovered);
    assert_eq!(only(&world).next, NextStep::Undo(unseen));
    // What was undone unseen leaves nothing to look at.
    let world = World::new();
    let remedy = propose("p", "inc", rollback_of(orders()));
    world.done(&remedy, None);
    world.done(&undoing(&remedy), None);
    assert_eq!(only(&world).next, NextStep::Diagnose);
}

#[test]
fn incidents_come_in_the_order_of_their_first_actions() {
    let world = World::new();
    for (n, (incident, name)) in
        [("z", "orders"), ("a", "gateway"), ("z", "store"), ("m", "inventory")].into_iter().enumerate()
    {
        world.go_to(i64::try_from(n).unwrap() * 10);
        world.done(&propose(&format!("p{n}"), incident, restart_of(EntityId::service(name))), None);
    }
    let all = incidents(&world.history());
    let ids: Vec<&str> = all.iter().map(|i| i.id.as_str()).collect();
    assert_eq!(ids, ["z", "a", "m"]);
    assert_eq!((all[0].first_at, all[0].last_at, all[0].remedies), (at(0), at(20), 2));
}

/// A process that dies after the intent: the next one reads the file and knows what to ask.
#[test]
fn a_restart_in_mid_incident_finds_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let ctx = aiops_core::Context::system();
    let sample = aiops_testkit::sample::context();
    let intent = block_on(aiops_testkit::sample::intent("p", orders(), &sample)).unwrap();
    {
        let journal = FileJournal::open(&path).unwrap();
        block_on(journal.append(&JournalEntry::Intent(Box::new(intent.clone())), None, &ctx)).unwrap();
    }
    let journal: Arc<dyn Journal> = Arc::new(FileJournal::open(&path).unwrap());
    let next =
        |journal: &Arc<dyn Journal>| incidents(&block_on(journal.history(&ctx)).unwrap()).remove(0).next;
    assert_eq!(next(&journal), NextStep::Settle(intent.key.clone()));
    let outcome =
        JournalEntry::Outcome { key: intent.key.clone(), outcome: ActionOutcome::Completed, at: ctx.now() };
    block_on(journal.append(&outcome, None, &ctx)).unwrap();
    assert_eq!(next(&journal), NextStep::Verify(intent.key));
    let state = incidents(&block_on(journal.history(&ctx)).unwrap()).remove(0);
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<IncidentState>(&text).unwrap(), state);
}
