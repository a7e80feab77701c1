use std::collections::{BTreeMap, BTreeSet};

use aiops_compact::ConfigError;
use aiops_core::model::{EntityKind, Severity};
use serde::{Deserialize, Serialize};

use crate::error::check_count;

/// A label that names what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityRule {
    /// Name of the label.
    pub label: String,
    /// What its value names.
    pub kind: EntityKind,
}

/// How labels are read.
///
/// Plain fields with documented defaults; [`IntakeConfig`] holds a checked set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeOptions {
    /// Labels that name what an alert is about; the first that is there, and is no exporter, decides. Default: OpenTelemetry's names
    /// and those of Prometheus' usual exporters, services before workloads before pods before machines.
    pub entities: Vec<EntityRule>,
    /// Programs that only report about others: a `service`, `job` or `app` whose name holds one of these is not what an
    /// alert is about. Default: the usual exporters.
    pub exporters: BTreeSet<String>,
    /// Values of the label `severity`, in small letters, and what they mean. Default: the usual words.
    pub severities: BTreeMap<String, Severity>,
    /// Severity of an alert that states none, or one that is not listed. Default warning.
    pub default_severity: Severity,
    /// Most bytes of a body, 1024 to 1 GiB. Default 16 MiB.
    pub max_bytes: usize,
    /// Most alerts of a body, 1 to 10 000 000. Default 100 000; what is beyond is counted as rejected.
    pub max_alerts: usize,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        use EntityKind::{Container, Database, Gpu, Host, Job, Node, Pod, Queue, Service, Volume};
        let rule = |(label, kind): (&str, EntityKind)| EntityRule { label: label.to_owned(), kind };
        let entities = [
            ("service.name", Service),
            ("service_name", Service),
            ("hw.id", Gpu),
            ("gpu_uuid", Gpu),
            ("UUID", Gpu),
            ("db.namespace", Database),
            ("datname", Database),
            ("messaging.destination.name", Queue),
            ("queue", Queue),
            ("topic", Queue),
            ("deployment", Service),
            ("statefulset", Service),
            ("daemonset", Service),
            ("service", Service),
            ("app", Service),
            ("app_kubernetes_io_name", Service),
            ("job_name", Job),
            ("cronjob", Job),
            ("persistentvolumeclaim", Volume),
            ("k8s.pod.name", Pod),
            ("pod", Pod),
            ("container", Container),
            ("k8s.node.name", Node),
            ("node", Node),
            ("host.name", Host),
            ("nodename", Host),
            ("job", Service),
            ("instance", Host),
        ];
        let words = [
            ("critical", Severity::Critical),
            ("page", Severity::Critical),
            ("emergency", Severity::Critical),
            ("fatal", Severity::Critical),
            ("error", Severity::Critical),
            ("high", Severity::Critical),
            ("p1", Severity::Critical),
            ("warning", Severity::Warning),
            ("warn", Severity::Warning),
            ("major", Severity::Warning),
            ("medium", Severity::Warning),
            ("minor", Severity::Warning),
            ("p2", Severity::Warning),
            ("p3", Severity::Warning),
            ("ticket", Severity::Warning),
            ("info", Severity::Info),
            ("information", Severity::Info),
            ("informational", Severity::Info),
            ("notice", Severity::Info),
            ("low", Severity::Info),
            ("none", Severity::Info),
            ("p4", Severity::Info),
            ("p5", Severity::Info),
        ];
        let exporters = [
            "kube-state-metrics",
            "node-exporter",
            "node_exporter",
            "blackbox",
            "cadvisor",
            "kubelet",
            "pushgateway",
            "dcgm-exporter",
        ];
        Self {
            entities: entities.map(rule).into(),
            exporters: exporters.map(str::to_owned).into(),
            severities: words.map(|(word, severity)| (word.to_owned(), severity)).into(),
            default_severity: Severity::Warning,
            max_bytes: 16 << 20,
            max_alerts: 100_000,
        }
    }
}

/// Checked [`IntakeOptions`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "IntakeOptions", into = "IntakeOptions")]
pub struct IntakeConfig(IntakeOptions);

impl IntakeConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &IntakeOptions {
        &self.0
    }
}

impl From<IntakeConfig> for IntakeOptions {
    fn from(config: IntakeConfig) -> Self {
        config.0
    }
}

impl TryFrom<IntakeOptions> for IntakeConfig {
    type Error = ConfigError;

    fn try_from(options: IntakeOptions) -> Result<Self, ConfigError> {
        check_count("max_bytes", options.max_bytes, 1024..=1 << 30, "1024 to 1073741824 bytes")?;
        check_count("max_alerts", options.max_alerts, 1..=10_000_000, "1 to 10000000")?;
        if let Some(rule) = options.entities.iter().find(|rule| rule.label.is_empty()) {
            return Err(ConfigError::new("entities", format!("{rule:?}"), "rules with the name of a label"));
        }
        if options.exporters.contains("") {
            return Err(ConfigError::new("exporters", "\"\"", "names that are not empty"));
        }
        if let Some(word) = options.severities.keys().find(|word| word.to_lowercase() != **word) {
            return Err(ConfigError::new("severities", word, "words in small letters"));
        }
        Ok(Self(options))
    }
}
