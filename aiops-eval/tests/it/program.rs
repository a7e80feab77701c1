//! The program: exit codes, output, options.

use std::path::Path;
use std::process::{Command, Output};

use aiops_core::CaseStatus;
use serde_json::Value;

use crate::world::{case, lines, window};

fn aiops_eval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aiops-eval")).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn cases_prints_and_tells_by_its_code_whether_all_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let empty = aiops_eval(&["cases", text(folder.path())]);
    assert_eq!(empty.status.code(), Some(1));
    std::fs::write(folder.path().join("a.case"), case("inc", Some(CaseStatus::Recovered)).to_json().unwrap())
        .unwrap();
    let good = aiops_eval(&["cases", text(folder.path()), "--json"]);
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let report: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(report["totals"]["recovered"], 1);
    assert_eq!(report["cases"][0]["first_suspect"], "service/orders");
    std::fs::write(folder.path().join("b.case"), b"nothing").unwrap();
    let bad = aiops_eval(&["cases", text(folder.path())]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8(bad.stdout).unwrap().contains("1 unreadable"));
}

#[test]
fn replay_takes_settings_from_file_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("quiet.jsonl");
    std::fs::write(&recording, lines(&[window(0, 600, 300..330)])).unwrap();
    let config = folder.path().join("replay.json");
    std::fs::write(&config, b"{\"window\": \"60s\", \"interval\": \"2s\", \"confirmations\": 100}").unwrap();
    let run = |more: &[&str]| -> Value {
        let mut arguments = vec!["replay", text(&recording), "--config", text(&config), "--json"];
        arguments.extend(more);
        let output = aiops_eval(&arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let none = run(&[]);
    assert_eq!((none["looks"].as_u64(), none["alarms"].as_array().unwrap().len()), (Some(271), 0));
    let learned = ["--confirmations", "2", "--learn", "120s", "--match", "service=gateway"];
    let alarms = |more: &[&str]| run(&[&learned, more].concat())["alarms"].as_array().unwrap().len();
    assert_eq!(alarms(&["--metric", "errors", "--direction", "up"]), 1);
    assert_eq!(alarms(&["--direction", "down"]), 0);
    assert_eq!(alarms(&["--metric", "load"]), 0);
    assert_eq!(alarms(&["--match", "service!=gateway"]), 0);
}

#[test]
fn data_sets_are_evaluated_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let (tables, changes) = (folder.path().join("tables"), folder.path().join("changes"));
    std::fs::create_dir(&tables).unwrap();
    std::fs::create_dir(&changes).unwrap();
    let rows: String = (0..60).map(|i| format!("{},{}\n", i % 7, u8::from(i == 59))).collect();
    std::fs::write(tables.join("t.csv"), format!("x0,label\n{rows}")).unwrap();
    let raw: Vec<i32> = (0..80).map(|i| i % 2 + if i < 40 { 0 } else { 50 }).collect();
    let document = serde_json::json!({ "series": [{ "raw": raw }] });
    std::fs::write(changes.join("s.json"), document.to_string()).unwrap();
    std::fs::write(changes.join("annotations.json"), b"{\"s\": {\"1\": [40]}}").unwrap();
    let out = folder.path().join("out");
    let run = |arguments: &[&str]| -> Value {
        let output = aiops_eval(&[arguments, &["--json", "--out", text(&out)]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let tabular = run(&["tabular", text(&tables), "--seeds", "3"]);
    assert_eq!(tabular["sets"][0]["method"], "isolation forest, mean of 3 seeds");
    assert!(out.join("tabular/seed-2/t.csv").is_file() && !out.join("tabular/seed-3").exists());
    assert_eq!(run(&["changepoints", text(&changes)])["sets"][0]["files"][0]["figures"][0][1], 1.0);
    let found: Value =
        serde_json::from_slice(&std::fs::read(out.join("changepoint/segmentation.json")).unwrap()).unwrap();
    assert_eq!(found["s"], serde_json::json!([40]));
    // Nothing is no success, and what is no data set is said.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(aiops_eval(&["tabular", text(empty.path())]).status.code(), Some(1));
    for set in ["nab", "smd", "asd", "kpi"] {
        let output = aiops_eval(&["series", set, text(empty.path())]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("cannot read"), "{set}");
    }
    assert_eq!(aiops_eval(&["series", "weather", text(empty.path())]).status.code(), Some(2));
}

#[test]
fn mistakes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("r.jsonl");
    std::fs::write(&recording, lines(&[window(0, 60, 0..0)])).unwrap();
    for (arguments, word) in [
        (vec!["replay", text(&recording)], "window"),
        (vec!["replay", text(&recording), "--match", "service"], "name=value"),
        (vec!["replay", text(&recording), "--window=-3s"], "negative"),
        (vec!["replay", "/nonexistent/aiops"], "cannot read"),
        (vec!["cases", "/nonexistent/aiops"], "cannot read"),
    ] {
        let output = aiops_eval(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(word), "{arguments:?}: {said}");
    }
}

#[test]
fn alerts_of_nothing_are_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let empty = aiops_eval(&["alerts", text(folder.path()), "--seeds", "1"]);
    assert_eq!(empty.status.code(), Some(1), "{empty:?}");
    let speed = aiops_eval(&["alert-speed", "--notifications", "500", "--json"]);
    let report: Value = serde_json::from_slice(&speed.stdout).unwrap();
    assert_eq!((speed.status.code(), &report["notifications"]), (Some(0), &Value::from(500)));
}
