//! `aiops-eval aiopslab`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use aiops_eval::adapters::aiopslab::{Problems, ServeReport, Task, pipeline, serve};
use aiops_eval::arena::protocol::RunConfig;
use clap::{Args, ValueEnum};

use super::{print, progress};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Detection,
    Localization,
    Analysis,
    Mitigation,
}

impl Which {
    fn task(self) -> Task {
        match self {
            Self::Detection => Task::Detection,
            Self::Localization => Task::Localization,
            Self::Analysis => Task::Analysis,
            Self::Mitigation => Task::Mitigation,
        }
    }
}

/// Options of `aiopslab`.
#[derive(Debug, Args)]
pub(crate) struct AiopsLab {
    /// Tasks; default all four.
    #[arg(long, value_enum, value_delimiter = ',')]
    tasks: Vec<Which>,
    /// Let the default pipeline answer, instead of an agent on standard input.
    #[arg(long)]
    pipeline: bool,
    /// First seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Episodes of each fault.
    #[arg(long, default_value_t = 1)]
    of_each: u32,
    /// Episodes without a fault.
    #[arg(long, default_value_t = 5)]
    nulls: u32,
    /// Only faults whose id begins so.
    #[arg(long)]
    only: Option<String>,
    /// Take seeds of the held-out half.
    #[arg(long)]
    held_out: bool,
    /// File to write the results to, as JSON. Where an agent plays, standard output is its own.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl AiopsLab {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        let tasks: Vec<Task> = self.tasks.iter().map(|w| w.task()).collect();
        let tasks = if tasks.is_empty() { Task::ALL.to_vec() } else { tasks };
        let config = RunConfig {
            first_seed: self.seed,
            of_each: self.of_each,
            nulls: self.nulls,
            only: self.only.clone(),
            held_out: self.held_out,
            ..RunConfig::default()
        };
        let problems = Problems::new(config, tasks).map_err(|e| e.chain())?;
        let reports = if self.pipeline {
            self.by_pipeline(&problems)?
        } else {
            let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
            serve(&problems, &mut input, &mut output).map_err(|e| e.chain())?
        };
        if let Some(path) = &self.out {
            let text = serde_json::to_vec_pretty(&reports).map_err(|e| e.to_string())?;
            std::fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        }
        if self.pipeline {
            print(self.json, &reports, || text(&reports))?;
        } else {
            eprint!("{}", text(&reports));
        }
        // An evaluation of nothing is no success.
        Ok(if reports.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn by_pipeline(&self, problems: &Problems) -> Result<Vec<ServeReport>, String> {
        let mut said = progress("episodes");
        let all = problems.count();
        let mut reports = Vec::new();
        // Tasks of one episode are answered by one run through it.
        for (done, (layout, posed)) in problems.episodes().enumerate() {
            let results = pipeline(posed.iter().map(|p| p.1), &layout).map_err(|e| e.chain())?;
            let told =
                posed.iter().zip(results).map(|((number, task), r)| ServeReport::new(*number, *task, r));
            reports.extend(told);
            said(done + 1, all);
        }
        reports.sort_by_key(|report| report.problem);
        Ok(reports)
    }
}

/// Solved by task; tasks are never added up.
fn text(reports: &[ServeReport]) -> String {
    let mut tasks: BTreeMap<Task, (usize, usize)> = BTreeMap::new();
    for report in reports {
        let (solved, all) = tasks.entry(report.task).or_default();
        *solved += usize::from(report.results.is_success());
        *all += 1;
    }
    tasks.iter().map(|(task, (solved, all))| format!("{task:?}: {solved} of {all} solved\n")).collect()
}
