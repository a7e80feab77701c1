//! Classes of GPU faults in the words of DCGM, and what looks like them.

use aiops_core::model::{
    Diagnosis, EdgeKind, EntityId, EntityKind, FaultType, Hypothesis, MetricKind, SeriesKey, Shape,
};

use crate::world::World;

fn gpu() -> EntityId {
    EntityId::new(EntityKind::Gpu, "node-7/gpu-3")
}

/// A job on two GPUs.
fn fleet() -> World {
    let mut world = World::new();
    let job = EntityId::service("train");
    for id in [gpu(), EntityId::new(EntityKind::Gpu, "node-7/gpu-4")] {
        world.window.topology.connect(job.clone(), id.clone(), EdgeKind::DependsOn);
        for name in ["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_GPU_TEMP"] {
            world.series(&id, name, MetricKind::Gauge, 0..60);
        }
    }
    world
}

fn moves(world: &mut World, name: &str, shape: Shape, center: f64, value: f64) {
    world.deviates(&gpu(), SeriesKey::new(name), MetricKind::Gauge, shape, 40, center, value);
}

fn up(world: &mut World, name: &str, value: f64) {
    moves(world, name, Shape::LevelShiftUp, 0.0, value);
}

fn first(diagnosis: &Diagnosis) -> &Hypothesis {
    diagnosis.hypotheses.first().unwrap_or_else(|| panic!("nothing: {diagnosis:#?}"))
}

fn told(world: &World) -> (FaultType, Option<String>, Hypothesis) {
    let diagnosis = world.diagnosis();
    let h = diagnosis.cause().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"));
    assert_eq!(h.system, gpu(), "{diagnosis:#?}");
    (h.fault, h.mechanism.clone(), h.clone())
}

#[test]
fn codes_of_the_driver_tell_programs_from_devices() {
    for (code, fault, mechanism) in [
        (31.0, FaultType::Code, "gpu program"),
        (13.0, FaultType::Code, "gpu program"),
        (32.0, FaultType::Code, "gpu program"),
        (45.0, FaultType::Code, "gpu program"),
        (48.0, FaultType::Hardware, "ecc"),
        (157.0, FaultType::Hardware, "ecc"),
        (94.0, FaultType::Hardware, "ecc"),
        (74.0, FaultType::Hardware, "nvlink"),
        (136.0, FaultType::Hardware, "nvlink"),
        (79.0, FaultType::Hardware, "gpu lost"),
        (167.0, FaultType::Hardware, "gpu lost"),
        (46.0, FaultType::Hardware, "gpu driver"),
        (119.0, FaultType::Hardware, "gpu driver"),
        (999.0, FaultType::Hardware, "gpu"),
    ] {
        let mut world = fleet();
        up(&mut world, "DCGM_FI_DEV_XID_ERRORS", code);
        let (told_fault, told_mechanism, h) = told(&world);
        assert_eq!((told_fault, told_mechanism.as_deref()), (fault, Some(mechanism)), "XID {code}");
        assert!(h.statement.contains(&format!("XID {code}")), "{}", h.statement);
    }
}

#[test]
fn a_code_in_a_label_counts_before_the_value() {
    let mut world = fleet();
    let key = SeriesKey::new("gpu_xid_errors_total").with("xid", "31");
    world.deviates(&gpu(), key, MetricKind::Rate, Shape::LevelShiftUp, 40, 0.0, 79.0);
    assert_eq!(told(&world).0, FaultType::Code);
}

#[test]
fn uncorrected_errors_weigh_more_than_corrected_ones_and_full_memory_is_neither() {
    let confidence = |name: &str| {
        let mut world = fleet();
        up(&mut world, name, 40.0);
        let (fault, mechanism, h) = told(&world);
        assert_eq!((fault, mechanism.as_deref()), (FaultType::Hardware, Some("ecc")));
        h.confidence.probability()
    };
    assert!(confidence("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL") > confidence("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"));

    let mut full = fleet();
    moves(&mut full, "gpu_memory_used_bytes", Shape::SteadyIncrease, 2e9, 8e10);
    assert_eq!(told(&full).0, FaultType::ResourceExhaustion);
}

#[test]
fn heat_that_costs_clock_is_throttling_and_heat_of_more_work_is_not() {
    let mut throttled = fleet();
    moves(&mut throttled, "DCGM_FI_DEV_GPU_TEMP", Shape::LevelShiftUp, 60.0, 95.0);
    moves(&mut throttled, "DCGM_FI_DEV_SM_CLOCK", Shape::LevelShiftDown, 1900.0, 600.0);
    let (fault, mechanism, h) = told(&throttled);
    assert_eq!((fault, mechanism.as_deref()), (FaultType::Hardware, Some("thermal")));
    assert!(h.statement.contains("throttling") && h.distinctions.iter().any(|d| d.from == FaultType::Load));

    let mut works = fleet();
    moves(&mut works, "DCGM_FI_DEV_GPU_TEMP", Shape::LevelShiftUp, 60.0, 85.0);
    moves(&mut works, "DCGM_FI_DEV_GPU_UTIL", Shape::LevelShiftUp, 20.0, 98.0);
    let diagnosis = works.diagnosis();
    assert!(!first(&diagnosis).statement.contains("throttling"), "{diagnosis:#?}");
    assert!(first(&diagnosis).confidence.probability() < 0.5, "{diagnosis:#?}");
    assert!(
        first(&throttled.diagnosis()).confidence.probability() > first(&diagnosis).confidence.probability()
    );
}

#[test]
fn violations_say_themselves_what_holds_the_clock_back() {
    let mut hot = fleet();
    up(&mut hot, "DCGM_FI_DEV_THERMAL_VIOLATION", 5e5);
    assert_eq!(told(&hot).0, FaultType::Hardware);

    let mut capped = fleet();
    up(&mut capped, "DCGM_FI_DEV_POWER_VIOLATION", 5e5);
    moves(&mut capped, "DCGM_FI_DEV_SM_CLOCK", Shape::LevelShiftDown, 1900.0, 900.0);
    let (fault, mechanism, _) = told(&capped);
    assert_eq!((fault, mechanism.as_deref()), (FaultType::ResourceExhaustion, Some("power")));
}

#[test]
fn errors_on_links_are_hardware_and_more_traffic_on_them_is_not() {
    let mut world = fleet();
    up(&mut world, "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 4_000.0);
    let (fault, mechanism, h) = told(&world);
    assert_eq!((fault, mechanism.as_deref()), (FaultType::Hardware, Some("nvlink")));
    assert!(h.distinctions.iter().any(|d| d.from == FaultType::Network));

    let mut busy = fleet();
    up(&mut busy, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", 4_000.0);
    let diagnosis = busy.diagnosis();
    assert!(diagnosis.hypotheses.iter().all(|h| h.fault != FaultType::Hardware), "{diagnosis:#?}");
}

#[test]
fn a_collective_that_hangs_is_laid_at_the_door_of_what_errs() {
    let hang = |with: Option<&str>| {
        let mut world = fleet();
        up(&mut world, "nccl_collective_wait_seconds", 600.0);
        if let Some(name) = with {
            up(&mut world, name, 4_000.0);
        }
        let (fault, mechanism, _) = told(&world);
        (fault, mechanism)
    };
    assert_eq!(hang(Some("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL")).1.as_deref(), Some("nvlink"));
    assert_eq!(hang(Some("node_network_receive_packets_lost")).0, FaultType::Network);
    assert_eq!(hang(None), (FaultType::Code, Some("collective hang".to_owned())));
}
