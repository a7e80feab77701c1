use aiops_compact::ConfigError;
use aiops_compact::deviation::{DeviationConfig, DeviationOptions};
use aiops_core::model::{Direction, EntityId, MetricKind, Severity, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{check_names, deviating, increments, inside, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::check;
use crate::stats::median;

/// When a cache is too small for what is asked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSaturationOptions {
    /// Metrics of lookups that found something: running totals, or rates.
    pub hits: Vec<String>,
    /// Metrics of lookups that found nothing, of the same kind.
    pub misses: Vec<String>,
    /// Metrics of entries thrown out to make room, as rates.
    pub evictions: Vec<String>,
    /// Metrics of memory in use.
    pub memory: Vec<String>,
    /// Metrics of the memory there is.
    pub limit: Vec<String>,
    /// When evictions deviate.
    pub deviation: DeviationOptions,
    /// Share of the memory from which a cache is full, where both are known, 0 to 1. Default 0.9.
    pub full: f64,
    /// By how much the share of hits must fall, more than 0 to 1. Default 0.1.
    pub fall: f64,
    /// By how much it falls where that is critical, `fall` to 1. Default 0.3.
    pub critical: f64,
    /// Fewest lookups before, and since, to speak of a share of hits; ≥ 1. Default 100.
    pub min_lookups: f64,
}

impl Default for CacheSaturationOptions {
    fn default() -> Self {
        Self {
            hits: names(&[
                "redis_keyspace_hits_total",
                "redis.keyspace.hits",
                "cache.hits",
                "memcached_get_hits",
            ]),
            misses: names(&[
                "redis_keyspace_misses_total",
                "redis.keyspace.misses",
                "cache.misses",
                "memcached_get_misses",
            ]),
            evictions: names(&[
                "redis_evicted_keys_total",
                "redis.keys.evicted",
                "cache.evictions",
                "memcached_items_evicted_total",
            ]),
            memory: names(&[
                "redis_memory_used_bytes",
                "redis.memory.used",
                "cache.memory.used",
                "memcached_current_bytes",
            ]),
            limit: names(&[
                "redis_memory_max_bytes",
                "redis.maxmemory",
                "cache.memory.limit",
                "memcached_limit_bytes",
            ]),
            deviation: DeviationOptions::default(),
            full: 0.9,
            fall: 0.1,
            critical: 0.3,
            min_lookups: 100.0,
        }
    }
}

impl Options for CacheSaturationOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("hits", &self.hits),
            ("misses", &self.misses),
            ("evictions", &self.evictions),
            ("memory", &self.memory),
            ("limit", &self.limit),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        DeviationConfig::try_from(self.deviation)?;
        check("full", self.full, 0.0..=1.0, "0 to 1")?;
        check("fall", self.fall, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check("critical", self.critical, self.fall..=1.0, "`fall` to 1")?;
        check("min_lookups", self.min_lookups, 1.0.., "a finite number ≥ 1")
    }
}

/// A cache that throws out what is still asked for: evictions surge, and since then the share of hits is lower, while its
/// memory is in use (Redis, *Key eviction*; a working set that outgrew the cache, Denning 1968).
///
/// *Needs* evictions, hits and misses of one entity; memory and its limit where they are told.
/// *Is none:* a cold cache, after a restart or a flush, misses without evicting; a full one whose share of hits holds evicts
/// what nobody wants, as it should; entries that run out are no evictions.
/// *Does not see* a cache that was too small all the time: there is nothing it fell from.
#[derive(Debug, Clone, Copy)]
pub struct CacheSaturation;

/// [`CacheSaturation`] behind its seam.
pub type CacheSaturationDetector = UseCaseDetector<CacheSaturation>;

/// Lookups of an entity before `onset` and from then on.
fn lookups(
    window: &TelemetryWindow,
    list: &[String],
    entity: &EntityId,
    kind: MetricKind,
    onset: Timestamp,
) -> (f64, f64) {
    let (mut before, mut since) = (0.0, 0.0);
    for series in named(window, list).into_iter().filter(|s| s.entity() == entity && s.kind() == kind) {
        for (t, count) in increments(series, window) {
            *if t < onset { &mut before } else { &mut since } += count.max(0.0);
        }
    }
    (before, since)
}

impl UseCase for CacheSaturation {
    const ID: &'static str = "cache-saturation";

    type Options = CacheSaturationOptions;

    fn look(options: &CacheSaturationOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = Vec::new();
        for surge in deviating(window, &options.evictions, options.deviation) {
            if surge.direction() != Direction::Up {
                continue;
            }
            // Hits and misses that are counted differently make no share.
            let Some(kind) = named(window, &options.hits)
                .into_iter()
                .find(|s| *s.entity() == surge.entity)
                .map(|s| s.kind())
            else {
                continue;
            };
            let count = |list| lookups(window, list, &surge.entity, kind, surge.onset);
            let (hits, misses) = (count(&options.hits), count(&options.misses));
            let all = (hits.0 + misses.0, hits.1 + misses.1);
            if all.0.min(all.1) < options.min_lookups {
                continue;
            }
            let (was, is) = (hits.0 / all.0, hits.1 / all.1);
            if was - is < options.fall {
                continue;
            }
            let since = |list: &[String]| {
                let own = named(window, list).into_iter().filter(|s| *s.entity() == surge.entity);
                median(own.flat_map(|s| inside(s, window)).filter(|p| p.0 >= surge.onset).map(|p| p.1))
            };
            // NaN where either is not told: then evictions are the only witness.
            let used = since(&options.memory) / since(&options.limit);
            if used < options.full {
                continue;
            }
            let memory = if used.is_finite() {
                format!(" at {:.0} % of its memory", 100.0 * used)
            } else {
                String::new()
            };
            let evidence = format!(
                "{} evicts{memory}, and {:.0} % of lookups find something where {:.0} % did",
                surge.entity.name(),
                100.0 * is,
                100.0 * was
            );
            let critical = was - is >= options.critical;
            let mut symptom = Symptom::told(surge, evidence);
            symptom.severity = if critical { Severity::Critical } else { Severity::Warning };
            found.push(symptom);
        }
        found
    }
}
