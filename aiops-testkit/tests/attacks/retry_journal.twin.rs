//! A retry layer around `Journal`, whose calls have effects.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::layer::{LayerExt, Retry, Trace};
use aiops_core::seam::Journal;

fn accept(_: impl Journal) {}

fn attack(inner: impl Journal) {
    let (retry, trace) = (Retry::default(), Trace);
    accept(inner.layer(trace));
}

fn main() {}
