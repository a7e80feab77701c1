use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{Anomaly, DetectorId, Direction, EntityId, SeriesKey, Severity, float, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::error::{check, check_count};

/// When a finding waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BookOptions {
    /// Confidence from which a finding is told without anybody's word, 0 to 1. Default 0.5.
    pub tell_from: f64,
    /// Judgements that the detector's own confidence is worth, more than 0 to 1000. Default 2: two persons' word outweighs it.
    pub trust: f64,
    /// Time after which a judgement no longer counts, 1 h to 10 years. Default 90 days.
    #[serde(with = "aiops_core::model::duration")]
    pub valid_for: Duration,
    /// Findings that wait at most, 1 to 10⁶. Default 10 000; one more is told instead of held.
    pub max_held: usize,
    /// Patterns about which judgements are kept, 1 to 10⁶. Default 10 000; the one judged longest ago is forgotten.
    pub max_patterns: usize,
}

impl Default for BookOptions {
    fn default() -> Self {
        Self {
            tell_from: 0.5,
            trust: 2.0,
            valid_for: Duration::from_secs(90 * 86_400),
            max_held: 10_000,
            max_patterns: 10_000,
        }
    }
}

impl Options for BookOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("tell_from", self.tell_from, 0.0..=1.0, "0 to 1")?;
        check("trust", self.trust, f64::MIN_POSITIVE..=1000.0, "more than 0, at most 1000")?;
        let (least, most) = (Duration::from_secs(3600), Duration::from_secs(3650 * 86_400));
        if !(least..=most).contains(&self.valid_for) {
            return Err(ConfigError::new("valid_for", format!("{:?}", self.valid_for), "1 h to 10 years"));
        }
        check_count("max_held", self.max_held, 1..=1_000_000, "1 to 1000000 findings")?;
        check_count("max_patterns", self.max_patterns, 1..=1_000_000, "1 to 1000000 patterns")
    }
}

/// What findings have in common that a person's word about one is said about all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Who found it.
    pub detector: DetectorId,
    /// Whose signal.
    pub entity: EntityId,
    /// Which signal.
    pub series: SeriesKey,
    /// Whether it went up.
    pub up: bool,
}

impl Pattern {
    /// That of a finding.
    #[must_use]
    pub fn of(anomaly: &Anomaly) -> Self {
        Self {
            detector: anomaly.detector.clone(),
            entity: anomaly.entity.clone(),
            series: anomaly.series.clone(),
            up: anomaly.direction() == Direction::Up,
        }
    }
}

/// Number of a held finding within its book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeldId(u64);

impl HeldId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held finding {}", self.0)
    }
}

/// A finding that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its number.
    pub id: HeldId,
    /// As it was first found.
    pub anomaly: Anomaly,
    /// How sure that was, 0 to 1.
    #[serde(with = "float")]
    pub confidence: f64,
    /// When it was first held.
    pub since: Timestamp,
}

/// A person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Something was the matter.
    Confirmed,
    /// Nothing was.
    Rejected,
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// It is told: sure enough, or persons found its like right.
    Told,
    /// It is told although it is not sure enough, because it is critical.
    Critical,
    /// It is told although it is not sure enough, because the book is full.
    Overflow,
    /// It waits for a person under this number.
    Held(HeldId),
}

impl Admission {
    /// Whether the finding goes on.
    #[must_use]
    pub fn is_told(self) -> bool {
        !matches!(self, Self::Held(_))
    }
}

/// What changed a book; a book is what its events made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BookEvent {
    /// A finding began to wait.
    Held(Box<Held>),
    /// A person judged one that waited.
    Judged {
        /// Which.
        id: HeldId,
        /// How.
        judgement: Judgement,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A person judged one that had been told.
    Reviewed {
        /// What it was.
        pattern: Box<Pattern>,
        /// How.
        judgement: Judgement,
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// How many findings went which way. What was held is judged or waits: `held = confirmed + rejected + waiting`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BookCounts {
    /// Began to wait.
    pub held: u64,
    /// Of these: confirmed.
    pub confirmed: u64,
    /// Of these: rejected.
    pub rejected: u64,
    /// Of these: waiting.
    pub waiting: u64,
    /// Told findings that were judged.
    pub reviewed: u64,
}

/// Why a book refuses something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// Nothing waits under this number.
    #[error("nothing waits as {0}")]
    Unknown(HeldId),
    /// Whoever judges must have a name.
    #[error("a judgement without a name")]
    Nameless,
    /// An event that cannot follow those before it.
    #[error("an event of a validation book does not follow those before it")]
    OutOfOrder,
    /// The file cannot be read or written.
    #[error("cannot use the validation book {path}")]
    File {
        /// Where it is.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of the file, not the last, makes no sense; or its first names another version.
    #[error("line {line} of the validation book {path} makes no sense: {what}")]
    Malformed {
        /// Where it is.
        path: std::path::PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Judgements about one pattern, with when, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
struct Record {
    judged: VecDeque<(Timestamp, Judgement)>,
}

/// Judgements of one pattern that are kept.
const REMEMBERED: usize = 64;

/// Findings that are too unsure to be told, until a person judged them; and what was learned from that. // DET-08
///
/// A finding is told when it is critical, or when `(trust · confidence + confirmed) ÷ (trust + confirmed + rejected)`, counted over the
/// judgements of its pattern that are still valid, reaches [`tell_from`](BookOptions::tell_from): a Beta prior of the detector's own
/// confidence, updated by persons. So a pattern that was confirmed is told from then on, and one that was rejected is held though the detector
/// is sure. What waits is never dropped: the same pattern waits once, and when the book is full findings are told instead of held.
///
/// A book is a fold over its [`BookEvent`]s: every method that changes it says by which event, and [`apply`](Self::apply) repeats
/// that. [`BookFile`](super::BookFile) writes each down before it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationBook {
    options: Checked<BookOptions>,
    waiting: BTreeMap<HeldId, Held>,
    by_pattern: BTreeMap<Pattern, HeldId>,
    records: BTreeMap<Pattern, Record>,
    next: u64,
    counts: BookCounts,
}

impl ValidationBook {
    /// An empty book.
    #[must_use]
    pub fn new(options: Checked<BookOptions>) -> Self {
        Self {
            options,
            waiting: BTreeMap::new(),
            by_pattern: BTreeMap::new(),
            records: BTreeMap::new(),
            next: 0,
            counts: BookCounts::default(),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn options(&self) -> &BookOptions {
        self.options.options()
    }

    /// How many went which way.
    #[must_use]
    pub fn counts(&self) -> BookCounts {
        self.counts
    }

    /// What waits, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Held> {
        self.waiting.values()
    }

    /// Valid judgements of a pattern at `at`: confirmed and rejected.
    #[must_use]
    pub fn judgements(&self, pattern: &Pattern, at: Timestamp) -> (usize, usize) {
        let valid_for = self.options().valid_for;
        let judged = self.records.get(pattern).into_iter().flat_map(|record| &record.judged);
        let valid = judged.filter(|(when, _)| time::elapsed(*when, at) <= valid_for);
        let confirmed = valid.clone().filter(|(_, j)| *j == Judgement::Confirmed).count();
        (confirmed, valid.count() - confirmed)
    }

    /// Confidence after persons' word, 0 to 1.
    #[must_use]
    pub fn posterior(&self, pattern: &Pattern, confidence: f64, at: Timestamp) -> f64 {
        let (confirmed, rejected) = self.judgements(pattern, at);
        let (trust, sure) =
            (self.options().trust, if confidence.is_nan() { 0.0 } else { confidence.clamp(0.0, 1.0) });
        (trust * sure + confirmed as f64) / (trust + (confirmed + rejected) as f64)
    }

    /// What becomes of a finding, and the event that makes it so where there is one; nothing is changed yet.
    #[must_use]
    pub fn consider(
        &self,
        anomaly: &Anomaly,
        confidence: f64,
        at: Timestamp,
    ) -> (Admission, Option<BookEvent>) {
        let pattern = Pattern::of(anomaly);
        if self.posterior(&pattern, confidence, at) >= self.options().tell_from {
            return (Admission::Told, None);
        }
        if anomaly.severity == Severity::Critical {
            return (Admission::Critical, None);
        }
        if let Some(id) = self.by_pattern.get(&pattern) {
            return (Admission::Held(*id), None);
        }
        if self.waiting.len() >= self.options().max_held {
            return (Admission::Overflow, None);
        }
        let id = HeldId(self.next);
        let confidence = if confidence.is_nan() { 0.0 } else { confidence };
        let held = Held { id, anomaly: anomaly.clone(), confidence, since: at };
        (Admission::Held(id), Some(BookEvent::Held(Box::new(held))))
    }

    /// Takes a finding in.
    pub fn admit(&mut self, anomaly: &Anomaly, confidence: f64, at: Timestamp) -> Admission {
        let (admission, event) = self.consider(anomaly, confidence, at);
        match event.map(|event| self.apply(&event)) {
            // The event was made for the book as it is; if it did not fit all the same, nothing is held.
            Some(Err(_)) => Admission::Overflow,
            _ => admission,
        }
    }

    /// The event of judging what waits as `id`; nothing is changed yet.
    ///
    /// # Errors
    /// [`BookError::Unknown`], [`BookError::Nameless`].
    pub fn judgement(
        &self,
        id: HeldId,
        judgement: Judgement,
        by: &str,
        at: Timestamp,
    ) -> Result<BookEvent, BookError> {
        if by.trim().is_empty() {
            return Err(BookError::Nameless);
        }
        if !self.waiting.contains_key(&id) {
            return Err(BookError::Unknown(id));
        }
        Ok(BookEvent::Judged { id, judgement, by: by.to_owned(), at })
    }

    /// Judges what waits as `id`; a finding that is confirmed is handed out, to be told.
    ///
    /// # Errors
    /// As [`judgement`](Self::judgement).
    pub fn judge(
        &mut self,
        id: HeldId,
        judgement: Judgement,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Anomaly>, BookError> {
        let event = self.judgement(id, judgement, by, at)?;
        self.apply(&event)
    }

    /// Changes the book as `event` says; the finding that it released, where it did.
    ///
    /// # Errors
    /// [`BookError::OutOfOrder`] when it cannot follow what was before; nothing is changed then.
    pub fn apply(&mut self, event: &BookEvent) -> Result<Option<Anomaly>, BookError> {
        match event {
            BookEvent::Held(held) => {
                let pattern = Pattern::of(&held.anomaly);
                if held.id.0 != self.next || self.by_pattern.contains_key(&pattern) {
                    return Err(BookError::OutOfOrder);
                }
                self.next = self.next.checked_add(1).ok_or(BookError::OutOfOrder)?;
                self.by_pattern.insert(pattern, held.id);
                self.waiting.insert(held.id, (**held).clone());
                self.counts.held += 1;
                self.counts.waiting += 1;
                Ok(None)
            }
            BookEvent::Judged { id, judgement, at, .. } => {
                let held = self.waiting.remove(id).ok_or(BookError::OutOfOrder)?;
                let pattern = Pattern::of(&held.anomaly);
                self.by_pattern.remove(&pattern);
                self.counts.waiting -= 1;
                self.learn(pattern, *judgement, *at);
                match judgement {
                    Judgement::Confirmed => {
                        self.counts.confirmed += 1;
                        Ok(Some(held.anomaly))
                    }
                    Judgement::Rejected => {
                        self.counts.rejected += 1;
                        Ok(None)
                    }
                }
            }
            BookEvent::Reviewed { pattern, judgement, at, .. } => {
                self.counts.reviewed += 1;
                self.learn((**pattern).clone(), *judgement, *at);
                Ok(None)
            }
        }
    }

    fn learn(&mut self, pattern: Pattern, judgement: Judgement, at: Timestamp) {
        let most = self.options().max_patterns;
        if !self.records.contains_key(&pattern) && self.records.len() >= most {
            let latest = |record: &Record| record.judged.back().map(|(at, _)| *at);
            let oldest = self.records.iter().min_by_key(|(_, record)| latest(record)).map(|(p, _)| p.clone());
            if let Some(oldest) = oldest {
                self.records.remove(&oldest);
            }
        }
        let judged = &mut self.records.entry(pattern).or_default().judged;
        if judged.len() >= REMEMBERED {
            judged.pop_front();
        }
        judged.push_back((at, judgement));
    }
}
