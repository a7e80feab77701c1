//! Small implementations that look at their input, where the fakes of core are scripted.

use aiops_core::action::{Operation, Principal, ReceiptRecord};
use aiops_core::model::{
    Anomaly, Baseline, Briefing, BriefingLine, Cut, DetectorId, Diagnosis, DiagnosisStatus, FetchRequest,
    FittedHash, Ranking, Recovery, RecoveryReport, Selector, Shape, Signal, SignalCheck, SignalSet, Suspect,
    TelemetryWindow, TokenBudget,
};
use aiops_core::seam::{
    Compactor, Detector, Localizer, Planner, Rca, SourceCapability, TelemetrySource, Verifier,
};
use aiops_core::{Case, CitedAnomaly, Context, Error, ErrorKind, Result};
use aiops_testkit::sample;
use async_trait::async_trait;

/// A source that has some of the signals of another one.
#[derive(Debug, Clone)]
pub(crate) struct Partial<S>(pub(crate) S, pub(crate) SignalSet);

#[async_trait]
impl<S: TelemetrySource> TelemetrySource for Partial<S> {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(self.1.clone())
    }
    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let signals = request.signals.intersection(&self.1);
        self.0.fetch(&request.clone().with_signals(signals), ctx).await
    }
}

/// Finds samples more than 10 above the first one.
#[derive(Debug, Clone)]
pub(crate) struct Threshold;

#[async_trait]
impl Detector for Threshold {
    fn id(&self) -> DetectorId {
        DetectorId("threshold".to_owned())
    }
    fn fitted(&self) -> FittedHash {
        FittedHash::of(b"10")
    }
    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        ctx.check()?;
        let found = window.metrics.iter().filter(|m| m.len() >= 5).filter_map(|m| {
            let (_, first) = m.points().next()?;
            let (onset, value) = m.points().find(|(_, v)| *v > first + 10.0)?;
            let selector = Selector::all().with_entity(m.entity().clone()).with_metric(m.key().name.clone());
            let reread =
                FetchRequest::new(window.range).with_signals(Signal::Metrics.into()).with_selector(selector);
            let baseline = Baseline { center: first, scale: 0.5, samples: 1 };
            let (entity, key) = (m.entity().clone(), m.key().clone());
            let shape = Shape::LevelShiftUp;
            Some(Anomaly::new(self.id(), self.fitted(), entity, key, shape, onset, value, baseline, reread))
        });
        Ok(found.collect())
    }
}

/// Suspects by deviation.
#[derive(Debug, Clone)]
pub(crate) struct Loudest;

#[async_trait]
impl Localizer for Loudest {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        found: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        ctx.check()?;
        let suspect = |a: &CitedAnomaly| {
            let mut suspect = Suspect::new(a.anomaly.entity.clone(), a.anomaly.sigma.abs());
            suspect.evidence.push(a.id.clone());
            suspect.path = vec![a.anomaly.entity.clone(), sample::orders()];
            suspect
        };
        let mut ranking = Ranking::new(found.iter().map(suspect).collect());
        if window.observed.is_empty() {
            ranking.unseen.push("everything".to_owned());
        }
        Ok(ranking)
    }
}

/// Blames the change.
#[derive(Debug, Clone)]
pub(crate) struct BlameTheChange;

#[async_trait]
impl Rca for BlameTheChange {
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis> {
        ctx.check()?;
        if case.window().is_none() {
            let mut dark = Diagnosis::new(Vec::new());
            dark.status = DiagnosisStatus::ObservabilityDark { missing: vec!["metrics".to_owned()] };
            return Ok(dark);
        }
        sample::diagnosis(case)
    }
}

/// Restarts the cause, or runs more copies of it.
#[derive(Debug, Clone)]
pub(crate) struct RestartOrScale;

#[async_trait]
impl Planner for RestartOrScale {
    async fn plan(&self, case: &Case, ctx: &Context) -> Result<Vec<aiops_core::action::Proposal>> {
        ctx.check()?;
        let Some(cause) = case.diagnosis().and_then(Diagnosis::cause) else { return Ok(Vec::new()) };
        let restart = sample::restart(cause.system.clone())?;
        let mut scale = restart.clone();
        scale.operation = Operation::Scale { replicas: 4 };
        let mut proposals = Vec::new();
        for (id, action) in [("restart", restart), ("scale", scale)] {
            if case.attempts().all(|(receipt, _)| receipt.action.operation != action.operation) {
                let mut proposal = sample::proposal(id, action)?.with_evidence(cause.citations.clone());
                proposal.incident = case.id().clone();
                proposal.proposed_by = Principal::new("restart-or-scale");
                proposals.push(proposal);
            }
        }
        Ok(proposals)
    }
}

/// Believes that every signal is back.
#[derive(Debug, Clone)]
pub(crate) struct Optimist;

#[async_trait]
impl Verifier for Optimist {
    async fn verify(&self, _: &ReceiptRecord, detected: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        ctx.check()?;
        let check = |a: &Anomaly| SignalCheck {
            entity: a.entity.clone(),
            what: a.series.to_string(),
            recovery: Recovery::Recovered,
            detail: "as before".to_owned(),
        };
        Ok(RecoveryReport::from_checks(ctx.now(), detected.iter().map(check).collect()))
    }
}

/// One line a series and log, as many as fit.
#[derive(Debug, Clone)]
pub(crate) struct Lines;

#[async_trait]
impl Compactor for Lines {
    async fn compact(
        &self,
        window: &TelemetryWindow,
        budget: TokenBudget,
        ctx: &Context,
    ) -> Result<Briefing> {
        ctx.check()?;
        let mut briefing = Briefing::new(window.range);
        let weights = (1..=window.metrics.len()).rev();
        for (weight, m) in weights.zip(&window.metrics) {
            let text = format!("{} is worth a look", m.key());
            let weight = u32::try_from(weight).map_or(0.0, f64::from);
            let reference = format!("m{}", briefing.lines.len() + 1);
            briefing.lines.push(BriefingLine::new(reference, m.entity().clone(), weight, text));
        }
        // A line has at most ten words, heading and stated loss together at most fifteen.
        let fits = budget.0.checked_sub(15).ok_or_else(|| Error::new(ErrorKind::Limit, "too small"))? / 10;
        if briefing.lines.len() > fits {
            let count = briefing.lines.len() - fits;
            briefing.lines.truncate(fits);
            briefing.cuts.push(Cut::new("series", count, "the budget"));
        }
        Ok(briefing)
    }
}
