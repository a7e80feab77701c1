//! Criterion benches of aiops.
