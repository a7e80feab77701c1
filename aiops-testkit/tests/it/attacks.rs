//! Attack programs: each abuse of a token fails with its own error code at its own line, and its twin, which differs by
//! nothing but that line, compiles.
//!
//! The programs are targets of one small package that is checked with the crate under test, in a target folder of its own
//! so that the lock of the surrounding `cargo test` is never waited for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Marks the attacking line and states the code it must fail with.
const MARK: &str = " //~ ";

struct Attack {
    name: String,
    program: String,
    twin: String,
}

/// What rustc said of one program: code and line of every error.
type Errors = BTreeMap<String, Vec<(String, u64)>>;

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn attacks() -> Vec<Attack> {
    let folder = crate_dir().join("tests/attacks");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter_map(|f| f.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let programs: Vec<Attack> = names
        .iter()
        .filter(|n| !n.ends_with(".twin"))
        .map(|n| Attack {
            name: n.clone(),
            program: read(&format!("{n}.rs")),
            twin: read(&format!("{n}.twin.rs")),
        })
        .collect();
    assert_eq!(names.len(), 2 * programs.len(), "every twin belongs to an attack");
    programs
}

/// The number of the only line in which the two programs differ, from 1.
fn attacking_line(attack: &Attack) -> u64 {
    let (program, twin): (Vec<&str>, Vec<&str>) = (attack.program.lines().collect(), attack.twin.lines().collect());
    assert_eq!(program.len(), twin.len(), "{}: the twin has other lines", attack.name);
    let differing: Vec<usize> = (0..program.len()).filter(|i| program[*i] != twin[*i]).collect();
    let [line] = differing[..] else {
        panic!("{}: the twin differs in lines {differing:?}, not in one", attack.name);
    };
    let marked: Vec<usize> = (0..program.len()).filter(|i| program[*i].contains(MARK)).collect();
    assert_eq!(marked, [line], "{}: exactly the differing line is marked", attack.name);
    line as u64 + 1
}

fn expected_code(attack: &Attack) -> &str {
    attack.program.split_once(MARK).unwrap().1.lines().next().unwrap()
}

/// Writes the package whose targets the programs are. Files are rewritten only when they changed, so that a second run is fast.
fn write_package(attacks: &[Attack]) -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("attacks");
    std::fs::create_dir_all(package.join("src")).unwrap();
    let write = |name: &str, text: &str| {
        let path = package.join(name);
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
            std::fs::write(path, text).unwrap();
        }
    };
    let core = crate_dir().join("../aiops-core").canonicalize().unwrap();
    let mut manifest = format!(
        "[package]\nname = \"attacks\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n\n[workspace]\n\n\
         [dependencies]\naiops-core = {{ path = {core:?} }}\nasync-trait = \"0.1\"\n\
         serde_json = {{ version = \"1\", default-features = false, features = [\"std\"] }}\n"
    );
    for Attack { name, program, twin } in attacks {
        for (target, text) in [(name.clone(), program), (format!("{name}-twin"), twin)] {
            write!(manifest, "\n[[bin]]\nname = \"{target}\"\npath = \"src/{target}.rs\"\n").unwrap();
            write(&format!("src/{target}.rs"), text);
        }
    }
    write("Cargo.toml", &manifest);
    // The versions that the workspace was built with are the ones at hand offline.
    let lock = crate_dir().join("../Cargo.lock");
    std::fs::copy(lock, package.join("Cargo.lock")).unwrap();
    package
}

fn check(package: &Path) -> Errors {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--bins", "--keep-going", "--offline", "--message-format=json", "--target-dir"])
        .arg(package.join("target"))
        .current_dir(package)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let mut errors = Errors::new();
    let mut dependency_failed = false;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let target = message["target"]["name"].as_str().unwrap_or_default().to_owned();
        let is_program = message["target"]["kind"][0] == "bin";
        match message["reason"].as_str() {
            Some("compiler-artifact") if is_program => {
                errors.entry(target).or_default();
            }
            Some("compiler-message") if message["message"]["level"] == "error" => {
                dependency_failed |= !is_program;
                // Without a place there is only "aborting due to …".
                let found = errors.entry(target).or_default();
                let spans = message["message"]["spans"].as_array().unwrap();
                if let Some(primary) = spans.iter().find(|s| s["is_primary"] == true) {
                    let code = message["message"]["code"]["code"].as_str().unwrap_or_default();
                    found.push((code.to_owned(), line_of(primary)));
                }
            }
            _ => {}
        }
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!dependency_failed && !errors.is_empty(), "the crate under test does not build: {said}");
    errors
}

/// The line in the program itself, also when the error lies in what a macro became.
fn line_of(span: &Value) -> u64 {
    match &span["expansion"]["span"] {
        Value::Null => span["line_start"].as_u64().unwrap(),
        caller => line_of(caller),
    }
}

#[test]
fn every_attack_fails_with_its_code_and_every_twin_compiles() {
    let attacks = attacks();
    assert_eq!(attacks.len(), 49);
    let lines: Vec<u64> = attacks.iter().map(attacking_line).collect();
    let errors = check(&write_package(&attacks));
    assert_eq!(errors.len(), 2 * attacks.len(), "every program was judged");
    let mut wrong = Vec::new();
    for (attack, line) in attacks.iter().zip(lines) {
        let found = &errors[&attack.name];
        let expected = expected_code(attack);
        // Some walls are double, and rustc has no code for the second: a field whose very type is private.
        let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).filter(|c| !c.is_empty()).collect();
        if codes != [expected] || found.iter().any(|(_, at)| *at != line) {
            wrong.push(format!("{}: expected {expected} at line {line}, rustc says {found:?}", attack.name));
        }
        let twin = &errors[&format!("{}-twin", attack.name)];
        if !twin.is_empty() {
            wrong.push(format!("{}: its twin does not compile: {twin:?}", attack.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
