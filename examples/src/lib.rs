//! The aiops example system and programs.
//!
//! [`shop`] is a little system of real processes, [`faults`] breaks it.

#[cfg(not(unix))]
compile_error!("the example system runs on Unix-like systems");

pub mod faults;
pub mod shop;
