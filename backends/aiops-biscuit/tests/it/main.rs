//! Credentials of single actions: what they allow, who handed them on, when they end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiops_act::guards::Pattern;
use aiops_act::policy::Targets;
use aiops_biscuit::{
    Authority, Credential, CredentialedMitigator, Grant, RootKey, Use, Wallet, WalletConfig,
};
use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, IdempotencyKey, JournalEntry, Operation, Preview,
    Principal,
};
use aiops_core::fake::{InMemoryJournal, InMemoryMitigator};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::seam::{Journal, Mitigator, MitigatorCapability};
use aiops_core::{Context, ErrorKind, ManualClock, Result};
use aiops_testkit::conformance::{self, JournalFixture, MitigatorFixture};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;
use jiff::Timestamp;

fn who(name: &str) -> Principal {
    Principal::new(name)
}

fn root() -> Authority {
    Authority::from_secret(&[7; 32]).unwrap()
}

fn services(names: &[&str]) -> Targets {
    [(EntityKind::Service, names.iter().map(|n| Pattern::new(*n).unwrap()).collect())].into()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(sample::now().as_second() + seconds).unwrap()
}

/// Restarts of what is called `orders` or `shop-…`, for a day.
fn grant() -> Grant {
    Grant {
        by: who("platform"),
        to: who("aiops"),
        actions: [ActionKind::RollingRestart, ActionKind::Scale].into(),
        targets: services(&["orders", "shop-*"]),
        until: at(86_400),
    }
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name)
}

fn restart(name: &str) -> Action {
    sample::restart(EntityId::service(name)).unwrap()
}

/// Something else to the same service.
fn doing(operation: Operation) -> Action {
    let mut action = restart("orders");
    action.operation = operation;
    action
}

/// Whether `credential` is good for `action` under `k` at `now`.
fn good(credential: &Credential, action: &Action, k: &str, now: Timestamp) -> bool {
    let k = key(k);
    match credential.check(&Use::of(action, &k, now)) {
        Ok(()) => true,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Unauthorized, "{e}");
            false
        }
    }
}

fn bound(base: &Credential, action: &Action, k: &str) -> Credential {
    base.for_action(&who("replica-1"), action, &key(k), at(60)).unwrap()
}

#[test]
fn a_credential_is_for_one_action_and_ends() {
    let base = root().grant(&grant()).unwrap();
    let action = restart("orders");
    let credential = bound(&base, &action, "k1");
    assert!(good(&credential, &action, "k1", at(0)));
    assert!(good(&credential, &action, "k1", at(59)));
    for (other, k, now) in [
        (restart("orders"), "k2", at(0)),
        (restart("shop-cart"), "k1", at(0)),
        (doing(Operation::Scale { replicas: 2 }), "k1", at(0)),
        (restart("orders"), "k1", at(60)),
        (restart("orders"), "k1", at(1_000_000)),
    ] {
        assert!(!good(&credential, &other, k, now), "{other} under {k} at {now}");
    }
}

/// The kind is the same and the target as well.
#[test]
fn a_credential_is_for_the_parameters_it_was_made_for() {
    let base = root().grant(&grant()).unwrap();
    for (asked, run) in [
        (Operation::Scale { replicas: 2 }, Operation::Scale { replicas: 0 }),
        (Operation::Scale { replicas: 2 }, Operation::Scale { replicas: 200 }),
        (
            Operation::RollingRestart { max_unavailable: 1, max_surge: 0 },
            Operation::RollingRestart { max_unavailable: 9, max_surge: 0 },
        ),
    ] {
        let (asked, run) = (doing(asked), doing(run));
        let credential = bound(&base, &asked, "k");
        assert!(good(&credential, &asked, "k", at(0)));
        assert!(!good(&credential, &run, "k", at(0)), "{run} with the credential of {asked}");
    }
}

#[test]
fn nothing_goes_beyond_the_grant() {
    let base = root().grant(&grant()).unwrap();
    for (action, within) in [
        (restart("orders"), true),
        (restart("shop-"), true),
        (restart("shop-cart"), true),
        (restart("orders-2"), false),
        (restart("ord"), false),
        (restart("my-shop-cart"), false),
        (restart("shop"), false),
        // Cyrillic о.
        (restart("оrders"), false),
        (restart(""), false),
        (restart("x\"), may(\"drain"), false),
        (sample::restart(EntityId::new(EntityKind::Database, "orders")).unwrap(), false),
        (doing(Operation::Drain), false),
    ] {
        let credential = bound(&base, &action, "k");
        assert_eq!(good(&credential, &action, "k", at(0)), within, "{action}");
    }
    // The grant's own time is over, whatever the last hand-over says.
    let late = base.for_action(&who("r"), &restart("orders"), &key("k"), at(200_000)).unwrap();
    assert!(good(&late, &restart("orders"), "k", at(86_399)));
    assert!(!good(&late, &restart("orders"), "k", at(86_400)));
}

#[test]
fn handing_on_only_takes_away_and_tells_who_did() {
    let base = root().grant(&grant()).unwrap();
    let narrowed =
        base.delegate(&who("team"), &[ActionKind::Scale, ActionKind::Drain].into(), at(600)).unwrap();
    let scale = doing(Operation::Scale { replicas: 2 });
    let drain = doing(Operation::Drain);
    assert!(good(&bound(&narrowed, &scale, "k"), &scale, "k", at(0)));
    assert!(!good(&bound(&narrowed, &restart("orders"), "k"), &restart("orders"), "k", at(0)));
    assert!(!good(&bound(&narrowed, &drain, "k"), &drain, "k", at(0)), "the root never granted it");
    let credential = bound(&narrowed, &scale, "k");
    let told = credential.delegations().unwrap();
    let chain: Vec<(&str, &str, Timestamp)> =
        told.iter().map(|d| (d.by.as_str(), d.to.as_str(), d.until)).collect();
    assert_eq!(
        chain,
        [("platform", "aiops", at(86_400)), ("aiops", "team", at(600)), ("team", "replica-1", at(60))]
    );
    assert_eq!((told[1].key.as_ref(), told[2].key.as_ref()), (None, Some(&key("k"))));
    // What is for one action is neither derived from nor handed on.
    let again = credential.for_action(&who("eve"), &scale, &key("k2"), at(60));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert!(credential.delegate(&who("eve"), &[ActionKind::Scale].into(), at(60)).is_err());
}

#[test]
fn a_credential_that_is_not_bound_runs_nothing() {
    let base = root().grant(&grant()).unwrap();
    assert!(!good(&base, &restart("orders"), "k", at(0)));
    let narrowed = base.delegate(&who("team"), &[ActionKind::RollingRestart].into(), at(600)).unwrap();
    assert!(!good(&narrowed, &restart("orders"), "k", at(0)));
}

#[test]
fn only_what_the_root_began_and_nobody_changed_is_read() {
    let base = root().grant(&grant()).unwrap();
    let text = bound(&base, &restart("orders"), "k").to_base64().unwrap();
    Credential::from_base64(&text, &root().key()).unwrap();
    let other = Authority::from_secret(&[8; 32]).unwrap();
    let forged = other.grant(&grant()).unwrap().to_base64().unwrap();
    for bad in [forged.as_str(), "", "garbage", &text[..text.len() - 4], &format!("A{}", &text[1..])] {
        let error = Credential::from_base64(bad, &root().key()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
    }
    // Any one character of it.
    for i in (0..text.len()).step_by(7) {
        let other = if text.as_bytes()[i] == b'Q' { "R" } else { "Q" };
        let mut changed = text.clone();
        changed.replace_range(i..=i, other);
        if let Ok(read) = Credential::from_base64(&changed, &root().key()) {
            // The last bits of base64 may not count.
            assert_eq!(read.to_base64().unwrap(), text, "character {i}");
        }
    }
}

#[test]
fn grants_and_keys_are_checked() {
    let refused = |change: &dyn Fn(&mut Grant)| {
        let mut changed = grant();
        change(&mut changed);
        root().grant(&changed).unwrap_err().kind()
    };
    let bad: [&dyn Fn(&mut Grant); 4] =
        [&|g| g.by = who(" "), &|g| g.to = who(""), &|g| g.actions.clear(), &|g| {
            g.targets = [(EntityKind::Service, vec![])].into()
        }];
    for change in bad {
        assert_eq!(refused(change), ErrorKind::Invalid);
    }
    let written = serde_json::to_string(&root().key()).unwrap();
    assert_eq!(serde_json::from_str::<RootKey>(&written).unwrap(), root().key());
    assert!(serde_json::from_str::<RootKey>("\"00\"").is_err());
    assert_eq!(serde_json::from_value::<Grant>(serde_json::to_value(grant()).unwrap()).unwrap(), grant());
    let debug = format!("{:?} {:?}", root(), root().grant(&grant()).unwrap());
    assert!(!debug.contains("0707"), "no secret: {debug}");
    assert!(serde_json::from_str::<WalletConfig>(r#"{"extra": 1}"#).is_err());
}

fn wide() -> Credential {
    let mut grant = grant();
    grant.targets = services(&["*"]);
    let one_by_one =
        [ActionKind::Rollback, ActionKind::CachePurge, ActionKind::LogRotation, ActionKind::Throttle];
    grant.actions.extend(one_by_one);
    grant.actions.insert(ActionKind::Concurrency);
    root().grant(&grant).unwrap()
}

fn wallet() -> Wallet {
    Wallet::new(wide(), root().key(), who("replica-1"), WalletConfig::default()).unwrap()
}

/// Writes down the credential that it was to show.
#[derive(Debug)]
struct Shows {
    inner: InMemoryMitigator,
    wallet: Wallet,
    shown: Arc<Mutex<Vec<Credential>>>,
}

#[async_trait]
impl Mitigator for Shows {
    fn capability(&self) -> MitigatorCapability {
        self.inner.capability()
    }
    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        self.inner.preview(action, ctx).await
    }
    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        self.shown.lock().unwrap().push(self.wallet.credential(action.key())?);
        self.inner.execute(action, ctx).await
    }
    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        self.inner.status(key, ctx).await
    }
}

#[test]
fn an_action_runs_under_its_credential_which_ends_with_it() {
    let wallet = wallet();
    let (clock, shown) = (ManualClock::at(sample::now()), Arc::default());
    let ctx = Context::new(Arc::new(clock.clone()));
    let orders = EntityId::service("orders");
    let inner = sample::workloads([orders.clone()]);
    let shows = Shows { inner: inner.clone(), wallet: wallet.clone(), shown: Arc::clone(&shown) };
    let mitigator = CredentialedMitigator::new(shows, wallet.clone());
    let chain = sample::chain(wallet.journal(InMemoryJournal::new())).unwrap();
    let action = restart("orders");
    let proposal = sample::proposal("p", action.clone()).unwrap();
    let right = block_on(chain.authorize(proposal, &mitigator, &ctx)).unwrap();
    let k = right.key().clone();
    assert_eq!(
        wallet.credential(&k).unwrap_err().kind(),
        ErrorKind::Unauthorized,
        "not before it is written down"
    );
    let intended = block_on(right.record(&ctx)).unwrap();
    assert_eq!(block_on(mitigator.execute(intended, &ctx)).unwrap().record().key, k);
    assert_eq!(inner.executed().len(), 1);
    assert_eq!(
        wallet.credential(&k).unwrap_err().kind(),
        ErrorKind::Unauthorized,
        "it ended with the action"
    );
    // The other side, who has nothing but the root's key.
    let text = shown.lock().unwrap()[0].to_base64().unwrap();
    let read = Credential::from_base64(&text, &root().key()).unwrap();
    assert!(read.check(&Use::of(&action, &k, ctx.now())).is_ok());
    assert!(read.check(&Use::of(&action, &k, at(330))).is_err(), "30 s to begin it and 5 min to end it");
}

#[test]
fn what_was_written_down_elsewhere_has_no_credential() {
    let (wallet, ctx) = (wallet(), sample::context());
    let inner = sample::workloads([EntityId::service("orders")]);
    let mitigator = CredentialedMitigator::new(inner.clone(), wallet);
    // A chain whose journal the wallet does not know.
    let chain = sample::chain(InMemoryJournal::new()).unwrap();
    let proposal = sample::proposal("p", restart("orders")).unwrap();
    let right = block_on(chain.authorize(proposal, &mitigator, &ctx)).unwrap();
    let intended = block_on(right.record(&ctx)).unwrap();
    let error = block_on(mitigator.execute(intended, &ctx)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(inner.executed().is_empty());
}

#[test]
fn an_intent_beyond_the_grant_is_not_written() {
    let base = root().grant(&grant()).unwrap();
    let wallet = Wallet::new(base, root().key(), who("replica-1"), WalletConfig::default()).unwrap();
    let (journal, ctx) = (InMemoryJournal::new(), sample::context());
    let chain = sample::chain(wallet.journal(journal.clone())).unwrap();
    let store = EntityId::service("store");
    let mitigator = sample::workloads([store]);
    let proposal = sample::proposal("p", restart("store")).unwrap();
    let right = block_on(chain.authorize(proposal, &mitigator, &ctx)).unwrap();
    assert_eq!(block_on(right.record(&ctx)).unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(block_on(journal.history(&ctx)).unwrap().actions().count(), 0);
}

#[test]
fn wallets_are_checked() {
    let refused = |base: Credential, root: RootKey| {
        Wallet::new(base, root, who("r"), WalletConfig::default()).unwrap_err().kind()
    };
    let base = root().grant(&grant()).unwrap();
    assert_eq!(
        refused(base.clone(), Authority::from_secret(&[8; 32]).unwrap().key()),
        ErrorKind::Unauthorized
    );
    assert_eq!(refused(bound(&base, &restart("orders"), "k"), root().key()), ErrorKind::Unauthorized);
    let mut config = WalletConfig::default();
    config.longest_action = Duration::from_secs(3601);
    assert_eq!(Wallet::new(base, root().key(), who("r"), config).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn the_mitigator_behind_it_keeps_the_contract() {
    let wallet = wallet();
    let inner = sample::workloads([sample::store()]);
    let mitigator = CredentialedMitigator::new(inner.clone(), wallet.clone());
    let effects = || u64::try_from(inner.executed().len()).unwrap();
    let chain = |journal: InMemoryJournal| sample::chain(wallet.journal(journal));
    let action = sample::restart(sample::store()).unwrap();
    let fixture = MitigatorFixture::new(sample::context(), action, &effects, &chain);
    let report = block_on(conformance::mitigator(&mitigator, &fixture));
    assert!(report.failures().is_empty(), "{report:?}");
    report.assert_counts(15, 2);
}

#[test]
fn the_journal_behind_it_keeps_the_contract() {
    let journal = wallet().journal(InMemoryJournal::new());
    let fixture = JournalFixture::new(sample::context());
    block_on(conformance::journal(&journal, &fixture)).assert_counts(14, 1);
}

#[test]
fn outcomes_need_no_credential() {
    let (inner, ctx) = (InMemoryJournal::new(), sample::context());
    let orders = EntityId::service("orders");
    let intent = block_on(sample::intent("p", orders, &ctx)).unwrap();
    let k = intent.key.clone();
    block_on(inner.append(&JournalEntry::Intent(Box::new(intent)), None, &ctx)).unwrap();
    let outcome = JournalEntry::Outcome { key: k, outcome: ActionOutcome::Completed, at: ctx.now() };
    block_on(wallet().journal(inner).append(&outcome, None, &ctx)).unwrap();
}
