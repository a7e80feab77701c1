//! Which anomalies a suspect rests on.

use aiops_core::CitedAnomaly;
use aiops_core::model::{EntityId, EvidenceId};

use crate::onset::OnsetConfig;

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

/// The anomaly that tells when the trouble began. Those tell of it that are under way at the end (all, where none is) and whose strength is at
/// least [`OnsetConfig::leading`] of the strongest one's, on the scale ln(1 + |σ| / `unit`) up to `most` σ: of many signals some always left
/// their norm a little a while ago; what began weeks ago and is loud, as a leak, counts. In order of time it is the one with which more than
/// [`OnsetConfig::coincidence`] of all their strength has begun.
pub(crate) fn leading<'a>(
    anomalies: impl IntoIterator<Item = &'a CitedAnomaly>,
    config: &OnsetConfig,
    unit: f64,
    most: f64,
) -> Option<&'a CitedAnomaly> {
    let anomalies: Vec<&CitedAnomaly> = anomalies.into_iter().collect();
    let strength = |a: &CitedAnomaly| {
        let sigma = a.anomaly.sigma.abs();
        if sigma.is_nan() { 0.0 } else { (sigma.min(most) / unit).ln_1p() }
    };
    let lasting: Vec<&CitedAnomaly> = anomalies.iter().copied().filter(|a| a.anomaly.ongoing).collect();
    let among = if lasting.is_empty() { anomalies } else { lasting };
    let loudest = among.iter().map(|a| strength(a)).fold(0.0, f64::max);
    let mut loud: Vec<&CitedAnomaly> =
        among.into_iter().filter(|a| strength(a) >= config.leading * loudest).collect();
    loud.sort_by(|a, b| (a.anomaly.onset, &a.id).cmp(&(b.anomaly.onset, &b.id)));
    let by_chance = config.coincidence * loud.iter().map(|a| strength(a)).sum::<f64>();
    let mut begun = 0.0;
    let late = loud.iter().position(|a| {
        begun += strength(a);
        begun > by_chance
    });
    loud.get(late.unwrap_or_default()).copied()
}
