//! Honest evaluation of aiops pipelines.
fn main() {}
