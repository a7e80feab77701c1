//! The suites on everything in memory: fakes, composite, pointers and layers, with literal counts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiops_core::CompositeSource;
use aiops_core::fake::*;
use aiops_core::layer::{Chaos, ChaosConfig, LayerExt, RateLimit, Retry, Timeout, Trace};
use aiops_core::model::{Signal, SignalSet, TelemetryWindow};
use aiops_core::seam::*;
use aiops_testkit::{conformance, sample};
use futures_lite::future::block_on;

use crate::fixtures as fx;
use crate::reference::{BlameTheChange, Lines, Loudest, Optimist, Partial, RestartOrScale, Threshold};

fn timeout() -> Timeout {
    Timeout::after(Duration::from_secs(5)).unwrap()
}

fn rate_limit() -> RateLimit {
    RateLimit::new(Duration::from_millis(1), 4).unwrap()
}

fn calm() -> Chaos {
    Chaos::new(ChaosConfig::calm(7).unwrap())
}

/// Runs a suite on a seam, behind both pointers and behind every layer that fits, and asserts the same counts everywhere.
macro_rules! everywhere {
    (repeatable $seam:ident, $make:expr, $judge:expr, $passed:literal, $skipped:literal) => {
        everywhere!(once $seam, $make, $judge, $passed, $skipped);
        $judge(&$make.layer(Retry::default())).assert_counts($passed, $skipped);
    };
    (once $seam:ident, $make:expr, $judge:expr, $passed:literal, $skipped:literal) => {
        $judge(&$make).assert_counts($passed, $skipped);
        let shared: Arc<dyn $seam> = Arc::new($make);
        $judge(&shared).assert_counts($passed, $skipped);
        let boxed: Box<dyn $seam> = Box::new($make);
        $judge(&boxed).assert_counts($passed, $skipped);
        $judge(&$make.layer(timeout())).assert_counts($passed, $skipped);
        $judge(&$make.layer(rate_limit())).assert_counts($passed, $skipped);
        $judge(&$make.layer(calm())).assert_counts($passed, $skipped);
        $judge(&$make.layer(Trace)).assert_counts($passed, $skipped);
    };
}

#[test]
fn source() {
    let judge = |s: &dyn TelemetrySource| block_on(conformance::source(s, &fx::source()));
    let memory = || InMemorySource::holding(sample::window());
    everywhere!(repeatable TelemetrySource, memory(), judge, 18, 1);
    judge(&memory().masked(FixedMask("alice".to_owned()))).assert_counts(18, 1);
    judge(&Partial(memory(), Signal::Metrics.into())).assert_counts(18, 1);
}

#[test]
fn composite_source() {
    let judge = |s: &dyn TelemetrySource| block_on(conformance::source(s, &fx::source()));
    let memory = || InMemorySource::holding(sample::window());
    let some = |signals: &[Signal]| Partial(memory(), signals.iter().copied().collect::<SignalSet>());
    let composite = || {
        CompositeSource::new()
            .with(some(&[Signal::Metrics, Signal::Topology]))
            .with(some(&[Signal::Logs, Signal::Traces, Signal::Alerts]))
            .with_changes(fx::changes(), Duration::from_secs(4 * 3600))
    };
    everywhere!(repeatable TelemetrySource, composite(), judge, 18, 1);
    // One whose parts share a signal: the bounds hold for the whole, not for each part.
    let halves = CompositeSource::new().with(half(0)).with(half(1));
    judge(&halves).assert_counts(18, 1);
}

/// A source with every second series; the first has everything else as well.
fn half(of: usize) -> InMemorySource {
    let mut window = match of {
        0 => sample::window(),
        _ => TelemetryWindow::new(sample::range()),
    };
    let series = sample::window().metrics.into_iter().enumerate();
    window.metrics = series.filter(|(i, _)| i % 2 == of).map(|(_, m)| m).collect();
    InMemorySource::holding(window)
}

#[test]
fn detector() {
    let scripted = || ScriptedDetector::of([sample::anomalies()]);
    let judge = |d: &dyn Detector| block_on(conformance::detector(d, &fx::scripted_detector()));
    everywhere!(repeatable Detector, scripted(), judge, 9, 2);
    block_on(conformance::detector(&Threshold, &fx::detector())).assert_counts(11, 0);
}

#[test]
fn localizer() {
    let scripted = || ScriptedLocalizer::of([sample::ranking(&sample::case())]);
    let mut blindfolded = fx::localizer();
    blindfolded.scripted = true;
    let judge = |l: &dyn Localizer| block_on(conformance::localizer(l, &blindfolded));
    everywhere!(repeatable Localizer, scripted(), judge, 8, 2);
    block_on(conformance::localizer(&Loudest, &fx::localizer())).assert_counts(10, 0);
}

#[test]
fn rca() {
    let scripted = || ScriptedRca::of([sample::diagnosis(&sample::case()).unwrap()]);
    let mut lit = fx::rca();
    lit.dark = None;
    let judge = |r: &dyn Rca| block_on(conformance::rca(r, &lit));
    everywhere!(repeatable Rca, scripted(), judge, 12, 1);
    block_on(conformance::rca(&BlameTheChange, &fx::rca())).assert_counts(13, 0);
}

#[test]
fn planner() {
    let one = sample::proposal("p1", sample::action().unwrap()).unwrap();
    let scripted = || ScriptedPlanner::of([vec![one.clone()]]);
    let mut fixture = fx::planner();
    (fixture.tried, fixture.undiagnosed) = (None, None);
    let judge = |p: &dyn Planner| block_on(conformance::planner(p, &fixture));
    everywhere!(repeatable Planner, scripted(), judge, 7, 2);
    block_on(conformance::planner(&RestartOrScale, &fx::planner())).assert_counts(9, 0);
}

#[test]
fn guardrail() {
    use aiops_core::action::Verdict;
    let judge = |g: &dyn Guardrail| block_on(conformance::guardrail(g, &fx::guardrail()));
    let deny = || FixedGuard::new("fixed", Verdict::deny("always"));
    everywhere!(repeatable Guardrail, deny(), judge, 4, 0);
    judge(&FixedGuard::new("fixed", Verdict::needs_approval("always"))).assert_counts(4, 0);
    #[allow(clippy::disallowed_types, reason = "the suite runs on it too")]
    judge(&aiops_core::danger::AllowAll).assert_counts(4, 0);
}

fn judge_mitigator(m: &dyn Mitigator, inner: &InMemoryMitigator) -> conformance::Report {
    let effects = || inner.executed().len() as u64;
    let lose = || inner.set_mishap(Some(Mishap::LostReply));
    let fail = || inner.set_mishap(Some(Mishap::Failure));
    let chain = |journal| sample::chain(journal);
    let mut fixture =
        conformance::MitigatorFixture::new(fx::ctx(), sample::action().unwrap(), &effects, &chain);
    fixture.lose_reply = Some(&lose);
    fixture.fail = Some(&fail);
    block_on(conformance::mitigator(m, &fixture))
}

#[test]
fn mitigator() {
    // Every run gets a mitigator that has seen no fence, and the suite counts the effects of that one.
    let current = Mutex::new(InMemoryMitigator::new());
    let fresh = || {
        let mitigator = sample::workloads([sample::store()]);
        *current.lock().unwrap() = mitigator.clone();
        mitigator
    };
    let judge = |m: &dyn Mitigator| judge_mitigator(m, &current.lock().unwrap());
    everywhere!(once Mitigator, fresh(), judge, 17, 0);
    let inner = fresh();
    let effects = || inner.executed().len() as u64;
    let chain = |journal| sample::chain(journal);
    let calm = conformance::MitigatorFixture::new(fx::ctx(), sample::action().unwrap(), &effects, &chain);
    block_on(conformance::mitigator(&inner, &calm)).assert_counts(15, 2);
}

#[test]
fn verifier() {
    let judge_by = |v: &dyn Verifier, fixture: &_| block_on(conformance::verifier(v, fixture));
    let report =
        block_on(Optimist.verify(&sample::receipt().unwrap(), &sample::anomalies(), &fx::ctx())).unwrap();
    let mut blindfolded = fx::verifier();
    blindfolded.scripted = true;
    let judge = |v: &dyn Verifier| judge_by(v, &blindfolded);
    everywhere!(repeatable Verifier, ScriptedVerifier::of([report.clone()]), judge, 6, 1);
    judge_by(&Optimist, &fx::verifier()).assert_counts(7, 0);
}

#[test]
fn compactor() {
    let briefing = block_on(Lines.compact(&sample::window(), Default::default(), &fx::ctx())).unwrap();
    let mut loose = fx::compactor();
    loose.tight = None;
    let judge = |c: &dyn Compactor| block_on(conformance::compactor(c, &loose));
    everywhere!(repeatable Compactor, ScriptedCompactor::of([briefing.clone()]), judge, 7, 3);
    block_on(conformance::compactor(&Lines, &fx::compactor())).assert_counts(10, 0);
}

#[test]
fn journal() {
    let judge =
        |j: &dyn Journal| block_on(conformance::journal(j, &conformance::JournalFixture::new(fx::ctx())));
    everywhere!(once Journal, InMemoryJournal::new(), judge, 14, 1);
}

#[test]
fn approver() {
    let judge = |a: &dyn Approver| block_on(conformance::approver(a, &fx::approver()));
    let yes = || ScriptedApprover::of(aiops_core::action::Principal::new("ann"), [true]);
    everywhere!(once Approver, yes(), judge, 5, 0);
}

#[test]
fn notifier() {
    let inbox = RecordingNotifier::default();
    let arrived = || inbox.sent();
    let judge = |n: &dyn Notifier| {
        block_on(conformance::notifier(n, &conformance::NotifierFixture::new(fx::ctx(), &arrived)))
    };
    everywhere!(repeatable Notifier, inbox.clone(), judge, 5, 0);
    judge(&inbox.clone().masked(FixedMask("alice".to_owned()))).assert_counts(5, 0);
}

#[test]
fn audit() {
    let kept = RecordingAudit::default();
    let log = || kept.events();
    let judge =
        |a: &dyn AuditSink| block_on(conformance::audit(a, &conformance::AuditFixture::new(fx::ctx(), &log)));
    everywhere!(once AuditSink, kept.clone(), judge, 5, 0);
}

#[test]
fn change_feed() {
    let judge = |c: &dyn ChangeFeed| block_on(conformance::change_feed(c, &fx::change_feed()));
    everywhere!(repeatable ChangeFeed, fx::changes(), judge, 8, 0);
    judge(&fx::changes().masked(FixedMask("alice".to_owned()))).assert_counts(8, 0);
}

#[test]
fn knowledge() {
    let judge = |k: &dyn KnowledgeBase| block_on(conformance::knowledge(k, &fx::knowledge()));
    everywhere!(repeatable KnowledgeBase, fx::passages(), judge, 9, 0);
}

#[test]
fn language_model() {
    let judge = |m: &dyn LanguageModel| block_on(conformance::language_model(m, &fx::language_model()));
    let scripted = || ScriptedLanguageModel::of([Completion::new("It rose.", 12)]);
    everywhere!(repeatable LanguageModel, scripted(), judge, 5, 0);
    judge(&scripted().masked(FixedMask("alice".to_owned()))).assert_counts(5, 0);
}

#[test]
fn bus() {
    let judge = |b: &dyn EventBus| block_on(conformance::bus(b, &fx::bus()));
    everywhere!(once EventBus, InMemoryBus::with_capacity(16), judge, 11, 0);
    block_on(conformance::bus(&InMemoryBus::with_capacity(64), &conformance::BusFixture::new(fx::ctx())))
        .assert_counts(10, 1);
}

#[test]
fn mask() {
    let judge = |m: &dyn Mask| block_on(conformance::mask(m, &fx::mask()));
    let secret = || FixedMask("alice@example.com".to_owned());
    judge(&secret()).assert_counts(5, 0);
    judge(&Arc::new(secret())).assert_counts(5, 0);
    let boxed: Box<dyn Mask> = Box::new(secret());
    judge(&boxed).assert_counts(5, 0);
}
