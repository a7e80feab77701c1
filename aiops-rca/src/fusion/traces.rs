//! What spans say: own time, time between caller and callee, work that is missing or new.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{EntityId, EntityKind, Signal, TelemetryWindow, time};

use super::accuse::{Accusation, Answered};
use super::chance::{believed, deviance};
use super::config::FusionConfig;
use super::finding::{Finding, FindingKind};
use super::place::Placement;
use super::spans::{Operations, index};
use super::summary::{Place, Pools, Summary, Times, as_f64};
use crate::robust::count;

/// Seconds added per place, with their certainty.
struct Added {
    seconds: f64,
    z: f64,
    each: f64,
    was: f64,
}

fn added(before: &Times, after: &Times, config: &FusionConfig) -> Option<Added> {
    if before.n < config.least_spans || after.n < config.least_spans {
        return None;
    }
    let (n, m) = (count(before.n), count(after.n));
    let error = (before.spread.powi(2) / n + after.spread.powi(2) / m).sqrt();
    let each = after.mean - before.mean;
    // Load and neighbours move every service's times a little.
    let error = error.max(config.time_drift * before.mean).max(LEAST_SECONDS);
    Some(Added { seconds: each * m, z: each / error, each, was: before.mean })
}

/// Resolution of most recorders of spans, in seconds.
const LEAST_SECONDS: f64 = 1e-6;

/// O(places · log places), work apart.
pub(super) fn findings<'a>(
    operations: &Operations<'a>,
    (called, placement): (&[Option<&'a EntityId>], &Placement<'a>),
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
) -> (Vec<Finding>, Vec<Accusation<'a>>) {
    let mut accusations = Vec::new();
    let mut found = times(operations, (called, placement), (before, after), config, &mut accusations);
    missing_children(operations, (before, after), config, &mut found);
    fewer_children(operations, (before, after), config, &mut found);
    new_work(operations, (before, after), config, &mut found);
    failures(operations, called, (before, after), config, &mut found, &mut accusations);
    (found, accusations)
}

/// Spans a second of each entity's own operations, those of its calls left out, before and since: requests that reach it.
pub(super) fn answered<'a>(
    operations: &Operations<'a>,
    called: &[Option<&'a EntityId>],
    (before, after): (&Summary, &Summary),
    windows: [&TelemetryWindow; 2],
) -> Vec<Answered<'a>> {
    let [was, is] = windows.map(|w| {
        let start = w.spans.iter().map(|s| s.start).min();
        start.map_or(0.0, |start| time::elapsed(start, w.range.end()).as_secs_f64()).max(1.0)
    });
    let mut sums: BTreeMap<&EntityId, (f64, f64)> = BTreeMap::new();
    for (operation, entity, _) in operations.iter() {
        if called.get(index(operation)).copied().flatten().is_none() {
            let sum = sums.entry(entity).or_default();
            *sum = (sum.0 + before.spans_of(operation), sum.1 + after.spans_of(operation));
        }
    }
    let enough = sums.into_iter().filter(|(_, (then, _))| *then >= 1.0);
    enough.map(|(entity, (then, now))| (entity, then / was, now / is)).collect()
}

/// What a place took before: as often as it was seen, else whatever lies between the callee and others, the caller and
/// others, or anybody and others.
fn known(
    before: &Summary,
    pools: &Pools<'_>,
    operations: &Operations<'_>,
    place: &Place,
    least: usize,
) -> Option<Times> {
    let own = before.times.get(place).filter(|t| t.n >= least);
    let Place::Between { caller, callee } = place else { return own.copied() };
    let entity = |o: &u32| operations.get(*o).map(|o| o.0);
    let to = entity(callee).and_then(|e| pools.to.get(e));
    let from = entity(caller).and_then(|e| pools.from.get(e));
    let pooled = [to, from, pools.all.as_ref()].into_iter().flatten();
    own.or_else(|| pooled.into_iter().find(|t| t.n >= least)).copied()
}

fn times<'a>(
    operations: &Operations<'a>,
    (called, placement): (&[Option<&'a EntityId>], &Placement<'a>),
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
    accusations: &mut Vec<Accusation<'a>>,
) -> Vec<Finding> {
    let pools = before.pools(operations);
    let mut slower: Vec<(Place, Added)> = Vec::new();
    let mut of_one_copy: BTreeSet<Place> = BTreeSet::new();
    let (mut total, mut usual) = (0.0, 0.0);
    // By entity: seconds added at each of its ends of calls.
    let mut calls: BTreeMap<&EntityId, Vec<f64>> = BTreeMap::new();
    for (place, now) in &after.times {
        let Some(was) = known(before, &pools, operations, place, config.least_spans) else { continue };
        let Some(added) = added(&was, now, config) else { continue };
        let is_slower = added.z >= config.least_z && added.seconds > 0.0;
        usual += added.was * count(now.n);
        if let Place::Between { caller, callee } = place {
            for (entity, _) in [caller, callee].into_iter().filter_map(|o| operations.get(*o)) {
                calls.entry(entity).or_default().push(if is_slower { added.each } else { 0.0 });
            }
        }
        if is_slower {
            let whose = if let Place::Own(operation) = place { operations.get(*operation) } else { None };
            // Copies of a store are not alike: one of them takes what is written.
            let whose = whose.filter(|(entity, _)| entity.kind() == EntityKind::Service);
            let copies = whose.map_or(1, |(entity, _)| placement.copies(entity));
            if now.n >= config.many_spans && now.of_one_copy(&was, copies) {
                of_one_copy.insert(*place);
            }
            total += added.seconds;
            slower.push((*place, added));
        }
    }
    calls.values_mut().for_each(|ends| ends.sort_unstable_by(f64::total_cmp));
    // How much of all else that an entity sends and receives is as slow as this, smoothed.
    let consistency = |e: &EntityId, each: f64| {
        let all = calls.get(e).map_or(&[] as &[f64], Vec::as_slice);
        let slow = count(all.len() - all.partition_point(|other| *other < config.likewise * each));
        (slow - 0.5).max(0.5) / count(all.len().max(1))
    };
    // Per entity and kind: seconds, strength and seconds of the place that lost most, and what it says.
    let mut sums: BTreeMap<(&EntityId, FindingKind), (f64, f64, f64, String)> = BTreeMap::new();
    let mut add = |entity, kind, seconds: f64, a: &Added, said: String| {
        let sum = sums.entry((entity, kind)).or_insert((0.0, 0.0, 0.0, String::new()));
        sum.0 += seconds;
        if seconds > sum.2 {
            (sum.2, sum.3) = (seconds, said);
            // What adds little to the whole still counts where it takes many times as long.
            let times = a.each / (config.many_times * a.was.max(LEAST_SECONDS));
            sum.1 = config.strength(a.z) * (total / usual.max(f64::MIN_POSITIVE)).max(times).min(1.0);
        }
    };
    for (place, a) in &slower {
        let took = format!("{:.1} ms more than {:.1} ms", a.each * 1e3, a.was * 1e3);
        match place {
            Place::Own(operation) => {
                let Some((entity, name)) = operations.get(*operation) else { continue };
                // Time that a call takes beyond what the callee tells is nobody's own.
                let Some(callee) = called.get(index(*operation)).copied().flatten() else {
                    let (kind, whose) = if of_one_copy.contains(place) {
                        (FindingKind::CopyTime, format!(" of one of {} copies", placement.copies(entity)))
                    } else {
                        (FindingKind::SelfTime, String::new())
                    };
                    add(entity, kind, a.seconds, a, format!("{name}: own time{whose} {took}"));
                    continue;
                };
                let times = a.each / (config.many_times * a.was.max(LEAST_SECONDS));
                let share = if total > 0.0 { a.seconds / total } else { 0.0 };
                let certainty =
                    config.strength(a.z) * (total / usual.max(f64::MIN_POSITIVE)).max(times).min(1.0);
                accusations.push(Accusation {
                    by: entity,
                    of: callee,
                    kind: FindingKind::CallTime,
                    signal: Signal::Traces,
                    strength: certainty * share * config.span_time,
                    certainty: certainty * share,
                    statement: format!("{name}: calls took {took}"),
                });
            }
            Place::Between { caller, callee } => {
                let (Some(caller), Some(callee)) = (operations.get(*caller), operations.get(*callee)) else {
                    continue;
                };
                // Who is slow at all its calls rather than who is slow at one; the callee where nothing tells.
                let (from, to) =
                    (consistency(caller.0, a.each).powi(2), consistency(callee.0, a.each).powi(2));
                let to = to * (1.0 + config.callee_prior);
                let share = to / (from + to).max(f64::MIN_POSITIVE);
                let said = format!("{} to {}: {took} between them", caller.1, callee.1);
                add(callee.0, FindingKind::CallTime, a.seconds * share, a, said.clone());
                add(caller.0, FindingKind::CallTime, a.seconds * (1.0 - share), a, said);
            }
        }
    }
    let whole = |((entity, kind), (seconds, certainty, _, said)): (
        (&EntityId, FindingKind),
        (f64, f64, f64, String),
    )| {
        let share = if total > 0.0 { seconds / total } else { 0.0 };
        let strength = certainty * share * config.span_time;
        let statement = format!("{said}; {:.0} % of all time added", share * 100.0);
        (strength >= config.least_strength).then(|| Finding::new(entity, kind, strength, statement))
    };
    sums.into_iter().filter_map(whole).collect()
}

/// Children that always were there.
fn missing_children(
    operations: &Operations<'_>,
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
    found: &mut Vec<Finding>,
) {
    for ((operation, child), times) in &before.with_child {
        let (n, m) = (before.spans_of(*operation), after.spans_of(*operation));
        if n < count(config.least_spans) || m < 1.0 {
            continue;
        }
        let always = as_f64(*times) / n;
        if always < config.always {
            continue;
        }
        let expected = always * m;
        let seen = as_f64(after.with_child.get(&(*operation, *child)).copied().unwrap_or(0));
        let missing = 1.0 - seen / expected;
        // What was always there varies as a share of `always` does.
        let variance = m * always * (1.0 - always) + 1.0;
        let z = (expected - seen) / variance.sqrt();
        let strength = config.strength(z) * missing * config.work_missing;
        if strength < config.least_strength {
            continue;
        }
        let (Some((entity, name)), Some((_, child))) = (operations.get(*operation), operations.get(*child))
        else {
            continue;
        };
        let statement = format!("{name}: {child} missing in {:.0} of {m} calls", expected - seen);
        found.push(Finding::new(entity, FindingKind::WorkMissing, strength, statement));
    }
}

/// Fewer children than there were.
fn fewer_children(
    operations: &Operations<'_>,
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
    found: &mut Vec<Finding>,
) {
    for (operation, entity, name) in operations.iter() {
        let (then, now) = (before.seen(operation), after.seen(operation));
        let (n, m) = (as_f64(then.spans), as_f64(now.spans));
        if n.min(m) < count(config.many_spans) || then.children <= 0.0 {
            continue;
        }
        let (was, is) = (then.children / n, now.children / m);
        let variance = |mean: f64, squares: f64, n: f64| (squares / n - mean * mean).max(0.0) / n;
        let error =
            variance(was, then.squares, n) + variance(is, now.squares, m) + (config.mix_drift * was).powi(2);
        let strength =
            config.strength((was - is) / error.sqrt()) * (1.0 - is / was).max(0.0) * config.work_missing;
        if strength >= config.least_strength {
            let statement = format!("{name}: {is:.1} child spans where there were {was:.1}");
            found.push(Finding::new(entity, FindingKind::WorkMissing, strength, statement));
        }
    }
}

/// Spans of kinds nobody saw, under what was known already: a request nobody made before is no fault.
fn new_work(
    operations: &Operations<'_>,
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
    found: &mut Vec<Finding>,
) {
    let known = |parent: u32| before.spans_of(parent) >= count(config.least_spans);
    let below: std::collections::BTreeSet<u32> =
        after.with_child.keys().filter(|(parent, _)| known(*parent)).map(|(_, child)| *child).collect();
    let mut new: BTreeMap<&EntityId, (u64, &str)> = BTreeMap::new();
    for operation in below {
        let Some((entity, name)) = operations.get(operation) else { continue };
        let seen = after.seen(operation).spans;
        if before.seen(operation).spans == 0 {
            let entry = new.entry(entity).or_insert((0, name));
            if seen > entry.0 {
                *entry = (seen, name);
            }
        }
    }
    for (entity, (seen, name)) in new {
        let n = as_f64(seen);
        let z = n / (HALF + config.overdispersion * n.powi(2)).sqrt();
        let strength = config.strength(z) * config.work_new;
        if strength >= config.least_strength {
            let statement = format!("{name}: {seen} spans of a kind not seen before");
            found.push(Finding::new(entity, FindingKind::WorkNew, strength, statement));
        }
    }
}

fn failures<'a>(
    operations: &Operations<'a>,
    called: &[Option<&'a EntityId>],
    (before, after): (&Summary, &Summary),
    config: &FusionConfig,
    found: &mut Vec<Finding>,
    accusations: &mut Vec<Accusation<'a>>,
) {
    let looked = count(operations.len());
    for (operation, entity, name) in operations.iter() {
        let (then, now) = (before.seen(operation), after.seen(operation));
        if now.failed == 0 {
            continue;
        }
        let (n, m, failed) = (as_f64(then.spans), as_f64(now.spans), as_f64(now.failed));
        let rate = (as_f64(then.failed) + HALF) / (n + 1.0);
        let z = (failed - rate * m) / (rate * m + HALF * HALF).sqrt();
        let odds = deviance((as_f64(then.failed), n), (failed, m), 1.0 + config.overdispersion * failed);
        // Of an operation that was not seen before nothing is known.
        let sure = if n > 0.0 { believed(odds, looked) } else { 1.0 };
        let strength = config.strength(z) * (failed / m.max(1.0)).sqrt() * sure * config.span_errors;
        if strength >= config.least_strength {
            let statement = format!("{name}: {failed} of {m} spans failed");
            if let Some(callee) = called.get(index(operation)).copied().flatten() {
                accusations.push(Accusation {
                    by: entity,
                    of: callee,
                    kind: FindingKind::CallErrors,
                    signal: Signal::Traces,
                    strength,
                    certainty: config.strength(z) * sure,
                    statement: statement.clone(),
                });
            }
            found.push(Finding::new(entity, FindingKind::SpanErrors, strength, statement));
        }
    }
}

/// Stands for what a count of nothing may have missed (Jeffreys's prior of a rate).
const HALF: f64 = 0.5;
