//! The shop on live processes. The program starts itself again as each process of the shop, and as the example itself, which a test
//! binary of the usual kind cannot do; hence a `main` of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "figures are part of the report")]

mod demos;
mod narrative;
mod shop;

use std::process::ExitCode;

use aiops_examples::self_heal;
use clap::Parser as _;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(code) = aiops_examples::shop::run_if_service() {
        return code;
    }
    let given = std::env::args_os().skip(1);
    if std::env::args().nth(1).as_deref() == Some(demos::PROGRAM) {
        return self_heal::main(&self_heal::Options::parse_from(given));
    }
    let mut arguments = Arguments::from_args();
    // Figures are wall-clock times on a small machine: one system at a time.
    arguments.test_threads = Some(1);
    let trials = narrative::trials().into_iter().chain(shop::trials()).collect();
    let alone = libtest_mimic::run(&arguments, trials);
    shop::close();
    // Demonstrations mostly wait: beside each other they take little longer than the longest.
    arguments.test_threads = Some(demos::at_once());
    let beside = libtest_mimic::run(&arguments, demos::trials());
    if alone.has_failed() { alone.exit_code() } else { beside.exit_code() }
}
