//! The default pipeline, told a part of the truth: upper bounds of what comes after that part.
//!
//! *Located* is told who is at fault, and its own rules say what kind of fault it is. *Informed* is told that as well: its localisation
//! and root cause are the arena's own word: who is at fault, what kind of fault it is, and the change, where one was rolled out and
//! told. Planner, guards, approver, mitigator and verifier are those of the default pipeline, so a fault that this player does not
//! heal is lost behind the diagnosis, and one that it heals and the default pipeline does not is lost before. **Its scores are no
//! scores of a pipeline**: they stand in no table beside those that are.

use aiops_core::jiff::Timestamp;
use aiops_core::model::time::{after, before};
use aiops_core::model::{
    ChangeId, Confidence, Diagnosis, EntityId, EvidenceId, FaultType, Hypothesis, Ranking, Suspect,
    TelemetryWindow,
};
use aiops_core::seam::{Localizer, Rca};
use aiops_core::{Case, CitedAnomaly, Context, Result};
use aiops_rca::{FusedLocalizer, RuleRca};
use async_trait::async_trait;

use super::faults::Injection;

/// How sure it is: told, and yet no more than a good diagnosis may be.
const SURE: f64 = 0.95;
/// As what its confidence is marked.
const SOURCE: &str = "told by the arena";
/// A change told so close to the onset is the fault's own.
const NEAR: std::time::Duration = std::time::Duration::from_secs(5);

/// Who knows the truth of one episode, or the half of it.
#[derive(Debug, Clone)]
pub(super) struct Informed {
    roots: Vec<EntityId>,
    types: Vec<FaultType>,
    /// Whether a change of the root is the fault, and undoing it the remedy.
    undone: Vec<EntityId>,
    onset: Timestamp,
    localizer: FusedLocalizer,
    rules: RuleRca,
}

impl Informed {
    /// Knows what `injection` does at `onset`; without one, that nothing is the matter.
    pub(super) fn of(injection: Option<&Injection>, onset: Timestamp) -> Self {
        let rollback = aiops_core::action::ActionKind::Rollback;
        let right = injection.into_iter().flat_map(|i| &i.right).filter(|r| r.kind == rollback);
        Self {
            roots: injection.map(|i| i.roots.clone()).unwrap_or_default(),
            types: injection.map(|i| i.types.clone()).unwrap_or_default(),
            undone: right.map(|r| r.target.clone()).collect(),
            onset,
            localizer: FusedLocalizer::default(),
            rules: RuleRca::default(),
        }
    }

    /// Knows who, and not why.
    pub(super) fn where_alone(self) -> Located {
        Located(self)
    }

    /// The change that is the fault, where the feed told of it.
    fn change(&self, case: &Case, root: &EntityId) -> Option<(ChangeId, EvidenceId)> {
        let (from, to) = (before(self.onset, NEAR), after(self.onset, NEAR));
        let of_it = case.changes().iter().filter(|c| c.change.entity == *root);
        let mut near = of_it.filter(|c| from <= c.change.time && c.change.time <= to);
        let cited = near.next().filter(|_| self.undone.contains(root))?;
        Some((cited.change.id.clone(), cited.id.clone()))
    }
}

#[async_trait]
impl Localizer for Informed {
    /// The default ranking with the roots before everybody else.
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        let told = self.localizer.localize(window, anomalies, ctx).await?;
        let highest = told.suspects.iter().map(|s| s.score).filter(|s| s.is_finite()).fold(1.0, f64::max);
        let (mut first, mut rest): (Vec<Suspect>, Vec<Suspect>) =
            told.suspects.iter().cloned().partition(|s| self.roots.contains(&s.entity));
        for root in self.roots.iter().filter(|r| !told.suspects.iter().any(|s| s.entity == **r)) {
            first.push(Suspect::new(root.clone(), 0.0));
        }
        for suspect in &mut first {
            suspect.score = 2.0 * highest;
        }
        rest.retain(|s| s.score.is_finite());
        first.extend(rest);
        let mut ranking = Ranking::new(first);
        ranking.unseen = told.unseen;
        Ok(ranking)
    }
}

/// Who knows where the fault is, and nothing else.
#[derive(Debug)]
pub(super) struct Located(Informed);

#[async_trait]
impl Localizer for Located {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        let mut ranking = self.0.localize(window, anomalies, ctx).await?;
        // The rules and a calibration are the default localiser's.
        ranking.localizer = Some(self.0.localizer.id());
        Ok(ranking)
    }
}

#[async_trait]
impl Rca for Informed {
    /// A cause for each root. What part of it failed is what the rules read in telemetry: that is nothing the arena names.
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis> {
        let told = self.rules.diagnose(case, ctx).await?;
        let everything: Vec<EvidenceId> = case.anomalies().iter().map(|a| a.id.clone()).collect();
        let mut causes = Vec::new();
        for root in &self.roots {
            let first = self.types.first().copied();
            let right = |h: &&Hypothesis| self.types.contains(&h.fault);
            let of_it = || told.hypotheses.iter().filter(|h| h.system == *root);
            let exactly = of_it().find(|h| Some(h.fault) == first);
            let nearest = exactly.or_else(|| of_it().find(right)).or_else(|| of_it().next());
            let fault = nearest.filter(right).map(|h| h.fault).or(first);
            let cited = nearest.map_or_else(|| everything.clone(), |h| h.citations.clone());
            let statement = format!("{root} is at fault, as the arena knows");
            let sure = Confidence::calibrated(SURE, SOURCE)?;
            let mut cause =
                Hypothesis::new(root.clone(), fault.unwrap_or(FaultType::Unknown), statement, sure, cited);
            cause.mechanism = nearest.and_then(|h| h.mechanism.clone());
            if let Some((change, evidence)) = self.change(case, root) {
                cause.change = Some(change);
                cause.citations.push(evidence);
            }
            causes.push(cause);
        }
        let mut diagnosis = Diagnosis::new(causes);
        (diagnosis.null_findings, diagnosis.unseen) = (told.null_findings, told.unseen);
        Ok(diagnosis)
    }
}
