//! What follows from a closed case.

use aiops_act::approval::ApprovalLabel;
use aiops_act::fitted::{FittedState, HoldOut, Role};
use aiops_act::graduation::{ActionClass, Attestation, GraduationConfig, Stage};
use aiops_act::learned::Change;
use aiops_act::learning::{Judge, JudgedDiagnosis, Refit, judged};
use aiops_act::{ApprovalConfig, ApprovalDesk, FittedRegistry, Graduation, Learned, LearnedConfig, Learning};
use aiops_core::action::{Action, ActionKind, IncidentId, Mode, Principal};
use aiops_core::fake::RecordingAudit;
use aiops_core::model::{EntityKind, FittedHash, Recovery, TimeRange};
use aiops_core::{Case, Context, ErrorKind};
use futures_lite::future::block_on;
use serde_json::json;

use crate::support::{World, asks, orders, propose, restart_of, rollback_of, start};

fn class(action: ActionKind) -> ActionClass {
    ActionClass { action, target: EntityKind::Service }
}

/// Enough after two remedies that helped.
fn easy() -> GraduationConfig {
    GraduationConfig {
        actions: 2,
        success: 0.2,
        diagnoses: 0,
        accuracy: 0.0,
        z: 1.0,
        age: std::time::Duration::ZERO,
    }
}

struct Rig {
    folder: tempfile::TempDir,
    world: World,
    graduation: Graduation,
    audit: RecordingAudit,
    learning: Learning,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let graduation = Graduation::open(folder.path().join("graduation"), easy()).unwrap();
    let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
    let audit = RecordingAudit::default();
    let learning =
        Learning::new(graduation.clone(), world.journal.clone()).with_desk(desk).with_audit(audit.clone());
    Rig { folder, world, graduation, audit, learning }
}

impl Rig {
    /// A remedy in an incident of its own, and that incident's case.
    fn incident(&self, id: &str, action: Action, recovery: Recovery) -> Case {
        let key = self.world.done(&propose(id, id, action.clone()), Some(recovery));
        let mut case = Case::open(IncidentId::new(id), start(), Mode::Auto);
        case.act(
            serde_json::from_value(json!({
                "key": key, "fence": 1, "action": action, "started_at": start(), "finished_at": start(),
                "outcome": "completed",
            }))
            .unwrap(),
        );
        case
    }

    fn promote(&self, action: ActionKind) {
        let attested =
            Attestation { rollback_tested: true, least_permissions: true, escalation_playbook: true };
        let history = self.world.history();
        let seen = aiops_act::graduation::Seen::of(&history);
        let by = Principal::new("ada");
        block_on(self.graduation.promote(class(action), by, "good", attested, seen, &self.world.ctx))
            .unwrap();
    }

    fn told(&self) -> Vec<String> {
        self.audit.events().into_iter().map(|event| event.what).collect()
    }
}

#[test]
fn a_case_that_did_not_recover_takes_back_what_its_class_was_trusted_with() {
    let rig = rig();
    rig.incident("a", restart_of(orders()), Recovery::Recovered);
    rig.incident("b", restart_of(orders()), Recovery::Recovered);
    rig.promote(ActionKind::RollingRestart);
    let good = rig.incident("c", restart_of(orders()), Recovery::Recovered);
    let lessons = block_on(rig.learning.learn(&good, &rig.world.ctx)).unwrap();
    assert!(lessons.demoted.is_empty());
    assert_eq!(lessons.classes[0].stage, Stage::Auto);

    let bad = rig.incident("d", restart_of(orders()), Recovery::NotRecovered);
    let lessons = block_on(rig.learning.learn(&bad, &rig.world.ctx)).unwrap();
    assert_eq!(lessons.demoted.len(), 1);
    assert_eq!(
        (lessons.demoted[0].class, lessons.demoted[0].to),
        (class(ActionKind::RollingRestart), Stage::Suggest)
    );
    assert_eq!(lessons.classes[0].stage, Stage::Suggest);
    assert_eq!(rig.told(), ["assessed", "demoted", "assessed"]);
    assert_eq!(rig.audit.events()[1].incident, Some(IncidentId::new("d")));
    let verdict = rig.world.judge(&rig.graduation, &propose("next", "e", restart_of(orders())));
    assert!(asks(&verdict), "{verdict:?}");

    // The same case again, as after a restart, decides nothing anew.
    let again = block_on(rig.learning.learn(&bad, &rig.world.ctx)).unwrap();
    assert!(again.demoted.is_empty());
    assert_eq!(block_on(rig.graduation.decisions(&rig.world.ctx)).unwrap().len(), 2);
}

#[test]
fn a_class_with_the_record_is_named_and_promoted_by_nobody() {
    let rig = rig();
    let first = rig.incident("a", restart_of(orders()), Recovery::Recovered);
    assert_eq!(block_on(rig.learning.learn(&first, &rig.world.ctx)).unwrap().ready().count(), 0);
    let second = rig.incident("b", restart_of(orders()), Recovery::Recovered);
    let lessons = block_on(rig.learning.learn(&second, &rig.world.ctx)).unwrap();
    let ready: Vec<ActionClass> = lessons.ready().map(|assessment| assessment.class).collect();
    assert_eq!(ready, [class(ActionKind::RollingRestart)]);
    assert!(block_on(rig.graduation.decisions(&rig.world.ctx)).unwrap().is_empty());
}

#[test]
fn only_classes_that_acted_in_the_case_are_assessed_and_a_case_without_action_tells_nothing() {
    let rig = rig();
    rig.incident("a", rollback_of(orders()), Recovery::Recovered);
    let case = rig.incident("b", restart_of(orders()), Recovery::Recovered);
    let lessons = block_on(rig.learning.learn(&case, &rig.world.ctx)).unwrap();
    let classes: Vec<ActionClass> = lessons.classes.iter().map(|a| a.class).collect();
    assert_eq!(classes, [class(ActionKind::RollingRestart)]);
    let idle = Case::open(IncidentId::new("c"), start(), Mode::Auto);
    assert!(block_on(rig.learning.learn(&idle, &rig.world.ctx)).unwrap().classes.is_empty());
    assert_eq!(rig.told(), ["assessed"]);
}

#[test]
fn what_cannot_be_written_down_is_an_error() {
    let rig = rig();
    let case = rig.incident("a", restart_of(orders()), Recovery::Recovered);
    let ctx = rig.world.ctx.with_timeout(std::time::Duration::ZERO);
    let refused = block_on(rig.learning.learn(&case, &ctx)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
}

#[test]
fn outcomes_teach_in_writing_and_a_person_takes_it_back() {
    let rig = rig();
    let learned = Learned::open(rig.folder.path().join("learned"), LearnedConfig::default()).unwrap();
    let learning = rig.learning.clone().with_learned(learned.clone());
    let case = rig.incident("a", restart_of(orders()), Recovery::NotRecovered);
    let lessons = block_on(learning.learn(&case, &rig.world.ctx)).unwrap();
    assert_eq!(lessons.taught.len(), 1);
    assert!(block_on(learning.learn(&case, &rig.world.ctx)).unwrap().taught.is_empty());
    let floor = || block_on(learned.floor(&class(ActionKind::RollingRestart), &rig.world.ctx)).unwrap();
    assert!(floor() > 0.7);
    let by = || Principal::new("ada");
    let taken_back = block_on(learning.revert(lessons.taught[0].id(), by(), "a drill", &rig.world.ctx));
    assert!(matches!(taken_back.unwrap(), Change::Reverted(_)));
    assert!(floor() < 0.7);

    rig.incident("b", restart_of(orders()), Recovery::NotRecovered);
    for n in 0..10 {
        rig.incident(&format!("good{n}"), restart_of(orders()), Recovery::Recovered);
    }
    let lessons = block_on(learning.learn(&case, &rig.world.ctx)).unwrap();
    assert_eq!((lessons.taught.len(), lessons.looser.len()), (11, 1));
    block_on(learning.accept(&lessons.looser[0], by(), "it holds", &rig.world.ctx)).unwrap();
    assert!(floor() < 0.7);
    let mut told = rig.told();
    told.dedup();
    let expected = [
        "assessed",
        "learned",
        "assessed",
        "took back what was learned",
        "assessed",
        "learned",
        "proposed a lower floor",
        "lowered a floor",
    ];
    assert_eq!(told, expected);
    let named = rig.audit.events().iter().filter(|e| e.what == "learned").all(|e| {
        let evidence = &e.detail["learned"]["outcome"]["evidence"]["action"];
        evidence["incident"].is_string() && e.detail["learned"]["floor"]["from"].is_number()
    });
    assert!(named, "every line names its case, and from where to where");

    // What only learns stages has nothing to accept or take back.
    let refused = block_on(rig.learning.revert(lessons.taught[0].id(), by(), "so", &rig.world.ctx));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Fits the share of right diagnoses, once there are three.
#[derive(Debug)]
struct Share;

#[async_trait::async_trait]
impl Refit for Share {
    async fn refit(
        &self,
        judged: &[JudgedDiagnosis],
        ctx: &Context,
    ) -> aiops_core::Result<Option<FittedState>> {
        let Some(first) = judged.iter().map(|j| j.at).min().filter(|_| judged.len() >= 3) else {
            return Ok(None);
        };
        let right = judged.iter().filter(|j| j.right).count();
        let hash = FittedHash::of(format!("{right} of {}", judged.len()).as_bytes());
        let range = TimeRange::new(first, ctx.now())?;
        let share =
            f64::from(u32::try_from(right).unwrap()) / f64::from(u32::try_from(judged.len()).unwrap());
        let hold_out =
            HoldOut { cases: judged.len(), precision: share, recall: share, calibration_error: Some(0.0) };
        Ok(Some(FittedState::new("calibrator", hash, 1, "closed cases", range).with_hold_out(hold_out)))
    }
}

#[test]
fn a_calibration_that_was_fitted_anew_is_a_candidate_until_a_person_promotes_it() {
    let rig = rig();
    let registry = FittedRegistry::open(rig.folder.path().join("fitted")).unwrap();
    let learning = rig.learning.clone().with_refit(registry.clone(), Share);
    let learn = |case: &Case| block_on(learning.learn(case, &rig.world.ctx)).unwrap().refitted;
    let decides = || block_on(registry.promoted("calibrator", &rig.world.ctx)).unwrap();
    for id in ["a", "b"] {
        assert_eq!(learn(&rig.incident(id, restart_of(orders()), Recovery::Recovered)), None);
    }
    rig.world.go_to(60);
    let case = rig.incident("c", restart_of(orders()), Recovery::NotRecovered);
    let first = learn(&case).unwrap();
    assert_eq!((first.role, first.by.as_str()), (Role::Candidate, "learning"));
    assert!(first.reason.contains("3 judged diagnoses") && first.reason.contains('c'), "{}", first.reason);
    assert_eq!(learn(&case), None, "the same cases fit the same state");
    assert_eq!(decides(), None);
    let told = rig.audit.events();
    let line = told.iter().find(|event| event.what == "refitted").unwrap();
    assert_eq!(line.detail["judged"].as_array().unwrap().len(), 3);

    let (by, kind) = (|| Principal::new("ada"), "calibrator");
    block_on(registry.promote(kind, &first.state.hash, by(), "it holds", &rig.world.ctx)).unwrap();
    let second = learn(&rig.incident("d", restart_of(orders()), Recovery::Recovered)).unwrap();
    assert_eq!(decides().unwrap().state.hash, first.state.hash, "nothing decides by itself");
    block_on(registry.promote(kind, &second.state.hash, by(), "more cases", &rig.world.ctx)).unwrap();
    block_on(registry.roll_back(kind, &second.state.hash, by(), "worse", &rig.world.ctx)).unwrap();
    assert_eq!(decides().unwrap().state.hash, first.state.hash);
    assert_eq!(learn(&case), None, "what was rolled back is not proposed again");
}

#[test]
fn a_persons_word_stands_before_what_telemetry_says() {
    let rig = rig();
    rig.incident("a", restart_of(orders()), Recovery::Recovered);
    rig.incident("b", restart_of(orders()), Recovery::NotRecovered);
    rig.incident("c", restart_of(orders()), Recovery::Inconclusive);
    let label = |incident: &str, right: Option<bool>| -> ApprovalLabel {
        serde_json::from_value(json!({
            "request": incident, "incident": incident, "proposal": incident, "action": "rolling_restart",
            "target": orders(), "confidence": crate::support::sure(0.8), "granted": true,
            "diagnosis_right": right, "at": start(),
        }))
        .unwrap()
    };
    let labels = [label("a", Some(false)), label("b", None), label("d", Some(true))];
    let judged = judged(&rig.world.history(), &labels);
    let said: Vec<_> = judged.iter().map(|j| (j.incident.as_str(), j.right, j.by)).collect();
    assert_eq!(
        said,
        [("a", false, Judge::Person), ("b", false, Judge::Telemetry), ("d", true, Judge::Person)]
    );
}
