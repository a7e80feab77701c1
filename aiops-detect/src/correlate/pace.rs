//! How often something begins in a place, to tell coincidence from company.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{float, time::elapsed};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;

/// Onsets this close together are at the same time: that far apart are the samples of most metrics.
const RESOLUTION: Duration = Duration::from_secs(60);

/// Weight of what is held to be usual, as time in which it was seen.
const PRIOR_HOURS: f64 = 1.0;

/// Incidents that began in a place, and for how long it was watched; both fade.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    #[serde(with = "float")]
    opened: f64,
    #[serde(with = "float")]
    hours: f64,
    at: Timestamp,
}

impl Beat {
    /// As it is at `now`. A clock that jumps back lets no time pass.
    fn at(&self, now: Timestamp, memory: Duration) -> Self {
        let passed = elapsed(self.at, now);
        let kept = (-passed.as_secs_f64() / memory.as_secs_f64()).exp();
        let memory_hours = memory.as_secs_f64() / 3600.0;
        // Watching without end amounts to the memory.
        let hours = self.hours * kept + memory_hours * (1.0 - kept);
        Self { opened: self.opened * kept, hours, at: self.at.max(now) }
    }
}

/// The rate at which incidents begin, by place (Poisson with a Gamma prior).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<(String, String, Beat)>", from = "Vec<(String, String, Beat)>")]
pub(super) struct Pace(BTreeMap<(String, String), Beat>);

impl From<Pace> for Vec<(String, String, Beat)> {
    fn from(pace: Pace) -> Self {
        pace.0.into_iter().map(|((label, value), beat)| (label, value, beat)).collect()
    }
}

impl From<Vec<(String, String, Beat)>> for Pace {
    fn from(beats: Vec<(String, String, Beat)>) -> Self {
        Self(beats.into_iter().map(|(label, value, beat)| ((label, value), beat)).collect())
    }
}

impl Pace {
    /// An incident began in these places.
    pub(super) fn opened(
        &mut self,
        places: &[(String, String)],
        now: Timestamp,
        options: &CorrelatorOptions,
    ) {
        for place in places {
            if !self.0.contains_key(place) && self.0.len() >= options.max_events {
                // Where little begins, what is usual says nearly the same.
                self.0.retain(|_, beat| beat.at(now, options.pace_memory).opened >= 0.5);
                if self.0.len() >= options.max_events {
                    continue;
                }
            }
            let beat = self.0.entry(place.clone()).or_insert(Beat { opened: 0.0, hours: 0.0, at: now });
            *beat = beat.at(now, options.pace_memory);
            beat.opened += 1.0;
        }
    }

    /// Probability that nothing else would have begun by chance within `gap`.
    pub(super) fn no_coincidence(
        &self,
        place: &(String, String),
        gap: Duration,
        now: Timestamp,
        options: &CorrelatorOptions,
    ) -> f64 {
        let prior = options.usual_per_hour * PRIOR_HOURS;
        let beat = self.0.get(place).map(|beat| beat.at(now, options.pace_memory));
        let (opened, hours) = beat.map_or((0.0, 0.0), |beat| (beat.opened, beat.hours));
        let per_hour = (prior + opened) / (PRIOR_HOURS + hours);
        (-per_hour * (gap + RESOLUTION).as_secs_f64() / 3600.0).exp()
    }

    pub(super) fn is_sound(&self, options: &CorrelatorOptions) -> bool {
        let counts = |beat: &Beat| [beat.opened, beat.hours].iter().all(|v| v.is_finite() && *v >= 0.0);
        self.0.len() <= options.max_events && self.0.values().all(counts)
    }
}
