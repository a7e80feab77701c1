//! What a change at each candidate gains each channel.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::time::Duration;

use aiops_core::model::{EntityId, LogRecord, MetricSeries, Span, time};

use super::{Grid, OnsetConfig};
use crate::fusion::place;
use crate::robust::{count, location_and_scale, sorted};

/// Words that stand for a line which does not name its place in the code.
const WORDS: usize = 8;

/// Sums over channels.
pub(super) struct Gains<'c> {
    grid: Grid,
    candidates: RangeInclusive<usize>,
    config: &'c OnsetConfig,
    totals: Vec<(f64, usize)>,
    /// Candidates with enough of the recording on either side, by the channels that are being added.
    lasting: RangeInclusive<usize>,
}

/// One channel: by step, how many events and their sum.
#[derive(Debug, Clone, Default)]
struct Steps(Vec<(f64, f64)>);

impl Steps {
    fn add(&mut self, grid: &Grid, step: usize, value: f64) {
        if self.0.is_empty() {
            self.0 = vec![(0.0, 0.0); 2 * grid.half];
        }
        if let Some((n, sum)) = self.0.get_mut(step) {
            (*n, *sum) = (*n + 1.0, *sum + value);
        }
    }
}

/// k · ln(k / n), 0 for k = 0.
fn entropy(k: f64, n: f64) -> f64 {
    if k > 0.0 && n > 0.0 { k * (k / n).ln() } else { 0.0 }
}

impl<'c> Gains<'c> {
    pub(super) fn new(grid: Grid, candidates: RangeInclusive<usize>, config: &'c OnsetConfig) -> Self {
        let totals = vec![(0.0, 0); candidates.clone().count()];
        let lasting = candidates.clone();
        Self { grid, candidates, config, totals, lasting }
    }

    /// What follows was recorded in `steps`. At its edges hardly anything is compared, and that is cut off in the middle of requests.
    fn recorded(&mut self, steps: impl Iterator<Item = usize>) {
        let ends = steps.fold(None, |ends: Option<(usize, usize)>, step| {
            Some(ends.map_or((step, step), |(first, last)| (first.min(step), last.max(step))))
        });
        let (first, last) = ends.unwrap_or_default();
        let least = self.config.lasting.as_nanos().div_ceil(self.grid.step.as_nanos().max(1));
        let least = usize::try_from(least).unwrap_or(usize::MAX);
        self.lasting = first.saturating_add(least)..=(last + 1).saturating_sub(least);
    }

    /// By candidate: the sum of gains, and how many channels it is of.
    pub(super) fn totals(&self) -> impl Iterator<Item = (f64, usize)> + '_ {
        self.totals.iter().copied()
    }

    /// Adds a channel: `gain` by candidate.
    fn add(&mut self, gain: impl Fn(usize) -> f64) {
        let candidates = self.candidates.clone().zip(&mut self.totals);
        for (candidate, (total, channels)) in candidates.filter(|(at, _)| self.lasting.contains(at)) {
            let more = gain(candidate) - self.config.penalty;
            if more > 0.0 {
                (*total, *channels) = (*total + more, *channels + 1);
            }
        }
    }

    /// A channel's share of all that its owner does.
    fn share(&mut self, own: &Steps, all: &Steps) {
        let sums = running(own.0.iter().zip(&all.0).map(|(k, n)| (k.0, n.0)));
        let Some((k, n)) = sums.last().copied() else { return };
        let p = k / n.max(1.0);
        let clumps = own.0.iter().zip(&all.0).map(|(k, n)| (k.0 / n.0.max(1.0), n.0));
        let clumping = clumping(clumps, p * (1.0 - p));
        let likelihood = |k: f64, n: f64| entropy(k, n) + entropy(n - k, n);
        let least = count(self.config.least_events);
        self.add(|candidate| {
            let (before, total) = sums.get(candidate).copied().unwrap_or_default();
            if total < least || n - total < least {
                return 0.0;
            }
            let split = likelihood(before, total) + likelihood(k - before, n - total);
            (split - likelihood(k, n)) / clumping
        });
    }

    /// A level in standard units.
    fn level(&mut self, steps: &Steps) {
        let sums = running(steps.0.iter().copied());
        let Some((n, sum)) = sums.last().copied() else { return };
        let clumping = clumping(steps.0.iter().map(|(n, sum)| (sum / n.max(1.0), *n)), 1.0);
        let squares = |n: f64, sum: f64| if n > 0.0 { sum * sum / n } else { 0.0 };
        let least = count(self.config.least_events);
        self.add(|candidate| {
            let (m, before) = sums.get(candidate).copied().unwrap_or_default();
            if m < least || n - m < least {
                return 0.0;
            }
            (squares(m, before) + squares(n - m, sum - before) - squares(n, sum)) / (2.0 * clumping)
        });
    }

    pub(super) fn spans(&mut self, spans: &[Span]) {
        let grid = self.grid;
        self.recorded(spans.iter().filter_map(|span| grid.step_of(span.start)));
        let mut seen = Shares::default();
        let mut times: HashMap<(&EntityId, &str), Vec<(usize, f64)>> = HashMap::new();
        for span in spans {
            let Some(step) = self.grid.step_of(span.start) else { continue };
            seen.add(&self.grid, step, &span.entity, span.operation.as_str());
            let seconds = span.duration.as_secs_f64().max(1e-6);
            times.entry((&span.entity, &span.operation)).or_default().push((step, seconds.ln()));
        }
        self.shares(seen);
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (_, times) in times {
            let Some((centre, scale)) = location_and_scale(&sorted(times.iter().map(|t| t.1))) else {
                continue;
            };
            let mut steps = Steps::default();
            for (step, value) in times {
                steps.add(&self.grid, step, self.standard(value, centre, scale.max(LEAST_SPREAD)));
            }
            self.level(&steps);
        }
    }

    pub(super) fn lines(&mut self, lines: &[LogRecord]) {
        let grid = self.grid;
        self.recorded(lines.iter().filter_map(|line| grid.step_of(line.time)));
        let mut seen = Shares::default();
        for line in lines {
            if let Some(step) = self.grid.step_of(line.time) {
                seen.add(&self.grid, step, &line.entity, place(&line.body, WORDS));
            }
        }
        self.shares(seen);
    }

    fn shares<K: Hash + Ord>(&mut self, seen: Shares<'_, K>) {
        let mut own: Vec<_> = seen.own.into_iter().collect();
        // Sums of floats are taken in one order.
        own.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for ((owner, _), steps) in own {
            if let Some(all) = seen.all.get(owner) {
                self.share(&steps, all);
            }
        }
    }

    /// Metrics against what precedes the context. Those sampled too seldom to tell one candidate from the next but one say
    /// nothing about the time.
    pub(super) fn metrics(&mut self, metrics: &[MetricSeries]) {
        let seldom = |series: &&MetricSeries| {
            let ends = series.times().get(0).zip(series.times().last());
            let length = ends.map_or(Duration::ZERO, |(first, last)| time::elapsed(first, last));
            let gaps = u32::try_from(series.len().saturating_sub(1)).unwrap_or(u32::MAX).max(1);
            length / gaps > self.config.reach / 2
        };
        for series in metrics.iter().filter(|s| !seldom(s)).collect::<Vec<_>>() {
            let history = sorted(series.points().filter(|p| p.0 < self.grid.from).map(|p| p.1));
            let Some((centre, scale)) = location_and_scale(&history) else { continue };
            if history.len() < self.config.least_events {
                continue;
            }
            let scale = scale.max(centre.abs() * LEAST_SPREAD);
            if scale <= 0.0 {
                continue;
            }
            let mut after = Steps::default();
            for (at, value) in series.points().filter(|p| p.1.is_finite()) {
                if let Some(step) = self.grid.step_of(at) {
                    after.add(&self.grid, step, self.standard(value, centre, scale));
                }
            }
            // What precedes the context is known of each.
            self.recorded([0, 2 * self.grid.half - 1].into_iter());
            let sums = running(after.0.iter().copied());
            let Some((n, sum)) = sums.last().copied() else { continue };
            // The level before is known: nothing is gained by what lies there.
            self.add(|candidate| {
                let (m, before) = sums.get(candidate).copied().unwrap_or_default();
                if n - m < 2.0 { 0.0 } else { (sum - before).powi(2) / (2.0 * (n - m)) }
            });
        }
    }

    fn standard(&self, value: f64, centre: f64, scale: f64) -> f64 {
        ((value - centre) / scale).clamp(-self.config.clip, self.config.clip)
    }
}

/// Least spread of times, as a share.
const LEAST_SPREAD: f64 = 0.05;

/// Events by owner and kind.
struct Shares<'a, K> {
    own: HashMap<(&'a EntityId, K), Steps>,
    all: HashMap<&'a EntityId, Steps>,
}

impl<K> Default for Shares<'_, K> {
    fn default() -> Self {
        Self { own: HashMap::new(), all: HashMap::new() }
    }
}

impl<'a, K: Hash + Eq> Shares<'a, K> {
    fn add(&mut self, grid: &Grid, step: usize, owner: &'a EntityId, kind: K) {
        self.own.entry((owner, kind)).or_default().add(grid, step, 0.0);
        self.all.entry(owner).or_default().add(grid, step, 0.0);
    }
}

/// Sums of the steps before each, and of all.
fn running(steps: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0)];
    let mut at = (0.0, 0.0);
    for (a, b) in steps {
        at = (at.0 + a, at.1 + b);
        sums.push(at);
    }
    sums
}

/// How many times the variance between neighbouring steps is what independent events of variance `one` would show; at least
/// 1. The largest difference, which a change makes, is left out.
fn clumping(means: impl Iterator<Item = (f64, f64)>, one: f64) -> f64 {
    let means: Vec<(f64, f64)> = means.filter(|(_, n)| *n > 0.0).collect();
    let ratio = |pair: &[(f64, f64)]| match pair {
        [(a, n), (b, m)] => (a - b).powi(2) / (one * (1.0 / n + 1.0 / m)).max(f64::MIN_POSITIVE),
        _ => 0.0,
    };
    let mut ratios = sorted(means.windows(2).map(ratio));
    if ratios.pop().is_none() || ratios.is_empty() {
        return 1.0;
    }
    (ratios.iter().sum::<f64>() / count(ratios.len())).max(1.0)
}
