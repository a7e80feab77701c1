//! Prometheus and VictoriaMetrics source, and an embedded exposition scraper for aiops.

pub mod client;
mod config;
pub mod exposition;
mod http;
pub mod scrape;
mod selector;
pub mod store;

pub use config::ConfigError;
pub use http::SetUpError;
pub use selector::{LabelMap, Matcher, Selector};
