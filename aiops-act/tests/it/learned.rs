//! What closed cases teach: belief in harm, floors of confidence, and how it is taken back.

use std::path::Path;
use std::sync::Arc;

use aiops_act::approval::ApprovalLabel;
use aiops_act::graduation::ActionClass;
use aiops_act::learned::{ByRecord, Change, ChangeId, Evidence, HarmBelief, LEARNER, Looser};
use aiops_act::ledger::{Damage, Flaw};
use aiops_act::{Learned, LearnedConfig};
use aiops_core::action::{Action, ActionKind, IncidentId, Mode, Principal, Proposal};
use aiops_core::fake::ScriptedPlanner;
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{EntityKind, Recovery};
use aiops_core::seam::Planner;
use aiops_core::{Case, ErrorKind};
use futures_lite::future::block_on;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{
    World, allowed, asks, at, forged_undoing, orders, propose, restart_of, rollback_of, start, sure, undoing,
};

const RESTARTS: ActionClass = ActionClass { action: ActionKind::RollingRestart, target: EntityKind::Service };

struct Rig {
    folder: tempfile::TempDir,
    world: World,
    learned: Learned,
    incidents: usize,
}

fn open(folder: &Path, config: LearnedConfig) -> Learned {
    Learned::open(folder.join("learned"), config).unwrap()
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let learned = open(folder.path(), LearnedConfig::default());
    Rig { folder, world: World::new(), learned, incidents: 0 }
}

fn as_sure(id: &str, action: Action, confidence: f64) -> Proposal {
    let mut proposal = propose(id, id, action);
    proposal.confidence = sure(confidence);
    proposal
}

fn ada() -> Principal {
    Principal::new("ada")
}

impl Rig {
    /// A remedy in an incident of its own.
    fn remedy(&mut self, action: Action, helped: bool) {
        self.incidents += 1;
        let id = format!("i{}", self.incidents);
        let recovery = if helped { Recovery::Recovered } else { Recovery::NotRecovered };
        self.world.done(&propose(&id, &id, action), Some(recovery));
    }

    fn restarts(&mut self, helped: bool, times: usize) {
        (0..times).for_each(|_| self.remedy(restart_of(orders()), helped));
    }

    fn learn(&self) -> Vec<Change> {
        block_on(self.learned.learn(&self.world.history(), &[], &self.world.ctx)).unwrap()
    }

    fn floor(&self) -> f64 {
        block_on(self.learned.floor(&RESTARTS, &self.world.ctx)).unwrap()
    }

    fn harm(&self) -> HarmBelief {
        block_on(self.learned.harm(&RESTARTS, &self.world.ctx)).unwrap()
    }

    fn looser(&self) -> Vec<Looser> {
        block_on(self.learned.looser(&self.world.ctx)).unwrap()
    }

    fn accept(&self, looser: &Looser) -> aiops_core::Result<Change> {
        block_on(self.learned.accept(looser, ada(), "it holds", &self.world.ctx))
    }

    fn revert(&self, of: ChangeId) -> aiops_core::Result<Change> {
        block_on(self.learned.revert(of, ada(), "the sensor was broken", &self.world.ctx))
    }

    /// The confidence that the guard asks for, to 0.001.
    fn asked(&self) -> f64 {
        let (mut low, mut high) = (0.6, 1.0);
        while high - low > 5e-4 {
            let middle = f64::midpoint(low, high);
            if self.asks_at(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn asks_at(&self, confidence: f64) -> bool {
        let verdict = self.world.judge(&self.learned, &as_sure("next", restart_of(orders()), confidence));
        assert!(asks(&verdict) || allowed(&verdict), "{verdict:?}");
        asks(&verdict)
    }
}

#[track_caller]
fn near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-12, "{left} is not {right}");
}

fn lesson(change: &Change) -> &aiops_act::learned::Lesson {
    match change {
        Change::Learned(lesson) => lesson,
        other => panic!("not a lesson: {other:?}"),
    }
}

#[test]
fn a_wrong_action_raises_what_is_asked_for_and_names_its_case() {
    let mut rig = rig();
    assert!(!rig.asks_at(0.66));
    rig.restarts(false, 1);
    let taught = rig.learn();
    let [change] = taught.as_slice() else { panic!("{taught:?}") };
    let lesson = lesson(change);
    assert!(
        matches!(&lesson.outcome.evidence, Evidence::Action { incident, .. } if incident.as_str() == "i1")
    );
    near(lesson.floor.from, 0.65);
    near(lesson.floor.to, 0.735);
    assert_eq!(
        (lesson.harm.from, lesson.harm.to),
        (HarmBelief::default(), HarmBelief { harmed: 2.0, helped: 1.0 })
    );
    assert!(rig.asks_at(0.73));
    assert!(!rig.asks_at(0.74));
    // Another class has its own record, and an undoing was consented to with what it undoes.
    let other = as_sure("other", rollback_of(orders()), 0.66);
    assert!(allowed(&rig.world.judge(&rig.learned, &other)));
    let mut remedy = as_sure("r", rollback_of(orders()), 0.9);
    remedy.incident = IncidentId::new("r");
    rig.world.done(&remedy, Some(Recovery::NotRecovered));
    let mut undo = undoing(&remedy);
    undo.confidence = sure(0.1);
    assert!(allowed(&rig.world.judge(&rig.learned, &undo)));
    let mut forged = forged_undoing("f", "f", restart_of(orders()));
    forged.confidence = sure(0.7);
    assert!(asks(&rig.world.judge(&rig.learned, &forged)));
}

#[test]
fn what_is_not_learned_yet_holds_already() {
    let mut rig = rig();
    rig.restarts(false, 1);
    assert!(rig.asks_at(0.7));
    rig.learn();
    near(rig.floor(), 0.735);
    rig.restarts(false, 1);
    // One that was learned and one that was not.
    assert!(rig.asks_at(0.81) && !rig.asks_at(0.83));
    rig.learn();
    assert!(rig.asks_at(0.81) && !rig.asks_at(0.83));
}

#[test]
fn one_case_teaches_once_also_after_a_restart() {
    let mut rig = rig();
    rig.restarts(false, 1);
    rig.restarts(true, 2);
    assert_eq!(rig.learn().len(), 3);
    let (floor, harm) = (rig.floor(), rig.harm());
    assert!(rig.learn().is_empty());
    // A second replica on the same file, and the next run.
    let again = open(rig.folder.path(), LearnedConfig::default());
    assert!(block_on(again.learn(&rig.world.history(), &[], &rig.world.ctx)).unwrap().is_empty());
    let told = block_on(again.changes(&rig.world.ctx)).unwrap();
    assert_eq!(told, block_on(rig.learned.changes(&rig.world.ctx)).unwrap());
    near(block_on(again.floor(&RESTARTS, &rig.world.ctx)).unwrap(), floor);
    assert_eq!(block_on(again.harm(&RESTARTS, &rig.world.ctx)).unwrap(), harm);
}

#[test]
fn what_nobody_knows_the_end_of_teaches_nothing_yet() {
    let rig = rig();
    let key = rig.world.done(&propose("a", "a", restart_of(orders())), None);
    rig.world.not_started(&propose("b", "b", restart_of(aiops_core::model::EntityId::service("store"))));
    assert!(rig.learn().is_empty());
    rig.world.verify(&key, Recovery::NotRecovered);
    assert_eq!(rig.learn().len(), 1);
}

#[test]
fn no_success_loosens_anything_until_a_person_accepts_it() {
    let mut rig = rig();
    rig.restarts(false, 2);
    rig.restarts(true, 9);
    rig.learn();
    near(rig.floor(), 0.82);
    assert!(rig.looser().is_empty(), "nine of ten");
    rig.restarts(true, 1);
    rig.learn();
    near(rig.floor(), 0.82);
    assert!(rig.asks_at(0.8));
    let proposed = rig.looser();
    let [looser] = proposed.as_slice() else { panic!("{proposed:?}") };
    // 0.65 + 2 · 0.085 − 10 · 0.015 is what the record asks for, and one step is at most 0.1.
    near(looser.floor.from, 0.82);
    near(looser.floor.to, 0.72);
    assert_eq!(looser.evidence.len(), 10);

    for (by, reason) in [("", "why not"), ("ada", " ")] {
        let refused = block_on(rig.learned.accept(looser, Principal::new(by), reason, &rig.world.ctx));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let itself = block_on(rig.learned.accept(looser, Principal::new(LEARNER), "it is good", &rig.world.ctx));
    assert_eq!(itself.unwrap_err().kind(), ErrorKind::Denied);
    let mut bolder = looser.clone();
    bolder.floor.to = 0.65;
    assert_eq!(rig.accept(&bolder).unwrap_err().kind(), ErrorKind::Conflict);

    let lowered = rig.accept(looser).unwrap();
    near(rig.floor(), 0.72);
    assert!(!rig.asks_at(0.73));
    assert_eq!(rig.accept(looser).unwrap_err().kind(), ErrorKind::Conflict, "once");
    assert!(rig.looser().is_empty(), "the record begins anew");
    // Taken back, the floor is what it was.
    rig.revert(lowered.id()).unwrap();
    near(rig.floor(), 0.82);
}

#[test]
fn a_proposal_falls_with_the_next_failure() {
    let mut rig = rig();
    rig.restarts(false, 2);
    rig.restarts(true, 10);
    rig.learn();
    let looser = rig.looser().remove(0);
    rig.restarts(false, 1);
    rig.learn();
    assert!(rig.looser().is_empty());
    assert_eq!(rig.accept(&looser).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn what_is_taken_back_is_as_if_it_had_never_been() {
    let mut rig = rig();
    rig.restarts(false, 1);
    let first = rig.learn().remove(0).id();
    rig.restarts(false, 1);
    rig.learn();
    rig.revert(first).unwrap();
    // As one failure alone.
    near(rig.floor(), 0.735);
    assert_eq!(rig.harm(), HarmBelief { harmed: 2.0, helped: 1.0 });
    assert!(rig.asks_at(0.73) && !rig.asks_at(0.74));
    assert!(rig.learn().is_empty(), "its case does not teach again");
    assert_eq!(rig.revert(first).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(rig.revert(ChangeId(99)).unwrap_err().kind(), ErrorKind::NotFound);
    for by in [LEARNER, "Learning", " LEARNING\n"] {
        let itself = block_on(rig.learned.revert(first, Principal::new(by), "so", &rig.world.ctx));
        assert_eq!(itself.unwrap_err().kind(), ErrorKind::Denied, "{by:?}");
    }

    let again = open(rig.folder.path(), LearnedConfig::default());
    near(block_on(again.floor(&RESTARTS, &rig.world.ctx)).unwrap(), 0.735);
    // A reversal that was a mistake is taken back itself, and the change may be taken back once more.
    let changes = block_on(again.changes(&rig.world.ctx)).unwrap();
    let reversal = changes.last().unwrap().id();
    let taken_back = rig.revert(reversal).unwrap();
    near(rig.floor(), 0.82);
    rig.revert(first).unwrap();
    near(rig.floor(), 0.735);
    // Both reversals stand then, and one is enough.
    rig.revert(taken_back.id()).unwrap();
    near(rig.floor(), 0.735);
}

fn label(request: &str, incident: &str, proposal: &str, right: Option<bool>) -> ApprovalLabel {
    serde_json::from_value(json!({
        "request": request, "incident": incident, "proposal": proposal, "action": "rolling_restart",
        "target": orders(), "confidence": sure(0.8), "granted": false, "diagnosis_right": right, "at": at(5),
    }))
    .unwrap()
}

#[test]
fn a_diagnosis_that_a_person_calls_wrong_counts_once_and_moves_no_belief() {
    let rig = rig();
    let labels = [
        label("q1", "asked", "p", Some(false)),
        label("q2", "asked", "p", Some(true)),
        label("q3", "asked", "p", None),
    ];
    let learn = || block_on(rig.learned.learn(&rig.world.history(), &labels, &rig.world.ctx)).unwrap();
    assert_eq!(learn().len(), 1);
    assert!(learn().is_empty());
    near(rig.floor(), 0.735);
    assert_eq!(rig.harm(), HarmBelief::default());
}

#[test]
fn an_answer_and_the_end_of_its_remedy_teach_the_same_whichever_comes_first() {
    let learned_in = |order: [bool; 2]| {
        let mut rig = rig();
        for answer in order {
            if answer {
                let labels = [label("q", "i1", "i1", Some(false))];
                block_on(rig.learned.learn(&rig.world.history(), &labels, &rig.world.ctx)).unwrap();
            } else {
                rig.restarts(false, 1);
                rig.learn();
            }
        }
        (rig.floor(), rig.harm())
    };
    let (floor, harm) = learned_in([true, false]);
    assert_eq!(learned_in([false, true]), (floor, harm));
    near(floor, 0.82);
    assert_eq!(harm, HarmBelief { harmed: 2.0, helped: 1.0 });
}

#[test]
fn plans_are_ordered_by_what_is_expected_of_them() {
    let mut rig = rig();
    let plan = |rig: &Rig, proposals: Vec<Proposal>| -> Vec<String> {
        let planner = ByRecord::new(ScriptedPlanner::of([proposals]), rig.learned.clone());
        let case = Case::open(IncidentId::new("c"), start(), Mode::Auto);
        let planned = block_on(planner.plan(&case, &rig.world.ctx)).unwrap();
        planned.iter().map(|p| p.id.to_string()).collect()
    };
    let proposals = || {
        vec![as_sure("restart", restart_of(orders()), 0.7), as_sure("rollback", rollback_of(orders()), 0.9)]
    };
    assert_eq!(plan(&rig, proposals()), ["restart", "rollback"], "the planner's own, while nothing is known");
    rig.restarts(false, 1);
    let lesson = rig.learn().remove(0).id();
    // .7 · 1/3 against .9 · 1/2.
    assert_eq!(plan(&rig, proposals()), ["rollback", "restart"]);
    rig.revert(lesson).unwrap();
    assert_eq!(plan(&rig, proposals()), ["restart", "rollback"]);
    rig.restarts(true, 1);
    rig.learn();
    // .7 · 2/3 against .9 · 1/2.
    assert_eq!(plan(&rig, proposals()), ["restart", "rollback"]);
    // Of equals the smaller goes first, then the planner's order.
    let mut wide = as_sure("wide", restart_of(orders()), 0.7);
    wide.action.blast_radius = crate::support::radius(2, 0.5);
    let twins =
        vec![wide, as_sure("one", restart_of(orders()), 0.7), as_sure("two", restart_of(orders()), 0.7)];
    assert_eq!(plan(&rig, twins), ["one", "two", "wide"]);
}

#[test]
fn it_holds_in_a_chain() {
    let mut rig = rig();
    rig.restarts(false, 1);
    rig.learn();
    rig.world.go_to(10_000);
    let chain = GuardChain::builder(rig.world.journal.clone())
        .guard(rig.learned.clone())
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let authorize = |proposal| block_on(chain.authorize(proposal, &rig.world.mitigator, &rig.world.ctx));
    assert!(authorize(as_sure("unsure", restart_of(orders()), 0.7)).is_err(), "nobody to ask is a no");
    assert!(authorize(as_sure("sure", restart_of(orders()), 0.9)).is_ok());
}

#[test]
fn settings_out_of_range_are_refused_and_named() {
    type Slip = fn(&mut LearnedConfig);
    let folder = tempfile::tempdir().unwrap();
    let of = |change: fn(&mut LearnedConfig)| {
        let mut config = LearnedConfig::default();
        change(&mut config);
        Learned::open(folder.path().join("learned"), config).map(drop).unwrap_err()
    };
    let wrong: [(&str, Slip); 9] = [
        ("base", |c| c.base = f64::NAN),
        ("base", |c| c.base = -0.1),
        ("most", |c| c.most = 0.6),
        ("target", |c| c.target = 0.0),
        ("target", |c| c.target = 1.0),
        ("rate", |c| c.rate = f64::INFINITY),
        ("record", |c| c.record = 0),
        ("prior", |c| c.prior.helped = 0.0),
        ("prior", |c| {
            c.prior_by_kind.insert(ActionKind::Scale, HarmBelief { harmed: f64::NAN, helped: 1.0 });
        }),
    ];
    for (field, change) in wrong {
        let refused = of(change);
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(field), "{refused}");
    }
    assert!(serde_json::from_str::<LearnedConfig>(r#"{"floor": 0.5}"#).is_err());
}

/// Rewrites the last line of the file with another payload, made of it and the one before, under a chain that is right.
fn forge(path: &Path, change: impl Fn(&mut serde_json::Value, &serde_json::Value)) {
    let text = std::fs::read_to_string(path).unwrap();
    let payloads: Vec<&str> = text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    let (mut link, mut bytes) = (aiops_act::ledger::Link::START, Vec::new());
    let mut before = serde_json::Value::Null;
    for (n, payload) in payloads.iter().enumerate() {
        let mut value: serde_json::Value = serde_json::from_str(payload).unwrap();
        let last = n + 1 == payloads.len();
        if last {
            change(&mut value, &before);
        }
        let line = if last { value.to_string() } else { (*payload).to_owned() };
        link.write(line.as_bytes(), &mut bytes).unwrap();
        before = value;
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_forged_line_is_refused() {
    type Forgery = fn(&mut serde_json::Value, &serde_json::Value);
    let of_a_lesson: [(&str, Forgery); 5] = [
        ("no lesson lowers a floor", |v, _| v["learned"]["floor"]["to"] = json!(0.1)),
        ("a confidence lies in 0..=1", |v, _| v["learned"]["outcome"]["confidence"] = json!(1.5)),
        ("another number than its place", |v, _| v["learned"]["id"] = json!(7)),
        ("not a change of what was learned", |v, _| v["learned"]["more"] = json!(1)),
        ("this taught before", |v, before| {
            v["learned"]["outcome"]["evidence"] = before["learned"]["outcome"]["evidence"].clone();
        }),
    ];
    let of_a_lowering: [(&str, Forgery); 5] = [
        ("decided by a person", |v, _| v["lowered"]["by"] = json!(LEARNER)),
        ("decided by a person", |v, _| v["lowered"]["by"] = json!(" Learning\t")),
        ("on evidence only", |v, _| v["lowered"]["proposed"]["evidence"] = json!([])),
        ("has a name and a reason", |v, _| v["lowered"]["reason"] = json!("")),
        ("has a name and a reason", |v, _| v["lowered"]["by"] = json!(" ")),
    ];
    let forged = |lowered: bool, forgery: Forgery| {
        let mut rig = rig();
        rig.restarts(false, 2);
        if lowered {
            rig.restarts(true, 10);
        }
        rig.learn();
        if lowered {
            rig.accept(&rig.looser()[0]).unwrap();
        }
        let path = rig.folder.path().join("learned");
        drop(rig.learned);
        forge(&path, |_, _| {});
        Learned::open(&path, LearnedConfig::default()).unwrap();
        forge(&path, forgery);
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        (Learned::open(&path, LearnedConfig::default()).map(drop).unwrap_err(), lines)
    };
    let all = of_a_lesson.map(|(why, f)| (why, forged(false, f)));
    for (why, (refused, lines)) in all.into_iter().chain(of_a_lowering.map(|(why, f)| (why, forged(true, f))))
    {
        assert_eq!(refused.kind(), ErrorKind::Malformed, "{why}");
        let damage = std::error::Error::source(&refused).and_then(|s| s.downcast_ref::<Damage>()).unwrap();
        assert_eq!(damage.line, u64::try_from(lines).unwrap() - 1, "the line that was forged");
        assert!(matches!(&damage.flaw, Flaw::Content(said) if said.contains(why)), "{why}: {damage}");
    }
}

#[test]
fn learning_leaves_what_is_asked_for_where_it_is() {
    let mut rig = rig();
    rig.restarts(false, 1);
    rig.restarts(true, 6);
    rig.learn();
    // The record asks for less than what is in force: a failure adds to what it asks for, before it is learned and after.
    rig.restarts(false, 1);
    assert!(rig.asks_at(0.734) && !rig.asks_at(0.736));
    rig.learn();
    assert!(rig.asks_at(0.734) && !rig.asks_at(0.736));
}

#[test]
fn one_in_flight_that_fails_late_holds_at_once() {
    let mut rig = rig();
    let slow = rig.world.done(&propose("slow", "slow", restart_of(orders())), None);
    rig.restarts(false, 1);
    rig.learn();
    near(rig.floor(), 0.735);
    // It stands in the journal before the one that was learned.
    rig.world.verify(&slow, Recovery::NotRecovered);
    assert!(rig.asks_at(0.81) && !rig.asks_at(0.83));
    rig.learn();
    near(rig.floor(), 0.82);
}

#[test]
fn a_remedy_that_turns_out_not_to_have_helped_teaches_that_once() {
    let mut rig = rig();
    rig.restarts(false, 1);
    let key = rig.world.done(&propose("relapse", "relapse", restart_of(orders())), Some(Recovery::Recovered));
    rig.learn();
    near(rig.floor(), 0.735);
    rig.world.verify(&key, Recovery::NotRecovered);
    // .735 − .015 + .085, in the guard at once.
    assert!(rig.asks_at(0.8) && !rig.asks_at(0.81));
    let taught = rig.learn();
    assert!(!lesson(&taught[0]).outcome.good && taught.len() == 1);
    near(rig.floor(), 0.805);
    assert_eq!(rig.harm(), HarmBelief { harmed: 3.0, helped: 2.0 });
    // There and back again is not a way to more lessons, and a success afterwards takes nothing back.
    rig.world.verify(&key, Recovery::Recovered);
    assert!(rig.learn().is_empty());
    rig.world.verify(&key, Recovery::NotRecovered);
    assert!(rig.learn().is_empty());
    let again = open(rig.folder.path(), LearnedConfig::default());
    near(block_on(again.floor(&RESTARTS, &rig.world.ctx)).unwrap(), 0.805);
}

#[test]
fn a_lower_floor_falls_with_what_it_was_accepted_on() {
    let mut rig = rig();
    rig.restarts(false, 2);
    rig.restarts(true, 12);
    let taught = rig.learn();
    let looser = rig.looser().remove(0);
    assert_eq!(looser.evidence.len(), 10, "the newest of twelve");
    rig.accept(&looser).unwrap();
    near(rig.floor(), 0.72);
    // What it was not accepted on it does not fall with.
    rig.revert(taught[2].id()).unwrap();
    near(rig.floor(), 0.72);
    let reversal = rig.revert(taught[13].id()).unwrap();
    near(rig.floor(), 0.82);
    rig.revert(reversal.id()).unwrap();
    near(rig.floor(), 0.72);
}

#[test]
fn lessons_are_written_together_or_not_at_all() {
    let mut rig = rig();
    rig.restarts(false, 2);
    let endless = "i".repeat(aiops_act::ledger::LONGEST_LINE);
    rig.world.done(&propose("p", &endless, restart_of(orders())), Some(Recovery::NotRecovered));
    let learn = block_on(rig.learned.learn(&rig.world.history(), &[], &rig.world.ctx));
    assert_eq!(learn.unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(block_on(rig.learned.changes(&rig.world.ctx)).unwrap(), []);
    near(rig.floor(), 0.65);
    assert!(rig.asks_at(0.9), "the guard knows all three");
}

#[test]
fn two_replicas_write_in_turn() {
    let mut rig = rig();
    let other = open(rig.folder.path(), LearnedConfig::default());
    let ctx = rig.world.ctx.clone();
    for turn in 0..6 {
        rig.restarts(turn > 1, 2);
        let writer = if turn % 2 == 0 { &rig.learned } else { &other };
        let reader = if turn % 2 == 0 { &other } else { &rig.learned };
        let taught = block_on(writer.learn(&rig.world.history(), &[], &ctx)).unwrap();
        assert_eq!(taught.iter().map(|c| c.id().0).collect::<Vec<_>>(), [2 * turn, 2 * turn + 1]);
        assert!(block_on(reader.learn(&rig.world.history(), &[], &ctx)).unwrap().is_empty());
    }
    rig.restarts(true, 2);
    rig.learn();
    let looser = block_on(other.looser(&ctx)).unwrap().remove(0);
    rig.accept(&looser).unwrap();
    let again = block_on(other.accept(&looser, ada(), "it holds", &ctx)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "once, whoever is asked");
    let changes = block_on(rig.learned.changes(&ctx)).unwrap();
    assert_eq!(changes.len(), 15);
    for opened in [&other, &open(rig.folder.path(), LearnedConfig::default())] {
        assert_eq!(block_on(opened.changes(&ctx)).unwrap(), changes);
        near(block_on(opened.floor(&RESTARTS, &ctx)).unwrap(), rig.floor());
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Remedy(bool),
    /// A remedy whose end is not known yet.
    Begin,
    /// What became of one, perhaps other than was said before.
    Verify(usize, bool),
    Learn,
    AcceptAll,
    Revert(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any::<bool>().prop_map(Event::Remedy), 6 => Just(Event::Remedy(true)), 6 => Just(Event::Learn),
        3 => Just(Event::Begin), 3 => any::<(usize, bool)>().prop_map(|(pick, helped)| Event::Verify(pick, helped)),
        2 => Just(Event::AcceptAll), 1 => any::<usize>().prop_map(Event::Revert),
    ]
}

/// The numbers by the book: what stands, in order, by the formulas of the documentation.
fn naive(changes: &[Change], config: &LearnedConfig) -> (f64, f64, HarmBelief) {
    fn stands(changes: &[Change], id: ChangeId) -> bool {
        !changes.iter().any(|c| matches!(c, Change::Reverted(r) if r.of == id && stands(changes, r.id)))
    }
    let (mut asked, mut floor, mut harm) = (config.base, config.base, config.prior);
    for change in changes.iter().filter(|c| stands(changes, c.id())) {
        match change {
            Change::Learned(lesson) => {
                let wrong = f64::from(u8::from(!lesson.outcome.good));
                asked = (asked + config.rate * (wrong - config.target)).clamp(config.base, config.most);
                floor = floor.max(asked);
                harm.harmed += wrong;
                harm.helped += 1.0 - wrong;
            }
            Change::Lowered(lowering) => {
                let held = |evidence: &Evidence| {
                    changes.iter().any(|c| {
                        matches!(c, Change::Learned(l) if l.outcome.good && l.outcome.evidence == *evidence)
                            && stands(changes, c.id())
                    })
                };
                if lowering.proposed.evidence.iter().all(held) {
                    floor = floor.min(lowering.proposed.floor.to.max(asked));
                }
            }
            Change::Reverted(_) => {}
        }
    }
    (asked, floor, harm)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_what_the_changes_that_stand_add_up_to(events in proptest::collection::vec(event(), 1..60)) {
        let mut rig = rig();
        let config = LearnedConfig { record: 3, ..LearnedConfig::default() };
        rig.learned = open(rig.folder.path(), config.clone());
        for event in events {
            let before = rig.floor();
            match event {
                Event::Remedy(helped) => rig.restarts(helped, 1),
                Event::Begin => {
                    rig.incidents += 1;
                    let id = format!("i{}", rig.incidents);
                    rig.world.done(&propose(&id, &id, restart_of(orders())), None);
                }
                Event::Verify(pick, helped) => {
                    let history = rig.world.history();
                    let recovery = if helped { Recovery::Recovered } else { Recovery::NotRecovered };
                    if let Some(action) = history.actions().nth(pick % rig.incidents.max(1)) {
                        rig.world.verify(&action.intent.key, recovery);
                    }
                }
                Event::Learn => {
                    let asked = rig.asked();
                    rig.learn();
                    prop_assert!((rig.asked() - asked).abs() < 1e-3, "the guard asks for the same: {asked}");
                    prop_assert!(rig.floor() >= before, "learning loosens nothing");
                    prop_assert!(rig.floor() <= config.most);
                }
                Event::AcceptAll => {
                    for looser in rig.looser() {
                        rig.accept(&looser).unwrap();
                        let step = before - rig.floor();
                        prop_assert!(step > 0.0 && step <= config.rate + 1e-12, "a bounded step: {step}");
                    }
                }
                Event::Revert(pick) => {
                    let changes = block_on(rig.learned.changes(&rig.world.ctx)).unwrap();
                    if !changes.is_empty() {
                        drop(rig.revert(changes[pick % changes.len()].id()));
                    }
                }
            }
            let changes = block_on(rig.learned.changes(&rig.world.ctx)).unwrap();
            let (asked, floor, harm) = naive(&changes, &config);
            prop_assert!((rig.floor() - floor).abs() < 1e-9 && floor >= asked - 1e-9);
            prop_assert_eq!(rig.harm(), harm);
        }
    }
}

/// Gibbs & Candès, proposition 4.1: wrong actions among those that may run alone come to the target, whatever their order, when every lower
/// floor is accepted.
#[test]
fn in_the_long_run_wrong_actions_alone_come_to_the_target() {
    let config = LearnedConfig { base: 0.0, most: 1.0, record: 1, ..LearnedConfig::default() };
    let folder = tempfile::tempdir().unwrap();
    let learned = open(folder.path(), config.clone());
    let ctx = aiops_core::Context::new(Arc::new(aiops_core::ManualClock::at(start())));
    // Confidences claim more than they are worth, and worse so after the middle.
    let (mut random, mut alone, mut wrong) = (fastrand::Rng::with_seed(7), 0_u32, 0_u32);
    for n in 0..600 {
        let confidence = random.f64();
        let world = World::new();
        let worth = if n < 300 { confidence.powi(2) } else { confidence.powi(4) };
        let floor = block_on(learned.floor(&RESTARTS, &ctx)).unwrap();
        if confidence < floor {
            continue;
        }
        let helped = random.f64() < worth;
        alone += 1;
        wrong += u32::from(!helped);
        let id = format!("n{n}");
        let recovery = if helped { Recovery::Recovered } else { Recovery::NotRecovered };
        world.done(&as_sure(&id, restart_of(orders()), confidence), Some(recovery));
        block_on(learned.learn(&world.history(), &[], &ctx)).unwrap();
        for looser in block_on(learned.looser(&ctx)).unwrap() {
            block_on(learned.accept(&looser, ada(), "as the record says", &ctx)).unwrap();
        }
    }
    let share = f64::from(wrong) / f64::from(alone);
    // |share − target| ≤ (range + rate) / (rate · n), and what runs alone is at most what may.
    let bound = config.target + 1.1 / (config.rate * f64::from(alone));
    println!("{wrong} of {alone} wrong, {share:.3}; at most {bound:.3}");
    assert!(alone > 50 && share <= bound);
}
