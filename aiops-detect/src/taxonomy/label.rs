use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::float;
use serde::{Deserialize, Serialize};

use super::names::{Category, Taxonomy, TaxonomyError};

/// Words that speak for a kind of incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelRule {
    /// The kind: a category of the taxonomy.
    pub category: String,
    /// Words of alert names, in lower case.
    pub words: BTreeSet<String>,
}

impl LabelRule {
    /// These words speak for this kind.
    pub fn new(category: impl Into<String>, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { category: category.into(), words: words.into_iter().map(Into::into).collect() }
    }
}

/// What kind of incident one is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentLabel {
    /// Version of the taxonomy that the name is of.
    pub version: u32,
    /// The kind.
    pub category: String,
    /// Share of its kinds of alerts that say so, more than 0 to 1. What the suspected root says goes before what most say.
    #[serde(with = "float")]
    pub share: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    taxonomy: Taxonomy,
    rules: Vec<LabelRule>,
}

/// Gives incidents the names of a taxonomy, by the words in the names of their alerts. // COR-06
///
/// The suspected root's alert decides where a rule knows it: symptoms are many and of other kinds. Otherwise the kind that most
/// (entity, alert name) pairs speak for does; of equal ones the first rule. No rule, no label: nothing is guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Labeller(Parts);

impl TryFrom<Parts> for Labeller {
    type Error = TaxonomyError;

    fn try_from(parts: Parts) -> Result<Self, TaxonomyError> {
        Self::new(parts.taxonomy, parts.rules)
    }
}

impl From<Labeller> for Parts {
    fn from(labeller: Labeller) -> Self {
        labeller.0
    }
}

impl Labeller {
    /// Names of `taxonomy` by these rules.
    ///
    /// # Errors
    /// [`TaxonomyError::Dangling`] when a rule's kind is no category; [`TaxonomyError::Unnamed`] for a rule without words.
    pub fn new(taxonomy: Taxonomy, rules: Vec<LabelRule>) -> Result<Self, TaxonomyError> {
        for rule in &rules {
            if taxonomy.get(&rule.category).is_none() {
                let name = rule.words.first().cloned().unwrap_or_default();
                return Err(TaxonomyError::Dangling { name, to: rule.category.clone() });
            }
            if rule.words.is_empty() || rule.words.iter().any(String::is_empty) {
                return Err(TaxonomyError::Unnamed);
            }
        }
        Ok(Self(Parts { taxonomy, rules }))
    }

    /// A first version that most monitoring can begin with: the golden signals (Beyer et al., *Site Reliability Engineering*, 2016, ch. 6)
    /// and what else pages people.
    ///
    /// # Errors
    /// Never; the type is that of every taxonomy.
    pub fn common() -> Result<Self, TaxonomyError> {
        let kinds: [(&str, &str, &[&str]); 8] = [
            (
                "security",
                "access that should not be, or exposure",
                &["unauthorized", "intrusion", "certificate", "cert", "tls", "vulnerability", "auth"],
            ),
            (
                "hardware",
                "a device is broken or about to be",
                &["ecc", "xid", "smart", "raid", "fan", "thermal", "gpu"],
            ),
            (
                "network",
                "packets are lost, late or misdirected",
                &["network", "packet", "packets", "dns", "retransmit", "link", "bgp", "partition"],
            ),
            (
                "saturation",
                "something is full, or nearly",
                &[
                    "memory",
                    "oom",
                    "cpu",
                    "disk",
                    "pool",
                    "exhausted",
                    "throttled",
                    "queue",
                    "saturation",
                    "mem",
                    "filesystem",
                ],
            ),
            (
                "availability",
                "something does not run or does not answer",
                &[
                    "down",
                    "unavailable",
                    "unreachable",
                    "absent",
                    "crash",
                    "crashloop",
                    "restarts",
                    "availability",
                    "up",
                ],
            ),
            (
                "errors",
                "answers are wrong",
                &["error", "errors", "failed", "failures", "exception", "5xx", "4xx"],
            ),
            (
                "latency",
                "answers are late",
                &["latency", "slow", "duration", "lat", "p99", "p95", "timeout", "delay"],
            ),
            ("traffic", "more or less work than usual", &["requests", "traffic", "workload", "load", "rate"]),
        ];
        let categories = kinds.map(|(name, meaning, _)| (name, Category::new(meaning)));
        let rules = kinds.map(|(name, _, words)| LabelRule::new(name, words.iter().copied()));
        Self::new(Taxonomy::new(categories)?, rules.to_vec())
    }

    /// The taxonomy.
    #[must_use]
    pub fn taxonomy(&self) -> &Taxonomy {
        &self.0.taxonomy
    }

    /// The first rule that a word of an alert's name fits.
    fn kind(&self, name: &str) -> Option<&str> {
        let words = words(name);
        let fits = |rule: &&LabelRule| rule.words.iter().any(|word| words.contains(word));
        self.0.rules.iter().find(fits).map(|rule| rule.category.as_str())
    }

    /// The kind of an incident with these alerts, as what each is about and its name; `root` is the name of the suspected root's.
    ///
    /// ```
    /// use aiops_detect::taxonomy::Labeller;
    /// let labeller = Labeller::common()?;
    /// let label = labeller.label(Some("PoolExhausted"), [("db", "PoolExhausted"), ("shop", "HighLatency")]);
    /// assert_eq!(label.map(|l| (l.category, l.share)), Some(("saturation".to_owned(), 0.5)));
    /// # Ok::<(), aiops_detect::taxonomy::TaxonomyError>(())
    /// ```
    #[must_use]
    pub fn label<'a>(
        &self,
        root: Option<&str>,
        alerts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<IncidentLabel> {
        let alerts: BTreeSet<(&str, &str)> = alerts.into_iter().collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, name) in &alerts {
            if let Some(kind) = self.kind(name) {
                *votes.entry(kind).or_default() += 1;
            }
        }
        let place = |kind: &str| self.0.rules.iter().position(|rule| rule.category == kind);
        let most = || {
            let most = votes.iter().max_by(|a, b| a.1.cmp(b.1).then(place(b.0).cmp(&place(a.0))));
            most.map(|(kind, _)| *kind)
        };
        let category = root.and_then(|root| self.kind(root)).or_else(most)?;
        let share = votes.get(category).map_or(0.0, |n| *n as f64 / alerts.len().max(1) as f64);
        Some(IncidentLabel { version: self.0.taxonomy.version(), category: category.to_owned(), share })
    }
}

/// Words of a name in lower case, as camel case, underscores, dashes and the like divide them.
fn words(name: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let next_is_low = chars.peek().is_some_and(|next| next.is_lowercase());
        let humps = c.is_uppercase()
            && before
                .is_some_and(|b| b.is_lowercase() || b.is_numeric() || (b.is_uppercase() && next_is_low));
        if (!c.is_alphanumeric() || humps) && !word.is_empty() {
            words.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    if !word.is_empty() {
        words.insert(word);
    }
    words
}
