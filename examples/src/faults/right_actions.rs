//! The table of right actions, for scoring.

use aiops_core::action::ActionKind;
use serde::Deserialize;

use super::{Fault, Truth};

const TABLE: &str = include_str!("../../right_actions.toml");

/// Where a right action is to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum ActionTarget {
    /// The service in which the fault sits.
    Root,
    /// This service.
    Service(String),
}

impl From<String> for ActionTarget {
    fn from(text: String) -> Self {
        if text == "root" { Self::Root } else { Self::Service(text) }
    }
}

/// One right action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightAction {
    /// Kind of the action.
    pub kind: ActionKind,
    /// Where.
    pub target: ActionTarget,
}

/// Right actions of all faults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightActions {
    fault: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: Fault,
    why: String,
    actions: Vec<RightAction>,
}

impl RightActions {
    /// The table that is kept beside the examples.
    ///
    /// # Errors
    /// A table that cannot be read; a test sees to it that it can.
    pub fn load() -> Result<Self, toml::de::Error> {
        toml::from_str(TABLE)
    }

    /// Right actions for a fault, with the reason.
    #[must_use]
    pub fn of(&self, fault: Fault) -> Option<(&[RightAction], &str)> {
        let row = self.fault.iter().find(|row| row.name == fault)?;
        Some((&row.actions, &row.why))
    }

    /// Whether an action of `kind` on `service` is right, given what was really done.
    #[must_use]
    pub fn accepts(&self, truth: &Truth, kind: ActionKind, service: &str) -> bool {
        self.of(truth.fault).is_some_and(|(actions, _)| {
            actions.iter().any(|action| {
                let target = match &action.target {
                    ActionTarget::Root => &truth.service,
                    ActionTarget::Service(name) => name,
                };
                action.kind == kind && target == service
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_right_actions_and_a_reason() {
        let table = RightActions::load().unwrap();
        for fault in Fault::ALL {
            let (actions, why) = table.of(fault).unwrap();
            assert!(!actions.is_empty() && !why.is_empty(), "{fault}");
        }
    }

    #[test]
    fn the_target_root_stands_for_the_service_of_the_fault() {
        let table = RightActions::load().unwrap();
        let truth = Truth {
            fault: Fault::BadConfiguration,
            service: "store".to_owned(),
            began: aiops_core::jiff::Timestamp::UNIX_EPOCH,
            detail: String::new(),
        };
        assert!(table.accepts(&truth, ActionKind::Rollback, "store"));
        assert!(!table.accepts(&truth, ActionKind::Rollback, "orders"));
        assert!(!table.accepts(&truth, ActionKind::RollingRestart, "store"));
    }
}
