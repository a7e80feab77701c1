//! The audit log on disk: contract, tampering, checkpoints, proofs.

use std::fs;
use std::path::{Path, PathBuf};

use aiops_act::audit::{AuditConfig, AuditLine, Checkpoint, FileAudit, events, verify};
use aiops_act::ledger::{Damage, Flaw, Inclusion, Link, Tree};
use aiops_core::action::IncidentId;
use aiops_core::seam::{AuditEvent, AuditSink};
use aiops_core::{Context, Error, ErrorKind};
use aiops_testkit::conformance::{self, AuditFixture};
use futures_lite::future::block_on;
use proptest::prelude::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    (folder, path)
}

fn every(checkpoint_every: u64) -> AuditConfig {
    let mut config = AuditConfig::default();
    config.checkpoint_every = checkpoint_every;
    config
}

fn event(n: usize) -> AuditEvent {
    let detail = serde_json::json!({ "n": n, "why": "a \"quoted\" line\nand another" });
    AuditEvent::new(Context::system().now(), Some(IncidentId::new("inc-1")), "decided", detail)
}

/// A log of `n` events with a checkpoint after every third, and the checkpoint at its end.
fn sample(path: &Path, n: usize) -> Checkpoint {
    let audit = FileAudit::open(path, every(3)).unwrap();
    let ctx = Context::system();
    (0..n).for_each(|i| block_on(audit.append(&event(i), &ctx)).unwrap());
    block_on(audit.checkpoint(&ctx)).unwrap()
}

fn read(path: &Path) -> Vec<AuditEvent> {
    let mut all = Vec::new();
    events(path, |event, _| all.push(event)).unwrap();
    all
}

fn damage(error: &Error) -> &Damage {
    let source = std::error::Error::source(error).expect("the damage is the source");
    source.downcast_ref().expect("a damage")
}

/// The file as somebody would write it who computes the chain anew.
fn rewritten(lines: &[AuditLine]) -> Vec<u8> {
    let (mut link, mut bytes) = (Link::START, Vec::new());
    link.write(br#"{"ledger":"audit","version":1}"#, &mut bytes).unwrap();
    for line in lines {
        link.write(&serde_json::to_vec(line).unwrap(), &mut bytes).unwrap();
    }
    bytes
}

#[test]
fn keeps_the_contract() {
    let (_folder, path) = folder();
    let audit = FileAudit::open(&path, AuditConfig::default()).unwrap();
    let log = || read(&path);
    let fixture = AuditFixture::new(Context::system(), &log);
    block_on(conformance::audit(&audit, &fixture)).assert_counts(5, 0);
}

#[test]
fn an_intact_log_is_reported_as_it_is() {
    let (_folder, path) = folder();
    let last = sample(&path, 7);
    let report = verify(&path, std::slice::from_ref(&last)).unwrap();
    // Seven events, two checkpoints on the way, one asked for.
    assert_eq!((report.entries, report.checkpoints, report.torn), (10, 3, 0));
    assert_eq!(report.vouched, last.entries);
    assert_eq!(last.entries, 9);
    assert_eq!(read(&path).len(), 7);
    assert_eq!(verify(&path, &[report.now]).unwrap().vouched, 10);
}

#[test]
fn a_flipped_bit_is_found_and_its_line_named() {
    let (_folder, path) = folder();
    sample(&path, 4);
    let whole = fs::read(&path).unwrap();
    let mut line = 0;
    for at in 0..whole.len() {
        for bit in [at % 8, (at + 3) % 8] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let error = verify(&path, &[]).expect_err("a flipped bit");
            assert_eq!(damage(&error).line, line, "byte {at}, bit {bit}: {error}");
            let opened = FileAudit::open(&path, every(3)).expect_err("a flipped bit");
            assert_eq!(damage(&opened).line, line, "byte {at}, bit {bit}: {opened}");
        }
        line += u64::from(whole[at] == b'\n');
    }
}

#[test]
fn a_cut_log_is_found_by_a_checkpoint_kept_elsewhere() {
    let (_folder, path) = folder();
    let kept = sample(&path, 4);
    let whole = fs::read(&path).unwrap();
    // The line of the checkpoint itself is not among those it speaks of.
    let own = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for length in 0..own {
        fs::write(&path, &whole[..length]).unwrap();
        let error = verify(&path, std::slice::from_ref(&kept)).expect_err("cut");
        assert_eq!(damage(&error).flaw, Flaw::End, "cut to {length} bytes: {error}");
    }
    fs::write(&path, &whole[..own]).unwrap();
    assert_eq!(verify(&path, &[kept]).unwrap().entries, 5);
}

#[test]
fn missing_repeated_and_moved_lines_are_found() {
    let (_folder, path) = folder();
    sample(&path, 5);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for i in 0..lines.len() - 1 {
        let (mut missing, mut moved, mut repeated) = (lines.clone(), lines.clone(), lines.clone());
        missing.remove(i);
        moved.swap(i, i + 1);
        repeated.insert(i, lines[i]);
        for (place, variant) in [(i, missing), (i, moved), (i + 1, repeated)] {
            fs::write(&path, variant.join("\n") + "\n").unwrap();
            let error = verify(&path, &[]).expect_err("other lines");
            assert_eq!(damage(&error).line, place as u64, "{error}");
        }
    }
}

/// Only a checkpoint kept elsewhere tells of a log that was written anew in every detail.
#[test]
fn a_log_written_anew_is_found_by_a_checkpoint_kept_elsewhere() {
    let (_folder, path) = folder();
    let kept = sample(&path, 2);
    let mut told: Vec<AuditLine> = read(&path).into_iter().map(AuditLine::Event).collect();
    if let Some(AuditLine::Event(event)) = told.last_mut() {
        event.what = "denied".to_owned();
    }
    fs::write(&path, rewritten(&told)).unwrap();
    assert_eq!(verify(&path, &[]).unwrap().entries, 2);
    let error = verify(&path, &[kept]).expect_err("another story");
    assert!(matches!(damage(&error), Damage { line: 2, flaw: Flaw::Content(_), .. }), "{error}");
}

#[test]
fn a_checkpoint_in_the_log_that_is_not_of_its_lines_is_found() {
    let (_folder, path) = folder();
    let foreign = sample(&path, 2);
    let lines = [AuditLine::Event(event(9)), AuditLine::Event(event(8)), AuditLine::Checkpoint(foreign)];
    fs::write(&path, rewritten(&lines)).unwrap();
    for error in [verify(&path, &[]).unwrap_err(), FileAudit::open(&path, every(3)).map(drop).unwrap_err()] {
        assert_eq!(damage(&error).line, 3, "{error}");
    }
}

#[test]
fn a_crash_within_a_line_is_mended_by_the_next_writer() {
    let (_folder, path) = folder();
    sample(&path, 2);
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(b"0123456789abcdef");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(verify(&path, &[]).unwrap().torn, 16);
    assert_eq!(fs::read(&path).unwrap().len(), whole + 16, "verify changes nothing");
    sample(&path, 1);
    assert_eq!(read(&path).len(), 3);
}

#[test]
fn an_event_too_long_for_a_line_is_refused_and_nothing_written() {
    let (_folder, path) = folder();
    let audit = FileAudit::open(&path, every(0)).unwrap();
    let mut long = event(0);
    long.detail = serde_json::Value::String("x".repeat(aiops_act::ledger::LONGEST_LINE));
    let ctx = Context::system();
    assert_eq!(block_on(audit.append(&long, &ctx)).unwrap_err().kind(), ErrorKind::Limit);
    block_on(audit.append(&event(1), &ctx)).unwrap();
    assert_eq!(verify(&path, &[]).unwrap().entries, 1);
}

#[test]
fn a_file_that_does_not_exist_is_an_error() {
    let (_folder, path) = folder();
    assert_eq!(verify(&path, &[]).unwrap_err().kind(), ErrorKind::Unavailable);
}

/// The tree by its definition: RFC 6962 section 2.1.
fn naive_root(leaves: &[blake3::Hash]) -> blake3::Hash {
    match leaves {
        [] => blake3::hash(b""),
        [one] => blake3::hash(&[&[0], one.as_bytes().as_slice()].concat()),
        _ => {
            let mut half = 1;
            while half * 2 < leaves.len() {
                half *= 2;
            }
            let (left, right) = leaves.split_at(half);
            let (left, right) = (naive_root(left), naive_root(right));
            blake3::hash(&[&[1], left.as_bytes().as_slice(), right.as_bytes()].concat())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_tree_is_the_one_defined_and_proves_each_line_and_no_other(n in 1_usize..70, seed in any::<u64>()) {
        let lines: Vec<blake3::Hash> = (0..n as u64).map(|i| blake3::hash(&seed.wrapping_add(i).to_le_bytes())).collect();
        let mut tree = Tree::default();
        lines.iter().for_each(|line| tree.push(line));
        prop_assert_eq!(tree.root(), naive_root(&lines));
        let root = tree.root();
        for (i, line) in lines.iter().enumerate() {
            let proof = Inclusion::of(i as u64, &lines).unwrap();
            prop_assert!(proof.proves(line, &root), "line {} of {}", i, n);
            // Of another line, at another place, below another root, with a shortened path, it proves nothing.
            prop_assert!(!proof.proves(&blake3::hash(b"another"), &root));
            prop_assert!(!proof.proves(line, &blake3::hash(b"another")));
            for place in (0..n as u64).filter(|p| *p != i as u64) {
                let moved = Inclusion { line: place, ..proof.clone() };
                prop_assert!(!moved.proves(line, &root), "line {} passed as line {} of {}", i, place, n);
            }
            if n > 1 {
                let mut short = proof.clone();
                short.path.pop();
                prop_assert!(!short.proves(line, &root));
            }
        }
        prop_assert!(Inclusion::of(n as u64, &lines).is_none());
    }
}
