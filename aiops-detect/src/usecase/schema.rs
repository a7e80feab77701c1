use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, LogRecord, SeriesKey, Severity, Signal, TelemetryWindow};
use serde::{Deserialize, Serialize};

use super::signals::{Counted, attribute, check_names, lines, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;

/// Where schemas are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaDriftOptions {
    /// Attributes of lines that name the data set.
    pub dataset: Vec<String>,
    /// Attributes that hold its columns: `name:type` separated by commas; a `?` after the type says that it may be absent.
    pub schema: Vec<String>,
    /// Types that a column may change to without breaking who reads it, as (from, to). Default: wider numbers, and
    /// anything to text is not among them.
    pub widenings: Vec<(String, String)>,
    /// Whether new columns that must be present are a finding (a warning: writers of the old schema break). Default yes.
    pub report_required: bool,
}

impl Default for SchemaDriftOptions {
    fn default() -> Self {
        let wider = [
            ("int8", "int16"),
            ("int16", "int32"),
            ("int32", "int64"),
            ("float32", "float64"),
            ("int", "long"),
            ("float", "double"),
        ];
        Self {
            dataset: names(&["dataset.name", "openlineage.dataset.name", "db.collection.name"]),
            schema: names(&["dataset.schema", "schema.fields"]),
            widenings: wider.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec(),
            report_required: true,
        }
    }
}

impl Options for SchemaDriftOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("dataset", &self.dataset)?;
        check_names("schema", &self.schema)
    }
}

/// A data set of which a column vanished or changed its type against the schema before it: what breaks its readers
/// (backward compatibility as schema registries define it).
///
/// Another order of columns, a new optional column, or a wider type of the same kind is none.
#[derive(Debug, Clone, Copy)]
pub struct SchemaDrift;

/// [`SchemaDrift`] behind its seam.
pub type SchemaDriftDetector = UseCaseDetector<SchemaDrift>;

/// Columns by name: type, and whether it must be present.
type Columns<'l> = BTreeMap<&'l str, (&'l str, bool)>;

/// `None` for text that is no schema.
fn columns(text: &str) -> Option<Columns<'_>> {
    fn column(part: &str) -> Option<(&str, (&str, bool))> {
        let (name, kind) = part.trim().split_once(':')?;
        let (kind, optional) = match kind.trim().strip_suffix('?') {
            Some(kind) => (kind.trim(), true),
            None => (kind.trim(), false),
        };
        (!name.trim().is_empty() && !kind.is_empty()).then_some((name.trim(), (kind, !optional)))
    }
    text.split(',').map(column).collect()
}

struct Broken {
    what: Vec<String>,
    severity: Severity,
}

fn compare(options: &SchemaDriftOptions, old: &Columns<'_>, new: &Columns<'_>) -> Option<Broken> {
    let wider = |from: &str, to: &str| options.widenings.iter().any(|(f, t)| f == from && t == to);
    let mut what = Vec::new();
    for (name, (kind, required)) in old {
        match new.get(name) {
            None => what.push(format!("{name} vanished")),
            Some((now, _)) if now != kind && !wider(kind, now) => {
                what.push(format!("{name} is {now} and was {kind}"));
            }
            Some((_, false)) if *required => what.push(format!("{name} may be absent now")),
            Some(_) => {}
        }
    }
    if !what.is_empty() {
        return Some(Broken { what, severity: Severity::Critical });
    }
    let demanded = |(name, (_, required)): (&&str, &(&str, bool))| {
        (*required && !old.contains_key(name)).then(|| format!("{name} must be there now"))
    };
    let what: Vec<String> = new.iter().filter_map(demanded).filter(|_| options.report_required).collect();
    (!what.is_empty()).then_some(Broken { what, severity: Severity::Warning })
}

impl UseCase for SchemaDrift {
    const ID: &'static str = "schema-drift";

    type Options = SchemaDriftOptions;

    fn look(options: &SchemaDriftOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut sets: BTreeMap<(&EntityId, &str), Vec<(&LogRecord, Columns<'_>)>> = BTreeMap::new();
        for line in lines(window) {
            let told = attribute(line, &options.dataset).zip(attribute(line, &options.schema));
            if let Some((dataset, columns)) = told.and_then(|(d, schema)| Some((d, columns(schema)?))) {
                sets.entry((&line.entity, dataset)).or_default().push((line, columns));
            }
        }
        let mut found = Vec::new();
        for ((entity, dataset), told) in sets {
            let mut seen: BTreeSet<&Columns<'_>> = BTreeSet::new();
            for ((_, old), (line, new)) in told.iter().zip(told.iter().skip(1)) {
                seen.insert(old);
                // Back to a schema that was there before: readers knew it, and two writers that take turns are said once.
                if old == new || seen.contains(new) {
                    continue;
                }
                let Some(broken) = compare(options, old, new) else { continue };
                let counted = Counted {
                    entity,
                    series: SeriesKey::new("schema.breaking_changes").with("dataset.name", dataset),
                    times: (line.time, line.time),
                    count: broken.what.len() as f64,
                    usual: 0.0,
                    samples: told.len(),
                    severity: broken.severity,
                    signal: Signal::Logs,
                    evidence: format!("{dataset}: {}", broken.what.join(", ")),
                };
                found.push(counted.symptom(window));
            }
        }
        found
    }
}
