//! The journal on disk: contract, crashes, damage, several handles.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aiops_act::FileJournal;
use aiops_act::ledger::{Damage, Flaw};
use aiops_core::action::{ActionOutcome, History, JournalEntry};
use aiops_core::model::{EntityId, Recovery};
use aiops_core::seam::Journal;
use aiops_core::{Context, Error, ErrorKind};
use aiops_testkit::conformance::{self, JournalFixture};
use aiops_testkit::sample;
use futures_lite::future::block_on;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    (folder, path)
}

fn intent(n: usize, ctx: &Context) -> JournalEntry {
    let target = EntityId::service(format!("service-{n}"));
    JournalEntry::Intent(Box::new(block_on(sample::intent(&format!("intent-{n}"), target, ctx)).unwrap()))
}

fn outcome(of: &JournalEntry, ctx: &Context) -> JournalEntry {
    let JournalEntry::Intent(intent) = of else { panic!("no intent") };
    JournalEntry::Outcome { key: intent.key.clone(), outcome: ActionOutcome::Completed, at: ctx.now() }
}

fn history(journal: &FileJournal) -> Arc<History> {
    block_on(journal.history(&Context::system())).unwrap()
}

/// A journal of `n` actions, each with its outcome; the first verified.
fn sample_journal(path: &Path, n: usize) -> Vec<History> {
    let ctx = Context::system();
    let journal = FileJournal::open(path).unwrap();
    let mut states = vec![History::new()];
    let mut append = |entry: &JournalEntry| {
        block_on(journal.append(entry, None, &ctx)).unwrap();
        states.push((*history(&journal)).clone());
    };
    for i in 0..n {
        let intent = intent(i, &ctx);
        append(&intent);
        append(&outcome(&intent, &ctx));
        if let (0, JournalEntry::Intent(intent)) = (i, &intent) {
            let (key, at) = (intent.key.clone(), ctx.now());
            append(&JournalEntry::Verified { key, recovery: Recovery::Recovered, at });
        }
    }
    states
}

fn damage(error: &Error) -> &Damage {
    let source = std::error::Error::source(error).expect("the damage is the source");
    source.downcast_ref().expect("a damage")
}

#[test]
fn keeps_the_contract() {
    let (_folder, path) = folder();
    let journal = FileJournal::open(&path).unwrap();
    let reopen = || FileJournal::open(&path).map(|j| Arc::new(j) as Arc<dyn Journal>);
    let mut fixture = JournalFixture::new(Context::system());
    fixture.reopen = Some(&reopen);
    block_on(conformance::journal(&journal, &fixture)).assert_counts(15, 0);
}

/// Two bits of every byte.
#[test]
fn a_flipped_bit_is_refused_and_its_line_named() {
    let (_folder, path) = folder();
    sample_journal(&path, 1);
    let whole = fs::read(&path).unwrap();
    let mut line = 0;
    for at in 0..whole.len() {
        for bit in [at % 8, (at + 3) % 8] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let error = FileJournal::open(&path).expect_err("a flipped bit");
            assert_eq!(error.kind(), ErrorKind::Malformed, "byte {at}, bit {bit}: {error}");
            assert_eq!(damage(&error).line, line, "byte {at}, bit {bit}: {error}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "a damaged file is left alone");
        }
        line += u64::from(whole[at] == b'\n');
    }
}

/// Every length. What was written whole is there; what was not is gone, and the journal goes on.
#[test]
fn a_cut_file_holds_what_was_written_whole() {
    let (_folder, path) = folder();
    let states = sample_journal(&path, 1);
    let whole = fs::read(&path).unwrap();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let journal = FileJournal::open(&path).unwrap();
        // A line is whole without its line break, and the first line is the header.
        let lines = whole.iter().enumerate().filter(|(at, b)| **b == b'\n' && *at <= length).count();
        assert_eq!(*history(&journal), states[lines.saturating_sub(1)], "cut to {length} bytes");
        let ctx = Context::system();
        let next = intent(77, &ctx);
        block_on(journal.append(&next, None, &ctx)).unwrap();
        assert_eq!(*history(&FileJournal::open(&path).unwrap()), *history(&journal));
    }
}

#[test]
fn missing_repeated_and_moved_lines_are_refused() {
    let (_folder, path) = folder();
    sample_journal(&path, 2);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() - 1;
    let mut variants = Vec::new();
    for i in 0..last {
        let mut missing = lines.clone();
        missing.remove(i);
        variants.push((i, missing));
        let mut moved = lines.clone();
        moved.swap(i, i + 1);
        variants.push((i, moved));
    }
    for i in 0..lines.len() {
        let mut repeated = lines.clone();
        repeated.insert(i, lines[i]);
        variants.push((i + 1, repeated));
    }
    for (place, variant) in variants {
        fs::write(&path, variant.join("\n") + "\n").unwrap();
        let error = FileJournal::open(&path).expect_err("other lines");
        assert_eq!(damage(&error).line, place as u64, "{error}");
    }
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let (_folder, path) = folder();
    let audit = {
        let mut link = aiops_act::ledger::Link::START;
        let mut bytes = Vec::new();
        link.write(br#"{"ledger":"audit","version":1}"#, &mut bytes).unwrap();
        bytes
    };
    let newer = {
        let mut bytes = Vec::new();
        let mut link = aiops_act::ledger::Link::START;
        link.write(br#"{"ledger":"journal","version":2}"#, &mut bytes).unwrap();
        bytes
    };
    for (bytes, flaw) in [
        (b"a note to myself\n".to_vec(), Flaw::Shape),
        (audit, Flaw::Header { expected: "journal" }),
        (newer, Flaw::Header { expected: "journal" }),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = FileJournal::open(&path).expect_err("not a journal");
        assert_eq!(damage(&error).flaw, flaw);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

/// What the chain vouches for must still be a journal.
#[test]
fn an_intact_line_that_no_journal_holds_is_refused() {
    let (_folder, path) = folder();
    let mut link = aiops_act::ledger::Link::START;
    let mut bytes = Vec::new();
    link.write(br#"{"ledger":"journal","version":1}"#, &mut bytes).unwrap();
    link.write(br#"{"outcome":{"key":"k","outcome":"completed","at":"2026-01-01T00:00:00Z"}}"#, &mut bytes)
        .unwrap();
    fs::write(&path, &bytes).unwrap();
    let error = FileJournal::open(&path).expect_err("the outcome of nothing");
    assert!(matches!(damage(&error), Damage { line: 1, flaw: Flaw::Content(_), .. }), "{error}");
}

/// Two handles stand for two replicas: of appends with the same expectation one wins, and both see all.
#[test]
fn handles_share_one_history() {
    let (_folder, path) = folder();
    let ctx = Context::system();
    let replicas = [FileJournal::open(&path).unwrap(), FileJournal::open(&path).unwrap()];
    let won: usize = std::thread::scope(|scope| {
        let replica = |r: usize| {
            let (ctx, journal) = (&ctx, &replicas[r]);
            move || {
                let tries = (0..100).filter(|i| {
                    let head = history(journal).head();
                    let entry = intent(1000 * r + i, ctx);
                    match block_on(journal.append(&entry, Some(head), ctx)) {
                        Ok(at) => {
                            assert_eq!(at.0, head.0 + 1);
                            true
                        }
                        Err(e) => {
                            assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
                            false
                        }
                    }
                });
                tries.count()
            }
        };
        let threads: Vec<_> = (0..2).map(|r| scope.spawn(replica(r))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert!(won >= 100, "one of any two wins, {won} of 200 did");
    let histories = replicas.each_ref().map(history);
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[0].head().0 as usize, won);
    assert_eq!(*history(&FileJournal::open(&path).unwrap()), *histories[0]);
}

/// A target that one replica holds is held for the other.
#[test]
fn a_target_is_held_across_handles() {
    let (_folder, path) = folder();
    let ctx = Context::system();
    let (a, b) = (FileJournal::open(&path).unwrap(), FileJournal::open(&path).unwrap());
    block_on(a.append(&intent(1, &ctx), None, &ctx)).unwrap();
    let target = EntityId::service("service-1");
    let other = block_on(sample::intent("other", target, &ctx)).unwrap();
    let refused = block_on(b.append(&JournalEntry::Intent(Box::new(other)), None, &ctx)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

/// Appends that wait together are synced together, and each gets its own answer.
#[test]
fn waiting_appends_are_answered_one_by_one() {
    let (_folder, path) = folder();
    let ctx = Context::system();
    let journal = FileJournal::open(&path).unwrap();
    let mut answers: Vec<u64> = std::thread::scope(|scope| {
        let append = |i: usize| {
            let (ctx, journal) = (&ctx, &journal);
            // Every key is used twice: the second is refused among appends that are not.
            move || block_on(journal.append(&intent(i % 32, ctx), None, ctx)).ok().map(|at| at.0)
        };
        let threads: Vec<_> = (0..64).map(|i| scope.spawn(append(i))).collect();
        threads.into_iter().filter_map(|t| t.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, (1..=32).collect::<Vec<_>>());
    assert_eq!(*history(&FileJournal::open(&path).unwrap()), *history(&journal));
}

#[test]
fn a_file_that_shrinks_under_us_is_refused() {
    let (_folder, path) = folder();
    sample_journal(&path, 2);
    let journal = FileJournal::open(&path).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    let ctx = Context::system();
    for error in [
        block_on(journal.history(&ctx)).map(drop).unwrap_err(),
        block_on(journal.append(&intent(9, &ctx), None, &ctx)).map(drop).unwrap_err(),
    ] {
        assert_eq!(damage(&error).flaw, Flaw::End, "{error}");
    }
}

/// A renamed file, a deleted one, a restored copy: going on would split the history.
#[test]
fn another_file_in_its_place_is_refused() {
    let (folder, path) = folder();
    let ctx = Context::system();
    let journal = FileJournal::open(&path).unwrap();
    block_on(journal.append(&intent(1, &ctx), None, &ctx)).unwrap();
    let aside = folder.path().join("aside");
    for copy in [false, true] {
        fs::rename(&path, &aside).unwrap();
        if copy {
            fs::copy(&aside, &path).unwrap();
        }
        let refused = block_on(journal.append(&intent(2, &ctx), None, &ctx)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        fs::rename(&aside, &path).unwrap();
    }
    block_on(journal.append(&intent(2, &ctx), None, &ctx)).unwrap();
}

#[test]
fn a_folder_that_does_not_exist_is_an_error() {
    let (_folder, path) = folder();
    let error = FileJournal::open(path.join("journal")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

/// Alone, it shows that acknowledged means there for the next to open; with `AIOPS_ACT_JOURNAL` set it is the process that
/// [`kill_at_any_time_loses_nothing`] kills.
#[test]
fn appends_until_it_is_killed() {
    let Ok(path) = std::env::var("AIOPS_ACT_JOURNAL") else {
        let (_folder, path) = folder();
        let states = sample_journal(&path, 3);
        assert_eq!(Some(&*history(&FileJournal::open(&path).unwrap())), states.last());
        return;
    };
    let ctx = Context::system();
    let journal = FileJournal::open(path).unwrap();
    let begin = history(&journal).head().0 as usize;
    for n in begin.. {
        let intent = intent(n, &ctx);
        for entry in [&intent, &outcome(&intent, &ctx)] {
            let at = block_on(journal.append(entry, None, &ctx)).unwrap();
            // Past the capture of the test harness.
            writeln!(std::io::stderr(), "acknowledged {}", at.0).unwrap();
        }
    }
}

/// `AIOPS_KILLS` sets how often; 25 unless told.
#[test]
fn kill_at_any_time_loses_nothing() {
    let kills: u64 = std::env::var("AIOPS_KILLS").ok().map_or(25, |n| n.parse().unwrap());
    let (_folder, path) = folder();
    let mut random = fastrand::Rng::with_seed(7);
    let mut acknowledged = 0;
    for _ in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::appends_until_it_is_killed", "--nocapture"])
            .env("AIOPS_ACT_JOURNAL", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (begun, began) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let number = |line: String| line.strip_prefix("acknowledged ")?.parse::<u64>().ok();
            let numbers = lines.map_while(Result::ok).filter_map(number);
            numbers
                .inspect(|_| {
                    let _ = begun.send(());
                })
                .last()
                .unwrap_or(0)
        });
        began.recv_timeout(Duration::from_secs(30)).expect("it writes");
        std::thread::sleep(Duration::from_micros(random.u64(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = reader.join().unwrap().max(acknowledged);
        let journal = FileJournal::open(&path).unwrap();
        let head = history(&journal).head().0;
        assert!(head >= acknowledged, "{acknowledged} were acknowledged, {head} are there");
    }
    assert!(acknowledged >= kills, "{acknowledged} entries in {kills} lives");
}
