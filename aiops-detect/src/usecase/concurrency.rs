use aiops_compact::ConfigError;
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::model::{Anomaly, Direction, Severity, TelemetryWindow};
use serde::{Deserialize, Serialize};

use super::signals::{check_names, deviating, increments, inside, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::check;
use crate::stats::median;

/// When more is under way at once than should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConcurrencySpikeOptions {
    /// Metrics of what is under way: requests, busy threads, connections in use.
    pub in_flight: Vec<String>,
    /// Metrics of how much there may be of it.
    pub limit: Vec<String>,
    /// Metrics of arrivals: rates, or running totals.
    pub arrivals: Vec<String>,
    /// Metrics of how long one takes.
    pub latency: Vec<String>,
    /// When what is under way deviates.
    pub deviation: DeviationOptions,
    /// Share of the limit from which it is critical, 0 to 1. Default 0.9.
    pub full: f64,
    /// Share of the rise, in logarithms, that longer stays must explain, more than 0 to 1. Default 0.5: then they explain more than
    /// arrivals do.
    pub stays: f64,
}

impl Default for ConcurrencySpikeOptions {
    fn default() -> Self {
        Self {
            in_flight: names(&[
                "http.server.active_requests",
                "rpc.server.active_requests",
                "db.client.connection.count",
                "hikaricp_connections_active",
                "tomcat_threads_busy_threads",
                "jvm.thread.count",
            ]),
            limit: names(&[
                "http.server.max_active_requests",
                "db.client.connection.max",
                "hikaricp_connections_max",
                "tomcat_threads_config_max_threads",
            ]),
            arrivals: names(&[
                "http.server.requests",
                "http_requests_total",
                "rpc.server.requests",
                "request_rate",
            ]),
            latency: names(&[
                "http.server.request.duration",
                "http.server.duration",
                "rpc.server.duration",
                "db.client.operation.duration",
            ]),
            deviation: DeviationOptions::default(),
            full: 0.9,
            stays: 0.5,
        }
    }
}

impl Options for ConcurrencySpikeOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("in_flight", &self.in_flight),
            ("limit", &self.limit),
            ("arrivals", &self.arrivals),
            ("latency", &self.latency),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        DeviationConfig::try_from(self.deviation)?;
        check("full", self.full, 0.0..=1.0, "0 to 1")?;
        check("stays", self.stays, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")
    }
}

/// More under way at once than arrivals account for, or than there is room for. By Little's law (1961) what is under way is
/// arrivals times stay, so a rise that arrivals do not explain is of stays: something behind is slow, or slots are never
/// given back.
///
/// *Needs* what is under way, and arrivals, latency or a limit of the same entity.
/// *Is none:* more under way in step with arrivals and well below the limit is load.
/// *Does not see* what makes stays longer; that is the localiser's business.
#[derive(Debug, Clone, Copy)]
pub struct ConcurrencySpike;

/// [`ConcurrencySpike`] behind its seam.
pub type ConcurrencySpikeDetector = UseCaseDetector<ConcurrencySpike>;

/// Level of what an entity's series of `list` say before the surge and during it; NaN where nothing is told.
fn levels(window: &TelemetryWindow, list: &[String], surge: &Anomaly) -> (f64, f64) {
    let points: Vec<_> = named(window, list)
        .into_iter()
        .filter(|s| *s.entity() == surge.entity)
        .flat_map(|s| increments(s, window))
        .collect();
    let during = points.iter().filter(|p| (surge.onset..=surge.last).contains(&p.0));
    (median(points.iter().filter(|p| p.0 < surge.onset).map(|p| p.1)), median(during.map(|p| p.1)))
}

/// Logarithm of a rise; NaN where it is not known.
fn rise((before, during): (f64, f64)) -> f64 {
    if before > 0.0 && during > 0.0 { (during / before).ln() } else { f64::NAN }
}

impl UseCase for ConcurrencySpike {
    const ID: &'static str = "concurrency-spike";

    type Options = ConcurrencySpikeOptions;

    fn look(options: &ConcurrencySpikeOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = Vec::new();
        for surge in deviating(window, &options.in_flight, options.deviation) {
            if surge.direction() != Direction::Up {
                continue;
            }
            let own = named(window, &options.in_flight);
            let Some(series) = own.iter().find(|s| *s.entity() == surge.entity && *s.key() == surge.series)
            else {
                continue;
            };
            let most = inside(series, window)
                .into_iter()
                .filter(|p| (surge.onset..=surge.last).contains(&p.0))
                .map(|p| p.1)
                .fold(f64::NEG_INFINITY, f64::max);
            let limit = levels(window, &options.limit, &surge).1;
            let full = most / limit;
            let (level, peak) = (surge.baseline.center.max(surge.baseline.scale), surge.value);
            let all = rise((level, peak));
            // What arrivals leave over is of stays; where they are not told, latency is asked.
            let arrivals = rise(levels(window, &options.arrivals, &surge));
            let latency = rise(levels(window, &options.latency, &surge));
            let stays = if arrivals.is_nan() { latency } else { all - arrivals.max(0.0) };
            let (exhausted, longer) = (full >= options.full, stays >= options.stays * all);
            if !exhausted && !longer {
                continue;
            }
            let times = |ln: f64, what: &str| {
                if ln.is_nan() { String::new() } else { format!(", {what} {:.1} times", ln.exp()) }
            };
            let room = if full.is_finite() {
                format!(" of the {limit:.0} there is room for")
            } else {
                String::new()
            };
            let evidence = format!(
                "{most:.0} under way{room} where {level:.0} are usual{}{}",
                times(arrivals, "arrivals"),
                times(latency, "latency"),
            );
            let mut symptom = Symptom::told(surge, evidence);
            symptom.severity = if exhausted { Severity::Critical } else { Severity::Warning };
            found.push(symptom);
        }
        found
    }
}
