//! What follows from a closed case.

use aiops_act::graduation::{ActionClass, Attestation, GraduationConfig, Stage};
use aiops_act::{ApprovalConfig, ApprovalDesk, Graduation, Learning};
use aiops_core::action::{Action, ActionKind, IncidentId, Mode, Principal};
use aiops_core::fake::RecordingAudit;
use aiops_core::model::{EntityKind, Recovery};
use aiops_core::{Case, ErrorKind};
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
    _folder: tempfile::TempDir,
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
    Rig { _folder: folder, world, graduation, audit, learning }
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
