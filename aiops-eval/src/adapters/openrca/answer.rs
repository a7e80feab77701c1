//! Answers in the benchmark's format, and how they are scored.

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

/// Reads an answer, anybody's: the object that its text holds, with or without words around it. Nothing, where it holds none.
#[must_use]
pub fn from_text(text: &str) -> Vec<Answer> {
    let (Some(from), Some(to)) = (text.find('{'), text.rfind('}')) else { return Vec::new() };
    let value: Option<Value> = text.get(from..=to).and_then(|json| serde_json::from_str(json).ok());
    let Some(Value::Object(all)) = value else { return Vec::new() };
    let text = |object: &Value, key: &str| {
        object.get(key).and_then(Value::as_str).map(ToOwned::to_owned).unwrap_or_default()
    };
    let answer =
        |o: &Value| Answer { time: text(o, TIME), component: text(o, COMPONENT), reason: text(o, REASON) };
    if all.values().any(Value::is_object) {
        return all.values().filter(|v| v.is_object()).map(answer).collect();
    }
    vec![answer(&Value::Object(all))]
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
