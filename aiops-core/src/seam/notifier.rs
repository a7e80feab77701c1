use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::action::IncidentId;
use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotificationKind {
    /// An action was taken that they should know of.
    Acted,
    /// The system cannot or may not go on; a person takes over.
    Escalation,
    /// The incident is over.
    Closed,
    /// More left its norm beside an incident that a person looks after; it may be a second one.
    Joined,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Notification {
    /// Which incident.
    pub incident: IncidentId,
    /// Why.
    pub kind: NotificationKind,
    /// One line.
    pub title: String,
    /// The rest, in Markdown.
    pub body: String,
}

impl Notification {
    /// A notification.
    pub fn new(
        incident: IncidentId,
        kind: NotificationKind,
        title: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        Self { incident, kind, title: title.into(), body: body.into() }
    }
}

/// Tells people. At least once: a repeated notification is better than a lost one.
///
/// # Errors
/// When it could not be handed over.
#[async_trait]
pub trait Notifier: Debug + Send + Sync + 'static {
    /// Hands `notification` over.
    async fn notify(&self, notification: &Notification, ctx: &Context) -> Result<()>;
}

forward_seam!(repeatable Notifier {
    reads notify(notification: &Notification) -> ();
});
