//! Sums of case files.

use aiops_core::CaseStatus;
use aiops_core::action::ActionOutcome;
use aiops_core::model::{FaultType, Recovery};
use aiops_eval::EvalError;
use aiops_eval::cases::{CaseSummary, read_folder};

use crate::world::{at, case};

fn read(files: &[(&str, Vec<u8>)]) -> aiops_eval::cases::CaseReport {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    read_folder(folder.path(), |_, _| {}).unwrap()
}

#[test]
fn a_case_says_who_why_what_and_how_it_ended() {
    let summary = CaseSummary::of("x.case".into(), &case("inc-1", Some(CaseStatus::Recovered)));
    assert_eq!((summary.id.as_str(), summary.opened, summary.seconds), ("inc-1", at(0), 20.0));
    assert_eq!(summary.first_suspect.as_deref(), Some("service/orders"));
    assert_eq!(summary.diagnoses, 2);
    let cause = summary.cause.clone().unwrap();
    assert_eq!((cause.system.as_str(), cause.fault), ("service/orders", FaultType::Config));
    assert_eq!((cause.confidence, cause.calibrated), (0.9, true));
    assert_eq!(summary.ending, Some(CaseStatus::Recovered));
    assert_eq!(summary.actions.len(), 1);
    assert_eq!(summary.actions[0].outcome, ActionOutcome::Completed);
    assert_eq!(summary.actions[0].recovery, Some(Recovery::NotRecovered));
    let text = summary.text();
    for part in [
        "service/orders",
        "orders has a wrong time-out",
        "90 %",
        "completed, not recovered",
        "ended: recovered, after 20.0 s",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn files_are_read_in_order_and_counted() {
    let escalated = CaseStatus::Escalated { reason: "no remedy".to_owned() };
    let yielded = CaseStatus::Yielded { reason: "held".to_owned() };
    let report = read(&[
        ("b.case", case("second", Some(escalated)).to_json().unwrap()),
        ("a.case", case("first", Some(CaseStatus::Recovered)).to_json().unwrap()),
        ("c.json", case("third", None).to_json().unwrap()),
        ("d.case.json", case("fourth", Some(yielded)).to_json().unwrap()),
        ("record.json", b"{\"seed\": 1}".to_vec()),
        ("notes.txt", b"not looked at".to_vec()),
    ]);
    let ids: Vec<&str> = report.cases.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["first", "second", "third", "fourth"]);
    let t = &report.totals;
    assert_eq!((t.cases, t.recovered, t.escalated, t.yielded, t.open), (4, 1, 1, 1, 1));
    assert_eq!((t.other_files, t.unreadable, t.median_seconds_to_recover), (1, 0, Some(20.0)));
    assert_eq!((t.actions, t.actions_recovered), (4, 0));
    assert!(report.text().contains("4 cases: 1 recovered (median 20.0 s), 1 escalated, 1 yielded, 1 open"));
}

#[test]
fn what_cannot_be_read_is_named_and_counted() {
    let mut later = String::from_utf8(case("x", None).to_json().unwrap()).unwrap();
    later = later.replacen("\"version\": 1", "\"version\": 9", 1);
    let cut: Vec<u8> = case("x", None).to_json().unwrap().into_iter().take(300).collect();
    let report = read(&[
        ("a.case", b"{}".to_vec()),
        ("b.json", cut),
        ("c.case", later.into_bytes()),
        ("d.case", vec![0xff, 0xfe]),
        ("e.json", Vec::new()),
    ]);
    assert_eq!((report.totals.cases, report.totals.unreadable, report.totals.other_files), (0, 5, 0));
    let names: Vec<_> = report.unreadable.iter().map(|u| u.file.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.case", "b.json", "c.case", "d.case", "e.json"]);
    assert!(report.unreadable[2].error.contains("another version"), "{}", report.unreadable[2].error);
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = read_folder("/nonexistent/aiops".as_ref(), |_, _| {}).unwrap_err();
    assert!(matches!(error, EvalError::Read { .. }), "{error}");
}
