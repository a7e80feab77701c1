//! Root cause, as far as it could be told (RCA-01..04).

use serde::{Deserialize, Serialize};

use crate::model::change::ChangeId;
use crate::model::confidence::Confidence;
use crate::model::entity::EntityId;
use crate::model::evidence::EvidenceId;
use crate::model::reasoning::{CausalStanding, CausalTest, Check, Distinction};

/// What kind of fault it is; answered apart from where it is (RCA-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultType {
    /// Wrong configuration.
    Config,
    /// Memory, CPU, disk, connections, file handles ran out.
    ResourceExhaustion,
    /// Wrong code or image.
    Code,
    /// Loss, delay, partition, name resolution.
    Network,
    /// A broken device.
    Hardware,
    /// Something it needs does not serve.
    Dependency,
    /// More work than it can do.
    Load,
    /// An attack or an exposed weakness.
    Security,
    /// The evidence does not tell.
    Unknown,
}

impl std::fmt::Display for FaultType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Config => "configuration",
            Self::ResourceExhaustion => "resource exhaustion",
            Self::Code => "code or image",
            Self::Network => "network",
            Self::Hardware => "hardware",
            Self::Dependency => "dependency",
            Self::Load => "load",
            Self::Security => "security",
            Self::Unknown => "unknown",
        })
    }
}

/// Words for [`Hypothesis::mechanism`] that root causes and planners of this workspace agree on. Others are allowed.
pub mod mechanism {
    /// Memory fills up or ran out.
    pub const MEMORY: &str = "memory";
    /// A connection pool has no free connection.
    pub const CONNECTION_POOL: &str = "connection pool";
    /// Callers wait for a lock.
    pub const LOCK: &str = "lock";
    /// The process ends soon after every start.
    pub const CRASH_LOOP: &str = "crash loop";
    /// Answers late, with nothing of its own that explains it.
    pub const SLOW_WORK: &str = "slow responses";
    /// Answers wrongly, with nothing of its own that explains it.
    pub const FAILING_RESPONSES: &str = "failing responses";
    /// One caller or tenant sends more than its share.
    pub const TENANT_LOAD: &str = "noisy neighbour";
}

/// How firmly a cause is stated (RCA-02, RCA-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Cites evidence.
    Finding,
    /// A guess without evidence of its own.
    Hypothesis,
}

/// One possible cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Hypothesis {
    /// Failing system.
    pub system: EntityId,
    /// Kind of fault.
    pub fault: FaultType,
    /// What failed: the saturated resource or broken part, in the field's word (`memory`, `connection pool`), where it can be told.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// The cause in one sentence.
    pub statement: String,
    /// How sure.
    pub confidence: Confidence,
    /// What supports it.
    pub citations: Vec<EvidenceId>,
    /// The change held responsible, if any (RCA-03).
    #[serde(default)]
    pub change: Option<ChangeId>,
    /// What would confirm or refute it: the next thing to look at.
    #[serde(default)]
    pub next_checks: Vec<Check>,
    /// Symptoms of the case that it accounts for.
    #[serde(default)]
    pub explains: Vec<EvidenceId>,
    /// Symptoms of the case that it leaves unexplained.
    #[serde(default)]
    pub unexplained: Vec<EvidenceId>,
    /// How the trouble travelled: from the system to where it was felt, both included.
    #[serde(default)]
    pub path: Vec<EntityId>,
    /// What sets the kind of fault apart from its neighbours.
    #[serde(default)]
    pub distinctions: Vec<Distinction>,
    /// How it was told from mere coincidence.
    #[serde(default)]
    pub causal_tests: Vec<CausalTest>,
}

impl Hypothesis {
    /// A cause; without citations it stands as a hypothesis.
    pub fn new(
        system: EntityId,
        fault: FaultType,
        statement: impl Into<String>,
        confidence: Confidence,
        citations: Vec<EvidenceId>,
    ) -> Self {
        Self {
            system,
            fault,
            mechanism: None,
            statement: statement.into(),
            confidence,
            citations,
            change: None,
            next_checks: Vec::new(),
            explains: Vec::new(),
            unexplained: Vec::new(),
            path: Vec::new(),
            distinctions: Vec::new(),
            causal_tests: Vec::new(),
        }
    }

    /// A finding cites evidence; what cites none is a hypothesis, whoever says it (RCA-02).
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.citations.is_empty() { Standing::Hypothesis } else { Standing::Finding }
    }

    /// Whether it is more than what came along with the symptoms (RCA-12).
    #[must_use]
    pub fn causal_standing(&self) -> CausalStanding {
        CausalStanding::of(&self.causal_tests)
    }
}

/// Something that was looked for and not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NullFinding {
    /// What is absent, in one sentence ("no deployment in the window").
    pub statement: String,
}

/// Whether a cause could be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DiagnosisStatus {
    /// The first hypothesis is a finding.
    Diagnosed,
    /// There is evidence, but it does not single out a cause.
    Inconclusive,
    /// The telemetry needed does not exist (RCA-04).
    ObservabilityDark {
        /// What to instrument.
        missing: Vec<String>,
    },
}

/// The answer of a root-cause analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Whether a cause could be told.
    pub status: DiagnosisStatus,
    /// Possible causes, most likely first.
    pub hypotheses: Vec<Hypothesis>,
    /// What was looked for and not found.
    #[serde(default)]
    pub null_findings: Vec<NullFinding>,
    /// What could not be seen, in words: what was not looked at is no null finding.
    #[serde(default)]
    pub unseen: Vec<String>,
}

impl Diagnosis {
    /// A diagnosis from ordered hypotheses: diagnosed when the first is a finding, inconclusive otherwise.
    #[must_use]
    pub fn new(hypotheses: Vec<Hypothesis>) -> Self {
        let status = match hypotheses.first().map(Hypothesis::standing) {
            Some(Standing::Finding) => DiagnosisStatus::Diagnosed,
            _ => DiagnosisStatus::Inconclusive,
        };
        Self { status, hypotheses, null_findings: Vec::new(), unseen: Vec::new() }
    }

    /// The leading cause, when one is diagnosed.
    #[must_use]
    pub fn cause(&self) -> Option<&Hypothesis> {
        match self.status {
            DiagnosisStatus::Diagnosed => self.hypotheses.first(),
            DiagnosisStatus::Inconclusive | DiagnosisStatus::ObservabilityDark { .. } => None,
        }
    }
}
