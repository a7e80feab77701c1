//! `aiops-eval`: sums up recorded cases, replays recorded telemetry through the detector, compares rolling statistics with
//! exact arithmetic, scores detectors, localisers, diagnoses and briefings on labelled data, measures a long window, and makes and
//! mines labelled logs.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Evaluates what pipelines recorded.
#[derive(Debug, Parser)]
#[command(name = "aiops-eval", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays pipelines in simulated systems that break, and scores them.
    Arena(commands::arena::Arena),
    /// Derives every number of an arena run again from its records; exits with 1 when one differs.
    Rescore(commands::rescore::Rescore),
    /// Sums up the case files (*.case, *.json) of a folder; exits with 1 when one cannot be read or there is none.
    Cases(commands::cases::Cases),
    /// Runs the rolling detector over recorded telemetry and counts the alarms it would have raised.
    Replay(commands::replay::Replay),
    /// Compares rolling statistics with exact arithmetic; exits with 1 when an error is beyond the stated bound.
    Rolling(commands::rolling::Rolling),
    /// Briefs labelled incidents and looks whether the service at fault is among the first entities.
    Briefing(commands::briefing::Briefing),
    /// Makes up a mixed window of samples, spans and lines, briefs it in one pass, and measures time and memory.
    Window(commands::window::Window),
    /// Mines the log sets of a folder (loghub's layout), writes predictions, and scores them where labels are.
    Logs(commands::logs::Logs),
    /// Makes large labelled log sets from small ones by varying what is variable.
    Corpus(commands::corpus::Corpus),
    /// Runs the detectors over labelled data sets and prints how well they do.
    Metrics(commands::metrics::Metrics),
    /// Runs the detectors of series over one labelled data set.
    Series(commands::series::Series),
    /// Runs the isolation forest over tables of labelled rows.
    Tabular(commands::tabular::Tabular),
    /// Runs the detectors of change points over annotated series.
    Changepoints(commands::changepoints::Changepoints),
    /// Measures how long an isolation forest takes, on generated rows.
    ForestSpeed(commands::forest_speed::ForestSpeed),
    /// Localises labelled incidents, with named baselines beside it.
    Incidents(commands::incidents::Incidents),
    /// Lays the alerts of labelled incidents out as one stream and scores how they are grouped, with baselines beside it.
    Alerts(commands::alerts::Alerts),
    /// Scores the same on generated estates whose faults travel along their calls.
    AlertEstate(commands::alert_estate::AlertEstate),
    /// Measures how long the correlation of an alert takes, on generated ones.
    AlertSpeed(commands::alert_speed::AlertSpeed),
    /// Diagnoses labelled incidents: system, kind of fault, and whether confidence keeps what it says.
    Diagnose(commands::diagnose::Diagnose),
    /// Answers questions about telemetry in OpenRCA's layout and scores them, or lays episodes of the arena out in it.
    #[command(name = "openrca")]
    OpenRca(commands::openrca::OpenRca),
    /// Hands out episodes of the arena as problems of AIOpsLab's four tasks, over lines of JSON on standard input and output.
    #[command(name = "aiopslab")]
    AiopsLab(commands::aiopslab::AiopsLab),
}

fn main() -> ExitCode {
    // Processes of the example system are this program, started again.
    #[cfg(feature = "live")]
    if let Some(code) = aiops_examples::shop::run_if_service() {
        return code;
    }
    let ended = match Cli::parse().command {
        Command::Arena(options) => options.run(),
        Command::Rescore(options) => options.run(),
        Command::Cases(options) => options.run(),
        Command::Replay(options) => options.run(),
        Command::Rolling(options) => options.run(),
        Command::Briefing(options) => options.run(),
        Command::Window(options) => options.run(),
        Command::Logs(options) => options.run(),
        Command::Corpus(options) => options.run(),
        Command::Metrics(options) => options.run(),
        Command::Series(options) => options.run(),
        Command::Tabular(options) => options.run(),
        Command::Changepoints(options) => options.run(),
        Command::ForestSpeed(options) => options.run(),
        Command::Incidents(options) => options.run(),
        Command::Alerts(options) => options.run(),
        Command::AlertEstate(options) => options.run(),
        Command::AlertSpeed(options) => options.run(),
        Command::Diagnose(options) => options.run(),
        Command::OpenRca(options) => options.run(),
        Command::AiopsLab(options) => options.run(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("aiops-eval: {error}");
        ExitCode::FAILURE
    })
}
