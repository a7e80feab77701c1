//! Answers in the benchmark's format, and how they are scored.

use std::collections::BTreeSet;
use std::path::Path;

use aiops_core::jiff::civil::DateTime;
use aiops_core::jiff::tz::Offset;
use aiops_core::jiff::{Timestamp, Unit};
use serde::Serialize;
use serde_json::Value;

use super::question::{Asked, MOST_FAILURES, Question};
use crate::EvalError;
use crate::localise::Share;

/// Form of times in answers and scoring points, without a zone.
pub(super) const FORM: &str = "%Y-%m-%d %H:%M:%S";
const TIME: &str = "root cause occurrence datetime";
const COMPONENT: &str = "root cause component";
const REASON: &str = "root cause reason";

/// The root cause of one failure; empty where it is not known or was not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// When it began, `2021-03-04 14:57:00` in the set's zone.
    pub time: String,
    /// Who.
    pub component: String,
    /// Why.
    pub reason: String,
}

impl Answer {
    /// Of what was found.
    #[must_use]
    pub fn new(at: Option<Timestamp>, zone: Offset, component: String, reason: String) -> Self {
        let time = at.map(|at| zone.to_datetime(at).strftime(FORM).to_string()).unwrap_or_default();
        Self { time, component, reason }
    }
}

/// `answers` as the benchmark reads them: numbered objects that hold what was asked for, in the order in which its evaluator looks
/// for it (another one it would not find).
#[must_use]
pub fn to_json(answers: &[Answer], asked: Asked) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let object = |(i, answer): (usize, &Answer)| {
        let parts = [
            (asked.time, TIME, &answer.time),
            (asked.component, COMPONENT, &answer.component),
            (asked.reason, REASON, &answer.reason),
        ];
        let parts =
            parts.into_iter().filter(|p| p.0).map(|(_, key, text)| format!("\"{key}\": {}", quoted(text)));
        format!("\"{}\": {{{}}}", i + 1, parts.collect::<Vec<_>>().join(", "))
    };
    let objects: Vec<String> = answers.iter().enumerate().map(object).collect();
    format!("{{{}}}", objects.join(", "))
}

/// Reads answers, anybody's, as the benchmark's evaluator finds them in a text: objects within braces of nothing but the keys above, in that
/// order, each of which may be missing, with or without commas between them, around it whatever words. Other keys, another order, or a value
/// that is no string in quotes make it no answer, or one of which a value goes up to the last quote and is never right. What stands between the quotes is taken as it stands, escapes too.
///
/// O(length of the text).
#[must_use]
pub fn from_text(text: &str) -> Vec<Answer> {
    let mut found = Vec::new();
    let mut dead = BTreeSet::new();
    let mut rest = text;
    while let Some((_, inside)) = rest.split_once('{') {
        let mut values = Vec::new();
        rest = inside;
        if let Some(after) = fields(inside.trim_start(), &[TIME, COMPONENT, REASON], &mut values, &mut dead) {
            let mut values = values.into_iter().map(ToOwned::to_owned);
            let mut value = || values.next().unwrap_or_default();
            found.push(Answer { time: value(), component: value(), reason: value() });
            rest = after;
        }
    }
    found
}

/// The values of `keys` from the start of `text` on, empty where one is missing, and what follows the brace behind them.
///
/// A value ends at the first quote of its line behind which all the rest fits. Where there is none, there is none from a later start on
/// that line either: it is noted in `dead`, by the length of what follows the line and the keys left, and not looked for again.
fn fields<'a>(
    text: &'a str,
    keys: &[&str],
    values: &mut Vec<&'a str>,
    dead: &mut BTreeSet<(usize, usize)>,
) -> Option<&'a str> {
    let Some((key, later)) = keys.split_first() else { return text.trim_start().strip_prefix('}') };
    // No comma is allowed behind the last.
    let next = |rest: &'a str| match later {
        [] => rest,
        _ => rest.strip_prefix(',').unwrap_or(rest).trim_start(),
    };
    let begun = text.strip_prefix('"').and_then(|t| t.strip_prefix(key)).and_then(|t| t.strip_prefix("\":"));
    let Some(begun) = begun.and_then(|t| t.trim_start().strip_prefix('"')) else {
        values.push("");
        return fields(next(text), later, values, dead);
    };
    let line = begun.split('\n').next().unwrap_or_default();
    let place = (begun.len() - line.len(), keys.len());
    if dead.contains(&place) {
        return None;
    }
    let before = values.len();
    for (at, _) in line.match_indices('"') {
        let (value, rest) = (begun.get(..at)?, begun.get(at + 1..)?);
        values.push(value);
        if let Some(after) = fields(next(rest), later, values, dead) {
            return Some(after);
        }
        values.truncate(before);
    }
    dead.insert(place);
    None
}

/// What must be answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScoringPoints {
    /// Components, one a failure, or none when they are not asked for.
    pub components: Vec<String>,
    /// Reasons.
    pub reasons: Vec<String>,
    /// Times.
    pub times: Vec<String>,
}

impl ScoringPoints {
    /// Reads them as the benchmark's evaluator does, a point a line.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut points = Self::default();
        for line in text.lines() {
            let point = |marker: &str| {
                let (before, after) = line.split_once(marker)?;
                let numbered = |word: &str| {
                    let digits = word.strip_suffix("-th").unwrap_or_default();
                    word == "only" || !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
                };
                let word = before.rsplit_once("The ").map(|b| b.1.trim_end())?;
                (numbered(word) && !after.is_empty()).then(|| after.to_owned())
            };
            points.components.extend(point("predicted root cause component is "));
            points.reasons.extend(point("predicted root cause reason is "));
            points.times.extend(point("root cause occurrence time is within 1 minutes (i.e., <=1min) of "));
        }
        points
    }

    /// Failures.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.components.len().max(self.reasons.len()).max(self.times.len())
    }

    fn points(&self) -> usize {
        self.components.len() + self.reasons.len() + self.times.len()
    }
}

/// One answer against its scoring points, each axis for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scored {
    /// Times right to a minute.
    pub time: Share,
    /// Components.
    pub component: Share,
    /// Reasons.
    pub reason: Share,
    /// Everything that was asked for is right.
    pub full: bool,
}

/// Scores as the benchmark does: as many root causes as failures, else nothing counts; of all orders of the answers the first that meets most
/// points; names letter by letter; times to 60 s. n! orders of n failures.
#[must_use]
pub fn score(answers: &[Answer], points: &ScoringPoints) -> Scored {
    let n = points.failures();
    let of = |axis: &[String]| Share::of(0, axis.len());
    let mut best = Scored {
        time: of(&points.times),
        component: of(&points.components),
        reason: of(&points.reasons),
        full: false,
    };
    if n == 0 || answers.len() != n || n > MOST_FAILURES {
        return best;
    }
    let mut most = None;
    let mut order = Vec::with_capacity(n);
    orders(n, &mut order, &mut |order| {
        let hits = |axis: &[String], right: &dyn Fn(&Answer, &str) -> bool| {
            // An axis that does not speak of every failure is not compared.
            if axis.len() != n {
                return 0;
            }
            let pairs = order.iter().zip(axis).filter_map(|(i, point)| Some((answers.get(*i)?, point)));
            pairs.filter(|(answer, point)| right(answer, point)).count()
        };
        let component = hits(&points.components, &|a, p| a.component == p);
        let reason = hits(&points.reasons, &|a, p| a.reason == p);
        let time = hits(&points.times, &|a, p| within_a_minute(&a.time, p));
        let sum = component + reason + time;
        if most.is_none_or(|most| sum > most) {
            most = Some(sum);
            (best.component.right, best.reason.right, best.time.right) = (component, reason, time);
        }
    });
    best.full = most == Some(points.points());
    best
}

/// Every order of the first `n` numbers, the smallest first.
fn orders(n: usize, begun: &mut Vec<usize>, see: &mut impl FnMut(&[usize])) {
    if begun.len() == n {
        see(begun.as_slice());
        return;
    }
    for i in 0..n {
        if !begun.contains(&i) {
            begun.push(i);
            orders(n, begun, see);
            begun.pop();
        }
    }
}

fn within_a_minute(a: &str, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (DateTime::strptime(FORM, a), DateTime::strptime(FORM, b)) else { return false };
    let apart = a.since((Unit::Second, b)).ok().map(|span| span.get_seconds().abs());
    apart.is_some_and(|s| s <= 60)
}

/// The column `scoring_points` of the `query.csv` at `path`. For scoring only.
///
/// # Errors
/// [`EvalError::NoColumn`], [`EvalError::Table`].
pub fn scoring_points(path: &Path) -> Result<Vec<ScoringPoints>, EvalError> {
    let mut all = Vec::new();
    super::table::rows(path, &["scoring_points"], |line, cells| {
        let points = ScoringPoints::of(cells.first().map(String::as_str).unwrap_or_default());
        if points.failures() == 0 {
            return Err(EvalError::Table {
                path: path.to_owned(),
                line,
                what: "no scoring points".to_owned(),
            });
        }
        all.push(points);
        Ok(())
    })?;
    Ok(all)
}

/// Writes `answers` to the questions into `path`, as the benchmark's evaluator reads them.
///
/// # Errors
/// [`EvalError::Csv`], [`EvalError::Write`].
pub(super) fn write(path: &Path, questions: &[Question], answers: &[Vec<Answer>]) -> Result<(), EvalError> {
    let failed = |source| EvalError::Csv { path: path.to_owned(), source };
    let mut table = csv::Writer::from_path(path).map_err(failed)?;
    table.write_record(["row_id", "task_index", "instruction", "prediction"]).map_err(failed)?;
    for (i, (question, answers)) in questions.iter().zip(answers).enumerate() {
        let json = to_json(answers, question.asked);
        table
            .write_record([i.to_string().as_str(), &question.task, &question.instruction, &json])
            .map_err(failed)?;
    }
    table.flush().map_err(|source| EvalError::Write { path: path.to_owned(), source })
}

/// Reads the column `prediction` of `path`, anybody's, in the order of its rows or, where it has a column `row_id`, in the order of that.
///
/// # Errors
/// [`EvalError::NoColumn`], [`EvalError::Table`] also for a `row_id` that is no number.
pub fn predictions(path: &Path) -> Result<Vec<Vec<Answer>>, EvalError> {
    let mut all: Vec<(u64, Vec<Answer>)> = Vec::new();
    let numbered = super::table::has_column(path, "row_id")?;
    let columns: &[&'static str] = if numbered { &["prediction", "row_id"] } else { &["prediction"] };
    super::table::rows(path, columns, |line, cells| {
        let mut cells = cells.iter().map(String::as_str);
        let answers = from_text(cells.next().unwrap_or_default());
        let number = match cells.next().map(|id| id.trim().parse()) {
            None => line,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                let what = "row_id is no number".to_owned();
                return Err(EvalError::Table { path: path.to_owned(), line, what });
            }
        };
        all.push((number, answers));
        Ok(())
    })?;
    // Stable, so that rows of one number stay in their order.
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, answers)| answers).collect())
}
