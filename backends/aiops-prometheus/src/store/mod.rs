//! Embedded in-memory store of scraped series, with bounded memory, and the functions to read it.
//!
//! What Prometheus does with a scrape, in process: target labels, staleness, counters to rates, histograms to quantiles.
//! At most [`StoreConfig::max_series`] series of at most [`StoreConfig::max_samples_per_series`] points of 16 bytes each
//! are kept, plus their labels; whatever is dropped is counted in [`StoreStats`].

mod config;
mod functions;
mod memory;
mod page;
mod ring;

pub use config::StoreConfig;
pub use functions::{Bucket, Grid, Increase, histogram_quantile, increase, instant};
pub use memory::{AppendReport, FamilyMetadata, SeriesId, Store, StoreStats, TargetHealth};
pub use page::{Page, PageReader, ScrapedSample};
pub use ring::{Point, STALE_NAN_BITS};

use std::sync::{Arc, Mutex, PoisonError};

use crate::ConfigError;

/// A store shared between whoever scrapes and whoever reads. Clones share one store.
#[derive(Debug, Clone)]
pub struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    /// An empty store.
    ///
    /// # Errors
    /// When `config` is out of range.
    pub fn new(config: StoreConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Mutex::new(Store::new(config)?))))
    }

    /// Runs `work` on the store, alone. Keep it short: scrapes wait.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        // Every method leaves the store consistent, so one that panicked elsewhere while it held the lock did no harm.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
