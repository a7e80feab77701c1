use aiops_core::action::{IncidentId, Proposal, ReceiptRecord};
use aiops_core::fake::{InMemoryKnowledge, ScriptedLanguageModel};
use aiops_core::jiff::Timestamp;
use aiops_core::model::*;
use aiops_core::seam::{
    Completion, KnowledgeBase, LanguageModel, Localizer, Passage, Planner, Prompt, Rca, Verifier,
};
use aiops_core::{Budget, Case, CitedAnomaly, Context, Error, ErrorKind, Result};
use aiops_testkit::{conformance, sample};
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::{Fault, hunt, with};
use crate::fixtures as fx;
use crate::reference::{BlameTheChange, Loudest, Optimist, RestartOrScale};

/// An evidence id that no case gave out.
fn made_up() -> EvidenceId {
    serde_json::from_str("\"anomaly-99\"").unwrap()
}

#[derive(Debug)]
struct Locator(Fault);

#[async_trait]
impl Localizer for Locator {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        found: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        let fault = &self.0;
        with(Loudest.localize(window, found, &fault.heed(ctx)).await, |ranking| match fault.clause {
            "answers" => ranking.suspects.clear(),
            "no_anomalies" if found.is_empty() => ranking.suspects.push(Suspect::new(sample::store(), 1.0)),
            "order" => ranking.suspects.reverse(),
            "unique" => {
                let again = ranking.suspects.last().cloned();
                ranking.suspects.extend(again);
            }
            "cites" => ranking.suspects.iter_mut().for_each(|s| s.evidence = vec![made_up()]),
            "path" => {
                ranking.suspects.iter_mut().for_each(|s| s.path.insert(0, EntityId::service("elsewhere")))
            }
            "blind" => ranking.unseen.clear(),
            "deterministic" => ranking.unseen.push(fault.count().to_string()),
            _ => {}
        })
    }
}

#[test]
fn localizer() {
    hunt(10, |clause| block_on(conformance::localizer(&Locator(Fault::in_clause(clause)), &fx::localizer())));
}

#[derive(Debug)]
struct Analyst(Fault);

#[async_trait]
impl Rca for Analyst {
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis> {
        let fault = &self.0;
        with(BlameTheChange.diagnose(case, &fault.heed(ctx)).await, |diagnosis| match fault.clause {
            "answers" => *diagnosis = Diagnosis::new(Vec::new()),
            "order" => {
                diagnosis.hypotheses.reverse();
                diagnosis.status = DiagnosisStatus::Inconclusive;
            }
            "status" => diagnosis.hypotheses.iter_mut().for_each(|h| h.citations.clear()),
            "cites" => diagnosis.hypotheses.iter_mut().for_each(|h| h.citations.push(made_up())),
            "accounts" => diagnosis.hypotheses.iter_mut().for_each(|h| {
                (h.explains, h.unexplained) = (h.citations.clone(), h.citations.clone());
            }),
            "path" => {
                diagnosis.hypotheses.iter_mut().for_each(|h| h.path = vec![EntityId::service("elsewhere")]);
            }
            "checks" => diagnosis.hypotheses.iter_mut().for_each(|h| {
                let nothing = FetchRequest::new(sample::range()).with_signals(SignalSet::none());
                h.next_checks.push(Check::new("what is it").reading(nothing));
            }),
            "distinguishes" => diagnosis.hypotheses.iter_mut().for_each(|h| {
                h.distinctions.push(Distinction::new(h.fault, "it is itself", Vec::new()));
            }),
            "blames_known_change" => {
                diagnosis.hypotheses.iter_mut().for_each(|h| h.change = Some(ChangeId("c99".to_owned())));
            }
            "dark" if case.window().is_none() => diagnosis.status = DiagnosisStatus::Diagnosed,
            "deterministic" => {
                diagnosis.hypotheses.iter_mut().for_each(|h| h.statement = fault.count().to_string());
            }
            _ => {}
        })
    }
}

#[test]
fn rca() {
    hunt(13, |clause| block_on(conformance::rca(&Analyst(Fault::in_clause(clause)), &fx::rca())));
}

#[derive(Debug)]
struct Strategist(Fault);

#[async_trait]
impl Planner for Strategist {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<Proposal>> {
        let fault = &self.0;
        let restart = || sample::proposal("again", sample::action().unwrap()).unwrap();
        let tried = case.attempts().next().is_some();
        with(RestartOrScale.plan(case, &fault.heed(ctx)).await, |proposals| match fault.clause {
            "answers" => proposals.clear(),
            "incident" => proposals.iter_mut().for_each(|p| p.incident = IncidentId::new("another")),
            "unique" => {
                let again = proposals.first().cloned();
                proposals.extend(again);
            }
            "cites" => proposals.iter_mut().for_each(|p| p.evidence.push(made_up())),
            "learns" if tried => proposals.push(restart()),
            "never_guesses" if case.diagnosis().is_none() => proposals.push(restart()),
            "deterministic" => proposals.iter_mut().for_each(|p| p.reason = fault.count().to_string()),
            _ => {}
        })
    }
}

#[test]
fn planner() {
    hunt(9, |clause| block_on(conformance::planner(&Strategist(Fault::in_clause(clause)), &fx::planner())));
}

#[derive(Debug)]
struct Watcher(Fault);

#[async_trait]
impl Verifier for Watcher {
    async fn verify(
        &self,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<RecoveryReport> {
        let fault = &self.0;
        with(Optimist.verify(receipt, detected, &fault.heed(ctx)).await, |report| match fault.clause {
            "verdict" => {
                report.checks.iter_mut().for_each(|c| c.recovery = Recovery::NotRecovered);
                report.recovery = RecoveryReport::from_checks(report.at, report.checks.clone()).recovery;
            }
            "follows_from_checks" => {
                report.checks.iter_mut().for_each(|c| c.recovery = Recovery::Inconclusive)
            }
            "covers_what_was_detected" => report.checks.truncate(1),
            "instant" => report.at = Timestamp::MAX,
            "nothing_detected" if detected.is_empty() => report.recovery = Recovery::Recovered,
            _ => {}
        })
    }
}

#[test]
fn verifier() {
    hunt(7, |clause| block_on(conformance::verifier(&Watcher(Fault::in_clause(clause)), &fx::verifier())));
}

#[derive(Debug)]
struct Library(Fault, InMemoryKnowledge);

#[async_trait]
impl KnowledgeBase for Library {
    async fn search(&self, query: &str, top: usize, ctx: &Context) -> Result<Vec<Passage>> {
        let Self(fault, inner) = self;
        match fault.clause {
            "hostile_query" if query.contains("DROP") => {
                return Err(Error::new(ErrorKind::Invalid, "bad syntax"));
            }
            "unknown" if query == fx::knowledge().unknown => return Ok(inner.0.clone()),
            _ => {}
        }
        let top = if fault.is("top") && top == 0 { 1 } else { top };
        with(inner.search(query, top, &fault.heed(ctx)).await, |found| match fault.clause {
            "finds" if top == 10 => found.retain(|p| p.source != fx::knowledge().best),
            "order" if top == 10 => found.reverse(),
            "prefix" if top == 2 => found.reverse(),
            "deterministic" => found.iter_mut().for_each(|p| p.text = fault.count().to_string()),
            _ => {}
        })
    }
}

#[test]
fn knowledge() {
    hunt(9, |clause| {
        block_on(conformance::knowledge(&Library(Fault::in_clause(clause), fx::passages()), &fx::knowledge()))
    });
}

#[derive(Debug)]
struct Parrot(Fault, ScriptedLanguageModel);

#[async_trait]
impl LanguageModel for Parrot {
    async fn complete(&self, prompt: &Prompt, ctx: &Context) -> Result<Completion> {
        let Self(fault, inner) = self;
        let ctx = fault.heed(ctx);
        let free = ctx.clone().with_tokens(Budget::unlimited());
        let broke = ctx.tokens().left() == 0;
        let account = match fault.clause {
            "pays" if !broke => &free,
            "budget" if broke => &free,
            _ => &ctx,
        };
        with(inner.complete(prompt, account).await, |completion| {
            if fault.is("answers") {
                completion.text.clear();
            }
        })
    }
}

#[test]
fn language_model() {
    hunt(5, |clause| {
        let inner = ScriptedLanguageModel::of([Completion::new("It rose.", 12)]);
        block_on(conformance::language_model(&Parrot(Fault::in_clause(clause), inner), &fx::language_model()))
    });
}
