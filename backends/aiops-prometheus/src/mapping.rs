//! From Prometheus labels to entities under OpenTelemetry names, and to who runs on and calls whom.

use aiops_core::model::{EdgeKind, Entity, EntityId, EntityKind, Labels, Topology, semconv};
use serde::{Deserialize, Serialize};

/// A metric kept by callers: each of its series proves that one service calls another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallMapping {
    /// Name of the metric; of a histogram, any of its series' names.
    pub metric: String,
    /// Labels that name the calling service, first present wins. Where none is, the service of the series calls.
    #[serde(default)]
    pub caller: Vec<String>,
    /// Labels that name the called service, first present wins.
    pub callee: Vec<String>,
}

impl CallMapping {
    /// Calls counted by `metric`, told by the labels `caller` and `callee`.
    pub fn new(metric: impl Into<String>, caller: impl Into<String>, callee: impl Into<String>) -> Self {
        Self { metric: metric.into(), caller: vec![caller.into()], callee: vec![callee.into()] }
    }
}

/// Which labels name which resource. In every list the first label present wins.
///
/// A series is about its pod, else its instance, else its node, else its service. Metrics that an exporter keeps about
/// others (`exporter_metrics`) are about their pod, else their node, and the labels that name the exporter are not read.
///
/// ```
/// use aiops_core::model::{EntityId, Labels};
/// use aiops_prometheus::EntityMapping;
///
/// let labels = Labels::new().with("job", "orders").with("instance", "10.0.0.7:8080");
/// let resource = EntityMapping::default().resource("http_requests_total", &labels);
/// assert_eq!(resource.entity, EntityId::instance("10.0.0.7:8080"));
/// assert_eq!(resource.service, Some(EntityId::service("orders")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntityMapping {
    /// `service.name`. Default `service_name`, `service`, `app_kubernetes_io_name`, `app`, `job`.
    pub service: Vec<String>,
    /// `service.instance.id`. Default `service_instance_id`, `instance`.
    pub instance: Vec<String>,
    /// `k8s.pod.name`. Default `k8s_pod_name`, `pod`, `pod_name`, `kubernetes_pod_name`.
    pub pod: Vec<String>,
    /// `k8s.node.name`. Default `k8s_node_name`, `node`, `kubernetes_node`.
    pub node: Vec<String>,
    /// `k8s.namespace.name`. Default `k8s_namespace_name`, `namespace`, `kubernetes_namespace`.
    pub namespace: Vec<String>,
    /// `container.name`. Default `container`, `container_name`.
    pub container: Vec<String>,
    /// `service.version`. Default `service_version`, `version`.
    pub version: Vec<String>,
    /// Beginnings of metric names that exporters keep about others. Default `kube_` and `container_`.
    pub exporter_metrics: Vec<String>,
    /// Metrics that prove calls. Default: Istio's and Linkerd's request counters and Tempo's service graph.
    pub calls: Vec<CallMapping>,
}

impl Default for EntityMapping {
    fn default() -> Self {
        let list = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
        Self {
            service: list(&["service_name", "service", "app_kubernetes_io_name", "app", "job"]),
            instance: list(&["service_instance_id", "instance"]),
            pod: list(&["k8s_pod_name", "pod", "pod_name", "kubernetes_pod_name"]),
            node: list(&["k8s_node_name", "node", "kubernetes_node"]),
            namespace: list(&["k8s_namespace_name", "namespace", "kubernetes_namespace"]),
            container: list(&["container", "container_name"]),
            version: list(&["service_version", "version"]),
            exporter_metrics: list(&["kube_", "container_"]),
            calls: vec![
                CallMapping::new("istio_requests_total", "source_workload", "destination_workload"),
                CallMapping::new("response_total", "deployment", "dst_deployment"),
                CallMapping::new("traces_service_graph_request_total", "client", "server"),
            ],
        }
    }
}

/// What a series is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The entity its values describe.
    pub entity: EntityId,
    /// Its service, if it is known.
    pub service: Option<EntityId>,
    /// The node it runs on, if it is known.
    pub node: Option<EntityId>,
    /// Resource attributes under OpenTelemetry names.
    pub attributes: Labels,
}

impl EntityMapping {
    /// What a series of metric `name` with these labels is about. Without any telling label it is the service
    /// `unknown_service`, as OpenTelemetry calls it.
    #[must_use]
    pub fn resource(&self, name: &str, labels: &Labels) -> Resource {
        let about_others = self.exporter_metrics.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let get = |candidates: &[String]| candidates.iter().find_map(|label| labels.get(label));
        // The exporter's own job and instance say nothing about what it exports.
        let own = |candidates: &[String]| if about_others { None } else { get(candidates) };
        let (pod, node) = (get(&self.pod), get(&self.node));
        let (instance, service) = (own(&self.instance), own(&self.service));
        let entity = match (pod, instance, node, service) {
            (Some(pod), ..) => EntityId::new(EntityKind::Pod, pod),
            (None, Some(instance), ..) => EntityId::instance(instance),
            (None, None, Some(node), _) => EntityId::new(EntityKind::Node, node),
            (None, None, None, Some(service)) => EntityId::service(service),
            (None, None, None, None) => match get(&self.instance) {
                Some(exporter) => EntityId::instance(exporter),
                None => EntityId::service("unknown_service"),
            },
        };
        let attributes = [
            (semconv::SERVICE_NAME, service),
            (semconv::SERVICE_INSTANCE_ID, instance),
            (semconv::SERVICE_VERSION, own(&self.version)),
            (semconv::K8S_POD_NAME, pod),
            (semconv::K8S_NODE_NAME, node),
            (semconv::K8S_NAMESPACE_NAME, get(&self.namespace)),
            (semconv::CONTAINER_NAME, get(&self.container)),
        ];
        Resource {
            entity,
            service: service.map(EntityId::service),
            node: node.map(|node| EntityId::new(EntityKind::Node, node)),
            attributes: attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        }
    }

    /// Adds what one series proves: its entity is part of its service and runs on its node; its caller calls its callee.
    pub fn extend_topology(&self, topology: &mut Topology, name: &str, labels: &Labels) {
        let resource = self.resource(name, labels);
        let mut entity = Entity::new(resource.entity.clone());
        entity.attributes = match topology.get(&resource.entity) {
            // Several metrics may each know a part; what the first one said stays.
            Some(known) => resource.attributes.iter().chain(known.attributes.iter()).collect(),
            None => resource.attributes,
        };
        topology.insert(entity);
        if let Some(service) = resource.service.as_ref().filter(|service| **service != resource.entity) {
            topology.connect(resource.entity.clone(), service.clone(), EdgeKind::PartOf);
        }
        if let Some(node) = resource.node.filter(|node| *node != resource.entity) {
            topology.connect(resource.entity, node, EdgeKind::RunsOn);
        }
        let first = |candidates: &[String]| candidates.iter().find_map(|label| labels.get(label));
        for call in self.calls.iter().filter(|call| call.metric == name) {
            let caller = first(&call.caller).map(EntityId::service).or_else(|| resource.service.clone());
            let callee = first(&call.callee).map(EntityId::service);
            if let (Some(caller), Some(callee)) = (caller, callee)
                && caller != callee
            {
                topology.connect(caller, callee, EdgeKind::Calls);
            }
        }
    }
}
