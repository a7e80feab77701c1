//! Calls that are no longer made, as metrics tell.

use std::collections::BTreeMap;

use aiops_core::model::EntityId;
use jiff::Timestamp;

use super::calls::Calls;
use super::config::FusionConfig;
use super::finding::{Finding, FindingKind};
use super::load::Arriving;
use crate::robust::{location_and_scale, quantile, sorted};

/// Samples in order of time.
type Samples = Vec<(Timestamp, f64)>;

/// Requests that arrive at entities, by the name of the metric that counts them.
#[derive(Debug, Default)]
pub(super) struct Flows<'a>(BTreeMap<(&'a EntityId, &'a str), Flow>);

#[derive(Debug, Default)]
struct Flow {
    before: Samples,
    now: Samples,
}

impl<'a> Flows<'a> {
    /// Series of one name are counts of different requests.
    pub(super) fn add<'s>(
        &mut self,
        entity: &'a EntityId,
        name: &'a str,
        before: impl Iterator<Item = &'s (Timestamp, f64)>,
        now: &Samples,
    ) {
        let flow = self.0.entry((entity, name)).or_default();
        flow.before.extend(before);
        flow.now.extend(now);
    }

    /// What an entity gets for each request of its only caller, lately and now: where each took such a call
    /// ([`FusionConfig::always`]) and no longer does, the caller does not what it did. Of calls that only some requests take, and against
    /// another day, it may be other requests that come. Load does not count, nor does trouble of the callee, which does not decide whether it
    /// is called. Of an entity with
    /// several callers nobody can tell whose calls are missing, and of samples taken at other instants than the caller's nothing (range queries
    /// and recording rules sample everybody at once). O(samples · log samples).
    ///
    /// And the requests that arrive at each entity, by the metric that counts most.
    pub(super) fn findings(
        mut self,
        calls: &Calls<'_>,
        config: &FusionConfig,
    ) -> (Vec<Finding>, BTreeMap<&'a EntityId, Arriving>) {
        let mut found = Vec::new();
        let mut arriving: BTreeMap<&EntityId, Arriving> = BTreeMap::new();
        for flow in self.0.values_mut() {
            sum(&mut flow.before);
            sum(&mut flow.now);
        }
        for ((entity, _), flow) in &self.0 {
            let values = |samples: &Samples| sorted(samples.iter().map(|s| s.1));
            if let Some(load) = Arriving::of(&values(&flow.before), &values(&flow.now), config) {
                let most = arriving.entry(*entity).or_insert(load);
                if load.was > most.was {
                    *most = load;
                }
            }
        }
        for ((callee, name), flow) in &self.0 {
            let Some([caller]) = calls.number(callee).map(|n| calls.callers(n)) else { continue };
            let Some(caller) = calls.entity(*caller) else { continue };
            let Some(sent) = self.0.get(&(caller, *name)) else { continue };
            let before = sorted(shares(&flow.before, &sent.before));
            let now = sorted(shares(&flow.now, &sent.now));
            if before.len() < config.least_samples {
                continue;
            }
            let Some((was, scale)) = location_and_scale(&before).filter(|(was, _)| *was >= config.always)
            else {
                continue;
            };
            // Part of the window may lie before or after the fault.
            let Some(is) = quantile(&now, 1.0 - config.reach).filter(|is| 0.0 <= *is && *is < was) else {
                continue;
            };
            let z = (was - is) / scale.max(config.relative_floor * was).max(f64::MIN_POSITIVE);
            let strength = config.strength(z) * (1.0 - is / was) * config.calls_missing;
            if z < config.least_z || strength < config.least_strength {
                continue;
            }
            let statement = format!(
                "{name} of {callee} fell from {was:.3} to {is:.3} for each of {caller}, its only caller ({z:.1} σ)"
            );
            let mut finding = Finding::new(caller, FindingKind::CallsMissing, strength, statement);
            // Changing the unit rounds.
            finding.mark = (z.to_bits() & !0xFFFF, (is / was).to_bits() & !0xFFFF);
            found.push(finding);
        }
        (found, arriving)
    }
}

/// In order of time, what was counted at one time together.
fn sum(samples: &mut Samples) {
    samples.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    samples.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 += later.1;
        }
        same
    });
}

/// One series as a share of another, where both have a sample and the other is above 0.
fn shares<'s>(of: &'s Samples, all: &'s Samples) -> impl Iterator<Item = f64> + 's {
    let mut rest = all.iter().peekable();
    of.iter().filter_map(move |(at, value)| {
        while rest.next_if(|(earlier, _)| earlier < at).is_some() {}
        let (_, whole) = rest.peek().filter(|(same, whole)| same == at && *whole > 0.0)?;
        Some(value / whole)
    })
}
