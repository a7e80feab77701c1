//! `aiops-eval`: sums up recorded cases, replays recorded telemetry through the detector, compares rolling statistics with
//! exact arithmetic, scores detectors, localisers, diagnoses and briefings on labelled data, measures a long window, and makes and
//! mines labelled logs.

mod commands;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use aiops_compact::briefing::WindowConfig;
use aiops_core::jiff::SignedDuration;
use aiops_core::model::{Direction, MatchOp, Severity, TokenBudget};
use aiops_detect::correlate::CorrelatorConfig;
use aiops_eval::EvalError;
use aiops_eval::alerts::{self, EstateOptions, StreamOptions};
use aiops_eval::briefing;
use aiops_eval::cases::read_folder;
use aiops_eval::corpus::{self, CorpusOptions, generate};
use aiops_eval::diagnose::diagnose;
use aiops_eval::incidents::IncidentSet;
use aiops_eval::localise::{FaultTime, LocaliseOptions, Modalities, localise};
use aiops_eval::logs;
use aiops_eval::metrics::{DataSet, MetricsReport, SEEDS, evaluate, evaluate_set, forest_speed};
use aiops_eval::recording::Recording;
use aiops_eval::replay::{ReplayConfig, replay};
use aiops_eval::rolling::{RollingOptions, measure};
use aiops_eval::window;
use aiops_rca::{FusedLocalizer, FusionConfig, RuleRca};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
    Rescore(commands::arena::Rescore),
    /// Sums up the case files (*.case, *.json) of a folder; exits with 1 when one cannot be read or there is none.
    Cases {
        /// Folder of case files.
        folder: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Runs the rolling detector over recorded telemetry and counts the alarms it would have raised.
    Replay(Replay),
    /// Compares rolling statistics with exact arithmetic; exits with 1 when an error is beyond the stated bound.
    Rolling {
        /// Updates of each stream.
        #[arg(long, default_value_t = RollingOptions::default().updates)]
        updates: u64,
        /// Slots of the window.
        #[arg(long, default_value_t = RollingOptions::default().window)]
        window: usize,
        /// Seed of the streams.
        #[arg(long, default_value_t = RollingOptions::default().seed)]
        seed: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Briefs labelled incidents and looks whether the service at fault is among the first entities.
    Briefing {
        /// Folder of incidents with its labels.csv.
        folder: PathBuf,
        /// Token budgets.
        #[arg(long, value_delimiter = ',', default_values_t = [4000, 1000])]
        tokens: Vec<usize>,
        /// Show the briefing of this incident instead, at the first budget.
        #[arg(long)]
        show: Option<String>,
        /// JSON of a `WindowConfig`, for all sets alike. Default: the defaults.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes up a mixed window of samples, spans and lines, briefs it in one pass, and measures time and memory.
    Window {
        /// Size of the records' content, 10⁶ bytes.
        #[arg(long, default_value_t = 100)]
        mb: u64,
        /// Seed of the stream.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Token budget.
        #[arg(long, default_value_t = 4000)]
        tokens: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Mines the log sets of a folder (loghub's layout), writes predictions, and scores them where labels are.
    Logs(Logs),
    /// Makes large labelled log sets from small ones by varying what is variable.
    Corpus(Corpus),
    /// Runs the detectors over labelled data sets and prints how well they do.
    Metrics {
        /// Folder with a folder for each data set.
        folder: PathBuf,
        /// Write the scores, row by row, below this folder.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Runs the detectors of series over one labelled data set.
    Series {
        /// Which data set, and so which layout.
        #[arg(value_enum)]
        set: SeriesSet,
        #[command(flatten)]
        one: OneSet,
    },
    /// Runs the isolation forest over tables of labelled rows.
    Tabular {
        #[command(flatten)]
        one: OneSet,
        /// Seeds whose figures are averaged.
        #[arg(long, default_value_t = SEEDS)]
        seeds: u64,
    },
    /// Runs the detectors of change points over annotated series.
    Changepoints {
        #[command(flatten)]
        one: OneSet,
    },
    /// Measures how long an isolation forest takes, on generated rows.
    ForestSpeed {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Localises labelled incidents, with named baselines beside it.
    Incidents(Incidents),
    /// Lays the alerts of labelled incidents out as one stream and scores how they are grouped, with baselines beside it.
    Alerts(Alerts),
    /// Scores the same on generated estates whose faults travel along their calls.
    AlertEstate(AlertEstate),
    /// Measures how long the correlation of an alert takes, on generated ones.
    AlertSpeed {
        /// Notifications.
        #[arg(long, default_value_t = 1_000_000)]
        notifications: usize,
        /// Seed of the alerts.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Diagnoses labelled incidents: system, kind of fault, and whether confidence keeps what it says.
    Diagnose {
        /// Folders of labelled incidents, or one folder of such.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SeriesSet {
    Nab,
    Smd,
    Asd,
    Kpi,
}

impl From<SeriesSet> for DataSet {
    fn from(set: SeriesSet) -> Self {
        match set {
            SeriesSet::Nab => Self::Nab,
            SeriesSet::Smd => Self::Smd,
            SeriesSet::Asd => Self::Asd,
            SeriesSet::Kpi => Self::Kpi,
        }
    }
}

#[derive(Debug, Args)]
struct OneSet {
    /// Folder of the data set.
    folder: PathBuf,
    /// Write the scores, row by row, below this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl OneSet {
    fn run(&self, set: DataSet, seeds: u64) -> Result<ExitCode, String> {
        let sets = evaluate_set(set, &self.folder, seeds, self.out.as_deref()).map_err(|e| e.chain())?;
        let report = MetricsReport { sets, missing: Vec::new() };
        print(self.json, &report, || report.text())?;
        // An evaluation of nothing is no success.
        let some = report.sets.iter().any(|set| !set.files.is_empty());
        Ok(if some { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[derive(Debug, Args)]
struct Logs {
    /// Folder of sets, one sub-folder each, or one set.
    folder: PathBuf,
    /// Feed messages without headers, or whole lines.
    #[arg(long, default_value = "content")]
    input: Feed,
    /// Labels to score against; a set that has only the others is scored against those.
    #[arg(long, default_value = "corrected")]
    labels: LabelSet,
    /// Folder for the predictions, `<set>.csv` each.
    #[arg(long)]
    out: PathBuf,
    /// Another folder, for `<set>.csv` with the templates that cost accuracy, the costliest first.
    #[arg(long)]
    failing: Option<PathBuf>,
    /// Name of a set; repeat for more. Default: all.
    #[arg(long = "set")]
    sets: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Alerts {
    /// Folders of labelled incidents, or one folder of such.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// First seed.
    #[arg(long, default_value_t = StreamOptions::default().seed)]
    seed: u64,
    /// Streams, one for each seed from the first on.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Mean minutes from one incident of a system to the next.
    #[arg(long, default_value_t = StreamOptions::default().gap_minutes)]
    gap_minutes: f64,
    /// Meaningless alerts per hour and system.
    #[arg(long, default_value_t = StreamOptions::default().noise_per_hour)]
    noise_per_hour: f64,
    /// JSON file of settings of the correlator.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AlertEstate {
    /// First seed.
    #[arg(long, default_value_t = StreamOptions::default().seed)]
    seed: u64,
    /// Estates, one for each seed from the first on.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Mean minutes from one incident of a system to the next.
    #[arg(long, default_value_t = StreamOptions::default().gap_minutes)]
    gap_minutes: f64,
    /// Meaningless alerts per hour and system.
    #[arg(long, default_value_t = StreamOptions::default().noise_per_hour)]
    noise_per_hour: f64,
    /// Share of the edges that the topology does not tell.
    #[arg(long, default_value_t = EstateOptions::default().unknown)]
    unknown: f64,
    /// Services of each system.
    #[arg(long, default_value_t = EstateOptions::default().services)]
    services: usize,
    /// Mean seconds that trouble takes from one to the next.
    #[arg(long, default_value_t = EstateOptions::default().hop_seconds)]
    hop_seconds: f64,
    /// JSON file of settings of the correlator.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Corpus {
    /// Folder of labelled sets, one sub-folder each, or one set.
    folder: PathBuf,
    /// Folder for what is made, in the same layout.
    #[arg(long)]
    out: PathBuf,
    /// Lines of each set.
    #[arg(long, default_value_t = CorpusOptions::default().lines)]
    lines: usize,
    /// Seed of all draws.
    #[arg(long, default_value_t = CorpusOptions::default().seed)]
    seed: u64,
    /// Labels to take over; a set that has only the others gives those.
    #[arg(long, default_value = "corrected")]
    labels: LabelSet,
    /// Name of a set; repeat for more. Default: all.
    #[arg(long = "set")]
    sets: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Incidents {
    /// Folders of labelled incidents, or one folder of such.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// When the fault is said to have begun.
    #[arg(long, value_enum, default_value_t = Time::Given)]
    time: Time,
    /// What may be seen: any of metrics, spans, logs with commas between them, or all.
    #[arg(long, default_value = "all")]
    modalities: Modalities,
    /// Run on every other choice of modalities, and without each component, too.
    #[arg(long)]
    ablate: bool,
    /// Draws with `--time jitter`.
    #[arg(long, default_value_t = 20)]
    seeds: u32,
    /// JSON file of settings of the localiser.
    #[arg(long)]
    config: Option<PathBuf>,
    /// JSON file of settings of `--time detected`.
    #[arg(long)]
    watch: Option<PathBuf>,
    /// Folder to write rankings to: <set>.csv and, with evidence, <set>.json.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the incidents whose root or class was missed.
    #[arg(long)]
    cases: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Feed {
    Content,
    Raw,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LabelSet {
    Corrected,
    Original,
}

impl From<LabelSet> for logs::Labels {
    fn from(labels: LabelSet) -> Self {
        match labels {
            LabelSet::Corrected => Self::Corrected,
            LabelSet::Original => Self::Original,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Time {
    /// As the set says.
    Given,
    /// Wrong by up to a minute.
    Jitter,
    /// Not stated: found by the system itself.
    Detected,
}

#[derive(Debug, Args)]
struct Replay {
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
}

/// Says every tenth of long work on standard error.
fn progress(what: &'static str) -> impl FnMut(usize, usize) {
    let mut said = 0;
    move |done, total| {
        let tenth = done * 10 / total.max(1);
        if tenth > said && total >= 10 {
            said = tenth;
            eprintln!("{what}: {done} of {total}");
        }
    }
}

fn print(json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), String> {
    let text =
        if json { serde_json::to_string_pretty(report).map_err(|e| e.to_string())? + "\n" } else { text() };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|e| e.to_string())
}

fn run(command: &Command) -> Result<ExitCode, String> {
    match command {
        Command::Arena(options) => options.run(),
        Command::Rescore(options) => options.run(),
        Command::Cases { folder, json } => {
            let report = read_folder(folder, progress("cases")).map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            // An evaluation of nothing is no success.
            let whole = report.unreadable.is_empty() && !report.cases.is_empty();
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Briefing { folder, tokens, show, config, json } => {
            let config: WindowConfig = settings(config.as_deref())?;
            let set = IncidentSet::open(folder).map_err(|e| e.chain())?;
            if let Some(case) = show {
                let budget = tokens.first().copied().unwrap_or_default();
                let briefing = briefing::show(&set, case, budget, &config).map_err(|e| e.chain())?;
                print(*json, &briefing, || briefing.to_markdown())?;
                return Ok(ExitCode::SUCCESS);
            }
            let report =
                briefing::score(&set, tokens, &config, progress("incidents")).map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Window { mb, seed, tokens, json } => {
            let report = window::measure(*mb, *seed, TokenBudget(*tokens), progress("seconds"))
                .map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            // A fault that the briefing does not show is a failure.
            Ok(if report.place.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Metrics { folder, out, json } => {
            let report = evaluate(folder, out.as_deref()).map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Series { set, one } => one.run((*set).into(), SEEDS),
        Command::Tabular { one, seeds } => one.run(DataSet::Tabular, *seeds),
        Command::Changepoints { one } => one.run(DataSet::Changepoint, SEEDS),
        Command::ForestSpeed { json } => {
            let speed = forest_speed().map_err(|e| e.chain())?;
            print(*json, &speed, || {
                format!("fit {:.4} s, score {:.4} s\n", speed.fit_seconds, speed.score_seconds)
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(options) => {
            let config = options.settings().map_err(|e| e.chain())?;
            let recording = Recording::read(&options.file).map_err(|e| e.chain())?;
            let report = replay(&recording, &config, progress("looks")).map_err(|e| e.chain())?;
            print(options.json, &report, || report.text())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Logs(options) => {
            let input = match options.input {
                Feed::Content => logs::Input::Content,
                Feed::Raw => logs::Input::Raw,
            };
            let labels = options.labels.into();
            let costs = options.failing.as_deref();
            let report = logs::evaluate(&options.folder, input, labels, &options.sets, &options.out, costs)
                .map_err(|e| e.chain())?;
            print(options.json, &report, || report.text())?;
            // An evaluation of nothing is no success.
            Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Corpus(options) => {
            let how =
                CorpusOptions { lines: options.lines, seed: options.seed, labels: options.labels.into() };
            let made = generate(&options.folder, &options.out, &options.sets, &how).map_err(|e| e.chain())?;
            print(options.json, &made, || corpus::text(&made))?;
            Ok(if made.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Command::Rolling { updates, window, seed, json } => {
            let options = RollingOptions { updates: *updates, window: *window, seed: *seed };
            let report = measure(&options, progress("blocks")).map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Incidents(options) => incidents(options),
        Command::Alerts(options) => correlation(options),
        Command::AlertEstate(options) => alert_estate(options),
        Command::AlertSpeed { notifications, seed, json } => {
            let report = alerts::measure(*notifications, *seed, &CorrelatorConfig::default());
            print(*json, &report, || report.text())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Diagnose { folders, json } => {
            let folders = sets(folders).map_err(|e| e.chain())?;
            let (localizer, rca) = (FusedLocalizer::default(), RuleRca::default());
            let report =
                diagnose(&folders, &localizer, &rca, progress("incidents")).map_err(|e| e.chain())?;
            print(*json, &report, || report.text())?;
            // An evaluation of nothing is no success.
            Ok(if report.sets.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}

/// The settings in a file of JSON; the defaults without one.
fn settings<T: Default + DeserializeOwned>(path: Option<&Path>) -> Result<T, String> {
    let Some(path) = path else { return Ok(T::default()) };
    let path = path.to_owned();
    let bytes =
        std::fs::read(&path).map_err(|source| EvalError::Read { path: path.clone(), source }.chain())?;
    serde_json::from_slice(&bytes).map_err(|source| EvalError::ConfigFile { path, source }.chain())
}

/// Each folder that holds labels, and those within one that does not.
fn sets(folders: &[PathBuf]) -> Result<Vec<PathBuf>, EvalError> {
    let mut sets = Vec::new();
    for folder in folders {
        if folder.join("labels.csv").exists() {
            sets.push(folder.clone());
            continue;
        }
        let failed = |source| EvalError::Read { path: folder.clone(), source };
        let entries = std::fs::read_dir(folder).map_err(failed)?;
        let inner: Vec<PathBuf> =
            entries.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>().map_err(failed)?;
        sets.extend(inner.into_iter().filter(|f| f.join("labels.csv").exists()));
    }
    sets.sort();
    Ok(sets)
}

fn correlation(options: &Alerts) -> Result<ExitCode, String> {
    let config: CorrelatorConfig = settings(options.config.as_deref())?;
    let layout = StreamOptions {
        seed: options.seed,
        gap_minutes: options.gap_minutes,
        noise_per_hour: options.noise_per_hour,
        ..StreamOptions::default()
    };
    let folders = sets(&options.folders).map_err(|e| e.chain())?;
    let report = alerts::evaluate(&folders, &layout, options.seeds, &config, &mut progress("sets"))
        .map_err(|e| e.chain())?;
    print(options.json, &report, || report.text())?;
    // An evaluation of nothing is no success.
    let any = report.systems.iter().any(|system| system.incidents > 0);
    Ok(if any { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn alert_estate(options: &AlertEstate) -> Result<ExitCode, String> {
    let config: CorrelatorConfig = settings(options.config.as_deref())?;
    let layout = StreamOptions {
        seed: options.seed,
        gap_minutes: options.gap_minutes,
        noise_per_hour: options.noise_per_hour,
        ..StreamOptions::default()
    };
    let made = EstateOptions {
        unknown: options.unknown,
        services: options.services,
        hop_seconds: options.hop_seconds,
        ..EstateOptions::default()
    };
    let report = alerts::evaluate_generated(&layout, &made, options.seeds, &config);
    print(options.json, &report, || report.text())?;
    Ok(ExitCode::SUCCESS)
}

fn incidents(options: &Incidents) -> Result<ExitCode, String> {
    let config: FusionConfig = settings(options.config.as_deref())?;
    let localizer = FusedLocalizer::default().with_config(config).map_err(|e| e.to_string())?;
    let time = match options.time {
        Time::Given => FaultTime::Given,
        Time::Jitter => FaultTime::Jitter { seeds: options.seeds },
        Time::Detected => FaultTime::Detected,
    };
    let mut run = LocaliseOptions::default();
    (run.time, run.modalities, run.ablate) = (time, options.modalities, options.ablate);
    run.watch = settings(options.watch.as_deref())?;
    let mut reports = Vec::new();
    for folder in sets(&options.folders).map_err(|e| e.chain())? {
        let report = localise(&folder, &localizer, &run, progress("incidents")).map_err(|e| e.chain())?;
        if let Some(out) = &options.out {
            report.write(out).map_err(|e| e.chain())?;
        }
        reports.push(report);
    }
    print(options.json, &reports, || reports.iter().map(|r| r.text(options.cases)).collect())?;
    // An evaluation of nothing is no success.
    Ok(if reports.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn main() -> ExitCode {
    run(&Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("aiops-eval: {error}");
        ExitCode::FAILURE
    })
}
