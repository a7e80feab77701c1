//! `aiops-eval arena`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::arena::audit::audit;
use aiops_eval::arena::cheats::Cheat;
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::players::Player;
use aiops_eval::arena::protocol::remedies::{TRUE_IN, remedies, text as remedy_text};
use aiops_eval::arena::protocol::run::Plan;
use aiops_eval::arena::protocol::score::{Table, answers};
use aiops_eval::arena::report::Told;
use aiops_eval::arena::{measure, report, shipped, verdict};
use aiops_eval::localise::Calibration;
use aiops_rca::Calibrator;
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
    /// Calibration of confidences, as `rescore --calibrate` fits it on records of other seeds. Default: the one that is shipped, which is
    /// refused when it was fitted on other rules or in another arena.
    #[arg(long, conflicts_with = "uncalibrated")]
    calibration: Option<PathBuf>,
    /// Mark every confidence as uncalibrated: every action waits for a person.
    #[arg(long)]
    uncalibrated: bool,
    /// Folder for the results page, `arena.md` and `arena.html` with plots; it takes the leak audit of the same episodes along.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Only measure how fast the simulator is.
    #[arg(long)]
    speed: bool,
    /// Play nothing: look in everything a pipeline could read for what gives a fault away. Exits with 1 when more than 1 % of
    /// a clean suite is reported, or less than 95 % of a leaky one is found.
    #[arg(long)]
    audit: bool,
    /// Play no pipeline: do what the catalogue calls right, and what it does not, and look whether users are well. Exits with 1 when
    /// a truth of the catalogue is not true. Default: 3 episodes of each fault.
    #[arg(long)]
    remedies: bool,
    /// Play against the real processes of the example system, a minute and a half a run at most, with the pipeline of the self-healing
    /// example. Default: one run of each of its seven faults, and three without one.
    #[cfg(feature = "live")]
    #[arg(long, conflicts_with_all = ["player", "leaky", "audit", "speed", "remedies", "calibration", "uncalibrated", "threads"])]
    live: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Arena {
    /// What raw confidences are worth, for whoever of `players` tells any.
    fn calibrator(&self, players: &[Player]) -> Result<Option<Calibrator>, String> {
        let plays = !(self.audit || self.remedies || self.is_live());
        let tells = players.iter().any(|p| matches!(p, Player::Honest | Player::Located));
        match &self.calibration {
            Some(path) => settings(Some(path)),
            None if self.uncalibrated || !plays || !tells => Ok(None),
            None => shipped::calibration().map(Some).map_err(|e| e.chain()),
        }
    }

    #[cfg(feature = "live")]
    fn is_live(&self) -> bool {
        self.live
    }

    #[cfg(not(feature = "live"))]
    fn is_live(&self) -> bool {
        false
    }

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
            of_each: self.of_each.unwrap_or(match (several, self.remedies) {
                (true, _) => 1,
                (_, true) => 3,
                _ => default.of_each,
            }),
            nulls: self.nulls.unwrap_or(if several { 10 } else { default.nulls }),
            held_out: self.held_out,
            only: self.only.clone(),
            threads: self.threads,
            leaky: self.leaky,
            calibration: self.calibrator(&players)?,
            ..default
        };
        if self.audit {
            let found = audit(&config, progress("episodes")).map_err(|e| e.chain())?;
            print(self.json, &found, || found.text())?;
            return Ok(if found.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        if self.remedies {
            let truths = remedies(&config, progress("episodes")).map_err(|e| e.chain())?;
            print(self.json, &truths, || remedy_text(&truths))?;
            let hold = !truths.is_empty() && truths.values().all(|t| t.holds(TRUE_IN));
            return Ok(if hold { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        #[cfg(feature = "live")]
        if self.live {
            let (of_each, nulls) = aiops_eval::arena::live::RUNS;
            let config = RunConfig {
                of_each: self.of_each.unwrap_or(of_each),
                nulls: self.nulls.unwrap_or(nulls),
                ..config
            };
            let day = aiops_eval::arena::live::game_day(&config, self.out.as_deref(), progress("runs"));
            let (table, _) = day.map_err(|e| e.chain())?;
            let tables = [table];
            let told = Told { tables: &tables, ..Told::default() };
            if let Some(page) = &self.page {
                report::write(page, &told).map_err(|e| e.chain())?;
            }
            print(self.json, &tables, || report::text(&told))?;
            return Ok(ExitCode::SUCCESS);
        }
        let plan = Plan::new(config).map_err(|e| e.chain())?;
        let folder = |player: &Player| {
            let name = player.to_string().replace([' ', ':'], "-");
            self.out.as_ref().map(|out| if several { out.join(name) } else { out.clone() })
        };
        let players: Vec<_> = players.into_iter().map(|p| (p, folder(&p))).collect();
        let played = plan.run_all(&players, progress("episodes")).map_err(|e| e.chain())?;
        let (tables, scores): (Vec<Table>, Vec<_>) = played.into_iter().unzip();
        let gamed = verdict::gamed(&tables);
        if let Some(page) = &self.page {
            // The page says of its own episodes that nothing in them gives a fault away.
            let audit = audit(plan.config(), progress("audited")).map_err(|e| e.chain())?;
            let honest = tables.iter().position(|t| t.player == Player::Honest).and_then(|i| scores.get(i));
            let kept = honest.map(|own| Calibration::of(&answers(own)));
            let told =
                Told { tables: &tables, gamed: &gamed, reliability: kept.as_ref(), audit: Some(&audit) };
            report::write(page, &told).map_err(|e| e.chain())?;
        }
        let told = Told { tables: &tables, gamed: &gamed, ..Told::default() };
        print(self.json, &tables, || report::text(&told))?;
        // An evaluation of nothing is no success, nor is one in which cheating pays.
        let good = plan.episodes() > 0 && gamed.iter().all(verdict::Gamed::is_below);
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
