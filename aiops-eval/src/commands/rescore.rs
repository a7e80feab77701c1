//! `aiops-eval rescore`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aiops_eval::arena::protocol::episode::{Played, Truth};
use aiops_eval::arena::protocol::players::{Player, configuration};
use aiops_eval::arena::protocol::score::{EpisodeScore, Table, answers, outcomes, table};
use aiops_eval::arena::report::Told;
use aiops_eval::arena::trajectory::{Records, RunHeader};
use aiops_eval::arena::{kpi, report, shipped, verdict};
use aiops_eval::localise::Calibration;
use aiops_rca::{CalibrationConfig, Calibrator, FittedOn};
use clap::Args;

use super::print;

/// Options of `rescore`.
#[derive(Debug, Args)]
pub(crate) struct Rescore {
    /// Folders of the records of one run each, in one arena: the runs of a player are summed up together, and several players who played
    /// the same episodes are compared.
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
        let mut runs = Vec::new();
        let mut same = true;
        for folder in &self.folders {
            let records = Records::open(folder);
            let (_, unchanged) = records.rescore().map_err(|e| e.chain())?;
            same &= unchanged;
            let (header, scores) = records.scores().map_err(|e| e.chain())?;
            runs.push(Run { header, scores, records });
        }
        let first = runs.first().ok_or("no records")?;
        if runs
            .iter()
            .any(|r| r.header.arena != first.header.arena || r.header.declared != first.header.declared)
        {
            return Err("the runs are of different settings or arenas".to_owned());
        }
        let players = by_player(&runs)?;
        let tables: Vec<Table> = players
            .iter()
            .map(|(player, runs)| {
                let scores: Vec<EpisodeScore> = runs.iter().flat_map(|r| r.scores.clone()).collect();
                table(*player, &first.header.arena, &scores)
            })
            .collect();
        let gamed = verdict::gamed(&tables);
        let scores = || runs.iter().flat_map(|r| r.scores.iter().cloned()).collect::<Vec<EpisodeScore>>();
        let told = Told { tables: &tables, gamed: &gamed, ..Told::default() };
        if let Some(page) = &self.page {
            let honest = players.iter().find(|(player, _)| *player == Player::Honest);
            let answered = |(_, runs): &(_, Vec<&Run>)| -> Vec<(f64, bool)> {
                runs.iter().flat_map(|r| answers(&r.scores)).collect()
            };
            let kept = honest.map(|own| Calibration::of(&answered(own)));
            let told = Told { reliability: kept.as_ref(), ..told };
            report::write(page, &told).map_err(|e| e.chain())?;
        }
        if let Some(path) = &self.calibrate {
            calibrate(&alone(&players)?, path)?;
        }
        if self.kpis {
            let (store, ledger) = kpi::of_arena(&episodes(&alone(&players)?)?);
            let figures = kpi::kpis(&store, &ledger);
            print(self.json, &figures, || kpi::text(&figures))?;
        } else if self.reliability {
            alone(&players)?;
            let kept = Calibration::of(&answers(&scores()));
            print(self.json, &kept, || report::reliability(&kept))?;
        } else if self.episodes {
            let scores = scores();
            print(self.json, &scores, || report::episodes(&scores))?;
        } else {
            print(self.json, &tables, || report::text(&told))?;
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

/// What one folder holds.
struct Run {
    header: RunHeader,
    scores: Vec<EpisodeScore>,
    records: Records,
}

type Players<'a> = Vec<(Player, Vec<&'a Run>)>;

/// The runs of each player, in the order in which players come first. Who is compared has played the same episodes.
fn by_player(runs: &[Run]) -> Result<Players<'_>, String> {
    let mut players: Players<'_> = Vec::new();
    for run in runs {
        match players.iter_mut().find(|(player, _)| *player == run.header.player) {
            Some((_, own)) => own.push(run),
            None => players.push((run.header.player, vec![run])),
        }
    }
    let episodes = |runs: &[&Run]| -> Vec<(u64, Option<String>)> {
        runs.iter().flat_map(|r| &r.scores).map(|s| (s.index, s.fault.clone())).collect()
    };
    let seeds = |runs: &[&Run]| -> Vec<(u64, bool)> {
        runs.iter().map(|r| (r.header.config.first_seed, r.header.config.held_out)).collect()
    };
    let mut others = players.iter().map(|(_, runs)| (episodes(runs), seeds(runs)));
    let first = others.next();
    match others.all(|other| Some(&other) == first.as_ref()) {
        true => Ok(players),
        false => Err("the players did not play the same episodes".to_owned()),
    }
}

/// The runs of the only player; of several there is nothing to fit on.
fn alone<'a>(players: &Players<'a>) -> Result<Vec<&'a Run>, String> {
    match players.as_slice() {
        [(_, runs)] => Ok(runs.clone()),
        _ => Err("records of one player are needed".to_owned()),
    }
}

fn episodes(runs: &[&Run]) -> Result<Vec<(Played, Truth)>, String> {
    let of = |run: &&Run| {
        let (header, records) = (run.header.clone(), run.records.clone());
        (0..header.episodes).map(move |index| records.episode(index, &header.arena).map_err(|e| e.chain()))
    };
    runs.iter().flat_map(of).collect()
}

/// Fits a calibration on the hypotheses of the runs, and writes it.
fn calibrate(runs: &[&Run], path: &Path) -> Result<(), String> {
    let episodes = episodes(runs)?;
    let by_episode = episodes.iter().map(|(played, truth)| outcomes(played, truth));
    let by_episode: Vec<Vec<(f64, bool)>> = by_episode.filter(|own| !own.is_empty()).collect();
    let arena = runs.first().map(|r| shipped::set_of(&r.header.arena));
    let seeds = runs.iter().map(|r| shipped::seeds_of(&r.header.config, r.header.episodes));
    let on = FittedOn::new(configuration(), by_episode.len()).with_sets(arena.into_iter().chain(seeds));
    let pairs = by_episode.concat();
    let fitted = Calibrator::fit(&pairs, on, &CalibrationConfig::default()).map_err(|e| e.to_string())?;
    let text = serde_json::to_string_pretty(&fitted).map_err(|e| e.to_string())?;
    std::fs::write(path, text + "\n").map_err(|e| format!("cannot write {}: {e}", path.display()))
}
