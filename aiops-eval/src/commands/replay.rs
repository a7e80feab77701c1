//! `aiops-eval replay`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aiops_core::jiff::SignedDuration;
use aiops_core::model::{Direction, MatchOp, Severity};
use aiops_eval::EvalError;
use aiops_eval::recording::Recording;
use aiops_eval::replay::{ReplayConfig, replay};
use clap::{Args, ValueEnum};

use super::{print, progress};

/// Options of `replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A case file, or JSON lines of telemetry windows.
    file: PathBuf,
    /// JSON file of settings; options given beside it win.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Length of the window, e.g. 60s or 40m.
    #[arg(long, value_parser = duration)]
    window: Option<Duration>,
    /// Time between two looks.
    #[arg(long, value_parser = duration)]
    interval: Option<Duration>,
    /// Beginning of the recording to learn from instead of judging it.
    #[arg(long, value_parser = duration)]
    learn: Option<Duration>,
    /// Looks in a row that must show the same symptom.
    #[arg(long)]
    confirmations: Option<u32>,
    /// How long the symptoms of an alarm raise no other.
    #[arg(long, value_parser = duration)]
    hold_off: Option<Duration>,
    /// Name of a metric whose anomalies are symptoms; repeat for more. Default: all.
    #[arg(long = "metric")]
    metrics: Vec<String>,
    /// Condition on a label of symptoms, name=value or name!=value; repeat for more, all must hold.
    #[arg(long = "match", value_parser = matcher)]
    matchers: Vec<(String, MatchOp, String)>,
    /// Which way symptoms go.
    #[arg(long)]
    direction: Option<Way>,
    /// Lowest severity of symptoms.
    #[arg(long)]
    severity: Option<Level>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    Up,
    Down,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Info,
    Warning,
    Critical,
}

fn duration(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration = text.parse().map_err(|e| format!("{e}"))?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

fn matcher(text: &str) -> Result<(String, MatchOp, String), String> {
    let (label, op, value) = match (text.split_once("!="), text.split_once('=')) {
        // The first `=` decides, so that a value may contain `!=`.
        (Some((label, value)), Some((left, _))) if left.len() == label.len() + 1 => {
            (label, MatchOp::NotEqual, value)
        }
        (_, Some((label, value))) => (label, MatchOp::Equal, value),
        (_, None) => return Err("expected name=value or name!=value".to_owned()),
    };
    if label.is_empty() {
        return Err("expected the name of a label before `=`".to_owned());
    }
    Ok((label.to_owned(), op, value.to_owned()))
}

impl Replay {
    fn settings(&self) -> Result<ReplayConfig, EvalError> {
        let mut config = match &self.config {
            Some(path) => {
                let bytes =
                    std::fs::read(path).map_err(|source| EvalError::Read { path: path.clone(), source })?;
                serde_json::from_slice(&bytes)
                    .map_err(|source| EvalError::ConfigFile { path: path.clone(), source })?
            }
            None => ReplayConfig::default(),
        };
        config.window = self.window.unwrap_or(config.window);
        config.interval = self.interval.unwrap_or(config.interval);
        config.learn = self.learn.unwrap_or(config.learn);
        config.confirmations = self.confirmations.unwrap_or(config.confirmations);
        config.hold_off = self.hold_off.unwrap_or(config.hold_off);
        let trigger = &mut config.trigger;
        for name in &self.metrics {
            trigger.selector = std::mem::take(&mut trigger.selector).with_metric(name);
        }
        for (label, op, value) in &self.matchers {
            trigger.selector = std::mem::take(&mut trigger.selector).with_matcher(label, *op, value);
        }
        if let Some(way) = self.direction {
            trigger.direction = Some(match way {
                Way::Up => Direction::Up,
                Way::Down => Direction::Down,
            });
        }
        if let Some(level) = self.severity {
            trigger.severity = match level {
                Level::Info => Severity::Info,
                Level::Warning => Severity::Warning,
                Level::Critical => Severity::Critical,
            };
        }
        Ok(config)
    }

    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let config = self.settings().map_err(|e| e.chain())?;
        let recording = Recording::read(&self.file).map_err(|e| e.chain())?;
        let report = replay(&recording, &config, progress("looks")).map_err(|e| e.chain())?;
        print(self.json, &report, || report.text())?;
        Ok(ExitCode::SUCCESS)
    }
}
