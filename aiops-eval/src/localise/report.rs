//! Shares with their counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{Calibration, Outcome};
use crate::EvalError;

/// A share with what it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// Reliability of the margin, by leave-one-out; where there are enough incidents and the method has one.
    pub calibration: Option<Calibration>,
    /// Answers, in order of the incidents.
    pub outcomes: Vec<Outcome>,
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
}

impl SetReport {
    pub(super) fn of(set: String, left_out: usize, methods: Vec<(String, Vec<Outcome>)>) -> Self {
        let methods = methods.into_iter().filter(|(_, o)| !o.is_empty());
        Self { set, left_out, methods: methods.map(|(method, o)| report(method, o)).collect() }
    }

    /// A table; with the incidents whose root was not first where `cases`.
    #[must_use]
    pub fn text(&self, cases: bool) -> String {
        let mut text =
            format!("{} ({} incidents left out: nothing normal recorded)\n", self.set, self.left_out);
        let _ = writeln!(
            text,
            "  {:<16} {:>12} {:>12} {:>12} {:>6} {:>12} {:>9} {:>9}",
            "method", "AC@1", "AC@3", "AC@5", "Avg@5", "fault class", "median ms", "max ms"
        );
        for m in &self.methods {
            line(&mut text, &m.method, &m.total, Some((m.median_ms, m.max_ms)));
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
                    "  {} [{}] root at {rank}, class {}",
                    o.case,
                    o.class,
                    o.answered.as_deref().unwrap_or("-")
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

    /// Writes `<set>.csv` (the first method's rankings: case_id, rank, entity, score, fault_class) and, with what it rests
    /// on, `<set>.json` to `folder`.
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
        writeln!(csv, "case_id,rank,entity,score,fault_class").map_err(failed(&path))?;
        let Some(first) = self.methods.first() else { return Ok(()) };
        for o in &first.outcomes {
            for (i, (entity, score, class)) in o.ranking.iter().enumerate() {
                let name = entity.name().replace('"', "\"\"");
                writeln!(csv, "{},{},\"{name}\",{score},{class}", o.case, i + 1).map_err(failed(&path))?;
            }
        }
        let path = folder.join(format!("{}.json", self.set));
        let json = serde_json::to_vec_pretty(self).map_err(|e| failed(&path)(e.into()))?;
        std::fs::write(&path, json).map_err(failed(&path))
    }
}

fn line(text: &mut String, name: &str, score: &ClassScore, times: Option<(f64, f64)>) {
    let share = |s: &Share| format!("{:.2} ({}/{})", s.value(), s.right, s.of);
    let [one, three, five] = score.ac.each_ref().map(share);
    let class = if score.fault_class.of == 0 { "-".to_owned() } else { share(&score.fault_class) };
    let _ = write!(text, "  {name:<16} {one:>12} {three:>12} {five:>12} {:>6.2} {class:>12}", score.avg5);
    let _ = match times {
        Some((median, max)) => writeln!(text, " {median:>9.1} {max:>9.1}"),
        None => writeln!(text),
    };
}

fn report(method: String, outcomes: Vec<Outcome>) -> MethodReport {
    let mut classes: BTreeMap<String, Vec<&Outcome>> = BTreeMap::new();
    for o in &outcomes {
        classes.entry(o.class.clone()).or_default().push(o);
    }
    let mut times: Vec<f64> = outcomes.iter().map(|o| o.took.as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    let answers: Vec<(f64, bool)> = outcomes.iter().map(|o| (o.margin, o.rank == Some(1))).collect();
    MethodReport {
        total: ClassScore::of(&outcomes.iter().collect::<Vec<_>>()),
        classes: classes.into_iter().map(|(class, o)| (class, ClassScore::of(&o))).collect(),
        median_ms: times.get(times.len() / 2).copied().unwrap_or(0.0),
        max_ms: times.last().copied().unwrap_or(0.0),
        calibration: Calibration::leave_one_out(&answers),
        outcomes,
        method,
    }
}
