//! What was seen of an entity.

use aiops_core::model::{EntityId, Signal};
use jiff::Timestamp;

/// What a finding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A processor is busier than before.
    Cpu,
    /// More memory than before.
    Memory,
    /// More of another resource (disk, descriptors, threads, …).
    Resource,
    /// Network counters moved.
    NetworkCounters,
    /// Requests take longer, as a metric says.
    Latency,
    /// More requests fail, as a metric says.
    Errors,
    /// More or fewer requests.
    Traffic,
    /// A bounded thing is fuller.
    Saturation,
    /// It started anew or is not ready.
    Liveness,
    /// A metric of unknown meaning moved.
    Other,
    /// Its own work takes longer (spans without the time of their children).
    SelfTime,
    /// The own work of one of several copies takes longer: of about its share of the requests, and the others take as long as before (spans).
    CopyTime,
    /// Time between its spans and those of who calls it or whom it calls.
    CallTime,
    /// It no longer does what it always did (child spans).
    WorkMissing,
    /// It does what it never did (spans).
    WorkNew,
    /// Spans fail.
    SpanErrors,
    /// Errors in its log that were not there.
    LogErrors,
    /// Lines in its log that were not there.
    LogNew,
    /// Lines of its log that always were there are missing.
    LogMissing,
    /// It no longer calls whom it called for as many requests, as metrics say.
    CallsMissing,
    /// Those who call it say that calls to it fail.
    CallErrors,
    /// More is asked for from outside, by or through it.
    Load,
    /// It calls another more often for each request than it did, as metrics say.
    CallsMore,
    /// A device, or the machine it sits in, reports an error of its own.
    Device,
    /// A device reports errors that its program made.
    Program,
    /// One rank does other than the others that it works in step with.
    OutOfStep,
    /// Jobs wait though there is room for them.
    Starvation,
    /// It was changed right before those suffer that it is needed by, or itself.
    RolledOut,
}

impl FindingKind {
    /// Where it was read.
    #[must_use]
    pub fn signal(self) -> Signal {
        match self {
            Self::SelfTime
            | Self::CopyTime
            | Self::CallTime
            | Self::WorkMissing
            | Self::WorkNew
            | Self::SpanErrors => Signal::Traces,
            Self::LogErrors | Self::LogNew | Self::LogMissing | Self::CallErrors => Signal::Logs,
            Self::RolledOut => Signal::Changes,
            _ => Signal::Metrics,
        }
    }

    /// The symptom that it shows.
    pub(crate) fn effect(self) -> Effect {
        match self {
            Self::Latency
            | Self::SelfTime
            | Self::CopyTime
            | Self::CallTime
            | Self::Errors
            | Self::SpanErrors
            | Self::LogErrors
            | Self::CallErrors
            | Self::Program => Effect::Answers,
            Self::WorkMissing
            | Self::WorkNew
            | Self::LogNew
            | Self::LogMissing
            | Self::CallsMissing
            | Self::CallsMore
            | Self::OutOfStep => Effect::Work,
            Self::Cpu
            | Self::Memory
            | Self::Resource
            | Self::Saturation
            | Self::Device
            | Self::Starvation => Effect::Usage,
            Self::Traffic | Self::Load => Effect::Traffic,
            Self::Liveness => Effect::Liveness,
            Self::NetworkCounters => Effect::Network,
            Self::Other | Self::RolledOut => Effect::Other,
        }
    }

    /// Whether it lies on the way of requests, where a callee's trouble shows in its callers.
    pub(super) fn family(self) -> Family {
        match self {
            Self::Latency | Self::SelfTime | Self::CopyTime | Self::CallTime | Self::Saturation => {
                Family::Time
            }
            Self::Errors
            | Self::WorkMissing
            | Self::WorkNew
            | Self::SpanErrors
            | Self::LogErrors
            | Self::LogNew
            | Self::LogMissing
            | Self::CallsMissing
            | Self::CallErrors => Family::Outcome,
            Self::Traffic => Family::Traffic,
            Self::Cpu
            | Self::Memory
            | Self::Resource
            | Self::NetworkCounters
            | Self::Liveness
            | Self::Load
            | Self::CallsMore
            | Self::Device
            | Self::Program
            | Self::OutOfStep
            | Self::Starvation
            | Self::RolledOut
            | Self::Other => Family::Own,
        }
    }
}

/// What is wrong with an entity, whoever saw it. Kinds of one effect are one symptom seen several times: who finds a failure in a
/// metric, in spans and in lines is no surer than who found it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// It answers late, wrongly or not at all.
    Answers,
    /// It does other work than before.
    Work,
    /// It uses more of what it runs on.
    Usage,
    /// It is sent more or less than before.
    Traffic,
    /// It started anew or is not ready.
    Liveness,
    /// The network reports trouble.
    Network,
    /// A metric of unknown meaning moved.
    Other,
}

/// What explains what: slowness explains slowness, wrong outcomes explain wrong outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Family {
    Time,
    Outcome,
    Traffic,
    Own,
}

impl Finding {
    /// By what it may be explained.
    pub(super) fn family(&self) -> Family {
        if self.occupied { Family::Time } else { self.kind.family() }
    }
}

/// One observation about one entity.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whom it is about.
    pub entity: EntityId,
    /// What it says.
    pub kind: FindingKind,
    /// Where it was read.
    pub signal: Signal,
    /// How far from chance and from the norm: ln(1 + z / 3), so 0.7 at three standard errors, 3.5 at a hundred.
    pub strength: f64,
    /// Share of `strength` that nobody else explains, 0..=1.
    pub own: f64,
    /// The observation in a sentence.
    pub statement: String,
    /// When it began, where that is known better than when the fault did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether `strength` is without what callees account for.
    #[serde(skip)]
    pub(super) shared: bool,
    /// The same for observations that are one, told under two names.
    #[serde(skip)]
    pub(super) mark: (u64, u64),
    /// The metric or the kind of line it was read from.
    #[serde(skip)]
    pub(super) about: String,
    /// Whether it is what others say, so that what explains them explains it.
    #[serde(skip)]
    pub(super) hearsay: bool,
    /// How much more or less than before, in the unit of the metric; 0 for what is no level.
    #[serde(skip)]
    pub(super) level: f64,
    /// Whether it is of what requests occupy while they are under way: as many as arrive times how long they take (Little's law), so
    /// that slowness elsewhere may be all there is to it.
    #[serde(skip)]
    pub(super) occupied: bool,
}

impl Finding {
    pub(super) fn new(entity: &EntityId, kind: FindingKind, strength: f64, statement: String) -> Self {
        Self {
            entity: entity.clone(),
            kind,
            signal: kind.signal(),
            strength,
            own: 1.0,
            statement,
            since: None,
            shared: false,
            mark: (0, 0),
            about: String::new(),
            hearsay: false,
            level: 0.0,
            occupied: false,
        }
    }
}
