//! Past incidents that looked alike, and triage by them (RCA-10, RCA-11).

use std::collections::{BTreeMap, VecDeque};

use aiops_core::action::{ActionKind, ActionOutcome, IncidentId};
use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, FaultType, Recovery, Severity, Signal};
use aiops_core::{Case, CaseStatus, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, within};
use crate::picture::{Picture, SymptomConfig};
use crate::roles::MetricRoles;

/// Version of the format of an [`IncidentMemory`].
pub const MEMORY_VERSION: u32 = 1;

/// Settings of an [`IncidentMemory`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// Most incidents kept; the oldest goes first. Default 1,000, 1 or more.
    pub capacity: usize,
    /// Similarity from which an incident is a known one; default 0.6, 0..=1.
    pub known: f64,
    /// Weight of where something was seen beside what was seen; default 0.3, 0..=1.
    pub place: f64,
    /// How deviations become symptoms.
    pub symptoms: SymptomConfig,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { capacity: 1000, known: 0.6, place: 0.3, symptoms: SymptomConfig::default() }
    }
}

impl MemoryConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        if self.capacity == 0 {
            return Err(out_of_range("capacity", self.capacity, "1 or more"));
        }
        within("known", self.known, 0.0, 1.0)?;
        within("place", self.place, 0.0, 1.0)?;
        self.symptoms.validate()
    }
}

/// An incident as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PastIncident {
    /// Its id.
    pub id: IncidentId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Failing system, kind of fault and mechanism of its last diagnosis.
    pub cause: Option<(EntityId, FaultType, Option<String>)>,
    /// What was done last and, as verified, helped.
    pub remedy: Option<(ActionKind, EntityId)>,
    /// Whether it closed as recovered.
    pub recovered: bool,
    /// What was seen, without and with whom it was seen on, and how strongly.
    signature: BTreeMap<String, f64>,
}

/// A past incident and how much the present one looks like it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SimilarIncident {
    /// The past one.
    pub incident: PastIncident,
    /// 0..=1.
    pub similarity: f64,
}

/// A first sorting, before a root cause is told (RCA-11).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Triage {
    /// Gravest severity of what was found.
    pub severity: Option<Severity>,
    /// Kind of fault of the incidents it looks like, where they agree.
    pub fault: Option<FaultType>,
    /// What helped then: the remedy of the most similar incident that was known and recovered.
    pub remedy: Option<(ActionKind, EntityId)>,
    /// Whether it is a known incident; what is novel goes to a person with the report.
    pub known: bool,
    /// Past incidents, the most similar first.
    pub similar: Vec<SimilarIncident>,
}

/// Remembers closed incidents by what was seen, bounded and serialisable.
///
/// Two incidents are as similar as what was seen in both is to what was seen in either: the weighted Jaccard similarity
/// Σ min / Σ max of strengths by role, mechanism and shape of metrics, by aspect of the localiser's observations, and by kind of
/// change before the onset; each once without and, at a lower weight, once with the system it was seen on, so that the same trouble
/// elsewhere is alike and the same trouble at the same place more so.
///
/// O(incidents · seen) a search.
#[derive(Debug, Clone)]
pub struct IncidentMemory {
    config: MemoryConfig,
    roles: MetricRoles,
    past: VecDeque<PastIncident>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    incidents: VecDeque<PastIncident>,
}

impl IncidentMemory {
    /// Nothing remembered.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when the configuration is out of range.
    pub fn new(roles: MetricRoles, config: MemoryConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, roles, past: VecDeque::new() })
    }

    /// What [`to_json`](Self::to_json) wrote; of more than the capacity the latest are kept.
    ///
    /// # Errors
    /// [`Malformed`](ErrorKind::Malformed) for anything else, [`Unsupported`](ErrorKind::Unsupported) for another version,
    /// [`Invalid`](ErrorKind::Invalid) for the configuration.
    pub fn from_json(json: &[u8], roles: MetricRoles, config: MemoryConfig) -> Result<Self> {
        let mut memory = Self::new(roles, config)?;
        let stored: Stored = serde_json::from_slice(json)
            .map_err(|e| Error::new(ErrorKind::Malformed, "not an incident memory").caused_by(e))?;
        if stored.version != MEMORY_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "an incident memory of another version")
                .with("version", stored.version)
                .with("known", MEMORY_VERSION));
        }
        let weighed = |v: &f64| v.is_finite() && *v >= 0.0;
        if !stored.incidents.iter().flat_map(|i| i.signature.values()).all(weighed) {
            return Err(Error::new(ErrorKind::Malformed, "a strength is no number of 0 or more"));
        }
        for incident in stored.incidents {
            memory.keep(incident);
        }
        Ok(memory)
    }

    /// The incidents, to be read by [`from_json`](Self::from_json).
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) when they cannot be serialised.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&Stored { version: MEMORY_VERSION, incidents: self.past.clone() })
            .map_err(|e| Error::new(ErrorKind::Internal, "a memory cannot be serialised").caused_by(e))
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &MemoryConfig {
        &self.config
    }

    /// Number of incidents remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.past.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.past.is_empty()
    }

    /// Remembers a closed case; one of the same id is replaced. Returns whether it was remembered: an open case, or one in
    /// which nothing was seen, is not.
    pub fn remember(&mut self, case: &Case) -> bool {
        let signature = self.signature(case);
        let Some(status) = case.status().filter(|_| !signature.is_empty()) else { return false };
        let helped = case.attempts().filter(|(receipt, recovery)| {
            receipt.outcome == ActionOutcome::Completed && *recovery == Some(Recovery::Recovered)
        });
        let cause = case.diagnosis().and_then(|d| d.cause());
        let incident = PastIncident {
            id: case.id().clone(),
            opened_at: case.opened_at(),
            cause: cause.map(|h| (h.system.clone(), h.fault, h.mechanism.clone())),
            remedy: helped.last().map(|(receipt, _)| (receipt.action.kind(), receipt.action.target.clone())),
            recovered: *status == CaseStatus::Recovered,
            signature,
        };
        self.past.retain(|p| p.id != incident.id);
        self.keep(incident);
        true
    }

    fn keep(&mut self, incident: PastIncident) {
        self.past.push_back(incident);
        while self.past.len() > self.config.capacity {
            self.past.pop_front();
        }
    }

    /// The `top` past incidents most like `case`, itself left out; equal ones the latest first.
    #[must_use]
    pub fn similar(&self, case: &Case, top: usize) -> Vec<SimilarIncident> {
        let now = self.signature(case);
        let mut found: Vec<SimilarIncident> = self
            .past
            .iter()
            .filter(|p| p.id != *case.id())
            .map(|p| SimilarIncident { incident: p.clone(), similarity: jaccard(&now, &p.signature) })
            .filter(|s| s.similarity > 0.0)
            .collect();
        found.sort_by(|a, b| {
            b.similarity
                .total_cmp(&a.similarity)
                .then_with(|| b.incident.opened_at.cmp(&a.incident.opened_at))
                .then_with(|| a.incident.id.cmp(&b.incident.id))
        });
        found.truncate(top);
        found
    }

    /// Sorts `case` by its findings and the `top` past incidents like it.
    #[must_use]
    pub fn triage(&self, case: &Case, top: usize) -> Triage {
        let similar = self.similar(case, top);
        let known: Vec<&SimilarIncident> =
            similar.iter().filter(|s| s.similarity >= self.config.known).collect();
        let healed = known.iter().find(|s| s.incident.recovered && s.incident.remedy.is_some());
        let mut kinds: Vec<FaultType> =
            known.iter().filter_map(|s| s.incident.cause.as_ref().map(|c| c.1)).collect();
        kinds.sort();
        kinds.dedup();
        Triage {
            severity: case.anomalies().iter().map(|a| a.anomaly.severity).max(),
            fault: kinds.first().copied().filter(|_| kinds.len() == 1),
            remedy: healed.and_then(|s| s.incident.remedy.clone()),
            known: healed.is_some(),
            similar,
        }
    }

    /// What was seen in the first round: later ones see what was done about it too.
    fn signature(&self, case: &Case) -> BTreeMap<String, f64> {
        let mut seen: BTreeMap<String, f64> = BTreeMap::new();
        let mut add = |what: String, place: Option<&EntityId>, strength: f64| {
            if !(strength.is_finite() && strength > 0.0) {
                return;
            }
            if let Some(place) = place {
                let at = seen.entry(format!("{what} at {place}")).or_default();
                *at = at.max(strength * self.config.place);
            }
            let anywhere = seen.entry(what).or_default();
            *anywhere = anywhere.max(strength);
        };
        let mut window = None;
        let mut onset = None;
        for entry in case.entries() {
            match &entry.part {
                aiops_core::CasePart::Observed(w) => window = window.or(Some(w)),
                aiops_core::CasePart::Detected(anomalies) => {
                    let Some(window) = window.filter(|_| onset.is_none()) else { continue };
                    let picture = Picture::of(window, anomalies, &self.roles, &self.config.symptoms);
                    onset = picture.first;
                    for (id, group) in &picture.groups {
                        for s in group.harmful() {
                            let mechanism = s.class.mechanism.as_deref().unwrap_or("");
                            let what = format!("{:?} {mechanism} {}", s.class.role, s.anomaly().shape);
                            add(what, Some(id), s.strength);
                        }
                    }
                }
                aiops_core::CasePart::Localized(ranking) => {
                    for suspect in &ranking.suspects {
                        for o in suspect.observations.iter().filter(|o| o.signal != Signal::Metrics) {
                            let strength = o.strength / (o.strength + 1.0);
                            add(format!("{} {}", o.signal, o.aspect), Some(&suspect.entity), strength);
                        }
                    }
                    break;
                }
                _ => {}
            }
        }
        if let Some(onset) = onset {
            for c in case.changes().iter().filter(|c| c.change.time <= onset) {
                add(format!("change {:?}", c.change.kind), None, 0.5);
            }
        }
        seen
    }
}

/// Σ min / Σ max (Ruzicka).
fn jaccard(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    let (mut both, mut either) = (0.0, 0.0);
    for (what, x) in a {
        let y = b.get(what).copied().unwrap_or(0.0);
        both += x.min(y);
        either += x.max(y);
    }
    either += b.iter().filter(|(what, _)| !a.contains_key(*what)).map(|(_, y)| y).sum::<f64>();
    if either > 0.0 { both / either } else { 0.0 }
}
