//! What every call carries besides its request: time, deadline, cancellation, budget.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use event_listener::Event;
use jiff::Timestamp;

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::model::time::{after, elapsed};

/// Tells a tree of calls to stop. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<CancellationState>);

#[derive(Debug, Default)]
struct CancellationState {
    cancelled: AtomicBool,
    event: Event,
}

impl Cancellation {
    /// Not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels; it stays so.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Completes when it is cancelled.
    pub async fn cancelled(&self) {
        loop {
            let event = self.0.event.listen();
            if self.is_cancelled() {
                return;
            }
            event.await;
        }
    }
}

/// A shared allowance, e.g. of model tokens or queries. Clones draw on one account.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicU64>);

impl Budget {
    /// An allowance of `units`.
    #[must_use]
    pub fn of(units: u64) -> Self {
        Self(Arc::new(AtomicU64::new(units)))
    }

    /// No bound that a program could reach.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::of(u64::MAX)
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Takes `units`, all or nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when fewer are left.
    pub fn take(&self, units: u64) -> Result<()> {
        let taken = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(units));
        taken.map(drop).map_err(|left| {
            Error::new(ErrorKind::Limit, "a budget is used up").with("asked", units).with("left", left)
        })
    }
}

/// Travels beside every request. Cheap to clone; children share cancellation and budgets.
#[derive(Debug, Clone)]
pub struct Context {
    clock: Arc<dyn Clock>,
    deadline: Option<Timestamp>,
    cancellation: Cancellation,
    queries: Budget,
    tokens: Budget,
}

impl Context {
    /// A context on `clock`, without deadline and with unlimited budgets.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            deadline: None,
            cancellation: Cancellation::new(),
            queries: Budget::unlimited(),
            tokens: Budget::unlimited(),
        }
    }

    /// A context on the machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock))
    }

    /// A context that must end within `limit` from now; an earlier deadline stays.
    #[must_use]
    pub fn with_timeout(&self, limit: Duration) -> Self {
        let due = after(self.now(), limit);
        Self { deadline: Some(self.deadline.map_or(due, |d| d.min(due))), ..self.clone() }
    }

    /// The same context that `cancellation` ends.
    #[must_use]
    pub fn with_cancellation(mut self, cancellation: Cancellation) -> Self {
        self.cancellation = cancellation;
        self
    }

    /// The same context with an allowance of queries to telemetry.
    #[must_use]
    pub fn with_queries(mut self, queries: Budget) -> Self {
        self.queries = queries;
        self
    }

    /// The same context with an allowance of model tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Budget) -> Self {
        self.tokens = tokens;
        self
    }

    /// A context that outlives the cancellation and deadline of this one by `limit`: for writing down what was
    /// already done.
    #[must_use]
    pub fn detached(&self, limit: Duration) -> Self {
        let free = Self { deadline: None, cancellation: Cancellation::new(), ..self.clone() };
        free.with_timeout(limit)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When the work must be done, if there is a limit.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Ends this context and everything below it.
    #[must_use]
    pub fn cancellation(&self) -> &Cancellation {
        &self.cancellation
    }

    /// Allowance of queries.
    #[must_use]
    pub fn queries(&self) -> &Budget {
        &self.queries
    }

    /// Allowance of model tokens.
    #[must_use]
    pub fn tokens(&self) -> &Budget {
        &self.tokens
    }

    /// Whether the work may go on.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::Timeout`].
    pub fn check(&self) -> Result<()> {
        if self.cancellation.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the caller gave up"));
        }
        match self.deadline {
            Some(deadline) if self.now() >= deadline => Err(too_late(deadline)),
            _ => Ok(()),
        }
    }

    /// Runs `work` until it ends, is cancelled or runs out of time.
    ///
    /// Only for reads: when `work` has side effects, dropping it leaves them in doubt.
    ///
    /// # Errors
    /// Those of `work`, [`ErrorKind::Cancelled`] or [`ErrorKind::Timeout`].
    pub async fn bound<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        futures_lite::future::or(work, async { Err(self.ended().await) }).await
    }

    /// Waits.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::Timeout`] when the context ends first.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        let nap = self.clock.sleep(duration);
        self.bound(async {
            nap.await;
            Ok(())
        })
        .await
    }

    async fn ended(&self) -> Error {
        let cancelled = async {
            self.cancellation.cancelled().await;
            Error::new(ErrorKind::Cancelled, "the caller gave up")
        };
        match self.deadline {
            None => cancelled.await,
            Some(deadline) => {
                let late = async {
                    // A leaping clock must not leap to the deadline while the work still runs,
                    // so the wait is taken only after the work had its first turn.
                    futures_lite::future::yield_now().await;
                    self.clock.sleep(elapsed(self.now(), deadline)).await;
                    too_late(deadline)
                };
                futures_lite::future::or(cancelled, late).await
            }
        }
    }
}

fn too_late(deadline: Timestamp) -> Error {
    Error::new(ErrorKind::Timeout, "the deadline has passed").with("deadline", deadline)
}
