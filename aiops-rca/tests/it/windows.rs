//! Evidence around an onset.

use std::time::Duration;

use aiops_core::fake::InMemorySource;
use aiops_core::model::{LogRecord, LogSeverity, Signal, SignalSet, time};
use aiops_core::seam::{SourceCapability, TelemetrySource};
use aiops_core::{Context, ErrorKind, Result};
use aiops_rca::{EvidenceWindows, MetricRoles, RuleRca, RuleRcaConfig};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

fn onset() -> aiops_core::jiff::Timestamp {
    time::before(sample::now(), Duration::from_secs(150))
}

#[test]
fn all_signals_are_read_around_the_onset() {
    let mut window = sample::window();
    for i in 0..300_u64 {
        let at = time::after(time::before(onset(), Duration::from_secs(200)), Duration::from_secs(i));
        let severity = if i == 3 { LogSeverity::Error } else { LogSeverity::Info };
        window.logs.push(LogRecord::new(at, sample::store(), format!("line {i}")).with_severity(severity));
    }
    window.sort();
    let source = InMemorySource::holding(window);
    let about = [sample::store()];
    let (windows, ctx) = (EvidenceWindows::default(), sample::context());
    let read = block_on(windows.gather(&source, onset(), &about, &ctx)).unwrap();
    assert!(read.metrics.iter().all(|m| *m.entity() == sample::store()) && !read.metrics.is_empty());
    assert!(read.changes.iter().any(|c| c.id.0 == "c1") && read.health.is_empty());
    // A hundred lines at most, the most severe whatever its distance.
    assert_eq!(read.logs.len(), 100);
    assert!(read.logs.iter().any(|l| l.body == "line 3"));
    assert!(read.logs.is_sorted_by_key(|l| l.time));
    for signal in [Signal::Metrics, Signal::Traces, Signal::Logs, Signal::Changes] {
        assert!(read.observed.contains(signal), "{signal}");
    }
}

#[derive(Debug)]
struct NoLogs(InMemorySource);

#[async_trait]
impl TelemetrySource for NoLogs {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(SignalSet::all())
    }
    async fn fetch(
        &self,
        request: &aiops_core::model::FetchRequest,
        ctx: &Context,
    ) -> Result<aiops_core::model::TelemetryWindow> {
        if request.signals.contains(Signal::Logs) {
            return Err(aiops_core::Error::new(ErrorKind::Unavailable, "no answer"));
        }
        self.0.fetch(request, ctx).await
    }
}

#[test]
fn what_cannot_be_read_is_a_blind_spot() {
    let source = NoLogs(InMemorySource::holding(sample::window()));
    let (windows, ctx) = (EvidenceWindows::default(), sample::context());
    let read = block_on(windows.gather(&source, onset(), &[], &ctx)).unwrap();
    assert!(!read.observed.contains(Signal::Logs) && read.observed.contains(Signal::Metrics));
    assert!(
        read.health
            .iter()
            .any(|h| h.signal == Signal::Logs && h.note.as_ref().unwrap().contains("no answer"))
    );
    let late = sample::context().with_timeout(Duration::ZERO);
    let refused = block_on(EvidenceWindows::default().gather(&source, onset(), &[], &late));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
}

#[test]
fn windows_out_of_range_are_refused_by_name() {
    let mut config = RuleRcaConfig::default();
    config.windows.log_lines = 0;
    let error = RuleRca::new(MetricRoles::default(), config).unwrap_err();
    assert!(error.to_string().contains("windows.log_lines"), "{error}");
    let mut config = RuleRcaConfig::default();
    config.windows.before = Duration::ZERO;
    assert!(RuleRca::new(MetricRoles::default(), config).is_err());
    let mut config = RuleRcaConfig::default();
    config.observed.half_strength = f64::NAN;
    let error = RuleRca::new(MetricRoles::default(), config).unwrap_err();
    assert!(error.to_string().contains("observed.half_strength"), "{error}");
}
