use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_compact::deviation::DeviationOptions;
use aiops_core::model::{Anomaly, Direction, EntityId, Severity, TelemetryWindow};
use serde::{Deserialize, Serialize};

use super::signals::{check_names, deviating, listed, named, names, overlap, places};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};

/// When one tenant's use is another's trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoisyNeighbourOptions {
    /// Metrics of what somebody takes of a shared resource.
    pub usage: Vec<String>,
    /// Metrics of what somebody suffers when there is too little left.
    pub suffering: Vec<String>,
    /// Labels that say where a series' entity runs, beside the topology's `runs_on` edges; series with equal values share
    /// resources.
    pub place_labels: Vec<String>,
    /// When a series deviates.
    pub deviation: DeviationOptions,
    /// Fewest others that must suffer, 1 to 1000. Default 1.
    pub min_victims: usize,
    /// Largest share of the tenants of a place whose use rose with the offender's, 0 to 1: when most of them take
    /// more, it is the load. Default 0.34.
    pub max_risen: f64,
}

impl Default for NoisyNeighbourOptions {
    fn default() -> Self {
        Self {
            usage: names(&[
                "container.cpu.usage",
                "container_cpu_usage_seconds_total",
                "k8s.pod.cpu.usage",
                "container.disk.io",
                "container_fs_writes_bytes_total",
                "container_network_transmit_bytes_total",
                "container.network.io",
                "k8s.pod.network.io",
                "tenant.requests",
            ]),
            suffering: names(&[
                "container_cpu_cfs_throttled_periods_total",
                "container.cpu.throttling_data.throttled_periods",
                "container_pressure_cpu_waiting_seconds_total",
                "container_pressure_io_waiting_seconds_total",
                "http.server.request.duration",
                "http.server.duration",
                "db.client.operation.duration",
                "tenant.latency",
            ]),
            place_labels: names(&["k8s.node.name", "host.name", "node"]),
            deviation: DeviationOptions::default(),
            min_victims: 1,
            max_risen: 0.34,
        }
    }
}

impl Options for NoisyNeighbourOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("usage", &self.usage)?;
        check_names("suffering", &self.suffering)?;
        aiops_compact::deviation::DeviationConfig::try_from(self.deviation)?;
        check_count("min_victims", self.min_victims, 1..=1000, "1 to 1000")?;
        check("max_risen", self.max_risen, 0.0..=1.0, "0 to 1")
    }
}

/// One tenant, pod or container whose use of a shared resource surged while others in the same place, whose own use did not,
/// began to suffer. Only the offender is named; the victims stand in the evidence.
///
/// A load that all share is none, nor is a surge that harms nobody, nor suffering that was there before.
#[derive(Debug, Clone, Copy)]
pub struct NoisyNeighbour;

/// [`NoisyNeighbour`] behind its seam.
pub type NoisyNeighbourDetector = UseCaseDetector<NoisyNeighbour>;

impl UseCase for NoisyNeighbour {
    const ID: &'static str = "noisy-neighbour";

    type Options = NoisyNeighbourOptions;

    fn look(options: &NoisyNeighbourOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let places = places(window, &options.place_labels);
        let risen = |list: &[String]| {
            let mut found = deviating(window, list, options.deviation);
            found.retain(|a| a.direction() == Direction::Up);
            found
        };
        let (surges, pains) = (risen(&options.usage), risen(&options.suffering));
        let mut tenants: BTreeMap<&EntityId, BTreeSet<&EntityId>> = BTreeMap::new();
        for series in named(window, &options.usage) {
            if let Some(place) = places.get(series.entity()) {
                tenants.entry(place).or_default().insert(series.entity());
            }
        }
        let mut found = Vec::new();
        for surge in &surges {
            let Some(place) = places.get(&surge.entity) else { continue };
            let all = tenants.get(place).map_or(0, BTreeSet::len);
            let also: BTreeSet<&EntityId> = surges
                .iter()
                .filter(|s| s.series.name == surge.series.name && overlap(s, surge))
                .filter(|s| places.get(&s.entity) == Some(place))
                .map(|s| &s.entity)
                .collect();
            let share = also.len() as f64 / all.max(1) as f64;
            // Alone among two the offender is half of the tenants; it is not "most of them".
            if share > options.max_risen && also.len() > 1 {
                continue;
            }
            let slack = window.range.length() / 20;
            let since = aiops_core::model::time::before(surge.onset, slack);
            let hurt = |pain: &&Anomaly| {
                pain.entity != surge.entity
                    && places.get(&pain.entity) == Some(place)
                    && !also.contains(&pain.entity)
                    && pain.onset >= since
                    && overlap(pain, surge)
            };
            let victims: BTreeSet<&EntityId> = pains.iter().filter(hurt).map(|pain| &pain.entity).collect();
            if victims.len() < options.min_victims {
                continue;
            }
            let times = surge.value / surge.baseline.center;
            let evidence = format!(
                "{} on {}: {} {times:.1} times the usual; {} suffer",
                surge.entity.name(),
                place.name(),
                surge.series.name,
                listed(victims.iter().copied()),
            );
            let mut symptom = Symptom::told(surge.clone(), evidence);
            let grave = pains.iter().filter(hurt).any(|pain| pain.severity == Severity::Critical);
            symptom.severity = if grave { Severity::Critical } else { Severity::Warning };
            found.push(symptom);
        }
        found
    }
}
