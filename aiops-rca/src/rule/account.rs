//! What a cause explains, what it leaves unexplained, how its trouble travelled, and how it was tested.

use std::collections::BTreeSet;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{CausalGround, CausalTest, EdgeKind, EntityId, EvidenceId, FaultType, time};

use super::Scene;
use super::claim::Claim;
use crate::localize::ratio;
use crate::picture::Symptom;
use crate::roles::MetricRole;

/// Symptoms with and without an explanation, strongest first.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) explains: Vec<EvidenceId>,
    pub(super) unexplained: Vec<EvidenceId>,
    pub(super) path: Vec<EntityId>,
    pub(super) tests: Vec<CausalTest>,
}

/// Holds `claim` against everything that deviates.
pub(super) fn account(scene: &Scene<'_>, claim: &Claim) -> Account {
    let system = claim.system.as_ref().unwrap_or(&scene.system);
    let reach = reach(scene, claim, system);
    let begun = begun(scene, claim, system);
    let mut symptoms: Vec<(&EntityId, &Symptom<'_>)> = Vec::new();
    for (id, group) in &scene.picture.groups {
        let grave = group.harmful().filter(|s| s.strength >= scene.config.observed.least_symptom);
        symptoms.extend(grave.map(|s| (id, s)));
    }
    symptoms.sort_by(|(_, a), (_, b)| {
        b.strength.total_cmp(&a.strength).then_with(|| a.cited.id.cmp(&b.cited.id))
    });
    let mut account = Account::default();
    let (mut reached, mut late, mut told) = (0, 0, BTreeSet::new());
    for (id, s) in &symptoms {
        if !told.insert(&s.cited.id) {
            continue;
        }
        let reachable = *id == system || (reach.contains(*id) && travels(claim, s));
        let in_time = begun.is_none_or(|begun| scene.picture.not_before(begun, s.onset()));
        reached += usize::from(reachable);
        late += usize::from(reachable && in_time);
        if reachable && in_time {
            account.explains.push(s.cited.id.clone());
        } else {
            account.unexplained.push(s.cited.id.clone());
        }
    }
    // What only the localiser saw of the system is explained with it.
    let own = scene.seen.iter().filter(|_| *system == scene.system).filter_map(|o| o.id.clone());
    account.explains.extend(own);
    account.path = path(scene, system);
    account.tests = tests(scene, claim, begun, (reached, late, told.len()));
    account
}

/// Trouble travels to callers as slowness, failures and waiting; a resource is used where it is used.
fn travels(claim: &Claim, s: &Symptom<'_>) -> bool {
    s.class.role.is_request_path()
        || s.class.role == MetricRole::Saturation
        || claim.fault == FaultType::Load
        || s.class.role == MetricRole::Efficiency
}

/// Who can suffer from `system`: those that need it, those on it, and, of too much work, those it needs.
fn reach(scene: &Scene<'_>, claim: &Claim, system: &EntityId) -> BTreeSet<EntityId> {
    let picture = scene.picture;
    let mut reach: BTreeSet<EntityId> = picture.all_callers(system).into_iter().cloned().collect();
    let on_it = picture.topology.needed_by(system, EdgeKind::RunsOn).map(|part| picture.whole(part));
    let on_it: BTreeSet<EntityId> = on_it.collect();
    for resident in on_it {
        reach.extend(picture.all_callers(&resident).into_iter().cloned());
        reach.insert(resident);
    }
    if claim.fault == FaultType::Load {
        // The work it sends on slows whomever it calls, and with them their other callers.
        for callee in picture.all_callees(system) {
            reach.extend(picture.all_callers(callee).into_iter().cloned());
            reach.insert(callee.clone());
        }
    }
    reach.remove(system);
    reach
}

/// When the cause was there: the change, or the first own symptom.
fn begun(scene: &Scene<'_>, claim: &Claim, system: &EntityId) -> Option<Timestamp> {
    match claim.change.as_ref().and_then(|id| scene.case.change(id)) {
        Some(change) => Some(change.change.time),
        None => {
            let own = scene.picture.groups.get(system).and_then(|g| g.onset());
            own.or_else(|| scene.trouble.onset().filter(|_| *system == scene.system))
        }
    }
}

fn path(scene: &Scene<'_>, system: &EntityId) -> Vec<EntityId> {
    let ranked = scene.case.ranking().map(|r| r.suspects.as_slice()).unwrap_or_default();
    let of_it = ranked.iter().filter(|s| s.entity == *system || scene.picture.whole(&s.entity) == *system);
    let longest = of_it.map(|s| &s.path).fold(None, |best: Option<&Vec<EntityId>>, path| match best {
        Some(best) if best.len() >= path.len() => Some(best),
        _ => Some(path),
    });
    if let Some(path) = longest.filter(|p| !p.is_empty()) {
        // A part that leads to its whole is told as the whole.
        let mut wholes: Vec<EntityId> = path.iter().map(|e| scene.picture.whole(e)).collect();
        wholes.dedup();
        if wholes.first() == Some(system) {
            return wholes;
        }
    }
    let way = scene.picture.topology.path(&scene.system, system);
    way.map_or_else(
        || vec![system.clone()],
        |mut way| {
            way.reverse();
            way
        },
    )
}

fn tests(
    scene: &Scene<'_>,
    claim: &Claim,
    begun: Option<Timestamp>,
    (reached, in_time, all): (usize, usize, usize),
) -> Vec<CausalTest> {
    let mut tests = Vec::new();
    if let (Some(begun), true) = (begun, reached > 0) {
        let passed = ratio(in_time, reached) >= scene.config.observed.causal_share;
        let first = scene.picture.first.map_or(String::new(), |first| {
            let lead = first.duration_since(begun).as_secs_f64();
            if lead >= 0.0 {
                format!("; it came {lead:.0} s before the first of all")
            } else {
                format!("; the first of all is {:.0} s older", time::elapsed(first, begun).as_secs_f64())
            }
        });
        let statement = format!("{in_time} of {reached} symptoms it can reach began with it or later{first}");
        tests.push(CausalTest::new(CausalGround::Order, passed, statement));
    }
    if all > 0 && scene.picture.topology.edges().next().is_some() {
        let passed = ratio(reached, all) >= scene.config.observed.causal_share;
        let statement = format!("{reached} of {all} symptoms lie where its trouble travels");
        tests.push(CausalTest::new(CausalGround::Topology, passed, statement));
    }
    tests.extend(claim.tests.iter().cloned());
    tests
}
