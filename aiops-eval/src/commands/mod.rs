//! Subcommands, a module each.

pub(crate) mod arena;
