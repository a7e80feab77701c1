//! What telemetry is about: services, pods, nodes, devices.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::labels::Labels;

/// The kind of an [`EntityId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntityKind {
    /// A logical service (`service.name`).
    Service,
    /// One running copy of a service (`service.instance.id`).
    Instance,
    /// A Kubernetes pod (`k8s.pod.name`).
    Pod,
    /// A container (`container.name`).
    Container,
    /// A Kubernetes node (`k8s.node.name`).
    Node,
    /// A machine outside Kubernetes (`host.name`).
    Host,
    /// A GPU (`hw.id` with `hw.type = gpu`).
    Gpu,
    /// A database (`db.namespace`).
    Database,
    /// A queue or topic (`messaging.destination.name`).
    Queue,
    /// A cache.
    Cache,
    /// A volume or disk.
    Volume,
    /// A network device or path.
    Network,
    /// A tenant or customer.
    Tenant,
    /// A scheduled or batch job.
    Job,
    /// Something outside our control that ours call.
    External,
}

impl EntityKind {
    const ALL: [Self; 15] = [
        Self::Service,
        Self::Instance,
        Self::Pod,
        Self::Container,
        Self::Node,
        Self::Host,
        Self::Gpu,
        Self::Database,
        Self::Queue,
        Self::Cache,
        Self::Volume,
        Self::Network,
        Self::Tenant,
        Self::Job,
        Self::External,
    ];

    /// The name used in ids and case files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Instance => "instance",
            Self::Pod => "pod",
            Self::Container => "container",
            Self::Node => "node",
            Self::Host => "host",
            Self::Gpu => "gpu",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::Cache => "cache",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Tenant => "tenant",
            Self::Job => "job",
            Self::External => "external",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one entity, as `kind/name`. Names come from telemetry and may be anything, even empty; what is written is read back.
///
/// ```
/// use aiops_core::model::EntityId;
/// let orders = EntityId::service("orders");
/// assert_eq!(orders.to_string(), "service/orders");
/// assert_eq!("service/orders".parse::<EntityId>()?, orders);
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntityId {
    kind: EntityKind,
    name: String,
}

impl EntityId {
    /// The entity `name` of kind `kind`.
    pub fn new(kind: EntityKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// The service `name`.
    pub fn service(name: impl Into<String>) -> Self {
        Self::new(EntityKind::Service, name)
    }

    /// The service instance `name`.
    pub fn instance(name: impl Into<String>) -> Self {
        Self::new(EntityKind::Instance, name)
    }

    /// Kind of the entity.
    #[must_use]
    pub fn kind(&self) -> EntityKind {
        self.kind
    }

    /// Name within its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl FromStr for EntityId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || Error::new(ErrorKind::Invalid, "an entity id reads kind/name").with("id", s);
        let (kind, name) = s.split_once('/').ok_or_else(bad)?;
        let kind = EntityKind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or_else(bad)?;
        Ok(Self::new(kind, name))
    }
}

impl TryFrom<String> for EntityId {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<EntityId> for String {
    fn from(id: EntityId) -> Self {
        id.to_string()
    }
}

/// How much an entity matters and to whom (the CMDB's view, ING-05).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Entity {
    /// Its name.
    pub id: EntityId,
    /// Resource attributes under OpenTelemetry names.
    #[serde(default)]
    pub attributes: Labels,
    /// Class of the asset, for policies and patch windows (`database`, `web`, `batch`, …).
    #[serde(default)]
    pub asset_class: Option<String>,
    /// Person or team that answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Reachable from the internet.
    #[serde(default)]
    pub internet_facing: bool,
    /// `deployment.environment.name`: production, staging, ….
    #[serde(default)]
    pub environment: Option<String>,
    /// Installed packages, name to version.
    #[serde(default)]
    pub packages: BTreeMap<String, String>,
}

impl Entity {
    /// An entity of which only the name is known.
    #[must_use]
    pub fn new(id: EntityId) -> Self {
        Self {
            id,
            attributes: Labels::new(),
            asset_class: None,
            owner: None,
            internet_facing: false,
            environment: None,
            packages: BTreeMap::new(),
        }
    }
}
