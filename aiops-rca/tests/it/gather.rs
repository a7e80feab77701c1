//! Evidence windows and past incidents in a pipeline.

use std::sync::Arc;
use std::time::Duration;

use aiops_core::action::Mode;
use aiops_core::action::Verdict;
use aiops_core::fake::FixedGuard;
use aiops_core::fake::{
    InMemoryJournal, InMemoryMitigator, InMemorySource, ScriptedDetector, ScriptedPlanner, ScriptedVerifier,
};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{
    Change, ChangeKind, EvidenceKind, FetchRequest, Signal, SignalSet, TelemetryWindow, time,
};
use aiops_core::pipeline::{Look, Pipeline, PipelineConfig};
use aiops_core::seam::{Localizer, SourceCapability, TelemetrySource};
use aiops_core::{Case, CaseStatus, Context, Error, ErrorKind, ManualClock, Result};
use aiops_rca::{
    EvidenceWindows, FusedLocalizer, GatheringLocalizer, IncidentMemory, MemoryConfig, MetricRoles,
    RecallingRca, RuleRca, SharedMemory, TopologyLocalizer,
};
use aiops_testkit::conformance::{self, LocalizerFixture, RcaFixture};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::fused::{FAULT, Fault, at, delayed, service};
use crate::observations::{felt, whole};

fn memory() -> SharedMemory {
    SharedMemory::new(IncidentMemory::new(MetricRoles::default(), MemoryConfig::default()).unwrap())
}

/// A pipeline that reads `read` of `source` by itself, and evidence windows of all of it.
fn pipeline(source: &InMemorySource, read: SignalSet, memory: &SharedMemory, onset: i64) -> Pipeline {
    let chain = GuardChain::builder(InMemoryJournal::new())
        .guard(FixedGuard::new("fixed", Verdict::allow("fine")))
        .config(ChainConfig::in_mode(Mode::Suggest))
        .build()
        .unwrap();
    let mut config = PipelineConfig::default();
    config.confirmations = 1;
    let mut symptom = felt(&whole(&Fault::default()));
    symptom.onset = at(onset);
    let gathering =
        GatheringLocalizer::new(FusedLocalizer::default(), source.clone(), EvidenceWindows::default())
            .unwrap();
    Pipeline::builder()
        .source(Only(source.clone(), read))
        .detector(ScriptedDetector::of([vec![symptom]]))
        .localizer(gathering)
        .rca(RecallingRca::new(RuleRca::default(), memory.clone()))
        .planner(ScriptedPlanner::of([Vec::new()]))
        .guards(chain)
        .mitigator(InMemoryMitigator::new())
        .verifier(ScriptedVerifier::of([]))
        .listener(memory.clone())
        .config(config)
        .build()
        .unwrap()
}

/// A source of some signals.
#[derive(Debug)]
struct Only(InMemorySource, SignalSet);

#[async_trait]
impl TelemetrySource for Only {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(self.1.clone())
    }
    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let mut window = self.0.fetch(request, ctx).await?;
        let seen = |signal: Signal| self.1.contains(signal);
        if !seen(Signal::Traces) {
            window.spans.clear();
        }
        if !seen(Signal::Logs) {
            window.logs.clear();
        }
        if !seen(Signal::Changes) {
            window.changes.clear();
        }
        window.observed = window.observed.iter().filter(|s| seen(*s)).collect();
        Ok(window)
    }
}

/// Ten minutes into the fault.
fn context() -> Context {
    Context::new(Arc::new(ManualClock::leaping(at(FAULT + 600))))
}

fn incident(look: Look) -> Case {
    match look {
        Look::Incident(case) => case,
        other => panic!("expected an incident, saw {other:?}"),
    }
}

#[test]
fn a_pipeline_that_reads_metrics_diagnoses_from_the_spans_it_gathers() {
    let mut window = whole(&delayed("stock"));
    let old = Change::new("d9", at(FAULT - 7200), ChangeKind::Deployment, service("stock"), "version 9");
    window.changes.push(old);
    let source = InMemorySource::holding(window);
    let metrics: SignalSet = [Signal::Metrics, Signal::Topology].into_iter().collect();
    let memory = memory();
    let case = incident(block_on(pipeline(&source, metrics, &memory, FAULT).step(&context())).unwrap());

    let cause = case.diagnosis().unwrap().cause().unwrap_or_else(|| panic!("{:#?}", case.diagnosis()));
    assert_eq!(cause.system, service("stock"));
    let kinds: Vec<EvidenceKind> = cause.citations.iter().map(|id| case.cited(id).unwrap().kind).collect();
    assert!(kinds.contains(&EvidenceKind::Trace), "{kinds:?}");
    // A change of hours before is evidence beside the suspect, and blamed for nothing.
    let suspect = case.ranking().unwrap().suspects.iter().find(|s| s.entity == service("stock")).unwrap();
    let cited: Vec<&str> =
        suspect.evidence.iter().filter_map(|id| case.cited(id)).map(|e| e.statement.as_str()).collect();
    assert!(cited.contains(&"d9: version 9"), "{cited:?}");
    assert!(case.changes().is_empty() && cause.change.is_none());

    // It closed, so it is remembered; the same again is alike.
    assert!(matches!(case.status(), Some(CaseStatus::Escalated { .. })));
    assert_eq!(memory.snapshot().len(), 1);
    let said = |case: &Case, what: &str| {
        case.diagnosis().unwrap().null_findings.iter().any(|n| n.statement.contains(what))
    };
    assert!(said(&case, "it is novel"));
    let again = pipeline(&source, SignalSet::all(), &memory, FAULT + 60);
    let again = incident(block_on(again.step(&context())).unwrap());
    assert_ne!(again.id(), case.id());
    let cause = again.diagnosis().unwrap().cause().unwrap();
    let asked = cause.next_checks.iter().any(|c| c.question.contains("whether it is again inc-"));
    assert!(asked, "{:#?}", cause.next_checks);
    assert!(said(&again, "it is novel"), "nobody healed it then");
    assert_eq!(memory.snapshot().len(), 2);
}

#[test]
fn what_cannot_be_gathered_is_unseen_and_the_rest_is_ranked() {
    let source = InMemorySource::holding(whole(&delayed("stock")));
    source.set_outage(Some("no answer".to_owned()));
    let inner = TopologyLocalizer::default();
    let case = sample::case();
    let alone = inner.rank(case.window().unwrap(), case.anomalies());
    let gathering = GatheringLocalizer::new(inner, source, EvidenceWindows::default()).unwrap();
    let ctx = sample::context();
    let ranking = block_on(gathering.localize(case.window().unwrap(), case.anomalies(), &ctx)).unwrap();
    assert_eq!(ranking.suspects, alone.suspects);
    assert_eq!(ranking.localizer, alone.localizer);
    let unread: Vec<&String> = ranking.unseen.iter().filter(|u| u.contains("no answer")).collect();
    assert_eq!(unread.len(), 4, "{:?}", ranking.unseen);

    let mut windows = EvidenceWindows::default();
    windows.step = Duration::ZERO;
    let refused = GatheringLocalizer::new(TopologyLocalizer::default(), InMemorySource::new(), windows);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

/// Notes about whom it was asked.
#[derive(Debug, Default)]
struct Asked(std::sync::Mutex<Vec<FetchRequest>>);

#[async_trait]
impl TelemetrySource for Asked {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(SignalSet::all())
    }
    async fn fetch(&self, request: &FetchRequest, _: &Context) -> Result<TelemetryWindow> {
        self.0.lock().unwrap().push(request.clone());
        Err(Error::new(ErrorKind::Unavailable, "noted"))
    }
}

#[test]
fn upstream_and_downstream_are_asked_about_and_nobody_else() {
    let asked = Arc::new(Asked::default());
    let mut window = whole(&Fault::default());
    window.topology.connect(service("elsewhere"), service("far"), aiops_core::model::EdgeKind::Calls);
    let mut case = Case::open(aiops_core::action::IncidentId::new("i"), at(FAULT), Mode::Observe);
    let mut order = felt(&window);
    order.entity = service("order");
    case.detect(at(FAULT), vec![order]);
    let gathering =
        GatheringLocalizer::new(FusedLocalizer::default(), Arc::clone(&asked), EvidenceWindows::default())
            .unwrap();
    block_on(gathering.localize(&window, case.anomalies(), &sample::context())).unwrap();
    let requests = asked.0.lock().unwrap().clone();
    assert_eq!(requests.len(), 4);
    for who in ["front", "cart", "order", "stock", "store"] {
        assert!(requests.iter().all(|r| r.selector.selects_entity(&service(who))), "{who}");
    }
    for who in ["elsewhere", "far"] {
        assert!(!requests.iter().any(|r| r.selector.selects_entity(&service(who))), "{who}");
    }
    // Nothing deviates, nothing is read.
    let ranking = block_on(gathering.localize(&window, &[], &sample::context())).unwrap();
    assert!(ranking.suspects.is_empty() && asked.0.lock().unwrap().len() == 4);
    assert!(requests.iter().any(|r| r.range.start() == time::before(at(FAULT), Duration::from_secs(1800))));
}

#[test]
fn they_keep_the_contracts_of_their_seams() {
    let source = InMemorySource::holding(sample::window());
    let gathering =
        GatheringLocalizer::new(TopologyLocalizer::default(), source, EvidenceWindows::default()).unwrap();
    let fixture =
        LocalizerFixture::new(sample::context(), sample::window(), sample::case().anomalies().to_vec());
    block_on(conformance::localizer(&gathering, &fixture)).assert_counts(10, 0);

    let mut case = sample::case();
    let ranking = TopologyLocalizer::default().rank(case.window().unwrap(), case.anomalies());
    case.localize(sample::now(), ranking);
    let mut fixture = RcaFixture::new(sample::context(), case);
    fixture.dark = Some(sample::dark_case());
    let rca = RecallingRca::new(RuleRca::default(), memory());
    block_on(conformance::rca(&rca, &fixture)).assert_counts(13, 0);
}
