use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use aiops_core::model::FaultType;
use aiops_eval::incidents::Layout;
use aiops_eval::localise::{
    Calibration, FaultTime, LocaliseOptions, Modalities, class_in_words_of_the_set, localise,
};
use aiops_rca::{FindingKind, FusedLocalizer};

use crate::incidents::put;

/// Two incidents of three services: `b` has a busy processor, then nobody has anything.
pub(crate) fn set(folder: &Path) {
    put(
        folder,
        "labels.csv",
        "case_id,inject_unix,service,fault_type,root_metric,rows_normal,rows_anomalous\n\
         first,1100,b,cpu,b/cpu,100,50\nsecond,1100,a,cpu,a/cpu,100,50\n",
    );
    for (case, busy) in [("first", 90.0), ("second", 0.0)] {
        let mut text = "unix,a/cpu,b/cpu,c/cpu\n".to_owned();
        for second in 0..150 {
            let steady = 10 + second % 3;
            let b = if second >= 100 { f64::from(steady) + busy } else { f64::from(steady) };
            writeln!(text, "{},{steady},{b},{steady}", 1000 + second).unwrap();
        }
        put(folder, &format!("cases/{case}.csv.gz"), &text);
    }
}

#[test]
fn the_root_is_counted_where_it_stands_and_ties_count_against() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let mut options = LocaliseOptions::default();
    options.ablate = true;
    let report = localise(dir.path(), &FusedLocalizer::default(), &options, |_, _| {}).unwrap();
    let fused = &report.methods[0];
    assert_eq!(fused.method, "fused/all");
    // Nobody deviates in the second: three equal scores are a third place.
    assert_eq!(fused.outcomes.iter().map(|o| o.rank).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert_eq!((fused.total.ac[0].right, fused.total.ac[1].right, fused.total.ac[0].of), (1, 2, 2));
    assert_eq!(fused.outcomes[0].class_right, Some(true));
    // Three are first alike, and speak of the same class.
    assert_eq!(
        (fused.outcomes[1].answered.as_deref(), fused.outcomes[1].class_right),
        (Some("cpu"), Some(true))
    );
    assert_eq!((fused.total.fault_class.right, fused.total.fault_class.of), (2, 2));
    let baseline = report.methods.iter().find(|m| m.method == "n-sigma").unwrap();
    assert_eq!(baseline.total.fault_class.of, 0, "who tells no classes is not asked for them");
    let names: Vec<&str> = report.methods.iter().map(|m| m.method.as_str()).collect();
    assert!(["n-sigma", "robust-scorer", "correlation", "random-walk"].iter().all(|n| names.contains(n)));
    assert!(!names.contains(&"fused/spans"), "nobody is asked to answer from nothing");
    assert!(names.contains(&"− use of resources"), "{names:?}");
}

#[test]
fn rankings_are_written_for_others_to_score() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    set(dir.path());
    let report =
        localise(dir.path(), &FusedLocalizer::default(), &LocaliseOptions::default(), |_, _| {}).unwrap();
    report.write(out.path()).unwrap();
    let csv = fs::read_to_string(out.path().join(format!("{}.csv", report.set))).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("case_id,rank,entity,score,fault_class"));
    let first: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!((first[0], first[1], first[2], first[4]), ("first", "1", "\"b\"", "cpu"));
    assert_eq!(csv.lines().count(), 1 + 2 * 3);
    // Equal scores are ties.
    let tied = csv.lines().filter(|l| l.starts_with("second,3,")).count();
    assert_eq!(tied, 3, "{csv}");
    let json = fs::read_to_string(out.path().join(format!("{}.json", report.set))).unwrap();
    assert!(json.contains("cpu rose"), "evidence stands beside the ranking");
}

#[test]
fn a_time_that_is_wrong_is_wrong_the_same_way_again() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let mut options = LocaliseOptions::default();
    options.time = FaultTime::Jitter { seeds: 3 };
    let run = || localise(dir.path(), &FusedLocalizer::default(), &options, |_, _| {});
    let (a, b) = (run().unwrap(), run().unwrap());
    let ranks = |r: &aiops_eval::localise::SetReport| -> Vec<Option<usize>> {
        r.methods[0].outcomes.iter().map(|o| o.rank).collect()
    };
    assert_eq!(ranks(&a).len(), 6);
    assert_eq!(ranks(&a), ranks(&b));
    let out = tempfile::tempdir().unwrap();
    a.write(out.path()).unwrap();
    let csv = fs::read_to_string(out.path().join(format!("{}.csv", a.set))).unwrap();
    assert!(csv.starts_with("case_id,draw,rank,entity,score,fault_class\nfirst,0,1,"), "{csv}");
    for draw in 0..3 {
        assert_eq!(csv.lines().filter(|l| l.starts_with(&format!("first,{draw},"))).count(), 3);
    }
}

#[test]
fn who_does_not_notice_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    set(dir.path());
    let mut options = LocaliseOptions::default();
    (options.time, options.watch.limit) = (FaultTime::Detected, 0.5);
    let report = localise(dir.path(), &FusedLocalizer::default(), &options, |_, _| {}).unwrap();
    let fused = &report.methods[0];
    // Nobody deviates in the second.
    assert_eq!(fused.outcomes.iter().map(|o| o.rank).collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!((fused.total.ac[0].right, fused.total.ac[0].of), (1, 2));
    let detection = report.detection.as_ref().unwrap();
    assert_eq!((detection.detected.right, detection.detected.of), (1, 2));
    assert_eq!((fused.total.fault_class.right, fused.total.fault_class.of), (1, 2), "silence is no class");
    assert_eq!((detection.right_after.right, detection.right_after.of, detection.right_before.of), (1, 1, 0));
    assert_eq!(report.methods[1].method, "fused/all, to the end");
    assert!(detection.median_delay.is_some_and(|d| d > 0.0 && d <= 240.0), "{detection}");
    assert!(report.text(false).contains("detected 0.50 (1/2)"));
    options.watch.limit = 0.0;
    let error = localise(dir.path(), &FusedLocalizer::default(), &options, |_, _| {}).unwrap_err();
    assert!(error.chain().contains("limit"), "{}", error.chain());
}

#[test]
fn classes_speak_the_words_of_the_set() {
    let say = class_in_words_of_the_set;
    let exhausted = FaultType::ResourceExhaustion;
    assert_eq!(say(Layout::SockShop, exhausted, Some(FindingKind::Memory)).as_deref(), Some("mem"));
    assert_eq!(say(Layout::Nezha, exhausted, Some(FindingKind::Cpu)).as_deref(), Some("cpu"));
    assert_eq!(say(Layout::Nezha, FaultType::Code, None).as_deref(), Some("code"));
    assert_eq!(say(Layout::PetShop, FaultType::Network, None), None);
}

#[test]
fn who_is_as_right_as_confident_has_no_calibration_error() {
    let told: Vec<(f64, bool)> =
        (0..100).map(|i| (if i < 50 { 0.9 } else { 0.1 }, i % 10 != 0 && i < 50 || i >= 95)).collect();
    let kept = Calibration::of(&told);
    assert!(kept.ece < 1e-9, "{kept}");
    assert_eq!(kept.above_85, (45, 50));
    let boasted: Vec<(f64, bool)> = told.iter().map(|t| (0.95, t.1)).collect();
    let boasted = Calibration::of(&boasted);
    assert!((boasted.ece - 0.45).abs() < 1e-9 && boasted.ece > boasted.ece_of_perfect, "{boasted}");
    assert!(boasted.brier > boasted.brier_of_base_rate);
}

#[test]
fn modalities_are_named_as_they_are_read() {
    let read = |text: &str| text.parse::<Modalities>();
    assert_eq!(read("metrics,spans,logs"), Ok(Modalities::ALL));
    assert_eq!(read("all").unwrap().to_string(), "all");
    assert_eq!(read("logs, metrics").unwrap().to_string(), "metrics+logs");
    assert!(read("traces").unwrap_err().contains("traces") && read("").is_err());
}
