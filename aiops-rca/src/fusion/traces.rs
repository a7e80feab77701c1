//! What spans say: own time, time between caller and callee, work that is missing or new.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aiops_core::model::{EntityId, Span, SpanId, SpanStatus, TelemetryWindow, time};

use super::config::FusionConfig;
use super::finding::{Finding, FindingKind, strength};
use crate::robust::{count, decile_mean, location_and_scale, sorted};

/// An operation of an entity.
type Operation<'a> = (&'a EntityId, &'a str);

/// Where time was spent: within an entity under an operation, or between two entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Own(Operation<'a>),
    Between { caller: Operation<'a>, callee: Operation<'a> },
}

/// What one window's spans add up to.
#[derive(Default)]
struct Summary<'a> {
    spans: BTreeMap<Operation<'a>, u64>,
    failed: BTreeMap<Operation<'a>, u64>,
    /// Seconds by place.
    times: BTreeMap<Place<'a>, Vec<f64>>,
    /// Spans of an operation that have at least one such child.
    with_child: BTreeMap<Operation<'a>, BTreeMap<Operation<'a>, u64>>,
    /// By operation: children of its spans, and their squares.
    children: BTreeMap<Operation<'a>, (f64, f64)>,
    /// Operations under which it was seen.
    parents: BTreeMap<Operation<'a>, BTreeSet<Operation<'a>>>,
}

/// Time of spans without children during which a sibling of the same entity that began later was under way: a handler that
/// waits beside the call it made has not worked itself.
fn overlapped(spans: &[Span], children: &HashMap<SpanId, Children<'_>>) -> HashMap<SpanId, u128> {
    let mut siblings: HashMap<(SpanId, &EntityId), Vec<&Span>> = HashMap::new();
    for span in spans {
        if let Some(parent) = span.parent {
            siblings.entry((parent, &span.entity)).or_default().push(span);
        }
    }
    let mut overlapped = HashMap::new();
    for group in siblings.into_values().filter(|g| g.len() > 1) {
        let mut group = group;
        group.sort_by_key(|s| (s.start, s.span_id));
        for (i, span) in group.iter().enumerate() {
            if children.contains_key(&span.span_id) {
                continue;
            }
            let end = time::after(span.start, span.duration);
            // What later siblings cover, without counting twice.
            let (mut covered, mut upto) = (0, span.start);
            for later in group.iter().skip(i + 1).take_while(|l| l.start < end) {
                let (from, to) = (later.start.max(upto), time::after(later.start, later.duration).min(end));
                covered += time::elapsed(from, to).as_nanos();
                upto = upto.max(to);
            }
            overlapped.insert(span.span_id, covered);
        }
    }
    overlapped
}

#[derive(Default)]
struct Children<'a> {
    nanos: u128,
    /// Each once, in order of first occurrence.
    kinds: Vec<Operation<'a>>,
    n: usize,
    remote: Option<Operation<'a>>,
}

impl<'a> Summary<'a> {
    /// O(spans · log operations).
    fn of(spans: &'a [Span]) -> Self {
        let names: HashMap<SpanId, Operation<'a>> =
            spans.iter().map(|s| (s.span_id, (&s.entity, s.operation.as_str()))).collect();
        let mut children: HashMap<SpanId, Children<'a>> = HashMap::new();
        for span in spans {
            let Some(parent) = span.parent.filter(|p| names.contains_key(p)) else { continue };
            let entry = children.entry(parent).or_default();
            entry.nanos += span.duration.as_nanos();
            entry.n += 1;
            let kind = (&span.entity, span.operation.as_str());
            if !entry.kinds.contains(&kind) {
                entry.kinds.push(kind);
            }
            if names.get(&parent).is_some_and(|caller| *caller.0 != span.entity) {
                entry.remote = Some(kind);
            }
        }
        let overlapped = overlapped(spans, &children);
        let mut summary = Self::default();
        let none = Children::default();
        for span in spans {
            let operation = (&span.entity, span.operation.as_str());
            let children = children.get(&span.span_id).unwrap_or(&none);
            if let Some(parent) = span.parent.and_then(|p| names.get(&p)) {
                summary.parents.entry(operation).or_default().insert(*parent);
            }
            *summary.spans.entry(operation).or_default() += 1;
            if span.status == SpanStatus::Error {
                *summary.failed.entry(operation).or_default() += 1;
            }
            let covered = children.nanos + overlapped.get(&span.span_id).copied().unwrap_or(0);
            let own = span.duration.as_nanos().saturating_sub(covered);
            let seconds =
                std::time::Duration::from_nanos(u64::try_from(own).unwrap_or(u64::MAX)).as_secs_f64();
            // A span around one call to another entity waits for the network and the other's queue.
            let place = match children.remote {
                Some(callee) if children.n == 1 => Place::Between { caller: operation, callee },
                _ => Place::Own(operation),
            };
            summary.times.entry(place).or_default().push(seconds);
            let n = count(children.n);
            let (sum, squares) = summary.children.entry(operation).or_default();
            (*sum, *squares) = (*sum + n, *squares + n * n);
            for kind in &children.kinds {
                *summary.with_child.entry(operation).or_default().entry(*kind).or_default() += 1;
            }
        }
        summary
    }

    fn spans_of(&self, operation: &Operation<'a>) -> f64 {
        as_f64(self.spans.get(operation).copied().unwrap_or(0))
    }
}

fn as_f64(n: u64) -> f64 {
    count(usize::try_from(n).unwrap_or(usize::MAX))
}

/// Seconds added per place, with their certainty.
struct Added {
    seconds: f64,
    z: f64,
    each: f64,
    was: f64,
}

fn added(before: &[f64], after: &[f64], config: &FusionConfig) -> Option<Added> {
    if before.len() < config.least_spans || after.len() < config.least_spans {
        return None;
    }
    let (n, m) = (count(before.len()), count(after.len()));
    let (before, after) = (sorted(before.iter().copied()), sorted(after.iter().copied()));
    let (was, is) = (decile_mean(&before)?, decile_mean(&after)?);
    let (_, spread) = location_and_scale(&before)?;
    let (_, spread_after) = location_and_scale(&after)?;
    let error = (spread * spread / n + spread_after * spread_after / m).sqrt();
    let each = is - was;
    // Load and neighbours move every service's times a little.
    let error = error.max(config.time_drift * was).max(1e-6);
    Some(Added { seconds: each * m, z: each / error, each, was })
}

pub(super) fn findings(
    reference: &TelemetryWindow,
    fault: &TelemetryWindow,
    config: &FusionConfig,
) -> Vec<Finding> {
    let (before, after) = (Summary::of(&reference.spans), Summary::of(&fault.spans));
    let mut found = times(&before, &after, config);
    work(&before, &after, config, &mut found);
    found
}

/// What a place took before: as often as it was seen, else whatever lies between the callee and others, the caller and
/// others, or anybody and others.
fn known<'s, 'a>(
    before: &'s Summary<'a>,
    pools: &'s Pools<'a>,
    place: &Place<'a>,
    least: usize,
) -> Option<&'s [f64]> {
    let own = before.times.get(place).filter(|t| t.len() >= least);
    let Place::Between { caller, callee } = place else { return own.map(Vec::as_slice) };
    let pooled = || [pools.to.get(callee.0), pools.from.get(caller.0), Some(&pools.all)];
    let enough = |t: &&Vec<f64>| t.len() >= least;
    own.or_else(|| pooled().into_iter().flatten().find(enough)).map(Vec::as_slice)
}

/// Times between entities.
#[derive(Default)]
struct Pools<'a> {
    to: BTreeMap<&'a EntityId, Vec<f64>>,
    from: BTreeMap<&'a EntityId, Vec<f64>>,
    all: Vec<f64>,
}

impl<'a> Pools<'a> {
    fn of(summary: &Summary<'a>) -> Self {
        let mut pools = Self::default();
        for (place, times) in &summary.times {
            if let Place::Between { caller, callee } = place {
                pools.to.entry(callee.0).or_default().extend(times);
                pools.from.entry(caller.0).or_default().extend(times);
                pools.all.extend(times);
            }
        }
        pools
    }
}

fn times<'a>(before: &Summary<'a>, after: &Summary<'a>, config: &FusionConfig) -> Vec<Finding> {
    let pools = Pools::of(before);
    let mut slower: Vec<(Place<'a>, Added)> = Vec::new();
    let (mut total, mut usual) = (0.0, 0.0);
    // By entity: seconds added at each of its ends of calls.
    let mut calls: BTreeMap<&EntityId, Vec<f64>> = BTreeMap::new();
    for (place, now) in &after.times {
        let Some(was) = known(before, &pools, place, config.least_spans) else { continue };
        let Some(added) = added(was, now, config) else { continue };
        let is_slower = added.z >= config.least_z && added.seconds > 0.0;
        usual += added.was * count(now.len());
        if let Place::Between { caller, callee } = place {
            for end in [caller.0, callee.0] {
                calls.entry(end).or_default().push(if is_slower { added.each } else { 0.0 });
            }
        }
        if is_slower {
            total += added.seconds;
            slower.push((*place, added));
        }
    }
    // How much of all else that an entity sends and receives is as slow as this, smoothed.
    let consistency = |e: &EntityId, each: f64| {
        let all = calls.get(e).map_or(&[] as &[f64], Vec::as_slice);
        let slow = count(all.iter().filter(|other| **other >= config.likewise * each).count());
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
            let times = a.each / (config.many_times * a.was.max(1e-6));
            sum.1 = strength(a.z) * (total / usual.max(f64::MIN_POSITIVE)).max(times).min(1.0);
        }
    };
    for (place, a) in &slower {
        let took = format!("{:.1} ms more than {:.1} ms", a.each * 1e3, a.was * 1e3);
        match place {
            Place::Own((entity, operation)) => {
                add(entity, FindingKind::SelfTime, a.seconds, a, format!("{operation}: own time {took}"));
            }
            Place::Between { caller, callee } => {
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

fn work(before: &Summary<'_>, after: &Summary<'_>, config: &FusionConfig, found: &mut Vec<Finding>) {
    for (operation, with_child) in &before.with_child {
        let (n, m) = (before.spans_of(operation), after.spans_of(operation));
        if n < count(config.least_spans) || m < 1.0 {
            continue;
        }
        for (child, times) in with_child {
            let always = as_f64(*times) / n;
            if always < config.always {
                continue;
            }
            let expected = always * m;
            let seen = after.with_child.get(operation).and_then(|c| c.get(child)).copied().unwrap_or(0);
            let missing = 1.0 - as_f64(seen) / expected;
            // What was always there varies as a share of `always` does.
            let variance = m * always * (1.0 - always) + 1.0;
            let z = (expected - as_f64(seen)) / variance.sqrt();
            let strength = strength(z) * missing * config.work_missing;
            if strength >= config.least_strength {
                let statement = format!(
                    "{}: {} missing in {:.0} of {m} calls",
                    operation.1,
                    child.1,
                    expected - as_f64(seen)
                );
                found.push(Finding::new(operation.0, FindingKind::WorkMissing, strength, statement));
            }
        }
    }
    for (operation, (sum, squares)) in &before.children {
        let (n, m) = (before.spans_of(operation), after.spans_of(operation));
        let Some((now, now_squares)) = after.children.get(operation) else { continue };
        if n.min(m) < count(config.many_spans) || *sum <= 0.0 {
            continue;
        }
        let (was, is) = (sum / n, now / m);
        let variance = |mean: f64, squares: f64, n: f64| (squares / n - mean * mean).max(0.0) / n;
        let error =
            variance(was, *squares, n) + variance(is, *now_squares, m) + (config.mix_drift * was).powi(2);
        let strength = strength((was - is) / error.sqrt()) * (1.0 - is / was).max(0.0) * config.work_missing;
        if strength >= config.least_strength {
            let statement = format!("{}: {is:.1} child spans where there were {was:.1}", operation.1);
            found.push(Finding::new(operation.0, FindingKind::WorkMissing, strength, statement));
        }
    }
    let mut new: BTreeMap<&EntityId, (u64, &str)> = BTreeMap::new();
    for ((entity, name), seen) in &after.spans {
        // Under what was known already: a request nobody made before is no fault.
        let under = after.parents.get(&(entity, name)).into_iter().flatten();
        let known = under.into_iter().any(|p| before.spans_of(p) >= count(config.least_spans));
        if known && !before.spans.contains_key(&(entity, name)) {
            let entry = new.entry(entity).or_insert((0, name));
            if *seen > entry.0 {
                *entry = (*seen, name);
            }
        }
    }
    for (entity, (seen, name)) in new {
        let z = as_f64(seen) / (0.5_f64 + config.overdispersion * as_f64(seen).powi(2)).sqrt();
        let strength = strength(z) * config.work_new;
        if strength >= config.least_strength {
            let statement = format!("{name}: {seen} spans of a kind not seen before");
            found.push(Finding::new(entity, FindingKind::WorkNew, strength, statement));
        }
    }
    for (operation, failed) in &after.failed {
        let (n, m) = (before.spans_of(operation), after.spans_of(operation));
        let was = as_f64(before.failed.get(operation).copied().unwrap_or(0));
        let rate = (was + 0.5) / (n + 1.0);
        let z = (as_f64(*failed) - rate * m) / (rate * m + 0.25).sqrt();
        let strength = strength(z) * (as_f64(*failed) / m.max(1.0)).sqrt() * config.span_errors;
        if strength >= config.least_strength {
            let statement = format!("{}: {failed} of {m} spans failed", operation.1);
            found.push(Finding::new(operation.0, FindingKind::SpanErrors, strength, statement));
        }
    }
}
