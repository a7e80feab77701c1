//! From text to policies that were looked through.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::time::Duration;

use cedar_policy::{
    Effect as CedarEffect, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode,
    ValidationResult, ValidationWarning, Validator,
};
use jiff::SignedDuration;

use aiops_act::policy::Effect;

use crate::analysis::{self, Finding};
use crate::flaw::{Flaw, FlawKind, Refused};

/// How long *ask* waits where it does not say.
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// A policy, and what its annotations say.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) effect: Effect,
    pub(crate) wait: Duration,
    pub(crate) notify: bool,
    pub(crate) policy: Policy,
}

/// Policies under their own ids, in the order of the text.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) set: PolicySet,
    pub(crate) rules: Vec<Rule>,
    pub(crate) findings: Vec<Finding>,
}

impl Rules {
    pub(crate) fn load(text: &str, schema: &Schema) -> Result<Self, Refused> {
        let parsed: PolicySet = text
            .parse()
            .map_err(|e: cedar_policy::ParseErrors| Flaw::everywhere(FlawKind::Syntax, words(&e)))?;
        let templates = parsed.templates().map(|t| {
            let name = t.annotation("id").map_or_else(|| place(t.id()), str::to_owned);
            Flaw::of(FlawKind::Template, name, "slots are not filled here")
        });
        Refused::unless_none(templates.collect())?;
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        let (mut rules, mut flaws, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
        for policy in policies {
            match Rule::of(policy) {
                Ok(rule) if !ids.insert(rule.id.clone()) => {
                    flaws.push(Flaw::of(FlawKind::Id, rule.id, "another policy has this id"));
                }
                Ok(rule) => rules.push(rule),
                Err(flaw) => flaws.push(flaw),
            }
        }
        Refused::unless_none(flaws)?;
        let set = PolicySet::from_policies(rules.iter().map(|rule| rule.policy.clone()))
            .map_err(|e| Flaw::everywhere(FlawKind::Id, e.to_string()))?;
        let findings = validate(&set, &rules, schema)?;
        Ok(Self { set, rules, findings })
    }
}

impl Rule {
    fn of(policy: &Policy) -> Result<Self, Flaw> {
        let id = match policy.annotation("id") {
            Some(id) if !id.trim().is_empty() => id.to_owned(),
            _ => return Err(Flaw::of(FlawKind::Id, place(policy.id()), "it has no @id(\"…\")")),
        };
        let wrong = |detail: String| Flaw::of(FlawKind::Annotation, &id, detail);
        let (mut wait, mut notify) = (None, false);
        let mut annotations: Vec<(&str, &str)> = policy.annotations().collect();
        annotations.sort_unstable();
        let permits = policy.effect() == CedarEffect::Permit;
        for (name, value) in annotations {
            match name {
                "id" | "note" => {}
                "ask" | "notify" if !permits => {
                    return Err(wrong(format!("@{name} is for policies that permit")));
                }
                "ask" => wait = Some(patience(value).map_err(wrong)?),
                "notify" if value.is_empty() => notify = true,
                "notify" => return Err(wrong("@notify has no value".to_owned())),
                other => {
                    return Err(wrong(format!("@{other} is not known; there are id, ask, notify and note")));
                }
            }
        }
        if wait.is_some() && notify {
            return Err(wrong("who is asked need not be told as well".to_owned()));
        }
        let effect = match (permits, wait) {
            (false, _) => Effect::Deny,
            (true, Some(_)) => Effect::Ask,
            (true, None) => Effect::Allow,
        };
        let policy = policy.new_id(PolicyId::new(&id));
        Ok(Self { id, effect, wait: wait.unwrap_or(FIVE_MINUTES), notify, policy })
    }
}

fn patience(value: &str) -> Result<Duration, String> {
    if value.is_empty() {
        return Ok(FIVE_MINUTES);
    }
    let wait: Option<Duration> = value.parse::<SignedDuration>().ok().and_then(|d| d.try_into().ok());
    let wait = wait.filter(|wait| *wait >= Duration::from_secs(1));
    wait.ok_or_else(|| format!("@ask({value:?}) is no duration of 1 s or more, such as \"5m\""))
}

/// The parser calls the policies of a text `policy0`, `policy1`, … in their order.
fn number(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
}

fn place(id: &PolicyId) -> String {
    match number(id) {
        usize::MAX => id.to_string(),
        n => format!("policy {}", n.saturating_add(1)),
    }
}

fn words(errors: &cedar_policy::ParseErrors) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the validator and our own look find; an error for what can never be meant.
fn validate(set: &PolicySet, rules: &[Rule], schema: &Schema) -> Result<Vec<Finding>, Refused> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let order = |flaw: &Flaw| rules.iter().position(|rule| Some(&rule.id) == flaw.policy.as_ref());
    let mut flaws = schema_flaws(&result);
    let broken: BTreeSet<String> = flaws.iter().filter_map(|flaw| flaw.policy.clone()).collect();
    let mut findings = Vec::new();
    for warning in result.validation_warnings() {
        let (policy, detail) = (warning.policy_id().to_string(), warning.to_string());
        match warning {
            // What makes no sense can never be met either.
            ValidationWarning::ImpossiblePolicy(_) if broken.contains(&policy) => {}
            ValidationWarning::ImpossiblePolicy(_) => {
                flaws.push(Flaw::of(FlawKind::Impossible, policy, detail));
            }
            _ => findings.push(Finding::Suspicious { policy, detail }),
        }
    }
    let unmet: BTreeSet<String> = flaws.iter().filter_map(|flaw| flaw.policy.clone()).collect();
    let rest = analysis::unreachable(rules).into_iter().filter(|(id, _)| !unmet.contains(*id));
    flaws.extend(rest.map(|(id, by)| {
        Flaw::of(FlawKind::Unreachable, id, format!("{by} applies wherever it does and is as strict"))
    }));
    flaws.sort_by_key(|flaw| (order(flaw), flaw.to_string()));
    Refused::unless_none(flaws)?;
    findings.extend(analysis::findings(rules));
    findings.sort();
    Ok(findings)
}

/// One flaw for each sort of error in a policy: the validator tells it again for every type of target.
fn schema_flaws(result: &ValidationResult) -> Vec<Flaw> {
    let mut sorts: Vec<(String, &ValidationError, u32)> = Vec::new();
    for error in result.validation_errors() {
        let policy = error.policy_id().to_string();
        let same = |(of, first, _): &&mut (String, &ValidationError, u32)| {
            *of == policy && discriminant(*first) == discriminant(error)
        };
        match sorts.iter_mut().find(same) {
            Some((_, _, more)) => *more = more.saturating_add(1),
            None => sorts.push((policy, error, 0)),
        }
    }
    let told = |(policy, first, more): (String, &ValidationError, u32)| {
        let more = if more > 0 { format!(" (and {more} more of this sort)") } else { String::new() };
        Flaw::of(FlawKind::Schema, policy, format!("{first}{more}"))
    };
    sorts.into_iter().map(told).collect()
}
