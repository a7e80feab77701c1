//! Signatures, anchors, exports and the compliance report of the audit log.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aiops_act::audit::{
    Anchor, AuditConfig, AuditKey, AuditLine, Checkpoint, CheckpointSigner, ComplianceReport, Ed25519Signer,
    Expectation, FileAnchor, FileAudit, Signature, events, export, verify, verify_as,
};
use aiops_act::ledger::{Damage, Flaw, Inclusion, Link, Tree};
use aiops_core::action::{Mode, Principal, Verdict};
use aiops_core::fake::{FixedGuard, ScriptedApprover};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{Recovery, TimeRange};
use aiops_core::seam::{AuditEvent, AuditSink, Journal};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::support::{World, at, orders, propose, restart_of, secs};

const SECRET: [u8; 32] = [7; 32];

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

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_secret(&SECRET)
}

fn event(n: usize) -> AuditEvent {
    AuditEvent::new(at(0), None, "decided", serde_json::json!({ "n": n }))
}

fn fill(audit: &FileAudit, n: usize) {
    let ctx = Context::system();
    (0..n).for_each(|i| block_on(audit.append(&event(i), &ctx)).unwrap());
}

/// `n` events with a signed checkpoint after every third.
fn signed(path: &Path, n: usize) {
    fill(&FileAudit::open_signed(path, every(3), signer()).unwrap(), n);
}

fn expected() -> Expectation {
    Expectation::none().signed_by(signer().key()).unsigned_run(4)
}

fn damage(error: &Error) -> &Damage {
    let source = std::error::Error::source(error).expect("the damage is the source");
    source.downcast_ref().expect("a damage")
}

fn lines(path: &Path) -> Vec<AuditLine> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|l| serde_json::from_str(l.splitn(3, ' ').nth(2).unwrap()).unwrap()).collect()
}

/// The file as somebody would write it who computes chain and roots anew, and has no key.
fn rewrite(path: &Path, mut lines: Vec<AuditLine>, forge: impl Fn(&mut Checkpoint)) {
    let (mut link, mut bytes, mut tree) = (Link::START, Vec::new(), Tree::default());
    link.write(br#"{"ledger":"audit","version":1}"#, &mut bytes).unwrap();
    for line in &mut lines {
        if let AuditLine::Checkpoint(checkpoint) = line {
            checkpoint.entries = tree.leaves();
            checkpoint.root = tree.root().to_hex().to_string();
            forge(checkpoint);
        }
        link.write(&serde_json::to_vec(line).unwrap(), &mut bytes).unwrap();
        tree.push(&link.hash());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_signed_log_bears_its_key_out() {
    let (_folder, path) = folder();
    signed(&path, 7);
    let report = verify_as(&path, &expected()).unwrap();
    // Three events, a checkpoint, three events, a checkpoint, one event.
    assert_eq!((report.entries, report.checkpoints, report.signed, report.vouched), (9, 2, 7, 0));
    assert_eq!(verify(&path, &[]).unwrap().signed, 0, "no key was expected");
    fill(&FileAudit::open_signed(&path, every(3), signer()).unwrap(), 2);
    assert_eq!(verify_as(&path, &expected()).unwrap().signed, 11, "goes on after a restart");
}

/// RFC 8032, section 7.1, TEST 2.
#[test]
fn signatures_are_ed25519() {
    let secret: [u8; 32] = [
        0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b,
        0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
    ];
    let signer = Ed25519Signer::from_secret(&secret);
    let key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    assert_eq!(signer.key().to_string(), key);
    let expected = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                    085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let hex: String = signer.sign(&[0x72]).unwrap().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, expected);
    let text = serde_json::json!({ "key": key, "ed25519": expected });
    let signature: Signature = serde_json::from_value(text).unwrap();
    assert!(signature.is_of(&[0x72]) && !signature.is_of(&[0x73]) && !signature.is_of(&[]));
    assert!(!format!("{signer:?}").contains("4ccd"), "the secret does not show");
}

#[test]
fn keys_that_are_none_are_refused() {
    let key = signer().key().to_string();
    let weak = "0100000000000000000000000000000000000000000000000000000000000000";
    let parse = |text: &str| serde_json::from_value::<AuditKey>(serde_json::json!(text));
    parse(&key).unwrap();
    for bad in ["", "00", weak, &key.to_uppercase(), &key[1..], &format!("{key}00"), &"ü".repeat(32)] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_signature_that_was_taken_off_is_found() {
    let (_folder, path) = folder();
    signed(&path, 7);
    let stripped = |checkpoint: &mut Checkpoint| checkpoint.signature = None;
    rewrite(&path, lines(&path), stripped);
    verify(&path, &[]).expect("the chain itself is whole");
    let error = verify_as(&path, &expected()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(damage(&error).line, 4);
    assert!(error.to_string().contains("not signed"), "{error}");
}

#[test]
fn a_log_written_anew_bears_no_old_signature() {
    let (_folder, path) = folder();
    signed(&path, 7);
    let mut changed = lines(&path);
    let AuditLine::Event(event) = &mut changed[1] else { panic!("an event") };
    event.detail = serde_json::json!({ "n": "nothing happened" });
    rewrite(&path, changed.clone(), |_| ());
    let error = verify_as(&path, &expected()).unwrap_err();
    assert_eq!((damage(&error).line, error.kind()), (4, ErrorKind::Malformed));
    // Found without a key as well: a signature that is there is checked.
    assert!(verify(&path, &[]).unwrap_err().to_string().contains("signature"));
    assert_eq!(FileAudit::open(&path, every(3)).unwrap_err().kind(), ErrorKind::Malformed);
    // Signed anew with a key of his own.
    let mallory = Ed25519Signer::from_secret(&[9; 32]);
    rewrite(&path, changed, |checkpoint| {
        let bytes = mallory.sign(&checkpoint.statement()).unwrap();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let signature = serde_json::json!({ "key": mallory.key(), "ed25519": hex });
        checkpoint.signature = Some(serde_json::from_value(signature).unwrap());
    });
    verify(&path, &[]).expect("whole in itself");
    let error = verify_as(&path, &expected()).unwrap_err();
    assert!(error.to_string().contains("not expected"), "{error}");
}

#[test]
fn checkpoints_that_were_taken_out_are_found() {
    let (_folder, path) = folder();
    signed(&path, 7);
    let mut bare = lines(&path);
    bare.retain(|line| matches!(line, AuditLine::Event(_)));
    rewrite(&path, bare, |_| ());
    verify(&path, &[]).expect("whole in itself");
    let error = verify_as(&path, &expected()).unwrap_err();
    assert!(matches!(&damage(&error).flaw, Flaw::Content(why) if why.contains("7 entries")), "{error}");
}

#[test]
fn a_log_that_began_without_signatures_is_judged_from_where_they_begin() {
    let (_folder, path) = folder();
    fill(&FileAudit::open(&path, every(3)).unwrap(), 4);
    fill(&FileAudit::open_signed(&path, every(3), signer()).unwrap(), 3);
    assert!(verify_as(&path, &expected()).is_err());
    let report = verify_as(&path, &expected().signed_from(5)).unwrap();
    assert_eq!((report.checkpoints, report.signed), (2, 7));
    assert!(verify_as(&path, &expected().signed_from(3)).is_err(), "the first one speaks of three entries");
}

#[test]
fn keys_change_over_the_years() {
    let (_folder, path) = folder();
    signed(&path, 3);
    let next = Ed25519Signer::from_secret(&[8; 32]);
    let key = next.key();
    fill(&FileAudit::open_signed(&path, every(3), next).unwrap(), 3);
    assert!(verify_as(&path, &expected()).is_err());
    assert_eq!(verify_as(&path, &expected().signed_by(key)).unwrap().signed, 7);
}

/// A key service that is down now and then.
#[derive(Debug)]
struct Flaky(Arc<AtomicBool>);

impl CheckpointSigner for Flaky {
    fn key(&self) -> AuditKey {
        signer().key()
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        signer().sign(message)
    }
}

#[test]
fn a_signer_that_is_down_delays_a_checkpoint_and_loses_no_event() {
    let (_folder, path) = folder();
    let down = Arc::new(AtomicBool::new(true));
    let audit = FileAudit::open_signed(&path, every(3), Flaky(Arc::clone(&down))).unwrap();
    fill(&audit, 5);
    assert_eq!(block_on(audit.checkpoint(&Context::system())).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(verify(&path, &[]).unwrap().checkpoints, 0);
    down.store(false, Ordering::SeqCst);
    fill(&audit, 1);
    assert!(verify_as(&path, &expected()).is_err(), "a run without signatures is told, whatever the cause");
    let report = verify_as(&path, &expected().unsigned_run(6)).unwrap();
    assert_eq!((report.entries, report.signed), (7, 6));
}

/// A key service that counts what it is asked.
#[derive(Debug)]
struct Down(Arc<AtomicUsize>);

impl CheckpointSigner for Down {
    fn key(&self) -> AuditKey {
        signer().key()
    }
    fn sign(&self, _: &[u8]) -> Result<[u8; 64]> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(ErrorKind::Unavailable, "down"))
    }
}

#[test]
fn a_signer_that_is_down_is_asked_less_and_less_often() {
    let (_folder, path) = folder();
    let asked = Arc::new(AtomicUsize::new(0));
    fill(&FileAudit::open_signed(&path, every(32), Down(Arc::clone(&asked))).unwrap(), 200);
    // After 32 events, then 1, 2, 4, 8, 16, 32, 32, … later: 32, 33, 35, 39, 47, 63, 95, 127, 159, 191.
    assert_eq!(asked.load(Ordering::SeqCst), 10);
}

/// Mallory may write the file and has no key: she takes every checkpoint out and writes the events anew. The service that opens
/// the log next must not sign for her.
#[test]
fn a_forged_log_is_not_signed_over() {
    let (_folder, path) = folder();
    signed(&path, 7);
    let mut dressed = lines(&path);
    let AuditLine::Event(event) = &mut dressed[1] else { panic!("an event") };
    event.detail = serde_json::json!({ "n": "nothing happened" });
    let mut forged = dressed.clone();
    forged.retain(|line| matches!(line, AuditLine::Event(_)));
    // With checkpoints that nobody signed, and with none.
    for lines in [dressed, forged] {
        rewrite(&path, lines, |checkpoint| checkpoint.signature = None);
        let mut config = every(3);
        config.unsigned_allowance = 3;
        let error = FileAudit::open_signed(&path, config.clone(), signer()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        config.earlier_keys = vec![Ed25519Signer::from_secret(&[8; 32]).key()];
        assert_eq!(FileAudit::open_signed(&path, config, signer()).unwrap_err().kind(), ErrorKind::Denied);
    }
    // Whoever looked at the log and takes it as it is says so.
    let mut config = every(3);
    (config.unsigned_allowance, config.signed_from) = (0, 7);
    FileAudit::open_signed(&path, config, signer()).unwrap();
    // Within an allowance that is too wide it is signed, and found by whoever verifies with the interval that was meant.
    fill(&FileAudit::open_signed(&path, every(3), signer()).unwrap(), 2);
    assert_eq!(verify_as(&path, &expected().unsigned_run(100)).unwrap().signed, 8);
    let error = verify_as(&path, &expected()).unwrap_err();
    assert!(matches!(&damage(&error).flaw, Flaw::Content(why) if why.contains("8 entries")), "{error}");
}

#[test]
fn a_log_goes_on_under_a_new_key_where_the_old_one_is_named() {
    let (_folder, path) = folder();
    signed(&path, 6);
    let mut config = every(3);
    config.unsigned_allowance = 1;
    let next = || Ed25519Signer::from_secret(&[8; 32]);
    assert_eq!(FileAudit::open_signed(&path, config.clone(), next()).unwrap_err().kind(), ErrorKind::Denied);
    config.earlier_keys = vec![signer().key()];
    FileAudit::open_signed(&path, config, next()).unwrap();
}

/// Names a key that it does not sign with.
#[derive(Debug)]
struct Impostor;

impl CheckpointSigner for Impostor {
    fn key(&self) -> AuditKey {
        signer().key()
    }
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ed25519Signer::from_secret(&[9; 32]).sign(message)
    }
}

#[test]
fn a_signer_with_another_key_signs_nothing() {
    let (_folder, path) = folder();
    let audit = FileAudit::open_signed(&path, every(0), Impostor).unwrap();
    fill(&audit, 1);
    assert_eq!(block_on(audit.checkpoint(&Context::system())).unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(verify(&path, &[]).unwrap().checkpoints, 0);
}

#[test]
fn an_anchor_proves_what_was_cut() {
    let (folder, path) = folder();
    let elsewhere = folder.path().join("anchor");
    let open = || {
        let anchor = FileAnchor::open(&elsewhere).unwrap();
        FileAudit::open_signed(&path, every(3), signer()).unwrap().with_anchor(anchor)
    };
    fill(&open(), 4);
    let audit = open();
    fill(&audit, 2);
    let asked = block_on(audit.checkpoint(&Context::system())).unwrap();
    let kept = FileAnchor::read(&elsewhere).unwrap();
    assert_eq!(kept.iter().map(|c| c.entries).collect::<Vec<_>>(), [3, 7, 8]);
    assert_eq!(kept.last(), Some(&asked));
    let all = expected().kept(kept);
    assert_eq!(verify_as(&path, &all).unwrap().vouched, 8);
    // Cut to before the last checkpoint, which the signatures alone do not show.
    let whole = fs::read(&path).unwrap();
    let cut: Vec<u8> = whole.split_inclusive(|b| *b == b'\n').take(7).flatten().copied().collect();
    fs::write(&path, cut).unwrap();
    verify_as(&path, &expected()).expect("what is left is signed");
    assert_eq!(damage(&verify_as(&path, &all).unwrap_err()).flaw, Flaw::End);
}

#[test]
fn a_kept_checkpoint_without_its_signature_is_refused() {
    let (_folder, path) = folder();
    let audit = FileAudit::open_signed(&path, every(0), signer()).unwrap();
    fill(&audit, 1);
    let mut kept = block_on(audit.checkpoint(&Context::system())).unwrap();
    verify_as(&path, &expected().kept([kept.clone()])).unwrap();
    kept.signature = None;
    assert_eq!(verify_as(&path, &expected().kept([kept])).unwrap_err().kind(), ErrorKind::Malformed);
}

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Anchor for Nowhere {
    async fn anchor(&self, _: &Checkpoint, _: &Context) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "no way out"))
    }
}

#[test]
fn whether_an_anchor_is_needed_is_configured() {
    let (folder, path) = folder();
    let ctx = Context::system();
    let lenient = FileAudit::open(&path, every(1)).unwrap().with_anchor(Nowhere);
    block_on(lenient.append(&event(0), &ctx)).unwrap();
    let mut config = every(1);
    config.anchor_required = true;
    let other = folder.path().join("kept");
    let strict = FileAudit::open(&path, config).unwrap().with_anchor(Nowhere);
    let strict = strict.with_anchor(FileAnchor::open(&other).unwrap());
    assert_eq!(block_on(strict.append(&event(1), &ctx)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(FileAnchor::read(&other).unwrap().len(), 1, "the others are given it all the same");
}

#[test]
fn an_export_is_lines_that_can_be_proved() {
    let (_folder, path) = folder();
    signed(&path, 4);
    let mut out = Vec::new();
    assert_eq!(export(&path, &mut out).unwrap(), 4);
    let exported: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(exported.iter().map(|l| l["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(exported[3]["event"]["detail"]["n"], 3);
    // The third event is one of those that the first checkpoint speaks of.
    let mut hashes = Vec::new();
    events(&path, |_, link| hashes.push(link.hash())).unwrap();
    let (root, hash) = match &lines(&path)[3] {
        AuditLine::Checkpoint(c) => (c.root.clone(), exported[2]["hash"].as_str().unwrap().to_owned()),
        AuditLine::Event(_) => panic!("a checkpoint"),
    };
    let proof = Inclusion::of(2, &hashes[..3]).unwrap();
    assert!(proof.proves(&hash.parse().unwrap(), &root.parse().unwrap()));
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(export(&path, &mut Full).unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Three proposals: one runs alone, one with consent, one is refused; told from log and journal.
#[test]
fn the_compliance_report_says_who_what_and_under_which_rule() {
    let (_folder, path) = folder();
    let world = World::new();
    let audit = FileAudit::open(&path, AuditConfig::default()).unwrap();
    let chain = |verdict: Verdict, answer: bool| {
        GuardChain::builder(world.journal.clone())
            .guard(FixedGuard::new("policy", verdict))
            .approver(ScriptedApprover::of(Principal::new("ada|<b>"), [answer]))
            .config(ChainConfig::in_mode(Mode::Auto))
            .build()
            .unwrap()
    };
    let decide = |n: i64, verdict: Verdict, answer: bool| {
        world.go_to(n * 600);
        let proposal = propose(&format!("p{n}"), "inc", restart_of(orders()));
        let (incident, ctx) = (Some(proposal.incident.clone()), &world.ctx);
        let decided = block_on(chain(verdict, answer).authorize(proposal, &world.mitigator, ctx));
        let record = match &decided {
            Ok(right) => right.decision().clone(),
            Err(denied) => denied.record().clone(),
        };
        let detail = serde_json::to_value(record).unwrap();
        block_on(audit.append(&AuditEvent::new(ctx.now(), incident, "decided", detail), ctx)).unwrap();
        if let Ok(right) = decided {
            let key = right.key().clone();
            drop(block_on(right.record(ctx)).unwrap());
            world.settle(&key, aiops_core::action::ActionOutcome::Completed);
            world.verify(&key, Recovery::Recovered);
        }
    };
    decide(0, Verdict::allow("rule restarts"), true);
    decide(1, Verdict::needs_approval("rule night-asks"), true);
    decide(2, Verdict::needs_approval("rule night-asks"), false);
    decide(3, Verdict::deny("rule frozen"), true);
    // Intended, and given up before it began.
    world.go_to(2_400);
    world.not_started(&propose("p4", "inc", restart_of(orders())));

    let history = block_on(world.journal.history(&world.ctx)).unwrap();
    let range = TimeRange::new(at(0), at(86_400)).unwrap();
    let report = ComplianceReport::of(&path, &history, range).unwrap();
    assert_eq!((report.events, report.actions.len(), report.denials.len()), (4, 2, 2));
    assert_eq!(report.not_begun.len(), 1, "what never began did not run");
    let approved: Vec<Option<&str>> =
        report.actions.iter().map(|a| a.approved_by.as_ref().map(Principal::as_str)).collect();
    assert_eq!(approved, [None, Some("ada|<b>")]);
    assert!(report.actions.iter().all(|a| a.recovery == Some(Recovery::Recovered)));
    assert_eq!(report.denials[0].refused_by.as_ref().map(Principal::as_str), Some("ada|<b>"));
    assert_eq!(
        (&report.denials[1].refused_by, report.denials[1].reason.as_str()),
        (&None, "policy: rule frozen")
    );

    let text = report.to_markdown();
    for part in [
        "2 actions, 1 without asking and 1 with consent; 1 not begun; 2 denials",
        "## What was intended and not begun",
        "not begun: no",
        "policy rule restarts",
        "rule night-asks",
        "rule frozen",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    // A name from elsewhere neither ends its cell nor becomes markup.
    assert!(text.contains("ada\\|&lt;b>") && !text.contains("<b>"), "{text}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(text.lines().filter(|l| l.starts_with("| 20")).all(|l| [10, 6].contains(&columns(l))), "{text}");
    let json = serde_json::to_vec(&report).unwrap();
    assert_eq!(serde_json::from_slice::<ComplianceReport>(&json).unwrap(), report);
    // Half-open in time.
    let later = TimeRange::new(at(600), at(600) + secs(1)).unwrap();
    let one = ComplianceReport::of(&path, &history, later).unwrap();
    assert_eq!((one.events, one.actions.len(), one.denials.len()), (1, 1, 0));
}

#[test]
fn a_decision_that_is_none_is_named() {
    let (_folder, path) = folder();
    fill(&FileAudit::open(&path, AuditConfig::default()).unwrap(), 1);
    let history = aiops_core::action::History::new();
    let range = TimeRange::new(at(0), at(1)).unwrap();
    let error = ComplianceReport::of(&path, &history, range).unwrap_err();
    assert!(error.kind() == ErrorKind::Malformed && error.to_string().contains("line: 1"), "{error}");
}
