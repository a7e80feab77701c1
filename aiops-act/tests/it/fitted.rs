//! The registry of fitted states.

use std::path::PathBuf;

use aiops_act::fitted::{FittedEntry, FittedRegistry, FittedState, HoldOut, Role};
use aiops_core::action::Principal;
use aiops_core::model::{FittedHash, TimeRange};
use aiops_core::{Context, ErrorKind, ManualClock, Result};
use futures_lite::future::block_on;

use crate::support::{at, secs};

const KIND: &str = "rolling-detector";

struct Shop {
    _folder: tempfile::TempDir,
    path: PathBuf,
    clock: ManualClock,
    ctx: Context,
    registry: FittedRegistry,
}

impl Shop {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fitted");
        let clock = ManualClock::at(at(0));
        let ctx = Context::new(std::sync::Arc::new(clock.clone()));
        let registry = FittedRegistry::open(&path).unwrap();
        Self { _folder: folder, path, clock, ctx, registry }
    }

    /// Every step at an instant of its own.
    fn tick(&self) {
        self.clock.advance(secs(60));
    }

    fn register(&self, name: &str) -> Result<FittedEntry> {
        self.tick();
        block_on(self.registry.register(state(name), ada(), "fitted by night", &self.ctx))
    }

    fn shadow(&self, name: &str) -> Result<FittedEntry> {
        self.tick();
        block_on(self.registry.shadow(KIND, &hash(name), ada(), "to compare", &self.ctx))
    }

    fn promote(&self, name: &str) -> Result<FittedEntry> {
        self.tick();
        block_on(self.registry.promote(KIND, &hash(name), ada(), "better", &self.ctx))
    }

    fn roll_back(&self, name: &str) -> Result<FittedEntry> {
        self.tick();
        block_on(self.registry.roll_back(KIND, &hash(name), ada(), "worse", &self.ctx))
    }

    fn promoted(&self) -> Option<FittedHash> {
        block_on(self.registry.promoted(KIND, &self.ctx)).unwrap().map(|entry| {
            assert_eq!(entry.role, Role::Promoted);
            entry.state.hash
        })
    }

    fn roles(&self) -> Vec<Role> {
        block_on(self.registry.entries(KIND, &self.ctx)).unwrap().iter().map(|e| e.role).collect()
    }
}

fn ada() -> Principal {
    Principal::new("ada")
}

fn hash(name: &str) -> FittedHash {
    FittedHash::of(name.as_bytes())
}

fn state(name: &str) -> FittedState {
    let range = TimeRange::new(at(-86_400), at(0)).unwrap();
    let tried = HoldOut { cases: 40, precision: 0.9, recall: 0.6, calibration_error: None };
    FittedState::new(KIND, hash(name), 1, "production, all services", range).with_hold_out(tried)
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn one_decides_and_the_one_before_comes_back() {
    let shop = Shop::new();
    for name in ["a", "b", "c"] {
        assert_eq!(shop.register(name).unwrap().role, Role::Candidate);
    }
    assert_eq!(shop.promoted(), None);
    shop.promote("a").unwrap();
    shop.shadow("b").unwrap();
    assert_eq!(shop.roles(), [Role::Promoted, Role::Shadow, Role::Candidate]);
    shop.promote("b").unwrap();
    shop.promote("c").unwrap();
    assert_eq!(shop.roles(), [Role::Retired, Role::Retired, Role::Promoted]);
    shop.roll_back("c").unwrap();
    assert_eq!(shop.promoted(), Some(hash("b")));
    shop.roll_back("b").unwrap();
    assert_eq!(
        (shop.promoted(), shop.roles()),
        (Some(hash("a")), vec![Role::Promoted, Role::RolledBack, Role::RolledBack])
    );
    shop.roll_back("a").unwrap();
    assert_eq!(shop.promoted(), None);
}

#[test]
fn a_step_that_a_role_does_not_allow_changes_nothing() {
    let shop = Shop::new();
    for name in ["a", "b"] {
        shop.register(name).unwrap();
    }
    shop.promote("a").unwrap();
    shop.promote("b").unwrap();
    shop.roll_back("b").unwrap();
    let before = block_on(shop.registry.entries(KIND, &shop.ctx)).unwrap();
    assert_eq!(kind(shop.roll_back("b")), ErrorKind::Conflict, "of two who take it back one does");
    assert_eq!(kind(shop.promote("b")), ErrorKind::Conflict, "what was taken back stays so");
    assert_eq!(kind(shop.shadow("b")), ErrorKind::Conflict);
    assert_eq!(kind(shop.promote("a")), ErrorKind::Conflict, "it decides already");
    assert_eq!(kind(shop.shadow("a")), ErrorKind::Conflict, "and does not run beside itself");
    assert_eq!(kind(shop.promote("z")), ErrorKind::NotFound);
    assert_eq!(kind(shop.register("a")), ErrorKind::Conflict);
    let nameless = block_on(shop.registry.promote(KIND, &hash("b"), Principal::new(" "), "x", &shop.ctx));
    assert_eq!(kind(nameless), ErrorKind::Invalid);
    assert_eq!(
        kind(block_on(shop.registry.promote(KIND, &hash("b"), ada(), "", &shop.ctx))),
        ErrorKind::Invalid
    );
    assert_eq!(block_on(shop.registry.entries(KIND, &shop.ctx)).unwrap(), before);
    assert_eq!(block_on(shop.registry.promoted("other", &shop.ctx)).unwrap(), None);
}

#[test]
fn which_one_decided_is_told_later_and_after_a_restart() {
    let shop = Shop::new();
    for name in ["a", "b"] {
        shop.register(name).unwrap();
    }
    let a = shop.promote("a").unwrap().since;
    let b = shop.promote("b").unwrap().since;
    shop.roll_back("b").unwrap();
    let back = shop.ctx.now();
    shop.roll_back("a").unwrap();
    let none = shop.ctx.now();
    let again = FittedRegistry::open(&shop.path).unwrap();
    for registry in [&shop.registry, &again] {
        let decided = |at| block_on(registry.promoted_at(KIND, at, &shop.ctx)).unwrap();
        assert_eq!(decided(a - secs(1)), None);
        assert_eq!((decided(a), decided(b - secs(1))), (Some(hash("a")), Some(hash("a"))));
        assert_eq!((decided(b), decided(back), decided(none)), (Some(hash("b")), Some(hash("a")), None));
    }
    assert_eq!(
        block_on(again.entries(KIND, &shop.ctx)).unwrap(),
        block_on(shop.registry.entries(KIND, &shop.ctx)).unwrap()
    );
}

#[test]
fn what_nobody_tried_decides_only_where_that_is_said() {
    let shop = Shop::new();
    let mut untried = state("a");
    untried.hold_out = None;
    block_on(shop.registry.register(untried, ada(), "fitted by night", &shop.ctx)).unwrap();
    assert_eq!(kind(shop.promote("a")), ErrorKind::Denied);
    assert_eq!(shop.promoted(), None);
    shop.shadow("a").unwrap();
    assert_eq!(kind(shop.promote("a")), ErrorKind::Denied, "to run beside another one is no trial");
    let said = block_on(shop.registry.promote_untried(KIND, &hash("a"), ada(), "the first", &shop.ctx));
    assert!(said.unwrap().untried);
    shop.register("b").unwrap();
    assert!(!shop.promote("b").unwrap().untried);
    let again = FittedRegistry::open(&shop.path).unwrap();
    let kept: Vec<bool> =
        block_on(again.entries(KIND, &shop.ctx)).unwrap().iter().map(|e| e.untried).collect();
    assert_eq!(kept, [true, false]);
}

/// Also under a chain that was computed anew.
#[test]
fn what_the_registry_would_not_have_written_is_not_read() {
    use aiops_act::ledger::Link;
    let shop = Shop::new();
    let entry = shop.register("a").unwrap();
    let whole = std::fs::read(&shop.path).unwrap();
    let mut link = Link::START;
    for line in whole.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        link.read(line).unwrap();
    }
    let moved = |by: &str, reason: &str| {
        serde_json::json!({"moved": {"kind": KIND, "hash": hash("a"), "step": "promote", "by": by,
            "reason": reason, "at": shop.ctx.now()}})
    };
    let registered = |state: &FittedState| serde_json::json!({"registered": {"state": state, "by": "x", "reason": "y", "at": shop.ctx.now()}});
    let mut nothing_tried = state("b");
    nothing_tried.hold_out = Some(HoldOut { cases: 0, ..entry.state.hold_out.unwrap() });
    let mut of_nothing = state("b");
    of_nothing.kind.clear();
    for (line, fine) in [
        (moved("ada", "better"), true),
        (moved("", "better"), false),
        (moved("ada", " "), false),
        (registered(&state("b")), true),
        (registered(&nothing_tried), false),
        (registered(&of_nothing), false),
    ] {
        let (mut link, mut forged) = (link, whole.clone());
        link.write(line.to_string().as_bytes(), &mut forged).unwrap();
        std::fs::write(&shop.path, forged).unwrap();
        let read = FittedRegistry::open(&shop.path);
        assert_eq!(
            read.as_ref().err().map(aiops_core::Error::kind),
            (!fine).then_some(ErrorKind::Malformed),
            "{line}"
        );
    }
}

#[test]
fn figures_are_checked() {
    let shop = Shop::new();
    let fine = HoldOut { cases: 40, precision: 0.9, recall: 0.6, calibration_error: Some(0.05) };
    assert!((fine.f1() - 0.72).abs() < 1e-12);
    assert_eq!(HoldOut { precision: 0.0, recall: 0.0, ..fine }.f1(), 0.0);
    let register = |state| block_on(shop.registry.register(state, ada(), "x", &shop.ctx));
    for bad in [
        HoldOut { cases: 0, ..fine },
        HoldOut { precision: 1.1, ..fine },
        HoldOut { recall: f64::NAN, ..fine },
        HoldOut { calibration_error: Some(-0.1), ..fine },
    ] {
        assert_eq!(kind(register(state("x").with_hold_out(bad))), ErrorKind::Invalid);
    }
    for nameless in [
        FittedState::new("", hash("x"), 1, "data", state("x").fitted_on),
        FittedState::new(KIND, hash("x"), 1, "", state("x").fitted_on),
    ] {
        assert_eq!(kind(register(nameless)), ErrorKind::Invalid);
    }
    let kept = register(state("x").with_hold_out(fine)).unwrap();
    assert_eq!(kept.state.hold_out, Some(fine));
}
