//! A retry layer around `Approver`, whose calls have effects.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::layer::{LayerExt, Retry, Trace};
use aiops_core::seam::Approver;

fn accept(_: impl Approver) {}

fn attack(inner: impl Approver) {
    let (retry, trace) = (Retry::default(), Trace);
    accept(inner.layer(retry)); //~ E0277
}

fn main() {}
