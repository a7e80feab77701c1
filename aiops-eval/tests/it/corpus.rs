//! Large labelled log sets made from small ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aiops_eval::EvalError;
use aiops_eval::corpus::{CorpusOptions, CorpusSet, generate};
use aiops_eval::logs::{Input, Labels, LogSet, evaluate};

const HEADER: &str = "2031-10-18 12:00:01,123 INFO [main] Store: ";

/// Content and label of the lines of a small set; the last one does not fit its label.
const LINES: [(&str, &str); 6] = [
    ("stored block 17 at 10.0.0.1:80", "stored block <*> at <*>"),
    ("stored block 2345 at 10.0.0.2:80", "stored block <*> at <*>"),
    ("user anna came, has 3 jobs", "user <*> came, has <*> jobs"),
    ("user bert came, has 12 jobs", "user <*> came, has <*> jobs"),
    ("all is calm", "all is calm"),
    ("odd one 7", "odd two <*>"),
];

fn small(folder: &Path) {
    let folder = folder.join("Small");
    std::fs::create_dir_all(&folder).unwrap();
    let raw: String = LINES.iter().map(|(content, _)| format!("{HEADER}{content}\n")).collect();
    std::fs::write(folder.join("Small.log"), raw).unwrap();
    let rows = LINES
        .iter()
        .enumerate()
        .map(|(n, (content, label))| format!("{},\"{content}\",\"{label}\"\n", n + 1));
    let table: String = std::iter::once("LineId,Content,EventTemplate\n".to_owned()).chain(rows).collect();
    std::fs::write(folder.join("Small.log_structured.csv"), table).unwrap();
}

fn make(from: &Path, to: &Path, seed: u64) -> CorpusSet {
    let options = CorpusOptions { lines: 3000, seed, labels: Labels::Corrected };
    generate(from, to, &[], &options).unwrap().remove(0)
}

#[test]
fn lines_vary_where_the_label_says_and_nowhere_else() {
    let data = tempfile::tempdir().unwrap();
    let (from, to) = (data.path().join("from"), data.path().join("to"));
    small(&from);
    let made = make(&from, &to, 1);
    assert_eq!((made.lines, made.templates, made.unvaried, made.headless), (3000, 4, 1, 0));
    let set = LogSet::find(&to, Labels::Corrected).unwrap().remove(0);
    let (contents, labels) = (set.contents().unwrap(), set.column("EventTemplate").unwrap().unwrap());
    let raw = set.raw_lines().unwrap();
    assert_eq!((contents.len(), labels.len(), raw.len()), (3000, 3000, 3000));
    assert_eq!(set.line_ids(3000).unwrap().last().unwrap(), b"3000");
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((content, label), raw) in contents.iter().zip(&labels).zip(&raw) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(raw), format!("{HEADER}{}", text(content)));
        seen.entry(text(label)).or_default().insert(text(content));
    }
    assert_eq!(seen["all is calm"], BTreeSet::from(["all is calm".to_owned()]));
    assert_eq!(seen["odd two <*>"], BTreeSet::from(["odd one 7".to_owned()]), "repeated as it is");
    let users = &seen["user <*> came, has <*> jobs"];
    let expected: BTreeSet<String> = ["anna", "bert"]
        .into_iter()
        .flat_map(|user| (0..20).map(move |jobs| format!("user {user} came, has {jobs} jobs")))
        .collect();
    assert_eq!(users, &expected, "each value with each other one");
    assert!(seen["stored block <*> at <*>"].len() > 300);
    for line in &seen["stored block <*> at <*>"] {
        let (block, address) = line.strip_prefix("stored block ").unwrap().split_once(" at ").unwrap();
        assert!(matches!(block.len(), 2 | 4) && block.bytes().all(|b| b.is_ascii_digit()), "{line}");
        assert!(address.starts_with("1") && address.matches('.').count() == 3, "{line}");
    }
}

#[test]
fn the_seed_decides_every_byte() {
    let data = tempfile::tempdir().unwrap();
    let from = data.path().join("from");
    small(&from);
    let bytes = |to: &str, seed| {
        let to = data.path().join(to);
        make(&from, &to, seed);
        let read = |name: &str| std::fs::read(to.join("Small").join(name)).unwrap();
        (read("Small.log"), read("Small.log_structured.csv"))
    };
    let first = bytes("a", 7);
    assert_eq!(first, bytes("b", 7));
    assert_ne!(first, bytes("c", 8));
}

#[test]
fn what_is_made_can_be_mined_and_scored() {
    let data = tempfile::tempdir().unwrap();
    let (from, to) = (data.path().join("from"), data.path().join("to"));
    small(&from);
    make(&from, &to, 1);
    for input in [Input::Content, Input::Raw] {
        let report = evaluate(&to, input, Labels::Corrected, &[], &data.path().join("out"), None).unwrap();
        let scores = report.sets[0].scores.unwrap();
        // Two users are no variable yet, and what does not fit its label cannot be right.
        assert!(scores.ga > 0.6 && scores.pa > 0.45 && scores.pa < 0.9, "{input:?} {scores:?}");
    }
}

#[test]
fn sets_without_labels_and_of_the_same_folder_are_refused() {
    let data = tempfile::tempdir().unwrap();
    small(data.path());
    let folder = data.path().join("Small");
    let before = std::fs::read(folder.join("Small.log_structured.csv")).unwrap();
    let options = CorpusOptions::default();
    let error = generate(data.path(), data.path(), &[], &options).unwrap_err();
    assert!(matches!(error, EvalError::Write { .. }), "{error:?}");
    assert_eq!(std::fs::read(folder.join("Small.log_structured.csv")).unwrap(), before);
    std::fs::write(folder.join("Small.log_structured.csv"), "LineId,Content\n1,a\n").unwrap();
    let error = generate(data.path(), &data.path().join("to"), &[], &options).unwrap_err();
    assert!(matches!(error, EvalError::NoColumn { column: "EventTemplate", .. }), "{error:?}");
    std::fs::write(folder.join("Small.log_structured.csv"), "LineId,Content,EventTemplate\n1,a,a\n").unwrap();
    let error = generate(data.path(), &data.path().join("to"), &[], &options).unwrap_err();
    assert!(matches!(error, EvalError::LineCount { .. }), "{error:?}");
}
