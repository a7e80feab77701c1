//! Log template mining on labelled sets whose files are not what they should be.

use aiops_eval::EvalError;
use aiops_eval::logs::{Input, Labels, evaluate, failing};

#[test]
fn fewer_line_ids_than_lines_are_an_error_and_lose_no_prediction() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("Small");
    std::fs::create_dir(&folder).unwrap();
    let (out, costs) = (data.path().join("out"), data.path().join("costs"));
    std::fs::write(folder.join("Small.log"), "a b 1\na b 2\na b 3\n").unwrap();
    let mine = |structured: &str| {
        std::fs::write(folder.join("Small.log_structured.csv"), structured).unwrap();
        evaluate(data.path(), Input::Raw, Labels::Original, &["Small".to_owned()], &out, Some(&costs))
    };
    let error = mine("LineId,Content\n1,a b 1\n2,a b 2\n").unwrap_err();
    assert!(matches!(error, EvalError::LineIds { lines: 3, ids: 2, .. }), "{error:?}");
    assert!(!out.join("Small.csv").exists());
    mine("LineId,Content\n1,a b 1\n2,a b 2\n3,a b 3\n").unwrap();
    assert_eq!(std::fs::read_to_string(out.join("Small.csv")).unwrap().lines().count(), 4);
    // Without the column they are counted.
    mine("Content\na b 1\n").unwrap();
    let error = mine("Content,EventTemplate\na b 1,a b <*>\n").unwrap_err();
    assert!(matches!(error, EvalError::LineCount { lines: 3, labels: 1, .. }), "{error:?}");
    // What cost accuracy is written beside, and nothing when nothing did.
    let cost = |template: &str| {
        mine(&format!("Content,EventTemplate\na b 1,{template}\na b 2,a b <*>\na b 3,a b <*>\n")).unwrap();
        std::fs::read_to_string(costs.join("Small.csv")).unwrap()
    };
    assert_eq!(cost("a b <*>"), "");
    assert_eq!(cost("a b 1").lines().count(), 3);
}

#[test]
fn what_costs_accuracy_is_named_the_costliest_first() {
    let of = |texts: [&str; 5]| texts.map(|text| text.as_bytes().to_vec());
    let truth = of(["a <*>", "a <*>", "b", "c", "c"]);
    let found = of(["a <*>", "a 2", "b", "<*>", "c"]);
    // "a" is split, "c" takes "b" in.
    let rows = failing(&truth, &[1, 2, 3, 3, 3], &found);
    let told: Vec<_> = rows
        .iter()
        .map(|f| {
            (
                f.truth.as_str(),
                f.first_line,
                f.misgrouped,
                f.groups,
                f.foreign,
                f.miswritten,
                f.predicted.as_str(),
            )
        })
        .collect();
    let expected = [("a <*>", 2, 2, 2, 0, 1, "a 2"), ("c", 4, 2, 1, 1, 1, "<*>"), ("b", 3, 1, 1, 2, 0, "b")];
    assert_eq!(told, expected);
    assert_eq!(failing(&truth, &[1, 1, 2, 3, 3], &truth), []);
}
