//! Spans, lines and metrics as evidence of the root cause.

use std::time::Duration;

use aiops_core::action::{IncidentId, Mode};
use aiops_core::model::{
    Anomaly, Baseline, Change, ChangeKind, DetectorId, Diagnosis, EntityId, EvidenceKind, FaultType,
    FetchRequest, FittedHash, Hypothesis, LogRecord, LogSeverity, MetricSeries, Observation, Ranking,
    Revision, SeriesKey, Shape, Signal, SignalSet, SpanId, Suspect, TelemetryWindow, TimeRange, Unit, time,
};
use aiops_core::seam::Localizer;
use aiops_core::{Case, Context};
use aiops_rca::{FusedLocalizer, FusionConfig, MetricRoles, RuleRca, RuleRcaConfig};
use futures_lite::future::block_on;
use proptest::prelude::*;

use crate::fused::{FAULT, Fault, NAMES, NORMAL, at, busy, delayed, noise, service, silent, windows};

/// What users feel at the front, which opens the case.
pub(crate) fn felt(window: &TelemetryWindow) -> Anomaly {
    let key = SeriesKey::new("p95(http_server_request_duration_seconds)");
    let reread = FetchRequest::new(window.range).with_step(Duration::from_secs(60));
    let baseline = Baseline { center: 0.05, scale: 0.005, samples: 60 };
    let (detector, fitted) = (DetectorId("test".into()), FittedHash::of(b"test"));
    let mut anomaly = Anomaly::new(
        detector,
        fitted,
        service("front"),
        key,
        Shape::LevelShiftUp,
        at(FAULT),
        0.4,
        baseline,
        reread,
    );
    anomaly.unit = Unit::new("s");
    anomaly
}

pub(crate) fn whole(fault: &Fault) -> TelemetryWindow {
    let (mut window, mut now) = windows(&NAMES, fault);
    // Ids are unique within one window, and here two become one.
    let other = |id: SpanId| SpanId(id.0 | 1 << 40);
    for span in &mut now.spans {
        (span.span_id, span.parent) = (other(span.span_id), span.parent.map(other));
    }
    for line in &mut now.logs {
        line.span_id = line.span_id.map(other);
    }
    window.merge(now);
    window.observed = SignalSet::all();
    window
}

fn rca() -> RuleRca {
    RuleRca::new(MetricRoles::default(), RuleRcaConfig::default()).unwrap()
}

fn localized(window: TelemetryWindow) -> Case {
    let end = window.range.end();
    let mut case = Case::open(IncidentId::new("inc-1"), end, Mode::Auto);
    let anomaly = felt(&window);
    case.observe(end, window);
    case.detect(end, vec![anomaly]);
    let ctx = Context::system();
    let localizer = FusedLocalizer::default();
    let ranking = block_on(localizer.localize(case.window().unwrap(), case.anomalies(), &ctx)).unwrap();
    case.localize(end, ranking);
    case
}

fn diagnosed(window: TelemetryWindow) -> (Case, Diagnosis) {
    let case = localized(window);
    let diagnosis = rca().analyze(&case).unwrap();
    (case, diagnosis)
}

fn cause(diagnosis: &Diagnosis) -> &Hypothesis {
    diagnosis.cause().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"))
}

/// A program that says what is wrong with it, once a request.
fn says(window: &mut TelemetryWindow, who: &str, text: &str) {
    let spans = window.spans.iter().filter(|s| s.entity == service(who) && s.operation == "serve");
    let lines = spans.filter(|s| s.start >= at(FAULT)).map(|s| {
        let mut line = LogRecord::new(s.start, service(who), text).with_severity(LogSeverity::Error);
        line.span_id = Some(s.span_id);
        line
    });
    let lines: Vec<LogRecord> = lines.collect();
    assert!(!lines.is_empty());
    window.logs.extend(lines);
    window.sort();
}

#[test]
fn each_modality_tells_its_cause_and_is_cited() {
    for (fault, who, kind, cited) in [
        (busy("order"), "order", FaultType::ResourceExhaustion, EvidenceKind::Anomaly),
        (delayed("stock"), "stock", FaultType::Network, EvidenceKind::Trace),
        (silent("cart"), "cart", FaultType::Code, EvidenceKind::Log),
    ] {
        let (case, diagnosis) = diagnosed(whole(&fault));
        let h = cause(&diagnosis);
        assert_eq!((&h.system, h.fault), (&service(who), kind), "{diagnosis:#?}");
        let kinds: Vec<EvidenceKind> = h.citations.iter().map(|id| case.cited(id).unwrap().kind).collect();
        assert!(kinds.contains(&cited), "{who}: {kinds:?}");
        assert_eq!(h.path.first(), Some(&service(who)));
        assert!(
            !h.distinctions.is_empty() && !h.next_checks.is_empty() || kind == FaultType::Network,
            "{h:#?}"
        );
    }
}

/// Where nothing is measured, spans and lines are evidence all the same.
#[test]
fn spans_and_lines_alone_tell_their_causes() {
    for (fault, who, kind) in
        [(delayed("stock"), "stock", FaultType::Network), (silent("cart"), "cart", FaultType::Code)]
    {
        let (_, diagnosis) = diagnosed(without(whole(&fault), Signal::Metrics));
        let h = cause(&diagnosis);
        assert_eq!((&h.system, h.fault), (&service(who), kind), "{diagnosis:#?}");
    }
}

#[test]
fn what_programs_say_decides_the_kind_and_its_neighbour_is_not_said() {
    for (text, fault, mechanism) in [
        ("java.lang.OutOfMemoryError in worker", FaultType::ResourceExhaustion, "memory"),
        ("failed password for invalid user admin", FaultType::Security, "authentication"),
        ("lookup store: no such host", FaultType::Network, "name resolution"),
        ("NVRM Xid (PCI:0000:c1:00): GPU has fallen off the bus", FaultType::Hardware, "gpu"),
        ("certificate has expired or is not yet valid", FaultType::Config, "credentials"),
        ("connection refused by peer", FaultType::Dependency, "failing responses"),
        ("too many requests, queue full", FaultType::Load, "overload"),
        ("order cannot be placed", FaultType::Code, "failing responses"),
    ] {
        let mut window = whole(&Fault::default());
        says(&mut window, "cart", text);
        let (_, diagnosis) = diagnosed(window);
        let h = cause(&diagnosis);
        let told = (&h.system, h.fault, h.mechanism.as_deref());
        assert_eq!(told, (&service("cart"), fault, Some(mechanism)), "{text}: {diagnosis:#?}");
    }
}

#[test]
fn a_line_about_it_makes_a_deployment_fit() {
    let mut window = whole(&silent("cart"));
    let change = Change::new("d1", at(FAULT - 30), ChangeKind::Deployment, service("cart"), "version 7");
    window.changes.push(change.with_revision(Revision::new(Some("v6".into()), "v7").with_commit("c0ffee")));
    let (case, diagnosis) = diagnosed(window);
    let h = cause(&diagnosis);
    assert_eq!(h.change.as_ref().map(|c| c.0.as_str()), Some("d1"), "{diagnosis:#?}");
    assert!(h.statement.contains("c0ffee"));
    let kinds: Vec<EvidenceKind> = h.citations.iter().map(|id| case.cited(id).unwrap().kind).collect();
    assert!(kinds.contains(&EvidenceKind::Change) && kinds.contains(&EvidenceKind::Log), "{kinds:?}");
}

#[test]
fn observations_become_evidence_once() {
    let mut case = localized(whole(&silent("cart")));
    let known = case.evidence().len();
    let ranking = case.ranking().unwrap().clone();
    for suspect in &ranking.suspects {
        for seen in &suspect.observations {
            let id = seen.id.as_ref().unwrap();
            assert_eq!(case.cited(id).unwrap().statement, seen.statement);
            assert!(suspect.evidence.contains(id));
        }
    }
    let at = case.opened_at();
    case.localize(at, ranking);
    assert_eq!(case.evidence().len(), known, "told twice");
    let again = Case::from_json(&case.to_json().unwrap()).unwrap();
    assert_eq!(again, case);
}

#[test]
fn what_was_not_looked_at_is_said_and_is_no_null_finding() {
    let mut window = whole(&busy("order"));
    window.spans.clear();
    window.logs.clear();
    window.observed = SignalSet::from(Signal::Metrics);
    let (_, diagnosis) = diagnosed(window);
    for signal in ["traces were not looked at", "logs were not looked at", "changes were not looked at"] {
        assert!(diagnosis.unseen.iter().any(|u| u.starts_with(signal)), "{signal}: {:?}", diagnosis.unseen);
    }
    assert!(!diagnosis.null_findings.iter().any(|n| n.statement.contains("no deployment")));
}

#[test]
fn words_of_other_localisers_and_what_is_no_evidence_conclude_nothing() {
    let window = whole(&Fault::default());
    let end = window.range.end();
    let mut case = Case::open(IncidentId::new("inc-1"), end, Mode::Auto);
    case.observe(end, window);
    let mut suspect = Suspect::new(service("cart"), 1.0);
    suspect.observations.push(Observation::new(Signal::Traces, "an aspect of its own", 3.0, "something"));
    suspect.observations.push(Observation::new(Signal::Traces, "self_time", f64::NAN, "no number"));
    // Pushed as it is, nothing of it is evidence.
    let ranking = Ranking::new(vec![suspect]);
    for cite in [false, true] {
        let mut case = case.clone();
        if cite {
            case.localize(end, ranking.clone());
        } else {
            case.push(end, aiops_core::CasePart::Localized(ranking.clone()));
        }
        assert!(rca().analyze(&case).unwrap().hypotheses.is_empty());
    }
}

/// A service by its name or itself.
struct Who(EntityId);

impl From<&str> for Who {
    fn from(name: &str) -> Self {
        Self(service(name))
    }
}

impl From<&EntityId> for Who {
    fn from(id: &EntityId) -> Self {
        Self(id.clone())
    }
}

/// Probability of the hypothesis that names system and kind; 0 where there is none.
fn confidence(diagnosis: &Diagnosis, who: impl Into<Who>, kind: FaultType) -> f64 {
    let who = who.into().0;
    let of_it = diagnosis.hypotheses.iter().filter(|h| h.system == who && h.fault == kind);
    of_it.map(|h| h.confidence.probability()).fold(0.0, f64::max)
}

fn without(mut window: TelemetryWindow, signal: Signal) -> TelemetryWindow {
    match signal {
        Signal::Metrics => window.metrics.clear(),
        Signal::Traces => window.spans.clear(),
        _ => window.logs.clear(),
    }
    window.observed = window.observed.iter().filter(|s| *s != signal).collect();
    window
}

fn faults() -> impl Strategy<Value = (Fault, &'static str, FaultType, Signal)> {
    let who = prop::sample::select(NAMES[1..].to_vec());
    (who, 0..3_usize).prop_map(|(who, kind)| match kind {
        0 => (busy(who), who, FaultType::ResourceExhaustion, Signal::Metrics),
        1 => (delayed(who), who, FaultType::Network, Signal::Traces),
        _ => (silent(who), who, FaultType::Code, Signal::Logs),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn without_the_modality_that_shows_it_confidence_falls((fault, who, kind, signal) in faults()) {
        let (_, seen) = diagnosed(whole(&fault));
        let (_, blind) = diagnosed(without(whole(&fault), signal));
        prop_assert!(confidence(&blind, who, kind) < confidence(&seen, who, kind));
        let said = format!("{signal} were not looked at");
        prop_assert!(blind.unseen.iter().any(|u| u.starts_with(&said)), "{:?}", blind.unseen);
    }

    #[test]
    fn the_same_seen_twice_is_no_surer((fault, who, kind, _) in faults()) {
        let mut case = localized(whole(&fault));
        let once = rca().analyze(&case).unwrap();
        let mut ranking = case.ranking().unwrap().clone();
        for suspect in &mut ranking.suspects {
            let again = suspect.observations.clone();
            suspect.observations.extend(again);
        }
        let at = case.opened_at();
        case.localize(at, ranking);
        let twice = rca().analyze(&case).unwrap();
        prop_assert!(confidence(&twice, who, kind) <= confidence(&once, who, kind) + 1e-12);
        prop_assert_eq!(once.hypotheses, twice.hypotheses);
    }

    /// A failure that metrics, spans and lines all show is one failure.
    #[test]
    fn the_same_seen_in_other_signals_is_no_surer(
        (fault, who, kind, _) in faults(),
        text in prop::option::of(prop::sample::select(SAID.to_vec())),
        weaker in 0.1..=1.0_f64,
    ) {
        let mut window = whole(&fault);
        if let Some(text) = text {
            says(&mut window, who, text);
        }
        let mut case = localized(window);
        let once = rca().analyze(&case).unwrap();
        let mut ranking = case.ranking().unwrap().clone();
        let mut added = 0;
        for suspect in &mut ranking.suspects {
            let twins: Vec<Observation> =
                suspect.observations.iter().flat_map(|seen| twins(seen, weaker)).collect();
            added += twins.len();
            suspect.observations.extend(twins);
        }
        prop_assert!(added > 0);
        let at = case.opened_at();
        case.localize(at, ranking);
        let twice = rca().analyze(&case).unwrap();
        prop_assert!(confidence(&once, who, kind) > 0.0 || text.is_some());
        for h in &once.hypotheses {
            let (before, after) = (confidence(&once, &h.system, h.fault), confidence(&twice, &h.system, h.fault));
            prop_assert!(after <= before + 1e-12, "{} {}: {before} to {after}", h.system, h.fault);
        }
    }

    #[test]
    fn a_healthy_service_aside_changes_nothing_above_it((fault, who, ..) in faults(), seed in 0..1000_u64) {
        let window = whole(&fault);
        let mut more = window.clone();
        for (name, level, unit) in [("cpu_pct", 20.0, "%"), ("latency_p95_s", 0.05, "s")] {
            let series = window.metrics.iter().find(|m| *m.entity() == service("front")).unwrap();
            let noisy = (0..series.len()).map(|i| {
                let bursts = if (i as u64 + seed).is_multiple_of(17) { 0.3 } else { 0.0 };
                Some(level * (1.0 + bursts + 0.1 * noise(seed, i as u64)))
            });
            let aside = MetricSeries::new(
                SeriesKey::new(name), service("aside"), series.times().clone(), noisy.collect::<Vec<_>>(),
            );
            more.metrics.push(aside.unwrap().with_kind(series.kind()).with_unit(Unit::new(unit)));
        }
        more.sort();
        let (case, diagnosis) = diagnosed(window);
        let (beside, with) = diagnosed(more);
        let above = |case: &Case| -> Vec<Suspect> {
            let suspects = case.ranking().unwrap().suspects.iter();
            suspects.take_while(|s| s.entity != service("aside")).cloned().collect()
        };
        let (alone, above) = (above(&case), above(&beside));
        prop_assert_eq!(&alone[..above.len()], &above[..]);
        prop_assert!(above.iter().any(|s| s.entity == service(who)), "it stands above the one at fault");
        let (a, b) = (cause(&diagnosis), cause(&with));
        prop_assert_eq!((&a.system, a.fault, &a.mechanism), (&b.system, b.fault, &b.mechanism));
        prop_assert_eq!((&a.citations, &a.explains, &a.path), (&b.citations, &b.explains, &b.path));
        // It takes as much of the suspicion as its noise looks like.
        let (a, b) = (a.confidence.probability(), b.confidence.probability());
        prop_assert!(b <= a + 1e-12 && b > 0.97 * a, "{} to {}", a, b);
    }

    /// What only orders those of whom nothing is known is no evidence.
    #[test]
    fn the_tail_of_the_ranking_makes_nobody_surer((fault, ..) in faults(), tail in 0.0..10.0_f64) {
        let by = |tail: f64| {
            let mut config = FusionConfig::default();
            config.tail = tail;
            let localizer = FusedLocalizer::default().with_config(config).unwrap();
            let window = whole(&fault);
            let ranking = localizer.rank_near(None, &window, at(FAULT), None);
            let mut case = Case::open(IncidentId::new("inc-1"), window.range.end(), Mode::Auto);
            case.observe(window.range.end(), window);
            case.localize(case.opened_at(), ranking.ranking(Some(at(FAULT))));
            rca().analyze(&case).unwrap()
        };
        prop_assert_eq!(by(0.0), by(tail));
    }
}

/// What programs say, of several kinds of fault.
const SAID: [&str; 3] =
    ["java.lang.OutOfMemoryError in worker", "connection reset by peer", "order cannot be placed"];

/// The same symptom as other signals show it, no stronger.
fn twins(seen: &Observation, weaker: f64) -> Vec<Observation> {
    let others: &[(Signal, &str)] = match seen.aspect.as_str() {
        "self_time" | "call_time" => &[(Signal::Metrics, "latency")],
        "errors" => &[(Signal::Traces, "span_errors"), (Signal::Logs, "log_errors")],
        "span_errors" => &[(Signal::Metrics, "errors"), (Signal::Logs, "log_errors")],
        "log_errors" => &[(Signal::Metrics, "errors"), (Signal::Traces, "span_errors")],
        "work_missing" => &[(Signal::Logs, "log_missing")],
        "log_missing" => &[(Signal::Traces, "work_missing")],
        "work_new" => &[(Signal::Logs, "log_new")],
        "log_new" => &[(Signal::Traces, "work_new")],
        "cpu" => &[(Signal::Metrics, "cpu"), (Signal::Metrics, "saturation")],
        "memory" => &[(Signal::Metrics, "memory")],
        _ => &[],
    };
    let twin = |(signal, aspect): &(Signal, &str)| {
        let statement = format!("{}, as {signal} show", seen.statement);
        let twin = Observation::new(*signal, *aspect, weaker * seen.strength, statement);
        seen.since.map_or(twin.clone(), |since| twin.since(since))
    };
    others.iter().map(twin).collect()
}

#[test]
fn a_window_that_begins_with_the_fault_has_nothing_to_compare_with() {
    let (_, now) = windows(&NAMES, &busy("order"));
    let mut window = now;
    window.observed = SignalSet::all();
    let (_, diagnosis) = diagnosed(window);
    assert!(
        diagnosis.unseen.iter().any(|u| u.contains("nothing normal to be compared with")),
        "{diagnosis:#?}"
    );
    let range = TimeRange::new(at(NORMAL), time::after(at(NORMAL), Duration::from_secs(1))).unwrap();
    assert!(diagnosed(TelemetryWindow::new(range)).1.cause().is_none());
}
