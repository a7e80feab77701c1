//! Two foolish ways to decide, to compare with. They get the same telemetry, guards and verifier.

use aiops_core::model::{
    Anomaly, ChangeKind, Confidence, Diagnosis, EntityId, EvidenceId, FaultType, Hypothesis, Ranking,
    Suspect, TelemetryWindow, mechanism,
};
use aiops_core::seam::{Localizer, Rca};
use aiops_core::{Case, CitedAnomaly, Context, Result};
use async_trait::async_trait;

/// A claim that passes every confidence guard: a fool is always sure.
fn sure() -> Result<Confidence> {
    Confidence::calibrated(1.0, "claimed")
}

/// Suspects whatever deviates most.
#[derive(Debug)]
pub(super) struct Loudest;

#[async_trait]
impl Localizer for Loudest {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        _: &Context,
    ) -> Result<Ranking> {
        let loudness = |a: &Anomaly| if a.sigma.is_nan() { 0.0 } else { a.sigma.abs() };
        let suspects = anomalies.iter().map(|cited| {
            let entity: EntityId = window.topology.whole(&cited.anomaly.entity).clone();
            let mut suspect = Suspect::new(entity, loudness(&cited.anomaly));
            suspect.evidence.push(cited.id.clone());
            suspect
        });
        Ok(Ranking::new(suspects.collect()))
    }
}

/// Takes the first suspect for the cause, and a restart for the remedy.
#[derive(Debug)]
pub(super) struct BlameTheFirst;

#[async_trait]
impl Rca for BlameTheFirst {
    async fn diagnose(&self, case: &Case, _: &Context) -> Result<Diagnosis> {
        let suspects = case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
        let blame = |s: &Suspect| {
            let statement = format!("{} deviates most", s.entity);
            let evidence: Vec<EvidenceId> = s.evidence.clone();
            let mut cause =
                Hypothesis::new(s.entity.clone(), FaultType::Unknown, statement, sure()?, evidence);
            cause.mechanism = Some(mechanism::SLOW_WORK.to_owned());
            Ok(cause)
        };
        Ok(Diagnosis::new(suspects.iter().take(3).map(blame).collect::<Result<_>>()?))
    }
}

/// Takes the last roll-out for the cause.
#[derive(Debug)]
pub(super) struct BlameTheLastChange;

#[async_trait]
impl Rca for BlameTheLastChange {
    async fn diagnose(&self, case: &Case, _: &Context) -> Result<Diagnosis> {
        let roll_outs = case.changes().iter().filter(|c| c.change.kind == ChangeKind::ConfigRollout);
        let ours = |author: &Option<String>| author.as_deref() == Some("aiops");
        let mut latest: Vec<_> = roll_outs.filter(|c| !ours(&c.change.author)).collect();
        latest.sort_by_key(|c| std::cmp::Reverse(c.change.time));
        let blame = |cited: &&aiops_core::CitedChange| {
            let change = &cited.change;
            let statement = format!("{} was the last change", change.summary);
            let mut cause = Hypothesis::new(
                change.entity.clone(),
                FaultType::Config,
                statement,
                sure()?,
                vec![cited.id.clone()],
            );
            cause.change = Some(change.id.clone());
            Ok(cause)
        };
        Ok(Diagnosis::new(latest.iter().take(1).map(blame).collect::<Result<_>>()?))
    }
}
