//! A retry layer around `Mitigator`, whose calls have effects.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::layer::{LayerExt, Retry, Trace};
use aiops_core::seam::Mitigator;

fn accept(_: impl Mitigator) {}

fn attack(inner: impl Mitigator) {
    let (retry, trace) = (Retry::default(), Trace);
    accept(inner.layer(trace));
}

fn main() {}
