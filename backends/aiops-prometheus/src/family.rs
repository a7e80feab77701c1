//! Which signals a server's metrics give: gauges as they are, counters as rates, histograms as quantiles and a rate.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use aiops_core::model::{MetricKind, Unit, duration};
use serde::{Deserialize, Serialize};

use crate::config::{CENTURY, ConfigError, duration_in_range, in_range};
use crate::exposition::FamilyType;

/// Which metrics are read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricSelection {
    /// Patterns of metric names to read, `*` standing for any text. Default `*`. Not applied to metrics that a request
    /// names itself.
    pub include: Vec<String>,
    /// Patterns of metric names to leave out. Default: `*_info`, `*_created` (constants) and `scrape_*`.
    pub exclude: Vec<String>,
    /// Quantiles read from histograms. Default 0.5, 0.95, 0.99; each more than 0 and less than 1.
    pub quantiles: Vec<f64>,
    /// Steps a rate looks back. Default 4; 1 to 1,000.
    pub rate_window_steps: u32,
    /// Shortest look-back of a rate; it should hold at least two scrapes. Default 0 s; at most 100 years.
    #[serde(with = "duration")]
    pub min_rate_window: Duration,
    /// Most metrics read at once; a request for more is refused. Default 2,000; at least 1.
    pub max_metrics: usize,
}

impl Default for MetricSelection {
    fn default() -> Self {
        Self {
            include: vec!["*".to_owned()],
            exclude: ["*_info", "*_created", "scrape_*"].map(str::to_owned).to_vec(),
            quantiles: vec![0.5, 0.95, 0.99],
            rate_window_steps: 4,
            min_rate_window: Duration::ZERO,
            max_metrics: 2_000,
        }
    }
}

impl MetricSelection {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// Names the field, its value and the allowed range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(wrong) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            return Err(ConfigError::new("quantiles", wrong, "allowed: more than 0 and less than 1"));
        }
        in_range("rate_window_steps", self.rate_window_steps, 1, 1_000)?;
        duration_in_range("min_rate_window", self.min_rate_window, Duration::ZERO, CENTURY)?;
        in_range("max_metrics", self.max_metrics, 1, usize::MAX)
    }

    /// Whether a metric of this name is read when a request names none.
    #[must_use]
    pub fn selects(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, name));
        any(&self.include) && !any(&self.exclude)
    }

    /// Look-back of a rate on a grid of this step.
    #[must_use]
    pub fn rate_window(&self, step: Duration) -> Duration {
        step.saturating_mul(self.rate_window_steps).max(self.min_rate_window).min(CENTURY)
    }

    /// The signals that metrics of these names give, in order of name. `kind` is the declared type of a family.
    #[must_use]
    pub fn signals(
        &self,
        names: &BTreeSet<&str>,
        kind: impl Fn(&str) -> Option<FamilyType>,
    ) -> BTreeSet<SignalName> {
        let mut signals = BTreeSet::new();
        for name in names.iter().copied().filter(|name| self.selects(name)) {
            match MetricRole::of(name, names, &kind) {
                MetricRole::Level => {
                    signals.insert(SignalName::Level(name.to_owned()));
                }
                MetricRole::Counter => {
                    signals.insert(SignalName::Rate(name.to_owned()));
                }
                MetricRole::Buckets(family) => {
                    let quantile = |q: &f64| SignalName::Quantile(family.to_owned(), Quantile::new(*q));
                    signals.extend(self.quantiles.iter().map(quantile));
                }
                MetricRole::Sum => {}
            }
        }
        signals
    }
}

/// What the series of one metric name are.
#[derive(Debug, PartialEq, Eq)]
enum MetricRole<'a> {
    Level,
    Counter,
    /// Buckets of the classic histogram of this family.
    Buckets(&'a str),
    /// Sum of observations: without the count beside it, it says nothing that count and quantiles do not.
    Sum,
}

impl<'a> MetricRole<'a> {
    /// By declared type where there is one, by suffix otherwise.
    fn of(name: &'a str, names: &BTreeSet<&str>, kind: &impl Fn(&str) -> Option<FamilyType>) -> Self {
        let declared = |family: &str| kind(family).filter(|kind| *kind != FamilyType::Unknown);
        let part = ["_bucket", "_count", "_sum"]
            .into_iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, suffix)));
        // A family's own declaration comes first: a gauge may well be called `queue_count`.
        if let Some(own) = declared(name).or_else(|| declared(name.strip_suffix("_total")?)) {
            return if own == FamilyType::Counter { Self::Counter } else { Self::Level };
        }
        if let Some((family, suffix)) = part {
            let distribution = match declared(family) {
                Some(FamilyType::Histogram) => true,
                Some(FamilyType::Summary) => suffix != "_bucket",
                Some(_) => false,
                // Nothing declared: a distribution shows itself by its other parts.
                None => {
                    names.contains(format!("{family}_count").as_str())
                        && names.contains(format!("{family}_sum").as_str())
                }
            };
            match suffix {
                "_bucket" if distribution => return Self::Buckets(family),
                "_sum" if distribution => return Self::Sum,
                "_count" if distribution => return Self::Counter,
                "_bucket" => return Self::Sum,
                _ => {}
            }
        }
        if name.ends_with("_total") || part.is_some() { Self::Counter } else { Self::Level }
    }
}

/// A quantile, ordered; in names in percent: `p50`, `p99.9`.
#[derive(Debug, Clone, Copy)]
pub struct Quantile(f64);

impl Quantile {
    pub(crate) fn new(q: f64) -> Self {
        Self(q)
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Quantile {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantile {}

impl PartialOrd for Quantile {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantile {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A signal read from a metric. Its text is the name of the resulting series and can be parsed back, so a finding on a
/// series can be read again by name.
///
/// ```
/// use aiops_prometheus::SignalName;
///
/// for name in ["process_open_fds", "rate(http_requests_total)", "p99(http_request_duration_seconds)"] {
///     assert_eq!(SignalName::parse(name).to_string(), name);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignalName {
    /// The metric's value as it is: `name`.
    Level(String),
    /// Growth per second of a counter: `rate(name)`.
    Rate(String),
    /// A quantile of a classic histogram over the rate window: `p95(family)`.
    Quantile(String, Quantile),
}

impl SignalName {
    /// Reads a series name; whatever is not a rate or a quantile is a level.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        if let Some((function, inner)) = name.strip_suffix(')').and_then(|name| name.split_once('(')) {
            let percent = function.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
            match percent {
                _ if function == "rate" => return Self::Rate(inner.to_owned()),
                Some(percent) if percent > 0.0 && percent < 100.0 => {
                    // Through text, so that p99 is 0.99 and not 0.99 plus a rounding error.
                    let q = format!("{percent}e-2").parse().unwrap_or(percent / 100.0);
                    return Self::Quantile(inner.to_owned(), Quantile(q));
                }
                _ => {}
            }
        }
        Self::Level(name.to_owned())
    }

    /// The metric the server holds.
    #[must_use]
    pub fn metric(&self) -> String {
        match self {
            Self::Level(name) | Self::Rate(name) => name.clone(),
            Self::Quantile(family, _) => format!("{family}_bucket"),
        }
    }

    /// What a sample of the signal says. A level named like a counter is a running total.
    #[must_use]
    pub fn kind(&self) -> MetricKind {
        match self {
            Self::Rate(_) => MetricKind::Rate,
            Self::Quantile(..) => MetricKind::Quantile,
            Self::Level(name) if name.ends_with("_total") => MetricKind::Counter,
            Self::Level(name) if name.ends_with("_ratio") => MetricKind::Ratio,
            Self::Level(_) => MetricKind::Gauge,
        }
    }

    /// Unit by the metric's suffix, in UCUM; empty where the name tells none.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Level(name) => Unit::new(base_unit(name)),
            Self::Quantile(family, _) => Unit::new(base_unit(family)),
            Self::Rate(name) => Unit::new(match base_unit(name) {
                // A second per second is a share of one (a core).
                "s" => "1".to_owned(),
                "" => "1/s".to_owned(),
                unit => format!("{unit}/s"),
            }),
        }
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(name) => f.write_str(name),
            Self::Rate(name) => write!(f, "rate({name})"),
            Self::Quantile(family, q) => {
                let percent: f64 = format!("{}e2", q.0).parse().unwrap_or(q.0 * 100.0);
                write!(f, "p{percent}({family})")
            }
        }
    }
}

/// The unit a name declares by its suffix, as the Prometheus naming conventions have it.
fn base_unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("milliseconds" | "ms") => "ms",
        Some("microseconds") => "us",
        Some("nanoseconds") => "ns",
        Some("bytes") => "By",
        Some("bits") => "bit",
        Some("ratio") => "1",
        Some("percent") => "%",
        Some("celsius") => "Cel",
        Some("volts") => "V",
        Some("amperes") => "A",
        Some("joules") => "J",
        Some("watts") => "W",
        Some("grams") => "g",
        Some("meters") => "m",
        Some("hertz") => "Hz",
        _ => "",
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text. O(pattern · text), without recursion.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = text.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}
