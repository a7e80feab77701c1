//! The specification as text, and what it refuses.

use aiops_process::{
    CachePurge, Readiness, RestartPolicy, RolloutPolicy, ServiceSpec, SupervisorConfig, Throttle,
};
use libtest_mimic::Trial;

use crate::support::{ms, table};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, body: fn()| {
        Trial::test(name, move || {
            body();
            Ok(())
        })
    };
    vec![
        trial("a_specification_reads_from_toml_and_back", round_trip),
        trial("bad_values_are_refused_by_name", bad_values),
        trial("unknown_fields_are_refused", unknown_fields),
        trial("back_off_grows_to_its_limit", back_off),
    ]
}

const TEXT: &str = r#"
state_directory = "state"

[[services]]
name = "orders"
command = "/usr/bin/orders"
args = ["--port", "{port}", "--config", "{config}"]
replicas = 2

[services.config]
workers = 16

[services.readiness]
path = "/healthz"
deadline = "3s"

[services.stop]
drain = "250ms"

[services.rollout]
max_unavailable = 0
max_surge = 1

[services.cache_purge]
kind = "directory"
path = "cache"

[services.throttle]
key = "workers"
factor = 0.5
"#;

fn round_trip() {
    let config: SupervisorConfig = toml::from_str(TEXT).unwrap();
    config.validate().unwrap();
    let orders = &config.services[0];
    assert_eq!(orders.readiness.as_ref().unwrap().deadline, ms(3000));
    assert_eq!((orders.stop.drain, orders.stop.grace), (ms(250), ms(5000)));
    let again: SupervisorConfig = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
    assert_eq!(again, config);
}

fn bad_values() {
    let check = |change: fn(&mut ServiceSpec), field: &str| {
        let mut spec = ServiceSpec::new("orders", "/bin/true");
        spec.config = Some(table("workers = 16\nname = \"x\""));
        change(&mut spec);
        let error = SupervisorConfig::new("state").with_service(spec).validate().unwrap_err();
        assert_eq!(error.field, field, "{error}");
    };
    check(|spec| spec.name = String::new(), "services.name");
    check(|spec| spec.name = "Orders".to_owned(), "services.name");
    check(|spec| spec.name = "../etc".to_owned(), "services.name");
    check(|spec| spec.name = "a".repeat(64), "services.name");
    check(|spec| spec.command = "".into(), "services.orders.command");
    check(|spec| spec.max_replicas = 0, "services.orders.max_replicas");
    check(|spec| spec.replicas = 9, "services.orders.replicas");
    check(
        |spec| spec.rollout = RolloutPolicy { max_unavailable: 0, max_surge: 0 },
        "services.orders.rollout.max_surge",
    );
    check(
        |spec| spec.restart = RestartPolicy { factor: f64::NAN, ..RestartPolicy::default() },
        "services.orders.restart.factor",
    );
    check(
        |spec| spec.restart = RestartPolicy { max: ms(1), ..RestartPolicy::default() },
        "services.orders.restart.max",
    );
    check(|spec| spec.readiness = Some(Readiness::http("healthz")), "services.orders.readiness.path");
    check(
        |spec| spec.readiness = Some(Readiness { deadline: ms(0), ..Readiness::http("/") }),
        "services.orders.readiness.deadline",
    );
    check(|spec| spec.logs.lines = 0, "services.orders.logs.lines");
    for path in ["", "/tmp", "../x", "a/../../b", "."] {
        let mut spec = ServiceSpec::new("orders", "/bin/true");
        spec.cache_purge = Some(CachePurge::Directory { path: path.into() });
        let error = SupervisorConfig::new("state").with_service(spec).validate().unwrap_err();
        assert_eq!(error.field, "services.orders.cache_purge.path", "{path:?}");
    }
    let throttle = |key: &str, factor| Some(Throttle { key: key.to_owned(), factor, minimum: 1 });
    for (key, factor, field) in
        [("workers", 1.0, "factor"), ("workers", f64::NAN, "factor"), ("name", 0.5, "key")]
    {
        let mut spec = ServiceSpec::new("orders", "/bin/true");
        spec.config = Some(table("workers = 16\nname = \"x\""));
        spec.throttle = throttle(key, factor);
        let error = SupervisorConfig::new("state").with_service(spec).validate().unwrap_err();
        assert_eq!(error.field, format!("services.orders.throttle.{field}"));
    }
    let twice = SupervisorConfig::new("state")
        .with_service(ServiceSpec::new("a", "x"))
        .with_service(ServiceSpec::new("a", "x"));
    assert_eq!(twice.validate().unwrap_err().field, "services.name");
    let mut ports = SupervisorConfig::new("state");
    ports.ports.last = 1;
    assert_eq!(ports.validate().unwrap_err().field, "ports.last");
}

fn unknown_fields() {
    let wrong = TEXT.replace("max_surge = 1", "max_surge = 1\nmax_surprise = 1");
    let error = toml::from_str::<SupervisorConfig>(&wrong).unwrap_err();
    assert!(error.to_string().contains("max_surprise"), "{error}");
}

fn back_off() {
    let policy = RestartPolicy { initial: ms(100), factor: 2.0, max: ms(1000), ..RestartPolicy::default() };
    let delays: Vec<_> = [0, 1, 2, 3, 4, u32::MAX].map(|attempt| policy.delay(attempt)).into();
    assert_eq!(delays, [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]);
}
