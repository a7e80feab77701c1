//! Fleets: what the numbers of drivers, links and fabrics stand for.

use aiops_core::model::{
    EntityId, LogSeverity, MetricKind, MetricSeries, SeriesKey, Signal, TelemetryWindow, TimeAxis,
};
use aiops_rca::{FindingKind, FusedRanking};

use crate::fused::service;
use crate::fused_causes::Scene;
use crate::fused_fleet::{
    FREE, Shows, UTILISATION, WAITS, WELL, as_ever, first, fleet, gpu, job, node, score, shows, xid,
};
use crate::fused_fleet_now::meanwhile;

const FABRIC: &str = "DCGM_FI_DEV_FABRIC_MANAGER_STATUS";
const ENGINE: &str = "DCGM_FI_PROF_GR_ENGINE_ACTIVE";
const XIDS: &str = "DCGM_FI_DEV_XID_ERRORS";

/// One device shows `name` go from `was` to `is`, exactly.
fn with_state(name: &str, was: f64, is: f64) -> FusedRanking {
    let who = gpu("a", 1);
    let mut scene = fleet(as_ever, 1.0).metric(&who, SeriesKey::new(name), MetricKind::Gauge, was, is);
    scene = meanwhile(scene, &who, name, (0, 0), is);
    for series in &mut scene.reference.metrics {
        if series.key().name == name {
            *series = with(series, name, |_| was);
        }
    }
    scene.rank()
}

/// The same times under another name, with other values.
fn with(series: &MetricSeries, name: &str, value: impl Fn(f64) -> f64) -> MetricSeries {
    let mut key = series.key().clone();
    name.clone_into(&mut key.name);
    let times = series.points().map(|(at, _)| at).collect();
    let values: Vec<_> = series.points().map(|(_, v)| Some(value(v))).collect();
    let axis = TimeAxis::irregular(times).unwrap();
    let same = MetricSeries::new(key, series.entity().clone(), axis, values).unwrap();
    same.with_kind(MetricKind::Gauge).with_unit(series.unit().clone())
}

#[test]
fn a_device_that_is_no_longer_registered_is_ill_whatever_the_number_of_its_state() {
    let ill = |was, is| shows(&with_state(FABRIC, was, is), &gpu("a", 1), FindingKind::Device);
    for failed in [0.0, 1.0, 2.0, 4.0, 5.0, 6.0] {
        assert!(ill(3.0, failed), "from success to {failed}");
        assert!(!ill(failed, 3.0), "from {failed} to success");
    }
    assert!(ill(2.0, 4.0), "what was in progress failed");
    assert!(!ill(3.0, 3.0));
}

/// Exporters of how much a device is used.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tells {
    Percent,
    Share,
    Both,
}

/// The same fleet, read by one exporter or the other.
fn told_by(mut scene: Scene, tells: Tells) -> Scene {
    let change = |window: &mut TelemetryWindow| {
        let of = |s: &&MetricSeries| s.key().name == UTILISATION && tells != Tells::Percent;
        let shares: Vec<_> =
            window.metrics.iter().filter(of).map(|s| with(s, ENGINE, |v| v / 100.0)).collect();
        window.metrics.retain(|s| s.key().name != UTILISATION || tells != Tells::Share);
        window.metrics.extend(shares);
    };
    change(&mut scene.reference);
    change(&mut scene.fault);
    scene
}

#[test]
fn a_share_of_use_is_read_in_percent_and_counts_once() {
    let slow = Shows { clock: (1980.0, 1200.0), ..WELL };
    let one =
        |machine: &str, slot: usize| if (machine, slot) == ("a", 1) { slow } else { as_ever(machine, slot) };
    let hangs = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("b", 3) => Shows { utilisation: (100.0, 0.0), ..WAITS },
        _ => WAITS,
    };
    let queue = service("batch");
    for tells in [Tells::Percent, Tells::Share, Tells::Both] {
        assert_eq!(*first(&told_by(fleet(one, 1.6), tells).rank()), gpu("a", 1), "{tells:?}: a slow clock");
        let hung = told_by(fleet(hangs, 100.0), tells).rank();
        let of = |who: &EntityId| {
            let findings = hung.suspects.iter().filter(|s| s.entity == *who).flat_map(|s| &s.findings);
            findings.filter(|f| f.kind == FindingKind::OutOfStep).count()
        };
        assert_eq!((of(&job()), of(&gpu("b", 3))), (1, 1), "{tells:?}: a rank that idles, told once");
        let starves = |shows: fn(&str, usize) -> Shows| {
            let pending = SeriesKey::new("kueue_pending_workloads");
            let scene = fleet(shows, 1.0).metric(&queue, pending, MetricKind::Gauge, 1.0, 30.0);
            told_by(scene, tells).rank()
        };
        assert!(!self::shows(&starves(|_, _| WELL), &queue, FindingKind::Starvation), "{tells:?}: full");
        let room = starves(as_ever);
        assert!(self::shows(&room, &queue, FindingKind::Starvation), "{tells:?}: room");
        let said = room.suspects.iter().flat_map(|s| &s.findings).find(|f| f.kind == FindingKind::Starvation);
        assert!(said.unwrap().statement.contains("4 of 4 GPUs"), "{tells:?}: {said:?}");
    }
}

fn ill_with(codes: &[u32]) -> FusedRanking {
    let scene = codes.iter().fold(fleet(as_ever, 5.0), |scene, code| xid(scene, "b", 2, *code, 2));
    scene.rank()
}

#[test]
fn a_stream_of_commands_that_is_none_is_its_programs_and_a_grave_code_its_devices() {
    for code in [8, 11, 25, 32, 39, 60, 70, 77, 80, 86, 101, 130, 139, 142] {
        let answer = ill_with(&[code]);
        assert!(shows(&answer, &job(), FindingKind::Program), "XID {code}");
        assert!(!shows(&answer, &gpu("b", 2), FindingKind::Device), "XID {code}");
    }
    for code in [46, 110, 136, 155, 157, 158, 167, 169] {
        let answer = ill_with(&[code]);
        assert_eq!(*first(&answer), gpu("b", 2), "XID {code}");
        assert_eq!(of_device(&answer), of_device(&ill_with(&[79])), "XID {code}");
    }
}

/// Strength of what the device says of itself, all in all.
fn of_device(answer: &FusedRanking) -> f64 {
    let of = answer.suspects.iter().filter(|s| s.entity == gpu("b", 2)).flat_map(|s| &s.findings);
    of.filter(|f| f.kind == FindingKind::Device).map(|f| f.strength).sum()
}

#[test]
fn what_follows_from_another_error_or_was_put_right_weighs_little_and_nothing_beside_it() {
    for code in [63, 92, 38, 154, 160] {
        let little = of_device(&ill_with(&[code]));
        assert!(little > 0.0 && 4.0 * little < of_device(&ill_with(&[64])), "XID {code}: {little}");
        assert_eq!(of_device(&ill_with(&[48, code])), of_device(&ill_with(&[48])), "XID {code}");
    }
    let program = |codes: &[u32]| {
        let answer = ill_with(codes);
        let of = answer.suspects.iter().filter(|s| s.entity == job()).flat_map(|s| &s.findings);
        of.filter(|f| f.kind == FindingKind::Program).map(|f| f.strength).sum::<f64>()
    };
    assert!(program(&[45]) > 0.0 && 4.0 * program(&[45]) < program(&[31]));
    assert_eq!(program(&[48, 45]), 0.0, "cleared away after the device failed");
    assert_eq!(program(&[31, 45]), program(&[31]));
}

#[test]
fn a_code_says_whether_a_line_or_the_gauge_told_it() {
    let signals = |answer: &FusedRanking, who: &EntityId| -> Vec<Signal> {
        let of = answer.suspects.iter().filter(|s| s.entity == *who).flat_map(|s| &s.findings);
        of.filter(|f| f.kind == FindingKind::Device).map(|f| f.signal).collect()
    };
    assert_eq!(signals(&with_state(XIDS, 0.0, 79.0), &gpu("a", 1)), [Signal::Metrics]);
    assert_eq!(signals(&ill_with(&[79]), &gpu("b", 2)), [Signal::Logs]);
}

#[test]
fn a_link_that_sends_again_weighs_little_and_one_that_recovers_in_full() {
    let errors = |name: &str| {
        let key = SeriesKey::new(format!("rate(DCGM_FI_DEV_NVLINK_{name}_ERROR_COUNT_TOTAL)"));
        let answer = fleet(as_ever, 1.0).metric(&gpu("a", 1), key, MetricKind::Rate, 0.0, 0.5).rank();
        score(&answer, &gpu("a", 1))
    };
    let grave = errors("RECOVERY");
    for name in ["CRC_FLIT", "CRC_DATA", "REPLAY"] {
        let repaired = errors(name);
        assert!(repaired > 0.0 && grave > 4.0 * repaired, "{name}: {repaired} {grave}");
    }
}

#[test]
fn a_link_that_recovers_from_errors_is_worse_than_one_that_is_up() {
    let liveness = |name: &str, was: f64, is: f64| {
        let key = SeriesKey::new(name).with("port", "1");
        let scene = fleet(as_ever, 1.0).metric(&node("b"), key, MetricKind::Gauge, was, is);
        let answer = scene.lines(&node("b"), LogSeverity::Info, "mlx5_core: port 1", 0, 1).rank();
        let of = answer.suspects.iter().filter(|s| s.entity == node("b")).flat_map(|s| &s.findings);
        of.filter(|f| f.kind == FindingKind::Liveness).map(|f| f.strength).sum::<f64>()
    };
    let physical = "node_infiniband_physical_state_id";
    assert!(liveness(physical, 5.0, 6.0) > 2.0 * liveness(physical, 6.0, 5.0));
    assert!(liveness(physical, 5.0, 2.0) > 2.0 * liveness(physical, 2.0, 5.0));
    let logical = "node_infiniband_state_id";
    assert!(liveness(logical, 4.0, 1.0) > 2.0 * liveness(logical, 1.0, 4.0));
}
