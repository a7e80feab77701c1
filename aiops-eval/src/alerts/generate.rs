//! Alerts of a generated estate, whose faults travel along its calls.
//!
//! # How the truth is made
//! Each system is a namespace of services in layers; a service calls one to three of the layers below, the lowest are databases. Services
//! run on the machines of their system, and some call a platform that systems share. A fault begins in one entity and
//! travels to what needs it, each hop with some probability and an exponential delay. Whatever it reaches raises a few of the alerts
//! of its kind, each seen at the next sample of its rule and after the rule's own waiting time, so that a root may well alert after what
//! it broke. Alerts last about as long as the fault, and some flap. Beside that, lone alerts fire at random, a few rules far more
//! often than others. All of it is laid out as [`stream`](super::stream()) does.
//!
//! Nothing of this was made to suit a way of grouping: the correlator's kernel, rates and probabilities are not those drawn from here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, EdgeKind, EntityId, EntityKind, Severity, Topology, time};
use serde::Serialize;

use super::stream::{Episode, Stream, StreamOptions, Truth, exponential, hold_on, notify};

/// How hard a generated estate is. The defaults are what the records were made with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EstateOptions {
    /// Systems, each a namespace.
    pub systems: usize,
    /// Services of each.
    pub services: usize,
    /// Incidents of each.
    pub incidents: usize,
    /// Probability that trouble goes on to one that needs the troubled.
    pub spread: f64,
    /// Mean seconds it takes for that; exponential.
    pub hop_seconds: f64,
    /// Share of the true edges that the topology does not tell.
    pub unknown: f64,
    /// Probability that an alert ends and comes again while the incident lasts.
    pub flaps: f64,
    /// Probability that the text of an alert names the one the trouble came from.
    pub mentions: f64,
}

impl Default for EstateOptions {
    fn default() -> Self {
        Self {
            systems: 4,
            services: 24,
            incidents: 40,
            spread: 0.7,
            hop_seconds: 45.0,
            unknown: 0.2,
            flaps: 0.05,
            mentions: 0.2,
        }
    }
}

/// Rules about services: name, severity, seconds between samples, seconds it must hold before it fires.
const SERVICE_RULES: [(&str, Severity, u64, u64); 8] = [
    ("LatencyHigh", Severity::Warning, 15, 60),
    ("ErrorRateHigh", Severity::Critical, 15, 0),
    ("CpuHigh", Severity::Warning, 30, 120),
    ("MemoryHigh", Severity::Warning, 60, 120),
    ("RestartsHigh", Severity::Critical, 60, 0),
    ("QueueGrowing", Severity::Warning, 60, 60),
    ("TrafficLow", Severity::Info, 60, 180),
    ("PoolExhausted", Severity::Critical, 30, 0),
];

/// Rules about databases.
const DATABASE_RULES: [(&str, Severity, u64, u64); 4] = [
    ("ConnectionsHigh", Severity::Critical, 60, 0),
    ("SlowQueries", Severity::Warning, 60, 120),
    ("ReplicationLag", Severity::Warning, 60, 60),
    ("DiskIoHigh", Severity::Warning, 300, 0),
];

/// Rules about machines.
const NODE_RULES: [(&str, Severity, u64, u64); 4] = [
    ("NodeCpuHigh", Severity::Warning, 60, 120),
    ("NodeMemoryPressure", Severity::Critical, 60, 60),
    ("NodeDiskFull", Severity::Critical, 300, 0),
    ("NodeNetworkErrors", Severity::Warning, 60, 60),
];

/// Rules that callers break when what they need is in trouble.
const FELT: usize = 2;

/// Services of the shared platform.
const PLATFORM: usize = 3;

/// How often a lone alert is one of these few kinds of each system.
const CHRONIC: (f64, usize) = (0.6, 6);

struct Estate {
    /// What needs each, truly.
    needed_by: BTreeMap<EntityId, Vec<EntityId>>,
    /// Namespace of each.
    home: BTreeMap<EntityId, String>,
    /// What is known of it.
    known: Topology,
    systems: Vec<(String, Vec<EntityId>)>,
}

fn rules(kind: EntityKind) -> &'static [(&'static str, Severity, u64, u64)] {
    match kind {
        EntityKind::Database => &DATABASE_RULES,
        EntityKind::Node => &NODE_RULES,
        _ => &SERVICE_RULES,
    }
}

fn build(rng: &mut fastrand::Rng, made: &EstateOptions) -> Estate {
    let mut estate = Estate {
        needed_by: BTreeMap::new(),
        home: BTreeMap::new(),
        known: Topology::new(),
        systems: Vec::new(),
    };
    let platform: Vec<EntityId> =
        (0..PLATFORM).map(|n| EntityId::service(format!("platform-svc{n}"))).collect();
    let mut edges: Vec<(EntityId, EntityId, EdgeKind)> = Vec::new();
    for system in 0..made.systems {
        let name = format!("team-{system}");
        let layers = 4_usize;
        let entities: Vec<EntityId> = (0..made.services)
            .map(|n| match n * layers / made.services.max(1) {
                3 => EntityId::new(EntityKind::Database, format!("{name}-db{n}")),
                _ => EntityId::service(format!("{name}-svc{n}")),
            })
            .collect();
        let nodes: Vec<EntityId> = (0..made.services.div_ceil(4))
            .map(|n| EntityId::new(EntityKind::Node, format!("{name}-node{n}")))
            .collect();
        for (n, caller) in entities.iter().enumerate() {
            let layer = n * layers / made.services.max(1);
            let below = ((layer + 1) * made.services).div_ceil(layers);
            for _ in 0..rng.usize(1..=3) {
                if let Some(callee) = entities.get(rng.usize(below.min(made.services)..=made.services)) {
                    edges.push((caller.clone(), callee.clone(), EdgeKind::Calls));
                }
            }
            if let Some(node) = nodes.get(rng.usize(..nodes.len().max(1))) {
                edges.push((caller.clone(), node.clone(), EdgeKind::RunsOn));
            }
            if rng.f64() < 0.1
                && let Some(shared) = platform.get(rng.usize(..PLATFORM))
            {
                edges.push((caller.clone(), shared.clone(), EdgeKind::Calls));
            }
        }
        let all: Vec<EntityId> = entities.into_iter().chain(nodes).collect();
        estate.home.extend(all.iter().map(|entity| (entity.clone(), name.clone())));
        estate.systems.push((name, all));
    }
    estate.home.extend(platform.iter().map(|entity| (entity.clone(), "platform".to_owned())));
    estate.systems.push(("platform".to_owned(), platform));
    edges.sort();
    edges.dedup();
    for (from, to, kind) in edges {
        estate.needed_by.entry(to.clone()).or_default().push(from.clone());
        if rng.f64() >= made.unknown {
            estate.known.connect(from, to, kind);
        }
    }
    estate
}

fn alert(estate: &Estate, rule: (&str, Severity), about: &EntityId, onset: Timestamp, text: String) -> Alert {
    let mut alert = Alert::new(rule.0, about.clone(), onset, rule.1);
    alert.labels.insert("namespace", estate.home.get(about).map_or("", String::as_str));
    alert.labels.insert("severity", if rule.1 == Severity::Critical { "critical" } else { "warning" });
    alert.annotations.insert("summary", text);
    alert
}

/// When a rule that is judged every `step` seconds, and waits for `wait`, sees what began at `at`.
fn seen(at: Timestamp, step: u64, wait: u64) -> Timestamp {
    let step = i64::try_from(step.max(1)).unwrap_or(i64::MAX);
    let next = at.as_second().saturating_add(step - at.as_second().rem_euclid(step));
    Timestamp::from_second(next).map_or(at, |next| time::after(next, Duration::from_secs(wait)))
}

/// Where a fault of `root` gets to, with the time it takes and who it came from, in order of time.
fn spread(
    rng: &mut fastrand::Rng,
    estate: &Estate,
    root: &EntityId,
    made: &EstateOptions,
) -> Vec<(EntityId, Duration, Option<EntityId>)> {
    let mut reached = vec![(root.clone(), Duration::ZERO, None)];
    let mut met = BTreeSet::from([root.clone()]);
    let mut queue = VecDeque::from([(root.clone(), Duration::ZERO)]);
    while let Some((troubled, after)) = queue.pop_front() {
        for next in estate.needed_by.get(&troubled).into_iter().flatten() {
            if met.contains(next) || rng.f64() >= made.spread {
                continue;
            }
            met.insert(next.clone());
            let after = after + exponential(rng, made.hop_seconds);
            reached.push((next.clone(), after, Some(troubled.clone())));
            queue.push_back((next.clone(), after));
        }
    }
    reached
}

fn incident(
    rng: &mut fastrand::Rng,
    estate: &Estate,
    root: &EntityId,
    now: Timestamp,
    stream: &mut Stream,
    made: &EstateOptions,
) {
    let truth = stream.incidents.len();
    let system = estate.home.get(root).cloned().unwrap_or_default();
    let mut range = (Timestamp::MAX, now);
    let lasts = Duration::from_secs(600) + exponential(rng, 900.0);
    for (about, after, from) in spread(rng, estate, root, made) {
        let began = time::after(now, after);
        let rules = rules(about.kind());
        // What is at fault breaks some rules of its kind; what needs it breaks those about how it serves, at times others.
        let mut broken: Vec<usize> = (0..rules.len()).collect();
        if from.is_none() {
            rng.shuffle(&mut broken);
            broken.truncate(rng.usize(1..=4));
        } else {
            broken.retain(|rule| if *rule < FELT { rng.f64() < 0.8 } else { rng.f64() < 0.08 });
        }
        for (name, severity, step, wait) in broken.into_iter().filter_map(|at| rules.get(at)) {
            let onset = seen(time::after(began, exponential(rng, 20.0)), *step, *wait);
            let end = time::after(time::after(now, lasts), after + exponential(rng, 60.0));
            let end = end.max(time::after(onset, Duration::from_secs(60)));
            let names = from.as_ref().filter(|_| rng.f64() < made.mentions);
            let text = match names {
                Some(other) => format!("{name} on {} since calls to {} fail", about.name(), other.name()),
                None => format!("{name} on {} is at {}", about.name(), rng.u32(50..1000)),
            };
            let mut spans = vec![(onset, end)];
            let halfway = time::after(onset, time::elapsed(onset, end) / 2);
            if rng.f64() < made.flaps {
                // It ends for two minutes to a third of its time, and comes again.
                let pause = Duration::from_secs(120) + time::elapsed(onset, end) / 3;
                spans = vec![(onset, halfway), (time::after(halfway, pause), time::after(end, pause))];
            }
            for (onset, end) in spans {
                let alert = alert(estate, (name, *severity), &about, onset, text.clone());
                range = (range.0.min(onset), range.1.max(end));
                let system = system.clone();
                stream.episodes.push(Episode { system, alert, truth, noise: false, end });
            }
        }
    }
    stream.incidents.push(Truth { system, root: root.clone(), range });
}

/// A generated estate and its alerts. Of `options`, everything counts.
#[must_use]
pub fn estate(options: &StreamOptions, made: &EstateOptions) -> Stream {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let begin = Timestamp::UNIX_EPOCH;
    let estate = build(&mut rng, made);
    let mut stream = Stream {
        topology: estate.known.clone(),
        episodes: Vec::new(),
        notifications: Vec::new(),
        incidents: Vec::new(),
        swallowed: 0,
    };
    let mut until = begin;
    for (_, entities) in &estate.systems {
        let mut now = begin;
        // The platform is small, and so are its faults.
        let incidents = made.incidents * entities.len() / (made.services + made.services.div_ceil(4)).max(1);
        for _ in 0..incidents {
            let scale = made.incidents as f64 / incidents.max(1) as f64;
            now = time::after(now, exponential(&mut rng, 60.0 * options.gap_minutes * scale));
            if let Some(root) = entities.get(rng.usize(..entities.len().max(1))) {
                incident(&mut rng, &estate, root, now, &mut stream, made);
            }
        }
        until = until.max(now);
    }
    let mut lone: Vec<(String, Alert, Timestamp)> = Vec::new();
    for (system, entities) in &estate.systems {
        let chronic: Vec<(usize, usize)> =
            (0..CHRONIC.1).map(|_| (rng.usize(..entities.len().max(1)), rng.usize(..4))).collect();
        let mut now = begin;
        while options.noise_per_hour > 0.0 && now < until {
            now = time::after(now, exponential(&mut rng, 3600.0 / options.noise_per_hour));
            let drawn = (rng.usize(..entities.len().max(1)), rng.usize(..4));
            let kind = if rng.f64() < CHRONIC.0 { chronic.get(rng.usize(..CHRONIC.1)) } else { Some(&drawn) };
            let Some((entity, rule)) = kind else { continue };
            let Some(about) = entities.get(*entity) else { continue };
            let Some((name, severity, step, wait)) = rules(about.kind()).get(*rule) else { continue };
            let onset = seen(now, *step, *wait);
            let text = format!("{name} on {} is at {}", about.name(), rng.u32(50..1000));
            let end = time::after(onset, Duration::from_secs(60) + exponential(&mut rng, 240.0));
            lone.push((system.clone(), alert(&estate, (name, *severity), about, onset, text), end));
        }
    }
    for (truth, (system, alert, end)) in (stream.incidents.len()..).zip(lone) {
        stream.episodes.push(Episode { system, alert, truth, noise: true, end });
    }
    hold_on(&mut stream);
    notify(&mut stream, options, &mut rng);
    stream
}
