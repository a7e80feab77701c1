use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{CollectorHealth, FetchRequest, Labels, Signal, TelemetryWindow};
use aiops_core::seam::{SourceCapability, TelemetrySource};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use jiff::Timestamp;

use super::assemble::Assembler;
use super::{capability, grid, label_matchers, observed};
use crate::config::ConfigError;
use crate::exposition::FamilyType;
use crate::family::{MetricSelection, SignalName};
use crate::mapping::EntityMapping;
use crate::selector::{LabelMap, LabelMatcher, SeriesSelector};
use crate::store::{Bucket, Grid, Point, SharedStore, Store, histogram_quantile, increase, instant};

/// The embedded store as a [`TelemetrySource`] of metrics and topology.
#[derive(Debug, Clone)]
pub struct EmbeddedSource {
    store: SharedStore,
    selection: MetricSelection,
    mapping: EntityMapping,
}

type RawSeries = (LabelMap, Vec<Point>);
/// Upper bound of a bucket and its rate at each grid time.
type BucketRates = (f64, Vec<Option<f64>>);

impl EmbeddedSource {
    /// Reads from `store`.
    ///
    /// # Errors
    /// When `selection` is out of range.
    pub fn new(
        store: SharedStore,
        selection: MetricSelection,
        mapping: EntityMapping,
    ) -> Result<Self, ConfigError> {
        selection.validate()?;
        Ok(Self { store, selection, mapping })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Which signals the request reads.
    fn signals(&self, request: &FetchRequest, store: &Store) -> Result<BTreeSet<SignalName>> {
        let asked = &request.selector.metrics;
        let signals: BTreeSet<SignalName> = if asked.is_empty() {
            let kind =
                |family: &str| -> Option<FamilyType> { store.metadata().get(family).and_then(|m| m.kind) };
            self.selection.signals(&store.names(), kind)
        } else {
            asked.iter().map(|name| SignalName::parse(name)).collect()
        };
        if signals.len() > self.selection.max_metrics {
            return Err(Error::new(ErrorKind::Limit, "more metrics than one request may read")
                .with("metrics", signals.len())
                .with("max_metrics", self.selection.max_metrics));
        }
        Ok(signals)
    }

    fn health(&self, store: &Store) -> Vec<CollectorHealth> {
        let entry = |(labels, target): (&LabelMap, &crate::store::TargetHealth)| {
            let labels: Labels =
                labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
            let dropped = target.malformed_lines.saturating_add(target.dropped_samples);
            if target.consecutive_failures == 0 && dropped == 0 {
                return None;
            }
            let mut health = CollectorHealth::new(Signal::Metrics);
            health.entity = Some(self.mapping.resource("up", &labels).entity);
            health.last_seen = target.last_success_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
            health.dropped = dropped;
            health.note = match &target.last_error {
                Some(error) => {
                    Some(format!("{} scrapes in a row failed: {error}", target.consecutive_failures))
                }
                None => Some("lines or samples of its page were dropped".to_owned()),
            };
            Some(health)
        };
        store.targets().filter_map(entry).collect()
    }
}

#[async_trait]
impl TelemetrySource for EmbeddedSource {
    fn capability(&self) -> SourceCapability {
        capability()
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        ctx.check()?;
        let read = || {
            let mut assembler = Assembler::new(request, observed(request)?, &self.mapping)?;
            let grid = grid(request, assembler.axis().len())?;
            let matchers = label_matchers(request);
            let window_ms = millis(self.selection.rate_window(request.step));
            // Copies the points and lets go of the lock before anything is computed.
            let raw = self.store.with(|store| {
                let lookback_ms = grid.step_ms.saturating_mul(i64::from(store.config().lookback_steps));
                let mut raw = Vec::new();
                for signal in self.signals(request, store)? {
                    let reach = if matches!(signal, SignalName::Level(_)) { lookback_ms } else { window_ms };
                    raw.push((read_raw(store, &signal, &matchers, grid, reach), signal, reach));
                }
                for health in self.health(store) {
                    assembler.health(health);
                }
                let targets: Vec<LabelMap> = store.targets().map(|(labels, _)| labels.clone()).collect();
                let calls = self
                    .mapping
                    .calls
                    .iter()
                    .flat_map(|call| store.series(&SeriesSelector::name(&call.metric)));
                let calls: Vec<_> = calls.map(|id| (id.name, id.labels)).collect();
                let proofs = targets.into_iter().map(|labels| ("up".to_owned(), labels)).chain(calls);
                for (metric, labels) in proofs {
                    assembler.topology(&metric, labels);
                }
                Ok::<_, Error>(raw)
            })?;
            for (series, signal, reach) in raw {
                evaluate(&mut assembler, &signal, series, grid, reach)?;
            }
            Ok(assembler.finish())
        };
        read().map_err(|error: Error| error.at("TelemetrySource::fetch"))
    }
}

fn read_raw(
    store: &Store,
    signal: &SignalName,
    matchers: &[LabelMatcher],
    grid: Grid,
    reach_ms: i64,
) -> Vec<RawSeries> {
    let mut selector = SeriesSelector::name(signal.metric());
    selector.matchers = matchers.to_vec();
    let last = grid.at(grid.len.saturating_sub(1));
    let found = store.points(&selector, grid.start_ms.saturating_sub(reach_ms), last);
    found.into_iter().map(|(id, points)| (id.labels, points)).collect()
}

fn evaluate(
    assembler: &mut Assembler<'_>,
    signal: &SignalName,
    series: Vec<RawSeries>,
    grid: Grid,
    reach_ms: i64,
) -> Result<()> {
    let rates = |points: &[Point]| -> Vec<Option<f64>> {
        increase(points, grid, reach_ms).into_iter().map(|rate| Some(rate?.per_second())).collect()
    };
    match signal {
        SignalName::Level(_) => {
            for (labels, points) in series {
                assembler.series(signal, labels, instant(&points, grid, reach_ms))?;
            }
        }
        SignalName::Rate(_) => {
            for (labels, points) in series {
                assembler.series(signal, labels, rates(&points))?;
            }
        }
        SignalName::Quantile(_, q) => {
            let mut histograms: BTreeMap<LabelMap, Vec<BucketRates>> = BTreeMap::new();
            for (mut labels, points) in series {
                // A bucket without a bound is none; Prometheus ignores it too.
                let bound = labels.remove("le").and_then(|le| le.parse::<f64>().ok());
                if let Some(bound) = bound {
                    histograms.entry(labels).or_default().push((bound, rates(&points)));
                }
            }
            for (labels, buckets) in histograms {
                let at = |index: usize| {
                    let bucket = |(upper_bound, counts): &BucketRates| {
                        let count = counts.get(index).copied().flatten()?;
                        Some(Bucket { upper_bound: *upper_bound, count })
                    };
                    let buckets: Vec<Bucket> = buckets.iter().filter_map(bucket).collect();
                    histogram_quantile(q.get(), &buckets)
                };
                assembler.series(signal, labels, (0..grid.len).map(at).collect())?;
            }
        }
    }
    Ok(())
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
