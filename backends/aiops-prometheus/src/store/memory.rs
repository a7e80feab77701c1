use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::StoreConfig;
use super::page::{Page, ScrapedSample};
use super::ring::{Appended, Point, Ring};
use crate::config::ConfigError;
use crate::exposition::FamilyType;
use crate::selector::{LabelMap, SeriesSelector};

/// Identity of a stored series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId {
    /// Metric name.
    pub name: String,
    /// All labels, those of the target included.
    pub labels: LabelMap,
}

/// What a page says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FamilyMetadata {
    /// `# TYPE`, where given.
    pub kind: Option<FamilyType>,
    /// `# HELP`, or empty.
    pub help: String,
    /// `# UNIT`, or empty.
    pub unit: String,
}

/// What one scrape changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppendReport {
    /// Samples stored.
    pub stored: u64,
    /// Series that were in the target's previous scrape and are not in this one: marked stale.
    pub went_stale: u64,
    /// Samples dropped, for any reason counted in [`StoreStats`].
    pub dropped: u64,
}

/// Everything that ever happened to samples and series of a store. Counts are since creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreStats {
    /// Series held now.
    pub series: u64,
    /// Points held now, stale markers included.
    pub points: u64,
    /// Samples stored, stale markers not included.
    pub stored: u64,
    /// Stale markers stored.
    pub stale_markers: u64,
    /// Samples equal in time and value to the newest of their series; dropped without loss.
    pub duplicates: u64,
    /// Samples equal in time to the newest of their series but not in value; the first one stays.
    pub conflicts: u64,
    /// Samples older than the newest of their series; dropped.
    pub out_of_order: u64,
    /// Points dropped because the clock was set back behind them.
    pub clock_rewound: u64,
    /// Points dropped as the oldest of a full series.
    pub evicted_by_count: u64,
    /// Points dropped as older than the retention.
    pub evicted_by_age: u64,
    /// Series dropped as least recently written.
    pub evicted_series: u64,
    /// Samples of new series refused because one scrape alone fills the store.
    pub rejected_samples: u64,
    /// Families whose metadata was refused because the store holds enough.
    pub rejected_metadata: u64,
}

#[derive(Debug)]
struct Series {
    ring: Ring,
    /// Number of the write that last touched it; orders eviction.
    written: u64,
}

/// How the scrapes of one target went. Counts are since the target is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TargetHealth {
    /// Scrapes tried.
    pub scrapes: u64,
    /// Scrapes that failed.
    pub failures: u64,
    /// Failures since the last success.
    pub consecutive_failures: u64,
    /// Samples read.
    pub samples: u64,
    /// Lines of pages that could not be read.
    pub malformed_lines: u64,
    /// Samples read but dropped by the store.
    pub dropped_samples: u64,
    /// Time of the last successful scrape, milliseconds since the Unix epoch.
    pub last_success_ms: Option<i64>,
    /// Why the last scrape failed; none after a success.
    pub last_error: Option<String>,
}

/// The series a target had in its last scrape.
#[derive(Debug, Default)]
struct TargetState {
    live: BTreeSet<SeriesId>,
    written: u64,
    health: TargetHealth,
}

/// The store. Not synchronised: wrap it in a lock; every call is short and none does I/O.
///
/// ```
/// use aiops_prometheus::exposition::{Format, ParserConfig};
/// use aiops_prometheus::store::{Page, Store, StoreConfig};
/// use aiops_prometheus::{LabelMap, SeriesSelector};
///
/// let mut store = Store::new(StoreConfig::default())?;
/// let target: LabelMap = [("job".to_owned(), "api".to_owned())].into();
/// let page = Page::parse(b"requests_total 5\n", Format::PrometheusText, ParserConfig::default())?;
/// store.record(&target, 1_000, &page);
/// store.record_failure(&target, 2_000, "connection refused");
/// let up = store.points(&SeriesSelector::name("up"), 0, 2_000);
/// let values: Vec<f64> = up.iter().flat_map(|(_, points)| points).map(|point| point.value).collect();
/// assert_eq!(values, [1.0, 0.0]);
/// # Ok::<(), aiops_prometheus::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    series: BTreeMap<SeriesId, Series>,
    /// INVARIANT: holds `(written, id)` of exactly the series in `series`.
    by_age: BTreeSet<(u64, SeriesId)>,
    targets: BTreeMap<LabelMap, TargetState>,
    metadata: BTreeMap<String, FamilyMetadata>,
    writes: u64,
    stats: StoreStats,
}

impl Store {
    /// An empty store.
    ///
    /// # Errors
    /// When `config` is out of range.
    pub fn new(config: StoreConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            config,
            series: BTreeMap::new(),
            by_age: BTreeSet::new(),
            targets: BTreeMap::new(),
            metadata: BTreeMap::new(),
            writes: 0,
            stats: StoreStats::default(),
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Records a successful scrape of the target with these labels, taken at `at_ms` (milliseconds since the Unix epoch):
    /// its samples, `up` = 1, and a stale marker for each series the previous scrape had and this one has not.
    ///
    /// Of two samples of one series and time, the first stays. O(samples · log series).
    pub fn record(&mut self, target: &LabelMap, at_ms: i64, page: &Page) -> AppendReport {
        self.writes += 1;
        let mut report = AppendReport::default();
        let mut live = BTreeSet::new();
        for sample in &page.samples {
            let explicit = sample.timestamp_ms.filter(|_| self.config.honor_timestamps);
            let id = self.identify(sample, target);
            let point = Point::new(explicit.unwrap_or(at_ms), sample.value);
            if self.append(&id, point, explicit.is_none()) {
                report.stored += 1;
            } else {
                report.dropped += 1;
            }
            // A sample with its own time is not known to end with the scrape, so it only ages.
            if explicit.is_none() {
                live.insert(id);
            }
        }
        for (family, metadata) in &page.metadata {
            if self.metadata.len() < self.config.max_series || self.metadata.contains_key(family) {
                self.metadata.insert(family.clone(), metadata.clone());
            } else {
                self.stats.rejected_metadata += 1;
            }
        }
        report.went_stale = self.replace_live(target, at_ms, live);
        if let Some(state) = self.targets.get_mut(target) {
            state.health.scrapes += 1;
            state.health.consecutive_failures = 0;
            state.health.samples += page.report.samples;
            state.health.malformed_lines += page.report.malformed;
            state.health.dropped_samples += report.dropped;
            state.health.last_success_ms = Some(at_ms);
            state.health.last_error = None;
        }
        self.append_own("up", target, at_ms, 1.0);
        self.evict_by_age(at_ms);
        report
    }

    /// Records a failed scrape: `up` = 0, and a stale marker for every series the target had.
    pub fn record_failure(&mut self, target: &LabelMap, at_ms: i64, reason: &str) -> AppendReport {
        self.writes += 1;
        let went_stale = self.replace_live(target, at_ms, BTreeSet::new());
        if let Some(state) = self.targets.get_mut(target) {
            state.health.scrapes += 1;
            state.health.failures += 1;
            state.health.consecutive_failures += 1;
            state.health.last_error = Some(reason.to_owned());
        }
        self.append_own("up", target, at_ms, 0.0);
        self.evict_by_age(at_ms);
        AppendReport { went_stale, ..AppendReport::default() }
    }

    /// Forgets a target that is scraped no more: all its series, `up` included, get a stale marker.
    pub fn remove_target(&mut self, target: &LabelMap, at_ms: i64) -> u64 {
        self.writes += 1;
        let went_stale = self.replace_live(target, at_ms, BTreeSet::new());
        self.targets.remove(target);
        for name in ["up", "scrape_duration_seconds", "scrape_samples_scraped"] {
            let id = SeriesId { name: name.to_owned(), labels: target.clone() };
            if self.series.contains_key(&id) {
                self.append(&id, Point::stale(at_ms), true);
            }
        }
        went_stale
    }

    /// Adds a sample about the target itself, as `up` or `scrape_duration_seconds`.
    pub fn append_own(&mut self, name: &str, target: &LabelMap, at_ms: i64, value: f64) {
        let id = SeriesId { name: name.to_owned(), labels: target.clone() };
        self.append(&id, Point::new(at_ms, value), true);
    }

    /// The points of every selected series in `(after_ms, upto_ms]`, in order of series name and labels; series without
    /// a point there are left out. O(log series + series of the name · points).
    #[must_use]
    pub fn points(
        &self,
        selector: &SeriesSelector,
        after_ms: i64,
        upto_ms: i64,
    ) -> Vec<(SeriesId, Vec<Point>)> {
        self.select(selector)
            .map(|(id, series)| (id.clone(), series.ring.between(after_ms, upto_ms)))
            .filter(|(_, points)| !points.is_empty())
            .collect()
    }

    /// The identities of every selected series, in order.
    #[must_use]
    pub fn series(&self, selector: &SeriesSelector) -> Vec<SeriesId> {
        self.select(selector).map(|(id, _)| id.clone()).collect()
    }

    /// Names of all metrics, in order.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.series.keys().map(|id| id.name.as_str()).collect()
    }

    /// What pages said about their families, by family.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, FamilyMetadata> {
        &self.metadata
    }

    /// How the scrapes of each target went, by target labels.
    pub fn targets(&self) -> impl Iterator<Item = (&LabelMap, &TargetHealth)> {
        self.targets.iter().map(|(labels, state)| (labels, &state.health))
    }

    /// Counters of what was stored and dropped.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let points = self.series.values().map(|series| series.ring.len() as u64).sum();
        StoreStats { series: self.series.len() as u64, points, ..self.stats }
    }

    fn select<'a>(
        &'a self,
        selector: &'a SeriesSelector,
    ) -> impl Iterator<Item = (&'a SeriesId, &'a Series)> + 'a {
        // Series are ordered by name first, so one metric is one stretch of the map.
        let start = SeriesId { name: selector.name.clone().unwrap_or_default(), labels: LabelMap::new() };
        self.series
            .range(start..)
            .take_while(move |(id, _)| selector.name.as_ref().is_none_or(|name| *name == id.name))
            .filter(move |(id, _)| selector.matches(&id.name, &id.labels))
    }

    fn identify(&self, sample: &ScrapedSample, target: &LabelMap) -> SeriesId {
        let mut labels = target.clone();
        for (label, value) in &sample.labels {
            match target.get(label) {
                Some(_) if !self.config.honor_labels => {
                    let mut renamed = format!("exported_{label}");
                    while sample.labels.contains_key(&renamed) || target.contains_key(&renamed) {
                        renamed.insert_str(0, "exported_");
                    }
                    labels.insert(renamed, value.clone());
                }
                _ => {
                    labels.insert(label.clone(), value.clone());
                }
            }
        }
        SeriesId { name: sample.name.clone(), labels }
    }

    /// Makes `live` the target's current series; marks the former ones stale and returns how many.
    fn replace_live(&mut self, target: &LabelMap, at_ms: i64, live: BTreeSet<SeriesId>) -> u64 {
        if !self.targets.contains_key(target) && self.targets.len() >= self.config.max_series {
            let oldest =
                self.targets.iter().min_by_key(|(_, state)| state.written).map(|(labels, _)| labels.clone());
            if let Some(oldest) = oldest {
                self.targets.remove(&oldest);
            }
        }
        let state = self.targets.entry(target.clone()).or_default();
        state.written = self.writes;
        let gone: Vec<SeriesId> = state.live.difference(&live).cloned().collect();
        state.live = live;
        let mut marked = 0;
        for id in gone {
            if self.series.contains_key(&id) && self.append(&id, Point::stale(at_ms), true) {
                marked += 1;
            }
        }
        marked
    }

    /// Appends to a series, which is made where needed; whether the point was stored.
    fn append(&mut self, id: &SeriesId, point: Point, scrape_time: bool) -> bool {
        if !self.series.contains_key(id) {
            if !self.make_room() {
                self.stats.rejected_samples += 1;
                return false;
            }
            self.series.insert(id.clone(), Series { ring: Ring::default(), written: self.writes });
            self.by_age.insert((self.writes, id.clone()));
        }
        let Some(series) = self.series.get_mut(id) else { return false };
        if series.written != self.writes {
            self.by_age.remove(&(series.written, id.clone()));
            self.by_age.insert((self.writes, id.clone()));
            series.written = self.writes;
        }
        let tolerance = clamp_millis(self.config.clock_step_tolerance);
        if scrape_time
            && series.ring.last().is_some_and(|last| last.at_ms.saturating_sub(point.at_ms) > tolerance)
        {
            self.stats.clock_rewound += series.ring.drop_after(point.at_ms);
        }
        let (outcome, evicted) = series.ring.append(point, self.config.max_samples_per_series);
        self.stats.evicted_by_count += evicted;
        match outcome {
            Appended::Stored if point.is_stale() => self.stats.stale_markers += 1,
            Appended::Stored => self.stats.stored += 1,
            Appended::Duplicate => self.stats.duplicates += 1,
            Appended::Conflict => self.stats.conflicts += 1,
            Appended::OutOfOrder => self.stats.out_of_order += 1,
        }
        outcome == Appended::Stored
    }

    /// Drops the least recently written series while the store is full; false if all were written by this very scrape.
    fn make_room(&mut self) -> bool {
        while self.series.len() >= self.config.max_series {
            match self.by_age.first().cloned() {
                Some((written, id)) if written < self.writes => {
                    self.by_age.remove(&(written, id.clone()));
                    self.series.remove(&id);
                    self.stats.evicted_series += 1;
                }
                _ => return false,
            }
        }
        true
    }

    fn evict_by_age(&mut self, now_ms: i64) {
        let cutoff = now_ms.saturating_sub(clamp_millis(self.config.retention));
        let mut emptied = Vec::new();
        // One look at the front of every series; a scrape touches most of them anyway.
        for (id, series) in &mut self.series {
            let dropped = series.ring.drop_before(cutoff);
            self.stats.evicted_by_age += dropped;
            if series.ring.len() == 0 {
                emptied.push((series.written, id.clone()));
            }
        }
        for (written, id) in emptied {
            self.series.remove(&id);
            self.by_age.remove(&(written, id));
        }
    }
}

fn clamp_millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
