//! The aiops example system and programs.
//!
//! [`shop`] is a little system of real processes, [`faults`] breaks it; [`progress`] shows a run while it lasts
//! and [`narrative`](fn@narrative::narrative) tells it afterwards.

#[cfg(not(unix))]
compile_error!("the example system runs on Unix-like systems");

pub mod faults;
pub mod narrative;
pub mod progress;
pub mod shop;
