//! Integration tests of aiops-act.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and some say how much they covered"
)]

mod adversary;
mod allow_list;
mod approvals;
mod audit;
mod audit_signed;
mod budgets;
mod calendar;
mod capacity;
mod case_folder;
mod chains;
mod cheats;
mod config;
mod conformance;
mod disk;
mod feed;
mod fitted;
mod foretold;
mod graduation;
mod guards;
mod incidents;
mod journal;
mod kill;
mod learned;
mod learning;
mod lease;
mod model;
mod oracle;
mod planner;
mod policy;
mod post_mortem;
mod rationing;
mod runbook;
#[cfg(unix)]
mod slain;
mod support;
mod taken_up;
mod verifier;
mod verifier_health;
