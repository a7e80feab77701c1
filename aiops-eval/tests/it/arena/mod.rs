//! The arena.

mod cheats;
mod fleet;
mod kpi;
mod protocol;
mod simulator;
mod world;
