use std::collections::BTreeMap;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, EntityId, EntityKind, Labels, Severity};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::config::{IntakeConfig, IntakeOptions};

/// Label that holds the name of the rule.
const NAME: &str = "alertname";

/// Labels whose value may be an exporter instead of what the alert is about.
const REPORTERS: [&str; 5] = ["service", "app", "job", "app_kubernetes_io_name", "service_name"];

/// Why a body could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// It is longer than allowed.
    #[error("a body of {bytes} bytes where at most {allowed} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        allowed: usize,
    },
    /// It is not JSON of the expected form.
    #[error("not what Alertmanager sends")]
    Malformed(#[source] serde_json::Error),
    /// A version of the webhook that is not known.
    #[error("version {version:?} of Alertmanager's webhook is not known; 4 is")]
    Version {
        /// What it says.
        version: String,
    },
}

/// Why one alert of a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// It is not of the expected form.
    #[error("not an alert: {0}")]
    Malformed(String),
    /// It has no name.
    #[error("no label alertname")]
    NoName,
    /// It does not say when it began.
    #[error("startsAt is no time: {0:?}")]
    NoStart(String),
    /// It is neither firing nor resolved.
    #[error("unknown status {0:?}")]
    Status(String),
    /// The body has more alerts than allowed.
    #[error("more alerts than allowed")]
    TooMany,
}

/// An alert that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the body, from 0; of [`RejectReason::TooMany`] the first that was one too many.
    pub index: usize,
    /// Why.
    pub reason: RejectReason,
}

/// The alerts of one body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertBatch {
    /// Alerts in the order of the body.
    pub alerts: Vec<Alert>,
    /// What could not be read; it does not keep the rest from being read.
    pub rejected: Vec<Rejected>,
    /// Alerts that Alertmanager left out itself (`truncatedAlerts`).
    pub truncated: u64,
    /// Alerts that a silence or an inhibition holds back, or that Alertmanager has not judged yet; they are not in `alerts`.
    pub suppressed: u64,
    /// Name of the receiver, where it is told.
    pub receiver: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(default)]
    receiver: Option<String>,
    alerts: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    #[serde(default)]
    status: Status,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

/// A word in the webhook, an object in the API.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Status {
    #[default]
    None,
    Word(String),
    Object {
        state: String,
        #[serde(default, rename = "silencedBy")]
        _silenced_by: IgnoredAny,
    },
}

/// Reads what Alertmanager sends. // ING-03
///
/// Webhook version 4 (Prometheus documentation, "Alerting: configuration", `<webhook_config>`) and the answer of
/// `GET /api/v2/alerts`. Fields that are not known are ignored: later versions of the same format add some.
///
/// ```
/// use aiops_detect::intake::AlertmanagerIntake;
/// let body = br#"{"version": "4", "status": "firing", "alerts": [{
///     "status": "firing",
///     "labels": {"alertname": "HighLatency", "service": "checkout", "severity": "page"},
///     "annotations": {"summary": "p99 above 2 s"},
///     "startsAt": "2026-01-01T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z"
/// }]}"#;
/// let batch = AlertmanagerIntake::default().webhook(body)?;
/// assert_eq!(batch.alerts[0].entity.to_string(), "service/checkout");
/// assert_eq!(batch.alerts[0].severity, aiops_core::model::Severity::Critical);
/// # Ok::<(), aiops_detect::intake::IntakeError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertmanagerIntake {
    config: IntakeConfig,
}

impl AlertmanagerIntake {
    /// Reads under `config`.
    #[must_use]
    pub fn new(config: IntakeConfig) -> Self {
        Self { config }
    }

    /// Reads the body of a webhook.
    ///
    /// # Errors
    /// [`IntakeError`] when the body as a whole cannot be read; a single alert that cannot is [`Rejected`].
    pub fn webhook(&self, body: &[u8]) -> Result<AlertBatch, IntakeError> {
        self.check(body)?;
        let webhook: Webhook = serde_json::from_slice(body).map_err(IntakeError::Malformed)?;
        if let Some(version) = webhook.version.filter(|version| version != "4") {
            return Err(IntakeError::Version { version });
        }
        let mut batch = self.read(webhook.alerts);
        batch.truncated = webhook.truncated_alerts;
        batch.receiver = webhook.receiver;
        Ok(batch)
    }

    /// Reads the answer of `GET /api/v2/alerts`. Those that a silence or inhibition holds back are counted, not handed on.
    ///
    /// # Errors
    /// As [`webhook`](Self::webhook).
    pub fn api(&self, body: &[u8]) -> Result<AlertBatch, IntakeError> {
        self.check(body)?;
        let alerts = serde_json::from_slice(body).map_err(IntakeError::Malformed)?;
        Ok(self.read(alerts))
    }

    fn check(&self, body: &[u8]) -> Result<(), IntakeError> {
        let (bytes, allowed) = (body.len(), self.config.options().max_bytes);
        if bytes > allowed { Err(IntakeError::TooLong { bytes, allowed }) } else { Ok(()) }
    }

    fn read(&self, alerts: Vec<serde_json::Value>) -> AlertBatch {
        let options = self.config.options();
        let mut batch = AlertBatch::default();
        for (index, value) in alerts.into_iter().enumerate() {
            if index >= options.max_alerts {
                batch.rejected.push(Rejected { index, reason: RejectReason::TooMany });
                break;
            }
            match alert(value, options) {
                Ok(Some(alert)) => batch.alerts.push(alert),
                Ok(None) => batch.suppressed += 1,
                Err(reason) => batch.rejected.push(Rejected { index, reason }),
            }
        }
        batch
    }
}

/// One alert; none where Alertmanager holds it back.
fn alert(value: serde_json::Value, options: &IntakeOptions) -> Result<Option<Alert>, RejectReason> {
    let sent: Sent = serde_json::from_value(value).map_err(|e| RejectReason::Malformed(e.to_string()))?;
    let state = match &sent.status {
        Status::Word(word) => match word.as_str() {
            "firing" => AlertState::Firing,
            "resolved" => AlertState::Resolved,
            other => return Err(RejectReason::Status(other.to_owned())),
        },
        Status::Object { state, .. } => match state.as_str() {
            "active" => AlertState::Firing,
            "suppressed" | "unprocessed" => return Ok(None),
            other => return Err(RejectReason::Status(other.to_owned())),
        },
        // Without a status, what ended has an end that is not before its start (Alertmanager's zero time is).
        Status::None => match (time(sent.starts_at.as_deref()), time(sent.ends_at.as_deref())) {
            (Some(start), Some(end)) if end > start => AlertState::Resolved,
            _ => AlertState::Firing,
        },
    };
    let name = sent.labels.get(NAME).filter(|name| !name.is_empty()).ok_or(RejectReason::NoName)?;
    let start = sent.starts_at.as_deref();
    let started_at =
        time(start).ok_or_else(|| RejectReason::NoStart(start.unwrap_or_default().to_owned()))?;
    let mut alert =
        Alert::new(name, entity(&sent.labels, options), started_at, severity(&sent.labels, options));
    alert.state = state;
    alert.labels = sent.labels.into_iter().filter(|(label, _)| label != NAME).collect::<Labels>();
    alert.annotations = sent.annotations.into_iter().collect();
    if let Some(url) = sent.generator_url.filter(|url| !url.is_empty()) {
        alert.annotations.insert("generatorURL", url);
    }
    Ok(Some(alert))
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

fn severity(labels: &BTreeMap<String, String>, options: &IntakeOptions) -> Severity {
    let word =
        labels.get("severity").or_else(|| labels.get("priority")).map(|word| word.trim().to_lowercase());
    word.and_then(|word| options.severities.get(&word).copied()).unwrap_or(options.default_severity)
}

/// What an alert is about; where no label tells, something outside named after its rule.
fn entity(labels: &BTreeMap<String, String>, options: &IntakeOptions) -> EntityId {
    let reports = |label: &str, value: &str| {
        REPORTERS.contains(&label)
            && options.exporters.iter().any(|exporter| value.contains(exporter.as_str()))
    };
    let named = options.entities.iter().find_map(|rule| {
        let value = labels.get(&rule.label).filter(|value| !value.is_empty())?;
        (!reports(&rule.label, value)).then_some((rule.kind, value.as_str()))
    });
    match named {
        Some((EntityKind::Host, value)) => EntityId::new(EntityKind::Host, host(value)),
        Some((kind, value)) => EntityId::new(kind, value),
        None => EntityId::new(EntityKind::External, labels.get(NAME).map_or("", String::as_str)),
    }
}

/// A host without its port: `10.0.0.1:9100`, `[::1]:9100`, `db-1:9187`, `https://db-1/health`.
fn host(instance: &str) -> &str {
    let instance = instance.split_once("://").map_or(instance, |(_, rest)| rest);
    let instance = instance.split('/').next().unwrap_or(instance);
    if let Some((address, _)) = instance.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match instance.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address.
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => instance,
    }
}
