use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use aiops_compact::deviation::{DeviationConfig, DeviationOptions, References, Skipped, deviations};
use aiops_core::model::{
    Anomaly, FetchLimits, FetchRequest, Selector, SeriesKey, Signal, TelemetryWindow, TimeRange, time,
};
use aiops_core::seam::TelemetrySource as _;
use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_detect::RollingDetector;
use aiops_prometheus::client::PrometheusClient;
use aiops_prometheus::{EntityMapping, PrometheusSource, SignalName};
use jiff::Timestamp;
use serde::Serialize;

use crate::arguments::{Arguments, Span};

/// Signals read at once: enough to keep the server busy, few enough to bound memory.
const SIGNALS_PER_FETCH: usize = 40;
/// Samples of a whole scan, which the step is chosen for.
const SAMPLES: u64 = 300;

/// A finding with what it looks like at the end of the window.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Found {
    #[serde(flatten)]
    pub(crate) anomaly: Anomaly,
    /// Last value of the window.
    #[serde(with = "aiops_core::model::float")]
    pub(crate) now: f64,
}

/// What one look at the server gave.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scan {
    pub(crate) url: String,
    /// Everything read; its last part is examined, the part before is the norm.
    pub(crate) range: TimeRange,
    pub(crate) recent: TimeRange,
    pub(crate) step_seconds: f64,
    pub(crate) signals: usize,
    pub(crate) compared: usize,
    /// Series that were not compared, by reason.
    pub(crate) not_compared: BTreeMap<&'static str, usize>,
    /// Signals that could not be read, and why.
    pub(crate) unread: BTreeMap<String, String>,
    /// What the server remarked, and targets that are down.
    pub(crate) notes: BTreeSet<String>,
    /// Findings, most deviating first.
    pub(crate) found: Vec<Found>,
}

/// Reads one server, again and again.
#[derive(Debug)]
pub(crate) struct Scanner {
    url: String,
    source: PrometheusSource,
    detector: RollingDetector,
    config: DeviationConfig,
    at: Option<Timestamp>,
    total: Duration,
    window: Duration,
    step: Duration,
    max_series: usize,
    quiet: bool,
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string()).caused_by(error)
}

impl Scanner {
    /// Finds out how often the server scrapes and derives step and rate window from it.
    pub(crate) async fn connect(arguments: &Arguments, ctx: &Context) -> Result<Self> {
        let client = Arc::new(PrometheusClient::new(arguments.client()?).map_err(invalid)?);
        let at = arguments.at.unwrap_or_else(|| ctx.now());
        let interval = scrape_interval(&client, at, ctx).await?;
        let (window, past) = (arguments.window.0, arguments.past.0.max(arguments.window.0));
        let total = window.saturating_add(past);
        let step = arguments.step.map_or_else(|| step(total, interval), |step| step.0);
        let recent_share = window.as_secs_f64() / total.as_secs_f64();
        let options =
            DeviationOptions { recent_share: recent_share.max(0.01), ..DeviationOptions::default() };
        let config = DeviationConfig::try_from(options).map_err(invalid)?;
        let selection = arguments.selection(interval);
        let source = PrometheusSource::with(client, selection, EntityMapping::default()).map_err(invalid)?;
        let detector = RollingDetector::unfitted(config)?;
        eprintln!("scraped every {interval:?}; reading {total:?} in steps of {step:?}");
        Ok(Self {
            url: arguments.url.clone(),
            source,
            detector,
            config,
            at: arguments.at,
            total,
            window,
            step,
            max_series: arguments.max_series,
            quiet: arguments.watch.is_some() || !std::io::stderr().is_terminal(),
        })
    }

    pub(crate) fn step(&self) -> Span {
        Span(self.step)
    }

    /// Looks once.
    pub(crate) async fn scan(&self, ctx: &Context) -> Result<Scan> {
        let end = align(self.at.unwrap_or_else(|| ctx.now()), self.step);
        let range = TimeRange::ending_at(end, self.total);
        let request = FetchRequest::new(range).with_step(self.step).with_signals(Signal::Metrics.into());
        let signals: Vec<SignalName> = self.source.discover(&request, ctx).await?.into_iter().collect();
        if signals.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "the server has no such metrics in that time")
                .with("range", range));
        }
        let mut scan = Scan {
            url: self.url.clone(),
            range,
            recent: TimeRange::ending_at(end, self.window),
            step_seconds: self.step.as_secs_f64(),
            signals: signals.len(),
            compared: 0,
            not_compared: BTreeMap::new(),
            unread: BTreeMap::new(),
            notes: BTreeSet::new(),
            found: Vec::new(),
        };
        let mut done = 0;
        for group in signals.chunks(SIGNALS_PER_FETCH) {
            self.read(&request, group, &mut scan, ctx).await?;
            done += group.len();
            self.progress(&scan, done);
        }
        scan.found.sort_by(|a, b| {
            let weight = |found: &Found| found.anomaly.sigma.abs();
            let name = |found: &Found| (found.anomaly.entity.clone(), found.anomaly.series.clone());
            weight(b).total_cmp(&weight(a)).then_with(|| name(a).cmp(&name(b)))
        });
        Ok(scan)
    }

    /// Reads a group of signals at once or, where one of them is refused, one by one.
    async fn read(
        &self,
        request: &FetchRequest,
        group: &[SignalName],
        scan: &mut Scan,
        ctx: &Context,
    ) -> Result<()> {
        let refused = match self.fetch(request, group, self.max_series.saturating_mul(4), ctx).await {
            Ok(window) => {
                self.examine(window, scan);
                return Ok(());
            }
            Err(error) => error,
        };
        // Too much at once, or a signal the server cannot compute: neither says anything about the others.
        if !matches!(refused.kind(), ErrorKind::Limit | ErrorKind::Invalid | ErrorKind::Timeout) {
            return Err(refused);
        }
        for signal in group {
            match self.fetch(request, std::slice::from_ref(signal), self.max_series, ctx).await {
                Ok(window) => self.examine(window, scan),
                Err(error)
                    if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Invalid | ErrorKind::Timeout) =>
                {
                    scan.unread.insert(signal.to_string(), error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn fetch(
        &self,
        request: &FetchRequest,
        group: &[SignalName],
        series: usize,
        ctx: &Context,
    ) -> Result<TelemetryWindow> {
        let selector =
            group.iter().fold(Selector::all(), |selector, signal| selector.with_metric(signal.to_string()));
        let mut limits = FetchLimits::default();
        limits.series = series;
        self.source.fetch(&request.clone().with_selector(selector).with_limits(limits), ctx).await
    }

    fn examine(&self, mut window: TelemetryWindow, scan: &mut Scan) {
        let mut series: BTreeMap<String, usize> = BTreeMap::new();
        for metric in &window.metrics {
            *series.entry(metric.key().name.clone()).or_default() += 1;
        }
        series.retain(|_, count| *count > self.max_series);
        window.metrics.retain(|metric| !series.contains_key(&metric.key().name));
        let told =
            series.into_iter().map(|(name, count)| (name, format!("{count} series, more than --max-series")));
        scan.unread.extend(told);
        let window = &window;
        let report = deviations(window, &References::new(), &self.config);
        scan.compared += report.compared;
        for (reason, count) in report.skipped {
            let reason = match reason {
                Skipped::ShortReference => "too young",
                Skipped::Silent => "silent by now",
                _ => "running totals",
            };
            *scan.not_compared.entry(reason).or_default() += count;
        }
        for health in &window.health {
            let entity = health.entity.as_ref().map_or_else(String::new, |entity| format!("{entity}: "));
            scan.notes.insert(format!("{entity}{}", health.note.as_deref().unwrap_or("not seen")));
        }
        let last: BTreeMap<(&aiops_core::model::EntityId, &SeriesKey), f64> = window
            .metrics
            .iter()
            .filter_map(|series| Some(((series.entity(), series.key()), series.points().next_back()?.1)))
            .collect();
        let found = self.detector.find(window).into_iter().map(|anomaly| {
            let now = last.get(&(&anomaly.entity, &anomaly.series)).copied().unwrap_or(anomaly.value);
            Found { anomaly, now }
        });
        scan.found.extend(found);
    }

    fn progress(&self, scan: &Scan, done: usize) {
        if !self.quiet {
            let findings = scan.found.len();
            eprint!(
                "\r{done} of {} signals, {} series compared, {findings} findings ",
                scan.signals, scan.compared
            );
            if done == scan.signals {
                eprintln!();
            }
            // Progress that cannot be shown is no reason to stop.
            std::io::stderr().flush().ok();
        }
    }
}

/// The usual distance of two scrapes: of each target the time between its first and last `up`, by how many there are;
/// of those the median. 30 s where there is no `up`.
async fn scrape_interval(client: &PrometheusClient, at: Timestamp, ctx: &Context) -> Result<Duration> {
    let taken = "timestamp(up)[20m:5s]";
    let expression = format!(
        "quantile(0.5, (max_over_time({taken}) - min_over_time({taken})) / (count_over_time(up[20m]) - 1))"
    );
    let answer = client.query(&expression, at, ctx).await?;
    let measured = answer.data.first().map(|sample| sample.point.value).filter(|seconds| seconds.is_finite());
    // A missed scrape, or a look between two scrapes, puts the measure a little off.
    let usual = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0];
    let interval = measured.unwrap_or(30.0);
    let near = usual.into_iter().find(|usual| (interval / usual - 1.0).abs() < 0.2);
    Ok(Duration::from_secs_f64(near.unwrap_or_else(|| interval.round()).clamp(1.0, 300.0)))
}

/// Whole multiples of the scrape interval that make some [`SAMPLES`] of `total`.
fn step(total: Duration, interval: Duration) -> Duration {
    let wanted = total.as_secs() / SAMPLES;
    let interval = interval.as_secs().max(1);
    Duration::from_secs(wanted.div_ceil(interval).max(1).saturating_mul(interval))
}

/// The last multiple of `step` at or before `at`, so that scans a moment apart read the same samples.
fn align(at: Timestamp, step: Duration) -> Timestamp {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let into = Duration::from_millis(at.as_millisecond().rem_euclid(step).unsigned_abs());
    time::before(Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at), into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_scrapes() {
        let seconds = Duration::from_secs;
        assert_eq!(step(seconds(12_600), seconds(15)), seconds(45));
        assert_eq!(step(seconds(300), seconds(15)), seconds(15));
        assert_eq!(step(seconds(60), seconds(1)), seconds(1));
    }

    #[test]
    fn ends_are_aligned() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let aligned = align(at("2026-01-01T00:00:44.999Z"), Duration::from_secs(15));
        assert_eq!(aligned, at("2026-01-01T00:00:30Z"));
        assert_eq!(align(aligned, Duration::from_secs(15)), aligned);
    }
}
