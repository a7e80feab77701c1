//! How fast error budgets are spent. // DET-07
//!
//! A service level objective of 99.9 % leaves a thousandth of all requests to fail: the error budget. The *burn rate* is the
//! share that fails divided by the share that may; at 1 the budget lasts exactly its period. A rule looks at a long window,
//! so that a blip is no alarm, and at a short one, so that the alarm ends soon after the trouble does: multi-window,
//! multi-burn-rate alerting (Beyer et al., *The Site Reliability Workbook*, 2018, chapter 5).
//!
//! - [`BurnRate`] takes in counts of one objective as they come, and says which rules fire and what is left of the budget.
//! - [`BurnRateDetector`] reads indicators ([`ErrorRatio`](crate::sli::ErrorRatio)) of a window, behind the
//!   [`Detector`](aiops_core::seam::Detector) seam; [`BurnRateDetector::budgets`] tells what is left and what that asks of automation,
//!   for whoever writes it up for guards (`aiops_act::guards::BudgetBoard::post`).
//!
//! What came before the first sample counts as traffic without errors: a new service that fails entirely fires within a
//! minute, one that burns just beyond a rule fires when it has done so for the rule's long window.

mod config;
mod detector;
mod ledger;
mod rate;

pub use aiops_core::model::Stance;
pub use config::{BurnAction, BurnConfig, BurnOptions, BurnRule, Slo};
pub use detector::{BudgetState, BurnFinding, BurnRateDetector};
pub use rate::{BurnRate, Burning, SloProposal, TooOld};
