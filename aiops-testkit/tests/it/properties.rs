//! The model under generated input: files lose nothing, and the algorithms of core agree with their naive oracles.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::{History, JournalEntry};
use aiops_core::jiff::Timestamp;
use aiops_core::layer::{Call, OnceLayer, RateLimit};
use aiops_core::model::{EntityId, MetricFrame, TimeAxis, Validity, time};
use aiops_core::{Case, Clock, Context, ManualClock};
use aiops_testkit::{generate, oracle, sample};
use futures_lite::future::block_on;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// Written and read again; compared as text, since NaN differs from itself.
fn survives<T: Serialize + DeserializeOwned + Debug>(value: &T) -> Result<(), TestCaseError> {
    let json = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&json).map_err(|e| TestCaseError::fail(format!("{e} in {json}")))?;
    prop_assert_eq!(format!("{value:?}"), format!("{read:?}"));
    prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn series_survive_files(series in generate::series()) {
        survives(&series)?;
    }

    #[test]
    fn windows_survive_files(window in generate::window()) {
        survives(&window)?;
    }

    #[test]
    fn anomalies_survive_files(anomaly in generate::anomaly()) {
        survives(&anomaly)?;
    }

    #[test]
    fn proposals_survive_files_with_their_key(proposal in generate::proposal()) {
        survives(&proposal)?;
        let read: aiops_core::action::Proposal = serde_json::from_value(serde_json::to_value(&proposal).unwrap()).unwrap();
        prop_assert_eq!(read.idempotency_key().unwrap(), proposal.idempotency_key().unwrap());
    }

    #[test]
    fn cases_survive_files(case in generate::case()) {
        let read = Case::from_json(&case.to_json().unwrap()).unwrap();
        prop_assert_eq!(format!("{case:?}"), format!("{read:?}"));
    }

    #[test]
    fn journals_survive_files(entries in generate::journal_entries()) {
        survives(&entries)?;
    }

    #[test]
    fn durations_survive_files(duration in generate::duration()) {
        survives(&aiops_core::model::FetchRequest::new(sample::range()).with_step(duration))?;
    }

    #[test]
    fn axis_finds_what_a_scan_finds((axis, t) in generate::axis().prop_flat_map(|axis| {
        let ends = axis.get(0).zip(axis.last()).and_then(|(a, b)| aiops_core::model::TimeRange::new(a, b).ok());
        (Just(axis), generate::around(ends.unwrap_or(sample::range())))
    })) {
        prop_assert_eq!(axis.index_at_or_after(t), oracle::index_at_or_after(&axis, t));
        for (i, at) in axis.iter().enumerate() {
            prop_assert_eq!(axis.index_at_or_after(at), i);
        }
    }

    #[test]
    fn validity_is_a_list_of_flags(flags in proptest::collection::vec(any::<bool>(), 0..300)) {
        let validity: Validity = flags.iter().copied().collect();
        prop_assert_eq!(validity.len(), flags.len());
        prop_assert_eq!(validity.gaps(), flags.iter().filter(|f| !**f).count());
        for i in 0..flags.len() + 70 {
            prop_assert_eq!(validity.get(i), flags.get(i).copied().unwrap_or(false), "sample {}", i);
        }
        if flags.iter().all(|f| *f) {
            prop_assert_eq!(validity, Validity::all(flags.len()));
        }
    }

    #[test]
    fn paths_are_the_shortest_and_the_first(topology in generate::topology(), ends in (0..8_u8, 0..8_u8)) {
        let service = |n: u8| EntityId::service(format!("s{n}"));
        let (from, to) = (service(ends.0), service(ends.1));
        prop_assert_eq!(topology.path(&from, &to), oracle::path(&topology, &from, &to));
    }

    #[test]
    fn frames_hold_the_last_sample_of_each_step(
        series in generate::series(),
        (offset, step, rows) in (-50..50_i64, generate::duration(), 1..60_usize),
    ) {
        let first = series.times().get(0).unwrap_or(sample::now());
        let start = first.checked_add(aiops_core::jiff::SignedDuration::from_secs(offset)).unwrap();
        let Ok(axis) = TimeAxis::regular(start, step, rows) else { return Ok(()) };
        let frame = MetricFrame::new([&series], &axis).unwrap();
        let got: Vec<Option<f64>> =
            (0..rows).map(|r| frame.present()[[r, 0]].then(|| frame.values()[[r, 0]])).collect();
        let expected = oracle::frame_column(&series, start, step, rows);
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
    }

    #[test]
    fn history_keeps_its_rules(entries in generate::journal_entries()) {
        let (mut history, mut naive) = (History::new(), oracle::NaiveJournal::default());
        for entry in &entries {
            let before = history.clone();
            match (history.apply(entry), naive.apply(entry)) {
                (Ok(at), Ok(())) => prop_assert_eq!(at.0, naive.accepted().len() as u64),
                (Err(e), Err(kind)) => {
                    prop_assert_eq!(e.kind(), kind);
                    prop_assert_eq!(&history, &before, "a refused entry changed something");
                }
                (real, plain) => prop_assert!(false, "{entry:?}: {real:?}, by the naive rules {plain:?}"),
            }
            check_history(&history)?;
        }
        // Folding what was accepted gives the same history again: a journal can be replayed.
        let mut replayed = History::new();
        for entry in naive.accepted() {
            replayed.apply(entry).unwrap();
        }
        prop_assert_eq!(replayed, history);
    }

    #[test]
    fn rate_limit_is_a_token_bucket(
        interval in 1..50_u64,
        burst in 1..6_u32,
        pauses in proptest::collection::vec(0..120_u64, 1..40),
    ) {
        let start = sample::now();
        let clock = ManualClock::leaping(start);
        let ctx = Context::new(Arc::new(clock.clone()));
        let layer = RateLimit::new(Duration::from_nanos(interval), burst).unwrap();
        let (mut arrivals, mut went) = (Vec::new(), Vec::new());
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            arrivals.push(since(start, clock.now()));
            block_on(layer.around_once(Call::reads("test"), &ctx, Box::pin(async { Ok(()) }))).unwrap();
            went.push(since(start, clock.now()));
        }
        prop_assert_eq!(went, oracle::token_bucket(&arrivals, interval, burst.into()));
    }
}

fn since(start: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(time::elapsed(start, now).as_nanos()).unwrap()
}

/// What holds of every history, however it came about.
fn check_history(history: &History) -> Result<(), TestCaseError> {
    let actions: Vec<_> = history.actions().collect();
    prop_assert!(actions.is_sorted_by(|a, b| a.fence < b.fence), "fences do not grow");
    for action in &actions {
        prop_assert_eq!(history.get(&action.intent.key), Some(*action));
        let target = &action.intent.proposal.action.target;
        prop_assert!(history.for_target(target).filter(|a| a.in_doubt()).count() <= 1);
        prop_assert!(history.for_target(target).any(|a| a == *action));
        prop_assert!(history.for_incident(&action.intent.proposal.incident).any(|a| a == *action));
    }
    prop_assert_eq!(history.in_doubt().count(), actions.iter().filter(|a| a.outcome.is_none()).count());
    Ok(())
}

/// The generators reach what the properties are about; otherwise they would prove little.
#[test]
fn generators_reach_the_corners() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw_series = || generate::series().new_tree(&mut runner).unwrap().current();
    let series: Vec<_> = (0..300).map(|_| draw_series()).collect();
    let any_value = |f: fn(f64) -> bool| series.iter().flat_map(|s| s.points()).any(|(_, v)| f(v));
    assert!(any_value(f64::is_nan) && any_value(f64::is_infinite) && any_value(|v| v == 0.0));
    assert!(series.iter().any(|s| s.validity().gaps() > 0) && series.iter().any(|s| s.is_empty()));
    assert!(series.iter().any(|s| matches!(s.times(), TimeAxis::Irregular(t) if t.len() > 1)));
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..50 {
        let entries: Vec<JournalEntry> = generate::journal_entries().new_tree(&mut runner).unwrap().current();
        let mut history = History::new();
        for entry in &entries {
            *(if history.apply(entry).is_ok() { &mut accepted } else { &mut refused }) += 1;
        }
    }
    assert!(accepted > 100 && refused > 100, "{accepted} entries accepted, {refused} refused");
}
