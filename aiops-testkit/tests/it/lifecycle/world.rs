//! The real thing: two chains on one journal and one mitigator, each step held against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiops_core::action::*;
use aiops_core::fake::{InMemoryJournal, Mishap};
use aiops_core::guard::{Authorized, ChainConfig, GuardChain, Intended, KillSwitch, Revocations};
use aiops_core::model::{Confidence, EntityId, time};
use aiops_core::seam::{Approver, Guardrail, Journal, Mitigator, Review};
use aiops_core::{Cancellation, Clock, Context, Error, ErrorKind, ManualClock, Result};
use aiops_testkit::sample;
use async_trait::async_trait;
use futures_lite::future::block_on;

use super::model::{CAP, Ended, Key, LIFE, Model, Right};
use super::treacherous::Treacherous;
use super::{Answer, Doing, Lie, Opinion, Step, Trouble};

type Check<T = ()> = std::result::Result<T, String>;

/// Says what the step wants it to say.
#[derive(Debug, Clone)]
struct Gate {
    /// The opinion, and how often it was given.
    opinion: Arc<Mutex<(Opinion, u32)>>,
    kill_switch: KillSwitch,
}

#[async_trait]
impl Guardrail for Gate {
    fn id(&self) -> GuardId {
        GuardId("gate".to_owned())
    }
    async fn check(&self, _: &Review<'_>, _: &Context) -> Result<Verdict> {
        let mut state = self.opinion.lock().unwrap();
        state.1 += 1;
        let second = state.1 > 1;
        match state.0 {
            Opinion::Deny => return Ok(Verdict::deny("told to")),
            Opinion::Broken => return Err(Error::new(ErrorKind::Internal, "told to break")),
            Opinion::Ask => return Ok(Verdict::needs_approval("told to")),
            Opinion::AskLater if second => return Ok(Verdict::needs_approval("told to")),
            Opinion::Kill if second => self.kill_switch.engage(&Principal::new("gate"), "told to"),
            Opinion::Kill | Opinion::AskLater | Opinion::Allow => {}
        }
        Ok(Verdict::allow("told to"))
    }
}

/// At most [`CAP`] actions of an incident, by what the journal says.
#[derive(Debug)]
struct Cap;

#[async_trait]
impl Guardrail for Cap {
    fn id(&self) -> GuardId {
        GuardId("cap".to_owned())
    }
    async fn check(&self, review: &Review<'_>, _: &Context) -> Result<Verdict> {
        let done = review.history.for_incident(&review.proposal.incident).filter(|a| a.counts()).count();
        Ok(if done < CAP { Verdict::allow("below the cap") } else { Verdict::deny("cap reached") })
    }
}

#[derive(Debug, Clone)]
struct Person {
    answer: Arc<Mutex<Answer>>,
    clock: ManualClock,
    mitigator: Treacherous,
}

#[async_trait]
impl Approver for Person {
    async fn decide(&self, request: &ApprovalRequest, ctx: &Context) -> Result<ApprovalDecision> {
        let answer = *self.answer.lock().unwrap();
        let mut who = Principal::new("ann");
        match answer {
            Answer::Broken => return Err(Error::new(ErrorKind::Unavailable, "told to break")),
            Answer::Silence => {
                self.clock.set(request.expires_at);
                std::future::pending::<()>().await;
            }
            Answer::Himself => who = request.proposal.proposed_by.clone(),
            Answer::TooLate => self.mitigator.inner.tamper(&request.proposal.action.target, |_| {}),
            Answer::Yes | Answer::No => {}
        }
        let granted = answer != Answer::No;
        Ok(ApprovalDecision { approver: who, granted, reason: "told to".to_owned(), at: ctx.now() })
    }
}

pub(super) struct World {
    pub(super) seen: BTreeMap<&'static str, u64>,
    model: Model,
    clock: ManualClock,
    ctx: Context,
    journal: InMemoryJournal,
    mitigator: Treacherous,
    kill_switch: KillSwitch,
    revocations: Revocations,
    opinion: Arc<Mutex<(Opinion, u32)>>,
    answer: Arc<Mutex<Answer>>,
    replicas: [GuardChain; 2],
    proposals: Vec<(Proposal, usize, usize, Doing, bool)>,
    rights: Vec<(Right, Authorized<Action>)>,
    intents: Vec<(Right, Intended<Action>)>,
}

fn target(n: usize) -> EntityId {
    EntityId::service(format!("s{n}"))
}

impl World {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(sample::now());
        let (journal, mitigator) =
            (InMemoryJournal::new(), Treacherous::new(sample::workloads((0..3).map(target))));
        let (kill_switch, revocations) = (KillSwitch::new(), Revocations::new());
        let opinion = Arc::new(Mutex::new((Opinion::Allow, 0)));
        let answer = Arc::new(Mutex::new(Answer::Yes));
        let mut config = ChainConfig::in_mode(Mode::Auto);
        config.token_life = LIFE;
        let replica = || {
            GuardChain::builder(journal.clone())
                .guard(Gate { opinion: opinion.clone(), kill_switch: kill_switch.clone() })
                .guard(Cap)
                .approver(Person {
                    answer: answer.clone(),
                    clock: clock.clone(),
                    mitigator: mitigator.clone(),
                })
                .kill_switch(kill_switch.clone())
                .revocations(revocations.clone())
                .config(config)
                .build()
                .unwrap()
        };
        Self {
            seen: BTreeMap::new(),
            model: Model::default(),
            ctx: Context::new(Arc::new(clock.clone())),
            replicas: [replica(), replica()],
            clock,
            journal,
            mitigator,
            kill_switch,
            revocations,
            opinion,
            answer,
            proposals: Vec::new(),
            rights: Vec::new(),
            intents: Vec::new(),
        }
    }

    /// How many events were seen.
    pub(super) fn events(&self) -> u64 {
        self.seen.values().sum()
    }

    /// A slow action comes to its end.
    fn land(&mut self, pick: usize) {
        let flying: Vec<Key> = self.model.flying.iter().cloned().collect();
        if let Some(key) = pick_of(&flying, pick) {
            self.model.flying.remove(key);
            self.mitigator.land(key);
            self.saw("landed");
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn ended_context(&self, ended: bool) -> Context {
        let cancellation = Cancellation::new();
        if ended {
            cancellation.cancel();
        }
        self.ctx.clone().with_cancellation(cancellation)
    }

    /// Takes one step and holds the world against the model and the invariants.
    pub(super) fn take(&mut self, step: Step) -> Check {
        let (killed, before) = (self.kill_switch.is_engaged(), self.mitigator.inner.executed().len());
        match step {
            Step::Propose { .. } => self.propose(step)?,
            Step::Record { pick, cancelled } => self.record(pick, cancelled)?,
            Step::Execute { pick, trouble } => self.execute(pick, trouble)?,
            Step::Settle { pick, lie } => self.settle(pick, lie)?,
            Step::Land { pick } => self.land(pick),
            Step::Overtake { pick } => self.overtake(pick)?,
            Step::CrashReplica { replica } => {
                let had = self.rights.len() + self.intents.len();
                self.rights.retain(|(r, _)| r.replica != replica);
                self.intents.retain(|(r, _)| r.replica != replica);
                if self.rights.len() + self.intents.len() < had {
                    self.saw("replica crashed");
                }
            }
            Step::Revoke { pick } => {
                let rights = self.rights.iter().map(|(r, _)| r).chain(self.intents.iter().map(|(r, _)| r));
                let keys: Vec<Key> = rights.map(|r| r.key.clone()).collect();
                if let Some(key) = pick_of(&keys, pick) {
                    self.revocations.revoke(key.clone(), self.clock.now());
                    self.model.revoked.insert(key.clone());
                }
            }
            Step::Kill => {
                self.kill_switch.engage(&Principal::new("operator"), "a step");
                self.model.killed = true;
                if !self.rights.is_empty() || !self.intents.is_empty() {
                    self.saw("engaged with rights outstanding");
                }
            }
            Step::Release => {
                self.kill_switch.release(&Principal::new("operator"));
                self.model.killed = false;
            }
            Step::Advance { seconds } => self.clock.advance(Duration::from_secs(seconds)),
            Step::JumpBack { seconds } => {
                self.clock.set(time::before(self.clock.now(), Duration::from_secs(seconds)));
                self.saw("clock jumped back");
            }
        }
        self.check_invariants(killed, before)
    }

    fn propose(&mut self, step: Step) -> Check {
        let Step::Propose { replica, target: t, incident, doing, calibrated, opinion, answer, again } = step
        else {
            return Ok(());
        };
        let known = again.then(|| self.proposals.last().cloned()).flatten();
        let (proposal, t, incident, doing, calibrated) = match known {
            Some(known) => known,
            None => {
                let mut action = sample::restart(target(t)).unwrap();
                action.operation = match doing {
                    Doing::Restart => action.operation,
                    Doing::Scale => Operation::Scale { replicas: 5 },
                    Doing::Rollback => Operation::Rollback { to: "r0".to_owned() },
                    Doing::Stop => Operation::Stop,
                };
                let mut proposal = sample::proposal(&format!("p{}", self.proposals.len()), action).unwrap();
                proposal.incident = IncidentId::new(format!("i{incident}"));
                if !calibrated {
                    proposal.confidence = Confidence::uncalibrated(0.9).unwrap();
                }
                let made = (proposal, t, incident, doing, calibrated);
                self.proposals.push(made.clone());
                made
            }
        };
        *self.opinion.lock().unwrap() = (opinion, 0);
        *self.answer.lock().unwrap() = answer;
        let expected = self.model.decide(incident, !calibrated || doing == Doing::Stop, opinion, answer);
        let key = proposal.idempotency_key().unwrap();
        let got = block_on(self.replicas[replica].authorize(proposal, &self.mitigator, &self.ctx));
        // The guard may have engaged it on the way, whatever came of the proposal.
        self.model.killed = self.kill_switch.is_engaged();
        match (expected, got) {
            (Ok(asked), Ok(token)) => {
                self.saw(if asked { "authorised after approval" } else { "authorised" });
                let expires_at = Model::expiry(self.clock.now());
                self.model.allowed.insert(key.clone());
                let right =
                    Right { key, replica, target: t, incident, expires_at, position: self.model.head };
                self.rights.push((right, token));
                Ok(())
            }
            (Err(why), Err(_)) => {
                self.saw("denied");
                self.saw(why);
                Ok(())
            }
            (Ok(_), Err(denied)) => Err(format!("the model allows it: {denied}")),
            (Err(why), Ok(_)) => Err(format!("authorised, but must be {why}")),
        }
    }

    fn record(&mut self, pick: usize, cancelled: bool) -> Check {
        if self.rights.is_empty() {
            return Ok(());
        }
        let (right, token) = self.rights.swap_remove(pick % self.rights.len());
        let expected = self.model.record(&right, cancelled, self.clock.now());
        let got = block_on(token.record(&self.ended_context(cancelled)));
        match (expected, got) {
            (Ok(fence), Ok(intended)) => {
                self.saw("recorded");
                self.intents.push((Right { position: fence, ..right }, intended));
                Ok(())
            }
            (Err(why), Err(e)) => {
                self.saw(why);
                expect_kind(why, &e)
            }
            (Ok(_), Err(e)) => Err(format!("the model records it: {e}")),
            (Err(why), Ok(_)) => Err(format!("recorded, but must be {why}")),
        }
    }

    fn execute(&mut self, pick: usize, trouble: Trouble) -> Check {
        if self.intents.is_empty() {
            return Ok(());
        }
        let (right, intended) = self.intents.swap_remove(pick % self.intents.len());
        let history = block_on(self.journal.history(&self.ctx)).unwrap();
        if history.get(&right.key).is_none() {
            return Err("about to execute without an intent in the journal".to_owned());
        }
        self.mitigator.inner.set_mishap(match trouble {
            Trouble::LostReply | Trouble::Slow => Some(Mishap::LostReply),
            Trouble::Failure | Trouble::FailureUnwritten => Some(Mishap::Failure),
            Trouble::Crash => Some(Mishap::Crash),
            Trouble::None | Trouble::ReplicaCrash | Trouble::Cancelled => None,
        });
        let expected = self.model.execute(&right, trouble, self.clock.now());
        let got =
            block_on(self.mitigator.execute(intended, &self.ended_context(trouble == Trouble::Cancelled)));
        self.mitigator.inner.set_mishap(None);
        match (expected, got) {
            (Ok(Some(ended)), Ok(receipt)) => {
                let record = receipt.into_record();
                if record.key != right.key || as_ended(&record.outcome) != ended {
                    return Err(format!("the model says {ended:?}, the receipt {record:?}"));
                }
                self.saw(if ended == Ended::Failed { "failed half-way" } else { "executed" });
                if self.model.intents.get(&right.key).is_some_and(|i| i.ended == Some(Ended::NotStarted)) {
                    self.saw("ran after a lie that it had not");
                }
                if matches!(trouble, Trouble::ReplicaCrash | Trouble::FailureUnwritten) {
                    self.saw("replica crashed before writing the outcome");
                    return Ok(());
                }
                self.write_outcome(&right.key, ended)
            }
            (Ok(None), Err(e)) if e.kind() == ErrorKind::InDoubt => {
                self.saw(match trouble {
                    Trouble::Crash => "mitigator crashed",
                    Trouble::Slow => {
                        self.mitigator.take_off(right.key.clone());
                        "slow"
                    }
                    _ => "reply lost",
                });
                Ok(())
            }
            (Err(why), Err(e)) => {
                self.saw(why);
                expect_kind(why, &e)
            }
            (expected, got) => Err(format!("the model says {expected:?}, the mitigator {got:?}")),
        }
    }

    /// As a pipeline does after an error or a restart: ask what became of it, and write that down.
    fn settle(&mut self, pick: usize, lie: Option<Lie>) -> Check {
        let history = block_on(self.journal.history(&self.ctx)).unwrap();
        let doubted: Vec<Key> = history.in_doubt().map(|a| a.intent.key.clone()).collect();
        let Some(key) = pick_of(&doubted, pick) else { return Ok(()) };
        let expected = self.model.status(key, lie);
        self.mitigator.lie_once(lie);
        if lie.is_some() {
            self.saw("lied about");
        }
        let status = block_on(self.mitigator.status(key, &self.ctx)).unwrap();
        let running = status == ActionStatus::Running;
        let got = match status {
            ActionStatus::Completed => Some(Ended::Completed),
            ActionStatus::Failed { .. } => Some(Ended::Failed),
            ActionStatus::NotStarted => Some(Ended::NotStarted),
            ActionStatus::Unknown | ActionStatus::Running => None,
        };
        if got != expected {
            return Err(format!("the model says {expected:?}, the mitigator {got:?}"));
        }
        self.saw(match got {
            Some(Ended::Completed) => "settled: completed",
            Some(Ended::Failed) => "settled: failed",
            Some(Ended::NotStarted) => "settled: not started",
            None if running => "settled: running",
            None => "settled: unknown",
        });
        got.map_or(Ok(()), |ended| self.write_outcome(key, ended))
    }

    /// Gives up an intent that was not executed yet, without telling the mitigator, and acts on its target. The paused
    /// replica keeps its token: only the fence stops it now.
    fn overtake(&mut self, pick: usize) -> Check {
        let open = |m: &Model, r: &Right| m.intents.get(&r.key).is_some_and(|i| i.ended.is_none());
        let candidates: Vec<usize> =
            (0..self.intents.len()).filter(|i| open(&self.model, &self.intents[*i].0)).collect();
        let Some(i) = pick_of(&candidates, pick) else { return Ok(()) };
        let (paused, token) = self.intents.swap_remove(*i);
        self.write_outcome(&paused.key, Ended::NotStarted)?;
        let (rights, intents, effects) = (self.rights.len(), self.intents.len(), self.model.effects.len());
        self.propose(Step::Propose {
            replica: 1 - paused.replica,
            target: paused.target,
            incident: paused.incident,
            doing: Doing::Restart,
            calibrated: true,
            opinion: Opinion::Allow,
            answer: Answer::Yes,
            again: false,
        })?;
        if self.rights.len() > rights {
            self.record(rights, false)?;
        }
        if self.intents.len() > intents {
            self.execute(intents, Trouble::None)?;
        }
        // Had nobody acted, the paused replica still could, and the journal would be wrong about it.
        if self.model.effects.len() > effects {
            self.saw("overtaken");
            self.intents.push((paused, token));
        }
        Ok(())
    }

    fn write_outcome(&mut self, key: &Key, ended: Ended) -> Check {
        let reason = "told so".to_owned();
        let outcome = match ended {
            Ended::Completed => ActionOutcome::Completed,
            Ended::Failed => ActionOutcome::Failed { reason },
            Ended::NotStarted => ActionOutcome::NotStarted { reason },
        };
        let entry = JournalEntry::Outcome { key: key.clone(), outcome, at: self.clock.now() };
        let accepted = self.model.end(key, ended);
        match block_on(self.journal.append(&entry, None, &self.ctx)) {
            Ok(_) if accepted => Ok(()),
            Ok(_) => Err(format!("the journal took {ended:?} for {key}, which ended otherwise")),
            Err(e) if accepted => Err(e.to_string()),
            Err(e) => {
                self.saw("the journal knows another end");
                expect_kind("conflict", &e)
            }
        }
    }

    fn check_invariants(&self, killed_before: bool, effects_before: usize) -> Check {
        let executed = self.mitigator.inner.executed();
        let keys: Vec<&Key> = executed.iter().map(|(key, _)| key).collect();
        if killed_before && executed.len() != effects_before {
            return Err("something ran while the kill switch was engaged".to_owned());
        }
        if let Some(key) = keys.iter().find(|k| !self.model.allowed.contains(**k)) {
            return Err(format!("{key} ran, and no chain allowed it"));
        }
        if keys.iter().collect::<BTreeSet<_>>().len() != keys.len() {
            return Err("a key ran twice".to_owned());
        }
        let history = block_on(self.journal.history(&self.ctx)).unwrap();
        let mut of_incident: BTreeMap<&IncidentId, usize> = BTreeMap::new();
        for (key, action) in &executed {
            let trace = history.get(key).ok_or_else(|| format!("{key} ran without an intent"))?;
            if trace.intent.proposal.action != *action {
                return Err(format!("{key} ran another action than it was allowed to"));
            }
            let lied = self.model.lied_about.contains(key);
            if matches!(trace.outcome, Some(ActionOutcome::NotStarted { .. })) && !lied {
                return Err(format!("{key} ran, and the journal says it never did"));
            }
            if lied {
                continue;
            }
            *of_incident.entry(&trace.intent.proposal.incident).or_default() += 1;
        }
        if let Some((incident, n)) = of_incident.iter().find(|(_, n)| **n > CAP) {
            return Err(format!("{n} actions of {incident}, {CAP} are allowed"));
        }
        for t in 0..3 {
            let doubted = history.for_target(&target(t)).filter(|a| a.in_doubt()).count();
            if doubted > 1 {
                return Err(format!("{doubted} actions on one target are in doubt"));
            }
        }
        if history.head().0 != self.model.head {
            return Err(format!(
                "{} entries in the model, {} in the journal",
                self.model.head,
                history.head().0
            ));
        }
        if !keys.iter().copied().eq(&self.model.effects) {
            return Err(format!("the model ran {:?}, the mitigator {keys:?}", self.model.effects));
        }
        Ok(())
    }
}

fn pick_of<T>(items: &[T], pick: usize) -> Option<&T> {
    items.get(pick.checked_rem(items.len())?)
}

fn as_ended(outcome: &ActionOutcome) -> Ended {
    match outcome {
        ActionOutcome::Completed => Ended::Completed,
        ActionOutcome::Failed { .. } => Ended::Failed,
        ActionOutcome::NotStarted { .. } => Ended::NotStarted,
    }
}

/// Each refusal has its kind of error.
fn expect_kind(why: &str, e: &Error) -> Check {
    let kind = match why.split_once(": ").map_or(why, |(_, reason)| reason) {
        "cancelled" => ErrorKind::Cancelled,
        "killed" => ErrorKind::Killed,
        "revoked" => ErrorKind::Denied,
        "expired" => ErrorKind::Expired,
        _ => ErrorKind::Conflict,
    };
    if e.kind() == kind { Ok(()) } else { Err(format!("{why} must be {kind}, got: {e}")) }
}
