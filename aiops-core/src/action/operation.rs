//! Typed operations with their risk, blast radius, cooldown, preconditions and way back (ACT-01).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{EntityId, EntityKind};

/// How dangerous an action is (ACT-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// May run alone.
    Low,
    /// Asks and waits.
    Medium,
    /// Always a person.
    High,
}

impl std::fmt::Display for Risk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// The kinds of operation, for policies and capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// Restart copies one after the other.
    RollingRestart,
    /// Change the number of copies.
    Scale,
    /// Back to an earlier revision.
    Rollback,
    /// Take no new work.
    Cordon,
    /// Move work away.
    Drain,
    /// Empty a cache.
    CachePurge,
    /// Rotate and trim logs.
    LogRotation,
    /// Limit an offender.
    Throttle,
    /// Change a concurrency limit or pool size.
    Concurrency,
    /// Run an approved job template.
    JobTemplate,
    /// Run one step of a playbook.
    PlaybookStep,
    /// Stop a workload.
    Stop,
    /// Anything else, by name.
    Custom,
}

impl ActionKind {
    /// Default class (ACT-02). What can be undone by itself and touches one service is low; what changes what
    /// runs is medium; what takes capacity away, or nobody described, is high.
    #[must_use]
    pub fn default_risk(self) -> Risk {
        match self {
            Self::RollingRestart | Self::Scale | Self::LogRotation | Self::CachePurge => Risk::Low,
            Self::Rollback | Self::Throttle | Self::Concurrency => Risk::Medium,
            Self::Cordon
            | Self::Drain
            | Self::JobTemplate
            | Self::PlaybookStep
            | Self::Stop
            | Self::Custom => Risk::High,
        }
    }

    /// The kind as it stands in policies and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RollingRestart => "rolling_restart",
            Self::Scale => "scale",
            Self::Rollback => "rollback",
            Self::Cordon => "cordon",
            Self::Drain => "drain",
            Self::CachePurge => "cache_purge",
            Self::LogRotation => "log_rotation",
            Self::Throttle => "throttle",
            Self::Concurrency => "concurrency",
            Self::JobTemplate => "job_template",
            Self::PlaybookStep => "playbook_step",
            Self::Stop => "stop",
            Self::Custom => "custom",
        }
    }
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A share of a whole, 0..=1; none of it by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// The share `of_one`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] outside 0..=1 or for NaN.
    pub fn new(of_one: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&of_one) {
            Ok(Self(of_one))
        } else {
            Err(Error::new(ErrorKind::Invalid, "a share lies in 0..=1").with("share", of_one))
        }
    }

    /// The number, 0..=1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = Error;
    fn try_from(v: f64) -> Result<Self> {
        Self::new(v)
    }
}

impl From<Share> for f64 {
    fn from(s: Share) -> Self {
        s.0
    }
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Operation {
    /// Restart every copy, one batch after the other.
    RollingRestart {
        /// Most copies that may be missing at a time.
        max_unavailable: u32,
        /// Most copies that may be extra at a time.
        max_surge: u32,
    },
    /// Run this many copies.
    Scale {
        /// Wanted copies.
        replicas: u32,
    },
    /// Go back to `to`.
    Rollback {
        /// Revision to return to.
        to: String,
    },
    /// Take no new work.
    Cordon,
    /// Move work away.
    Drain,
    /// Empty a cache.
    CachePurge,
    /// Rotate and trim logs.
    LogRotation,
    /// Limit the target to a share of its present allowance.
    Throttle {
        /// Share that remains.
        to: Share,
    },
    /// Set a concurrency limit or pool size.
    Concurrency {
        /// New limit.
        limit: u32,
    },
    /// Run an approved job template.
    JobTemplate {
        /// Name of the template.
        template: String,
        /// Its variables.
        variables: BTreeMap<String, String>,
    },
    /// Run one step of a playbook.
    PlaybookStep {
        /// Name of the playbook.
        playbook: String,
        /// Name of the step.
        step: String,
    },
    /// Stop the workload.
    Stop,
    /// Anything else.
    Custom {
        /// Name that the mitigator knows.
        name: String,
        /// Its parameters.
        parameters: BTreeMap<String, String>,
    },
}

impl Operation {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::RollingRestart { .. } => ActionKind::RollingRestart,
            Self::Scale { .. } => ActionKind::Scale,
            Self::Rollback { .. } => ActionKind::Rollback,
            Self::Cordon => ActionKind::Cordon,
            Self::Drain => ActionKind::Drain,
            Self::CachePurge => ActionKind::CachePurge,
            Self::LogRotation => ActionKind::LogRotation,
            Self::Throttle { .. } => ActionKind::Throttle,
            Self::Concurrency { .. } => ActionKind::Concurrency,
            Self::JobTemplate { .. } => ActionKind::JobTemplate,
            Self::PlaybookStep { .. } => ActionKind::PlaybookStep,
            Self::Stop => ActionKind::Stop,
            Self::Custom { .. } => ActionKind::Custom,
        }
    }
}

impl Operation {
    /// Class of the operation by itself. Scaling to zero is stopping, and so high like it (VER-01).
    #[must_use]
    pub fn default_risk(&self) -> Risk {
        match self {
            Self::Scale { replicas: 0 } => Risk::High,
            other => other.kind().default_risk(),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scale { replicas } => write!(f, "scale to {replicas}"),
            Self::Rollback { to } => write!(f, "roll back to {to}"),
            Self::Throttle { to } => write!(f, "throttle to {:.0} %", to.get() * 100.0),
            Self::Concurrency { limit } => write!(f, "limit concurrency to {limit}"),
            Self::JobTemplate { template, .. } => write!(f, "run job template {template}"),
            Self::PlaybookStep { playbook, step } => write!(f, "run step {step} of {playbook}"),
            Self::Custom { name, .. } => f.write_str(name),
            Self::RollingRestart { .. }
            | Self::Cordon
            | Self::Drain
            | Self::CachePurge
            | Self::LogRotation
            | Self::Stop => f.write_str(&self.kind().as_str().replace('_', " ")),
        }
    }
}

/// How much an action touches at most (ACT-05).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlastRadius {
    /// Copies touched at most over the whole action.
    pub replicas: u32,
    /// The share of the fleet of that kind which these are.
    pub share_of_fleet: Share,
}

/// How to undo an action (ACT-05).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RollbackPlan {
    /// Undone by this operation on the same target, which was tested.
    Operation(Box<Operation>),
    /// Idempotent and restoring itself; the reason was tested.
    NotNeeded {
        /// Why nothing is left to undo.
        reason: String,
    },
    /// Cannot be undone.
    Impossible,
}

/// Something that must hold on the target before the action (ACT-07).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Precondition {
    /// The target exists.
    Exists,
    /// At least this many copies are ready.
    ReadyReplicas(u32),
    /// The target still runs this revision.
    Revision(String),
    /// Replication of the database was checked and is healthy.
    ReplicationHealthy,
}

/// One action on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Action {
    /// What is done.
    pub operation: Operation,
    /// To whom.
    pub target: EntityId,
    /// Most that is touched.
    pub blast_radius: BlastRadius,
    /// The way back.
    pub rollback: RollbackPlan,
    /// What must hold first.
    pub preconditions: Vec<Precondition>,
    /// Shortest time between two actions of this kind on this target; default 5 min.
    #[serde(with = "crate::model::duration")]
    pub cooldown: Duration,
    /// Raises the class above the kind's default; it can never lower it.
    #[serde(default)]
    pub raised_risk: Option<Risk>,
}

impl Action {
    /// An action that touches all of its target, cannot be undone, and requires that the target exists.
    #[must_use]
    pub fn new(operation: Operation, target: EntityId, blast_radius: BlastRadius) -> Self {
        Self {
            operation,
            target,
            blast_radius,
            rollback: RollbackPlan::Impossible,
            preconditions: vec![Precondition::Exists],
            cooldown: Duration::from_secs(300),
            raised_risk: None,
        }
    }

    /// The same action with a way back.
    #[must_use]
    pub fn with_rollback(mut self, rollback: RollbackPlan) -> Self {
        self.rollback = rollback;
        self
    }

    /// The same action with one more precondition.
    #[must_use]
    pub fn with_precondition(mut self, precondition: Precondition) -> Self {
        self.preconditions.push(precondition);
        self
    }

    /// The same action with another cooldown.
    #[must_use]
    pub fn with_cooldown(mut self, cooldown: Duration) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// Kind of its operation.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        self.operation.kind()
    }

    /// The class of this action: the strictest of what its operation is, what its way back is (it runs without being
    /// asked about again), what it is done to (a database, a network or a volume is high), and what the proposer
    /// declared.
    #[must_use]
    pub fn risk(&self) -> Risk {
        let back = match &self.rollback {
            RollbackPlan::Operation(back) => back.default_risk(),
            RollbackPlan::NotNeeded { .. } | RollbackPlan::Impossible => Risk::Low,
        };
        self.operation.default_risk().max(back).max(self.floor_of_risk())
    }

    /// What no class given to a kind of operation can lower: the target's nature and what the proposer declared.
    #[must_use]
    pub fn floor_of_risk(&self) -> Risk {
        let target = match self.target.kind() {
            EntityKind::Database | EntityKind::Network | EntityKind::Volume => Risk::High,
            _ => Risk::Low,
        };
        target.max(self.raised_risk.unwrap_or(Risk::Low))
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.operation, self.target)
    }
}
