//! The supervisor on live processes. The program starts itself again as the supervised service, which a test
//! binary of the usual kind cannot do; hence a `main` of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod child;
mod conformance;
mod lifecycle;
mod operations;
mod seams;
mod spec;
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if let Some(code) = child::run_if_child() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Real processes with real deadlines: a few at a time, whatever the machine.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let trials =
        [lifecycle::trials(), operations::trials(), seams::trials(), conformance::trials(), spec::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
