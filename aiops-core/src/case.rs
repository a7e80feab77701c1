//! The case file: everything one incident gathered, in order, citable and replayable.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::{ActionOutcome, DecisionRecord, IncidentId, Mode, Proposal, ReceiptRecord};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Anomaly, Briefing, Change, ChangeId, Diagnosis, EntityId, Evidence, EvidenceId, EvidenceKind, Ranking,
    Recovery, RecoveryReport, TelemetryWindow,
};

/// Version of the format that [`Case`] writes. Older ones stay readable.
pub const CASE_VERSION: u32 = 1;

/// An anomaly with the id under which conclusions cite it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CitedAnomaly {
    /// What conclusions cite.
    pub id: EvidenceId,
    /// The finding.
    pub anomaly: Anomaly,
}

/// A change with the id under which conclusions cite it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CitedChange {
    /// What conclusions cite.
    pub id: EvidenceId,
    /// The change.
    pub change: Change,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CaseStatus {
    /// Verified from telemetry.
    Recovered,
    /// A person takes over.
    Escalated {
        /// Why.
        reason: String,
    },
    /// Another replica acts on it.
    Yielded {
        /// How that was seen.
        reason: String,
    },
}

/// What a stage added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CasePart {
    /// Telemetry was read.
    Observed(Box<TelemetryWindow>),
    /// It was compacted.
    Briefed(Briefing),
    /// Anomalies were found.
    Detected(Vec<CitedAnomaly>),
    /// Suspects were ranked.
    Localized(Ranking),
    /// The cause was told, as far as it could be.
    Diagnosed(Diagnosis),
    /// Remedies were proposed, best first.
    Planned(Vec<Proposal>),
    /// A proposal was decided on.
    Decided(DecisionRecord),
    /// An action was run.
    Acted(ReceiptRecord),
    /// An action may have run; nobody knows.
    InDoubt {
        /// Key of the action.
        key: crate::action::IdempotencyKey,
        /// What is known.
        reason: String,
    },
    /// The effect of the last action was verified.
    Verified(RecoveryReport),
    /// The case ended.
    Closed(CaseStatus),
}

/// A part and when it was added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub part: CasePart,
}

/// One incident from first sign to last check.
///
/// Stages are handed `&Case` and return a new part; only the pipeline appends. Observations become
/// [`Evidence`] with ids when they are added, so that every conclusion can cite them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    version: u32,
    id: IncidentId,
    opened_at: Timestamp,
    mode: Mode,
    entries: Vec<CaseEntry>,
    evidence: Vec<Evidence>,
    changes: Vec<CitedChange>,
}

impl Case {
    /// Opens a case.
    #[must_use]
    pub fn open(id: IncidentId, opened_at: Timestamp, mode: Mode) -> Self {
        Self {
            version: CASE_VERSION,
            id,
            opened_at,
            mode,
            entries: Vec::new(),
            evidence: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Reads a case file of this or an earlier version.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a later version, [`ErrorKind::Malformed`] for anything that is no case file.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let malformed =
            |e: serde_json::Error| Error::new(ErrorKind::Malformed, "not a case file").caused_by(e);
        let header: Header = serde_json::from_slice(json).map_err(malformed)?;
        if header.version != CASE_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "a case file of another version")
                .with("version", header.version)
                .with("known", CASE_VERSION));
        }
        serde_json::from_slice(json).map_err(malformed)
    }

    /// The case file.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a part cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "a case cannot be serialised").caused_by(e))
    }

    /// Adds what was read. Changes and blind spots become evidence; a change that was seen before keeps its id.
    pub fn observe(&mut self, at: Timestamp, window: TelemetryWindow) {
        for change in &window.changes {
            if self.change(&change.id).is_some() {
                continue;
            }
            let statement = match &change.revision {
                Some(r) => format!("{} ({} → {})", change.summary, r.from.as_deref().unwrap_or("?"), r.to),
                None => change.summary.clone(),
            };
            let id = self.cite(EvidenceKind::Change, Some(change.entity.clone()), change.time, statement);
            self.changes.push(CitedChange { id, change: change.clone() });
        }
        for health in window.health.iter().filter(|h| h.note.is_some() || h.dropped > 0) {
            let note = health.note.as_deref().unwrap_or("telemetry was dropped");
            let statement = format!("{}: {note} ({} dropped)", health.signal, health.dropped);
            self.cite(EvidenceKind::Gap, health.entity.clone(), at, statement);
        }
        self.push(at, CasePart::Observed(Box::new(window)));
    }

    /// Adds a summary. Every line becomes evidence and is from then on known by its id; one that tells what an earlier
    /// briefing told, or of a change that is evidence already, keeps that id.
    pub fn brief(&mut self, at: Timestamp, mut briefing: Briefing) {
        for line in &mut briefing.lines {
            if self.evidence.iter().any(|e| e.id.as_str() == line.reference) {
                continue;
            }
            let kind = line.kind.unwrap_or(EvidenceKind::Anomaly);
            let time = line.time.unwrap_or(briefing.range.end());
            let known = self.evidence.iter().find(|e| {
                (e.kind, e.entity.as_ref(), e.time) == (kind, Some(&line.entity), time)
                    && (kind == EvidenceKind::Change || e.statement == line.text)
            });
            let id = match known {
                Some(evidence) => evidence.id.clone(),
                None => self.cite(kind, Some(line.entity.clone()), time, line.text.clone()),
            };
            id.as_str().clone_into(&mut line.reference);
        }
        self.push(at, CasePart::Briefed(briefing));
    }

    /// Adds what was found; every anomaly becomes evidence.
    pub fn detect(&mut self, at: Timestamp, anomalies: Vec<Anomaly>) {
        let cited = anomalies
            .into_iter()
            .map(|anomaly| {
                let statement = format!(
                    "{} of {}: {:.4} {} against {:.4} ({:+.1} σ)",
                    anomaly.shape,
                    anomaly.series,
                    anomaly.value,
                    anomaly.unit,
                    anomaly.baseline.center,
                    anomaly.sigma
                );
                let entity = Some(anomaly.entity.clone());
                let id = self.cite(EvidenceKind::Anomaly, entity, anomaly.onset, statement);
                CitedAnomaly { id, anomaly }
            })
            .collect();
        self.push(at, CasePart::Detected(cited));
    }

    /// Adds suspects. Every observation of a suspect becomes evidence, which the suspect then cites; one that tells what evidence of
    /// this case told already keeps that id.
    pub fn localize(&mut self, at: Timestamp, mut ranking: Ranking) {
        let end = self.window().map_or(at, |w| w.range.end());
        for suspect in &mut ranking.suspects {
            for seen in &mut suspect.observations {
                let (kind, time) = (seen.kind(), seen.since.unwrap_or(end));
                let known = self.evidence.iter().find(|e| {
                    e.kind == kind
                        && e.entity.as_ref() == Some(&suspect.entity)
                        && e.statement == seen.statement
                });
                let id = match known {
                    Some(evidence) => evidence.id.clone(),
                    None => self.cite(kind, Some(suspect.entity.clone()), time, seen.statement.clone()),
                };
                if !suspect.evidence.contains(&id) {
                    suspect.evidence.push(id.clone());
                }
                seen.id = Some(id);
            }
        }
        self.push(at, CasePart::Localized(ranking));
    }

    /// Adds an action that was run; what became of it is evidence for the next diagnosis.
    pub fn act(&mut self, receipt: ReceiptRecord) {
        let outcome = match &receipt.outcome {
            ActionOutcome::Completed => "carried out".to_owned(),
            ActionOutcome::Failed { reason } => format!("failed: {reason}"),
            ActionOutcome::NotStarted { reason } => format!("never begun: {reason}"),
        };
        let at = receipt.finished_at;
        let target = Some(receipt.action.target.clone());
        self.cite(EvidenceKind::Attempt, target, at, format!("{}: {outcome}", receipt.action));
        self.push(at, CasePart::Acted(receipt));
    }

    /// Adds any other part.
    pub fn push(&mut self, at: Timestamp, part: CasePart) {
        self.entries.push(CaseEntry { at, part });
    }

    fn cite(
        &mut self,
        kind: EvidenceKind,
        entity: Option<EntityId>,
        time: Timestamp,
        statement: String,
    ) -> EvidenceId {
        let n = self.evidence.iter().filter(|e| e.kind == kind).count() + 1;
        let id = EvidenceId::numbered(kind, n);
        self.evidence.push(Evidence { id: id.clone(), kind, entity, time, statement });
        id
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &IncidentId {
        &self.id
    }

    /// When it was opened.
    #[must_use]
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// Mode of the pipeline that opened it.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Everything, in the order it was added.
    #[must_use]
    pub fn entries(&self) -> &[CaseEntry] {
        &self.entries
    }

    /// All evidence, in the order it was added.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// The evidence `id`.
    #[must_use]
    pub fn cited(&self, id: &EvidenceId) -> Option<&Evidence> {
        self.evidence.iter().find(|e| e.id == *id)
    }

    /// All changes seen, in the order they were seen.
    #[must_use]
    pub fn changes(&self) -> &[CitedChange] {
        &self.changes
    }

    /// The change `id`.
    #[must_use]
    pub fn change(&self, id: &ChangeId) -> Option<&CitedChange> {
        self.changes.iter().find(|c| c.change.id == *id)
    }

    fn latest<'a, T>(&'a self, pick: impl Fn(&'a CasePart) -> Option<T>) -> Option<T> {
        self.entries.iter().rev().find_map(|e| pick(&e.part))
    }

    /// The last telemetry read.
    #[must_use]
    pub fn window(&self) -> Option<&TelemetryWindow> {
        self.latest(|p| if let CasePart::Observed(w) = p { Some(&**w) } else { None })
    }

    /// The anomalies found last.
    #[must_use]
    pub fn anomalies(&self) -> &[CitedAnomaly] {
        self.latest(|p| if let CasePart::Detected(a) = p { Some(a.as_slice()) } else { None })
            .unwrap_or_default()
    }

    /// What must be back to normal: the first finding on every signal that was ever found anomalous, in order of
    /// entity and series. A later round that no longer sees one does not excuse it.
    #[must_use]
    pub fn detected(&self) -> Vec<Anomaly> {
        let mut first: BTreeMap<_, &Anomaly> = BTreeMap::new();
        for entry in &self.entries {
            if let CasePart::Detected(anomalies) = &entry.part {
                for a in anomalies {
                    first.entry((&a.anomaly.entity, &a.anomaly.series)).or_insert(&a.anomaly);
                }
            }
        }
        first.into_values().cloned().collect()
    }

    /// The ranking made last.
    #[must_use]
    pub fn ranking(&self) -> Option<&Ranking> {
        self.latest(|p| if let CasePart::Localized(r) = p { Some(r) } else { None })
    }

    /// The diagnosis made last.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&Diagnosis> {
        self.latest(|p| if let CasePart::Diagnosed(d) = p { Some(d) } else { None })
    }

    /// Every action that was run, with what the verifier said of it.
    pub fn attempts(&self) -> impl Iterator<Item = (&ReceiptRecord, Option<Recovery>)> {
        self.entries.iter().enumerate().filter_map(|(i, e)| {
            let CasePart::Acted(receipt) = &e.part else { return None };
            let after = self.entries.get(i + 1..).unwrap_or_default();
            let recovery = after
                .iter()
                .take_while(|e| !matches!(e.part, CasePart::Acted(_)))
                .find_map(|e| if let CasePart::Verified(r) = &e.part { Some(r.recovery) } else { None });
            Some((receipt, recovery))
        })
    }

    /// How it ended; `None` while it is open.
    #[must_use]
    pub fn status(&self) -> Option<&CaseStatus> {
        self.latest(|p| if let CasePart::Closed(s) = p { Some(s) } else { None })
    }
}
