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
use crate::arena::protocol::episode::{Felt, Layout};
use crate::arena::protocol::players::Player;
use crate::arena::protocol::run::Plan;
use crate::arena::protocol::score::is_recovered;

/// A problem is handed out so long after the onset, …
const LEAD: Duration = Duration::from_secs(600);
/// … every turn takes so long, …
const TURN: Duration = Duration::from_secs(10);
/// … actions have so long to show, and what was only put off so long to come back.
const SETTLES: Duration = Duration::from_secs(600);
const LATER: Duration = Duration::from_secs(900);
/// Most lines or spans of one observation; more are counted.
const MOST_ROWS: usize = 400;
/// Most bytes of series in one observation, as JSON. A series is a row, and none is older than another, so that no number of rows leaves
/// out what matters least.
const MOST_BYTES: usize = 4 << 20;

/// The episodes of a run as problems, one a task.
///
/// All problems of a task come before those of the next, mitigation last: that an episode is asked to be mitigated says that it is
/// broken, and nothing is left to be asked about it then.
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
    pub fn new(config: RunConfig, mut tasks: Vec<Task>) -> Result<Self, EvalError> {
        tasks.sort_unstable();
        tasks.dedup();
        if tasks.is_empty() {
            return Err(EvalError::Config {
                field: "tasks",
                value: "none".to_owned(),
                allowed: "at least one",
            });
        }
        Ok(Self { plan: Plan::new(config)?, tasks })
    }

    /// Episodes.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.plan.episodes()).unwrap_or(usize::MAX)
    }

    /// Every task of every episode, in order, whether it is posed or not.
    pub(super) fn drawn(&self) -> impl Iterator<Item = (Task, Layout)> {
        let episodes = 0..self.plan.episodes();
        self.tasks
            .iter()
            .flat_map(move |task| episodes.clone().map(|episode| (*task, self.plan.layout(episode))))
    }

    /// The problems with their numbers, which follow one another. One whose mitigation is asked for is simulated once, without anybody.
    pub fn posed(&self) -> impl Iterator<Item = (u64, Task, Layout)> {
        let posed = self.drawn().filter(|(task, layout)| is_posed(*task, layout));
        (0..).zip(posed).map(|(number, (task, layout))| (number, task, layout))
    }

    /// Episodes with the numbers and tasks of their problems, the same as [`posed`](Self::posed) gives them.
    pub fn episodes(&self) -> impl Iterator<Item = (Layout, Vec<(u64, Task)>)> {
        let all = self.plan.episodes();
        let mut mitigations = 0;
        (0..all).map(move |episode| {
            let layout = self.plan.layout(episode);
            let posed = (0..).zip(&self.tasks).filter(|(_, task)| is_posed(**task, &layout));
            // Only of the last task some are left out.
            let number = |(before, task): (u64, &Task)| {
                let of_task = if *task == Task::Mitigation { mitigations } else { episode };
                (before * all + of_task, *task)
            };
            let posed: Vec<(u64, Task)> = posed.map(number).collect();
            mitigations += u64::from(posed.iter().any(|(_, task)| *task == Task::Mitigation));
            (layout, posed)
        })
    }
}

/// Whether `task` may be one in this episode, by what can be known without running it.
pub(super) fn may_be_posed(task: Task, layout: &Layout) -> bool {
    task != Task::Mitigation || layout.duty() == Some(Duty::Heal)
}

/// Whether `task` is one in this episode: everything can be asked, and mended only what is broken: a fault that an action heals and
/// users feel. To know that of a mitigation, the episode is run once.
pub(super) fn is_posed(task: Task, layout: &Layout) -> bool {
    let felt = || layout.without_anybody().is_some_and(|(_, harmed)| harmed);
    may_be_posed(task, layout) && (task != Task::Mitigation || felt())
}

/// What is right about an episode.
fn expected(layout: &Layout) -> Expected {
    let (roots, types) = layout.culprits();
    Expected::of(roots, types, layout.needs_all())
}

/// What comes of a problem that nobody ever looked at.
pub(super) fn unanswered(task: Task) -> Results {
    judge(task, None, &Expected::default(), false, None, Some(0))
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
    let recovered = is_recovered(&truth);
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
        judge(task, Some(&submission), &expected, recovered, after, None)
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
    /// It is over. What came of it is nobody's before all problems are: the same episode comes again under another task.
    End,
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
        let mut rows = series(&window, service);
        let all = rows.len();
        let mut bytes = 0;
        let fitting = rows.iter().take_while(|row| {
            bytes += row.to_string().len();
            bytes <= MOST_BYTES
        });
        rows.truncate(fitting.count());
        let mut left_out = all - rows.len();
        let events = events(&window, service);
        // The latest are what one looks for.
        let early = events.len().saturating_sub(MOST_ROWS);
        left_out += early;
        rows.extend(events.into_iter().skip(early));
        Ok(Shown::Observation { content: Value::Array(rows), left_out })
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
        let recovered = self.task == Task::Mitigation && {
            let guilty = self.layout.culprits().0;
            let deeds = self.world.deeds();
            self.pass(SETTLES);
            let users = self.layout.health(&self.world, guilty, &self.before);
            let crippled = self.world.with(|sim| sim.crippled());
            self.pass(LATER);
            let later = self.layout.health(&self.world, guilty, &self.before);
            is_recovered(&self.layout.truth(self.onset, deeds, (users, later), crippled))
        };
        judge(self.task, submission, &self.expected, recovered, after, Some(self.steps))
    }
}

/// Series of `service`, or of everybody, a row each, in order of entity and name.
fn series(window: &TelemetryWindow, service: Option<&str>) -> Vec<Value> {
    let whose = |entity: &EntityId| service.is_none_or(|name| entity.name() == name);
    let mut all = Vec::new();
    for series in window.metrics.iter().filter(|s| whose(s.entity())) {
        // Its last value, and the least and most of all.
        let mut values = series.points().filter(|(_, v)| !v.is_nan());
        let Some((at, last)) = values.next_back() else { continue };
        let (least, most) = values.fold((last, last), |(least, most), (_, v)| (least.min(v), most.max(v)));
        let (entity, metric) = (series.entity().to_string(), series.key().to_string());
        let row = json!({
            "time": at.to_string(),
            "entity": entity,
            "metric": metric,
            "last": last,
            "least": least,
            "most": most,
        });
        all.push(((entity, metric), row));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter().map(|(_, row)| row).collect()
}

/// Lines and spans of `service`, or of everybody, a row each, in order of time.
fn events(window: &TelemetryWindow, service: Option<&str>) -> Vec<Value> {
    let whose = |entity: &EntityId| service.is_none_or(|name| entity.name() == name);
    let mut all: Vec<(Timestamp, Value)> = Vec::new();
    for line in window.logs.iter().filter(|l| whose(&l.entity)) {
        let row = json!({
            "time": line.time.to_string(),
            "entity": line.entity.to_string(),
            "severity": line.severity,
            "body": line.body,
        });
        all.push((line.time, row));
    }
    for span in window.spans.iter().filter(|s| whose(&s.entity)) {
        let row = json!({
            "time": span.start.to_string(),
            "entity": span.entity.to_string(),
            "operation": span.operation,
            "seconds": span.duration.as_secs_f64(),
            "status": span.status,
            "trace": span.trace_id.to_string(),
            "span": span.span_id.to_string(),
            "parent": span.parent.map(|p| p.to_string()),
        });
        all.push((span.start, row));
    }
    // Stable: what is of one instant stays in the order in which it was told.
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, row)| row).collect()
}
