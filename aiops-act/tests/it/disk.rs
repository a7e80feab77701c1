//! A disk that runs full, fails to write, fails to sync and loses pages, at every call it is asked for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use aiops_act::FileJournal;
use aiops_act::audit::{AuditConfig, FileAudit, events, verify};
use aiops_act::ledger::{Damage, Disk, Flaw, MachineDisk};
use aiops_core::action::{Action, ActionOutcome, ActionStatus, History, IncidentId, JournalEntry, Proposal};
use aiops_core::fake::InMemoryMitigator;
use aiops_core::guard::{Authorized, GuardChain};
use aiops_core::model::EntityId;
use aiops_core::seam::{AuditEvent, AuditSink, Journal, Mitigator};
use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_testkit::sample;
use futures_lite::future::{block_on, poll_once};

const NO_SPACE: i32 = 28;
const INPUT_OUTPUT: i32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Write,
    Sync,
    Cut,
    SyncFolder,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// Nothing is done.
    Fails(i32),
    /// So many bytes are written, and then it fails.
    Tears(usize, i32),
    /// Fewer bytes are written than were asked for, and nothing fails.
    Short(usize),
    /// A signal comes in between.
    Interrupts,
    /// The sync fails, and what was written since the last one is gone when the power is.
    LosesPages,
}

#[derive(Debug, Clone, Copy)]
struct Fault {
    call: Call,
    nth: usize,
    how: How,
    lasting: bool,
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<Call, usize>,
    fault: Option<Fault>,
    torn: bool,
    /// Length that surely survives a power cut.
    durable: u64,
}

/// Fails once, or from then on, at the nth call of a kind.
#[derive(Debug, Clone, Default)]
struct BadDisk(Arc<Mutex<State>>);

impl BadDisk {
    fn with(fault: Fault) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().fault = Some(fault);
        disk
    }

    fn mend(&self) {
        self.0.lock().unwrap().fault = None;
    }

    fn calls(&self, call: Call) -> usize {
        self.0.lock().unwrap().calls.get(&call).copied().unwrap_or(0)
    }

    fn due(&self, call: Call) -> Option<How> {
        let mut state = self.0.lock().unwrap();
        let nth = state.calls.entry(call).or_default();
        *nth += 1;
        let now = *nth - 1;
        let fault = state.fault.filter(|f| f.call == call)?;
        (now == fault.nth || (fault.lasting && now > fault.nth)).then_some(fault.how)
    }

    /// What is left of the file when the power goes.
    fn power_cut(&self, path: &Path) {
        let durable = self.0.lock().unwrap().durable;
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(durable.min(file.metadata().unwrap().len())).unwrap();
    }
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

impl Disk for BadDisk {
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let part = |n: usize| MachineDisk.write(file, &bytes[..n.min(bytes.len())]);
        match self.due(Call::Write) {
            Some(How::Fails(code)) => Err(errno(code)),
            Some(How::Tears(n, code)) => {
                let mut state = self.0.lock().unwrap();
                state.torn = !state.torn;
                // The next call goes on where this one ended, and fails.
                if state.torn && n > 0 {
                    *state.calls.entry(Call::Write).or_default() -= 1;
                    return part(n);
                }
                Err(errno(code))
            }
            Some(How::Short(n)) => part(n.max(1)),
            Some(How::Interrupts) => Err(io::ErrorKind::Interrupted.into()),
            Some(How::LosesPages) | None => MachineDisk.write(file, bytes),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        match self.due(Call::Sync) {
            Some(How::LosesPages) => Err(errno(INPUT_OUTPUT)),
            Some(How::Fails(code)) => {
                // It fails, and yet all of it reached the disk.
                self.0.lock().unwrap().durable = file.metadata()?.len();
                Err(errno(code))
            }
            _ => {
                MachineDisk.sync(file)?;
                self.0.lock().unwrap().durable = file.metadata()?.len();
                Ok(())
            }
        }
    }

    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        match self.due(Call::Cut) {
            Some(How::Fails(code)) => Err(errno(code)),
            _ => MachineDisk.cut(file, length),
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.due(Call::SyncFolder) {
            Some(How::Fails(code)) => Err(errno(code)),
            _ => MachineDisk.sync_folder(folder),
        }
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    (folder, path)
}

fn target(n: usize) -> EntityId {
    EntityId::service(format!("s{n}"))
}

fn remedy(n: usize) -> Proposal {
    sample::proposal(&format!("p{n}"), sample::restart(target(n)).unwrap()).unwrap()
}

/// How many actions a run has; enough that every kind of call is made more than once.
const ACTIONS: usize = 4;

fn history(journal: &FileJournal, ctx: &Context) -> Result<History> {
    block_on(journal.history(ctx)).map(|h| (*h).clone())
}

fn allow(
    chain: &GuardChain,
    n: usize,
    mitigator: &InMemoryMitigator,
    ctx: &Context,
) -> Result<Authorized<Action>> {
    block_on(chain.authorize(remedy(n), mitigator, ctx)).map_err(Error::from)
}

/// Runs what is not done yet, as a pipeline would, and gives up at the first error of the journal that is no refusal.
fn act(journal: &FileJournal, mitigator: &InMemoryMitigator, ctx: &Context) -> Result<()> {
    let chain = sample::chain(journal.clone())?;
    for n in 0..ACTIONS {
        let right = allow(&chain, n, mitigator, ctx)?;
        let intended = match block_on(right.record(ctx)) {
            Ok(intended) => intended,
            // Intended before, by this run or by the one before it.
            Err(e) if e.kind() == ErrorKind::Conflict => continue,
            Err(e) => return Err(e),
        };
        let record = block_on(mitigator.execute(intended, ctx))?.into_record();
        let entry = JournalEntry::Outcome { key: record.key, outcome: record.outcome, at: ctx.now() };
        block_on(journal.append(&entry, None, ctx))?;
    }
    Ok(())
}

/// Asks the mitigator of everything in doubt, and writes the answer down.
fn settle(journal: &FileJournal, mitigator: &InMemoryMitigator, ctx: &Context) {
    for doubt in history(journal, ctx).unwrap().in_doubt() {
        let key = doubt.intent.key.clone();
        let outcome = match block_on(mitigator.status(&key, ctx)).unwrap() {
            ActionStatus::NotStarted => ActionOutcome::NotStarted { reason: "interrupted".to_owned() },
            ActionStatus::Completed => ActionOutcome::Completed,
            other => panic!("{other:?}"),
        };
        block_on(journal.append(&JournalEntry::Outcome { key, outcome, at: ctx.now() }, None, ctx)).unwrap();
    }
}

/// No effect without its intent, none twice, none that the journal calls not begun.
fn assert_consistent(journal: &FileJournal, mitigator: &InMemoryMitigator, ctx: &Context, what: &str) {
    let history = history(journal, ctx).unwrap();
    let executed = mitigator.executed();
    for (i, (key, action)) in executed.iter().enumerate() {
        assert!(executed[..i].iter().all(|(k, _)| k != key), "{what}: {action} ran twice");
        let trace = history.get(key).unwrap_or_else(|| panic!("{what}: {action} ran without an intent"));
        assert!(trace.counts(), "{what}: {action} ran, and the journal says it did not");
    }
}

/// Every fault at every call of its kind, with and without a power cut after it.
#[test]
fn whatever_call_fails_nothing_is_lost_or_done_twice() {
    let ctx = Context::system();
    let calm = {
        let (_folder, path) = folder();
        let disk = BadDisk::default();
        let journal = FileJournal::open_on(&path, Arc::new(disk.clone())).unwrap();
        act(&journal, &sample::workloads((0..ACTIONS).map(target)), &ctx).unwrap();
        disk
    };
    let mut faults: Vec<(Call, How)> = vec![
        (Call::Write, How::Interrupts),
        (Call::Write, How::Short(1)),
        (Call::Write, How::Short(100)),
        (Call::Sync, How::Fails(INPUT_OUTPUT)),
        (Call::Sync, How::LosesPages),
        (Call::SyncFolder, How::Fails(INPUT_OUTPUT)),
    ];
    for code in [NO_SPACE, INPUT_OUTPUT] {
        faults.extend([0, 1, 64, 66, 100].map(|n| (Call::Write, How::Tears(n, code))));
    }
    let (mut runs, mut refused, mut doubted) = (0, 0, 0);
    for (call, how) in faults {
        assert!(calm.calls(call) > 0, "{call:?} is called");
        for nth in 0..calm.calls(call) {
            for power in [false, true] {
                let what = format!("{call:?} {nth}: {how:?}, power cut: {power}");
                let (_folder, path) = folder();
                let mitigator = sample::workloads((0..ACTIONS).map(target));
                let disk = BadDisk::with(Fault { call, nth, how, lasting: false });
                let opened = FileJournal::open_on(&path, Arc::new(disk.clone()));
                let ended = opened.and_then(|journal| {
                    let first = act(&journal, &mitigator, &ctx);
                    if let Err(e) = &first {
                        match e.kind() {
                            ErrorKind::InDoubt => {
                                doubted += 1;
                                let later =
                                    history(&journal, &ctx).expect_err("nobody knows what is on disk");
                                assert_eq!(later.kind(), ErrorKind::Unavailable, "{what}");
                            }
                            kind => {
                                refused += 1;
                                assert_eq!(kind, ErrorKind::Unavailable, "{what}: {e}");
                                // It was taken back: the same journal goes on.
                                settle(&journal, &mitigator, &ctx);
                                act(&journal, &mitigator, &ctx).unwrap();
                            }
                        }
                    }
                    first
                });
                let harmless = matches!(how, How::Short(_) | How::Interrupts);
                assert_eq!(ended.is_ok(), harmless, "{what}: {ended:?}");
                if power {
                    disk.power_cut(&path);
                }
                let journal = FileJournal::open(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_consistent(&journal, &mitigator, &ctx, &what);
                settle(&journal, &mitigator, &ctx);
                act(&journal, &mitigator, &ctx).unwrap();
                assert_consistent(&journal, &mitigator, &ctx, &what);
                let after = history(&journal, &ctx).unwrap();
                assert_eq!(after.actions().count(), ACTIONS, "{what}: each intent once");
                assert_eq!(after.in_doubt().count(), 0, "{what}");
                runs += 1;
            }
        }
    }
    println!("{runs} runs with a fault: {refused} taken back, {doubted} in doubt");
    assert!(runs > 200 && refused > 50 && doubted > 20, "{runs} {refused} {doubted}");
}

/// A disk that stays full refuses every append, keeps what it has, and goes on when there is room.
#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let (_folder, path) = folder();
    let (ctx, mitigator) = (Context::system(), sample::workloads((0..ACTIONS).map(target)));
    let disk =
        BadDisk::with(Fault { call: Call::Write, nth: 3, how: How::Tears(40, NO_SPACE), lasting: true });
    let journal = FileJournal::open_on(&path, Arc::new(disk.clone())).unwrap();
    for _ in 0..5 {
        let full = act(&journal, &mitigator, &ctx).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Unavailable, "{full}");
    }
    let before = history(&journal, &ctx).unwrap();
    assert_eq!(before, history(&FileJournal::open(&path).unwrap(), &ctx).unwrap());
    assert_consistent(&journal, &mitigator, &ctx, "full");
    disk.mend();
    settle(&journal, &mitigator, &ctx);
    act(&journal, &mitigator, &ctx).unwrap();
    assert_eq!(history(&journal, &ctx).unwrap().actions().count(), ACTIONS);
    assert_consistent(&journal, &mitigator, &ctx, "room again");
}

/// What cannot be written and cannot be taken back either is in doubt.
#[test]
fn a_write_that_cannot_be_taken_back_is_in_doubt() {
    let (_folder, path) = folder();
    let (ctx, mitigator) = (Context::system(), sample::workloads((0..ACTIONS).map(target)));
    #[derive(Debug)]
    struct Stuck(BadDisk);
    impl Disk for Stuck {
        fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(file, bytes)
        }
        fn sync(&self, file: &File) -> io::Result<()> {
            self.0.sync(file)
        }
        fn cut(&self, _: &File, _: u64) -> io::Result<()> {
            Err(errno(INPUT_OUTPUT))
        }
        fn sync_folder(&self, folder: &Path) -> io::Result<()> {
            self.0.sync_folder(folder)
        }
    }
    let tears = Fault { call: Call::Write, nth: 3, how: How::Tears(90, INPUT_OUTPUT), lasting: false };
    let journal = FileJournal::open_on(&path, Arc::new(Stuck(BadDisk::with(tears)))).unwrap();
    assert_eq!(act(&journal, &mitigator, &ctx).unwrap_err().kind(), ErrorKind::InDoubt);
    assert_eq!(
        act(&journal, &mitigator, &ctx).unwrap_err().kind(),
        ErrorKind::Denied,
        "no history, no right"
    );
    let afresh = FileJournal::open(&path).unwrap();
    assert_consistent(&afresh, &mitigator, &ctx, "afresh");
}

/// Pages of zeros among unacknowledged lines, as a power cut can leave them: refused, the line named, and nothing before it touched.
#[test]
fn holes_are_refused_and_named() {
    let (_folder, path) = folder();
    let (ctx, mitigator) = (Context::system(), sample::workloads((0..ACTIONS).map(target)));
    act(&FileJournal::open(&path).unwrap(), &mitigator, &ctx).unwrap();
    let whole = fs::read(&path).unwrap();
    for page in 0..whole.len() / 512 {
        let mut bytes = whole.clone();
        let end = ((page + 1) * 512).min(whole.len());
        bytes[page * 512..end].fill(0);
        fs::write(&path, &bytes).unwrap();
        let error = FileJournal::open(&path).expect_err("a hole");
        let damage: &Damage = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
        let line = whole[..page * 512].iter().filter(|b| **b == b'\n').count();
        assert_eq!(damage.line, line as u64, "page {page}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "a damaged file is left alone");
    }
}

fn event(n: usize) -> AuditEvent {
    AuditEvent::new(
        Context::system().now(),
        Some(IncidentId::new("inc")),
        "decided",
        serde_json::json!({ "n": n }),
    )
}

/// The audit log on the same disk: what was acknowledged is there, and the log is whole.
#[test]
fn an_audit_log_survives_the_same() {
    let ctx = Context::system();
    let mut config = AuditConfig::default();
    config.checkpoint_every = 2;
    let mut runs = 0;
    let faults = [
        (Call::Write, How::Tears(0, NO_SPACE)),
        (Call::Write, How::Tears(70, INPUT_OUTPUT)),
        (Call::Write, How::Short(3)),
        (Call::Sync, How::Fails(INPUT_OUTPUT)),
        (Call::Sync, How::LosesPages),
    ];
    for (call, how) in faults {
        for nth in 0..7 {
            for power in [false, true] {
                let (_folder, path) = folder();
                let disk = BadDisk::with(Fault { call, nth, how, lasting: false });
                let mut kept = Vec::new();
                if let Ok(audit) = FileAudit::open_on(&path, config.clone(), Arc::new(disk.clone())) {
                    kept.extend((0..6).filter(|n| block_on(audit.append(&event(*n), &ctx)).is_ok()));
                }
                if power {
                    disk.power_cut(&path);
                }
                let audit = FileAudit::open(&path, config.clone()).unwrap();
                block_on(audit.append(&event(99), &ctx)).unwrap();
                let mut there = Vec::new();
                events(&path, |e, _| there.push(e.detail["n"].as_u64().unwrap() as usize)).unwrap();
                let what =
                    format!("{call:?} {nth}: {how:?}, power cut: {power}; kept {kept:?}, there {there:?}");
                assert!(kept.iter().all(|n| there.contains(n)), "{what}");
                assert!(there.windows(2).all(|w| w[0] < w[1]), "{what}: once each, in order");
                verify(&path, &[]).unwrap();
                runs += 1;
            }
        }
    }
    println!("{runs} runs of an audit log with a fault");
}

/// Every length and every bit of every byte of a small log: refused with the place named, or whole up to where it was cut.
#[test]
fn every_cut_and_every_bit_of_an_audit_log() {
    let (_folder, path) = folder();
    let ctx = Context::system();
    let mut config = AuditConfig::default();
    config.checkpoint_every = 2;
    let audit = FileAudit::open(&path, config.clone()).unwrap();
    (0..3).for_each(|n| block_on(audit.append(&event(n), &ctx)).unwrap());
    drop(audit);
    let whole = fs::read(&path).unwrap();
    let mut line = 0;
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            let error = verify(&path, &[]).expect_err("a flipped bit");
            let damage: &Damage = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
            assert_eq!(damage.line, line, "byte {at}, bit {bit}: {error}");
        }
        line += u64::from(whole[at] == b'\n');
    }
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let audit = FileAudit::open(&path, config.clone()).unwrap_or_else(|e| panic!("cut to {length}: {e}"));
        block_on(audit.append(&event(99), &ctx)).unwrap();
        let mut there = Vec::new();
        events(&path, |e, _| there.push(e.detail["n"].as_u64().unwrap())).unwrap();
        let (last, before) = there.split_last().unwrap();
        assert_eq!(*last, 99);
        assert!(before.iter().copied().eq(0..before.len() as u64), "cut to {length}: {there:?}");
    }
    println!("{} bytes, 8 flips and one cut each", whole.len());
}

/// A disk that keeps a sync waiting until it is let go.
#[derive(Debug, Clone, Default)]
struct SlowDisk(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl SlowDisk {
    fn hold(&self, held: bool) {
        self.0.0.lock().unwrap().0 = held;
        self.0.1.notify_all();
    }

    /// Waits until so many syncs have begun.
    fn await_syncs(&self, n: usize) {
        let begun =
            self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), Duration::from_secs(30), |s| s.1 < n);
        assert!(!begun.unwrap().1.timed_out(), "a sync begins");
    }
}

impl Disk for SlowDisk {
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        MachineDisk.write(file, bytes)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.0.0.lock().unwrap().1 += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |s| s.0).unwrap());
        MachineDisk.sync(file)
    }
    fn cut(&self, file: &File, length: u64) -> io::Result<()> {
        MachineDisk.cut(file, length)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        MachineDisk.sync_folder(folder)
    }
}

/// Whoever gives up while an intent is on its way to the disk loses the right with the call: the intent may be written, and then it is in
/// doubt and holds its target until it is settled as never begun. Nothing runs, and nothing can run under that key any more.
#[test]
fn an_intent_whose_caller_gave_up_never_runs() {
    let (_folder, path) = folder();
    let (ctx, mitigator, disk) =
        (Context::system(), sample::workloads((0..ACTIONS).map(target)), SlowDisk::default());
    let journal = FileJournal::open_on(&path, Arc::new(disk.clone())).unwrap();
    let chain = sample::chain(journal.clone()).unwrap();
    let begun = disk.0.0.lock().unwrap().1;

    // On its way to the disk when its caller goes.
    let right = allow(&chain, 0, &mitigator, &ctx).unwrap();
    let key = right.key().clone();
    let queued = allow(&chain, 1, &mitigator, &ctx).unwrap();
    let queued_key = queued.key().clone();
    disk.hold(true);
    let mut recording = Box::pin(right.record(&ctx));
    assert!(block_on(poll_once(&mut recording)).is_none(), "it waits for the disk");
    disk.await_syncs(begun + 1);
    drop(recording);
    // Queued behind it, and given up before anything was done about it.
    let mut waiting = Box::pin(queued.record(&ctx));
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(waiting);
    disk.hold(false);

    let after = history(&journal, &ctx).unwrap();
    assert!(after.get(&key).is_some_and(|a| a.in_doubt()), "the first was written");
    assert!(after.get(&queued_key).is_none(), "the second was skipped");
    assert!(mitigator.executed().is_empty());
    let held = block_on(allow(&chain, 0, &mitigator, &ctx).unwrap().record(&ctx)).unwrap_err();
    assert_eq!(held.kind(), ErrorKind::Conflict, "its target is held");
    settle(&journal, &mitigator, &ctx);
    let trace = history(&journal, &ctx).unwrap().get(&key).unwrap().outcome.clone();
    assert!(matches!(trace, Some(ActionOutcome::NotStarted { .. })), "{trace:?}");
    let again = block_on(allow(&chain, 0, &mitigator, &ctx).unwrap().record(&ctx)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "that key is used up");
    // The target is free for another proposal, and the skipped one for another attempt.
    let other = sample::proposal("another", sample::restart(target(0)).unwrap()).unwrap();
    for proposal in [other, remedy(1)] {
        let right = block_on(chain.authorize(proposal, &mitigator, &ctx)).unwrap();
        let intended = block_on(right.record(&ctx)).unwrap();
        drop(block_on(mitigator.execute(intended, &ctx)).unwrap());
    }
    assert_eq!(mitigator.executed().len(), 2);
    assert!(
        mitigator.executed().iter().all(|(k, _)| *k != key),
        "nothing ran under the key that was given up"
    );
}

#[test]
fn a_flaw_is_where_the_first_wrong_byte_is() {
    // The header is a line like any other: a journal is no audit log.
    let (_folder, path) = folder();
    drop(FileJournal::open(&path).unwrap());
    let error = FileAudit::open(&path, AuditConfig::default()).unwrap_err();
    let damage: &Damage = std::error::Error::source(&error).unwrap().downcast_ref().unwrap();
    assert_eq!((damage.line, damage.byte, &damage.flaw), (0, 0, &Flaw::Header { expected: "audit" }));
}
