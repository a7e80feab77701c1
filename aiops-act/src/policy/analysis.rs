use std::collections::BTreeSet;

use super::rule::{Effect, Resolved, Targets};
use crate::guards::Pattern;

/// An allowing and a denying rule that overlap without one being an exception to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The rule that allows.
    pub allows: String,
    /// The rule that denies; it holds where both apply.
    pub denies: String,
}

/// A rule that never decides, and one that is to blame for it.
pub(super) fn idle(rules: &[Resolved]) -> Option<(&str, &str)> {
    rules.iter().enumerate().find_map(|(i, rule)| {
        let blamed = rules.iter().enumerate().find(|(j, other)| {
            // Of two equal rules the later one is the superfluous one.
            *j != i
                && other.outranks(rule)
                && other.covers(rule)
                && (!(rule.outranks(other) && rule.covers(other)) || *j < i)
        });
        blamed.map(|(_, other)| (rule.rule.id.as_str(), other.rule.id.as_str()))
    })
}

pub(super) fn conflicts(rules: &[Resolved]) -> Vec<Conflict> {
    let of = |effect| rules.iter().filter(move |r| r.rule.effect == effect);
    // A denial at certain times is an exception to everything.
    let denials = || of(Effect::Deny).filter(|deny| deny.rule.during.is_none());
    let pairs = of(Effect::Allow).flat_map(|allow| denials().map(move |deny| (allow, deny)));
    pairs
        .filter(|(allow, deny)| allow.meets(deny) && !allow.covers(deny))
        .map(|(allow, deny)| Conflict { allows: allow.rule.id.clone(), denies: deny.rule.id.clone() })
        .collect()
}

impl Resolved {
    /// Whether it is as strict as `other`, and says no less where both apply.
    fn outranks(&self, other: &Self) -> bool {
        let (mine, others) = (&self.rule, &other.rule);
        mine.effect > others.effect
            || (mine.effect == others.effect
                // Only what is allowed is told at once, only what is asked waits.
                && (mine.effect != Effect::Allow || mine.notify || !others.notify)
                && (mine.effect != Effect::Ask || mine.wait <= others.wait))
    }

    /// Whether it surely applies wherever `other` does.
    fn covers(&self, other: &Self) -> bool {
        let (mine, others) = (&self.rule, &other.rule);
        let at_most =
            |mine: Option<f64>, other: Option<f64>| mine.is_none_or(|m| other.is_some_and(|o| m <= o));
        let at_least =
            |mine: Option<f64>, other: Option<f64>| mine.is_none_or(|m| other.is_some_and(|o| m >= o));
        let (least, most) = (|r: Option<u32>| r.map(f64::from), |r: Option<u32>| r.map(f64::from));
        (mine.actions.is_empty() || (!others.actions.is_empty() && mine.actions.is_superset(&others.actions)))
            && targets_cover(self.targets.as_ref(), other.targets.as_ref())
            && (mine.principals.is_empty()
                || (!others.principals.is_empty() && patterns_cover(&mine.principals, &others.principals)))
            && at_most(mine.min_confidence, others.min_confidence)
            && at_least(mine.below_confidence, others.below_confidence)
            && at_most(least(mine.above_replicas), least(others.above_replicas))
            && at_least(most(mine.max_replicas), most(others.max_replicas))
            // Times are compared as written: other spans that happen to contain each other are not seen as such.
            && (mine.during.is_none() || mine.during == others.during)
    }

    /// Whether some proposal may meet both; times and principals are taken to meet.
    fn meets(&self, other: &Self) -> bool {
        let (mine, others) = (&self.rule, &other.rule);
        let apart = |least: Option<f64>, below: Option<f64>| least.zip(below).is_some_and(|(l, b)| l >= b);
        let number = |r: Option<u32>| r.map(f64::from);
        (mine.actions.is_empty() || others.actions.is_empty() || !mine.actions.is_disjoint(&others.actions))
            && targets_meet(self.targets.as_ref(), other.targets.as_ref())
            && !apart(mine.min_confidence, others.below_confidence)
            && !apart(others.min_confidence, mine.below_confidence)
            && !apart(number(mine.above_replicas), number(others.max_replicas))
            && !apart(number(others.above_replicas), number(mine.max_replicas))
    }
}

fn patterns_cover(mine: &[Pattern], others: &[Pattern]) -> bool {
    others.iter().all(|o| mine.iter().any(|m| m.covers(o)))
}

fn targets_cover(mine: Option<&Targets>, others: Option<&Targets>) -> bool {
    let Some(mine) = mine else { return true };
    others.is_some_and(|others| {
        others.iter().all(|(kind, names)| {
            names.is_empty() || mine.get(kind).is_some_and(|mine| patterns_cover(mine, names))
        })
    })
}

fn targets_meet(mine: Option<&Targets>, others: Option<&Targets>) -> bool {
    let (Some(mine), Some(others)) = (mine, others) else { return true };
    let kinds: BTreeSet<_> = mine.keys().filter(|kind| others.contains_key(kind)).collect();
    kinds.into_iter().any(|kind| {
        let (mine, others) = (mine.get(kind), others.get(kind));
        let pairs =
            mine.into_iter().flatten().flat_map(|m| others.into_iter().flatten().map(move |o| (m, o)));
        // Of two beginnings that meet one begins with the other.
        pairs.into_iter().any(|(m, o)| m.covers(o) || o.covers(m))
    })
}
