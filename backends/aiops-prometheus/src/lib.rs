#![doc = include_str!("../README.md")]

pub mod client;
mod config;
pub mod exposition;
mod family;
mod http;
mod mapping;
pub mod scrape;
mod selector;
mod source;
pub mod store;

pub use config::ConfigError;
pub use family::{MetricSelection, Quantile, SignalName};
pub use http::SetUpError;
pub use mapping::{CallMapping, EntityMapping, Resource};
pub use selector::{LabelMap, LabelMatcher, SeriesSelector};
pub use source::{EmbeddedSource, PrometheusSource};
