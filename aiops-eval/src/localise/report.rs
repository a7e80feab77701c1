//! Shares with their counts.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{Calibration, Outcome, QuietReport};
use crate::EvalError;

/// A share with what it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// How many were right.
    pub right: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    fn over<T>(items: &[T], right: impl Fn(&T) -> bool) -> Self {
        Self { right: items.iter().filter(|i| right(i)).count(), of: items.len() }
    }

    pub(crate) fn of(right: usize, of: usize) -> Self {
        Self { right, of }
    }

    /// The share; 0 of nothing.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of cases")]
    pub fn value(self) -> f64 {
        self.right as f64 / self.of.max(1) as f64
    }
}

/// Accuracy over some incidents.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassScore {
    /// Root among the first 1, 3, 5.
    pub ac: [Share; 3],
    /// Mean of AC@1..AC@5.
    pub avg5: f64,
    /// Fault class of the first suspect right, where set and method have one.
    pub fault_class: Share,
}

impl ClassScore {
    fn of(outcomes: &[&Outcome]) -> Self {
        let within = |k: usize| Share::over(outcomes, |o| o.rank.is_some_and(|r| r <= k));
        let told: Vec<bool> = outcomes.iter().filter_map(|o| o.class_right).collect();
        Self {
            ac: [within(1), within(3), within(5)],
            avg5: (1..=5).map(|k| within(k).value()).sum::<f64>() / 5.0,
            fault_class: Share::over(&told, |t| *t),
        }
    }
}

/// One method on one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MethodReport {
    /// Its name.
    pub method: String,
    /// Over all incidents it could see.
    pub total: ClassScore,
    /// By class of fault (PetShop: by metric of the target).
    pub classes: BTreeMap<String, ClassScore>,
    /// Median time to answer, milliseconds.
    pub median_ms: f64,
    /// Longest time to answer, milliseconds.
    pub max_ms: f64,
    /// Median of the ratio of the time to answer to that of one pass over the same telemetry.
    pub passes: f64,
    /// Reliability of the margin, by leave-one-out; where there are enough incidents and the method has one.
    pub calibration: Option<Calibration>,
    /// Answers, in order of the incidents.
    pub outcomes: Vec<Outcome>,
}

/// How well faults were noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Detection {
    /// Faults with an alarm from one minute before the injection to four minutes after it.
    pub detected: Share,
    /// Median seconds from the injection to the alarm.
    pub median_delay: Option<f64>,
    /// Longest such time.
    pub max_delay: Option<f64>,
    /// Root first, of the faults whose alarm came at the injection or later.
    pub right_after: Share,
    /// Root first, of the faults whose alarm came before the injection.
    pub right_before: Share,
    /// False alarms, where the set has recordings without a fault.
    pub quiet: Option<QuietReport>,
}

impl Detection {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut delays: Vec<f64> = outcomes.iter().filter_map(|o| o.delay).collect();
        delays.sort_by(f64::total_cmp);
        let right = |when: &dyn Fn(f64) -> bool| {
            let of: Vec<&Outcome> = outcomes.iter().filter(|o| o.delay.is_some_and(when)).collect();
            Share::over(&of, |o| o.rank == Some(1))
        };
        Self {
            right_after: right(&|delay| delay >= 0.0),
            right_before: right(&|delay| delay < 0.0),
            detected: Share::over(outcomes, |o| o.delay.is_some()),
            median_delay: delays.get(delays.len() / 2).copied(),
            max_delay: delays.last().copied(),
            quiet: None,
        }
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Share { right, of } = self.detected;
        write!(f, "detected {:.2} ({right}/{of})", self.detected.value())?;
        if let (Some(median), Some(max)) = (self.median_delay, self.max_delay) {
            write!(f, ", {median:.0} s after the injection (median; at most {max:.0} s)")?;
        }
        let share = |s: Share| format!("{}/{}", s.right, s.of);
        let (after, before) = (share(self.right_after), share(self.right_before));
        write!(f, "; root first {after} of alarms since the injection, {before} of those before it")?;
        match &self.quiet {
            Some(q) => write!(
                f,
                "; quiet, {} only: {} alarms in {:.1} h, {:.2} an hour, {}/{} looks alarmed",
                q.signals.join(" and "),
                q.alarms,
                q.hours,
                q.alarms_per_hour,
                q.looks.right,
                q.looks.of
            ),
            None => write!(f, "; nothing quiet was recorded"),
        }
    }
}

/// All methods on one set.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SetReport {
    /// Name of the set's folder.
    pub set: String,
    /// Incidents left out because nothing normal was recorded.
    pub left_out: usize,
    /// Methods, the fused one on everything first.
    pub methods: Vec<MethodReport>,
    /// How well faults were noticed, where they were to be.
    pub detection: Option<Detection>,
}

impl SetReport {
    pub(super) fn of(set: String, left_out: usize, methods: Vec<(String, Vec<Outcome>)>) -> Self {
        let methods = methods.into_iter().filter(|(_, o)| !o.is_empty());
        Self {
            set,
            left_out,
            methods: methods.map(|(method, o)| report(method, o)).collect(),
            detection: None,
        }
    }

    /// A table; with the incidents whose root was not first where `cases`.
    #[must_use]
    pub fn text(&self, cases: bool) -> String {
        let mut text =
            format!("{} ({} incidents left out: nothing normal recorded)\n", self.set, self.left_out);
        let _ = writeln!(
            text,
            "  {:<19} {:>14} {:>14} {:>14} {:>6} {:>14} {:>9} {:>9} {:>7}",
            "method", "AC@1", "AC@3", "AC@5", "Avg@5", "fault class", "median ms", "max ms", "passes"
        );
        for m in &self.methods {
            line(&mut text, &m.method, &m.total, Some((m.median_ms, m.max_ms, m.passes)));
        }
        if let Some(detection) = &self.detection {
            let _ = writeln!(text, "  {detection}");
        }
        if let Some(first) = self.methods.first() {
            for (class, score) in &first.classes {
                line(&mut text, &format!("  {class}"), score, None);
            }
            if let Some(c) = &first.calibration {
                let _ = writeln!(text, "  {c}");
            }
            for o in
                first.outcomes.iter().filter(|o| cases && (o.rank != Some(1) || o.class_right == Some(false)))
            {
                let rank = o.rank.map_or("-".to_owned(), |r| r.to_string());
                let _ = writeln!(
                    text,
                    "  {} [{}] root at {rank}, class {}, onset {}",
                    o.case,
                    o.class,
                    o.answered.as_deref().unwrap_or("-"),
                    o.onset.map_or("-".to_owned(), |t| t.to_string())
                );
                for s in &o.suspects {
                    let _ = writeln!(text, "      {:.2} {} {}", s.score, s.entity, s.fault);
                    for f in s.findings.iter().take(4) {
                        let _ = writeln!(
                            text,
                            "          {:.2}×{:.2} {:?}: {}",
                            f.strength, f.own, f.kind, f.statement
                        );
                    }
                }
            }
        }
        text
    }

    /// Writes `<set>.csv` (the first method's rankings: case_id, rank, entity, score, fault_class; after case_id the draw, where there are
    /// several) and, with what it rests on, `<set>.json` to `folder`. Equal scores share the last of their ranks.
    ///
    /// # Errors
    /// [`EvalError::Read`] where it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), EvalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| EvalError::Read { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = folder.join(format!("{}.csv", self.set));
        let mut csv = std::fs::File::create(&path).map_err(failed(&path))?;
        let Some(first) = self.methods.first() else { return Ok(()) };
        let drawn = first.outcomes.iter().any(|o| o.draw.is_some());
        let column = if drawn { "draw," } else { "" };
        writeln!(csv, "case_id,{column}rank,entity,score,fault_class").map_err(failed(&path))?;
        for o in &first.outcomes {
            let draw = o.draw.map_or(String::new(), |draw| format!("{draw},"));
            for (entity, score, class) in &o.ranking {
                let name = entity.name().replace('"', "\"\"");
                let rank = o.ranking.iter().filter(|r| r.1 >= *score).count();
                writeln!(csv, "{},{draw}{rank},\"{name}\",{score},{class}", o.case).map_err(failed(&path))?;
            }
        }
        let path = folder.join(format!("{}.json", self.set));
        let json = serde_json::to_vec_pretty(self).map_err(|e| failed(&path)(e.into()))?;
        std::fs::write(&path, json).map_err(failed(&path))
    }
}

fn line(text: &mut String, name: &str, score: &ClassScore, times: Option<(f64, f64, f64)>) {
    let share = |s: &Share| format!("{:.2} ({}/{})", s.value(), s.right, s.of);
    let [one, three, five] = score.ac.each_ref().map(share);
    let class = if score.fault_class.of == 0 { "-".to_owned() } else { share(&score.fault_class) };
    let _ = write!(text, "  {name:<19} {one:>14} {three:>14} {five:>14} {:>6.2} {class:>14}", score.avg5);
    let _ = match times {
        Some((median, max, passes)) => writeln!(text, " {median:>9.1} {max:>9.1} {passes:>7.1}"),
        None => writeln!(text),
    };
}

fn report(method: String, outcomes: Vec<Outcome>) -> MethodReport {
    let mut classes: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for o in &outcomes {
        classes.entry(o.class.clone()).or_default().push(o);
    }
    let sorted = |of: &dyn Fn(&Outcome) -> f64| {
        let mut values: Vec<f64> = outcomes.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let times = sorted(&|o| o.took.as_secs_f64() * 1e3);
    let passes = sorted(&|o| o.took.as_secs_f64() / o.floor.as_secs_f64().max(1e-9));
    let median = |values: &[f64]| values.get(values.len() / 2).copied().unwrap_or(0.0);
    let answers: Vec<(f64, bool)> = outcomes.iter().map(|o| (o.margin, o.rank == Some(1))).collect();
    MethodReport {
        total: ClassScore::of(&outcomes.iter().collect::<Vec<_>>()),
        classes: classes.into_iter().map(|(class, o)| (class, ClassScore::of(&o))).collect(),
        median_ms: median(&times),
        max_ms: times.last().copied().unwrap_or(0.0),
        passes: median(&passes),
        calibration: Calibration::leave_one_out(&answers),
        outcomes,
        method,
    }
}
