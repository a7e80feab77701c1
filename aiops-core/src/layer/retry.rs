use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, Layer};

/// Settings of [`Retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetryConfig {
    /// Calls at most, the first included; default 3, 1..=20.
    pub attempts: u32,
    /// Wait before the second call; doubles each time; default 200 ms.
    #[serde(with = "crate::model::duration")]
    pub backoff: Duration,
    /// Longest wait; default 5 s.
    #[serde(with = "crate::model::duration")]
    pub longest_backoff: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 3, backoff: Duration::from_millis(200), longest_backoff: Duration::from_secs(5) }
    }
}

/// Repeats a read that failed for a transient reason, with exponential back-off.
///
/// Not a [`OnceLayer`](crate::layer::OnceLayer): around a seam that acts it does not compile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry(RetryConfig);

impl Retry {
    /// Retries as `config` says.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when a field is out of range.
    pub fn new(config: RetryConfig) -> Result<Self> {
        if !(1..=20).contains(&config.attempts) {
            return Err(
                Error::new(ErrorKind::Invalid, "attempts lies in 1..=20").with("attempts", config.attempts)
            );
        }
        Ok(Self(config))
    }
}

impl Layer for Retry {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: &'a (dyn Fn() -> BoxFuture<'a, Result<T>> + Send + Sync),
    ) -> BoxFuture<'a, Result<T>> {
        let RetryConfig { attempts, backoff, longest_backoff } = self.0;
        Box::pin(async move {
            let mut wait = backoff;
            for n in 1.. {
                match attempt().await {
                    Err(e) if e.is_transient() && n < attempts => {
                        tracing::debug!(operation = call.operation, attempt = n, error = %e, "retrying");
                    }
                    Err(e) => return Err(e.with("attempts", n)),
                    answer => return answer,
                }
                ctx.sleep(wait).await?;
                wait = wait.saturating_mul(2).min(longest_backoff);
            }
            Err(Error::new(ErrorKind::Internal, "retries ended without an answer").at(call.operation))
        })
    }
}
