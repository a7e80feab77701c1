//! VER-01, VER-02: the signals that detected the incident.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aiops_act::VerifierConfig;
use aiops_core::fake::InMemorySource;
use aiops_core::model::{Anomaly, EntityId, Recovery, SeriesKey, Shape};
use aiops_core::{Cancellation, Context, ErrorKind, ManualClock};
use futures_lite::future::block_on;

use crate::feed::{
    BAD, Feed, GOOD, context, down, latency, receipt, since_action, slow, slow_on, verdict, verify, verify_in,
};
use crate::support::{at, orders, secs, start};
use Recovery::{Inconclusive, NotRecovered, Recovered};

/// First possible verdict: settle and hold after the action.
const FIRST: i64 = 330;
/// Last possible verdict.
const LAST: i64 = 900;

#[test]
fn back_at_the_baseline_is_recovered_as_soon_as_it_held() {
    let feed = Feed::latency(|t, _| if t < 10 { BAD } else { GOOD });
    let report = verify(&feed, &[slow()]);
    assert_eq!(verdict(&report), (Recovered, FIRST));
    assert_eq!(report.checks.len(), 1);
    let fetched = feed.fetched();
    assert_eq!(fetched.len(), 2, "nothing is read before it could tell");
    assert_eq!((fetched[0].range.start(), fetched[0].range.end()), (at(30), at(FIRST)));
    // The minute before the action: had it been over then, it was not the action.
    assert_eq!((fetched[1].range.start(), fetched[1].range.end()), (at(-65), at(-5)));
}

#[test]
fn a_late_recovery_is_seen_when_it_held() {
    let feed = Feed::latency(|t, _| if t < 400 { BAD } else { GOOD });
    let report = verify(&feed, &[slow()]);
    // 80 % of 300 s are back once 240 s of good samples are in.
    assert_eq!(verdict(&report), (Recovered, 645));
    let fetched = feed.fetched();
    let (_before, after) = fetched.split_last().unwrap();
    assert!(after.iter().all(|r| r.range.length() == secs(300) && since_action(r.range.start()) >= 30));
}

#[test]
fn a_bad_level_that_lasts_does_not_become_normal() {
    let feed = Feed::latency(|_, _| BAD);
    assert_eq!(verdict(&verify(&feed, &[slow()])), (NotRecovered, LAST));
    let looks = feed.fetched().len();
    assert_eq!(looks, 1 + 570 / 15, "one look every 15 s until the deadline");
}

#[test]
fn a_level_between_is_held_against_the_old_baseline() {
    let just_within = Feed::latency(|_, _| Some(0.05 + 3.0 * 0.01));
    assert_eq!(verify(&just_within, &[slow()]).recovery, Recovered);
    let just_beyond = Feed::latency(|_, _| Some((0.05_f64 + 3.0 * 0.01).next_up()));
    assert_eq!(verify(&just_beyond, &[slow()]).recovery, NotRecovered);
}

#[test]
fn flapping_at_the_end_is_not_recovered() {
    let feed = Feed::latency(|t, now| if t >= now - 15 { BAD } else { GOOD });
    assert_eq!(verdict(&verify(&feed, &[slow()])), (NotRecovered, LAST));
    let every_other = Feed::latency(|t, _| if t.rem_euclid(30) < 15 { BAD } else { GOOD });
    assert_eq!(verdict(&verify(&every_other, &[slow()])), (NotRecovered, LAST));
}

#[test]
fn a_fifth_of_the_samples_may_stray() {
    let strays = |n: i64| Feed::latency(move |t, now| if t - (now - 300) < n * 15 { BAD } else { GOOD });
    assert_eq!(verdict(&verify(&strays(4), &[slow()])), (Recovered, FIRST), "16 of 20");
    assert_eq!(verdict(&verify(&strays(5), &[slow()])), (NotRecovered, LAST), "15 of 20");
}

#[test]
fn one_signal_that_is_not_back_is_enough() {
    let other = SeriesKey::new("errors");
    let feed = Feed::latency(|_, _| GOOD).with(other.clone(), orders(), |_, _| BAD);
    let report = verify(&feed, &[slow(), slow_on(other, orders())]);
    assert_eq!(verdict(&report), (NotRecovered, LAST));
    let by_check: Vec<_> = report.checks.iter().map(|c| (c.what.as_str(), c.recovery)).collect();
    assert_eq!(by_check, [("latency{service=\"orders\"}", Recovered), ("errors", NotRecovered)]);
}

#[test]
fn a_series_that_is_gone_is_inconclusive() {
    assert_eq!(verdict(&verify(&Feed::new(), &[slow()])), (Inconclusive, LAST));
    let vanished = Feed::latency(|t, _| if t < 0 { BAD } else { None });
    assert_eq!(verdict(&verify(&vanished, &[slow()])), (Inconclusive, LAST));
    // The same name with other labels, or of another entity, is another series.
    let renamed = Feed::new().with(SeriesKey::new("latency"), orders(), |_, _| GOOD);
    assert_eq!(verify(&renamed, &[slow()]).recovery, Inconclusive);
    let moved = Feed::new().with(latency(), EntityId::service("orders2"), |_, _| GOOD);
    assert_eq!(verify(&moved, &[slow()]).recovery, Inconclusive);
}

#[test]
fn a_series_that_fell_silent_is_inconclusive() {
    let silent_for = |s: i64| Feed::latency(move |t, now| if t < now - s { GOOD } else { None });
    assert_eq!(verdict(&verify(&silent_for(15), &[slow()])), (Recovered, FIRST), "telemetry may lag");
    for silence in [30, 60, 120, 240] {
        assert_eq!(verdict(&verify(&silent_for(silence), &[slow()])), (Inconclusive, LAST), "{silence} s");
    }
    let once_good = Feed::latency(|t, _| if t < 200 { GOOD } else { None });
    assert_eq!(verdict(&verify(&once_good, &[slow()])), (Inconclusive, LAST));
    let last_seen_bad = Feed::latency(|t, now| match now - t {
        61.. => GOOD,
        46..=60 => BAD,
        _ => None,
    });
    assert_eq!(verdict(&verify(&last_seen_bad, &[slow()])), (NotRecovered, LAST));
}

#[test]
fn a_few_samples_do_not_prove_anything() {
    let newest = |n: i64| Feed::latency(move |t, now| if now - t <= n * 15 { GOOD } else { None });
    assert_eq!(verdict(&verify(&newest(10), &[slow()])), (Recovered, FIRST), "half of those due");
    assert_eq!(verdict(&verify(&newest(9), &[slow()])), (Inconclusive, LAST));
    let config = VerifierConfig { coverage: 0.0, min_samples: 5, ..VerifierConfig::default() };
    let said = |n| verify_in(&newest(n), config.clone(), &[slow()], &context()).unwrap().recovery;
    assert_eq!((said(5), said(4)), (Recovered, Inconclusive));
}

#[test]
fn a_source_that_is_down_is_inconclusive_until_it_is_back() {
    let dead = Feed::latency(|_, _| GOOD).first(|_, _| Err(down()));
    let report = verify(&dead, &[slow()]);
    assert_eq!(verdict(&report), (Inconclusive, LAST));
    assert!(report.checks[0].detail.contains("the source is down"));
    let back = Feed::latency(|_, _| GOOD).first(|now, _| if now < 500 { Err(down()) } else { Ok(()) });
    assert_eq!(verdict(&verify(&back, &[slow()])), (Recovered, 510));
}

#[test]
fn what_was_not_looked_at_is_inconclusive() {
    let feed = Feed::latency(|_, _| GOOD).blind();
    assert_eq!(verdict(&verify(&feed, &[slow()])), (Inconclusive, LAST));
}

#[test]
fn a_source_that_hangs_cannot_hold_the_verdict_up() {
    let feed = Feed::latency(|_, _| GOOD).hanging();
    assert_eq!(
        verdict(&verify(&feed, &[slow(), slow_on(SeriesKey::new("x"), orders())])),
        (Inconclusive, LAST)
    );
}

#[test]
fn the_fake_source_serves_as_well() {
    let feed = Feed::latency(|_, _| GOOD);
    let ctx = Context::new(Arc::new(ManualClock::leaping(at(LAST))));
    let request = slow().reread.over(aiops_core::model::TimeRange::new(at(0), at(LAST)).unwrap());
    let window = block_on(aiops_core::seam::TelemetrySource::fetch(&feed, &request, &ctx)).unwrap();
    let source = InMemorySource::holding(window);
    let verifier = aiops_act::TelemetryVerifier::new(source.clone(), VerifierConfig::default()).unwrap();
    let ask = || {
        block_on(aiops_core::seam::Verifier::verify(&verifier, &receipt(), &[slow()], &context())).unwrap()
    };
    assert_eq!(verdict(&ask()), (Recovered, FIRST));
    source.set_outage(Some("gone".into()));
    assert_eq!(verdict(&ask()), (Inconclusive, LAST));
}

#[test]
fn nan_speaks_neither_for_nor_against() {
    let nan = Some(f64::NAN);
    assert_eq!(verdict(&verify(&Feed::latency(move |_, _| nan), &[slow()])), (Inconclusive, LAST));
    let third = Feed::latency(move |t, now| if (now - t) % 45 == 0 { nan } else { GOOD });
    assert_eq!(verdict(&verify(&third, &[slow()])), (Recovered, FIRST));
    let at_the_end = Feed::latency(move |t, now| if now - t < 60 { nan } else { GOOD });
    assert_eq!(verdict(&verify(&at_the_end, &[slow()])), (Inconclusive, LAST));
    let bad_and_nan = Feed::latency(move |t, now| if (now - t) % 45 == 0 { nan } else { BAD });
    assert_eq!(verdict(&verify(&bad_and_nan, &[slow()])), (NotRecovered, LAST));
}

#[test]
fn infinite_values_are_never_back() {
    for value in [f64::INFINITY, f64::NEG_INFINITY] {
        for shape in [Shape::LevelShiftUp, Shape::LevelShiftDown] {
            let mut anomaly = slow();
            anomaly.shape = shape;
            let feed = Feed::latency(move |_, _| Some(value));
            assert_eq!(verify(&feed, &[anomaly]).recovery, NotRecovered, "{value} {shape}");
        }
    }
}

#[test]
fn only_the_direction_in_which_it_left_counts() {
    let says = |shape: Shape, value: f64| {
        let mut anomaly = slow();
        anomaly.shape = shape;
        let feed = Feed::new().with(latency(), orders(), move |t, _| (t >= 0).then_some(value));
        verify(&feed, &[anomaly]).recovery
    };
    for up in [Shape::Spike, Shape::LevelShiftUp, Shape::SteadyIncrease] {
        assert_eq!(says(up, 0.0), Recovered, "faster than before is no reason for doubt");
        assert_eq!(says(up, 0.9), NotRecovered);
    }
    for down in [Shape::Dip, Shape::LevelShiftDown, Shape::SteadyDecrease, Shape::Vanished] {
        assert_eq!(says(down, 0.0), NotRecovered);
        assert_eq!(says(down, 0.9), Recovered);
    }
}

#[test]
fn a_finding_without_a_usable_baseline_proves_nothing() {
    let spoilt = |change: fn(&mut Anomaly)| {
        let mut anomaly = slow();
        change(&mut anomaly);
        anomaly
    };
    for anomaly in [
        spoilt(|a| a.baseline.scale = f64::INFINITY),
        spoilt(|a| a.baseline.scale = f64::NAN),
        spoilt(|a| a.baseline.scale = -0.01),
        spoilt(|a| a.baseline.center = f64::NAN),
        spoilt(|a| a.baseline.center = f64::INFINITY),
    ] {
        assert_eq!(
            verify(&Feed::latency(|_, _| BAD), std::slice::from_ref(&anomaly)).recovery,
            Inconclusive,
            "{anomaly:?}"
        );
    }
}

#[test]
fn a_reread_that_cannot_be_made_is_inconclusive() {
    let mut zero_step = slow();
    zero_step.reread.step = secs(0);
    assert_eq!(verdict(&verify(&Feed::latency(|_, _| GOOD), &[zero_step])), (Inconclusive, LAST));
    let mut coarse = slow();
    coarse.reread.step = secs(3600);
    assert_eq!(verify(&Feed::latency(|_, _| GOOD), &[coarse]).recovery, Inconclusive, "one sample in hold");
}

#[test]
fn where_nothing_was_detected_nothing_is_recovered() {
    let report = verify(&Feed::latency(|_, _| GOOD), &[]);
    assert_eq!(verdict(&report), (Inconclusive, LAST));
    assert_eq!(report.checks.len(), 1, "and the report says why");
}

#[test]
fn the_deadline_holds_whatever_the_poll_is() {
    let config = VerifierConfig { poll: secs(400), ..VerifierConfig::default() };
    let feed = Feed::latency(|_, _| BAD);
    let report = verify_in(&feed, config, &[slow()], &context()).unwrap();
    assert_eq!(verdict(&report), (NotRecovered, LAST));
    let looks: Vec<_> = feed.fetched().iter().map(|r| since_action(r.range.end())).collect();
    assert_eq!(looks, [330, 730, 900]);
}

#[test]
fn verification_that_begins_late_looks_once() {
    let late = Context::new(Arc::new(ManualClock::leaping(at(5000))));
    let feed = Feed::latency(|t, _| if t < 4800 { BAD } else { GOOD });
    let report = verify_in(&feed, VerifierConfig::default(), &[slow()], &late).unwrap();
    assert_eq!(verdict(&report), (NotRecovered, 5000));
    assert_eq!(feed.fetched().len(), 1);
}

#[test]
fn a_clock_set_back_does_not_show_the_time_before_the_action() {
    let clock = ManualClock::leaping(start());
    let (jumped, moved) = (Arc::new(AtomicBool::new(false)), clock.clone());
    let once = Arc::clone(&jumped);
    let feed = Feed::latency(|t, _| if t < 100 { GOOD } else { BAD }).first(move |_, _| {
        if !once.swap(true, Ordering::SeqCst) {
            moved.set(at(-3600));
        }
        Ok(())
    });
    let ctx = Context::new(Arc::new(clock));
    let report = verify_in(&feed, VerifierConfig::default(), &[slow()], &ctx).unwrap();
    assert!(jumped.load(Ordering::SeqCst));
    assert_eq!(verdict(&report), (NotRecovered, LAST), "good samples before the action prove nothing");
    assert!(feed.fetched().iter().all(|r| since_action(r.range.start()) >= 30));
}

#[test]
fn the_end_of_the_context_is_an_error() {
    let cancellation = Cancellation::new();
    let trigger = cancellation.clone();
    let feed = Feed::latency(|_, _| BAD).first(move |now, ctx| {
        if now >= 400 {
            trigger.cancel();
            ctx.check()?;
        }
        Ok(())
    });
    let ctx = context().with_cancellation(cancellation);
    let error = verify_in(&feed, VerifierConfig::default(), &[slow()], &ctx).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "an ended context is not a broken source");

    let late = Context::new(Arc::new(ManualClock::leaping(at(5000)))).with_timeout(secs(0));
    let error = verify_in(&feed, VerifierConfig::default(), &[], &late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "even where there is nothing to read");

    let feed = Feed::latency(|_, _| BAD);
    let error = verify_in(&feed, VerifierConfig::default(), &[slow()], &context().with_timeout(secs(100)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(feed.fetched().is_empty(), "it ended before there was anything to see");
}

#[test]
fn findings_of_one_read_are_judged_on_one_answer() {
    let mut other = slow_on(SeriesKey::new("errors"), orders());
    let first = slow();
    other.reread = first.reread.clone();
    other.reread.selector.metrics.clear();
    let mut first = first;
    first.reread = other.reread.clone();
    let feed = Feed::latency(|_, _| GOOD).with(SeriesKey::new("errors"), orders(), |_, _| GOOD);
    assert_eq!(verdict(&verify(&feed, &[first, other])), (Recovered, FIRST));
    assert_eq!(feed.fetched().len(), 2, "once after the action, once before it");
}
