use std::collections::BTreeMap;

use aiops_core::model::{CausalTest, ChangeId, Check, Distinction, EntityId, EvidenceId, FaultType};

use crate::fusion::Effect;

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
    /// How little the blamed change can have come just then by coincidence, 0..=1; 0 where none is blamed.
    pub(crate) timely: f64,
    /// Whether the blamed change shows in what deviates; `None` where no change is blamed.
    pub(crate) shown: Option<bool>,
    /// The symptom that its rule read from anomalies.
    pub(crate) effect: Effect,
    /// Support by symptom, where it rests on what a localiser observed.
    pub(crate) by_effect: BTreeMap<Effect, f64>,
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
            timely: 0.0,
            shown: None,
            effect: Effect::Answers,
            by_effect: BTreeMap::new(),
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

    /// The same, where its rule read `effect` from anomalies.
    pub(crate) fn showing(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// The same cause, seen by a localiser. Different symptoms corroborate each other; of one symptom, in whatever signals it was
    /// seen, the strongest sight counts.
    pub(crate) fn absorb(&mut self, seen: Self) {
        let mut by_effect = seen.by_effect;
        let own = by_effect.entry(self.effect).or_default();
        *own = own.max(self.support);
        self.support = corroborated(&by_effect);
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

/// Support that different symptoms give together, as independent witnesses do: 1 − ∏(1 − support).
pub(crate) fn corroborated(by_effect: &BTreeMap<Effect, f64>) -> f64 {
    let left = by_effect.values().fold(1.0, |left, support| left * (1.0 - support));
    (1.0_f64 - left).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use aiops_core::model::FaultType;

    use super::{Claim, corroborated};
    use crate::fusion::Effect;

    fn seen(by_effect: &[(Effect, f64)]) -> Claim {
        let mut claim = Claim::new(FaultType::ResourceExhaustion, "memory", "seen".to_owned(), 0.0);
        claim.by_effect = by_effect.iter().copied().collect();
        claim.support = corroborated(&claim.by_effect);
        claim
    }

    #[test]
    fn one_symptom_seen_by_rule_and_localiser_counts_once_and_another_corroborates() {
        let support = |by_effect: &[(Effect, f64)]| {
            let known = Claim::new(FaultType::ResourceExhaustion, "memory", "known".to_owned(), 0.6);
            let mut known = known.showing(Effect::Usage);
            known.absorb(seen(by_effect));
            known.support
        };
        for (by_effect, expected) in [
            (vec![(Effect::Usage, 0.5)], 0.6),
            (vec![(Effect::Usage, 0.7)], 0.7),
            (vec![(Effect::Answers, 0.5)], 0.8),
            (vec![(Effect::Usage, 0.7), (Effect::Answers, 0.5)], 0.85),
        ] {
            assert!((support(&by_effect) - expected).abs() < 1e-12, "{by_effect:?}: {}", support(&by_effect));
        }
    }
}
