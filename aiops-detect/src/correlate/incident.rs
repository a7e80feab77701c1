//! An incident as it is shown and handed on. // COR-05

use std::collections::BTreeSet;
use std::time::Duration;

use aiops_core::action::IncidentId;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, Change, Confidence, EntityId, Severity, TimeRange, float};
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::relation::{AlertId, IncidentNumber, Link};
use super::root::Suspicion;
use super::state::Folded;
use crate::taxonomy::IncidentLabel;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// An alert of it holds, or was folded and may hold.
    Firing,
    /// All its alerts ended; it may flare up again.
    Ended,
    /// It is no longer kept.
    Closed,
}

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Critical, and wide or facing the internet.
    P1,
    /// Critical.
    P2,
    /// A warning, and wide or facing the internet.
    P3,
    /// A warning.
    P4,
    /// Informational.
    P5,
}

/// One alert of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Member {
    /// Its number.
    pub id: AlertId,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// The alert as it first came, with the gravest severity it was told with.
    pub alert: Alert,
    /// What it is about, without what differs between copies.
    pub about: EntityId,
    /// When it began.
    pub onset: Timestamp,
    /// When it was first told of.
    pub first_seen: Timestamp,
    /// When it was last told of.
    pub last_seen: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    /// How often it was told of.
    pub notifications: u64,
    /// How often it fired again after it had ended.
    pub flaps: u32,
    /// Why it is here: its link to what was there before, and its links to what became part of this by it. None where it
    /// opened the incident.
    pub links: Vec<Link>,
}

/// Whom an incident concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlastRadius {
    /// Entities with alerts.
    pub alerting: BTreeSet<EntityId>,
    /// Entities without, that need the suspected root, directly or not.
    pub at_risk: BTreeSet<EntityId>,
}

impl BlastRadius {
    /// All of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alerting.len() + self.at_risk.len()
    }

    /// Whether nobody is concerned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alerting.is_empty() && self.at_risk.is_empty()
    }
}

/// Alerts that belong together, with why, and what follows from them.
///
/// `root_cause` and `suspects` are what the alerts alone tell: correlation, no diagnosis. `confidence` is not held against
/// outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Incident {
    /// Its number.
    pub number: IncidentNumber,
    /// Its id everywhere else; the same for every instance in which the same alert with the same onset opened it.
    pub id: IncidentId,
    /// Where it stands.
    pub state: IncidentState,
    /// When its first alert came.
    pub opened_at: Timestamp,
    /// From the first onset to the last.
    pub onsets: TimeRange,
    /// When it was last heard of.
    pub last_activity: Timestamp,
    /// The gravest of all its alerts, folded ones included.
    pub severity: Severity,
    /// How soon somebody should look.
    pub priority: Priority,
    /// What its signals amount to together, 0 to 1: `1 − Π(1 − w)` over the alerting entities and the names of their alerts, w being 0.1,
    /// 0.3 and 0.6 by severity. More and different signals count more, repeats do not; never below that of the gravest alone.
    #[serde(with = "float")]
    pub score: f64,
    /// What the suspected root, or else the first alert, is about.
    pub primary_service: EntityId,
    /// The suspected cause in one sentence.
    pub root_cause: Option<String>,
    /// How far the first suspect stands out, 0 to 1; none where nothing is suspected.
    pub confidence: Option<Confidence>,
    /// The incident in one sentence.
    pub summary: String,
    /// The alerting entities, the most suspect first.
    pub suspects: Vec<Suspicion>,
    /// Whom it concerns.
    pub blast_radius: BlastRadius,
    /// Changes of what alerts and of what that needs, from `change_lookback` before the first onset to the last, latest first.
    pub changes: Vec<Change>,
    /// Where its alerts say a runbook is (`runbook_url`), without repeats, that of the suspected root first.
    pub runbooks: Vec<String>,
    /// What may be done first; never done by itself.
    pub suggested_actions: Vec<String>,
    /// Who answers for the primary service: the topology's owner, or the `team` or `owner` label of its alert.
    pub owner: Option<String>,
    /// Its alerts in order of arrival.
    pub members: Vec<Member>,
    /// Alerts that are counted and no longer listed.
    pub folded: Folded,
    /// Notifications of all its alerts.
    pub notifications: u64,
    /// Further alerts about what it is about that limits refused.
    pub limited: u64,
    /// Incidents that became part of it.
    pub merged: Vec<IncidentNumber>,
    /// What it was split from.
    pub split_from: Option<IncidentNumber>,
    /// Whether it took alerts only because too many incidents were open.
    pub storm: bool,
    /// What kind it is in the taxonomy of [`Correlator::set_labeller`](super::Correlator::set_labeller); none where there is no such, or
    /// its alerts do not tell.
    #[serde(default)]
    pub label: Option<IncidentLabel>,
}

impl Incident {
    /// Every link: why everything in it is in it.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.members.iter().flat_map(|member| &member.links)
    }

    /// The alert of the first suspect.
    #[must_use]
    pub fn root_alert(&self) -> Option<&Member> {
        let suspect = self.suspects.first()?;
        self.members.iter().find(|member| member.id == suspect.alert)
    }

    /// How long its onsets span.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.onsets.length()
    }

    pub(super) fn closed(mut self) -> Self {
        self.state = IncidentState::Closed;
        self
    }
}
