//! One series: learning, going on, looking ahead.

use std::collections::VecDeque;
use std::time::Duration;

use aiops_core::model::Direction;
use aiops_core::model::time::{after, elapsed};
use jiff::Timestamp;

use super::config::ForecastConfig;
use super::errors::{Horizon, ends, ends_at, horizons, nearest};
use super::model::{Phase, State, Weights, candidates, start};
use crate::baseline::Rejected;
use crate::clock::LocalClock;
use crate::error::FitError;

/// Origins that candidates are compared at.
const ORIGINS: usize = 600;

/// Forecasts under way for each horizon, at most.
const UNDER_WAY: usize = 32;

/// Steps a crossing is looked for at most.
const FARTHEST: usize = 100_000;

/// A forecast with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// When.
    pub at: Timestamp,
    /// Most likely value.
    pub point: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// When a series will reach a value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Crossing {
    /// When the forecast itself reaches it; `None` if it does not within the time that was looked at.
    pub expected: Option<Duration>,
    /// When the near end of the interval does.
    pub earliest: Option<Duration>,
    /// When the far end does: by then it is nearly sure.
    pub latest: Option<Duration>,
    /// Probability that it is reached within that time, from the errors of past forecasts.
    pub probability: f64,
}

/// A forecast under way, to be compared with what comes.
#[derive(Debug, Clone, PartialEq)]
struct UnderWay {
    due: u64,
    horizon: usize,
    point: f64,
    lower: f64,
    upper: f64,
}

/// The forecast of one series.
///
/// ```
/// use std::time::Duration;
/// use aiops_core::model::Direction;
/// use aiops_detect::forecast::SeasonalForecast;
/// use jiff::Timestamp;
///
/// let hour = |i: u32| Timestamp::UNIX_EPOCH + Duration::from_secs(3600) * i;
/// // A disk that fills by 1 GB an hour, and somewhat faster at day.
/// let used = |i: u32| f64::from(i) + 3.0 * f64::from(i % 24 / 12) + 0.1 * f64::from(i % 5);
/// let forecast = SeasonalForecast::fit((0..480).map(|i| (hour(i), used(i))), &Default::default())?;
/// let tomorrow = forecast.predict(24);
/// assert!((tomorrow.point - used(503)).abs() < 3.0 && tomorrow.lower < tomorrow.upper);
/// let full = forecast.time_to(500.0, Direction::Up, Duration::from_secs(7 * 86_400));
/// let hours = full.expected.unwrap().as_secs() / 3600;
/// assert!((15..=25).contains(&hours), "{hours}");
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SeasonalForecast {
    pub(super) config: ForecastConfig,
    clock: LocalClock,
    pub(super) step: Duration,
    /// Of the newest sample, or of the step a gap reached to.
    pub(super) last: Timestamp,
    pub(super) weights: Weights,
    pub(super) state: State,
    pub(super) horizons: Vec<Horizon>,
    under_way: VecDeque<UnderWay>,
    pushed: u64,
    rejected: u64,
}

impl PartialEq for SeasonalForecast {
    /// Of what is known; forecasts under way are compared too, the zone's remembered offset is not.
    fn eq(&self, other: &Self) -> bool {
        (&self.config, self.step, self.last, &self.weights, &self.state)
            == (&other.config, other.step, other.last, &other.weights, &other.state)
            && (&self.horizons, &self.under_way) == (&other.horizons, &other.under_way)
    }
}

impl SeasonalForecast {
    /// Learns from samples in any order; NaN and ±∞ are left out, and of several in one step the last is taken. The step is
    /// the median distance. O(n log n), and some hundred passes over the samples.
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer usable samples than [`min_samples`](super::ForecastOptions::min_samples).
    pub fn fit(
        samples: impl IntoIterator<Item = (Timestamp, f64)>,
        config: &ForecastConfig,
    ) -> Result<Self, FitError> {
        let options = config.options();
        let mut samples: Vec<(Timestamp, f64)> =
            samples.into_iter().filter(|(_, value)| value.abs() <= MOST).collect();
        samples.sort_by_key(|(at, _)| *at);
        let too_few = FitError::TooFew { usable: samples.len(), needed: options.min_samples };
        let (Some((first, _)), Some((end, _))) = (samples.first().copied(), samples.last().copied()) else {
            return Err(too_few);
        };
        let mut steps: Vec<Duration> =
            samples.windows(2).filter_map(|w| Some(elapsed(w.first()?.0, w.last()?.0))).collect();
        steps.retain(|step| !step.is_zero());
        steps.sort_unstable();
        let Some(step) = steps.get(steps.len() / 2).copied().filter(|_| samples.len() >= options.min_samples)
        else {
            return Err(too_few);
        };
        let slots = slots_between(first, end, step) + 1;
        if slots > samples.len().saturating_mul(16) {
            // Mostly gaps: no grid to forecast on.
            return Err(too_few);
        }
        let mut values: Vec<Option<f64>> = vec![None; slots];
        for (at, value) in samples {
            if let Some(slot) = values.get_mut(slots_between(first, at, step)) {
                *slot = Some(value);
            }
        }
        let mut clock = LocalClock::new(config.zone());
        let season_slots = options.season.as_secs_f64() / step.as_secs_f64();
        let cells = options.cells.min(season_slots as usize);
        let seasonal = cells >= 4 && slots as f64 >= 2.0 * season_slots;
        let cells = if seasonal { cells } else { 0 };
        let phases: Vec<Phase> = (0..slots)
            .map(|slot| phase(&mut clock, after_steps(first, step, slot), options.season, cells))
            .collect();
        let longest = (options.horizon.as_secs_f64() / step.as_secs_f64()) as usize;
        let longest = longest.min(slots / 4).max(1);
        let grid = horizons(longest, 1.0 - options.coverage);
        let begun = start(&values, &phases, cells);
        let (weights, state, horizons) = choose(&values, &phases, &begun, &grid, seasonal, config);
        let last = after_steps(first, step, slots - 1);
        let config = config.clone();
        let under_way = VecDeque::new();
        Ok(Self { config, clock, step, last, weights, state, horizons, under_way, pushed: 0, rejected: 0 })
    }

    /// From stored parts; the caller has checked them.
    pub(super) fn restored(
        config: ForecastConfig,
        step: Duration,
        last: Timestamp,
        weights: Weights,
        state: State,
        horizons: Vec<Horizon>,
    ) -> Self {
        let clock = LocalClock::new(config.zone());
        let under_way = VecDeque::new();
        Self { config, clock, step, last, weights, state, horizons, under_way, pushed: 0, rejected: 0 }
    }

    /// Distance of samples.
    #[must_use]
    pub fn step(&self) -> Duration {
        self.step
    }

    /// When the newest sample was taken.
    #[must_use]
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Whether the season is used.
    #[must_use]
    pub fn uses_season(&self) -> bool {
        self.weights.season >= 0.0
    }

    /// Steps up to which errors of past forecasts are known.
    #[must_use]
    pub fn known_steps(&self) -> usize {
        self.horizons.last().map_or(1, |h| h.steps)
    }

    /// Samples that were not taken in.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Goes on with the next sample: level, trend, season, and the errors of forecasts that are due. Steps without a sample in
    /// between are forecast; after more of them than a season has, level and trend are kept and only time goes on. What is
    /// nearer than half a step to the last one is rejected like one that is older.
    ///
    /// # Errors
    /// [`Rejected`] for NaN, ±∞, and a sample that is not later.
    pub fn push(&mut self, at: Timestamp, value: f64) -> Result<(), Rejected> {
        if value.is_nan() || value.abs() > MOST {
            self.rejected = self.rejected.saturating_add(1);
            return Err(Rejected::NotFinite(value));
        }
        let steps = slots_between(self.last, at, self.step);
        if at <= self.last || steps == 0 {
            self.rejected = self.rejected.saturating_add(1);
            return Err(Rejected::NotLater { last: self.last, at });
        }
        let clip = self.config.options().clip;
        let longest = (self.config.options().season.as_secs_f64() / self.step.as_secs_f64()) as usize;
        if steps - 1 > longest.max(self.known_steps()) {
            // Nothing is known of so long a gap: forecasts under way are void.
            self.under_way.clear();
            self.last = after_steps(self.last, self.step, steps - 1);
            self.pushed += steps as u64 - 1;
        } else {
            (1..steps).for_each(|_| self.advance(None, clip));
        }
        self.advance(Some(value), clip);
        Ok(())
    }

    fn advance(&mut self, value: Option<f64>, clip: f64) {
        let options = self.config.options();
        let (most, rate, target) = (options.errors, options.adapt, 1.0 - options.coverage);
        self.last = after(self.last, self.step);
        self.pushed += 1;
        let here = phase(&mut self.clock, self.last, options.season, self.state.season.len());
        self.state.step(value, here, &self.weights, clip);
        while let Some(due) = self.under_way.iter().position(|f| f.due <= self.pushed) {
            let Some(forecast) = self.under_way.remove(due) else { break };
            let (Some(horizon), Some(value)) = (self.horizons.get_mut(forecast.horizon), value) else {
                continue;
            };
            if forecast.due == self.pushed {
                horizon.learn(value - forecast.point, most);
                horizon.adapt(!(forecast.lower..=forecast.upper).contains(&value), target, rate);
            }
        }
        for at in 0..self.horizons.len() {
            let Some(horizon) = self.horizons.get(at) else { break };
            let steps = horizon.steps;
            // Not every step for long horizons: their forecasts overlap and say the same.
            if self.pushed.is_multiple_of(steps.div_ceil(UNDER_WAY).max(1) as u64) {
                let ((lower, upper), (_, point)) = (horizon.ends(), self.point(steps));
                let (lower, upper) = (point + lower, point + upper);
                let due = self.pushed + steps as u64;
                self.under_way.push_back(UnderWay { due, horizon: at, point, lower, upper });
            }
        }
    }

    fn phase_at(&self, at: Timestamp) -> Phase {
        // A clone of a zone and its offset is cheap; predicting must not change what is compared.
        phase(&mut self.clock.clone(), at, self.config.options().season, self.state.season.len())
    }

    /// Forecasts `steps` steps ahead, at least 1. O(errors log errors).
    #[must_use]
    pub fn predict(&self, steps: usize) -> Prediction {
        let steps = steps.max(1);
        let (lower, upper) = ends_at(&ends(&self.horizons), steps);
        let (at, point) = self.point(steps);
        Prediction { at, point, lower: point + lower, upper: point + upper }
    }

    fn point(&self, steps: usize) -> (Timestamp, f64) {
        let at = after_steps(self.last, self.step, steps);
        (at, self.state.ahead(steps, self.phase_at(at), &self.weights))
    }

    /// Forecasts the value at an instant; `None` when it is not later than the last sample.
    #[must_use]
    pub fn predict_at(&self, at: Timestamp) -> Option<Prediction> {
        let steps = slots_between(self.last, at, self.step);
        (at > self.last && steps > 0).then(|| self.predict(steps))
    }

    /// When the series will reach `value`, coming from the side that `direction` says, looked for up to `within` from the last
    /// sample.
    #[must_use]
    pub fn time_to(&self, value: f64, direction: Direction, within: Duration) -> Crossing {
        let most = (within.as_secs_f64() / self.step.as_secs_f64()) as usize;
        let sign = if direction == Direction::Up { 1.0 } else { -1.0 };
        let mut crossing = Crossing { expected: None, earliest: None, latest: None, probability: 0.0 };
        let known = self.known_steps();
        // Quantiles are not sorted for every step anew: those of the horizons, in between in proportion.
        let grid = ends(&self.horizons);
        for steps in 1..=most.min(FARTHEST) {
            let (_, point) = self.point(steps);
            let (lower, upper) = ends_at(&grid, steps);
            let (near, far) = if sign > 0.0 { (upper, lower) } else { (lower, upper) };
            let missing = sign * (value - point);
            let took = Some(self.step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)));
            if crossing.earliest.is_none() && sign * near >= missing {
                crossing.earliest = took;
            }
            if crossing.expected.is_none() && missing <= 0.0 {
                crossing.expected = took;
            }
            if sign * far >= missing {
                crossing.latest = took;
            }
            // Errors beyond what is known grow in proportion, so what is missing shrinks.
            let shrink = (known as f64 / steps as f64).min(1.0);
            if let Some(horizon) = nearest(&self.horizons, steps) {
                let reach = horizon.reaching(missing * shrink, sign);
                crossing.probability = crossing.probability.max(reach);
            }
            if crossing.latest.is_some() {
                break;
            }
        }
        crossing
    }
}

/// Largest magnitude that is taken in: its multiples stay finite.
const MOST: f64 = 1e150;

/// Whole steps from one instant to a later one, rounded.
fn slots_between(from: Timestamp, to: Timestamp, step: Duration) -> usize {
    (elapsed(from, to).as_secs_f64() / step.as_secs_f64().max(1e-9)).round() as usize
}

fn after_steps(from: Timestamp, step: Duration, steps: usize) -> Timestamp {
    after(from, step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
}

fn phase(clock: &mut LocalClock, at: Timestamp, season: Duration, cells: usize) -> Phase {
    if cells == 0 {
        return Phase { cell: 0, share: 0.0 };
    }
    let season = season.as_secs().max(1);
    let into = clock.local(at.as_second()).rem_euclid(i64::try_from(season).unwrap_or(i64::MAX));
    Phase::of(into as f64 / season as f64, cells)
}

/// The weights under which the past would have been forecast best, the state they lead to, and the errors they made.
fn choose(
    values: &[Option<f64>],
    phases: &[Phase],
    begun: &State,
    grid: &[Horizon],
    seasonal: bool,
    config: &ForecastConfig,
) -> (Weights, State, Vec<Horizon>) {
    let stride = (values.len() / ORIGINS).max(1);
    let mut best: Option<(f64, Weights)> = None;
    for weights in candidates(seasonal) {
        let (_, errors) = walk(values, phases, begun, grid, &weights, stride, config);
        let cost = errors.iter().filter_map(|h| mean_size(h, begun.scale)).map(f64::ln).sum::<f64>();
        if best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, weights));
        }
    }
    let still = Weights { level: 0.1, trend: 0.0, damping: 0.0, season: -1.0 };
    let weights = best.map_or(still, |(_, weights)| weights);
    // Once more, keeping as many errors as there is room for.
    let room = (values.len() / 2 / config.options().errors).max(1);
    let (state, errors) = walk(values, phases, begun, grid, &weights, room, config);
    (weights, state, errors)
}

/// Mean absolute error, never 0: a part of what is usual is as good as none.
fn mean_size(horizon: &Horizon, scale: f64) -> Option<f64> {
    let n = horizon.errors.len();
    let sum: f64 = horizon.errors.iter().map(|e| f64::from(*e).abs()).sum();
    (n > 0).then(|| sum / n as f64 + 1e-3 * scale)
}

/// Goes through the past; of the second half, forecasts every `stride` steps are compared with what came.
fn walk(
    values: &[Option<f64>],
    phases: &[Phase],
    begun: &State,
    grid: &[Horizon],
    weights: &Weights,
    stride: usize,
    config: &ForecastConfig,
) -> (State, Vec<Horizon>) {
    let options = config.options();
    let mut state = begun.clone();
    if weights.season < 0.0 {
        state.season.clear();
    }
    let mut errors = grid.to_vec();
    let half = values.len() / 2;
    for (at, (value, phase)) in values.iter().zip(phases).enumerate() {
        state.step(*value, *phase, weights, options.clip);
        if at < half || !at.is_multiple_of(stride) {
            continue;
        }
        for horizon in &mut errors {
            let there = at + horizon.steps;
            if let (Some(Some(value)), Some(phase)) = (values.get(there), phases.get(there)) {
                let forecast = state.ahead(horizon.steps, *phase, weights);
                horizon.learn(value - forecast, options.errors);
            }
        }
    }
    (state, errors)
}
