use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aiops_core::action::{
    Action, DecisionOutcome, History, IdempotencyKey, IntentRecord, JournalEntry, Principal, Sequence,
};
use aiops_core::model::time::after;
use aiops_core::seam::Journal;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::authority::RootKey;
use crate::credential::{Credential, Use};

/// Settings of a [`Wallet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct WalletConfig {
    /// How long an action may take from the end of the right to begin it: so long its credential is good, unless it ends before; default 5 min,
    /// at most 1 h.
    #[serde(with = "aiops_core::model::duration")]
    pub longest_action: Duration,
}

impl Default for WalletConfig {
    fn default() -> Self {
        Self { longest_action: Duration::from_secs(300) }
    }
}

/// A credential with what it is for.
#[derive(Debug, Clone)]
struct Held {
    credential: Credential,
    action: Action,
    until: Timestamp,
}

#[derive(Debug)]
struct Inside {
    base: Credential,
    root: RootKey,
    executor: Principal,
    config: WalletConfig,
    held: Mutex<BTreeMap<IdempotencyKey, Held>>,
}

/// Derives the credential of each action, and holds it while the action runs. Clones share it; nothing of it outlives the process.
#[derive(Debug, Clone)]
pub struct Wallet(Arc<Inside>);

impl Wallet {
    /// A wallet that derives from `base`, a credential of `root`, for `executor`, who acts.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when `base` was not begun by `root`, or is for one action already; [`ErrorKind::Invalid`] for settings
    /// out of range.
    pub fn new(base: Credential, root: RootKey, executor: Principal, config: WalletConfig) -> Result<Self> {
        if config.longest_action > Duration::from_secs(3600) {
            return Err(Error::new(ErrorKind::Invalid, "longest_action is out of range")
                .with("value", format!("{:?}", config.longest_action))
                .with("allowed", "at most 1 h"));
        }
        // Read once more from its text, so that it is surely this root's.
        let base = Credential::from_base64(&base.to_base64()?, &root)?;
        if base.delegations()?.last().is_none_or(|last| last.key.is_some()) {
            return Err(Error::new(
                ErrorKind::Unauthorized,
                "the credential of one action is not derived from",
            ));
        }
        Ok(Self(Arc::new(Inside { base, root, executor, config, held: Mutex::default() })))
    }

    /// `journal`, with a credential derived for every intent that is written to it.
    pub fn journal<J: Journal>(&self, journal: J) -> CredentialedJournal<J> {
        CredentialedJournal { wallet: self.clone(), journal }
    }

    /// The credential of the action that runs under `key`, for a mitigator to show to the other side.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] when there is none, or it ended.
    pub fn credential(&self, key: &IdempotencyKey) -> Result<Credential> {
        self.held().get(key).map(|held| held.credential.clone()).ok_or_else(|| none(key))
    }

    /// The credential of one intent; nothing is held yet.
    fn derive(&self, intent: &IntentRecord) -> Result<Held> {
        let DecisionOutcome::Authorized { expires_at } = intent.decision.outcome else {
            return Err(
                Error::new(ErrorKind::Unauthorized, "the intent was not authorised").with("key", &intent.key)
            );
        };
        let until = after(expires_at, self.0.config.longest_action);
        let action = intent.proposal.action.clone();
        let credential = self.0.base.for_action(&self.0.executor, &action, &intent.key, until)?;
        let held = Held { credential, action, until };
        self.verify(&held, &intent.key, intent.at)?;
        Ok(held)
    }

    /// As somebody who knows nothing but its text and the root's key.
    fn verify(&self, held: &Held, key: &IdempotencyKey, now: Timestamp) -> Result<()> {
        let shown = Credential::from_base64(&held.credential.to_base64()?, &self.0.root)?;
        shown.check(&Use::of(&held.action, key, now))
    }

    fn keep(&self, key: &IdempotencyKey, held: Held, now: Timestamp) {
        let mut all = self.held();
        // What was never begun leaves nothing behind.
        all.retain(|_, held| now < held.until);
        all.insert(key.clone(), held);
    }

    /// Checks the credential of `key` before its action begins.
    pub(crate) fn check(&self, key: &IdempotencyKey, now: Timestamp) -> Result<()> {
        let held = self.held().get(key).cloned().ok_or_else(|| none(key))?;
        self.verify(&held, key, now)
    }

    pub(crate) fn forget(&self, key: &IdempotencyKey) {
        self.held().remove(key);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<IdempotencyKey, Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none(key: &IdempotencyKey) -> Error {
    Error::new(ErrorKind::Unauthorized, "no credential is held for this action").with("key", key)
}

/// A [`Journal`] before which a [`Wallet`] stands: an intent for which no credential can be had is not written.
#[derive(Debug, Clone)]
pub struct CredentialedJournal<J> {
    wallet: Wallet,
    journal: J,
}

#[async_trait]
impl<J: Journal> Journal for CredentialedJournal<J> {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        ctx.check()?;
        let JournalEntry::Intent(intent) = entry else {
            return self.journal.append(entry, expected, ctx).await;
        };
        let held = self.wallet.derive(intent)?;
        let at = self.journal.append(entry, expected, ctx).await?;
        self.wallet.keep(&intent.key, held, ctx.now());
        Ok(at)
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        self.journal.history(ctx).await
    }
}
