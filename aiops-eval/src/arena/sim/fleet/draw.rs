//! Fleets drawn from a seed.

use crate::arena::sim::draw::{customers, named, pick};
use crate::arena::sim::spec::{NodeSpec, Role, ServiceSpec, Setting, Step, SystemSpec};

use super::GPU_SLOTS;

const FRONT: [&str; 3] = ["gateway", "edge", "api"];
const SERVING: [&str; 3] = ["chat-serving", "embed-serving", "rank-serving"];
const BEFORE: [&str; 4] = ["identity", "tokenizer", "moderation", "metering"];
const JOBS: [&str; 4] = ["pretrain-7b", "finetune-vision", "reward-model", "speech-encoder"];

/// The fleet of `seed`: users who ask models on GPUs, a training job over two or three machines of eight GPUs, and a queue of
/// small jobs on the rest. There is room for one machine's work elsewhere.
#[must_use]
pub fn fleet(seed: u64) -> SystemSpec {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x6b0f_1ee7_77aa_0002);
    let rng = &mut rng;
    let first = |names: &[&'static str], rng: &mut fastrand::Rng| {
        pick(names, 1, rng).first().copied().unwrap_or("api")
    };
    let front = first(&FRONT, rng);
    let mut services = vec![named(front, Role::Gateway, rng)];
    let mut serving = named(first(&SERVING, rng), Role::Worker, rng);
    serving.gpus = 1;
    serving.replicas = 3 + rng.u32(..2);
    serving.settings = serving
        .settings
        .with(Setting::Work, 0.004)
        .with(Setting::Wait, 0.2 + 0.1 * rng.f64())
        .with(Setting::Concurrency, 8.0)
        .with(Setting::CpuLimit, 4.0)
        .with(Setting::Memory, 20e9)
        .with(Setting::MemoryLimit, 80e9);
    let call = |to: usize, share: f64| Step { to, share, critical: true, cache: None, detached: false };
    let helpers = pick(&BEFORE, 2 + rng.usize(..2), rng);
    let first_helper = 2;
    let database = first_helper + helpers.len();
    let mut front_steps: Vec<Step> =
        (first_helper..database).map(|to| call(to, 0.4 + 0.4 * rng.f64())).collect();
    front_steps.push(call(1, 0.85));
    if let Some(front) = services.first_mut() {
        front.steps = front_steps;
    }
    services.push(serving);
    for name in &helpers {
        let mut helper = named(name, Role::Worker, rng);
        helper.steps = vec![call(database, 0.5)];
        services.push(helper);
    }
    services.push(named("accounts-db", Role::Database, rng));
    let ranks = 2 + rng.u32(..2);
    let mut training = named(first(&JOBS, rng), Role::Training, rng);
    (training.gpus, training.replicas) = (GPU_SLOTS, ranks);
    training.settings = training
        .settings
        .with(Setting::Work, 1.6 + rng.f64())
        .with(Setting::Timeout, 600.0)
        .with(Setting::Spin, 6.0)
        .with(Setting::CpuLimit, 64.0)
        .with(Setting::Memory, 200e9)
        .with(Setting::MemoryLimit, 1e12);
    services.push(training);
    services.push(ServiceSpec { replicas: 1, ..named("gpu-scheduler", Role::Scheduler, rng) });
    // Machines of the job, one that serves, and two for small jobs, of which either can take over for another.
    let machines = ranks as usize + 3;
    for (name, role) in [
        ("nvidia-fabricmanager", Role::Fabric),
        ("nvidia-driver", Role::Driver),
        ("dcgm-exporter", Role::Exporter),
    ] {
        services.push(ServiceSpec { replicas: machines as u32, ..named(name, role, rng) });
    }
    let plain = (0..2).map(|n| machine("node", n, 8.0, 32e9, 200e9, 0));
    let fleet = (0..machines).map(|n| machine("gpu", n, 96.0, 2e12, 4e12, GPU_SLOTS));
    SystemSpec {
        nodes: plain.chain(fleet).collect(),
        services,
        tenants: customers(rng),
        diurnal: 0.25,
        wire: 0.0006,
        traced: 0.08,
        // A sixth of what the queue may give: a fleet in which small jobs wait by chance tells of nothing when they do.
        batch: 1.0 / (120.0 + 40.0 * rng.f64()),
    }
}

fn machine(kind: &str, n: usize, cores: f64, memory: f64, disk: f64, gpus: usize) -> NodeSpec {
    NodeSpec { name: format!("{kind}-{}", (b'a' + n as u8) as char), cores, memory, disk, gpus }
}
