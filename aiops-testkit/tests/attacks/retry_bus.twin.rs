//! A retry layer around `EventBus`, whose calls have effects.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::layer::{LayerExt, Retry, Trace};
use aiops_core::seam::EventBus;

fn accept(_: impl EventBus) {}

fn attack(inner: impl EventBus) {
    let (retry, trace) = (Retry::default(), Trace);
    accept(inner.layer(trace));
}

fn main() {}
