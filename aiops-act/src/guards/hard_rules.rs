use aiops_core::action::{GuardId, Operation, Verdict};
use aiops_core::model::EntityKind;
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::guard_id;

/// What no confidence and no approval makes right. // ACT-07
///
/// A database is restarted, stopped, drained or rolled back only while its replication is seen to be
/// healthy, at both hearings. That holds for undoing as well, and whether or not the action itself declares the
/// precondition.
#[derive(Debug, Clone, Copy, Default)]
pub struct HardRules;

#[async_trait]
impl Guardrail for HardRules {
    fn id(&self) -> GuardId {
        guard_id("hard-rules")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let action = &review.proposal.action;
        let takes_it_down = matches!(
            action.operation,
            Operation::RollingRestart { .. }
                | Operation::Rollback { .. }
                | Operation::Drain
                | Operation::Stop
                | Operation::Scale { replicas: 0 }
        );
        if action.target.kind() != EntityKind::Database || !takes_it_down {
            return Ok(Verdict::allow("no hard rule speaks of it"));
        }
        Ok(match review.preview.target.replication_healthy {
            Some(true) => Verdict::allow("replication is healthy"),
            Some(false) => Verdict::deny("replication of the database is not healthy"),
            None => Verdict::deny("replication of the database was not checked"),
        })
    }
}
