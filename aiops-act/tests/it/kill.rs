//! The kill switch as a file, through chains and tokens.

use std::path::PathBuf;
use std::sync::Arc;

use aiops_act::KillFile;
use aiops_act::approval::{ApprovalConfig, ApprovalDesk};
use aiops_core::action::{Mode, Principal, Verdict};
use aiops_core::fake::FixedGuard;
use aiops_core::guard::{ChainConfig, GuardChain, KillSignal, KillSwitch};
use aiops_core::seam::Mitigator;
use aiops_core::{Context, ErrorKind, ManualClock};
use futures_lite::future::{block_on, zip};

use crate::support::{World, orders, propose, restart_of};

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stop");
    (folder, path)
}

fn switch(path: &PathBuf) -> KillSwitch {
    let switch = KillSwitch::new();
    switch.watch(KillFile::new(path).unwrap());
    switch
}

fn chain(
    world: &World,
    switch: &KillSwitch,
    verdict: Verdict,
) -> aiops_core::guard::GuardChainBuilder<aiops_core::guard::Guarded> {
    GuardChain::builder(world.journal.clone())
        .guard(FixedGuard::new("one", verdict))
        .kill_switch(switch.clone())
        .config(ChainConfig::in_mode(Mode::Auto))
}

#[test]
fn a_file_stops_the_next_action_and_those_not_yet_begun() {
    let (_folder, path) = folder();
    let (world, switch) = (World::new(), switch(&path));
    let chain = chain(&world, &switch, Verdict::allow("fine")).build().unwrap();
    let remedy = |id: &str| propose(id, "inc", restart_of(orders()));
    let authorize = |id: &str| block_on(chain.authorize(remedy(id), &world.mitigator, &world.ctx));
    let recorded = block_on(authorize("p").unwrap().record(&world.ctx)).unwrap();
    std::fs::write(&path, "").unwrap();
    // Decided, written down, not begun: it does not begin.
    let error = block_on(world.mitigator.execute(recorded, &world.ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Killed);
    assert!(error.to_string().contains("stop is there"), "{error}");
    assert!(authorize("q").unwrap_err().reason().contains("kill switch engaged"));
    assert!(world.mitigator.executed().is_empty());
    std::fs::remove_file(&path).unwrap();
    // The target is held by the first until somebody settles it; another one is free.
    let other = propose("r", "inc", restart_of(aiops_core::model::EntityId::service("gateway")));
    let right = block_on(chain.authorize(other, &world.mitigator, &world.ctx)).unwrap();
    let intended = block_on(right.record(&world.ctx)).unwrap();
    let _ = block_on(world.mitigator.execute(intended, &world.ctx)).unwrap();
    assert_eq!(world.mitigator.executed().len(), 1);
}

/// Allowed before the file was there: not even written down after.
#[test]
fn a_right_is_not_recorded_while_the_file_is_there() {
    let (_folder, path) = folder();
    let (world, switch) = (World::new(), switch(&path));
    let chain = chain(&world, &switch, Verdict::allow("fine")).build().unwrap();
    let remedy = propose("p", "inc", restart_of(orders()));
    let right = block_on(chain.authorize(remedy, &world.mitigator, &world.ctx)).unwrap();
    std::fs::write(&path, "").unwrap();
    assert_eq!(block_on(right.record(&world.ctx)).unwrap_err().kind(), ErrorKind::Killed);
    assert!(world.history().actions().next().is_none());
}

#[test]
fn whatever_is_not_surely_absent_is_there() {
    let (folder, path) = folder();
    let signal = KillFile::new(&path).unwrap();
    assert_eq!(signal.reason(), None);
    std::fs::create_dir(&path).unwrap();
    assert!(signal.reason().unwrap().contains("is there"));
    std::fs::remove_dir(&path).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
        assert!(signal.reason().unwrap().contains("is there"), "a dangling link");
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(signal.reason(), None);
    // The volume is gone, or something else stands in its place.
    let below = KillFile::new(path.join("deeper")).unwrap();
    assert!(below.reason().unwrap().contains("cannot be told"));
    std::fs::write(&path, "").unwrap();
    assert!(below.reason().unwrap().contains("cannot be told"));
    drop(folder);
    assert!(signal.reason().unwrap().contains("cannot be told"));
}

/// The mount point that a volume leaves behind is an empty folder, which holds no kill file either.
#[cfg(unix)]
#[test]
fn another_folder_in_its_place_counts_as_engaged() {
    let outer = tempfile::tempdir().unwrap();
    let volume = outer.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    let signal = KillFile::new(volume.join("stop")).unwrap();
    std::fs::write(volume.join("stop"), "").unwrap();
    assert!(signal.reason().is_some());
    let elsewhere = outer.path().join("unmounted");
    std::fs::rename(&volume, &elsewhere).unwrap();
    std::fs::create_dir(&volume).unwrap();
    assert!(signal.reason().unwrap().contains("cannot be told"));
    // The volume is back.
    std::fs::remove_dir(&volume).unwrap();
    std::fs::rename(&elsewhere, &volume).unwrap();
    assert!(signal.reason().unwrap().contains("is there"));
    std::fs::remove_file(volume.join("stop")).unwrap();
    assert_eq!(signal.reason(), None);
}

#[test]
fn a_kill_file_that_is_made_stops_every_process_that_watches_it() {
    let (folder, path) = folder();
    let (one, other) = (switch(&path), switch(&path));
    let file = KillFile::new(&path).unwrap();
    file.engage(&Principal::new("ada"), "it is wrong").unwrap();
    assert!(one.is_engaged() && other.is_engaged() && switch(&path).is_engaged());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "ada: it is wrong\n");
    file.engage(&Principal::new("ben"), "once more").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "ada: it is wrong\n", "who was first stands");
    drop(folder);
    assert_eq!(file.engage(&Principal::new("ada"), "x").unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_path_without_a_file_is_refused() {
    let refused = |path: &str| KillFile::new(path).unwrap_err().kind();
    assert_eq!(refused("/"), ErrorKind::Invalid);
    #[cfg(unix)]
    assert_eq!((refused(".."), refused("stop/..")), (ErrorKind::Invalid, ErrorKind::Invalid));
    assert_eq!(refused(""), ErrorKind::Unavailable);
    assert!(KillFile::new("stop").unwrap().path().is_absolute());
}

#[test]
fn releasing_does_not_overrule_a_file() {
    let (_folder, path) = folder();
    let switch = switch(&path);
    let ada = Principal::new("ada");
    std::fs::write(&path, "").unwrap();
    switch.engage(&ada, "both");
    assert_eq!(switch.reason().unwrap(), "ada: both");
    switch.release(&ada);
    assert!(switch.is_engaged());
    std::fs::remove_file(&path).unwrap();
    assert!(!switch.is_engaged());
    switch.check().unwrap();
}

/// Nobody is asked for five minutes about what may not be done any more.
#[test]
fn a_wait_for_a_person_ends_at_once() {
    for by_file in [false, true] {
        let (folder, path) = folder();
        let (world, switch) = (World::new(), switch(&path));
        let desk = ApprovalDesk::open(folder.path().join("approvals"), ApprovalConfig::default()).unwrap();
        let asking = chain(&world, &switch, Verdict::needs_approval("to be sure"));
        let chain = asking.approver(desk.clone()).build().unwrap();
        let kill = async {
            while desk.pending(&world.ctx).await.unwrap().is_empty() {
                futures_lite::future::yield_now().await;
            }
            if by_file {
                std::fs::write(&path, "").unwrap();
                // The file is looked for every second while somebody waits.
                world.clock.advance(crate::support::secs(1));
            } else {
                switch.engage(&Principal::new("ada"), "stop");
            }
        };
        let decided =
            chain.authorize(propose("p", "inc", restart_of(orders())), &world.mitigator, &world.ctx);
        let (denied, ()) = block_on(zip(decided, kill));
        let denied = denied.unwrap_err();
        assert!(denied.reason().contains("kill switch engaged"), "{denied}");
        assert!(denied.record().approval.is_none());
    }
}

#[test]
fn whoever_waits_for_the_switch_is_told_why() {
    let switch = KillSwitch::new();
    let ctx = Context::new(Arc::new(ManualClock::at(crate::support::start())));
    let engage = async {
        futures_lite::future::yield_now().await;
        switch.engage(&Principal::new("SIGUSR1"), "a signal");
    };
    let (reason, ()) = block_on(zip(switch.engaged(&**ctx.clock()), engage));
    assert_eq!(reason, "SIGUSR1: a signal");
}
