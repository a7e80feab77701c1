use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, MetricSeries, SeriesKey, Severity, Shape, Signal, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dcgm::{Field, growth};
use super::signature::{Sign, recognise};
use super::xid::{XidClass, lookup, parse};
use crate::checked::Options;
use crate::error::check_count;
use crate::rolling::reread;
use crate::usecase::signals::{Counted, inside, lines};
use crate::usecase::{Symptom, UseCase, UseCaseDetector};

/// When the fabric between GPUs has failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FabricManagerOptions {
    /// CRC errors of a link within the window that are a finding, 1 to 10⁹: a few are corrected by replays. Default 100.
    pub crc: usize,
    /// Replays and recoveries within the window that are one, 1 to 10⁹. Default 10.
    pub recoveries: usize,
    /// Non-fatal switch lines (SXid) within the window that are one, 1 to 10⁶. Default 3.
    pub lines: usize,
    /// Value of the fabric registration that is healthy. Default 3, completed.
    pub registered: u32,
}

impl Default for FabricManagerOptions {
    fn default() -> Self {
        Self { crc: 100, recoveries: 10, lines: 3, registered: 3 }
    }
}

impl Options for FabricManagerOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_count("crc", self.crc, 1..=1_000_000_000, "1 to 10⁹ errors")?;
        check_count("recoveries", self.recoveries, 1..=1_000_000_000, "1 to 10⁹")?;
        check_count("lines", self.lines, 1..=1_000_000, "1 to 1000000 lines")
    }
}

/// The NVSwitch fabric, its manager or a link that failed: fatal lines of either, CUDA that says the system is not ready, NVLink
/// XIDs, a GPU that is not registered, or a link whose errors are many.
///
/// Names the node from lines, the GPU from metrics. A few corrected link errors, and a GPU that registers while the window
/// lasts, are none.
#[derive(Debug, Clone, Copy)]
pub struct FabricManager;

/// [`FabricManager`] behind its seam.
pub type FabricManagerDetector = UseCaseDetector<FabricManager>;

#[derive(Default)]
struct Told<'w> {
    times: Vec<Timestamp>,
    critical: bool,
    /// The first line that was grave, or else the first one.
    line: &'w str,
}

fn from_lines(options: &FabricManagerOptions, window: &TelemetryWindow) -> Vec<Symptom> {
    let mut nodes: BTreeMap<&EntityId, Told<'_>> = BTreeMap::new();
    for line in lines(window) {
        let known = recognise(&line.body).filter(|s| matches!(s.sign, Sign::Fabric | Sign::NotReady));
        let logged = parse(&line.body).and_then(|logged| lookup(logged.code));
        let linked = logged.filter(|xid| xid.class == XidClass::Nvlink && xid.severity != Severity::Info);
        let Some(severity) = known.map(|s| s.severity).into_iter().chain(linked.map(|x| x.severity)).max()
        else {
            continue;
        };
        let told = nodes.entry(&line.entity).or_default();
        told.times.push(line.time);
        let critical = severity == Severity::Critical;
        if told.line.is_empty() || critical && !told.critical {
            told.line = &line.body;
        }
        told.critical |= critical;
    }
    let mut found = Vec::new();
    for (node, told) in nodes {
        let enough = told.critical || told.times.len() >= options.lines;
        let (Some(first), Some(last), true) = (told.times.first(), told.times.last(), enough) else {
            continue;
        };
        let begin: String = told.line.chars().take(160).collect();
        let counted = Counted {
            entity: node,
            series: SeriesKey::new("gpu.fabric_errors"),
            times: (*first, *last),
            count: told.times.len() as f64,
            usual: 0.0,
            samples: told.times.len(),
            severity: if told.critical { Severity::Critical } else { Severity::Warning },
            signal: Signal::Logs,
            evidence: format!(
                "{}: {begin:?}; usually: match the versions of driver and fabric manager, restart it, reset the GPUs",
                node.name()
            ),
        };
        found.push(counted.symptom(window));
    }
    found
}

fn from_link(field: Field, least: usize, series: &MetricSeries, window: &TelemetryWindow) -> Option<Symptom> {
    let grown = growth(series, window);
    let count: f64 = grown.iter().map(|p| p.1).sum();
    if count < least as f64 {
        return None;
    }
    let level = inside(series, window);
    let recovers = matches!(field, Field::NvlinkReplay | Field::NvlinkRecovery);
    let counted = Counted {
        entity: series.entity(),
        series: series.key().clone(),
        times: (grown.first()?.0, grown.last()?.0),
        count: level.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        usual: level.first()?.1.min(level.last()?.1),
        samples: level.len(),
        severity: if recovers { Severity::Critical } else { Severity::Warning },
        signal: Signal::Metrics,
        evidence: format!(
            "{}: {count:.0} more of {}; usually: check the link",
            series.entity().name(),
            series.key().name
        ),
    };
    let mut symptom = counted.symptom(window);
    symptom.shape = Shape::SteadyIncrease;
    symptom.reread = reread(window, series);
    Some(symptom)
}

fn unregistered(
    options: &FabricManagerOptions,
    series: &MetricSeries,
    window: &TelemetryWindow,
) -> Option<Symptom> {
    let points = inside(series, window);
    let registered = f64::from(options.registered);
    let ill: Vec<&(Timestamp, f64)> = points.iter().rev().take_while(|p| p.1 != registered).collect();
    // Three samples: a GPU registers within seconds.
    if ill.len() < 3 {
        return None;
    }
    let (last, value) = **ill.first()?;
    let counted = Counted {
        entity: series.entity(),
        series: series.key().clone(),
        times: (ill.last()?.0, last),
        count: value,
        usual: registered,
        samples: points.len(),
        severity: Severity::Critical,
        signal: Signal::Metrics,
        evidence: format!("{} is not registered with the fabric", series.entity().name()),
    };
    let mut symptom = counted.symptom(window);
    symptom.shape = if value < registered { Shape::LevelShiftDown } else { Shape::LevelShiftUp };
    symptom.reread = reread(window, series);
    Some(symptom)
}

impl UseCase for FabricManager {
    const ID: &'static str = "gpu-fabric";

    type Options = FabricManagerOptions;

    fn look(options: &FabricManagerOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = from_lines(options, window);
        let links = [
            (Field::NvlinkCrcFlit, options.crc),
            (Field::NvlinkCrcData, options.crc),
            (Field::NvlinkReplay, options.recoveries),
            (Field::NvlinkRecovery, options.recoveries),
        ];
        for (field, least) in links {
            found.extend(field.series(window).into_iter().filter_map(|s| from_link(field, least, s, window)));
        }
        let states = Field::FabricManagerStatus.series(window);
        found.extend(states.into_iter().filter_map(|s| unregistered(options, s, window)));
        found
    }
}
