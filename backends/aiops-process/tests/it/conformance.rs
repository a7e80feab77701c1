//! The contracts of the seams, on live processes.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{
    Action, BlastRadius, Mode, Operation as CoreOperation, RollbackPlan, Share, Verdict,
};
use aiops_core::fake::{FixedGuard, InMemoryJournal};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, TimeRange};
use aiops_core::{Context, ManualClock};
use aiops_process::{Operation, ProcessMitigator, Supervisor, SupervisorConfig};
use aiops_testkit::conformance::{ChangeFeedFixture, MitigatorFixture, change_feed, mitigator};
use libtest_mimic::Trial;

use crate::support::{apply, shell, start, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_mitigator_keeps_its_contract", mitigator_contract),
        trial("the_change_feed_keeps_its_contract", change_feed_contract),
    ]
}

async fn mitigator_contract() {
    let (supervisor, _folder) = start(vec![shell("idle", "exec sleep 1000")]).await;
    let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(1.0).unwrap() };
    let operation = CoreOperation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    let action = Action::new(operation, EntityId::service("idle"), radius)
        .with_rollback(RollbackPlan::NotNeeded { reason: "the same revision starts anew".to_owned() })
        .with_cooldown(Duration::ZERO);
    let watched = supervisor.clone();
    // Behind the mitigator's back: every effect leaves a change.
    let effects = move || watched.changes(Timestamp::UNIX_EPOCH).len() as u64;
    let chain = |journal: InMemoryJournal| {
        GuardChain::builder(journal)
            .guard(FixedGuard::new("test", Verdict::allow("test")))
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
    };
    let ctx = Context::new(Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH)));
    let fixture = MitigatorFixture::new(ctx, action, &effects, &chain);
    let subject = ProcessMitigator::new(supervisor.clone(), "pipeline");
    // Skipped: an unsupported kind, since it can do all that the suite tries; a lost reply and a failure, which are
    // provoked by tests of their own.
    mitigator(&subject, &fixture).await.assert_counts(14, 3);
    supervisor.shutdown().await;
}

async fn change_feed_contract() {
    let folder = tempfile::tempdir().unwrap();
    let instant = |second| Timestamp::from_second(second).unwrap();
    let clock = ManualClock::at(instant(1_000));
    let config = SupervisorConfig::new(folder.path()).with_service(shell("idle", "exec sleep 1000"));
    let supervisor = Supervisor::start(config, Arc::new(clock.clone())).await.unwrap();
    for replicas in [2, 3, 1] {
        clock.advance(Duration::from_secs(10));
        apply(&supervisor, Operation::Scale { service: "idle".to_owned(), replicas }).await.unwrap();
    }
    let range = |from, to| TimeRange::new(instant(from), instant(to)).unwrap();
    let fixture = ChangeFeedFixture::new(Context::system(), range(1_000, 1_100), range(2_000, 2_100));
    change_feed(&supervisor, &fixture).await.assert_counts(8, 0);
    supervisor.shutdown().await;
}
