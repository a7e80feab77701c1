use std::time::Duration;

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::layer::{Call, Effect, OnceLayer};

/// Bounds how long a call may take.
///
/// A read that is late is [`ErrorKind::Timeout`]; an act that is late is [`ErrorKind::InDoubt`], since its effect may have taken place.
#[derive(Debug, Clone, Copy)]
pub struct Timeout(Duration);

impl Timeout {
    /// Gives up after `limit`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when `limit` is zero.
    pub fn after(limit: Duration) -> Result<Self> {
        if limit.is_zero() {
            return Err(Error::new(ErrorKind::Invalid, "a time limit must be longer than zero"));
        }
        Ok(Self(limit))
    }
}

impl OnceLayer for Timeout {
    fn around_once<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        let limit = self.0;
        Box::pin(async move {
            let late = async {
                ctx.clock().sleep(limit).await;
                let kind = match call.effect {
                    Effect::Reads => ErrorKind::Timeout,
                    Effect::Acts => ErrorKind::InDoubt,
                };
                Err(Error::new(kind, "no answer in time")
                    .at(call.operation)
                    .with("limit", format!("{limit:?}")))
            };
            futures_lite::future::or(attempt, late).await
        })
    }
}
