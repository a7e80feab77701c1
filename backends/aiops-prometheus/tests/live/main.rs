//! Tests against real servers, as far as their binaries are installed (`prometheus` and `promtool`,
//! `victoria-metrics`). Without its binary a test is reported as ignored; with `AIOPS_REQUIRE_LIVE=1` it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod history;
mod prometheus;
mod server;
mod victoria;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test that needs `binaries` to be in the path.
fn trial<F, T>(name: &'static str, binaries: &[&'static str], test: T) -> Trial
where
    F: Future<Output = ()>,
    T: FnOnce() -> F + Send + 'static,
{
    let missing: Vec<_> = binaries.iter().copied().filter(|binary| server::find(binary).is_none()).collect();
    let required = std::env::var_os("AIOPS_REQUIRE_LIVE").is_some_and(|value| value == "1");
    if missing.is_empty() {
        return Trial::test(name, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(test());
            Ok(())
        });
    }
    let reason = format!("not installed: {}", missing.join(", "));
    Trial::test(name, move || Err(reason.into())).with_ignored_flag(!required)
}

fn main() -> ExitCode {
    let prometheus = ["prometheus", "promtool"];
    let victoria = ["victoria-metrics"];
    let trials = vec![
        trial("prometheus::store_and_server_agree", &prometheus, prometheus::store_and_server_agree),
        trial("prometheus::long_ranges_are_stitched", &prometheus, prometheus::long_ranges_are_stitched),
        trial(
            "prometheus::scrapes_as_the_scraper_does",
            &prometheus,
            prometheus::scrapes_as_the_scraper_does,
        ),
        trial("prometheus::refuses_what_is_wrong", &prometheus, prometheus::refuses_what_is_wrong),
        trial("prometheus::speaks_tls_with_password", &prometheus, prometheus::speaks_tls_with_password),
        trial("prometheus::is_a_telemetry_source", &prometheus, prometheus::is_a_telemetry_source),
        trial("victoria::is_a_telemetry_source", &victoria, victoria::is_a_telemetry_source),
        trial("victoria::long_ranges_are_stitched", &victoria, victoria::long_ranges_are_stitched),
        trial("victoria::shows_the_present", &victoria, victoria::shows_the_present),
        trial("victoria::refuses_what_is_wrong", &victoria, victoria::refuses_what_is_wrong),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
