//! What the suites are fed with.

use std::time::Duration;

use aiops_core::fake::{InMemoryKnowledge, InMemorySource, StaticChangeFeed};
use aiops_core::model::{Change, ChangeKind, Recovery, TelemetryWindow, TimeRange, TokenBudget};
use aiops_core::seam::{Passage, Prompt, TelemetrySource};
use aiops_core::{CitedAnomaly, Context};
use aiops_testkit::conformance::*;
use aiops_testkit::sample;
use futures_lite::future::block_on;

pub fn source() -> SourceFixture {
    SourceFixture::new(sample::context(), sample::range(), sample::quiet_range())
}

fn cut(range: TimeRange) -> TelemetryWindow {
    let request = aiops_core::model::FetchRequest::new(range);
    let source = InMemorySource::holding(sample::window());
    block_on(source.fetch(&request, &sample::context())).unwrap()
}

pub fn detector() -> DetectorFixture {
    let (range, step) = (sample::range(), Duration::from_secs(15));
    let until = |steps| TimeRange::new(range.start(), range.start() + steps * step).unwrap();
    let mut fx = DetectorFixture::new(sample::context(), sample::window());
    fx.normal = Some(cut(until(20)));
    fx.thin = Some(cut(until(2)));
    fx
}

pub fn scripted_detector() -> DetectorFixture {
    DetectorFixture::new(sample::context(), sample::window())
}

pub fn localizer() -> LocalizerFixture {
    let anomalies: Vec<CitedAnomaly> = sample::case().anomalies().to_vec();
    LocalizerFixture::new(sample::context(), sample::window(), anomalies)
}

pub fn rca() -> RcaFixture {
    let mut fx = RcaFixture::new(sample::context(), sample::case());
    fx.dark = Some(sample::dark_case());
    fx
}

pub fn planner() -> PlannerFixture {
    let mut fx = PlannerFixture::new(sample::context(), sample::diagnosed_case().unwrap());
    fx.tried = Some(sample::tried_case().unwrap());
    fx.undiagnosed = Some(sample::case());
    fx
}

pub fn verifier() -> VerifierFixture {
    let receipt = sample::receipt().unwrap();
    VerifierFixture::new(sample::context(), receipt, sample::anomalies(), Recovery::Recovered)
}

pub fn compactor() -> CompactorFixture {
    let mut fx = CompactorFixture::new(sample::context(), sample::window());
    fx.tight = Some(TokenBudget(35));
    fx
}

pub fn guardrail() -> GuardrailFixture {
    let proposal = sample::proposal("p1", sample::action().unwrap()).unwrap();
    GuardrailFixture::new(sample::context(), proposal, sample::preview())
}

pub fn approver() -> ApproverFixture {
    ApproverFixture::new(sample::context(), sample::approval_request().unwrap(), true)
}

pub fn changes() -> StaticChangeFeed {
    let window = sample::window();
    let stray = Change::new("c0", sample::now(), ChangeKind::Patch, sample::store(), "after the range");
    StaticChangeFeed(window.changes.into_iter().rev().chain([stray]).collect())
}

pub fn change_feed() -> ChangeFeedFixture {
    ChangeFeedFixture::new(sample::context(), sample::range(), sample::quiet_range())
}

pub fn passages() -> InMemoryKnowledge {
    let passage = |source: &str, text: &str| Passage::new(source, sample::now(), 0.0, text);
    InMemoryKnowledge(vec![
        passage("b", "pool exhausted once"),
        passage("a", "pool exhausted: raise the limit"),
        passage("c", "pool of cars"),
        passage("d", "nothing of it"),
    ])
}

pub fn knowledge() -> KnowledgeFixture {
    KnowledgeFixture::new(sample::context(), "pool exhausted limit", "a", "quasar")
}

pub fn language_model() -> LanguageModelFixture {
    LanguageModelFixture::new(sample::context(), Prompt::new("Summarise.", "latency rose", 100))
}

pub fn bus() -> BusFixture {
    let mut fx = BusFixture::new(sample::context());
    fx.capacity = Some(16);
    fx
}

pub fn mask() -> MaskFixture {
    MaskFixture::new(["alice@example.com"], ["nothing to hide", "", "clean ünïcode \u{0}"])
}

pub fn ctx() -> Context {
    sample::context()
}
