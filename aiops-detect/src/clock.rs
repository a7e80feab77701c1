//! Local time without asking the zone for every sample.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Local time of a zone; remembers between which changes of its clock the last instant lay.
#[derive(Debug, Clone)]
pub(crate) struct LocalClock {
    zone: TimeZone,
    from: i64,
    until: i64,
    offset: i64,
}

impl LocalClock {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, from: 0, until: 0, offset: 0 }
    }

    /// Seconds of the local clock since 1970-01-01 00:00 at a second of universal time. O(1) between two changes of the
    /// clock.
    #[inline]
    pub(crate) fn local(&mut self, second: i64) -> i64 {
        if !(self.from..self.until).contains(&second) {
            self.look_up(second);
        }
        second.saturating_add(self.offset)
    }

    #[cold]
    fn look_up(&mut self, second: i64) {
        let at = Timestamp::from_second(second).unwrap_or(if second < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        });
        self.offset = i64::from(self.zone.to_offset(at).seconds());
        // A transition at `at` itself is the preceding one of the next second.
        let next = Timestamp::from_second(second.saturating_add(1)).unwrap_or(at);
        self.from = self.zone.preceding(next).next().map_or(i64::MIN, |t| t.timestamp().as_second());
        self.until = self.zone.following(at).next().map_or(i64::MAX, |t| t.timestamp().as_second());
        if !(self.from..self.until).contains(&second) {
            (self.from, self.until) = (second, second.saturating_add(1));
        }
    }
}
