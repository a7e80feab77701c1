use std::collections::BTreeSet;
use std::time::Duration;

use aiops_core::model::{EdgeKind, EntityId, EntityKind, Labels, MetricKind, Topology, semconv};
use aiops_prometheus::exposition::FamilyType;
use aiops_prometheus::{CallMapping, EntityMapping, MetricSelection, SignalName};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn common_labels_name_the_entity() {
    let mapping = EntityMapping::default();
    let pod = |name: &str| EntityId::new(EntityKind::Pod, name);
    let node = |name: &str| EntityId::new(EntityKind::Node, name);
    let cases = [
        ("http_requests_total", &[("pod", "p1"), ("instance", "i"), ("job", "j")][..], pod("p1")),
        (
            "http_requests_total",
            &[("instance", "i"), ("node", "n"), ("service", "s")],
            EntityId::instance("i"),
        ),
        ("cpu", &[("node", "n")], node("n")),
        ("cpu", &[("job", "j")], EntityId::service("j")),
        ("cpu", &[], EntityId::service("unknown_service")),
        ("kube_pod_status_phase", &[("pod", "p"), ("instance", "ksm:8080"), ("job", "ksm")], pod("p")),
        (
            "kube_node_spec_unschedulable",
            &[("node", "n"), ("instance", "ksm:8080"), ("job", "ksm")],
            node("n"),
        ),
        ("kube_state_metrics_x", &[("instance", "ksm:8080"), ("job", "ksm")], EntityId::instance("ksm:8080")),
    ];
    for (metric, pairs, entity) in cases {
        assert_eq!(mapping.resource(metric, &labels(pairs)).entity, entity, "{metric} {pairs:?}");
    }
    let exported = mapping.resource("kube_pod_info", &labels(&[("pod", "p"), ("node", "n"), ("job", "ksm")]));
    assert_eq!(exported.service, None, "the exporter's job is not the pod's service");
    assert_eq!(exported.node, Some(node("n")));
    let full = mapping
        .resource("x", &labels(&[("pod", "p"), ("namespace", "ns"), ("container", "c"), ("app", "a")]));
    let attributes: Vec<_> = full.attributes.iter().collect();
    assert_eq!(
        attributes,
        [
            (semconv::CONTAINER_NAME, "c"),
            (semconv::K8S_NAMESPACE_NAME, "ns"),
            (semconv::K8S_POD_NAME, "p"),
            (semconv::SERVICE_NAME, "a")
        ]
    );
}

#[test]
fn labels_prove_edges() {
    let mut mapping = EntityMapping::default();
    mapping.calls.push(CallMapping {
        metric: "client_requests_total".into(),
        caller: vec![],
        callee: vec!["peer".into(), "peer_service".into()],
    });
    let mut topology = Topology::new();
    let own =
        labels(&[("service", "gateway"), ("instance", "gw-1"), ("node", "n1"), ("peer_service", "orders")]);
    mapping.extend_topology(&mut topology, "client_requests_total", &own);
    mapping.extend_topology(&mut topology, "up", &labels(&[("service", "gateway"), ("instance", "gw-1")]));
    let istio =
        labels(&[("source_workload", "orders"), ("destination_workload", "stock"), ("instance", "x")]);
    mapping.extend_topology(&mut topology, "istio_requests_total", &istio);
    let alone = labels(&[("source_workload", "orders"), ("destination_workload", "orders")]);
    mapping.extend_topology(&mut topology, "istio_requests_total", &alone);
    let edges: Vec<String> =
        topology.edges().map(|edge| format!("{} {:?} {}", edge.from, edge.kind, edge.to)).collect();
    assert_eq!(
        edges,
        [
            "service/gateway Calls service/orders",
            "service/orders Calls service/stock",
            "instance/gw-1 PartOf service/gateway",
            "instance/gw-1 RunsOn node/n1",
        ]
    );
    let instance = EntityId::instance("gw-1");
    let attributes = &topology.get(&instance).unwrap().attributes;
    assert_eq!(
        attributes.get(semconv::K8S_NODE_NAME),
        Some("n1"),
        "what one metric told, another does not erase"
    );
    assert_eq!(topology.needs(&instance, EdgeKind::RunsOn).count(), 1);
}

#[test]
fn types_decide_and_suffixes_stand_in_for_them() {
    let signals = |names: &[&str], kinds: &[(&str, FamilyType)]| -> Vec<String> {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        let kind = |family: &str| kinds.iter().find(|(name, _)| *name == family).map(|(_, kind)| *kind);
        MetricSelection::default().signals(&names, kind).iter().map(ToString::to_string).collect()
    };
    let histogram = ["h_seconds_bucket", "h_seconds_count", "h_seconds_sum"];
    let read = ["rate(h_seconds_count)", "p50(h_seconds)", "p95(h_seconds)", "p99(h_seconds)"];
    assert_eq!(signals(&histogram, &[("h_seconds", FamilyType::Histogram)]), read);
    assert_eq!(signals(&histogram, &[]), read, "by its parts");
    assert_eq!(signals(&["q", "q_count", "q_sum"], &[("q", FamilyType::Summary)]), ["q", "rate(q_count)"]);
    assert_eq!(
        signals(&["a_total", "b_total"], &[("b_total", FamilyType::Gauge)]),
        ["b_total", "rate(a_total)"]
    );
    assert_eq!(signals(&["a_total"], &[("a", FamilyType::Counter)]), ["rate(a_total)"], "OpenMetrics family");
    assert_eq!(signals(&["odd"], &[("odd", FamilyType::Counter)]), ["rate(odd)"]);
    assert_eq!(signals(&["queue_count"], &[("queue_count", FamilyType::Gauge)]), ["queue_count"]);
    assert_eq!(signals(&["queue_count", "node_load1"], &[]), ["node_load1", "rate(queue_count)"]);
    assert_eq!(signals(&["x_info", "x_created", "scrape_duration_seconds", "up"], &[]), ["up"]);
}

#[test]
fn names_can_be_parsed_back() {
    for name in
        ["a", "rate(a_total)", "p50(a)", "p99.9(a)", "p5(a)", "a(b", "x(y)", "p0(y)", "p100(y)", "pp(y)"]
    {
        assert_eq!(SignalName::parse(name).to_string(), name);
    }
    for percent in 1..100 {
        let name = format!("p{percent}(a)");
        assert_eq!(SignalName::parse(&name).to_string(), name);
        let SignalName::Quantile(_, q) = SignalName::parse(&name) else { panic!("{name}") };
        assert_eq!(q.get(), f64::from(percent) / 100.0);
    }
    let unit = |name: &str| SignalName::parse(name).unit().0;
    assert_eq!(unit("process_resident_memory_bytes"), "By");
    assert_eq!(unit("rate(node_network_receive_bytes_total)"), "By/s");
    assert_eq!(unit("rate(process_cpu_seconds_total)"), "1");
    assert_eq!(unit("p99(rpc_duration_seconds)"), "s");
    assert_eq!(unit("rate(http_requests_total)"), "1/s");
    assert_eq!(unit("threads"), "");
    assert_eq!(SignalName::parse("a_total").kind(), MetricKind::Counter);
    assert_eq!(SignalName::parse("hit_ratio").kind(), MetricKind::Ratio);
    assert_eq!(SignalName::parse("rate(a)").kind(), MetricKind::Rate);
}

#[test]
fn patterns_and_bounds_of_the_selection() {
    let with = |include: &str, exclude: &str| MetricSelection {
        include: vec![include.to_owned()],
        exclude: vec![exclude.to_owned()],
        ..MetricSelection::default()
    };
    assert!(with("http_*", "").selects("http_requests_total"));
    assert!(!with("http_*", "*_total").selects("http_requests_total"));
    assert!(with("*_re*s_*", "").selects("http_requests_total"));
    assert!(!with("http", "").selects("http_requests_total"));
    assert!(!with("a*a", "").selects("a"), "the two ends do not overlap");
    assert!(with("a**b", "").selects("ab"));
    let ok = MetricSelection::default();
    assert_eq!(ok.rate_window(Duration::from_secs(15)), Duration::from_secs(60));
    assert!(MetricSelection { quantiles: vec![1.0], ..ok.clone() }.validate().is_err());
    assert!(MetricSelection { quantiles: vec![f64::NAN], ..ok.clone() }.validate().is_err());
    assert!(MetricSelection { rate_window_steps: 0, ..ok.clone() }.validate().is_err());
    assert!(MetricSelection { max_metrics: 0, ..ok }.validate().is_err());
}
