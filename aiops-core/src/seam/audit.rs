use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::IncidentId;
use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Which incident, where it belongs to one.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// What happened: `decided`, `intended`, `acted`, `verified`, ….
    pub what: String,
    /// The details.
    pub detail: serde_json::Value,
}

impl AuditEvent {
    /// An event of `incident`.
    pub fn new(
        at: Timestamp,
        incident: Option<IncidentId>,
        what: impl Into<String>,
        detail: serde_json::Value,
    ) -> Self {
        Self { at, incident, what: what.into(), detail }
    }
}

/// Keeps an append-only log (AUD-01).
///
/// # Errors
/// When the event could not be made durable. A pipeline stops acting then.
#[async_trait]
pub trait AuditSink: Debug + Send + Sync + 'static {
    /// Appends `event`.
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()>;
}

forward_seam!(once AuditSink {
    acts append(event: &AuditEvent) -> ();
});
