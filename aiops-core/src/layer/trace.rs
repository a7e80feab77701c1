use tracing::Instrument as _;

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::Result;
use crate::layer::{Call, OnceLayer};
use crate::model::time::elapsed;

/// Puts every call into a `tracing` span `seam` with `operation`, and records how it ended and how long it took.
///
/// # Emitted (a contract, tested)
/// Span `seam` at `info` with field `operation`; one event at `debug` on success, at `warn` with `error.kind` on failure, both
/// with `elapsed_ms`. Payloads never appear.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace;

impl OnceLayer for Trace {
    fn around_once<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        let span = tracing::info_span!("seam", operation = call.operation);
        let work = async move {
            let start = ctx.now();
            let answer = attempt.await;
            let elapsed_ms = u64::try_from(elapsed(start, ctx.now()).as_millis()).unwrap_or(u64::MAX);
            match &answer {
                Ok(_) => tracing::debug!(elapsed_ms, "done"),
                Err(e) => tracing::warn!(elapsed_ms, error.kind = e.kind().as_str(), "failed"),
            }
            answer
        };
        Box::pin(work.instrument(span))
    }
}
