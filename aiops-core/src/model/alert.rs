//! Alerts from other systems (Alertmanager and the like).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::anomaly::Severity;
use crate::model::entity::EntityId;
use crate::model::labels::Labels;

/// Whether an alert still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It holds.
    Firing,
    /// It ended.
    Resolved,
}

/// An alert as another system raised it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Alert {
    /// Name of the rule.
    pub name: String,
    /// What it is about.
    pub entity: EntityId,
    /// Since when.
    pub started_at: Timestamp,
    /// Whether it still holds.
    pub state: AlertState,
    /// How grave its rule calls it.
    pub severity: Severity,
    /// Identifying labels.
    #[serde(default)]
    pub labels: Labels,
    /// Describing text.
    #[serde(default)]
    pub annotations: Labels,
}

impl Alert {
    /// A firing alert.
    pub fn new(name: impl Into<String>, entity: EntityId, started_at: Timestamp, severity: Severity) -> Self {
        Self {
            name: name.into(),
            entity,
            started_at,
            state: AlertState::Firing,
            severity,
            labels: Labels::new(),
            annotations: Labels::new(),
        }
    }
}
