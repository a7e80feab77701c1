//! AIOpsLab's problem interface (Chen et al., MLSys 2025): four tasks, what may be submitted to each, and how it is judged.
//!
//! | task | submission | results |
//! |---|---|---|
//! | detection | `"Yes"` or `"No"` | `Detection Accuracy`, `TTD` |
//! | localisation | a list of services, empty without a fault | `Localization Accuracy` (%), `success`, `is_subset`, `TTL` |
//! | analysis | `system_level` and `fault_type`, or nothing | `system_level_correct`, `fault_type_correct`, `success`, `TTA` |
//! | mitigation | nothing: the system is looked at | `success`, `TTM` |
//!
//! Keys and words are the suite's own. It counts tokens, too, by a tokeniser of its own, and lets a model judge the reasoning; neither is
//! derived here. Times are seconds from the onset of the fault.
//!
//! ```
//! use aiops_eval::adapters::aiopslab::{Detected, Submission, Task};
//! let submission = Submission::parse(Task::Detection, &"yes".into());
//! assert_eq!(submission, Some(Submission::Detection(Detected::Yes)));
//! assert_eq!(Submission::parse(Task::Detection, &7.into()), None);
//! ```

mod arena;
mod literal;
mod serve;
mod shell;
mod turn;

use std::collections::BTreeSet;

use aiops_core::model::{EntityId, EntityKind, FaultType};
use aiops_core::{Case, CasePart};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use arena::{Problem, Problems, pipeline};
pub use serve::{ServeReport, serve};
pub use turn::Turn;

/// One of the four tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Is something wrong?
    Detection,
    /// With whom?
    Localization,
    /// At which level of the system, and of what kind?
    Analysis,
    /// Make it well.
    Mitigation,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Detection, Self::Localization, Self::Analysis, Self::Mitigation];

    /// What is asked.
    #[must_use]
    pub fn statement(self) -> &'static str {
        match self {
            Self::Detection => "Say whether something is wrong with the system: submit \"Yes\" or \"No\".",
            Self::Localization => {
                "Name the services at fault: submit a list of names, an empty one when nothing is wrong."
            }
            Self::Analysis => {
                "Say what the root cause is: submit {\"system_level\": …, \"fault_type\": …}, or null when nothing is wrong."
            }
            Self::Mitigation => "Make the system well by actions, then submit null.",
        }
    }
}

/// Whether something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detected {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Another word: an answer that is never right.
    Neither,
}

/// Level of the system at which a fault lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SystemLevel {
    /// A device.
    Hardware,
    /// A machine's system.
    #[serde(rename = "Operating System")]
    OperatingSystem,
    /// Containers and what runs them.
    Virtualization,
    /// The service itself.
    Application,
}

impl SystemLevel {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Hardware, "Hardware"),
        (Self::OperatingSystem, "Operating System"),
        (Self::Virtualization, "Virtualization"),
        (Self::Application, "Application"),
    ];

    /// Where a fault of kind `fault` of `system` lies: broken devices are hardware, what machines and volumes have otherwise is their operating
    /// system's, what single copies and paths between them have is of the layer that runs them, and the rest is the application's.
    #[must_use]
    pub fn of(system: &EntityId, fault: FaultType) -> Self {
        match (fault, system.kind()) {
            (FaultType::Hardware, _) | (_, EntityKind::Gpu) => Self::Hardware,
            (_, EntityKind::Node | EntityKind::Host | EntityKind::Volume) => Self::OperatingSystem,
            (_, EntityKind::Pod | EntityKind::Container | EntityKind::Instance | EntityKind::Network) => {
                Self::Virtualization
            }
            _ => Self::Application,
        }
    }
}

/// Kind of a fault in the suite's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FaultKind {
    /// Wrong settings.
    Misconfiguration,
    /// Wrong code or image.
    #[serde(rename = "Code Defect")]
    CodeDefect,
    /// Who may do what.
    #[serde(rename = "Authentication Issue")]
    Authentication,
    /// Between machines, or what they store on.
    #[serde(rename = "Network/Storage Issue")]
    NetworkStorage,
    /// How it is run.
    #[serde(rename = "Operation Error")]
    Operation,
    /// Something it needs.
    #[serde(rename = "Dependency Problem")]
    Dependency,
}

impl FaultKind {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Misconfiguration, "Misconfiguration"),
        (Self::CodeDefect, "Code Defect"),
        (Self::Authentication, "Authentication Issue"),
        (Self::NetworkStorage, "Network/Storage Issue"),
        (Self::Operation, "Operation Error"),
        (Self::Dependency, "Dependency Problem"),
    ];

    /// That of ours; `None` of an unknown one. The suite has no word for load and for resources that ran out: both are how it is run.
    #[must_use]
    pub fn of(fault: FaultType) -> Option<Self> {
        Some(match fault {
            FaultType::Config => Self::Misconfiguration,
            FaultType::Code => Self::CodeDefect,
            FaultType::Security => Self::Authentication,
            FaultType::Network | FaultType::Hardware => Self::NetworkStorage,
            FaultType::ResourceExhaustion | FaultType::Load => Self::Operation,
            FaultType::Dependency => Self::Dependency,
            _ => return None,
        })
    }
}

/// A root cause in the suite's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootCause {
    /// Where it lies; `None` for a word that is none of the suite's.
    pub system_level: Option<SystemLevel>,
    /// Of what kind it is.
    pub fault_type: Option<FaultKind>,
}

/// What may be submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", content = "solution", rename_all = "snake_case")]
pub enum Submission {
    /// Of a detection.
    Detection(Detected),
    /// Of a localisation: services at fault.
    Localization(Vec<String>),
    /// Of an analysis; `None` where nothing is wrong.
    Analysis(Option<RootCause>),
    /// Of a mitigation.
    Mitigation,
}

impl Submission {
    /// Reads what somebody submitted to `task`; `None` where it has not its form. Case and blanks around words do not count.
    #[must_use]
    pub fn parse(task: Task, solution: &Value) -> Option<Self> {
        match (task, solution) {
            (Task::Detection, Value::String(word)) => match word.trim().to_ascii_lowercase().as_str() {
                "yes" => Some(Self::Detection(Detected::Yes)),
                "no" => Some(Self::Detection(Detected::No)),
                _ => Some(Self::Detection(Detected::Neither)),
            },
            (Task::Localization, Value::Array(names)) => {
                let names = names.iter().map(|name| name.as_str().map(ToOwned::to_owned));
                names.collect::<Option<Vec<String>>>().map(Self::Localization)
            }
            (Task::Localization, Value::String(name)) => Some(Self::Localization(vec![name.clone()])),
            (Task::Analysis, Value::Null) => Some(Self::Analysis(None)),
            (Task::Analysis, Value::Object(cause)) => {
                let word =
                    |key: &str| cause.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
                let (level, kind) = (word("system_level"), word("fault_type"));
                Some(Self::Analysis(Some(RootCause {
                    system_level: known(&SystemLevel::ALL, level),
                    fault_type: known(&FaultKind::ALL, kind),
                })))
            }
            (Task::Mitigation, _) => Some(Self::Mitigation),
            _ => None,
        }
    }

    /// What `case` says to `task`; without a case, that nothing is wrong.
    #[must_use]
    pub fn of(task: Task, case: Option<&Case>) -> Self {
        let diagnosis = case.and_then(|c| {
            c.entries().iter().find_map(|e| if let CasePart::Diagnosed(d) = &e.part { Some(d) } else { None })
        });
        match task {
            Task::Detection => Self::Detection(if case.is_some() { Detected::Yes } else { Detected::No }),
            Task::Localization => {
                // The first, as time to localise is that of the first; suspects that tie are named together.
                let ranking = case.and_then(|c| {
                    c.entries().iter().find_map(|e| match &e.part {
                        CasePart::Localized(ranking) => Some(ranking),
                        _ => None,
                    })
                });
                let suspects = ranking.map(|r| r.suspects.as_slice()).unwrap_or_default();
                let best = suspects.first().map(|s| s.score);
                let tied =
                    suspects.iter().take_while(|s| best.is_some_and(|best| s.score.total_cmp(&best).is_eq()));
                let mut named: Vec<String> = Vec::new();
                for name in tied.map(|s| service_of(&s.entity)) {
                    if !named.iter().any(|known| known == name) {
                        named.push(name.to_owned());
                    }
                }
                Self::Localization(named)
            }
            Task::Analysis => {
                let first = diagnosis.and_then(|d| d.hypotheses.first());
                Self::Analysis(first.map(|h| RootCause {
                    system_level: Some(SystemLevel::of(&h.system, h.fault)),
                    fault_type: FaultKind::of(h.fault),
                }))
            }
            Task::Mitigation => Self::Mitigation,
        }
    }
}

/// Name of the service that `entity` is an instance of, `orders` of `orders-0`, or its own.
fn service_of(entity: &EntityId) -> &str {
    let numbered = |number: &str| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    match entity.name().rsplit_once('-') {
        Some((name, number)) if entity.kind() == EntityKind::Instance && numbered(number) => name,
        _ => entity.name(),
    }
}

fn known<T: Copy>(all: &[(T, &str)], word: &str) -> Option<T> {
    all.iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(value, _)| *value)
}

/// What is right. For judging only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Expected {
    /// Right answers to "with whom", each a list; one empty list without a fault.
    pub services: Vec<Vec<String>>,
    /// Right levels, each with the kind that goes with it; none without a fault.
    pub causes: BTreeSet<(SystemLevel, Option<FaultKind>)>,
}

impl Expected {
    /// Of a fault with these `roots` of these `types`: all of the roots where `all` are needed, else any of them. Nothing is wrong without
    /// roots.
    #[must_use]
    pub fn of(roots: &[EntityId], types: &[FaultType], all: bool) -> Self {
        let name = |root: &EntityId| root.name().to_owned();
        let services = if all || roots.is_empty() {
            vec![roots.iter().map(name).collect()]
        } else {
            roots.iter().map(|root| vec![name(root)]).collect()
        };
        let cause = |root: &EntityId, fault: FaultType| (SystemLevel::of(root, fault), FaultKind::of(fault));
        let causes = roots.iter().flat_map(|r| types.iter().map(move |t| cause(r, *t))).collect();
        Self { services, causes }
    }

    fn is_faulty(&self) -> bool {
        self.services.iter().any(|s| !s.is_empty())
    }
}

/// How a detection is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DetectionAccuracy {
    /// Right.
    Correct,
    /// Wrong.
    Incorrect,
    /// No answer of the task.
    #[serde(rename = "Invalid Format")]
    InvalidFormat,
}

/// Results of one problem, under the suite's keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Results {
    /// Of a detection.
    Detection {
        /// Verdict.
        #[serde(rename = "Detection Accuracy")]
        accuracy: DetectionAccuracy,
        /// Time to detect, s; `None` where it did not come to that.
        #[serde(rename = "TTD")]
        ttd: Option<f64>,
        /// Turns taken; `None` of the pipeline, which takes none.
        steps: Option<u64>,
    },
    /// Of a localisation.
    Localization {
        /// Share of what was named that is right, in percent, when all that is right was named.
        #[serde(rename = "Localization Accuracy")]
        accuracy: f64,
        /// Just that was named.
        success: bool,
        /// All that is right was named.
        is_subset: bool,
        /// Time to localise, s.
        #[serde(rename = "TTL")]
        ttl: Option<f64>,
        /// Turns taken; `None` of the pipeline, which takes none.
        steps: Option<u64>,
    },
    /// Of an analysis.
    Analysis {
        /// Level.
        system_level_correct: bool,
        /// Kind.
        fault_type_correct: bool,
        /// Both, of one cause.
        success: bool,
        /// Time to analyse, s.
        #[serde(rename = "TTA")]
        tta: Option<f64>,
        /// Turns taken; `None` of the pipeline, which takes none.
        steps: Option<u64>,
    },
    /// Of a mitigation.
    Mitigation {
        /// The system is well and stays so.
        success: bool,
        /// Time to mitigate, s.
        #[serde(rename = "TTM")]
        ttm: Option<f64>,
        /// Turns taken; `None` of the pipeline, which takes none.
        steps: Option<u64>,
    },
}

impl Results {
    /// Whether it counts as solved.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self {
            Self::Detection { accuracy, .. } => *accuracy == DetectionAccuracy::Correct,
            Self::Localization { success, .. }
            | Self::Analysis { success, .. }
            | Self::Mitigation { success, .. } => *success,
        }
    }
}

/// Judges what was submitted to `task`, `None` for what has not its form or never came. `recovered` is whether the system is well again by
/// actions taken with care, which alone counts for a mitigation; `after` the seconds it took.
#[must_use]
pub fn judge(
    task: Task,
    submission: Option<&Submission>,
    expected: &Expected,
    recovered: bool,
    after: Option<f64>,
    steps: Option<u64>,
) -> Results {
    match task {
        Task::Detection => {
            let accuracy = match submission {
                Some(Submission::Detection(Detected::Yes)) if expected.is_faulty() => {
                    DetectionAccuracy::Correct
                }
                Some(Submission::Detection(Detected::No)) if !expected.is_faulty() => {
                    DetectionAccuracy::Correct
                }
                Some(Submission::Detection(_)) => DetectionAccuracy::Incorrect,
                _ => DetectionAccuracy::InvalidFormat,
            };
            Results::Detection { accuracy, ttd: after, steps }
        }
        Task::Localization => {
            let (mut accuracy, mut success, mut is_subset) = (0.0_f64, false, false);
            if let Some(Submission::Localization(named)) = submission {
                let said: BTreeSet<&String> = named.iter().collect();
                for right in &expected.services {
                    let meant: BTreeSet<&String> = right.iter().collect();
                    if !meant.is_subset(&said) {
                        continue;
                    }
                    let exact = said == meant && named.len() == right.len();
                    // Nothing is part of everything: to name somebody where nobody is at fault is right in no part.
                    let share = if exact { 1.0 } else { right.len() as f64 / named.len() as f64 };
                    accuracy = accuracy.max(100.0 * share);
                    success |= exact;
                    is_subset = true;
                }
            }
            Results::Localization { accuracy, success, is_subset, ttl: after, steps }
        }
        Task::Analysis => {
            let (level, kind, success) = match submission {
                Some(Submission::Analysis(Some(told))) => {
                    let is = |(level, kind): &(SystemLevel, Option<FaultKind>)| {
                        (told.system_level == Some(*level), kind.is_some() && told.fault_type == *kind)
                    };
                    let each = || expected.causes.iter().map(is);
                    // Both of one cause: a level of one and a kind of another are no answer.
                    (each().any(|c| c.0), each().any(|c| c.1), each().any(|c| c.0 && c.1))
                }
                Some(Submission::Analysis(None)) => {
                    let quiet = !expected.is_faulty();
                    (quiet, quiet, quiet)
                }
                _ => (false, false, false),
            };
            Results::Analysis {
                system_level_correct: level,
                fault_type_correct: kind,
                success,
                tta: after,
                steps,
            }
        }
        Task::Mitigation => {
            Results::Mitigation { success: recovered && submission.is_some(), ttm: after, steps }
        }
    }
}
