//! Scraper: reads the `/metrics` pages of N targets into a store, round after round.
//!
//! A target that is down, slow or talks nonsense costs a gap and `up` = 0, never the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aiops_core::Context;
use aiops_core::model::{duration, time};
use futures_util::StreamExt as _;
use reqwest::{Client, Url, header};
use serde::{Deserialize, Serialize};

use crate::client::{TlsConfig, parse_http_url};
use crate::config::{ConfigError, duration_in_range, in_range};
use crate::exposition::{Format, ParserConfig};
use crate::http::{BodyError, SetUpError, http_client, read_body};
use crate::selector::LabelMap;
use crate::store::{Page, PageReader, SharedStore};

/// Something with a `/metrics` page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Target {
    /// Address of the page (`http://127.0.0.1:9100/metrics`).
    pub url: String,
    /// Labels every series of the target gets. `instance` is host and port of the address unless given.
    #[serde(default)]
    pub labels: LabelMap,
}

impl Target {
    /// A target without labels of its own.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), labels: LabelMap::new() }
    }

    /// The same target with one more label.
    #[must_use]
    pub fn with(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(label.into(), value.into());
        self
    }

    fn resolve(&self) -> Result<(Url, LabelMap), ConfigError> {
        let url = parse_http_url("target.url", &self.url)?;
        let mut labels = self.labels.clone();
        // An empty value is no label, in Prometheus as here.
        labels.retain(|_, value| !value.is_empty());
        if !labels.contains_key("instance") {
            let mut instance = url.host_str().unwrap_or_default().to_owned();
            if let Some(port) = url.port_or_known_default() {
                // Writing to a String cannot fail.
                let _infallible = write!(instance, ":{port}");
            }
            labels.insert("instance".to_owned(), instance);
        }
        Ok((url, labels))
    }
}

/// Limits of a [`Scraper`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScrapeConfig {
    /// For a whole scrape, last byte included. Default 5 s; 1 ms to 10 min.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// Largest page in bytes. Default 16 MiB; 1 KiB to 1 GiB.
    pub max_body_bytes: u64,
    /// Targets scraped at the same time. Default 16; 1 to 1,024.
    pub concurrency: usize,
    /// Limits within a page.
    pub parser: ParserConfig,
    /// Certificates, for `https` targets.
    pub tls: TlsConfig,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_body_bytes: 16 << 20,
            concurrency: 16,
            parser: ParserConfig::default(),
            tls: TlsConfig::default(),
        }
    }
}

impl ScrapeConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// Names the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        duration_in_range("timeout", self.timeout, Duration::from_millis(1), Duration::from_secs(600))?;
        in_range("max_body_bytes", self.max_body_bytes, 1 << 10, 1 << 30)?;
        in_range("concurrency", self.concurrency, 1, 1_024)?;
        self.parser.validate()
    }
}

/// Why a scrape failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeFailure {
    /// No connection.
    #[error("cannot connect")]
    Connect,
    /// No whole page within the timeout.
    #[error("no whole page in time")]
    Timeout,
    /// The exchange broke off, or what came is not HTTP.
    #[error("the exchange broke off")]
    Transport,
    /// Another HTTP status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The page is larger than the limit.
    #[error("the page is larger than the limit")]
    TooLarge,
    /// An OpenMetrics page without `# EOF`.
    #[error("the page is cut short")]
    CutShort,
    /// Not one readable sample, but unreadable lines.
    #[error("not an exposition page")]
    NotExposition,
}

/// What became of one target in one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeOutcome {
    /// Labels of the target.
    pub target: LabelMap,
    /// Samples read, or why there are none.
    pub result: Result<u64, ScrapeFailure>,
    /// How long it took.
    pub took: Duration,
}

/// Scrapes targets into a store. Needs a tokio runtime with I/O and time.
#[derive(Debug)]
pub struct Scraper {
    config: ScrapeConfig,
    http: Client,
    /// Made with the first `https` target, because the authorities of the system need not exist before.
    https: OnceLock<Client>,
    store: SharedStore,
    targets: Mutex<BTreeMap<LabelMap, Url>>,
}

impl Scraper {
    /// A scraper without targets.
    ///
    /// # Errors
    /// When a setting is out of range or a certificate file cannot be read.
    pub fn new(config: ScrapeConfig, store: SharedStore) -> Result<Self, SetUpError> {
        config.validate()?;
        let http = http_client(&config.tls, false, config.timeout, config.timeout)?;
        Ok(Self { config, http, https: OnceLock::new(), store, targets: Mutex::new(BTreeMap::new()) })
    }

    /// Replaces the targets; those that are gone have their series marked stale at `ctx`'s present.
    ///
    /// # Errors
    /// When an address is not `http`/`https`, carries credentials, or two targets have the same labels; nothing is
    /// changed then. Also when the first `https` target finds no certificate authorities.
    pub fn set_targets(&self, targets: &[Target], ctx: &Context) -> Result<(), SetUpError> {
        let mut wanted = BTreeMap::new();
        for target in targets {
            let (url, labels) = target.resolve()?;
            if let Some(instance) = labels.get("instance").filter(|_| wanted.contains_key(&labels)) {
                return Err(
                    ConfigError::new("target.labels", instance, "two targets have the same labels").into()
                );
            }
            if url.scheme() == "https" && self.https.get().is_none() {
                let client = http_client(&self.config.tls, true, self.config.timeout, self.config.timeout)?;
                self.https.get_or_init(|| client);
            }
            wanted.insert(labels, url);
        }
        let kept: BTreeSet<LabelMap> = wanted.keys().cloned().collect();
        let former = std::mem::replace(&mut *self.lock(), wanted);
        let now_ms = ctx.now().as_millisecond();
        self.store.with(|store| {
            for gone in former.keys().filter(|labels| !kept.contains(*labels)) {
                store.remove_target(gone, now_ms);
            }
        });
        Ok(())
    }

    /// The store it fills.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Scrapes every target once, at most [`ScrapeConfig::concurrency`] at a time, and records all under the time the
    /// round began. Outcomes are in order of target labels; a failed target is an outcome, not an error.
    pub async fn scrape_once(&self, ctx: &Context) -> Vec<ScrapeOutcome> {
        let at_ms = ctx.now().as_millisecond();
        let targets: Vec<(LabelMap, Url)> = self.lock().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let scrapes = targets.into_iter().map(|(labels, url)| async move {
            let began = ctx.now();
            let page = self.scrape(url).await;
            (labels, page, time::elapsed(began, ctx.now()))
        });
        let pages: Vec<_> =
            futures_util::stream::iter(scrapes).buffered(self.config.concurrency).collect().await;
        let known = self.lock().clone();
        self.store.with(|store| {
            pages
                .into_iter()
                .map(|(target, page, took)| {
                    // A target removed while it was scraped must not come back to life.
                    if known.contains_key(&target) {
                        let samples = match &page {
                            Ok(page) => {
                                store.record(&target, at_ms, page);
                                page.report.samples
                            }
                            Err(failure) => {
                                tracing::debug!(instance = target.get("instance"), %failure, "scrape failed");
                                store.record_failure(&target, at_ms, &failure.to_string());
                                0
                            }
                        };
                        store.append_own("scrape_duration_seconds", &target, at_ms, took.as_secs_f64());
                        store.append_own("scrape_samples_scraped", &target, at_ms, samples as f64);
                    }
                    ScrapeOutcome { target, result: page.map(|page| page.report.samples), took }
                })
                .collect()
        })
    }

    /// Scrapes every `interval` until the context ends; returns the number of rounds. A round that takes longer than
    /// the interval is followed at once by the next.
    ///
    /// # Errors
    /// When `interval` is not within 1 ms to 1 day.
    pub async fn run(&self, interval: Duration, ctx: &Context) -> Result<u64, ConfigError> {
        duration_in_range("interval", interval, Duration::from_millis(1), Duration::from_secs(86_400))?;
        let mut rounds = 0;
        while ctx.check().is_ok() {
            let began = ctx.now();
            let round = ctx.bound(async {
                self.scrape_once(ctx).await;
                Ok(())
            });
            if round.await.is_err() {
                break;
            }
            rounds += 1;
            // A clock that jumped back shows no time passed, one that jumped ahead too much: both only move the rhythm.
            let rest = interval.saturating_sub(time::elapsed(began, ctx.now()));
            if ctx.sleep(rest).await.is_err() {
                break;
            }
        }
        Ok(rounds)
    }

    async fn scrape(&self, url: Url) -> Result<Page, ScrapeFailure> {
        let accept =
            "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let mut response =
            self.http.get(url).header(header::ACCEPT, accept).send().await.map_err(|e| transport(&e))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(ScrapeFailure::Status(response.status().as_u16()));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = Format::from_content_type(content_type);
        // The configuration was validated, so only a defect could refuse it here; it then shows as an unreadable page.
        let mut reader =
            PageReader::new(format, self.config.parser).map_err(|_| ScrapeFailure::NotExposition)?;
        match read_body(&mut response, self.config.max_body_bytes, |chunk| reader.push(chunk)).await {
            Ok(_) => {}
            Err(BodyError::TooLarge) => return Err(ScrapeFailure::TooLarge),
            Err(BodyError::Transport(error)) => return Err(transport(&error)),
        }
        let page = reader.finish();
        if !page.report.complete {
            return Err(ScrapeFailure::CutShort);
        }
        if page.report.samples == 0 && page.report.malformed > 0 {
            return Err(ScrapeFailure::NotExposition);
        }
        Ok(page)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<LabelMap, Url>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn transport(error: &reqwest::Error) -> ScrapeFailure {
    if error.is_timeout() {
        ScrapeFailure::Timeout
    } else if error.is_connect() {
        ScrapeFailure::Connect
    } else {
        ScrapeFailure::Transport
    }
}
