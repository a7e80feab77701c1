//! A retry layer around `AuditSink`, whose calls have effects.
#![allow(unused, unreachable_code, reason = "only type-checked, never run")]

use aiops_core::layer::{LayerExt, Retry, Trace};
use aiops_core::seam::AuditSink;

fn accept(_: impl AuditSink) {}

fn attack(inner: impl AuditSink) {
    let (retry, trace) = (Retry::default(), Trace);
    accept(inner.layer(trace));
}

fn main() {}
