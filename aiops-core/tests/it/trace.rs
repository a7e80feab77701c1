//! What the trace layer emits is a contract: dashboards are built on it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use aiops_core::fake::InMemorySource;
use aiops_core::layer::{LayerExt, Trace};
use aiops_core::model::{FetchRequest, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, ManualClock};
use futures_lite::future::block_on;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::world::{seconds, start};

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn span_and_events_are_as_documented() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_span_events(FmtSpan::NEW)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .finish();
    let inner = InMemorySource::new();
    let source = inner.clone().layer(Trace);
    let ctx = Context::new(Arc::new(ManualClock::at(start())));
    let request = FetchRequest::new(TimeRange::ending_at(start(), seconds(60)));
    tracing::subscriber::with_default(subscriber, || {
        block_on(source.fetch(&request, &ctx)).unwrap();
        inner.set_outage(Some("a secret host name".to_owned()));
        block_on(source.fetch(&request, &ctx)).unwrap_err();
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let span = "seam{operation=\"TelemetrySource::fetch\"}";
    assert_eq!(
        lines,
        [
            format!("INFO {span}: new"),
            format!("DEBUG {span}: done elapsed_ms=0"),
            format!("INFO {span}: new"),
            format!("WARN {span}: failed elapsed_ms=0 error.kind=\"unavailable\""),
        ]
    );
    assert!(!text.contains("secret"), "payloads never appear");
}
