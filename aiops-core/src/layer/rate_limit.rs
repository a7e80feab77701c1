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
    /// When the next call would be due if calls came evenly.
    due: Mutex<Option<Timestamp>>,
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
        Ok(Self { interval, tolerance, due: Mutex::new(None) })
    }

    /// Takes the next turn and tells how long to wait for it.
    fn reserve(&self, now: Timestamp) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that jumped far back must not make everyone wait for the old future.
        let furthest = after(now, self.tolerance.saturating_add(self.interval.saturating_mul(1_000)));
        let turn = due.map_or(now, |d| d.max(now)).min(furthest);
        *due = Some(after(turn, self.interval));
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
