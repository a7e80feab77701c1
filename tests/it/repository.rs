//! The files of the repository and what cargo says about its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is, or would be, under version control; relative to the root, in order.
pub(crate) fn files() -> Vec<PathBuf> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().expect("git");
    assert!(output.status.success(), "these tests run in a clone: {output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    // A file that was deleted and not yet committed is still listed.
    let mut files: Vec<PathBuf> =
        names.lines().map(PathBuf::from).filter(|f| root().join(f).is_file()).collect();
    files.sort();
    files.dedup();
    assert!(files.len() > 100, "only {} files", files.len());
    files
}

pub(crate) fn with_extension(extension: &str) -> Vec<PathBuf> {
    files().into_iter().filter(|f| f.extension().is_some_and(|e| e == extension)).collect()
}

pub(crate) fn read(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(root().join(file)).unwrap()).into_owned()
}

pub(crate) fn metadata() -> Value {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
