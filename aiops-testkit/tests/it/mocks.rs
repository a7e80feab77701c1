//! Every mock answers through its seam, as a trait object, and notices a call that was not expected.

use std::sync::Arc;

use aiops_core::action::*;
use aiops_core::model::*;
use aiops_core::seam::*;
use aiops_core::{Error, ErrorKind};
use aiops_testkit::{mock::*, sample};
use futures_lite::future::block_on;
use mockall::Sequence as InOrder;

#[test]
fn readers() {
    let ctx = sample::context();
    let mut source = MockTelemetrySource::new();
    source.expect_capability().return_const(SourceCapability::of(Signal::Logs));
    source.expect_fetch().times(1).returning(|r, _| Ok(TelemetryWindow::new(r.range)));
    let source: &dyn TelemetrySource = &source;
    assert_eq!(source.capability(), SourceCapability::of(Signal::Logs));
    assert!(block_on(source.fetch(&FetchRequest::new(sample::range()), &ctx)).is_ok());

    let mut feed = MockChangeFeed::new();
    feed.expect_changes().returning(|_, _| Ok(sample::window().changes));
    assert_eq!(block_on(feed.changes(sample::range(), &ctx)).unwrap().len(), 2);

    let mut base = MockKnowledgeBase::new();
    base.expect_search()
        .withf(|query, top, _| query == "pool" && *top == 3)
        .returning(|_, _, _| Ok(Vec::new()));
    assert!(block_on(base.search("pool", 3, &ctx)).unwrap().is_empty());
}

#[test]
fn thinkers() {
    let (ctx, case, window) = (sample::context(), sample::case(), sample::window());
    let mut detector = MockDetector::new();
    detector.expect_id().return_const(DetectorId("mock".to_owned()));
    detector.expect_fitted().return_const(FittedHash::of(b"mock"));
    detector.expect_detect().returning(|_, _| Ok(sample::anomalies()));
    assert_eq!((detector.id().0.as_str(), detector.fitted()), ("mock", FittedHash::of(b"mock")));
    assert_eq!(block_on(detector.detect(&window, &ctx)).unwrap(), sample::anomalies());

    let mut localizer = MockLocalizer::new();
    localizer.expect_localize().returning(|_, _, _| Ok(Ranking::default()));
    assert!(block_on(localizer.localize(&window, &[], &ctx)).unwrap().suspects.is_empty());

    let mut rca = MockRca::new();
    rca.expect_diagnose().returning(|case, _| sample::diagnosis(case));
    assert!(block_on(rca.diagnose(&case, &ctx)).unwrap().cause().is_some());

    let mut planner = MockPlanner::new();
    planner.expect_plan().returning(|_, _| Ok(Vec::new()));
    assert!(block_on(planner.plan(&case, &ctx)).unwrap().is_empty());

    let mut verifier = MockVerifier::new();
    verifier.expect_verify().returning(|_, _, ctx| Ok(RecoveryReport::from_checks(ctx.now(), Vec::new())));
    let report = block_on(verifier.verify(&sample::receipt().unwrap(), &[], &ctx)).unwrap();
    assert_eq!(report.recovery, Recovery::Inconclusive);

    let mut compactor = MockCompactor::new();
    compactor.expect_compact().returning(|window, _, _| Ok(Briefing::new(window.range)));
    assert!(block_on(compactor.compact(&window, TokenBudget::default(), &ctx)).unwrap().lines.is_empty());

    let mut model = MockLanguageModel::new();
    model.expect_complete().returning(|prompt, _| Ok(Completion::new(prompt.data.clone(), 3)));
    assert_eq!(block_on(model.complete(&Prompt::new("", "echo", 9), &ctx)).unwrap().text, "echo");

    let mut mask = MockMask::new();
    mask.expect_masked().returning(|text| text.to_uppercase());
    assert_eq!(mask.mask("a"), "A");
}

#[test]
fn actors() {
    let ctx = sample::context();
    let mut guard = MockGuardrail::new();
    guard.expect_name().return_const(GuardId("mock".to_owned()));
    // Heard twice, before and after the (absent) approval.
    guard.expect_judge().times(2).returning(|_, _| Ok(Verdict::allow("mocked")));
    let mut mitigator = MockMitigator::new();
    mitigator.expect_capability().return_const(MitigatorCapability::of([ActionKind::RollingRestart]));
    let mut order = InOrder::new();
    mitigator.expect_preview().times(2).in_sequence(&mut order).returning(|_, _| Ok(sample::preview()));
    mitigator.expect_execute().times(1).in_sequence(&mut order).returning(|intended, ctx| {
        let (_, spent) = intended.spend(ctx)?;
        Ok(aiops_core::guard::Receipt::new(spent, ActionOutcome::Completed, "mocked"))
    });
    mitigator.expect_status().times(1).in_sequence(&mut order).returning(|_, _| Ok(ActionStatus::Completed));

    let mut journal = MockJournal::new();
    journal.expect_history().returning(|_| Ok(Arc::new(History::new())));
    journal.expect_append().times(1).returning(|entry, expected, _| {
        assert!(matches!(entry, JournalEntry::Intent(_)) && expected == Some(Sequence(0)));
        Ok(Sequence(1))
    });

    let chain = aiops_core::guard::GuardChain::builder(journal)
        .guard(guard)
        .config(aiops_core::guard::ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap();
    let proposal = sample::proposal("p1", sample::action().unwrap()).unwrap();
    let record = block_on(async {
        let intended = chain.authorize(proposal, &mitigator, &ctx).await?.record(&ctx).await?;
        mitigator.execute(intended, &ctx).await.map(aiops_core::guard::Receipt::into_record)
    });
    let record = record.unwrap();
    assert_eq!(block_on(mitigator.status(&record.key, &ctx)).unwrap(), ActionStatus::Completed);

    let mut approver = MockApprover::new();
    approver.expect_decide().returning(|_, _| Err(Error::new(ErrorKind::Unavailable, "nobody there")));
    let request = sample::approval_request().unwrap();
    assert_eq!(block_on(approver.decide(&request, &ctx)).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn tellers() {
    let ctx = sample::context();
    let incident = IncidentId::new("incident-1");
    let mut notifier = MockNotifier::new();
    notifier
        .expect_notify()
        .withf(|n, _| n.kind == NotificationKind::Closed)
        .times(1)
        .returning(|_, _| Ok(()));
    let note = Notification::new(incident.clone(), NotificationKind::Closed, "over", "");
    block_on(notifier.notify(&note, &ctx)).unwrap();

    let mut audit = MockAuditSink::new();
    audit.expect_append().times(1).returning(|_, _| Ok(()));
    let event = AuditEvent::new(ctx.now(), Some(incident), "acted", serde_json::Value::Null);
    block_on(audit.append(&event, &ctx)).unwrap();

    let mut bus = MockEventBus::new();
    bus.expect_publish().returning(|_, _, _| Ok(Offset(7)));
    bus.expect_read().returning(|_, _, _, _| Ok(Vec::new()));
    let (topic, event) = (Topic("t".to_owned()), Event::new(ctx.now(), "k", serde_json::Value::Null));
    assert_eq!(block_on(bus.publish(&topic, &event, &ctx)).unwrap(), Offset(7));
    assert!(block_on(bus.read(&topic, Offset(0), 1, &ctx)).unwrap().is_empty());
}

#[test]
#[should_panic(expected = "No matching expectation found")]
fn unexpected_calls_are_noticed() {
    let feed = MockChangeFeed::new();
    let _ = block_on(feed.changes(sample::range(), &sample::context()));
}
