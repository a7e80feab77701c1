//! Alerts laid out in time, as one monitoring would send them.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, EntityId, Labels, Topology, time};
use serde::Serialize;

use super::StreamReport;
use super::harvest::{Symptom, System, signed};

/// How a stream is laid out. The defaults are what the records were made with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct StreamOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// Mean time from one incident of a system to the next, in minutes; exponential.
    pub gap_minutes: f64,
    /// Alerts that mean nothing, per hour and system; exponential gaps.
    pub noise_per_hour: f64,
    /// Replicas that send every alert.
    pub replicas: u32,
    /// Seconds after which a firing alert is sent again.
    pub repeat_seconds: u64,
    /// Most seconds by which a notification is late; uniform.
    pub delay_seconds: u64,
    /// Share of notifications that get lost.
    pub lost: f64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            gap_minutes: 45.0,
            noise_per_hour: 6.0,
            replicas: 2,
            repeat_seconds: 60,
            delay_seconds: 20,
            lost: 0.01,
        }
    }
}

/// One alert from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// System it is of.
    pub system: String,
    /// As it is sent while it fires.
    pub alert: Alert,
    /// Number of its incident, or a number of its own.
    pub truth: usize,
    /// Whether it means nothing.
    pub noise: bool,
    /// When it ended.
    pub end: Timestamp,
}

/// One notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// When it comes.
    pub at: Timestamp,
    /// Place of its alert among the episodes. For scoring only.
    pub episode: usize,
    /// What it says.
    pub alert: Alert,
}

/// An incident of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Name of its system.
    pub system: String,
    /// What was at fault.
    pub root: EntityId,
    /// First onset and last end of its alerts.
    pub range: (Timestamp, Timestamp),
}

/// A stream and its truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Every system's.
    pub topology: Topology,
    /// Alerts.
    pub episodes: Vec<Episode>,
    /// Notifications in order of arrival.
    pub notifications: Vec<Notification>,
    /// Incidents by their number in [`Episode::truth`].
    pub incidents: Vec<Truth>,
    /// Alerts that an incident would have raised, had they not been firing already.
    pub swallowed: usize,
}

/// Seconds of an exponential with this mean.
pub(super) fn exponential(rng: &mut fastrand::Rng, mean_seconds: f64) -> Duration {
    Duration::from_secs_f64(-mean_seconds * (1.0 - rng.f64()).ln())
}

fn alert(system: &str, symptom: &Symptom, onset: Timestamp) -> Alert {
    let mut alert = Alert::new(&symptom.rule, symptom.entity.clone(), onset, symptom.severity);
    alert.labels = symptom.labels.iter().cloned().collect();
    alert.labels.insert("namespace", system);
    alert.labels.insert(
        "severity",
        if symptom.severity == aiops_core::model::Severity::Critical { "critical" } else { "warning" },
    );
    alert.annotations.insert("summary", &symptom.text);
    alert
}

/// Lays the alerts of `systems` out.
#[must_use]
pub fn stream(systems: &[System], options: &StreamOptions) -> Stream {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let begin = Timestamp::UNIX_EPOCH;
    let mut stream = Stream {
        topology: Topology::new(),
        episodes: Vec::new(),
        notifications: Vec::new(),
        incidents: Vec::new(),
        swallowed: 0,
    };
    let mut noise: Vec<(Timestamp, &System, &Symptom)> = Vec::new();
    for system in systems {
        stream.topology.merge(system.topology.clone());
        let mut order: Vec<usize> = (0..system.incidents.len()).collect();
        rng.shuffle(&mut order);
        let mut now = begin;
        for raised in order.into_iter().filter_map(|at| system.incidents.get(at)) {
            let gap = exponential(&mut rng, 60.0 * options.gap_minutes);
            now = sampled(time::after(now, gap), system.step);
            let truth = stream.incidents.len();
            let mut range = (Timestamp::MAX, now);
            for symptom in &raised.symptoms {
                let onset = time::after(now, symptom.after);
                // It holds until the last sample that shows it, and as long again as it took to see that.
                let end = time::after(onset, symptom.length.max(Duration::from_secs(60)));
                range = (range.0.min(onset), range.1.max(end));
                let alert = alert(&system.name, symptom, onset);
                let system = system.name.clone();
                stream.episodes.push(Episode { system, alert, truth, noise: false, end });
            }
            stream.incidents.push(Truth { system: system.name.clone(), root: raised.root.clone(), range });
        }
        let last = now;
        let mut now = begin;
        while options.noise_per_hour > 0.0 && !system.noise.is_empty() {
            now = time::after(now, exponential(&mut rng, 3600.0 / options.noise_per_hour));
            let now = sampled(now, system.step);
            if now > last {
                break;
            }
            if let Some(symptom) = system.noise.get(rng.usize(..system.noise.len())) {
                noise.push((now, system, symptom));
            }
        }
    }
    hold_on(&mut stream);
    add_noise(&mut stream, &noise);
    notify(&mut stream, options, &mut rng);
    stream
}

/// The next instant at which a system that is sampled every `step` sees anything.
fn sampled(now: Timestamp, step: Duration) -> Timestamp {
    let step = i64::try_from(step.as_secs()).unwrap_or(0).max(1);
    let late = now.as_second().rem_euclid(step);
    let wait = if late == 0 && now.subsec_nanosecond() == 0 { 0 } else { step - late };
    Timestamp::from_second(now.as_second().saturating_add(wait)).unwrap_or(now)
}

/// What is firing already cannot fire again: an alert that an incident would raise while the same one fires for an earlier incident,
/// or within a minute of its end, is not sent anew but goes on. It belongs to the incident that raised it; for the later one
/// it is no alert at all.
pub(super) fn hold_on(stream: &mut Stream) {
    let margin = Duration::from_secs(60);
    stream.episodes.sort_by_key(|episode| episode.alert.started_at);
    let mut firing: BTreeMap<(EntityId, String, Labels), usize> = BTreeMap::new();
    let mut kept: Vec<Episode> = Vec::with_capacity(stream.episodes.len());
    for episode in stream.episodes.drain(..) {
        let alert = &episode.alert;
        let key = (alert.entity.clone(), alert.name.clone(), alert.labels.clone());
        let before = firing.get(&key).and_then(|at| kept.get_mut(*at));
        match before.filter(|before| alert.started_at <= time::after(before.end, margin)) {
            Some(before) => {
                before.end = before.end.max(episode.end);
                stream.swallowed += usize::from(before.truth != episode.truth);
            }
            None => {
                firing.insert(key, kept.len());
                kept.push(episode);
            }
        }
    }
    stream.episodes = kept;
}

/// An alert that means nothing is one that nothing else fires: where the same one fires for an incident within half an hour, it would be a
/// repeat of that, and is left out.
fn add_noise(stream: &mut Stream, noise: &[(Timestamp, &System, &Symptom)]) {
    let mut firing: BTreeMap<(EntityId, String), Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
    for episode in &stream.episodes {
        let key = (episode.alert.entity.clone(), episode.alert.name.clone());
        firing.entry(key).or_default().push((episode.alert.started_at, episode.end));
    }
    let margin = Duration::from_secs(1800);
    let mut truth = stream.incidents.len();
    for (onset, system, symptom) in noise {
        let end = time::after(*onset, symptom.length.max(Duration::from_secs(60)));
        let own = firing.entry((symptom.entity.clone(), symptom.rule.clone())).or_default();
        let meets = |(from, to): &(Timestamp, Timestamp)| {
            time::before(*from, margin) <= end && *onset <= time::after(*to, margin)
        };
        if own.iter().any(meets) {
            continue;
        }
        own.push((*onset, end));
        let alert = alert(&system.name, symptom, *onset);
        stream.episodes.push(Episode { system: system.name.clone(), alert, truth, noise: true, end });
        truth += 1;
    }
}

pub(super) fn notify(stream: &mut Stream, options: &StreamOptions, rng: &mut fastrand::Rng) {
    for (episode, Episode { alert, end, .. }) in stream.episodes.iter().enumerate() {
        for _ in 0..options.replicas {
            let mut send = |planned: Timestamp, alert: &Alert| {
                let delay = Duration::from_millis(rng.u64(0..=1000 * options.delay_seconds));
                if rng.f64() >= options.lost {
                    let at = time::after(planned, delay);
                    stream.notifications.push(Notification { at, episode, alert: alert.clone() });
                }
            };
            let mut at = alert.started_at;
            while at < *end {
                send(at, alert);
                at = time::after(at, Duration::from_secs(options.repeat_seconds.max(1)));
            }
            let mut ended = alert.clone();
            ended.state = AlertState::Resolved;
            send(*end, &ended);
        }
    }
    stream.notifications.sort_by_key(|n| n.at);
}

impl Stream {
    /// What it holds.
    #[must_use]
    pub fn facts(&self) -> StreamReport {
        let near = |a: &Truth, b: &Truth| {
            let margin = signed(Duration::from_secs(300));
            let later = |t: Timestamp| t.saturating_add(margin).unwrap_or(Timestamp::MAX);
            a.range.0 <= later(b.range.1) && b.range.0 <= later(a.range.1)
        };
        let overlapping = |same: bool| {
            let overlaps = |(at, one): (usize, &Truth)| {
                let others = self.incidents.iter().enumerate();
                others
                    .into_iter()
                    .any(|(i, other)| i != at && (one.system == other.system) == same && near(one, other))
            };
            let n = self.incidents.iter().enumerate().filter(|pair| overlaps(*pair)).count();
            n as f64 / self.incidents.len().max(1) as f64
        };
        StreamReport {
            notifications: self.notifications.len() as f64,
            alerts: self.episodes.len() as f64,
            noise: self.episodes.iter().filter(|e| e.noise).count() as f64,
            swallowed: self.swallowed as f64,
            incidents: self.incidents.len() as f64,
            overlap_same: overlapping(true),
            overlap_other: overlapping(false),
        }
    }
}
