use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{
    EntityId, EntityKind, MetricSeries, SeriesKey, Severity, Shape, Signal, TelemetryWindow,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dcgm::{Field, growth};
use super::xid::{Logged, Xid, XidClass, lookup, parse};
use crate::checked::Options;
use crate::error::check_count;
use crate::rolling::reread;
use crate::usecase::signals::{Counted, inside, lines};
use crate::usecase::{Symptom, UseCase, UseCaseDetector};

/// When XIDs and ECC errors are more than noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XidEccOptions {
    /// XIDs of one code on one GPU within the window that are a storm, 2 to 10⁶; a critical one is a finding by itself.
    /// Default 5.
    pub storm: usize,
    /// Single-bit errors within the window that are a finding, 1 to 10⁹: they are corrected, and in numbers they announce the
    /// others. Default 100.
    pub single_bit: usize,
    /// Whether XIDs that point at the application alone are a finding when they storm. Default yes, as a warning.
    pub application: bool,
}

impl Default for XidEccOptions {
    fn default() -> Self {
        Self { storm: 5, single_bit: 100, application: true }
    }
}

impl Options for XidEccOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("storm", self.storm, 2..=1_000_000, "2 to 1000000 XIDs")?;
        check_count("single_bit", self.single_bit, 1..=1_000_000_000, "1 to 10⁹ errors")
    }
}

/// XID errors that are grave, or many; ECC errors that were not corrected, or many that were; rows that could not be remapped.
///
/// Localises to the GPU: by its PCI address from lines, by the entity from metrics. A few corrected errors, and a single crash
/// of an application, are none.
#[derive(Debug, Clone, Copy)]
pub struct XidEcc;

/// [`XidEcc`] behind its seam.
pub type XidEccDetector = UseCaseDetector<XidEcc>;

impl UseCase for XidEcc {
    const ID: &'static str = "gpu-xid-ecc";

    type Options = XidEccOptions;

    fn look(options: &XidEccOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = from_lines(options, window);
        found.extend(Field::XidErrors.series(window).into_iter().filter_map(|s| from_field(s, window)));
        let counted = [
            (Field::EccDoubleBitVolatile, 1.0, Severity::Critical, "drain and reset the GPU"),
            (Field::RetiredDoubleBit, 1.0, Severity::Critical, "drain and reset the GPU"),
            (Field::UncorrectableRemappedRows, 1.0, Severity::Critical, "drain and reset the GPU"),
            (Field::RowRemapFailure, 1.0, Severity::Critical, "replace the GPU: it has no spare rows left"),
            (Field::EccSingleBitVolatile, options.single_bit as f64, Severity::Warning, "watch it"),
        ];
        for (field, least, severity, action) in counted {
            let of = |s: &MetricSeries| ecc(field, s, least, severity, action, window);
            found.extend(field.series(window).into_iter().filter_map(of));
        }
        found
    }
}

/// Name of a code's series in findings.
fn series_of(code: u32) -> SeriesKey {
    SeriesKey::new("gpu.xid").with("code", code.to_string())
}

fn describe(code: u32) -> (Severity, XidClass, String) {
    match lookup(code) {
        Some(Xid { meaning, severity, class, action, .. }) => {
            (*severity, *class, format!("XID {code}, {meaning}; usually: {action}"))
        }
        None => (Severity::Warning, XidClass::Driver, format!("XID {code}, not in the catalogue")),
    }
}

fn from_lines(options: &XidEccOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let mut logged: BTreeMap<(EntityId, &EntityId, u32), Vec<Timestamp>> = BTreeMap::new();
    for line in lines(window) {
        if let Some(Logged { pci, code }) = parse(&line.body) {
            let gpu = EntityId::new(EntityKind::Gpu, format!("{}/{pci}", line.entity.name()));
            logged.entry((gpu, &line.entity, code)).or_default().push(line.time);
        }
    }
    let mut found = Vec::new();
    for ((gpu, writer, code), times) in logged {
        let (severity, class, text) = describe(code);
        let storm = times.len() >= options.storm;
        let grave = severity == Severity::Critical;
        let wanted = class != XidClass::Application || options.application;
        let many = storm && wanted && severity != Severity::Info;
        if !(grave || many) {
            continue;
        }
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let counted = Counted {
            entity: writer,
            series: series_of(code).with("gpu", gpu.name()),
            times: (*first, *last),
            count: times.len() as f64,
            usual: 0.0,
            samples: times.len(),
            severity,
            signal: Signal::Logs,
            evidence: format!("{}: {} times {text}", gpu.name(), times.len()),
        };
        let mut symptom = counted.symptom(window);
        // It is the GPU that is ill; its lines are read again where they are written.
        symptom.reread.selector.entities.push(gpu.clone());
        symptom.entity = gpu;
        found.push(symptom);
    }
    found
}

/// The field holds the last code; a grave one that appears is a finding.
fn from_field(series: &MetricSeries, window: &TelemetryWindow) -> Option<Symptom> {
    let points = inside(series, window);
    let code_of = |v: f64| if (1.0..1e6).contains(&v) { Some(v as u32) } else { None };
    let grave =
        |p: &&(Timestamp, f64)| code_of(p.1).is_some_and(|code| describe(code).0 == Severity::Critical);
    let (onset, value) = *points.iter().find(grave)?;
    let (severity, _, text) = describe(code_of(value)?);
    let counted = Counted {
        entity: series.entity(),
        series: series.key().clone(),
        times: (onset, points.iter().rfind(grave).map_or(onset, |p| p.0)),
        count: value,
        usual: 0.0,
        samples: points.len(),
        severity,
        signal: Signal::Metrics,
        evidence: format!("{}: {text}", series.entity().name()),
    };
    let mut symptom = counted.symptom(window);
    symptom.reread = reread(window, series);
    Some(symptom)
}

fn ecc(
    field: Field,
    series: &MetricSeries,
    least: f64,
    severity: Severity,
    action: &str,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    // A remapping that failed before the window still has failed; the others count what is new.
    let grown: Vec<(Timestamp, f64)> = match field {
        Field::RowRemapFailure => inside(series, window).into_iter().filter(|p| p.1 >= 1.0).take(1).collect(),
        _ => growth(series, window),
    };
    let count: f64 = grown.iter().map(|p| p.1).sum();
    let (first, last) = (grown.first()?.0, grown.last()?.0);
    if count < least {
        return None;
    }
    let level = inside(series, window);
    let counted = Counted {
        entity: series.entity(),
        series: series.key().clone(),
        times: (first, last),
        count: level.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        usual: level.first()?.1.min(level.last()?.1),
        samples: level.len(),
        severity,
        signal: Signal::Metrics,
        evidence: format!(
            "{}: {count:.0} more of {}; usually: {action}",
            series.entity().name(),
            series.key().name
        ),
    };
    let mut symptom = counted.symptom(window);
    symptom.shape = if count > least { Shape::SteadyIncrease } else { Shape::LevelShiftUp };
    symptom.unit = series.unit().clone();
    symptom.reread = reread(window, series);
    Some(symptom)
}
