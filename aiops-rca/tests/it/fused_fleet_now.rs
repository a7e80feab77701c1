//! Fleets: what holds now, when it began, and what rules make of it.

use std::time::Duration;

use aiops_core::model::{
    Anomaly, Baseline, Change, ChangeKind, DetectorId, EntityId, FaultType, FetchRequest, FittedHash,
    Hypothesis, LogSeverity, MetricKind, MetricSeries, Recovery, SeriesKey, Shape, TelemetryWindow, TimeAxis,
    Unit, time,
};
use aiops_rca::FindingKind;
use jiff::Timestamp;

use crate::attempts::{restart, tried};
use crate::fused::{FAULT, at, service};
use crate::fused_causes::Scene;
use crate::fused_fleet::{
    CLOCK, FREE, Shows, UTILISATION, WAITS, WELL, analyze, as_ever, changed, diagnosis, driver, first, fleet,
    gpu, job, node, ranked, shows,
};

const CAPPED: &str = "rate(DCGM_FI_DEV_POWER_VIOLATION)";
const OLDEST: &str = "max_age(kueue_pending_workloads)";

/// The same, but for what `name` of `who` was from sample `from` to the last but `until` since the fault.
pub(crate) fn meanwhile(
    mut scene: Scene,
    who: &EntityId,
    name: &str,
    (from, until): (usize, usize),
    was: f64,
) -> Scene {
    for series in &mut scene.fault.metrics {
        if series.entity() == who && series.key().name == name {
            let n = series.points().count();
            let values = series.points().enumerate();
            let values = values.map(|(i, (_, v))| Some(if (from..n - until).contains(&i) { was } else { v }));
            let times = series.points().map(|(at, _)| at).collect();
            let same = MetricSeries::new(
                series.key().clone(),
                series.entity().clone(),
                TimeAxis::irregular(times).unwrap(),
                values,
            );
            *series = same.unwrap().with_kind(series.kind()).with_unit(series.unit().clone());
        }
    }
    scene
}

#[test]
fn a_hang_is_told_by_what_ranks_do_now() {
    let hangs = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("b", 3) => Shows { utilisation: (100.0, 0.0), ..WAITS },
        _ => WAITS,
    };
    // The time is taken too early: most of what is counted as since the fault was before it.
    let late = meanwhile(fleet(hangs, 50.0), &gpu("b", 3), UTILISATION, (0, 4), 100.0);
    let answer = late.rank();
    assert_eq!(*first(&answer), job());
    assert!(shows(&answer, &job(), FindingKind::OutOfStep));
    // One sample says nothing: a rank may write a checkpoint.
    let pause = meanwhile(fleet(hangs, 50.0), &gpu("b", 3), UTILISATION, (0, 1), 100.0);
    assert!(!shows(&pause.rank(), &job(), FindingKind::OutOfStep));
}

/// Devices of machine `a` are capped for the last `samples` samples.
fn capped_for(samples: usize) -> Scene {
    let slow = |machine: &str, slot: usize| {
        if machine == "a" { Shows { clock: (1980.0, 1200.0), ..WELL } } else { as_ever(machine, slot) }
    };
    let mut scene = fleet(slow, 1.6);
    for slot in 0..4 {
        let device = gpu("a", slot);
        scene = scene.metric(&device, SeriesKey::new(CAPPED), MetricKind::Rate, 0.0, 1e6);
        scene = meanwhile(scene, &device, CAPPED, (0, samples), 0.0);
        scene = meanwhile(scene, &device, CLOCK, (0, samples), 1980.0);
    }
    scene
}

fn minutes_in(scene: &Scene, minutes: u64) -> Timestamp {
    time::after(scene.fault.range.start(), Duration::from_secs(60 * minutes))
}

#[test]
fn devices_tell_when_what_a_change_did_to_them_began() {
    let with_change = |minute: u64| {
        let mut scene = capped_for(7);
        let when = minutes_in(&scene, minute);
        let change = Change::new("chg-1", when, ChangeKind::ConfigRollout, driver(), "routine");
        scene.fault.changes.push(change);
        scene
    };
    // Twelve samples are since the fault as it is dated; the last seven show it.
    let scene = with_change(4);
    let answer = scene.rank();
    assert_eq!(*first(&answer), driver());
    let finding = answer.suspects[0].findings.iter().find(|f| f.kind == FindingKind::RolledOut).unwrap();
    assert_eq!(finding.since, Some(minutes_in(&scene, 5)));
    // What comes after it is no reason.
    assert!(!shows(&with_change(10).rank(), &driver(), FindingKind::RolledOut));
}

#[test]
fn a_clock_that_fell_lately_is_slow_now() {
    let answer = capped_for(5).rank();
    assert!(answer.suspects[0].findings.iter().any(|f| f.kind == FindingKind::Device), "{answer:#?}");
    assert!(
        capped_for(0).rank().suspects.iter().flat_map(|s| &s.findings).all(|f| f.kind != FindingKind::Device)
    );
}

#[test]
fn the_first_error_of_a_machine_is_its_devices_where_it_has_any() {
    let writes = |machine: &str| {
        let line = "mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 5";
        let answer = fleet(as_ever, 5.0).lines(&node(machine), LogSeverity::Error, line, 0, 3).rank();
        shows(&answer, &node(machine), FindingKind::Device)
    };
    assert!(writes("b"));
    assert!(!writes("plain"));
}

fn scheduler() -> EntityId {
    service("batch")
}

/// Jobs wait while devices are free, the oldest for `age` at the end, in `unit`.
fn waiting(age: f64, unit: &'static str) -> (Scene, impl Fn(&TelemetryWindow) -> Anomaly) {
    let pending = SeriesKey::new("kueue_pending_workloads");
    let scene = fleet(as_ever, 1.0).metric(&scheduler(), pending, MetricKind::Gauge, 1.0, 30.0).metric(
        &scheduler(),
        SeriesKey::new(OLDEST),
        MetricKind::Gauge,
        10.0,
        age,
    );
    let felt = move |window: &TelemetryWindow| {
        let reread = FetchRequest::new(window.range).with_step(Duration::from_secs(60));
        let mut anomaly = Anomaly::new(
            DetectorId("test".into()),
            FittedHash::of(b"test"),
            scheduler(),
            SeriesKey::new(OLDEST),
            Shape::SteadyIncrease,
            at(FAULT),
            50.0,
            Baseline { center: 10.0, scale: 5.0, samples: 60 },
            reread,
        );
        (anomaly.value, anomaly.unit) = (age, Unit::new(unit));
        anomaly.last = window.range.end();
        anomaly
    };
    (scene, felt)
}

fn cause(scene: Scene, felt: impl Fn(&TelemetryWindow) -> Anomaly) -> Hypothesis {
    let diagnosis = analyze(&ranked(scene, felt));
    diagnosis.hypotheses.first().cloned().unwrap_or_else(|| panic!("no cause: {diagnosis:#?}"))
}

#[test]
fn jobs_that_starve_wait_for_the_scheduler_and_for_what_it_was_set_to() {
    let (scene, felt) = waiting(900.0, "s");
    let stuck = cause(scene, felt);
    assert_eq!((stuck.system, stuck.fault), (scheduler(), FaultType::Code));
    assert_eq!(stuck.mechanism.as_deref(), Some("scheduling"));
    let (scene, felt) = waiting(900.0, "s");
    let set = cause(changed(scene, &scheduler(), ChangeKind::ConfigRollout, 240), felt);
    assert_eq!((set.system, set.fault), (scheduler(), FaultType::Config));
    assert!(set.change.is_some());
    // The queue is full of those whom nothing is given to: it did not run out.
    let (scene, felt) = waiting(900.0, "s");
    let all = analyze(&ranked(scene, felt)).hypotheses;
    let queue = all.iter().filter(|h| h.mechanism.as_deref() == Some("queue"));
    assert!(queue.into_iter().all(|h| 3.0 * h.confidence.probability() < all[0].confidence.probability()));
}

#[test]
fn how_long_the_oldest_waits_tells_since_when() {
    // The anomaly begins with the fault; who waits longest came ten minutes before.
    let blamed = |unit| {
        let (scene, felt) = waiting(720.0 + 600.0, unit);
        let changed = changed(scene, &scheduler(), ChangeKind::ConfigRollout, 660);
        let found = analyze(&ranked(changed, felt)).hypotheses;
        found.iter().find(|h| h.change.is_some()).map_or(0.0, |h| h.confidence.probability())
    };
    assert!(blamed("s") > 1.3 * blamed("1"), "{} {}", blamed("s"), blamed("1"));
}

#[test]
fn a_job_that_is_slow_says_nothing_of_a_path() {
    let slow = diagnosis(fleet(as_ever, 10.0));
    assert!(slow.hypotheses.iter().all(|h| h.fault != FaultType::Network), "{slow:#?}");
    // Who is waited for makes a step long: there is one cause.
    let hangs = |machine: &str, slot: usize| match (machine, slot) {
        ("spare", _) => FREE,
        ("b", 3) => Shows { utilisation: (100.0, 0.0), ..WAITS },
        _ => WAITS,
    };
    let hung = diagnosis(fleet(hangs, 50.0));
    let [first, rest @ ..] = hung.hypotheses.as_slice() else { panic!("no cause") };
    assert_eq!((first.fault, first.mechanism.as_deref()), (FaultType::Code, Some("collective hang")));
    let slow = |h: &&Hypothesis| h.mechanism.as_deref() == Some(aiops_core::model::mechanism::SLOW_WORK);
    let slow = rest.iter().filter(slow).map(|h| h.confidence.probability()).fold(0.0, f64::max);
    assert!(10.0 * slow < first.confidence.probability(), "{hung:#?}");
}

#[test]
fn a_scheduler_that_a_restart_did_not_free_was_set_wrongly() {
    let (scene, felt) = waiting(720.0, "s");
    let mut case = ranked(changed(scene, &scheduler(), ChangeKind::ConfigRollout, 700), felt);
    let before = analyze(&case);
    assert_eq!(before.hypotheses[0].mechanism.as_deref(), Some("scheduling"), "{before:#?}");
    tried(&mut case, restart(), scheduler(), Recovery::NotRecovered);
    let after = analyze(&case);
    assert_eq!(after.hypotheses[0].fault, FaultType::Config, "{after:#?}");
}
