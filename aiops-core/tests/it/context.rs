//! Errors, clocks, contexts and budgets.

use std::error::Error as _;
use std::sync::Arc;
use std::task::Poll;

use aiops_core::{Budget, Cancellation, Clock, Context, Error, ErrorKind, ManualClock, Result};
use futures_lite::future::{block_on, poll_once};

use crate::world::{seconds, start};

fn at_start() -> (ManualClock, Context) {
    let clock = ManualClock::at(start());
    let ctx = Context::new(Arc::new(clock.clone()));
    (clock, ctx)
}

#[test]
fn an_error_tells_kind_place_message_and_context() {
    let e = Error::new(ErrorKind::Malformed, "not a number").at("Source::fetch").at("Other::call");
    assert_eq!(e.to_string(), "malformed at Source::fetch: not a number");
    let e = e.with("field", "p99").with("line", 3).caused_by(std::io::Error::other("eof"));
    assert_eq!(e.to_string(), "malformed at Source::fetch: not a number (field: p99, line: 3)");
    assert_eq!(e.source().unwrap().to_string(), "eof");
    assert_eq!(e.context().collect::<Vec<_>>(), [("field", "p99"), ("line", "3")]);
    assert_eq!(
        (e.kind(), e.operation(), e.message()),
        (ErrorKind::Malformed, Some("Source::fetch"), "not a number")
    );
    assert!(format!("{e:?}").contains("transient: false"));
    fn crosses_threads<T: Send + Sync>(_: &T) {}
    crosses_threads(&e);
}

#[test]
fn only_what_may_pass_is_transient() {
    use ErrorKind::*;
    let transient = [Unavailable, Timeout, RateLimited];
    for kind in [
        Unsupported,
        Invalid,
        NotFound,
        Unauthorized,
        Denied,
        RateLimited,
        Timeout,
        Cancelled,
        Unavailable,
        Malformed,
        Limit,
        Conflict,
        InDoubt,
        Expired,
        Killed,
        Internal,
    ] {
        let e = Error::new(kind, "");
        assert_eq!(e.is_transient(), transient.contains(&kind), "{kind}");
        assert!(!e.permanent().is_transient());
        assert_eq!(kind.to_string(), kind.as_str());
    }
}

#[test]
fn a_manual_clock_moves_only_when_told() {
    let clock = ManualClock::at(start());
    let mut nap = clock.sleep(seconds(10));
    block_on(async {
        assert!(poll_once(&mut nap).await.is_none());
        clock.advance(seconds(9));
        assert!(poll_once(&mut nap).await.is_none());
        clock.advance(seconds(1));
        assert!(poll_once(&mut nap).await.is_some());
    });
    assert_eq!(clock.clone().now(), start() + seconds(10), "clones share the time");
}

#[test]
fn a_sleeper_in_another_thread_is_woken() {
    let clock = ManualClock::at(start());
    let nap = clock.sleep(seconds(10));
    let sleeper = std::thread::spawn(move || block_on(nap));
    while !sleeper.is_finished() {
        clock.advance(seconds(1));
        std::thread::yield_now();
    }
    sleeper.join().unwrap();
}

#[test]
fn a_leaping_clock_takes_whoever_sleeps_along() {
    let clock = ManualClock::leaping(start());
    block_on(clock.sleep(seconds(3600)));
    assert_eq!(clock.now(), start() + seconds(3600));
    // Two sleepers at once: both wake at their own instants, the later one last.
    block_on(futures_lite::future::zip(clock.sleep(seconds(5)), clock.sleep(seconds(2))));
    assert_eq!(clock.now(), start() + seconds(3605));
}

#[test]
fn a_clock_may_jump_back_and_to_the_end_of_time() {
    let (clock, ctx) = at_start();
    let mut nap = clock.sleep(seconds(10));
    block_on(async {
        assert!(poll_once(&mut nap).await.is_none());
        clock.set(start() - seconds(3600));
        assert!(poll_once(&mut nap).await.is_none());
        clock.set(start() + seconds(10));
        assert!(poll_once(&mut nap).await.is_some());
    });
    clock.set(aiops_core::jiff::Timestamp::MAX);
    clock.advance(seconds(1));
    assert_eq!(clock.now(), aiops_core::jiff::Timestamp::MAX);
    assert_eq!(ctx.with_timeout(seconds(1)).deadline(), Some(aiops_core::jiff::Timestamp::MAX));
}

#[test]
fn a_context_ends_by_deadline() {
    let (clock, ctx) = at_start();
    assert!(ctx.check().is_ok() && ctx.deadline().is_none());
    let limited = ctx.with_timeout(seconds(10));
    assert_eq!(limited.with_timeout(seconds(60)).deadline(), limited.deadline(), "an earlier deadline stays");
    assert_eq!(limited.with_timeout(seconds(3)).deadline(), Some(start() + seconds(3)));
    clock.advance(seconds(9));
    assert!(limited.check().is_ok());
    clock.advance(seconds(1));
    assert_eq!(limited.check().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(ctx.check().is_ok(), "the parent goes on");
}

#[test]
fn a_context_ends_by_cancellation_with_all_its_children() {
    let (_, ctx) = at_start();
    let cancellation = Cancellation::new();
    let ctx = ctx.with_cancellation(cancellation.clone());
    let child = ctx.with_timeout(seconds(10));
    assert!(child.check().is_ok());
    cancellation.cancel();
    assert_eq!(child.check().unwrap_err().kind(), ErrorKind::Cancelled);
    block_on(cancellation.cancelled());
}

#[test]
fn bound_work_ends_with_the_context() {
    let (clock, ctx) = at_start();
    let ctx = ctx.with_timeout(seconds(10)).with_cancellation(Cancellation::new());
    let pending = || std::future::pending::<Result<()>>();
    assert_eq!(block_on(ctx.bound(async { Ok(7) })).unwrap(), 7);
    let own = block_on(ctx.bound(async { Err::<(), _>(Error::new(ErrorKind::NotFound, "own")) }));
    assert_eq!(own.unwrap_err().kind(), ErrorKind::NotFound);

    let mut late = Box::pin(ctx.bound(pending()));
    block_on(async {
        assert!(poll_once(&mut late).await.is_none());
        clock.advance(seconds(10));
    });
    assert_eq!(block_on(late).unwrap_err().kind(), ErrorKind::Timeout);
    let after_the_end = block_on(ctx.bound(async { Ok(()) }));
    assert_eq!(after_the_end.unwrap_err().kind(), ErrorKind::Timeout, "not even begun");

    let (_, ctx) = at_start();
    let mut given_up = Box::pin(ctx.bound(pending()));
    block_on(async {
        assert!(poll_once(&mut given_up).await.is_none());
        ctx.cancellation().cancel();
    });
    assert_eq!(block_on(given_up).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn waiting_ends_with_the_context() {
    let clock = ManualClock::leaping(start());
    let ctx = Context::new(Arc::new(clock.clone()));
    block_on(ctx.sleep(seconds(5))).unwrap();
    assert_eq!(clock.now(), start() + seconds(5));
    ctx.cancellation().cancel();
    assert_eq!(block_on(ctx.sleep(seconds(5))).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(clock.now(), start() + seconds(5), "who gave up does not wait");
}

#[test]
fn a_budget_is_taken_whole_or_not_at_all() {
    let (_, ctx) = at_start();
    let ctx = ctx.with_queries(Budget::of(10)).with_tokens(Budget::of(1));
    let child = ctx.with_timeout(seconds(1));
    child.queries().take(7).unwrap();
    let e = ctx.queries().take(4).unwrap_err();
    assert_eq!((e.kind(), ctx.queries().left()), (ErrorKind::Limit, 3));
    ctx.queries().take(3).unwrap();
    assert!(ctx.queries().take(1).is_err());
    ctx.queries().take(0).unwrap();
    assert_eq!(ctx.tokens().left(), 1, "accounts are apart");
    Budget::unlimited().take(u64::MAX).unwrap();
}

#[test]
fn a_budget_is_not_overdrawn_by_many_at_once() {
    let budget = Budget::of(1_000);
    let taken: usize = std::thread::scope(|s| {
        let take = || (0..500).filter(|_| budget.take(1).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| s.spawn(take)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!((taken, budget.left()), (1_000, 0));
}

#[test]
fn the_system_clock_waits_without_a_runtime() {
    let ctx = Context::system();
    let before = ctx.now();
    block_on(ctx.sleep(std::time::Duration::from_millis(5))).unwrap();
    assert!(ctx.now() > before);
    let waits = std::pin::pin!(ctx.clock().sleep(seconds(3600)));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert_eq!(std::future::Future::poll(waits, &mut task), Poll::Pending);
}
