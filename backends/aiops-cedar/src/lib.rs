#![doc = include_str!("../README.md")]

mod analysis;
mod facts;
mod flaw;
mod guard;
mod inventory;
mod number;
mod rules;
mod schema;
mod translate;

pub use analysis::Finding;
pub use flaw::{Flaw, FlawKind, Refused};
pub use guard::{CedarConfig, CedarGuard};
pub use inventory::Inventory;
pub use schema::schema_text;
