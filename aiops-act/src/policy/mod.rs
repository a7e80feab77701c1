//! Policy as data: rules over who, what, where, when and how sure (ACT-06).
//!
//! ```toml
//! zone = "Europe/Berlin"
//!
//! [groups.production]
//! service = ["shop-*", "billing"]
//!
//! [[rules]]
//! id = "restarts"
//! effect = "allow"
//! actions = ["rolling_restart", "cache_purge"]
//! groups = ["production"]
//! min_confidence = 0.85
//! max_replicas = 4
//!
//! [[rules]]
//! id = "night-asks"
//! effect = "ask"
//! actions = ["rolling_restart"]
//! groups = ["production"]
//! during = { from = "22:00:00", to = "06:00:00" }
//!
//! [[rules]]
//! id = "frozen"
//! effect = "deny"
//! during = { days = ["saturday", "sunday"] }
//! ```
//!
//! A rule applies when all its conditions hold; one it does not state always does. Of the rules that apply the strictest decides: *deny* over
//! *ask* over *allow*, whatever their order. Where none applies the answer is no. So a rule that is added can never loosen what a deny
//! forbids, and two people may edit the file without minding its order.

mod analysis;
mod index;
mod replay;
mod rule;
mod table;

pub use aiops_core::model::calendar::Day;
pub use analysis::Conflict;
pub use replay::{Difference, replay};
pub(crate) use rule::is_named;
pub use rule::{Effect, Policy, Rule, Targets, Weekly};
pub use table::{Judgement, PolicyTable};
