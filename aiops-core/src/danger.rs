#![allow(clippy::disallowed_types, reason = "the definition itself; every use elsewhere is banned")]
//! What only tests may use. A sibling of [`guard`](crate::guard), so it has no access to the mint.

use async_trait::async_trait;

use crate::action::{GuardId, Verdict};
use crate::context::Context;
use crate::error::Result;
use crate::seam::{Guardrail, Review};

/// A guard without objections. The built-in rules of the chain still hold, every use is logged at `warn`,
/// and this workspace's clippy configuration bans it outside tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

#[async_trait]
impl Guardrail for AllowAll {
    fn id(&self) -> GuardId {
        GuardId("danger-allow-all".to_owned())
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        tracing::warn!(proposal = %review.proposal.id, "a guard that allows everything was asked");
        Ok(Verdict::allow("allows everything"))
    }
}
