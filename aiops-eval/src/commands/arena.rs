//! `aiops-eval arena`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::arena::audit::audit;
use aiops_eval::arena::cheats::Cheat;
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::players::Player;
use aiops_eval::arena::protocol::run::Plan;
use aiops_eval::arena::protocol::score::Table;
use aiops_eval::arena::{measure, report, verdict};
use clap::{Args, ValueEnum};

use super::{print, progress, settings};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    /// The default pipeline.
    Honest,
    /// The default pipeline, told who is at fault: an upper bound of what follows localisation, and no score of a pipeline.
    Located,
    /// The default pipeline, told who is at fault and why: an upper bound of what follows a diagnosis, and no score of a pipeline.
    Informed,
    /// Deletes what deviates most.
    Delete,
    /// Scales it to zero.
    ScaleToZero,
    /// Stops the telemetry of the entry.
    Silence,
    /// Restarts everything.
    RestartEverything,
    /// Looks for the answer in names and lines.
    ReadLabel,
    /// Always blames the entry.
    BlameEntry,
    /// The default pipeline and every cheat, one after the other.
    All,
}

impl Who {
    fn players(self) -> Vec<Player> {
        match self {
            Self::Honest => vec![Player::Honest],
            Self::Located => vec![Player::Located],
            Self::Informed => vec![Player::Informed],
            Self::Delete => vec![Player::Cheat(Cheat::Delete)],
            Self::ScaleToZero => vec![Player::Cheat(Cheat::ScaleToZero)],
            Self::Silence => vec![Player::Cheat(Cheat::Silence)],
            Self::RestartEverything => vec![Player::Cheat(Cheat::RestartEverything)],
            Self::ReadLabel => vec![Player::Cheat(Cheat::ReadLabel)],
            Self::BlameEntry => vec![Player::Cheat(Cheat::BlameEntry)],
            Self::All => std::iter::once(Player::Honest).chain(Cheat::ALL.map(Player::Cheat)).collect(),
        }
    }
}

/// Options of `arena`.
#[derive(Debug, Args)]
pub(crate) struct Arena {
    /// Who plays.
    #[arg(long, value_enum, default_value = "honest")]
    player: Who,
    /// First seed.
    #[arg(long, default_value_t = RunConfig::default().first_seed)]
    seed: u64,
    /// Episodes of each fault. Default: 7, and 1 with several players.
    #[arg(long)]
    of_each: Option<u32>,
    /// Episodes without a fault. Default: 70, and 10 with several players.
    #[arg(long)]
    nulls: Option<u32>,
    /// Seeds of the held-out half.
    #[arg(long)]
    held_out: bool,
    /// Only faults whose id begins so, or those of a scenario, e.g. SCN-09.
    #[arg(long)]
    only: Option<String>,
    /// Threads; they change nothing but the time it takes.
    #[arg(long, default_value_t = RunConfig::default().threads)]
    threads: usize,
    /// Plant each fault's name where the pipeline can read it, to prove that the audit finds it.
    #[arg(long)]
    leaky: bool,
    /// Folder for the records; of several players, a folder each within it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Calibration of confidences, as `rescore --calibrate` fits it on records of other seeds.
    #[arg(long)]
    calibration: Option<PathBuf>,
    /// Folder for the results page, `arena.md` and `arena.html`.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Only measure how fast the simulator is.
    #[arg(long)]
    speed: bool,
    /// Play nothing: look in everything a pipeline could read for what gives a fault away. Exits with 1 when more than 1 % of
    /// a clean suite is reported, or less than 95 % of a leaky one is found.
    #[arg(long)]
    audit: bool,
    /// Play against the real processes of the example system, a minute a run; of the players, the default one.
    #[cfg(feature = "live")]
    #[arg(long)]
    live: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Arena {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        if self.speed {
            let speed = measure(5).map_err(|e| e.chain())?;
            print(self.json, &speed, || speed.text())?;
            return Ok(ExitCode::SUCCESS);
        }
        let players = self.player.players();
        let (several, default) = (players.len() > 1, RunConfig::default());
        let config = RunConfig {
            first_seed: self.seed,
            of_each: self.of_each.unwrap_or(if several { 1 } else { default.of_each }),
            nulls: self.nulls.unwrap_or(if several { 10 } else { default.nulls }),
            held_out: self.held_out,
            only: self.only.clone(),
            threads: self.threads,
            leaky: self.leaky,
            calibration: settings(self.calibration.as_deref())?,
            ..default
        };
        if self.audit {
            let found = audit(&config, progress("episodes")).map_err(|e| e.chain())?;
            print(self.json, &found, || found.text())?;
            return Ok(if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        #[cfg(feature = "live")]
        if self.live {
            let day = aiops_eval::arena::live::game_day(&config, self.out.as_deref(), progress("runs"));
            let day = day.map_err(|e| e.chain())?;
            print(self.json, &day, || day.text())?;
            return Ok(ExitCode::SUCCESS);
        }
        let plan = Plan::new(config).map_err(|e| e.chain())?;
        let folder = |player: &Player| {
            let name = player.to_string().replace([' ', ':'], "-");
            self.out.as_ref().map(|out| if several { out.join(name) } else { out.clone() })
        };
        let players: Vec<_> = players.into_iter().map(|p| (p, folder(&p))).collect();
        let played = plan.run_all(&players, progress("episodes")).map_err(|e| e.chain())?;
        let tables: Vec<Table> = played.into_iter().map(|(table, _)| table).collect();
        let gamed = verdict::gamed(&tables);
        if let Some(page) = &self.page {
            report::write(page, &tables).map_err(|e| e.chain())?;
        }
        let text = || {
            let verdict = if gamed.is_empty() { String::new() } else { verdict::text(&gamed) };
            report::text(&tables) + &verdict
        };
        print(self.json, &tables, text)?;
        // An evaluation of nothing is no success, nor is one in which cheating pays.
        let good = plan.episodes() > 0 && gamed.iter().all(verdict::Gamed::is_below);
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
