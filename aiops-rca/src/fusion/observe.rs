//! Findings on their way to the root cause: as observations of a ranking, and back.

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, FaultType, Observation, Ranking, Suspect};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;

use super::config::FusionConfig;
use super::fault::fault;
use super::finding::{Finding, FindingKind};
use super::{FusedRanking, FusedSuspect};

impl FusedRanking {
    /// The ranking as localisers hand it on: suspects whom findings support, by how much they do, with the findings as observations
    /// since `since`. [`Ranking::by`] names the localiser.
    #[must_use]
    pub fn ranking(&self, since: Option<Timestamp>) -> Ranking {
        let suspects = self.suspects.iter().filter(|s| s.supported > 0.0).map(|s| suspect(s, since));
        let mut ranking = Ranking::new(suspects.collect());
        ranking.unseen.clone_from(&self.unseen);
        ranking
    }
}

fn suspect(of: &FusedSuspect, since: Option<Timestamp>) -> Suspect {
    let mut suspect = Suspect::new(of.entity.clone(), of.supported);
    suspect.path.clone_from(&of.path);
    let seen = of.findings.iter().filter(|f| f.strength * f.own > 0.0).map(|f| {
        let mut seen = Observation::new(f.signal, word_of(f.kind), f.strength * f.own, f.statement.clone());
        seen.since = f.since.or(since);
        seen
    });
    suspect.observations = seen.collect();
    suspect
}

/// The kind in the word that files use.
fn word_of(kind: FindingKind) -> String {
    let value = serde_json::to_value(kind).ok();
    value.as_ref().and_then(|v| v.as_str()).unwrap_or_default().to_owned()
}

/// The kind a word of a file stands for; `None` for the words of other localisers.
pub(crate) fn kind_of(word: &str) -> Option<FindingKind> {
    FindingKind::deserialize(IntoDeserializer::<WordError>::into_deserializer(word)).ok()
}

/// What kind of fault findings of these kinds and strengths speak for, and which decided.
pub(crate) fn fault_of(
    entity: &EntityId,
    seen: impl Iterator<Item = (FindingKind, f64)>,
) -> (FaultType, Option<FindingKind>) {
    let findings: Vec<Finding> =
        seen.map(|(kind, strength)| Finding::new(entity, kind, strength, String::new())).collect();
    fault(&findings, &FusionConfig::default())
}

#[cfg(test)]
mod tests {
    use super::{kind_of, word_of};
    use crate::FindingKind;

    #[test]
    fn words_and_kinds_go_both_ways() {
        for kind in [FindingKind::Cpu, FindingKind::SelfTime, FindingKind::LogMissing] {
            assert_eq!(kind_of(&word_of(kind)), Some(kind));
        }
        assert_eq!(word_of(FindingKind::CallTime), "call_time");
        assert_eq!(kind_of("of another localiser"), None);
    }
}
