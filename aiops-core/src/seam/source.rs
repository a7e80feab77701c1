use std::fmt::Debug;

use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{FetchRequest, SignalSet, TelemetryWindow};
use crate::seam::forward::forward_seam;

/// What a [`TelemetrySource`] can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceCapability {
    /// Signals it has; a request for others is answered without them.
    pub signals: SignalSet,
}

impl SourceCapability {
    /// A source of `signals`.
    pub fn of(signals: impl Into<SignalSet>) -> Self {
        Self { signals: signals.into() }
    }
}

/// Reads telemetry. Implementations hold read-only clients: monitoring never changes what it watches.
///
/// The window has `range` as asked, its parts in the documented order, `observed` = the signals asked for that the
/// source has, and a [`CollectorHealth`](crate::model::CollectorHealth) entry for whatever could not be read in part. Samples
/// are within `range`; changes may reach further back.
///
/// # Errors
/// [`Limit`](crate::ErrorKind::Limit) rather than a silently shortened answer; [`Unavailable`](crate::ErrorKind::Unavailable),
/// [`Timeout`](crate::ErrorKind::Timeout), [`Malformed`](crate::ErrorKind::Malformed), [`Unauthorized`](crate::ErrorKind::Unauthorized)
/// from the other side; [`Unsupported`](crate::ErrorKind::Unsupported) when none of the signals asked for is there.
#[async_trait]
pub trait TelemetrySource: Debug + Send + Sync + 'static {
    /// Which signals there are.
    fn capability(&self) -> SourceCapability;

    /// Reads what `request` asks for.
    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow>;
}

forward_seam!(repeatable TelemetrySource {
    @get capability -> SourceCapability;
    reads fetch(request: &FetchRequest) -> TelemetryWindow;
});
