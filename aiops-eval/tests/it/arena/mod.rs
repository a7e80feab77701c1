//! The arena.

mod kpi;
mod protocol;
mod simulator;
mod world;
