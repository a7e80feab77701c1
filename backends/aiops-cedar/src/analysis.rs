//! Policies beside each other, by their scopes. What `when` and `unless` say is compared as text only.

use std::collections::BTreeSet;

use aiops_act::policy::Effect;
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};

use crate::rules::Rule;

/// Something that is no error and often a mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Finding {
    /// A permitting policy and an unconditional forbidding one whose scopes overlap without the latter being an exception to the former. The
    /// denial holds.
    Conflict {
        /// The policy that permits.
        permits: String,
        /// The policy that forbids.
        forbids: String,
    },
    /// Text that looks like other text: mixed scripts, marks that turn the direction of writing, letters that pass for others.
    Suspicious {
        /// The policy.
        policy: String,
        /// What was seen.
        detail: String,
    },
    /// A policy that lets everybody do everything to everything, without asking.
    Unlimited {
        /// The policy.
        policy: String,
    },
}

/// Policies that never decide, each with one that is to blame.
pub(crate) fn unreachable(rules: &[Rule]) -> Vec<(&str, &str)> {
    let places: Vec<Place> = rules.iter().map(Place::of).collect();
    let pairs = || rules.iter().zip(&places).enumerate();
    let idle = pairs().filter_map(|(i, (rule, place))| {
        let blamed = pairs().find(|(j, (other, theirs))| {
            // Of two equal policies the later one is the superfluous one.
            *j != i
                && outranks(other, rule)
                && theirs.covers(place)
                && (!(outranks(rule, other) && place.covers(theirs)) || *j < i)
        });
        blamed.map(|(_, (other, _))| (rule.id.as_str(), other.id.as_str()))
    });
    idle.collect()
}

pub(crate) fn findings(rules: &[Rule]) -> Vec<Finding> {
    let places: Vec<Place> = rules.iter().map(Place::of).collect();
    let of = |permits: bool| {
        let all = rules.iter().zip(&places);
        all.filter(move |(rule, _)| (rule.effect != Effect::Deny) == permits)
    };
    let mut found = Vec::new();
    for (permit, place) in of(true) {
        if permit.effect == Effect::Allow && place.is_everything() {
            found.push(Finding::Unlimited { policy: permit.id.clone() });
        }
        let forbidding = of(false).filter(|(_, theirs)| theirs.conditions.is_none());
        let conflicting = forbidding.filter(|(_, theirs)| place.meets(theirs) && !place.scope_covers(theirs));
        found.extend(
            conflicting.map(|(forbid, _)| Finding::Conflict {
                permits: permit.id.clone(),
                forbids: forbid.id.clone(),
            }),
        );
    }
    found
}

/// Whether `a` is as strict as `b`, and says no less where both apply.
fn outranks(a: &Rule, b: &Rule) -> bool {
    a.effect > b.effect
        || (a.effect == b.effect && (a.notify || !b.notify) && (a.effect != Effect::Ask || a.wait <= b.wait))
}

/// Who, or what, a scope is about.
#[derive(Debug, PartialEq)]
enum Whom {
    All,
    One(EntityUid),
    Inside(EntityUid),
    Kind(EntityTypeName),
    KindInside(EntityTypeName, EntityUid),
}

impl Whom {
    fn kind(&self) -> Option<&EntityTypeName> {
        match self {
            Self::One(one) => Some(one.type_name()),
            Self::Kind(kind) | Self::KindInside(kind, _) => Some(kind),
            Self::All | Self::Inside(_) => None,
        }
    }

    /// Whether it surely is about everything that `other` is about.
    fn covers(&self, other: &Self) -> bool {
        match self {
            Self::All => true,
            Self::One(_) => self == other,
            Self::Inside(group) => match other {
                Self::One(one) => one == group,
                Self::Inside(others) | Self::KindInside(_, others) => others == group,
                Self::All | Self::Kind(_) => false,
            },
            Self::Kind(kind) => other.kind() == Some(kind),
            Self::KindInside(..) => self == other,
        }
    }

    /// Whether something may be meant by both.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(mine), Self::One(others)) => mine == others,
            _ => self.kind().zip(other.kind()).is_none_or(|(mine, others)| mine == others),
        }
    }
}

/// Where a policy applies.
struct Place {
    principal: Whom,
    /// `None` for all.
    actions: Option<BTreeSet<EntityUid>>,
    resource: Whom,
    /// As text; `None` where there are none.
    conditions: Option<String>,
}

impl Place {
    fn of(rule: &Rule) -> Self {
        let policy = &rule.policy;
        let conditions = policy.has_non_scope_constraint().then(|| {
            let json = policy.to_json().ok().and_then(|json| json.get("conditions").cloned());
            // What cannot be told is like nothing else.
            json.map_or_else(|| format!("of {}", rule.id), |json| json.to_string())
        });
        Self {
            principal: match policy.principal_constraint() {
                PrincipalConstraint::Any => Whom::All,
                PrincipalConstraint::In(group) => Whom::Inside(group),
                PrincipalConstraint::Eq(one) => Whom::One(one),
                PrincipalConstraint::Is(kind) => Whom::Kind(kind),
                PrincipalConstraint::IsIn(kind, group) => Whom::KindInside(kind, group),
            },
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                // There are no groups of actions in the schema.
                ActionConstraint::In(actions) => Some(actions.into_iter().collect()),
                ActionConstraint::Eq(action) => Some([action].into()),
            },
            resource: match policy.resource_constraint() {
                ResourceConstraint::Any => Whom::All,
                ResourceConstraint::In(group) => Whom::Inside(group),
                ResourceConstraint::Eq(one) => Whom::One(one),
                ResourceConstraint::Is(kind) => Whom::Kind(kind),
                ResourceConstraint::IsIn(kind, group) => Whom::KindInside(kind, group),
            },
            conditions,
        }
    }

    fn is_everything(&self) -> bool {
        let everybody = matches!(&self.principal, Whom::All | Whom::Kind(_));
        everybody && self.actions.is_none() && self.resource == Whom::All && self.conditions.is_none()
    }

    fn scope_covers(&self, other: &Self) -> bool {
        let actions = match (&self.actions, &other.actions) {
            (None, _) => true,
            (Some(mine), Some(others)) => mine.is_superset(others),
            (Some(_), None) => false,
        };
        actions && self.principal.covers(&other.principal) && self.resource.covers(&other.resource)
    }

    /// Whether it surely applies wherever `other` does.
    fn covers(&self, other: &Self) -> bool {
        let conditions = self.conditions.is_none() || self.conditions == other.conditions;
        conditions && self.scope_covers(other)
    }

    fn meets(&self, other: &Self) -> bool {
        let actions = self.actions.as_ref().zip(other.actions.as_ref());
        actions.is_none_or(|(mine, others)| !mine.is_disjoint(others))
            && self.principal.meets(&other.principal)
            && self.resource.meets(&other.resource)
    }
}
