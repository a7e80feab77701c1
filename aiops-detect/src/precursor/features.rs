use std::collections::BTreeMap;

use aiops_core::model::{Baseline, EntityId, MetricKind, SeriesKey, TelemetryWindow, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PrecursorOptions;
use crate::stats::{median, robust};

/// What was unusual about a metric in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aspect {
    /// Its level was high.
    High,
    /// Its level was low.
    Low,
    /// It rose.
    Rising,
    /// It fell.
    Falling,
    /// It varied more than usual.
    Unsteady,
}

/// An aspect of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Name of the metric; labels and entity may be any.
    pub metric: String,
    /// What was unusual about it.
    pub aspect: Aspect,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let aspect = match self.aspect {
            Aspect::High => "high",
            Aspect::Low => "low",
            Aspect::Rising => "rising",
            Aspect::Falling => "falling",
            Aspect::Unsteady => "unsteady",
        };
        write!(f, "{} {aspect}", self.metric)
    }
}

/// What is usual, by entity and series.
pub(super) type Usual = BTreeMap<(EntityId, SeriesKey), Baseline>;

/// A stretch of time with its end left out.
pub(super) type Span = (Timestamp, Timestamp);

/// Finite samples of every series, by entity and key; running totals say nothing.
pub(super) struct History {
    series: BTreeMap<EntityId, BTreeMap<SeriesKey, Vec<(Timestamp, f64)>>>,
}

impl History {
    pub(super) fn of(window: &TelemetryWindow) -> Self {
        let mut series: BTreeMap<EntityId, BTreeMap<SeriesKey, Vec<(Timestamp, f64)>>> = BTreeMap::new();
        for s in window.metrics.iter().filter(|s| s.kind() != MetricKind::Counter) {
            let points = s.points().filter(|(t, v)| window.range.contains(*t) && v.is_finite()).collect();
            series.entry(s.entity().clone()).or_default().insert(s.key().clone(), points);
        }
        Self { series }
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = &EntityId> {
        self.series.keys()
    }

    /// What is usual where no `excluded` stretch of the entity lies. O(n log n).
    pub(super) fn usual(&self, excluded: impl Fn(&EntityId) -> Vec<Span>) -> Usual {
        let mut usual = Usual::new();
        for (entity, series) in &self.series {
            let out = excluded(entity);
            for (key, points) in series {
                let healthy = points.iter().filter(|(t, _)| out.iter().all(|(a, b)| t < a || t >= b));
                if let Some(baseline) = robust(healthy.map(|p| p.1)) {
                    usual.insert((entity.clone(), key.clone()), baseline);
                }
            }
        }
        usual
    }

    /// What was unusual about `entity` in the frame that ends at `end`, and of which series; `None` when no series has
    /// enough samples in it.
    pub(super) fn items(
        &self,
        entity: &EntityId,
        end: Timestamp,
        usual: &Usual,
        options: &PrecursorOptions,
    ) -> Option<BTreeMap<Item, (SeriesKey, f64)>> {
        let begin = time::before(end, options.frame);
        let mut items: BTreeMap<Item, (SeriesKey, f64)> = BTreeMap::new();
        let mut seen = false;
        for (key, points) in self.series.get(entity)? {
            let from = points.partition_point(|(t, _)| *t < begin);
            let to = points.partition_point(|(t, _)| *t < end);
            let frame = points.get(from..to).unwrap_or_default();
            let Some(baseline) = usual.get(&(entity.clone(), key.clone())) else { continue };
            if frame.len() < options.min_samples {
                continue;
            }
            seen = true;
            for (aspect, value) in aspects(frame, baseline, options) {
                // Of several series of one name the first says it.
                items
                    .entry(Item { metric: key.name.clone(), aspect })
                    .or_insert_with(|| (key.clone(), value));
            }
        }
        seen.then_some(items)
    }
}

/// What is unusual about a frame of one series, with the value that shows it.
fn aspects(frame: &[(Timestamp, f64)], usual: &Baseline, options: &PrecursorOptions) -> Vec<(Aspect, f64)> {
    let level = |part: &[(Timestamp, f64)]| median(part.iter().map(|p| p.1));
    let third = (frame.len() / 3).max(1);
    let (early, late) = frame.split_at(frame.len() - third);
    let early = early.get(..third).unwrap_or(early);
    let (whole, before, after) = (level(frame), level(early), level(late));
    let far = options.sigma * usual.scale;
    let spread = robust(frame.iter().map(|p| p.1)).map_or(0.0, |b| b.scale);
    let all = [
        (Aspect::High, whole - usual.center > far, whole),
        (Aspect::Low, usual.center - whole > far, whole),
        (Aspect::Rising, after - before > far, after),
        (Aspect::Falling, before - after > far, after),
        (Aspect::Unsteady, spread > options.spread * usual.scale, after),
    ];
    all.into_iter().filter(|(_, is, _)| *is).map(|(aspect, _, value)| (aspect, value)).collect()
}
