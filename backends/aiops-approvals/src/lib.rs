#![doc = include_str!("../README.md")]

mod api;
mod config;
mod fault;
mod serve;

pub use api::ApprovalServer;
pub use config::{ServerConfig, TokenHash, token_hash};
