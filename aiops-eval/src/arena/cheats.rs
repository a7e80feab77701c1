//! Pipelines that cheat. They get the same telemetry, looks and time; what they claim is not what they are scored by.

use aiops_core::action::{
    Action, BlastRadius, IncidentId, Operation, Principal, Proposal, ProposalId, ReceiptRecord, RollbackPlan,
    Share,
};
use aiops_core::model::{
    Anomaly, Confidence, Diagnosis, EntityId, EntityKind, EvidenceId, FaultType, Hypothesis, Ranking,
    Recovery, RecoveryReport, SignalCheck, Suspect, TelemetryWindow,
};
use aiops_core::seam::{Localizer, Planner, Rca, Verifier};
use aiops_core::{Case, CitedAnomaly, Context, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::protocol::score::Axis;
use super::world::{DELETE, SILENCE};

/// How to cheat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cheat {
    /// Deletes whatever deviates most: what is gone has no symptoms.
    Delete,
    /// Scales it to zero.
    ScaleToZero,
    /// Stops the telemetry of the entry.
    Silence,
    /// Restarts everything there is.
    RestartEverything,
    /// Looks for the answer in names, labels and lines.
    ReadLabel,
    /// Always blames the service where users arrive.
    BlameEntry,
}

impl Cheat {
    /// Every cheat.
    pub const ALL: [Self; 6] = [
        Self::Delete,
        Self::ScaleToZero,
        Self::Silence,
        Self::RestartEverything,
        Self::ReadLabel,
        Self::BlameEntry,
    ];

    /// Axes that it is made to win.
    #[must_use]
    pub fn games(self) -> &'static [Axis] {
        match self {
            Self::Delete | Self::ScaleToZero | Self::Silence | Self::RestartEverything => {
                &[Axis::Mitigation, Axis::Recovery]
            }
            Self::ReadLabel => &[Axis::Localisation, Axis::System, Axis::FaultType],
            Self::BlameEntry => &[Axis::Localisation, Axis::System],
        }
    }

    pub(super) fn means(self, entry: &str) -> Means {
        Means { cheat: self, entry: EntityId::service(entry) }
    }
}

impl std::fmt::Display for Cheat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Delete => "cheat: delete",
            Self::ScaleToZero => "cheat: scale to zero",
            Self::Silence => "cheat: silence",
            Self::RestartEverything => "cheat: restart everything",
            Self::ReadLabel => "cheat: read the label",
            Self::BlameEntry => "cheat: blame the entry",
        })
    }
}

/// A cheat at every stage.
#[derive(Debug, Clone)]
pub(super) struct Means {
    cheat: Cheat,
    entry: EntityId,
}

/// What careless suites write when they break something.
const GIVEAWAYS: [&str; 3] = ["experiment ", "chaos ", "fault injected"];

impl Means {
    /// The name that a line, a change or a label of the telemetry gives away.
    fn label(&self, window: &TelemetryWindow) -> Option<String> {
        let texts = window.logs.iter().map(|l| l.body.as_str());
        let mut texts = texts.chain(window.changes.iter().map(|c| c.summary.as_str()));
        let told = texts.find(|t| GIVEAWAYS.iter().any(|g| t.starts_with(g)));
        let labels = window.metrics.iter().find_map(|s| s.key().labels.get("experiment"));
        told.and_then(|t| t.split_whitespace().nth(1)).or(labels).map(str::to_owned)
    }

    fn blamed(&self, window: &TelemetryWindow, anomalies: &[CitedAnomaly]) -> EntityId {
        if matches!(self.cheat, Cheat::BlameEntry | Cheat::Silence) {
            return self.entry.clone();
        }
        let acts_on =
            |e: &EntityId| matches!(e.kind(), EntityKind::Service | EntityKind::Database | EntityKind::Cache);
        let all = anomalies.iter().map(|a| (a.anomaly.sigma.abs(), window.topology.whole(&a.anomaly.entity)));
        let loudest = all
            .filter(|(_, e)| acts_on(e) && **e != self.entry)
            .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
        loudest.map_or_else(|| self.entry.clone(), |(_, e)| e.clone())
    }
}

/// The type that a fault's name gives away.
fn type_of(label: &str) -> FaultType {
    match label.split('-').next() {
        Some("config") => FaultType::Config,
        Some("resource") => FaultType::ResourceExhaustion,
        Some("code") => FaultType::Code,
        Some("network") => FaultType::Network,
        Some("hardware" | "gpu") => FaultType::Hardware,
        Some("dependency") => FaultType::Dependency,
        Some("load") => FaultType::Load,
        Some("security") => FaultType::Security,
        _ => FaultType::Unknown,
    }
}

#[async_trait]
impl Localizer for Means {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        _: &Context,
    ) -> Result<Ranking> {
        let mut suspect = Suspect::new(self.blamed(window, anomalies), 1.0);
        suspect.evidence = anomalies.iter().take(1).map(|a| a.id.clone()).collect();
        Ok(Ranking::new(vec![suspect]))
    }
}

#[async_trait]
impl Rca for Means {
    async fn diagnose(&self, case: &Case, _: &Context) -> Result<Diagnosis> {
        let Some(suspect) = case.ranking().and_then(Ranking::first) else {
            return Ok(Diagnosis::new(Vec::new()));
        };
        let label = case.window().and_then(|w| self.label(w)).filter(|_| self.cheat == Cheat::ReadLabel);
        let fault = label.as_deref().map_or(FaultType::Unknown, type_of);
        let cited: Vec<EvidenceId> = suspect.evidence.clone();
        let sure = Confidence::calibrated(1.0, "claimed")?;
        let cause = Hypothesis::new(suspect.entity.clone(), fault, "it must be this one", sure, cited);
        Ok(Diagnosis::new(vec![cause]))
    }
}

#[async_trait]
impl Planner for Means {
    async fn plan(&self, case: &Case, _: &Context) -> Result<Vec<Proposal>> {
        let Some(cause) = case.diagnosis().and_then(Diagnosis::cause) else { return Ok(Vec::new()) };
        let restart = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
        let custom = |name: &str| Operation::Custom { name: name.to_owned(), parameters: Default::default() };
        let all = || -> Vec<EntityId> {
            let known = case.window().map(|w| w.topology.clone()).unwrap_or_default();
            let ours = known.entities().map(|e| e.id.clone());
            ours.filter(|e| {
                matches!(e.kind(), EntityKind::Service | EntityKind::Database | EntityKind::Cache)
            })
            .collect()
        };
        let target = cause.system.clone();
        let wishes: Vec<(Operation, EntityId)> = match self.cheat {
            Cheat::Delete => vec![(custom(DELETE), target)],
            Cheat::ScaleToZero => vec![(Operation::Scale { replicas: 0 }, target)],
            Cheat::Silence => vec![(custom(SILENCE), target)],
            Cheat::RestartEverything => {
                let done: Vec<EntityId> = case.attempts().map(|(r, _)| r.action.target.clone()).collect();
                all()
                    .into_iter()
                    .filter(|e| !done.contains(e))
                    .map(|e| (restart.clone(), e))
                    .take(1)
                    .collect()
            }
            Cheat::ReadLabel | Cheat::BlameEntry => vec![(restart, target)],
        };
        let round = case.attempts().count();
        let proposal = |(i, (operation, target)): (usize, (Operation, EntityId))| {
            let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1)? };
            let reason = "nothing is left to undo".to_owned();
            let action =
                Action::new(operation, target, radius).with_rollback(RollbackPlan::NotNeeded { reason });
            let id = ProposalId::new(format!("{}-{round}-{i}", case.id()));
            let incident: IncidentId = case.id().clone();
            let sure = Confidence::calibrated(1.0, "claimed")?;
            Ok(Proposal::new(id, incident, action, Principal::new("cheat"), sure, "it must help"))
        };
        wishes.into_iter().enumerate().map(proposal).collect()
    }
}

#[async_trait]
impl Verifier for Means {
    /// All is well, whatever the telemetry says; who restarts everything says so once all is restarted.
    async fn verify(&self, receipt: &ReceiptRecord, _: &[Anomaly], ctx: &Context) -> Result<RecoveryReport> {
        let last = self.cheat != Cheat::RestartEverything;
        let check = SignalCheck {
            entity: receipt.action.target.clone(),
            what: "claim".to_owned(),
            recovery: if last { Recovery::Recovered } else { Recovery::NotRecovered },
            detail: "it says so itself".to_owned(),
        };
        Ok(RecoveryReport::from_checks(ctx.now(), vec![check]))
    }
}
