//! One implementation of each seam, from what is public alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiops::core::CitedAnomaly;
use aiops::core::action::{
    ActionKind, ActionOutcome, ActionStatus, BlastRadius, GuardId, IdempotencyKey, Preview, ProposalId,
    ReceiptRecord, RollbackPlan, Share, TargetState, Verdict,
};
use aiops::core::guard::{Intended, Receipt};
use aiops::core::model::{
    Anomaly, Baseline, Confidence, DetectorId, Diagnosis, FaultType, FittedHash, Hypothesis, MetricSeries,
    Ranking, Recovery, RecoveryReport, SeriesKey, Shape, Signal, SignalCheck, Suspect, TimeAxis,
};
use aiops::core::seam::{MitigatorCapability, Review, SourceCapability};
use aiops::prelude::*;
use async_trait::async_trait;

use crate::boiler::Boiler;

const STEP: Duration = Duration::from_secs(15);

fn entity() -> EntityId {
    EntityId::service("boiler")
}

#[derive(Debug)]
pub struct Thermometer(pub Arc<Boiler>);

#[async_trait]
impl TelemetrySource for Thermometer {
    fn capability(&self) -> SourceCapability {
        SourceCapability::of(Signal::Metrics)
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        ctx.check()?;
        let axis = TimeAxis::covering(request.range, STEP)?;
        let samples = vec![Some(self.0.degrees()); axis.len()];
        let mut window = TelemetryWindow::new(request.range);
        window.observed = Signal::Metrics.into();
        window.metrics.push(MetricSeries::new(SeriesKey::new("temperature"), entity(), axis, samples)?);
        Ok(window)
    }
}

#[derive(Debug)]
pub struct TooHot;

#[async_trait]
impl Detector for TooHot {
    fn id(&self) -> DetectorId {
        DetectorId("too-hot".into())
    }

    fn fitted(&self) -> FittedHash {
        FittedHash::of(b"80")
    }

    async fn detect(&self, window: &TelemetryWindow, _: &Context) -> Result<Vec<Anomaly>> {
        let hot = window.metrics.iter().filter_map(|series| {
            let (since, value) = series.points().find(|(_, degrees)| *degrees > 80.0)?;
            let (entity, key) = (series.entity().clone(), series.key().clone());
            let baseline = Baseline { center: 60.0, scale: 2.0, samples: 100 };
            let reread = FetchRequest::new(window.range).with_step(STEP);
            let shape = Shape::LevelShiftUp;
            Some(Anomaly::new(self.id(), self.fitted(), entity, key, shape, since, value, baseline, reread))
        });
        Ok(hot.collect())
    }
}

#[derive(Debug)]
pub struct LookForHeat;

#[async_trait]
impl Localizer for LookForHeat {
    async fn localize(&self, _: &TelemetryWindow, found: &[CitedAnomaly], _: &Context) -> Result<Ranking> {
        let suspect = |cited: &CitedAnomaly| {
            let mut suspect = Suspect::new(cited.anomaly.entity.clone(), cited.anomaly.sigma.abs());
            suspect.evidence.push(cited.id.clone());
            suspect
        };
        Ok(Ranking::new(found.iter().map(suspect).collect()))
    }
}

#[derive(Debug)]
pub struct Blame;

#[async_trait]
impl Rca for Blame {
    async fn diagnose(&self, case: &Case, _: &Context) -> Result<Diagnosis> {
        let causes = case.anomalies().iter().map(|cited| {
            let confidence = Confidence::calibrated(0.97, "a year of boilers")?;
            let system = cited.anomaly.entity.clone();
            let evidence = vec![cited.id.clone()];
            Ok(Hypothesis::new(system, FaultType::Hardware, "the thermostat sticks", confidence, evidence))
        });
        Ok(Diagnosis::new(causes.collect::<Result<_>>()?))
    }
}

#[derive(Debug)]
pub struct Restart;

#[async_trait]
impl Planner for Restart {
    async fn plan(&self, case: &Case, _: &Context) -> Result<Vec<Proposal>> {
        let Some(cause) = case.diagnosis().and_then(Diagnosis::cause) else { return Ok(Vec::new()) };
        let operation = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
        let touched = BlastRadius { replicas: 1, share_of_fleet: Share::new(1.0)? };
        let rollback = RollbackPlan::NotNeeded { reason: "a boiler starts as it was".to_owned() };
        let action = Action::new(operation, cause.system.clone(), touched).with_rollback(rollback);
        let (id, by) = (ProposalId::new("restart"), Principal::new("downstream"));
        let incident = case.id().clone();
        Ok(vec![Proposal::new(id, incident, action, by, cause.confidence.clone(), cause.statement.clone())])
    }
}

#[derive(Debug)]
pub struct OnlyRestarts;

#[async_trait]
impl Guardrail for OnlyRestarts {
    fn id(&self) -> GuardId {
        GuardId("only-restarts".to_owned())
    }

    async fn check(&self, review: &Review<'_>, _: &Context) -> Result<Verdict> {
        Ok(match review.proposal.action.kind() {
            ActionKind::RollingRestart => Verdict::allow("a restart"),
            other => Verdict::deny(format!("{other} is not for boilers")),
        })
    }
}

#[derive(Debug)]
pub struct Hand {
    boiler: Arc<Boiler>,
    done: Mutex<BTreeMap<IdempotencyKey, ActionStatus>>,
}

impl Hand {
    pub fn on(boiler: Arc<Boiler>) -> Self {
        Self { boiler, done: Mutex::default() }
    }
}

#[async_trait]
impl Mitigator for Hand {
    fn capability(&self) -> MitigatorCapability {
        MitigatorCapability::of([ActionKind::RollingRestart])
    }

    async fn preview(&self, action: &Action, _: &Context) -> Result<Preview> {
        let mut now = TargetState::existing();
        (now.replicas, now.ready, now.fleet) = (Some(1), Some(1), Some(1));
        Ok(Preview::new(now, format!("would {action}")))
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let (_, spent) = action.spend(ctx)?;
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.contains_key(spent.key()) {
            return Err(Error::new(ErrorKind::Conflict, "this key was dealt with before"));
        }
        self.boiler.restart();
        done.insert(spent.key().clone(), ActionStatus::Completed);
        Ok(Receipt::new(spent, ActionOutcome::Completed, "restarted by hand"))
    }

    async fn status(&self, key: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // What was once called not started never starts.
        Ok(done.entry(key.clone()).or_insert(ActionStatus::NotStarted).clone())
    }
}

#[derive(Debug)]
pub struct Glance(pub Arc<Boiler>);

#[async_trait]
impl Verifier for Glance {
    async fn verify(&self, _: &ReceiptRecord, detected: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        let degrees = self.0.degrees();
        let recovery = if degrees < 80.0 { Recovery::Recovered } else { Recovery::NotRecovered };
        let check = |a: &Anomaly| SignalCheck {
            entity: a.entity.clone(),
            what: a.series.to_string(),
            recovery,
            detail: format!("{degrees} °C"),
        };
        Ok(RecoveryReport::from_checks(ctx.now(), detected.iter().map(check).collect()))
    }
}
