//! Processes that are killed while they act (ACT-10).
//!
//! Two replicas share a folder with journal, lease and audit log. Each is a process of its own that runs a real pipeline and acts on a plant in
//! this one, which survives. They are killed (SIGKILL) one after the other at random instants and started anew, and what was
//! done is told by the plant alone. Promises:
//! - no key runs twice, none without an intent that was authorised, on record and open at that instant, and no two at once on one target;
//! - nothing is intended whose decision is not in the audit log;
//! - in the end every intent is settled as the plant knows it, but for what the plant itself does not know: that stays held, and people are told;
//! - cases that a dead replica left open are taken up by the next (`Pipeline::resume`), and nothing of theirs is repeated;
//! - journal, lease and audit log open after every kill, and the audit log verifies.

mod plant;
mod replica;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use aiops_act::{CaseFolder, FileJournal, audit};
use aiops_core::action::{ActionOutcome, History};
use aiops_core::seam::Journal;
use aiops_core::{Case, Context, Result};
use futures_lite::future::block_on;

use self::plant::{Plant, Work};
use self::replica::Replica;
use self::wire::Phase;

const FOLDER: &str = "AIOPS_ACT_SLAIN";
const FINISH: &str = "AIOPS_ACT_SLAIN_FINISHES";
/// A replica that asks for everything twice.
const CARELESS: &str = "AIOPS_ACT_SLAIN_CARELESS";
/// Nothing here takes as long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn socket(folder: &Path) -> std::path::PathBuf {
    folder.join("plant")
}

/// Where a process was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    WaitingForTheLease,
    Deciding,
    WritingTheIntent,
    BetweenIntentAndCall,
    WhileItRuns,
    BetweenEffectAndOutcome,
    Verifying,
    Settling,
}

const EVERYWHERE: [At; 8] = [
    At::WaitingForTheLease,
    At::Deciding,
    At::WritingTheIntent,
    At::BetweenIntentAndCall,
    At::WhileItRuns,
    At::BetweenEffectAndOutcome,
    At::Verifying,
    At::Settling,
];

fn place(last: &Phase, jobs: &BTreeMap<String, Work>) -> At {
    match last {
        Phase::Waits => At::WaitingForTheLease,
        Phase::Decides => At::Deciding,
        Phase::Intends => At::WritingTheIntent,
        Phase::Intended => At::BetweenIntentAndCall,
        // Only the plant knows how far it came.
        Phase::Calls(key) => match jobs.get(key) {
            None => At::BetweenIntentAndCall,
            Some(Work::Running) => At::WhileItRuns,
            Some(Work::Done | Work::Lost) => At::BetweenEffectAndOutcome,
        },
        Phase::Answered | Phase::Ends => At::BetweenEffectAndOutcome,
        Phase::Verifies => At::Verifying,
        Phase::Settles => At::Settling,
    }
}

/// Processes on one folder.
struct Pool<'a> {
    folder: &'a Path,
    living: Vec<Child>,
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        for child in &mut self.living {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Pool<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "slain::acts_until_it_is_killed", "--nocapture"]);
        command.env(FOLDER, self.folder).stdout(Stdio::null());
        command
    }

    fn fill(&mut self, plant: &Plant) {
        while self.living.len() < 2 {
            let child = self.command().spawn().unwrap();
            plant.born(child.id());
            self.living.push(child);
        }
    }

    /// The one that leads, once one does.
    fn leader(&mut self, plant: &Plant) -> u32 {
        let pids: Vec<u32> = self.living.iter().map(Child::id).collect();
        let begin = Instant::now();
        loop {
            if let Some(leader) = plant.leader(&pids) {
                return leader;
            }
            for child in &mut self.living {
                assert_eq!(
                    child.try_wait().unwrap(),
                    None,
                    "a replica ended by itself; see its standard error"
                );
            }
            assert!(begin.elapsed() < PATIENCE, "nobody leads");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills `pid`, and tells where it was.
    fn kill(&mut self, pid: u32, plant: &Plant, ends: &Receiver<(u32, Phase)>) -> At {
        let at = self.living.iter().position(|child| child.id() == pid).expect("it lives");
        let mut child = self.living.remove(at);
        let jobs = plant.while_still(pid, || {
            child.kill().unwrap();
            child.wait().unwrap();
        });
        loop {
            // A standby that never connected has nothing to say.
            match ends.recv_timeout(Duration::from_secs(1)) {
                Ok((other, last)) if other == pid => return place(&last, &jobs),
                Ok(_) => {}
                Err(_) => return At::WaitingForTheLease,
            }
        }
    }

    fn finish(&self) {
        let status = self.command().env(FINISH, "1").status().unwrap();
        assert!(status.success(), "what was left could not be settled: {status}");
    }
}

fn history(folder: &Path) -> std::sync::Arc<History> {
    let journal = FileJournal::open(folder.join("journal")).unwrap();
    block_on(journal.history(&Context::system())).unwrap()
}

/// Proposals whose authorisation stands in the audit log.
fn audited(folder: &Path) -> Result<BTreeSet<String>> {
    let mut authorised = BTreeSet::new();
    audit::events(folder.join("audit"), |event, _| {
        let authorized = event.detail.pointer("/outcome/authorized").is_some();
        if let (true, Some(id)) = (authorized, event.detail["proposal"].as_str()) {
            authorised.insert(id.to_owned());
        }
    })?;
    Ok(authorised)
}

/// What must hold once everything is over. Returns how many effects there were, and how many actions nobody knows the end of.
fn judge(folder: &Path, plant: &Plant) -> (usize, usize) {
    let state = plant.state();
    assert_eq!(state.violations, Vec::<String>::new());
    let log = fs::read_to_string(folder.join("effects")).unwrap();
    let mut effects = BTreeSet::new();
    for line in log.lines() {
        let key = line.split(' ').next().unwrap();
        assert!(effects.insert(key.to_owned()), "{key} took effect twice");
    }
    let report = audit::verify(folder.join("audit"), &[]).unwrap();
    assert!(report.entries > 0);
    let (history, authorised) = (history(folder), audited(folder).unwrap());
    let mut unknown = 0;
    for action in history.actions() {
        let (key, proposal) = (action.intent.key.as_str(), &action.intent.proposal);
        assert!(action.intent.decision.is_authorized(), "{key}");
        assert!(authorised.contains(proposal.id.as_str()), "{key}: its decision is not in the audit log");
        let known = state.jobs.get(key).map(|job| job.work);
        match (&action.outcome, known) {
            (Some(ActionOutcome::Completed), Some(Work::Done)) => assert!(effects.remove(key), "{key}"),
            (Some(ActionOutcome::NotStarted { .. }), None) => assert!(!effects.contains(key), "{key}"),
            (None, Some(Work::Lost)) => {
                unknown += 1;
                assert!(!effects.contains(key), "{key}");
                assert!(state.told.contains(proposal.incident.as_str()), "{key}: nobody was told");
            }
            other => panic!("{key}: the journal and the plant say {other:?}"),
        }
    }
    assert_eq!(effects, BTreeSet::new(), "effects without an intent");
    (log.lines().count(), unknown)
}

/// Alone, it shows that a replica acts and settles with nobody to kill it; with `AIOPS_ACT_SLAIN` set it is the process that
/// [`killed_while_it_acts`] kills.
#[test]
fn acts_until_it_is_killed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        let replica = Replica::open(folder, &socket(folder), std::env::var_os(CARELESS).is_some());
        if std::env::var_os(FINISH).is_some() {
            replica.finish();
            return;
        }
        replica.act();
    }
    let folder = tempfile::tempdir().unwrap();
    let (plant, ends) = Plant::open(folder.path(), &socket(folder.path()));
    let mut pool = Pool { folder: folder.path(), living: Vec::new() };
    let child = pool.command().spawn().unwrap();
    pool.living.push(child);
    let begin = Instant::now();
    while history(folder.path()).actions().filter(|a| a.recovery.is_some()).count() < 5 {
        assert!(begin.elapsed() < PATIENCE, "it does not act");
        std::thread::sleep(Duration::from_millis(20));
    }
    let only = pool.leader(&plant);
    pool.kill(only, &plant, &ends);
    pool.finish();
    let (effects, unknown) = judge(folder.path(), &plant);
    assert!(effects >= 5 && unknown <= 1, "{effects} effects, {unknown} unknown");
}

/// The plant does not keep a key from running twice, it only tells: so what is shown above is the replicas' doing.
#[test]
fn a_replica_that_repeats_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let (plant, _ends) = Plant::open(folder.path(), &socket(folder.path()));
    let mut pool = Pool { folder: folder.path(), living: Vec::new() };
    let child = pool.command().env(CARELESS, "1").spawn().unwrap();
    pool.living.push(child);
    let begin = Instant::now();
    let again = |violations: &[String]| violations.iter().any(|v| v.ends_with("was run again"));
    while !again(&plant.state().violations) {
        assert!(begin.elapsed() < PATIENCE, "it was not found out");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `AIOPS_KILLS` sets how often; 25 unless told.
#[test]
fn killed_while_it_acts() {
    let kills: u64 = std::env::var("AIOPS_KILLS").ok().map_or(25, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plant, ends) = Plant::open(folder, &socket(folder));
    let mut pool = Pool { folder, living: Vec::new() };
    let mut random = fastrand::Rng::with_seed(9);
    let begin = Instant::now();
    pool.fill(&plant);
    // How long one action takes here, from the first look to the verdict: kills are spread over two of them.
    pool.leader(&plant);
    let warm = Instant::now();
    while history(folder).actions().filter(|a| a.recovery.is_some()).count() < 8 {
        assert!(warm.elapsed() < PATIENCE, "nobody acts");
        std::thread::sleep(Duration::from_millis(5));
    }
    let action = (warm.elapsed() / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
    let mut places = BTreeMap::from(EVERYWHERE.map(|at| (at, 0_u64)));
    for n in 0..kills {
        pool.fill(&plant);
        let leader = pool.leader(&plant);
        std::thread::sleep(action.mul_f64(2.0 * random.f64()));
        let standby = pool.living.iter().map(Child::id).find(|pid| *pid != leader);
        let victim = if random.u8(0..16) == 0 { standby.unwrap_or(leader) } else { leader };
        *places.entry(pool.kill(victim, &plant, &ends)).or_default() += 1;
        if n % 25 == 24 {
            audit::verify(folder.join("audit"), &[]).unwrap();
            history(folder);
        }
    }
    for pid in pool.living.iter().map(Child::id).collect::<Vec<_>>() {
        pool.kill(pid, &plant, &ends);
    }
    let wait = Instant::now();
    while plant.state().jobs.values().any(|job| job.work == Work::Running) {
        assert!(wait.elapsed() < PATIENCE, "the plant does not come to an end");
        std::thread::sleep(Duration::from_millis(5));
    }
    pool.finish();
    let (effects, unknown) = judge(folder, &plant);
    let late = plant.state().late;
    println!("{kills} kills in {:.0?}, an action takes {action:.0?}: {places:?}", begin.elapsed());
    let cases = CaseFolder::open(folder.join("cases"), 2_000).unwrap().closed().unwrap();
    let told =
        |case: &&Case| case.attempts().any(|(receipt, _)| receipt.detail.starts_with("as the journal tells"));
    let resumed = cases.iter().filter(told).count();
    println!("{} cases closed, {resumed} of them taken up after their action had run", cases.len());
    println!(
        "{effects} effects, none twice; {unknown} unknown and told; {late} refused because they were settled before"
    );
    assert!(effects >= 8, "{effects} effects");
    if kills >= 500 {
        let missed: Vec<_> = places.iter().filter(|(_, hits)| **hits == 0).collect();
        assert!(missed.is_empty(), "never killed there: {missed:?}");
        assert!(resumed > 0, "no case was ever taken up");
        assert!(late > 0, "no call ever arrived after it had been settled as not begun");
    }
}
