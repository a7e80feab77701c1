//! Which change, if any (RCA-03).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::model::{
    Change, ChangeKind, EntityId, EvidenceId, FaultType, MetricSeries, NullFinding, SeriesKey, Shape, Signal,
    mechanism as word, time,
};
use aiops_core::{Case, CitedChange};
use jiff::Timestamp;

use super::claim::Claim;
use super::config::ChangeConfig;
use super::trouble::{Explained, Trouble};
use super::words::{Fit, fit};
use super::{Scene, null};
use crate::localize::ratio;
use crate::picture::{Group, Picture, Symptom};
use crate::roles::MetricRole;

/// Changes on the system, or on what it needs, before its onset.
pub(super) fn claims(scene: &Scene<'_>) -> Vec<Claim> {
    let config = &scene.config.changes;
    let group = scene.picture.groups.get(&scene.system);
    let needed = scene.picture.all_callees(&scene.system);
    let gives_up = group.is_some_and(|g| super::mechanisms::timeout(scene, g).is_some());
    let accused: BTreeSet<EntityId> = super::observed::claims(scene)
        .into_iter()
        .filter(|c| c.support > 0.0)
        .filter_map(|c| c.system)
        .collect();
    let mut claims = Vec::new();
    let mut later: BTreeMap<EntityId, (i32, Timestamp)> = BTreeMap::new();
    for (cited, explained) in considered(scene.case, scene.picture, scene.trouble, config) {
        let change = &cited.change;
        let entity = scene.picture.whole(&change.entity);
        // Whom the errors name is as near as the one who writes them.
        let named = entity == scene.system || accused.contains(&entity);
        let hops = if named { 0 } else { distance(scene.picture, &scene.system, &entity) };
        if hops > 0 && !needed.contains(&entity) {
            continue;
        }
        let lead = time::elapsed(change.time, explained.onset);
        let near = (-lead.as_secs_f64() / config.decay.as_secs_f64()).exp();
        let deviating = scene.picture.groups.get(&entity).or(group);
        let (superseded, until) = later.entry(entity.clone()).or_insert((0, scene.case.opened_at()));
        let bound = deviating.and_then(|g| lowered(g, change.time, *until, config.lowered));
        // Work that is another than before is what code does, and lines about a setting what settings do.
        let mut observed = Vec::new();
        if hops == 0 {
            observed = cited_fault(scene, fault_of(change.kind));
            observed.extend(super::fleet::shows_change(scene));
        }
        let relation = match fit(change, deviating) {
            _ if is_new(change.kind) && !observed.is_empty() => Fit::Fits,
            // A bound that was lowered, or a callee given up on while it is well, is what settings do.
            _ if is_new(change.kind) && hops == 0 && (gives_up || bound.is_some()) => Fit::Fits,
            // Memory that creeps up is what code does, and no setting unless it says so.
            Fit::Vague if change.kind == ChangeKind::ConfigRollout && creeps(deviating) => Fit::Misfit,
            relation => relation,
        };
        let fits = match relation {
            Fit::Fits => 1.0,
            Fit::Vague => config.vague,
            Fit::Misfit => config.misfit,
        };
        let chance = chance(scene, &entity, lead.saturating_add(scene.picture.resolution));
        // What did no harm until the next change was made most likely does none.
        let latest = config.superseded.powi(*superseded);
        *superseded += i32::from(is_new(change.kind));
        *until = change.time;
        let support = config.weight(change.kind)
            * explained.share
            * near
            * (1.0 - chance)
            * fits
            * latest
            * config.distance.powi(hops);
        let shows = group.into_iter().flat_map(|g| g.harmful()).filter(|s| s.strength >= 0.2);
        let shown = shows.map(|s| s.cited.id.clone()).take(6);
        let set = group.into_iter().flat_map(|g| &g.symptoms);
        let set = set.filter(|s| s.class.role == MetricRole::Configuration).map(|s| s.cited.id.clone());
        let mut claim = Claim::new(
            fault_of(change.kind),
            &mechanism(group.and_then(|g| g.strongest(|s| s.harmful && s.class.mechanism.is_some()))),
            statement(change, &explained, scene.trouble.onset(), bound.as_ref()),
            support,
        )
        .citing([cited.id.clone()])
        .citing(set)
        .citing(shown)
        .citing(observed.into_iter().take(4))
        .next(
            scene
                .ask(&format!("whether {} recovers on the revision before", change.entity), Signal::Metrics)
                .settled_by("symptoms end with the roll-back", "symptoms outlast the roll-back"),
        )
        .next(
            scene
                .ask(&format!("what exactly the change did: {}", change.summary), Signal::Changes)
                .settled_by("it touches what deviates", "it touches something else"),
        );
        if let Some(Lowered { bound, from, to }) = &bound {
            let text = format!("{bound} was lowered from {from} to {to}; use did not rise to it");
            claim = claim.apart(FaultType::ResourceExhaustion, text, vec![cited.id.clone()]);
        }
        let moment = (-lead.as_secs_f64() / config.moment.as_secs_f64()).exp();
        claim.timely = if hops == 0 && is_new(change.kind) { latest * moment * (1.0 - chance) } else { 0.0 };
        claim.change = Some(change.id.clone());
        claim.shown = Some(relation == Fit::Fits);
        claim.system = (entity != scene.system).then_some(entity);
        claims.push(claim);
    }
    claims
}

/// Observations that speak for `fault` in particular.
fn cited_fault(scene: &Scene<'_>, fault: FaultType) -> Vec<EvidenceId> {
    let claims = super::observed::claims(scene).into_iter();
    let strong = claims.filter(|c| c.fault == fault && c.support >= scene.config.observed.shows);
    strong.flat_map(|c| c.citations).collect()
}

/// The last change of the system, or of what it needs, that brought something new shortly before `onset`.
pub(super) fn changed_before(scene: &Scene<'_>, onset: Timestamp) -> Option<EvidenceId> {
    let config = &scene.config.changes;
    let needed = scene.picture.all_callees(&scene.system);
    let from = time::before(onset, config.decay.saturating_mul(3).min(config.reach));
    let to = time::after(onset, scene.picture.resolution);
    let near = scene.case.changes().iter().filter(|c| {
        let entity = scene.picture.whole(&c.change.entity);
        let concerns = entity == scene.system || needed.contains(&entity);
        concerns && is_new(c.change.kind) && from <= c.change.time && c.change.time <= to
    });
    near.max_by(|a, b| a.change.time.cmp(&b.change.time).then_with(|| b.id.cmp(&a.id))).map(|c| c.id.clone())
}

/// Changes that most of the trouble came after, within reach, nearest first.
fn considered<'c>(
    case: &'c Case,
    picture: &Picture<'_>,
    trouble: &Trouble,
    config: &ChangeConfig,
) -> Vec<(&'c CitedChange, Explained)> {
    let mut changes: Vec<(&CitedChange, Explained)> = case
        .changes()
        .iter()
        .filter(|c| c.change.time <= case.opened_at())
        .filter_map(|c| Some((c, trouble.after(c.change.time, picture.resolution)?)))
        .filter(|(c, explained)| {
            explained.share >= config.explains && c.change.time >= time::before(explained.onset, config.reach)
        })
        .collect();
    changes.sort_by(|(a, _), (b, _)| b.change.time.cmp(&a.change.time).then_with(|| a.id.cmp(&b.id)));
    changes
}

/// Probability that, at the rate at which `entity` is changed, a change falls so close before an instant by chance.
fn chance(scene: &Scene<'_>, entity: &EntityId, lead: Duration) -> f64 {
    let Some(window) = scene.case.window() else { return 0.0 };
    let of_it = || {
        let changes = scene.case.changes().iter().map(|c| &c.change);
        changes.filter(|c| is_new(c.kind) && scene.picture.whole(&c.entity) == *entity)
    };
    let oldest = of_it().map(|c| c.time).min().unwrap_or(window.range.start());
    let span = time::elapsed(oldest.min(window.range.start()), window.range.end()).as_secs_f64();
    let expected = ratio(of_it().count(), 1) * lead.as_secs_f64() / span.max(f64::MIN_POSITIVE);
    1.0 - (-expected).exp()
}

/// Whether it brings something that was not there before.
fn is_new(kind: ChangeKind) -> bool {
    matches!(
        kind,
        ChangeKind::Deployment | ChangeKind::ConfigRollout | ChangeKind::FeatureFlag | ChangeKind::Patch
    )
}

/// A configured bound that a change lowered.
struct Lowered<'a> {
    bound: &'a SeriesKey,
    from: f64,
    to: f64,
}

/// The configured bound that fell most, by at least `share` of what it was, between `changed` and the next change at
/// `until`. Bounds move only when somebody moves them, so the two samples are enough and no norm is needed.
fn lowered<'a>(group: &Group<'a>, changed: Timestamp, until: Timestamp, share: f64) -> Option<Lowered<'a>> {
    let fell = |series: &'a MetricSeries| {
        let finite = || series.points().filter(|(_, value)| value.is_finite());
        let (_, from) = finite().rfind(|(at, _)| *at <= changed)?;
        let (_, to) = finite().rfind(|(at, _)| *at > changed && *at <= until)?;
        (from > 0.0 && to <= (1.0 - share) * from).then_some(Lowered { bound: series.key(), from, to })
    };
    let fallen = group.bounds.iter().filter_map(|series| fell(series));
    fallen.min_by(|a, b| (a.to / a.from).total_cmp(&(b.to / b.from)).then_with(|| a.bound.cmp(b.bound)))
}

/// Whether what deviates most is memory that grows steadily.
fn creeps(group: Option<&Group<'_>>) -> bool {
    group.into_iter().flat_map(Group::harmful).any(|s| {
        s.class.mechanism.as_deref() == Some(word::MEMORY) && s.anomaly().shape == Shape::SteadyIncrease
    })
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

fn statement(
    change: &Change,
    explained: &Explained,
    first: Option<Timestamp>,
    bound: Option<&Lowered<'_>>,
) -> String {
    let mut text = format!("{} of {}", what(change.kind), change.entity);
    if let Some(r) = &change.revision {
        text += &match &r.from {
            Some(from) => format!(" from revision {from} to {}", r.to),
            None => format!(" to revision {}", r.to),
        };
        text += &r.commit.as_ref().map(|c| format!(" (commit {c})")).unwrap_or_default();
    }
    let before = |at: Timestamp| time::elapsed(change.time, at).as_secs_f64();
    text += &match first.filter(|first| *first < explained.onset) {
        None => format!(", {:.0} s before the first symptom", before(explained.onset)),
        // What began earlier it cannot have caused, and that is said.
        Some(first) => format!(
            ", {:.0} s before {:.0} % of the trouble began; other symptoms are {:.0} s older",
            before(explained.onset),
            100.0 * explained.share,
            time::elapsed(first, explained.onset).as_secs_f64()
        ),
    };
    if let Some(Lowered { bound, from, to }) = bound {
        text += &format!("; it lowered {bound} from {from} to {to}");
    }
    text
}

/// What was looked for among the changes and not found, or refuted.
pub(super) fn null_findings(
    case: &Case,
    picture: &Picture<'_>,
    leader: &EntityId,
    trouble: &Trouble,
    config: &ChangeConfig,
) -> Vec<NullFinding> {
    let Some(onset) = trouble.onset() else { return Vec::new() };
    let needed = picture.all_callees(leader);
    let mut nulls = Vec::new();
    let considered = considered(case, picture, trouble, config);
    let concerns = |e: &EntityId| e == leader || needed.contains(e);
    if !considered
        .iter()
        .map(|(c, _)| c)
        .filter(|c| concerns(&picture.whole(&c.change.entity)))
        .any(|c| is_new(c.change.kind))
    {
        nulls.push(null(format!(
            "no deployment or configuration roll-out of {leader}, or of what it needs, before its first symptom"
        )));
    }
    for cited in case.changes().iter().filter(|c| c.change.time <= case.opened_at()) {
        let (change, entity) = (&cited.change, picture.whole(&cited.change.entity));
        let kind = what(change.kind);
        if !considered.iter().any(|(c, _)| c.id == cited.id) {
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
