//! Approvals that survive a restart (ACT-09).
//!
//! An [`ApprovalDesk`] is an [`Approver`](aiops_core::seam::Approver) over a file. A request stays on it until people answer or it expires; any
//! number of front ends, a terminal, an HTTP API, a chat, read [`pending`](ApprovalDesk::pending) and call
//! [`answer`](ApprovalDesk::answer), in this process or another one of the machine.
//!
//! - Silence is a no: what nobody answered by its time is expired, whoever asks later.
//! - Nobody approves what they proposed, nobody counts twice, under whatever spelling ([`check_name`]), and one no is a no.
//! - A question states how many must say yes and who may: by the settings of the desk that asked. A desk takes no answer to one that was
//!   asked under laxer settings than its own; it asks anew.
//! - What expired stays so when the clock is set back, once a line of the file, or this process, has seen the later instant.
//! - An answer given twice is one answer; another answer by the same person, or one to a decided request, is refused.
//! - A pipeline that asks the same question again before it expired, after a conflict or a restart, gets the answer that was given: the same proposal, on
//!   the same state of its target, for the same reasons. Anything else is another question.
//!
//! The file is a [ledger](crate::ledger) of kind `approvals`; a line is a request with what must be met for a yes, or an answer. So the
//! answers are kept as labels ([`ApprovalDesk::labels`]): what people said of a proposal, and, where they said so, whether the diagnosis
//! behind it was right.

mod book;
mod desk;
mod names;
mod ticket;

pub use desk::{ApprovalConfig, ApprovalDesk, Reply};
pub use names::{LONGEST_REASON, check_name, check_reason};
pub use ticket::{Answer, ApprovalLabel, RequestId, Standing, Ticket};
