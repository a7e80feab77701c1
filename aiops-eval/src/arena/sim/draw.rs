//! Systems drawn from a seed: every episode has its own graph of calls, names, sizes and load.

use super::spec::{NodeSpec, Role, ServiceSpec, Setting, Settings, Step, SystemSpec, TenantSpec};

const FRONT: [&str; 4] = ["gateway", "edge", "storefront", "api"];
const MIDDLE: [&str; 20] = [
    "orders", "cart", "catalog", "pricing", "payments", "shipping", "accounts", "search", "reviews",
    "offers", "checkout", "stock", "billing", "profile", "routing", "quotes", "loyalty", "tickets", "media",
    "ledger",
];
const BACK: [&str; 10] = [
    "tax",
    "currency",
    "geo",
    "render",
    "scoring",
    "identity",
    "translate",
    "validation",
    "forecast",
    "audit",
];
const CONSUMERS: [&str; 4] = ["mailer", "indexer", "exporter", "notifier"];
const FUNCTIONS: [&str; 4] = ["thumbnails", "receipts", "labels", "previews"];
const OUTSIDE: [&str; 4] = ["card-network", "sms-carrier", "address-register", "rates-provider"];
const VERBS: [&str; 6] = ["get", "list", "create", "update", "resolve", "check"];

/// The system of `seed`: one entry, two layers of services, databases, a cache, a consumer behind a queue, a function, and
/// somebody else's service, on three to five machines.
///
/// No service uses more than about half of what it has; users see about 60 to 250 ms.
#[must_use]
pub fn system(seed: u64) -> SystemSpec {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed_5157_e3a1_0001);
    let rng = &mut rng;
    let middle = pick(&MIDDLE, 4 + rng.usize(..3), rng);
    let back = pick(&BACK, 2 + rng.usize(..2), rng);
    let mut services =
        vec![named(pick(&FRONT, 1, rng).first().copied().unwrap_or("gateway"), Role::Gateway, rng)];
    let first_middle = services.len();
    services.extend(middle.iter().map(|n| named(n, Role::Worker, rng)));
    let first_back = services.len();
    services.extend(back.iter().map(|n| named(n, Role::Worker, rng)));
    let first_database = services.len();
    for owner in pick(&middle, 2 + rng.usize(..2), rng) {
        services.push(named(&format!("{owner}-db"), Role::Database, rng));
    }
    let cache = services.len();
    services.push(named("session-cache", Role::Cache, rng));
    let consumer = services.len();
    services.push(named(pick(&CONSUMERS, 1, rng).first().copied().unwrap_or("mailer"), Role::Consumer, rng));
    let function = services.len();
    services.push(named(pick(&FUNCTIONS, 1, rng).first().copied().unwrap_or("labels"), Role::Function, rng));
    let outside = services.len();
    services.push(named(pick(&OUTSIDE, 1, rng).first().copied().unwrap_or("partner"), Role::External, rng));

    let call = |to: usize, share: f64| Step { to, share, critical: true, cache: None, detached: false };
    let databases: Vec<usize> = (first_database..cache).collect();
    let mut steps: Vec<Vec<Step>> = vec![Vec::new(); services.len()];
    for (i, m) in (first_middle..first_back).enumerate() {
        add(&mut steps, 0, call(m, 0.35 + 0.3 * rng.f64()));
        let b = first_back + (i % (first_database - first_back));
        add(&mut steps, m, call(b, 0.5 + 0.5 * rng.f64()));
        if let Some(db) = databases.get(i % databases.len().max(1)) {
            let cached = (i % 3 == 0).then_some(cache);
            add(&mut steps, m, Step { cache: cached, ..call(*db, 0.8) });
        }
    }
    // Some in the middle call each other, forward only: no cycles.
    for m in first_middle..first_back.saturating_sub(1) {
        if rng.f64() < 0.4 {
            add(&mut steps, m, call(rng.usize(m + 1..first_back), 0.3));
        }
    }
    if let Some(db) = databases.first() {
        add(&mut steps, first_back, call(*db, 0.4));
    }
    add(&mut steps, first_middle, Step { critical: false, ..call(function, 0.25) });
    add(&mut steps, first_middle, Step { detached: true, critical: false, ..call(consumer, 0.4) });
    add(&mut steps, first_middle + 1, call(outside, 0.3));
    if let Some(db) = databases.last() {
        add(&mut steps, consumer, call(*db, 0.5));
    }
    for (service, steps) in services.iter_mut().zip(steps) {
        service.steps = steps;
    }
    if let Some(scaled) = services.get_mut(first_middle + 1) {
        scaled.autoscaled = Some(5);
    }
    let nodes = (0..3 + rng.usize(..3)).map(|n| NodeSpec {
        name: format!("node-{}", (b'a' + n as u8) as char),
        cores: 4.0,
        memory: 16e9,
        disk: 100e9,
        gpus: 0,
    });
    let nodes = nodes.collect();
    let tenants = customers(rng);
    SystemSpec { nodes, services, tenants, diurnal: 0.25, wire: 0.0006, traced: 0.08, batch: 0.0 }
}

/// Who sends requests.
pub(super) fn customers(rng: &mut fastrand::Rng) -> Vec<TenantSpec> {
    let names = ["acme", "borealis", "cobalt", "dune"].iter();
    names.map(|name| TenantSpec { name: (*name).to_owned(), rate: 1.6 + 2.0 * rng.f64() }).collect()
}

fn add(steps: &mut [Vec<Step>], from: usize, step: Step) {
    if let Some(steps) = steps.get_mut(from) {
        steps.push(step);
    }
}

/// `n` different ones of `names`, in drawn order.
pub(super) fn pick<'a>(names: &[&'a str], n: usize, rng: &mut fastrand::Rng) -> Vec<&'a str> {
    let mut names = names.to_vec();
    rng.shuffle(&mut names);
    names.truncate(n);
    names
}

pub(super) fn named(name: &str, role: Role, rng: &mut fastrand::Rng) -> ServiceSpec {
    use Setting as S;
    let mut service = ServiceSpec::new(name, role);
    let verb = VERBS.get(rng.usize(..VERBS.len())).copied().unwrap_or("get");
    service.operation = format!("{verb} /{name}");
    let base = Settings::default();
    let work = 0.010 + 0.014 * rng.f64();
    service.settings = match role {
        Role::Gateway => {
            base.with(S::Work, 0.003).with(S::Concurrency, 48.0).with(S::Timeout, 4.0).with(S::Retries, 0.0)
        }
        Role::Worker => base
            .with(S::Work, work)
            .with(S::Concurrency, 12.0)
            .with(S::CpuLimit, 0.25)
            .with(S::Memory, 180e6 + 120e6 * rng.f64()),
        Role::Consumer => base.with(S::Work, 0.02).with(S::Concurrency, 4.0).with(S::Queue, 1e6),
        Role::Function => base.with(S::Work, 0.015).with(S::Concurrency, 4.0).with(S::ColdStart, 0.8),
        Role::Database => base
            .with(S::Work, 0.004 + 0.004 * rng.f64())
            .with(S::Concurrency, 24.0)
            .with(S::Queue, 400.0)
            .with(S::Memory, 2e9)
            .with(S::MemoryLimit, 6e9)
            .with(S::Written, 40e3)
            .with(S::Locked, 0.1)
            .with(S::CpuLimit, 4.0),
        Role::Cache => base
            .with(S::Work, 0.0004)
            .with(S::Concurrency, 64.0)
            .with(S::Memory, 1e9)
            .with(S::MemoryLimit, 2e9),
        Role::External => {
            base.with(S::Work, 0.0).with(S::Wait, 0.08).with(S::Concurrency, 1e4).with(S::MemoryLimit, 1e15)
        }
        Role::Training | Role::Scheduler | Role::Fabric | Role::Driver | Role::Exporter => {
            base.with(S::Failures, 0.0).with(S::Spin, 0.02 + 0.06 * rng.f64())
        }
    };
    service.operation = match role {
        Role::Database => "query".to_owned(),
        Role::Cache => "lookup".to_owned(),
        _ => service.operation,
    };
    service.replicas = match role {
        Role::Worker => 2 + rng.u32(..2),
        Role::Gateway | Role::Database => 2,
        _ => 1,
    };
    service
}
