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
pub use memory::{AppendReport, FamilyMetadata, SeriesId, Store, StoreStats};
pub use page::{Page, PageReader, ScrapedSample};
pub use ring::{Point, STALE_NAN_BITS};
