//! Healthy baselines; each fault is felt by customers; the right action ends it.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aiops_core::SystemClock;
use aiops_core::action::ActionKind;
use aiops_examples::faults::{ActionTarget, Fault, HarmlessPlan, Injection, RightActions, Truth, play};
use aiops_examples::shop::{Shop, ShopConfig, TrafficWindow, file_sd};
use aiops_process::{Operation, OperationKey, OperationRequest};
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// Beyond these a customer notices.
const SLOW: f64 = 0.150;
const FAILING: f64 = 0.03;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

async fn start(seed: u64) -> Shop {
    Shop::start(ShopConfig::with_seed(seed), Arc::new(SystemClock)).await.unwrap()
}

fn suffers(window: &TrafficWindow) -> bool {
    window.p95 > SLOW || window.error_ratio > FAILING
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("a_quiet_shop_is_healthy_and_leaves_nothing_behind", || runtime().block_on(quiet())),
        Trial::test("harmless_events_do_not_hurt_customers", || runtime().block_on(harmless())),
    ];
    for fault in Fault::ALL {
        for injection in variants(fault) {
            let name = format!("{fault}_in_{}_is_felt_and_healed", injection.service());
            trials.push(Trial::test(name, move || {
                runtime().block_on(felt_and_healed(injection.clone(), fault))
            }));
        }
    }
    trials
}

/// One injection for each service that the seed may choose.
fn variants(fault: Fault) -> Vec<Injection> {
    let mut services = BTreeSet::new();
    (0..64).map(|seed| Injection::draw(fault, seed)).filter(|draw| services.insert(draw.service())).collect()
}

async fn quiet() -> Result<(), Failed> {
    let shop = start(1).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let seen = shop.traffic().last(Duration::from_secs(7));
    println!("quiet: {seen:?}");
    assert!(seen.requests > 250, "{seen:?}");
    assert!(seen.error_ratio < 0.01 && seen.p95 < 0.1, "{seen:?}");
    let mut services = BTreeSet::new();
    let mut cpu = 0.0;
    for target in shop.targets() {
        let page = fetch(&target.url).await;
        for family in check_exposition(&page) {
            services.insert((target.service.clone(), family));
        }
        for line in page.lines().filter(|line| line.starts_with("process_cpu_seconds_total{")) {
            assert!(line.contains(&format!("service=\"{}\"", target.service)), "{line}");
            assert!(line.contains(&format!("instance=\"{}\"", target.instance)), "{line}");
            cpu += line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    let share = cpu / shop.traffic().elapsed().as_secs_f64();
    println!("processor time of all processes: {:.1} % of one core", share * 100.0);
    for (service, family) in [
        ("gateway", "http_server_request_duration_seconds"),
        ("orders", "cache_requests_total"),
        ("orders", "lock_wait_seconds"),
        ("inventory", "db_pool_connections_in_use"),
        ("inventory", "http_client_requests_total"),
        ("store", "queue_depth"),
        ("store", "process_resident_memory_bytes"),
        ("worker", "worker_backlog"),
        ("supervisor", "supervisor_restarts_total"),
    ] {
        assert!(services.contains(&(service.to_owned(), family.to_owned())), "{service} lacks {family}");
    }
    let pids: Vec<u32> =
        shop.supervisor().view().iter().flat_map(|view| view.replicas.iter().filter_map(|r| r.pid)).collect();
    assert_eq!(pids.len(), 8);
    let page = file_sd(&shop.targets());
    assert_eq!(page.as_array().unwrap().len(), 1);
    assert_eq!(page[0]["targets"].as_array().unwrap().len(), 9);
    let endpoints = shop.supervisor().endpoints_path().to_owned();
    shop.stop().await;
    drop(shop);
    assert!(!endpoints.exists());
    for pid in pids {
        assert!(!alive(pid), "process {pid} is still there");
    }
    Ok(())
}

fn alive(pid: u32) -> bool {
    std::process::Command::new("kill")
        .args(["-0", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}

async fn harmless() -> Result<(), Failed> {
    let shop = start(2).await;
    let plan = HarmlessPlan::draw(11, Duration::from_secs(10), Duration::from_secs(14), None);
    println!("harmless: {plan:?}");
    play(&shop, &plan, &SystemClock).await;
    let seen = shop.traffic().last(Duration::from_secs(15));
    println!("harmless: {seen:?}");
    assert!(seen.error_ratio < 0.01 && seen.p95 < 0.2, "{seen:?}");
    let changes = shop.supervisor().changes(aiops_core::jiff::Timestamp::UNIX_EPOCH);
    assert!(!changes.is_empty());
    shop.stop().await;
    Ok(())
}

/// The shop that all faults share; a fault that was not healed takes it down with it.
static SHARED: Mutex<Option<Shop>> = Mutex::const_new(None);

/// Stops the shared shop.
pub(crate) fn close() {
    runtime().block_on(async {
        if let Some(shop) = SHARED.lock().await.take() {
            shop.stop().await;
        }
    });
}

async fn felt_and_healed(injection: Injection, fault: Fault) -> Result<(), Failed> {
    let mut shared = SHARED.lock().await;
    let shop = match shared.take() {
        Some(shop) => shop,
        None => {
            let shop = start(3).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            shop
        }
    };
    let before = shop.traffic().last(Duration::from_secs(2));
    let injected = Instant::now();
    let truth = injection.inject(&shop, &SystemClock).await.unwrap();
    let felt = wait(&shop, Duration::from_secs(12), suffers).await;
    let delay = injected.elapsed();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let worst = shop.traffic().last(Duration::from_secs(2));
    let (operation, kind) = right_operation(&truth);
    let service = operation.service().to_owned();
    let key = OperationKey::new(format!("heal-{fault}-{service}"));
    let applied = shop.supervisor().apply(OperationRequest::new(key, "operator", operation)).await;
    let acted = Instant::now();
    let healed =
        wait(&shop, Duration::from_secs(12), |window| window.p95 < 0.1 && window.error_ratio < 0.01).await;
    println!(
        "{fault}: {} felt after {:.1} s; p95 {:.0} -> {:.0} ms, errors {:.0} %; {kind} {service}; healed after {:.1} s",
        truth.detail,
        delay.as_secs_f64(),
        before.p95 * 1e3,
        worst.p95 * 1e3,
        worst.error_ratio * 100.0,
        acted.elapsed().as_secs_f64(),
    );
    let last = shop.traffic().last(Duration::from_secs(2));
    if healed {
        *shared = Some(shop);
    } else {
        shop.stop().await;
    }
    assert_eq!(truth.fault, fault);
    assert!(felt, "customers felt nothing: {worst:?}");
    assert!(applied.is_ok(), "{applied:?}");
    assert!(healed, "not healed: {last:?}");
    Ok(())
}

/// The first action of the table, as an operation of the supervisor.
fn right_operation(truth: &Truth) -> (Operation, ActionKind) {
    let table = RightActions::load().unwrap();
    let (actions, _) = table.of(truth.fault).unwrap();
    let action = &actions[0];
    let service = match &action.target {
        ActionTarget::Root => truth.service.clone(),
        ActionTarget::Service(name) => name.clone(),
    };
    let operation = match action.kind {
        ActionKind::RollingRestart => Operation::RollingRestart { service, bounds: None },
        ActionKind::Rollback => Operation::RollBack { service, to: None },
        ActionKind::CachePurge => Operation::PurgeCache { service },
        ActionKind::Throttle => Operation::Throttle { service, factor: None },
        other => panic!("no operation for {other}"),
    };
    (operation, action.kind)
}

async fn wait(shop: &Shop, limit: Duration, condition: impl Fn(&TrafficWindow) -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if condition(&shop.traffic().last(Duration::from_secs(2))) {
            return true;
        }
    }
    false
}

async fn fetch(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}

/// Checks the page line by line; returns the names of its families.
fn check_exposition(page: &str) -> BTreeSet<String> {
    let mut families = BTreeSet::new();
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# TYPE ") {
            let (name, kind) = comment.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            families.insert(name.to_owned());
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
            let name = series.split('{').next().unwrap();
            let known = families.iter().any(|family| name.starts_with(family.as_str()));
            assert!(known && series.ends_with('}'), "{line}");
        }
    }
    families
}
