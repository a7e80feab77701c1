use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use aiops_core::{Error, ErrorKind, Result};
use aiops_prometheus::MetricSelection;
use aiops_prometheus::client::{Auth, ClientConfig, Secret};
use clap::Parser;
use jiff::SignedDuration;

/// Finds what left its norm on a Prometheus or VictoriaMetrics server.
#[derive(Debug, Parser)]
#[command(name = "prometheus", version)]
pub(crate) struct Arguments {
    /// Address of the server.
    #[arg(default_value = "http://127.0.0.1:9090")]
    pub(crate) url: String,
    /// Recent time that is examined.
    #[arg(long, default_value = "30m")]
    pub(crate) window: Span,
    /// Time before it that counts as normal; at least as long as the window.
    #[arg(long, default_value = "3h")]
    pub(crate) past: Span,
    /// End of the window (RFC 3339); the present by default.
    #[arg(long)]
    pub(crate) at: Option<jiff::Timestamp>,
    /// Distance of samples; by default from the server's scrape interval, some 300 samples in all.
    #[arg(long)]
    pub(crate) step: Option<Span>,
    /// Metrics to read, by name with `*`; may be given several times.
    #[arg(long, default_value = "*")]
    pub(crate) include: Vec<String>,
    /// Metrics to leave out, by name with `*`; may be given several times.
    #[arg(long)]
    pub(crate) exclude: Vec<String>,
    /// Most findings printed.
    #[arg(long, default_value_t = 25)]
    pub(crate) top: usize,
    /// Most series examined of one metric; larger metrics are left out and counted.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) max_series: usize,
    /// Go on: scan again every INTERVAL (by default every step) and print what is new and what is over.
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1)]
    pub(crate) watch: Option<Option<Span>>,
    /// Print one JSON object per scan.
    #[arg(long)]
    pub(crate) json: bool,
    /// File with a bearer token.
    #[arg(long, conflicts_with = "user")]
    pub(crate) token_file: Option<PathBuf>,
    /// User name for basic authentication.
    #[arg(long, requires = "password_file")]
    pub(crate) user: Option<String>,
    /// File with the password.
    #[arg(long, requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// PEM file with a further certificate authority; may be given several times.
    #[arg(long)]
    pub(crate) ca_file: Vec<PathBuf>,
}

/// A duration as people write it: `30s`, `5m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let signed: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        match Duration::try_from(signed) {
            Ok(span) if !span.is_zero() => Ok(Self(span)),
            _ => Err("must be more than zero".to_owned()),
        }
    }
}

impl Arguments {
    /// Settings of the client.
    pub(crate) fn client(&self) -> Result<ClientConfig> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Error::new(ErrorKind::Invalid, "cannot read a secret")
                    .with("file", path.display())
                    .caused_by(error)
            })?;
            Ok::<_, Error>(Secret::new(text.trim_end()))
        };
        let mut config = ClientConfig::new(&self.url);
        config.auth = match (&self.token_file, &self.user, &self.password_file) {
            (Some(token), ..) => Auth::Bearer { token: read(token)? },
            (None, Some(username), Some(password)) => {
                Auth::Basic { username: username.clone(), password: read(password)? }
            }
            _ => Auth::None,
        };
        config.tls.ca_files = self.ca_file.clone();
        config.max_series = self.max_series.saturating_mul(4).max(1);
        Ok(config)
    }

    /// Metrics to read. Left out besides the user's choice: constants, and times, which only ever grow.
    pub(crate) fn selection(&self, scrape_interval: Duration) -> MetricSelection {
        let mut selection = MetricSelection::default();
        selection.include.clone_from(&self.include);
        let times = ["*_timestamp", "*_timestamp_seconds", "*_time_seconds", "*_time_ms"];
        selection.exclude.extend(times.map(str::to_owned));
        selection.exclude.extend(self.exclude.iter().cloned());
        // Two scrapes make a rate; four keep it when one or two are late or missing.
        selection.min_rate_window = scrape_interval.saturating_mul(4);
        selection.max_metrics = 1_000_000;
        selection
    }
}
