use std::collections::BTreeMap;

use aiops_core::model::EntityId;

use super::Deviating;
use crate::TopK;

/// An entity and how far its series deviate.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityRank {
    /// The entity.
    pub entity: EntityId,
    /// Highest weight of its series, in σ.
    pub weight: f64,
    /// Number of its series with findings.
    pub series: usize,
}

/// A metric name and how far its series deviate.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricRank {
    /// Name of the metric.
    pub metric: String,
    /// Highest weight of its series, in σ.
    pub weight: f64,
    /// Number of its series with findings.
    pub series: usize,
}

/// The `k` entities that deviate most, most first; equal ones in the order of their ids. // CMP-03
///
/// An entity weighs what its most deviating series weighs: a sum would rank whoever exports most series first.
#[must_use]
pub fn rank_entities(deviating: &[Deviating<'_>], k: usize) -> Vec<EntityRank> {
    ranked(deviating.iter().map(|d| (d.series.entity(), d.weight())), k)
        .map(|(weight, entity, series)| EntityRank { entity: entity.clone(), weight, series })
        .collect()
}

/// The `k` metrics that deviate most, most first; equal ones in the order of their names. // CMP-03
#[must_use]
pub fn rank_metrics(deviating: &[Deviating<'_>], k: usize) -> Vec<MetricRank> {
    ranked(deviating.iter().map(|d| (&d.series.key().name, d.weight())), k)
        .map(|(weight, metric, series)| MetricRank { metric: metric.clone(), weight, series })
        .collect()
}

/// Groups by key (maximum and count of positive weights), keeps the best `k`.
fn ranked<K: Ord + Copy>(
    weights: impl Iterator<Item = (K, f64)>,
    k: usize,
) -> impl Iterator<Item = (f64, K, usize)> {
    let mut groups: BTreeMap<K, (f64, usize)> = BTreeMap::new();
    for (key, weight) in weights.filter(|(_, weight)| *weight > 0.0) {
        let (highest, count) = groups.entry(key).or_default();
        *highest = highest.max(weight);
        *count += 1;
    }
    let mut top = TopK::new(k);
    for (key, (weight, count)) in groups {
        top.push(weight, (key, count));
    }
    top.into_sorted_vec().into_iter().map(|(weight, (key, count))| (weight, key, count))
}
