//! A world behind the seams.

use std::time::Duration;

use aiops_core::Clock;
use aiops_core::model::{FetchRequest, SignalSet, TelemetryWindow, TimeRange};
use aiops_core::seam::{ChangeFeed, TelemetrySource};
use aiops_eval::arena::World;

pub(crate) fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// Lets `time` pass and reads everything of the last `back`.
pub(crate) fn after(world: &World, time: Duration, back: Duration) -> TelemetryWindow {
    let (ctx, source, clock) = (world.context(), world.source(), world.clock());
    clock.drive(async {
        clock.sleep(time).await;
        let request = FetchRequest::new(TimeRange::ending_at(ctx.now(), back));
        source.fetch(&request, &ctx).await.unwrap()
    })
}

#[test]
fn a_world_tells_what_a_source_must() {
    let world = World::new(5);
    let window = after(&world, minutes(40), minutes(40));
    assert!(window.metrics.len() > 150, "{}", window.metrics.len());
    assert!(window.sample_count() > 15_000);
    assert!(
        window.logs.len() > 1_000 && window.spans.len() > 1_000,
        "{} {}",
        window.logs.len(),
        window.spans.len()
    );
    assert!(window.topology.edges().count() > 20);
    assert!(window.metrics.iter().all(|s| s.points().all(|(_, v)| v.is_finite() && v >= 0.0)));
    assert!(window.spans.iter().all(|s| window.range.contains(s.start)));
    assert!(window.logs.iter().all(|l| window.range.contains(l.time)));
    let mut sorted = window.clone();
    sorted.sort();
    assert_eq!(sorted, window);
    let errors = window.logs.iter().filter(|l| l.body.contains("exception")).count();
    assert!(errors > 0, "errors that mean nothing belong to daily life");
}

#[test]
fn reading_changes_nothing_and_worlds_of_one_seed_are_one() {
    let quiet = after(&World::new(8), minutes(20), minutes(10));
    let watched = World::new(8);
    for _ in 0..10 {
        after(&watched, minutes(1), minutes(5));
    }
    assert_eq!(after(&watched, minutes(10), minutes(10)), quiet);
    assert_ne!(after(&World::new(9), minutes(20), minutes(10)), quiet);
}

#[test]
fn parts_are_selected_and_changes_told() {
    let world = World::new(5);
    let all = after(&world, minutes(90), minutes(30));
    let (ctx, clock) = (world.context(), world.clock());
    let one = all.metrics.first().unwrap();
    let request = FetchRequest::new(all.range)
        .with_signals([aiops_core::model::Signal::Metrics].into_iter().collect::<SignalSet>())
        .with_selector(
            aiops_core::model::Selector::all().with_entity(one.entity().clone()).with_metric(&one.key().name),
        );
    let part = clock.drive(async { world.source().fetch(&request, &ctx).await.unwrap() });
    assert!(part.metrics.contains(one) && part.logs.is_empty() && part.topology.is_empty());
    let range = TimeRange::ending_at(clock.now(), minutes(90));
    let told = clock.drive(async { world.feed().changes(range, &ctx).await.unwrap() });
    assert!(told.is_sorted_by_key(|c| c.time));
}

#[test]
fn sleepers_wake_in_the_order_of_time() {
    let world = World::new(1);
    let clock = world.clock();
    let began = clock.now();
    let order = std::sync::Mutex::new(Vec::new());
    let nap = |name: u64, seconds: u64| {
        let order = &order;
        async move {
            for _ in 0..3 {
                clock.sleep(Duration::from_secs(seconds)).await;
            }
            order.lock().unwrap().push(name);
        }
    };
    clock.drive(async { futures_lite::future::zip(nap(1, 50), nap(2, 40)).await });
    assert_eq!(order.into_inner().unwrap(), [2, 1]);
    assert_eq!(clock.now().duration_since(began).as_secs(), 150);
    // A deadline beside work that sleeps often is not reached before the work is done.
    let ctx = world.context().with_timeout(Duration::from_secs(100));
    let work = async {
        for _ in 0..9 {
            clock.sleep(Duration::from_secs(10)).await;
        }
        Ok(())
    };
    assert!(clock.drive(ctx.bound(work)).is_ok());
}
