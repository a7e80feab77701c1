//! The arena.

mod cheats;
mod kpi;
mod protocol;
mod simulator;
mod world;
