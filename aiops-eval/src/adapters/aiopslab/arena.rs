//! Episodes of the arena as problems.

use std::time::Duration;

use aiops_core::action::{Action, BlastRadius, Operation, Share};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, FetchRequest, Signal, SignalSet, TelemetryWindow, TimeRange, time};
use aiops_core::seam::TelemetrySource;
use aiops_core::{CasePart, Clock, Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};

use super::shell::Command;
use super::{Expected, Results, Submission, Task, judge};
use crate::EvalError;
use crate::arena::World;
use crate::arena::faults::Duty;
use crate::arena::protocol::RunConfig;
use crate::arena::protocol::episode::{Felt, Layout, all_well};
use crate::arena::protocol::players::Player;
use crate::arena::protocol::run::Plan;
use crate::arena::protocol::score::score;

/// A problem is handed out so long after the onset, …
const LEAD: Duration = Duration::from_secs(600);
/// … every turn takes so long, …
const TURN: Duration = Duration::from_secs(10);
/// … actions have so long to show, and what was only put off so long to come back.
const SETTLES: Duration = Duration::from_secs(600);
const LATER: Duration = Duration::from_secs(900);
/// Most rows of one observation; more are counted.
const MOST_ROWS: usize = 400;

/// The episodes of a run as problems, one a task.
#[derive(Debug)]
pub struct Problems {
    plan: Plan,
    tasks: Vec<Task>,
}

impl Problems {
    /// Those of `config`, for each of `tasks`.
    ///
    /// # Errors
    /// [`EvalError::Config`].
    pub fn new(config: RunConfig, tasks: Vec<Task>) -> Result<Self, EvalError> {
        if tasks.is_empty() {
            return Err(EvalError::Config {
                field: "tasks",
                value: "none".to_owned(),
                allowed: "at least one",
            });
        }
        Ok(Self { plan: Plan::new(config)?, tasks })
    }

    /// Numbers are below this; not every number is one of a problem.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.plan.episodes() * self.tasks.len() as u64
    }

    /// Problem `number`. Tasks of one episode follow one another. `None` beyond the last, and for a mitigation where there is nothing to be
    /// mitigated: no fault, none that an action heals, or one that users never feel. To know that, the episode is run once.
    #[must_use]
    pub fn at(&self, number: u64) -> Option<(Task, Layout)> {
        let n = self.tasks.len() as u64;
        let task = *self.tasks.get(usize::try_from(number % n).ok()?)?;
        if number >= self.end() {
            return None;
        }
        let layout = self.plan.layout(number / n);
        is_posed(task, &layout).then_some((task, layout))
    }

    /// Episodes with the numbers and tasks of their problems.
    pub fn episodes(&self) -> impl Iterator<Item = (Layout, Vec<(u64, Task)>)> {
        (0..self.plan.episodes()).map(|episode| {
            let layout = self.plan.layout(episode);
            let first = episode * self.tasks.len() as u64;
            let posed = (first..).zip(&self.tasks).filter(|(_, task)| is_posed(**task, &layout));
            let posed = posed.map(|(number, task)| (number, *task)).collect();
            (layout, posed)
        })
    }
}

/// Whether `task` is one in this episode: everything can be asked, and mended only what is broken.
fn is_posed(task: Task, layout: &Layout) -> bool {
    let felt = || layout.without_anybody().is_some_and(|(_, harmed)| harmed);
    task != Task::Mitigation || layout.duty() == Some(Duty::Heal) && felt()
}

/// What is right about an episode.
fn expected(layout: &Layout) -> Expected {
    let (roots, types) = layout.culprits();
    Expected::of(roots, types, layout.needs_all())
}

/// What comes of a problem that nobody ever looked at.
pub(super) fn unanswered(task: Task, layout: &Layout) -> Results {
    judge(task, None, &expected(layout), false, None, 0)
}

/// What the default pipeline answers to each of `tasks` in the episode of `layout`, judged: by its first case on the fault, or its first where
/// nothing is broken.
///
/// # Errors
/// When the pipeline cannot be composed.
pub fn pipeline(tasks: impl IntoIterator<Item = Task>, layout: &Layout) -> Result<Vec<Results>, EvalError> {
    let (played, truth) = layout.play(Player::Honest)?;
    let broken = truth.fault.is_some();
    let case = played.cases.iter().find(|c| !broken || c.opened_at() >= truth.onset);
    let entry = |wanted: &dyn Fn(&CasePart) -> bool| {
        case.and_then(|c| c.entries().iter().find(|e| wanted(&e.part)).map(|e| e.at))
    };
    let unharmed = score(&played, &truth).unsafe_actions == 0 && truth.crippled.is_empty();
    let well = unharmed && all_well(&truth.at_end) && all_well(&truth.later);
    let expected = expected(layout);
    let judged = tasks.into_iter().map(|task| {
        let at = match task {
            Task::Detection => case.map(aiops_core::Case::opened_at),
            Task::Localization => entry(&|p| matches!(p, CasePart::Localized(_))),
            Task::Analysis => entry(&|p| matches!(p, CasePart::Diagnosed(_))),
            Task::Mitigation => case.and_then(|c| c.entries().last()).map(|e| e.at),
        };
        let after = at.map(|at| at.duration_since(truth.onset).as_secs_f64());
        let submission = Submission::of(task, case);
        judge(task, Some(&submission), &expected, well, after, played.reads)
    });
    Ok(judged.collect())
}

/// An episode that runs while somebody works on it.
#[derive(Debug)]
pub struct Problem {
    task: Task,
    layout: Layout,
    world: World,
    before: Vec<Felt>,
    onset: Timestamp,
    steps: u64,
    expected: Expected,
}

/// What a turn shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Shown {
    /// What was asked for.
    Observation {
        /// Its rows.
        content: Value,
        /// Rows beyond the bound.
        left_out: usize,
    },
    /// Why there is nothing to be seen.
    Refused {
        /// In words.
        reason: String,
    },
    /// It is over.
    Result {
        /// Under the suite's keys.
        results: Results,
    },
}

impl Problem {
    /// Runs the episode of `layout` up to ten minutes after the onset of its fault, and hands it out.
    #[must_use]
    pub fn begin(task: Task, layout: Layout) -> Self {
        let world = layout.world();
        let clock = world.clock().clone();
        let began = clock.now();
        let guilty = layout.culprits().0.to_vec();
        let half = Duration::from_secs_f64(layout.learn / 2.0);
        clock.drive(clock.sleep(half));
        world.with(|sim| sim.felt_since(&guilty));
        clock.drive(clock.sleep(half));
        let before = world.with(|sim| sim.felt_since(&guilty));
        let onset = time::after(began, Duration::from_secs_f64(layout.onset_seconds()));
        let handed_out = time::after(onset, LEAD);
        clock.drive(clock.sleep(time::elapsed(clock.now(), handed_out)));
        let expected = expected(&layout);
        Self { task, layout, world, before, onset, steps: 0, expected }
    }

    /// What is asked.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// Everybody an operator would list.
    #[must_use]
    pub fn inventory(&self) -> Vec<EntityId> {
        self.world.inventory()
    }

    fn pass(&self, how_long: Duration) {
        let clock = self.world.clock();
        clock.drive(clock.sleep(how_long));
    }

    /// Counts a turn, and lets its time pass.
    pub(super) fn turn(&mut self) {
        self.steps += 1;
        self.pass(TURN);
    }

    /// What was told in the last `minutes`, of `service` or of everybody.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for more than four hours or none.
    pub(super) fn look(
        &self,
        signal: Signal,
        service: Option<&str>,
        minutes: u64,
    ) -> aiops_core::Result<Shown> {
        if !(1..=240).contains(&minutes) {
            return Err(Error::new(ErrorKind::Invalid, "duration: 1 to 240 minutes"));
        }
        let range = TimeRange::ending_at(self.world.clock().now(), Duration::from_secs(60 * minutes));
        let request = FetchRequest::new(range).with_signals([signal].into_iter().collect::<SignalSet>());
        let (ctx, clock) = (self.world.context(), self.world.clock().clone());
        let window = clock.drive(async { self.world.source().fetch(&request, &ctx).await })?;
        let all = rows(&window, service);
        let left_out = all.len().saturating_sub(MOST_ROWS);
        // The latest are what one looks for.
        let content = Value::Array(all.into_iter().skip(left_out).collect());
        Ok(Shown::Observation { content, left_out })
    }

    /// Does what a command line asks for.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for one that is not known, [`NotFound`](ErrorKind::NotFound) for a target that is not there.
    pub(super) fn shell(&self, line: &str) -> aiops_core::Result<Shown> {
        let command = Command::parse(line)?;
        let named = |name: &str| -> aiops_core::Result<EntityId> {
            let found = self.world.inventory().into_iter().find(|e| e.name() == name);
            found.ok_or_else(|| Error::new(ErrorKind::NotFound, "no such target").with("target", name))
        };
        match command {
            Command::Get { kinds, name } => {
                let wanted = |e: &EntityId| {
                    (kinds.is_empty() || kinds.contains(&e.kind()))
                        && name.as_ref().is_none_or(|name| e.name() == name)
                };
                let all = self.world.inventory().into_iter().filter(wanted);
                let rows = all.map(|e| json!({"entity": e.to_string(), "state": self.world.target(&e)}));
                Ok(Shown::Observation { content: Value::Array(rows.collect()), left_out: 0 })
            }
            Command::Logs { service } => self.look(Signal::Logs, Some(&service), 5),
            Command::Restart { target } => {
                self.act(Operation::RollingRestart { max_unavailable: 1, max_surge: 1 }, named(&target)?)
            }
            Command::Undo { target } => {
                let target = named(&target)?;
                let to = self.world.revision_before(&target);
                let to = to.ok_or_else(|| Error::new(ErrorKind::NotFound, "no earlier revision"))?;
                self.act(Operation::Rollback { to }, target)
            }
            Command::Scale { target, replicas } => self.act(Operation::Scale { replicas }, named(&target)?),
            Command::Cordon { node } => self.act(Operation::Cordon, named(&node)?),
            Command::Drain { node } => self.act(Operation::Drain, named(&node)?),
        }
    }

    /// Does `operation` to `target`.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`Unsupported`](ErrorKind::Unsupported) for what cannot be done to it.
    pub(super) fn act(&self, operation: Operation, target: EntityId) -> aiops_core::Result<Shown> {
        let done = format!("{operation} of {target}");
        let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1)? };
        self.world.act_now(&Action::new(operation, target, radius))?;
        Ok(Shown::Observation { content: Value::from(done), left_out: 0 })
    }

    /// Lets minutes pass, 1 to 60.
    pub(super) fn wait(&self, minutes: u64) -> aiops_core::Result<Shown> {
        if !(1..=60).contains(&minutes) {
            return Err(Error::new(ErrorKind::Invalid, "minutes: 1 to 60"));
        }
        self.pass(Duration::from_secs(60 * minutes));
        Ok(Shown::Observation { content: Value::from("waited"), left_out: 0 })
    }

    /// Ends it with what was submitted, nothing when nobody did or it had not the form of the task.
    pub(super) fn end(&self, submission: Option<&Submission>) -> Results {
        let now = self.world.clock().now();
        let after = submission.map(|_| now.duration_since(self.onset).as_secs_f64());
        let well = self.task == Task::Mitigation && {
            let guilty = self.layout.culprits().0;
            self.pass(SETTLES);
            let users = self.layout.health(&self.world, guilty, &self.before);
            self.pass(LATER);
            let later = self.layout.health(&self.world, guilty, &self.before);
            all_well(&users) && all_well(&later) && self.world.with(|sim| sim.crippled()).is_empty()
        };
        judge(self.task, submission, &self.expected, well, after, self.steps)
    }
}

/// What a window tells of `service`, or of everybody, a row each, in order of time.
fn rows(window: &TelemetryWindow, service: Option<&str>) -> Vec<Value> {
    let whose = |entity: &EntityId| service.is_none_or(|name| entity.name() == name);
    let mut all = Vec::new();
    for series in window.metrics.iter().filter(|s| whose(s.entity())) {
        // A series is a row: its last value, and the least and most before.
        let mut values = series.points().filter(|(_, v)| !v.is_nan());
        let Some((at, last)) = values.next_back() else { continue };
        let (least, most) = values.fold((last, last), |(least, most), (_, v)| (least.min(v), most.max(v)));
        all.push(json!({
            "time": at.to_string(),
            "entity": series.entity().to_string(),
            "metric": series.key().to_string(),
            "last": last,
            "least": least,
            "most": most,
        }));
    }
    for line in window.logs.iter().filter(|l| whose(&l.entity)) {
        all.push(json!({
            "time": line.time.to_string(),
            "entity": line.entity.to_string(),
            "severity": line.severity,
            "body": line.body,
        }));
    }
    for span in window.spans.iter().filter(|s| whose(&s.entity)) {
        all.push(json!({
            "time": span.start.to_string(),
            "entity": span.entity.to_string(),
            "operation": span.operation,
            "seconds": span.duration.as_secs_f64(),
            "status": span.status,
            "trace": span.trace_id.to_string(),
            "span": span.span_id.to_string(),
            "parent": span.parent.map(|p| p.to_string()),
        }));
    }
    all
}
