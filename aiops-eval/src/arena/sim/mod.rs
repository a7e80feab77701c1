//! A discrete-event simulator of microservices on virtual time.
//!
//! Requests are simulated one by one: they arrive as a Poisson process whose rate follows the day, wait in the queue of a
//! service for a free slot of a replica, use the processor of the replica's node, call others through bounded pools with
//! time-outs and retries while they hold their slot, and answer. A service without callees is an M/M/c queue (with
//! exponential work), which the tests hold against Erlang's formula.
//!
//! What changes slowly is stepped once a second: contention on nodes, memory, disks, replication, autoscaling.
//!
//! | module | what |
//! |---|---|
//! | [`spec`] | what a system consists of, as data |
//! | [`draw`] | systems drawn from a seed |
//! | [`engine`] | the requests |
//! | [`state`] | services, replicas, nodes as they are |
//! | [`control`] | roll-outs, restarts, scaling, conditions |
//! | [`fleet`] | GPUs, a training job in step, a queue for GPUs |
//!
//! Cost: about three events a call. Deterministic: events at one time happen in the order in which they were made, every
//! random number comes from the seed, and nothing depends on threads or hash order.

pub mod control;
pub mod draw;
pub mod engine;
pub mod fleet;
mod second;
pub mod spec;
pub mod state;

pub use engine::Simulator;

/// Time since the start of a simulation, in microseconds.
pub type Micros = u64;

/// Microseconds of a second.
pub const SECOND: Micros = 1_000_000;

/// `seconds` as whole microseconds; 0 for what is negative or no number.
#[must_use]
pub fn micros(seconds: f64) -> Micros {
    // A cast of a float saturates, and turns NaN into 0.
    (seconds * 1e6) as Micros
}

/// Microseconds as seconds.
#[must_use]
pub fn seconds(t: Micros) -> f64 {
    t as f64 / 1e6
}
