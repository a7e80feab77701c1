//! What is remembered of one alert.

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, EntityId, Labels, Severity};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;
use super::fingerprint::Fingerprint;
use super::graph::Graph;
use super::quiet::Hold;
use super::relation::{AlertId, IncidentNumber, Link};
use super::text::Words;

/// One alert from its first firing until it is forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) id: AlertId,
    pub(super) fingerprint: Fingerprint,
    pub(super) alert: Alert,
    /// What it is about, without what differs between copies.
    pub(super) locus: EntityId,
    pub(super) words: Words,
    /// Numbers of the changes that precede it and touch it.
    pub(super) changes: Vec<u64>,
    pub(super) incident: Option<IncidentNumber>,
    pub(super) held: Option<Hold>,
    pub(super) links: Vec<Link>,
    pub(super) onset: Timestamp,
    pub(super) first_seen: Timestamp,
    pub(super) last_seen: Timestamp,
    pub(super) resolved_at: Option<Timestamp>,
    /// Notifications, the first included.
    pub(super) count: u64,
    pub(super) flaps: u32,
    /// The record of its last firing before, where that is another.
    pub(super) former: Option<AlertId>,
    // What follows is derived from the above, the topology and the configuration.
    /// Node of `locus` in the graph.
    #[serde(skip)]
    pub(super) node: Option<usize>,
    #[serde(skip)]
    pub(super) scope: Vec<(String, String)>,
    #[serde(skip)]
    pub(super) near: Vec<(String, String)>,
}

impl Record {
    pub(super) fn derive(&mut self, graph: &Graph, options: &CorrelatorOptions) {
        self.node = graph.node(&self.locus);
        self.scope = pairs(&self.alert, &options.scope_labels);
        self.near = pairs(&self.alert, &options.near_labels);
    }

    pub(super) fn critical(&self) -> bool {
        self.alert.severity == Severity::Critical
    }

    /// Estimate of the memory it takes, with its places in the indices.
    pub(super) fn bytes(&self) -> usize {
        let labels = |labels: &Labels| labels.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
        let entity = self.alert.entity.name().len() + 3 * self.locus.name().len();
        let links: usize = self.links.iter().map(Link::bytes).sum();
        let index = 64 * (self.words.all().count() + self.changes.len() + 6);
        size_of::<Self>()
            + self.alert.name.len()
            + entity
            + labels(&self.alert.labels)
            + labels(&self.alert.annotations)
            + self.words.bytes()
            + links
            + index
    }
}

/// Cuts what an alert may bring to what is kept; whether anything was cut.
pub(super) fn trim(alert: &mut Alert, options: &CorrelatorOptions) -> bool {
    let most = options.max_label_bytes;
    let fits = |labels: &Labels| {
        labels.len() <= options.max_labels && labels.iter().all(|(k, v)| k.len() <= most && v.len() <= most)
    };
    let mut cut = false;
    if alert.name.len() > most {
        alert.name = head(&alert.name, most).to_owned();
        cut = true;
    }
    if alert.entity.name().len() > most {
        alert.entity = EntityId::new(alert.entity.kind(), head(alert.entity.name(), most));
        cut = true;
    }
    for labels in [&mut alert.labels, &mut alert.annotations] {
        if !fits(labels) {
            let kept = labels.iter().take(options.max_labels);
            *labels = kept.map(|(k, v)| (head(k, most), head(v, most))).collect();
            cut = true;
        }
    }
    cut
}

/// The longest beginning of `text` of at most `most` bytes.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Alerts of an incident that are counted and no longer listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Folded {
    /// Informational ones.
    pub info: u64,
    /// Warnings.
    pub warning: u64,
    /// Critical ones.
    pub critical: u64,
}

impl Folded {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.info + self.warning + self.critical
    }

    pub(super) fn count(&mut self, severity: Severity) {
        let slot = match severity {
            Severity::Info => &mut self.info,
            Severity::Warning => &mut self.warning,
            Severity::Critical => &mut self.critical,
        };
        *slot = slot.saturating_add(1);
    }

    pub(super) fn add(&mut self, other: Self) {
        self.info = self.info.saturating_add(other.info);
        self.warning = self.warning.saturating_add(other.warning);
        self.critical = self.critical.saturating_add(other.critical);
    }
}

/// Those of `labels` that `alert` has, in their order.
fn pairs(alert: &Alert, labels: &[String]) -> Vec<(String, String)> {
    let pair = |label: &String| Some((label.clone(), alert.labels.get(label)?.to_owned()));
    labels.iter().filter_map(pair).collect()
}

/// Whether two lists of labels differ in the value of one they share.
pub(super) fn differ(a: &[(String, String)], b: &[(String, String)]) -> bool {
    a.iter().any(|(label, value)| b.iter().any(|(l, v)| l == label && v != value))
}
