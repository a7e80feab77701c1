use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Share;
use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, Effect, OnceLayer};

/// Settings of [`Chaos`]. Shares are of all calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChaosConfig {
    /// Calls that fail before they are made.
    pub refuse: Share,
    /// Calls that are made and whose answer is lost.
    pub lose_answer: Share,
    /// Calls that are late by `delay`.
    pub late: Share,
    /// How late.
    #[serde(with = "crate::model::duration")]
    pub delay: Duration,
    /// Seed of the choice.
    pub seed: u64,
}

impl ChaosConfig {
    /// No chaos; set the shares on the fields.
    ///
    /// # Errors
    /// Never for these values; the shares are checked when made.
    pub fn calm(seed: u64) -> Result<Self> {
        let none = Share::new(0.0)?;
        Ok(Self { refuse: none, lose_answer: none, late: none, delay: Duration::from_millis(100), seed })
    }
}

/// Makes a seam fail as real ones do: refused calls, lost answers, delays. Seeded, so that a failure can be had again.
#[derive(Debug)]
pub struct Chaos {
    config: ChaosConfig,
    random: Mutex<fastrand::Rng>,
}

impl Chaos {
    /// Chaos as `config` says.
    #[must_use]
    pub fn new(config: ChaosConfig) -> Self {
        Self { config, random: Mutex::new(fastrand::Rng::with_seed(config.seed)) }
    }

    fn strikes(&self, share: Share) -> bool {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.f64() < share.get()
    }
}

impl OnceLayer for Chaos {
    fn around_once<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        let refused = self.strikes(self.config.refuse);
        let lost = self.strikes(self.config.lose_answer);
        let late = self.strikes(self.config.late);
        Box::pin(async move {
            if refused {
                return Err(Error::new(ErrorKind::Unavailable, "refused by chaos").at(call.operation));
            }
            if late {
                ctx.sleep(self.config.delay).await?;
            }
            let answer = attempt.await;
            if !lost {
                return answer;
            }
            let kind = match call.effect {
                Effect::Reads => ErrorKind::Timeout,
                Effect::Acts => ErrorKind::InDoubt,
            };
            Err(Error::new(kind, "the answer was lost by chaos").at(call.operation))
        })
    }
}
