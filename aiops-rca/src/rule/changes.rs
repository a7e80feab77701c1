//! Which change, if any (RCA-03).

use std::collections::BTreeSet;

use aiops_core::model::{Change, ChangeKind, EntityId, FaultType, NullFinding, time};
use aiops_core::{Case, CitedChange};
use jiff::Timestamp;

use super::claim::Claim;
use super::config::ChangeConfig;
use super::words::{Fit, fit};
use super::{Scene, null};
use crate::picture::{Group, Picture, Symptom};
use crate::roles::{MetricRole, Words};

/// Changes on the system, or on what it needs, before its onset.
pub(super) fn claims(scene: &Scene<'_>) -> Vec<Claim> {
    let Some(onset) = scene.onset else { return Vec::new() };
    let config = &scene.config.changes;
    let group = scene.picture.groups.get(&scene.system);
    let needed = scene.picture.all_callees(&scene.system);
    let mut claims = Vec::new();
    for cited in before(scene.case, scene.picture, onset, config) {
        let change = &cited.change;
        let entity = scene.picture.whole(&change.entity);
        let hops = if entity == scene.system { 0 } else { distance(scene.picture, &scene.system, &entity) };
        if hops > 0 && !needed.contains(&entity) {
            continue;
        }
        let lead = time::elapsed(change.time, onset);
        let near = (-lead.as_secs_f64() / config.decay.as_secs_f64()).exp();
        let changed = scene.picture.groups.get(&entity).or(group);
        let relation = if limit_moved(changed, change) { Fit::Fits } else { fit(change, changed) };
        let fits = match relation {
            Fit::Fits => 1.0,
            Fit::Vague => config.vague,
            Fit::Misfit => config.misfit,
        };
        let chance = chance(scene.case, scene.picture, lead.as_secs_f64());
        let support = config.weight(change.kind) * near * (1.0 - chance) * fits * config.distance.powi(hops);
        let shows = group.into_iter().flat_map(|g| g.harmful()).filter(|s| s.strength >= 0.2);
        let shown = shows.map(|s| s.cited.id.clone()).take(6);
        let set = group.into_iter().flat_map(|g| &g.symptoms);
        let set = set.filter(|s| s.class.role == MetricRole::Configuration).map(|s| s.cited.id.clone());
        let mut claim = Claim::new(
            fault_of(change.kind),
            &mechanism(group.and_then(|g| g.strongest(|s| s.harmful && s.class.mechanism.is_some()))),
            statement(change, lead.as_secs_f64()),
            support,
        )
        .citing([cited.id.clone()])
        .citing(set)
        .citing(shown)
        .next(format!("whether {} recovers on the revision before", change.entity))
        .next(format!("what exactly the change did: {}", change.summary));
        claim.change = Some(change.id.clone());
        claim.shown = Some(relation == Fit::Fits);
        claim.system = (entity != scene.system).then_some(entity);
        claims.push(claim);
    }
    claims
}

/// Whether a setting that telemetry shows, a limit or a capacity, moved with the change. Revisions and versions move with
/// every change and tell nothing about what it did.
fn limit_moved(group: Option<&Group<'_>>, change: &Change) -> bool {
    let echo = ["revision", "version", "generation", "info", "replica", "desired", "wanted"];
    let echoes = |s: &Symptom<'_>| {
        let name = Words::of(&s.anomaly().series.name);
        echo.iter().any(|word| name.contain(&Words::of(word)))
    };
    let mut symptoms = group.into_iter().flat_map(|g| &g.symptoms);
    symptoms.any(|s| {
        s.class.role == MetricRole::Configuration
            && !echoes(s)
            && s.anomaly().last >= change.time
            && s.strength > 0.0
    })
}

/// Changes before `onset` within reach, nearest first.
fn before<'c>(
    case: &'c Case,
    picture: &Picture<'_>,
    onset: Timestamp,
    config: &ChangeConfig,
) -> Vec<&'c CitedChange> {
    let oldest = time::before(onset, config.reach);
    let mut changes: Vec<&CitedChange> = case
        .changes()
        .iter()
        .filter(|c| c.change.time >= oldest && picture.not_before(c.change.time, onset))
        .filter(|c| c.change.time <= case.opened_at())
        .collect();
    changes.sort_by(|a, b| b.change.time.cmp(&a.change.time).then_with(|| a.id.cmp(&b.id)));
    changes
}

/// Probability that, at the rate of changes seen, one falls within `lead` seconds before an instant by chance.
fn chance(case: &Case, picture: &Picture<'_>, lead: f64) -> f64 {
    let Some(window) = case.window() else { return 0.0 };
    let oldest = case.changes().iter().map(|c| c.change.time).min().unwrap_or(window.range.start());
    let span = time::elapsed(oldest.min(window.range.start()), window.range.end()).as_secs_f64();
    // The change itself is not chance; the others tell the rate.
    let others = crate::localize::ratio(case.changes().len().saturating_sub(1), 1);
    let systems: BTreeSet<EntityId> =
        case.changes().iter().map(|c| picture.whole(&c.change.entity)).collect();
    let each = others / crate::localize::ratio(systems.len().max(1), 1);
    if span > 0.0 { 1.0 - (-each / span * lead).exp() } else { 0.0 }
}

fn distance(picture: &Picture<'_>, from: &EntityId, to: &EntityId) -> i32 {
    let hops = picture.topology.path(from, to).map_or(1, |p| p.len().saturating_sub(1).max(1));
    i32::try_from(hops).unwrap_or(i32::MAX)
}

fn fault_of(kind: ChangeKind) -> FaultType {
    match kind {
        ChangeKind::Deployment | ChangeKind::Patch => FaultType::Code,
        ChangeKind::ConfigRollout | ChangeKind::FeatureFlag | ChangeKind::Rollback => FaultType::Config,
        ChangeKind::Scaling => FaultType::Load,
        _ => FaultType::Unknown,
    }
}

fn mechanism(strongest: Option<&Symptom<'_>>) -> String {
    strongest.and_then(|s| s.class.mechanism.clone()).unwrap_or_default()
}

fn what(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Deployment => "deployment",
        ChangeKind::ConfigRollout => "configuration roll-out",
        ChangeKind::FeatureFlag => "feature flag",
        ChangeKind::Scaling => "scaling",
        ChangeKind::Patch => "patch",
        ChangeKind::Restart => "restart",
        ChangeKind::Rollback => "rollback",
        ChangeKind::Maintenance => "maintenance",
        _ => "change",
    }
}

fn statement(change: &Change, lead: f64) -> String {
    let mut text = format!("{} of {}", what(change.kind), change.entity);
    if let Some(r) = &change.revision {
        text += &match &r.from {
            Some(from) => format!(" from revision {from} to {}", r.to),
            None => format!(" to revision {}", r.to),
        };
        text += &r.commit.as_ref().map(|c| format!(" (commit {c})")).unwrap_or_default();
    }
    text + &format!(", {lead:.0} s before the first symptom")
}

/// What was looked for among the changes and not found, or refuted.
pub(super) fn null_findings(
    case: &Case,
    picture: &Picture<'_>,
    leader: &EntityId,
    onset: Option<Timestamp>,
    config: &ChangeConfig,
) -> Vec<NullFinding> {
    let Some(onset) = onset else { return Vec::new() };
    let needed = picture.all_callees(leader);
    let mut nulls = Vec::new();
    let considered = before(case, picture, onset, config);
    let concerns = |e: &EntityId| e == leader || needed.contains(e);
    let is_new = |c: &&CitedChange| {
        matches!(
            c.change.kind,
            ChangeKind::Deployment | ChangeKind::ConfigRollout | ChangeKind::FeatureFlag | ChangeKind::Patch
        )
    };
    if !considered.iter().filter(|c| concerns(&picture.whole(&c.change.entity))).any(is_new) {
        nulls.push(null(format!(
            "no deployment or configuration roll-out of {leader}, or of what it needs, before its first symptom"
        )));
    }
    for cited in case.changes().iter().filter(|c| c.change.time <= case.opened_at()) {
        let (change, entity) = (&cited.change, picture.whole(&cited.change.entity));
        let kind = what(change.kind);
        if !considered.iter().any(|c| c.id == cited.id) {
            if change.time > onset {
                let late = time::elapsed(onset, change.time).as_secs_f64();
                let text =
                    format!("{}: the {kind} of {entity} came {late:.0} s after the first symptom", cited.id);
                nulls.push(null(text));
            }
        } else if !concerns(&entity) {
            let text = format!("{}: the {kind} of {entity} is not on the way to {leader}", cited.id);
            nulls.push(null(text));
        }
    }
    nulls
}
