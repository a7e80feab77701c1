use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, Labels, SeriesKey, Severity, Signal, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{Counted, check_names, lines, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;

/// A setting that opens what should be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostureRule {
    /// Attribute that holds the setting.
    pub setting: String,
    /// Values that are unsafe, whatever their case.
    pub values: Vec<String>,
    /// A further attribute and the values it must have, for settings that are unsafe only with it.
    #[serde(default)]
    pub only: Option<(String, Vec<String>)>,
    /// The weakness, by its number in the Common Weakness Enumeration.
    pub weakness: String,
    /// Whether it is open to everybody.
    pub critical: bool,
}

/// Which settings are unsafe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostureOptions {
    /// The rules.
    pub rules: Vec<PostureRule>,
    /// Attributes that name what exempts a setting; one that has any value is not told.
    pub exception: Vec<String>,
}

fn rule(setting: &str, values: &[&str], weakness: &str, critical: bool) -> PostureRule {
    PostureRule {
        setting: setting.to_owned(),
        values: names(values),
        only: None,
        weakness: weakness.to_owned(),
        critical,
    }
}

impl Default for PostureOptions {
    fn default() -> Self {
        let off = ["false", "off", "disabled", "0"];
        let on = ["true", "on", "enabled", "1"];
        let everybody = ["0.0.0.0/0", "::/0", "*"];
        let managing = ["22", "3389", "2375", "2379", "5432", "3306", "6379", "9200", "10250", "27017"];
        let ingress = PostureRule {
            only: Some(("network.ingress.port".to_owned(), names(&managing))),
            ..rule("network.ingress.cidr", &everybody, "CWE-284", true)
        };
        Self {
            rules: vec![
                ingress,
                rule(
                    "storage.acl",
                    &["public-read", "public-read-write", "authenticated-read"],
                    "CWE-732",
                    true,
                ),
                rule("storage.public_access_block", &off, "CWE-732", true),
                rule("storage.encryption", &["none", "false", "disabled"], "CWE-311", false),
                rule("auth.anonymous", &on, "CWE-306", true),
                rule("auth.mfa_required", &off, "CWE-308", false),
                rule("iam.policy.action", &["*", "*:*"], "CWE-250", true),
                rule("tls.verify", &off, "CWE-295", false),
                rule(
                    "tls.min_version",
                    &["ssl3", "sslv3", "tls1.0", "tlsv1", "1.0", "tls1.1", "tlsv1.1", "1.1"],
                    "CWE-327",
                    false,
                ),
                rule("audit.logging", &off, "CWE-778", false),
                rule("container.privileged", &on, "CWE-250", true),
                rule("container.host_network", &on, "CWE-653", false),
            ],
            exception: names(&["policy.exception", "waiver.id"]),
        }
    }
}

impl Options for PostureOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        if self.rules.is_empty() {
            return Err(ConfigError::new("rules", "[]", "at least one rule"));
        }
        for rule in &self.rules {
            check_names("rules.setting", std::slice::from_ref(&rule.setting))?;
            check_names("rules.values", &rule.values)?;
            check_names("rules.weakness", std::slice::from_ref(&rule.weakness))?;
            if let Some((attribute, values)) = &rule.only {
                check_names("rules.only", std::slice::from_ref(attribute))?;
                check_names("rules.only", values)?;
            }
        }
        check_names("exception", &self.exception)
    }
}

/// A setting that leaves open what should be closed, as changes and the lines of configuration audits tell it: public storage,
/// management ports open to the world, privileged containers, checks turned off. What counts is the last value told; one
/// that was set back is none. Each rule names its weakness (MITRE, *Common Weakness Enumeration*).
///
/// *Needs* changes or lines whose attributes hold settings under the names of the rules.
/// *Is none:* a port that is for everybody, a setting with a documented exception, one put right inside the window.
/// *Does not see* what no audit tells, nor that safe settings together are unsafe.
#[derive(Debug, Clone, Copy)]
pub struct Posture;

/// [`Posture`] behind its seam.
pub type PostureDetector = UseCaseDetector<Posture>;

fn is_among(value: &str, values: &[String]) -> bool {
    values.iter().any(|v| value.trim().eq_ignore_ascii_case(v))
}

fn is_unsafe(options: &PostureOptions, rule: &PostureRule, value: &str, attributes: &Labels) -> bool {
    let with = rule.only.as_ref().is_none_or(|(attribute, values)| {
        attributes.get(attribute).is_some_and(|value| is_among(value, values))
    });
    let exempt = options.exception.iter().any(|e| attributes.get(e).is_some_and(|id| !id.is_empty()));
    is_among(value, &rule.values) && with && !exempt
}

/// What was told of one setting.
#[derive(Debug, Clone, Copy)]
struct Told<'w> {
    at: Timestamp,
    value: &'w str,
    bad: bool,
    signal: Signal,
    source: &'w str,
}

impl UseCase for Posture {
    const ID: &'static str = "posture-misconfiguration";

    type Options = PostureOptions;

    fn look(options: &PostureOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let changes = window.changes.iter().filter(|c| c.time < window.range.end());
        let changed = changes.map(|c| (c.time, &c.entity, &c.attributes, Signal::Changes, c.id.0.as_str()));
        let audited = lines(window).into_iter().map(|l| (l.time, &l.entity, &l.attributes, Signal::Logs, ""));
        // A setting with a condition is one for each value of what it depends on: port 443 says nothing of port 22.
        let mut settings: BTreeMap<(&EntityId, usize, &str), Vec<Told<'_>>> = BTreeMap::new();
        for (at, entity, attributes, signal, source) in changed.chain(audited) {
            for (number, rule) in options.rules.iter().enumerate() {
                let Some(value) = attributes.get(&rule.setting) else { continue };
                let of =
                    rule.only.as_ref().and_then(|(attribute, _)| attributes.get(attribute)).unwrap_or("");
                let bad = is_unsafe(options, rule, value, attributes);
                let told = Told { at, value, bad, signal, source };
                settings.entry((entity, number, of)).or_default().push(told);
            }
        }
        let mut found = Vec::new();
        for ((entity, number, of), mut told) in settings {
            let Some(rule) = options.rules.get(number) else { continue };
            // Of what is told at one instant, the unsafe one counts.
            told.sort_by(|a, b| (a.at, a.bad, a.value).cmp(&(b.at, b.bad, b.value)));
            let Some(last) = told.last().copied().filter(|last| last.bad) else { continue };
            let run = told.rsplit(|t| !t.bad).next().unwrap_or_default();
            let since = run.first().copied().unwrap_or(last);
            let was =
                told.iter().rfind(|t| !t.bad).map_or_else(String::new, |t| format!(", and was {}", t.value));
            let by = if since.source.is_empty() { String::new() } else { format!(" since {}", since.source) };
            let on = if of.is_empty() { String::new() } else { format!(" on {of}") };
            let mut series = SeriesKey::new("config.unsafe").with("setting", &rule.setting);
            if !of.is_empty() {
                series = series.with("with", of);
            }
            let counted = Counted {
                entity,
                series,
                times: (since.at, last.at),
                count: 1.0,
                usual: 0.0,
                samples: told.len(),
                severity: if rule.critical { Severity::Critical } else { Severity::Warning },
                signal: last.signal,
                evidence: format!(
                    "{} of {} is {}{on}{by}{was} ({})",
                    rule.setting,
                    entity.name(),
                    last.value,
                    rule.weakness
                ),
            };
            found.push(counted.symptom(window));
        }
        found
    }
}
