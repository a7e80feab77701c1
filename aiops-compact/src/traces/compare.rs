//! Comparison of a summary with a baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::within;
use super::findings::{ChangeKind, Direction, ServiceFindings, TraceFinding, TraceFindings};
use super::sketch::DurationSketch;
use super::summary::{CallStats, CallType, Caller, TraceSummary};
use crate::error::{ConfigError, check};
use crate::evidence::{Sample, means, shares};

/// Thresholds of [`compare`]; [`CompareConfig`] holds a checked set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompareOptions {
    /// Quantile of the baseline that is a call type's threshold; 0.5 to 0.999. Default 0.95. What got faster is
    /// looked for below one minus it.
    pub quantile: f64,
    /// Fewest calls of the baseline for a comparison of times; 2 to 10⁶. Default 10.
    pub min_baseline: u64,
    /// How sure a change must be, in σ; 1 to 100. Default 3.5: about one false finding in 2,000 comparisons.
    pub finding_sigma: f64,
    /// Sureness that adds nothing any more, in σ, so that busy call types do not outrank large changes;
    /// ≥ `finding_sigma`, up to 1000. Default 10.
    pub full_sigma: f64,
    /// Smallest change of a time or count that matters, as a share of the larger value; 0 to 0.99. Default 0.15.
    pub min_effect: f64,
    /// Smallest change of a time that matters, µs; 0 to 10⁹. Default 500.
    pub min_excess_us: u64,
    /// Smallest change of a share that matters; 0 to 0.99. Default 0.02.
    pub min_share: f64,
    /// Weight of what got faster, which a fault seldom shows as, against slower; 0 to 1. Default 0.5.
    pub faster_weight: f64,
    /// Weight for the callee of calls that its caller makes more or less often; the caller has 1. 0 to 1. Default 0.5.
    pub callee_weight: f64,
    /// Weight for either end of a gap, which both share; 0 to 1. Default 0.7.
    pub gap_weight: f64,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            quantile: 0.95,
            min_baseline: 10,
            finding_sigma: 3.5,
            full_sigma: 10.0,
            min_effect: 0.15,
            min_excess_us: 500,
            min_share: 0.02,
            faster_weight: 0.5,
            callee_weight: 0.5,
            gap_weight: 0.7,
        }
    }
}

/// Checked [`CompareOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CompareOptions", into = "CompareOptions")]
pub struct CompareConfig(CompareOptions);

impl CompareConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &CompareOptions {
        &self.0
    }
}

impl From<CompareConfig> for CompareOptions {
    fn from(config: CompareConfig) -> Self {
        config.0
    }
}

impl TryFrom<CompareOptions> for CompareConfig {
    type Error = ConfigError;

    fn try_from(options: CompareOptions) -> Result<Self, ConfigError> {
        let o = &options;
        check("quantile", o.quantile, 0.5..=0.999, "0.5 to 0.999")?;
        within("min_baseline", o.min_baseline, 2..=1_000_000, "2 to 1000000 calls")?;
        check("finding_sigma", o.finding_sigma, 1.0..=100.0, "1 to 100")?;
        check("full_sigma", o.full_sigma, o.finding_sigma..=1000.0, "`finding_sigma` to 1000")?;
        check("min_effect", o.min_effect, 0.0..=0.99, "0 to 0.99")?;
        within("min_excess_us", o.min_excess_us, 0..=1_000_000_000, "0 to 1000000000 µs")?;
        check("min_share", o.min_share, 0.0..=0.99, "0 to 0.99")?;
        check("faster_weight", o.faster_weight, 0.0..=1.0, "0 to 1")?;
        check("callee_weight", o.callee_weight, 0.0..=1.0, "0 to 1")?;
        check("gap_weight", o.gap_weight, 0.0..=1.0, "0 to 1")?;
        Ok(Self(options))
    }
}

/// What changed from `baseline` to `current`. // CMP-05
///
/// Times: how many calls exceed the quantile of the baseline, now against then. Errors and calls: shares of calls, and
/// of the caller's traces, so that a caller nobody calls any more misses nothing. Every test compares two samples of
/// known size, so a call type seen a few times needs a large change to become a finding. O(call types × bins).
///
/// ```
/// use aiops_compact::traces::{CompareConfig, TraceSummary, compare};
/// let nothing = compare(&TraceSummary::new(), &TraceSummary::new(), &CompareConfig::default());
/// assert!(nothing.findings.is_empty());
/// ```
#[must_use]
pub fn compare(baseline: &TraceSummary, current: &TraceSummary, config: &CompareConfig) -> TraceFindings {
    let mut comparison =
        Comparison { baseline, current, options: config.options(), findings: Vec::new(), too_few: 0 };
    let calls: BTreeSet<&CallType> = baseline.calls.keys().chain(current.calls.keys()).collect();
    let none = CallStats::default();
    for call in calls {
        let before = baseline.calls.get(call).unwrap_or(&none);
        let now = current.calls.get(call).unwrap_or(&none);
        comparison.times(call, before, now);
        comparison.errors(call, before, now);
        comparison.presence(call, before, now);
    }
    let Comparison { mut findings, too_few, options, .. } = comparison;
    findings
        .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (&a.call, a.kind).cmp(&(&b.call, b.kind))));
    let services = roll_up(&findings, options);
    TraceFindings {
        services,
        findings,
        too_few,
        baseline_quality: baseline.quality,
        current_quality: current.quality,
    }
}

struct Comparison<'a> {
    baseline: &'a TraceSummary,
    current: &'a TraceSummary,
    options: &'a CompareOptions,
    findings: Vec<TraceFinding>,
    too_few: u64,
}

/// A value with the number of calls or traces it rests on.
type Counted = (f64, u64);

impl Comparison<'_> {
    fn add(&mut self, kind: ChangeKind, call: &CallType, z: f64, effect: f64, before: Counted, now: Counted) {
        if z.abs() < self.options.finding_sigma {
            return;
        }
        let direction = if z > 0.0 { Direction::Up } else { Direction::Down };
        let weight = if kind.is_time() && z < 0.0 { self.options.faster_weight } else { 1.0 };
        self.findings.push(TraceFinding {
            kind,
            call: call.clone(),
            direction,
            sigma: z.abs(),
            effect,
            score: z.abs().min(self.options.full_sigma) * effect * weight,
            baseline: before.0,
            current: now.0,
            baseline_count: before.1,
            current_count: now.1,
        });
    }

    fn times(&mut self, call: &CallType, before: &CallStats, now: &CallStats) {
        if before.totals.calls < self.options.min_baseline {
            self.too_few += u64::from(now.totals.calls > 0);
            return;
        }
        let own = self.time(ChangeKind::SelfTime, call, &before.own, &now.own);
        self.time(ChangeKind::Gap, call, &before.gap, &now.gap);
        if !own {
            self.time(ChangeKind::ChildTime, call, &before.duration, &now.duration);
        }
    }

    /// Whether it changed.
    fn time(
        &mut self,
        kind: ChangeKind,
        call: &CallType,
        before: &DurationSketch,
        now: &DurationSketch,
    ) -> bool {
        let (n0, n1) = (before.count(), now.count());
        if n0 < self.options.min_baseline || n1 == 0 {
            return false;
        }
        let found = self.findings.len();
        let q = self.options.quantile;
        let sides = [(q, before.above(now, q), 1.0), (1.0 - q, before.below(now, 1.0 - q), -1.0)];
        for (q, counts, sign) in sides {
            let (Some((k0, k1)), Some(v0), Some(v1)) = (counts, before.quantile(q), now.quantile(q)) else {
                continue;
            };
            // The whole bucket of the quantile is not counted; the quantile says how many of the baseline lie beyond.
            let nominal = ((1.0 - self.options.quantile) * n0 as f64).ceil() as u64;
            let z = shares((k0.max(nominal), n0), (k1, n1)) * sign;
            let excess = v1.abs_diff(v0);
            let effect = excess as f64 / v1.max(v0).max(1) as f64;
            let matters = effect >= self.options.min_effect && excess / 1_000 >= self.options.min_excess_us;
            if z * sign > 0.0 && (v1 > v0) == (sign > 0.0) && matters {
                self.add(kind, call, z, effect, (v0 as f64, n0), (v1 as f64, n1));
            }
        }
        self.findings.len() > found
    }

    fn errors(&mut self, call: &CallType, before: &CallStats, now: &CallStats) {
        let (n0, n1) = (before.totals.calls, now.totals.calls);
        if n1 == 0 {
            return;
        }
        let passed = |stats: &CallStats| stats.totals.errors.saturating_sub(stats.totals.own_errors);
        for (kind, k0, k1) in [
            (ChangeKind::OwnErrors, before.totals.own_errors, now.totals.own_errors),
            (ChangeKind::PassedErrors, passed(before), passed(now)),
        ] {
            // A call type that is new and fails is held against a baseline of the caller's traces without a failure.
            let n0 = if n0 > 0 { n0 } else { exposure(self.baseline, call) };
            let (p0, p1) = (share(k0, n0), share(k1, n1));
            if p1 - p0 >= self.options.min_share {
                self.add(kind, call, shares((k0, n0), (k1, n1)), p1 - p0, (p0, n0), (p1, n1));
            }
        }
    }

    fn presence(&mut self, call: &CallType, before: &CallStats, now: &CallStats) {
        if call.caller == Caller::Root {
            self.rate(call, before, now);
            return;
        }
        // Spans without their parents come and go with what was recorded, not with what was called.
        if call.caller == Caller::Unknown {
            return;
        }
        let (n0, n1) = (exposure(self.baseline, call), exposure(self.current, call));
        let (t0, t1) = (before.traces.min(n0), now.traces.min(n1));
        let (p0, p1) = (share(t0, n0), share(t1, n1));
        let kind = match (t0, t1) {
            (_, 0) => ChangeKind::MissingCall,
            (0, _) => ChangeKind::NewCall,
            _ => ChangeKind::CallShare,
        };
        let change = (p1 - p0).abs();
        if change >= self.options.min_share {
            self.add(kind, call, shares((t0, n0), (t1, n1)), change, (p0, n0), (p1, n1));
        }
        let sample = |stats: &CallStats| Sample {
            n: stats.traces as f64,
            sum: stats.totals.calls as f64,
            squares: stats.squares as f64,
        };
        if t0 > 0 && t1 > 0 {
            let (before, now) = (sample(before), sample(now));
            let (m0, m1) = (before.mean(), now.mean());
            let effect = (m1 - m0).abs() / m1.max(m0);
            if effect >= self.options.min_effect {
                self.add(ChangeKind::FanOut, call, means(before, now), effect, (m0, t0), (m1, t1));
            }
        }
    }

    /// Traces per minute among the minutes in which anything began.
    fn rate(&mut self, call: &CallType, before: &CallStats, now: &CallStats) {
        let (m0, m1) = (self.baseline.minutes.len() as u64, self.current.minutes.len() as u64);
        if m0 == 0 || m1 == 0 {
            return;
        }
        let (r0, r1) = (share(before.traces, m0), share(now.traces, m1));
        let effect = (r1 - r0).abs() / r1.max(r0).max(f64::MIN_POSITIVE);
        let sample = |count: u64, minutes: u64| {
            let (n, sum) = (minutes as f64, count as f64);
            // Arrivals taken as Poisson: `means` takes a variance of at least the mean.
            Sample { n, sum, squares: sum * sum / n }
        };
        if effect >= self.options.min_effect {
            let z = means(sample(before.traces, m0), sample(now.traces, m1));
            self.add(ChangeKind::Rate, call, z, effect, (r0, before.traces), (r1, now.traces));
        }
    }
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Traces in which a call could have been made: those its caller took part in.
fn exposure(summary: &TraceSummary, call: &CallType) -> u64 {
    match call.caller.service() {
        Some(caller) => summary.services.get(caller).map_or(0, |service| service.traces),
        None => summary.quality.traces,
    }
}

/// Whom a finding speaks against, with which weight, and in which group of evidence.
fn suspects<'a>(finding: &'a TraceFinding, options: &CompareOptions) -> (usize, Vec<(&'a Arc<str>, f64)>) {
    let callee = &finding.call.callee;
    let caller = match &finding.call.caller {
        Caller::Service(name) => Some(name).filter(|name| *name != callee),
        Caller::Root | Caller::Unknown => None,
    };
    match (finding.kind, caller) {
        (ChangeKind::SelfTime, _) => (0, vec![(callee, 1.0)]),
        (ChangeKind::Gap, None) => (1, vec![(callee, options.gap_weight)]),
        (ChangeKind::Gap, Some(caller)) => {
            (1, vec![(callee, options.gap_weight), (caller, options.gap_weight)])
        }
        (ChangeKind::OwnErrors, _) => (2, vec![(callee, 1.0)]),
        (
            ChangeKind::MissingCall | ChangeKind::NewCall | ChangeKind::CallShare | ChangeKind::FanOut,
            caller,
        ) => match caller {
            Some(caller) => (3, vec![(caller, 1.0), (callee, options.callee_weight)]),
            None => (3, vec![(callee, 1.0)]),
        },
        (ChangeKind::ChildTime | ChangeKind::PassedErrors | ChangeKind::Rate, _) => (4, Vec::new()),
    }
}

fn roll_up(findings: &[TraceFinding], options: &CompareOptions) -> Vec<ServiceFindings> {
    let mut of_service: BTreeMap<&Arc<str>, Vec<(usize, usize, f64)>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        let (group, suspects) = suspects(finding, options);
        for (service, weight) in suspects.into_iter().filter(|(_, weight)| *weight > 0.0) {
            of_service.entry(service).or_default().push((at, group, finding.score * weight));
        }
    }
    let mut services: Vec<ServiceFindings> = of_service
        .into_iter()
        .filter_map(|(service, mut evidence)| {
            evidence.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
            // Gaps count once for each service at the other end: one bad link says little about which end is bad,
            // several with an end in common speak against that.
            let mut best: BTreeMap<(usize, Option<&str>), f64> = BTreeMap::new();
            for (at, group, score) in &evidence {
                let gap = findings.get(*at).filter(|finding| finding.kind == ChangeKind::Gap);
                let other = gap.and_then(|finding| match finding.call.caller.service() {
                    Some(caller) if caller == &**service => Some(&*finding.call.callee),
                    caller => caller,
                });
                let best = best.entry((*group, other)).or_default();
                *best = best.max(*score);
            }
            let first = evidence.first().and_then(|(at, ..)| findings.get(*at))?;
            Some(ServiceFindings {
                service: Arc::clone(service),
                score: best.values().map(|score| score * score).sum::<f64>().sqrt(),
                direction: first.direction,
                effect: first.effect,
                count: first.current_count,
                evidence: evidence.iter().map(|(at, _, score)| (*at, *score)).collect(),
            })
        })
        .collect();
    // Stable, so ties stay in the order of names.
    services.sort_by(|a, b| b.score.total_cmp(&a.score));
    services
}
