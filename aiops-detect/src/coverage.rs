//! Which services have metrics, logs and traces, and whether these can be put side by side. // ING-07
//!
//! What is not collected cannot be diagnosed, and nobody notices before the incident. [`CoverageAudit`] reads windows and says of every
//! service which signals it has, which pairs of them correlate, and why not. A signal that was not looked at is not missing:
//! [`TelemetryWindow::observed`] tells the two apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, EntityKind, Signal, SignalSet, TelemetryWindow, TraceId};
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{check, check_count};

/// When signals are held to be there, and to correlate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoverageOptions {
    /// Kinds of entities that are audited; parts are counted with their whole. Default services and jobs.
    pub kinds: Vec<EntityKind>,
    /// Fewest lines to judge by whether they carry trace ids, 1 to 10⁶. Default 20.
    pub min_lines: usize,
    /// Share of lines that must carry one, 0 to 1. Default 0.3: what a process says while it starts belongs to no request.
    pub traced: f64,
    /// Share of the trace ids of its lines of which a span was seen, 0 to 1. Default 0.01: traces are sampled, but not one of a hundred seen
    /// means that the ids are of another system.
    pub resolved: f64,
    /// Endings of names that mean nothing, in lower case.
    pub endings: Vec<String>,
}

impl Default for CoverageOptions {
    fn default() -> Self {
        Self {
            kinds: vec![EntityKind::Service, EntityKind::Job],
            min_lines: 20,
            traced: 0.3,
            resolved: 0.01,
            endings: ["service", "svc", "server", "app", "api"].map(str::to_owned).to_vec(),
        }
    }
}

impl Options for CoverageOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        if self.kinds.is_empty() {
            return Err(ConfigError::new("kinds", "[]", "at least one kind"));
        }
        check_count("min_lines", self.min_lines, 1..=1_000_000, "1 to 1000000 lines")?;
        check("traced", self.traced, 0.0..=1.0, "0 to 1")?;
        check("resolved", self.resolved, 0.0..=1.0, "0 to 1")?;
        let odd = |ending: &&String| ending.is_empty() || **ending != ending.to_lowercase();
        match self.endings.iter().find(odd) {
            Some(odd) => Err(ConfigError::new("endings", format!("{odd:?}"), "endings in lower case")),
            None => Ok(()),
        }
    }
}

/// Why signals of a service cannot be put side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CoverageGap {
    /// A signal that was looked at, and is not there.
    Missing(Signal),
    /// The source says that it could not see this signal of it.
    Dark(Signal),
    /// Lines that carry no trace id: this share does.
    Untraced(#[serde(with = "aiops_core::model::float")] f64),
    /// Trace ids of lines of which no span was seen, though it has spans: this share was.
    Unresolved(#[serde(with = "aiops_core::model::float")] f64),
    /// What it lacks goes by a name that is nearly its own.
    NamedOtherwise(EntityId),
}

/// What is known of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceCoverage {
    /// The service.
    pub entity: EntityId,
    /// Series with a finite sample.
    pub series: usize,
    /// Lines.
    pub lines: usize,
    /// Spans.
    pub spans: usize,
    /// Lines with a trace id, and those of them of whose trace a span was seen.
    pub traced: (usize, usize),
    /// Pairs of signals that can be put side by side: metrics with another one by what they are about, lines with spans by trace id.
    pub correlated: Vec<(Signal, Signal)>,
    /// What is in the way.
    pub gaps: Vec<CoverageGap>,
}

impl ServiceCoverage {
    fn new(entity: EntityId) -> Self {
        Self {
            entity,
            series: 0,
            lines: 0,
            spans: 0,
            traced: (0, 0),
            correlated: Vec::new(),
            gaps: Vec::new(),
        }
    }

    fn has(&self, signal: Signal) -> bool {
        match signal {
            Signal::Metrics => self.series > 0,
            Signal::Logs => self.lines > 0,
            Signal::Traces => self.spans > 0,
            _ => false,
        }
    }

    /// Whether it has all three signals, and each correlates with each.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.correlated.len() == PAIRS.len()
    }
}

const SIGNALS: [Signal; 3] = [Signal::Metrics, Signal::Logs, Signal::Traces];

const PAIRS: [(Signal, Signal); 3] =
    [(Signal::Metrics, Signal::Logs), (Signal::Metrics, Signal::Traces), (Signal::Logs, Signal::Traces)];

/// The audit of some windows.
///
/// ```
/// use aiops_core::model::{EntityId, LogRecord, Signal, TelemetryWindow, TimeRange};
/// use aiops_detect::coverage::{CoverageAudit, CoverageGap};
/// let at = "2026-01-01T00:00:00Z".parse()?;
/// let mut window = TelemetryWindow::new(TimeRange::ending_at(at, std::time::Duration::from_secs(60)));
/// window.observed = [Signal::Metrics, Signal::Logs].into_iter().collect();
/// window.logs.push(LogRecord::new(window.range.start(), EntityId::service("orders"), "ready"));
/// let audit = CoverageAudit::of([&window], &Default::default());
/// assert_eq!(audit.services[0].gaps, [CoverageGap::Missing(Signal::Metrics)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CoverageAudit {
    /// Every service that a signal, the topology or the source's health names, in order of id.
    pub services: Vec<ServiceCoverage>,
    /// Signals that were looked at in any window.
    pub observed: SignalSet,
}

impl CoverageAudit {
    /// Audits `windows` of one estate. O(samples until the first finite one of each series + lines + spans).
    #[must_use]
    pub fn of<'w>(
        windows: impl IntoIterator<Item = &'w TelemetryWindow>,
        options: &Checked<CoverageOptions>,
    ) -> Self {
        let options = options.options();
        let windows: Vec<&TelemetryWindow> = windows.into_iter().collect();
        let mut services: BTreeMap<EntityId, ServiceCoverage> = BTreeMap::new();
        let mut observed = SignalSet::none();
        let traces: BTreeSet<TraceId> =
            windows.iter().flat_map(|w| w.spans.iter().map(|s| s.trace_id)).collect();
        for window in windows {
            observed = observed.union(&window.observed);
            let mut of = |entity: &EntityId, note: &mut dyn FnMut(&mut ServiceCoverage)| {
                let whole = window.topology.whole(entity);
                if options.kinds.contains(&whole.kind()) {
                    let slot = services.entry(whole.clone());
                    note(slot.or_insert_with(|| ServiceCoverage::new(whole.clone())));
                }
            };
            for entity in window.topology.entities() {
                of(&entity.id, &mut |_| {});
            }
            for series in window.metrics.iter().filter(|s| s.points().any(|(_, v)| v.is_finite())) {
                of(series.entity(), &mut |service| service.series += 1);
            }
            for line in &window.logs {
                of(&line.entity, &mut |service| {
                    service.lines += 1;
                    if let Some(id) = line.trace_id {
                        service.traced.0 += 1;
                        service.traced.1 += usize::from(traces.contains(&id));
                    }
                });
            }
            for span in &window.spans {
                of(&span.entity, &mut |service| service.spans += 1);
            }
            for health in &window.health {
                if let Some(entity) = &health.entity {
                    of(entity, &mut |service| {
                        let gap = CoverageGap::Dark(health.signal);
                        if !service.gaps.contains(&gap) {
                            service.gaps.push(gap);
                        }
                    });
                }
            }
        }
        let mut services: Vec<ServiceCoverage> = services.into_values().collect();
        let names: Vec<(String, EntityId, [bool; 3])> = services
            .iter()
            .map(|s| (bare(s.entity.name(), options), s.entity.clone(), SIGNALS.map(|signal| s.has(signal))))
            .collect();
        for service in &mut services {
            service.judge(options, &observed, &names);
        }
        Self { services, observed }
    }

    /// Services whose signals all correlate.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.services.iter().filter(|s| s.is_whole()).count()
    }

    /// The audit in a few lines, one a service.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            format!("{} of {} services have signals that correlate\n", self.whole(), self.services.len());
        for s in &self.services {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}: {} series, {} lines, {} spans", s.entity, s.series, s.lines, s.spans);
            for gap in &s.gaps {
                let _ = match gap {
                    CoverageGap::Missing(signal) => write!(text, "; no {signal}"),
                    CoverageGap::Dark(signal) => write!(text, "; {signal} could not be seen"),
                    CoverageGap::Untraced(share) => {
                        write!(text, "; {:.0} % of its lines carry a trace id", 100.0 * share)
                    }
                    CoverageGap::Unresolved(share) => {
                        write!(text, "; of {:.0} % of these a span was seen", 100.0 * share)
                    }
                    CoverageGap::NamedOtherwise(other) => write!(text, "; is it {other}?"),
                };
            }
            text.push('\n');
        }
        text
    }
}

impl ServiceCoverage {
    fn judge(
        &mut self,
        options: &CoverageOptions,
        observed: &SignalSet,
        names: &[(String, EntityId, [bool; 3])],
    ) {
        let missing: Vec<Signal> =
            SIGNALS.into_iter().filter(|s| observed.contains(*s) && !self.has(*s)).collect();
        self.gaps.extend(missing.iter().map(|signal| CoverageGap::Missing(*signal)));
        let mut joined = self.lines > 0 && self.spans > 0;
        if joined && self.lines >= options.min_lines {
            let traced = self.traced.0 as f64 / self.lines as f64;
            let resolved = self.traced.1 as f64 / self.traced.0.max(1) as f64;
            if traced < options.traced {
                self.gaps.push(CoverageGap::Untraced(traced));
                joined = false;
            } else if resolved < options.resolved {
                self.gaps.push(CoverageGap::Unresolved(resolved));
                joined = false;
            }
        } else {
            // Of few lines, one that leads to a span is enough.
            joined = joined && self.traced.1 > 0;
        }
        self.correlated = PAIRS
            .into_iter()
            .filter(|(a, b)| match (a, b) {
                (Signal::Logs, Signal::Traces) => joined,
                (a, b) => self.has(*a) && self.has(*b),
            })
            .collect();
        let own = bare(self.entity.name(), options);
        let lacks = SIGNALS.map(|signal| missing.contains(&signal));
        // Somebody of nearly the same name who has what this one lacks, and lacks what it has.
        let other = names.iter().find(|(bare, entity, has)| {
            let complements = lacks.iter().zip(has).any(|(lacks, has)| *lacks && *has)
                && !SIGNALS.iter().zip(has).any(|(signal, has)| *has && self.has(*signal));
            *bare == own && *entity != self.entity && complements
        });
        self.gaps.extend(other.map(|(_, entity, _)| CoverageGap::NamedOtherwise(entity.clone())));
    }
}

/// A name without what differs between tools: case, punctuation, and endings that mean nothing.
fn bare(name: &str, options: &CoverageOptions) -> String {
    let mut bare: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    for ending in &options.endings {
        if let Some(rest) = bare.strip_suffix(ending.as_str()).filter(|rest| !rest.is_empty()) {
            bare = rest.to_owned();
            break;
        }
    }
    bare
}
