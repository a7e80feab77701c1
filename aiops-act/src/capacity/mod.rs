//! How much capacity is wanted, what it will do and what it costs (ACT-13).
//!
//! A service is a [`Queue`] of type M/M/c: [`Sizing`] finds the cheapest number of copies, or slots of provisioned concurrency, that answers enough
//! requests in time at the upper bound of a forecast, as much as is left of the error budget asks for, under a cap on cost. What cannot be met is
//! said by name ([`Unmet`]), never rounded away. What a spent budget asks for beyond the objective is asked for as far as it can be reached.
//! [`CapacityPlanner`] makes of it what every planner makes: proposals that pass the same guards. A [`Trial`] carries one
//! out, looks at telemetry, and takes back what had no effect; where nobody can see it, the larger of the two stays. [`CriticalLast`] is the guard
//! that lets critical services wait until others have shown that it works, more and less each for itself.
//!
//! Copies are added at once, and taken away only where the smaller number holds with some slack, so a load that swings within the slack moves
//! nothing.

mod critical;
mod direction;
mod planner;
mod queue;
mod sizing;
mod trial;

pub use critical::{CriticalLast, CriticalLastConfig};
pub use planner::{Ahead, CapacityPlanner, LoadForecast, Managed};
pub use queue::Queue;
pub use sizing::{Demand, Lever, Objective, Plan, Serving, Sizing, SizingConfig, Unmet};
pub use trial::{Trial, TrialConfig, Trialled};
