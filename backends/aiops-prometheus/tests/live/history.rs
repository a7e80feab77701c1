//! One generated history, for servers and store alike.

use aiops_prometheus::LabelMap;
use aiops_prometheus::exposition::{Encoder, FamilyType, Format};
use aiops_prometheus::store::{Page, ScrapedSample, SharedStore, StoreConfig};

/// Start of the history in milliseconds; on no round boundary.
pub(crate) const START_MS: i64 = 1_700_000_003_007;
pub(crate) const BOUNDS: [&str; 5] = ["0.05", "0.1", "0.5", "1", "+Inf"];

/// The scrapes of one series.
#[derive(Clone)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) instance: &'static str,
    pub(crate) kind: FamilyType,
    pub(crate) label: Option<(&'static str, &'static str)>,
    pub(crate) points: Vec<(i64, f64)>,
}

/// A small generator; the history is the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Two hours of jittered scrapes about every 15 s, two of them missed now and then: a gauge, a counter with restarts,
/// a histogram that observes nothing for twenty minutes, and the gauge of a second
/// instance.
pub(crate) fn generate() -> Vec<Series> {
    let mut random = Random(42);
    let times: Vec<i64> = (0..480)
        .map(|i| START_MS + i * 15_000 + random.below(900) as i64)
        .enumerate()
        .filter(|(i, _)| i % 97 > 1)
        .map(|(_, at)| at)
        .collect();
    let series = |name, kind, label| Series { name, instance: "i-1", kind, label, points: Vec::new() };
    let mut gauge = series("depth", FamilyType::Gauge, None);
    let mut counter = series("requests_total", FamilyType::Counter, None);
    let mut buckets: Vec<Series> = BOUNDS
        .iter()
        .map(|bound| series("latency_seconds_bucket", FamilyType::Histogram, Some(("le", bound))))
        .collect();
    let mut total = 100_000.0;
    let mut counts = [10_000.0, 20_000.0, 30_000.0, 40_000.0, 50_000.0];
    for (i, at) in times.iter().enumerate() {
        gauge.points.push((*at, random.below(1_000) as f64 / 8.0));
        total = if i % 151 == 150 { random.below(50) as f64 } else { total + random.below(300) as f64 };
        counter.points.push((*at, total));
        if !(200..280).contains(&i) {
            let slow = random.below(5) as usize;
            for (bucket, count) in counts.iter_mut().enumerate() {
                *count += random.below(20) as f64 + if bucket >= slow { 30.0 } else { 0.0 };
            }
            for bucket in 1..counts.len() {
                counts[bucket] = f64::max(counts[bucket], counts[bucket - 1]);
            }
        }
        for (bucket, count) in buckets.iter_mut().zip(counts) {
            bucket.points.push((*at, count));
        }
    }
    let other = Series {
        instance: "i-2",
        points: gauge.points.iter().map(|(at, v)| (*at, v / 2.0)).collect(),
        ..gauge.clone()
    };
    [vec![gauge, counter], buckets, vec![other]].concat()
}

/// As an OpenMetrics file for `promtool`.
pub(crate) fn open_metrics(history: &[Series]) -> String {
    let mut page = Encoder::new(Format::OpenMetrics);
    let mut family = "";
    // The format wants the series of a family together.
    let mut history: Vec<&Series> = history.iter().collect();
    history.sort_by_key(|series| series.name);
    for series in history {
        let name = series.name.trim_end_matches("_bucket");
        if family != name {
            page.family(name, series.kind, "Generated.");
            family = name;
        }
        for (at, value) in &series.points {
            let labels = [("instance", series.instance), ("job", "orders")];
            page.sample(series.name, labels.into_iter().chain(series.label), *value, Some(*at));
        }
    }
    page.finish()
}

/// In the text format with timestamps, for VictoriaMetrics' import.
pub(crate) fn text(history: &[Series]) -> String {
    let mut page = Encoder::new(Format::PrometheusText);
    for series in history {
        for (at, value) in &series.points {
            let labels = [("instance", series.instance), ("job", "orders")];
            page.sample(series.name, labels.into_iter().chain(series.label), *value, Some(*at));
        }
    }
    page.finish()
}

/// Recorded scrape by scrape in a store, whose look-back is `lookback_steps`.
pub(crate) fn store(history: &[Series], lookback_steps: u32) -> SharedStore {
    let store = SharedStore::new(StoreConfig { lookback_steps, ..StoreConfig::default() }).unwrap();
    for i in 0..history[0].points.len() {
        for instance in ["i-1", "i-2"] {
            let target: LabelMap =
                [("instance".to_owned(), instance.to_owned()), ("job".to_owned(), "orders".to_owned())]
                    .into();
            let mut page = Page::default();
            for series in history.iter().filter(|series| series.instance == instance) {
                page.samples.push(ScrapedSample {
                    name: series.name.to_owned(),
                    labels: series.label.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                    value: series.points[i].1,
                    timestamp_ms: None,
                });
            }
            store.with(|store| store.record(&target, history[0].points[i].0, &page));
        }
    }
    store
}
