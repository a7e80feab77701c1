//! `aiops-eval rescore`.

use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::arena::protocol::players::configuration;
use aiops_eval::arena::protocol::score::{first_answer, outcomes, table};
use aiops_eval::arena::trajectory::Records;
use aiops_eval::arena::{kpi, report};
use aiops_eval::localise::Calibration;
use aiops_rca::{CalibrationConfig, Calibrator, FittedOn};
use clap::Args;

use super::print;

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
