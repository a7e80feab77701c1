use std::collections::BTreeMap;
use std::fmt;

use aiops_core::action::{History, IncidentId, ProposalId};
use aiops_core::model::Confidence;
use aiops_core::{Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::ApprovalLabel;
use crate::fitted::FittedState;

/// Who says whether a diagnosis was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    /// A person said so.
    Person,
    /// Acting on it helped, or did not. A right diagnosis may have got the wrong remedy.
    Telemetry,
}

/// A diagnosis that was acted on or asked about, and whether it was right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JudgedDiagnosis {
    /// The case.
    pub incident: IncidentId,
    /// What was proposed on it.
    pub proposal: ProposalId,
    /// How sure it was.
    pub confidence: Confidence,
    /// Whether it was right.
    pub right: bool,
    /// Who says so. A person's word stands before what telemetry says.
    pub by: Judge,
    /// When it was acted on or judged.
    pub at: Timestamp,
}

/// Fits a state anew, the calibration of confidences above all, on what became of diagnoses. What it is fitted on and how is the
/// implementer's: this crate knows confidences, not the raw scores behind them.
#[async_trait]
pub trait Refit: fmt::Debug + Send + Sync + 'static {
    /// The state fitted on `judged`, with how it did on what was held out; `None` where there is too little to fit on. The same `judged` give the same
    /// state. It is stored when this returns, and decides nothing yet.
    ///
    /// # Errors
    /// When it cannot be fitted or stored.
    async fn refit(&self, judged: &[JudgedDiagnosis], ctx: &Context) -> Result<Option<FittedState>>;
}

/// Every diagnosis of `history` and `labels` that was judged, in order of cases and proposals; one for a proposal.
#[must_use]
pub fn judged(history: &History, labels: &[ApprovalLabel]) -> Vec<JudgedDiagnosis> {
    let mut judged = BTreeMap::new();
    for action in history.actions().filter(|a| a.is_remedy() && a.counts()) {
        let Some(right) = action.helped() else { continue };
        let proposal = &action.intent.proposal;
        let (incident, id) = (proposal.incident.clone(), proposal.id.clone());
        let (confidence, at) = (proposal.confidence.clone(), action.intent.at);
        let said = JudgedDiagnosis {
            incident: incident.clone(),
            proposal: id.clone(),
            confidence,
            right,
            by: Judge::Telemetry,
            at,
        };
        judged.insert((incident, id), said);
    }
    for label in labels {
        let Some(right) = label.diagnosis_right else { continue };
        let (incident, proposal) = (label.incident.clone(), label.proposal.clone());
        let (confidence, at) = (label.confidence.clone(), label.at);
        let key = (incident.clone(), proposal.clone());
        judged.insert(key, JudgedDiagnosis { incident, proposal, confidence, right, by: Judge::Person, at });
    }
    judged.into_values().collect()
}
