//! What else is known of suspects than how much the localiser found: who was treated already, whose callers were changed, and who
//! lacks together what is their machine's.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::action::{Action, ActionOutcome, RollbackPlan};
use aiops_core::model::{EdgeKind, EntityId, FaultType, Recovery};
use aiops_core::{Case, CasePart};

use super::calls::ACCUSED;
use super::trouble::Trouble;
use super::{RuleRcaConfig, Scene, changes, dark, mechanisms, observed};
use crate::picture::Picture;
use crate::roles::{MetricRole, Side};

/// Systems whose treatment in this case brought some of what was amiss back, and not all, and stayed in place: what is left is rather
/// somebody else's, and what they showed before they were treated is still in the window.
pub(super) fn treated(case: &Case, picture: &Picture<'_>) -> BTreeSet<EntityId> {
    let mut acted: Option<&Action> = None;
    let mut helped: BTreeMap<EntityId, &Action> = BTreeMap::new();
    for entry in case.entries() {
        match &entry.part {
            CasePart::Acted(receipt) if receipt.outcome == ActionOutcome::Completed => {
                let action = &receipt.action;
                let target = picture.whole(&action.target);
                let undone = |earlier: &&Action| match &earlier.rollback {
                    RollbackPlan::Operation(back) => **back == action.operation,
                    RollbackPlan::NotNeeded { .. } | RollbackPlan::Impossible => false,
                };
                if helped.get(&target).is_some_and(undone) {
                    helped.remove(&target);
                }
                acted = Some(action);
            }
            CasePart::Verified(report) => {
                let Some(action) = acted.take() else { continue };
                let back = report.checks.iter().any(|c| c.recovery == Recovery::Recovered);
                if back && report.recovery == Recovery::NotRecovered {
                    helped.insert(picture.whole(&action.target), action);
                }
            }
            _ => {}
        }
    }
    helped.into_keys().collect()
}

/// What is needed to look at any system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'s> {
    pub(super) case: &'s Case,
    pub(super) picture: &'s Picture<'s>,
    pub(super) troubles: &'s BTreeMap<EntityId, Trouble>,
    pub(super) untroubled: &'s Trouble,
    pub(super) config: &'s RuleRcaConfig,
}

impl<'s> Look<'s> {
    fn at(&self, system: &EntityId) -> Scene<'s> {
        let trouble = self.troubles.get(system).unwrap_or(self.untroubled);
        Scene::of(self.case, self.picture, self.config, system.clone(), trouble)
    }
}

type Shares = Vec<(EntityId, f64)>;

fn sorted(mut suspects: Shares) -> Shares {
    // Of equal ones the more suspected by the localiser stays first.
    suspects.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    suspects
}

/// What the rules call storage that fills.
const DISK: &str = "disk";

/// Gives a machine the shares of those on it who say that there is no room left, where there are several and its own disk tells the
/// same: it has the disk that they share.
pub(super) fn pool(mut suspects: Shares, look: Look<'_>) -> Shares {
    let lacks_room = |system: &EntityId| {
        let scene = look.at(system);
        let says_so = observed::claims(&scene).iter().any(|c| {
            let full = c.fault == FaultType::ResourceExhaustion && c.mechanism.as_deref() == Some(DISK);
            full && c.system.is_none() && c.support > 0.0
        });
        says_so && !mechanisms::is_machine(&scene)
    };
    let lacking: BTreeSet<EntityId> =
        suspects.iter().map(|(system, _)| system).filter(|s| lacks_room(s)).cloned().collect();
    let topology = look.picture.topology;
    let runs_on = |system: &EntityId| -> BTreeSet<&EntityId> {
        let edges = topology.edges().filter(|e| e.kind == EdgeKind::RunsOn);
        edges.filter(|e| look.picture.whole(&e.from) == *system).map(|e| &e.to).collect()
    };
    let common = lacking.iter().map(runs_on).reduce(|a, b| a.intersection(&b).copied().collect());
    let full = |machine: &EntityId| {
        let own = mechanisms::claims(&look.at(machine)).into_iter();
        own.filter(|c| c.mechanism.as_deref() == Some(DISK)).map(|c| c.support).fold(0.0, f64::max)
    };
    let fullest = common
        .filter(|_| lacking.len() > 1)
        .into_iter()
        .flatten()
        .map(|machine| (machine, full(machine)))
        .filter(|(_, support)| *support > 0.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    let Some((machine, _)) = fullest else { return suspects };
    let theirs = |system: &EntityId| lacking.contains(system) || system == machine;
    let sum = suspects.iter().filter(|(s, _)| theirs(s)).fold(0.0, |sum, (_, share)| sum + share);
    suspects.retain(|(s, _)| !theirs(s));
    suspects.push((machine.clone(), sum));
    sorted(suspects)
}

/// Lays what the first suspect is accused of at the door of a caller that was changed moments before: as far as that change hardly
/// came just then by chance, where that one is well by its own account, and nobody else who calls it is failed.
///
/// Who is refused, or no longer arrives, because of a setting of its own says the same of the one it calls as who is failed by it.
pub(super) fn excuse(mut suspects: Shares, look: Look<'_>) -> Shares {
    let picture = look.picture;
    let Some((accused, held)) = suspects.first().cloned() else { return suspects };
    if !is_excusable(&look.at(&accused)) {
        return suspects;
    }
    let callers = picture.callers(&accused);
    let is_failed = |caller: &EntityId| {
        let group = picture.groups.get(caller).into_iter();
        group.flat_map(|g| g.harmful()).any(|s| {
            s.class.role == MetricRole::Errors
                && s.class.side == Side::Client
                && s.peer.as_ref() == Some(&accused)
        })
    };
    let timely = |caller: &EntityId| {
        let alone = callers.contains(caller) && !callers.iter().any(|c| *c != caller && is_failed(c));
        let own = changes::claims(&look.at(caller)).into_iter().filter(|c| alone && c.system.is_none());
        own.map(|c| c.timely).fold(0.0, f64::max)
    };
    let by_caller = suspects.iter().enumerate().skip(1).map(|(at, (caller, _))| (at, timely(caller)));
    // Of equally timely ones the more suspected.
    let reason = by_caller.reduce(|best, next| if next.1 > best.1 { next } else { best });
    let Some((at, timely)) = reason.filter(|(_, timely)| *timely > 0.0) else { return suspects };
    for (n, (_, share)) in suspects.iter_mut().enumerate() {
        if n == 0 {
            *share -= held * timely;
        } else if n == at {
            *share += held * timely;
        }
    }
    sorted(suspects)
}

/// Whether callers alone speak against it: its own answers are measured and as ever.
fn is_excusable(scene: &Scene<'_>) -> bool {
    let Some(group) = scene.picture.groups.get(&scene.system) else { return false };
    scene.seen.iter().any(|o| o.aspect == ACCUSED)
        && group.measures_serving
        && !group.fresh
        && !dark::is_blind(scene, &scene.system)
        && group.trouble().is_none_or(|(strength, _)| strength < scene.config.observed.least_symptom)
}
