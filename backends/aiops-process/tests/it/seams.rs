//! The supervisor behind the seams: rights are spent once, lost answers are in doubt, previews only read.

use std::time::Duration;

use aiops_core::action::{
    Action, ActionOutcome, ActionStatus, BlastRadius, IdempotencyKey, IncidentId, Mode,
    Operation as CoreOperation, Principal, Proposal, ProposalId, Share, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal};
use aiops_core::guard::{ChainConfig, GuardChain, Intended, KillSwitch};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{ChangeKind, Confidence, EntityId, TimeRange};
use aiops_core::seam::{ChangeFeed, Mitigator};
use aiops_core::{Context, ErrorKind};
use aiops_process::{ConfigChange, Operation, ProcessMitigator, Supervisor};
use libtest_mimic::Trial;

use crate::support::{apply, pids, start, table, trial, until, view, web};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("an_authorised_restart_is_executed_and_receipted", executed),
        trial("a_lost_answer_is_in_doubt_and_its_status_tells", in_doubt),
        trial("the_kill_switch_stops_an_intended_action", killed),
        trial("a_failed_operation_is_a_receipt_not_an_error", failed),
        trial("a_key_that_was_called_not_started_never_runs", not_started),
        trial("a_preview_only_reads", preview),
        trial("it_conforms_to_the_contract_of_mitigators", conforms),
        trial("a_clock_that_jumps_back_does_not_disorder_the_feed", clock_jump),
        trial("changes_are_fed_with_revisions_in_order_of_time", feed),
    ]
}

struct Bench {
    supervisor: Supervisor,
    mitigator: ProcessMitigator,
    kill_switch: KillSwitch,
    _folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let mut front = web("front", 2);
    front.readiness.as_mut().unwrap().deadline = Duration::from_millis(700);
    let (supervisor, folder) = start(vec![front]).await;
    let kill_switch = KillSwitch::new();
    let mitigator = ProcessMitigator::new(supervisor.clone(), "pipeline");
    Bench { supervisor, mitigator, kill_switch, _folder: folder }
}

fn action(operation: CoreOperation, target: EntityId) -> Action {
    Action::new(operation, target, BlastRadius { replicas: 2, share_of_fleet: Share::new(1.0).unwrap() })
}

fn restart() -> Action {
    let operation = CoreOperation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    action(operation, EntityId::service("front"))
}

impl Bench {
    /// Authorises and records an action, in a journal of its own: what ended before is not looked at here.
    async fn intend(&self, id: &str, action: Action) -> Intended<Action> {
        let ctx = Context::system();
        let chain = GuardChain::builder(InMemoryJournal::default())
            .guard(FixedGuard::new("test", Verdict::allow("test")))
            .kill_switch(self.kill_switch.clone())
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap();
        let proposal = Proposal::new(
            ProposalId::new(id),
            IncidentId::new("incident"),
            action,
            Principal::new("pipeline"),
            Confidence::calibrated(0.9, "test").unwrap(),
            "test",
        );
        let authorized = chain.authorize(proposal, &self.mitigator, &ctx).await.unwrap();
        authorized.record(&ctx).await.unwrap()
    }
}

async fn executed() {
    let bench = bench().await;
    let before = pids(&bench.supervisor, "front");
    let intended = bench.intend("one", restart()).await;
    let key = intended.key().clone();
    let receipt = bench.mitigator.execute(intended, &Context::system()).await.unwrap();
    assert_eq!(receipt.record().outcome, ActionOutcome::Completed);
    assert_eq!(receipt.record().detail, "replicas touched: front-0, front-1");
    assert!(before.iter().zip(pids(&bench.supervisor, "front")).all(|(before, after)| *before != after));
    let status = bench.mitigator.status(&key, &Context::system()).await.unwrap();
    assert_eq!(status, ActionStatus::Completed);
    let one = action(
        CoreOperation::RollingRestart { max_unavailable: 1, max_surge: 0 },
        EntityId::instance("front-1"),
    );
    let receipt = bench.mitigator.execute(bench.intend("two", one).await, &Context::system()).await.unwrap();
    assert_eq!(receipt.record().detail, "replicas touched: front-1");
    bench.supervisor.shutdown().await;
}

async fn in_doubt() {
    let bench = bench().await;
    let intended = bench.intend("one", restart()).await;
    let key = intended.key().clone();
    let hurried = Context::system().with_timeout(Duration::from_millis(20));
    let error = bench.mitigator.execute(intended, &hurried).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InDoubt);
    let ctx = Context::system();
    assert_eq!(bench.mitigator.status(&key, &ctx).await.unwrap(), ActionStatus::Running);
    let mut status = ActionStatus::Running;
    while status == ActionStatus::Running {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = bench.mitigator.status(&key, &ctx).await.unwrap();
    }
    assert_eq!(status, ActionStatus::Completed);
    assert_eq!(bench.supervisor.changes(Timestamp::UNIX_EPOCH).len(), 1, "run once");
    bench.supervisor.shutdown().await;
}

async fn killed() {
    let bench = bench().await;
    let before = pids(&bench.supervisor, "front");
    let intended = bench.intend("one", restart()).await;
    bench.kill_switch.engage(&Principal::new("operator"), "test");
    let error = bench.mitigator.execute(intended, &Context::system()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Killed);
    assert_eq!(pids(&bench.supervisor, "front"), before);
    bench.supervisor.shutdown().await;
}

async fn failed() {
    let bench = bench().await;
    let broken = ConfigChange::Overlay(table("broken = true"));
    let roll_out = Operation::RollOut { service: "front".to_owned(), change: broken };
    assert!(apply(&bench.supervisor, roll_out).await.is_err());
    let receipt =
        bench.mitigator.execute(bench.intend("one", restart()).await, &Context::system()).await.unwrap();
    assert!(
        matches!(&receipt.record().outcome, ActionOutcome::Failed { reason } if reason.contains("ready"))
    );
    let back = action(CoreOperation::Rollback { to: "r1".to_owned() }, EntityId::service("front"));
    let receipt = bench.mitigator.execute(bench.intend("two", back).await, &Context::system()).await.unwrap();
    assert_eq!(receipt.record().outcome, ActionOutcome::Completed);
    until("all serve again", || view(&bench.supervisor, "front").ready == 2).await;
    bench.supervisor.shutdown().await;
}

async fn not_started() {
    let bench = bench().await;
    let ctx = Context::system();
    let never = IdempotencyKey::new("never");
    assert_eq!(bench.mitigator.status(&never, &ctx).await.unwrap(), ActionStatus::NotStarted);
    let intended = bench.intend("one", restart()).await;
    let key = intended.key().clone();
    assert_eq!(bench.mitigator.status(&key, &ctx).await.unwrap(), ActionStatus::NotStarted);
    let error = bench.mitigator.execute(intended, &ctx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(bench.supervisor.changes(Timestamp::UNIX_EPOCH).is_empty());
    bench.supervisor.shutdown().await;
}

async fn preview() {
    let bench = bench().await;
    let ctx = Context::system();
    let before = bench.supervisor.view();
    let seen = bench.mitigator.preview(&restart(), &ctx).await.unwrap();
    assert_eq!(seen.effect, "would restart front (2 replicas, at most 1 missing at a time)");
    assert_eq!((seen.target.replicas, seen.target.ready, seen.target.fleet), (Some(2), Some(2), Some(2)));
    assert_eq!(seen.target.revision.as_deref(), Some("r1"));
    let scale = action(CoreOperation::Scale { replicas: 5 }, EntityId::service("front"));
    let seen = bench.mitigator.preview(&scale, &ctx).await.unwrap();
    assert!(seen.effect.starts_with("would scale front from 2 to 5"), "{}", seen.effect);
    let nobody = action(CoreOperation::Stop, EntityId::service("nobody"));
    assert!(!bench.mitigator.preview(&nobody, &ctx).await.unwrap().target.exists);
    let drain = action(CoreOperation::Drain, EntityId::service("front"));
    assert_eq!(bench.mitigator.preview(&drain, &ctx).await.unwrap_err().kind(), ErrorKind::Unsupported);
    for to in ["r9", "seven", "r", "r-1"] {
        let back = action(CoreOperation::Rollback { to: to.to_owned() }, EntityId::service("front"));
        let kind = bench.mitigator.preview(&back, &ctx).await.unwrap_err().kind();
        assert!([ErrorKind::NotFound, ErrorKind::Invalid].contains(&kind), "{to}: {kind}");
    }
    assert_eq!(bench.supervisor.view(), before);
    assert!(bench.supervisor.changes(Timestamp::UNIX_EPOCH).is_empty());
    bench.supervisor.shutdown().await;
}

async fn feed() {
    let bench = bench().await;
    let change = ConfigChange::Overlay(table("limit = 41"));
    apply(&bench.supervisor, Operation::RollOut { service: "front".to_owned(), change }).await.unwrap();
    apply(&bench.supervisor, Operation::Scale { service: "front".to_owned(), replicas: 1 }).await.unwrap();
    let ctx = Context::system();
    let feed: &dyn ChangeFeed = &bench.supervisor;
    let all = TimeRange::new(Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap();
    let changes = feed.changes(all, &ctx).await.unwrap();
    let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::ConfigRollout, ChangeKind::Scaling]);
    let revision = changes[0].revision.as_ref().unwrap();
    assert_eq!((revision.from.as_deref(), revision.to.as_str()), (Some("r1"), "r2"));
    assert_eq!(revision.commit.as_ref().unwrap().len(), 12);
    assert_eq!(changes[0].entity, EntityId::service("front"));
    assert_eq!(changes[1].attributes.get("replicas.to"), Some("1"));
    assert!(changes[0].time <= changes[1].time);
    let only_first = TimeRange::new(Timestamp::UNIX_EPOCH, changes[1].time).unwrap();
    assert_eq!(feed.changes(only_first, &ctx).await.unwrap().len(), 1);
    bench.supervisor.shutdown().await;
}

async fn clock_jump() {
    let folder = tempfile::tempdir().unwrap();
    let clock = aiops_core::ManualClock::at(Timestamp::from_second(1_000_000).unwrap());
    let spec = crate::support::shell("idle", "exec sleep 1000");
    let config = aiops_process::SupervisorConfig::new(folder.path()).with_service(spec);
    let supervisor = Supervisor::start(config, std::sync::Arc::new(clock.clone())).await.unwrap();
    let scale = |replicas| Operation::Scale { service: "idle".to_owned(), replicas };
    apply(&supervisor, scale(2)).await.unwrap();
    clock.set(Timestamp::from_second(999_000).unwrap());
    apply(&supervisor, scale(3)).await.unwrap();
    let all = TimeRange::new(Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap();
    let feed: &dyn ChangeFeed = &supervisor;
    let changes = feed.changes(all, &Context::system()).await.unwrap();
    let seconds: Vec<i64> = changes.iter().map(|change| change.time.as_second()).collect();
    assert_eq!(seconds, [999_000, 1_000_000]);
    assert_eq!(changes[0].attributes.get("replicas.to"), Some("3"));
    supervisor.shutdown().await;
}

/// The suite that every mitigator must pass; an operation of the supervisor is an effect.
async fn conforms() {
    let bench = bench().await;
    let effects = || bench.supervisor.changes(Timestamp::UNIX_EPOCH).len() as u64;
    let chain = |journal| aiops_testkit::sample::chain(journal);
    let fixture =
        aiops_testkit::conformance::MitigatorFixture::new(Context::system(), restart(), &effects, &chain);
    let report = aiops_testkit::conformance::mitigator(&bench.mitigator, &fixture).await;
    bench.supervisor.shutdown().await;
    report.assert_counts(14, 3);
}
