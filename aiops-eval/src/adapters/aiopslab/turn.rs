//! What an agent does in a turn, in the forms that it may be written in.

use serde::Deserialize;
use serde_json::{Map, Value};

use aiops_core::action::Operation;
use aiops_core::model::EntityId;

use super::literal;

/// What an agent may do in a turn.
///
/// Written as a line of JSON, or as the suite's agents write it: a call with Python literals, alone or in a block of three ticks with words
/// around it.
///
/// ```
/// use aiops_eval::adapters::aiopslab::Turn;
/// let json = Turn::parse(r#"{"api": "get_metrics", "namespace": "default", "duration": 10}"#)?;
/// assert_eq!(Turn::parse("get_metrics('default', duration=10)")?, json);
/// assert_eq!(Turn::parse("Let me look.\n```\nget_metrics(\"default\", 10)\n```")?, json);
/// assert!(Turn::parse("get_metrics(10, 20, 30)").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "api", rename_all = "snake_case", deny_unknown_fields)]
pub enum Turn {
    /// Lines of a service.
    GetLogs {
        /// Where it runs; default where everything does.
        #[serde(default)]
        namespace: Option<String>,
        /// Whose.
        service: String,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
    },
    /// Metrics, a row a series.
    GetMetrics {
        /// Where; default where everything runs.
        #[serde(default)]
        namespace: Option<String>,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
        /// Whose; default everybody's.
        #[serde(default)]
        service: Option<String>,
    },
    /// Spans.
    GetTraces {
        /// Where; default where everything runs.
        #[serde(default)]
        namespace: Option<String>,
        /// Of the last minutes; default 5.
        #[serde(default = "five")]
        duration: u64,
        /// Whose; default everybody's.
        #[serde(default)]
        service: Option<String>,
    },
    /// A command line, of those that are known.
    ExecShell {
        /// It.
        command: String,
    },
    /// An action that `kubectl` has no word for.
    Act {
        /// On whom: `cache/session`, `node/n1`.
        target: EntityId,
        /// What: `"cache_purge"`, `{"concurrency": {"limit": 40}}`.
        operation: Operation,
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

/// Calls with their arguments in order.
pub(super) const CALLS: [(&str, &[&str]); 7] = [
    ("get_logs", &["namespace", "service", "duration"]),
    ("get_metrics", &["namespace", "duration", "service"]),
    ("get_traces", &["namespace", "duration", "service"]),
    ("exec_shell", &["command"]),
    ("act", &["target", "operation"]),
    ("wait", &["minutes"]),
    ("submit", &["solution"]),
];

pub(super) const TICKS: &str = "```";

impl Turn {
    /// Reads what an agent said: an object of JSON, a string of JSON that holds a message, or the message itself.
    ///
    /// # Errors
    /// In words: no call, more than one block, an unknown call or argument, one that is missing or of a wrong kind.
    pub fn parse(said: &str) -> Result<Self, String> {
        let said = said.trim();
        let read = |value| serde_json::from_value(value).map_err(|e| e.to_string());
        match said.chars().next() {
            Some('{') => serde_json::from_str(said).map_err(|e| e.to_string()),
            Some('"') => {
                let message: String = serde_json::from_str(said).map_err(|e| e.to_string())?;
                read(call(block(&message)?)?)
            }
            _ => read(call(block(said)?)?),
        }
    }
}

/// What stands in the one block of `message`, or all of one without a block.
fn block(message: &str) -> Result<&str, String> {
    let parts: Vec<&str> = message.split(TICKS).collect();
    match parts.as_slice() {
        [whole] => Ok(whole),
        // The first line may name a language.
        [_, inside, _] => Ok(match inside.split_once('\n') {
            Some((first, rest)) if !first.contains('(') => rest,
            _ => inside,
        }),
        _ => Err("write one call in one pair of three ticks".to_owned()),
    }
}

/// `get_logs("default", "front")` as an object with the names of its arguments.
fn call(text: &str) -> Result<Value, String> {
    let parts = text.split_once('(').and_then(|(name, rest)| Some((name.trim(), rest.rsplit_once(')')?.0)));
    let Some((name, inside)) = parts else { return Err("no call; write api(arguments)".to_owned()) };
    let known = CALLS.iter().find(|(known, _)| *known == name);
    let Some((_, parameters)) = known else {
        let all: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
        return Err(format!("no call {name:?}; known: {}", all.join(", ")));
    };
    let mut object = Map::new();
    if name == "exec_shell" {
        object.insert("command".to_owned(), Value::from(command(inside)?));
    } else {
        let read = literal::arguments(inside)?;
        if read.placed.len() > parameters.len() {
            return Err(format!("{name} takes {}", parameters.join(", ")));
        }
        object.extend(parameters.iter().map(|p| (*p).to_owned()).zip(read.placed));
        for (parameter, value) in read.named {
            if object.insert(parameter.clone(), value).is_some() {
                return Err(format!("{parameter} is given twice"));
            }
        }
    }
    if object.insert("api".to_owned(), Value::from(name)).is_some() {
        return Err("api is no argument".to_owned());
    }
    Ok(Value::Object(object))
}

/// A command line between quotes; as in the suite, quotes within need no escape.
fn command(inside: &str) -> Result<String, String> {
    let inside = inside.trim();
    let named = inside.strip_prefix("command").and_then(|rest| rest.trim_start().strip_prefix('='));
    let quoted = named.unwrap_or(inside).trim();
    let bare = ['"', '\''].into_iter().find_map(|q| quoted.strip_prefix(q)?.strip_suffix(q));
    let bare = bare.ok_or_else(|| "a command is a string in quotes".to_owned())?;
    Ok(bare.replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_the_suite_writes_them() {
        let shell = |command: &str| Turn::ExecShell { command: command.to_owned() };
        for (said, turn) in [
            ("exec_shell(\"ls -l\")      # lists files", shell("ls -l")),
            ("exec_shell('echo \"a, b\"')", shell("echo \"a, b\"")),
            ("exec_shell(command=\"get -o jsonpath=\"{.x}\"\")", shell("get -o jsonpath=\"{.x}\"")),
            ("I should run:\n```\nexec_shell(\"ls\")\n```\n", shell("ls")),
            ("```python\nexec_shell(\"ls\")\n```", shell("ls")),
            ("\"So:\\n```\\nexec_shell(\\\"ls\\\")\\n```\"", shell("ls")),
            ("submit()", Turn::Submit { solution: Value::Null }),
            ("submit([\"a\"])", Turn::Submit { solution: serde_json::json!(["a"]) }),
            ("submit(solution='Yes')", Turn::Submit { solution: "Yes".into() }),
            ("wait(3)", Turn::Wait { minutes: 3 }),
            (
                "act('cache/session', 'cache_purge')",
                Turn::Act { target: "cache/session".parse().unwrap(), operation: Operation::CachePurge },
            ),
            (
                "get_logs('default', 'front')",
                Turn::GetLogs { namespace: Some("default".into()), service: "front".into(), duration: 5 },
            ),
        ] {
            assert_eq!(Turn::parse(said).unwrap(), turn, "{said}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for (said, why) in [
            ("", "no call"),
            ("hello", "no call"),
            (")(", "no call"),
            ("rm(\"x\")", "no call \"rm\""),
            ("get_logs('default')", "missing field `service`"),
            ("get_logs('default', 7)", "invalid type"),
            ("get_logs('default', service='a', who='b')", "unknown field `who`"),
            ("get_metrics('default', -5)", "invalid value"),
            ("get_metrics('d', 5, 's', 1)", "takes namespace, duration, service"),
            ("get_metrics('d', namespace='e')", "twice"),
            ("wait(api='submit')", "api is no argument"),
            ("exec_shell(ls)", "in quotes"),
            ("exec_shell(\")", "in quotes"),
            ("```\nwait(1)\n```\n```\nwait(1)\n```", "one pair"),
            ("```\nwait(1)", "one pair"),
            ("\"open", "EOF"),
            ("{\"api\": \"wait\", \"minutes\": 1, \"hours\": 1}", "unknown field"),
            ("{\"api\": \"fly\"}", "unknown variant"),
        ] {
            let failed = Turn::parse(said).unwrap_err();
            assert!(failed.contains(why), "{said}: {failed}");
        }
    }
}
