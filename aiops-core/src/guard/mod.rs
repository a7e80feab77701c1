//! From a wish to a right to act, once.
//!
//! ```text
//! Proposal ─GuardChain::authorize▶ Authorized<Action> ─record▶ Intended<Action> ─spend▶ (Action, Spent) ─▶ Receipt
//!  (data)     guards + approver      expires, revocable   durable first   inside the mitigator        proof
//! ```
//!
//! [`GuardChain::authorize`] is the only mint of [`Authorized`]; [`Authorized::record`] is the only way to
//! [`Intended`] and returns after the chain's own journal made the intent durable; [`Intended::spend`] is the only
//! source of [`Spent`], and a [`Receipt`] needs one. No token can be cloned, defaulted, deserialised or looked into.

mod chain;
mod control;
mod token;

pub use chain::{ChainConfig, Denied, GuardChain, GuardChainBuilder, Guarded, Unguarded};
pub use control::{KillSignal, KillSwitch, Revocations};
pub use token::{Authorized, Intended, Receipt, Spent};
