use std::collections::BTreeMap;
use std::fmt::Write as _;

use aiops_core::model::{Direction, EntityId, SeriesKey};

use crate::report;
use crate::scan::{Found, Scan};

/// What was already said, so that watching prints only news.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    known: BTreeMap<(EntityId, SeriesKey, bool), Found>,
    scans: usize,
}

impl Tracker {
    /// The whole report the first time; after that what is new and what is over.
    pub(crate) fn update(&mut self, scan: &Scan, top: usize) -> String {
        self.scans += 1;
        let mut current = BTreeMap::new();
        // Findings come most deviating first: of several on one series the largest stays.
        for found in scan.found.iter().filter(|found| found.anomaly.ongoing) {
            let anomaly = &found.anomaly;
            let up = anomaly.direction() == Direction::Up;
            current
                .entry((anomaly.entity.clone(), anomaly.series.clone(), up))
                .or_insert_with(|| found.clone());
        }
        if self.scans == 1 {
            self.known = current;
            return report::text(scan, top);
        }
        let mut out = String::new();
        let mut fresh: Vec<_> = current.iter().filter(|(key, _)| !self.known.contains_key(*key)).collect();
        fresh.sort_by(|a, b| {
            b.1.anomaly.sigma.abs().total_cmp(&a.1.anomaly.sigma.abs()).then_with(|| a.0.cmp(b.0))
        });
        for (_, found) in fresh.iter().take(top) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "new  {}", report::line(found));
        }
        if fresh.len() > top {
            let _ = writeln!(out, "new  … {} more", fresh.len() - top);
        }
        for (_, found) in self.known.iter().filter(|(key, _)| !current.contains_key(*key)) {
            let _ = writeln!(out, "over {}", report::line(found));
        }
        self.known = current;
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aiops_core::model::{Anomaly, Baseline, DetectorId, FetchRequest, FittedHash, Shape, TimeRange};
    use jiff::Timestamp;

    use super::*;

    fn found(name: &str, value: f64) -> Found {
        let range = TimeRange::new(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).unwrap();
        let anomaly = Anomaly::new(
            DetectorId("d".into()),
            FittedHash::of(b""),
            EntityId::service("s"),
            SeriesKey::new(name),
            Shape::LevelShiftUp,
            range.start(),
            value,
            Baseline { center: 1.0, scale: 1.0, samples: 9 },
            FetchRequest::new(range),
        );
        Found { anomaly, now: value }
    }

    fn scan(found: Vec<Found>) -> Scan {
        let range = TimeRange::new(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).unwrap();
        Scan {
            url: "http://x".into(),
            range,
            recent: range,
            step_seconds: 1.0,
            signals: 1,
            compared: 1,
            not_compared: BTreeMap::new(),
            unread: BTreeMap::new(),
            notes: BTreeSet::new(),
            found,
        }
    }

    #[test]
    fn only_news_is_told() {
        let mut tracker = Tracker::default();
        assert!(tracker.update(&scan(vec![found("a", 9.0)]), 10).contains("a: 9"));
        assert_eq!(tracker.update(&scan(vec![found("a", 9.5)]), 10), "");
        let news = tracker.update(&scan(vec![found("b", 20.0), found("c", 30.0)]), 10);
        let lines: Vec<_> = news.lines().map(|line| (&line[..4], line.contains("c: 30"))).collect();
        assert_eq!(lines, [("new ", true), ("new ", false), ("over", false)], "{news}");
        assert!(tracker.update(&scan(vec![]), 10).lines().all(|line| line.starts_with("over")));
    }

    #[test]
    fn copies_of_one_finding_are_counted_not_listed() {
        let many: Vec<Found> = (0..10).map(|n| found("same", f64::from(100 - n))).collect();
        let text = report::text(&scan(many), 25);
        assert_eq!(text.matches("level shift up").count(), 3, "{text}");
        assert!(text.contains("7 more, 7 of them alike"), "{text}");
    }
}
