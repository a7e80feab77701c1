//! Durations by call type on their way into sketches.

use super::sketch::DurationSketch;

/// Buckets of duration, self time and gap of one call; [`NO_TIME`] where it has none.
pub(super) type Times = [u16; 3];

/// Beyond the last bucket.
pub(super) const NO_TIME: u16 = u16::MAX;

/// Calls that wait before their times go into the sketches, 12 bytes each (3 MB): the bins of thousands of call types do
/// not fit a cache, so those of one type are taken together.
const MAX_WAITING: usize = 1 << 18;

/// Of one call type.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketches {
    pub(super) duration: DurationSketch,
    pub(super) own: DurationSketch,
    pub(super) gap: DurationSketch,
}

impl Sketches {
    fn push(&mut self, times: &[Times]) {
        let some = |bucket: &u16| *bucket != NO_TIME;
        self.duration.push_buckets(times.iter().map(|[duration, ..]| *duration).filter(some));
        self.own.push_buckets(times.iter().map(|[_, own, _]| *own).filter(some));
        self.gap.push_buckets(times.iter().map(|[.., gap]| *gap).filter(some));
    }
}

/// The sketches of all call types, by their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct CallTimes {
    sketches: Vec<Sketches>,
    waiting: Vec<(u32, Times)>,
}

impl CallTimes {
    #[inline]
    pub(super) fn push(&mut self, call: u32, times: Times) {
        self.waiting.push((call, times));
        if self.waiting.len() >= MAX_WAITING {
            self.settle();
        }
    }

    /// Takes the waiting times into the sketches, call type by call type: a counting sort.
    #[cold]
    #[inline(never)]
    pub(super) fn settle(&mut self) {
        let calls = self.waiting.iter().map(|(call, _)| *call as usize + 1).max().unwrap_or(0);
        let mut ends = vec![0_usize; calls + 1];
        for (call, _) in &self.waiting {
            if let Some(count) = ends.get_mut(*call as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut sorted = vec![Times::default(); self.waiting.len()];
        for (call, times) in self.waiting.drain(..) {
            // The beginning of a call type moves to its end, which is the beginning of the next.
            let Some(place) = ends.get_mut(call as usize) else { continue };
            if let Some(slot) = sorted.get_mut(*place) {
                *slot = times;
            }
            *place += 1;
        }
        self.sketches.resize_with(calls.max(self.sketches.len()), Sketches::default);
        let mut rest = sorted.as_slice();
        let mut before = 0;
        for (sketches, end) in self.sketches.iter_mut().zip(ends) {
            let (times, later) = rest.split_at(end.saturating_sub(before).min(rest.len()));
            if !times.is_empty() {
                sketches.push(times);
            }
            (rest, before) = (later, end);
        }
    }

    /// The sketches of `calls` call types.
    pub(super) fn sketches(mut self, calls: usize) -> Vec<Sketches> {
        self.settle();
        self.sketches.resize_with(calls, Sketches::default);
        self.sketches
    }
}
