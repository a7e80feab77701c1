//! What a hypothesis rests on beyond its citations: what sets it apart, how it was tested, what would settle it.

use serde::{Deserialize, Serialize};

use crate::model::diagnosis::FaultType;
use crate::model::evidence::EvidenceId;
use crate::model::fetch::FetchRequest;

/// The next thing to look at: what would confirm or refute a hypothesis.
///
/// Case files of earlier builds hold the question only, as text; they stay readable.
///
/// ```
/// use aiops_core::model::Check;
/// let old: Check = serde_json::from_str("\"exit status of the process\"").unwrap();
/// assert_eq!(old, Check::new("exit status of the process"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "CheckForm")]
#[non_exhaustive]
pub struct Check {
    /// What is asked, in one sentence.
    pub question: String,
    /// The read that answers it, by any [`TelemetrySource`](crate::seam::TelemetrySource); `None` where telemetry cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<FetchRequest>,
    /// The answer that confirms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirms: Option<String>,
    /// The answer that refutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refutes: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CheckForm {
    Question(String),
    Whole(Box<CheckParts>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckParts {
    question: String,
    #[serde(default)]
    request: Option<FetchRequest>,
    #[serde(default)]
    confirms: Option<String>,
    #[serde(default)]
    refutes: Option<String>,
}

impl From<CheckForm> for Check {
    fn from(form: CheckForm) -> Self {
        match form {
            CheckForm::Question(question) => Self::new(question),
            CheckForm::Whole(parts) => {
                let CheckParts { question, request, confirms, refutes } = *parts;
                Self { question, request, confirms, refutes }
            }
        }
    }
}

impl Check {
    /// A question that telemetry does not answer.
    pub fn new(question: impl Into<String>) -> Self {
        Self { question: question.into(), request: None, confirms: None, refutes: None }
    }

    /// The same with the read that answers it.
    #[must_use]
    pub fn reading(mut self, request: FetchRequest) -> Self {
        self.request = Some(request);
        self
    }

    /// The same with the answers that settle it.
    #[must_use]
    pub fn settled_by(mut self, confirms: impl Into<String>, refutes: impl Into<String>) -> Self {
        (self.confirms, self.refutes) = (Some(confirms.into()), Some(refutes.into()));
        self
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.question)
    }
}

/// An observation that sets a kind of fault apart from a neighbour that looks alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Distinction {
    /// The neighbour.
    pub from: FaultType,
    /// The observation, in one sentence. What is absent sets apart as well as what is there.
    pub statement: String,
    /// What shows it; empty for what is absent.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
}

impl Distinction {
    /// What sets a fault apart from `from`.
    pub fn new(from: FaultType, statement: impl Into<String>, evidence: Vec<EvidenceId>) -> Self {
        Self { from, statement: statement.into(), evidence }
    }
}

/// By what a cause is told from what merely came along with it (RCA-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CausalGround {
    /// It came first.
    Order,
    /// There is a way from it to where trouble was felt.
    Topology,
    /// Somebody changed it, and saw what followed.
    Intervention,
}

/// One test of a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CausalTest {
    /// By what.
    pub ground: CausalGround,
    /// Whether the cause stood it.
    pub passed: bool,
    /// What was seen, in one sentence.
    pub statement: String,
}

impl CausalTest {
    /// A test and its outcome.
    pub fn new(ground: CausalGround, passed: bool, statement: impl Into<String>) -> Self {
        Self { ground, passed, statement: statement.into() }
    }
}

/// How far beyond correlation a hypothesis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CausalStanding {
    /// It deviates along with the symptoms; no test was made, or one was not stood.
    Correlation,
    /// It stood the tests of order and topology that could be made.
    Candidate,
    /// Changing it changed the symptoms.
    Demonstrated,
}

impl CausalStanding {
    /// What `tests` amount to: one that was not stood outweighs all but an intervention.
    #[must_use]
    pub fn of(tests: &[CausalTest]) -> Self {
        let intervened = |passed| {
            tests
                .iter()
                .any(move |t: &CausalTest| t.ground == CausalGround::Intervention && t.passed == passed)
        };
        match tests.iter().all(|t| t.passed) {
            _ if intervened(true) && !intervened(false) => Self::Demonstrated,
            true if !tests.is_empty() => Self::Candidate,
            _ => Self::Correlation,
        }
    }
}
