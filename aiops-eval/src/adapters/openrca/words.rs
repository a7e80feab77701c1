//! In whose words an answer is given: what the pipeline found, matched against the reasons a set allows. One rule for all sets.

use std::collections::BTreeMap;
use std::path::Path;

use aiops_core::model::{EntityKind, Hypothesis, mechanism};
use aiops_rca::{FindingKind, FusedSuspect};
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// Answers that a set allows; the benchmark states them in its prompts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidates {
    /// Reasons, in its words. Without any, the pipeline's own words are answered.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Components. Without any, everybody may be answered.
    #[serde(default)]
    pub components: Vec<String>,
}

impl Candidates {
    /// Those of `candidates.json` in `folder`; none where it is not there.
    ///
    /// # Errors
    /// [`EvalError::Read`], [`EvalError::ConfigFile`].
    pub fn of(folder: &Path) -> Result<Self, EvalError> {
        let path = folder.join("candidates.json");
        match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| EvalError::ConfigFile { path, source })
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(EvalError::Read { path, source }),
        }
    }

    /// Whether `component` may be answered.
    #[must_use]
    pub fn allows(&self, component: &str) -> bool {
        self.components.is_empty() || self.components.iter().any(|c| c.trim() == component)
    }

    /// The reason that shares most with what was found, of several the one that says most, of those the first; the pipeline's own word
    /// without candidates, nothing where none has anything in common with it.
    #[must_use]
    pub fn reason(&self, cause: Option<&Hypothesis>, suspect: Option<&FusedSuspect>) -> String {
        let fault = cause.map(|c| c.fault).or(suspect.map(|s| s.fault));
        let own = fault.map(|f| f.to_string()).unwrap_or_default();
        if self.reasons.is_empty() || self.reasons.contains(&own) {
            return own;
        }
        let found = evidence(&own, cause, suspect);
        let mut best: Option<(&String, (f64, usize))> = None;
        for reason in &self.reasons {
            let ideas = ideas(reason);
            let sum: f64 = ideas.iter().map(|idea| found.get(idea).copied().unwrap_or(0.0)).sum();
            let share = sum / ideas.len().max(1) as f64;
            // Of two that are met alike, the one that says more.
            if (share, ideas.len()) > best.map_or((0.0, 0), |b| b.1) && share > 0.0 {
                best = Some((reason, (share, ideas.len())));
            }
        }
        // Blanks around a reason are the prompt's, not the label's.
        best.map(|b| b.0.trim().to_owned()).unwrap_or_default()
    }
}

/// Words of one idea, by what stands for it.
const IDEAS: [(&str, &[&str]); 20] = [
    ("cpu", &["cpu", "processor"]),
    ("memory", &["memory", "mem", "heap", "oom", "swap"]),
    ("jvm", &["jvm", "java", "gc"]),
    ("network", &["network", "net", "tcp", "packet", "packets"]),
    ("delay", &["latency", "delay", "slow", "slower", "slowness", "longer", "duration"]),
    ("loss", &["loss", "lost", "drop", "dropped", "drops"]),
    ("retransmission", &["retransmission", "retransmit", "retransmits", "retrans"]),
    ("corruption", &["corruption", "corrupt", "corrupted", "checksum"]),
    ("disk", &["disk", "filesystem", "fs", "volume", "storage"]),
    ("read", &["read", "reads"]),
    ("write", &["write", "writes", "written"]),
    ("space", &["space", "avail", "available", "capacity", "full"]),
    ("process", &["process", "restarted", "restarts", "ready"]),
    ("end", &["termination", "terminated", "exit", "exited", "close", "closed", "crash", "killed", "anew"]),
    ("connection", &["connection", "connections", "session", "sessions", "conn"]),
    ("limit", &["limit", "exhausted", "pool", "fuller", "max"]),
    ("code", &["code", "image", "deployment"]),
    ("configuration", &["configuration", "config", "setting"]),
    ("node", &["node", "host", "machine"]),
    ("container", &["container", "pod", "docker", "instance"]),
];

/// The ideas of a text, each once.
fn ideas(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).flat_map(parts) {
        for (idea, words) in IDEAS {
            if words.contains(&word.as_str()) && !found.contains(&idea) {
                found.push(idea);
            }
        }
    }
    found
}

/// The words of a `CamelCase` name, in small letters, and the whole.
fn parts(name: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if c.is_uppercase() && small {
            all.push(String::new());
        }
        small = c.is_lowercase();
        if let Some(last) = all.last_mut() {
            last.extend(c.to_lowercase());
        }
    }
    if all.len() > 1 {
        all.push(name.to_lowercase());
    }
    all
}

/// What a kind of finding is about.
fn about(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Cpu => "cpu",
        FindingKind::Memory => "memory",
        FindingKind::NetworkCounters => "network",
        FindingKind::Latency | FindingKind::SelfTime => "delay",
        FindingKind::CallTime => "network delay",
        FindingKind::Liveness => "process termination",
        FindingKind::Saturation => "limit",
        _ => "",
    }
}

/// Weight of every idea in what was found: that of its strongest finding, 1 for what the diagnosis says in words of its own, and as much
/// as the weightiest for the kind of component.
fn evidence(
    own: &str,
    cause: Option<&Hypothesis>,
    suspect: Option<&FusedSuspect>,
) -> BTreeMap<&'static str, f64> {
    let mut found = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for idea in ideas(text) {
            let known = found.entry(idea).or_insert(0.0_f64);
            *known = known.max(weight);
        }
    };
    add(own, 1.0);
    if let Some(word) = cause.and_then(|c| c.mechanism.as_deref()) {
        add(if word == mechanism::CRASH_LOOP { "process termination" } else { word }, 1.0);
    }
    for finding in suspect.into_iter().flat_map(|s| &s.findings) {
        let weight = finding.strength * finding.own;
        if weight.is_finite() {
            add(about(finding.kind), weight);
            add(&finding.statement, weight);
        }
    }
    let most = found.values().copied().fold(0.0, f64::max);
    let entity = cause.map(|c| &c.system).or(suspect.map(|s| &s.entity));
    let (kind, other) = match entity.map(aiops_core::model::EntityId::kind) {
        Some(EntityKind::Node | EntityKind::Host) => ("node", "container"),
        _ => ("container", "node"),
    };
    found.remove(other);
    found.insert(kind, most);
    found
}

#[cfg(test)]
mod tests {
    use aiops_core::model::{Confidence, EntityId, FaultType};

    use super::*;

    #[test]
    fn names_of_metrics_mean_what_they_say() {
        for (text, meant) in [
            ("OSLinux-CPU_CPU_CPUCpuUtil", vec!["cpu"]),
            ("container_fs_writes_MB./dev/vda", vec!["container", "disk", "write"]),
            ("node network packet loss", vec!["node", "network", "loss"]),
            ("JVM Out of Memory (OOM) Heap", vec!["jvm", "memory"]),
            ("nothing", vec![]),
        ] {
            let mut found = ideas(text);
            let mut meant = meant;
            found.sort_unstable();
            meant.sort_unstable();
            assert_eq!(found, meant, "{text}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_mechanism_and_of_the_kind_of_component() {
        let market = Candidates {
            reasons: [
                "container CPU load",
                "container memory load ",
                "node memory consumption",
                "node CPU load",
            ]
            .map(ToOwned::to_owned)
            .to_vec(),
            components: vec![],
        };
        let cause = |system: EntityId| {
            let sure = Confidence::uncalibrated(0.5).unwrap();
            let mut cause =
                Hypothesis::new(system, FaultType::ResourceExhaustion, "it is full", sure, vec![]);
            cause.mechanism = Some(mechanism::MEMORY.to_owned());
            cause
        };
        let node = EntityId::new(EntityKind::Node, "node-1");
        assert_eq!(market.reason(Some(&cause(node)), None), "node memory consumption");
        assert_eq!(market.reason(Some(&cause(EntityId::service("ads"))), None), "container memory load");
        // Of two that are met alike, the one that says more.
        let mut jvm = cause(EntityId::service("ads"));
        jvm.mechanism = Some("JVM CPU".to_owned());
        let bank = Candidates {
            reasons: vec!["high CPU usage".to_owned(), "high JVM CPU load".to_owned()],
            components: vec![],
        };
        assert_eq!(bank.reason(Some(&jvm), None), "high JVM CPU load");
    }

    #[test]
    fn only_what_has_something_in_common_is_answered() {
        let bank = Candidates { reasons: vec!["high CPU usage".into()], components: vec![] };
        assert_eq!(bank.reason(None, None), "");
        assert_eq!(Candidates::default().reason(None, None), "");
    }
}
