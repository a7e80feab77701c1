use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, SeriesKey, Severity, Signal, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{Counted, attribute, check_names, lines, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::check_count;

/// When a test is flaky.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlakyTestOptions {
    /// Attributes of lines that name the test.
    pub test: Vec<String>,
    /// Attributes that hold the outcome.
    pub outcome: Vec<String>,
    /// Attributes that hold the revision it ran on.
    pub revision: Vec<String>,
    /// Outcomes that are a pass; others than these and `failed` are not counted.
    pub passed: Vec<String>,
    /// Outcomes that are a failure.
    pub failed: Vec<String>,
    /// Fewest revisions on which it both passed and failed, 1 to 1000; one may be a machine that broke. Default 2.
    pub min_revisions: usize,
    /// Revisions from which it is more than a warning, at least `min_revisions`. Default 10.
    pub critical: usize,
}

impl Default for FlakyTestOptions {
    fn default() -> Self {
        Self {
            test: names(&["test.case.name", "test.name"]),
            outcome: names(&["test.case.result.status", "test.status"]),
            revision: names(&["vcs.ref.head.revision", "vcs.commit", "git.commit.sha"]),
            passed: names(&["pass", "passed", "success", "ok"]),
            failed: names(&["fail", "failed", "failure", "error"]),
            min_revisions: 2,
            critical: 10,
        }
    }
}

impl Options for FlakyTestOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("test", &self.test),
            ("outcome", &self.outcome),
            ("revision", &self.revision),
            ("passed", &self.passed),
            ("failed", &self.failed),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        check_count("min_revisions", self.min_revisions, 1..=1000, "1 to 1000 revisions")?;
        check_count("critical", self.critical, self.min_revisions.., "at least `min_revisions`")
    }
}

/// A test that both passed and failed on one and the same revision, on several of them: what Google calls flaky (Micco,
/// *Flaky tests at Google and how we mitigate them*, 2016), told by repeated runs of one revision.
///
/// A test that a commit broke fails on every run after it, and is none.
#[derive(Debug, Clone, Copy)]
pub struct FlakyTest;

/// [`FlakyTest`] behind its seam.
pub type FlakyTestDetector = UseCaseDetector<FlakyTest>;

#[derive(Default)]
struct Runs {
    /// Revision to whether it passed and whether it failed.
    outcomes: BTreeMap<String, (bool, bool)>,
    failures: Vec<Timestamp>,
    count: usize,
}

impl UseCase for FlakyTest {
    const ID: &'static str = "flaky-test";

    type Options = FlakyTestOptions;

    fn look(options: &FlakyTestOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut tests: BTreeMap<(&EntityId, &str), Runs> = BTreeMap::new();
        for line in lines(window) {
            let (Some(test), Some(outcome), Some(revision)) = (
                attribute(line, &options.test),
                attribute(line, &options.outcome),
                attribute(line, &options.revision),
            ) else {
                continue;
            };
            let is = |list: &[String]| list.iter().any(|word| outcome.eq_ignore_ascii_case(word));
            let (passed, failed) = (is(&options.passed), is(&options.failed));
            if passed == failed {
                continue;
            }
            let runs = tests.entry((&line.entity, test)).or_default();
            runs.count += 1;
            let seen = runs.outcomes.entry(revision.to_owned()).or_default();
            *seen = (seen.0 || passed, seen.1 || failed);
            if failed {
                runs.failures.push(line.time);
            }
        }
        let flaky = |((entity, test), runs): ((&EntityId, &str), Runs)| {
            let both: BTreeSet<&String> =
                runs.outcomes.iter().filter(|(_, o)| o.0 && o.1).map(|(revision, _)| revision).collect();
            if both.len() < options.min_revisions {
                return None;
            }
            let times = (*runs.failures.first()?, *runs.failures.last()?);
            let critical = both.len() >= options.critical;
            let counted = Counted {
                entity,
                series: SeriesKey::new("test.flaky_revisions").with("test.case.name", test),
                times,
                count: both.len() as f64,
                usual: 0.0,
                samples: runs.count,
                severity: if critical { Severity::Critical } else { Severity::Warning },
                signal: Signal::Logs,
                evidence: format!(
                    "{test} passed and failed on the same revision {} times of {}",
                    both.len(),
                    runs.outcomes.len()
                ),
            };
            Some(counted.symptom(window))
        };
        tests.into_iter().filter_map(flaky).collect()
    }
}
