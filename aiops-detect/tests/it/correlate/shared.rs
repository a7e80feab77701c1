//! One alert for several instances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aiops_core::model::Severity;
use aiops_core::{Context, Error, ErrorKind, ManualClock, Result};
use aiops_detect::correlate::{
    Claim, CorrelatorOptions, Fingerprint, InMemoryFingerprints, Shared, SharedFingerprints, SharedIntake,
    SharingOptions,
};
use aiops_detect::{Checked, Options};
use async_trait::async_trait;
use futures_lite::future::block_on;
use proptest::prelude::*;

use super::{alert, at, knowing, resolved};

const LEASE: Duration = Duration::from_secs(300);

fn of(name: &str) -> Fingerprint {
    Fingerprint::of(&alert(name, "cart", 0), &CorrelatorOptions::default())
}

fn intake(shared: &Arc<dyn SharedFingerprints>, me: &str) -> SharedIntake {
    SharedIntake::new(shared.clone(), me, Checked::default(), CorrelatorOptions::default()).unwrap()
}

#[test]
fn a_claim_is_one_instances_for_a_while() {
    let clock = Arc::new(ManualClock::at(at(0)));
    let ctx = Context::new(clock.clone());
    let shared = InMemoryFingerprints::new();
    let claim = |name: &str, who: &str| block_on(shared.claim(of(name), who, LEASE, &ctx)).unwrap();
    assert_eq!(claim("Slow", "a"), Claim::Own);
    assert_eq!(claim("Slow", "b"), Claim::Other("a".into()));
    assert_eq!(claim("Down", "b"), Claim::Own);
    // Its owner prolongs it, nobody else does.
    clock.advance(Duration::from_secs(200));
    assert_eq!(claim("Slow", "a"), Claim::Own);
    assert_eq!(claim("Down", "a"), Claim::Other("b".into()));
    clock.advance(Duration::from_secs(100));
    assert_eq!((claim("Slow", "b"), claim("Down", "a")), (Claim::Other("a".into()), Claim::Own));
    clock.advance(LEASE);
    assert_eq!(claim("Slow", "b"), Claim::Own);
    ctx.cancellation().cancel();
    let refused = block_on(shared.claim(of("Slow"), "a", LEASE, &ctx)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Cancelled);
}

#[test]
fn two_instances_make_one_incident_and_a_third_takes_over() {
    let clock = Arc::new(ManualClock::at(at(0)));
    let ctx = Context::new(clock.clone());
    let shared: Arc<dyn SharedFingerprints> = Arc::new(InMemoryFingerprints::new());
    let mut instances: Vec<_> = ["a", "b"].map(|me| (intake(&shared, me), knowing(&[]))).into();
    let firing = alert("Slow", "cart", 0);
    for repeat in 0..3 {
        for (intake, correlator) in &mut instances {
            if block_on(intake.ask(&firing, &ctx)).is_mine() {
                correlator.push(&firing, at(60 * repeat));
            }
        }
        clock.advance(Duration::from_secs(60));
    }
    let open = |(_, correlator): &(SharedIntake, aiops_detect::Correlator)| correlator.incidents().len();
    assert_eq!(instances.iter().map(open).collect::<Vec<_>>(), [1, 0]);
    let stats = instances[1].0.stats();
    assert_eq!((stats.mine, stats.theirs, stats.unsure), (0, 3, 0));
    // The end is for everybody.
    assert!(instances.iter_mut().all(|(i, _)| block_on(i.ask(&resolved(&firing), &ctx)) == Shared::Mine));
    // Whoever had it is gone; the alert goes on.
    clock.advance(LEASE);
    let mut third = intake(&shared, "c");
    assert_eq!(block_on(third.ask(&firing, &ctx)), Shared::Mine);
    let nameless = SharedIntake::new(shared, "", Checked::default(), CorrelatorOptions::default());
    assert_eq!(nameless.unwrap_err().field(), "me");
}

/// Fails, hangs or answers, and counts how often it is asked.
#[derive(Debug, Default)]
struct Unreliable {
    works: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl SharedFingerprints for Unreliable {
    async fn claim(&self, _: Fingerprint, _: &str, _: Duration, _: &Context) -> Result<Claim> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            futures_lite::future::pending::<()>().await;
        }
        if self.works.load(Ordering::Relaxed) {
            return Ok(Claim::Other("b".into()));
        }
        Err(Error::new(ErrorKind::Unavailable, "nobody answers"))
    }
}

#[test]
fn who_cannot_ask_takes_every_alert_and_soon_stops_asking() {
    let clock = Arc::new(ManualClock::leaping(at(0)));
    let ctx = Context::new(clock.clone());
    let unreliable = Arc::new(Unreliable::default());
    let shared: Arc<dyn SharedFingerprints> = unreliable.clone();
    let mut intake = intake(&shared, "a");
    let mut grave = alert("Slow", "cart", 0);
    grave.severity = Severity::Critical;
    for _ in 0..1000 {
        assert_eq!(block_on(intake.ask(&grave, &ctx)), Shared::Unsure);
    }
    assert_eq!((intake.stats().unsure, unreliable.asked.load(Ordering::Relaxed)), (1000, 3));
    // Asked again after the pause, and believed again at once.
    clock.set(at(6));
    unreliable.works.store(true, Ordering::Relaxed);
    assert_eq!(block_on(intake.ask(&grave, &ctx)), Shared::Theirs("b".into()));
    // One that hangs is not waited for.
    unreliable.hangs.store(true, Ordering::Relaxed);
    let before = ctx.now();
    assert_eq!(block_on(intake.ask(&grave, &ctx)), Shared::Unsure);
    assert!(ctx.now().duration_since(before).as_secs() <= 1);
    // A clock that jumps back does not make the pause last.
    unreliable.hangs.store(false, Ordering::Relaxed);
    unreliable.works.store(false, Ordering::Relaxed);
    (0..5).for_each(|_| assert!(block_on(intake.ask(&grave, &ctx)).is_mine()));
    let asked = unreliable.asked.load(Ordering::Relaxed);
    clock.set(at(-100_000));
    unreliable.works.store(true, Ordering::Relaxed);
    assert_eq!(block_on(intake.ask(&grave, &ctx)), Shared::Theirs("b".into()));
    assert_eq!(unreliable.asked.load(Ordering::Relaxed), asked + 1);
    for (field, bad) in [
        ("lease", SharingOptions { lease: Duration::ZERO, ..Default::default() }),
        ("patience", SharingOptions { patience: Duration::ZERO, ..Default::default() }),
        ("pause", SharingOptions { pause: Duration::from_secs(9999), ..Default::default() }),
        ("failures", SharingOptions { failures: 0, ..Default::default() }),
    ] {
        assert_eq!(bad.validate().unwrap_err().field(), field);
    }
}

proptest! {
    /// Against the contract written down plainly: an owner and an end for each fingerprint.
    #[test]
    fn claims_are_those_of_the_contract(
        steps in proptest::collection::vec((0..3_usize, 0..3_usize, 0..200_u64), 0..80),
    ) {
        let clock = Arc::new(ManualClock::at(at(0)));
        let ctx = Context::new(clock.clone());
        let shared = InMemoryFingerprints::new();
        let mut plain: BTreeMap<usize, (usize, u64)> = BTreeMap::new();
        let mut now = 0;
        for (what, who, later) in steps {
            now += later;
            clock.advance(Duration::from_secs(later));
            let free = plain.get(&what).is_none_or(|(owner, end)| *owner == who || *end <= now);
            let owner = plain.get(&what).map(|(owner, _)| *owner);
            let me = format!("i{who}");
            let claim = block_on(shared.claim(of(&format!("r{what}")), &me, LEASE, &ctx)).unwrap();
            if free {
                prop_assert_eq!(claim, Claim::Own);
                plain.insert(what, (who, now + 300));
            } else {
                prop_assert_eq!(claim, Claim::Other(format!("i{}", owner.unwrap())));
            }
        }
    }
}
