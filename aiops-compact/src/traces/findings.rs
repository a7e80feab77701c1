//! What changed between two summaries.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::quality::TraceQuality;
use super::summary::CallType;

/// What about a call type changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Time the callee spends itself; values are the quantile, ns.
    SelfTime,
    /// Duration, while the self time has not changed: its callees did. Values are the quantile, ns.
    ChildTime,
    /// How much longer the caller sees a call take than the callee; values are the quantile, ns.
    Gap,
    /// Share of calls that fail with no failed child to explain it.
    OwnErrors,
    /// Share of calls that fail, each with a failed child.
    PassedErrors,
    /// Share of the caller's traces with such a call, where there is none any more.
    MissingCall,
    /// Share of the caller's traces with such a call, where there was none.
    NewCall,
    /// Share of the caller's traces with such a call.
    CallShare,
    /// Calls per trace that has any.
    FanOut,
    /// Traces per minute that enter by this root call.
    Rate,
}

impl ChangeKind {
    /// Name as in the serialised form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SelfTime => "self_time",
            Self::ChildTime => "child_time",
            Self::Gap => "gap",
            Self::OwnErrors => "own_errors",
            Self::PassedErrors => "passed_errors",
            Self::MissingCall => "missing_call",
            Self::NewCall => "new_call",
            Self::CallShare => "call_share",
            Self::FanOut => "fan_out",
            Self::Rate => "rate",
        }
    }

    /// Whether values are durations in ns; others are shares or counts per trace or minute.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Self::SelfTime | Self::ChildTime | Self::Gap)
    }
}

/// Whether a value rose or fell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It rose.
    Up,
    /// It fell.
    Down,
}

/// One change of one call type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFinding {
    /// What changed.
    pub kind: ChangeKind,
    /// The call type.
    pub call: CallType,
    /// Whether it rose or fell.
    pub direction: Direction,
    /// How sure it is that it changed at all, in σ (signed root of a likelihood ratio or Welch's statistic), ≥ 0.
    pub sigma: f64,
    /// How much of what is now is the change, 0 to 1: the excess as a share of a time or count, the points of a share.
    pub effect: f64,
    /// Rank among findings: `sigma`, limited, times `effect`.
    pub score: f64,
    /// Value in the baseline, in the unit that `kind` says.
    pub baseline: f64,
    /// Value now.
    pub current: f64,
    /// Calls or traces the baseline value rests on.
    pub baseline_count: u64,
    /// Calls or traces the current value rests on.
    pub current_count: u64,
}

impl std::fmt::Display for TraceFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value =
            |v: f64| if self.kind.is_time() { format!("{:.2} ms", v / 1e6) } else { format!("{v:.3}") };
        write!(
            f,
            "{} of {}: {} -> {} ({:.1} sigma, n = {} -> {})",
            self.kind.as_str(),
            self.call,
            value(self.baseline),
            value(self.current),
            self.sigma,
            self.baseline_count,
            self.current_count
        )
    }
}

/// How suspect a service is by its spans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFindings {
    /// The service.
    pub service: Arc<str>,
    /// Root of the sum of squares of the best weighted score in self time, own errors, calls made, and gaps towards
    /// each other service. Not in it: child time, passed errors and rates, which others explain.
    pub score: f64,
    /// Direction of the finding that weighs most.
    pub direction: Direction,
    /// Effect of that finding, 0 to 1.
    pub effect: f64,
    /// Calls or traces that finding rests on now.
    pub count: u64,
    /// What speaks for it: places in [`TraceFindings::findings`] with the weighted score, best first.
    pub evidence: Vec<(usize, f64)>,
}

/// What changed, best first, and who is suspect.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFindings {
    /// Changes by score, ties by call type and kind.
    pub findings: Vec<TraceFinding>,
    /// Services by score, ties by name; those without evidence are left out.
    pub services: Vec<ServiceFindings>,
    /// Call types with fewer calls than a comparison of times needs, in the baseline.
    pub too_few: u64,
    /// What was wrong with the spans of the baseline.
    pub baseline_quality: TraceQuality,
    /// What was wrong with the current spans.
    pub current_quality: TraceQuality,
}
