use std::sync::Arc;
use std::time::Duration;

use aiops_core::model::TimeRange;
use aiops_core::{Context, ManualClock};
use aiops_prometheus::exposition::{Format, ParserConfig};
use aiops_prometheus::store::{Page, SharedStore, StoreConfig};
use aiops_prometheus::{EmbeddedSource, EntityMapping, LabelMap, MetricSelection};
use aiops_testkit::conformance::{self, SourceFixture};
use jiff::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// Two targets, sixty scrapes a second apart.
fn embedded() -> EmbeddedSource {
    let store = SharedStore::new(StoreConfig::default()).unwrap();
    for i in 0..60 {
        for instance in ["orders-1", "orders-2"] {
            let target: LabelMap =
                [("service".to_owned(), "orders".to_owned()), ("instance".to_owned(), instance.to_owned())]
                    .into();
            let text = format!(
                "depth {i}\nodd NaN\nrequests_total{{code=\"200\"}} {n}\nlat_seconds_bucket{{le=\"0.1\"}} {i}\n\
                 lat_seconds_bucket{{le=\"+Inf\"}} {n}\nlat_seconds_count {n}\nlat_seconds_sum {i}\n",
                n = i * 3
            );
            let page = Page::parse(text.as_bytes(), Format::PrometheusText, ParserConfig::default()).unwrap();
            store.with(|store| store.record(&target, at(i).as_millisecond(), &page));
        }
    }
    EmbeddedSource::new(store, MetricSelection::default(), EntityMapping::default()).unwrap()
}

fn fixture(ctx: Context) -> SourceFixture {
    let busy = TimeRange::new(at(0), at(60)).unwrap();
    let quiet = TimeRange::new(at(10_000), at(10_060)).unwrap();
    let mut fixture = SourceFixture::new(ctx, busy, quiet);
    fixture.step = Duration::from_secs(1);
    fixture
}

#[tokio::test]
async fn the_embedded_source_is_a_telemetry_source() {
    let ctx = Context::new(Arc::new(ManualClock::at(at(60))));
    let report = conformance::source(&embedded(), &fixture(ctx)).await;
    // Skipped: the limit of records, of which a metric source has none.
    report.assert_counts(18, 1);
}
