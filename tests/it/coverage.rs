//! `docs/coverage.md`: every requirement has a row, and what a row names is there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::repository::{files, read, with_extension};

/// Families of requirements and how many each has.
const FAMILIES: [(&str, u32); 17] = [
    ("ING", 11),
    ("CMP", 8),
    ("DET", 14),
    ("COR", 6),
    ("LOC", 3),
    ("RCA", 12),
    ("KNO", 5),
    ("ACT", 14),
    ("VER", 5),
    ("AUD", 4),
    ("LRN", 1),
    ("PAT", 6),
    ("BUS", 5),
    ("DEP", 1),
    ("EVA", 9),
    ("UX", 5),
    ("SCN", 10),
];

#[derive(Debug)]
struct Row {
    ids: Vec<String>,
    items: Vec<String>,
    tests: Vec<String>,
    status: String,
}

/// What stands between backticks.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `ING-01, CMP-02..04` as single ids.
fn ids(cell: &str) -> Result<Vec<String>, String> {
    let mut ids = Vec::new();
    for part in cell.split(',').map(str::trim) {
        let malformed = || format!("{part} is no requirement id");
        let (family, numbers) = part.split_once('-').ok_or_else(malformed)?;
        let (first, last) = numbers.split_once("..").unwrap_or((numbers, numbers));
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2).ok_or_else(malformed);
        ids.extend((number(first)?..=number(last)?).map(|n| format!("{family}-{n:02}")));
    }
    Ok(ids)
}

/// Rows of the tables whose first cell holds requirement ids; their heads and rules are passed over.
fn rows(markdown: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if cells[0] == "requirement" || cells[0].starts_with("--") {
            continue;
        }
        let [names, items, tests, status] = cells[..] else {
            return Err(format!("{} cells, not 4: {line}", cells.len()));
        };
        rows.push(Row {
            ids: ids(names)?,
            items: code(items),
            tests: code(tests),
            status: status.to_owned(),
        });
    }
    Ok(rows)
}

/// Requirements without a row, with several, or unknown ones; and rows that do not say what they must.
fn book_faults(rows: &[Row]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (family, count) in FAMILIES {
        seen.extend((1..=count).map(|n| (format!("{family}-{n:02}"), 0)));
    }
    let mut faults = Vec::new();
    for row in rows {
        for id in &row.ids {
            match seen.get_mut(id) {
                Some(times) => *times += 1,
                None => faults.push(format!("{id} is no requirement")),
            }
        }
        let names_both = !row.items.is_empty() && !row.tests.is_empty();
        let says_enough = match row.status.as_str() {
            "done" => names_both,
            "later" => row.items.is_empty() && row.tests.is_empty(),
            // What is there in part says what is missing, and that may be the test.
            part => part.strip_prefix("part: ").is_some_and(|missing| {
                !missing.is_empty()
                    && !row.items.is_empty()
                    && row.tests.is_empty() == missing.starts_with("untested")
            }),
        };
        if !says_enough {
            faults.push(format!("{:?}: status, items and tests do not fit: {}", row.ids, row.status));
        }
    }
    faults.extend(seen.iter().filter(|(_, n)| **n != 1).map(|(id, n)| format!("{id} has {n} rows")));
    faults
}

/// Whether `word` stands in `line` as a whole identifier right after `before`.
fn introduces(line: &str, before: &str, word: &str) -> bool {
    let rest = line.trim_start().strip_prefix(before).and_then(|rest| rest.strip_prefix(word));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether `source` declares the public item `name`: a type, trait, function, constant, module or re-export.
fn declares(source: &str, name: &str) -> bool {
    const KINDS: [&str; 9] = [
        "pub struct ",
        "pub enum ",
        "pub trait ",
        "pub fn ",
        "pub async fn ",
        "pub const fn ",
        "pub type ",
        "pub const ",
        "pub mod ",
    ];
    source.lines().any(|line| KINDS.iter().any(|kind| introduces(line, kind, name)))
}

/// The folder of the sources of a crate, by its name in code.
fn sources_of(krate: &str) -> Option<String> {
    let folder = krate.replace('_', "-");
    match folder.as_str() {
        "aiops-approvals" | "aiops-biscuit" | "aiops-cedar" | "aiops-process" | "aiops-prometheus"
        | "aiops-redis" => Some(format!("backends/{folder}/src")),
        "aiops-examples" => Some("examples".to_owned()),
        _ if folder.starts_with("aiops-") => Some(format!("{folder}/src")),
        _ => None,
    }
}

/// Whether `path`, as `aiops_core::model::Evidence`, is a public item of the sources `in_folder` reads: the item itself, and
/// every segment between crate and item a module, or the type it belongs to.
fn item_exists(path: &str, in_folder: impl Fn(&str) -> Vec<String>) -> bool {
    let mut segments = path.split("::");
    let Some(sources) = segments.next().and_then(sources_of).map(|folder| in_folder(&folder)) else {
        return false;
    };
    let mut segments = segments.peekable();
    segments.peek().is_some() && segments.all(|name| sources.iter().any(|source| declares(source, name)))
}

/// Whether `test`, as `aiops-core/tests/it/chain.rs::one_no_is_a_no`, is a function of that file.
fn test_exists(test: &str, read: impl Fn(&str) -> Option<String>) -> bool {
    let Some((file, name)) = test.rsplit_once("::") else { return false };
    let beginnings =
        ["fn ", "async fn ", "pub fn ", "pub(crate) fn ", "pub(crate) async fn ", "pub(super) async fn "];
    read(file)
        .is_some_and(|source| source.lines().any(|line| beginnings.iter().any(|b| introduces(line, b, name))))
}

fn table() -> Vec<Row> {
    rows(&read("docs/coverage.md".as_ref())).unwrap()
}

#[test]
fn every_requirement_has_its_row() {
    let faults = book_faults(&table());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn what_rows_name_exists() {
    let sources: Vec<(std::path::PathBuf, String)> =
        with_extension("rs").into_iter().map(|file| (file.clone(), read(&file))).collect();
    let folder = |folder: &str| {
        let inside = sources.iter().filter(|(file, _)| file.starts_with(folder));
        inside.map(|(_, source)| source.clone()).collect()
    };
    let known = files();
    let file = |file: &str| known.iter().any(|f| f == Path::new(file)).then(|| read(file.as_ref()));
    let mut gone = Vec::new();
    for row in table() {
        gone.extend(row.items.into_iter().filter(|item| !item_exists(item, folder)));
        gone.extend(row.tests.into_iter().filter(|test| !test_exists(test, file)));
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

#[test]
fn a_wrong_book_is_seen() {
    let all = || -> String {
        FAMILIES
            .iter()
            .map(|(f, n)| format!("| {f}-01..{n:02} | `aiops_core::a` | `b::c` | done |\n"))
            .collect()
    };
    let faults = |text: &str| book_faults(&rows(text).unwrap());
    assert_eq!(faults(&all()), Vec::<String>::new());
    assert_eq!(faults(&all().replace("CMP-01..08", "CMP-01..07")), ["CMP-08 has 0 rows"]);
    assert_eq!(faults(&(all() + "| CMP-02 | | | later |")), ["CMP-02 has 2 rows"]);
    assert_eq!(faults(&(all() + "| CMP-09 | | | later |")), ["CMP-09 is no requirement"]);
    for bad in [
        "| `a` | | done |",
        "| | `t` | part: x |",
        "| `a` | `t` | part: |",
        "| `a` | | part: x |",
        "| `a` | `t` | part: untested |",
        "| `a` | | later |",
        "| | | soon |",
    ] {
        let text =
            all().replace("| DEP-01..01 | `aiops_core::a` | `b::c` | done |", &format!("| DEP-01 {bad}"));
        assert_eq!(faults(&text).len(), 1, "{bad}");
    }
    assert!(rows("| CMP-1 | | | later |").is_err());
    assert!(rows("| CMP | | | later |").is_err());
    assert!(rows("| CMP-01 | | later |").is_err());
    assert!(rows("| requirement | items | tests | status |\n|---|---|---|---|\nprose").unwrap().is_empty());
}

#[test]
fn a_name_that_is_not_there_is_seen() {
    let source = "mod a;\npub mod seam;\n    pub fn take(self) {}\npub struct Wide;\nfn hidden() {}\n// pub enum Said {}\n";
    let folder = |folder: &str| if folder == "aiops-core/src" { vec![source.to_owned()] } else { vec![] };
    for good in ["aiops_core::seam", "aiops_core::seam::Wide", "aiops_core::seam::Wide::take"] {
        assert!(item_exists(good, folder), "{good}");
    }
    for bad in [
        "aiops_core",
        "aiops_core::a",
        "aiops_core::hidden",
        "aiops_core::Said",
        "aiops_core::Wid",
        "aiops_act::Wide",
        "serde::Wide",
        "aiops_core::gone::Wide",
    ] {
        assert!(!item_exists(bad, folder), "{bad}");
    }
    let file =
        |file: &str| (file == "t.rs").then(|| "#[test]\nfn works() {}\n    async fn later() {}".to_owned());
    assert!(test_exists("t.rs::works", file) && test_exists("t.rs::later", file));
    for bad in ["t.rs::work", "t.rs::works_not", "u.rs::works", "works"] {
        assert!(!test_exists(bad, file), "{bad}");
    }
}
