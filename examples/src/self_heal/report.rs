//! Many runs together: what was healed, how sure that figure is, and what went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use aiops_core::{Case, CasePart};
use aiops_rca::{CalibrationConfig, Calibrator, FittedOn};

use super::record::judged;
use super::safety::Rehearsed;
use super::{RunError, RunRecord, compose};

/// Reads every `*.json` record in a folder, in the order of file names.
///
/// # Errors
/// When the folder cannot be read or a file is no record: no run is left out silently.
pub fn read(folder: &Path) -> Result<Vec<RunRecord>, RunError> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
        .iter()
        .map(|f| {
            serde_json::from_slice(&std::fs::read(f)?).map_err(|e| format!("{}: {e}", f.display()).into())
        })
        .collect()
}

/// Fits a calibration: the first findings of every recorded run are localised and diagnosed anew by today's code, without
/// a calibration, and its hypotheses are held against the truth in the record.
///
/// # Errors
/// When a case file is missing or unreadable, or there are too few hypotheses.
pub fn calibrate(folder: &Path) -> Result<Calibrator, RunError> {
    let (mut outcomes, mut cases) = (Vec::new(), 0);
    for record in read(folder)?.iter().filter(|r| r.first_suspect.is_some()) {
        let Some(truth) = &record.truth else { continue };
        let file = folder.join(format!("{}-{}.case", truth.fault, record.seed));
        let case = Case::from_json(&std::fs::read(&file)?).map_err(|e| format!("{}: {e}", file.display()))?;
        outcomes.extend(judged(&diagnosed_anew(&case)?, truth));
        cases += 1;
    }
    let configuration = compose::root_cause(true)?.configuration(&compose::localizer()?.id());
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("runs");
    let on = FittedOn::new(configuration, cases).with_sets([name]);
    Ok(Calibrator::fit(&outcomes, on, &CalibrationConfig::default())?)
}

/// Every remedy of the recorded runs in `folders` whose effect is known, in order of time: what classes of action graduate by.
///
/// # Errors
/// As [`read`].
pub fn rehearsals(folders: &[&Path]) -> Result<String, RunError> {
    let mut rehearsed = Vec::new();
    for folder in folders {
        for record in read(folder)? {
            let Some(truth) = &record.truth else { continue };
            let right = record.hypotheses.first().is_some_and(|(_, right)| *right);
            let known =
                record.actions.iter().filter_map(|taken| taken.recovery.map(|recovery| (taken, recovery)));
            rehearsed.extend(known.map(|(taken, recovery)| Rehearsed {
                at: truth.began,
                action: taken.kind,
                service: taken.target.clone(),
                recovery,
                diagnosis_right: right,
            }));
        }
    }
    rehearsed.sort_by(|a, b| (a.at, &a.service).cmp(&(b.at, &b.service)));
    let lines: Vec<String> = rehearsed.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

/// The first round of a case, up to the diagnosis, by today's code.
fn diagnosed_anew(recorded: &Case) -> Result<Case, RunError> {
    let mut case = Case::open(recorded.id().clone(), recorded.opened_at(), recorded.mode());
    for entry in recorded.entries() {
        match &entry.part {
            CasePart::Observed(window) => case.observe(entry.at, (**window).clone()),
            CasePart::Detected(found) => {
                case.detect(entry.at, found.iter().map(|cited| cited.anomaly.clone()).collect());
                let localizer = compose::localizer()?;
                let window = case.window().ok_or("a case without telemetry")?;
                let ranking = localizer.rank(window, case.anomalies());
                case.push(entry.at, CasePart::Localized(ranking));
                let diagnosis = compose::root_cause(true)?.analyze(&case)?;
                case.push(entry.at, CasePart::Diagnosed(diagnosis));
                return Ok(case);
            }
            _ => {}
        }
    }
    Err("a case without findings".into())
}

/// Wilson's score interval at 95 % (Wilson 1927) for `hits` of `total`.
#[must_use]
pub fn wilson(hits: usize, total: usize) -> (f64, f64) {
    if total == 0 {
        return (0.0, 1.0);
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of runs are small")]
    let (n, p) = (total as f64, hits as f64 / total as f64);
    let z = 1.959_963_984_540_054_f64;
    let middle = p + z * z / (2.0 * n);
    let margin = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    // The lesser root by the greater one, whose difference would cancel where little was hit.
    (p * p / (middle + margin), ((middle + margin) / (1.0 + z * z / n)).min(1.0))
}

/// The figures of all runs, by pipeline and fault, in Markdown.
#[must_use]
pub fn markdown(records: &[RunRecord]) -> String {
    let mut by_pipeline: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
    for record in records {
        by_pipeline.entry(&record.pipeline).or_default().push(record);
    }
    let mut out = String::new();
    for (pipeline, records) in by_pipeline {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "## {pipeline}: {} runs\n", records.len());
        table(&mut out, &records);
        failures(&mut out, &records);
    }
    out
}

fn table(out: &mut String, records: &[&RunRecord]) {
    let head = "| fault | runs | healed | wrong first suspect | wrong action | median s to detect | median s to recovery | median requests failed |";
    let _ = writeln!(out, "{head}\n|---|---|---|---|---|---|---|---|");
    let mut faults: BTreeMap<_, Vec<&RunRecord>> = BTreeMap::new();
    for record in records.iter().copied() {
        if let Some(truth) = &record.truth {
            faults.entry(truth.fault).or_default().push(record);
        }
    }
    let broken: Vec<&RunRecord> = faults.values().flatten().copied().collect();
    for (fault, records) in &faults {
        row(out, &fault.to_string(), records);
    }
    row(out, "**all faults**", &broken);
    let healed = broken.iter().filter(|r| r.healed).count();
    let (low, high) = wilson(healed, broken.len());
    let quiet = records.iter().filter(|r| r.truth.is_none());
    let (none, alarmed) = quiet.fold((0, 0), |(n, a), r| (n + 1, a + usize::from(r.false_alarms > 0)));
    let before: usize = broken.iter().map(|r| r.false_alarms).sum();
    let _ = writeln!(
        out,
        "\nHealed {healed} of {} (95 % Wilson interval {:.0}–{:.0} %). Runs without a fault: {none}, of which {alarmed} \
         alarmed; {before} alarms before a fault in the others.\n",
        broken.len(),
        low * 100.0,
        high * 100.0
    );
}

fn row(out: &mut String, name: &str, records: &[&RunRecord]) {
    let count = |f: &dyn Fn(&RunRecord) -> bool| records.iter().filter(|r| f(r)).count();
    let suspects = count(&|r| r.first_suspect.is_some());
    let wrong_suspect = count(&|r| r.first_suspect_right == Some(false));
    let actions: usize = records.iter().map(|r| r.actions.len()).sum();
    let wrong: usize = records.iter().map(|r| r.actions.iter().filter(|a| !a.right).count()).sum();
    let _ = writeln!(
        out,
        "| {name} | {} | {} | {wrong_suspect}/{suspects} | {wrong}/{actions} | {} | {} | {} |",
        records.len(),
        count(&|r| r.healed),
        median(records.iter().filter_map(|r| r.seconds_to_detect)),
        median(records.iter().filter_map(|r| r.seconds_to_recover)),
        median(records.iter().filter_map(|r| {
            #[allow(clippy::cast_precision_loss, reason = "some thousands of requests at most")]
            r.since_fault.map(|seen| seen.errors as f64)
        })),
    );
}

fn median(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2);
    let lower = values.get(values.len().saturating_sub(1) / 2);
    upper.zip(lower).map_or_else(|| "–".to_owned(), |(u, l)| format!("{:.1}", f64::midpoint(*u, *l)))
}

fn failures(out: &mut String, records: &[&RunRecord]) {
    let failed = records.iter().filter(|r| (r.truth.is_some() && !r.healed) || r.false_alarms > 0);
    for record in failed {
        let truth = record.truth.as_ref().map_or_else(
            || "no fault".to_owned(),
            |t| format!("{} in {} ({})", t.fault, t.service, t.detail),
        );
        let actions: Vec<String> =
            record.actions.iter().map(|a| format!("{} {}", a.kind, a.target)).collect();
        let _ = writeln!(
            out,
            "- seed {}, {truth}: first suspect {}, diagnosed {:?}, did [{}], ended [{}], served at the end: {}",
            record.seed,
            record.first_suspect.as_deref().unwrap_or("none"),
            record.diagnosis,
            actions.join(", "),
            record.endings.join("; "),
            record.healthy_at_end,
        );
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::wilson;

    #[test]
    fn wilson_agrees_with_the_published_example() {
        // 81 of 263, Newcombe 1998, table I, method 3: 0.2553 to 0.3662.
        let (low, high) = wilson(81, 263);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert!(wilson(42, 42).0 > 0.91);
    }
}
