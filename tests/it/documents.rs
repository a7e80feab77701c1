//! Links, decisions, sizes, and nothing of the machine it was written on.

use std::path::{Path, PathBuf};

use crate::repository::{files, read, root, with_extension};

/// Most lines of a file that people write.
const MOST_LINES: usize = 900;

/// Relative targets of Markdown links outside code, without their anchors.
fn relative_links(markdown: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fence = None;
    for line in markdown.lines() {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        if mark.is_some() && (fence.is_none() || fence == mark) {
            fence = if fence.is_none() { mark } else { None };
            continue;
        }
        if fence.is_some() {
            continue;
        }
        // Every second piece between backticks is code; a link's text may hold code, its target may not.
        let prose: String = line.split('`').step_by(2).collect();
        for (_, rest) in prose.match_indices("](").map(|(i, _)| prose.split_at(i + 2)) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.contains("://") || path.starts_with("mailto:");
            if !path.is_empty() && !elsewhere {
                links.push(path.to_owned());
            }
        }
    }
    links
}

fn broken_links(file: &Path, markdown: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let broken = relative_links(markdown).into_iter().filter(|link| !exists(&folder.join(link)));
    broken.map(|link| format!("{}: {link}", file.display())).collect()
}

/// Lines that name a folder of somebody's machine.
fn machine_paths(text: &str) -> Vec<&str> {
    // Put together here, so that this file is not one of those it looks for.
    let folders = ["home", "root", "work", "tmp", "Users"].map(|folder| format!("/{folder}/"));
    let starts_a_path = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~$}/".contains(c)))
    };
    let names_one = |line: &&str| {
        folders
            .iter()
            .any(|folder| line.match_indices(folder.as_str()).any(|(at, _)| starts_a_path(line, at)))
    };
    text.lines().filter(names_one).collect()
}

fn unlinked(listing: &str, names: &[String]) -> Vec<String> {
    let links = relative_links(listing);
    names.iter().filter(|name| !links.iter().any(|l| l.ends_with(name.as_str()))).cloned().collect()
}

#[test]
fn links_resolve() {
    let documents = with_extension("md");
    assert!(documents.iter().map(|d| relative_links(&read(d)).len()).sum::<usize>() > 20);
    let broken: Vec<String> =
        documents.iter().flat_map(|d| broken_links(d, &read(d), |path| root().join(path).exists())).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_chapter_and_decision_is_linked() {
    let below = |folder: &str, but: &str| -> Vec<String> {
        let documents = with_extension("md").into_iter().filter(|f| f.starts_with(folder));
        let names = documents.map(|f| f.strip_prefix(folder).unwrap().display().to_string());
        names.filter(|name| name != but).collect()
    };
    let decisions = below("docs/adr", "README.md");
    assert!(!decisions.is_empty());
    assert_eq!(unlinked(&read("docs/adr/README.md".as_ref()), &decisions), Vec::<String>::new());
    assert_eq!(
        unlinked(&read("docs/SUMMARY.md".as_ref()), &below("docs", "SUMMARY.md")),
        Vec::<String>::new()
    );
}

#[test]
fn files_are_small_and_know_no_machine() {
    let mut faults = Vec::new();
    for file in files() {
        let generated = file.file_name().is_some_and(|name| name == "Cargo.lock");
        let text = read(&file);
        let lines = text.lines().count();
        if lines > MOST_LINES && !generated {
            faults.push(format!("{}: {lines} lines", file.display()));
        }
        faults.extend(machine_paths(&text).into_iter().map(|line| format!("{}: {line}", file.display())));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_broken_link_is_seen() {
    let text = "[a](b.md) [x](../up.md#there) `[code](no.md)` [c](https://x.y/z) [`d`](gone.md) [h](#here)\n\
                ```\n[fenced](no.md)\n```\n[last](e.md \"title\")";
    assert_eq!(relative_links(text), ["b.md", "../up.md", "gone.md", "e.md"]);
    let there = ["docs/b.md", "docs/../up.md", "docs/e.md"].map(PathBuf::from);
    let broken = broken_links("docs/a.md".as_ref(), text, |path| there.iter().any(|t| t == path));
    assert_eq!(broken, ["docs/a.md: gone.md"]);
    assert_eq!(
        unlinked("- [one](0001-one.md)", &["0001-one.md".to_owned(), "0002-two.md".to_owned()]),
        ["0002-two.md"]
    );
}

#[test]
fn a_path_of_a_machine_is_seen() {
    for folder in ["home", "root", "work", "tmp", "Users"] {
        for line in [format!("cd /{folder}/x"), format!("\"/{folder}/y\""), format!("/{folder}/z")] {
            assert_eq!(machine_paths(&line), [line.as_str()]);
        }
        let harmless = format!("https://example.org/{folder}/ src/{folder}/mod.rs $DIR/{folder}/x /{folder}");
        assert!(machine_paths(&harmless).is_empty(), "{harmless}");
    }
}
