//! The stored form of an engine.

use aiops_core::model::FittedHash;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::config::EngineConfig;
use super::core::StreamEngine;
use super::packed::Packed;
use super::series::Series;

/// Version of a stored [`EngineSnapshot`].
pub const ENGINE_VERSION: u32 = 1;

/// All an engine knows, as a value: series in the order of their keys.
///
/// Serialises to a versioned document with a digest of its contents. What was written by a version this crate does not know,
/// or is damaged in any number, is refused. An engine that was restored goes on bit for bit like the one that was stored.
///
/// ```
/// use aiops_detect::engine::{EngineSnapshot, StreamEngine};
/// use jiff::Timestamp;
///
/// let mut engine = StreamEngine::new(Default::default());
/// engine.push_key(&"a".to_owned(), Timestamp::UNIX_EPOCH, 1.0)?;
/// let stored = serde_json::to_string(&engine.snapshot())?;
/// let back: EngineSnapshot<String> = serde_json::from_str(&stored)?;
/// assert_eq!(back.digest()?, engine.snapshot().digest()?);
/// assert_eq!(back.restore()?.len(), 1);
/// assert!(serde_json::from_str::<EngineSnapshot<String>>(&stored.replace("1.0", "2.0")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "Document<K>",
    into = "Document<K>",
    bound(
        serialize = "K: Clone + Ord + Serialize",
        deserialize = "K: Clone + Ord + Serialize + Deserialize<'de>"
    )
)]
pub struct EngineSnapshot<K> {
    config: EngineConfig,
    series: Vec<Stored<K>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored<K> {
    pub(super) key: K,
    pub(super) state: Series,
    pub(super) cells: Vec<Packed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<K> {
    version: u32,
    digest: FittedHash,
    config: EngineConfig,
    series: Vec<Stored<K>>,
}

impl<K: Clone + Ord + Serialize> From<EngineSnapshot<K>> for Document<K> {
    fn from(snapshot: EngineSnapshot<K>) -> Self {
        // A digest that could not be made matches nothing, and the document is refused when it is read.
        let digest = snapshot.digest().unwrap_or_else(|_| FittedHash(String::new()));
        Self { version: ENGINE_VERSION, digest, config: snapshot.config, series: snapshot.series }
    }
}

impl<K: Clone + Ord + Serialize> TryFrom<Document<K>> for EngineSnapshot<K> {
    type Error = Error;

    fn try_from(document: Document<K>) -> Result<Self> {
        let Document { version, digest, config, series } = document;
        if version != ENGINE_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of a stored engine")
                .with("version", version)
                .with("known", ENGINE_VERSION));
        }
        let cells = config.options().baseline.cells();
        let rising = series.windows(2).all(|w| w.first().map(|s| &s.key) < w.last().map(|s| &s.key));
        let good = |stored: &Stored<K>| {
            stored.cells.len() == cells && stored.cells.iter().all(Packed::usable) && stored.state.usable()
        };
        let snapshot = Self { config, series };
        let fits = snapshot.series.len() <= snapshot.config.options().max_series;
        if !(rising && fits && snapshot.series.iter().all(good)) || snapshot.digest()? != digest {
            return Err(Error::new(ErrorKind::Invalid, "a stored engine is damaged"));
        }
        Ok(snapshot)
    }
}

impl<K> EngineSnapshot<K> {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it holds no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn series(&self) -> &[Stored<K>] {
        &self.series
    }
}

impl<K: Serialize> EngineSnapshot<K> {
    /// Hash of configuration, keys and every number: equal for engines that will say the same of the same samples.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a key cannot be serialised.
    pub fn digest(&self) -> Result<FittedHash> {
        crate::state::hash(&(ENGINE_VERSION, &self.config, &self.series))
    }
}

impl<K: Ord + Clone> EngineSnapshot<K> {
    /// An engine that goes on from here. Slots are not those of before.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when there are more series than the configuration allows.
    pub fn restore(&self) -> Result<StreamEngine<K>> {
        let mut engine = StreamEngine::new(self.config.clone());
        engine.reserve(self.series.len());
        for stored in &self.series {
            engine.restore(stored.key.clone(), stored.state.clone(), &stored.cells).map_err(|e| {
                Error::new(ErrorKind::Limit, "too many series in a stored engine").caused_by(e)
            })?;
        }
        Ok(engine)
    }
}

impl<K: Ord + Clone> StreamEngine<K> {
    /// All it knows, as a value. O(series).
    #[must_use]
    pub fn snapshot(&self) -> EngineSnapshot<K> {
        let stored = |(key, state, cells): (&K, &Series, &[Packed])| Stored {
            key: key.clone(),
            state: state.clone(),
            cells: cells.to_vec(),
        };
        EngineSnapshot { config: self.config.clone(), series: self.parts().map(stored).collect() }
    }
}
