use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use crate::config::{ConfigError, duration_in_range, in_range};

/// A password or token. It can be read from a configuration file and never comes out again: `Debug` hides it, and
/// neither it nor anything that holds it can be serialised.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How requests are authenticated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// HTTP basic authentication (RFC 7617).
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// Bearer token (RFC 6750).
    Bearer {
        /// Token.
        token: Secret,
    },
}

/// How often and how patiently a read is tried again after a transient failure (server down, slow or overloaded).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Attempts in all. Default 3; 1 to 10.
    pub attempts: u32,
    /// Pause before the second attempt; doubles each time. Default 200 ms; up to 1 min.
    #[serde(with = "aiops_core::model::duration")]
    pub initial_backoff: Duration,
    /// Longest pause, also where the server asks for a longer one (`Retry-After`). Default 5 s; up to 10 min.
    #[serde(with = "aiops_core::model::duration")]
    pub max_backoff: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 3, initial_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(5) }
    }
}

impl RetryConfig {
    /// The pause after failed attempt number `attempt`, from 1.
    #[must_use]
    pub fn backoff(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self
            .initial_backoff
            .saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.max(retry_after.unwrap_or_default()).min(self.max_backoff)
    }
}

/// Certificates a TLS connection trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM files with further certificate authorities.
    pub ca_files: Vec<PathBuf>,
    /// Trust only `ca_files`, not the authorities of the operating system. Default false.
    pub only_ca_files: bool,
}

/// Configuration of a [`PrometheusClient`](super::PrometheusClient).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Address of the server, with path prefix if it has one (`https://metrics.example/prometheus`). No user name or
    /// password in it: that is what `auth` is for.
    pub url: String,
    /// How requests are authenticated.
    #[serde(default)]
    pub auth: Auth,
    /// Certificates.
    #[serde(default)]
    pub tls: TlsConfig,
    /// For a whole exchange, last byte included. Default 30 s; 1 ms to 1 h.
    #[serde(default = "default_timeout", with = "aiops_core::model::duration")]
    pub timeout: Duration,
    /// For connecting. Default 5 s; 1 ms to 10 min.
    #[serde(default = "default_connect_timeout", with = "aiops_core::model::duration")]
    pub connect_timeout: Duration,
    /// Retries.
    #[serde(default)]
    pub retry: RetryConfig,
    /// Largest answer in bytes. Default 64 MiB; 1 KiB to 4 GiB.
    #[serde(default = "default_max_response_bytes")]
    pub max_response_bytes: u64,
    /// Most series in one answer. Default 50,000; at least 1.
    #[serde(default = "default_max_series")]
    pub max_series: usize,
    /// Most points per series asked for at once; longer ranges are cut and stitched. Servers refuse more than 11,000.
    /// Default 11,000; 2 to 11,000.
    #[serde(default = "default_max_points")]
    pub max_points_per_query: usize,
    /// Queries of one fetch sent at the same time. Default 4; 1 to 64.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
}

fn default_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_connect_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_max_response_bytes() -> u64 {
    64 << 20
}

fn default_max_series() -> usize {
    50_000
}

fn default_concurrency() -> usize {
    4
}

fn default_max_points() -> usize {
    11_000
}

impl ClientConfig {
    /// Defaults for the server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            tls: TlsConfig::default(),
            timeout: default_timeout(),
            connect_timeout: default_connect_timeout(),
            retry: RetryConfig::default(),
            max_response_bytes: default_max_response_bytes(),
            max_series: default_max_series(),
            max_points_per_query: default_max_points(),
            concurrency: default_concurrency(),
        }
    }

    /// Checks every field against its range.
    ///
    /// # Errors
    /// Names the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        parse_http_url("url", &self.url)?;
        let millisecond = Duration::from_millis(1);
        duration_in_range("timeout", self.timeout, millisecond, Duration::from_secs(3_600))?;
        duration_in_range("connect_timeout", self.connect_timeout, millisecond, Duration::from_secs(600))?;
        in_range("retry.attempts", self.retry.attempts, 1, 10)?;
        duration_in_range(
            "retry.initial_backoff",
            self.retry.initial_backoff,
            Duration::ZERO,
            Duration::from_secs(60),
        )?;
        duration_in_range(
            "retry.max_backoff",
            self.retry.max_backoff,
            Duration::ZERO,
            Duration::from_secs(600),
        )?;
        in_range("max_response_bytes", self.max_response_bytes, 1 << 10, 4 << 30)?;
        in_range("max_series", self.max_series, 1, usize::MAX)?;
        in_range("concurrency", self.concurrency, 1, 64)?;
        in_range("max_points_per_query", self.max_points_per_query, 2, 11_000)
    }
}

/// An `http` or `https` address with a host and without credentials, query or fragment. The value is left out of the
/// error, since what makes it wrong may be a password.
pub(crate) fn parse_http_url(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    let wrong = |allowed: &str| ConfigError::new(field, "(not shown)", allowed);
    let url = Url::parse(text).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("an http:// or https:// URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("no user name or password in the URL; they have fields of their own"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("no query and no fragment in the URL"));
    }
    Ok(url)
}
