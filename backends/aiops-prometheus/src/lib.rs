//! Prometheus and VictoriaMetrics source, and an embedded exposition scraper for aiops.

mod config;
pub mod exposition;
mod selector;
pub mod store;

pub use config::ConfigError;
pub use selector::{LabelMap, Matcher, Selector};
