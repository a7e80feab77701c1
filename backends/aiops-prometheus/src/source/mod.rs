//! Both sources behind the seam: a server read over HTTP, and the embedded store.
//!
//! Both give the same signals under the same names ([`SignalName`](crate::SignalName)), on the grid of the request.
//! What differs is stated: the server extrapolates rates to the edges of their window, the store does not; the server's
//! look-back is its own (5 min in Prometheus), the store's is a number of steps.

mod assemble;
mod embedded;
mod server;

pub use embedded::EmbeddedSource;
pub use server::PrometheusSource;

use aiops_core::model::{FetchRequest, MatchOp, Signal, SignalSet};
use aiops_core::seam::SourceCapability;
use aiops_core::{Error, ErrorKind, Result};

use crate::selector::LabelMatcher;
use crate::store::Grid;

fn capability() -> SourceCapability {
    SourceCapability::of([Signal::Metrics, Signal::Topology].into_iter().collect::<SignalSet>())
}

/// The signals of the request that there are.
fn observed(request: &FetchRequest) -> Result<SignalSet> {
    let observed = request.signals.intersection(&capability().signals);
    if observed.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "the source has metrics and topology only")
            .with("asked", format!("{:?}", request.signals.iter().collect::<Vec<_>>())));
    }
    Ok(observed)
}

/// The request's grid in milliseconds. A start within a millisecond is evaluated at the millisecond before it.
fn grid(request: &FetchRequest, len: usize) -> Result<Grid> {
    let invalid = || {
        Error::new(ErrorKind::Invalid, "the step must be whole milliseconds")
            .with("step", format!("{:?}", request.step))
    };
    let step_ms = i64::try_from(request.step.as_millis()).map_err(|_| invalid())?;
    if step_ms == 0 || !request.step.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(invalid());
    }
    let start_ms = request.range.start().as_nanosecond().div_euclid(1_000_000);
    let start_ms = i64::try_from(start_ms).map_err(|_| invalid())?;
    Ok(Grid { start_ms, step_ms, len })
}

fn label_matchers(request: &FetchRequest) -> Vec<LabelMatcher> {
    let matcher = |m: &aiops_core::model::Matcher| {
        let (label, value) = (m.label.clone(), m.value.clone());
        match m.op {
            MatchOp::Equal => LabelMatcher::Equal { label, value },
            MatchOp::NotEqual => LabelMatcher::NotEqual { label, value },
        }
    };
    request.selector.matchers.iter().map(matcher).collect()
}
