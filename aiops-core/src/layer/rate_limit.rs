use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, OnceLayer};
use crate::model::time::{after, elapsed};

/// Spaces calls out: at most one each `interval`, with a burst of `burst` after a pause (token bucket kept as a
/// theoretical arrival time, as in GCRA, ITU-T I.371). Callers wait their turn; a context that ends first gives up.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    tolerance: Duration,
    queue: Mutex<Option<Queue>>,
}

#[derive(Debug, Clone, Copy)]
struct Queue {
    /// When the next call would be due if calls came evenly.
    due: Timestamp,
    /// When the last caller came.
    last: Timestamp,
}

impl RateLimit {
    /// One call each `interval`, and up to `burst` at once.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `interval` or `burst` is zero.
    pub fn new(interval: Duration, burst: u32) -> Result<Self> {
        if interval.is_zero() || burst == 0 {
            return Err(Error::new(ErrorKind::Invalid, "interval and burst must be more than zero"));
        }
        let tolerance = interval.saturating_mul(burst - 1);
        Ok(Self { interval, tolerance, queue: Mutex::new(None) })
    }

    /// Takes the next turn and tells how long to wait for it.
    fn reserve(&self, now: Timestamp) -> Duration {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // After a clock jumped back, nobody waits for the old future.
        let turn = queue.filter(|q| q.last <= now).map_or(now, |q| q.due.max(now));
        *queue = Some(Queue { due: after(turn, self.interval), last: now });
        elapsed(now, turn).saturating_sub(self.tolerance)
    }
}

impl OnceLayer for RateLimit {
    fn around_once<'a, T: Send + 'a>(
        &'a self,
        _call: Call,
        ctx: &'a Context,
        attempt: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        Box::pin(async move {
            let wait = self.reserve(ctx.now());
            if !wait.is_zero() {
                ctx.sleep(wait).await?;
            }
            attempt.await
        })
    }
}
