//! What ran out, restarts, overflows or answers late.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{
    ChangeKind, Check, Direction, EntityId, EntityKind, FaultType, MetricKind, MetricSeries, NullFinding,
    Shape, Signal, mechanism as word, time,
};

use jiff::Timestamp;

use super::claim::Claim;
use super::{Scene, dark, device, fleet, null, observed, security};
use crate::fusion::Effect;
use crate::picture::{Group, Picture, Symptom};
use crate::roles::{MetricRole, Side, Words};

/// Support of a mechanism at full strength. Higher for what fails by itself, lower for what also follows from elsewhere:
/// requests pile up in flight wherever anything is slow.
fn base(mechanism: &str) -> f64 {
    match mechanism {
        "restarts" | word::MEMORY => 1.0,
        word::LOCK => 0.95,
        word::CONNECTION_POOL | "disk" | "hardware" => 0.9,
        "thread pool" => 0.8,
        "network" | "gpu" => 0.7,
        "cpu" | "queue" | "garbage collection" => 0.6,
        // Every process holds more of these while it works more, or longer.
        "file descriptors" | "threads" | "cache" => 0.35,
        _ => 0.3,
    }
}

/// Claims about everything but changes.
pub(super) fn claims(scene: &Scene<'_>) -> Vec<Claim> {
    let Some(group) = scene.picture.groups.get(&scene.system) else {
        // Known by spans and lines alone, or not at all.
        let mut claims = observed::claims(scene);
        claims.extend(dependency_without_telemetry(scene));
        return claims;
    };
    let load = load(scene, group);
    let overloaded = load.iter().map(|c| c.support).fold(0.0, f64::max);
    let mut claims = exhaustion(scene, group, overloaded);
    claims.extend(device::claims(scene, group));
    claims.extend(security::claims(scene, group));
    claims.extend(restarts(scene, group));
    claims.extend(load);
    claims.extend(timeout(scene, group));
    for seen in observed::claims(scene) {
        match claims
            .iter_mut()
            .find(|c| c.fault == seen.fault && c.mechanism == seen.mechanism && c.system == seen.system)
        {
            Some(known) => known.absorb(seen),
            None => claims.push(seen),
        }
    }
    because_of_its_own(scene, &mut claims);
    fleet::explain(scene, &mut claims);
    let own = claims.iter().map(|c| c.support).fold(0.0, f64::max);
    claims.extend(slow(scene, group, own));
    claims.extend(dependency_without_telemetry(scene));
    claims
}

/// That callers find it failing is the effect of what fails within it, where that is seen.
fn because_of_its_own(scene: &Scene<'_>, claims: &mut [Claim]) {
    let within = |c: &&Claim| {
        let fault = matches!(c.fault, FaultType::Dependency | FaultType::Network | FaultType::Unknown);
        c.system.is_none() && !fault
    };
    let own = claims.iter().filter(within).map(|c| c.support).fold(0.0, f64::max);
    for claim in claims.iter_mut().filter(|c| c.fault == FaultType::Dependency) {
        let reason = match &claim.system {
            None => own,
            Some(other) => reason_within(scene, other),
        };
        claim.support *= 1.0 - scene.config.coincidence * reason;
    }
}

/// The strongest sign that something within `system` fails: what it uses, its restarts, its readiness. Requests under way are as many as
/// wait, whatever for.
fn reason_within(scene: &Scene<'_>, system: &EntityId) -> f64 {
    let signs = [MetricRole::Resource, MetricRole::Saturation, MetricRole::Restarts, MetricRole::Liveness];
    let group = scene.picture.groups.get(system).into_iter();
    let found = group
        .flat_map(|g| g.harmful())
        .filter(|s| signs.contains(&s.class.role) && s.class.mechanism.as_deref() != Some("concurrency"));
    found.map(|s| s.strength).fold(0.0, f64::max)
}

fn cite<'s, 'a: 's>(
    symptoms: impl IntoIterator<Item = &'s Symptom<'a>>,
) -> Vec<aiops_core::model::EvidenceId> {
    symptoms.into_iter().map(|s| s.cited.id.clone()).collect()
}

pub(super) fn told(s: &Symptom<'_>) -> String {
    let a = s.anomaly();
    format!("{} of {}: {:.4} against {:.4} {}", a.shape, a.series, a.value, a.baseline.center, a.unit)
}

/// Resources, pools, locks, queues: the strongest symptom of each.
fn exhaustion(scene: &Scene<'_>, group: &Group<'_>, overloaded: f64) -> Vec<Claim> {
    let mut by_mechanism: BTreeMap<&str, Vec<&Symptom<'_>>> = BTreeMap::new();
    for s in group.harmful() {
        let bounded =
            matches!(s.class.role, MetricRole::Saturation | MetricRole::Resource | MetricRole::Efficiency);
        let mechanism = s.class.mechanism.as_deref().filter(|m| !device::MECHANISMS.contains(m));
        if let (true, Some(mechanism)) = (bounded, mechanism) {
            by_mechanism.entry(mechanism).or_default().push(s);
        }
    }
    let mut claims = Vec::new();
    for (mechanism, mut symptoms) in by_mechanism {
        symptoms.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.cited.id.cmp(&b.cited.id)));
        let Some(strongest) = symptoms.first().copied() else { continue };
        let mut support = strongest.strength
            * scene.config.mechanisms.get(mechanism).copied().unwrap_or_else(|| base(mechanism));
        let grows = symptoms.iter().any(|s| s.anomaly().shape == Shape::SteadyIncrease);
        if mechanism == word::MEMORY && !grows {
            support *= 0.7;
        }
        // What fills up because somebody it calls is slow, or somebody sends more, did not fail by itself.
        if strongest.class.role == MetricRole::Saturation && mechanism != word::LOCK {
            let callee = scene.picture.callees(&scene.system).into_iter();
            let slow = callee.filter_map(|c| scene.picture.groups.get(c)?.trouble());
            let slow = slow.filter(|(_, since)| scene.picture.not_before(*since, strongest.onset()));
            support *= 1.0 - 0.65 * slow.map(|(t, _)| t).fold(0.0, f64::max);
        }
        if mechanism != word::MEMORY || !grows {
            support *= 1.0 - 0.6 * overloaded;
        }
        if mechanism == "garbage collection" {
            support *= beyond_work(group, strongest);
        }
        let fault = match mechanism {
            "hardware" => FaultType::Hardware,
            // A disk that fills runs out of space; one that takes longer for what it is asked is failing.
            "disk" if is_machine(scene) && takes_time(strongest) => FaultType::Hardware,
            "network" => FaultType::Network,
            "cache" => FaultType::Unknown,
            _ => FaultType::ResourceExhaustion,
        };
        let how = if grows { "grows steadily" } else { "left its norm" };
        let statement = format!("{mechanism} of {} {how}: {}", scene.system, told(strongest));
        let felt = group.harmful().filter(|s| s.class.role.is_request_path() && s.class.side == Side::Server);
        let claim = Claim::new(fault, mechanism, statement, support)
            .showing(Effect::Usage)
            .citing(cite(symptoms))
            .citing(cite(felt).into_iter().take(4))
            .next(
                scene
                    .ask(
                        &format!(
                            "whether {mechanism} of {} returns to its norm after a restart, and stays",
                            scene.system
                        ),
                        Signal::Metrics,
                    )
                    .settled_by(
                        "it returns and stays, or fills up again from there",
                        "it is as before right after the start",
                    ),
            );
        claims.push(if matches!(fault, FaultType::Hardware) { claim } else { claim.transient() });
    }
    claims
}

/// How many times as much as before.
fn times(s: &Symptom<'_>) -> f64 {
    s.anomaly().value / s.anomaly().baseline.center.max(f64::MIN_POSITIVE)
}

/// Share of a collector's work that the work of its processor does not account for, 0..=1: what is computed leaves garbage.
fn beyond_work(group: &Group<'_>, collects: &Symptom<'_>) -> f64 {
    let of_it = |s: &&Symptom<'_>| {
        s.harmful
            && s.class.mechanism.as_deref() == Some("cpu")
            && s.anomaly().entity == collects.anomaly().entity
    };
    let worked = group.symptoms.iter().filter(of_it).map(times).fold(1.0, f64::max);
    let more = times(collects);
    // From nothing there is no telling how many times as much.
    let told = more > 1.0 && more.is_finite() && worked.is_finite();
    if told { ((more - worked) / (more - 1.0)).clamp(0.0, 1.0) } else { 1.0 }
}

pub(super) fn is_machine(scene: &Scene<'_>) -> bool {
    matches!(scene.system.kind(), EntityKind::Node | EntityKind::Host)
}

/// Whether the metric is of how long a device is busy or waited for.
fn takes_time(s: &Symptom<'_>) -> bool {
    tells_time(&s.anomaly().series.name)
}

/// Whether a name or statement is of how long a device is busy or waited for.
pub(super) fn tells_time(text: &str) -> bool {
    let name = Words::of(text);
    ["io time", "await", "latency", "busy", "wait", "service time"]
        .iter()
        .any(|w| name.contain(&Words::of(w)))
}

/// Restarts of one copy that are more than a roll-out makes, with room for the smear of rates.
const OVER_AND_OVER: f64 = 1.5;

/// Starts that a series counts from `since` on.
fn restarts_since(series: &MetricSeries, since: Timestamp) -> f64 {
    let points: Vec<(Timestamp, f64)> =
        series.points().filter(|(t, v)| *t >= since && v.is_finite()).collect();
    let pairs = points.windows(2).filter_map(|w| if let [a, b] = w { Some((a, b)) } else { None });
    match series.kind() {
        MetricKind::Rate => pairs.map(|((t, _), (u, rate))| rate * time::elapsed(*t, *u).as_secs_f64()).sum(),
        MetricKind::Counter => pairs.map(|((_, a), (_, b))| if b >= a { b - a } else { *b }).sum(),
        // A start time: every rise is a start.
        _ => pairs.map(|((_, a), (_, b))| if b > a { 1.0 } else { 0.0 }).sum(),
    }
}

/// Starts over and over, or is not there at all.
fn restarts(scene: &Scene<'_>, group: &Group<'_>) -> Option<Claim> {
    let of = |role: MetricRole| group.strongest(move |s| s.harmful && s.class.role == role);
    let (restarted, gone) = (of(MetricRole::Restarts), of(MetricRole::Liveness));
    let strongest =
        [restarted, gone].into_iter().flatten().max_by(|a, b| a.strength.total_cmp(&b.strength))?;
    let onset = strongest.onset();
    // A roll-out restarts what it rolls out, once.
    let rolled_out = scene.case.changes().iter().any(|c| {
        let near = scene.picture.not_before(c.change.time, onset)
            && time::elapsed(c.change.time, onset) <= scene.picture.resolution.saturating_mul(5);
        near && c.change.kind != ChangeKind::Maintenance
            && scene.picture.whole(&c.change.entity) == scene.system
    });
    let mut support = strongest.strength;
    let down: BTreeSet<&EntityId> = group
        .harmful()
        .filter(|s| s.class.role == MetricRole::Liveness && s.anomaly().ongoing)
        .map(|s| &s.anomaly().entity)
        .collect();
    let own_parts = group.parts.iter().filter(|p| scene.picture.whole(p) == scene.system);
    // Roll-outs leave somebody serving; when all are down they are not the reason.
    let all_down = own_parts.clone().next().is_some() && own_parts.clone().all(|p| down.contains(p));
    let again =
        group.restarts.iter().map(|s| restarts_since(s, time::before(onset, scene.picture.resolution)));
    let over_and_over = again.fold(0.0, f64::max) >= OVER_AND_OVER;
    if rolled_out && !all_down && !over_and_over {
        support *= if strongest.anomaly().ongoing { 0.6 } else { 0.2 };
    }
    let (mechanism, what) = if over_and_over || (restarted.is_some() && !rolled_out) {
        (word::CRASH_LOOP, "is started over and over")
    } else {
        ("unavailable", "is not ready")
    };
    let statement = format!("{} {what}: {}", scene.system, told(strongest));
    let fault = if is_machine(scene) { FaultType::Hardware } else { FaultType::Code };
    let claim = Claim::new(fault, mechanism, statement, support)
        .showing(Effect::Liveness)
        .citing(cite(restarted.into_iter().chain(gone)))
        .next(
            scene
                .ask(
                    &format!("last log lines of {} before it ended, and its exit status", scene.system),
                    Signal::Logs,
                )
                .settled_by("an error of its own right before the end", "it was ended from outside"),
        )
        .next(Check::new("whether it starts without the state it keeps on disk, or on the revision before"));
    Some(claim)
}

/// More work than before, that no caller explains.
fn load(scene: &Scene<'_>, group: &Group<'_>) -> Vec<Claim> {
    let rise = scene.config.symptoms.load_rise;
    let mut claims = Vec::new();
    let rising = |g: &Group<'_>| g.strongest(|s| s.is_load(rise)).is_some();
    let driven = scene
        .picture
        .callers(&scene.system)
        .into_iter()
        .any(|c| scene.picture.groups.get(c).is_some_and(rising));
    if let Some(s) = group.strongest(|s| s.is_load(rise) && s.class.caller.is_none()).filter(|_| !driven) {
        let suffering: Vec<&EntityId> = scene
            .picture
            .callees(&scene.system)
            .into_iter()
            .filter(|c| !matches!(c.kind(), EntityKind::Node | EntityKind::Host))
            .filter(|c| {
                let trouble = scene.picture.groups.get(*c).and_then(Group::trouble);
                trouble.is_some_and(|(_, since)| scene.picture.not_before(s.onset(), since))
            })
            .collect();
        let own_trouble = group.strongest(Symptom::is_serving_trouble);
        let shared = suffering.iter().find(|c| scene.picture.callers(c).len() > 1);
        let (mechanism, statement, support) = match shared {
            Some(callee) => {
                let text = format!(
                    "{} sends far more to {callee}, which others need as well: {}",
                    scene.system,
                    told(s)
                );
                (word::TENANT_LOAD, text, 0.95 * s.strength)
            }
            None => {
                let text = format!("{} is sent far more than before: {}", scene.system, told(s));
                // More work without anybody suffering is no fault.
                let felt = if own_trouble.is_some() || !suffering.is_empty() { 0.8 } else { 0.2 };
                ("overload", text, felt * s.strength)
            }
        };
        let felt = suffering
            .iter()
            .filter_map(|c| scene.picture.groups.get(*c)?.strongest(Symptom::is_serving_trouble));
        claims.push(
            Claim::new(FaultType::Load, mechanism, statement, support)
                .showing(Effect::Traffic)
                .citing(cite([s]))
                .citing(cite(own_trouble.into_iter().chain(felt)))
                .next(
                    scene
                        .ask(
                            &format!("what the additional work of {} is, and who asked for it", scene.system),
                            Signal::Traces,
                        )
                        .settled_by("one caller or kind of work accounts for the rise", "all rose alike"),
                ),
        );
    }
    // One tenant or client among many, told by a label.
    let tenant = group.strongest(|s| s.is_load(rise) && s.class.caller.is_some());
    let tenant = tenant.filter(|s| !all_alike(group, s, rise));
    if let Some((s, name)) = tenant.and_then(|s| Some((s, s.class.caller.as_deref()?))) {
        let known = scene.picture.topology.entities().find(|e| e.id.name() == name).map(|e| e.id.clone());
        let trouble = group.trouble().map_or(0.3, |_| 0.9);
        let statement = format!("{name} sends far more to {}: {}", scene.system, told(s));
        let felt = group.strongest(Symptom::is_serving_trouble);
        // More from one tenant, and refusals for lack of a right with it: somebody tries.
        let (fault, mechanism) = match observed::is_attacked(scene) {
            true => (FaultType::Security, super::AUTHENTICATION),
            false => (FaultType::Load, word::TENANT_LOAD),
        };
        let mut claim = Claim::new(fault, mechanism, statement, trouble * s.strength)
            .showing(Effect::Traffic)
            .citing(cite(std::iter::once(s).chain(felt)))
            .next(
                scene
                    .ask(
                        &format!("whether {} recovers when {name} sends less", scene.system),
                        Signal::Metrics,
                    )
                    .settled_by("its symptoms fall with that traffic", "its symptoms stay"),
            );
        claim.system = known.map(|k| scene.picture.whole(&k)).filter(|k| *k != scene.system);
        claims.push(claim);
    }
    claims
}

/// Share of one caller's rise, in times, from which another's is as much.
const ALIKE: f64 = 0.5;

/// Whether others who are told apart as well ask for about as many times more than before as the caller of `one` does: a crowd, and no
/// neighbour that is noisy.
fn all_alike(group: &Group<'_>, one: &Symptom<'_>, rise: f64) -> bool {
    let others = group.symptoms.iter().filter(|s| {
        let apart = s.class.caller.is_some() && s.class.caller != one.class.caller;
        apart && s.is_load(rise) && s.anomaly().series.name == one.anomaly().series.name
    });
    others.map(times).fold(0.0, f64::max) >= ALIKE * times(one)
}

/// Calls fail on the caller's side only, at a callee that is well: given up too early, or lost on the way.
pub(super) fn timeout(scene: &Scene<'_>, group: &Group<'_>) -> Option<Claim> {
    let failing = group.strongest(|s| {
        s.harmful && s.class.role == MetricRole::Errors && s.class.side == Side::Client && s.peer.is_some()
    })?;
    let peer = failing.peer.as_ref()?;
    let callee = scene.picture.groups.get(peer).filter(|g| g.measures_serving && !g.fresh)?;
    if callee.trouble().is_some() || dark::is_blind(scene, peer) {
        return None;
    }
    let slower = group.strongest(|s| {
        s.harmful
            && s.class.role == MetricRole::Latency
            && s.class.side == Side::Client
            && s.peer.as_ref() == Some(peer)
    });
    let (fault, mechanism, why) = match slower {
        Some(_) => (FaultType::Network, "network path", "is slow on the way to"),
        None => (FaultType::Config, "timeout", "gives up on"),
    };
    let statement = format!("{} {why} {peer}, which itself answers as ever: {}", scene.system, told(failing));
    let claim = Claim::new(fault, mechanism, statement, 0.55 * failing.strength)
        .citing(cite(std::iter::once(failing).chain(slower)))
        .next(
            scene
                .ask(
                    &format!("timeouts and retries that {} is set to for {peer}", scene.system),
                    Signal::Changes,
                )
                .settled_by("a limit shorter than the callee's usual time", "limits are as ever"),
        );
    let well = format!("{peer} itself answers as ever");
    Some(claim.apart(FaultType::Dependency, well, Vec::new()))
}

/// Answers late or wrongly, with nothing of its own to explain it.
fn slow(scene: &Scene<'_>, group: &Group<'_>, own: f64) -> Option<Claim> {
    let serving = group.strongest(|s| {
        Symptom::is_serving_trouble(s) && matches!(s.class.role, MetricRole::Latency | MetricRole::Errors)
    })?;
    let callers = scene.picture.callers(&scene.system);
    let felt: Vec<&Symptom<'_>> = callers
        .iter()
        .filter_map(|c| {
            scene.picture.groups.get(*c)?.strongest(|s| s.harmful && s.class.role.is_request_path())
        })
        .collect();
    let mechanism =
        if serving.class.role == MetricRole::Latency { word::SLOW_WORK } else { word::FAILING_RESPONSES };
    // For those who call it, it is a dependency that does not serve.
    let fault = if felt.is_empty() { FaultType::Unknown } else { FaultType::Dependency };
    let support = 0.75 * serving.strength * (1.0 - own);
    let statement = format!(
        "{} has {mechanism} and nothing of its own that explains them: {}",
        scene.system,
        told(serving)
    );
    let claim = Claim::new(fault, mechanism, statement, support)
        .citing(cite(std::iter::once(serving).chain(felt)))
        .next(
            scene
                .ask(&format!("profile of {}: where its time goes", scene.system), Signal::Traces)
                .settled_by("its own work takes longer", "it waits for somebody else, or for the way there"),
        )
        .transient();
    Some(claim)
}

/// Somebody of whom only callers tell.
fn dependency_without_telemetry(scene: &Scene<'_>) -> Option<Claim> {
    if scene.picture.groups.get(&scene.system).is_some_and(|g| g.has_metrics) {
        return None;
    }
    let seen: Vec<&Symptom<'_>> = scene
        .picture
        .groups
        .values()
        .flat_map(|g| g.harmful())
        .filter(|s| s.peer.as_ref() == Some(&scene.system))
        .collect();
    let strongest = seen.iter().map(|s| s.strength).fold(0.0, f64::max);
    if strongest <= 0.0 {
        return None;
    }
    let whose =
        if scene.system.kind() == EntityKind::External { "outside our control" } else { "without telemetry" };
    let statement = format!("{}, {whose}, fails those who call it", scene.system);
    let claim = Claim::new(FaultType::Dependency, word::FAILING_RESPONSES, statement, 0.7 * strongest)
        .citing(cite(seen))
        .next(
            scene
                .ask(
                    &format!("state of {} by its own telemetry or status page", scene.system),
                    Signal::Metrics,
                )
                .settled_by("it reports trouble since then", "it serves others as ever"),
        );
    Some(claim)
}

/// What was looked for on the leader and not found.
pub(super) fn null_findings(picture: &Picture<'_>, leader: &EntityId) -> Vec<NullFinding> {
    let Some(group) = picture.groups.get(leader).filter(|g| g.has_metrics) else { return Vec::new() };
    let mut nulls = Vec::new();
    let none = |pick: &dyn Fn(&Symptom<'_>) -> bool| !group.symptoms.iter().any(|s| s.harmful && pick(s));
    if none(&|s| matches!(s.class.role, MetricRole::Resource | MetricRole::Saturation)) {
        nulls.push(null(format!("no resource, pool, lock or queue of {leader} left its norm")));
    }
    if none(&|s| matches!(s.class.role, MetricRole::Restarts | MetricRole::Liveness)) {
        nulls.push(null(format!("{leader} did not restart and stayed ready, as far as it is measured")));
    }
    if none(&|s| s.class.role == MetricRole::Traffic && s.anomaly().direction() == Direction::Up) {
        nulls.push(null(format!("{leader} is not sent more than before")));
    }
    let callees = picture.callees(leader);
    if !callees.is_empty()
        && callees.iter().all(|c| picture.groups.get(*c).and_then(Group::trouble).is_none())
    {
        nulls.push(null(format!("everything {leader} needs serves as before")));
    }
    nulls
}
