use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::{ActionKind, GuardId, Verdict};
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::guard_id;
use crate::names::Names;

/// A name, or the beginning of one followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// The pattern `text`.
    ///
    /// # Errors
    /// When it is empty or has a `*` anywhere but at its end.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let misplaced = text.strip_suffix('*').unwrap_or(&text).contains('*');
        if text.is_empty() || misplaced {
            return Err(Error::new(ErrorKind::Invalid, "a pattern is a name, or a beginning followed by *")
                .with("pattern", text));
        }
        Ok(Self(text))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` fits. Names are compared byte by byte: a look-alike in another script does not fit.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.0,
        }
    }

    /// Whether everything that fits `other` fits this.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self.0.strip_suffix('*'), other.0.strip_suffix('*')) {
            (Some(mine), Some(others)) => others.starts_with(mine),
            (Some(mine), None) => other.0.starts_with(mine),
            (None, Some(_)) => false,
            (None, None) => self.0 == other.0,
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Pattern> for String {
    fn from(p: Pattern) -> Self {
        p.0
    }
}

/// Allows some kinds of action on some targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowRule {
    /// Name of the rule, as it stands in decisions.
    pub id: String,
    /// Kinds of action.
    pub actions: BTreeSet<ActionKind>,
    /// Kind of target.
    pub target_kind: EntityKind,
    /// Names of targets.
    pub targets: Vec<Pattern>,
}

impl AllowRule {
    fn covers(&self, other: &Self) -> bool {
        self.target_kind == other.target_kind
            && self.actions.is_superset(&other.actions)
            && other.targets.iter().all(|t| self.targets.iter().any(|mine| mine.covers(t)))
    }
}

/// What is listed is allowed; everything else is denied. // ACT-06
///
/// ```
/// use aiops_act::guards::AllowList;
/// let rules = r#"[{"id": "shop", "actions": ["rolling_restart"], "target_kind": "service", "targets": ["shop-*"]}]"#;
/// let list = AllowList::new(serde_json::from_str(rules)?)?;
/// # let _ = list;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct AllowList {
    rules: Vec<AllowRule>,
    names: BTreeMap<EntityKind, Names>,
}

impl AllowList {
    /// A list of rules.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for rules without actions or targets, two rules of one id, or a rule that can never decide
    /// anything because another one covers it.
    pub fn new(rules: Vec<AllowRule>) -> Result<Self> {
        let wrong =
            |rule: &AllowRule, why: String| Err(Error::new(ErrorKind::Invalid, why).with("rule", &rule.id));
        for (i, rule) in rules.iter().enumerate() {
            if rule.actions.is_empty() || rule.targets.is_empty() {
                return wrong(rule, "a rule needs actions and targets".to_owned());
            }
            let others = || rules.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other);
            if others().any(|other| other.id == rule.id) {
                return wrong(rule, "two rules have one id".to_owned());
            }
            // Of two equal rules the later one is the superfluous one.
            let earlier = |other: &AllowRule| rules.iter().take(i).any(|r| r.id == other.id);
            let covered =
                others().find(|other| other.covers(rule) && (!rule.covers(other) || earlier(other)));
            if let Some(other) = covered {
                return wrong(rule, format!("rule {} covers it, so it never decides anything", other.id));
            }
        }
        let mut names: BTreeMap<EntityKind, Names> = BTreeMap::new();
        for (i, rule) in rules.iter().enumerate() {
            let names = names.entry(rule.target_kind).or_default();
            rule.targets.iter().for_each(|pattern| names.add(pattern, i));
        }
        Ok(Self { rules, names })
    }

    /// The first rule that allows this kind of action on `target`. Rules about other targets are not looked at.
    fn find(&self, kind: ActionKind, target: &EntityId) -> Option<&AllowRule> {
        let fitting = self.names.get(&target.kind())?.find(target.name());
        let allowing = |i: &usize| self.rules.get(*i).is_some_and(|rule| rule.actions.contains(&kind));
        fitting.filter(allowing).min().and_then(|i| self.rules.get(i))
    }
}

#[async_trait]
impl Guardrail for AllowList {
    fn id(&self) -> GuardId {
        guard_id("allow-list")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let action = &review.proposal.action;
        Ok(match self.find(action.kind(), &action.target) {
            Some(rule) => Verdict::allow(format!("rule {}", rule.id)),
            None => Verdict::deny(format!("no rule lists {} on {}", action.kind(), action.target)),
        })
    }
}
