//! What is acted on, and whom is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, ApprovalDecision, ApprovalRequest, IdempotencyKey,
    Preview, Principal, TargetState,
};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::model::{EntityId, EntityKind};
use aiops_core::seam::{Approver, Mitigator, MitigatorCapability};
use aiops_core::{Clock, Context, Error, ErrorKind, ManualClock, Result};
use async_trait::async_trait;
use jiff::Timestamp;

/// State of a target that only some plans meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plight {
    Usual,
    /// Replication of databases is broken.
    Unhealthy,
    /// Nobody knows about replication.
    Unseen,
    /// Twice as many copies as usual.
    Grown,
}

/// Something that was done to the plant, as the plant saw it.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) key: IdempotencyKey,
    pub(super) action: Action,
    pub(super) at: Timestamp,
    /// The target as it was shown last.
    pub(super) state: TargetState,
}

#[derive(Debug)]
struct State {
    targets: BTreeMap<&'static str, TargetState>,
    plight: Plight,
    generation: u64,
    last_seen: TargetState,
    /// What was done since somebody asked.
    log: Vec<Deed>,
}

/// Runs everything it is handed, on whatever a name could mean.
#[derive(Debug, Clone)]
pub(super) struct Plant(Arc<Mutex<State>>);

/// The name as a careless system reads it: the last part of a path, lower case, without blanks, controls and marks, look-alikes as what they
/// look like.
fn careless(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().filter_map(|c| match c {
        'о' | 'ο' | 'О' => Some('o'),
        'е' | 'Е' => Some('e'),
        'а' | 'А' => Some('a'),
        'ѕ' => Some('s'),
        'ｏ' => Some('o'),
        'é' => Some('é'),
        '\u{301}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => None,
        c if c.is_whitespace() || c.is_control() => None,
        c => Some(c),
    });
    let plain: String = plain.flat_map(char::to_lowercase).collect();
    if plain == "cafe" { "café".to_owned() } else { plain }
}

impl Plant {
    pub(super) fn new() -> Self {
        let known = |replicas: u32, fleet: u32| {
            let mut state = TargetState::existing();
            (state.replicas, state.ready, state.fleet) = (Some(replicas), Some(replicas), Some(fleet));
            state.replication_healthy = Some(true);
            state
        };
        let targets = BTreeMap::from([
            ("orders", known(4, 40)),
            ("gateway", known(3, 40)),
            ("café", known(2, 40)),
            ("ledger", known(3, 30)),
            ("huge", known(60, 70)),
            ("shop-a", known(4, 40)),
            ("shop-b", known(7, 40)),
            ("shop-lone", known(2, 3)),
            ("shop-pay", known(2, 40)),
            ("shop-wide", known(9, 200)),
            // Nobody can tell how many copies there are.
            ("murky", TargetState::existing()),
        ]);
        let last_seen = TargetState::default();
        Self(Arc::new(Mutex::new(State {
            targets,
            plight: Plight::Usual,
            generation: 0,
            last_seen,
            log: Vec::new(),
        })))
    }

    pub(super) fn prepare(&self, plight: Plight) {
        self.0.lock().unwrap().plight = plight;
    }

    /// Somebody else changes whatever there is.
    pub(super) fn tamper(&self) {
        self.0.lock().unwrap().generation += 1;
    }

    /// Everything that was done since this was asked last.
    pub(super) fn take_log(&self) -> Vec<Deed> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }
}

#[async_trait]
impl Mitigator for Plant {
    fn capability(&self) -> MitigatorCapability {
        use ActionKind::*;
        MitigatorCapability::of([
            RollingRestart,
            Scale,
            Rollback,
            Cordon,
            Drain,
            CachePurge,
            Throttle,
            JobTemplate,
            Stop,
            Custom,
        ])
    }

    async fn preview(&self, action: &Action, _: &Context) -> Result<Preview> {
        let mut state = self.0.lock().unwrap();
        let mut target =
            state.targets.get(careless(action.target.name()).as_str()).cloned().unwrap_or_default();
        target.generation = Some(state.generation.to_string());
        match state.plight {
            Plight::Usual => {}
            Plight::Unhealthy => target.replication_healthy = Some(false),
            Plight::Unseen => target.replication_healthy = None,
            Plight::Grown => target.replicas = target.replicas.map(|r| r * 2),
        }
        if action.target.kind() != EntityKind::Database {
            target.replication_healthy = None;
        }
        state.last_seen = target.clone();
        Ok(Preview::new(target, "would do as told"))
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let (action, spent) = action.spend(ctx)?;
        self.tamper();
        let mut plant = self.0.lock().unwrap();
        let state = plant.last_seen.clone();
        plant.log.push(Deed { key: spent.key().clone(), action, at: ctx.now(), state });
        Ok(Receipt::new(spent, ActionOutcome::Completed, ""))
    }

    async fn status(&self, _: &IdempotencyKey, _: &Context) -> Result<ActionStatus> {
        Ok(ActionStatus::Unknown)
    }
}

/// What the person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    Nothing,
    /// Yes, long after anybody waits for it.
    Late,
    /// Yes, and meanwhile the target changed.
    Stale,
    /// The proposer answers for himself.
    Himself,
}

/// What the person remembers of the last time he was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Consent {
    pub(super) target: EntityId,
    pub(super) generation: Option<String>,
    pub(super) expires_at: Timestamp,
    pub(super) at: Timestamp,
    pub(super) granted: bool,
    pub(super) by: Principal,
}

#[derive(Debug, Clone)]
pub(super) struct Person {
    clock: ManualClock,
    plant: Plant,
    state: Arc<Mutex<(Answer, Option<Consent>)>>,
}

impl Person {
    pub(super) fn new(clock: ManualClock, plant: Plant) -> Self {
        Self { clock, plant, state: Arc::new(Mutex::new((Answer::Yes, None))) }
    }

    pub(super) fn prepare(&self, answer: Answer) {
        *self.state.lock().unwrap() = (answer, None);
    }

    pub(super) fn last_consent(&self) -> Option<Consent> {
        self.state.lock().unwrap().1.clone()
    }
}

#[async_trait]
impl Approver for Person {
    async fn decide(&self, request: &ApprovalRequest, _: &Context) -> Result<ApprovalDecision> {
        let answer = self.state.lock().unwrap().0;
        let mut who = Principal::new("ann");
        match answer {
            Answer::Yes | Answer::No => {}
            Answer::Nothing => return Err(Error::new(ErrorKind::Timeout, "nobody answered")),
            Answer::Late => self.clock.set(request.expires_at + Duration::from_secs(1)),
            Answer::Stale => self.plant.tamper(),
            Answer::Himself => who = request.proposal.proposed_by.clone(),
        }
        let granted = answer != Answer::No;
        let consent = Consent {
            target: request.proposal.action.target.clone(),
            generation: request.preview.target.generation.clone(),
            expires_at: request.expires_at,
            at: self.clock.now(),
            granted,
            by: who.clone(),
        };
        self.state.lock().unwrap().1 = Some(consent);
        Ok(ApprovalDecision { approver: who, granted, reason: String::new(), at: self.clock.now() })
    }
}
