//! More than was planned for, from outside.

use std::collections::BTreeMap;

use aiops_core::model::{EntityId, EntityKind, SeriesKey, TelemetryWindow};

use super::calls::Calls;
use super::config::FusionConfig;
use super::finding::{Family, Finding, FindingKind};
use super::spans::index;
use crate::robust::{location_and_scale, quantile};

/// Requests that arrive at one place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Arriving {
    pub(super) was: f64,
    pub(super) scale: f64,
    pub(super) is: f64,
}

impl Arriving {
    /// Of values in order.
    pub(super) fn of(before: &[f64], now: &[f64], config: &FusionConfig) -> Option<Self> {
        let (was, scale) = location_and_scale(before)?;
        Some(Self { was, scale, is: quantile(now, config.reach)? })
    }

    /// Together with others.
    pub(super) fn with(self, other: Self) -> Self {
        Self { was: self.was + other.was, scale: self.scale.hypot(other.scale), is: self.is + other.is }
    }

    /// How many times as many as before, as far as their usual variation does not account for it; at least 1.
    pub(super) fn surely_times(self) -> f64 {
        let times = (self.is - self.scale) / (self.was + self.scale);
        if times.is_finite() { times.max(1.0) } else { 1.0 }
    }

    /// How sure it is that more arrive, and by how much.
    fn strength(self, config: &FusionConfig) -> f64 {
        let floor = self.scale.max(config.relative_floor * self.was).max(self.is / config.most_z);
        config.strength((self.is - self.was) / floor.max(f64::MIN_POSITIVE)) * config.load
    }

    fn risen(self, config: &FusionConfig) -> bool {
        self.is >= config.load_rise * self.was && self.is > self.was
    }
}

/// Requests by whom they are asked for, at the entity that counts them: by label, where its key is a kind of entity and its value names
/// one that the topology knows.
#[derive(Debug, Default)]
pub(super) struct Askers<'a>(pub(super) BTreeMap<(&'a EntityId, &'a str), Vec<(&'a EntityId, Arriving)>>);

/// Those who ask and are asked nothing, tenants and jobs, by the words for their kind and name.
pub(super) fn known_askers(window: &TelemetryWindow) -> BTreeMap<(&str, &str), &EntityId> {
    let asks = |e: &&EntityId| matches!(e.kind(), EntityKind::Tenant | EntityKind::Job);
    let known = window.topology.entities().map(|e| &e.id).filter(asks);
    known.map(|e| ((e.kind().as_str(), e.name()), e)).collect()
}

/// The one of them whom a label names by kind and name.
pub(super) fn asker<'a>(
    key: &SeriesKey,
    known: &BTreeMap<(&'a str, &'a str), &'a EntityId>,
) -> Option<&'a EntityId> {
    key.labels.iter().find_map(|label| known.get(&label).copied())
}

/// Who asks for more than before, where nobody of ours is asked first: entities that nobody calls, or one asker of them without whom
/// there is no rise.
/// O((entities + findings) · log entities).
pub(super) fn findings<'a>(
    arriving: &BTreeMap<&'a EntityId, Arriving>,
    askers: &Askers<'a>,
    calls: &Calls<'_>,
    config: &FusionConfig,
) -> Vec<Finding> {
    let entry = |e: &EntityId| {
        calls.number(e).is_some_and(|n| calls.callers(n).is_empty() && !calls.callees(n).is_empty())
    };
    let mut found = Vec::new();
    for (entity, load) in arriving.iter().filter(|(e, load)| entry(e) && load.risen(config)) {
        let only = askers.0.iter().filter(|((at, _), _)| at == entity).find_map(|(_, askers)| {
            let (was, is) = askers.iter().fold((0.0, 0.0), |sum, a| (sum.0 + a.1.was, sum.1 + a.1.is));
            let (asker, own) = askers.iter().max_by(|a, b| {
                (a.1.is - a.1.was).total_cmp(&(b.1.is - b.1.was)).then_with(|| b.0.cmp(a.0))
            })?;
            let rest = Arriving { was: was - own.was, scale: 0.0, is: is - own.is };
            (!rest.risen(config) && own.risen(config)).then_some((*asker, *own))
        });
        let (who, of) = only.unwrap_or((entity, *load));
        // Who is overrun turns away before it counts what it serves; who counts by whom it is asked counts all.
        let strength = load.strength(config).max(of.strength(config));
        let statement = format!("requests from outside rose from {:.3} to {:.3}", of.was, of.is);
        found.push(Finding::new(who, FindingKind::Load, strength, statement));
        if who != *entity {
            let statement = format!("requests rose from {:.3} to {:.3}, those of {who}", load.was, load.is);
            let mut theirs = Finding::new(entity, FindingKind::Load, strength, statement);
            theirs.own = 1.0 - config.explained;
            found.push(theirs);
        }
    }
    found
}

/// Who calls another more often for each request that it gets, as far as its calls succeed: what fails is tried again. As far as nothing that
/// serves less of what it did (`poorer`, strengths by entity: a cache that forgot) sends it on.
/// O(pairs · log entities).
pub(super) fn multiplied<'a>(
    sent: &BTreeMap<(&'a EntityId, &'a EntityId), Arriving>,
    arriving: &BTreeMap<&'a EntityId, Arriving>,
    poorer: &BTreeMap<&'a EntityId, f64>,
    calls: &Calls<'_>,
    config: &FusionConfig,
) -> Vec<(Finding, &'a EntityId)> {
    let mut found = Vec::new();
    for ((caller, callee), of) in sent {
        let Some(asked) = arriving.get(caller).filter(|a| a.was > 0.0 && of.was > 0.0) else { continue };
        // A caller that is asked less often may fail early.
        let each = Arriving { is: of.is / (asked.is / asked.was).max(1.0), ..*of };
        if !each.risen(config) {
            continue;
        }
        let floor = of.scale.max(config.relative_floor * of.was).max(each.is / config.most_z);
        let strength = config.strength((each.is - of.was) / floor.max(f64::MIN_POSITIVE)) * config.calls_more;
        let times = each.is / of.was;
        let statement = format!("calls {callee} {times:.1} times as often for each request as before");
        let mut finding = Finding::new(caller, FindingKind::CallsMore, strength, statement);
        let number = calls.number(caller);
        let others = number.into_iter().flat_map(|n| calls.callees(n)).filter_map(|n| calls.entity(*n));
        let sent_on =
            others.filter(|o| o != callee).filter_map(|o| poorer.get(o)).copied().fold(0.0, f64::max);
        finding.own = 1.0 - config.explained * (config.calls_more * sent_on / strength).min(1.0);
        found.push((finding, *callee));
    }
    found
}

/// Sets [`Finding::own`] of what more requests explain: slowness, failures and use of resources of whoever is asked (`pushed`: who
/// else is asked more, and how surely), and of the copies of these. O(findings · log entities + calls).
pub(super) fn explain(
    findings: &mut [Finding],
    pushed: &[(&EntityId, f64)],
    calls: &Calls<'_>,
    whole: impl Fn(&EntityId) -> Option<u32>,
    config: &FusionConfig,
) {
    let mut pressed = vec![0.0_f64; calls.len()];
    let loads = findings.iter().filter(|f| f.kind == FindingKind::Load).map(|f| (&f.entity, f.strength));
    for (from, strength) in loads.chain(pushed.iter().copied()) {
        let mut open: Vec<u32> = calls.number(from).into_iter().collect();
        while let Some(at) = open.pop() {
            match pressed.get_mut(index(at)) {
                Some(cell) if *cell < strength => *cell = strength,
                _ => continue,
            }
            open.extend(calls.callees(at));
        }
    }
    if pressed.iter().all(|p| *p == 0.0) {
        return;
    }
    let suffers = |f: &Finding| {
        matches!(f.family(), Family::Time | Family::Outcome)
            || matches!(f.kind, FindingKind::Cpu | FindingKind::Memory | FindingKind::Resource)
    };
    for finding in findings.iter_mut().filter(|f| suffers(f) && f.strength > 0.0) {
        let number = calls.number(&finding.entity).or_else(|| whole(&finding.entity));
        let theirs = number.and_then(|n| pressed.get(index(n))).copied().unwrap_or(0.0);
        finding.own *= 1.0 - config.explained * (theirs / finding.strength).min(1.0);
    }
}
