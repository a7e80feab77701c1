//! Whether the truths of the catalogue are true: by doing what they call right, and what they do not. // EVA-03
//!
//! Every episode with a fault is simulated without a pipeline, once with nobody doing anything and once for each listed action alone
//! (all of them together where all are needed). A fault that an action is said to heal must be healed by each of its actions; one that is
//! said to pass must pass; and where a person is asked, no action on a root that needs none may heal, or the catalogue is too modest.

use std::collections::BTreeMap;

use aiops_core::action::ActionKind;
use aiops_core::model::{EntityId, EntityKind, FaultType};
use serde::{Deserialize, Serialize};

use super::RunConfig;
use super::episode::Layout;
use super::run::{Plan, each};
use super::score::Share;
use crate::EvalError;
use crate::arena::faults::{Duty, Injection, RightAction};

/// What is known of one fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remedies {
    /// What a good operator does.
    pub duty: Option<Duty>,
    /// Episodes at whose end users still suffer when nobody does anything.
    pub harmed: Share,
    /// Of those, how many each listed action healed alone, by kind of action and of target.
    pub listed: BTreeMap<String, Share>,
    /// The same of common actions on roots that are not listed; counted where a person is to be asked.
    pub unlisted: BTreeMap<String, Share>,
}

impl Remedies {
    /// Whether what the catalogue says is so in most episodes: at least `share` of them.
    #[must_use]
    pub fn holds(&self, share: f64) -> bool {
        let healed = |s: &Share| s.of == 0 || s.value() >= share;
        match self.duty {
            Some(Duty::Heal) => self.listed.values().all(healed),
            Some(Duty::Wait) => self.harmed.of == 0 || 1.0 - self.harmed.value() >= share,
            Some(Duty::AskAPerson) => self.unlisted.values().all(|s| s.of == 0 || s.value() <= 1.0 - share),
            None => true,
        }
    }
}

/// Share of the episodes of a fault in which its truth must be true.
pub const TRUE_IN: f64 = 0.75;

/// Truths by fault.
pub type Truths = BTreeMap<String, Remedies>;

/// Tries every fault of `config`.
///
/// # Errors
/// When the settings are out of range, or the simulator cannot do what the catalogue lists.
pub fn remedies(config: &RunConfig, progress: impl FnMut(usize, usize) + Send) -> Result<Truths, EvalError> {
    let plan = Plan::new(RunConfig { nulls: 0, ..config.clone() })?;
    let tried = each(plan.episodes(), config.threads, progress, |index| {
        let layout = plan.layout(index);
        Ok(match (layout.name().map(str::to_owned), layout.injection()) {
            (Some(fault), Some(injection)) => Some((fault, tried(&layout, injection)?)),
            _ => None,
        })
    })?;
    let mut truths = Truths::new();
    for (fault, one) in tried.into_iter().flatten() {
        let sum = truths.entry(fault).or_default();
        sum.duty = one.duty;
        sum.harmed.merge(one.harmed);
        for (all, own) in [(&mut sum.listed, one.listed), (&mut sum.unlisted, one.unlisted)] {
            own.into_iter().for_each(|(what, share)| all.entry(what).or_default().merge(share));
        }
    }
    Ok(truths)
}

fn tried(layout: &Layout, injection: &Injection) -> Result<Remedies, EvalError> {
    let harmed = layout.without_anybody().is_some_and(|(_, harmed)| harmed);
    let mut found = Remedies { duty: Some(injection.duty), ..Remedies::default() };
    found.harmed.add(harmed);
    // Who is well without help is healed by anything.
    if !harmed {
        return Ok(found);
    }
    let trials: Vec<&[RightAction]> = match injection.needs_all {
        true => vec![&injection.right],
        false => injection.right.chunks(1).collect(),
    };
    for actions in trials.into_iter().filter(|a| !a.is_empty()) {
        let healed = layout.attempt(actions)?.is_healed();
        found.listed.entry(named(actions)).or_default().add(healed);
    }
    if injection.duty == Duty::AskAPerson {
        for action in injection.roots.iter().flat_map(|root| common(root, &injection.types)) {
            // What cannot be done at all does not heal.
            let healed = layout.attempt(std::slice::from_ref(&action)).is_ok_and(|r| r.is_healed());
            found.unlisted.entry(named(&[action])).or_default().add(healed);
        }
    }
    Ok(found)
}

fn named(actions: &[RightAction]) -> String {
    let names: Vec<String> =
        actions.iter().map(|a| format!("{} of a {}", a.kind.as_str(), a.target.kind())).collect();
    names.join(" and ")
}

/// What one would try on `target` without asking a person. What takes a machine away is a person's in any case; and what one goes back
/// to has to be known, which it is where a roll-out was told. More copies are tried on load alone: a leak they only put off.
fn common(target: &EntityId, types: &[FaultType]) -> Vec<RightAction> {
    let kinds: &[ActionKind] = match target.kind() {
        EntityKind::Service | EntityKind::Job | EntityKind::Database if types.contains(&FaultType::Load) => {
            &[ActionKind::RollingRestart, ActionKind::Concurrency, ActionKind::Scale]
        }
        EntityKind::Service | EntityKind::Job | EntityKind::Database => {
            &[ActionKind::RollingRestart, ActionKind::Concurrency]
        }
        EntityKind::Cache => &[ActionKind::RollingRestart, ActionKind::CachePurge],
        EntityKind::Tenant => &[ActionKind::Throttle],
        _ => &[],
    };
    kinds.iter().map(|kind| RightAction { kind: *kind, target: target.clone() }).collect()
}

/// As Markdown, with a verdict.
#[must_use]
pub fn text(truths: &Truths) -> String {
    let mut out =
        "| fault | duty | suffer without help | healed by | healed by what is not listed | true |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let shares = |by: &BTreeMap<String, Share>| {
        let each = by.iter().map(|(what, s)| format!("{what} {}/{}", s.hits, s.of));
        each.collect::<Vec<_>>().join(", ")
    };
    for (fault, r) in truths {
        let duty = match r.duty {
            Some(Duty::Heal) => "heal",
            Some(Duty::AskAPerson) => "ask a person",
            Some(Duty::Wait) => "wait",
            None => "",
        };
        let unlisted: BTreeMap<String, Share> =
            r.unlisted.iter().filter(|(_, s)| s.hits > 0).map(|(w, s)| (w.clone(), *s)).collect();
        let holds = if r.holds(TRUE_IN) { "yes" } else { "NO" };
        let (hits, of) = (r.harmed.hits, r.harmed.of);
        out += &format!(
            "| {fault} | {duty} | {hits}/{of} | {} | {} | {holds} |\n",
            shares(&r.listed),
            shares(&unlisted)
        );
    }
    let bad = truths.values().filter(|r| !r.holds(TRUE_IN)).count();
    out + &format!(
        "\n{bad} of {} truths do not hold in at least {:.0} % of episodes.\n",
        truths.len(),
        100.0 * TRUE_IN
    )
}
