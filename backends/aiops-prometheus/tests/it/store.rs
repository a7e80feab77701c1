use std::time::Duration;

use aiops_prometheus::exposition::{Format, ParserConfig};
use aiops_prometheus::store::{Page, Point, Store, StoreConfig};
use aiops_prometheus::{LabelMap, LabelMatcher, SeriesSelector};
use proptest::prelude::*;

fn page(text: &str) -> Page {
    Page::parse(text.as_bytes(), Format::PrometheusText, ParserConfig::default()).unwrap()
}

fn target(instance: &str) -> LabelMap {
    [("instance".to_owned(), instance.to_owned())].into()
}

fn store(config: StoreConfig) -> Store {
    Store::new(config).unwrap()
}

fn values(store: &Store, name: &str) -> Vec<(i64, Option<f64>)> {
    let found = store.points(&SeriesSelector::name(name), i64::MIN, i64::MAX);
    found.into_iter().flat_map(|(_, points)| points).map(shown).collect()
}

fn shown(point: Point) -> (i64, Option<f64>) {
    (point.at_ms, (!point.is_stale()).then_some(point.value))
}

#[test]
fn a_series_that_is_gone_goes_stale_and_may_come_back() {
    let mut store = store(StoreConfig::default());
    let api = target("api");
    store.record(&api, 1_000, &page("a 1\nb 1\n"));
    let report = store.record(&api, 2_000, &page("a 2\n"));
    assert_eq!((report.stored, report.went_stale, report.dropped), (1, 1, 0));
    store.record(&api, 3_000, &page("a 3\nb 3\n"));
    let failed = store.record_failure(&api, 4_000, "refused");
    assert_eq!(failed.went_stale, 2);
    assert_eq!(store.record_failure(&api, 5_000, "refused").went_stale, 0, "marked once");
    assert_eq!(
        values(&store, "a"),
        [(1_000, Some(1.0)), (2_000, Some(2.0)), (3_000, Some(3.0)), (4_000, None)]
    );
    assert_eq!(values(&store, "b"), [(1_000, Some(1.0)), (2_000, None), (3_000, Some(3.0)), (4_000, None)]);
    let up: Vec<_> = values(&store, "up").into_iter().map(|(_, up)| up.unwrap()).collect();
    assert_eq!(up, [1.0, 1.0, 1.0, 0.0, 0.0]);
    let (_, health) = store.targets().next().unwrap();
    assert_eq!((health.scrapes, health.failures, health.consecutive_failures), (5, 2, 2));
    assert_eq!((health.last_success_ms, health.last_error.as_deref()), (Some(3_000), Some("refused")));
}

#[test]
fn two_targets_do_not_disturb_each_other_and_a_removed_one_ends() {
    let mut store = store(StoreConfig::default());
    store.record(&target("a"), 1_000, &page("x 1\n"));
    store.record(&target("b"), 1_000, &page("x 2\n"));
    store.remove_target(&target("a"), 2_000);
    store.record(&target("b"), 2_000, &page("x 3\n"));
    let found = store.points(&SeriesSelector::name("x"), 0, 9_000);
    let shown: Vec<Vec<_>> =
        found.into_iter().map(|(_, points)| points.into_iter().map(shown).collect()).collect();
    assert_eq!(
        shown,
        [vec![(1_000, Some(1.0)), (2_000, None)], vec![(1_000, Some(2.0)), (2_000, Some(3.0))]]
    );
    let up = store.points(&SeriesSelector::name("up"), 0, 9_000);
    assert!(up[0].1[1].is_stale());
    assert_eq!(store.targets().count(), 1);
}

#[test]
fn duplicates_conflicts_and_disorder_are_defined_and_counted() {
    let mut store = store(StoreConfig::default());
    let api = target("api");
    store.record(&api, 1_000, &page("a 1\na 1\na 2\n"));
    store.record(&api, 1_000, &page("a 1\n"));
    store.record(&api, 1_000, &page("a 7\n"));
    store.record(&api, 500, &page("a 5\n"));
    assert_eq!(values(&store, "a"), [(1_000, Some(1.0))], "the first one stays");
    let stats = store.stats();
    // `up` is written four times as well: once stored, twice equal, once out of order.
    assert_eq!((stats.stored, stats.duplicates, stats.conflicts, stats.out_of_order), (2, 4, 2, 2));
}

#[test]
fn a_clock_set_back_drops_the_future_and_goes_on() {
    let mut store = store(StoreConfig::default());
    let api = target("api");
    for t in [10_000, 3_610_000, 3_620_000] {
        store.record(&api, t, &page("a 1\n"));
    }
    store.record(&api, 3_600_000, &page("a 2\n"));
    assert_eq!(store.stats().out_of_order, 2, "20 s back is jitter: dropped");
    store.record(&api, 20_000, &page("a 3\n"));
    assert_eq!(
        values(&store, "a"),
        [(10_000, Some(1.0)), (20_000, Some(3.0))],
        "an hour back is a clock set back"
    );
    assert_eq!(store.stats().clock_rewound, 4);
}

#[test]
fn extreme_times_neither_panic_nor_wrap() {
    let mut store = store(StoreConfig::default());
    let api = target("api");
    for t in [0, i64::MAX, i64::MIN, i64::MAX, 0] {
        store.record(&api, t, &page("a 1\nb 1 9223372036854775807\nc 1 -9223372036854775808\n"));
        store.record_failure(&api, t, "x");
    }
    assert!(store.stats().points > 0);
}

#[test]
fn explicit_times_are_kept_and_do_not_end_with_the_scrape() {
    let mut store = store(StoreConfig::default());
    let api = target("api");
    store.record(&api, 10_000, &page("a 1 7000\n"));
    assert_eq!(store.record(&api, 20_000, &page("")).went_stale, 0);
    assert_eq!(values(&store, "a"), [(7_000, Some(1.0))]);

    let mut own = Store::new(StoreConfig { honor_timestamps: false, ..StoreConfig::default() }).unwrap();
    own.record(&api, 10_000, &page("a 1 7000\n"));
    assert_eq!(own.record(&api, 20_000, &page("")).went_stale, 1);
    assert_eq!(values(&own, "a"), [(10_000, Some(1.0)), (20_000, None)]);
}

#[test]
fn labels_in_conflict_are_renamed_or_honoured() {
    let text = page("a{instance=\"inner\",exported_instance=\"first\",x=\"y\"} 1\n");
    let labels = |config| {
        let mut store = store(config);
        store.record(&target("outer"), 1_000, &text);
        store.series(&SeriesSelector::name("a"))[0].labels.clone()
    };
    let renamed = labels(StoreConfig::default());
    assert_eq!(renamed["instance"], "outer");
    assert_eq!(renamed["exported_instance"], "first");
    assert_eq!(renamed["exported_exported_instance"], "inner");
    let honoured = labels(StoreConfig { honor_labels: true, ..StoreConfig::default() });
    assert_eq!(honoured["instance"], "inner");
}

#[test]
fn memory_is_bounded_and_every_loss_is_counted() {
    let config = StoreConfig { max_series: 4, max_samples_per_series: 3, ..StoreConfig::default() };
    let mut store = store(config);
    for t in 1..=5 {
        store.record(&target("api"), t * 1_000, &page("a 1\n"));
    }
    assert_eq!(values(&store, "a").iter().map(|v| v.0).collect::<Vec<_>>(), [3_000, 4_000, 5_000]);
    assert_eq!(store.stats().evicted_by_count, 4, "two of `a`, two of `up`");
    store.record(&target("api"), 6_000, &page("b 1\nc 1\n"));
    // `a` went stale in the same scrape, so it is as fresh as the others; the next newcomer replaces the oldest.
    store.record(&target("api"), 7_000, &page("b 1\nc 1\nd 1\n"));
    assert_eq!(store.names().into_iter().collect::<Vec<_>>(), ["b", "c", "d", "up"]);
    assert_eq!(store.stats().evicted_series, 1);
    let report = store.record(&target("api"), 8_000, &page("b 1\nc 1\nd 1\ne 1\nf 1\n"));
    assert!(report.dropped >= 1, "a page larger than the store loses its tail, not the whole store");
    assert!(store.stats().series <= 4);
    assert!(store.stats().rejected_samples >= 1);
}

#[test]
fn age_evicts_points_and_then_series() {
    let config = StoreConfig { retention: Duration::from_secs(10), ..StoreConfig::default() };
    let mut store = store(config);
    store.record(&target("a"), 0, &page("x 1\n"));
    store.record(&target("b"), 5_000, &page("x 1\n"));
    store.record(&target("b"), 12_000, &page("x 2\n"));
    assert_eq!(store.series(&SeriesSelector::name("x")).len(), 1, "a's series is older than 10 s");
    assert_eq!(store.stats().evicted_by_age, 2);
    store.record(&target("b"), 15_001, &page("x 3\n"));
    assert_eq!(values(&store, "x").iter().map(|v| v.0).collect::<Vec<_>>(), [12_000, 15_001]);
}

#[test]
fn selectors_match_as_in_promql() {
    let mut store = store(StoreConfig::default());
    store.record(&target("api"), 1, &page("a{x=\"1\"} 1\na{x=\"2\"} 1\na 1\nab 1\n"));
    let count = |selector: &SeriesSelector| store.series(selector).len();
    let x = |value: &str| LabelMatcher::Equal { label: "x".into(), value: value.into() };
    assert_eq!(count(&SeriesSelector::name("a")), 3);
    assert_eq!(count(&SeriesSelector::all()), 5);
    assert_eq!(count(&SeriesSelector::name("a").with(x("1"))), 1);
    assert_eq!(count(&SeriesSelector::name("a").with(x(""))), 1, "empty is absent");
    let not = LabelMatcher::NotEqual { label: "x".into(), value: "1".into() };
    assert_eq!(count(&SeriesSelector::name("a").with(not)), 2);
    let one_of = |values: &[&str]| LabelMatcher::OneOf {
        label: "x".into(),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
    };
    assert_eq!(count(&SeriesSelector::name("a").with(one_of(&["1", "2", "3"]))), 2);
    assert_eq!(count(&SeriesSelector::name("a").with(one_of(&[]))), 0);
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refuse = |config: StoreConfig| Store::new(config).unwrap_err().field();
    let ok = StoreConfig::default;
    assert_eq!(refuse(StoreConfig { max_series: 0, ..ok() }), "max_series");
    assert_eq!(refuse(StoreConfig { max_samples_per_series: 1, ..ok() }), "max_samples_per_series");
    assert_eq!(refuse(StoreConfig { lookback_steps: 0, ..ok() }), "lookback_steps");
    assert_eq!(refuse(StoreConfig { retention: Duration::ZERO, ..ok() }), "retention");
    let json = serde_json::to_string(&ok()).unwrap();
    assert_eq!(serde_json::from_str::<StoreConfig>(&json).unwrap(), ok());
    assert!(serde_json::from_str::<StoreConfig>("{\"max_serie\":1}").is_err());
}

proptest! {
    /// Whatever is scraped in whatever order: bounds hold, points of a series are in strict order, every sample is
    /// accounted for exactly once.
    #[test]
    fn bounds_and_books_hold(
        scrapes in proptest::collection::vec((0_i64..200_000, 0_u8..3, proptest::collection::vec((0_u8..8, 0_u8..4), 0..10), any::<bool>()), 1..40),
        max_series in 1_usize..12,
        max_samples in 2_usize..6,
    ) {
        let mut store = store(StoreConfig {
            max_series,
            max_samples_per_series: max_samples,
            retention: Duration::from_secs(100),
            clock_step_tolerance: Duration::from_secs(30),
            ..StoreConfig::default()
        });
        let mut offered = 0;
        let mut failures = 0;
        for (at, who, samples, fails) in scrapes {
            let target = target(&who.to_string());
            if fails {
                store.record_failure(&target, at, "x");
                failures += 1;
            } else {
                let text: String = samples.iter().map(|(name, value)| format!("m{name} {value}\n")).collect();
                let report = store.record(&target, at, &page(&text));
                prop_assert_eq!(report.stored + report.dropped, samples.len() as u64);
                offered += samples.len() as u64 + 1;
            }
            let stats = store.stats();
            prop_assert!(stats.series <= max_series as u64);
            prop_assert!(stats.points <= (max_series * max_samples) as u64);
            for (_, points) in store.points(&SeriesSelector::all(), i64::MIN, i64::MAX) {
                prop_assert!(points.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            }
        }
        let stats = store.stats();
        // Stale markers out of order or in conflict are counted like samples, hence at least.
        let accounted = stats.stored + stats.duplicates + stats.conflicts + stats.out_of_order + stats.rejected_samples;
        prop_assert!(accounted >= offered + failures);
    }
}
