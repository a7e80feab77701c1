use aiops_core::model::{MetricKind, SeriesKey, Unit};
use aiops_rca::{MetricRole, MetricRoles, MetricRolesConfig, Polarity, RoleRule, Side};

use MetricKind::{Counter, Gauge, Quantile, Rate};

fn class(key: SeriesKey, kind: MetricKind) -> aiops_rca::MetricClass {
    MetricRoles::default().classify(&key, kind, &Unit::default())
}

#[test]
fn names_of_the_field_have_the_role_the_field_gives_them() {
    use MetricRole::*;
    let table: &[(&str, MetricKind, MetricRole, Option<&str>, Polarity)] = &[
        ("p99(http_server_request_duration_seconds)", Quantile, Latency, None, Polarity::HigherIsWorse),
        ("http.server.request.duration", Quantile, Latency, None, Polarity::HigherIsWorse),
        ("rate(http_requests_total)", Rate, Traffic, None, Polarity::Either),
        ("rate(http_server_request_duration_seconds_count)", Rate, Traffic, None, Polarity::Either),
        ("rate(app_errors_total)", Rate, Errors, None, Polarity::HigherIsWorse),
        ("process_resident_memory_bytes", Gauge, Resource, Some("memory"), Polarity::HigherIsWorse),
        ("node_memory_MemAvailable_bytes", Gauge, Resource, Some("memory"), Polarity::LowerIsWorse),
        ("node_filesystem_avail_bytes", Gauge, Resource, Some("disk"), Polarity::LowerIsWorse),
        ("jvm_memory_pool_bytes_used", Gauge, Resource, Some("memory"), Polarity::HigherIsWorse),
        ("rate(process_cpu_seconds_total)", Rate, Resource, Some("cpu"), Polarity::HigherIsWorse),
        ("process_open_fds", Gauge, Resource, Some("file descriptors"), Polarity::HigherIsWorse),
        ("process_max_fds", Gauge, Configuration, Some("capacity"), Polarity::LowerIsWorse),
        ("error_ratio(http_server_requests_total)", MetricKind::Ratio, Errors, None, Polarity::HigherIsWorse),
        ("hikaricp_connections_pending", Gauge, Saturation, Some("connection pool"), Polarity::HigherIsWorse),
        ("hikaricp_connections_idle", Gauge, Saturation, Some("connection pool"), Polarity::LowerIsWorse),
        ("p95(db_pool_wait_seconds)", Quantile, Saturation, Some("connection pool"), Polarity::HigherIsWorse),
        ("executor_queued_tasks", Gauge, Saturation, Some("thread pool"), Polarity::HigherIsWorse),
        ("p95(lock_wait_seconds)", Quantile, Saturation, Some("lock"), Polarity::HigherIsWorse),
        ("rate(lock_wait_seconds_count)", Rate, Traffic, None, Polarity::Either),
        ("kafka_consumergroup_lag", Gauge, Saturation, Some("queue"), Polarity::HigherIsWorse),
        ("queue_depth", Gauge, Saturation, Some("queue"), Polarity::HigherIsWorse),
        ("http_server_active_requests", Gauge, Saturation, Some("concurrency"), Polarity::HigherIsWorse),
        (
            "kube_pod_container_status_restarts_total",
            Counter,
            Restarts,
            Some("restarts"),
            Polarity::HigherIsWorse,
        ),
        ("kube_deployment_status_replicas_available", Gauge, Liveness, None, Polarity::LowerIsWorse),
        ("kube_deployment_status_replicas_unavailable", Gauge, Liveness, None, Polarity::HigherIsWorse),
        ("kube_deployment_spec_replicas", Gauge, Configuration, None, Polarity::Either),
        ("up", Gauge, Liveness, None, Polarity::LowerIsWorse),
        ("rate(cache_hits_total)", Rate, Efficiency, Some("cache"), Polarity::LowerIsWorse),
        ("rate(cache_evictions_total)", Rate, Efficiency, Some("cache"), Polarity::HigherIsWorse),
        ("build_info", Gauge, Configuration, None, Polarity::Either),
        ("request_timeout_seconds", Gauge, Configuration, None, Polarity::Either),
        ("rate(node_netstat_Tcp_RetransSegs)", Rate, Resource, Some("network"), Polarity::HigherIsWorse),
        ("DCGM_FI_DEV_FABRIC_MANAGER_STATUS", Gauge, Liveness, Some("gpu fabric"), Polarity::AwayFrom(3)),
        ("node_infiniband_state_id", Gauge, Liveness, Some("network"), Polarity::AwayFrom(4)),
        ("node_infiniband_physical_state_id", Gauge, Liveness, Some("network"), Polarity::AwayFrom(5)),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", Gauge, Efficiency, Some("gpu utilisation"), Polarity::Either),
        ("something_else", Gauge, Other, None, Polarity::Either),
    ];
    for (name, kind, role, mechanism, polarity) in table {
        let class = class(SeriesKey::new(*name), *kind);
        let got = (class.role, class.mechanism.as_deref(), class.polarity);
        assert_eq!(got, (*role, *mechanism, *polarity), "{name}");
    }
}

#[test]
fn outcome_labels_make_errors_of_requests() {
    for (label, value, error) in [
        ("code", "500", true),
        ("status", "5xx", true),
        ("status", "503", true),
        ("code", "429", true),
        ("code", "404", false),
        ("code", "200", false),
        ("outcome", "timeout", true),
        ("outcome", "success", false),
        ("grpc_code", "DeadlineExceeded", true),
        ("grpc_code", "OK", false),
    ] {
        let key = SeriesKey::new("rate(requests_total)").with(label, value);
        assert_eq!(class(key, Rate).role == MetricRole::Errors, error, "{label}={value}");
    }
}

#[test]
fn a_peer_makes_it_the_callers_side_unless_the_name_says_otherwise() {
    let call = class(SeriesKey::new("rate(calls_total)").with("peer_service", "db"), Rate);
    assert_eq!((call.side, call.peer.as_deref()), (Side::Client, Some("db")));
    let served = class(SeriesKey::new("http_server_requests_total").with("server_address", "me"), Rate);
    assert_eq!(served.side, Side::Server);
    let tenant = class(SeriesKey::new("rate(operations_total)").with("tenant", "batch"), Rate);
    assert_eq!((tenant.side, tenant.caller.as_deref()), (Side::Server, Some("batch")));
}

#[test]
fn rules_of_ones_own_come_first_and_are_checked() {
    let own = RoleRule::new(["frobnication"], MetricRole::Saturation, Polarity::HigherIsWorse).about("frob");
    let mut config = MetricRolesConfig::default();
    config.rules.push(own);
    let text = serde_json::to_string(&config).unwrap();
    let roles = MetricRoles::new(serde_json::from_str(&text).unwrap()).unwrap();
    let class = roles.classify(&SeriesKey::new("frobnication_errors_total"), Counter, &Unit::default());
    assert_eq!((class.role, class.mechanism.as_deref()), (MetricRole::Saturation, Some("frob")));
    for phrases in [vec![], vec!["  "], vec!["ok", "…"]] {
        let mut config = MetricRolesConfig::default();
        config.rules.push(RoleRule::new(phrases, MetricRole::Other, Polarity::Either));
        assert!(MetricRoles::new(config).is_err());
    }
}

#[test]
fn hostile_names_have_some_class() {
    for name in ["", ")(", "((((", "p95(", "\u{0}\u{ffff}", "∞", &"a".repeat(100_000)] {
        let key = SeriesKey::new(name).with("code", name).with("peer", name);
        let _ = class(key, Gauge);
    }
}
