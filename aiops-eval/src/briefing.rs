//! How often a briefing shows the service at fault among its first entities.

use std::fmt::Write as _;

use aiops_compact::briefing::{
    Baseline, BriefingBuilder, CountTokens, EstimatedTokens, WindowCompactor, WindowConfig,
};
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Briefing, EntityId, TelemetryWindow, TimeRange, TokenBudget};
use serde::Serialize;

use crate::EvalError;
use crate::incidents::{Incident, IncidentCase, IncidentSet, NormalSpans};

/// Entities that a reader looks at first.
pub const FIRST: usize = 5;

/// One incident at one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseScore {
    /// Id of the incident.
    pub case: String,
    /// Class of the fault, where the set says so.
    pub class: Option<String>,
    /// Place of the service at fault among the entities of the briefing, from 1, when a line of it tells of the time of
    /// the fault; `None` when no line does.
    pub place: Option<usize>,
    /// Lines of the briefing.
    pub lines: usize,
    /// Its tokens, estimated.
    pub tokens: usize,
    /// The same place when telemetry of the fault is listed in order of time until the budget is full.
    pub listed: Option<usize>,
    /// Chance that a random order has it among the first [`FIRST`] entities.
    pub random: f64,
}

/// A set of incidents at one budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetScore {
    /// Tokens allowed.
    pub budget: usize,
    /// Every incident.
    pub cases: Vec<CaseScore>,
}

impl BudgetScore {
    /// Share of incidents of `class` (all for `None`) whose fault is among the first [`FIRST`] entities, and how many
    /// incidents that are.
    #[must_use]
    pub fn share(&self, class: Option<&str>) -> (f64, usize) {
        self.mean(class, |case| f64::from(case.place.is_some_and(|place| place <= FIRST)))
    }

    fn mean(&self, class: Option<&str>, of: impl Fn(&CaseScore) -> f64) -> (f64, usize) {
        let cases: Vec<&CaseScore> =
            self.cases.iter().filter(|case| class.is_none() || case.class.as_deref() == class).collect();
        let sum: f64 = cases.iter().map(|case| of(case)).sum();
        (sum / cases.len().max(1) as f64, cases.len())
    }
}

/// What [`score`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BriefingReport {
    /// One entry per budget.
    pub budgets: Vec<BudgetScore>,
}

impl BriefingReport {
    /// The report in a few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for score in &self.budgets {
            let (share, cases) = score.share(None);
            let (listed, _) = score.mean(None, |c| f64::from(c.listed.is_some_and(|place| place <= FIRST)));
            let (random, _) = score.mean(None, |c| c.random);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} tokens, {cases} incidents: root among the first {FIRST} entities {:.1} % (listing everything {:.1} %, random {:.1} %)",
                score.budget,
                share * 100.0,
                listed * 100.0,
                random * 100.0
            );
            let mut classes: Vec<&str> =
                score.cases.iter().filter_map(|case| case.class.as_deref()).collect();
            classes.sort_unstable();
            classes.dedup();
            for class in classes {
                let (share, cases) = score.share(Some(class));
                let _ = writeln!(text, "  {class}: {:.1} % of {cases}", share * 100.0);
            }
            for case in &score.cases {
                let place = case.place.map_or("-".to_owned(), |place| place.to_string());
                let _ = writeln!(
                    text,
                    "    {}  place {place}, {} lines, {} tokens",
                    case.case, case.lines, case.tokens
                );
            }
        }
        text
    }
}

/// Briefs every incident of `set` within each of `budgets` and looks where the root stands. The label is read after the
/// briefing was made.
///
/// # Errors
/// Those of [`IncidentSet::load`]; [`EvalError::Judge`] when a budget is too small for any briefing.
pub fn score(
    set: &IncidentSet,
    budgets: &[usize],
    config: &WindowConfig,
    mut progress: impl FnMut(usize, usize),
) -> Result<BriefingReport, EvalError> {
    let mut scores: Vec<BudgetScore> =
        budgets.iter().map(|budget| BudgetScore { budget: *budget, cases: Vec::new() }).collect();
    let config = looking_at_the_fault(config)?;
    let spans = NormalSpans::of(set)?;
    for (done, case) in set.cases().iter().enumerate() {
        let incident = load(set, case, &spans)?;
        let briefer = Briefer::new(&incident, &config);
        let fault = incident.fault.range;
        for score in &mut scores {
            let briefing = briefer.briefing(TokenBudget(score.budget))?;
            let label = case.label();
            score.cases.push(CaseScore {
                case: case.id.clone(),
                class: label.fault_class.clone().or_else(|| label.fault_type.clone()),
                place: place(&briefing, fault, &label.root),
                lines: briefing.lines.len(),
                tokens: EstimatedTokens.count(&briefing.to_markdown()),
                listed: listed(&incident.fault, score.budget)
                    .iter()
                    .position(|e| *e == label.root)
                    .map(|i| i + 1),
                random: random(&incident.fault),
            });
        }
        progress(done + 1, set.cases().len());
    }
    Ok(BriefingReport { budgets: scores })
}

/// The briefing of the incident `case` of `set` within `budget` tokens.
///
/// # Errors
/// [`EvalError::Config`] when the set has no such incident; those of [`score`].
pub fn show(
    set: &IncidentSet,
    case: &str,
    budget: usize,
    config: &WindowConfig,
) -> Result<Briefing, EvalError> {
    let known = set.cases().iter().find(|known| known.id == case);
    let case = known.ok_or_else(|| EvalError::Config {
        field: "case",
        value: case.to_owned(),
        allowed: "the id of an incident of the set",
    })?;
    Briefer::new(&load(set, case, &NormalSpans::of(set)?)?, &looking_at_the_fault(config)?)
        .briefing(TokenBudget(budget))
}

/// An incident; what is normal of its spans from another one of the day where it has none of its own.
fn load(set: &IncidentSet, case: &IncidentCase, normal: &NormalSpans) -> Result<Incident, EvalError> {
    let mut incident = set.load(case)?;
    if incident.reference.spans.is_empty() {
        incident.reference.spans = normal.for_case(case).to_vec();
    }
    Ok(incident)
}

/// The same configuration, looking at the time of the fault as the recent part.
fn looking_at_the_fault(config: &WindowConfig) -> Result<WindowConfig, EvalError> {
    let options = DeviationOptions { recent_share: 0.5, ..*config.deviation.options() };
    let deviation = DeviationConfig::try_from(options).map_err(|e| EvalError::Config {
        field: "deviation",
        value: e.to_string(),
        allowed: "see DeviationOptions",
    })?;
    Ok(WindowConfig { deviation, ..config.clone() })
}

/// One incident, ready to be briefed within any budget.
struct Briefer {
    compactor: WindowCompactor,
    window: TelemetryWindow,
}

impl Briefer {
    fn new(incident: &Incident, config: &WindowConfig) -> Self {
        let baseline = Baseline::learn(&incident.reference, config);
        let mut window = incident.fault.clone();
        // The recent half of the window is the time of the fault.
        let range = window.range;
        window.range = TimeRange::ending_at(range.end(), range.length().saturating_mul(2));
        let compactor =
            WindowCompactor::new(BriefingBuilder::default(), config.clone()).with_baseline(baseline);
        Self { compactor, window }
    }

    fn briefing(&self, budget: TokenBudget) -> Result<Briefing, EvalError> {
        Ok(self.compactor.briefing(&self.window, Vec::new(), budget)?)
    }
}

/// Place of `root` among the entities of the briefing in order, if one of its lines tells of the time of the fault.
pub(crate) fn place(briefing: &Briefing, fault: TimeRange, root: &EntityId) -> Option<usize> {
    let mut entities: Vec<&EntityId> = Vec::new();
    for line in &briefing.lines {
        if !entities.contains(&&line.entity) {
            entities.push(&line.entity);
        }
    }
    let inside = |line: &aiops_core::model::BriefingLine| line.time.is_some_and(|time| fault.contains(time));
    let told = briefing.lines.iter().any(|line| line.entity == *root && inside(line));
    entities.iter().position(|entity| *entity == root).filter(|_| told).map(|i| i + 1)
}

/// The first entities when samples, spans and lines are listed in order of time until the budget is full.
fn listed(window: &TelemetryWindow, budget: usize) -> Vec<EntityId> {
    let mut events: Vec<(Timestamp, &EntityId, String)> = Vec::new();
    for series in &window.metrics {
        events.extend(series.points().map(|(t, v)| (t, series.entity(), format!("{}={v}", series.key()))));
    }

    events.extend(
        window.spans.iter().map(|s| (s.start, &s.entity, format!("{} {:?}", s.operation, s.duration))),
    );
    events.extend(window.logs.iter().map(|line| (line.time, &line.entity, line.body.clone())));
    events.sort();
    let (mut tokens, mut entities) = (0, Vec::new());
    for (time, entity, text) in events {
        tokens += EstimatedTokens.count(&format!("- {time} {entity} {text}\n"));
        if tokens > budget {
            break;
        }
        if !entities.contains(entity) {
            entities.push(entity.clone());
        }
    }
    entities
}

/// Chance to be among the first of all entities with telemetry, in random order.
fn random(window: &TelemetryWindow) -> f64 {
    let mut entities: Vec<&EntityId> = window.metrics.iter().map(|series| series.entity()).collect();
    entities.extend(window.spans.iter().map(|span| &span.entity));
    entities.extend(window.logs.iter().map(|line| &line.entity));
    entities.sort();
    entities.dedup();
    (FIRST as f64 / entities.len().max(1) as f64).min(1.0)
}
