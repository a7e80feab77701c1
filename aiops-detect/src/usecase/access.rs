use std::collections::BTreeMap;
use std::time::Duration;

use aiops_compact::ConfigError;
use aiops_core::model::{EntityId, LogRecord, SeriesKey, Severity, Signal, TelemetryWindow, time};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{Counted, attribute, check_names, lines, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};

/// When access is suspicious.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuspiciousAccessOptions {
    /// Attributes of lines that name who asks.
    pub principal: Vec<String>,
    /// Attributes that name where from.
    pub source: Vec<String>,
    /// Attributes that hold the outcome.
    pub outcome: Vec<String>,
    /// Attributes that name what was asked for; lines without are attempts to log in.
    pub resource: Vec<String>,
    /// Outcomes that are a refusal.
    pub refused: Vec<String>,
    /// Outcomes that are a grant.
    pub granted: Vec<String>,
    /// Time within which attempts belong together. Default 10 min.
    #[serde(with = "aiops_core::model::duration")]
    pub within: Duration,
    /// Refused attempts of one source on one principal that are guessing, 5 to 10⁶. Default 10.
    pub guesses: usize,
    /// Principals one source was refused as that are spraying, 3 to 10⁶. Default 8.
    pub sprayed: usize,
    /// Resources one principal was refused at that are a search for open doors, 3 to 10⁶. Default 10.
    pub doors: usize,
    /// Largest share of all sources that are refused, 0 to 1: when more are, the door is broken, not the guest. Looked at
    /// from 10 sources on. Default 0.5.
    pub outage: f64,
}

impl Default for SuspiciousAccessOptions {
    fn default() -> Self {
        Self {
            principal: names(&["user.id", "user.name", "enduser.id"]),
            source: names(&["client.address", "source.address", "source.ip"]),
            outcome: names(&["event.outcome", "auth.outcome"]),
            resource: names(&["url.path", "resource.name", "rpc.method"]),
            refused: names(&["failure", "failed", "denied", "unauthorized", "forbidden"]),
            granted: names(&["success", "granted", "allowed"]),
            within: Duration::from_secs(600),
            guesses: 10,
            sprayed: 8,
            doors: 10,
            outage: 0.5,
        }
    }
}

impl Options for SuspiciousAccessOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        let lists = [
            ("principal", &self.principal),
            ("source", &self.source),
            ("outcome", &self.outcome),
            ("resource", &self.resource),
            ("refused", &self.refused),
            ("granted", &self.granted),
        ];
        lists.into_iter().try_for_each(|(field, list)| check_names(field, list))?;
        if self.within.is_zero() {
            return Err(ConfigError::new("within", "0s", "more than 0"));
        }
        check_count("guesses", self.guesses, 5..=1_000_000, "5 to 1000000 attempts")?;
        check_count("sprayed", self.sprayed, 3..=1_000_000, "3 to 1000000 principals")?;
        check_count("doors", self.doors, 3..=1_000_000, "3 to 1000000 resources")?;
        check("outage", self.outage, 0.0..=1.0, "0 to 1")
    }
}

/// Three patterns of MITRE ATT&CK in audit lines: guessing one password (T1110.001; critical when it is followed by a
/// grant), spraying one over many accounts (T1110.003), and trying door after door (T1526, T1083).
///
/// Somebody who mistypes a few times is none, nor are many sources refused at once: that is an outage of who grants.
#[derive(Debug, Clone, Copy)]
pub struct SuspiciousAccess;

/// [`SuspiciousAccess`] behind its seam.
pub type SuspiciousAccessDetector = UseCaseDetector<SuspiciousAccess>;

struct Attempt<'l> {
    line: &'l LogRecord,
    principal: &'l str,
    source: &'l str,
    resource: Option<&'l str>,
    refused: bool,
}

/// The stretch of at most `within` with the most distinct keys: how many, and from when to when. `attempts` in order of time.
fn densest<'l>(
    attempts: &[&Attempt<'l>],
    within: Duration,
    key: impl Fn(&Attempt<'l>) -> Option<&'l str>,
) -> Option<(usize, Timestamp, Timestamp)> {
    let mut inside: BTreeMap<&str, usize> = BTreeMap::new();
    let mut from = attempts.iter();
    let mut best: Option<(usize, Timestamp, Timestamp)> = None;
    let mut first = from.clone().next().copied();
    for attempt in attempts {
        if let Some(key) = key(attempt) {
            *inside.entry(key).or_default() += 1;
        }
        while let Some(oldest) = first.filter(|f| time::elapsed(f.line.time, attempt.line.time) > within) {
            if let Some(key) = key(oldest)
                && let Some(count) = inside.get_mut(key)
            {
                *count -= 1;
                if *count == 0 {
                    inside.remove(key);
                }
            }
            from.next();
            first = from.clone().next().copied();
        }
        if best.is_none_or(|(most, ..)| inside.len() > most) {
            best = Some((inside.len(), first.map_or(attempt.line.time, |f| f.line.time), attempt.line.time));
        }
    }
    best
}

/// Whether so many sources were refused that it is no guest's doing.
fn is_outage(options: &SuspiciousAccessOptions, attempts: &[Attempt<'_>]) -> bool {
    let mut sources: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for attempt in attempts {
        let counts = sources.entry(attempt.source).or_default();
        *if attempt.refused { &mut counts.0 } else { &mut counts.1 } += 1;
    }
    let refused = sources.values().filter(|(refused, granted)| refused > granted).count();
    sources.len() >= 10 && refused as f64 > options.outage * sources.len() as f64
}

impl UseCase for SuspiciousAccess {
    const ID: &'static str = "suspicious-access";

    type Options = SuspiciousAccessOptions;

    fn look(options: &SuspiciousAccessOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let attempts: Vec<Attempt<'_>> = lines(window)
            .into_iter()
            .filter_map(|line| {
                let outcome = attribute(line, &options.outcome)?;
                let is = |list: &[String]| list.iter().any(|word| outcome.eq_ignore_ascii_case(word));
                let refused = is(&options.refused);
                (refused != is(&options.granted)).then_some(())?;
                let principal = attribute(line, &options.principal)?;
                let source = attribute(line, &options.source)?;
                let resource = attribute(line, &options.resource);
                Some(Attempt { line, principal, source, resource, refused })
            })
            .collect();
        if is_outage(options, &attempts) {
            return Vec::new();
        }
        let mut found = guessing(options, &attempts, window);
        found.extend(spraying(options, &attempts, window));
        found.extend(searching(options, &attempts, window));
        found
    }
}

fn guessing(
    options: &SuspiciousAccessOptions,
    attempts: &[Attempt<'_>],
    window: &TelemetryWindow,
) -> Vec<Symptom> {
    let mut pairs: BTreeMap<(&EntityId, &str, &str), Vec<&Attempt<'_>>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|a| a.resource.is_none()) {
        pairs.entry((&attempt.line.entity, attempt.source, attempt.principal)).or_default().push(attempt);
    }
    let one = |((entity, source, principal), tries): ((&EntityId, &str, &str), Vec<&Attempt<'_>>)| {
        let refused: Vec<&Attempt<'_>> = tries.iter().copied().filter(|a| a.refused).collect();
        // Every attempt counts: the stretch with the most of them.
        let runs = refused.iter().enumerate().map(|(i, first)| {
            let until = time::after(first.line.time, options.within);
            let later = refused.iter().skip(i).take_while(|a| a.line.time <= until);
            (later.clone().count(), first.line.time, later.last().map_or(first.line.time, |a| a.line.time))
        });
        let (count, from, to) = runs.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))?;
        if count < options.guesses {
            return None;
        }
        let until = time::after(to, options.within);
        let inside = tries.iter().find(|a| !a.refused && a.line.time >= to && a.line.time <= until);
        let counted = Counted {
            entity,
            series: SeriesKey::new("auth.guesses").with("client.address", source).with("user.id", principal),
            times: (from, inside.map_or(to, |a| a.line.time)),
            count: count as f64,
            usual: options.guesses as f64 / 4.0,
            samples: tries.len(),
            severity: if inside.is_some() { Severity::Critical } else { Severity::Warning },
            signal: Signal::Logs,
            evidence: format!(
                "{source} was refused {count} times as {principal}{}",
                if inside.is_some() { " and then let in" } else { "" }
            ),
        };
        Some(counted.symptom(window))
    };
    pairs.into_iter().filter_map(one).collect()
}

fn spraying(
    options: &SuspiciousAccessOptions,
    attempts: &[Attempt<'_>],
    window: &TelemetryWindow,
) -> Vec<Symptom> {
    let mut sources: BTreeMap<(&EntityId, &str), Vec<&Attempt<'_>>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|a| a.refused && a.resource.is_none()) {
        sources.entry((&attempt.line.entity, attempt.source)).or_default().push(attempt);
    }
    let one = |((entity, source), tries): ((&EntityId, &str), Vec<&Attempt<'_>>)| {
        let (count, from, to) = densest(&tries, options.within, |a| Some(a.principal))?;
        (count >= options.sprayed).then(|| {
            let granted = attempts.iter().any(|a| !a.refused && a.source == source && a.line.time >= from);
            let counted = Counted {
                entity,
                series: SeriesKey::new("auth.sprayed_accounts").with("client.address", source),
                times: (from, to),
                count: count as f64,
                usual: options.sprayed as f64 / 4.0,
                samples: tries.len(),
                severity: if granted { Severity::Critical } else { Severity::Warning },
                signal: Signal::Logs,
                evidence: format!("{source} was refused as {count} different principals"),
            };
            counted.symptom(window)
        })
    };
    sources.into_iter().filter_map(one).collect()
}

fn searching(
    options: &SuspiciousAccessOptions,
    attempts: &[Attempt<'_>],
    window: &TelemetryWindow,
) -> Vec<Symptom> {
    let mut principals: BTreeMap<(&EntityId, &str), Vec<&Attempt<'_>>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|a| a.refused && a.resource.is_some()) {
        principals.entry((&attempt.line.entity, attempt.principal)).or_default().push(attempt);
    }
    let one = |((entity, principal), tries): ((&EntityId, &str), Vec<&Attempt<'_>>)| {
        let (count, from, to) = densest(&tries, options.within, |a| a.resource)?;
        (count >= options.doors).then(|| {
            let counted = Counted {
                entity,
                series: SeriesKey::new("auth.refused_resources").with("user.id", principal),
                times: (from, to),
                count: count as f64,
                usual: options.doors as f64 / 4.0,
                samples: tries.len(),
                severity: Severity::Warning,
                signal: Signal::Logs,
                evidence: format!("{principal} was refused at {count} different resources"),
            };
            counted.symptom(window)
        })
    };
    principals.into_iter().filter_map(one).collect()
}
