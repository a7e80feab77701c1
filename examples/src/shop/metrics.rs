//! What a process tells about itself on `/metrics`.

use std::collections::HashMap;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use super::ShopError;

/// Upper bounds in seconds, fit for 1 ms to 5 s.
pub(crate) const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The metrics that every process has, and the registry for its own ones. All carry `service` and `instance`.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) duration: Histogram,
    pub(crate) in_flight: IntGauge,
    pub(crate) calls: IntCounterVec,
    pub(crate) call_duration: HistogramVec,
    memory: Gauge,
    cpu: Gauge,
    descriptors: IntGauge,
}

impl Metrics {
    pub(crate) fn new(service: &str, instance: &str, revision: u64) -> Result<Self, ShopError> {
        let labels = HashMap::from([
            ("service".to_owned(), service.to_owned()),
            ("instance".to_owned(), instance.to_owned()),
        ]);
        let registry = Registry::new_custom(None, Some(labels))?;
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("http_server_requests_total", "Requests answered, by status code."),
                &["route", "code"],
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new("http_server_request_duration_seconds", "Time to answer a request.")
                    .buckets(BUCKETS.to_vec()),
            )?,
            in_flight: IntGauge::new("http_server_active_requests", "Requests being answered.")?,
            calls: IntCounterVec::new(
                Opts::new("http_client_requests_total", "Calls made to a peer service, by status code."),
                &["peer_service", "code"],
            )?,
            call_duration: HistogramVec::new(
                HistogramOpts::new("http_client_request_duration_seconds", "Time a peer service took.")
                    .buckets(BUCKETS.to_vec()),
                &["peer_service"],
            )?,
            memory: Gauge::new("process_resident_memory_bytes", "Resident memory.")?,
            // A counter in meaning; the library's counters cannot be set, so it is exposed under a gauge type.
            cpu: Gauge::new("process_cpu_seconds_total", "User and system time used.")?,
            descriptors: IntGauge::new("process_open_fds", "Open file descriptors, sockets among them.")?,
            registry,
        };
        metrics.register(metrics.requests.clone())?;
        metrics.register(metrics.duration.clone())?;
        metrics.register(metrics.in_flight.clone())?;
        metrics.register(metrics.calls.clone())?;
        metrics.register(metrics.call_duration.clone())?;
        metrics.register(metrics.memory.clone())?;
        metrics.register(metrics.cpu.clone())?;
        metrics.register(metrics.descriptors.clone())?;
        let build = GaugeVec::new(
            Opts::new("build_info", "Version and configuration revision the process runs with."),
            &["version", "config_revision"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), &format!("r{revision}")]).set(1.0);
        metrics.register(build)?;
        Ok(metrics)
    }

    /// Adds a collector of the process's own.
    pub(crate) fn register(
        &self,
        collector: impl prometheus::core::Collector + 'static,
    ) -> Result<(), ShopError> {
        Ok(self.registry.register(Box::new(collector))?)
    }

    pub(crate) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, ShopError> {
        let gauge = IntGauge::new(name, help)?;
        self.register(gauge.clone())?;
        Ok(gauge)
    }

    pub(crate) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, ShopError> {
        let counter = IntCounter::new(name, help)?;
        self.register(counter.clone())?;
        Ok(counter)
    }

    pub(crate) fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, ShopError> {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.register(counters.clone())?;
        Ok(counters)
    }

    pub(crate) fn histogram(&self, name: &str, help: &str) -> Result<Histogram, ShopError> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()))?;
        self.register(histogram.clone())?;
        Ok(histogram)
    }

    /// Reads the process's own use of resources; returns resident bytes.
    pub(crate) fn observe_process(&self) -> u64 {
        let resident = memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64);
        #[allow(clippy::cast_precision_loss, reason = "memory sizes are far below 2^53")]
        self.memory.set(resident as f64);
        if let Ok(usage) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
            let seconds = |time: nix::sys::time::TimeVal| {
                #[allow(clippy::cast_precision_loss, reason = "a process does not run for 2^53 microseconds")]
                let whole = time.tv_sec() as f64;
                #[allow(clippy::cast_precision_loss, reason = "below one million")]
                let rest = time.tv_usec() as f64;
                whole + rest / 1e6
            };
            self.cpu.set(seconds(usage.user_time()) + seconds(usage.system_time()));
        }
        // `/dev/fd` exists on Linux and macOS alike.
        if let Ok(entries) = std::fs::read_dir("/dev/fd") {
            self.descriptors.set(i64::try_from(entries.count()).unwrap_or(i64::MAX));
        }
        resident
    }

    /// The page in Prometheus text format.
    pub(crate) fn page(&self) -> Result<String, ShopError> {
        self.observe_process();
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        Ok(text.replace("# TYPE process_cpu_seconds_total gauge", "# TYPE process_cpu_seconds_total counter"))
    }
}
