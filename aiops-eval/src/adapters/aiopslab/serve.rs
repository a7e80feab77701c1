//! The orchestrator's side: problems handed out and turns taken over lines, so that any agent can play.

use std::io::{BufRead, Write};

use aiops_core::model::Signal;
use serde::Serialize;
use serde_json::json;

use super::arena::{Problem, Problems, Shown, is_posed, may_be_posed, unanswered};
use super::shell::{self, NAMESPACE};
use super::turn::{CALLS, TICKS};
use super::{Results, Submission, Task, Turn};
use crate::EvalError;

/// Most turns of one problem before it ends without a submission.
const MOST_TURNS: u64 = 100;
/// Longest message that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// One problem that was played.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServeReport {
    /// Its number.
    pub problem: u64,
    /// Its task.
    pub task: Task,
    /// Results.
    pub results: Results,
}

impl ServeReport {
    /// What came of problem number `problem`.
    #[must_use]
    pub fn new(problem: u64, task: Task, results: Results) -> Self {
        Self { problem, task, results }
    }
}

/// Hands out every problem in turn: a line that states it, then a line for each turn read from `input`, the last saying that it is over and
/// nothing else, since episodes come again under the next task; results are returned. A turn is a line, or lines from one that begins with
/// three ticks to the next that does. What is no [`Turn`] is refused and counts as one. Whoever does not submit within 100 turns, or hangs up,
/// has not; problems after that count as never answered and are not simulated, so that a mitigation counts then wherever an action
/// heals, also of what users do not feel.
///
/// # Errors
/// [`EvalError::Read`] and [`EvalError::Write`] when a line cannot be read or written.
pub fn serve(
    problems: &Problems,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Vec<ServeReport>, EvalError> {
    let mut agent = Agent { input, output, gone: false };
    let mut reports = Vec::new();
    for (task, layout) in problems.drawn() {
        let is_meant = if agent.gone { may_be_posed } else { is_posed };
        if !is_meant(task, &layout) {
            continue;
        }
        // As many as were handed out before: a gap would tell what was left out.
        let number = reports.len() as u64;
        let results = if agent.gone {
            unanswered(task)
        } else {
            let mut problem = Problem::begin(task, layout);
            let inventory: Vec<String> = problem.inventory().iter().map(ToString::to_string).collect();
            agent.say(&json!({
                "event": "problem",
                "problem": number,
                "task": task,
                "statement": task.statement(),
                "system": inventory,
                "namespace": NAMESPACE,
                "apis": CALLS.map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            }))?;
            let results = play(&mut problem, &mut agent)?;
            agent.say(&Shown::End)?;
            results
        };
        reports.push(ServeReport { problem: number, task, results });
    }
    Ok(reports)
}

fn play<R: BufRead, W: Write>(
    problem: &mut Problem,
    agent: &mut Agent<'_, R, W>,
) -> Result<Results, EvalError> {
    for _ in 0..MOST_TURNS {
        let Some(said) = agent.message()? else { break };
        problem.turn();
        let shown = match said.and_then(|said| Turn::parse(&said)) {
            Ok(Turn::Submit { solution }) => {
                return Ok(problem.end(Submission::parse(problem.task(), &solution).as_ref()));
            }
            Ok(turn) => take(problem, turn).unwrap_or_else(|e| Shown::Refused { reason: e.to_string() }),
            Err(reason) => Shown::Refused { reason },
        };
        agent.say(&shown)?;
    }
    Ok(problem.end(None))
}

fn take(problem: &Problem, turn: Turn) -> aiops_core::Result<Shown> {
    let look = |signal, namespace: Option<String>, service: Option<String>, minutes| {
        shell::check_namespace(namespace.as_deref())?;
        problem.look(signal, service.as_deref(), minutes)
    };
    match turn {
        Turn::GetLogs { namespace, service, duration } => {
            look(Signal::Logs, namespace, Some(service), duration)
        }
        Turn::GetMetrics { namespace, duration, service } => {
            look(Signal::Metrics, namespace, service, duration)
        }
        Turn::GetTraces { namespace, duration, service } => {
            look(Signal::Traces, namespace, service, duration)
        }
        Turn::ExecShell { command } => problem.shell(&command),
        Turn::Act { target, operation } => problem.act(operation, target),
        Turn::Wait { minutes } => problem.wait(minutes),
        Turn::Submit { .. } => Ok(Shown::End),
    }
}

/// Who plays.
struct Agent<'a, R, W> {
    input: &'a mut R,
    output: &'a mut W,
    /// Hung up: nothing more comes, or nobody reads.
    gone: bool,
}

impl<R: BufRead, W: Write> Agent<'_, R, W> {
    /// What is said next: a line, or a block of them; blank lines before it are passed over. `None` when nothing more comes, `Some(Err)` for
    /// what is too long or no UTF-8.
    fn message(&mut self) -> Result<Option<Result<String, String>>, EvalError> {
        let mut said = String::new();
        while !self.gone {
            let line = match self.line()? {
                Some(Ok(line)) => line,
                // Who hangs up within a block is told that it has no end.
                None => return Ok((!said.is_empty()).then_some(Ok(said))),
                bad => return Ok(bad),
            };
            if said.is_empty() && line.trim().is_empty() {
                continue;
            }
            let within = !said.is_empty();
            let ticks = line.trim_start().starts_with(TICKS);
            let closed = line.matches(TICKS).count() > 1;
            said.push_str(&line);
            if said.len() as u64 > MOST_BYTES {
                return Ok(Some(Err(format!("more than {MOST_BYTES} bytes"))));
            }
            if closed || within == ticks {
                return Ok(Some(Ok(said)));
            }
        }
        Ok(None)
    }

    /// The next line.
    fn line(&mut self) -> Result<Option<Result<String, String>>, EvalError> {
        let failed = |source| EvalError::Read { path: "-".into(), source };
        let mut bytes = Vec::new();
        let read = std::io::Read::take(&mut *self.input, MOST_BYTES)
            .read_until(b'\n', &mut bytes)
            .map_err(failed)?;
        if read == 0 {
            self.gone = true;
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') && read as u64 == MOST_BYTES {
            // What is left of it is no line of its own.
            self.input.skip_until(b'\n').map_err(failed)?;
            return Ok(Some(Err(format!("a line of more than {MOST_BYTES} bytes"))));
        }
        Ok(Some(String::from_utf8(bytes).map_err(|_| "a line that is no UTF-8".to_owned())))
    }

    fn say(&mut self, what: &impl Serialize) -> Result<(), EvalError> {
        let failed = |source| EvalError::Write { path: "-".into(), source };
        let mut text = serde_json::to_vec(what).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        match self.output.write_all(&text).and_then(|()| self.output.flush()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => self.gone = true,
            done => done.map_err(failed)?,
        }
        Ok(())
    }
}
