//! Streams of alerts, their truth, and the scores.

use std::fmt::Write as _;
use std::path::Path;

use aiops_core::model::EntityId;
use aiops_detect::correlate::CorrelatorConfig;
use aiops_eval::alerts::{
    EstateOptions, Grouping, StreamOptions, correlate, estate, evaluate, evaluate_generated, harvest,
    measure, no_grouping, one_for_all, sessions, stream,
};

use crate::incidents::put;

/// Three incidents in which two series of one service leave their norm together, and a third never does.
fn incidents(folder: &Path) {
    let mut labels =
        String::from("case_id,inject_unix,service,fault_type,root_metric,rows_normal,rows_anomalous\n");
    for (case, root) in ["carts", "orders", "payment"].into_iter().enumerate() {
        let begin = 1_000_000 + 10_000 * case;
        writeln!(labels, "{root}-cpu-1,{},{root},cpu,{root}/cpu,60,60", begin + 60).unwrap();
        let mut rows =
            String::from("unix,carts/cpu,carts/lat_50,orders/cpu,orders/lat_50,payment/cpu,payment/lat_50\n");
        for row in 0..120 {
            write!(rows, "{}", begin + row).unwrap();
            for service in ["carts", "orders", "payment"] {
                let ill = row >= 70 && service == root;
                let wobble = ((row * 7) % 5) as f64 / 10.0;
                let (cpu, latency) = if ill { (90.0, 5.0) } else { (10.0, 0.5) };
                write!(rows, ",{},{}", cpu + wobble, latency + wobble / 20.0).unwrap();
            }
            rows.push('\n');
        }
        put(folder, &format!("cases/{root}-cpu-1.csv.gz"), &rows);
    }
    put(folder, "labels.csv", &labels);
}

#[test]
fn what_left_its_norm_is_an_alert_of_its_incident() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let system = harvest(dir.path()).unwrap();
    assert_eq!((system.incidents.len(), system.silent, system.noise.len()), (3, 0, 0));
    for raised in &system.incidents {
        assert_eq!(raised.symptoms.len(), 2, "{raised:?}");
        assert!(raised.symptoms.iter().all(|s| s.entity == raised.root));
        assert!(raised.symptoms.iter().all(|s| s.after.as_secs() == 10), "ten seconds after the injection");
    }
}

#[test]
fn a_stream_depends_on_its_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let systems = [harvest(dir.path()).unwrap()];
    let options = StreamOptions::default();
    let first = stream(&systems, &options);
    assert_eq!(stream(&systems, &options), first);
    assert_ne!(stream(&systems, &StreamOptions { seed: 2, ..options }), first);
    assert_eq!((first.episodes.len(), first.incidents.len()), (6, 3));
    assert!(first.notifications.is_sorted_by_key(|n| n.at));
    // Nothing of the truth is in what is sent.
    for notification in &first.notifications {
        let sent = serde_json::to_string(&notification.alert).unwrap();
        assert!(!sent.contains("cpu-1"), "{sent}");
    }
    // Each of two replicas tells the beginning and the end, but for what is lost.
    let all = stream(&systems, &StreamOptions { lost: 0.0, ..options });
    for episode in 0..6 {
        let ends = all
            .notifications
            .iter()
            .filter(|n| n.episode == episode && n.alert.state == aiops_core::model::AlertState::Resolved);
        assert_eq!(ends.count(), 2);
    }
}

#[test]
fn scores_are_those_of_the_definitions() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let systems = [harvest(dir.path()).unwrap()];
    let stream = stream(&systems, &StreamOptions::default());
    let all = one_for_all(&stream).score(&stream);
    // 3 of 15 pairs belong together.
    assert!((all.precision - 0.2).abs() < 1e-12 && (all.recall - 1.0).abs() < 1e-12);
    assert!((all.f1 - 1.0 / 3.0).abs() < 1e-12 && (all.root_kept - 1.0).abs() < 1e-12);
    let none = no_grouping(&stream).score(&stream);
    assert_eq!((none.precision, none.recall, none.f1, none.groups), (1.0, 0.0, 0.0, 6));
    assert_eq!(none.alert_reduction, 0.0);
    // One pair right, one alert in no group at all: its root is still kept by the other.
    let truths: Vec<usize> = stream.episodes.iter().map(|e| e.truth).collect();
    assert_eq!(truths, [0, 0, 1, 1, 2, 2]);
    let groups = vec![Some(1), Some(1), Some(2), Some(3), Some(3), None];
    let suspects = [(1, stream.incidents[0].root.clone()), (3, EntityId::service("other"))].into();
    let some = Grouping { method: String::new(), groups, suspects: Some(suspects) };
    let score = some.score(&stream);
    assert!((score.precision - 0.5).abs() < 1e-12 && (score.recall - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(score.groups, 4);
    assert!((score.suspect_right.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    let by_service = sessions(&stream, "service", |alert| alert.entity.to_string()).score(&stream);
    assert_eq!(by_service.f1, 1.0);
}

#[test]
fn the_correlator_finds_what_is_plain() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let systems = [harvest(dir.path()).unwrap()];
    let stream = stream(&systems, &StreamOptions { gap_minutes: 600.0, ..StreamOptions::default() });
    let score = correlate(&stream, &CorrelatorConfig::default()).score(&stream);
    assert_eq!((score.f1, score.root_kept, score.suspect_right), (1.0, 1.0, Some(1.0)));
    let folders = [dir.path().to_owned()];
    let report =
        evaluate(&folders, &StreamOptions::default(), 2, &CorrelatorConfig::default(), &mut |_, _| ())
            .unwrap();
    assert_eq!((report.methods.len(), report.methods[0].scores.len()), (6, 2));
    assert!(report.text().contains("correlator"));
    let by_system = &report.methods[0].by_system;
    assert_eq!(by_system.len(), 1);
    let [alone] = &by_system.values().collect::<Vec<_>>()[..] else { panic!("{by_system:?}") };
    assert_eq!(**alone, report.methods[0].scores, "there is no other system");
}

/// The same incident again while it lasts raises nothing that is not firing already.
#[test]
fn what_is_firing_already_cannot_fire_again() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let mut system = harvest(dir.path()).unwrap();
    let twin = system.incidents[0].clone();
    system.incidents = vec![twin.clone(), twin];
    let first = stream(&[system.clone()], &StreamOptions { gap_minutes: 0.01, ..StreamOptions::default() });
    assert_eq!((first.episodes.len(), first.swallowed, first.incidents.len()), (2, 2, 2));
    assert!(first.episodes.iter().all(|e| e.truth == first.episodes[0].truth));
    let later = stream(&[system], &StreamOptions { gap_minutes: 6_000.0, ..StreamOptions::default() });
    assert_eq!((later.episodes.len(), later.swallowed), (4, 0));
}

#[test]
fn everything_of_a_coarse_system_begins_at_a_sample() {
    let dir = tempfile::tempdir().unwrap();
    incidents(dir.path());
    let mut system = harvest(dir.path()).unwrap();
    assert_eq!(system.step.as_secs(), 1);
    system.step = std::time::Duration::from_secs(300);
    system.incidents.iter_mut().flat_map(|i| &mut i.symptoms).for_each(|s| s.after = system.step);
    let coarse = stream(&[system], &StreamOptions::default());
    assert!(coarse.episodes.iter().all(|e| e.alert.started_at.as_second() % 300 == 0));
}

#[test]
fn a_generated_estate_is_what_it_says() {
    let (options, made) =
        (StreamOptions::default(), EstateOptions { incidents: 12, ..EstateOptions::default() });
    let first = estate(&options, &made);
    assert_eq!(estate(&options, &made), first);
    assert_ne!(estate(&StreamOptions { seed: 2, ..options }, &made), first);
    // Everything happens in the system it is of, or comes from one that systems share.
    for episode in first.episodes.iter().filter(|e| !e.noise) {
        let truth = &first.incidents[episode.truth];
        assert!(episode.system == truth.system && episode.alert.started_at >= truth.range.0, "{episode:?}");
        let namespace = episode.alert.labels.get("namespace").unwrap();
        assert!(namespace == truth.system || truth.system == "platform", "{episode:?}");
    }
    // No alert is sent by two episodes at once.
    for (n, one) in first.episodes.iter().enumerate() {
        for other in first.episodes[n + 1..].iter().filter(|o| o.alert.started_at <= one.end) {
            assert!((&one.alert.name, &one.alert.entity) != (&other.alert.name, &other.alert.entity));
        }
    }
    let all = first.topology.edges().count();
    let told = estate(&options, &EstateOptions { unknown: 0.0, ..made }).topology.edges().count();
    assert!(all < told * 9 / 10, "{all} of {told}");
    let report = evaluate_generated(&options, &made, 1, &CorrelatorConfig::default());
    assert!(report.text().contains("team-3") && report.methods[0].scores[0].f1 > 0.5, "{}", report.text());
}

#[test]
fn speed_is_measured_on_what_was_pushed() {
    let report = measure(2_000, 3, &CorrelatorConfig::default());
    assert_eq!(report.notifications, 2_000);
    assert!(report.new > 900 && report.kept as u64 + report.folded >= report.new);
    assert!(report.p50_us <= report.p99_us && report.p99_us <= report.max_us);
}
