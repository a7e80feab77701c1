#![doc = include_str!("../README.md")]

mod config;
mod fingerprints;

pub use config::{ConfigError, RedisConfig};
pub use fingerprints::RedisFingerprints;
