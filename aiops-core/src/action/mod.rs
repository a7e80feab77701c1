//! Actions as data: what may be done, why it is proposed, and what became of it.
//!
//! Nothing here can run anything. Data becomes a right to act only in [`guard`](crate::guard).

mod decision;
mod history;
mod operation;
mod proposal;
mod receipt;
mod target;

pub use decision::{
    ApprovalDecision, ApprovalRequest, DecisionOutcome, DecisionRecord, GuardId, GuardVerdict, Mode, Verdict,
};
pub use history::{ActionTrace, History, IntentRecord, JournalEntry, Sequence};
pub use operation::{Action, ActionKind, BlastRadius, Operation, Precondition, Risk, RollbackPlan, Share};
pub use proposal::{IncidentId, Principal, Proposal, ProposalId, Purpose};
pub use receipt::{ActionOutcome, ActionStatus, Fence, IdempotencyKey, ReceiptRecord};
pub use target::{Preview, TargetState};
