//! Ways to stop what was already allowed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_listener::Event;
use jiff::Timestamp;

use crate::action::{IdempotencyKey, Principal};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::elapsed;

/// Says from outside the process that everything is to stop: a file, a flag of an orchestrator.
///
/// It is asked at every [`KillSwitch::check`], so before every action: keep it quick.
pub trait KillSignal: Debug + Send + Sync + 'static {
    /// Why everything is to stop; `None` only when it is known that it is not.
    fn reason(&self) -> Option<String>;
}

/// How often whoever waits for the switch asks its signals.
const SIGNAL_POLL: Duration = Duration::from_secs(1);

/// Stops every action that has not been spent yet, rollbacks included. Clones share one switch.
///
/// It is engaged by [`engage`](Self::engage), from any thread or task (one that waits for a signal of the system, say), or by a
/// [`KillSignal`].
///
/// What [`engage`](Self::engage) does reaches the clones in this process, until it ends: another replica goes on, and so does this one
/// after a restart. To stop all of them, and keep them stopped, let each watch one signal from outside, such as a file.
#[derive(Debug, Clone, Default)]
pub struct KillSwitch(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    engaged: Mutex<Option<String>>,
    signals: Mutex<Vec<Arc<dyn KillSignal>>>,
    changed: Event,
}

impl KillSwitch {
    /// A switch that is not engaged.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks `signal` too, from now on and in all clones.
    pub fn watch(&self, signal: impl KillSignal) {
        self.0.signals.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(signal));
        self.0.changed.notify(usize::MAX);
    }

    /// Stops everything in this process from now on, until it ends.
    pub fn engage(&self, by: &Principal, reason: &str) {
        tracing::warn!(by = %by, reason, "kill switch engaged");
        *self.0.engaged.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{by}: {reason}"));
        self.0.changed.notify(usize::MAX);
    }

    /// Takes [`engage`](Self::engage) back; what a signal says stands. Tokens minted before stay valid until they expire.
    pub fn release(&self, by: &Principal) {
        tracing::warn!(by = %by, "kill switch released");
        *self.0.engaged.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether it is engaged.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.reason().is_some()
    }

    /// Who engaged it and why, or what the first signal that speaks says.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let engaged = self.0.engaged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        engaged.or_else(|| self.signals().iter().find_map(|signal| signal.reason()))
    }

    /// Whether actions may go on.
    ///
    /// # Errors
    /// [`ErrorKind::Killed`] with who engaged it and why.
    pub fn check(&self) -> Result<()> {
        self.reason().map_or(Ok(()), |why| Err(Error::new(ErrorKind::Killed, why)))
    }

    /// Completes with the reason once it is engaged; a signal is noticed within a second by `clock`.
    pub async fn engaged(&self, clock: &dyn Clock) -> String {
        loop {
            let changed = self.0.changed.listen();
            if let Some(reason) = self.reason() {
                return reason;
            }
            if self.signals().is_empty() {
                changed.await;
            } else {
                futures_lite::future::or(changed, clock.sleep(SIGNAL_POLL)).await;
            }
        }
    }

    /// A signal may take its time: the lock is not held meanwhile.
    fn signals(&self) -> Vec<Arc<dyn KillSignal>> {
        self.0.signals.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
