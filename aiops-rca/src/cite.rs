//! Which anomalies a suspect rests on.

use aiops_core::CitedAnomaly;
use aiops_core::model::{EntityId, EvidenceId};

/// The anomalies found at the first entity of `path` where any was, else the one that gave the onset at which before and after
/// were parted. `path` leads from the suspect to those its trouble travelled to.
pub(crate) fn cite(anomalies: &[CitedAnomaly], path: &[EntityId]) -> Vec<EvidenceId> {
    let of = |entity: &EntityId| -> Vec<EvidenceId> {
        anomalies.iter().filter(|a| a.anomaly.entity == *entity).map(|a| a.id.clone()).collect()
    };
    let found = path.iter().map(of).find(|found| !found.is_empty());
    found.unwrap_or_else(|| first(anomalies).map(|a| a.id.clone()).into_iter().collect())
}

/// The anomaly that began first.
pub(crate) fn first(anomalies: &[CitedAnomaly]) -> Option<&CitedAnomaly> {
    anomalies.iter().min_by_key(|a| (a.anomaly.onset, &a.id))
}
