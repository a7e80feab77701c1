//! `aiops-eval arena` and `aiops-eval rescore`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::arena::audit::audit;
use aiops_eval::arena::cheats::Cheat;
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::players::{Player, configuration};
use aiops_eval::arena::protocol::run::Plan;
use aiops_eval::arena::protocol::score::{Table, first_answer, outcomes, table};
use aiops_eval::arena::trajectory::Records;
use aiops_eval::arena::{kpi, measure, report};
use aiops_eval::localise::Calibration;
use aiops_rca::{CalibrationConfig, Calibrator, FittedOn};
use clap::{Args, ValueEnum};

use crate::{print, progress};

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
    /// Episodes of each fault.
    #[arg(long, default_value_t = RunConfig::default().of_each)]
    of_each: u32,
    /// Episodes without a fault.
    #[arg(long, default_value_t = RunConfig::default().nulls)]
    nulls: u32,
    /// Seeds of the held-out half.
    #[arg(long)]
    held_out: bool,
    /// Only faults whose id begins so.
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
    /// Play nothing: look in everything a pipeline could read for what gives a fault away; exits with 1 when something does.
    #[arg(long)]
    audit: bool,
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
        let config = RunConfig {
            first_seed: self.seed,
            of_each: self.of_each,
            nulls: self.nulls,
            held_out: self.held_out,
            only: self.only.clone(),
            threads: self.threads,
            leaky: self.leaky,
            calibration: crate::settings(self.calibration.as_deref())?,
            ..RunConfig::default()
        };
        if self.audit {
            let found = audit(&config, progress("episodes")).map_err(|e| e.chain())?;
            print(self.json, &found, || found.text())?;
            return Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let plan = Plan::new(config).map_err(|e| e.chain())?;
        let players = self.player.players();
        let mut tables: Vec<Table> = Vec::new();
        for player in &players {
            let folder = self.out.as_ref().map(|out| match players.as_slice() {
                [_] => out.clone(),
                _ => out.join(player.to_string().replace([' ', ':'], "-")),
            });
            let (table, _) =
                plan.run(*player, folder.as_deref(), progress("episodes")).map_err(|e| e.chain())?;
            tables.push(table);
        }
        if let Some(page) = &self.page {
            report::write(page, &tables).map_err(|e| e.chain())?;
        }
        print(self.json, &tables, || report::text(&tables))?;
        // An evaluation of nothing is no success.
        Ok(if plan.episodes() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Options of `rescore`.
#[derive(Debug, Args)]
pub(crate) struct Rescore {
    /// Folders of the records of one run each; of several of one player in one arena, the table of all follows theirs.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Print every episode.
    #[arg(long)]
    episodes: bool,
    /// Print the key figures M1 to M12 that the cases of the runs give.
    #[arg(long)]
    kpis: bool,
    /// Print what the confidences of the runs are worth: the reliability curve of first answers.
    #[arg(long)]
    reliability: bool,
    /// Fit a calibration of confidences on the records, and write it here.
    #[arg(long)]
    calibrate: Option<PathBuf>,
    /// Folder for the results page, `arena.md` and `arena.html`.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Rescore {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let mut same = true;
        let (mut headers, mut scores, mut episodes) = (Vec::new(), Vec::new(), Vec::new());
        for folder in &self.folders {
            let records = Records::open(folder);
            let (_, unchanged) = records.rescore().map_err(|e| e.chain())?;
            same &= unchanged;
            let (header, own) = records.scores().map_err(|e| e.chain())?;
            if self.kpis || self.reliability || self.calibrate.is_some() {
                for index in 0..header.episodes {
                    episodes.push(records.episode(index, &header.arena).map_err(|e| e.chain())?);
                }
            }
            headers.push(header);
            scores.extend(own);
        }
        let first = headers.first().ok_or("no records")?;
        if headers
            .iter()
            .any(|h| (h.player, &h.arena, &h.declared) != (first.player, &first.arena, &first.declared))
        {
            return Err("the runs are of different players, settings or arenas".to_owned());
        }
        let table = table(first.player, &first.arena, &scores);
        if let Some(page) = &self.page {
            report::write(page, std::slice::from_ref(&table)).map_err(|e| e.chain())?;
        }
        if let Some(path) = &self.calibrate {
            let by_episode = episodes.iter().map(|(played, truth)| outcomes(played, truth));
            let by_episode: Vec<Vec<(f64, bool)>> = by_episode.filter(|own| !own.is_empty()).collect();
            let on = FittedOn::new(configuration(), by_episode.len())
                .with_sets([format!("arena {}", first.arena)]);
            let pairs = by_episode.concat();
            let fitted =
                Calibrator::fit(&pairs, on, &CalibrationConfig::default()).map_err(|e| e.to_string())?;
            let text = serde_json::to_string_pretty(&fitted).map_err(|e| e.to_string())?;
            std::fs::write(path, text + "\n").map_err(|e| e.to_string())?;
        }
        if self.kpis {
            let (store, ledger) = kpi::of_arena(&episodes);
            let figures = kpi::kpis(&store, &ledger);
            print(self.json, &figures, || kpi::text(&figures))?;
        } else if self.reliability {
            let told = episodes.iter().filter_map(|(played, truth)| first_answer(played, truth));
            let kept = Calibration::of(&told.collect::<Vec<_>>());
            print(self.json, &kept, || report::reliability(&kept))?;
        } else if self.episodes {
            print(self.json, &scores, || report::episodes(&scores))?;
        } else {
            print(self.json, &table, || report::text(std::slice::from_ref(&table)))?;
        }
        let verdict = if same {
            "every number is the one that was recorded"
        } else {
            "a number differs from the record"
        };
        eprintln!("{verdict}");
        Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
