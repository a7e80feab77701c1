//! Token buckets in tiers. Critical alerts do not pass here.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, Severity, time::elapsed};
use serde::{Deserialize, Serialize};

use super::config::LimitOptions;

/// Parts of a token: `n` tokens a minute are `n` parts a millisecond, so that refilling stays exact in integers.
const PARTS: u64 = 60_000;

/// Buckets that are full again are looked for no more often than this.
const SWEEP: Duration = Duration::from_secs(10);

/// What refused an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The limit of one entity.
    Entity,
    /// The limit of informational alerts.
    Info,
    /// The limit of warnings.
    Warning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    parts: u64,
    at: Timestamp,
}

impl Bucket {
    fn full(burst: u32, at: Timestamp) -> Self {
        Self { parts: u64::from(burst) * PARTS, at }
    }

    /// Time only adds tokens; a clock that jumps back adds none, and they come again from there on.
    fn refill(&mut self, per_minute: u32, burst: u32, now: Timestamp) {
        self.at = self.at.min(now);
        let millis = u64::try_from(elapsed(self.at, now).as_millis()).unwrap_or(u64::MAX);
        let won = millis.saturating_mul(u64::from(per_minute));
        // Less than a millisecond must not be lost to many small steps.
        if won > 0 {
            self.parts = self.parts.saturating_add(won).min(u64::from(burst) * PARTS);
            self.at = now;
        }
    }

    fn has_token(&self) -> bool {
        self.parts >= PARTS
    }

    fn take(&mut self) {
        self.parts = self.parts.saturating_sub(PARTS);
    }
}

/// The buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limiter {
    info: Option<Bucket>,
    warning: Option<Bucket>,
    entities: BTreeMap<EntityId, Bucket>,
    others: Option<Bucket>,
    swept: Option<Timestamp>,
}

impl Limiter {
    /// Takes a token of each tier that `severity` needs, or none and says which tier had none.
    pub(super) fn admit(
        &mut self,
        entity: &EntityId,
        severity: Severity,
        now: Timestamp,
        options: &LimitOptions,
    ) -> Result<(), Tier> {
        let (tier, slot, rate, burst) = match severity {
            Severity::Critical => return Ok(()),
            Severity::Warning => {
                (Tier::Warning, &mut self.warning, options.warning_per_minute, options.warning_burst)
            }
            Severity::Info => (Tier::Info, &mut self.info, options.info_per_minute, options.info_burst),
        };
        let tiered = slot.get_or_insert_with(|| Bucket::full(burst, now));
        tiered.refill(rate, burst, now);
        let (rate, burst) = (options.entity_per_minute, options.entity_burst);
        let due = self.swept.is_none_or(|swept| now < swept || elapsed(swept, now) >= SWEEP);
        if due && self.entities.len() >= options.max_entities && !self.entities.contains_key(entity) {
            self.swept = Some(now);
            // A full bucket is like none.
            self.entities.retain(|_, bucket| {
                bucket.refill(rate, burst, now);
                bucket.parts < u64::from(burst) * PARTS
            });
        }
        let own = if self.entities.len() < options.max_entities || self.entities.contains_key(entity) {
            self.entities.entry(entity.clone()).or_insert_with(|| Bucket::full(burst, now))
        } else {
            self.others.get_or_insert_with(|| Bucket::full(burst, now))
        };
        own.refill(rate, burst, now);
        if !own.has_token() {
            return Err(Tier::Entity);
        }
        if !tiered.has_token() {
            return Err(tier);
        }
        own.take();
        tiered.take();
        Ok(())
    }

    /// Whether a stored state could have come about.
    pub(super) fn is_sound(&self, options: &LimitOptions) -> bool {
        let most = [options.info_burst, options.warning_burst, options.entity_burst]
            .into_iter()
            .map(u64::from)
            .max()
            .unwrap_or(0)
            * PARTS;
        self.entities.len() <= options.max_entities
            && self
                .entities
                .values()
                .chain(&self.info)
                .chain(&self.warning)
                .chain(&self.others)
                .all(|bucket| bucket.parts <= most)
    }
}
