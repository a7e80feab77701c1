use std::sync::Arc;
use std::time::Duration;

use aiops_core::{Cancellation, Clock as _, Context, ManualClock};
use aiops_prometheus::scrape::{ScrapeConfig, ScrapeFailure, Scraper, Target};
use aiops_prometheus::store::{SharedStore, StoreConfig};
use aiops_prometheus::{LabelMatcher, SeriesSelector};
use jiff::Timestamp;

use crate::stub::{Reply, Stub, dead_port};

fn scraper() -> Scraper {
    let store = SharedStore::new(StoreConfig::default()).unwrap();
    let config =
        ScrapeConfig { timeout: Duration::from_secs(1), max_body_bytes: 4_096, ..ScrapeConfig::default() };
    Scraper::new(config, store).unwrap()
}

fn clock() -> (Context, ManualClock) {
    let clock = ManualClock::leaping(Timestamp::from_millisecond(1_000_000).unwrap());
    (Context::new(Arc::new(clock.clone())), clock)
}

fn last(scraper: &Scraper, name: &str, instance: &str) -> Option<f64> {
    let matcher = LabelMatcher::Equal { label: "instance".into(), value: instance.into() };
    let selector = SeriesSelector::name(name).with(matcher);
    let points = scraper.store().with(|store| store.points(&selector, i64::MIN, i64::MAX));
    points
        .first()
        .and_then(|(_, points)| points.last().copied())
        .filter(|point| !point.is_stale())
        .map(|p| p.value)
}

#[tokio::test]
async fn every_failure_is_a_gap_and_up_is_zero() {
    let cases = [
        (Reply::Close, ScrapeFailure::Transport),
        (Reply::Hang, ScrapeFailure::Timeout),
        (Reply::Trickle("a 1\n".repeat(100), Duration::from_millis(20)), ScrapeFailure::Timeout),
        (Reply::Endless, ScrapeFailure::TooLarge),
        (Reply::text("a 1\n".repeat(2_000)), ScrapeFailure::TooLarge),
        (Reply::Status(500, "text/plain", "a 1\n".into()), ScrapeFailure::Status(500)),
        (Reply::Headers(301, vec![("location", "/".into())], String::new()), ScrapeFailure::Status(301)),
        (Reply::Status(200, "text/html", "<html>\n<body>\n".into()), ScrapeFailure::NotExposition),
        (Reply::Status(200, "application/openmetrics-text", "a 1\n".into()), ScrapeFailure::CutShort),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\na 1\n".to_vec()),
            ScrapeFailure::Transport,
        ),
        (Reply::Raw(b"\xff\xff\xff".to_vec()), ScrapeFailure::Transport),
    ];
    let mut stubs = Vec::new();
    let mut targets = Vec::new();
    for (number, (reply, _)) in cases.iter().enumerate() {
        let reply = reply.clone();
        // First a good page, so that there is something to go stale.
        let good = Reply::text("a 1\n");
        let stub = Stub::start(move |n, _| if n == 0 { good.clone() } else { reply.clone() }).await;
        targets.push(Target::new(format!("{}/metrics", stub.url)).with("instance", format!("{number:02}")));
        stubs.push(stub);
    }
    targets
        .push(Target::new(format!("http://127.0.0.1:{}/metrics", dead_port().await)).with("instance", "99"));
    let scraper = scraper();
    let (ctx, clock) = clock();
    scraper.set_targets(&targets, &ctx).unwrap();
    let first = scraper.scrape_once(&ctx).await;
    assert!(first[..cases.len()].iter().all(|outcome| outcome.result == Ok(1)), "{first:?}");
    assert_eq!(first[cases.len()].result, Err(ScrapeFailure::Connect));
    assert_eq!(last(&scraper, "up", "00"), Some(1.0));
    clock.advance(Duration::from_secs(1));
    for (number, outcome) in scraper.scrape_once(&ctx).await.iter().take(cases.len()).enumerate() {
        assert_eq!(outcome.result, Err(cases[number].1.clone()), "{:?}", cases[number].0);
        let instance = format!("{number:02}");
        assert_eq!(last(&scraper, "up", &instance), Some(0.0));
        assert_eq!(last(&scraper, "a", &instance), None, "stale");
    }
    scraper.store().with(|store| {
        let health: Vec<_> =
            store.targets().map(|(_, health)| (health.scrapes, health.consecutive_failures)).collect();
        assert_eq!(health[0], (2, 1));
        assert_eq!(health[cases.len()], (2, 2));
    });
}

#[tokio::test]
async fn a_slow_target_does_not_hold_up_the_others() {
    let slow = Stub::start(|_, _| Reply::Hang).await;
    let good = Stub::start(|_, _| Reply::text("a 1\n")).await;
    let scraper = scraper();
    let (ctx, _) = clock();
    let mut targets: Vec<Target> = (0..10).map(|n| Target::new(&slow.url).with("n", n.to_string())).collect();
    targets.push(Target::new(&good.url));
    scraper.set_targets(&targets, &ctx).unwrap();
    let began = std::time::Instant::now();
    let outcomes = scraper.scrape_once(&ctx).await;
    assert!(began.elapsed() < Duration::from_secs(5), "ten timeouts in a row would take 10 s");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.result.is_ok()).count(), 1);
}

#[tokio::test]
async fn the_loop_goes_on_whatever_happens_and_ends_with_its_context() {
    // The deadline of a leaping clock would leap ahead of real I/O, so the tenth request ends the loop.
    let cancellation = Cancellation::new();
    let end = cancellation.clone();
    let stub = Stub::start(move |n, _| match n % 3 {
        _ if n == 9 => {
            end.cancel();
            Reply::Hang
        }
        0 => Reply::text(format!("a {n}\n")),
        1 => Reply::Close,
        _ => Reply::Status(200, "application/openmetrics-text", format!("a {n}\n# EOF\n")),
    })
    .await;
    let scraper = scraper();
    let ctx = clock().0.with_cancellation(cancellation);
    scraper.set_targets(&[Target::new(&stub.url).with("job", "x")], &ctx).unwrap();
    let rounds = scraper.run(Duration::from_secs(1), &ctx).await.unwrap();
    assert_eq!(rounds, 9);
    let points = scraper.store().with(|store| store.points(&SeriesSelector::name("a"), 0, i64::MAX));
    let shown: Vec<_> = points[0].1.iter().map(|p| (p.at_ms, (!p.is_stale()).then_some(p.value))).collect();
    assert_eq!(
        shown[..4],
        [(1_000_000, Some(0.0)), (1_001_000, None), (1_002_000, Some(2.0)), (1_003_000, Some(3.0))]
    );
    let labels = &points[0].0.labels;
    assert_eq!(labels["job"], "x");
    assert_eq!(format!("http://{}", labels["instance"]), stub.url);
    assert!(scraper.run(Duration::ZERO, &ctx).await.is_err());
}

#[tokio::test]
async fn targets_come_and_go() {
    let stub = Stub::start(|_, _| Reply::text("a 1\n")).await;
    let scraper = scraper();
    let (ctx, clock) = clock();
    let target = |instance: &str| Target::new(&stub.url).with("instance", instance);
    scraper.set_targets(&[target("1"), target("2")], &ctx).unwrap();
    scraper.scrape_once(&ctx).await;
    clock.advance(Duration::from_secs(1));
    scraper.set_targets(&[target("2"), target("3")], &ctx).unwrap();
    scraper.scrape_once(&ctx).await;
    assert_eq!(last(&scraper, "a", "1"), None);
    assert_eq!(last(&scraper, "up", "1"), None, "gone, not down");
    assert_eq!((last(&scraper, "a", "2"), last(&scraper, "a", "3")), (Some(1.0), Some(1.0)));
    assert!(scraper.set_targets(&[target("4"), target("4")], &ctx).is_err(), "the same labels twice");
    assert!(scraper.set_targets(&[Target::new("http://u:p@127.0.0.1/")], &ctx).is_err());
    assert_eq!(scraper.scrape_once(&ctx).await.len(), 2, "a refused change changes nothing");
    assert!(clock.now() > Timestamp::from_millisecond(1_000_000).unwrap());
}
