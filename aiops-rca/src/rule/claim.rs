use aiops_core::model::{ChangeId, EntityId, EvidenceId, FaultType};

/// What a rule says.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Failing system, where it is not the suspect itself.
    pub(crate) system: Option<EntityId>,
    pub(crate) fault: FaultType,
    pub(crate) mechanism: Option<String>,
    pub(crate) statement: String,
    /// 0..=1.
    pub(crate) support: f64,
    pub(crate) citations: Vec<EvidenceId>,
    pub(crate) change: Option<ChangeId>,
    pub(crate) next: Vec<String>,
    /// Whether a fresh process would be free of it.
    pub(crate) transient: bool,
    /// Whether the blamed change shows in what deviates; `None` where no change is blamed.
    pub(crate) shown: Option<bool>,
}

impl Claim {
    pub(crate) fn new(fault: FaultType, mechanism: &str, statement: String, support: f64) -> Self {
        Self {
            system: None,
            fault,
            mechanism: (!mechanism.is_empty()).then(|| mechanism.to_owned()),
            statement,
            support: support.clamp(0.0, 1.0),
            citations: Vec::new(),
            change: None,
            next: Vec::new(),
            transient: false,
            shown: None,
        }
    }

    pub(crate) fn citing(mut self, ids: impl IntoIterator<Item = EvidenceId>) -> Self {
        for id in ids {
            if !self.citations.contains(&id) {
                self.citations.push(id);
            }
        }
        self
    }

    pub(crate) fn next(mut self, check: impl Into<String>) -> Self {
        self.next.push(check.into());
        self
    }

    pub(crate) fn transient(mut self) -> Self {
        self.transient = true;
        self
    }
}
