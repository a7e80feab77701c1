//! What is known of one series, and what one more sample is.

use aiops_core::model::{Baseline, Severity};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::packed::{Packed, narrow_signed, typical_scale};
use super::rules::{Place, Rules};
use super::verdict::{LevelChange, Refused, Verdict};
use super::{MOST, RESYNC, RUNS, WINDOW};
use crate::baseline::{Alarm, Cell, smallest_scale};
use crate::changepoint::runs::{Follow, Run};

/// No instant.
const NEVER: i64 = i64::MIN;

/// Deviations count up to here in the recent spread, as in [`baseline`](crate::baseline).
const SPREAD_CLIP: f64 = 8.0;

/// A sample lends the spread at most so much of its time, in seconds.
const LONGEST_STEP: f64 = 3600.0;

const MICROS: f64 = 1e6;

/// Everything about a series but its cells.
///
/// In the order in which a push needs it, from the beginning of a cache line on: of the window one slot is touched, of the run
/// lengths those in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[repr(C, align(64))]
pub(super) struct Series {
    /// Of the newest sample, in microseconds.
    last: i64,
    /// First sample of the present run of deviating ones, last deviating one, and begin of the present event.
    onset: i64,
    deviated: i64,
    event: i64,
    /// First value.
    origin: f64,
    overall: Cell,
    typical: f64,
    /// Mean and variance of recent deviations.
    mean: f64,
    spread: f64,
    /// Of the window: its mean when the sums were last made anew, and the sums of what differs from it and of their squares.
    pivot: f64,
    sum: f64,
    squares: f64,
    days: u32,
    last_day: i32,
    beyond: u32,
    next: u8,
    filled: u8,
    behind: u8,
    trusted: bool,
    /// Times in the change points' clock are seconds since this microsecond.
    epoch: i64,
    follow: Follow,
    runs: [Run; RUNS],
    /// Newest of the late samples in a row.
    late: i64,
    rejected: u32,
    window: [f64; WINDOW],
}

impl Default for Series {
    fn default() -> Self {
        Self {
            last: NEVER,
            onset: NEVER,
            deviated: NEVER,
            event: NEVER,
            origin: 0.0,
            overall: Cell::default(),
            typical: 0.0,
            mean: 0.0,
            spread: 1.0,
            pivot: 0.0,
            sum: 0.0,
            squares: 0.0,
            days: 0,
            last_day: i32::MIN,
            beyond: 0,
            next: 0,
            filled: 0,
            behind: 0,
            trusted: false,
            epoch: NEVER,
            follow: Follow::of(1.0),
            runs: [Run::default(); RUNS],
            late: NEVER,
            rejected: 0,
            window: [0.0; WINDOW],
        }
    }
}

impl Series {
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    pub(super) fn rejected(&self) -> u32 {
        self.rejected
    }

    /// Whether every number is one that a series can have.
    pub(super) fn usable(&self) -> bool {
        let numbers = [
            self.origin,
            self.overall.center,
            self.mean,
            self.spread,
            self.typical,
            self.pivot,
            self.sum,
            self.squares,
        ];
        numbers.iter().chain(&self.window).all(|v| v.is_finite())
            && self.overall.scale.is_finite()
            && self.overall.scale >= 0.0
            && self.spread >= 0.0
            && self.typical >= 0.0
            && usize::from(self.next) < WINDOW
            && usize::from(self.filled) <= WINDOW
            && self.follow.usable(RUNS)
            && self.runs.iter().all(Run::usable)
    }

    /// Judges a sample, then learns from it unless it deviates. `place` is asked for only when the sample is taken in.
    #[inline]
    pub(super) fn push(
        &mut self,
        cells: &mut [Packed],
        at: i64,
        value: f64,
        rules: &Rules,
        place: impl FnOnce() -> Place,
    ) -> Result<Verdict, Refused> {
        let step = self.admit(at, value, rules)?;
        let place = place();
        let mut verdict = Verdict { rolling: self.roll(value, rules), ..Verdict::default() };
        let plain = self.judge(cells, at, step, value, place.cell, rules, &mut verdict);
        let lasting = self.event != NEVER && at.saturating_sub(self.event) >= rules.adopt;
        if lasting {
            self.adopt(cells, value, place.cell, step, rules);
        } else if verdict.severity.is_none() && !verdict.in_event {
            self.learn(cells, value, place, step, rules);
        }
        if let Some(plain) = plain {
            verdict.change = self.follow(at, plain, lasting, rules);
        }
        Ok(verdict)
    }

    /// The step in seconds to a sample that can be judged.
    fn admit(&mut self, at: i64, value: f64, rules: &Rules) -> Result<f64, Refused> {
        if value.is_nan() || value.abs() > MOST {
            self.rejected = self.rejected.saturating_add(1);
            return Err(Refused::OutOfRange);
        }
        if self.last == NEVER {
            (self.last, self.epoch, self.origin) = (at, at, value);
            return Ok(60.0);
        }
        if at <= self.last {
            let far = self.last.saturating_sub(at) > rules.forget;
            self.behind = if far && at > self.late { self.behind.saturating_add(1) } else { u8::from(far) };
            self.late = if far { at } else { NEVER };
            if self.behind < RESYNC {
                self.rejected = self.rejected.saturating_add(1);
                return Err(Refused::NotLater);
            }
            // The clock was set back: what it said before was wrong.
            (self.onset, self.deviated, self.event, self.beyond) = (NEVER, NEVER, NEVER, 0);
            self.last_day = i32::MIN;
            (self.last, self.epoch) = (at, at);
            self.forget();
            (self.behind, self.late) = (0, NEVER);
            return Ok(60.0);
        }
        // Where none was late there is nothing to forget, and no other line of memory to touch.
        if self.behind != 0 {
            (self.behind, self.late) = (0, NEVER);
        }
        let step = at.saturating_sub(self.last);
        if step > rules.forget {
            self.forget();
        }
        self.last = at;
        Ok((step as f64 / MICROS).min(LONGEST_STEP))
    }

    /// What came right before is not what came right before.
    fn forget(&mut self) {
        (self.next, self.filled) = (0, 0);
        self.follow.restart();
    }

    /// Deviation from the window before; then the sample enters, cut.
    ///
    /// Sums are kept about a pivot and made anew once in [`WINDOW`] samples, so that no error outlives the window.
    #[inline]
    fn roll(&mut self, value: f64, rules: &Rules) -> Option<f64> {
        let mut entering = value;
        let mut deviation = None;
        if self.filled == 0 {
            (self.pivot, self.sum, self.squares) = (value, 0.0, 0.0);
        }
        if self.filled >= rules.rolling_warm_up {
            let count = f64::from(self.filled);
            let shift = self.sum / count;
            let variance = ((self.squares - self.sum * shift) / (count - 1.0)).max(0.0);
            let mean = self.pivot + shift;
            let scale = variance.sqrt().max(rules.rolling_floor * mean.abs()).max(1e-9);
            let reach = rules.rolling_clip * scale;
            entering = value.clamp(mean - reach, mean + reach);
            deviation = Some((value - mean) / scale);
        }
        let slot = self.window.get_mut(usize::from(self.next));
        let leaving = slot.map_or(entering, |slot| std::mem::replace(slot, entering));
        if usize::from(self.filled) == WINDOW {
            let gone = leaving - self.pivot;
            self.sum -= gone;
            self.squares -= gone * gone;
        } else {
            self.filled += 1;
        }
        let come = entering - self.pivot;
        self.sum += come;
        self.squares += come * come;
        self.next = (self.next + 1) % WINDOW as u8;
        if self.next == 0 {
            self.sum_anew();
        }
        deviation
    }

    #[inline(never)]
    fn sum_anew(&mut self) {
        // In units of the window, so that large values do not overflow; the pivot need not be the mean exactly.
        self.pivot = self.window.iter().map(|v| v / WINDOW as f64).sum();
        let away = self.window.iter().map(|v| v - self.pivot);
        (self.sum, self.squares) = away.fold((0.0, 0.0), |(sum, squares), d| (sum + d, squares + d * d));
    }

    /// Compares with what is usual; returns the deviation without restlessness.
    #[allow(clippy::too_many_arguments, reason = "one call, inlined, on the path that every sample takes")]
    #[inline]
    fn judge(
        &mut self,
        cells: &[Packed],
        at: i64,
        step: f64,
        value: f64,
        cell: usize,
        rules: &Rules,
        verdict: &mut Verdict,
    ) -> Option<f64> {
        let options = &rules.baseline;
        let trusted = self.days >= options.trusted_days;
        let known = cells.get(cell).filter(|cell| trusted && cell.weight > 0);
        let (center, scale, samples) = match known {
            Some(cell) => (self.origin + f64::from(cell.offset), f64::from(cell.scale), cell.weight),
            None if self.overall.weight > 1 => {
                (self.overall.center, f64::from(self.overall.scale), self.overall.weight)
            }
            None => return None,
        };
        let scale = scale.max(smallest_scale(options.scale_floor, self.typical, center));
        let plain = ((value - center) / scale).clamp(-1e9, 1e9);
        let restless = self.spread.max(1.0).sqrt();
        let sigma = plain / restless;

        let gain = step / (step + rules.restlessness);
        let away = plain.clamp(-SPREAD_CLIP, SPREAD_CLIP) - self.mean;
        self.mean += gain * away;
        self.spread = (1.0 - gain) * (self.spread + gain * away * away);

        let height = sigma.abs();
        let severity = match trusted {
            true if height >= options.critical_sigma => Some(Severity::Critical),
            true if height >= options.warn_sigma => Some(Severity::Warning),
            false if height >= options.cold_sigma && self.days > 1 => Some(Severity::Warning),
            _ => None,
        };
        verdict.alarm = self.event(at, severity, rules);
        verdict.sigma = Some(sigma);
        verdict.severity = severity;
        verdict.baseline = Some(Baseline { center, scale: scale * restless, samples: usize::from(samples) });
        verdict.in_event = self.event != NEVER;
        if trusted != self.trusted {
            // The unit of deviations is another one from here on.
            self.trusted = trusted;
            self.follow.restart();
        }
        Some(plain)
    }

    /// Events, as [`ContextualBaseline`](crate::baseline::ContextualBaseline) tells them.
    #[inline]
    fn event(&mut self, at: i64, severity: Option<Severity>, rules: &Rules) -> Option<Alarm> {
        if self.deviated != NEVER && at.saturating_sub(self.deviated) > rules.hold_off {
            (self.event, self.onset, self.beyond, self.deviated) = (NEVER, NEVER, 0, NEVER);
        }
        self.beyond = (self.beyond << 1 | u32::from(severity.is_some())) & rules.hits_mask;
        if self.beyond == 0 && self.event == NEVER {
            self.onset = NEVER;
        }
        let severity = severity?;
        self.deviated = at;
        if self.onset == NEVER {
            self.onset = at;
        }
        if self.event != NEVER || self.beyond.count_ones() < rules.baseline.hits {
            return None;
        }
        self.event = self.onset;
        Some(Alarm { onset: instant(self.onset), severity })
    }

    fn learn(&mut self, cells: &mut [Packed], value: f64, place: Place, step: f64, rules: &Rules) {
        let spread = f64::from(self.overall.scale);
        self.overall.learn_overall(value);
        let memory = rules.memory(step);
        let (n, reach, origin) = (cells.len(), rules.baseline.neighbours, self.origin);
        for away in 0..=2 * reach {
            // Around the clock: the last cell of a day is a neighbour of the first.
            let at = place.cell + n - reach + away;
            let at = if at >= 2 * n {
                at - 2 * n
            } else if at >= n {
                at - n
            } else {
                at
            };
            if let Some(cell) = cells.get_mut(at) {
                let mut open = cell.cell(origin);
                open.learn(value, spread, memory);
                *cell = Packed::of(open, origin);
            }
        }
        if self.last_day < place.day {
            self.last_day = place.day;
            self.days = self.days.saturating_add(1);
            self.typical = typical_scale(cells);
        }
    }

    /// Towards a lasting new level, as [`SeriesBaseline`](crate::baseline::SeriesBaseline) does.
    fn adopt(&mut self, cells: &mut [Packed], value: f64, cell: usize, step: f64, rules: &Rules) {
        let shared = (2 * rules.baseline.neighbours + 1) as f64;
        let memory = f64::from(rules.memory(step).max(1));
        let gain = (shared * f64::from(rules.baseline.memory_days) / memory).min(1.0);
        if let Some(cell) = cells.get_mut(cell) {
            let center = self.origin + f64::from(cell.offset);
            cell.offset = narrow_signed(center + gain * (value - center) - self.origin);
        }
        self.overall.center += gain * (value - self.overall.center);
    }

    #[inline]
    fn follow(&mut self, at: i64, plain: f64, lasting: bool, rules: &Rules) -> Option<LevelChange> {
        if lasting {
            self.follow.restart();
            return None;
        }
        // A century in seconds; beyond it, and before the first sample, everything is one instant.
        let now = u32::try_from(at.saturating_sub(self.epoch) / 1_000_000).unwrap_or(u32::MAX);
        let runs = self.runs.get_mut(..rules.places)?;
        // Cut, so that a few samples far away are no level of their own.
        self.follow.step(runs, now, plain.clamp(-SPREAD_CLIP, SPREAD_CLIP), &rules.law);
        let told = self.follow.tell(runs, now, &rules.law, &rules.tell)?;
        Some(LevelChange {
            onset: instant(self.epoch.saturating_add(i64::from(told.start) * 1_000_000)),
            confidence: told.confidence,
            before: told.before,
            after: told.after,
        })
    }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(test)]
mod tests {
    use super::Series;

    #[test]
    fn a_series_is_small() {
        // With 96 cells of 12 bytes and an index of keys this stays below 2 KB.
        assert!(size_of::<Series>() <= 704, "{}", size_of::<Series>());
        assert_eq!(size_of::<super::Packed>(), 12);
    }
}
