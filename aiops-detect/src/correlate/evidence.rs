//! Whether an alert is of an incident under way or the beginning of another.
//!
//! The odds are those of stochastic declustering (Zhuang, Ogata and Vere-Jones 2002): the rate at which the incident is
//! expected to raise another alert at this time, over the rate at which something begins there by itself. What an alert is
//! about, says and follows multiplies them by the ratios of record linkage (Fellegi and Sunter 1969).

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::time;

use super::correlator::Correlator;
use super::graph::{Near, Way};
use super::group::Group;
use super::priors::Priors;
use super::relation::{AlertId, IncidentNumber, Link, Reason, Weighed, logistic};
use super::state::{Record, differ};
use super::text::{self, Word};

/// Most that one rare label or name says, as a ratio: labels of one alert are not independent of each other.
const MOST: f64 = 20.0;

/// An incident that an alert may be of, and what the two have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hit {
    /// The nearest entity it is about; `distance` 0 is the same one.
    near: Option<Near>,
    /// What is most alike in it.
    like: Option<Likeness>,
}

/// What two alerts have in common besides time and place.
#[derive(Debug, Clone, Copy)]
struct Likeness {
    alert: AlertId,
    change: Option<u64>,
    text: Option<f64>,
    /// Whether the new one names the other, or the other way round.
    mention: Option<bool>,
    label: Option<(Word, f64)>,
    /// Sum of what it is worth, for comparing.
    worth: f64,
}

/// How many entities lie how near to an alert's, and among how many.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    near: Vec<Near>,
    /// Entities within each number of hops, itself included.
    within: Vec<usize>,
}

/// Incidents an alert may be of, with their log odds.
pub(super) type Candidates = BTreeMap<IncidentNumber, (f64, Hit)>;

impl Correlator {
    /// What lies around an alert.
    pub(super) fn surroundings(&self, record: &Record) -> Surroundings {
        let options = self.options();
        let near =
            record.node.map(|node| self.graph.near(node, options.max_distance, options.max_neighbours));
        let near = near.unwrap_or_default();
        let mut within = vec![1; options.max_distance + 1];
        for (hops, n) in within.iter_mut().enumerate() {
            *n += near.partition_point(|other| other.distance <= hops);
        }
        Surroundings { near, within }
    }

    /// The incidents that an alert is more probably of than not. O(neighbours + incidents and alerts compared).
    pub(super) fn candidates(&self, record: &Record, around: &Surroundings) -> Candidates {
        let options = self.options();
        let most = options.max_candidates;
        let mut hits: BTreeMap<IncidentNumber, Hit> = BTreeMap::new();
        let itself = Near { node: record.node.unwrap_or(0), distance: 0, way: Way::Needs };
        for number in self.index.at(&record.locus, most) {
            // Names are unique within a place.
            if self.groups.get(&number).is_some_and(|group| !group.elsewhere(&record.near)) {
                hits.insert(number, Hit { near: Some(itself), like: None });
            }
        }
        for near in &around.near {
            if hits.len() >= options.max_compared {
                break;
            }
            for number in self.index.on(near.node, most) {
                hits.entry(number).or_insert(Hit { near: Some(*near), like: None });
            }
        }
        for place in &record.near {
            for number in self.index.within(place, most) {
                hits.entry(number).or_default();
            }
        }
        // What is alike must not go without a look because much else is near.
        for id in self.index.akin(record, options).into_iter().rev().take(4 * options.max_compared) {
            let Some(other) = self.records.get(&id).filter(|other| other.id != record.id) else { continue };
            let Some(number) = other.incident else { continue };
            let Some(likeness) = self.likeness(record, other) else { continue };
            let like = &mut hits.entry(number).or_default().like;
            if like.is_none_or(|known| known.worth < likeness.worth) {
                *like = Some(likeness);
            }
        }
        let least = (options.threshold / (1.0 - options.threshold)).ln();
        let odds = |number: &IncidentNumber, hit: &Hit| {
            let group = self.groups.get(number).filter(|group| self.takes(group, record))?;
            let mut sum = 0.0;
            self.evidence(record, group, (hit, around), false, &mut |log_ratio, _| sum += log_ratio);
            (sum >= least).then_some(sum)
        };
        hits.into_iter().filter_map(|(number, hit)| Some((number, (odds(&number, &hit)?, hit)))).collect()
    }

    /// Whether an incident may still take the alert.
    fn takes(&self, group: &Group, record: &Record) -> bool {
        let options = self.options();
        let span = apart(group.first_onset.min(record.onset), group.last_onset.max(record.onset));
        span <= options.max_span
            && gap(group, record.onset) <= options.horizon.max(options.change_window)
            && !differ(&record.scope, &group.scope)
    }

    fn likeness(&self, new: &Record, old: &Record) -> Option<Likeness> {
        let options = self.options();
        let priors = &options.priors;
        let recent = apart(new.onset, old.onset);
        let change = new.changes.iter().rev().find(|change| old.changes.contains(change)).copied();
        let change = change.filter(|_| recent <= options.change_window);
        let similarity = new.words.similarity(&old.words);
        let text = (similarity >= options.text_similarity).then_some(similarity);
        let names = |one: &Record, other: &Record| {
            text::name(other.locus.name()).is_some_and(|name| one.words.names.contains(&name))
        };
        let other = new.locus != old.locus;
        let mention = if !other {
            None
        } else if names(new, old) {
            Some(true)
        } else {
            names(old, new).then_some(false)
        };
        let label = new.words.label(&old.words).filter(|_| other);
        let common = options.text_common;
        let worth = change.map_or(0.0, |_| ratio(priors.change, common))
            + text.map_or(0.0, |s| ratio(priors.text * s, common))
            + mention.map_or(0.0, |_| ratio(priors.mention, 1.0 / MOST))
            + label.map_or(0.0, |(_, share)| ratio(priors.label, share));
        (worth > 0.0).then_some(Likeness { alert: old.id, change, text, mention, label, worth })
    }

    /// Why an alert is in an incident.
    pub(super) fn explain(
        &self,
        new: &Record,
        number: IncidentNumber,
        hit: &Hit,
        around: &Surroundings,
    ) -> Link {
        let mut reasons = Vec::new();
        let Some(group) = self.groups.get(&number) else {
            return Link::new(new.id, new.id, Duration::ZERO, reasons);
        };
        self.evidence(new, group, (hit, around), false, &mut |log_ratio, reason| {
            reasons.push(Weighed { reason: reason(), log_ratio });
        });
        let to = self.nearest(new, group, hit);
        let gap =
            self.records.get(&to).map_or_else(|| gap(group, new.onset), |to| apart(new.onset, to.onset));
        Link::new(new.id, to, gap, reasons)
    }

    /// Probability that an alert and the one of another incident that is nearest to it are of one incident, were they alone.
    pub(super) fn alone(
        &self,
        new: &Record,
        number: IncidentNumber,
        hit: &Hit,
        around: &Surroundings,
    ) -> f64 {
        let Some(group) = self.groups.get(&number) else { return 0.0 };
        let mut sum = 0.0;
        self.evidence(new, group, (hit, around), true, &mut |log_ratio, _| sum += log_ratio);
        logistic(sum)
    }

    /// The member that stands for the incident: the latest about what is nearest, the most alike, or the latest.
    fn nearest(&self, new: &Record, group: &Group, hit: &Hit) -> AlertId {
        let locus = hit.near.and_then(|near| {
            if near.distance == 0 { Some(&new.locus) } else { self.graph.entity(near.node) }
        });
        let most = self.options().max_candidates;
        let mut about = locus.into_iter().flat_map(|locus| self.index.about(locus, most));
        let member = |id: &AlertId| *id != new.id && group.members.contains(id);
        about
            .find(|id| member(id))
            .or(hit.like.map(|like| like.alert).filter(member))
            .or_else(|| group.members.iter().rev().copied().find(|id| *id != new.id))
            .unwrap_or(new.id)
    }

    /// Hands every piece of evidence that `new` is of `group` to `say`, with the logarithm of its ratio. With `alone` the incident is
    /// held to be no more than its nearest alert.
    fn evidence(
        &self,
        new: &Record,
        group: &Group,
        (hit, around): (&Hit, &Surroundings),
        alone: bool,
        say: &mut dyn FnMut(f64, &dyn Fn() -> Reason),
    ) {
        let options = self.options();
        let priors = &options.priors;
        let place = group.shares(&new.near);
        let change = hit.like.and_then(|like| like.change).and_then(|number| self.events.change(number));
        let chance = self.pace.chance(new.fingerprint, place, new.onset, options);
        let expected = self.expected(new, group, change.is_some(), alone);
        let per_hour = chance.per_hour();
        say((expected / per_hour).max(f64::MIN_POSITIVE).ln(), &|| Reason::Onset {
            expected,
            chance: per_hour,
        });
        let known = match (new.node, place) {
            (Some(node), Some(_)) => self.graph.together(node) as f64,
            (Some(_), None) => self.graph.len() as f64,
            (None, _) => f64::INFINITY,
        };
        // Of those the topology knows, not all ever have alerts.
        let entities = chance.entities.min(known).max(2.0);
        let about = if alone { 1 } else { group.loci.len().max(1) };
        let strange = || {
            let other = group.loci.keys().find(|locus| self.graph.knows(locus))?;
            new.node.is_some().then_some(other)
        };
        match hit.near {
            Some(near) => {
                let share = |n: usize| (n as f64 / known).max(1.0 / entities).min(1.0);
                let log_ratio = nearness(near.distance, &around.within, about, share, priors);
                if near.distance == 0 {
                    say(log_ratio, &|| Reason::Service { entity: new.locus.clone() });
                } else if let Some(to) = self.graph.entity(near.node) {
                    let (hops, way) = (near.distance, near.way);
                    say(log_ratio, &|| Reason::Topology {
                        from: new.locus.clone(),
                        to: to.clone(),
                        hops,
                        way,
                    });
                }
            }
            None => {
                if let Some(to) = strange() {
                    let reached = around.within.last().copied().unwrap_or(1) as f64;
                    let missed = (1.0 - reached / known).max(priors.apart);
                    say((priors.apart / missed).ln(), &|| Reason::Apart {
                        from: new.locus.clone(),
                        to: to.clone(),
                    });
                }
            }
        }
        if let Some((label, value)) = place {
            // What it is worth to share a place is in the rate of what begins there.
            say(0.0, &|| Reason::Near { label: label.clone(), value: value.clone() });
        } else if group.elsewhere(&new.near) {
            say(priors.elsewhere.ln(), &|| Reason::Elsewhere);
        }
        if let Some(like) = &hit.like {
            self.alike(new, like, (about as f64 / entities, hit.near), say);
        }
        let former = new.former.and_then(|id| self.records.get(&id));
        if former.is_some_and(|f| f.incident == Some(group.number) && f.resolved_at.is_some()) {
            say(priors.refire.ln() - 0.5_f64.ln(), &|| Reason::Again);
        }
        if group.has_ended() && group.last_end.is_some_and(|end| end < new.onset) {
            say(priors.ended.ln() - 0.5_f64.ln(), &|| Reason::Ended);
        }
    }

    /// Alerts an hour that an incident is expected to raise when `new` began.
    fn expected(&self, new: &Record, group: &Group, changed: bool, alone: bool) -> f64 {
        let options = self.options();
        let priors = &options.priors;
        let rhythm = self.pace.rhythm(new.near.first(), options);
        let kernel = |(onset, _): &(Timestamp, u32)| {
            let gap = apart(*onset, new.onset);
            let followed = if changed && gap <= options.change_window {
                1.0 / options.change_window.as_secs_f64()
            } else {
                0.0
            };
            omori(gap, rhythm, priors).max(followed)
        };
        let density = if alone {
            group.onsets.iter().map(kernel).fold(0.0, f64::max)
        } else {
            let alerts: f64 = group.onsets.iter().map(|(_, n)| f64::from(*n)).sum();
            group.onsets.iter().map(|onset| f64::from(onset.1) * kernel(onset)).sum::<f64>() / alerts.max(1.0)
        };
        // Who has no company yet is the first of an incident as often as such alerts are not alone.
        let seed = group.alone.and_then(|id| self.records.get(&id));
        let real = seed.map_or(1.0, |seed| {
            let chance = self.pace.chance_besides(seed, options);
            chance.incidents / chance.per_hour()
        });
        3600.0 * priors.further * density * (1.0 - (1.0 - real) * group.doubt)
    }

    fn alike(
        &self,
        new: &Record,
        like: &Likeness,
        (share, near): (f64, Option<Near>),
        say: &mut dyn FnMut(f64, &dyn Fn() -> Reason),
    ) {
        let options = self.options();
        let priors = &options.priors;
        let Some(old) = self.records.get(&like.alert) else { return };
        if let Some(change) = like.change.and_then(|number| self.events.change(number)) {
            say(ratio(priors.change, options.text_common), &|| Reason::Change { change: change.id.clone() });
        }
        if let Some(similarity) = like.text {
            say(ratio(priors.text * similarity, options.text_common), &|| Reason::Text { similarity });
        }
        if let Some(named) = like.mention.map(|old_is| if old_is { &old.locus } else { &new.locus }) {
            say(ratio(priors.mention, share), &|| Reason::Mention { entity: named.clone() });
        }
        let same = near.is_some_and(|near| near.distance == 0);
        if let Some((word, share)) = like.label.filter(|_| !same)
            && let Some((label, value)) = text::label_of(&new.alert, word, options)
        {
            say(ratio(priors.label, share), &|| Reason::Label { label: label.clone(), value: value.clone() });
        }
    }
}

/// Logarithm of the ratio of two probabilities, never against and never more than [`MOST`].
fn ratio(together: f64, chance: f64) -> f64 {
    (together / chance.max(together / MOST)).max(1.0).ln()
}

/// How alerts of an incident are spread about each of them, per second, on either side: evenly within the resolution, and beyond it by the
/// modified Omori law. Integrates to 1.
fn omori(gap: Duration, (resolution, propagation): (Duration, Duration), priors: &Priors) -> f64 {
    let (scale, width) = (propagation.as_secs_f64(), resolution.as_secs_f64());
    let beyond = (gap.as_secs_f64() - width).max(0.0) / scale;
    (1.0 + beyond).powf(-priors.decay) / (width + scale / (priors.decay - 1.0))
}

/// What it says that an alert is no farther than `distance` hops from one of `about` entities, when `within` are so near to it, of which
/// `share` tells the share of all: the probability of that within an incident over that for entities drawn at random. Nearer never
/// says less than farther.
fn nearness(
    distance: usize,
    within: &[usize],
    about: usize,
    share: impl Fn(usize) -> f64,
    priors: &Priors,
) -> f64 {
    let about = i32::try_from(about).unwrap_or(i32::MAX);
    let related = 1.0 - priors.same - priors.apart;
    let ratios = within.iter().enumerate().skip(distance).map(|(hops, n)| {
        let beyond = (1.0 - priors.hop).powi(i32::try_from(hops).unwrap_or(i32::MAX));
        let together = priors.same + related * (1.0 - beyond);
        let chance = 1.0 - (1.0 - share(*n)).powi(about);
        together / chance
    });
    ratios.fold(f64::MIN_POSITIVE, f64::max).ln()
}

/// Time between an instant and an incident's onsets.
fn gap(group: &Group, onset: Timestamp) -> Duration {
    time::elapsed(onset, group.first_onset).max(time::elapsed(group.last_onset, onset))
}

/// Time between two instants, whichever is first.
pub(super) fn apart(a: Timestamp, b: Timestamp) -> Duration {
    time::elapsed(a.min(b), a.max(b))
}
