//! Guards: each looks at one danger. A chain asks them all, twice.
//!
//! | guard | danger | requirement |
//! |---|---|---|
//! | [`AllowList`] | an action nobody listed | ACT-06 |
//! | [`HardRules`] | a database restarted before its replication was checked | ACT-07 |
//! | [`RiskTiers`] | an action too risky to run alone | ACT-02 |
//! | [`ConfidenceBands`] | a diagnosis too unsure to act on | ACT-03 |
//! | [`ActionCap`] | an automation loop within an incident | ACT-04 |
//! | [`Cooldown`] | the same remedy again and again | ACT-04 |
//! | [`RateSpike`] | many actions over all incidents | ACT-04 |
//! | [`CircuitBreaker`] | remedies that do not help | ACT-04 |
//! | [`BlastRadiusCap`] | touching too much at once | ACT-05 |
//! | [`NodeCap`] | one machine after the other | ACT-05 |
//! | [`RollbackRequired`] | no way back | ACT-05 |
//! | [`ErrorRateBreaker`] | errors that rise after our actions | ACT-04 |
//! | [`OneAtATime`] | actions that mask each other's effect | ACT-04 |
//! | [`ChangeCalendar`] | acting in a freeze, or outside maintenance | ACT-07 |
//! | [`ErrorBudgetGuard`] | acting boldly on little error budget | ACT-12 |
//! | [`StanceGuard`] | acting boldly, or on what is only foretold, while it burns | DET-07 |
//!
//! Guards of their own modules: [`PolicyTable`](crate::PolicyTable) (ACT-06), [`Graduation`](crate::Graduation) (ACT-08),
//! [`Learned`](crate::Learned) (VER-04), [`Foretold`](crate::Foretold) (DET-13) and [`CriticalLast`](crate::capacity::CriticalLast) (ACT-13).
//!
//! Undoing an action of ours was authorised together with it ([`Review::reverts_own_action`]), so the guards that
//! ask for consent or ration remedies let it pass; the others do not.

mod allow_list;
mod blast_radius;
mod breaker;
mod calendar;
mod confidence;
mod cooldown;
mod error_budget;
mod error_rate;
mod hard_rules;
mod node_cap;
mod rationing;
mod risk;
mod rollback;
mod stance;

pub use allow_list::{AllowList, AllowRule, Pattern};
pub use blast_radius::{BlastRadiusCap, BlastRadiusConfig, Touched, touched};
pub use breaker::{BreakerConfig, CircuitBreaker};
pub use calendar::{CalendarConfig, CalendarEntry, ChangeCalendar};
pub use confidence::{BandsConfig, ConfidenceBands, ServerClass};
pub use cooldown::Cooldown;
pub use error_budget::{BudgetBoard, BudgetSource, ErrorBudgetConfig, ErrorBudgetGuard};
pub use error_rate::{ErrorRateBreaker, ErrorRateConfig};
pub use hard_rules::HardRules;
pub use node_cap::{NodeCap, NodeCapConfig};
pub use rationing::{ActionCap, CapConfig, OneAtATime, RateSpike, SpikeConfig};
pub use risk::{RiskTiers, TiersConfig};
pub use rollback::RollbackRequired;
pub use stance::{StanceConfig, StanceGuard, StanceSource};

use aiops_core::action::{ActionTrace, GuardId, History};
use aiops_core::seam::Review;
use jiff::Timestamp;

pub(crate) fn is_own_revert(review: &Review<'_>) -> bool {
    review.reverts_own_action().is_some()
}

/// Whether `action` of the history was a proven undoing when it was intended. Whatever else calls itself one is rationed
/// as a remedy.
fn was_own_revert(review: &Review<'_>, action: &ActionTrace) -> bool {
    let intent = &action.intent;
    review.history.undone_by(&intent.proposal, intent.at, review.revert_window, Some(action.fence)).is_some()
}

/// Actions that count and were intended at `since` or later, the last written first. Looks no further back than the last of them stands.
fn recent(history: &History, since: Timestamp) -> impl Iterator<Item = &ActionTrace> {
    let all = history.counted_since(since);
    history.actions().rev().filter(move |a| a.counts() && a.intent.at >= since).take(all)
}

pub(crate) fn guard_id(name: &str) -> GuardId {
    GuardId(name.to_owned())
}
