use std::fmt;
use std::str::FromStr;

use aiops_core::model::{Alert, EntityId, EntityKind};
use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::config::CorrelatorOptions;

/// Identity of an alert across cycles, senders and instances of this program: 128 bits of BLAKE3 over the name, what it
/// is about, and the labels that identify it.
///
/// Equal content gives the same fingerprint on every machine and in every version that writes this format, so it can be
/// the key of a store that several instances share. Every part goes in with its length, so that no two contents read the
/// same. Annotations, state, severity and times are no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// The fingerprint of `alert` under `options`: [`volatile_labels`](CorrelatorOptions::volatile_labels) are left out, and
    /// a pod is known by its workload. O(bytes of the labels).
    ///
    /// ```
    /// use aiops_core::model::{Alert, EntityId, Severity};
    /// use aiops_detect::correlate::{CorrelatorOptions, Fingerprint};
    /// let mut alert = Alert::new("HighLatency", EntityId::service("cart"), "2026-01-01T00:00:00Z".parse()?, Severity::Warning);
    /// alert.labels.insert("route", "/add");
    /// alert.labels.insert("pod", "cart-7d9f8b6c5d-x2x7k");
    /// let options = CorrelatorOptions::default();
    /// let first = Fingerprint::of(&alert, &options);
    /// alert.labels.insert("pod", "cart-7d9f8b6c5d-zzzzz");
    /// assert_eq!(Fingerprint::of(&alert, &options), first);
    /// alert.labels.insert("route", "/remove");
    /// assert_ne!(Fingerprint::of(&alert, &options), first);
    /// # Ok::<(), aiops_core::jiff::Error>(())
    /// ```
    #[must_use]
    pub fn of(alert: &Alert, options: &CorrelatorOptions) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(alert.name.as_bytes());
        part(alert.entity.kind().as_str().as_bytes());
        part(name_of(&alert.entity, options).as_bytes());
        for (label, value) in alert.labels.iter() {
            if !options.volatile_labels.contains(label) && !label.starts_with("__") {
                part(label.as_bytes());
                part(value.as_bytes());
            }
        }
        let bytes: [u8; 16] = hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default();
        Self(u128::from_le_bytes(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(Self).ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "a fingerprint is 32 hexadecimal digits").with("text", text)
        })
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Name of an entity without what differs between its copies.
pub(super) fn name_of<'a>(entity: &'a EntityId, options: &CorrelatorOptions) -> &'a str {
    match entity.kind() {
        EntityKind::Pod if options.strip_pod_suffix => workload(entity.name()),
        _ => entity.name(),
    }
}

/// The workload of a Kubernetes pod by its name: without `-<replica set hash>-<suffix>`, or without `-<suffix>` or
/// `-<ordinal>` alone. Kubernetes writes hashes and suffixes in an alphabet without vowels
/// (`k8s.io/apimachinery/pkg/util/rand`: `bcdfghjklmnpqrstvwxz2456789`), so few words look like one; alone, a suffix must hold
/// a digit.
///
/// ```
/// use aiops_detect::correlate::workload;
/// assert_eq!(workload("checkout-7d9f8b6c5d-x2x7k"), "checkout");
/// assert_eq!(workload("node-exporter-4kq9z"), "node-exporter");
/// assert_eq!(workload("kafka-2"), "kafka");
/// assert_eq!(workload("payment-proxy"), "payment-proxy");
/// ```
#[must_use]
pub fn workload(pod: &str) -> &str {
    let coded = |text: &str| text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b));
    let digit = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    let Some((head, last)) = pod.rsplit_once('-').filter(|(head, _)| !head.is_empty()) else { return pod };
    if !last.is_empty() && last.len() <= 4 && last.bytes().all(|b| b.is_ascii_digit()) {
        return head;
    }
    if last.len() != 5 || !coded(last) {
        return pod;
    }
    match head.rsplit_once('-') {
        Some((name, hash)) if !name.is_empty() && (6..=10).contains(&hash.len()) && coded(hash) => name,
        _ if digit(last) => head,
        _ => pod,
    }
}
