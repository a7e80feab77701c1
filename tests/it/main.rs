//! What the workspace promises about itself: the direction of dependencies, documents that resolve, requirements that
//! are covered as `docs/coverage.md` says, and what several crates do together. Every checker is run on a bad example too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod budgets;
mod calendar;
mod coverage;
mod crates;
mod documents;
mod repository;
