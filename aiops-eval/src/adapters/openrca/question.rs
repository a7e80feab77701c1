//! `query.csv`: what is asked, in words.

use std::path::Path;
use std::time::Duration;

use aiops_core::jiff::civil::{Date, DateTime, Time};
use aiops_core::jiff::tz::Offset;
use aiops_core::jiff::{Span, Timestamp};
use aiops_core::model::{TimeRange, time};
use serde::Serialize;

use crate::EvalError;

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// When it began.
    pub time: bool,
    /// Who is at fault.
    pub component: bool,
    /// Why.
    pub reason: bool,
}

impl Asked {
    /// Of `task_1` to `task_7`; `None` of any other.
    #[must_use]
    pub fn of(task: &str) -> Option<Self> {
        let (time, component, reason) = match task {
            "task_1" => (true, false, false),
            "task_2" => (false, false, true),
            "task_3" => (false, true, false),
            "task_4" => (true, false, true),
            "task_5" => (true, true, false),
            "task_6" => (false, true, true),
            "task_7" => (true, true, true),
            _ => return None,
        };
        Some(Self { time, component, reason })
    }
}

/// One row of `query.csv`, without its scoring points.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Question {
    /// Line of the file.
    pub line: u64,
    /// `task_1` to `task_7`.
    pub task: String,
    /// What that asks for.
    pub asked: Asked,
    /// The instruction.
    pub instruction: String,
    /// The stretch of time that it names, or why it cannot be answered.
    pub range: Result<TimeRange, String>,
    /// How many failures it speaks of, 1 to [`MOST_FAILURES`].
    pub failures: usize,
}

/// Most failures of one question; all their orders are tried when an answer is scored.
pub const MOST_FAILURES: usize = 7;

/// Longest stretch of time that is asked about.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the questions of `path` and never keeps its column `scoring_points`.
///
/// # Errors
/// [`EvalError::NoColumn`], and [`EvalError::Table`] for an unknown task. An instruction that names no stretch of time, or too many failures,
/// is no error: it stands in [`Question::range`], and the question stays without an answer.
pub fn questions(path: &Path, zone: Offset) -> Result<Vec<Question>, EvalError> {
    let mut all = Vec::new();
    super::table::rows(path, &["task_index", "instruction"], |line, cells| {
        let [task, instruction] = cells else { return Ok(()) };
        let bad = |what: String| EvalError::Table { path: path.to_owned(), line, what };
        let asked = Asked::of(task).ok_or_else(|| bad(format!("unknown task {task:?}")))?;
        let (range, failures) = match failures(instruction) {
            many if many > MOST_FAILURES => (Err(format!("{many} failures; at most {MOST_FAILURES}")), 1),
            few => (stretch(instruction, zone), few),
        };
        let (task, instruction) = (task.clone(), instruction.clone());
        all.push(Question { line, task, asked, instruction, range, failures });
        Ok(())
    })?;
    Ok(all)
}

/// Letters and digits, and what stands between the digits of a time or a date; `2021-03-04T14:30` and `14:30-15:00` are two words.
fn tokens(text: &str) -> Vec<String> {
    let split = |c: char| !(c.is_alphanumeric() || c == ':' || c == '-');
    let words = text.split(split).map(str::to_ascii_lowercase).flat_map(|word| {
        let parts: Vec<&str> = match word.split_once('t') {
            Some((date, time)) if date.contains('-') && time.contains(':') => vec![date, time],
            _ if word.contains(':') => word.split('-').collect(),
            _ => vec![word.as_str()],
        };
        let trimmed = parts.into_iter().map(|part| part.trim_matches(|c| c == ':' || c == '-').to_owned());
        trimmed.collect::<Vec<String>>()
    });
    words.filter(|w| !w.is_empty()).collect()
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn month(word: &str) -> Option<i8> {
    let full = |m: &&str| **m == *word || (word.len() == 3 && m.starts_with(word));
    i8::try_from(MONTHS.iter().position(full)? + 1).ok()
}

/// `4`, `4th`.
fn day(word: &str) -> Option<i8> {
    ["st", "nd", "rd", "th"].into_iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).parse().ok()
}

/// A date that begins at the first of `words`: `March 4 2021`, `4 March 2021`, `2021-03-04`.
fn date(words: &[String]) -> Option<Date> {
    let word = |i: usize| words.get(i).map(String::as_str);
    let year = |i: usize| word(i).filter(|w| w.len() == 4).and_then(|w| w.parse::<i16>().ok());
    if let Some(m) = word(0).and_then(month) {
        return Date::new(year(2)?, m, day(word(1)?)?).ok();
    }
    if let (Some(d), Some(m)) = (word(0).and_then(day), word(1).and_then(month)) {
        return Date::new(year(2)?, m, d).ok();
    }
    let mut parts = word(0)?.split('-');
    let (y, m, d) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = y.len() == 4 && parts.next().is_none();
    whole.then(|| Date::new(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?).ok())?
}

/// A time that is the first of `words`, and whether it is the end of the day: `14:30`, `14:30:00`, `2:30 pm`, `24:00`.
fn clock(words: &[String]) -> Option<(Time, bool)> {
    let first = words.first()?;
    let inline = ["am", "pm"].into_iter().find(|half| first.ends_with(half));
    let digits = inline.map_or(first.as_str(), |half| first.trim_end_matches(half));
    let half = inline.or_else(|| words.get(1).map(String::as_str).filter(|w| ["am", "pm"].contains(w)));
    let mut parts = digits.split(':').map(str::parse::<i8>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().transpose().ok()?.unwrap_or(0);
    if parts.next().is_some() {
        return None;
    }
    let hour = match half {
        Some("pm") if hour < 12 => hour + 12,
        Some("am") if hour == 12 => 0,
        _ => hour,
    };
    if (hour, minute, second) == (24, 0, 0) {
        return Some((Time::midnight(), true));
    }
    Some((Time::new(hour, minute, second, 0).ok()?, false))
}

/// The stretch of time that `instruction` names: its first two times, each on the last date before it or, where none is, the first.
fn stretch(instruction: &str, zone: Offset) -> Result<TimeRange, String> {
    let words = tokens(instruction);
    let words = words.as_slice();
    let starts = move || (0..words.len()).filter_map(move |i| Some((i, words.get(i..)?)));
    let dates: Vec<(usize, Date)> = starts().filter_map(|(i, rest)| Some((i, date(rest)?))).collect();
    let mut times = starts().filter_map(|(i, rest)| Some((i, clock(rest)?)));
    let Some((_, first)) = dates.first().copied() else {
        return Err("the instruction names no date".to_owned());
    };
    let on = |i: usize| dates.iter().rev().find(|(at, _)| *at < i).map_or(first, |(_, d)| *d);
    let (Some((i, (from, late))), Some((j, (to, end)))) = (times.next(), times.next()) else {
        return Err("the instruction names no two times".to_owned());
    };
    let instant = |date: Date, time: Time, days: i64| -> Option<Timestamp> {
        let date = date.checked_add(Span::new().try_days(days).ok()?).ok()?;
        zone.to_timestamp(DateTime::from_parts(date, time)).ok()
    };
    // `from 23:30 to 00:00` ends with the day.
    let midnight = end || (to == Time::midnight() && on(i) == on(j) && from > to);
    let (from, to) = (instant(on(i), from, i64::from(late)), instant(on(j), to, i64::from(midnight)));
    let (Some(from), Some(to)) = (from, to) else { return Err("a time out of range".to_owned()) };
    if from >= to {
        return Err(format!("the time asked about ends before it begins: {from} to {to}"));
    }
    if time::elapsed(from, to) > LONGEST {
        return Err(format!("the time asked about is longer than a day: {from} to {to}"));
    }
    TimeRange::new(from, to).map_err(|e| e.to_string())
}

const NUMBERS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

/// How many failures an instruction speaks of; 1 where it does not say.
fn failures(instruction: &str) -> usize {
    let words = tokens(instruction);
    let named = |w: &String| NUMBERS.iter().position(|n| n == w).map(|n| n + 1);
    let digits = |w: &String| w.parse::<usize>().ok().filter(|n| (1..100).contains(n));
    let about = words.iter().enumerate().filter(|(_, w)| w.starts_with("failure"));
    let counted = about.filter_map(|(i, _)| {
        // A number further off is that of a day.
        let adjacent = i.checked_sub(1).and_then(|at| words.get(at)).and_then(digits);
        let before = words.get(i.saturating_sub(3)..i).unwrap_or_default().iter().rev().find_map(named);
        // `number of failures: 2`
        let asked = i.checked_sub(2).and_then(|at| words.get(at)).is_some_and(|w| w == "number");
        adjacent.or(before).or_else(|| words.get(i + 1).filter(|_| asked).and_then(digits))
    });
    counted.max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_time_are_read_in_the_words_of_the_suite() {
        let zone = Offset::constant(8);
        for (text, from, to) in [
            (
                "On March 4, 2021, within the time range of 14:30 to 15:00, a failure",
                1_614_839_400,
                1_614_841_200,
            ),
            ("time range of March 6, 2021, from 23:30 to 00:00, two failures", 1_615_044_600, 1_615_046_400),
            ("from March 6, 2021, 23:30 to March 7, 2021, 00:00", 1_615_044_600, 1_615_046_400),
            ("between 2021-03-04 14:30:00 and 2021-03-04 15:00:00", 1_614_839_400, 1_614_841_200),
            ("on 4th March 2021 between 2:30 PM and 3:00pm", 1_614_839_400, 1_614_841_200),
            ("March 6, 2021, 23:30 to 24:00", 1_615_044_600, 1_615_046_400),
            ("March 4, 2021 (14:30-15:00)", 1_614_839_400, 1_614_841_200),
            ("2021-03-04T14:30 to 2021-03-04T15:00:00", 1_614_839_400, 1_614_841_200),
        ] {
            let range = stretch(text, zone).unwrap();
            assert_eq!((range.start().as_second(), range.end().as_second()), (from, to), "{text}");
        }
        for (text, why) in [
            ("between 14:30 and 15:00", "no date"),
            ("on March 4, 2021", "no two times"),
            ("on March 4, 2021 from 15:00 to 14:30", "before it begins"),
            ("on February 30, 2021 from 14:00 to 14:30", "no date"),
            ("from March 4, 2021, 15:00 to March 6, 2021, 14:30", "longer than a day"),
            ("from January 1, 0001, 00:00 to December 31, 9999, 23:59", "range"),
            ("March March 99999999999 ::: -- 4th-4th :t: 25:61 to 99:99", "no date"),
            ("", "no date"),
        ] {
            assert!(stretch(text, zone).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn failures_are_counted() {
        for (text, n) in [
            ("there were two failures detected", 2),
            ("a single failure was detected", 1),
            ("Three reported failures. Each failure …", 3),
            ("number of failures: 2", 2),
            ("the system failed", 1),
            ("on March 4, 2021, a failure", 1),
        ] {
            assert_eq!(failures(text), n, "{text}");
        }
    }
}
