//! Ways to stop what was already allowed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::action::{IdempotencyKey, Principal};
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::elapsed;

/// Stops every action that has not been spent yet, rollbacks included. Clones share one switch.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch(Arc<Mutex<Option<String>>>);

impl KillSwitch {
    /// A switch that is not engaged.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops everything from now on.
    pub fn engage(&self, by: &Principal, reason: &str) {
        tracing::warn!(by = %by, reason, "kill switch engaged");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{by}: {reason}"));
    }

    /// Allows actions again. Tokens minted before stay valid until they expire.
    pub fn release(&self, by: &Principal) {
        tracing::warn!(by = %by, "kill switch released");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it is engaged.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether actions may go on.
    ///
    /// # Errors
    /// [`ErrorKind::Killed`] with who engaged it and why.
    pub fn check(&self) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => Err(Error::new(ErrorKind::Killed, why.clone())),
            None => Ok(()),
        }
    }
}

/// Longest life of a token, and so the time for which a revocation must be remembered.
pub(crate) const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Up to here revocations are never forgotten.
const FEW_REVOCATIONS: usize = 10_000;

/// Takes single rights back before they are spent. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Revocations(Arc<Mutex<BTreeMap<IdempotencyKey, Timestamp>>>);

impl Revocations {
    /// Nothing revoked.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes the right to run `key`. Remembered for at least an hour, when no token can be alive any more, and for as long
    /// as there are few: a clock that jumps must not bring a right back.
    pub fn revoke(&self, key: IdempotencyKey, now: Timestamp) {
        let mut revoked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= FEW_REVOCATIONS {
            revoked.retain(|_, at| elapsed(*at, now) <= LONGEST_TOKEN_LIFE);
        }
        revoked.insert(key, now);
    }

    /// Whether `key` is still allowed.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] when it was revoked.
    pub fn check(&self, key: &IdempotencyKey) -> Result<()> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key) {
            return Err(Error::new(ErrorKind::Denied, "the right to act was revoked").with("key", key));
        }
        Ok(())
    }
}
