//! Records of episodes: hashed, with the truth sealed apart, from which every number is derived again. // EVA-04
//!
//! ```text
//! run.json             who played, settings, hash of the arena
//! episodes/00007.json  what the pipeline did in episode 7, its hash, and the hash of its sealed truth
//! truth/00007.json     the truth of episode 7 with a salt
//! table.json           the scores of the run
//! ```
//! The hash of the truth stands in the episode's record, so neither can be changed alone; the salt keeps it from being
//! guessed. An episode is made again from its seed alone, and gives the same bytes.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::protocol::RunConfig;
use super::protocol::episode::{Played, Truth};
use super::protocol::players::Player;
use super::protocol::score::{EpisodeScore, Table, score, table};
use crate::EvalError;

/// What a run was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunHeader {
    /// Hash of the arena.
    pub arena: String,
    /// Hash of the player's settings.
    pub declared: String,
    /// Who played.
    pub player: Player,
    /// Settings of the run.
    pub config: RunConfig,
    /// Episodes.
    pub episodes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EpisodeFile {
    arena: String,
    hash: String,
    truth: String,
    record: Played,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TruthFile {
    salt: String,
    truth: Truth,
}

fn hash_of(value: &impl Serialize, path: &Path) -> Result<String, EvalError> {
    let bytes = serde_json::to_vec(value).map_err(|e| wrong(path, e.to_string()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

fn wrong(path: &Path, what: impl Into<String>) -> EvalError {
    EvalError::Table { path: path.to_owned(), line: 0, what: what.into() }
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), EvalError> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| wrong(path, e.to_string()))?;
    bytes.push(b'\n');
    std::fs::write(path, bytes).map_err(|source| EvalError::Write { path: path.to_owned(), source })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, EvalError> {
    let bytes = std::fs::read(path).map_err(|source| EvalError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(path, e.to_string()))
}

/// A folder of records that is being written or read.
#[derive(Debug, Clone)]
pub struct Records(PathBuf);

impl Records {
    /// Begins a folder of records.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, header: &RunHeader) -> Result<Self, EvalError> {
        for sub in ["episodes", "truth"] {
            let path = folder.join(sub);
            std::fs::create_dir_all(&path).map_err(|source| EvalError::Write { path, source })?;
        }
        write(&folder.join("run.json"), header)?;
        Ok(Self(folder.to_owned()))
    }

    /// A folder that was written before.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// What the run was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn header(&self) -> Result<RunHeader, EvalError> {
        read(&self.0.join("run.json"))
    }

    fn paths(&self, index: u64) -> (PathBuf, PathBuf) {
        let name = format!("{index:05}.json");
        (self.0.join("episodes").join(&name), self.0.join("truth").join(name))
    }

    /// Writes one episode.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, arena: &str, played: &Played, truth: &Truth) -> Result<(), EvalError> {
        let (path, truth_path) = self.paths(played.index);
        let hash = hash_of(played, &path)?;
        let salt = blake3::hash(format!("{arena} {} {hash}", played.seed).as_bytes()).to_hex().to_string();
        let sealed = TruthFile { salt, truth: truth.clone() };
        let truth = hash_of(&sealed, &truth_path)?;
        write(&truth_path, &sealed)?;
        write(&path, &EpisodeFile { arena: arena.to_owned(), hash, truth, record: played.clone() })
    }

    /// Writes the scores.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(&self, table: &Table) -> Result<(), EvalError> {
        write(&self.0.join("table.json"), table)
    }

    /// The scores as the run wrote them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn table(&self) -> Result<Table, EvalError> {
        read(&self.0.join("table.json"))
    }

    /// Reads one episode and checks its hashes.
    ///
    /// # Errors
    /// [`EvalError::Table`] for a record or truth that is not what its hash says.
    pub fn episode(&self, index: u64, arena: &str) -> Result<(Played, Truth), EvalError> {
        let (path, truth_path) = self.paths(index);
        let file: EpisodeFile = read(&path)?;
        let sealed: TruthFile = read(&truth_path)?;
        if file.hash != hash_of(&file.record, &path)? || file.record.index != index {
            return Err(wrong(&path, "the record is not what its hash says"));
        }
        if file.truth != hash_of(&sealed, &truth_path)? {
            return Err(wrong(&truth_path, "the truth is not the one that was sealed"));
        }
        if file.arena != arena {
            return Err(wrong(&path, "played in another arena than the run"));
        }
        Ok((file.record, sealed.truth))
    }

    /// Every episode, scored anew.
    ///
    /// # Errors
    /// Those of [`Self::episode`].
    pub fn scores(&self) -> Result<(RunHeader, Vec<EpisodeScore>), EvalError> {
        let header = self.header()?;
        let scored = (0..header.episodes).map(|index| {
            let (played, truth) = self.episode(index, &header.arena)?;
            Ok(score(&played, &truth))
        });
        let scores = scored.collect::<Result<Vec<_>, EvalError>>()?;
        Ok((header, scores))
    }

    /// Derives the table anew, and tells whether it is the one that was written, to the last bit.
    ///
    /// # Errors
    /// Those of [`Self::episode`].
    pub fn rescore(&self) -> Result<(Table, bool), EvalError> {
        let (header, scores) = self.scores()?;
        let anew = table(header.player, &header.arena, &scores);
        let path = self.0.join("table.json");
        let same = hash_of(&anew, &path)? == hash_of(&self.table()?, &path)?;
        Ok((anew, same))
    }
}
