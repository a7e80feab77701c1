//! Virtual time: whoever waits is woken in the order of due times, and nobody waits for real.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::time::after;
use aiops_core::{BoxFuture, Clock};

/// A clock that moves to the earliest due time when nothing else can go on.
///
/// A leaping [`ManualClock`](aiops_core::ManualClock) lets two sleepers interleave by turns, so a deadline beside work that
/// sleeps often is reached before that work. Here sleepers are kept by due time, as events of a simulation are, and
/// [`drive`](Self::drive) moves the time only when the driven future is stuck. Clones share the time.
///
/// ```
/// use aiops_core::Clock;
/// use aiops_eval::arena::VirtualClock;
/// use std::time::Duration;
/// let clock = VirtualClock::at("2026-01-01T00:00:00Z".parse()?);
/// let sleeper = clock.clone();
/// clock.drive(async move { sleeper.sleep(Duration::from_secs(3600)).await });
/// assert_eq!(clock.now().to_string(), "2026-01-01T01:00:00Z");
/// # Ok::<(), aiops_core::jiff::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Timestamp,
    next: u64,
    /// By due time, then in the order in which they went to sleep.
    sleepers: BTreeMap<(Timestamp, u64), Option<Waker>>,
}

struct Sleep {
    clock: VirtualClock,
    key: (Timestamp, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= self.key.0 {
            state.sleepers.remove(&self.key);
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.key);
    }
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl VirtualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, next: 0, sleepers: BTreeMap::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` to its end on this thread, moving the time whenever nothing else can go on.
    ///
    /// A future that waits for something other than this clock and that nobody completes would wait for ever; the caller's
    /// work must sleep on this clock alone.
    pub fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = std::task::Context::from_waker(&waker);
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut cx) {
                return done;
            }
            if woken.0.swap(false, Ordering::SeqCst) {
                continue;
            }
            let mut state = self.state();
            // INVARIANT: sleepers that are due were woken before, so the first key lies ahead.
            let due = state.sleepers.first_key_value().map(|(key, _)| key.0);
            match due {
                Some(due) => {
                    state.now = state.now.max(due);
                    let now = state.now;
                    let ready = state.sleepers.range_mut(..=(now, u64::MAX));
                    let wakers: Vec<Waker> = ready.filter_map(|(_, waker)| waker.take()).collect();
                    drop(state);
                    wakers.into_iter().for_each(Waker::wake);
                    woken.0.store(false, Ordering::SeqCst);
                }
                None => {
                    // Another thread holds what the work waits for.
                    drop(state);
                    std::thread::yield_now();
                }
            }
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.state();
        let key = (after(state.now, duration), state.next);
        state.next += 1;
        drop(state);
        Box::pin(Sleep { clock: self.clone(), key })
    }
}
