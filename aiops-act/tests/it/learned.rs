//! What closed cases teach: belief in harm, floors of confidence, and how it is taken back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use aiops_act::approval::ApprovalLabel;
use aiops_act::graduation::ActionClass;
use aiops_act::learned::{ByRecord, Change, ChangeId, Evidence, HarmBelief, LEARNER, Looser};
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
    let itself = block_on(rig.learned.revert(first, Principal::new(LEARNER), "so", &rig.world.ctx));
    assert_eq!(itself.unwrap_err().kind(), ErrorKind::Denied);

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

#[test]
fn a_diagnosis_that_a_person_calls_wrong_counts_once_and_moves_no_belief() {
    let mut rig = rig();
    let label = |request: &str, incident: &str, proposal: &str, right: Option<bool>| -> ApprovalLabel {
        serde_json::from_value(json!({
            "request": request, "incident": incident, "proposal": proposal, "action": "rolling_restart",
            "target": orders(), "confidence": sure(0.8), "granted": false, "diagnosis_right": right, "at": at(5),
        }))
        .unwrap()
    };
    rig.restarts(false, 1);
    let labels = [
        label("q1", "asked", "p", Some(false)),
        label("q2", "asked", "p", Some(true)),
        label("q3", "asked", "p", None),
        // The remedy itself did not help, which says it already.
        label("q4", "i1", "i1", Some(false)),
    ];
    let learn = || block_on(rig.learned.learn(&rig.world.history(), &labels, &rig.world.ctx)).unwrap();
    let taught: BTreeSet<Evidence> = learn().iter().map(|c| lesson(c).outcome.evidence.clone()).collect();
    assert_eq!(taught.len(), 2, "{taught:?}");
    assert!(learn().is_empty());
    near(rig.floor(), 0.82);
    assert_eq!(rig.harm(), HarmBelief { harmed: 2.0, helped: 1.0 });
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

/// Rewrites the last line of the file with another payload, under a chain that is right.
fn forge(path: &Path, change: impl Fn(&mut serde_json::Value)) {
    let text = std::fs::read_to_string(path).unwrap();
    let payloads: Vec<&str> = text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
    let (mut link, mut bytes) = (aiops_act::ledger::Link::START, Vec::new());
    for (n, payload) in payloads.iter().enumerate() {
        let mut value: serde_json::Value = serde_json::from_str(payload).unwrap();
        let last = n + 1 == payloads.len();
        if last {
            change(&mut value);
        }
        let line = if last { value.to_string() } else { (*payload).to_owned() };
        link.write(line.as_bytes(), &mut bytes).unwrap();
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_forged_line_is_refused() {
    type Forgery = fn(&mut serde_json::Value);
    let of_a_lesson: [Forgery; 4] = [
        |v| v["learned"]["floor"]["to"] = json!(0.1),
        |v| v["learned"]["outcome"]["confidence"] = json!(1.5),
        |v| v["learned"]["id"] = json!(7),
        |v| v["learned"]["more"] = json!(1),
    ];
    let of_a_lowering: [Forgery; 3] = [
        |v| v["lowered"]["by"] = json!(LEARNER),
        |v| v["lowered"]["proposed"]["evidence"] = json!([]),
        |v| v["lowered"]["reason"] = json!(""),
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
        forge(&path, |_| {});
        Learned::open(&path, LearnedConfig::default()).unwrap();
        forge(&path, forgery);
        Learned::open(&path, LearnedConfig::default()).map(drop).unwrap_err()
    };
    for forgery in of_a_lesson {
        forged(false, forgery);
    }
    for forgery in of_a_lowering {
        forged(true, forgery);
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Remedy(bool),
    Learn,
    AcceptAll,
    Revert(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => any::<bool>().prop_map(Event::Remedy), 6 => Just(Event::Remedy(true)), 6 => Just(Event::Learn),
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
            Change::Lowered(lowering) => floor = floor.min(lowering.proposed.floor.to.max(asked)),
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
                Event::Learn => {
                    rig.learn();
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
