use std::fmt::Debug;

use async_trait::async_trait;

use crate::action::{ApprovalDecision, ApprovalRequest};
use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// Asks a person. The chain bounds the wait; silence and errors are a no.
///
/// # Errors
/// When no answer could be had.
#[async_trait]
pub trait Approver: Debug + Send + Sync + 'static {
    /// Puts `request` to a person and returns the answer.
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision>;
}

forward_seam!(once Approver {
    acts decide(request: &ApprovalRequest) -> ApprovalDecision;
});
