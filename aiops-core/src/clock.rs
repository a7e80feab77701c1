//! Time as a dependency. Nothing but [`SystemClock`] reads the machine's clock.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_listener::Event;
use jiff::Timestamp;

use crate::model::time::after;

/// A boxed future, as seams return them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Tells the time and waits.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present instant. It may jump either way, as the machine's clock does.
    fn now(&self) -> Timestamp;

    /// Completes once `duration` has passed. Dropping the future cancels the wait.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (**self).sleep(duration)
    }
}

/// The machine's clock. Waits on a timer thread of its own, so it needs no async runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(futures_timer::Delay::new(duration))
    }
}

/// A clock that moves only when told to, for tests, simulation and replay.
///
/// Clones share the time.
///
/// ```
/// use aiops_core::{Clock, ManualClock};
/// use std::time::Duration;
/// let clock = ManualClock::at("2026-01-01T00:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().to_string(), "2026-01-01T00:00:05Z");
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
    leaps: bool,
}

#[derive(Debug)]
struct Shared {
    now: Mutex<Timestamp>,
    moved: Event,
}

impl Shared {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, to: impl FnOnce(Timestamp) -> Timestamp) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = to(*now);
        drop(now);
        self.moved.notify(usize::MAX);
    }
}

impl ManualClock {
    /// A clock that stands at `now`. Sleepers wake when [`advance`](Self::advance) passes their instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { shared: Arc::new(Shared { now: Mutex::new(now), moved: Event::new() }), leaps: false }
    }

    /// A clock that leaps: whoever sleeps moves the time forward and goes on at once.
    #[must_use]
    pub fn leaping(now: Timestamp) -> Self {
        Self { leaps: true, ..Self::at(now) }
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|now| after(now, by));
    }

    /// Jumps to `to`, forward or back.
    pub fn set(&self, to: Timestamp) {
        self.shared.change(|_| to);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.shared);
        let leaps = self.leaps;
        Box::pin(async move {
            let due = after(shared.now(), duration);
            if leaps {
                // Others get their turn first, so that two leaping sleepers interleave.
                futures_lite::future::yield_now().await;
                shared.change(|now| now.max(due));
                return;
            }
            loop {
                let moved = shared.moved.listen();
                if shared.now() >= due {
                    return;
                }
                moved.await;
            }
        })
    }
}
