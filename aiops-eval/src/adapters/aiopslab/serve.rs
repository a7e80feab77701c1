//! The orchestrator's side: problems handed out and turns taken over lines of JSON, so that any agent can play.

use std::io::{BufRead, Write};

use aiops_core::model::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arena::{Problem, Problems, Shown};
use super::{Results, Submission, Task};
use crate::EvalError;

/// Most turns of one problem before it ends without a submission.
const MOST_TURNS: u64 = 100;
/// Longest line that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What an agent may do in a turn: one line of JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "api", rename_all = "snake_case", deny_unknown_fields)]
pub enum Turn {
    /// Lines of a service.
    GetLogs {
        /// Whose.
        service: String,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
    },
    /// Metrics, a row a series.
    GetMetrics {
        /// Whose; default everybody's.
        #[serde(default)]
        service: Option<String>,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
    },
    /// Spans.
    GetTraces {
        /// Whose; default everybody's.
        #[serde(default)]
        service: Option<String>,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
    },
    /// A command line, of those that are known.
    ExecShell {
        /// It.
        command: String,
    },
    /// Let minutes pass.
    Wait {
        /// How many.
        minutes: u64,
    },
    /// The answer; ends the problem.
    Submit {
        /// In the form of the task.
        #[serde(default)]
        solution: Value,
    },
}

fn five() -> u64 {
    5
}

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

/// Hands out every problem in turn: a line that states it, then a line for each line of `input`, the last with the results. A line that is no
/// [`Turn`] is refused and counts as one; whoever does not submit within 100 turns, or hangs up, has not.
///
/// # Errors
/// [`EvalError::Read`] and [`EvalError::Write`] when a line cannot be read or written.
pub fn serve(
    problems: &Problems,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Vec<ServeReport>, EvalError> {
    let mut reports = Vec::new();
    for number in 0..problems.len() {
        let Some((task, layout)) = problems.at(number) else { break };
        let mut problem = Problem::begin(task, layout);
        let inventory: Vec<String> = problem.inventory().iter().map(ToString::to_string).collect();
        let stated = json!({
            "event": "problem",
            "problem": number,
            "task": task,
            "statement": task.statement(),
            "system": inventory,
            "apis": ["get_logs", "get_metrics", "get_traces", "exec_shell", "wait", "submit"],
        });
        say(output, &stated)?;
        let results = play(&mut problem, input, output)?;
        say(output, &Shown::Result { results: results.clone() })?;
        reports.push(ServeReport { problem: number, task, results });
    }
    Ok(reports)
}

fn play(
    problem: &mut Problem,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Results, EvalError> {
    for _ in 0..MOST_TURNS {
        let Some(line) = line(input)? else { break };
        problem.turn();
        let turn: Result<Turn, String> =
            line.and_then(|l| serde_json::from_str(&l).map_err(|e| e.to_string()));
        let shown = match turn {
            Ok(Turn::Submit { solution }) => {
                let submission = Submission::parse(problem.task(), &solution);
                return Ok(problem.end(submission.as_ref()));
            }
            Ok(Turn::GetLogs { service, duration }) => problem.look(Signal::Logs, Some(&service), duration),
            Ok(Turn::GetMetrics { service, duration }) => {
                problem.look(Signal::Metrics, service.as_deref(), duration)
            }
            Ok(Turn::GetTraces { service, duration }) => {
                problem.look(Signal::Traces, service.as_deref(), duration)
            }
            Ok(Turn::ExecShell { command }) => problem.shell(&command),
            Ok(Turn::Wait { minutes }) => problem.wait(minutes),
            Err(reason) => Ok(Shown::Refused { reason }),
        };
        say(output, &shown.unwrap_or_else(|e| Shown::Refused { reason: e.to_string() }))?;
    }
    Ok(problem.end(None))
}

/// The next line; `None` at the end of all, `Some(Err)` for one that is too long or no UTF-8.
fn line(input: &mut impl BufRead) -> Result<Option<Result<String, String>>, EvalError> {
    let failed = |source| EvalError::Read { path: "-".into(), source };
    let mut bytes = Vec::new();
    let read = std::io::Read::take(&mut *input, MOST_BYTES).read_until(b'\n', &mut bytes).map_err(failed)?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') && read as u64 == MOST_BYTES {
        // What is left of it is no line of its own.
        loop {
            let buffer = input.fill_buf().map_err(failed)?;
            let (end, n) = match buffer.iter().position(|b| *b == b'\n') {
                Some(at) => (true, at + 1),
                None => (buffer.is_empty(), buffer.len()),
            };
            input.consume(n);
            if end {
                break;
            }
        }
        return Ok(Some(Err(format!("a line of more than {MOST_BYTES} bytes"))));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| "a line that is no UTF-8".to_owned())))
}

fn say(output: &mut impl Write, what: &impl Serialize) -> Result<(), EvalError> {
    let failed = |source| EvalError::Write { path: "-".into(), source };
    let mut text = serde_json::to_vec(what).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    output.write_all(&text).and_then(|()| output.flush()).map_err(failed)
}
