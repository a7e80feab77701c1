//! Wide tables of metrics: one column of times, one column a series.

use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, MetricKind, MetricSeries, SeriesKey, TimeAxis, Unit};

use super::table::Table;
use super::{Layout, front_door};
use crate::EvalError;

/// Samples by series and time. The first of several samples at one time counts.
#[derive(Default)]
pub(super) struct Tracks(BTreeMap<(EntityId, SeriesKey), BTreeMap<Timestamp, Option<f64>>>);

impl Tracks {
    /// Adds the rows of `path` whose time `keep` accepts.
    pub(super) fn read(
        &mut self,
        path: &Path,
        layout: Layout,
        keep: impl Fn(Timestamp) -> bool,
    ) -> Result<(), EvalError> {
        let mut table = Table::open(path)?;
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let side = if file.contains("edge_latency_source") { "source" } else { "destination" };
        let keys: Vec<_> = table.header().iter().skip(1).map(|column| name(layout, column, side)).collect();
        let mut times = Vec::new();
        let mut columns: Vec<Vec<Option<f64>>> = vec![Vec::new(); keys.len()];
        table.rows(|row| {
            let mut cells = row.cells();
            let time = row.seconds(cells.next().unwrap_or_default())?;
            if keep(time) {
                times.push(time);
                for (column, cell) in columns.iter_mut().zip(cells) {
                    let value = match cell {
                        "" => None,
                        number => {
                            Some(number.parse().map_err(|_| row.bad(format!("{number:?} is no number")))?)
                        }
                    };
                    column.push(value);
                }
            }
            Ok(())
        })?;
        for (key, column) in keys.into_iter().zip(columns) {
            let track = self.0.entry(key).or_default();
            for (time, value) in times.iter().zip(column) {
                track.entry(*time).or_insert(value);
            }
        }
        Ok(())
    }

    /// Series in order; those without any row are left out.
    pub(super) fn into_series(self) -> Result<Vec<MetricSeries>, EvalError> {
        let tracks = self.0.into_iter().filter(|(_, samples)| !samples.is_empty());
        tracks
            .map(|((entity, key), samples)| {
                let (kind, unit) = (kind(&key), unit(&key.name));
                let times = TimeAxis::irregular(samples.keys().copied().collect())?;
                let series = MetricSeries::new(key, entity, times, samples.into_values())?;
                Ok(series.with_kind(kind).with_unit(unit))
            })
            .collect()
    }
}

/// `<service>/<metric>`, `<node>/<metric>/<aggregation>` (nodes may hold slashes), `<caller>><callee>`.
fn name(layout: Layout, column: &str, side: &str) -> (EntityId, SeriesKey) {
    if let (Layout::Nezha, Some((caller, callee))) = (layout, column.split_once('>')) {
        let key = SeriesKey::new("edge_latency").with("caller", caller).with("side", side);
        return (EntityId::service(callee), key);
    }
    let (head, last) = column.rsplit_once('/').unwrap_or((column, ""));
    let (entity, key) = match (layout, head.rsplit_once('/')) {
        (Layout::PetShop, Some((node, metric))) => (node, SeriesKey::new(metric).with("aggregation", last)),
        // The source's word for requests a second.
        (Layout::SockShop, _) if last == "lod" => (head, SeriesKey::new("workload")),
        _ => (head, SeriesKey::new(last)),
    };
    (if entity == "_edge" { front_door() } else { EntityId::service(entity) }, key)
}

/// A quantile says so in its name (`server_p90_s`, `lat_50`) or its aggregation (`p90`).
fn kind(key: &SeriesKey) -> MetricKind {
    let percentile = |part: &str| {
        let digits = part.strip_prefix('p').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let aggregation = key.labels.get("aggregation").unwrap_or_default();
    let quantile = key.name.split('_').any(percentile)
        || percentile(aggregation)
        || key.name.starts_with("lat_")
        || key.name == "edge_latency";
    if quantile { MetricKind::Quantile } else { MetricKind::Gauge }
}

fn unit(name: &str) -> Unit {
    let unit = match name.rsplit_once('_').map_or("", |(_, suffix)| suffix) {
        "s" | "latency" => "s",
        "pct" => "%",
        "bytes" => "By",
        "mi" => "MiBy",
        "m" => "m{cpu}",
        _ => "",
    };
    Unit::new(unit)
}
