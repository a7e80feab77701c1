//! One command: a little shop of real processes breaks and heals itself. See `docs/guide/self_heal.md`.

use std::process::ExitCode;

use aiops_examples::self_heal::{Options, main as run};
use aiops_examples::shop::run_if_service;
use clap::Parser as _;

fn main() -> ExitCode {
    // The shop's processes are this program, started again.
    if let Some(code) = run_if_service() {
        return code;
    }
    run(&Options::parse())
}
