//! A whole run on several threads. Threads change nothing but the time it takes.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::RunConfig;
use super::episode::{Layout, Played, Truth};
use super::players::{Player, declared};
use super::score::{EpisodeScore, Table, score, table};
use crate::EvalError;
use crate::arena::arena_hash;
use crate::arena::faults::{Fault, catalogue};
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
            faults.retain(|f| f.id().starts_with(only.as_str()));
        }
        let broken = faults.len() * config.of_each as usize;
        let mut order: Vec<Option<usize>> =
            (0..broken).map(|i| Some(i % faults.len())).chain((0..config.nulls).map(|_| None)).collect();
        // Where an episode stands in the run tells nothing of what is broken in it.
        fastrand::Rng::with_seed(config.seed(u64::MAX)).shuffle(&mut order);
        Ok(Self { faults, config, order })
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
        let arena = arena_hash()?;
        let source = World::new(0).source();
        let header = RunHeader {
            arena: arena.clone(),
            declared: blake3::hash(declared(&source).as_bytes()).to_hex().to_string(),
            player,
            config: RunConfig { threads: 1, ..self.config.clone() },
            episodes: self.episodes(),
        };
        let records = out.map(|folder| Records::create(folder, &header)).transpose()?;
        let next = AtomicU64::new(0);
        let done: Mutex<(Vec<EpisodeScore>, Option<EvalError>)> = Mutex::default();
        let progress = Mutex::new(progress);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::SeqCst);
                let stopped = done.lock().unwrap_or_else(PoisonError::into_inner).1.is_some();
                if index >= self.episodes() || stopped {
                    return;
                }
                let result = self.layout(index).play(player).map_err(EvalError::from).and_then(
                    |(played, truth): (Played, Truth)| {
                        if let Some(records) = &records {
                            records.append(&arena, &played, &truth)?;
                        }
                        Ok(score(&played, &truth))
                    },
                );
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(score) => done.0.push(score),
                    Err(e) => done.1 = Some(e),
                }
                let n = done.0.len();
                drop(done);
                progress.lock().unwrap_or_else(PoisonError::into_inner)(n, self.order.len());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.config.threads {
                scope.spawn(work);
            }
        });
        let (mut scores, error) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = error {
            return Err(error);
        }
        scores.sort_by_key(|s| s.index);
        let table = table(player, &arena, &scores);
        if let Some(records) = &records {
            records.finish(&table)?;
        }
        Ok((table, scores))
    }
}
