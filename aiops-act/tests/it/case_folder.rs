//! Cases on disk.

use std::path::Path;
use std::time::Duration;

use aiops_act::CaseFolder;
use aiops_core::action::{IncidentId, Mode};
use aiops_core::model::time::after;
use aiops_core::model::{Ranking, TelemetryWindow, TimeRange};
use aiops_core::pipeline::CaseListener as _;
use aiops_core::{Case, CasePart, CaseStatus, ErrorKind};

use crate::support::{secs, start};

fn case(id: &str, opened: u64) -> Case {
    let at = after(start(), secs(opened));
    let mut case = Case::open(IncidentId::new(id), at, Mode::Auto);
    case.observe(at, TelemetryWindow::new(TimeRange::ending_at(at, Duration::from_secs(60))));
    case
}

fn closed(mut case: Case) -> Case {
    case.push(start(), CasePart::Closed(CaseStatus::Recovered));
    case
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn an_open_case_is_there_for_the_next_run_and_a_closed_one_is_not_open() {
    let root = tempfile::tempdir().unwrap();
    let folder = CaseFolder::open(root.path(), 10).unwrap();
    // Any text may be an id.
    let (later, earlier) = (case("../b/\u{202e}\0", 60), case("a", 0));
    folder.write(&later).unwrap();
    folder.write(&earlier).unwrap();
    let next = CaseFolder::open(root.path(), 10).unwrap();
    assert_eq!(next.left_open().unwrap(), [earlier.clone(), later.clone()]);
    let earlier = closed(earlier);
    next.write(&earlier).unwrap();
    assert_eq!(next.left_open().unwrap(), [later]);
    assert_eq!(next.closed().unwrap(), [earlier]);
    assert_eq!(files(root.path()), 2, "nothing is written beside the two folders");
}

#[test]
fn a_listener_writes_once_something_is_planned() {
    let root = tempfile::tempdir().unwrap();
    let folder = CaseFolder::open(root.path(), 10).unwrap();
    let mut case = case("a", 0);
    for (part, there) in [(CasePart::Localized(Ranking::default()), 0), (CasePart::Planned(Vec::new()), 1)] {
        case.push(start(), part);
        folder.appended(&case, case.entries().last().unwrap());
        assert_eq!(folder.left_open().unwrap().len(), there);
    }
    let case = closed(case);
    folder.appended(&case, case.entries().last().unwrap());
    assert!(folder.left_open().unwrap().is_empty());
    assert_eq!(folder.closed().unwrap(), [case]);
}

#[test]
fn only_the_newest_closed_cases_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let folder = CaseFolder::open(root.path(), 3).unwrap();
    for n in 0..10 {
        folder.write(&closed(case(&format!("case-{n}"), n * 60))).unwrap();
    }
    let kept: Vec<String> = folder.closed().unwrap().iter().map(|c| c.id().to_string()).collect();
    assert_eq!(kept, ["case-7", "case-8", "case-9"]);
    let none = tempfile::tempdir().unwrap();
    let folder = CaseFolder::open(none.path(), 0).unwrap();
    folder.write(&case("a", 0)).unwrap();
    folder.write(&closed(case("a", 0))).unwrap();
    assert!(folder.closed().unwrap().is_empty() && folder.left_open().unwrap().is_empty());
}

#[test]
fn what_a_crash_left_half_written_is_passed_over_and_what_is_no_case_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = CaseFolder::open(root.path(), 3).unwrap();
    folder.write(&case("a", 0)).unwrap();
    std::fs::write(root.path().join("open").join("x.part"), b"{\"vers").unwrap();
    assert_eq!(folder.left_open().unwrap().len(), 1);
    std::fs::write(root.path().join("open").join("x.json"), b"{\"vers").unwrap();
    let refused = folder.left_open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Malformed);
    assert!(refused.to_string().contains("x.json") || refused.context().any(|(_, v)| v.contains("x.json")));
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(CaseFolder::open(&file, 1).unwrap_err().kind(), ErrorKind::Unavailable);
    let folder = CaseFolder::open(root.path().join("cases"), 1).unwrap();
    std::fs::remove_dir_all(root.path().join("cases")).unwrap();
    assert_eq!(folder.write(&case("a", 0)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(folder.left_open().unwrap_err().kind(), ErrorKind::Unavailable);
}
