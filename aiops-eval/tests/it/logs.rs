//! Log template mining on labelled sets whose files are not what they should be.

use aiops_eval::EvalError;
use aiops_eval::logs::{Input, Labels, evaluate};

#[test]
fn fewer_line_ids_than_lines_are_an_error_and_lose_no_prediction() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("Small");
    std::fs::create_dir(&folder).unwrap();
    let out = data.path().join("out");
    std::fs::write(folder.join("Small.log"), "a b 1\na b 2\na b 3\n").unwrap();
    let mine = |structured: &str| {
        std::fs::write(folder.join("Small.log_structured.csv"), structured).unwrap();
        evaluate(data.path(), Input::Raw, Labels::Original, &["Small".to_owned()], &out)
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
}
