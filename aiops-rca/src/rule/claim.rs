use std::collections::BTreeMap;

use aiops_core::model::{CausalTest, ChangeId, Check, Distinction, EntityId, EvidenceId, FaultType, Signal};

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
    pub(crate) next: Vec<Check>,
    /// Whether a fresh process would be free of it.
    pub(crate) transient: bool,
    /// Whether the blamed change shows in what deviates; `None` where no change is blamed.
    pub(crate) shown: Option<bool>,
    /// Support by the signal it was read from, where it rests on what a localiser observed.
    pub(crate) by_signal: BTreeMap<Signal, f64>,
    /// What sets it apart, as far as its own rule knows.
    pub(crate) distinctions: Vec<Distinction>,
    /// Interventions that spoke for or against it.
    pub(crate) tests: Vec<CausalTest>,
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
            by_signal: BTreeMap::new(),
            distinctions: Vec::new(),
            tests: Vec::new(),
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

    pub(crate) fn next(mut self, check: Check) -> Self {
        self.next.push(check);
        self
    }

    pub(crate) fn apart(mut self, from: FaultType, why: impl Into<String>, shown: Vec<EvidenceId>) -> Self {
        self.distinctions.push(Distinction::new(from, why, shown));
        self
    }

    /// The same cause, seen by a localiser. Signals corroborate each other; a second look at the same signal adds nothing, so
    /// the stronger look at metrics stands for both.
    pub(crate) fn absorb(&mut self, seen: Self) {
        let mut left = 1.0;
        for (signal, support) in &seen.by_signal {
            let support = if *signal == Signal::Metrics { support.max(self.support) } else { *support };
            left *= 1.0 - support;
        }
        if !seen.by_signal.contains_key(&Signal::Metrics) {
            left *= 1.0 - self.support;
        }
        self.support = (1.0_f64 - left).clamp(0.0, 1.0);
        for id in seen.citations {
            if !self.citations.contains(&id) {
                self.citations.push(id);
            }
        }
        self.statement += "; ";
        self.statement += &seen.statement;
    }

    pub(crate) fn transient(mut self) -> Self {
        self.transient = true;
        self
    }
}
