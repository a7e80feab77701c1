//! Integration tests of the crate, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, reason = "one binary, private modules")]

mod client;
mod conformance;
mod exposition;
mod functions;
mod mapping;
mod scrape;
mod source;
mod store;
mod stub;
