//! What spans say: time added within and between services, work that is missing or new, failures.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::jiff::Timestamp;
use aiops_core::model::{EntityId, EvidenceKind};

use super::digest::{Digest, Operation};
use super::evidence::{Evidence, Family, strength};
use super::text::{clipped, number};
use super::{Finding, WeightOptions};
use crate::traces::{CallType, DurationSketch};

/// Where time is spent: within a service under an operation, or between two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Own { callee: &'a str, operation: &'a str },
    Between(&'a str, &'a CallType),
}

/// Durations by place.
struct Times<'a> {
    places: BTreeMap<Place<'a>, DurationSketch>,
    /// Of what lies between services: towards each, from each, all.
    to: BTreeMap<&'a str, DurationSketch>,
    from: BTreeMap<&'a str, DurationSketch>,
    all: DurationSketch,
}

impl<'a> Times<'a> {
    fn of(digest: &'a Digest) -> Self {
        let mut times = Self {
            places: BTreeMap::new(),
            to: BTreeMap::new(),
            from: BTreeMap::new(),
            all: DurationSketch::new(),
        };
        for (call, stats) in digest.traces.calls() {
            let own = Place::Own { callee: &call.callee, operation: &call.operation };
            times.places.entry(own).or_default().merge(&stats.own);
            let caller = call.caller.service().filter(|caller| **caller != *call.callee);
            if let Some(caller) = caller.filter(|_| stats.gap.count() > 0) {
                times.places.entry(Place::Between(caller, call)).or_default().merge(&stats.gap);
                times.to.entry(&call.callee).or_default().merge(&stats.gap);
                times.from.entry(caller).or_default().merge(&stats.gap);
                times.all.merge(&stats.gap);
            }
        }
        times
    }

    /// What a place took: as often as it was seen, else, between services, whatever lies between the callee and others, the
    /// caller and others, anybody and others.
    fn known<'s>(&'s self, place: &Place<'a>, least: u64) -> Option<&'s DurationSketch>
    where
        'a: 's,
    {
        let enough = |times: &&DurationSketch| times.count() >= least;
        let own = self.places.get(place).filter(enough);
        let Place::Between(caller, call) = place else { return own };
        let pooled = [self.to.get(&*call.callee), self.from.get(caller), Some(&self.all)];
        own.or_else(|| pooled.into_iter().flatten().find(enough))
    }
}

/// Location and spread of durations, ns.
struct Shape {
    mean: f64,
    spread: f64,
    n: f64,
}

impl Shape {
    /// The mean over the deciles 1, 3, 5, 7 and 9, which a few outliers do not move, and the wider of what quartiles and
    /// tails of 5 % say of a normal distribution's σ.
    fn of(times: &DurationSketch) -> Option<Self> {
        let at = |q| times.quantile(q).map(|nanos| nanos as f64);
        let mut sum = 0.0;
        for q in [0.1, 0.3, 0.5, 0.7, 0.9] {
            sum += at(q)?;
        }
        let quartiles = (at(0.75)? - at(0.25)?) / 1.349;
        let tails = (at(0.95)? - at(0.05)?) / 3.290;
        Some(Self { mean: sum / 5.0, spread: quartiles.max(tails), n: times.count() as f64 })
    }
}

/// A place that takes longer.
struct Slower<'a> {
    place: Place<'a>,
    was: Shape,
    is: Shape,
    z: f64,
    /// Added to one call, ns.
    each: f64,
}

impl Slower<'_> {
    /// Added to all calls, ns.
    fn added(&self) -> f64 {
        self.each * self.is.n
    }
}

fn slower<'a>(place: Place<'a>, was: Shape, is: Shape, options: &WeightOptions) -> Option<Slower<'a>> {
    let each = is.mean - was.mean;
    let error = (was.spread.powi(2) / was.n + is.spread.powi(2) / is.n).sqrt();
    // Load and neighbours move every service's times a little; below a microsecond clocks do.
    let error = error.max(options.time_drift * was.mean).max(1e3);
    let z = each / error;
    (z >= options.min_sigma && each > 0.0).then_some(Slower { place, was, is, z, each })
}

/// What changed in spans from `before` to `now`.
pub(super) fn call_evidence(before: &Digest, now: &Digest, options: &WeightOptions) -> Vec<Evidence> {
    let Some(since) = now.first_span else { return Vec::new() };
    if before.work.is_empty() {
        return Vec::new();
    }
    let mut names = before.named();
    names.extend(now.named());
    let mut found = times(before, now, since, &names, options);
    missing(before, now, since, options, &mut found);
    fewer(before, now, since, options, &mut found);
    new(before, now, since, options, &mut found);
    failed(before, now, since, &names, options, &mut found);
    found
}

fn evidence(
    entity: &EntityId,
    since: Timestamp,
    (aspect, family): (&'static str, Family),
    strength: f64,
    summary: String,
) -> Evidence {
    let finding = Finding::new(entity.clone(), EvidenceKind::Trace, since, strength, summary);
    Evidence { finding, aspect, family, strength, exclusive: false }
}

/// Time added, each place by its share of all time added: what a fault costs is spent where it is.
fn times(
    before: &Digest,
    now: &Digest,
    since: Timestamp,
    names: &BTreeMap<&str, &EntityId>,
    options: &WeightOptions,
) -> Vec<Evidence> {
    let (past, present) = (Times::of(before), Times::of(now));
    let mut places: Vec<Slower<'_>> = Vec::new();
    let (mut total, mut usual) = (0.0, 0.0);
    // By service: time added at each of its ends of calls.
    let mut ends: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (place, times) in &present.places {
        let least = options.min_calls;
        let Some(known) = past.known(place, least).filter(|_| times.count() >= least) else { continue };
        let (Some(was), Some(is)) = (Shape::of(known), Shape::of(times)) else { continue };
        usual += was.mean * is.n;
        let slow = slower(*place, was, is, options);
        if let Place::Between(caller, call) = place {
            let each = slow.as_ref().map_or(0.0, |slow| slow.each);
            ends.entry(caller).or_default().push(each);
            ends.entry(&call.callee).or_default().push(each);
        }
        if let Some(slow) = slow {
            total += slow.added();
            places.push(slow);
        }
    }
    // How much of all else that a service sends and receives is as slow as this, smoothed.
    let consistency = |service: &str, each: f64| {
        let all = ends.get(service).map_or(&[] as &[f64], Vec::as_slice);
        let slow = all.iter().filter(|other| **other >= options.likewise * each).count() as f64;
        (slow - 0.5).max(0.5) / all.len().max(1) as f64
    };
    // By service and aspect: time added in sum, and the places.
    let mut sums: BTreeMap<(&str, &'static str), Vec<(f64, &Slower<'_>)>> = BTreeMap::new();
    for slow in &places {
        match slow.place {
            Place::Own { callee, .. } => {
                sums.entry((callee, "own time")).or_default().push((slow.added(), slow));
            }
            Place::Between(caller, call) => {
                // Who is slow at all its calls rather than who is slow at one; the callee where nothing tells.
                let from = consistency(caller, slow.each).powi(2);
                let to = consistency(&call.callee, slow.each).powi(2) * (1.0 + options.callee_prior);
                let share = to / (from + to).max(f64::MIN_POSITIVE);
                for (service, share) in [(&*call.callee, share), (caller, 1.0 - share)] {
                    sums.entry((service, "time between")).or_default().push((slow.added() * share, slow));
                }
            }
        }
    }
    let whole = total / usual.max(f64::MIN_POSITIVE);
    let mut found = Vec::new();
    for ((service, aspect), mut places) in sums {
        let Some(entity) = names.get(service) else { continue };
        places.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.place.cmp(&b.1.place)));
        let sum: f64 = places.iter().map(|(added, _)| added).sum();
        for (rank, (added, slow)) in places.into_iter().enumerate() {
            // What adds little to the whole still counts where it takes many times as long.
            let times = slow.each / (options.many_times * slow.was.mean.max(1e3));
            let certainty = strength(slow.z) * whole.max(times).min(1.0);
            // The first line of a service stands for all of its added time.
            let share = if rank == 0 { sum } else { added } / total.max(f64::MIN_POSITIVE);
            let worth = certainty * share * options.added_time;
            let line = said(slow, share);
            let mut item = evidence(entity, since, (aspect, Family::Time), worth, line);
            item.exclusive = true;
            found.push(item);
        }
    }
    found
}

/// `own time of GET /cart: 3.1 → 210 ms (+9.8 σ, n = 400 → 40), 93 % of all time added`.
fn said(slow: &Slower<'_>, share: f64) -> String {
    let what = match slow.place {
        Place::Own { operation, .. } => format!("own time of {}", clipped(operation)),
        Place::Between(caller, call) => {
            format!("time between {caller} and {}: {}", call.callee, clipped(&call.operation))
        }
    };
    let share =
        if share >= 0.005 { format!(", {:.0} % of all time added", share * 100.0) } else { String::new() };
    format!(
        "{what}: {} → {} ms ({:+.1} σ, n = {} → {}){share}",
        number(slow.was.mean / 1e6),
        number(slow.is.mean / 1e6),
        slow.z.min(99.0),
        slow.was.n,
        slow.is.n,
    )
}

/// What an operation always did and does no more.
fn missing(
    before: &Digest,
    now: &Digest,
    since: Timestamp,
    options: &WeightOptions,
    found: &mut Vec<Evidence>,
) {
    for (operation, children) in &before.with_child {
        let (n, m) = (before.spans_of(operation), now.spans_of(operation));
        if n < options.min_calls || m == 0 {
            continue;
        }
        for (child, spans) in children {
            let always = *spans as f64 / n as f64;
            if always < options.always {
                continue;
            }
            let expected = always * m as f64;
            let seen = now.with_child.get(operation).and_then(|of| of.get(child)).copied().unwrap_or(0);
            let lost = expected - seen as f64;
            // What was always there varies as a share of `always` does, and with what is cut off at either end.
            let drift = (options.mix_drift * expected).powi(2);
            let z = lost / (m as f64 * always * (1.0 - always) + drift + 1.0).sqrt();
            let worth = strength(z) * (lost / expected) * options.missing_work;
            if z >= options.min_sigma {
                let line = format!(
                    "{}: {} missing in {lost:.0} of {m} calls ({z:+.1} σ)",
                    clipped(&operation.1),
                    clipped(&child.1),
                );
                found.push(evidence(&operation.0, since, ("missing work", Family::Outcome), worth, line));
            }
        }
    }
}

/// Operations with fewer children than they had.
fn fewer(
    before: &Digest,
    now: &Digest,
    since: Timestamp,
    options: &WeightOptions,
    found: &mut Vec<Evidence>,
) {
    for (operation, past) in &before.work {
        let Some(present) = now.work.get(operation) else { continue };
        let (n, m) = (past.spans as f64, present.spans as f64);
        if n.min(m) < options.many_calls || past.children == 0 {
            continue;
        }
        let (was, is) = (past.children as f64 / n, present.children as f64 / m);
        let variance = |mean: f64, squares: u128, n: f64| (squares as f64 / n - mean * mean).max(0.0) / n;
        let error = variance(was, past.squares, n)
            + variance(is, present.squares, m)
            + (options.mix_drift * was).powi(2);
        let z = (was - is) / error.sqrt().max(f64::MIN_POSITIVE);
        let worth = strength(z) * (1.0 - is / was).max(0.0) * options.missing_work;
        if z >= options.min_sigma {
            let line = format!(
                "{}: {} → {} child spans a call ({z:+.1} σ, n = {n} → {m})",
                clipped(&operation.1),
                number(was),
                number(is)
            );
            found.push(evidence(&operation.0, since, ("missing work", Family::Outcome), worth, line));
        }
    }
}

/// Operations not seen before under those that were: a request that nobody made before is no change of who answers it.
fn new(before: &Digest, now: &Digest, since: Timestamp, options: &WeightOptions, found: &mut Vec<Evidence>) {
    let fresh = |operation: &&Operation| !before.work.contains_key(*operation);
    let mut known: BTreeSet<&Operation> = BTreeSet::new();
    for (parent, children) in &now.with_child {
        if before.spans_of(parent) >= options.min_calls {
            known.extend(children.keys().filter(fresh));
        }
    }
    for operation in known {
        let seen = now.spans_of(operation) as f64;
        let z = seen / (0.5 + options.overdispersion * seen * seen).sqrt();
        let line = format!("{}: {seen} spans of a kind not seen before", clipped(&operation.1));
        let worth = strength(z) * options.new_work;
        found.push(evidence(&operation.0, since, ("new work", Family::Outcome), worth, line));
    }
}

/// Spans that fail with no failed child to explain it.
fn failed(
    before: &Digest,
    now: &Digest,
    since: Timestamp,
    names: &BTreeMap<&str, &EntityId>,
    options: &WeightOptions,
    found: &mut Vec<Evidence>,
) {
    let counts = |digest: &Digest| {
        let mut counts: BTreeMap<(std::sync::Arc<str>, std::sync::Arc<str>), (u64, u64)> = BTreeMap::new();
        for (call, stats) in digest.traces.calls() {
            let (failed, of) = counts.entry((call.callee.clone(), call.operation.clone())).or_default();
            *failed += stats.totals.own_errors;
            *of += stats.totals.calls;
        }
        counts
    };
    let (past, present) = (counts(before), counts(now));
    for (operation, (failed, m)) in present.iter().filter(|(_, (failed, _))| *failed > 0) {
        let (was, n) = past.get(operation).copied().unwrap_or_default();
        let rate = (was as f64 + 0.5) / (n as f64 + 1.0);
        let expected = rate * *m as f64;
        let z = (*failed as f64 - expected) / (expected + 0.25).sqrt();
        let worth = strength(z) * (*failed as f64 / (*m).max(1) as f64).sqrt() * options.failed_spans;
        let Some(entity) = names.get(&*operation.0).filter(|_| z >= options.min_sigma) else { continue };
        let line = format!(
            "{}: {was} of {n} → {failed} of {m} calls fail ({:+.1} σ)",
            clipped(&operation.1),
            z.min(99.0)
        );
        found.push(evidence(entity, since, ("failed spans", Family::Outcome), worth, line));
    }
}
