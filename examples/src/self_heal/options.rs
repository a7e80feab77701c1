use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};

use crate::faults::{Fault, UnknownFault};

/// A little shop of real processes breaks, and heals itself.
#[derive(Debug, Clone, Parser)]
#[command(name = "self_heal", version, about, args_override_self = true)]
#[non_exhaustive]
pub struct Options {
    /// Fault to inject: a name, `any` (the seed decides) or `none`.
    #[arg(long, default_value = "any")]
    pub fault: FaultChoice,
    /// Seed of traffic, harmless events and fault; default: another one each time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Ask on the terminal before every action.
    #[arg(long)]
    pub suggest: bool,
    /// Ask over HTTP at this loopback address, port 0 for a free one; prints how to answer.
    #[arg(long, value_name = "ADDRESS")]
    pub approve_at: Option<SocketAddr>,
    /// Watch and diagnose only: every action is denied.
    #[arg(long, conflicts_with = "suggest")]
    pub observe: bool,
    /// Begin no action while this file is there. SIGUSR1 does the same for the rest of the run.
    #[arg(long, value_name = "FILE")]
    pub kill_file: Option<PathBuf>,
    /// Kill the pipeline once, by SIGKILL in the middle of its first action, and start it again on the same state folder. It is a process of its
    /// own then.
    #[arg(long)]
    pub restart: bool,
    /// Read telemetry through this Prometheus server instead of the embedded store.
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Where the server named by `--prometheus` finds what to scrape (a `file_sd_configs` file that this program keeps).
    #[arg(long, value_name = "FILE", default_value = "self_heal-targets.json")]
    pub targets: PathBuf,
    /// Write the case file here.
    #[arg(long, value_name = "FILE")]
    pub case: Option<PathBuf>,
    /// Write the scored record of the run here, with what was really broken.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How long a run without a fault is watched, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 45, value_parser = clap::value_parser!(u64).range(30..=86_400))]
    pub quiet_for: u64,
    /// Write the telemetry that the pipeline could read here, as JSON lines of windows that `aiops-eval replay` reads.
    #[arg(long, value_name = "FILE")]
    pub telemetry: Option<PathBuf>,
    /// Keep journal, audit log, approvals, stages and case files in this folder, to be taken up by the next run; default: one that ends with the run.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Keep the checkpoints of the audit log here, out of reach of who can write the log; default: in the state folder.
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<PathBuf>,
    /// What may be done, as `examples/safety.toml` says it; default: that file.
    #[arg(long, value_name = "FILE")]
    pub safety: Option<PathBuf>,
    /// The pipeline of a shop that another process runs and shows at this socket.
    #[arg(long, value_name = "SOCKET", hide = true)]
    pub attach: Option<PathBuf>,
    /// Which pipeline decides: ours, or one of two foolish ones to compare with.
    #[arg(long, value_enum, default_value_t)]
    pub pipeline: PipelineChoice,
    /// Wait until users feel it: what is foretold opens no case.
    #[arg(long)]
    pub felt_only: bool,
    /// Leave the calibration aside, as when it is being fitted: every action then needs consent.
    #[arg(long)]
    pub uncalibrated: bool,
}

/// Which fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultChoice {
    /// The seed decides.
    Any,
    /// No fault.
    None,
    /// This one.
    One(Fault),
}

impl FaultChoice {
    pub(super) fn draw(self, seed: u64) -> Option<Fault> {
        match self {
            Self::None => None,
            Self::One(fault) => Some(fault),
            Self::Any => fastrand::Rng::with_seed(seed ^ 0x7768_6963_6800).choice(Fault::ALL),
        }
    }
}

impl FromStr for FaultChoice {
    type Err = UnknownFault;
    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        match text {
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            name => name.parse().map(Self::One),
        }
    }
}

/// Which pipeline decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PipelineChoice {
    /// Localisation by topology, causes by rule.
    #[default]
    Real,
    /// Restarts whatever deviates most.
    RestartTheLoudest,
    /// Rolls back whatever was changed last.
    BlameTheLastChange,
}
