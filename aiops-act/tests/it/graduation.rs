//! Classes of action graduate by their record, and fall by one failure.

use std::path::PathBuf;

use aiops_act::approval::{ApprovalConfig, ApprovalDesk, ApprovalLabel, Reply};
use aiops_act::graduation::{
    ActionClass, Attestation, Graduation, GraduationConfig, Record, Seen, Stage, wilson_lower_bound,
};
use aiops_act::ledger::Link;
use aiops_core::action::{ActionKind, ApprovalRequest, History, Principal};
use aiops_core::model::{EntityId, EntityKind, Recovery};
use aiops_core::{Error, ErrorKind};
use futures_lite::future::block_on;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{
    World, action, allowed, asks, orders, preview, propose, restart_of, rollback_of, secs, undoing,
};

const DAY: i64 = 86_400;

fn class() -> ActionClass {
    ActionClass { action: ActionKind::RollingRestart, target: EntityKind::Service }
}

fn vouched() -> Attestation {
    Attestation { rollback_tested: true, least_permissions: true, escalation_playbook: true }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graduation");
    (folder, path)
}

fn ladder(path: &PathBuf) -> Graduation {
    Graduation::open(path, GraduationConfig::default()).unwrap()
}

/// `n` restarts, one every three days, of which those in `failed` did not help.
fn career(world: &World, n: i64, failed: &[i64]) {
    for i in 0..n {
        world.go_to(i * 3 * DAY);
        let recovery = if failed.contains(&i) { Recovery::NotRecovered } else { Recovery::Recovered };
        world.done(&propose(&format!("p{i}"), &format!("inc-{i}"), restart_of(orders())), Some(recovery));
    }
}

/// `n` restarts that were approved, with whether the diagnosis was right.
fn labels(world: &World, right: &[bool]) -> Vec<ApprovalLabel> {
    let folder = tempfile::tempdir().unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
    for (n, right) in right.iter().enumerate() {
        let request: ApprovalRequest = serde_json::from_value(json!({
            "proposal": propose(&format!("q{n}"), "inc", restart_of(orders())),
            "preview": preview(4, 16),
            "reasons": [],
            "expires_at": world.ctx.now() + secs(300),
        }))
        .unwrap();
        let ticket = block_on(desk.ask(&request, &world.ctx)).unwrap();
        let reply = Reply::grant(Principal::new("ada"), "fine").with_diagnosis(Some(*right));
        block_on(desk.answer(&ticket.id, reply, &world.ctx)).unwrap();
    }
    block_on(desk.labels(&world.ctx)).unwrap()
}

fn promote(
    ladder: &Graduation,
    world: &World,
    attested: Attestation,
    labels: &[ApprovalLabel],
) -> aiops_core::Result<aiops_act::graduation::StageChange> {
    let history = world.history();
    let seen = Seen::of(&history).with_labels(labels);
    block_on(ladder.promote(class(), Principal::new("ada"), "a good record", attested, seen, &world.ctx))
}

fn lacking(error: &Error) -> String {
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    error.context().find(|(name, _)| *name == "lacking").unwrap().1.to_owned()
}

fn judge(ladder: &Graduation, world: &World) -> aiops_core::action::Verdict {
    world.judge(ladder, &propose("next", "now", restart_of(orders())))
}

#[test]
fn a_long_good_and_old_record_lets_a_person_promote() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    assert!(asks(&judge(&ladder, &world)), "everything begins by suggesting");
    career(&world, 22, &[]);
    let change = promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    assert_eq!((change.record.recovered, change.record.right, change.to), (22, 10, Stage::Auto));
    assert!(allowed(&judge(&ladder, &world)));
    // Of this class, and of no other one.
    let other = world.judge(&ladder, &propose("x", "now", rollback_of(orders())));
    assert!(asks(&other) && other.reason().contains("rollback on service"), "{other:?}");
    let host = EntityId::new(EntityKind::Host, "h");
    assert!(asks(&world.judge(&ladder, &propose("y", "now", action(crate::support::restart(), host)))));
    assert_eq!(
        promote(&ladder, &world, vouched(), &[]).unwrap_err().kind(),
        ErrorKind::Denied,
        "begins anew"
    );
}

#[test]
fn whatever_is_lacking_is_said() {
    let (_folder, path) = folder();
    let ladder = ladder(&path);
    let empty = World::new();
    let said = lacking(&promote(&ladder, &empty, vouched(), &[]).unwrap_err());
    for word in ["0 of 20 remedies", "success", "0 of 10 diagnoses", "0 of 60 days"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let good = World::new();
    career(&good, 22, &[]);
    let right = labels(&good, &[true; 10]);
    let refuse =
        |attested, labels: &[ApprovalLabel]| lacking(&promote(&ladder, &good, attested, labels).unwrap_err());
    assert!(refuse(vouched(), &right[..9]).contains("9 of 10 diagnoses"));
    let mut some_wrong = [true; 12];
    some_wrong[..3].fill(false);
    assert!(refuse(vouched(), &labels(&good, &some_wrong)).contains("accuracy"));
    for (attested, word) in [
        (Attestation { rollback_tested: false, ..vouched() }, "way back"),
        (Attestation { least_permissions: false, ..vouched() }, "permissions"),
        (Attestation { escalation_playbook: false, ..vouched() }, "playbook"),
    ] {
        assert_eq!(refuse(attested, &right).matches(word).count(), 1);
    }
    // Twenty out of twenty leave room for a rate below 85 %.
    let short = World::new();
    career(&short, 21, &[]);
    let said = lacking(&promote(&ladder, &short, vouched(), &labels(&short, &[true; 10])).unwrap_err());
    assert!(said.contains("success of at least 0.845, not 0.850"), "{said}");
    assert!(asks(&judge(&ladder, &good)), "nothing was promoted");
    assert!(block_on(ladder.decisions(&good.ctx)).unwrap().is_empty());
}

#[test]
fn one_failure_takes_it_back_at_once_and_in_writing() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    career(&world, 22, &[]);
    promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    world.go_to(100 * DAY);
    let key = world.done(&propose("bad", "inc-bad", restart_of(orders())), Some(Recovery::NotRecovered));
    // Before anybody wrote it down.
    let verdict = judge(&ladder, &world);
    assert!(asks(&verdict) && verdict.reason().contains(key.as_str()), "{verdict:?}");
    let history = world.history();
    let demoted = block_on(ladder.review(&history, &world.ctx)).unwrap();
    assert_eq!(demoted.len(), 1);
    assert_eq!((demoted[0].class, demoted[0].to), (class(), Stage::Suggest));
    assert!(demoted[0].reason.contains(key.as_str()));
    assert!(block_on(ladder.review(&history, &world.ctx)).unwrap().is_empty(), "once");
    assert!(judge(&ladder, &world).reason().contains("only suggests"));
    // The old record does not count again.
    world.go_to(101 * DAY);
    let said = lacking(&promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap_err());
    assert!(said.contains("0 of 20 remedies"), "{said}");
}

/// It was intended before the class acted alone; that it did not help is learnt after.
#[test]
fn a_remedy_in_flight_at_the_promotion_takes_it_back_when_it_fails() {
    for unverified in [false, true] {
        let (_folder, path) = folder();
        let (ladder, world) = (ladder(&path), World::new());
        career(&world, 22, &[]);
        let last = propose("last", "inc-last", restart_of(orders()));
        let key = if unverified { world.done(&last, None) } else { world.intend(&last) };
        let change = promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
        assert_eq!(change.open, std::slice::from_ref(&key));
        assert!(allowed(&judge(&ladder, &world)));
        if unverified {
            world.verify(&key, Recovery::NotRecovered);
        } else {
            world.settle(&key, aiops_core::action::ActionOutcome::Failed { reason: "broke".into() });
        }
        let verdict = judge(&ladder, &world);
        assert!(asks(&verdict) && verdict.reason().contains(key.as_str()), "{verdict:?}");
        assert_eq!(block_on(ladder.review(&world.history(), &world.ctx)).unwrap().len(), 1);
    }
}

#[test]
fn a_clock_set_back_hides_no_failure() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    career(&world, 22, &[]);
    promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    world.go_to(DAY);
    let key = world.done(&propose("bad", "inc-bad", restart_of(orders())), Some(Recovery::NotRecovered));
    let verdict = judge(&ladder, &world);
    assert!(asks(&verdict) && verdict.reason().contains(key.as_str()), "{verdict:?}");
    let history = world.history();
    let demoted = block_on(ladder.review(&history, &world.ctx)).unwrap();
    assert_eq!(demoted[0].record.last_failure, Some(key));
    // What was done before the promotion does not count for the next one, though its clock ran ahead of this one.
    let assessed = block_on(ladder.assess(class(), Seen::of(&history), &world.ctx)).unwrap();
    assert_eq!(assessed.record, Record::default());
}

/// Nobody is let off because a shorter journal took the place of the one the decision rested on.
#[test]
fn a_failure_in_another_journal_counts_too() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    career(&world, 22, &[]);
    promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    let anew = World::new();
    anew.go_to(100 * DAY);
    assert!(allowed(&judge(&ladder, &anew)));
    anew.done(&propose("bad", "inc-bad", restart_of(orders())), Some(Recovery::NotRecovered));
    assert!(asks(&judge(&ladder, &anew)));
}

#[test]
fn undoing_its_own_action_is_never_asked_about() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    let done = propose("p", "inc", rollback_of(orders()));
    world.done(&done, Some(Recovery::NotRecovered));
    assert!(allowed(&world.judge(&ladder, &undoing(&done))));
}

#[test]
fn a_person_may_take_it_back_without_a_reason_in_the_record() {
    let (_folder, path) = folder();
    let (ladder, world) = (ladder(&path), World::new());
    let ada = || Principal::new("ada");
    let history = History::new();
    let demote = |reason: &str| block_on(ladder.demote(class(), ada(), reason, &history, &world.ctx));
    assert_eq!(demote("never promoted").unwrap_err().kind(), ErrorKind::Conflict);
    career(&world, 22, &[]);
    promote(&ladder, &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    assert_eq!(demote("  ").unwrap_err().kind(), ErrorKind::Invalid);
    demote("a new release of the orchestrator").unwrap();
    assert!(asks(&judge(&ladder, &world)));
}

#[test]
fn decisions_survive_a_restart() {
    let (_folder, path) = folder();
    let world = World::new();
    career(&world, 22, &[]);
    let made = promote(&ladder(&path), &world, vouched(), &labels(&world, &[true; 10])).unwrap();
    let again = ladder(&path);
    assert_eq!(block_on(again.decisions(&world.ctx)).unwrap(), [made]);
    assert!(allowed(&judge(&again, &world)));
}

/// A chain that was computed anew does not make a class act alone without somebody who vouched for it.
#[test]
fn a_promotion_without_a_name_under_it_is_not_read() {
    let (_folder, path) = folder();
    drop(ladder(&path));
    let header = std::fs::read(&path).unwrap();
    let mut link = Link::START;
    link.read(header.strip_suffix(b"\n").unwrap()).unwrap();
    let mut record = serde_json::to_value(Record::default()).unwrap();
    record["recovered"] = json!(22);
    let whole = json!({"class": class(), "to": "auto", "by": "x", "reason": "y", "record": record,
        "attested": vouched(), "at": "2026-03-01T12:00:00Z", "head": 66, "open": []});
    let but = |field: &str, value: serde_json::Value| {
        let mut change = whole.clone();
        change[field] = value;
        change
    };
    let partly = json!({"rollback_tested": true, "least_permissions": true, "escalation_playbook": false});
    for (change, word) in [
        (but("attested", json!(null)), "vouched"),
        (but("attested", partly), "vouched"),
        (but("by", json!("")), "a name"),
        (but("by", json!(" \t")), "a name"),
        (but("reason", json!("")), "a reason"),
        (but("record", serde_json::to_value(Record::default()).unwrap()), "no record"),
    ] {
        let (mut link, mut bytes) = (link, header.clone());
        link.write(change.to_string().as_bytes(), &mut bytes).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = Graduation::open(&path, GraduationConfig::default()).unwrap_err();
        assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains(word), "{error}");
    }
    let mut bytes = header;
    link.write(whole.to_string().as_bytes(), &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    ladder(&path);
}

#[test]
fn what_was_not_begun_or_cannot_be_told_is_no_record() {
    let world = World::new();
    world.not_started(&propose("a", "inc", restart_of(orders())));
    world.done(&propose("b", "inc", restart_of(orders())), Some(Recovery::Inconclusive));
    world.failed(&propose("c", "inc", restart_of(orders())));
    world.done(&propose("d", "inc", rollback_of(orders())), Some(Recovery::Recovered));
    let history = world.history();
    let record = Record::of(&class(), Seen::of(&history), None);
    assert_eq!((record.recovered, record.not_recovered, record.unknown), (0, 1, 1));
    let decided = json!({"class": class(), "to": "suggest", "by": "x", "reason": "y", "record": Record::default(),
        "attested": null, "at": world.ctx.now(), "head": history.head(), "open": []});
    let later = Record::of(&class(), Seen::of(&history), Some(&serde_json::from_value(decided).unwrap()));
    assert_eq!(later, Record::default());
}

#[test]
fn settings_are_checked() {
    let (_folder, path) = folder();
    let fine = GraduationConfig::default();
    let bad = [
        GraduationConfig { actions: 0, ..fine },
        GraduationConfig { success: 1.1, ..fine },
        GraduationConfig { accuracy: f64::NAN, ..fine },
        GraduationConfig { z: -0.1, ..fine },
        GraduationConfig { z: f64::INFINITY, ..fine },
    ];
    for config in bad {
        assert_eq!(Graduation::open(&path, config).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(!path.exists(), "nothing was created");
    let written = serde_json::to_value(fine).unwrap();
    assert_eq!(serde_json::from_value::<GraduationConfig>(written).unwrap(), fine);
    assert_eq!(serde_json::from_str::<GraduationConfig>("{}").unwrap(), fine);
    assert!(serde_json::from_str::<GraduationConfig>(r#"{"extra": 1}"#).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The bound solves Wilson's equation: at it, the observed share lies exactly `z` standard errors above.
    #[test]
    fn the_bound_is_wilsons(trials in 1..2_000_usize, share in 0.0..=1.0_f64, z in 0.01..5.0_f64) {
        let successes = (share * trials as f64).round() as usize;
        let bound = wilson_lower_bound(successes, trials, z);
        let p = successes as f64 / trials as f64;
        prop_assert!((0.0..=p + 1e-12).contains(&bound));
        let error = (bound * (1.0 - bound) / trials as f64).sqrt();
        prop_assert!((p - bound - z * error).abs() < 1e-9, "{successes} of {trials} at {z}: {bound}");
        prop_assert!(wilson_lower_bound(successes.min(trials - 1), trials, z) <= wilson_lower_bound(successes.min(trials - 1) + 1, trials, z));
    }
}
