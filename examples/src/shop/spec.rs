//! The shop as the supervisor sees it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aiops_process::{
    CachePurge, Readiness, RestartPolicy, RolloutPolicy, ServiceSpec, StopPolicy, SupervisorConfig, Throttle,
};
use toml::{Table, Value};

use super::admin::FOLDER_VARIABLE;
use super::process::SUBCOMMAND;

/// Memory above which a process refuses work.
const MEMORY_LIMIT_MB: i64 = 96;

pub(crate) fn supervisor(state: &Path, run_folder: &Path, program: &Path) -> SupervisorConfig {
    let service = |name: &str, replicas: u32, config: &[(&str, i64)]| {
        let mut spec = ServiceSpec::new(name, program);
        spec.args =
            [SUBCOMMAND, name, "{instance}", "{port}", "{config}", "{endpoints}"].map(str::to_owned).to_vec();
        spec.env = BTreeMap::from([(FOLDER_VARIABLE.to_owned(), run_folder.to_string_lossy().into_owned())]);
        spec.replicas = replicas;
        spec.max_replicas = 4;
        let mut table: Table =
            config.iter().map(|(key, value)| ((*key).to_owned(), Value::Integer(*value))).collect();
        table.insert("memory_limit_mb".to_owned(), Value::Integer(MEMORY_LIMIT_MB));
        spec.config = Some(table);
        spec.readiness = Some(Readiness { deadline: Duration::from_secs(5), ..Readiness::http("/healthz") });
        // Callers look at the endpoints file ten times a second.
        spec.stop = StopPolicy { drain: Duration::from_millis(250), grace: Duration::from_secs(3) };
        spec.restart = RestartPolicy {
            initial: Duration::from_millis(250),
            max: Duration::from_secs(2),
            ..RestartPolicy::default()
        };
        spec.lifeline = true;
        spec
    };
    let mut store = service("store", 1, &[("io_slots", 8), ("io_ms", 20), ("queue_limit", 512)]);
    store.rollout = RolloutPolicy { max_unavailable: 0, max_surge: 1 };
    let inventory = service(
        "inventory",
        2,
        &[("pool_size", 16), ("acquire_timeout_ms", 400), ("store_timeout_ms", 1500)],
    );
    let mut orders = service(
        "orders",
        2,
        &[
            ("inventory_timeout_ms", 1500),
            ("cache_entries", 200),
            ("cache_ttl_ms", 120_000),
            ("warm_interval_ms", 2000),
        ],
    );
    orders.cache_purge = Some(CachePurge::Directory { path: "cache".into() });
    let gateway = service("gateway", 2, &[("upstream_timeout_ms", 2000), ("log_every", 200)]);
    let mut worker = service("worker", 1, &[("concurrency", 48), ("interval_ms", 1500), ("sweep", 15)]);
    worker.throttle = Some(Throttle { key: "concurrency".to_owned(), factor: 0.05, minimum: 1 });
    SupervisorConfig::new(state)
        .with_service(store)
        .with_service(inventory)
        .with_service(orders)
        .with_service(gateway)
        .with_service(worker)
}
