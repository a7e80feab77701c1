//! Points at any Prometheus or VictoriaMetrics server, compares the last window of every metric with its past, and
//! prints what left its norm, most deviating first.
//!
//! ```text
//! cargo run --release --example prometheus -- http://127.0.0.1:9090
//! cargo run --release --example prometheus -- http://127.0.0.1:9090 --window 15m --past 6h --watch
//! ```
//!
//! Nothing needs to be configured: metrics and their types, scrape interval, entities and units are discovered. The
//! server is only read. Findings go to standard output (`--json`: one object per scan), progress to standard error.
#![allow(clippy::print_stdout, reason = "a command-line program")]

mod arguments;
mod report;
mod scan;
#[cfg(test)]
mod stub;
mod watch;

use std::process::ExitCode;

use aiops_core::{Context, Result};
use clap::Parser as _;

use arguments::Arguments;
use scan::Scanner;
use watch::Tracker;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let work = async {
        tokio::select! {
            done = run(&arguments) => done,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    };
    match work.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", report::failure(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let ctx = Context::system();
    let scanner = Scanner::connect(arguments, &ctx).await?;
    let mut tracker = Tracker::default();
    loop {
        let began = ctx.now();
        match scanner.scan(&ctx).await {
            Ok(scan) if arguments.json => println!("{}", report::json(&scan)?),
            Ok(scan) if arguments.watch.is_some() => print!("{}", tracker.update(&scan, arguments.top)),
            Ok(scan) => print!("{}", report::text(&scan, arguments.top)),
            // While watching, a server that is away for a moment is waited for.
            Err(error) if arguments.watch.is_some() && error.is_transient() => {
                eprintln!("{}", report::failure(&error));
            }
            Err(error) => return Err(error),
        }
        let Some(interval) = arguments.watch else { return Ok(()) };
        let interval = interval.unwrap_or_else(|| scanner.step()).0;
        let spent = aiops_core::model::time::elapsed(began, ctx.now());
        ctx.sleep(interval.saturating_sub(spent)).await?;
    }
}
