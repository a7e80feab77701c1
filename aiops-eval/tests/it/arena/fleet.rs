//! Fleets of GPUs: laws, physics, and that what the catalogue calls right is right.

use aiops_core::model::{EntityKind, MetricSeries, TelemetryWindow};
use aiops_detect::gpu::signature::{Sign, recognise};
use aiops_detect::gpu::xid::{XidClass, lookup, parse};
use aiops_eval::arena::World;
use aiops_eval::arena::faults::{Duty, Family, Fault, catalogue, daily_life};
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::episode::Layout;
use aiops_eval::arena::sim::control::Control;
use aiops_eval::arena::sim::fleet::draw::fleet;
use aiops_eval::arena::sim::spec::{Role, SystemSpec};
use aiops_eval::arena::sim::state::{Condition, Place, Trouble};
use aiops_eval::arena::sim::{SECOND, Simulator};

use super::world::{after, minutes};

fn of<'w>(window: &'w TelemetryWindow, name: &str) -> Vec<&'w MetricSeries> {
    window.metrics.iter().filter(|s| s.key().name == name).collect()
}

/// Mean of the samples of the last `back` before the end of the window.
fn late(series: &MetricSeries, window: &TelemetryWindow, back: i64) -> f64 {
    let near = |t: aiops_core::jiff::Timestamp| window.range.end().duration_since(t).as_secs() <= back;
    let values: Vec<f64> = series.points().filter(|(t, _)| near(*t)).map(|p| p.1).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn job(spec: &SystemSpec) -> usize {
    spec.services.iter().position(|s| s.role == Role::Training).unwrap()
}

/// Minutes that a world runs before something is done to it.
const WARM_UP: u64 = 15;

/// Something begins right after the warm-up.
fn begin(world: &World, on: Place, does: Trouble) {
    let condition = Condition { on, does, cures: Vec::new(), until: None };
    world.schedule((WARM_UP * 60) as f64 + 1.0, Control::Begin(condition));
}

#[test]
fn a_fleet_tells_what_dcgm_and_jobs_tell() {
    let world = World::fleet(3);
    let window = after(&world, minutes(40), minutes(30));
    let gpus = of(&window, "DCGM_FI_DEV_GPU_TEMP");
    assert!(gpus.len() >= 40 && gpus.len().is_multiple_of(8), "{}", gpus.len());
    assert!(gpus.iter().all(|s| s.entity().kind() == EntityKind::Gpu));
    assert!(
        gpus.iter().all(|s| s.points().all(|(_, t)| (28.0..87.0).contains(&t))),
        "healthy GPUs are not hot"
    );
    for series in of(&window, "DCGM_FI_DEV_POWER_USAGE") {
        assert!(series.points().all(|(_, w)| (60.0..720.0).contains(&w)), "{}", series.key());
    }
    let steps = of(&window, "training_step_duration_seconds");
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].entity().kind(), EntityKind::Job);
    let step = late(steps[0], &window, 1200);
    assert!((1.5..4.0).contains(&step), "{step}");
    let queue = of(&window, "max_age(kueue_pending_workloads)");
    assert!(late(queue[0], &window, 1500) < 30.0, "small jobs find room");
    // Every machine has its GPUs as parts, and a GPU is named as its kernel names it.
    let machine = window.topology.whole(gpus[0].entity());
    assert_eq!(machine.kind(), EntityKind::Node);
    assert!(gpus[0].entity().name().starts_with(machine.name()));
    let mut sorted = window.clone();
    sorted.sort();
    assert_eq!(sorted, window);
}

#[test]
fn jobs_and_gpus_are_conserved() {
    for seed in 0..3 {
        let spec = fleet(seed);
        let mut sim = Simulator::new(spec.clone(), seed, 9.0);
        for (at, control) in daily_life(&spec, seed, 1800.0) {
            sim.schedule(at, control);
        }
        // A driver that fails, a machine that goes down: processes end and come back all the time.
        let down =
            Condition { on: Place::Node(2), does: Trouble::Down, cures: vec![], until: Some(1500 * SECOND) };
        sim.schedule(1000 * SECOND, Control::Begin(down));
        let storm =
            Condition { on: Place::Gpu(3, 1), does: Trouble::DoubleBit(100.0), cures: vec![], until: None };
        sim.schedule(600 * SECOND, Control::Begin(storm));
        for minute in 1..=30 {
            sim.run_until(minute * 60 * SECOND);
            let t = sim.fleet_totals();
            assert_eq!(t.came, t.waiting + t.running + t.ended, "{t:?}");
            assert_eq!(t.given, t.held_by_jobs, "{t:?}");
            assert!(t.held_by_services + t.held_by_jobs <= t.gpus, "{t:?}");
            let r = sim.totals();
            assert_eq!(r.arrived, r.succeeded + r.failed + r.in_flight);
            assert_eq!(r.calls, r.calls_ended + r.calls_live);
        }
        assert!(sim.fleet_totals().steps > 200 && sim.fleet_totals().came > 3);
    }
}

#[test]
fn a_fleet_does_not_depend_on_how_it_is_run() {
    let counts = |sim: &Simulator| (sim.totals(), sim.fleet_totals());
    let whole = || {
        let mut sim = Simulator::new(fleet(4), 4, 9.0);
        sim.run_until(900 * SECOND);
        counts(&sim)
    };
    let mut pieces = Simulator::new(fleet(4), 4, 9.0);
    for i in 1..=3600 {
        pieces.run_until(i * SECOND / 4);
    }
    assert_eq!(whole(), counts(&pieces));
    let on_threads: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..2).map(|_| scope.spawn(whole)).collect();
        started.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(on_threads, [whole(), whole()]);
}

#[test]
fn the_slowest_rank_makes_the_step() {
    let spec = fleet(5);
    let (job, world) = (job(&spec), World::fleet(5));
    let well = after(&world, minutes(WARM_UP), minutes(5));
    let hot = spec.placement()[job][0];
    begin(&world, Place::Node(hot), Trouble::Heat(2.6));
    let window = after(&world, minutes(15), minutes(5));
    let step = |w: &TelemetryWindow| late(of(w, "training_step_duration_seconds")[0], w, 290);
    let slower = step(&window) / step(&well);
    let clocks = of(&window, "DCGM_FI_DEV_SM_CLOCK");
    let on = |s: &&&MetricSeries| s.entity().name().starts_with(&spec.nodes[hot].name);
    let lowest =
        clocks.iter().filter(on).map(|s| late(s, &window, 290)).fold(f64::INFINITY, f64::min) / 1980.0;
    assert!((0.2..0.7).contains(&lowest), "{lowest}");
    // One machine of several is slow, and all of them wait for it; the collective takes as long as ever.
    assert!(slower > 1.4 && slower < 1.1 / lowest, "{slower} at {lowest} of the clock");
    let elsewhere = spec.placement()[job][1];
    let cool = clocks.iter().find(|s| s.entity().name().starts_with(&spec.nodes[elsewhere].name)).unwrap();
    assert!(late(cool, &window, 290) > 1900.0, "others keep their clock");
    let reasons = of(&window, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS");
    assert!(reasons.iter().filter(on).all(|s| s.points().any(|(_, r)| r as u64 & 0x60 != 0)));
}

#[test]
fn a_rank_that_hangs_holds_everybody_until_the_watchdog_and_a_restart_frees_them() {
    let spec = fleet(6);
    let (job, world) = (job(&spec), World::fleet(6));
    after(&world, minutes(WARM_UP), minutes(1));
    begin(&world, Place::Replica(job, 1), Trouble::Hang(3));
    let window = after(&world, minutes(8), minutes(6));
    let age = of(&window, "training_step_duration_seconds")[0].points().last().unwrap().1;
    assert!(age > 400.0, "no step ends: {age}");
    let machine = spec.placement()[job][1];
    let guilty = spec.nodes[machine].gpu(3);
    let level = |name: &str, entity| {
        let series = of(&window, name).into_iter().find(|s| s.entity() == entity).unwrap();
        late(series, &window, 120)
    };
    let peer = spec.nodes[spec.placement()[job][0]].gpu(0);
    assert!(level("DCGM_FI_DEV_GPU_UTIL", &peer) > 95.0 && level("DCGM_FI_DEV_POWER_USAGE", &peer) < 250.0);
    assert!(level("DCGM_FI_DEV_GPU_UTIL", &guilty) < 5.0);
    assert!(!window.logs.iter().any(|l| recognise(&l.body).is_some()), "the watchdog waits for ten minutes");
    let window = after(&world, minutes(5), minutes(5));
    let timeouts: Vec<_> = window
        .logs
        .iter()
        .filter(|l| recognise(&l.body).is_some_and(|s| s.sign == Sign::CollectiveTimeout))
        .collect();
    assert_eq!(
        timeouts.len(),
        8 * spec.services[job].replicas as usize - 1,
        "every rank but the one that hangs"
    );
    // Roll-outs restart copies one after the other.
    let restart = Control::RollOut {
        service: job,
        kind: aiops_core::model::ChangeKind::Restart,
        alters: Vec::new(),
        told: true,
    };
    world.schedule((WARM_UP + 13) as f64 * 60.0 + 2.0, restart);
    let window = after(&world, minutes(6), minutes(1));
    let step = of(&window, "training_step_duration_seconds")[0].points().last().unwrap().1;
    assert!(step < 5.0, "{step}");
}

#[test]
fn programs_of_users_look_like_hardware_and_name_themselves() {
    let world = World::fleet(2);
    let window = after(&world, minutes(240), minutes(239));
    let codes: Vec<u32> = window.logs.iter().filter_map(|l| parse(&l.body)).map(|l| l.code).collect();
    assert!(!codes.is_empty(), "in four hours somebody's program fails");
    assert!(codes.iter().all(|c| lookup(*c).is_some_and(|x| x.class == XidClass::Application)), "{codes:?}");
}

fn small() -> RunConfig {
    RunConfig { learn_minutes: 20, watch_minutes: 25, ..RunConfig::default() }
}

#[test]
fn faults_of_gpus_strike_in_fleets_and_what_is_right_heals() {
    let all = catalogue();
    let gpu: Vec<_> = all.iter().filter(|f| f.family() == Family::Gpu).collect();
    assert!(gpu.len() >= 12, "{}", gpu.len());
    let failed: Vec<String> = std::thread::scope(|scope| {
        let started: Vec<_> = gpu
            .chunks(gpu.len().div_ceil(2))
            .map(|half| {
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    for (index, fault) in half.iter().enumerate() {
                        let layout = Layout::new(&small(), 40 + index as u64, Some(*fault));
                        assert!(layout.is_broken(), "{}", fault.id());
                        for kind in layout.right() {
                            let healed = layout.remedied(Some(kind)).unwrap().unwrap();
                            if !healed.is_healed() {
                                failed.push(format!("{} {healed:?}", fault.id()));
                            }
                        }
                        if layout.duty() == Some(Duty::Heal) {
                            let (_, harmed) = layout.without_anybody().unwrap();
                            if !harmed {
                                failed.push(format!("{} harms nobody", fault.id()));
                            }
                        }
                    }
                    failed
                })
            })
            .collect();
        started.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:#?}");
}
