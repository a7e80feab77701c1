//! Read-only client of the Prometheus HTTP API v1, as Prometheus and VictoriaMetrics serve it.
//!
//! It never writes: only the query and metadata endpoints are known to it. Long ranges are cut under the servers' limit
//! of 11,000 points per series and stitched exactly. Transient failures are retried; everything else is a
//! [`ClientError`] that says which side is at fault. Secrets appear in no `Debug`, log line or error.

mod config;
mod decode;
mod error;
mod plan;

pub(crate) use config::parse_http_url;
pub use config::{Auth, ClientConfig, RetryConfig, Secret, TlsConfig};
pub use decode::{Answer, Metadata};
pub use error::ClientError;
pub use plan::RangeSeries;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aiops_core::Context;
use jiff::Timestamp;
use reqwest::{Client, Method, Url, header};
use serde::de::DeserializeOwned;

use crate::http::{BodyError, SetUpError, excerpt, http_client, read_body};
use crate::selector::{LabelMap, SeriesSelector};
use crate::store::{Grid, Point};
use decode::{MetadataData, QueryData, decode, decode_error};
use plan::{Stitcher, chunks};

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct InstantSample {
    /// Labels, the metric name under `__name__` where the expression keeps it.
    pub labels: LabelMap,
    /// Time and value.
    pub point: Point,
}

/// Client of one server. Cheap to share behind an `Arc`; connections are pooled. Needs a tokio runtime with I/O and time.
pub struct PrometheusClient {
    config: ClientConfig,
    base: Url,
    http: Client,
}

impl fmt::Debug for PrometheusClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusClient").field("config", &self.config).finish_non_exhaustive()
    }
}

enum Call<'a> {
    /// POST with a form body, so that a long expression meets no limit on addresses.
    Form(&'a str),
    /// GET of a path, for the endpoints that know no POST.
    Get(&'a [&'a str]),
}

impl PrometheusClient {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// When a setting is out of range, a certificate file cannot be read, or (for `https`) the operating system has no
    /// certificate authorities.
    pub fn new(config: ClientConfig) -> Result<Self, SetUpError> {
        config.validate()?;
        let base = parse_http_url("url", &config.url)?;
        let http =
            http_client(&config.tls, base.scheme() == "https", config.timeout, config.connect_timeout)?;
        Ok(Self { config, base, http })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Evaluates an expression at one instant. A scalar is a vector of one element without labels.
    ///
    /// # Errors
    /// See [`ClientError`]; an expression that gives a string or a matrix is [`ClientError::Protocol`].
    pub async fn query(
        &self,
        expression: &str,
        at: Timestamp,
        ctx: &Context,
    ) -> Result<Answer<Vec<InstantSample>>, ClientError> {
        let form =
            [("query", expression.to_owned()), ("time", seconds(at.as_millisecond())), NO_CACHE.owned()];
        let answer: Answer<QueryData> = self.call(&Call::Form("query"), &form, ctx).await?;
        let sample = |labels, pair: decode::Pair| {
            let at_ms = crate::exposition::seconds_to_millis(pair.0)
                .ok_or_else(|| ClientError::Protocol("a sample outside of time".to_owned()))?;
            Ok::<_, ClientError>(InstantSample { labels, point: Point::new(at_ms, pair.1.0) })
        };
        let data = match answer.data {
            QueryData::Vector(items) => {
                self.check_series(items.len())?;
                let present = items.into_iter().filter_map(|item| Some((item.metric, item.value?)));
                present.map(|(labels, pair)| sample(labels, pair)).collect::<Result<Vec<_>, _>>()?
            }
            QueryData::Scalar(pair) => vec![sample(LabelMap::new(), pair)?],
            QueryData::Matrix(_) | QueryData::String(_) => {
                return Err(ClientError::Protocol("an instant query gave no vector".to_owned()));
            }
        };
        Ok(Answer { data, warnings: answer.warnings })
    }

    /// Evaluates an expression at every point of a grid: one value or gap per point, series in order of labels.
    ///
    /// Cut into ⌈`grid.len` / `max_points_per_query`⌉ queries, one after the other.
    ///
    /// # Errors
    /// See [`ClientError`]; one failed part fails the whole, there is no silent hole.
    pub async fn query_range(
        &self,
        expression: &str,
        grid: Grid,
        ctx: &Context,
    ) -> Result<Answer<Vec<RangeSeries>>, ClientError> {
        if grid.step_ms <= 0 {
            return Err(ClientError::Request(format!("step of {} ms", grid.step_ms)));
        }
        let mut stitcher = Stitcher::new(grid, self.config.max_series);
        let mut warnings = Vec::new();
        for chunk in chunks(grid, self.config.max_points_per_query) {
            let form = [
                ("query", expression.to_owned()),
                ("start", seconds(chunk.grid.at(0))),
                ("end", seconds(chunk.grid.at(chunk.grid.len.saturating_sub(1)))),
                ("step", seconds(grid.step_ms)),
                NO_CACHE.owned(),
                LATENCY_OFFSET.owned(),
            ];
            let answer: Answer<QueryData> = self.call(&Call::Form("query_range"), &form, ctx).await?;
            let QueryData::Matrix(items) = answer.data else {
                return Err(ClientError::Protocol("a range query gave no matrix".to_owned()));
            };
            stitcher.add(chunk, items)?;
            for warning in answer.warnings {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(Answer { data: stitcher.finish(), warnings })
    }

    /// Label sets (metric name under `__name__`) of the series that any selector selects and that have samples between
    /// two instants, in order.
    ///
    /// # Errors
    /// See [`ClientError`]; without a selector [`ClientError::Request`].
    pub async fn series(
        &self,
        selectors: &[SeriesSelector],
        from: Timestamp,
        to: Timestamp,
        ctx: &Context,
    ) -> Result<Answer<Vec<LabelMap>>, ClientError> {
        if selectors.is_empty() {
            return Err(ClientError::Request("no selector".to_owned()));
        }
        let form = between(selectors, from, to);
        let mut answer: Answer<Vec<LabelMap>> = self.call(&Call::Form("series"), &form, ctx).await?;
        self.check_series(answer.data.len())?;
        answer.data.sort();
        answer.data.dedup();
        Ok(answer)
    }

    /// Label names in use between two instants, in order; of all series if no selector is given.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn label_names(
        &self,
        selectors: &[SeriesSelector],
        from: Timestamp,
        to: Timestamp,
        ctx: &Context,
    ) -> Result<Answer<Vec<String>>, ClientError> {
        let form = between(selectors, from, to);
        let mut answer: Answer<Vec<String>> = self.call(&Call::Form("labels"), &form, ctx).await?;
        answer.data.sort();
        Ok(answer)
    }

    /// Values of a label in use between two instants, in order; of `__name__`, the metric names.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn label_values(
        &self,
        label: &str,
        selectors: &[SeriesSelector],
        from: Timestamp,
        to: Timestamp,
        ctx: &Context,
    ) -> Result<Answer<Vec<String>>, ClientError> {
        let query = between(selectors, from, to);
        let mut answer: Answer<Vec<String>> =
            self.call(&Call::Get(&["label", label, "values"]), &query, ctx).await?;
        answer.data.sort();
        Ok(answer)
    }

    /// What targets declared about at most `limit` metric families. VictoriaMetrics before 1.130 keeps no metadata and
    /// answers with none.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn metadata(
        &self,
        limit: usize,
        ctx: &Context,
    ) -> Result<Answer<BTreeMap<String, Metadata>>, ClientError> {
        let query = [("limit", limit.to_string())];
        let answer: Answer<MetadataData> = self.call(&Call::Get(&["metadata"]), &query, ctx).await?;
        Ok(Answer { data: answer.data.0, warnings: answer.warnings })
    }

    fn check_series(&self, series: usize) -> Result<(), ClientError> {
        let limit = self.config.max_series;
        if series > limit { Err(ClientError::TooManySeries { series, limit }) } else { Ok(()) }
    }

    /// Sends a read, again while it fails transiently, until attempts or the context run out.
    async fn call<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        parameters: &[(&str, String)],
        ctx: &Context,
    ) -> Result<Answer<T>, ClientError> {
        let mut attempt = 1;
        loop {
            let outcome = ctx.bound(async { Ok(self.exchange(call, parameters).await) }).await?;
            let error = match outcome.and_then(|(status, body)| decode(status, &body)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if attempt >= self.config.retry.attempts || !error.is_transient() {
                return Err(error);
            }
            let pause = self.config.retry.backoff(attempt, error.retry_after());
            tracing::debug!(attempt, ?pause, %error, "reading again");
            ctx.sleep(pause).await?;
            attempt += 1;
        }
    }

    /// One exchange: status and body of a success, or the error the answer stands for.
    async fn exchange(
        &self,
        call: &Call<'_>,
        parameters: &[(&str, String)],
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let request = match call {
            Call::Form(endpoint) => self.http.post(self.url(&[endpoint])?).form(parameters),
            Call::Get(path) => {
                let mut url = self.url(path)?;
                url.query_pairs_mut().extend_pairs(parameters);
                self.http.request(Method::GET, url)
            }
        };
        let request = match &self.config.auth {
            Auth::None => request,
            Auth::Basic { username, password } => request.basic_auth(username, Some(password.reveal())),
            Auth::Bearer { token } => request.bearer_auth(token.reveal()),
        };
        let timeout = self.config.timeout;
        let sent = request.header(header::ACCEPT, "application/json").send().await;
        let mut response = sent.map_err(|error| ClientError::from_reqwest(error, timeout))?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        let read =
            read_body(&mut response, self.config.max_response_bytes, |chunk| body.extend_from_slice(chunk));
        let read = read.await;
        if status.is_success() {
            return match read {
                Ok(_) => Ok((status.as_u16(), body)),
                Err(BodyError::TooLarge) => {
                    Err(ClientError::TooLarge { limit: self.config.max_response_bytes })
                }
                Err(BodyError::Transport(error)) => Err(ClientError::from_reqwest(error, timeout)),
            };
        }
        // However the body of a failure ends, its status is what counts.
        let status = status.as_u16();
        Err(match decode_error(status, &body) {
            Some(ClientError::Api { status, error_type, message, .. }) => {
                ClientError::Api { status, error_type, message, retry_after }
            }
            _ => ClientError::Status { status, excerpt: excerpt(&body), retry_after },
        })
    }

    fn url(&self, path: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ClientError::Request("the address cannot have a path".to_owned()))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        Ok(url)
    }
}

struct Parameter(&'static str, &'static str);

impl Parameter {
    fn owned(&self) -> (&'static str, String) {
        (self.0, self.1.to_owned())
    }
}

/// VictoriaMetrics shifts a cached range to multiples of its step; without its cache it keeps to the grid asked for.
const NO_CACHE: Parameter = Parameter("nocache", "1");
/// VictoriaMetrics repeats older values over the last 30 s; whoever watches an incident needs the true ones. Versions
/// that do not know the parameter need the flag `-search.latencyOffset=1s`. Prometheus ignores both parameters.
const LATENCY_OFFSET: Parameter = Parameter("latency_offset", "1ms");

fn between(selectors: &[SeriesSelector], from: Timestamp, to: Timestamp) -> Vec<(&'static str, String)> {
    let selectors = selectors.iter().map(|selector| ("match[]", selector.to_string()));
    let ends = [("start", from), ("end", to)].map(|(name, at)| (name, seconds(at.as_millisecond())));
    selectors.chain(ends).collect()
}

/// Milliseconds as the API's decimal seconds, without a float in between.
fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let magnitude = millis.unsigned_abs();
    format!("{sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000)
}
