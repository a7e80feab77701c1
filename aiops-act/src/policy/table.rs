use aiops_core::action::{GuardId, Proposal, Verdict};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::analysis::{self, Conflict};
use super::index::Index;
use super::rule::{Effect, Policy, Resolved, local};
use crate::config::zone;
use crate::guards::{guard_id, is_own_revert, touched};

/// A checked [`Policy`], as a guard.
///
/// Finding the rules for a target takes time in proportion to the lengths of the patterns that end in `*` and to the number of rules that
/// name it, not to the number of rules or the length of its name; rules about all targets are looked at every time.
#[derive(Debug, Clone)]
pub struct PolicyTable {
    rules: Vec<Resolved>,
    index: Index,
    zone: TimeZone,
}

/// What a policy says of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// The strictest effect of the rules that apply; [`Effect::Deny`] where none does.
    pub effect: Effect,
    /// Ids of the rules that say so, in the order of the file; empty where none applies.
    pub rules: Vec<String>,
}

impl Judgement {
    /// What a policy says, and the ids of the rules that say so.
    #[must_use]
    pub fn new(effect: Effect, rules: Vec<String>) -> Self {
        Self { effect, rules }
    }
}

impl PolicyTable {
    /// Checks `policy` and prepares it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with the rule's id, for two rules of one id, an unknown group or time zone, a set of targets without names, a
    /// bound out of range, a rule whose bounds exclude each other, and a rule that never decides anything because another one applies
    /// wherever it does and is as strict.
    pub fn new(policy: &Policy) -> Result<Self> {
        let resolve = |rule| Resolved::new(rule, &policy.groups);
        let rules = policy.rules.iter().map(resolve).collect::<Result<Vec<_>>>()?;
        let mut ids = std::collections::BTreeSet::new();
        if let Some(twice) = rules.iter().find(|r| !ids.insert(&r.rule.id)) {
            return Err(Error::new(ErrorKind::Invalid, "two rules have one id").with("rule", &twice.rule.id));
        }
        if let Some((idle, by)) = analysis::idle(&rules) {
            return Err(Error::new(ErrorKind::Invalid, "a rule never decides anything")
                .with("rule", idle)
                .with("covered by", by));
        }
        Ok(Self { index: Index::of(&rules), zone: zone(policy.zone.as_deref())?, rules })
    }

    /// Pairs of an allowing and a denying rule that overlap without one being an exception to the other. They are no error,
    /// the denial holds, but often a mistake. Denials at certain times are exceptions to everything.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        analysis::conflicts(&self.rules)
    }

    /// What the policy says of `proposal` at the instant `at`, going by the blast radius it declares. As a guard it goes by the
    /// target as it is, where that is more.
    #[must_use]
    pub fn judge(&self, proposal: &Proposal, at: Timestamp) -> Judgement {
        let deciding = self.deciding(proposal, proposal.action.blast_radius.replicas, at);
        Judgement {
            effect: deciding.first().map_or(Effect::Deny, |r| r.rule.effect),
            rules: deciding.iter().map(|r| r.rule.id.clone()).collect(),
        }
    }

    /// The strictest of the rules that apply, in the order of the file.
    fn deciding(&self, proposal: &Proposal, replicas: u32, at: Timestamp) -> Vec<&Resolved> {
        let now = local(at, &self.zone);
        let found = self.index.find(proposal.action.kind(), &proposal.action.target);
        let mut applying: Vec<&Resolved> = found
            .into_iter()
            .filter_map(|i| self.rules.get(i))
            .filter(|rule| rule.holds(proposal, replicas, &now))
            .collect();
        let strictest = applying.iter().map(|r| r.rule.effect).max();
        applying.retain(|r| Some(r.rule.effect) == strictest);
        applying
    }
}

#[async_trait]
impl Guardrail for PolicyTable {
    fn id(&self) -> GuardId {
        guard_id("policy")
    }

    async fn check(&self, review: &Review<'_>, _ctx: &Context) -> Result<Verdict> {
        let deciding = self.deciding(review.proposal, touched(review).replicas, review.now);
        let Some(first) = deciding.first() else {
            let action = &review.proposal.action;
            return Ok(Verdict::deny(format!("no rule is about {} on {} now", action.kind(), action.target)));
        };
        let ids: Vec<&str> = deciding.iter().map(|r| r.rule.id.as_str()).collect();
        let reason = format!("rule {}", ids.join(", "));
        Ok(match first.rule.effect {
            Effect::Deny => Verdict::deny(reason),
            Effect::Ask if is_own_revert(review) => Verdict::allow("undoes our own action"),
            Effect::Ask => {
                // The one who is least patient is not waited for beyond his time.
                let wait = deciding.iter().map(|r| r.rule.wait).min().unwrap_or_default();
                Verdict::NeedsApproval { reason, wait }
            }
            Effect::Allow => Verdict::Allow { reason, notify: deciding.iter().any(|r| r.rule.notify) },
        })
    }
}
