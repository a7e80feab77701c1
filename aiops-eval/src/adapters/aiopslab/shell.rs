//! Command lines that an operator of a simulated system has.

use std::collections::BTreeMap;

use aiops_core::model::EntityKind;
use aiops_core::{Error, ErrorKind};

/// Everything runs here.
pub(super) const NAMESPACE: &str = "default";

/// A command line that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `kubectl get KIND [NAME]`; no kinds are all of them.
    Get { kinds: &'static [EntityKind], name: Option<String> },
    /// `kubectl logs deployment/NAME`.
    Logs { service: String },
    /// `kubectl rollout restart deployment/NAME`.
    Restart { target: String },
    /// `kubectl rollout undo deployment/NAME`.
    Undo { target: String },
    /// `kubectl scale deployment/NAME --replicas=N`.
    Scale { target: String, replicas: u32 },
    /// `kubectl cordon NAME`.
    Cordon { node: String },
    /// `kubectl drain NAME`.
    Drain { node: String },
}

/// Most copies that may be asked for.
const MOST_REPLICAS: u32 = 1000;
/// Options whose value is a word of its own.
const VALUED: [&str; 7] = ["-n", "--namespace", "-o", "--output", "--replicas", "--tail", "--since"];

impl Command {
    /// Reads a command line; options that change nothing here are passed over.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for another one, [`NotFound`](ErrorKind::NotFound) for another namespace.
    pub(super) fn parse(line: &str) -> aiops_core::Result<Self> {
        let unknown = || {
            let known = "known: kubectl get, logs, rollout restart, rollout undo, scale, cordon, drain";
            Error::new(ErrorKind::Unsupported, format!("no such command here; {known}")).with("command", line)
        };
        // No shell: what would join commands, redirect or substitute is part of no name.
        if line.contains(['|', ';', '&', '>', '<', '$', '`']) {
            return Err(unknown());
        }
        let (words, options) = parts(line);
        check_namespace(["-n", "--namespace"].into_iter().find_map(|o| options.get(o)).copied())?;
        let one = |words: &[&str]| match words {
            [one] => Some(one.rsplit('/').next().unwrap_or(one).to_owned()),
            [_kind, name] => Some((*name).to_owned()),
            _ => None,
        };
        let ["kubectl", rest @ ..] = words.as_slice() else { return Err(unknown()) };
        let command = match rest {
            ["get", what] | ["get", what, _] => {
                let (what, named) = what.split_once('/').map_or((*what, None), |(k, n)| (k, Some(n)));
                let name = named.or(rest.get(2).copied()).map(ToOwned::to_owned);
                kinds(what).map(|kinds| Self::Get { kinds, name })
            }
            ["logs", target @ ..] => one(target).map(|service| Self::Logs { service }),
            ["rollout", "restart", target @ ..] => one(target).map(|target| Self::Restart { target }),
            ["rollout", "undo", target @ ..] => one(target).map(|target| Self::Undo { target }),
            ["scale", target @ ..] => {
                let replicas = options.get("--replicas").and_then(|n| n.parse().ok());
                let replicas = replicas.filter(|n| *n <= MOST_REPLICAS);
                one(target).zip(replicas).map(|(target, replicas)| Self::Scale { target, replicas })
            }
            ["cordon", target @ ..] => one(target).map(|node| Self::Cordon { node }),
            ["drain", target @ ..] => one(target).map(|node| Self::Drain { node }),
            _ => None,
        };
        command.ok_or_else(unknown)
    }
}

/// Whether `namespace`, when one is given, is where everything runs.
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound).
pub(super) fn check_namespace(namespace: Option<&str>) -> aiops_core::Result<()> {
    match namespace {
        Some(other) if other != NAMESPACE => {
            Err(Error::new(ErrorKind::NotFound, format!("no such namespace; there is {NAMESPACE}"))
                .with("namespace", other))
        }
        _ => Ok(()),
    }
}

/// Words, and options with their values.
fn parts(line: &str) -> (Vec<&str>, BTreeMap<&str, &str>) {
    let (mut words, mut options) = (Vec::new(), BTreeMap::new());
    let mut all = line.split_whitespace();
    while let Some(word) = all.next() {
        if !word.starts_with('-') {
            words.push(word);
        } else if let Some((option, value)) = word.split_once('=') {
            options.insert(option, value);
        } else if VALUED.contains(&word) {
            options.insert(word, all.next().unwrap_or_default());
        }
    }
    (words, options)
}

/// What runs in pods.
const RUNS: [EntityKind; 4] = [EntityKind::Service, EntityKind::Database, EntityKind::Cache, EntityKind::Job];

/// Kinds that a word of `kubectl` means, none for all; nothing for an unknown word.
fn kinds(word: &str) -> Option<&'static [EntityKind]> {
    match word {
        "all" => Some(&[]),
        "nodes" | "node" | "no" => Some(&[EntityKind::Node]),
        "services" | "service" | "svc" | "deployments" | "deployment" | "deploy" | "pods" | "pod" | "po" => {
            Some(&RUNS)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read_as_people_write_them() {
        let name = || "front".to_owned();
        for (line, command) in [
            ("kubectl get all -A", Command::Get { kinds: &[], name: None }),
            ("kubectl -n default get nodes -o wide", Command::Get { kinds: &[EntityKind::Node], name: None }),
            ("kubectl get deployment front", Command::Get { kinds: &RUNS, name: Some(name()) }),
            ("kubectl get svc/front", Command::Get { kinds: &RUNS, name: Some(name()) }),
            ("kubectl logs deploy/front --tail 20", Command::Logs { service: name() }),
            ("kubectl rollout restart deployment/front", Command::Restart { target: name() }),
            ("kubectl rollout undo deployment front -n default", Command::Undo { target: name() }),
            ("kubectl scale --replicas 3 deploy/front", Command::Scale { target: name(), replicas: 3 }),
            ("kubectl scale deploy front --replicas=0", Command::Scale { target: name(), replicas: 0 }),
            ("kubectl drain front --ignore-daemonsets", Command::Drain { node: name() }),
            ("kubectl cordon front", Command::Cordon { node: name() }),
        ] {
            assert_eq!(Command::parse(line).unwrap(), command, "{line}");
        }
    }

    #[test]
    fn nothing_else_is_a_command() {
        for line in [
            "",
            "ls",
            "kubectl",
            "kubectl get",
            "kubectl get secrets",
            "kubectl delete deployment/front",
            "kubectl scale deployment/front",
            "kubectl scale deployment/front --replicas=-1",
            "kubectl scale deployment/front --replicas=1001",
            "kubectl rollout restart",
            "kubectl get pods | wc -l",
            "kubectl get pods; rm -rf /",
            "kubectl get $(id)",
        ] {
            assert_eq!(Command::parse(line).unwrap_err().kind(), ErrorKind::Unsupported, "{line}");
        }
        assert_eq!(
            Command::parse("kubectl get pods -n kube-system").unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
