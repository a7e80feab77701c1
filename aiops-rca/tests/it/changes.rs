use std::time::Duration;

use aiops_core::model::{
    Change, ChangeKind, EntityId, FaultType, MetricKind, MetricSeries, Revision, SeriesKey, Shape, TimeAxis,
};

use crate::world::{END, STEP, World, at, service};

fn rollout(id: &str, second: i64, entity: &str, summary: &str) -> Change {
    Change::new(id, at(second), ChangeKind::ConfigRollout, service(entity), summary)
        .with_revision(Revision::new(Some("r3".into()), "r4").with_commit("c0ffee"))
}

fn pool_runs_out(world: &mut World) {
    world.both(
        "inventory",
        "db_pool_pending_requests",
        MetricKind::Gauge,
        Shape::LevelShiftUp,
        40,
        0.0,
        30.0,
    );
    for name in ["inventory", "orders", "gateway"] {
        world.slow(name, 41);
    }
}

#[test]
fn a_roll_out_seconds_before_the_onset_is_named_with_its_commit() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    world.changed(rollout("deploy-1", 38, "inventory", "pool_size from 16 to 1"));
    let diagnosis = world.diagnosis();
    let cause = diagnosis.cause().unwrap();
    assert_eq!((&cause.system, cause.fault), (&service("inventory"), FaultType::Config), "{diagnosis:#?}");
    assert_eq!(cause.change.as_ref().map(|c| c.0.as_str()), Some("deploy-1"));
    assert_eq!(cause.mechanism.as_deref(), Some("connection pool"));
    for told in ["r3", "r4", "c0ffee", "2 s before"] {
        assert!(cause.statement.contains(told), "{}", cause.statement);
    }
    let case = world.detected();
    let kinds: Vec<_> = cause.citations.iter().map(|c| case.cited(c).unwrap().kind.to_string()).collect();
    assert!(kinds.contains(&"change".to_owned()) && kinds.contains(&"anomaly".to_owned()), "{kinds:?}");
}

#[test]
fn a_deployment_is_code() {
    let mut world = World::shop();
    world.slow("store", 40);
    let mut change = rollout("deploy-1", 39, "store", "version 2");
    change.kind = ChangeKind::Deployment;
    world.changed(change);
    assert_eq!(world.diagnosis().cause().unwrap().fault, FaultType::Code);
}

#[test]
fn a_change_after_the_onset_is_refuted() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    world.changed(rollout("deploy-1", 50, "inventory", "pool_size from 16 to 20"));
    let diagnosis = world.diagnosis();
    assert!(diagnosis.hypotheses.iter().all(|h| h.change.is_none()));
    let refuted =
        |n: &aiops_core::model::NullFinding| n.statement.contains("came 10 s after the first symptom");
    assert!(diagnosis.null_findings.iter().any(refuted), "{:?}", diagnosis.null_findings);
}

#[test]
fn a_change_elsewhere_is_refuted() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    world.changed(rollout("deploy-1", 39, "gateway", "log level"));
    let diagnosis = world.diagnosis();
    let cause = diagnosis.cause().unwrap();
    assert_eq!((cause.fault, cause.change.as_ref()), (FaultType::ResourceExhaustion, None));
    let refuted =
        |n: &aiops_core::model::NullFinding| n.statement.contains("is not on the way to service/inventory");
    assert!(diagnosis.null_findings.iter().any(refuted), "{:?}", diagnosis.null_findings);
}

#[test]
fn an_old_change_or_one_about_something_else_gives_way_to_the_mechanism() {
    for (second, summary) in [(2, "pool_size from 16 to 18"), (36, "cache_entries from 400 to 420")] {
        let mut world = World::shop();
        pool_runs_out(&mut world);
        world.changed(rollout("deploy-1", second, "inventory", summary));
        let diagnosis = world.diagnosis();
        assert_eq!(diagnosis.cause().unwrap().change, None, "{summary}: {diagnosis:#?}");
        assert!(diagnosis.hypotheses.iter().any(|h| h.change.is_some()));
    }
}

#[test]
fn frequent_changes_tell_less() {
    let support = |others: i64| {
        let mut world = World::shop();
        pool_runs_out(&mut world);
        world.changed(rollout("deploy-1", 34, "inventory", "new settings"));
        for i in 0..others {
            world.changed(rollout(&format!("other-{i}"), i * 3, "inventory", "new settings"));
        }
        let diagnosis = world.diagnosis();
        let of = |h: &&aiops_core::model::Hypothesis| h.change.as_ref().is_some_and(|c| c.0 == "deploy-1");
        diagnosis.hypotheses.iter().find(of).map_or(0.0, |h| h.confidence.probability())
    };
    assert!(support(0) > 1.3 * support(10), "{} {}", support(0), support(10));
}

#[test]
fn what_we_did_ourselves_after_the_case_was_opened_is_no_cause() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    let mut case = world.detected();
    let mut later = world.window.clone();
    later.range = aiops_core::model::TimeRange::ending_at(at(120), Duration::from_secs(60));
    later.changes.push(rollout("ours", 70, "inventory", "back"));
    let mut anomalies: Vec<_> = case.anomalies().iter().map(|c| c.anomaly.clone()).collect();
    for a in &mut anomalies {
        // The second look sees it begin later than it did.
        a.onset = at(72);
    }
    case.observe(at(120), later);
    case.detect(at(120), anomalies);
    let ranking = crate::world::localizer().rank(case.window().unwrap(), case.anomalies());
    case.push(at(120), aiops_core::CasePart::Localized(ranking));
    let diagnosis = crate::world::rca().analyze(&case).unwrap();
    assert!(diagnosis.hypotheses.iter().all(|h| h.change.is_none()), "{diagnosis:#?}");
}

#[test]
fn changes_that_were_not_looked_at_are_not_called_absent() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    world.window.observed = aiops_core::model::Signal::Metrics.into();
    let diagnosis = world.diagnosis();
    let said: Vec<&str> = diagnosis.null_findings.iter().map(|n| n.statement.as_str()).collect();
    assert!(said.contains(&"changes were not looked at"), "{said:?}");
    assert!(!said.iter().any(|s| s.contains("no deployment")));
}

#[test]
fn a_roll_out_restarts_what_it_rolls_out_once() {
    let mut world = World::shop();
    world.changed(rollout("deploy-1", 39, "orders", "warm_interval_ms from 2000 to 2100"));
    let key = SeriesKey::new("rate(container_restarts_total)");
    world.deviates(&EntityId::instance("orders-1"), key, MetricKind::Rate, Shape::Spike, 40, 0.0, 0.2);
    world.anomalies[0].ongoing = false;
    let diagnosis = world.diagnosis();
    let loops = diagnosis.hypotheses.iter().find(|h| h.mechanism.as_deref() == Some("crash loop"));
    assert!(loops.is_none_or(|h| h.confidence.probability() < 0.25), "{diagnosis:#?}");
}

#[test]
fn of_several_roll_outs_the_last_before_the_onset_is_named() {
    let mut world = World::shop();
    pool_runs_out(&mut world);
    for (i, second) in [33, 36, 39].into_iter().enumerate() {
        world.changed(rollout(&format!("deploy-{i}"), second, "inventory", "new settings"));
    }
    let diagnosis = world.diagnosis();
    let share = |id: &str| {
        let of = |h: &&aiops_core::model::Hypothesis| h.change.as_ref().is_some_and(|c| c.0 == id);
        diagnosis.hypotheses.iter().find(of).map_or(0.0, |h| h.confidence.probability())
    };
    assert!(
        share("deploy-2") > 2.0 * share("deploy-1") && share("deploy-1") > share("deploy-0"),
        "{diagnosis:#?}"
    );
}

#[test]
fn a_bound_that_was_lowered_speaks_for_the_change() {
    // The bound was moved within its sensible range shortly before, so that no norm is known from which it could deviate.
    let told = |bound: [f64; 3]| {
        let mut world = World::shop();
        pool_runs_out(&mut world);
        world.changed(rollout("deploy-0", 20, "inventory", "new settings"));
        world.changed(rollout("deploy-1", 36, "inventory", "new settings"));
        let axis = TimeAxis::covering(world.window.range, STEP).unwrap();
        let samples = (0..END).map(|s| {
            Some(if s <= 20 {
                bound[0]
            } else if s <= 36 {
                bound[1]
            } else {
                bound[2]
            })
        });
        let key = SeriesKey::new("db_pool_connections_max");
        let series = MetricSeries::new(key, EntityId::instance("inventory-1"), axis, samples).unwrap();
        world.window.metrics.push(series);
        let diagnosis = world.diagnosis();
        let of = |id: &str| {
            let found = diagnosis.hypotheses.iter().find(|h| h.change.as_ref().is_some_and(|c| c.0 == id));
            found.map_or((0.0, String::new()), |h| (h.confidence.probability(), h.statement.clone()))
        };
        (of("deploy-0"), of("deploy-1"))
    };
    let ((first, _), (second, statement)) = told([16.0, 20.0, 1.0]);
    let ((_, _), (steady, _)) = told([16.0, 20.0, 18.0]);
    assert!(statement.contains("lowered db_pool_connections_max from 20 to 1"), "{statement}");
    assert!(second > 1.2 * steady && second > 2.0 * first, "{first} {second} {steady}");
    // What was lowered by the earlier one does not speak for the later one.
    let ((_, earlier), (_, later)) = told([20.0, 1.0, 1.0]);
    assert!(earlier.contains("lowered") && !later.contains("lowered"), "{earlier} {later}");
}

#[test]
fn a_vague_roll_out_some_time_before_does_not_hide_memory_that_creeps() {
    let mut world = World::shop();
    world.both(
        "orders",
        "process_resident_memory_bytes",
        MetricKind::Gauge,
        Shape::SteadyIncrease,
        40,
        2e7,
        9e7,
    );
    for (i, second) in [32, 36].into_iter().enumerate() {
        world.changed(rollout(&format!("deploy-{i}"), second, "orders", "new settings"));
    }
    let diagnosis = world.diagnosis();
    assert_eq!(diagnosis.cause().unwrap().mechanism.as_deref(), Some("memory"), "{diagnosis:#?}");
    assert_eq!(diagnosis.cause().unwrap().change, None, "{diagnosis:#?}");
}

#[test]
fn a_roll_out_is_held_against_what_began_after_it() {
    let diagnosed = |second: i64| {
        let mut world = World::shop();
        // More work after a cache was flushed: loud, and before the roll-out.
        let loud = "rate(http_server_requests_total)";
        world.both("inventory", loud, MetricKind::Rate, Shape::LevelShiftUp, 30, 1.0, 12.0);
        pool_runs_out(&mut world);
        world.slow("inventory", 40);
        world.changed(rollout("deploy-1", second, "inventory", "pool_size from 16 to 1"));
        world.diagnosis()
    };
    let named = |d: &aiops_core::model::Diagnosis| d.hypotheses.first().is_some_and(|h| h.change.is_some());
    let before = diagnosed(38);
    assert!(named(&before), "{before:#?}");
    let said = &before.hypotheses[0].statement;
    assert!(said.contains("2 s before") && said.contains("other symptoms are 10 s older"), "{said}");
    let after = diagnosed(45);
    assert!(after.hypotheses.iter().all(|h| h.change.is_none()), "{after:#?}");
    assert!(
        after.null_findings.iter().any(|n| n.statement.contains("after the first symptom")),
        "{after:#?}"
    );
}

#[test]
fn a_blip_before_the_roll_out_is_no_beginning() {
    let mut world = World::shop();
    let metric = "db_pool_connections_in_use";
    world.both("inventory", metric, MetricKind::Gauge, Shape::LevelShiftUp, 30, 10.0, 11.5);
    pool_runs_out(&mut world);
    world.changed(rollout("deploy-1", 38, "inventory", "pool_size from 16 to 1"));
    let diagnosis = world.diagnosis();
    let cause = diagnosis.cause().unwrap();
    assert_eq!(cause.change.as_ref().map(|c| c.0.as_str()), Some("deploy-1"), "{diagnosis:#?}");
}
