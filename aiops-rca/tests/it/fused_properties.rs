//! What holds of the fused localiser whatever the fault.

use std::time::Duration;

use aiops_core::model::{
    EntityId, LogRecord, MetricSeries, SeriesKey, Span, SpanId, TelemetryWindow, TraceId, time,
};
use aiops_rca::{FusedLocalizer, FusedRanking};
use proptest::prelude::*;

use crate::fused::{Fault, NAMES, busy, delayed, rank, service, silent, windows};

/// Those whose caller calls and is called by somebody else: of a caller's only call nobody can tell whose end is slow.
const DOWNSTREAM: [&str; 3] = [NAMES[2], NAMES[3], NAMES[4]];

fn fault() -> impl Strategy<Value = Fault> {
    let who = || prop::option::of(prop::sample::select(NAMES.to_vec()));
    (who(), 11.0..100.0_f64, who(), 1..500_u64, who()).prop_map(|(cpu, percent, delay, ms, silent)| Fault {
        cpu: cpu.map(|c| (c.to_owned(), percent)),
        delay: delay.map(|d| (d.to_owned(), ms)),
        silent: silent.map(str::to_owned),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_input_gives_the_same_answer_and_order_does_not_matter(fault in fault()) {
        let (mut reference, mut now) = windows(&NAMES, &fault);
        let first = FusedLocalizer::default().rank(&reference, &now);
        for window in [&mut reference, &mut now] {
            window.metrics.reverse();
            window.spans.reverse();
            window.logs.reverse();
        }
        prop_assert_eq!(first, FusedLocalizer::default().rank(&reference, &now));
    }

    #[test]
    fn other_names_in_other_order_get_the_same_scores(fault in fault()) {
        let others = ["z9", "m-2", "aa", "q", "b"];
        let renamed = |name: &String| others[NAMES.iter().position(|n| n == name).unwrap()].to_owned();
        let other = Fault {
            cpu: fault.cpu.as_ref().map(|(n, v)| (renamed(n), *v)),
            delay: fault.delay.as_ref().map(|(n, v)| (renamed(n), *v)),
            silent: fault.silent.as_ref().map(renamed),
        };
        let (a, b) = (rank(&NAMES, &fault), rank(&others, &other));
        for (from, to) in NAMES.iter().zip(others) {
            let score = |r: &FusedRanking, n: &str| r.suspects.iter().find(|s| s.entity == service(n)).unwrap().score;
            prop_assert!((score(&a, from) - score(&b, to)).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_there_twice_counts_once(fault in fault()) {
        let (reference, now) = windows(&NAMES, &fault);
        let once = FusedLocalizer::default().rank(&reference, &now);
        let (mut both, mut more) = (reference.clone(), now.clone());
        for window in [&mut both, &mut more] {
            window.metrics.extend(window.metrics.clone());
            window.spans.extend(window.spans.clone());
            window.logs.extend(window.logs.clone());
        }
        prop_assert_eq!(&once, &FusedLocalizer::default().rank(&both, &more));
        // One collector alone may have repeated itself.
        prop_assert_eq!(&once, &FusedLocalizer::default().rank(&reference, &more));
    }

    #[test]
    fn what_is_told_under_two_names_makes_no_surer(fault in fault(), unit in prop::sample::select(vec![1.0, 1e-3, 60.0])) {
        let (mut reference, mut now) = windows(&NAMES, &fault);
        let once = FusedLocalizer::default().rank(&reference, &now);
        for window in [&mut reference, &mut now] {
            let copies: Vec<MetricSeries> = window.metrics.iter().map(|s| copied(s, unit)).collect();
            window.metrics.extend(copies);
        }
        let twice = FusedLocalizer::default().rank(&reference, &now);
        prop_assert!((once.margin - twice.margin).abs() < 1e-9, "{} {}", once.margin, twice.margin);
        prop_assert_eq!(scores(&once), scores(&twice));
    }

    #[test]
    fn without_the_modality_that_shows_it_confidence_is_less(
        who in prop::sample::select(DOWNSTREAM.to_vec()),
        percent in 60.0..100.0_f64,
        ms in 50..500_u64,
    ) {
        let blind: [(Fault, Blinding); 3] = [
            (Fault { cpu: Some((who.to_owned(), percent)), ..Fault::default() }, |w| w.metrics.clear()),
            (Fault { delay: Some((who.to_owned(), ms)), ..Fault::default() }, |w| w.spans.clear()),
            (silent(who), |w| w.logs.clear()),
        ];
        for (fault, clear) in blind {
            let (mut reference, mut now) = windows(&NAMES, &fault);
            let seen = FusedLocalizer::default().rank(&reference, &now);
            prop_assert_eq!(&seen.suspects[0].entity, &service(who));
            clear(&mut reference);
            clear(&mut now);
            let unseen = FusedLocalizer::default().rank(&reference, &now);
            let score = |r: &FusedRanking| r.suspects.iter().find(|s| s.entity == service(who)).map_or(0.0, |s| s.score);
            prop_assert!(unseen.margin < seen.margin, "{} {} {:?}", seen.margin, unseen.margin, fault);
            prop_assert!(score(&unseen) < score(&seen));
        }
    }

    #[test]
    fn an_unrelated_healthy_service_changes_nothing(fault in fault()) {
        let before = rank(&NAMES, &fault);
        let (mut reference, mut now) = windows(&NAMES, &fault);
        for window in [&mut reference, &mut now] {
            let series = steady(window);
            window.metrics.push(series);
            let lines: Vec<LogRecord> = window.logs.iter().step_by(9).map(aside_line).collect();
            window.logs.extend(lines);
        }
        let mut after = FusedLocalizer::default().rank(&reference, &now);
        after.suspects.retain(|s| s.entity != service("aside"));
        prop_assert_eq!(before.suspects, after.suspects);
    }

    #[test]
    fn traces_of_an_unrelated_healthy_service_change_no_order(
        who in prop::sample::select(DOWNSTREAM.to_vec()),
        kind in 0..3_usize,
    ) {
        let fault = [busy(who), delayed(who), silent(who)][kind].clone();
        let order = |r: &FusedRanking| -> Vec<EntityId> {
            let suspected = r.suspects.iter().filter(|s| s.score > 0.0 && s.entity != service("aside"));
            suspected.map(|s| s.entity.clone()).collect()
        };
        let before = rank(&NAMES, &fault);
        let (mut reference, mut now) = windows(&NAMES, &fault);
        for window in [&mut reference, &mut now] {
            let spans: Vec<Span> = window.spans.iter().step_by(9).map(aside_span).collect();
            window.spans.extend(spans);
        }
        let after = FusedLocalizer::default().rank(&reference, &now);
        prop_assert_eq!(order(&before), order(&after));
        prop_assert_eq!(&after.suspects[0].entity, &service(who));
    }
}

/// Takes a modality away.
type Blinding = fn(&mut TelemetryWindow);

fn scores(ranking: &FusedRanking) -> Vec<(EntityId, i64)> {
    ranking.suspects.iter().map(|s| (s.entity.clone(), (s.score * 1e9).round() as i64)).collect()
}

/// The same in another unit, as a second exporter tells it.
fn copied(series: &MetricSeries, unit: f64) -> MetricSeries {
    let key = series.key().clone().with("exporter", "second");
    let values = series.samples().map(|v| v.map(|v| v * unit));
    let copy = MetricSeries::new(key, series.entity().clone(), series.times().clone(), values).unwrap();
    // Utilisation is read off percentages only.
    if unit == 1.0 { copy.with_kind(series.kind()).with_unit(series.unit().clone()) } else { copy }
}

fn steady(window: &TelemetryWindow) -> MetricSeries {
    let axis = window.metrics[0].times().clone();
    let values = vec![Some(5.0); axis.len()];
    MetricSeries::new(SeriesKey::new("cpu_pct"), service("aside"), axis, values).unwrap()
}

fn aside_line(line: &LogRecord) -> LogRecord {
    LogRecord::new(line.time, service("aside"), "Aside.rs:1 ticks")
}

fn aside_span(span: &Span) -> Span {
    let id = SpanId(span.span_id.0 + (1 << 40));
    let took = Duration::from_micros(700 + span.span_id.0 % 50);
    Span::new(
        TraceId(1 << 100 | u128::from(id.0)),
        id,
        service("aside"),
        "tick",
        time::after(span.start, took),
        took,
    )
}
