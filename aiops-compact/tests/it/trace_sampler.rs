//! Sampling of traces: what must be kept, weights, order and shards, bounds.

use std::collections::BTreeSet;
use std::time::Duration;

use aiops_compact::traces::{
    SamplerConfig, SamplerMismatch, SamplerOptions, SpanColumns, StratumKind, TailSampler, TraceCompactor,
    TraceConfig, TraceSample, TraceSummary,
};
use aiops_core::model::{EntityId, Span, SpanId, SpanStatus, TraceId};
use jiff::Timestamp;
use proptest::prelude::*;

/// A trace by what matters: each call (service below the root, ms, failed).
type Calls = Vec<(u8, u16, bool)>;

fn trace(id: u128, calls: &[(u8, u16, bool)]) -> Vec<Span> {
    let span = |span: u64, service: &str, ms, failed| {
        let entity = EntityId::service(service);
        let duration = Duration::from_millis(ms);
        Span::new(TraceId(id), SpanId(span), entity, "GET", Timestamp::UNIX_EPOCH, duration)
            .with_status(if failed { SpanStatus::Error } else { SpanStatus::Ok })
    };
    let mut spans = vec![span(1, "front", 10_000, false)];
    for (at, (service, ms, failed)) in (2..).zip(calls) {
        spans.push(span(at, &format!("s{service}"), u64::from(*ms), *failed).with_parent(SpanId(1)));
    }
    spans
}

fn config(options: SamplerOptions) -> SamplerConfig {
    SamplerConfig::try_from(options).unwrap()
}

fn small(seed: u64) -> SamplerConfig {
    config(SamplerOptions {
        seed,
        errors_per_path: 6,
        slow_per_path: 4,
        any_per_path: 3,
        ..SamplerOptions::default()
    })
}

/// Each service answers in up to 20 ms.
fn baseline() -> TraceSummary {
    let spans: Vec<Span> = (1..=100)
        .flat_map(|id| trace(id, &[0, 1, 2, 3].map(|service| (service, (id % 20) as u16 + 1, false))))
        .collect();
    TraceCompactor::summarize(TraceConfig::default(), &spans.iter().collect::<SpanColumns>())
}

fn sample(config: SamplerConfig, traces: &[(u128, Calls)]) -> TailSampler<u128> {
    let mut sampler = TailSampler::new(config, &baseline());
    for (id, calls) in traces {
        let _ = sampler.offer(&trace(*id, calls), *id);
    }
    sampler
}

/// What a sample says, without the counts of what was wrong with the spans.
fn said(sample: TraceSample<u128>) -> impl PartialEq + std::fmt::Debug {
    (sample.traces, sample.offered, sample.level, sample.overflowed)
}

fn traces() -> impl Strategy<Value = Vec<(u128, Calls)>> {
    let ms = prop_oneof![9 => 1..20_u16, 1 => 30..500_u16];
    let call = (0..4_u8, ms, prop::bool::weighted(0.1));
    prop::collection::vec(prop::collection::vec(call, 0..4), 0..80)
        .prop_map(|traces| (1..).zip(traces).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sample_depends_on_neither_order_nor_shards(
        (traces, shuffled) in traces().prop_flat_map(|t| (Just(t.clone()), Just(t).prop_shuffle())),
        cuts in prop::collection::vec(0..3_usize, 80),
        seed: u64,
    ) {
        let whole = sample(small(seed), &traces);
        prop_assert_eq!(said(sample(small(seed), &shuffled).finish()), said(sample(small(seed), &traces).finish()));
        let shard = |n| {
            let of: Vec<_> = shuffled.iter().zip(&cuts).filter(|(_, at)| **at == n).map(|(t, _)| t.clone()).collect();
            sample(small(seed), &of)
        };
        let (mut left, mut right) = (shard(0), shard(1));
        left.merge(shard(1)).unwrap();
        left.merge(shard(2)).unwrap();
        right.merge(shard(2)).unwrap();
        let mut other = shard(0);
        other.merge(right).unwrap();
        let whole = said(whole.finish());
        prop_assert_eq!(&said(left.finish()), &whole);
        prop_assert_eq!(&said(other.finish()), &whole);
    }

    /// The naive oracle of what must be there: each stratum has as many as it may keep, and what is certain weighs 1.
    #[test]
    fn each_stratum_has_its_share(traces in traces(), seed: u64) {
        let kept = sample(small(seed), &traces).finish();
        let limit = |kind| match kind {
            StratumKind::Error => 6,
            StratumKind::Slow => 4,
            _ => 3,
        };
        for (stratum, offered) in &kept.offered {
            let path = stratum.path.as_ref().unwrap();
            let is_in = |calls: &Calls| {
                if &*path.callee == "front" {
                    return stratum.kind == StratumKind::Any;
                }
                calls.iter().any(|(service, ms, failed)| {
                    format!("s{service}") == *path.callee
                        && match stratum.kind {
                            StratumKind::Error => *failed,
                            StratumKind::Slow => *ms > 21,
                            _ => true,
                        }
                })
            };
            let members: BTreeSet<u128> =
                traces.iter().filter(|(_, calls)| is_in(calls)).map(|(id, _)| *id).collect();
            prop_assert_eq!(*offered, members.len() as u64);
            let inside: Vec<_> =
                kept.traces.iter().filter(|trace| members.contains(&trace.trace.0)).collect();
            prop_assert!(inside.len() >= members.len().min(limit(stratum.kind)));
            prop_assert!(inside.iter().all(|trace| trace.strata.contains(stratum)));
            if members.len() <= limit(stratum.kind) {
                prop_assert!(inside.iter().all(|trace| trace.weight == 1.0));
            }
        }
        prop_assert!(kept.traces.iter().all(|trace| trace.weight >= 1.0 && trace.payload == trace.trace.0));
    }
}

/// 600 traces: s0 in all, s1 in every third, s2 in 5 of them; 30 failures.
fn mixed() -> Vec<(u128, Calls)> {
    (1..=600)
        .map(|id| {
            let mut calls = vec![(0, 5, id % 20 == 0)];
            if id % 3 == 0 {
                calls.push((1, 5, false));
            }
            if id % 120 == 7 {
                calls.push((2, 5, false));
            }
            (id, calls)
        })
        .collect()
}

#[test]
fn weights_estimate_counts_without_bias() {
    let traces = mixed();
    let seeds = 400;
    let (mut all, mut third, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..seeds {
        let kept = sample(small(seed), &traces).finish();
        let sum = |of: &dyn Fn(u128) -> bool| -> f64 {
            kept.traces.iter().filter(|trace| of(trace.trace.0)).map(|trace| trace.weight).sum()
        };
        all.push(sum(&|_| true));
        third.push(sum(&|id| id % 3 == 0));
        failed.push(sum(&|id| id % 20 == 0));
    }
    for (estimates, truth) in [(all, 600.0), (third, 200.0), (failed, 30.0)] {
        let n = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        assert!(error > 0.0 && (mean - truth).abs() < 4.0 * error, "{mean} of {truth}, ± {error}");
    }
}

#[test]
fn errors_slow_and_rare_paths_are_all_kept() {
    let mut traces = mixed();
    traces.push((1_001, vec![(3, 400, false)]));
    let kept = sample(SamplerConfig::default(), &traces).finish();
    let ids: BTreeSet<u128> = kept.traces.iter().map(|trace| trace.trace.0).collect();
    let must = |id: &u128| id.is_multiple_of(20) || id % 120 == 7 || *id == 1_001;
    assert!(traces.iter().map(|(id, _)| *id).filter(must).all(|id| ids.contains(&id)));
    let slow = kept.traces.iter().find(|trace| trace.trace.0 == 1_001).unwrap();
    assert!(slow.strata.iter().any(|stratum| stratum.kind == StratumKind::Slow));
    assert!(ids.len() < 80, "{}", ids.len());
}

#[test]
fn memory_is_bounded_and_ordinary_traces_go_first() {
    let tight = config(SamplerOptions {
        errors_per_path: 20,
        slow_per_path: 16,
        any_per_path: 64,
        max_strata: 12,
        max_traces: 40,
        ..SamplerOptions::default()
    });
    let mut sampler = TailSampler::new(tight, &baseline());
    // Paths without end, and a few errors.
    for id in 1..=2_000_u128 {
        let service = if id % 4 == 0 { 0 } else { (id % 250) as u8 };
        let _ = sampler.offer(&trace(id, &[(service, 5, id % 200 == 0)]), ());
        assert!(sampler.len() <= 40);
    }
    let kept = sampler.finish();
    assert!(kept.level > 0 && kept.overflowed > 0);
    assert!(kept.offered.len() <= 12 + 3);
    assert!(kept.offered.keys().any(|stratum| stratum.path.is_none()));
    let errors: f64 = kept.traces.iter().filter(|t| t.trace.0 % 200 == 0).map(|t| t.weight).sum();
    assert!((errors - 10.0).abs() < 1e-9, "{errors}");
}

#[test]
fn bad_offers_have_a_defined_result() {
    let mut sampler = TailSampler::new(small(1), &TraceSummary::new());
    assert!(!sampler.offer(&[], 0));
    assert!(sampler.is_empty());
    let mut spans = trace(1, &[(0, 5, false), (1, u16::MAX, true)]);
    spans.extend(trace(2, &[]));
    assert!(sampler.offer(&spans, 1));
    assert!(sampler.offer(&spans, 2));
    let circle: Vec<Span> =
        trace(3, &[(0, 5, true)]).into_iter().map(|span| span.clone().with_parent(span.span_id)).collect();
    assert!(sampler.offer(&circle, 3));
    let kept = sampler.finish();
    assert_eq!((kept.repeated, kept.foreign_spans, kept.quality.cycles), (1, 1, 2));
    assert_eq!(kept.traces.iter().map(|trace| trace.payload).collect::<Vec<_>>(), [1, 3]);
    assert!(kept.traces.iter().all(|t| t.strata.iter().any(|stratum| stratum.kind == StratumKind::Error)));
}

#[test]
fn only_samplers_of_one_configuration_merge() {
    let mut sampler = sample(small(1), &mixed());
    let before = sampler.len();
    assert_eq!(sampler.merge(sample(small(2), &mixed())), Err(SamplerMismatch));
    assert_eq!(sampler.merge(TailSampler::new(small(1), &TraceSummary::new())), Err(SamplerMismatch));
    assert_eq!(sampler.len(), before);
    let too_few = SamplerOptions { max_traces: 10, max_strata: 10, ..SamplerOptions::default() };
    assert_eq!(SamplerConfig::try_from(too_few).unwrap_err().field(), "max_traces");
}
