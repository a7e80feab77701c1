//! What a comparison of trace summaries finds, and what it leaves alone.

use aiops_compact::traces::{
    ChangeKind, CompareConfig, CompareOptions, Direction, TraceCompactor, TraceConfig, TraceFindings,
    TraceSummary, compare,
};

use crate::trace_oracle::{Plain, columns};

/// How a world of four services behaves: s0 calls s1 through a client span, s1 calls s2 (some times) and s3.
#[derive(Clone, Copy)]
struct World {
    traces: u64,
    /// Self time of s2, ms.
    work: u64,
    /// Way between s0 and s1, ms.
    way: u64,
    /// Calls of s2 per trace.
    calls: u64,
    /// Whether s3 is called.
    third: bool,
    /// s2 fails in every n-th trace; s1 and s0 then do.
    fails: u64,
    seed: u64,
}

const WELL: World = World { traces: 200, work: 10, way: 2, calls: 3, third: true, fails: u64::MAX, seed: 1 };

fn summary(world: World) -> TraceSummary {
    let mut rng = fastrand::Rng::with_seed(world.seed);
    let mut spans = Vec::new();
    for trace in 0..world.traces {
        let ms = 1_000_000;
        let mut vary = |mean: u64| mean * ms * rng.u64(80..120) / 100;
        let work: Vec<u64> = (0..world.calls).map(|_| vary(world.work)).collect();
        let own = vary(5);
        let inner = work.iter().sum::<u64>() + own + 2 * ms;
        let way = vary(world.way);
        let error = (trace + 1) % world.fails == 0;
        let start = trace as i64 * 1_000_000_000;
        let span = |span, parent, start, duration, service| Plain {
            trace: trace.into(),
            start,
            span,
            parent,
            duration,
            service,
            operation: 0,
            error,
        };
        spans.push(span(1, 0, start, inner + way + 3 * ms, 0));
        spans.push(Plain { operation: 1, ..span(2, 1, start + ms as i64, inner + way, 0) });
        let entry = start + (ms + way / 2) as i64;
        spans.push(span(3, 2, entry, inner, 1));
        let mut at = entry;
        for (n, duration) in work.iter().enumerate() {
            spans.push(span(10 + n as u64, 3, at, *duration, 2));
            at += *duration as i64;
        }
        if world.third {
            spans.push(Plain { error: false, ..span(4, 3, at, 2 * ms, 3) });
        }
    }
    TraceCompactor::summarize(TraceConfig::default(), &columns(&spans))
}

fn changes(now: World) -> TraceFindings {
    compare(&summary(WELL), &summary(World { seed: 2, ..now }), &CompareConfig::default())
}

fn kinds(findings: &TraceFindings) -> Vec<(ChangeKind, String)> {
    findings.findings.iter().map(|f| (f.kind, f.call.to_string())).collect()
}

#[test]
fn nothing_changed_is_nothing_found() {
    for traces in [1, 3, 10, 50, 200, 2000] {
        for seed in 2..12 {
            // Minutes are full but for the last, so the rate is that of the baseline.
            let found =
                compare(&summary(WELL), &summary(World { traces, seed, ..WELL }), &CompareConfig::default());
            let found: Vec<_> = found.findings.iter().filter(|f| f.kind != ChangeKind::Rate).collect();
            assert!(found.is_empty(), "{traces} traces: {found:?}");
        }
    }
}

#[test]
fn self_time_is_told_from_child_time() {
    let found = changes(World { work: 30, ..WELL });
    assert_eq!(found.services[0].service.as_ref(), "s2");
    assert_eq!(found.services.len(), 1, "callers only wait: {:?}", found.services);
    assert_eq!(found.findings[found.services[0].evidence[0].0].kind, ChangeKind::SelfTime);
    assert!(kinds(&found).contains(&(ChangeKind::ChildTime, "s0 > s1: o0".into())));
    let slow = &found.findings[found.services[0].evidence[0].0];
    assert!(slow.direction == Direction::Up && (slow.current / slow.baseline - 3.0).abs() < 0.3, "{slow}");
}

#[test]
fn a_slow_way_is_a_gap_between_two() {
    let found = changes(World { way: 20, ..WELL });
    assert_eq!(kinds(&found)[0], (ChangeKind::Gap, "s0 > s1: o0".into()));
    let suspects: Vec<&str> = found.services.iter().map(|s| s.service.as_ref()).collect();
    assert_eq!(suspects, ["s0", "s1"]);
}

#[test]
fn errors_are_laid_where_they_begin() {
    let found = changes(World { fails: 4, ..WELL });
    assert_eq!(found.services[0].service.as_ref(), "s2");
    assert_eq!(found.services.len(), 1);
    assert!(!kinds(&found).contains(&(ChangeKind::PassedErrors, "s1 > s2: o0".into())));
    assert!(kinds(&found).contains(&(ChangeKind::PassedErrors, "s0 > s1: o0".into())));
}

#[test]
fn missing_and_new_calls_and_fan_out() {
    let gone = changes(World { third: false, ..WELL });
    assert_eq!(kinds(&gone)[0], (ChangeKind::MissingCall, "s1 > s3: o0".into()));
    assert_eq!(gone.services[0].service.as_ref(), "s1");
    let back = compare(&summary(World { third: false, ..WELL }), &summary(WELL), &CompareConfig::default());
    assert_eq!(kinds(&back)[0], (ChangeKind::NewCall, "s1 > s3: o0".into()));
    let more = changes(World { calls: 9, ..WELL });
    let fan_out = more.findings.iter().find(|f| f.kind == ChangeKind::FanOut).unwrap();
    assert_eq!(fan_out.call.to_string(), "s1 > s2: o0");
    assert_eq!((fan_out.baseline, fan_out.current), (3.0, 9.0));
}

#[test]
fn a_rate_is_no_fault_of_the_service() {
    // One trace each second in the baseline; now only ten minutes with three each.
    let half = changes(World { traces: 3, ..WELL });
    assert!(half.findings.iter().all(|f| f.kind == ChangeKind::Rate && f.direction == Direction::Down));
    assert!(half.services.is_empty());
}

#[test]
fn one_slow_call_is_no_finding_and_a_few_are() {
    for (traces, found) in [(1, false), (2, false), (4, true)] {
        let now = World { traces, work: 30, calls: 1, ..WELL };
        let before = summary(World { calls: 1, ..WELL });
        let findings = compare(&before, &summary(World { seed: 3, ..now }), &CompareConfig::default());
        assert_eq!(findings.services.iter().any(|s| &*s.service == "s2"), found, "{traces} calls");
    }
}

#[test]
fn thresholds_are_checked() {
    for (options, field) in [
        (CompareOptions { quantile: f64::NAN, ..Default::default() }, "quantile"),
        (CompareOptions { min_baseline: 0, ..Default::default() }, "min_baseline"),
        (CompareOptions { full_sigma: 1.0, ..Default::default() }, "full_sigma"),
        (CompareOptions { gap_weight: -0.1, ..Default::default() }, "gap_weight"),
    ] {
        assert_eq!(CompareConfig::try_from(options).unwrap_err().field(), field);
    }
}
