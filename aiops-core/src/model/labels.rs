//! Labels (attributes) of series, logs and entities.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// OpenTelemetry attribute names used throughout (semantic conventions 1.x).
pub mod semconv {
    /// Logical name of a service.
    pub const SERVICE_NAME: &str = "service.name";
    /// One copy of a service.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    /// Version of a service.
    pub const SERVICE_VERSION: &str = "service.version";
    /// Deployment environment.
    pub const DEPLOYMENT_ENVIRONMENT: &str = "deployment.environment.name";
    /// Kubernetes pod.
    pub const K8S_POD_NAME: &str = "k8s.pod.name";
    /// Kubernetes node.
    pub const K8S_NODE_NAME: &str = "k8s.node.name";
    /// Kubernetes namespace.
    pub const K8S_NAMESPACE_NAME: &str = "k8s.namespace.name";
    /// Container.
    pub const CONTAINER_NAME: &str = "container.name";
    /// Machine.
    pub const HOST_NAME: &str = "host.name";
    /// Hardware component, e.g. a GPU.
    pub const HW_ID: &str = "hw.id";
    /// Database.
    pub const DB_NAMESPACE: &str = "db.namespace";
    /// Queue or topic.
    pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
}

/// A sorted map of label names to values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// No labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same labels with `name` set to `value`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.insert(name, value);
        self
    }

    /// Sets `name` to `value`; the former value is returned.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// Value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Removes `name`; its value is returned.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Pairs in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Names and values in the order of names, for in-place masking.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut String)> {
        self.0.iter_mut().map(|(k, v)| (k.as_str(), v))
    }

    /// Values in the order of names.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.0.values_mut()
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (k, v)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{k}={v:?}")?;
        }
        f.write_str("}")
    }
}
