//! Telemetry of the shop: scraped into the embedded store, or read through a Prometheus server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::{Cancellation, CompositeSource, Context};
use aiops_detect::sli::{ErrorRatio, SliSource};
use aiops_prometheus::client::{ClientConfig, PrometheusClient};
use aiops_prometheus::scrape::{ScrapeConfig, Scraper, Target as ScrapeTarget};
use aiops_prometheus::store::{SharedStore, StoreConfig};
use aiops_prometheus::{CallMapping, EmbeddedSource, EntityMapping, MetricSelection, PrometheusSource};
use tokio::task::JoinHandle;

use super::{Options, RunError};
use crate::shop::{Shop, Target};

/// Time between two scrapes.
pub(super) const SCRAPE: Duration = Duration::from_secs(1);
/// How far back changes are looked for.
const CHANGES: Duration = Duration::from_secs(120);

/// Requests answered, by status code.
pub(super) const REQUESTS: &str = "http_server_requests_total";
/// Share of requests that a service failed.
pub(super) const ERRORS: &str = "error_ratio(http_server_requests_total)";
/// Time to answer.
pub(super) const LATENCY: &str = "p95(http_server_request_duration_seconds)";
/// Label that names the service.
pub(super) const SERVICE: &str = "service";

/// A running collector and the sources on it.
#[derive(Debug)]
pub(super) struct Telemetry {
    source: CompositeSource,
    stop: Cancellation,
    collector: JoinHandle<()>,
    targets_file: Option<PathBuf>,
}

impl Telemetry {
    pub(super) async fn start(options: &Options, shop: Arc<Shop>, ctx: &Context) -> Result<Self, RunError> {
        let stop = Cancellation::new();
        let collecting = ctx.clone().with_cancellation(stop.clone());
        let changes = shop.supervisor().clone();
        match &options.prometheus {
            None => {
                // The shop's pages name service and instance themselves, the liveness page those of others.
                let config = StoreConfig { honor_labels: true, ..StoreConfig::default() };
                let store = SharedStore::new(config)?;
                let scraper = Scraper::new(ScrapeConfig::default(), store.clone())?;
                let collector = tokio::spawn(scrape(shop, scraper, collecting));
                let embedded = EmbeddedSource::new(store, selection(), mapping())?;
                let source = with_changes(SliSource::new(embedded, indicators())?, changes);
                Ok(Self { source, stop, collector, targets_file: None })
            }
            Some(url) => {
                let client = PrometheusClient::new(ClientConfig::new(url.clone()))?;
                let server = PrometheusSource::with(Arc::new(client), selection(), mapping())?;
                let file = options.targets.clone();
                let collector = tokio::spawn(announce(shop, file.clone(), collecting));
                let source = with_changes(SliSource::new(server, indicators())?, changes);
                Ok(Self { source, stop, collector, targets_file: Some(file) })
            }
        }
    }

    pub(super) fn source(&self) -> CompositeSource {
        self.source.clone()
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        // A collector that panicked has nothing left to stop.
        let _ = self.collector.await;
        if let Some(file) = self.targets_file {
            // The server then forgets the shop; a file that is gone already is as good.
            let _ = std::fs::remove_file(file);
        }
    }
}

fn with_changes(
    metrics: impl aiops_core::seam::TelemetrySource,
    changes: aiops_process::Supervisor,
) -> CompositeSource {
    CompositeSource::new().with(metrics).with_changes(changes, CHANGES)
}

fn selection() -> MetricSelection {
    MetricSelection { rate_window_steps: 3, quantiles: vec![0.5, 0.95], ..MetricSelection::default() }
}

/// Calls are told by the callers' own metric.
fn mapping() -> EntityMapping {
    let call = CallMapping {
        metric: "http_client_requests_total".to_owned(),
        caller: Vec::new(),
        callee: vec!["peer_service".to_owned()],
    };
    EntityMapping { calls: vec![call], ..EntityMapping::default() }
}

/// What users of each service feel, and what each caller of another feels.
fn indicators() -> Vec<ErrorRatio> {
    vec![
        ErrorRatio::of_services(REQUESTS, "code", SERVICE),
        ErrorRatio::of_services("http_client_requests_total", "code", SERVICE).also_by("peer_service"),
    ]
}

/// Scrapes whatever the shop runs at the time.
async fn scrape(shop: Arc<Shop>, scraper: Scraper, ctx: Context) {
    while ctx.check().is_ok() {
        let targets: Vec<ScrapeTarget> = shop
            .targets()
            .into_iter()
            .map(|t| ScrapeTarget::new(t.url).with(SERVICE, t.service).with("instance", t.instance))
            .collect();
        if let Err(e) = scraper.set_targets(&targets, &ctx) {
            tracing::warn!(error = %e, "targets were refused");
        }
        let began = ctx.now();
        let round = ctx.bound(async {
            scraper.scrape_once(&ctx).await;
            Ok(())
        });
        let rest = SCRAPE.saturating_sub(aiops_core::model::time::elapsed(began, ctx.now()));
        if round.await.is_err() || ctx.sleep(rest).await.is_err() {
            return;
        }
    }
}

/// Keeps the file up to date in which a Prometheus server finds what to scrape.
async fn announce(shop: Arc<Shop>, file: PathBuf, ctx: Context) {
    let mut known: Vec<Target> = Vec::new();
    while ctx.check().is_ok() {
        let targets = shop.targets();
        if targets != known {
            match write_targets(&file, &targets) {
                Ok(()) => known = targets,
                Err(e) => tracing::warn!(error = %e, "the targets file cannot be written"),
            }
        }
        if ctx.sleep(Duration::from_millis(500)).await.is_err() {
            return;
        }
    }
}

fn write_targets(file: &std::path::Path, targets: &[Target]) -> Result<(), RunError> {
    let groups: Vec<serde_json::Value> = targets
        .iter()
        .filter_map(|t| {
            let address = t.url.strip_prefix("http://")?.strip_suffix("/metrics")?;
            let labels = serde_json::json!({ SERVICE: t.service, "instance": t.instance });
            Some(serde_json::json!({ "targets": [address], "labels": labels }))
        })
        .collect();
    // Written aside first: the server must never read half a file.
    let aside = file.with_extension("part");
    std::fs::write(&aside, serde_json::to_vec_pretty(&groups)?)?;
    std::fs::rename(aside, file)?;
    Ok(())
}
