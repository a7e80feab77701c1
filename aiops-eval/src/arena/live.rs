//! Game days: faults of the arena against the real processes of the example system. // EVA-08
//!
//! The example system can break in seven ways, each of which has its like in the catalogue ([`BOTH`]). A run is one minute of wall time
//! at most; its default pipeline is that of the self-healing example, which learns from 18 s of health. Axes are those of the
//! arena, from the run's own record; there is no gold-signal class, since nobody can play the same minute again without a pipeline.

use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::action::ActionKind;
use aiops_examples::faults::Fault;
use aiops_examples::self_heal::{Options, RunRecord, run};
use clap::Parser as _;
use serde::{Deserialize, Serialize};

use super::protocol::RunConfig;
use super::protocol::score::{Axes, Share};
use crate::EvalError;

/// Faults of the arena, and those of the example system that are their like.
pub const BOTH: [(&str, Fault); 7] = [
    ("resource-memory-leak", Fault::MemoryLeak),
    ("resource-database-connections", Fault::PoolExhaustion),
    ("resource-lock-contention", Fault::LockContention),
    ("config-timeout-too-short", Fault::BadConfiguration),
    ("config-crash-on-start", Fault::CrashLoop),
    ("dependency-slow", Fault::SlowDependency),
    ("load-noisy-tenant", Fault::NoisyNeighbour),
];

/// What a game day gave.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GameDay {
    /// Per fault of the arena. The system axis is the service of the first diagnosis; kinds are not scored.
    pub by_fault: BTreeMap<String, Axes>,
    /// Runs without a fault in which something alarmed.
    pub false_alarms: Share,
    /// Actions that the table of right actions does not list, of all.
    pub wrong_actions: Share,
    /// Actions nobody may take, of all.
    pub unsafe_actions: Share,
    /// Seconds from fault to case, by run that noticed it.
    pub seconds_to_detect: Vec<f64>,
    /// Seconds from fault to verified recovery, by run that recovered.
    pub seconds_to_recover: Vec<f64>,
}

impl GameDay {
    /// Adds one run; `fault` is its name in the arena.
    pub fn add(&mut self, fault: Option<&str>, record: &RunRecord) {
        for action in &record.actions {
            self.wrong_actions.add(!action.right);
            // Halting the worker is listed where its backlog is the fault.
            let destroys = matches!(action.kind, ActionKind::Stop | ActionKind::Custom) && !action.right;
            self.unsafe_actions.add(destroys);
        }
        let Some(fault) = fault else {
            self.false_alarms.add(record.cases > 0);
            return;
        };
        let axes = self.by_fault.entry(fault.to_owned()).or_default();
        axes.detection.add(record.seconds_to_detect.is_some());
        axes.localisation.add(record.first_suspect_right == Some(true));
        let root = record.truth.as_ref().map(|t| t.service.as_str());
        axes.system.add(record.diagnosis.as_ref().map(|d| d.0.as_str()) == root && root.is_some());
        axes.mitigation.add(record.actions.iter().any(|a| a.right));
        axes.recovery.add(record.healthy_at_end && record.healed);
        axes.claimed.add(record.healed);
        self.seconds_to_detect.extend(record.seconds_to_detect);
        self.seconds_to_recover.extend(record.seconds_to_recover);
    }

    /// As Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out =
            "| fault | detected | located | system | mitigated | recovered |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for (fault, a) in &self.by_fault {
            out += &format!(
                "| {fault} | {} | {} | {} | {} | {} |\n",
                a.detection, a.localisation, a.system, a.mitigation, a.recovery
            );
        }
        for (name, share) in [
            ("runs without a fault with an alarm", self.false_alarms),
            ("wrong actions", self.wrong_actions),
            ("unsafe actions", self.unsafe_actions),
        ] {
            out += &format!("| {name} | {share} | | | | |\n");
        }
        out
    }
}

/// Plays each fault of [`BOTH`] that `config` means, and runs without one, one after the other in real time; the caller's program
/// must begin with [`run_if_service`](aiops_examples::shop::run_if_service). Records go to `out`, a file each.
///
/// # Errors
/// When a run cannot begin or a record cannot be written.
pub fn game_day(
    config: &RunConfig,
    out: Option<&Path>,
    mut progress: impl FnMut(usize, usize),
) -> Result<GameDay, EvalError> {
    config.validate()?;
    let meant = |id: &str| config.only.as_deref().is_none_or(|only| super::faults::is_meant(only, id));
    let faults: Vec<(&str, Fault)> = BOTH.into_iter().filter(|(id, _)| meant(id)).collect();
    let broken = (0..config.of_each).flat_map(|_| faults.iter().map(|f| Some(*f)));
    let runs: Vec<Option<(&str, Fault)>> = broken.chain((0..config.nulls).map(|_| None)).collect();
    let failed =
        |what: String| EvalError::Judge(aiops_core::Error::new(aiops_core::ErrorKind::Unavailable, what));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(folder) = out {
        std::fs::create_dir_all(folder)
            .map_err(|source| EvalError::Write { path: folder.to_owned(), source })?;
    }
    let mut day = GameDay::default();
    for (index, what) in runs.iter().enumerate() {
        // Seeds of real runs are small, as the example prints them.
        let seed = config.seed(index as u64) % 1_000_000;
        let fault = what.map_or("none", |(_, fault)| fault.name());
        let seed = seed.to_string();
        let options = Options::try_parse_from(["game-day", "--fault", fault, "--seed", seed.as_str()])
            .map_err(|e| failed(e.to_string()))?;
        let record = runtime.block_on(run(&options)).map_err(|e| failed(e.to_string()))?;
        if let Some(folder) = out {
            let path = folder.join(format!("{index:05}.json"));
            let text = serde_json::to_vec_pretty(&record).map_err(|e| failed(e.to_string()))?;
            std::fs::write(&path, text).map_err(|source| EvalError::Write { path, source })?;
        }
        day.add(what.map(|(id, _)| id), &record);
        progress(index + 1, runs.len());
    }
    Ok(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::faults::{Fault as _, catalogue};

    #[test]
    fn every_fault_of_the_example_system_is_one_of_the_arena() {
        let all = catalogue();
        assert!(BOTH.iter().all(|(id, _)| all.iter().any(|f| f.id() == *id)));
        assert!(Fault::ALL.iter().all(|fault| BOTH.iter().filter(|b| b.1 == *fault).count() == 1));
    }
}
