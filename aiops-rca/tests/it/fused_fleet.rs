//! Fleets: devices, machines and jobs whose ranks work in step.

use std::time::Duration;

use aiops_core::action::{IncidentId, Mode};
use aiops_core::model::{
    Anomaly, Baseline, Change, ChangeKind, DetectorId, Diagnosis, DiagnosisStatus, EdgeKind, EntityId,
    EntityKind, FaultType, FetchRequest, FittedHash, LogSeverity, MetricKind, SeriesKey, Shape, SignalSet,
    TelemetryWindow, time,
};
use aiops_core::seam::Localizer;
use aiops_core::{Case, Context};
use aiops_rca::{FindingKind, FusedLocalizer, FusedRanking, MetricRoles, RuleRca, RuleRcaConfig};
use futures_lite::future::block_on;

use crate::fused::{FAULT, at, service};
use crate::fused_causes::Scene;

pub(crate) const UTILISATION: &str = "DCGM_FI_DEV_GPU_UTIL";
pub(crate) const CLOCK: &str = "DCGM_FI_DEV_SM_CLOCK";
const TEMPERATURE: &str = "DCGM_FI_DEV_GPU_TEMP";
const ACTIVITY: &str = "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE";
pub(crate) const STEP: &str = "training_step_duration_seconds";
/// Machines of the job, and one for whoever comes.
const MACHINES: [&str; 3] = ["a", "b", "spare"];

pub(crate) fn job() -> EntityId {
    EntityId::new(EntityKind::Job, "pretrain")
}

pub(crate) fn node(name: &str) -> EntityId {
    EntityId::new(EntityKind::Node, name)
}

pub(crate) fn gpu(machine: &str, slot: usize) -> EntityId {
    EntityId::new(EntityKind::Gpu, format!("{machine}/0000:{slot}b:00"))
}

pub(crate) fn driver() -> EntityId {
    service("driver")
}

/// What one device shows, before and since.
#[derive(Clone, Copy)]
pub(crate) struct Shows {
    pub(crate) utilisation: (f64, f64),
    pub(crate) activity: (f64, f64),
    pub(crate) clock: (f64, f64),
    pub(crate) celsius: (f64, f64),
}

/// At work as ever.
pub(crate) const WELL: Shows = Shows {
    utilisation: (100.0, 100.0),
    activity: (0.5, 0.5),
    clock: (1980.0, 1980.0),
    celsius: (60.0, 60.0),
};

/// In a collective that nobody leaves.
pub(crate) const WAITS: Shows = Shows { activity: (0.5, 0.0), ..WELL };

/// Nothing to do.
pub(crate) const FREE: Shows =
    Shows { utilisation: (0.0, 0.0), activity: (0.0, 0.0), clock: (345.0, 345.0), ..WELL };

/// A job over two machines of four devices and one that is spare; `shows` tells what each device shows, and a step takes `slower` times as
/// long since the fault.
pub(crate) fn fleet(shows: impl Fn(&str, usize) -> Shows, slower: f64) -> Scene {
    let mut scene = Scene::new();
    for machine in MACHINES {
        for slot in 0..4 {
            let device = gpu(machine, slot);
            scene = scene.connect(&device, &node(machine), EdgeKind::PartOf);
            let s = shows(machine, slot);
            for (name, kind, (was, is)) in [
                (UTILISATION, MetricKind::Gauge, s.utilisation),
                (ACTIVITY, MetricKind::Ratio, s.activity),
                (CLOCK, MetricKind::Gauge, s.clock),
                (TEMPERATURE, MetricKind::Gauge, s.celsius),
            ] {
                scene = scene.metric(&device, SeriesKey::new(name), kind, was, is);
            }
        }
        let managed = EntityId::instance(format!("driver-{machine}"));
        scene = scene.connect(&managed, &driver(), EdgeKind::PartOf).connect(
            &managed,
            &node(machine),
            EdgeKind::RunsOn,
        );
    }
    for machine in ["a", "b"] {
        let rank = EntityId::instance(format!("pretrain-{machine}"));
        scene = scene
            .connect(&rank, &job(), EdgeKind::PartOf)
            .connect(&rank, &node(machine), EdgeKind::RunsOn)
            .metric(&rank, SeriesKey::new("rate(process_cpu_seconds_total)"), MetricKind::Rate, 8.0, 8.0);
    }
    scene.connect(&job(), &driver(), EdgeKind::DependsOn).metric(
        &job(),
        SeriesKey::new(STEP),
        MetricKind::Gauge,
        2.0,
        2.0 * slower,
    )
}

pub(crate) fn as_ever(machine: &str, _: usize) -> Shows {
    if machine == "spare" { FREE } else { WELL }
}

pub(crate) fn xid(scene: Scene, machine: &str, slot: usize, code: u32, times: u64) -> Scene {
    let line = format!("NVRM: Xid (PCI:0000:{slot}b:00): {code}, pid=4711, name=python3, Ch 00000008");
    scene.lines(&node(machine), LogSeverity::Error, &line, 0, times)
}

/// Changed so many seconds before the fault.
pub(crate) fn changed(mut scene: Scene, who: &EntityId, kind: ChangeKind, before: u64) -> Scene {
    let when = time::before(at(FAULT), Duration::from_secs(before));
    scene.reference.changes.push(Change::new("chg-1", when, kind, who.clone(), "routine"));
    scene
}

pub(crate) fn first(answer: &FusedRanking) -> &EntityId {
    &answer.suspects[0].entity
}

pub(crate) fn score(answer: &FusedRanking, who: &EntityId) -> f64 {
    answer.suspects.iter().find(|s| s.entity == *who).map_or(0.0, |s| s.supported)
}

pub(crate) fn shows(answer: &FusedRanking, who: &EntityId, kind: FindingKind) -> bool {
    let of = answer.suspects.iter().filter(|s| s.entity == *who);
    of.flat_map(|s| &s.findings).any(|f| f.kind == kind && f.strength * f.own > 0.0)
}

#[test]
fn one_device_that_is_ill_explains_what_its_job_suffers() {
    let slow = fleet(as_ever, 5.0);
    assert_eq!(*first(&slow.rank()), job(), "nothing else is known");
    let alone = score(&slow.rank(), &job());
    for code in [48, 74, 79, 119] {
        let answer = xid(fleet(as_ever, 5.0), "b", 2, code, 2).rank();
        assert_eq!(*first(&answer), gpu("b", 2), "XID {code}");
        assert!(score(&answer, &job()) < 0.5 * alone, "XID {code}: the job suffers with its member");
    }
}

#[test]
fn what_a_program_did_to_a_device_is_its_jobs() {
    let mut scene = fleet(as_ever, 5.0);
    for (machine, slot, code) in [("a", 0, 31), ("b", 3, 13), ("a", 2, 43)] {
        scene = xid(scene, machine, slot, code, 2);
    }
    let answer = scene.rank();
    assert_eq!(*first(&answer), job());
    assert!(shows(&answer, &job(), FindingKind::Program));
    assert_eq!(answer.suspects[0].fault, FaultType::Code);
    // A small job of somebody else that fails is nobody's trouble.
    let other = xid(fleet(as_ever, 5.0), "spare", 1, 31, 2).rank();
    assert!(!shows(&other, &job(), FindingKind::Program));
    assert!(score(&other, &gpu("spare", 1)) <= 0.0);
}

#[test]
fn heat_is_a_machines_where_its_clocks_fall_and_nothing_where_they_hold() {
    let of = |clock: f64| {
        move |machine: &str, slot: usize| {
            let hot = Shows { celsius: (60.0, 88.0), clock: (1980.0, clock), ..WELL };
            if machine == "b" { hot } else { as_ever(machine, slot) }
        }
    };
    let answer = fleet(of(900.0), 2.0).rank();
    assert_eq!(*first(&answer), node("b"));
    assert_eq!(answer.suspects[0].fault, FaultType::Hardware);
    let holds = fleet(of(1980.0), 1.0).rank();
    assert!(score(&holds, &node("b")) <= 0.0, "{:?}", holds.suspects[0]);
    // A clock that falls because there is nothing to do is in order.
    let idle = fleet(|_, _| Shows { utilisation: (100.0, 0.0), clock: (1980.0, 345.0), ..WELL }, 1.0).rank();
    assert!(idle.suspects.iter().flat_map(|s| &s.findings).all(|f| f.kind != FindingKind::Device));
}

#[test]
fn one_clock_below_those_of_its_peers_is_its_devices_and_all_of_them_are_not() {
    let slow = Shows { clock: (1980.0, 1200.0), ..WELL };
    let one =
        |machine: &str, slot: usize| if (machine, slot) == ("a", 1) { slow } else { as_ever(machine, slot) };
    assert_eq!(*first(&fleet(one, 1.6).rank()), gpu("a", 1));
    let all = |machine: &str, _: usize| if machine == "spare" { FREE } else { slow };
    assert_eq!(*first(&fleet(all, 1.6).rank()), job());
}

#[test]
fn a_rank_that_idles_while_the_others_wait_for_it_hangs_in_its_program() {
    let hangs = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("b", 3) => Shows { utilisation: (100.0, 0.0), ..WAITS },
        _ => WAITS,
    };
    let answer = fleet(hangs, 100.0).rank();
    assert_eq!(*first(&answer), job());
    assert!(shows(&answer, &job(), FindingKind::OutOfStep));
    assert_eq!(answer.suspects[1].entity, gpu("b", 3), "and it is said where");
    // Of a device that is ill it is the device.
    assert_eq!(*first(&xid(fleet(hangs, 100.0), "b", 3, 79, 1).rank()), gpu("b", 3));
    // Half of them are no exception.
    let halves = |machine: &str, slot: usize| {
        let stopped = Shows { utilisation: (100.0, 0.0), ..WAITS };
        if machine == "b" { stopped } else { as_ever(machine, slot) }
    };
    assert!(!shows(&fleet(halves, 1.0).rank(), &job(), FindingKind::OutOfStep));
}

#[test]
fn the_one_that_computes_as_ever_is_waited_for() {
    let slow = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("a", 2) => WELL,
        _ => Shows { activity: (0.5, 0.2), ..WELL },
    };
    let answer = fleet(slow, 2.5).rank();
    assert!(shows(&answer, &gpu("a", 2), FindingKind::OutOfStep));
    assert!(!shows(&answer, &gpu("a", 1), FindingKind::OutOfStep));
    // More work for everybody keeps nobody waiting.
    let all = fleet(as_ever, 2.5).rank();
    assert!(all.suspects.iter().flat_map(|s| &s.findings).all(|f| f.kind != FindingKind::OutOfStep));
}

#[test]
fn a_port_that_is_down_is_its_machines_though_everybody_waits() {
    let waits = |machine: &str, _: usize| if machine == "spare" { FREE } else { WAITS };
    let key = SeriesKey::new("node_infiniband_state_id").with("port", "1");
    let mut scene = fleet(waits, 50.0);
    for (machine, is) in [("a", 4.0), ("b", 1.0)] {
        scene = scene.metric(&node(machine), key.clone(), MetricKind::Gauge, 4.0, is);
    }
    let answer = scene.lines(&node("b"), LogSeverity::Error, "mlx5_core: Port: 1 Link DOWN", 0, 1).rank();
    assert_eq!(*first(&answer), node("b"));
}

#[test]
fn a_device_that_tells_nothing_any_more_is_lost() {
    let mut scene = fleet(as_ever, 5.0);
    scene.fault.metrics.retain(|s| *s.entity() != gpu("a", 0));
    // One sample is left of it.
    let kept = fleet(as_ever, 5.0).fault.metrics.into_iter().find(|s| *s.entity() == gpu("a", 0)).unwrap();
    let axis = aiops_core::model::TimeAxis::irregular(vec![at(FAULT)]).unwrap();
    let series = aiops_core::model::MetricSeries::new(
        kept.key().clone(),
        kept.entity().clone(),
        axis,
        vec![Some(100.0)],
    );
    scene.fault.metrics.push(series.unwrap());
    assert_eq!(*first(&scene.rank()), gpu("a", 0));
}

#[test]
fn memory_that_corrects_itself_weighs_little() {
    let errors = |name: &str| {
        let key = SeriesKey::new(name);
        fleet(as_ever, 1.0).metric(&gpu("a", 1), key, MetricKind::Rate, 0.0, 0.5).rank()
    };
    let corrected = score(&errors("rate(DCGM_FI_DEV_ECC_SBE_VOL_TOTAL)"), &gpu("a", 1));
    let grave = score(&errors("rate(DCGM_FI_DEV_ECC_DBE_VOL_TOTAL)"), &gpu("a", 1));
    assert!(corrected > 0.0 && grave > 4.0 * corrected, "{corrected} {grave}");
}

#[test]
fn what_devices_show_since_the_driver_was_changed_is_the_drivers() {
    let failing = || xid(xid(fleet(as_ever, 5.0), "a", 1, 119, 2), "b", 0, 119, 1);
    assert_eq!(first(&failing().rank()).kind(), EntityKind::Gpu);
    let patched = changed(failing(), &driver(), ChangeKind::Patch, 120).rank();
    assert_eq!(*first(&patched), driver());
    assert!(shows(&patched, &driver(), FindingKind::RolledOut));
    // Long before, it explains little; a restart brings nothing new; and memory that fails is no driver's doing.
    let long = changed(failing(), &driver(), ChangeKind::Patch, 3000).rank();
    assert_eq!(first(&long).kind(), EntityKind::Gpu);
    let restarted = changed(failing(), &driver(), ChangeKind::Restart, 120).rank();
    assert_eq!(first(&restarted).kind(), EntityKind::Gpu);
    let memory = xid(fleet(as_ever, 5.0), "a", 1, 48, 2);
    assert_eq!(*first(&changed(memory, &driver(), ChangeKind::Patch, 120).rank()), gpu("a", 1));
}

#[test]
fn a_job_that_is_slower_since_it_was_changed_is_slower_by_that() {
    let scene = changed(fleet(as_ever, 3.0), &job(), ChangeKind::Deployment, 60);
    let answer = scene.rank();
    assert_eq!(*first(&answer), job());
    assert!(shows(&answer, &job(), FindingKind::RolledOut));
    // What nobody suffers by is no reason.
    let well = changed(fleet(as_ever, 1.0), &job(), ChangeKind::Deployment, 60).rank();
    assert!(!shows(&well, &job(), FindingKind::RolledOut));
}

#[test]
fn jobs_that_wait_starve_where_there_is_room_and_wait_in_order_where_there_is_none() {
    let queue = service("batch");
    let waiting = |shows: fn(&str, usize) -> Shows| {
        let key = SeriesKey::new("kueue_pending_workloads");
        fleet(shows, 1.0).metric(&queue, key, MetricKind::Gauge, 1.0, 30.0).rank()
    };
    let starving = waiting(as_ever);
    assert_eq!(*first(&starving), queue);
    assert!(shows(&starving, &queue, FindingKind::Starvation));
    let full = waiting(|_, _| WELL);
    assert!(!shows(&full, &queue, FindingKind::Starvation));
    assert!(score(&full, &queue) < 0.25 * score(&starving, &queue));
}

#[test]
fn labels_tell_machines_and_holders_where_the_topology_does_not() {
    let rank = EntityId::instance("pretrain-0");
    let mut scene = Scene::new()
        .connect(&rank, &job(), EdgeKind::PartOf)
        .connect(&rank, &node("n1"), EdgeKind::RunsOn)
        .metric(&job(), SeriesKey::new(STEP), MetricKind::Gauge, 2.0, 20.0);
    let device = |slot: usize| EntityId::new(EntityKind::Gpu, format!("GPU-{slot}"));
    for slot in 0..4 {
        let key = SeriesKey::new(UTILISATION)
            .with("Hostname", "n1")
            .with("pci_bus_id", format!("00000000:{slot}B:00.0"))
            .with("exported_pod", if slot == 3 { "notebook" } else { "pretrain-0" });
        scene = scene.metric(&device(slot), key, MetricKind::Gauge, 100.0, 100.0);
    }
    // Held by the job, and by somebody else.
    let line = "NVRM: Xid (PCI:0000:1b:00): 94, Contained: SM";
    let answer = scene.lines(&node("n1"), LogSeverity::Error, line, 0, 1);
    assert_eq!(*first(&answer.rank()), device(1));
    let line = "NVRM: Xid (PCI:0000:3b:00): 31, MMU Fault";
    assert!(!shows(
        &answer.lines(&node("n1"), LogSeverity::Error, line, 0, 9).rank(),
        &job(),
        FindingKind::Program
    ));
}

#[test]
fn without_devices_nothing_is_of_a_fleet() {
    let slow = Scene::new().metric(&job(), SeriesKey::new(STEP), MetricKind::Gauge, 2.0, 20.0);
    let plain = slow.rank();
    let told = changed(
        slow.lines(&node("a"), LogSeverity::Error, "NVRM: Xid (PCI:0000:1b:00): 79, lost", 0, 3),
        &job(),
        ChangeKind::Deployment,
        60,
    );
    let kinds = [FindingKind::Device, FindingKind::RolledOut, FindingKind::Program, FindingKind::OutOfStep];
    assert!(told.rank().suspects.iter().flat_map(|s| &s.findings).all(|f| !kinds.contains(&f.kind)));
    assert!(score(&plain, &job()) > 0.0);
}

/// What users of the job feel.
fn long_steps(window: &TelemetryWindow) -> Anomaly {
    Anomaly::new(
        DetectorId("test".into()),
        FittedHash::of(b"test"),
        job(),
        SeriesKey::new(STEP),
        Shape::LevelShiftUp,
        at(FAULT),
        20.0,
        Baseline { center: 2.0, scale: 0.05, samples: 60 },
        FetchRequest::new(window.range).with_step(Duration::from_secs(60)),
    )
}

/// What rules say of a scene, with what its users feel.
pub(crate) fn diagnosis(scene: Scene) -> Diagnosis {
    analyze(&ranked(scene, long_steps))
}

/// A scene as far as its ranking, with what is felt of it.
pub(crate) fn ranked(scene: Scene, felt: impl Fn(&TelemetryWindow) -> Anomaly) -> Case {
    let mut window = scene.reference;
    window.merge(scene.fault);
    window.observed = SignalSet::all();
    let anomaly = felt(&window);
    let end = window.range.end();
    let mut case = Case::open(IncidentId::new("inc-1"), end, Mode::Auto);
    case.observe(end, window);
    case.detect(end, vec![anomaly]);
    let localizer = FusedLocalizer::default();
    let ranking =
        block_on(localizer.localize(case.window().unwrap(), case.anomalies(), &Context::system())).unwrap();
    case.localize(end, ranking);
    case
}

pub(crate) fn analyze(case: &Case) -> Diagnosis {
    RuleRca::new(MetricRoles::default(), RuleRcaConfig::default()).unwrap().analyze(case).unwrap()
}

fn cause(scene: Scene) -> (EntityId, FaultType) {
    let diagnosis = diagnosis(scene);
    let first = diagnosis.hypotheses.first().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"));
    (first.system.clone(), first.fault)
}

#[test]
fn rules_name_the_machine_of_a_device_and_the_program_of_a_job() {
    assert_eq!(cause(xid(fleet(as_ever, 10.0), "b", 2, 48, 3)), (node("b"), FaultType::Hardware));
    assert_eq!(cause(xid(fleet(as_ever, 10.0), "b", 2, 31, 3)), (job(), FaultType::Code));
    let hangs = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("b", 3) => Shows { utilisation: (100.0, 0.0), ..WAITS },
        _ => WAITS,
    };
    assert_eq!(cause(fleet(hangs, 10.0)), (job(), FaultType::Code));
    let capped = changed(
        xid(xid(fleet(as_ever, 10.0), "a", 0, 119, 2), "b", 1, 119, 2),
        &driver(),
        ChangeKind::Patch,
        60,
    );
    assert_eq!(cause(capped), (driver(), FaultType::Code));
}

#[test]
fn a_job_whose_devices_tell_nothing_is_dark_unless_something_else_tells() {
    let dark = |scene: &Diagnosis| matches!(scene.status, DiagnosisStatus::ObservabilityDark { .. });
    let unread = || {
        let mut scene = fleet(as_ever, 10.0);
        for window in [&mut scene.reference, &mut scene.fault] {
            window.metrics.retain(|s| s.entity().kind() != EntityKind::Gpu);
        }
        scene
    };
    let found = diagnosis(unread());
    assert!(dark(&found), "{found:#?}");
    assert!(format!("{:?}", found.status).contains("node/b"), "{:?}", found.status);
    assert!(!dark(&diagnosis(fleet(as_ever, 10.0))), "they are read");
    assert!(!dark(&diagnosis(xid(unread(), "b", 2, 31, 3))), "its program tells");
    assert!(!dark(&diagnosis(changed(unread(), &job(), ChangeKind::Deployment, 30))), "its change tells");
}
