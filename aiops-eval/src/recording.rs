//! Recorded telemetry, joined from the windows of a file: a case file, or a recording in the format of
//! [`aiops_core::recording`], which also writes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    EntityId, MetricKind, MetricSeries, SeriesKey, Signal, TelemetryWindow, TimeAxis, TimeRange, Unit, time,
};
use aiops_core::recording::read_windows;
use aiops_core::{Case, CasePart};
use serde::Deserialize;

use crate::EvalError;

#[derive(Debug)]
struct Track {
    kind: MetricKind,
    unit: Unit,
    times: Vec<Timestamp>,
    samples: Vec<Option<f64>>,
}

/// Metrics over one stretch of time, without overlaps.
#[derive(Debug)]
pub struct Recording {
    tracks: BTreeMap<(EntityId, SeriesKey), Track>,
    range: TimeRange,
}

impl Recording {
    /// Reads a case file (all windows it observed) or a recording (see [`aiops_core::recording`]); a file whose first
    /// value has `entries` is taken for a case file.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::Case`], [`EvalError::Recording`], and [`EvalError::Empty`] without any sample.
    pub fn read(path: &Path) -> Result<Self, EvalError> {
        #[derive(Deserialize)]
        struct Probe {
            entries: Option<serde::de::IgnoredAny>,
        }
        let read_error = |source| EvalError::Read { path: path.to_owned(), source };
        let open = || File::open(path).map(BufReader::new).map_err(read_error);
        // The probe keeps nothing of what it reads.
        let mut first = serde_json::Deserializer::from_reader(open()?).into_iter::<Probe>();
        let windows = if matches!(first.next(), Some(Ok(Probe { entries: Some(_) }))) {
            let bytes = std::fs::read(path).map_err(read_error)?;
            let case = Case::from_json(&bytes)
                .map_err(|source| EvalError::Case { path: path.to_owned(), source })?;
            let observed = case.entries().iter().filter_map(|entry| match &entry.part {
                CasePart::Observed(window) => Some((**window).clone()),
                _ => None,
            });
            observed.collect()
        } else {
            read_windows(open()?)
                .collect::<Result<Vec<TelemetryWindow>, _>>()
                .map_err(|source| EvalError::Recording { path: path.to_owned(), source })?
        };
        Self::join(windows).ok_or_else(|| EvalError::Empty { path: path.to_owned() })
    }

    /// Joins windows in order of their start. Where two overlap, the samples of the earlier stand: every stretch counts once,
    /// and its samples stay as dense as they were taken. `None` when there is no sample. O(samples · log series).
    #[must_use]
    pub fn join(mut windows: Vec<TelemetryWindow>) -> Option<Self> {
        windows.sort_by_key(|window| (window.range.start(), window.range.end()));
        windows.retain(|window| window.sample_count() > 0);
        let range = windows.iter().map(|window| window.range).reduce(|a, b| a.hull(&b))?;
        let mut tracks: BTreeMap<(EntityId, SeriesKey), Track> = BTreeMap::new();
        for series in windows.iter().flat_map(|window| &window.metrics) {
            let track =
                tracks.entry((series.entity().clone(), series.key().clone())).or_insert_with(|| Track {
                    kind: series.kind(),
                    unit: series.unit().clone(),
                    times: Vec::new(),
                    samples: Vec::new(),
                });
            let known = track.times.last().copied();
            for (at, sample) in series.times().iter().zip(series.samples()) {
                if known.is_none_or(|last| last < at) {
                    track.times.push(at);
                    track.samples.push(sample);
                }
            }
        }
        Some(Self { tracks, range })
    }

    /// From the start of the first window to the end of the last.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.tracks.len()
    }

    /// What a source would have answered for `range`: the samples inside it, on a regular axis where they are regular.
    /// Series without a sample or gap inside are absent. O(samples inside + series · log samples).
    ///
    /// # Errors
    /// Those of [`MetricSeries::new`]; none for a joined recording.
    pub fn window(&self, range: TimeRange) -> Result<TelemetryWindow, EvalError> {
        let mut window = TelemetryWindow::new(range);
        window.observed = Signal::Metrics.into();
        for ((entity, key), track) in &self.tracks {
            let from = track.times.partition_point(|t| *t < range.start());
            let to = track.times.partition_point(|t| *t < range.end());
            let times = track.times.get(from..to).unwrap_or_default();
            let samples = track.samples.get(from..to).unwrap_or_default();
            if times.is_empty() {
                continue;
            }
            let series =
                MetricSeries::new(key.clone(), entity.clone(), axis(times)?, samples.iter().copied())?;
            window.metrics.push(series.with_kind(track.kind).with_unit(track.unit.clone()));
        }
        Ok(window)
    }
}

fn axis(times: &[Timestamp]) -> aiops_core::Result<TimeAxis> {
    let mut steps = times.iter().zip(times.iter().skip(1)).map(|(a, b)| time::elapsed(*a, *b));
    match (times.first(), steps.next()) {
        (Some(start), Some(step)) if step > Duration::ZERO && steps.all(|other| other == step) => {
            TimeAxis::regular(*start, step, times.len())
        }
        _ => TimeAxis::irregular(times.to_vec()),
    }
}
