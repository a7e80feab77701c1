//! The system that is acted on. It lives in the process that kills, so it survives every kill, and goes on with what it was told.
//!
//! It is careless: it runs whatever it is told, as often as it is told, and keeps a log of it on disk. The one thing it promises is what
//! every mitigator must: a key it called not started never runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use aiops_act::FileJournal;
use aiops_core::Context;
use aiops_core::action::IdempotencyKey;
use aiops_core::seam::Journal;
use futures_lite::future::block_on;

use super::wire::{Answer, Phase, Request, answer, lines};

/// What became of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Running,
    Done,
    /// It ended before its effect, because who asked for it died, and nobody will ever know.
    Lost,
}

#[derive(Debug)]
pub(super) struct Job {
    target: String,
    pub(super) work: Work,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) jobs: BTreeMap<String, Job>,
    refused: BTreeSet<String>,
    dead: BTreeSet<u32>,
    phases: BTreeMap<u32, Phase>,
    pub(super) told: BTreeSet<String>,
    /// Runs of a key after it was called not started, which were refused.
    pub(super) late: u64,
    /// What must not have been asked for.
    pub(super) violations: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Plant {
    state: Arc<Mutex<State>>,
    journal: FileJournal,
    log: Arc<File>,
    ended: mpsc::Sender<(u32, Phase)>,
}

/// Of this many jobs one is lost when who asked for it dies before its effect.
const FRAGILE: u64 = 16;
/// Of this many jobs one takes longer than an action may, which is 100 ms here.
const SLOW: u64 = 20;
const LONG: Duration = Duration::from_millis(150);
/// Of this many calls one is on its way for so long that it was given up, or settled by another process, before it arrives.
const LINGERING: u64 = 12;
const LATE: Duration = Duration::from_millis(500);

/// Whether it is one of those.
fn one_of(many: u64) -> bool {
    fastrand::u64(0..many) == 0
}

impl Plant {
    /// Listens at `socket` for ever. What each process said last comes out when its connection ends.
    pub(super) fn open(folder: &Path, socket: &Path) -> (Self, mpsc::Receiver<(u32, Phase)>) {
        let (ended, ends) = mpsc::channel();
        let log = File::options().create(true).append(true).open(folder.join("effects")).unwrap();
        let journal = FileJournal::open(folder.join("journal")).unwrap();
        let plant = Self { state: Arc::default(), journal, log: Arc::new(log), ended };
        let (listener, serving) = (UnixListener::bind(socket).unwrap(), plant.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::io::Result::ok) {
                let plant = serving.clone();
                std::thread::spawn(move || plant.serve(stream));
            }
        });
        (plant, ends)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The process of `living` that leads.
    pub(super) fn leader(&self, living: &[u32]) -> Option<u32> {
        let state = self.state();
        let leads = |pid: &&u32| state.phases.get(pid).is_some_and(|phase| *phase != Phase::Waits);
        living.iter().find(leads).copied()
    }

    /// A process began. It may have the number of one that was killed: numbers are used again.
    pub(super) fn born(&self, pid: u32) {
        self.state().dead.remove(&pid);
    }

    /// Has `kill` end the process `pid` between two steps of the plant, and tells what had become of every job by then.
    pub(super) fn while_still(&self, pid: u32, kill: impl FnOnce()) -> BTreeMap<String, Work> {
        let mut state = self.state();
        kill();
        state.dead.insert(pid);
        state.phases.remove(&pid);
        state.jobs.iter().map(|(key, job)| (key.clone(), job.work)).collect()
    }

    fn serve(&self, mut stream: UnixStream) {
        let mut requests = lines::<serde_json::Value>(stream.try_clone().unwrap());
        let Some(first) = requests.next() else { return };
        match serde_json::from_value(first).unwrap() {
            Request::Hello(pid) => {
                let mut last = Phase::Waits;
                for phase in requests {
                    last = serde_json::from_value(phase).unwrap();
                    let mut state = self.state();
                    if !state.dead.contains(&pid) {
                        state.phases.insert(pid, last.clone());
                    }
                }
                let _ = self.ended.send((pid, last));
            }
            Request::Run { by, key, fence, target } => {
                answer(&mut stream, self.run(by, &key, fence, &target))
            }
            Request::Status(key) => answer(&mut stream, self.status(&key)),
            Request::Told(incident) => {
                self.state().told.insert(incident);
                answer(&mut stream, Answer::Heard);
            }
        }
    }

    fn run(&self, by: u32, key: &str, fence: u64, target: &str) -> Answer {
        if one_of(LINGERING) {
            std::thread::sleep(LATE);
        }
        // Before the lock: who kills waits for it.
        let unfounded = self.unfounded(key, fence, target);
        {
            let mut state = self.state();
            if state.refused.contains(key) {
                state.late += 1;
                return Answer::Refused;
            }
            state.violations.extend(unfounded);
            let others =
                state.jobs.iter().filter(|(_, job)| job.target == target && job.work == Work::Running);
            let others: Vec<String> =
                others.map(|(other, _)| format!("{key} began beside {other}")).collect();
            state.violations.extend(others);
            let job = Job { target: target.to_owned(), work: Work::Running };
            if state.jobs.insert(key.to_owned(), job).is_some() {
                state.violations.push(format!("{key} was run again"));
            }
        }
        std::thread::sleep(if one_of(SLOW) { LONG } else { Duration::from_micros(fastrand::u64(0..8_000)) });
        let mut state = self.state();
        let lost = one_of(FRAGILE) && state.dead.contains(&by);
        if !lost {
            // Appended in one piece.
            (&*self.log).write_all(format!("{key} {fence} {target}\n").as_bytes()).unwrap();
        }
        state.jobs.get_mut(key).unwrap().work = if lost { Work::Lost } else { Work::Done };
        Answer::Done
    }

    /// What is wrong with this being done now, going by the journal on disk.
    fn unfounded(&self, key: &str, fence: u64, target: &str) -> Option<String> {
        let history = block_on(self.journal.history(&Context::system())).unwrap();
        let Some(action) = history.get(&IdempotencyKey::new(key)) else {
            return Some(format!("{key} runs and was never intended"));
        };
        let intent = &action.intent;
        let founded = intent.decision.is_authorized()
            && action.in_doubt()
            && action.fence.0 == fence
            && intent.proposal.action.target.to_string() == target;
        (!founded).then(|| format!("{key} runs on {target} under {fence}, and the journal has {action:?}"))
    }

    fn status(&self, key: &str) -> Answer {
        let mut state = self.state();
        match state.jobs.get(key).map(|job| job.work) {
            Some(Work::Running) => Answer::Running,
            Some(Work::Done) => Answer::Done,
            Some(Work::Lost) => Answer::Unknown,
            None => {
                state.refused.insert(key.to_owned());
                Answer::NotStarted
            }
        }
    }
}
