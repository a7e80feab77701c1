//! How often something begins in a place and how finely it is sampled, to tell coincidence from company.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{float, time::elapsed};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::fingerprint::Fingerprint;
use super::state::Record;

/// Weight of what is held beforehand, as time in which it was seen.
const PRIOR_HOURS: f64 = 1.0;

/// Spacings of onsets that a place remembers.
const SPACINGS: usize = 32;

/// Entities of a place that are told apart.
const ENTITIES: usize = 512;

/// The coarsest grid that alerts are judged on.
const COARSEST: Duration = Duration::from_secs(600);

/// One in so many spacings may be off a grid, and off is what is farther from it than one such part of its step.
const OFF_GRID: u32 = 10;

/// Spacings from which on they say how finely a place is sampled.
const ENOUGH: usize = 8;

/// What began in a place, and for how long it was watched; all fade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    /// Incidents of more than one alert.
    #[serde(with = "float")]
    incidents: f64,
    /// Alerts that stayed alone.
    #[serde(with = "float")]
    lone: f64,
    /// Kinds of these.
    #[serde(with = "float")]
    kinds: f64,
    #[serde(with = "float")]
    hours: f64,
    at: Timestamp,
    /// Gaps within incidents beyond the resolution, and their sum in seconds.
    #[serde(with = "float")]
    gaps: f64,
    #[serde(with = "float")]
    gap_seconds: f64,
    /// What alerts were about, by hash, and how many there were.
    about: BTreeSet<u64>,
    alerts: u64,
    /// The latest onset told, and the seconds between one and the next, the oldest first.
    onset: Timestamp,
    spacings: Vec<u32>,
}

impl Beat {
    fn new(at: Timestamp) -> Self {
        Self {
            incidents: 0.0,
            lone: 0.0,
            kinds: 0.0,
            hours: 0.0,
            at,
            gaps: 0.0,
            gap_seconds: 0.0,
            about: BTreeSet::new(),
            alerts: 0,
            onset: at,
            spacings: Vec::new(),
        }
    }

    /// What is left of a count, and the hours, at `now`. A clock that jumps back lets no time pass.
    fn fade(&self, now: Timestamp, memory: Duration) -> (f64, f64) {
        let kept = (-elapsed(self.at, now).as_secs_f64() / memory.as_secs_f64()).exp();
        // Watching without end amounts to the memory.
        (kept, self.hours * kept + memory.as_secs_f64() / 3600.0 * (1.0 - kept))
    }

    fn advance(&mut self, now: Timestamp, memory: Duration) {
        let (kept, hours) = self.fade(now, memory);
        self.incidents *= kept;
        self.lone *= kept;
        self.kinds *= kept;
        self.gaps *= kept;
        self.gap_seconds *= kept;
        self.hours = hours;
        self.at = self.at.max(now);
    }

    fn space(&mut self, onset: Timestamp) {
        let gap = elapsed(self.onset.min(onset), self.onset.max(onset)).as_secs();
        self.onset = self.onset.max(onset);
        if gap > 0 {
            if self.spacings.len() >= SPACINGS {
                self.spacings.remove(0);
            }
            self.spacings.push(u32::try_from(gap).unwrap_or(u32::MAX));
        }
    }

    /// Entities that alerts may be about: those seen, and of those that were expected as many as still turn up.
    fn entities(&self, options: &CorrelatorOptions) -> f64 {
        let seen = self.about.len() as f64;
        seen + options.priors.entities as f64 * seen / self.alerts.max(1) as f64
    }

    /// How finely the place is sampled. On a coarse grid all spacings are multiples of its step, and the smaller ones, those within
    /// incidents, are the step itself; elsewhere nothing is coarser than the smaller ones.
    fn resolution(&self, options: &CorrelatorOptions) -> Duration {
        if self.spacings.len() < ENOUGH {
            return options.priors.resolution;
        }
        let mut sorted = self.spacings.clone();
        sorted.sort_unstable();
        let low = sorted.get(sorted.len() / 5).copied().unwrap_or(1).max(1);
        let step = Duration::from_secs(u64::from(low));
        let off = |gap: &&u32| (**gap % low).min(low - **gap % low) > low / OFF_GRID;
        let grid = sorted.iter().filter(off).count() * OFF_GRID as usize <= sorted.len();
        if grid { step.min(COARSEST) } else { step.min(options.priors.resolution) }
    }
}

/// How often an alert stayed alone, fading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lone {
    #[serde(with = "float")]
    times: f64,
    at: Timestamp,
}

/// What begins in a place by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Chance {
    /// Incidents an hour.
    pub(super) incidents: f64,
    /// Lone alerts an hour, were all as often alone as the one asked about.
    pub(super) lone: f64,
    /// Entities that alerts may be about.
    pub(super) entities: f64,
}

impl Chance {
    /// Both, per hour.
    pub(super) fn per_hour(&self) -> f64 {
        self.incidents + self.lone
    }
}

/// A place: a label and its value. Both are empty for the whole world.
pub(super) type Place = (String, String);

/// Rates by place, and of alerts that mean nothing (Poisson with a Gamma prior).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", from = "Stored")]
pub(super) struct Pace {
    world: Option<Beat>,
    places: BTreeMap<Place, Beat>,
    alone: BTreeMap<Fingerprint, Lone>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    world: Option<Beat>,
    places: Vec<(Place, Beat)>,
    alone: Vec<(Fingerprint, Lone)>,
}

impl From<Pace> for Stored {
    fn from(pace: Pace) -> Self {
        Self {
            world: pace.world,
            places: pace.places.into_iter().collect(),
            alone: pace.alone.into_iter().collect(),
        }
    }
}

impl From<Stored> for Pace {
    fn from(stored: Stored) -> Self {
        Self {
            world: stored.world,
            places: stored.places.into_iter().collect(),
            alone: stored.alone.into_iter().collect(),
        }
    }
}

impl Pace {
    /// An alert about what hashes to `about` began in these places.
    pub(super) fn began(
        &mut self,
        about: u64,
        places: &[Place],
        onset: Timestamp,
        options: &CorrelatorOptions,
    ) {
        let met = |beat: &mut Beat| {
            beat.alerts = beat.alerts.saturating_add(1);
            if beat.about.len() < ENTITIES {
                beat.about.insert(about);
            }
        };
        for place in places {
            if let Some(beat) = self.place(place, onset, options) {
                beat.space(onset);
                met(beat);
            }
        }
        met(self.world.get_or_insert_with(|| Beat::new(onset)));
    }

    fn place(&mut self, place: &Place, now: Timestamp, options: &CorrelatorOptions) -> Option<&mut Beat> {
        if !self.places.contains_key(place) {
            if self.places.len() >= options.max_events {
                // Where little began, what is held beforehand says nearly the same.
                let memory = options.pace_memory;
                self.places.retain(|_, beat| (beat.incidents + beat.lone) * beat.fade(now, memory).0 >= 0.5);
                if self.places.len() >= options.max_events {
                    return None;
                }
            }
            self.places.insert(place.clone(), Beat::new(now));
        }
        self.places.get_mut(place)
    }

    /// An alert opened an incident: it is alone so far.
    pub(super) fn opened(
        &mut self,
        who: Fingerprint,
        places: &[Place],
        now: Timestamp,
        options: &CorrelatorOptions,
    ) {
        let memory = options.pace_memory;
        if !self.alone.contains_key(&who) && self.alone.len() >= options.max_events {
            self.alone.retain(|_, lone| lone.left(now, memory) >= 1.5);
            if self.alone.len() >= options.max_events {
                self.alone.pop_first();
            }
        }
        let lone = self.alone.entry(who).or_insert(Lone { times: 0.0, at: now });
        let before = lone.left(now, memory);
        *lone = Lone { times: before + 1.0, at: lone.at.max(now) };
        self.each(places, now, options, |beat| {
            beat.lone += 1.0;
            beat.kinds += f64::from(before < 0.5);
        });
    }

    /// It has company: it was no lone alert but the first of an incident. `first` is false where it joins an incident that is
    /// counted already.
    pub(super) fn joined(
        &mut self,
        who: Fingerprint,
        places: &[Place],
        first: bool,
        now: Timestamp,
        options: &CorrelatorOptions,
    ) {
        let mut after = 0.0;
        if let Some(lone) = self.alone.get_mut(&who) {
            after = (lone.left(now, options.pace_memory) - 1.0).max(0.0);
            *lone = Lone { times: after, at: lone.at.max(now) };
            if after < 0.5 {
                self.alone.remove(&who);
            }
        }
        self.each(places, now, options, |beat| {
            beat.lone = (beat.lone - 1.0).max(0.0);
            beat.kinds = (beat.kinds - f64::from(after < 0.5)).max(0.0);
            beat.incidents += f64::from(first);
        });
    }

    fn each(
        &mut self,
        places: &[Place],
        now: Timestamp,
        options: &CorrelatorOptions,
        change: impl Fn(&mut Beat),
    ) {
        let memory = options.pace_memory;
        for place in places {
            if let Some(beat) = self.place(place, now, options) {
                beat.advance(now, memory);
                change(beat);
            }
        }
        let world = self.world.get_or_insert_with(|| Beat::new(now));
        world.advance(now, memory);
        change(world);
    }

    /// What is known of a place, or of the world, for the alert `who`.
    pub(super) fn chance(
        &self,
        who: Fingerprint,
        place: Option<&Place>,
        now: Timestamp,
        options: &CorrelatorOptions,
    ) -> Chance {
        let memory = options.pace_memory;
        let prior = options.priors.per_hour * PRIOR_HOURS;
        let beat = match place {
            Some(place) => self.places.get(place),
            None => self.world.as_ref(),
        };
        let Some(beat) = beat else {
            let entities = options.priors.entities as f64;
            return Chance { incidents: options.priors.per_hour, lone: 0.0, entities };
        };
        let (kept, hours) = beat.fade(now, memory);
        let hours = PRIOR_HOURS + hours;
        let often = self.alone.get(&who).map_or(0.0, |lone| lone.left(now, memory));
        let entities = beat.entities(options);
        Chance {
            incidents: (prior + beat.incidents * kept) / hours,
            // This one as often as it was alone, and anything as often as new ones are.
            lone: (entities.max(options.priors.entities as f64) * often + beat.kinds * kept) / hours,
            entities,
        }
    }

    /// What is known of the place of an alert that is counted as alone, without counting it.
    pub(super) fn chance_besides(&self, seed: &Record, options: &CorrelatorOptions) -> Chance {
        let place = seed.near.first();
        let mut chance = self.chance(seed.fingerprint, place, seed.onset, options);
        let beat = match place {
            Some(place) => self.places.get(place),
            None => self.world.as_ref(),
        };
        if let Some(beat) = beat {
            let (_, hours) = beat.fade(seed.onset, options.pace_memory);
            let often = self.alone.get(&seed.fingerprint).map_or(0.0, |lone| lone.times);
            let own =
                chance.entities.max(options.priors.entities as f64) * often.min(1.0) + f64::from(often < 1.5);
            chance.lone = (chance.lone - own / (PRIOR_HOURS + hours)).max(0.0);
        }
        chance
    }

    /// An alert joined an incident whose nearest other onset is `gap` away.
    pub(super) fn followed(&mut self, places: &[Place], gap: Duration, options: &CorrelatorOptions) {
        for place in places {
            if let Some(beat) = self.places.get_mut(place) {
                let beyond = gap.saturating_sub(beat.resolution(options));
                beat.gaps += 1.0;
                beat.gap_seconds += beyond.as_secs_f64();
            }
        }
    }

    /// How finely a place is sampled, and how long trouble takes there from one to the next. The latter is the mean of what was
    /// seen and of what was held before, for of the law that gaps follow it is the mean times `p − 2`.
    pub(super) fn rhythm(&self, place: Option<&Place>, options: &CorrelatorOptions) -> (Duration, Duration) {
        let priors = &options.priors;
        let Some(beat) = place.and_then(|place| self.places.get(place)) else {
            return (priors.resolution, priors.propagation);
        };
        let per_mean = priors.decay - 2.0;
        let before = priors.propagation.as_secs_f64() / per_mean;
        let resolution = beat.resolution(options);
        let mean = (priors.gaps * before + beat.gap_seconds) / (priors.gaps + beat.gaps);
        // What begins between two samples is seen half a sample late on average, however fast trouble travels. Gaps that were too
        // long to be joined teach nothing, so this must not be left to be learnt.
        let mean = mean.max(0.5 * resolution.as_secs_f64());
        let scale = Duration::try_from_secs_f64((mean * per_mean).clamp(1.0, 3600.0));
        (resolution, scale.unwrap_or(priors.propagation))
    }

    pub(super) fn is_sound(&self, options: &CorrelatorOptions) -> bool {
        let sound = |beat: &Beat| {
            [beat.incidents, beat.lone, beat.kinds, beat.hours, beat.gaps, beat.gap_seconds]
                .iter()
                .all(|v| v.is_finite() && *v >= 0.0)
                && beat.spacings.len() <= SPACINGS
                && beat.about.len() <= ENTITIES
        };
        self.places.len() <= options.max_events
            && self.alone.len() <= options.max_events
            && self.places.values().chain(&self.world).all(sound)
            && self.alone.values().all(|lone| lone.times.is_finite() && lone.times >= 0.0)
    }

    pub(super) fn bytes(&self) -> usize {
        self.alone.len() * 64
            + self
                .places
                .iter()
                .map(|((l, v), b)| 384 + l.len() + v.len() + 16 * b.about.len())
                .sum::<usize>()
    }
}

impl Lone {
    fn left(&self, now: Timestamp, memory: Duration) -> f64 {
        self.times * (-elapsed(self.at, now).as_secs_f64() / memory.as_secs_f64()).exp()
    }
}
