use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, LogRecord, SeriesKey, Severity, Signal, TelemetryWindow, time};
use serde::{Deserialize, Serialize};

use super::schema::{SchemaDrift, SchemaDriftOptions};
use super::signals::{Counted, attribute, check_names, lines, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::check_count;

/// When a job fails because its data are not what it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncompatibleJobOptions {
    /// Attributes of lines that name the job.
    pub job: Vec<String>,
    /// Attributes that hold the outcome of a run.
    pub outcome: Vec<String>,
    /// Outcomes that are a success.
    pub passed: Vec<String>,
    /// Outcomes that are a failure.
    pub failed: Vec<String>,
    /// Texts, in lower case, of which a line about an incompatible schema holds one.
    pub signatures: Vec<String>,
    /// Runs in a row that must have failed, 2 to 1000: one may be bad luck. Default 2.
    pub min_failures: usize,
    /// Runs in a row from which it is critical, at least `min_failures`. Default 4.
    pub critical: usize,
    /// Time before the first failure in which a schema that broke is held to be the cause. Default 1 day.
    #[serde(with = "aiops_core::model::duration")]
    pub within: Duration,
    /// Where schemas are told.
    pub schema: SchemaDriftOptions,
}

impl Default for IncompatibleJobOptions {
    fn default() -> Self {
        Self {
            job: names(&["job.name", "openlineage.job.name", "airflow.dag_id"]),
            outcome: names(&["job.run.status", "job.status", "openlineage.event_type"]),
            passed: names(&["success", "succeeded", "complete", "passed"]),
            failed: names(&["fail", "failed", "failure", "error"]),
            signatures: names(&[
                "schema mismatch",
                "incompatible schema",
                "schema being registered is incompatible",
                "unresolved_column",
                "cannot resolve column",
                "no such column",
                "unknown column",
                "column does not exist",
                "incompatible column type",
                "could not deserialize",
            ]),
            min_failures: 2,
            critical: 4,
            within: Duration::from_secs(86_400),
            schema: SchemaDriftOptions::default(),
        }
    }
}

impl Options for IncompatibleJobOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("job", &self.job),
            ("outcome", &self.outcome),
            ("passed", &self.passed),
            ("failed", &self.failed),
            ("signatures", &self.signatures),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        if let Some(odd) = self.signatures.iter().find(|text| **text != text.to_lowercase()) {
            return Err(ConfigError::new("signatures", odd, "texts in lower case"));
        }
        check_count("min_failures", self.min_failures, 2..=1000, "2 to 1000 runs")?;
        check_count("critical", self.critical, self.min_failures.., "at least `min_failures`")?;
        if self.within.is_zero() {
            return Err(ConfigError::new("within", "0s", "more than 0"));
        }
        self.schema.validate()
    }
}

/// A job that ran and now fails run after run, with lines about columns and types; and which data set broke before it did, where
/// [`SchemaDrift`] sees one.
///
/// *Needs* lines with the job's name and the outcome of each run, and the error text in the same lines or others of the job.
/// *Is none:* a failure that a retry mends, a job that fails for another reason, a schema that broke and no job minds, and a job that never ran.
/// *Does not see* a job that goes on and writes wrong numbers.
#[derive(Debug, Clone, Copy)]
pub struct IncompatibleJob;

/// [`IncompatibleJob`] behind its seam.
pub type IncompatibleJobDetector = UseCaseDetector<IncompatibleJob>;

/// What is known of one job, in order of time.
#[derive(Default)]
struct Runs<'l> {
    /// Line of each run's end and whether it failed.
    ends: Vec<(&'l LogRecord, bool)>,
    /// Lines about an incompatible schema.
    complaints: Vec<&'l LogRecord>,
}

impl<'l> Runs<'l> {
    /// The failed runs that nothing came after, when one had passed before them.
    fn failing(&self) -> Option<&[(&'l LogRecord, bool)]> {
        let from = self.ends.iter().rposition(|(_, failed)| !failed)? + 1;
        self.ends.get(from..).filter(|runs| !runs.is_empty())
    }
}

impl UseCase for IncompatibleJob {
    const ID: &'static str = "incompatible-job";

    type Options = IncompatibleJobOptions;

    fn look(options: &IncompatibleJobOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut jobs: BTreeMap<(&EntityId, &str), Runs<'_>> = BTreeMap::new();
        for line in lines(window) {
            let Some(job) = attribute(line, &options.job) else { continue };
            let runs = jobs.entry((&line.entity, job)).or_default();
            let text = line.body.to_lowercase();
            if options.signatures.iter().any(|signature| text.contains(signature)) {
                runs.complaints.push(line);
            }
            if let Some(outcome) = attribute(line, &options.outcome) {
                let is = |list: &[String]| list.iter().any(|word| outcome.eq_ignore_ascii_case(word));
                let (passed, failed) = (is(&options.passed), is(&options.failed));
                if passed != failed {
                    runs.ends.push((line, failed));
                }
            }
        }
        let mut broken = SchemaDrift::look(&options.schema, window);
        broken.sort_by(|a, b| (a.onset, &a.entity, &a.series).cmp(&(b.onset, &b.entity, &b.series)));
        let judge = |((entity, job), runs): ((&EntityId, &str), Runs<'_>)| {
            let failing = runs.failing()?;
            let (first, last) = (failing.first()?.0, failing.last()?.0);
            let begun = runs.ends.get(runs.ends.len() - failing.len() - 1)?.0.time;
            let about = runs.complaints.iter().filter(|l| begun < l.time && l.time <= last.time);
            // At least every other failed run must complain of it: a job that is broken otherwise may mention it once.
            if failing.len() < options.min_failures || 2 * about.clone().count() < failing.len() {
                return None;
            }
            let since = time::before(first.time, options.within);
            let cause = broken.iter().rev().find(|b| (since..=first.time).contains(&b.onset));
            let because = cause.map_or_else(String::new, |cause| format!(" since {}", cause.evidence));
            let complaint = about.clone().next_back().map(|l| l.body.lines().next().unwrap_or_default())?;
            let counted = Counted {
                entity,
                series: SeriesKey::new("job.incompatible_runs").with("job.name", job),
                times: (first.time, last.time),
                count: failing.len() as f64,
                usual: 0.0,
                samples: runs.ends.len(),
                severity: if failing.len() >= options.critical {
                    Severity::Critical
                } else {
                    Severity::Warning
                },
                signal: Signal::Logs,
                evidence: format!("{job} failed {} times in a row{because}: {complaint}", failing.len()),
            };
            Some(counted.symptom(window))
        };
        jobs.into_iter().filter_map(judge).collect()
    }
}
