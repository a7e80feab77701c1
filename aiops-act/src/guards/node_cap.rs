use std::collections::BTreeSet;
use std::time::Duration;

use aiops_core::action::{GuardId, Verdict};
use aiops_core::model::time::before;
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{guard_id, recent};
use crate::config::require;

/// Settings of [`NodeCap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeCapConfig {
    /// Different nodes and hosts acted on within `window`, over all incidents; default 1, at least 1.
    pub nodes: usize,
    /// Default 1 h, more than 0 s.
    #[serde(with = "aiops_core::model::duration")]
    pub window: Duration,
}

impl Default for NodeCapConfig {
    fn default() -> Self {
        Self { nodes: 1, window: Duration::from_secs(3600) }
    }
}

/// Caps how many machines are acted on in a while: one drained after the other takes a fleet down as well. // ACT-05
///
/// Undoing touches the same machine again, so it is not one more.
#[derive(Debug, Clone, Default)]
pub struct NodeCap(NodeCapConfig);

impl NodeCap {
    /// A cap as `config` says.
    ///
    /// # Errors
    /// When a field is zero.
    pub fn new(config: NodeCapConfig) -> Result<Self> {
        require(config.nodes > 0, "nodes", config.nodes, "1 or more")?;
        require(!config.window.is_zero(), "window", format!("{:?}", config.window), "more than 0 s")?;
        Ok(Self(config))
    }
}

fn is_node(target: &EntityId) -> bool {
    matches!(target.kind(), EntityKind::Node | EntityKind::Host)
}

#[async_trait]
impl Guardrail for NodeCap {
    fn id(&self) -> GuardId {
        guard_id("node-cap")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let target = &review.proposal.action.target;
        if !is_node(target) {
            return Ok(Verdict::allow("not a node"));
        }
        let earlier = recent(review.history, before(review.now, self.0.window));
        let earlier = earlier.map(|a| &a.intent.proposal.action.target);
        let nodes = earlier.filter(|t| is_node(t)).chain([target]).collect::<BTreeSet<_>>().len();
        let NodeCapConfig { nodes: most, window } = self.0;
        Ok(if nodes > most {
            Verdict::deny(format!("{nodes} nodes within {window:?}, at most {most} are allowed"))
        } else {
            Verdict::allow(format!("{nodes} of {most} nodes within {window:?}"))
        })
    }
}
