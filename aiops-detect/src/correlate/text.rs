//! What alerts say: their rare words, compared as TF-IDF vectors.

use std::collections::{BTreeMap, BTreeSet};

use aiops_core::model::{Alert, EntityId};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;

/// Annotations that say what happened; links and how-tos are the same for every alert of a rule.
const TELLING: [&str; 5] = ["summary", "description", "message", "title", "text"];

/// Bytes of an annotation that are read.
const MAX_TEXT: usize = 1024;

/// Words of an alert that are read.
const MAX_WORDS: usize = 96;

/// Words of an alert that are kept, the rarest.
const KEPT: usize = 12;

/// Labels of an alert that are compared.
const MAX_LABELS: usize = 16;

/// Words, and labels with their values, of which it is known how many alerts have them.
const MAX_KNOWN: usize = 1 << 16;

/// Hash of a word (FNV-1a, 64 bits). Words that collide count as one; who can write alerts can make them.
pub(super) type Word = u64;

fn hash(bytes: impl IntoIterator<Item = u8>) -> Word {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A name as a word: how one alert may speak of what another is about.
pub(super) fn name(text: &str) -> Option<Word> {
    (text.len() >= 4).then(|| hash(text.bytes()))
}

/// An entity as a number.
pub(super) fn hash_of(entity: &EntityId) -> u64 {
    hash(entity.kind().as_str().bytes().chain([0]).chain(entity.name().bytes()))
}

/// Words of `text`: runs of letters, digits, `-`, `_` and `.`, without those at the ends. What is short, or mostly digits,
/// says how much and not what.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let joint = |c: char| matches!(c, '-' | '_' | '.');
    text.split(move |c: char| !c.is_alphanumeric() && !joint(c))
        .map(move |word| word.trim_matches(joint))
        .filter(|word| {
            let digits = word.bytes().filter(u8::is_ascii_digit).count();
            word.len() >= 4 && 2 * digits < word.len()
        })
}

/// Labels that say something of their own: not a copy's name, a place, a system, or what the alert is about.
fn telling<'a>(alert: &'a Alert, options: &'a CorrelatorOptions) -> impl Iterator<Item = (&'a str, &'a str)> {
    alert.labels.iter().filter(|(label, value)| {
        let listed = |labels: &[String]| labels.iter().any(|l| l == label);
        !value.is_empty()
            && *value != alert.entity.name()
            && !options.volatile_labels.contains(*label)
            && !listed(&options.scope_labels)
            && !listed(&options.near_labels)
            && !label.starts_with("__")
    })
}

/// A label with its value as a word, which no word of a text is.
fn pair(label: &str, value: &str) -> Word {
    hash(label.bytes().chain([0]).chain(value.bytes()))
}

/// Name and value of the label of `alert` that stands for `word`.
pub(super) fn label_of(alert: &Alert, word: Word, options: &CorrelatorOptions) -> Option<(String, String)> {
    let found = telling(alert, options).find(|(label, value)| pair(label, value) == word);
    found.map(|(label, value)| (label.to_owned(), value.to_owned()))
}

/// The words of one alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// Rarest words with their weights; the vector has length 1. In order of word.
    vector: Vec<(Word, f32)>,
    /// Words that may be names: those of several parts, and as many others as fit.
    pub(super) names: Vec<Word>,
    /// Labels with their values that few alerts have, and the share of alerts that do, rarest first.
    pub(super) labels: Vec<(Word, f32)>,
}

impl Words {
    /// Cosine of the angle between two vectors, 0 to 1.
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        let mut sum = 0.0;
        let mut theirs = other.vector.iter().peekable();
        for (word, weight) in &self.vector {
            while theirs.next_if(|(w, _)| w < word).is_some() {}
            if let Some((_, w)) = theirs.next_if(|(w, _)| w == word) {
                sum += f64::from(*weight) * f64::from(*w);
            }
        }
        sum.clamp(0.0, 1.0)
    }

    /// The rarest label that both have, and the share of alerts that do.
    pub(super) fn label(&self, other: &Self) -> Option<(Word, f64)> {
        let shared = |(word, _): &&(Word, f32)| other.labels.iter().any(|(w, _)| w == word);
        self.labels.iter().find(shared).map(|(word, share)| (*word, f64::from(*share)))
    }

    /// Its rare words and labels.
    pub(super) fn rare(&self) -> impl Iterator<Item = Word> {
        self.vector.iter().map(|(word, _)| *word).chain(self.labels.iter().map(|(word, _)| *word))
    }

    /// Everything it is found by.
    pub(super) fn all(&self) -> impl Iterator<Item = Word> {
        self.rare().chain(self.names.iter().copied())
    }

    pub(super) fn bytes(&self) -> usize {
        (self.vector.len() + self.labels.len()) * 16 + self.names.len() * 8
    }

    pub(super) fn is_sound(&self) -> bool {
        self.vector.len() <= KEPT
            && self.names.len() <= MAX_WORDS
            && self.labels.len() <= MAX_LABELS
            && self.labels.iter().all(|(_, share)| (0.0..=1.0).contains(share))
            && self.vector.iter().all(|(_, w)| w.is_finite() && (0.0..=1.001).contains(w))
            && self.vector.is_sorted_by(|a, b| a.0 < b.0)
    }
}

/// How many alerts have each word. Bounded: when too many words are known, all counts are halved and those of one alert
/// forgotten, so that what was said long ago counts less too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    alerts: u64,
    known: BTreeMap<Word, u32>,
}

impl Vocabulary {
    /// Reads an alert, and remembers that it had its words. Before enough alerts nothing is known to be rare.
    pub(super) fn read(&mut self, alert: &Alert, options: &CorrelatorOptions) -> Words {
        let mut counts: BTreeMap<Word, (u32, bool)> = BTreeMap::new();
        let told = TELLING.iter().filter_map(|label| alert.annotations.get(label));
        let mut read = 0;
        'text: for text in std::iter::once(alert.name.as_str()).chain(told) {
            let end = (0..=MAX_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
            for word in words(text.get(..end.unwrap_or(0)).unwrap_or_default()) {
                let compound = word.bytes().any(|b| matches!(b, b'-' | b'_' | b'.'));
                let entry = counts.entry(hash(word.bytes())).or_insert((0, compound));
                entry.0 += 1;
                read += 1;
                if read >= MAX_WORDS {
                    break 'text;
                }
            }
        }
        let mut words = Words::default();
        let (compound, plain): (Vec<_>, Vec<_>) = counts.iter().partition(|(_, (_, compound))| *compound);
        words.names = compound.into_iter().chain(plain).map(|(word, _)| *word).take(4 * KEPT).collect();
        let labels: Vec<Word> = telling(alert, options).map(|(k, v)| pair(k, v)).take(MAX_LABELS).collect();
        if self.alerts >= options.text_after {
            words.vector = self.vector(&counts, options.text_common);
            words.labels = self.rare(&labels, options.text_common);
        }
        self.learn(counts.into_keys().chain(labels).collect());
        words
    }

    /// The rarest words, weighted by (1 + ln tf) · ln((1 + n) / (1 + df)) and scaled to length 1 (Manning, Raghavan and
    /// Schütze 2008, §6.4). The scale is that of all words, kept or not: sharing the rarest is not sharing everything, and sharing
    /// what everybody says is sharing nothing.
    fn vector(&self, counts: &BTreeMap<Word, (u32, bool)>, common: f64) -> Vec<(Word, f32)> {
        let known = |word: &Word| f64::from(self.known.get(word).copied().unwrap_or(0));
        let weight = |word: &Word, count: u32| {
            let df = known(word);
            (1.0 + f64::from(count).ln()) * ((1.0 + self.alerts as f64) / (1.0 + df)).ln().max(0.0)
        };
        let mut all: Vec<(Word, f64)> =
            counts.iter().map(|(word, (n, _))| (*word, weight(word, *n))).collect();
        let length = all.iter().map(|(_, w)| w * w).sum::<f64>().sqrt();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(KEPT);
        all.retain(|(word, w)| *w > 0.0 && known(word) <= common * self.alerts as f64);
        all.sort_by_key(|(word, _)| *word);
        all.into_iter().map(|(word, w)| (word, (w / length) as f32)).collect()
    }

    /// Those of `labels` that few alerts have, rarest first.
    fn rare(&self, labels: &[Word], common: f64) -> Vec<(Word, f32)> {
        let share = |word: &Word| {
            let known = f64::from(self.known.get(word).copied().unwrap_or(0));
            // One more on either side: what was never seen is not impossible.
            (known + 1.0) / (self.alerts as f64 + 1.0)
        };
        let mut rare: Vec<(Word, f32)> = labels.iter().map(|word| (*word, share(word) as f32)).collect();
        rare.retain(|(_, share)| f64::from(*share) <= common);
        rare.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        rare
    }

    fn learn(&mut self, words: BTreeSet<Word>) {
        self.alerts = self.alerts.saturating_add(1);
        for word in words {
            let count = self.known.entry(word).or_default();
            *count = count.saturating_add(1);
        }
        if self.known.len() > MAX_KNOWN {
            self.alerts /= 2;
            self.known.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.known.len() * 24
    }

    pub(super) fn is_sound(&self) -> bool {
        self.known.len() <= MAX_KNOWN
            && self.known.values().all(|count| u64::from(*count) <= self.alerts.max(1) * 2)
    }
}
