//! What requests cost more since the fault, and whose own that is.

use std::collections::BTreeMap;

use aiops_core::model::{EntityId, MetricKind};

use super::calls::Calls;
use super::finding::FindingKind;
use super::spans::index;
use crate::robust::decile_mean;
use crate::roles::MetricClass;

/// What one entity's requests cost more since the fault: seconds or failures a second (or whatever traffic counts), as far as
/// metrics say how many requests there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    traffic: Option<f64>,
    /// Rank of the series it is from (means before low quantiles before high ones), and the rise.
    slower: Option<(f64, f64)>,
    failing: Option<f64>,
}

impl Cost {
    fn of(self, kind: FindingKind) -> Option<f64> {
        let rise = match kind {
            FindingKind::Latency => self.slower.map(|s| s.1),
            _ => self.failing,
        };
        Some(self.traffic? * rise?.max(0.0))
    }

    /// Adds what one series of `series` kind says; values in order, `covered` the share of its slots that hold one.
    pub(super) fn add(
        &mut self,
        series: MetricKind,
        before: &[f64],
        now: &[f64],
        covered: f64,
        kind: FindingKind,
        class: &MetricClass,
    ) {
        if !matches!(kind, FindingKind::Traffic | FindingKind::Latency | FindingKind::Errors) {
            return;
        }
        let (Some(was), Some(is)) = (decile_mean(before), decile_mean(now)) else { return };
        match kind {
            // No sample, no request.
            FindingKind::Traffic => self.traffic = Some(self.traffic.unwrap_or(0.0).max(is * covered)),
            FindingKind::Latency => {
                // The quantile is not known by number; the lowest lies lowest.
                let rank = if series == MetricKind::Quantile { 1.0 + was.max(0.0) } else { 0.0 };
                if self.slower.is_none_or(|(known, _)| rank < known) {
                    self.slower = Some((rank, is - was));
                }
            }
            _ => {
                let worse = class.polarity.worse_by(was, is);
                self.failing = Some(self.failing.unwrap_or(0.0).max(worse));
            }
        }
    }
}

/// Share of the symptom's cost that arises at each entity and not at those it calls: requests times what each costs more is
/// conserved along calls.
#[derive(Debug)]
pub(super) struct Costs<'a> {
    costs: BTreeMap<&'a EntityId, Cost>,
    symptom: Option<&'a EntityId>,
}

impl<'a> Costs<'a> {
    pub(super) fn new(symptom: Option<&'a EntityId>) -> Self {
        Self { costs: BTreeMap::new(), symptom }
    }

    pub(super) fn of(&mut self, entity: &'a EntityId) -> &mut Cost {
        self.costs.entry(entity).or_default()
    }

    /// By entity: what it adds itself of what reaches the symptom, as a share of the symptom's cost. Costs are followed along
    /// at most `longest` calls. O(longest · calls).
    pub(super) fn shares(
        &self,
        kind: FindingKind,
        calls: &Calls<'_>,
        longest: usize,
    ) -> BTreeMap<&'a EntityId, f64> {
        let cost = |e: &EntityId| self.costs.get(e).and_then(|c| c.of(kind));
        let most = || self.costs.values().filter_map(|c| c.of(kind)).fold(0.0, f64::max);
        let whole = self.symptom.and_then(cost).filter(|w| *w > 0.0).unwrap_or_else(most);
        let known: Vec<Option<f64>> = calls.entities().map(|(_, e)| cost(e)).collect();
        let flows = flows(&known, calls, longest);
        let at = |costs: &[Option<f64>], n: u32| costs.get(index(n)).copied().flatten();
        let own = |entity: &EntityId| {
            let own = match calls.number(entity) {
                Some(n) => {
                    let below: f64 = calls.callees(n).iter().filter_map(|c| at(&known, *c)).sum();
                    (at(&known, n)? - below).min(at(&flows, n)?)
                }
                None => cost(entity)?,
            };
            Some(if whole > 0.0 { (own / whole).clamp(0.0, 1.0) } else { 0.0 })
        };
        self.costs.keys().filter_map(|e| Some((*e, own(e)?))).collect()
    }
}

/// Through callers flows no more than they themselves suffer. From above, so that circles settle.
fn flows(known: &[Option<f64>], calls: &Calls<'_>, longest: usize) -> Vec<Option<f64>> {
    let mut flows = known.to_vec();
    for _ in 0..longest {
        let mut settled = true;
        for (number, _) in calls.entities() {
            let Some(was) = flows.get(index(number)).copied().flatten() else { continue };
            let callers = calls.callers(number);
            if callers.is_empty() {
                continue;
            }
            // Whose cost is not known lets everything through.
            let through =
                |caller: &u32| flows.get(index(*caller)).copied().flatten().unwrap_or(f64::INFINITY);
            let arriving: f64 = callers.iter().map(through).sum();
            if arriving < was
                && let Some(cell) = flows.get_mut(index(number))
            {
                *cell = Some(arriving);
                settled = false;
            }
        }
        if settled {
            break;
        }
    }
    flows
}
