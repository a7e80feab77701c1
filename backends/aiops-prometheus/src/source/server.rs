use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::model::{CollectorHealth, FetchRequest, Signal, TelemetryWindow};
use aiops_core::seam::{SourceCapability, TelemetrySource};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::assemble::Assembler;
use super::{capability, grid, label_matchers, observed};
use crate::client::{Answer, ClientError, PrometheusClient, RangeSeries};
use crate::config::ConfigError;
use crate::family::{MetricSelection, SignalName};
use crate::mapping::EntityMapping;
use crate::selector::{LabelMatcher, SeriesSelector};
use crate::store::Grid;

/// Gauges read in one query.
const LEVELS_PER_QUERY: usize = 25;

/// A Prometheus or VictoriaMetrics server as a [`TelemetrySource`] of metrics and topology.
#[derive(Debug, Clone)]
pub struct PrometheusSource {
    client: Arc<PrometheusClient>,
    selection: MetricSelection,
    mapping: EntityMapping,
}

/// One query of a fetch.
enum Read {
    /// Levels of several metrics.
    Levels(Vec<String>),
    /// One rate or quantile.
    Derived(SignalName),
}

impl PrometheusSource {
    /// Reads everything the server has, by the default mapping; rates look back at least 2 min, which holds two scrapes
    /// at the usual intervals.
    ///
    /// # Errors
    /// Never with these settings; the signature is that of [`Self::with`].
    pub fn new(client: Arc<PrometheusClient>) -> Result<Self, ConfigError> {
        let selection =
            MetricSelection { min_rate_window: Duration::from_secs(120), ..MetricSelection::default() };
        Self::with(client, selection, EntityMapping::default())
    }

    /// Reads `selection` by `mapping`.
    ///
    /// # Errors
    /// When `selection` is out of range.
    pub fn with(
        client: Arc<PrometheusClient>,
        selection: MetricSelection,
        mapping: EntityMapping,
    ) -> Result<Self, ConfigError> {
        selection.validate()?;
        Ok(Self { client, selection, mapping })
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Arc<PrometheusClient> {
        &self.client
    }

    /// The signals the server can give within the range of a request, whatever it asks for: names, then types where
    /// the server keeps them.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discover(
        &self,
        request: &FetchRequest,
        ctx: &Context,
    ) -> Result<BTreeSet<SignalName>, ClientError> {
        let mut selectors = Vec::new();
        let matchers = label_matchers(request);
        if !matchers.is_empty() {
            selectors.push(SeriesSelector { name: None, matchers });
        }
        let (from, to) = (request.range.start(), request.range.end());
        let names = self.client.label_values("__name__", &selectors, from, to, ctx).await?.data;
        let metadata = self.client.metadata(self.selection.max_metrics.saturating_mul(4), ctx).await?.data;
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        Ok(self.selection.signals(&names, |family| metadata.get(family).map(|metadata| metadata.kind)))
    }

    async fn read(
        &self,
        read: &Read,
        matchers: &[LabelMatcher],
        grid: Grid,
        window: Duration,
        ctx: &Context,
    ) -> Result<Answer<Vec<RangeSeries>>, ClientError> {
        let expression = match read {
            Read::Levels(names) => {
                let label = "__name__".to_owned();
                let mut selector =
                    SeriesSelector::all().with(LabelMatcher::OneOf { label, values: names.clone() });
                selector.matchers.extend_from_slice(matchers);
                selector.to_string()
            }
            Read::Derived(signal) => {
                let mut selector = SeriesSelector::name(signal.metric());
                selector.matchers = matchers.to_vec();
                let rate = format!("rate({selector}[{}ms])", window.as_millis());
                match signal {
                    SignalName::Quantile(_, q) => format!("histogram_quantile({}, {rate})", q.get()),
                    SignalName::Rate(_) | SignalName::Level(_) => rate,
                }
            }
        };
        self.client.query_range(&expression, grid, ctx).await
    }

    async fn window(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let mut assembler = Assembler::new(request, observed(request)?, &self.mapping)?;
        let grid = grid(request, assembler.axis().len())?;
        let matchers = label_matchers(request);
        let window = self.selection.rate_window(request.step);
        let asked = &request.selector.metrics;
        let mut signals = match asked.as_slice() {
            [] => self.discover(request, ctx).await?,
            asked => asked.iter().map(|name| SignalName::parse(name)).collect(),
        };
        if !request.signals.contains(Signal::Metrics) {
            // Who is scraped and who calls whom is told by labels alone, below.
            signals.clear();
        }
        if signals.len() > self.selection.max_metrics {
            return Err(Error::new(ErrorKind::Limit, "more metrics than one request may read")
                .with("metrics", signals.len())
                .with("max_metrics", self.selection.max_metrics));
        }
        let reads = reads(signals);
        let matchers = &matchers;
        let answers = futures_util::stream::iter(reads)
            .map(|read| async move {
                let answer = self.read(&read, matchers, grid, window, ctx).await?;
                Ok::<_, ClientError>((read, answer))
            })
            .buffered(self.client.config().concurrency);
        let mut answers = std::pin::pin!(answers);
        let mut warnings = BTreeSet::new();
        while let Some((read, answer)) = answers.try_next().await.map_err(Error::from)? {
            warnings.extend(answer.warnings);
            for series in answer.data {
                let RangeSeries { labels, mut values } = series;
                match &read {
                    Read::Levels(_) => {
                        let name = labels.get("__name__").cloned().unwrap_or_default();
                        assembler.series(&SignalName::Level(name), labels, values)?;
                    }
                    Read::Derived(signal) => {
                        if matches!(signal, SignalName::Quantile(..)) {
                            // NaN is how PromQL says that nothing was observed: that is a gap, not a value.
                            for value in &mut values {
                                *value = value.filter(|quantile| !quantile.is_nan());
                            }
                        }
                        assembler.series(signal, labels, values)?;
                    }
                }
            }
        }
        if request.signals.contains(Signal::Topology) {
            let calls = self.mapping.calls.iter().map(|call| call.metric.as_str());
            let selectors: Vec<SeriesSelector> = calls.chain(["up"]).map(SeriesSelector::name).collect();
            let (from, to) = (request.range.start(), request.range.end());
            for labels in self.client.series(&selectors, from, to, ctx).await.map_err(Error::from)?.data {
                let metric = labels.get("__name__").cloned().unwrap_or_default();
                assembler.topology(&metric, labels);
            }
        }
        for warning in warnings {
            let mut health = CollectorHealth::new(Signal::Metrics);
            health.note = Some(warning);
            assembler.health(health);
        }
        Ok(assembler.finish_with_up())
    }
}

/// Bundles levels; rates and quantiles lose the metric's name, so each is a query of its own.
fn reads(signals: BTreeSet<SignalName>) -> Vec<Read> {
    let (levels, derived): (Vec<_>, Vec<_>) =
        signals.into_iter().partition(|signal| matches!(signal, SignalName::Level(_)));
    let names: Vec<String> = levels.iter().map(SignalName::metric).collect();
    let bundles = names.chunks(LEVELS_PER_QUERY).map(|names| Read::Levels(names.to_vec()));
    bundles.chain(derived.into_iter().map(Read::Derived)).collect()
}

#[async_trait]
impl TelemetrySource for PrometheusSource {
    fn capability(&self) -> SourceCapability {
        capability()
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        self.window(request, ctx).await.map_err(|error| error.at("TelemetrySource::fetch"))
    }
}
