//! A whole run on several threads. Threads change nothing but the time it takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::RunConfig;
use super::episode::{Layout, Played, Truth};
use super::players::{Player, declared};
use super::score::{EpisodeScore, Table, score, table};
use crate::EvalError;
use crate::arena::arena_hash;
use crate::arena::faults::{Fault, catalogue, is_meant};
use crate::arena::trajectory::{Records, RunHeader};
use crate::arena::world::World;

/// Faults of a run by episode: each fault in turn, null episodes strewn among them.
///
/// A fault for which the drawn system has no place is passed over; the next one in the catalogue takes the episode.
#[derive(Debug)]
pub struct Plan {
    faults: Vec<Box<dyn Fault>>,
    config: RunConfig,
    /// Index in `faults` by episode.
    order: Vec<Option<usize>>,
}

impl Plan {
    /// The plan of `config` over the arena's own catalogue.
    ///
    /// # Errors
    /// When the settings are out of range.
    pub fn new(config: RunConfig) -> Result<Self, EvalError> {
        let all = catalogue().into_iter().map(|r| Box::new(r) as Box<dyn Fault>).collect();
        Self::with(config, all)
    }

    /// The plan of `config` over other faults.
    ///
    /// # Errors
    /// When the settings are out of range.
    pub fn with(config: RunConfig, mut faults: Vec<Box<dyn Fault>>) -> Result<Self, EvalError> {
        config.validate()?;
        if let Some(only) = &config.only {
            faults.retain(|f| is_meant(only, f.id()));
        }
        let broken = faults.len() * config.of_each as usize;
        let mut order: Vec<Option<usize>> =
            (0..broken).map(|i| Some(i % faults.len())).chain((0..config.nulls).map(|_| None)).collect();
        // Where an episode stands in the run tells nothing of what is broken in it.
        fastrand::Rng::with_seed(config.seed(u64::MAX)).shuffle(&mut order);
        Ok(Self { faults, config, order })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Episodes.
    #[must_use]
    pub fn episodes(&self) -> u64 {
        self.order.len() as u64
    }

    /// Faults.
    #[must_use]
    pub fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Lays out episode `index`.
    #[must_use]
    pub fn layout(&self, index: u64) -> Layout {
        let fault = self.order.get(index as usize).copied().flatten();
        let mut layout =
            Layout::new(&self.config, index, fault.and_then(|f| self.faults.get(f)).map(|f| &**f));
        if let Some(first) = fault {
            for step in 1..self.faults.len() {
                if layout.is_broken() {
                    break;
                }
                let next = self.faults.get((first + step) % self.faults.len());
                layout = Layout::new(&self.config, index, next.map(|f| &**f));
            }
        }
        layout
    }

    /// Plays every episode as `player`, writes records to `out`, and sums up. `progress` hears how many are done.
    ///
    /// # Errors
    /// When a pipeline cannot be composed or a record cannot be written.
    pub fn run(
        &self,
        player: Player,
        out: Option<&Path>,
        progress: impl FnMut(usize, usize) + Send,
    ) -> Result<(Table, Vec<EpisodeScore>), EvalError> {
        let mut played = self.run_all(&[(player, out.map(Path::to_owned))], progress)?;
        played.pop().ok_or(EvalError::Config {
            field: "players",
            value: "none".to_owned(),
            allowed: "at least one",
        })
    }

    /// Plays every episode as each of `players`, who write records to a folder each, and sums up in their order. What becomes of
    /// an episode without a pipeline is simulated once for all.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_all(
        &self,
        players: &[(Player, Option<PathBuf>)],
        progress: impl FnMut(usize, usize) + Send,
    ) -> Result<Vec<(Table, Vec<EpisodeScore>)>, EvalError> {
        let arena = arena_hash()?;
        let source = World::new(0).source();
        let declared = blake3::hash(declared(&source).as_bytes()).to_hex().to_string();
        let header = |player: Player| RunHeader {
            arena: arena.clone(),
            declared: declared.clone(),
            player,
            config: RunConfig { threads: 1, ..self.config.clone() },
            episodes: self.episodes(),
        };
        let begun = players.iter().map(|(player, out)| {
            let records = out.as_ref().map(|folder| Records::create(folder, &header(*player)));
            Ok((*player, records.transpose()?))
        });
        let records: Vec<(Player, Option<Records>)> = begun.collect::<Result<_, EvalError>>()?;
        let by_episode = each(self.episodes(), self.config.threads, progress, |index| {
            let layout = self.layout(index);
            let all = records.iter().map(|(player, records)| {
                let (played, truth): (Played, Truth) = layout.play(*player)?;
                if let Some(records) = records {
                    records.append(&arena, &played, &truth)?;
                }
                Ok(score(&played, &truth))
            });
            all.collect::<Result<Vec<EpisodeScore>, EvalError>>()
        })?;
        let summed = records.iter().enumerate().map(|(i, (player, records))| {
            let scores: Vec<EpisodeScore> = by_episode.iter().filter_map(|s| s.get(i).cloned()).collect();
            let table = table(*player, &arena, &scores);
            if let Some(records) = records {
                records.finish(&table)?;
            }
            Ok((table, scores))
        });
        summed.collect()
    }
}

/// What `work` gives for each of the first `n` numbers, in their order, on so many threads. The first failure by number ends it.
///
/// # Errors
/// That of `work`.
pub(crate) fn each<T: Send>(
    n: u64,
    threads: usize,
    progress: impl FnMut(usize, usize) + Send,
    work: impl Fn(u64) -> Result<T, EvalError> + Sync,
) -> Result<Vec<T>, EvalError> {
    let next = AtomicU64::new(0);
    let done: Mutex<BTreeMap<u64, Result<T, EvalError>>> = Mutex::default();
    let stopped = AtomicBool::new(false);
    let progress = Mutex::new(progress);
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            if index >= n || stopped.load(Ordering::SeqCst) {
                return;
            }
            let result = work(index);
            if result.is_err() {
                stopped.store(true, Ordering::SeqCst);
            }
            let mut all = done.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(index, result);
            let so_far = all.len();
            drop(all);
            progress.lock().unwrap_or_else(PoisonError::into_inner)(so_far, n as usize);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(worker);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}
