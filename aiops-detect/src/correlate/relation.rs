//! Why two alerts are held to be of one incident.

use std::fmt;
use std::time::Duration;

use aiops_core::model::{ChangeId, EntityId, float};
use serde::{Deserialize, Serialize};

use super::graph::Way;

/// Number of an alert within its correlator, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertId(pub(super) u64);

impl AlertId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {}", self.0)
    }
}

/// Number of an incident within its correlator, in the order they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentNumber(pub(super) u64);

impl IncidentNumber {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for IncidentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incident {}", self.0)
    }
}

/// A kind of evidence that relates two alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Reason {
    /// When it began, against how often something begins there by chance.
    Onset {
        /// Alerts that the incident is expected to raise then, per hour.
        #[serde(with = "float")]
        expected: f64,
        /// What begins in that place by chance, per hour.
        #[serde(with = "float")]
        chance: f64,
    },
    /// Both are about this.
    Service {
        /// The service, database, node, ….
        entity: EntityId,
    },
    /// They are about neighbours in the topology.
    Topology {
        /// What the later one is about.
        from: EntityId,
        /// What the earlier one is about.
        to: EntityId,
        /// Hops between them, 1 or more.
        hops: usize,
        /// Who needs whom.
        way: Way,
    },
    /// This change precedes both and touches both.
    Change {
        /// The change.
        change: ChangeId,
    },
    /// Their texts share rare words.
    Text {
        /// Cosine of their TF-IDF vectors, 0 to 1.
        #[serde(with = "float")]
        similarity: f64,
    },
    /// The text of one names what the other is about.
    Mention {
        /// What is named.
        entity: EntityId,
    },
    /// The topology knows what both are about, and no way between them.
    Apart {
        /// What the later one is about.
        from: EntityId,
        /// What the earlier one is about.
        to: EntityId,
    },
    /// They are in the same place.
    Near {
        /// Name of the label.
        label: String,
        /// Its value.
        value: String,
    },
    /// The incident is in other places only.
    Elsewhere,
    /// They share a label that few alerts have.
    Label {
        /// Name of the label.
        label: String,
        /// Its value.
        value: String,
    },
    /// The same alert was in the incident before, and had ended.
    Again,
    /// All alerts of the incident had ended.
    Ended,
    /// Too many incidents were open to tell one more apart; nothing else relates them.
    Storm,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Onset { expected, chance } => {
                write!(f, "began when {expected:.3} an hour are expected of it and {chance:.3} by chance")
            }
            Self::Service { entity } => write!(f, "both are about {entity}"),
            Self::Topology { from, to, hops, way } => {
                let hops = if *hops == 1 { String::new() } else { format!(" over {hops} hops") };
                match way {
                    Way::Needs => write!(f, "{from} needs {to}{hops}"),
                    Way::NeededBy => write!(f, "{to} needs {from}{hops}"),
                    Way::Shared => write!(f, "{from} and {to} need the same{hops}"),
                }
            }
            Self::Change { change } => write!(f, "both follow change {change}"),
            Self::Text { similarity } => write!(f, "their texts agree to {:.0} %", similarity * 100.0),
            Self::Mention { entity } => write!(f, "one names {entity}"),
            Self::Apart { from, to } => write!(f, "no way is known between {from} and {to}"),
            Self::Near { label, value } => write!(f, "both are in {label}={value:?}"),
            Self::Elsewhere => f.write_str("it is in another place"),
            Self::Label { label, value } => write!(f, "both have {label}={value:?}, which few have"),
            Self::Again => f.write_str("the same alert had ended in it before"),
            Self::Ended => f.write_str("all its alerts had ended"),
            Self::Storm => f.write_str("too many incidents were open to tell this one apart"),
        }
    }
}

/// A reason and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighed {
    /// The reason.
    pub reason: Reason,
    /// Natural logarithm of how much more probable it is in one incident than by chance; negative where it speaks against.
    #[serde(with = "float")]
    pub log_ratio: f64,
}

/// Why an alert is in an incident: what relates it to one that was there. // COR-03
///
/// The links of an incident are the explanation of every merge in it. Without them nothing is merged: an incident that was never
/// folded is connected by its links.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The alert that came later.
    pub alert: AlertId,
    /// The one it is related to.
    pub to: AlertId,
    /// Time between their onsets.
    #[serde(with = "aiops_core::model::duration")]
    pub gap: Duration,
    /// Probability that the alert is of the incident rather than the beginning of another: `1 / (1 + exp(−Σ log_ratio))`.
    #[serde(with = "float")]
    pub strength: f64,
    /// The evidence, for and against.
    pub reasons: Vec<Weighed>,
}

impl Link {
    pub(super) fn new(alert: AlertId, to: AlertId, gap: Duration, reasons: Vec<Weighed>) -> Self {
        let sum: f64 = reasons.iter().map(|r| r.log_ratio).sum();
        Self { alert, to, gap, strength: logistic(sum), reasons }
    }

    /// Whether the later alert may be the cause of the earlier one, of which that was not known yet: needed by it, or after the same change.
    pub(super) fn may_cause(&self) -> bool {
        self.reasons
            .iter()
            .any(|r| matches!(r.reason, Reason::Change { .. } | Reason::Topology { way: Way::NeededBy, .. }))
    }

    pub(super) fn bytes(&self) -> usize {
        let text = |reason: &Reason| match reason {
            Reason::Service { entity } | Reason::Mention { entity } => entity.name().len(),
            Reason::Topology { from, to, .. } | Reason::Apart { from, to } => {
                from.name().len() + to.name().len()
            }
            Reason::Change { change } => change.0.len(),
            Reason::Near { label, value } | Reason::Label { label, value } => label.len() + value.len(),
            Reason::Onset { .. }
            | Reason::Text { .. }
            | Reason::Elsewhere
            | Reason::Again
            | Reason::Ended
            | Reason::Storm => 0,
        };
        size_of::<Self>() + self.reasons.iter().map(|r| size_of::<Weighed>() + text(&r.reason)).sum::<usize>()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} joined {}: {:?} apart", self.alert, self.to, self.gap)?;
        self.reasons.iter().try_for_each(|r| write!(f, "; {} ({:+.1})", r.reason, r.log_ratio))
    }
}

/// Probability of odds by their natural logarithm.
pub(super) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
