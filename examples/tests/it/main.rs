//! The shop on live processes. The program starts itself again as each process of the shop, which a test
//! binary of the usual kind cannot do; hence a `main` of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::print_stdout, reason = "figures are part of the report")]

mod narrative;
mod shop;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(code) = aiops_examples::shop::run_if_service() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Figures are wall-clock times on a small machine: one system at a time.
    arguments.test_threads = Some(1);
    let trials = narrative::trials().into_iter().chain(shop::trials()).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    shop::close();
    conclusion.exit_code()
}
