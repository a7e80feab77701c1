//! Layers: what may stand around a seam without changing what it means.
//!
//! A [`OnceLayer`] passes a call on at most once, so it fits every seam. A [`Layer`] may call again, so it fits only seams
//! whose calls read. Which fits where is decided by the compiler:
//!
//! | seam | [`Timeout`] | [`RateLimit`] | [`Chaos`] | [`Trace`] | [`Retry`] | [`Masked`] |
//! |---|---|---|---|---|---|---|
//! | `TelemetrySource` | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | `Detector`, `Localizer`, `Rca`, `Planner`, `Guardrail`, `Verifier`, `Compactor` | ✓ | ✓ | ✓ | ✓ | ✓ | |
//! | `Notifier`, `LanguageModel` | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | `ChangeFeed` | ✓ | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | `KnowledgeBase` | ✓ | ✓ | ✓ | ✓ | ✓ | |
//! | `EventBus` | ✓ | ✓ | ✓ | ✓ | does not compile | ✓ |
//! | `AuditSink` | ✓ | ✓ | ✓ | ✓ | does not compile | ✓ |
//! | `Mitigator`, `Journal`, `Approver` | ✓ | ✓ | ✓ | ✓ | does not compile | |
//!
//! ```
//! use aiops_core::layer::{LayerExt, Retry, Timeout};
//! use aiops_core::fake::InMemorySource;
//! use std::time::Duration;
//! let source = InMemorySource::new().layer(Timeout::after(Duration::from_secs(5))?).layer(Retry::default());
//! # let _ = source;
//! # Ok::<(), aiops_core::Error>(())
//! ```

mod chaos;
mod masked;
mod rate_limit;
mod retry;
mod timeout;
mod trace;

pub use chaos::{Chaos, ChaosConfig};
pub use masked::Masked;
pub use rate_limit::RateLimit;
pub use retry::{Retry, RetryConfig};
pub use timeout::Timeout;
pub use trace::Trace;

use std::fmt::Debug;

use crate::clock::BoxFuture;
use crate::context::Context;
use crate::error::Result;

/// What a lost answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: the call only reads.
    Reads,
    /// The effect may have taken place.
    Acts,
}

/// A call on its way through a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// `Seam::method`.
    pub operation: &'static str,
    /// What a lost answer means.
    pub effect: Effect,
}

impl Call {
    /// A call that only reads.
    #[must_use]
    pub fn reads(operation: &'static str) -> Self {
        Self { operation, effect: Effect::Reads }
    }

    /// A call that acts.
    #[must_use]
    pub fn acts(operation: &'static str) -> Self {
        Self { operation, effect: Effect::Acts }
    }
}

/// A layer that may make a call several times.
pub trait Layer: Debug + Send + Sync + 'static {
    /// Makes the call through `attempt`.
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: &'a (dyn Fn() -> BoxFuture<'a, Result<T>> + Send + Sync),
    ) -> BoxFuture<'a, Result<T>>;
}

/// A layer that makes a call at most once.
pub trait OnceLayer: Debug + Send + Sync + 'static {
    /// Makes the call by awaiting `attempt`, or does not make it by dropping it.
    fn around_once<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>>;
}

impl<L: OnceLayer> Layer for L {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        ctx: &'a Context,
        attempt: &'a (dyn Fn() -> BoxFuture<'a, Result<T>> + Send + Sync),
    ) -> BoxFuture<'a, Result<T>> {
        self.around_once(call, ctx, attempt())
    }
}

/// A seam with a layer around it; made by [`LayerExt::layer`].
#[derive(Debug)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

impl<L, S> Layered<L, S> {
    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// What it stands around.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// Puts layers around anything that is a seam.
pub trait LayerExt: Sized {
    /// This with `layer` around it.
    fn layer<L>(self, layer: L) -> Layered<L, Self> {
        Layered { layer, inner: self }
    }

    /// This with every text that passes masked by `mask`.
    fn masked<M>(self, mask: M) -> Masked<M, Self> {
        Masked::new(mask, self)
    }
}

impl<S: Debug + Send + Sync + 'static> LayerExt for S {}
