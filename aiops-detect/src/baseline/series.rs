//! Judging samples of one series, one after another.

use std::borrow::Cow;
use std::time::Duration;

use aiops_core::model::time::elapsed;
use aiops_core::model::{Baseline, Calendar, EntityId, Severity};
use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::config::BaselineConfig;
use super::event::{self, During, Known};
use super::state::{BLOCKS, Place, SeriesBaseline, one_visit};

/// Deviations count up to here in the recent spread: one outlier is not restlessness.
const SPREAD_CLIP: f64 = 8.0;

/// A sample lends the spread at most so much of its time: after a gap or a jump of the clock it is still one sample.
const LONGEST_STEP: Duration = Duration::from_secs(3600);

/// Most samples in the score; a checked configuration asks for no more.
const MOST_SMOOTHED: usize = 8;

/// Judges samples against what is usual at their time; the algorithm without any I/O, for any number of series.
///
/// ```
/// use std::time::Duration;
/// use aiops_detect::baseline::{ContextualBaseline, Watch};
/// use jiff::Timestamp;
///
/// let contextual = ContextualBaseline::new(Default::default());
/// let step = Duration::from_secs(300);
/// let at = |i: u32| Timestamp::UNIX_EPOCH + step * i;
/// // Busy from 8:00 on, every day for three weeks.
/// let load = |i: u32| f64::from(i % 288 / 96) * 100.0 + f64::from(i % 7);
/// let usual = contextual.fit((0..288 * 21).map(|i| (at(i), load(i))))?;
///
/// let mut watch = Watch::default();
/// let night = contextual.judge(&usual, &mut watch, at(288 * 21), 3.0)?;
/// assert!(night.sigma.unwrap().abs() < 2.8);
/// // What is usual at noon is not at night.
/// let busy = contextual.judge(&usual, &mut watch, at(288 * 21 + 1), 103.0)?;
/// assert!(busy.sigma.unwrap() > 4.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ContextualBaseline {
    config: BaselineConfig,
    zone: TimeZone,
    calendar: Calendar,
}

/// What is remembered of a series between two samples: at most a few events and spreads, no history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    last: Option<Timestamp>,
    /// Mean and variance of recent deviations.
    mean: f64,
    spread: f64,
    recent: [f32; MOST_SMOOTHED],
    /// Of the last samples, the newest lowest: whether they deviated.
    beyond: u32,
    /// When the present run of deviating samples began.
    onset: Option<Timestamp>,
    /// Last deviating sample.
    deviated: Option<Timestamp>,
    /// When the present event began, while it lasts.
    event: Option<Timestamp>,
    rejected: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            last: None,
            mean: 0.0,
            // What deviations have when the noise is as learned.
            spread: 1.0,
            recent: [0.0; MOST_SMOOTHED],
            beyond: 0,
            onset: None,
            deviated: None,
            event: None,
            rejected: 0,
        }
    }
}

impl Watch {
    /// Samples that could not be judged: not finite, or not later than the one before.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Onset of the event that lasts, if one does.
    #[must_use]
    pub fn event(&self) -> Option<Timestamp> {
        self.event
    }
}

/// Why a sample was not judged. It is counted in [`Watch::rejected`], and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// NaN or ±∞.
    #[error("a sample of {0} cannot be compared with anything")]
    NotFinite(f64),
    /// Out of order, or a second sample of one instant.
    #[error("a sample at {at} is not later than the one at {last}")]
    NotLater {
        /// Of the sample before.
        last: Timestamp,
        /// Of this one.
        at: Timestamp,
    },
}

/// What a sample is against what is usual.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Judged {
    /// Deviation in σ, signed; `None` while nothing is known.
    pub sigma: Option<f64>,
    /// Mean of the last deviations ([`smoothing`](super::BaselineOptions::smoothing)), signed; 0 while nothing is known.
    pub score: f64,
    /// What it was compared with; scale with the restlessness in it.
    pub baseline: Option<Baseline>,
    /// What this sample is by itself: a warning from `warn_sigma` on, critical from `critical_sigma`.
    pub severity: Option<Severity>,
    /// Whether it belongs to an event: one that was raised, and that did not end yet.
    pub in_event: bool,
    /// An event that this sample made certain. One for each event, however long it lasts.
    pub alarm: Option<Alarm>,
    /// What the calendar says of its time. In maintenance a deviation is told, but it is no finding and leaves no trace.
    pub during: During,
}

/// A new event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// First sample that deviated.
    pub onset: Timestamp,
    /// Of the sample that made it certain.
    pub severity: Severity,
}

impl ContextualBaseline {
    /// Judges by this configuration.
    #[must_use]
    pub fn new(config: BaselineConfig) -> Self {
        let zone = config.zone();
        Self { config, zone, calendar: Calendar::default() }
    }

    /// The same with what is known beforehand: what happens in maintenance is neither judged nor learned, and batch jobs and
    /// days of unusual demand have hours of their own. All of its events are taken to be about the series; see
    /// [`about`](Self::about).
    #[must_use]
    pub fn with_calendar(mut self, calendar: Calendar) -> Self {
        self.calendar = calendar;
        self
    }

    /// What is known beforehand.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The same with only those events of the calendar that are about `entity`.
    #[must_use]
    pub fn about(&self, entity: &EntityId) -> Cow<'_, Self> {
        if self.calendar.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(self.clone().with_calendar(self.calendar.about(entity)))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &BaselineConfig {
        &self.config
    }

    /// A series nothing is known of, to be learned with [`push`](Self::push).
    #[must_use]
    pub fn empty(&self) -> SeriesBaseline {
        SeriesBaseline::empty(self.config.cells())
    }

    pub(super) fn place(&self, at: Timestamp) -> Place {
        let local = self.zone.to_datetime(at);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let minute = usize::try_from(minute).unwrap_or(0);
        let options = self.config.options();
        let date = local.date();
        let holiday = !options.holidays.is_empty() && options.holidays.binary_search(&date).is_ok();
        let weekday = if holiday { Weekday::Sunday } else { local.weekday() };
        Place {
            date,
            cell: minute / options.cell_minutes.max(1) as usize,
            weekday: usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0),
            block: minute * BLOCKS / (24 * 60),
            hour: u8::try_from(local.hour()).unwrap_or(0),
        }
    }

    pub(super) fn known(&self, at: Timestamp) -> Known<'_> {
        event::known(&self.calendar, at)
    }

    /// Judges a sample without learning from it. O(1), and O(events) of the calendar.
    ///
    /// # Errors
    /// [`Rejected`] for NaN, ±∞ and a sample that is not later than the one before.
    pub fn judge(
        &self,
        usual: &SeriesBaseline,
        watch: &mut Watch,
        at: Timestamp,
        value: f64,
    ) -> Result<Judged, Rejected> {
        let step = Self::admit(watch, at, value)?;
        Ok(self.judge_at(usual, watch, (at, step), value, &self.place(at), self.known(at)))
    }

    /// Judges a sample, then learns from it unless it deviates. What deviates for longer than
    /// [`adopt_after`](super::BaselineOptions::adopt_after) is learned as the new normal. O(cells), a walk over a few
    /// hundred bytes.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn push(
        &self,
        usual: &mut SeriesBaseline,
        watch: &mut Watch,
        at: Timestamp,
        value: f64,
    ) -> Result<Judged, Rejected> {
        let step = Self::admit(watch, at, value)?;
        let place = self.place(at);
        let known = self.known(at);
        let judged = self.judge_at(usual, watch, (at, step), value, &place, known);
        let options = self.config.options();
        let memory = self.memory(step);
        let lasting = watch.event.is_some_and(|since| elapsed(since, at) >= options.adopt_after);
        let ordinary = judged.severity.is_none() && !judged.in_event;
        match known {
            Known::Maintenance => {}
            Known::Event { id, .. } if lasting => {
                usual.adopt_event(value, id, &place, one_visit(&self.config, memory));
            }
            Known::Event { id, began } if ordinary => usual.learn_event(value, id, began, &place, memory),
            Known::Nothing if lasting => usual.adopt(value, &place, &self.config, memory),
            Known::Nothing if ordinary => usual.learn(value, &place, &self.config, memory),
            Known::Nothing | Known::Event { .. } => {}
        }
        Ok(judged)
    }

    /// Samples a cell's weight is bounded by: what the memory holds at this step.
    pub(super) fn memory(&self, step: Duration) -> u16 {
        let options = self.config.options();
        let cell = f64::from(options.cell_minutes) * 60.0;
        let per_visit = (cell / step.as_secs_f64().max(1.0)).max(1.0) * (2 * options.neighbours + 1) as f64;
        // `as` saturates.
        (per_visit * f64::from(options.memory_days)) as u16
    }

    /// The step to a sample that can be judged.
    fn admit(watch: &mut Watch, at: Timestamp, value: f64) -> Result<Duration, Rejected> {
        let reject = |watch: &mut Watch, reason| {
            watch.rejected = watch.rejected.saturating_add(1);
            Err(reason)
        };
        if !value.is_finite() {
            return reject(watch, Rejected::NotFinite(value));
        }
        match watch.last {
            Some(last) if at <= last => reject(watch, Rejected::NotLater { last, at }),
            last => {
                watch.last = Some(at);
                Ok(last.map_or(Duration::from_secs(60), |last| elapsed(last, at).min(LONGEST_STEP)))
            }
        }
    }

    fn judge_at(
        &self,
        usual: &SeriesBaseline,
        watch: &mut Watch,
        (at, step): (Timestamp, Duration),
        value: f64,
        place: &Place,
        known: Known<'_>,
    ) -> Judged {
        let options = self.config.options();
        let (seen, enough) = match known {
            Known::Event { id, .. } => (usual.event_days(id), options.event_days),
            Known::Nothing | Known::Maintenance => (usual.days, options.trusted_days),
        };
        let trusted = seen >= enough;
        let compared = match known {
            Known::Event { id, .. } => usual
                .events
                .get(id)
                .and_then(|event| event.usual(place.hour, trusted, options.scale_floor, usual.typical)),
            Known::Nothing | Known::Maintenance => usual.usual(place, trusted, options.scale_floor),
        };
        let during = known.during();
        let Some((center, scale, samples)) = compared else {
            return Judged {
                sigma: None,
                score: 0.0,
                baseline: None,
                severity: None,
                // Of what nothing is known, nothing lasts; an event that the calendar interrupts does.
                in_event: during != During::Nothing && watch.event.is_some(),
                alarm: None,
                during,
            };
        };
        let plain = (value - center) / scale;
        let restless = watch.spread.max(1.0).sqrt();
        let sigma = plain / restless;
        let baseline = Some(Baseline { center, scale: scale * restless, samples: usize::from(samples) });
        if during == During::Maintenance {
            // Nothing of it is remembered: what is out of order on purpose says nothing of how restless the series is.
            return Judged {
                sigma: Some(sigma),
                score: 0.0,
                baseline,
                severity: None,
                in_event: watch.event.is_some(),
                alarm: None,
                during,
            };
        }

        // The gain of an exponential mean of this time constant, to first order in the step: no exponential a sample.
        let gain = step.as_secs_f64() / (step + options.restlessness).as_secs_f64();
        let away = plain.clamp(-SPREAD_CLIP, SPREAD_CLIP) - watch.mean;
        watch.mean += gain * away;
        watch.spread = (1.0 - gain) * (watch.spread + gain * away * away);

        watch.recent.rotate_right(1);
        if let Some(newest) = watch.recent.first_mut() {
            *newest = sigma.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        }
        let smoothed = options.smoothing;
        let score = watch.recent.iter().take(smoothed).map(|s| f64::from(*s)).sum::<f64>() / smoothed as f64;

        let height = sigma.abs();
        let severity = match trusted {
            true if height >= options.critical_sigma => Some(Severity::Critical),
            true if height >= options.warn_sigma => Some(Severity::Warning),
            // Little is known: only what is far from everything seen so far, and no more than a warning.
            false if height >= options.cold_sigma && seen > 1 => Some(Severity::Warning),
            _ => None,
        };
        let alarm = self.follow(watch, at, severity);
        Judged {
            sigma: Some(sigma),
            score,
            baseline,
            severity,
            in_event: watch.event.is_some(),
            alarm,
            during,
        }
    }

    /// Events: raised once enough of the last samples deviated, over when none did for the hold-off.
    fn follow(&self, watch: &mut Watch, at: Timestamp, severity: Option<Severity>) -> Option<Alarm> {
        let options = self.config.options();
        if watch.deviated.is_some_and(|last| elapsed(last, at) > options.hold_off) {
            // A gap ends a run as well: samples hours apart are not "in a row".
            (watch.event, watch.onset, watch.beyond, watch.deviated) = (None, None, 0, None);
        }
        let window = u32::MAX >> (32 - options.of.clamp(1, 32));
        watch.beyond = (watch.beyond << 1 | u32::from(severity.is_some())) & window;
        if watch.beyond == 0 && watch.event.is_none() {
            watch.onset = None;
        }
        let severity = severity?;
        watch.deviated = Some(at);
        let onset = *watch.onset.get_or_insert(at);
        if watch.event.is_some() || watch.beyond.count_ones() < options.hits {
            return None;
        }
        watch.event = Some(onset);
        Some(Alarm { onset, severity })
    }
}
