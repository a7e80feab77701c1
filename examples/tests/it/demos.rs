//! What `self_heal` shows when a person, a kill switch or a death comes in between: real processes, from outside, as a user runs them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiops_act::audit::{FileAnchor, events};
use aiops_act::incident::incidents;
use aiops_act::{ApprovalConfig, ApprovalDesk, CaseFolder, FileJournal, Graduation};
use aiops_core::action::{DecisionOutcome, DecisionRecord, History};
use aiops_core::seam::Journal as _;
use aiops_core::{Case, CaseStatus, Context};
use aiops_examples::self_heal::RunRecord;
use libtest_mimic::{Failed, Trial};

/// The first argument that makes this program the example.
pub(crate) const PROGRAM: &str = "self_heal";
/// Where an optimised build of the example is, such as `target/release/examples/self_heal`. Without one the demonstrations are ignored, as live tests
/// are without their servers; where they must run all the same, this program plays the example, unoptimised, and a shop takes so much of a core that two
/// beside each other are enough.
const OPTIMISED: &str = "AIOPS_SELF_HEAL";
/// Longer no demonstration takes.
const LONGEST: Duration = Duration::from_secs(180);

/// How many run beside each other.
pub(crate) fn at_once() -> usize {
    if std::env::var_os(OPTIMISED).is_some() { trials().len() } else { 2 }
}

/// The example, by itself or played by this program.
fn program() -> Command {
    match std::env::var_os(OPTIMISED) {
        Some(path) => Command::new(path),
        None => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg(PROGRAM);
            command
        }
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let ignored = [OPTIMISED, "AIOPS_REQUIRE_LIVE"].iter().all(|name| std::env::var_os(name).is_none());
    let demo = |name, run: fn() -> Result<(), Failed>| {
        Trial::test(format!("demo_{name}"), run).with_ignored_flag(ignored)
    };
    vec![
        demo("a_yes_at_the_terminal_heals", yes),
        demo("a_no_at_the_terminal_does_nothing_and_calls_a_person", no),
        demo("observing_tells_what_would_be_done_and_does_nothing", observe),
        demo("a_kill_file_in_mid_incident_stops_it_before_the_action", kill_file),
        demo("a_signal_in_mid_incident_stops_it_before_the_action", kill_signal),
        demo("a_pipeline_killed_in_mid_action_is_taken_up_and_nothing_runs_twice", restart),
        demo("by_default_everything_stands_in_the_way_and_it_heals", auto),
    ]
}

/// A run of the example.
struct Run {
    child: Child,
    input: Option<ChildStdin>,
    told: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
    folder: PathBuf,
}

/// What is left of it.
struct Ended {
    told: String,
    story: String,
    record: RunRecord,
    _folder: tempfile::TempDir,
    folder: PathBuf,
}

impl Run {
    /// `self_heal` with a fault that a low risk heals.
    fn start(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let mut child = program()
            .args(["--fault", "lock-contention", "--seed", "7"])
            .arg("--state")
            .arg(path.join("state"))
            .arg("--anchor")
            .arg(path.join("anchor"))
            .arg("--record")
            .arg(path.join("record.json"))
            .args(options.iter().map(|option| option.replace("{folder}", path.to_str().unwrap())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let (mut errors, heard) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&told));
        std::thread::spawn(move || {
            // A question ends without a line break, so bytes are read as they come.
            let mut bytes = [0_u8; 4096];
            while let Ok(read @ 1..) = errors.read(&mut bytes) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let input = child.stdin.take();
        Self { child, input, told, _folder: folder, folder: path }
    }

    /// Waits until `text` was told.
    fn until(&mut self, text: &str) {
        let began = Instant::now();
        while !self.told.lock().unwrap().contains(text) {
            let alive = self.child.try_wait().unwrap().is_none();
            let told = self.told.lock().unwrap().clone();
            assert!(alive && began.elapsed() < LONGEST, "waited in vain for {text:?}:\n{told}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answer(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn end(mut self) -> Ended {
        // Nobody answers any more.
        self.input = None;
        let mut story = String::new();
        for line in BufReader::new(self.child.stdout.take().unwrap()).lines() {
            story += &(line.unwrap() + "\n");
        }
        self.child.wait().unwrap();
        let told = self.told.lock().unwrap().clone();
        let record = std::fs::read(self.folder.join("record.json"));
        let record = record.unwrap_or_else(|e| panic!("no record ({e}):\n{told}\n{story}"));
        let record = serde_json::from_slice(&record).unwrap();
        let Self { _folder, folder, .. } = &mut self;
        let folder = std::mem::take(folder);
        let kept = std::mem::replace(_folder, tempfile::tempdir().unwrap());
        Ended { told, story, record, _folder: kept, folder }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    fn state(&self, file: &str) -> PathBuf {
        self.folder.join("state").join(file)
    }

    fn history(&self) -> Arc<History> {
        let journal = FileJournal::open(self.state("journal")).unwrap();
        blocking(journal.history(&Context::system())).unwrap()
    }

    fn cases(&self) -> Vec<Case> {
        let folder = CaseFolder::open(self.state("cases"), 100).unwrap();
        assert!(folder.left_open().unwrap().is_empty(), "{}", self.told);
        folder.closed().unwrap()
    }

    /// Every decision in the audit log: whether it was an authorisation, and the reason of a denial.
    fn decisions(&self) -> Vec<(bool, String)> {
        let mut decisions = Vec::new();
        events(self.state("audit"), |event, _| {
            if event.what == "decided" {
                let record: DecisionRecord = serde_json::from_value(event.detail).unwrap();
                decisions.push(match record.outcome {
                    DecisionOutcome::Authorized { .. } => (true, String::new()),
                    DecisionOutcome::Denied { reason } => (false, reason),
                });
            }
        })
        .unwrap();
        decisions
    }

    /// The post-mortem of the first incident.
    fn post_mortem(&self) -> String {
        let cases = self.cases();
        std::fs::read_to_string(self.state("post-mortems").join(format!("{}.md", cases[0].id()))).unwrap()
    }

    /// Nothing was intended, and the shop's own log knows of nothing either.
    fn assert_untouched(&self) {
        assert_eq!(self.history().actions().count(), 0, "{}", self.told);
        assert!(self.record.operations.is_empty(), "{:?}", self.record.operations);
        assert!(self.decisions().iter().all(|(authorised, _)| !authorised));
    }

    /// The incident is in the hands of a person, for a reason with `why` in it.
    fn assert_escalated(&self, why: &str) {
        let cases = self.cases();
        let reasons: Vec<&str> = cases
            .iter()
            .filter_map(|case| match case.status() {
                Some(CaseStatus::Escalated { reason }) => Some(reason.as_str()),
                _ => None,
            })
            .collect();
        assert!(!cases.is_empty() && reasons.len() == cases.len(), "{}", self.told);
        assert!(reasons.iter().any(|reason| reason.contains(why)), "{reasons:?}");
        assert!(!self.record.healed);
    }

    fn assert_healed(&self) {
        let cases = self.cases();
        assert!(cases.iter().any(|c| c.status() == Some(&CaseStatus::Recovered)), "{}", self.told);
        assert!(self.record.healed, "{}\n{}", self.told, self.story);
        assert!(self.story.contains("outcome: recovered"), "{}", self.story);
    }
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn anchored(folder: &Path) -> usize {
    FileAnchor::read(folder.join("anchor")).unwrap().len()
}

fn yes() -> Result<(), Failed> {
    let mut run = Run::start(&["--suggest"]);
    run.until("Do it?");
    run.answer("y\n");
    let ended = run.end();
    ended.assert_healed();
    // The answer is a label for whoever learns from it.
    let desk = ApprovalDesk::open(ended.state("approvals"), ApprovalConfig::default()).unwrap();
    let labels = blocking(desk.labels(&Context::system())).unwrap();
    assert_eq!(labels.len(), 1);
    assert_eq!((labels[0].granted, labels[0].diagnosis_right), (true, Some(true)));
    let approved = ended.history();
    let decision = &approved.actions().next().unwrap().intent.decision;
    assert_eq!(decision.approval.as_ref().unwrap().approver.as_str(), "terminal");
    Ok(())
}

fn no() -> Result<(), Failed> {
    let mut run = Run::start(&["--suggest"]);
    run.until("Do it?");
    // Whatever else is proposed is refused as well.
    run.answer("n\nn\nn\nn\n");
    let ended = run.end();
    ended.assert_untouched();
    ended.assert_escalated("no proposal was allowed");
    assert!(ended.post_mortem().contains("Automation did nothing"), "{}", ended.post_mortem());
    assert_eq!(ended.decisions()[0], (false, "terminal said no: no".to_owned()));
    assert!(ended.told.contains("nothing was done to it"), "{}", ended.told);
    Ok(())
}

fn observe() -> Result<(), Failed> {
    let ended = Run::start(&["--observe"]).end();
    ended.assert_untouched();
    ended.assert_escalated("no proposal was allowed");
    for would in ["plan        rolling restart", "observing only", "Proposed: rolling restart"] {
        let said = ended.told.contains(would) || ended.story.contains(would);
        assert!(said, "{would:?} in\n{}\n{}", ended.told, ended.story);
    }
    Ok(())
}

fn kill_file() -> Result<(), Failed> {
    let mut run = Run::start(&["--suggest", "--kill-file", "{folder}/stop"]);
    run.until("Do it?");
    std::fs::write(run.folder.join("stop"), "somebody at the shop\n").unwrap();
    run.until("a person takes over");
    // It comes too late.
    run.answer("y\n");
    let ended = run.end();
    ended.assert_untouched();
    ended.assert_escalated("stop is there");
    assert!(ended.decisions().iter().any(|(_, reason)| reason.contains("stop is there")));
    Ok(())
}

fn kill_signal() -> Result<(), Failed> {
    let mut run = Run::start(&["--suggest"]);
    run.until("Do it?");
    run.signal("-USR1");
    let began = Instant::now();
    run.until("a person takes over");
    assert!(began.elapsed() < Duration::from_secs(5), "the wait for a person went on");
    run.answer("y\n");
    let ended = run.end();
    ended.assert_untouched();
    ended.assert_escalated("SIGUSR1");
    assert!(ended.decisions().iter().any(|(_, reason)| reason.contains("SIGUSR1")));
    Ok(())
}

fn restart() -> Result<(), Failed> {
    let ended = Run::start(&["--restart"]).end();
    for told in [
        "by SIGKILL in the middle of its action",
        "nobody knows what became of",
        "as the mitigator tells",
        "resumed",
    ] {
        assert!(ended.told.contains(told), "{told:?} in\n{}", ended.told);
    }
    let history = ended.history();
    // By the journal, and by the log of the shop, which knows nothing of the journal: each intent ran once.
    assert_eq!(history.actions().count(), ended.record.operations.len(), "{:?}", ended.record.operations);
    assert_eq!(history.in_doubt().count(), 0);
    let first = history.actions().next().unwrap();
    let of_it = ended.record.operations.iter().filter(|done| **done == ended.record.operations[0]).count();
    assert_eq!((of_it, first.intent.proposal.action.kind().as_str()), (1, "rolling_restart"));
    let cases = ended.cases();
    assert!(!cases.is_empty() && cases.iter().all(|case| case.status().is_some()), "{}", ended.told);
    assert!(incidents(&history).iter().all(|incident| incident.in_doubt.is_empty()));
    // The case that the dead run had opened is the one that ends.
    assert!(cases.iter().any(|case| *case.id() == first.intent.proposal.incident), "{}", ended.told);
    let recovered = cases.iter().any(|case| case.status() == Some(&CaseStatus::Recovered));
    let escalated = cases.iter().any(|case| matches!(case.status(), Some(CaseStatus::Escalated { .. })));
    assert!(recovered || escalated);
    // A lease each, and a log that holds from the first run to the last.
    assert!(anchored(&ended.folder) >= 2);
    assert!(ended.told.contains("chain intact"), "{}", ended.told);
    Ok(())
}

fn auto() -> Result<(), Failed> {
    let ended = Run::start(&[]).end();
    ended.assert_healed();
    let page = ended.post_mortem();
    assert!(page.contains("Automation helped") && page.contains("mend what caused it"), "{page}");
    let history = ended.history();
    let action = history.actions().next().unwrap();
    let heard: Vec<&str> = action.intent.decision.verdicts.iter().map(|v| v.guard.0.as_str()).collect();
    for guard in [
        "policy",
        "allow-list",
        "hard-rules",
        "calendar",
        "risk-tiers",
        "confidence-bands",
        "graduation",
        "blast-radius",
        "node-cap",
        "rollback-required",
        "one-at-a-time",
        "cooldown",
        "action-cap",
        "rate-spike",
        "circuit-breaker",
        "error-rate",
        "error-budget",
    ] {
        assert!(heard.contains(&guard), "{guard} was not heard: {heard:?}");
    }
    assert!(action.intent.decision.approval.is_none(), "a rehearsed class of low risk acts alone");
    assert!(ended.told.contains("graduated") && ended.told.contains("acts alone"), "{}", ended.told);
    let graduation = Graduation::open(ended.state("graduation"), Default::default()).unwrap();
    assert!(!blocking(graduation.decisions(&Context::system())).unwrap().is_empty());
    assert!(anchored(&ended.folder) >= 2, "one after the case and one at the end");
    let whats = ["promoted", "decided", "acted", "verified", "assessed"];
    let mut logged = Vec::new();
    events(ended.state("audit"), |event, _| logged.push(event.what)).unwrap();
    assert!(whats.iter().all(|what| logged.iter().any(|logged| logged == what)), "{logged:?}");
    Ok(())
}
