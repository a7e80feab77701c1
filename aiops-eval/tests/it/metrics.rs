//! Figures against brute force, and a run over a small data folder.

use std::fmt::Write as _;

use aiops_eval::EvalError;
use aiops_eval::metrics::{
    DataSet, PointMeasures, SEEDS, average_precision, evaluate, evaluate_set, roc_auc,
};

/// Scores with ties, against the definitions.
#[test]
fn figures_are_those_of_their_definitions() {
    let scores = [0.9, 0.8, 0.8, 0.7, 0.1, 0.1, f64::NAN, 0.05];
    let labels = [true, false, true, false, false, true, false, true];
    let (mut pairs, mut won) = (0.0, 0.0);
    for (a, _) in scores.iter().zip(&labels).filter(|(_, l)| **l) {
        for (b, _) in scores.iter().zip(&labels).filter(|(_, l)| !**l) {
            pairs += 1.0;
            won += if b.is_nan() || a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            };
        }
    }
    assert!((roc_auc(&labels, &scores) - won / pairs).abs() < 1e-12);
    // Precision at each threshold, weighted by the recall it adds: 0.9, 0.8, 0.1, 0.05.
    let expected = 0.25 * (1.0 + 2.0 / 3.0 + 3.0 / 6.0 + 4.0 / 7.0);
    assert!((average_precision(&labels, &scores) - expected).abs() < 1e-12);
    assert!(average_precision(&[false; 8], &scores).is_nan());
    assert!((PointMeasures::of(&labels, &scores).f1_best - 8.0 / 11.0).abs() < 1e-12);
}

#[test]
fn a_folder_of_tables_is_evaluated_and_its_scores_written() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = data.path().join("tabular");
    std::fs::create_dir(&folder).unwrap();
    let mut table = String::from("x0,x1,label\n");
    for i in 0..300 {
        let _ = writeln!(table, "{},{},0", i % 17, i % 23);
    }
    table.push_str("400,-90,1\n");
    std::fs::write(folder.join("small.csv"), &table).unwrap();
    let report = evaluate(data.path(), Some(out.path())).unwrap();
    assert_eq!(report.missing, ["smd", "asd", "kpi", "nab", "changepoint"]);
    assert_eq!(report.sets.len(), 1);
    let mean: std::collections::BTreeMap<_, _> = report.sets[0].mean.iter().copied().collect();
    assert_eq!((mean["auc_pr"], mean["roc_auc"], mean["f1_best"]), (1.0, 1.0, 1.0), "{mean:?}");
    assert_eq!((mean["roc_auc_standard_error"], mean["roc_auc_least_seed"]), (0.0, 1.0));
    // By the plain threshold the one row is found, and who else it flags is said.
    assert_eq!(mean["recall_at_-0.5"], 1.0);
    assert!((mean["flagged_at_-0.5"] * 301.0 * mean["precision_at_-0.5"] - 1.0).abs() < 0.2, "{mean:?}");
    assert!(report.text().contains("small"));
    let scores = std::fs::read_to_string(out.path().join("tabular/seed-4/small.csv")).unwrap();
    assert_eq!(scores.lines().count(), 302);
    assert_eq!(evaluate(data.path(), None).unwrap(), report);

    std::fs::write(folder.join("small.csv"), table.replace("400,", "four,")).unwrap();
    let error = evaluate(data.path(), None).unwrap_err();
    assert!(matches!(error, EvalError::Table { line: 302, .. }), "{error:?}");
}

/// Two annotators, one change each: precision and recall by hand.
#[test]
fn changes_are_scored_as_their_annotators_saw_them() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("changepoint");
    std::fs::create_dir(&folder).unwrap();
    let raw: Vec<Option<f64>> =
        (0..100).map(|i| (i != 7).then_some(f64::from(i % 2) + if i < 60 { 0.0 } else { 50.0 })).collect();
    let document = serde_json::json!({ "name": "steps", "series": [{ "label": "V1", "raw": raw }] });
    std::fs::write(folder.join("steps.json"), document.to_string()).unwrap();
    let annotations = serde_json::json!({ "steps": { "1": [62], "2": [] } });
    std::fs::write(folder.join("annotations.json"), annotations.to_string()).unwrap();
    let report = evaluate(data.path(), None).unwrap();
    let figures = &report.sets[0].files[0].figures;
    // Found: 0 and 60. Both are somebody's, and both annotators have all of theirs.
    assert_eq!(figures[0], ("f1", 1.0));
    // 60/62 of the first segment and 38/40 of the second; for who saw no change, the longer part.
    let expected = 0.5 * ((62.0 * 60.0 / 62.0 + 38.0 * 38.0 / 40.0) / 100.0 + 0.6);
    assert!((figures[1].1 - expected).abs() < 1e-12, "{figures:?}");
    assert_eq!(report.sets[1].files[0].figures[0], ("f1", 2.0 * 0.75 / 1.75));
}

/// A stretch that is flat for once in a beat: found, and worth what the benchmark says.
#[test]
fn windows_and_false_alarms_are_scored_as_the_benchmark_does() {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = data.path().join("nab");
    std::fs::create_dir_all(folder.join("data/made")).unwrap();
    std::fs::create_dir_all(folder.join("labels")).unwrap();
    let time =
        |row: usize| format!("2024-01-{:02} {:02}:{:02}:00", 1 + row / 288, row / 12 % 24, row % 12 * 5);
    let mut table = String::from("timestamp,value\n");
    for row in 0..3000 {
        let flat = (2000..2030).contains(&row) || (2500..2530).contains(&row);
        let value = if flat { 6.0 } else { (row % 12) as f64 + (row * row % 7) as f64 / 10.0 };
        let _ = writeln!(table, "{},{value}", time(row));
    }
    std::fs::write(folder.join("data/made/beat.csv"), table).unwrap();
    let windows = serde_json::json!({
        "made/beat.csv": [[format!("{}.000000", time(1990)), time(2089)], [time(2700), time(2799)]],
        "made/not_here.csv": [],
    });
    std::fs::write(folder.join("labels/combined_windows.json"), windows.to_string()).unwrap();
    let report = evaluate(data.path(), Some(out.path())).unwrap();
    let figures: std::collections::BTreeMap<_, _> = report.sets[0].files[0].figures.iter().copied().collect();
    assert_eq!((figures["windows"], figures["windows_hit"]), (2.0, 1.0), "{figures:?}");
    let text = std::fs::read_to_string(out.path().join("nab/novelty/made/beat.csv")).unwrap();
    let alarms: Vec<usize> =
        text.lines().skip(1).enumerate().filter(|(_, score)| *score != "0").map(|(row, _)| row).collect();
    let late = alarms.iter().filter(|row| **row > 2089).count();
    assert_eq!(figures["false_alarms"], (alarms.len() - 1) as f64, "{alarms:?}");
    assert!((2000..2030).contains(&alarms[alarms.len() - 1 - late]), "{alarms:?}");
    // By the formula: position of the alarm in its window of 100 rows, and false alarms at their full price, for they lie
    // more than three windows behind it or before the first one.
    let sigmoid = |p: f64| 2.0 / (1.0 + (5.0 * p).exp()) - 1.0;
    let row = alarms[alarms.len() - 1 - late];
    let hit = sigmoid(-((2089 - row + 1) as f64) / 100.0) / sigmoid(-1.0);
    let raw = hit - 1.0 - 0.11 * (alarms.len() - 1) as f64;
    assert!((figures["raw"] - raw).abs() < 1e-9, "{figures:?} {raw}");
    assert_eq!(report.sets[0].mean[0], ("nab_score", 100.0 * (figures["raw"] + 2.0) / 4.0));
}

#[test]
fn annotations_that_cannot_be_scored_are_errors() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("changepoint");
    std::fs::create_dir(&folder).unwrap();
    let fails = |raw: Vec<f64>, annotators: serde_json::Value, reason: &str| {
        let document = serde_json::json!({ "series": [{ "raw": raw }] });
        std::fs::write(folder.join("steps.json"), document.to_string()).unwrap();
        let annotations = serde_json::json!({ "steps": annotators });
        std::fs::write(folder.join("annotations.json"), annotations.to_string()).unwrap();
        let error = evaluate(data.path(), None).unwrap_err();
        assert!(matches!(error, EvalError::Table { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    fails(vec![1.0; 50], serde_json::json!({}), "steps has no annotator");
    fails(vec![], serde_json::json!({ "1": [] }), "without rows");
    fails(vec![1.0; 50], serde_json::json!({ "1": [50] }), "row 50 of 50");
}

/// One set by itself is what it is among all; seeds are as many as asked for.
#[test]
fn a_set_by_itself_is_the_same_as_among_others() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("tabular");
    std::fs::create_dir(&folder).unwrap();
    let mut table = String::from("x0,label\n");
    (0..100).for_each(|i| writeln!(table, "{},{}", i * i % 37, u8::from(i % 19 == 0)).unwrap());
    std::fs::write(folder.join("small.csv"), &table).unwrap();
    let all = evaluate(data.path(), None).unwrap();
    assert_eq!(evaluate_set(DataSet::Tabular, &folder, SEEDS, None).unwrap(), all.sets);
    let more = evaluate_set(DataSet::Tabular, &folder, 9, None).unwrap();
    assert_eq!(more[0].method, "isolation forest, mean of 9 seeds");
    assert_ne!(more[0].mean, all.sets[0].mean);
    let error = |sets: &[aiops_eval::metrics::SetFigures]| {
        sets[0].mean.iter().find(|(name, _)| *name == "roc_auc_standard_error").unwrap().1
    };
    assert!(error(&more) > 0.0 && error(&all.sets) > 0.0);
}
