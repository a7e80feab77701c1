//! What the pre-filter holds back, kept. // DET-02

use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, EntityId, EntityKind, time};
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::checked::{Checked, Options};
use crate::correlate::{CorrelatorOptions, Fingerprint};
use crate::error::check_count;
use crate::forest::{AlertPrefilter, Filtered, PrefilterCounts, PrefilterFeatures};

/// Version of the format that [`FilteredIntake`] serialises to.
pub const FILTERED_VERSION: u32 = 1;

/// Where an alert says what the pre-filter judges, and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilteredOptions {
    /// Annotation, or label where there is none, that holds the value that raised it, as a number. Default `value`. An alert without one cannot
    /// be judged, and goes on.
    pub value: String,
    /// The same for the number of pods it concerns; default `impacted_pods`. Without one it concerns one.
    pub impacted_pods: String,
    /// Label with the service; default `service`. Without one the name of what it is about stands in.
    pub service: String,
    /// Alerts that are held at once, 1 to 1 000 000; then the one not heard of for longest is forgotten, and counted. Default 100 000.
    pub most_held: usize,
    /// Alerts remembered to have gone on, so that their repeats and their end do, 1 to 1 000 000; one that is forgotten is judged anew. Default
    /// 100 000.
    pub most_passed: usize,
    /// Rules that are counted by name, 1 to 100 000; the rest is counted together. Default 10 000.
    pub most_rules: usize,
    /// Time after which an alert nobody repeats is forgotten, 1 min to 90 days. Default 24 h.
    #[serde(with = "aiops_core::model::duration")]
    pub remember: std::time::Duration,
}

impl Default for FilteredOptions {
    fn default() -> Self {
        Self {
            value: "value".to_owned(),
            impacted_pods: "impacted_pods".to_owned(),
            service: "service".to_owned(),
            most_held: 100_000,
            most_passed: 100_000,
            most_rules: 10_000,
            remember: std::time::Duration::from_secs(86_400),
        }
    }
}

impl Options for FilteredOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        for (field, name) in
            [("value", &self.value), ("impacted_pods", &self.impacted_pods), ("service", &self.service)]
        {
            if name.trim().is_empty() {
                return Err(ConfigError::new(field, format!("{name:?}"), "the name of a label"));
            }
        }
        check_count("most_held", self.most_held, 1..=1_000_000, "1 to 1000000 alerts")?;
        check_count("most_passed", self.most_passed, 1..=1_000_000, "1 to 1000000 alerts")?;
        check_count("most_rules", self.most_rules, 1..=100_000, "1 to 100000 rules")?;
        let (least, most) = (std::time::Duration::from_secs(60), std::time::Duration::from_secs(90 * 86_400));
        if !(least..=most).contains(&self.remember) {
            return Err(ConfigError::new("remember", format!("{:?}", self.remember), "1 min to 90 days"));
        }
        Ok(())
    }
}

/// An alert that was held back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HeldAlert {
    /// The alert as it was told last.
    pub alert: Alert,
    /// Its score then.
    pub score: f64,
    /// When it came first.
    pub first_seen: Timestamp,
    /// When it came last.
    pub last_seen: Timestamp,
    /// Notifications of it, its end among them.
    pub count: u64,
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It goes on, judged so.
    Judged(Filtered),
    /// It goes on because the alert did before: a repeat, or its end.
    Follows,
    /// It is the end of an alert nobody here knows; it goes on, for others may.
    Unknown,
    /// It is kept, and goes no further.
    Held(Filtered),
    /// It is the end of an alert that was held; it is kept, and goes no further.
    Ended,
}

impl Taken {
    /// Whether to hand the alert on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self, Self::Judged(_) | Self::Follows | Self::Unknown)
    }
}

/// What became of all notifications.
///
/// Every one is counted in `notifications` and in exactly one of `judged` (by reason, *usual* being what was held), `followed`, `unknown` and
/// `ended`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FilteredStats {
    /// Notifications taken in.
    pub notifications: u64,
    /// By what the pre-filter said.
    pub judged: PrefilterCounts,
    /// Repeats and ends of what went on before.
    pub followed: u64,
    /// Ends of what is not known.
    pub unknown: u64,
    /// Ends of what was held.
    pub ended: u64,
    /// Alerts that were held and went on later: they became unusual, or critical, or somebody asked for them.
    pub released: u64,
    /// Alerts that were held and are kept no more: to keep the bound, or because nobody repeated them.
    pub forgotten: u64,
    /// Notifications held, by rule.
    pub held_by_rule: BTreeMap<String, u64>,
    /// Those of the rules beyond [`most_rules`](FilteredOptions::most_rules).
    pub held_by_others: u64,
}

/// Takes alerts in before whoever judges them with care: lets through what is critical, unusual or cannot be judged, and keeps the rest. // DET-02
///
/// What is held is stored with how often it came, can be looked up ([`about`](Self::about)) and asked for ([`release`](Self::release)), and is
/// counted for good. It is judged anew with every notification, so that an alert that goes on firing longer than its like, or becomes
/// critical, goes on then. Once an alert went on, its repeats and its end do.
///
/// Memory: at most the configured numbers of alerts and names. A notification is O(log n) and one score. It serialises to a versioned document and goes on from
/// it as if it had never been away.
///
/// ```no_run
/// # use aiops_detect::{AlertPrefilter, Correlator};
/// # use aiops_detect::intake::{AlertmanagerIntake, FilteredIntake};
/// # fn run(body: &[u8], prefilter: AlertPrefilter, mut correlator: Correlator, now: aiops_core::jiff::Timestamp) -> Result<(), Box<dyn std::error::Error>> {
/// let mut filtered = FilteredIntake::new(prefilter, Default::default(), Default::default());
/// for alert in AlertmanagerIntake::default().webhook(body)?.alerts {
///     if filtered.take(&alert, now).goes_on() {
///         correlator.push(&alert, now);
///     }
/// }
/// println!("{} are held", filtered.held().count());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FilteredIntake {
    prefilter: AlertPrefilter,
    config: Checked<FilteredOptions>,
    fingerprints: CorrelatorOptions,
    held: Kept<HeldAlert>,
    passed: Kept<()>,
    stats: FilteredStats,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    prefilter: AlertPrefilter,
    config: Checked<FilteredOptions>,
    fingerprints: CorrelatorOptions,
    held: BTreeMap<Fingerprint, HeldAlert>,
    passed: BTreeMap<Fingerprint, Timestamp>,
    stats: FilteredStats,
}

impl From<FilteredIntake> for Document {
    fn from(intake: FilteredIntake) -> Self {
        Self {
            version: FILTERED_VERSION,
            prefilter: intake.prefilter,
            config: intake.config,
            fingerprints: intake.fingerprints,
            held: intake.held.all.into_iter().map(|(id, (_, held))| (id, held)).collect(),
            passed: intake.passed.all.into_iter().map(|(id, (at, ()))| (id, at)).collect(),
            stats: intake.stats,
        }
    }
}

impl TryFrom<Document> for FilteredIntake {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        if document.version != FILTERED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "stored alerts of another version")
                .with("version", document.version)
                .with("known", FILTERED_VERSION));
        }
        let options = document.config.options();
        let fit = document.held.len() <= options.most_held
            && document.passed.len() <= options.most_passed
            && document.stats.held_by_rule.len() <= options.most_rules;
        if !fit || document.held.values().any(|held| !held.score.is_finite() || held.count == 0) {
            return Err(Error::new(ErrorKind::Invalid, "stored alerts are not what was stored"));
        }
        let mut intake = Self::new(document.prefilter, document.config, document.fingerprints);
        for (id, held) in document.held {
            intake.held.insert(id, held.last_seen, held);
        }
        for (id, at) in document.passed {
            intake.passed.insert(id, at, ());
        }
        intake.stats = document.stats;
        Ok(intake)
    }
}

/// Values by fingerprint, with when each was heard of last.
#[derive(Debug, Clone, PartialEq)]
struct Kept<T> {
    all: BTreeMap<Fingerprint, (Timestamp, T)>,
    recency: BTreeSet<(Timestamp, Fingerprint)>,
}

impl<T> Kept<T> {
    fn new() -> Self {
        Self { all: BTreeMap::new(), recency: BTreeSet::new() }
    }

    fn get(&self, id: &Fingerprint) -> Option<&T> {
        self.all.get(id).map(|(_, value)| value)
    }

    fn insert(&mut self, id: Fingerprint, at: Timestamp, value: T) -> Option<T> {
        let former = self.remove(&id);
        self.recency.insert((at, id));
        self.all.insert(id, (at, value));
        former
    }

    fn remove(&mut self, id: &Fingerprint) -> Option<T> {
        let (at, value) = self.all.remove(id)?;
        self.recency.remove(&(at, *id));
        Some(value)
    }

    /// Forgets what was not heard of since `before`, and the oldest beyond `most`; how many that were.
    fn trim(&mut self, before: Timestamp, most: usize) -> u64 {
        let mut gone = 0;
        while let Some((at, id)) = self.recency.first().copied() {
            if self.all.len() <= most && at >= before {
                break;
            }
            self.recency.pop_first();
            self.all.remove(&id);
            gone += 1;
        }
        gone
    }
}

impl FilteredIntake {
    /// Lets alerts through by `prefilter`; fingerprints by the options of the correlator behind it.
    #[must_use]
    pub fn new(
        prefilter: AlertPrefilter,
        config: Checked<FilteredOptions>,
        fingerprints: CorrelatorOptions,
    ) -> Self {
        let stats = FilteredStats::default();
        Self { prefilter, config, fingerprints, held: Kept::new(), passed: Kept::new(), stats }
    }

    /// Judges by `prefilter` from now on, as after learning anew.
    pub fn set_prefilter(&mut self, prefilter: AlertPrefilter) {
        self.prefilter = prefilter;
    }

    /// What became of all notifications.
    #[must_use]
    pub fn stats(&self) -> &FilteredStats {
        &self.stats
    }

    /// Alerts that are held, in order of their fingerprints.
    pub fn held(&self) -> impl Iterator<Item = (Fingerprint, &HeldAlert)> {
        self.held.all.iter().map(|(id, (_, held))| (*id, held))
    }

    /// Those about `entity`: what else was told of a system that somebody looks at. O(held).
    pub fn about(&self, entity: &EntityId) -> impl Iterator<Item = (Fingerprint, &HeldAlert)> {
        self.held().filter(move |(_, held)| held.alert.entity == *entity)
    }

    /// Hands out an alert that is held, for somebody asks for it; its repeats and its end go on from now.
    pub fn release(&mut self, id: Fingerprint, at: Timestamp) -> Option<Alert> {
        let held = self.held.remove(&id)?;
        self.stats.released += 1;
        self.pass(id, at);
        Some(held.alert)
    }

    /// Takes in a notification that came at `at`.
    pub fn take(&mut self, alert: &Alert, at: Timestamp) -> Taken {
        self.stats.notifications += 1;
        self.expire(at);
        let id = Fingerprint::of(alert, &self.fingerprints);
        if self.passed.get(&id).is_some() {
            self.stats.followed += 1;
            if alert.state == AlertState::Resolved {
                // It may be usual the next time.
                self.passed.remove(&id);
            } else {
                self.pass(id, at);
            }
            return Taken::Follows;
        }
        if alert.state == AlertState::Resolved {
            return self.end(id, alert, at);
        }
        let filtered = self.prefilter.judge(&self.features(alert, at));
        self.stats.judged.record(&filtered);
        match filtered.score.filter(|_| !filtered.goes_on()) {
            Some(score) => {
                self.count(&alert.name);
                self.hold(id, alert, score, at);
                Taken::Held(filtered)
            }
            None => {
                self.stats.released += u64::from(self.held.remove(&id).is_some());
                self.pass(id, at);
                Taken::Judged(filtered)
            }
        }
    }

    /// Forgets what nobody repeated for [`remember`](FilteredOptions::remember), as every notification does.
    pub fn expire(&mut self, at: Timestamp) {
        let options = self.config.options();
        let before = time::before(at, options.remember);
        self.stats.forgotten += self.held.trim(before, options.most_held);
        self.passed.trim(before, options.most_passed);
    }

    fn end(&mut self, id: Fingerprint, alert: &Alert, at: Timestamp) -> Taken {
        match self.held.get(&id).map(|held| held.score) {
            Some(score) => {
                self.stats.ended += 1;
                self.hold(id, alert, score, at);
                Taken::Ended
            }
            None => {
                self.stats.unknown += 1;
                Taken::Unknown
            }
        }
    }

    fn hold(&mut self, id: Fingerprint, alert: &Alert, score: f64, at: Timestamp) {
        let former = self.held.remove(&id);
        let (first_seen, count) = former.map_or((at, 0), |held| (held.first_seen, held.count));
        let held = HeldAlert {
            alert: alert.clone(),
            score,
            first_seen,
            last_seen: at,
            count: count.saturating_add(1),
        };
        self.held.insert(id, at, held);
        self.stats.forgotten += self.held.trim(Timestamp::MIN, self.config.options().most_held);
    }

    fn pass(&mut self, id: Fingerprint, at: Timestamp) {
        self.passed.insert(id, at, ());
        self.passed.trim(Timestamp::MIN, self.config.options().most_passed);
    }

    fn count(&mut self, rule: &str) {
        let by_rule = &mut self.stats.held_by_rule;
        if let Some(count) = by_rule.get_mut(rule) {
            *count += 1;
        } else if by_rule.len() < self.config.options().most_rules {
            by_rule.insert(rule.to_owned(), 1);
        } else {
            self.stats.held_by_others += 1;
        }
    }

    /// What the pre-filter judges of `alert`; a value that is missing, or no number, is NaN.
    fn features(&self, alert: &Alert, at: Timestamp) -> PrefilterFeatures {
        let options = self.config.options();
        features(alert, at, options)
    }

    /// The same for alerts of the past, to [learn](AlertPrefilter::fit) from: of each, with when it was told last.
    pub fn learnable<'a>(
        alerts: impl IntoIterator<Item = (&'a Alert, Timestamp)>,
        config: &Checked<FilteredOptions>,
    ) -> Vec<PrefilterFeatures> {
        alerts.into_iter().map(|(alert, at)| features(alert, at, config.options())).collect()
    }
}

fn features(alert: &Alert, at: Timestamp, options: &FilteredOptions) -> PrefilterFeatures {
    let told = |name: &str| alert.annotations.get(name).or_else(|| alert.labels.get(name));
    let number = |name: &str| told(name).and_then(|text| text.trim().parse::<f64>().ok());
    let service = alert.labels.get(&options.service);
    let service =
        service.filter(|_| alert.entity.kind() != EntityKind::Service).unwrap_or(alert.entity.name());
    let pods = number(&options.impacted_pods).filter(|pods| (0.0..=1e9).contains(pods));
    PrefilterFeatures {
        rule: alert.name.clone(),
        service: service.to_owned(),
        value: number(&options.value).unwrap_or(f64::NAN),
        duration: time::elapsed(alert.started_at, at),
        // In range, see above.
        impacted_pods: pods.map_or(1, |pods| pods as u32),
        severity: alert.severity,
    }
}
