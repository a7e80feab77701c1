//! The lease, its tokens, and the journal that refuses an old one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aiops_act::FileJournal;
use aiops_act::lease::{FileLease, Lease, LeaseConfig, LeaseToken, Term, hold};
use aiops_core::action::{ActionOutcome, JournalEntry, Principal};
use aiops_core::model::EntityId;
use aiops_core::seam::Journal;
use aiops_core::{Cancellation, Context, Error, ErrorKind, ManualClock, Result};
use aiops_testkit::conformance::{self, JournalFixture};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use crate::support::secs;

struct Machine {
    folder: tempfile::TempDir,
    clock: ManualClock,
    ctx: Context,
}

impl Machine {
    fn new() -> Self {
        let clock = ManualClock::at(sample::now());
        let ctx = Context::new(Arc::new(clock.clone()));
        Self { folder: tempfile::tempdir().unwrap(), clock, ctx }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As each replica opens it.
    fn lease(&self) -> FileLease {
        FileLease::open(self.path("lease"), LeaseConfig::default()).unwrap()
    }

    fn acquire(&self, lease: &FileLease, holder: &str) -> aiops_core::Result<Term> {
        block_on(lease.acquire(&Principal::new(holder), &self.ctx))
    }

    fn intent(&self, name: &str) -> JournalEntry {
        let ctx = sample::context();
        JournalEntry::Intent(Box::new(block_on(sample::intent(name, EntityId::service(name), &ctx)).unwrap()))
    }
}

fn conflict<T: std::fmt::Debug>(result: aiops_core::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn one_holds_it_until_its_time_is_over() {
    let machine = Machine::new();
    let (a, b) = (machine.lease(), machine.lease());
    let first = machine.acquire(&a, "a").unwrap();
    conflict(machine.acquire(&b, "b"));
    machine.clock.advance(secs(20));
    let renewed = machine.acquire(&a, "a").unwrap();
    assert_eq!(renewed.token, first.token);
    assert!(renewed.until > first.until);
    machine.clock.advance(secs(29));
    conflict(machine.acquire(&b, "b"));
    machine.clock.advance(secs(1));
    assert_eq!(block_on(b.current(&machine.ctx)).unwrap(), None);
    let second = machine.acquire(&b, "b").unwrap();
    assert!(second.token > first.token);
    // The former holder does not get its old token back.
    conflict(machine.acquire(&a, "a"));
    assert_eq!(block_on(a.current(&machine.ctx)).unwrap(), Some(second));
}

/// Two replicas that were configured alike, or one that was started anew: the other one's term is waited out.
#[test]
fn a_name_alone_is_nobody() {
    let machine = Machine::new();
    let (one, twin) = (machine.lease(), machine.lease());
    let first = machine.acquire(&one, "a").unwrap();
    conflict(machine.acquire(&twin, "a"));
    assert_eq!(machine.acquire(&one.clone(), "a").unwrap().token, first.token, "a clone is the same replica");
    machine.clock.advance(secs(30));
    let second = machine.acquire(&twin, "a").unwrap();
    assert!(second.token > first.token && second.instance != first.instance);
    conflict(machine.acquire(&one, "a"));
}

/// Two leases give the same tokens, to replicas of two names, or of one.
#[test]
fn separate_leases_do_not_share_a_term_of_one_journal() {
    for (a, b) in [("a", "b"), ("a", "a")] {
        let machine = Machine::new();
        let leases =
            ["one", "two"].map(|name| FileLease::open(machine.path(name), LeaseConfig::default()).unwrap());
        let [mine, theirs] = [(&leases[0], a), (&leases[1], b)].map(|(l, n)| machine.acquire(l, n).unwrap());
        assert_eq!(mine.token, theirs.token);
        let journal = FileJournal::open(machine.path("journal")).unwrap();
        let ctx = Context::system();
        let first = block_on(journal.begin_term(&mine, &ctx)).unwrap();
        conflict(block_on(journal.begin_term(&theirs, &ctx)));
        conflict(block_on(journal.fenced(&theirs).append(&machine.intent("theirs"), None, &ctx)));
        block_on(first.append(&machine.intent("mine"), None, &ctx)).unwrap();
        // Also once the file is read anew, and what began may be begun again.
        let again = FileJournal::open(machine.path("journal")).unwrap();
        conflict(block_on(again.begin_term(&theirs, &ctx)));
        block_on(again.begin_term(&mine, &ctx)).unwrap();
    }
}

#[test]
fn an_own_term_that_lapsed_is_a_new_one() {
    let machine = Machine::new();
    let lease = machine.lease();
    let first = machine.acquire(&lease, "a").unwrap();
    machine.clock.advance(secs(30));
    assert!(machine.acquire(&lease, "a").unwrap().token > first.token, "somebody may have acted in between");
}

#[test]
fn releasing_lets_the_next_one_in_and_an_old_term_ends_nothing() {
    let machine = Machine::new();
    let (a, b) = (machine.lease(), machine.lease());
    let first = machine.acquire(&a, "a").unwrap();
    block_on(a.release(&first, &machine.ctx)).unwrap();
    let second = machine.acquire(&b, "b").unwrap();
    assert!(second.token > first.token);
    block_on(a.release(&first, &machine.ctx)).unwrap();
    assert_eq!(block_on(b.current(&machine.ctx)).unwrap(), Some(second));
}

#[test]
fn tokens_grow_over_restarts() {
    let machine = Machine::new();
    let mut last = LeaseToken(0);
    for n in 0..5 {
        let lease = machine.lease();
        let term = machine.acquire(&lease, &format!("replica-{n}")).unwrap();
        assert!(term.token > last);
        last = term.token;
        block_on(lease.release(&term, &machine.ctx)).unwrap();
    }
}

#[test]
fn a_clock_that_jumps_back_ends_a_term() {
    let machine = Machine::new();
    let lease = machine.lease();
    let term = machine.acquire(&lease, "a").unwrap();
    machine.clock.set(sample::now() - secs(3600));
    assert_eq!(block_on(lease.current(&machine.ctx)).unwrap(), None);
    assert!(machine.acquire(&lease, "b").unwrap().token > term.token);
}

#[test]
fn of_replicas_that_ask_at_once_one_gets_it() {
    let machine = Machine::new();
    let asking: Vec<_> = (0..8)
        .map(|n| {
            let (lease, ctx) = (machine.lease(), machine.ctx.clone());
            std::thread::spawn(move || block_on(lease.acquire(&Principal::new(format!("r{n}")), &ctx)))
        })
        .collect();
    let got: Vec<_> = asking.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(got.iter().filter(|term| term.is_ok()).count(), 1);
}

#[test]
fn a_paused_holder_cannot_intend_once_another_ones_term_began() {
    let machine = Machine::new();
    let (lease_a, lease_b) = (machine.lease(), machine.lease());
    let open = || FileJournal::open(machine.path("journal")).unwrap();
    let (journal_a, journal_b) = (open(), open());
    let ctx = Context::system();
    let append = |journal: &FileJournal, entry: &JournalEntry| block_on(journal.append(entry, None, &ctx));

    let term_a = machine.acquire(&lease_a, "a").unwrap();
    let mine = block_on(journal_a.begin_term(&term_a, &ctx)).unwrap();
    let begun = machine.intent("begun");
    append(&mine, &begun).unwrap();
    // It sleeps past its time; another one takes over.
    machine.clock.advance(secs(31));
    let term_b = machine.acquire(&lease_b, "b").unwrap();
    let theirs = block_on(journal_b.begin_term(&term_b, &ctx)).unwrap();
    conflict(append(&mine, &machine.intent("late")));
    conflict(append(&journal_a, &machine.intent("without")));
    conflict(block_on(journal_a.begin_term(&term_a, &ctx)));
    append(&theirs, &machine.intent("theirs")).unwrap();
    // What it had begun is written down all the same.
    let JournalEntry::Intent(intent) = &begun else { panic!("no intent") };
    let outcome =
        JournalEntry::Outcome { key: intent.key.clone(), outcome: ActionOutcome::Completed, at: ctx.now() };
    append(&mine, &outcome).unwrap();

    // All of it holds after a restart of everything.
    drop((mine, theirs, journal_a, journal_b));
    let again = open();
    assert_eq!(block_on(again.history(&ctx)).unwrap().actions().count(), 2);
    conflict(append(&again, &machine.intent("unfenced")));
    conflict(append(&again.fenced(&term_a), &machine.intent("late")));
    append(&block_on(again.begin_term(&term_b, &ctx)).unwrap(), &machine.intent("resumed")).unwrap();
}

/// A token that nobody began a term with is not taken for a newer one.
#[test]
fn a_token_out_of_thin_air_intends_nothing() {
    let machine = Machine::new();
    let journal = FileJournal::open(machine.path("journal")).unwrap();
    let ctx = Context::system();
    let term = machine.acquire(&machine.lease(), "a").unwrap();
    conflict(block_on(journal.fenced(&term).append(&machine.intent("p"), None, &ctx)));
    assert!(block_on(journal.history(&ctx)).unwrap().actions().next().is_none());
}

#[test]
fn a_journal_within_a_term_keeps_the_contract() {
    let machine = Machine::new();
    let path = machine.path("journal");
    let ctx = Context::system();
    let term = machine.acquire(&machine.lease(), "a").unwrap();
    let journal = block_on(FileJournal::open(&path).unwrap().begin_term(&term, &ctx)).unwrap();
    let reopen = || FileJournal::open(&path).map(|j| Arc::new(j.fenced(&term)) as Arc<dyn Journal>);
    let mut fixture = JournalFixture::new(ctx);
    fixture.reopen = Some(&reopen);
    block_on(conformance::journal(&journal, &fixture)).assert_counts(15, 0);
}

/// Fails as it was told to, and passes the rest on.
#[derive(Debug)]
struct Shaky(FileLease, Mutex<Vec<ErrorKind>>);

#[async_trait]
impl Lease for Shaky {
    async fn acquire(&self, holder: &Principal, ctx: &Context) -> Result<Term> {
        let failure = self.1.lock().unwrap().pop();
        match failure {
            Some(kind) => Err(Error::new(kind, "shaky")),
            // At once, or a clock that leaps while others wait would be at the end of the term by then.
            None => block_on(self.0.acquire(holder, ctx)),
        }
    }
    async fn release(&self, term: &Term, ctx: &Context) -> Result<()> {
        self.0.release(term, ctx).await
    }
    async fn current(&self, ctx: &Context) -> Result<Option<Term>> {
        self.0.current(ctx).await
    }
}

#[test]
fn whoever_loses_the_lease_is_told_and_stops() {
    let mut machine = Machine::new();
    machine.clock = ManualClock::leaping(sample::now());
    machine.ctx = Context::new(Arc::new(machine.clock.clone()));
    let held = |failures: Vec<ErrorKind>, every: u64, limit: u64| {
        let lease = Shaky(machine.lease(), Mutex::new(failures));
        let term = block_on(lease.0.acquire(&Principal::new("a"), &machine.ctx)).unwrap();
        let (lost, began) = (Cancellation::new(), machine.ctx.now());
        let limited = machine.ctx.with_timeout(secs(limit));
        let why = block_on(hold(&lease, &term, secs(every), &lost, &limited)).kind();
        assert!(lost.is_cancelled());
        block_on(lease.release(&term, &machine.ctx)).unwrap();
        (why, machine.ctx.now().duration_since(began).as_secs())
    };
    // Held for as long as anybody wants it.
    assert_eq!(held(vec![], 10, 300), (ErrorKind::Timeout, 300));
    // A moment's trouble is overcome; trouble beyond the term is not.
    assert_eq!(held(vec![ErrorKind::Unavailable], 10, 300), (ErrorKind::Timeout, 300));
    assert_eq!(held(vec![ErrorKind::Unavailable; 9], 10, 300), (ErrorKind::Expired, 30));
    assert_eq!(held(vec![ErrorKind::Malformed], 10, 300), (ErrorKind::Malformed, 10));
    // Renewed too late, though nobody else came.
    assert_eq!(held(vec![], 31, 300), (ErrorKind::Expired, 30), "not a moment longer than the term");
    assert_eq!(block_on(machine.lease().current(&machine.ctx)).unwrap(), None, "and nobody waits for it");
}

/// A store that takes a call and never answers.
#[derive(Debug)]
struct Hangs;

#[async_trait]
impl Lease for Hangs {
    async fn acquire(&self, _: &Principal, _: &Context) -> Result<Term> {
        std::future::pending().await
    }
    async fn release(&self, _: &Term, _: &Context) -> Result<()> {
        std::future::pending().await
    }
    async fn current(&self, _: &Context) -> Result<Option<Term>> {
        std::future::pending().await
    }
}

#[test]
fn a_store_that_hangs_does_not_prolong_a_term() {
    let machine = Machine::new();
    let term = machine.acquire(&machine.lease(), "a").unwrap();
    let lost = Cancellation::new();
    let holding = async { Some(hold(&Hangs, &term, secs(10), &lost, &machine.ctx).await.kind()) };
    let time_goes_on = async {
        for _ in 0..60 {
            futures_lite::future::yield_now().await;
            machine.clock.advance(secs(1));
        }
        None
    };
    let why = block_on(futures_lite::future::or(holding, time_goes_on));
    assert_eq!(why, Some(ErrorKind::Expired));
    assert!(lost.is_cancelled());
    assert_eq!(machine.ctx.now(), term.until);
}

/// Takes a new term in the attempt to renew the old one, and then never answers.
#[derive(Debug)]
struct Lapses(FileLease, Cancellation);

#[async_trait]
impl Lease for Lapses {
    async fn acquire(&self, _: &Principal, ctx: &Context) -> Result<Term> {
        block_on(self.0.acquire(&Principal::new("another"), ctx))
    }
    async fn release(&self, _: &Term, _: &Context) -> Result<()> {
        assert!(self.1.is_cancelled(), "whoever acts is stopped before anything else is done");
        std::future::pending().await
    }
    async fn current(&self, _: &Context) -> Result<Option<Term>> {
        Ok(None)
    }
}

#[test]
fn who_acts_is_stopped_before_a_new_term_is_given_back() {
    let mut machine = Machine::new();
    machine.clock = ManualClock::leaping(sample::now());
    machine.ctx = Context::new(Arc::new(machine.clock.clone()));
    let term = machine.acquire(&machine.lease(), "a").unwrap();
    let lost = Cancellation::new();
    let other = FileLease::open(machine.path("other"), LeaseConfig::default()).unwrap();
    let lapses = Lapses(other, lost.clone());
    let why = block_on(hold(&lapses, &term, secs(10), &lost, &machine.ctx));
    assert_eq!(why.kind(), ErrorKind::Expired);
    assert!(lost.is_cancelled());
}

#[test]
fn settings_are_checked() {
    let machine = Machine::new();
    for term in [secs(0), std::time::Duration::from_millis(999), secs(3601)] {
        let mut config = LeaseConfig::default();
        config.term = term;
        assert_eq!(FileLease::open(machine.path("lease"), config).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(serde_json::from_str::<LeaseConfig>(r#"{"extra": 1}"#).is_err());
    let nameless = block_on(machine.lease().acquire(&Principal::new(""), &machine.ctx));
    assert_eq!(nameless.unwrap_err().kind(), ErrorKind::Invalid);
}
