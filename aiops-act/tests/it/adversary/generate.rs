//! Plans that are honest but for one or two tricks.

use std::time::Duration;

use aiops_core::action::{
    Action, BlastRadius, IdempotencyKey, IncidentId, Operation, Precondition, Principal, Proposal,
    ProposalId, Risk, RollbackPlan, Share,
};
use aiops_core::model::{Confidence, EntityId, EntityKind, Recovery};
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::json;

use super::plant::{Answer, Plight};

/// What is wrong with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trick {
    LookAlike,
    PathName,
    OtherKind,
    UnlistedTarget,
    OtherEnvironment,
    OtherPrincipal,
    OtherOperation,
    CustomInDisguise,
    Understated,
    Oversize,
    AbsurdNumber,
    NotANumber,
    Unsure,
    Uncalibrated,
    NoWayBack,
    FalseWayBack,
    RiskyWayBack,
    NoCooldown,
    SickDatabase,
    GrownTarget,
    UnknownSize,
    StaleApproval,
    LateApproval,
    SelfApproval,
    NoApproval,
    Replay,
    SameIdOtherAction,
    ForgedUndoing,
    TrueUndoing,
    ExpiredRight,
    ClockSetBack,
    KilledRight,
    RevokedRight,
    FalsePrecondition,
    LoweredRisk,
}

impl Trick {
    pub(super) const ALL: [Self; 35] = [
        Self::LookAlike,
        Self::PathName,
        Self::OtherKind,
        Self::UnlistedTarget,
        Self::OtherEnvironment,
        Self::OtherPrincipal,
        Self::OtherOperation,
        Self::CustomInDisguise,
        Self::Understated,
        Self::Oversize,
        Self::AbsurdNumber,
        Self::NotANumber,
        Self::Unsure,
        Self::Uncalibrated,
        Self::NoWayBack,
        Self::FalseWayBack,
        Self::RiskyWayBack,
        Self::NoCooldown,
        Self::SickDatabase,
        Self::GrownTarget,
        Self::UnknownSize,
        Self::StaleApproval,
        Self::LateApproval,
        Self::SelfApproval,
        Self::NoApproval,
        Self::Replay,
        Self::SameIdOtherAction,
        Self::ForgedUndoing,
        Self::TrueUndoing,
        Self::ExpiredRight,
        Self::ClockSetBack,
        Self::KilledRight,
        Self::RevokedRight,
        Self::FalsePrecondition,
        Self::LoweredRisk,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interruption {
    None,
    /// The right has expired.
    Late,
    /// The clock is set back by more than the life of the right.
    LongBack,
    Kill,
    Revoke,
}

/// A proposal and what happens around it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) proposal: Proposal,
    pub(super) tricks: Vec<Trick>,
    pub(super) wait: Duration,
    pub(super) answer: Answer,
    pub(super) plight: Plight,
    pub(super) before_record: Interruption,
    pub(super) before_execute: Interruption,
    pub(super) leave_open: bool,
    pub(super) breaks: bool,
    pub(super) recovery: Option<Recovery>,
}

/// What the plans of one world have in common.
#[derive(Debug)]
pub(super) struct Flavour {
    incidents: u64,
    longest_wait: u64,
    /// Of ten remedies, how many help.
    helpful: u64,
    on_friday: bool,
    honesty: f64,
}

/// Names that look like those listed, in other scripts, normal forms and with marks nobody sees.
const LOOK_ALIKES: [&str; 9] = [
    "оrders",
    "ｏrders",
    "order\u{200b}s",
    "orders\u{feff}",
    "ORDERS",
    "cafe\u{301}",
    "gatewаy",
    "ѕhop-a",
    "lеdger",
];
const PATHS: [&str; 10] = [
    "../orders",
    "orders/",
    "prod/orders",
    "orders/../ledger",
    "orders\0",
    "orders ",
    "./gateway",
    "shop\\shop-a",
    "//orders",
    "%2e%2e/orders",
];
const HONEST: [&str; 5] = ["orders", "gateway", "café", "shop-a", "shop-c"];

impl Flavour {
    pub(super) fn of(random: &mut Rng) -> Self {
        Self {
            incidents: [2, 10, 80][random.usize(0..3)],
            longest_wait: [30, 120, 900][random.usize(0..3)],
            helpful: [1, 7, 9][random.usize(0..3)],
            on_friday: random.u8(0..8) == 0,
            honesty: [0.2, 0.9][random.usize(0..2)],
        }
    }

    pub(super) fn start(&self) -> Timestamp {
        let start = if self.on_friday { "2026-03-06T15:00:00Z" } else { "2026-03-03T08:00:00Z" };
        start.parse().unwrap()
    }

    /// The plan number `n`; `before` are the proposals of this world so far.
    pub(super) fn plan(&self, n: u64, before: &[Proposal], random: &mut Rng) -> Plan {
        let recovery = match random.u64(0..10) {
            n if n < self.helpful => Some(Recovery::Recovered),
            9 => Some(Recovery::Inconclusive),
            _ => Some(Recovery::NotRecovered),
        };
        let mut plan = Plan {
            proposal: self.honest(n, random),
            tricks: Vec::new(),
            wait: Duration::from_secs(random.u64(0..=self.longest_wait)),
            answer: Answer::Yes,
            plight: Plight::Usual,
            before_record: Interruption::None,
            before_execute: Interruption::None,
            leave_open: random.u8(0..12) == 0,
            breaks: random.u8(0..4) == 0,
            recovery,
        };
        if random.f64() >= self.honesty {
            for _ in 0..=usize::from(random.u8(0..4) == 0) {
                let trick = Trick::ALL[random.usize(0..Trick::ALL.len())];
                plan.play(trick, before, random);
                plan.tricks.push(trick);
            }
        }
        plan
    }

    fn honest(&self, n: u64, random: &mut Rng) -> Proposal {
        let target = EntityId::service(HONEST[random.usize(0..HONEST.len())]);
        let not_needed = RollbackPlan::NotNeeded { reason: "the same revision starts anew".to_owned() };
        let (operation, rollback) = match random.u8(0..6) {
            0 => (Operation::Scale { replicas: 5 }, back(Operation::Scale { replicas: 4 })),
            1 => (
                Operation::Rollback { to: "r1".to_owned() },
                back(Operation::Rollback { to: "r2".to_owned() }),
            ),
            _ => (Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }, not_needed),
        };
        let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1).unwrap() };
        let action = Action::new(operation, target, radius).with_rollback(rollback);
        Proposal::new(
            ProposalId::new(format!("p{n}")),
            IncidentId::new(format!("inc{}", random.u64(0..self.incidents))),
            action.with_cooldown(Duration::from_secs(120)),
            Principal::new("planner"),
            Confidence::calibrated(0.95, "test").unwrap(),
            "it leaks",
        )
    }
}

fn back(operation: Operation) -> RollbackPlan {
    RollbackPlan::Operation(Box::new(operation))
}

fn any<'a, T: ?Sized>(of: &[&'a T], random: &mut Rng) -> &'a T {
    of[random.usize(0..of.len())]
}

impl Plan {
    fn aim(&mut self, name: &str) {
        self.proposal.action.target = EntityId::service(name);
    }

    fn interrupt(&mut self, how: Interruption, random: &mut Rng) {
        if random.bool() {
            self.before_record = how;
        } else {
            self.before_execute = how;
        }
    }

    /// A roll-back is of medium risk and so needs a person.
    fn make_it_ask(&mut self, answer: Answer) {
        self.proposal.action.operation = Operation::Rollback { to: "r1".to_owned() };
        self.proposal.action.rollback = back(Operation::Rollback { to: "r2".to_owned() });
        self.answer = answer;
    }

    fn play(&mut self, trick: Trick, before: &[Proposal], random: &mut Rng) {
        let restart = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
        let action = &mut self.proposal.action;
        match trick {
            Trick::LookAlike => self.aim(any(&LOOK_ALIKES, random)),
            Trick::PathName => self.aim(any(&PATHS, random)),
            Trick::OtherKind => {
                let kinds = [EntityKind::Pod, EntityKind::Node, EntityKind::Database, EntityKind::Tenant];
                action.target = EntityId::new(kinds[random.usize(0..kinds.len())], action.target.name());
            }
            Trick::UnlistedTarget => {
                self.aim(any(&["ledger", "shop", "order", "orders2", "", "*", "hop-a"], random))
            }
            Trick::OtherEnvironment => {
                self.aim(any(&["shop-pay", "shop-pay/../shop-a", "shop-pay-eu"], random))
            }
            Trick::OtherPrincipal => {
                let who = any(&["root", "planner ", "Planner", "planner\u{200b}", "intern", ""], random);
                self.proposal.proposed_by = Principal::new(who);
            }
            Trick::OtherOperation => {
                let all = [
                    Operation::Stop,
                    Operation::Drain,
                    Operation::Cordon,
                    Operation::CachePurge,
                    Operation::Scale { replicas: 0 },
                    Operation::Throttle { to: Share::new(0.1).unwrap() },
                ];
                action.operation = all[random.usize(0..all.len())].clone();
            }
            Trick::CustomInDisguise => {
                let (name, parameters) =
                    ("rolling_restart".to_owned(), [("force".to_owned(), "1".to_owned())].into());
                action.operation = if random.bool() {
                    Operation::Custom { name, parameters }
                } else {
                    Operation::JobTemplate { template: name, variables: parameters }
                };
            }
            Trick::Understated => {
                action.operation = restart;
                action.rollback = RollbackPlan::NotNeeded { reason: "starts anew".to_owned() };
                action.blast_radius.replicas = random.u32(0..2);
                self.aim(any(&["huge", "shop-b", "shop-wide", "shop-lone"], random));
            }
            Trick::Oversize => {
                action.blast_radius.replicas = [7, 11, 1000][random.usize(0..3)];
                action.blast_radius.share_of_fleet = Share::new(random.f64()).unwrap();
            }
            Trick::AbsurdNumber => {
                action.operation =
                    Operation::Scale { replicas: [u32::MAX, 1 << 31, 4000][random.usize(0..3)] };
                action.rollback = back(Operation::Scale { replicas: 4 });
            }
            Trick::NotANumber => self.smuggle_numbers(random),
            Trick::Unsure => {
                let p = [0.0, 0.3, 0.649_999][random.usize(0..3)];
                self.proposal.confidence = Confidence::calibrated(p, "test").unwrap();
            }
            Trick::Uncalibrated => {
                self.proposal.confidence = Confidence::uncalibrated(0.99).unwrap();
                self.answer = [Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)];
            }
            Trick::NoWayBack => {
                action.rollback = RollbackPlan::Impossible;
                self.answer = [Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)];
            }
            Trick::FalseWayBack => {
                action.rollback = match random.u8(0..2) {
                    0 => RollbackPlan::NotNeeded { reason: " \t".to_owned() },
                    _ => back(action.operation.clone()),
                };
                self.answer = [Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)];
            }
            Trick::RiskyWayBack => {
                action.rollback = back(
                    [Operation::Stop, Operation::Drain, Operation::Scale { replicas: 0 }][random.usize(0..3)]
                        .clone(),
                );
                self.answer = [Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)];
            }
            Trick::NoCooldown => action.cooldown = Duration::ZERO,
            Trick::SickDatabase => {
                action.operation = restart;
                action.target = EntityId::new(EntityKind::Database, "ledger");
                action.rollback = RollbackPlan::NotNeeded { reason: "starts anew".to_owned() };
                self.plight = [Plight::Unhealthy, Plight::Unseen, Plight::Usual][random.usize(0..3)];
            }
            Trick::GrownTarget => {
                self.aim("shop-b");
                self.plight = Plight::Grown;
            }
            Trick::UnknownSize => {
                self.aim("murky");
                self.answer = [Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)];
            }
            Trick::StaleApproval => self.make_it_ask(Answer::Stale),
            Trick::LateApproval => self.make_it_ask(Answer::Late),
            Trick::SelfApproval => self.make_it_ask(Answer::Himself),
            Trick::NoApproval => self.make_it_ask(if random.bool() { Answer::No } else { Answer::Nothing }),
            Trick::Replay => {
                if let Some(known) = random.choice(before) {
                    self.proposal = known.clone();
                }
            }
            Trick::SameIdOtherAction => {
                if let Some(known) = random.choice(before) {
                    self.proposal.id = known.id.clone();
                    self.proposal.incident = known.incident.clone();
                }
            }
            Trick::ForgedUndoing => {
                let of = match random.choice(before) {
                    Some(known) if random.bool() => known.idempotency_key().unwrap(),
                    _ => IdempotencyKey::new("nothing"),
                };
                self.proposal = self.proposal.clone().reverting(of);
            }
            Trick::TrueUndoing => {
                let undoable = before.iter().rev().take(6).find_map(|p| match &p.action.rollback {
                    RollbackPlan::Operation(operation) => Some((p, (**operation).clone())),
                    _ => None,
                });
                if let Some((known, operation)) = undoable {
                    let mut undo = known.clone();
                    undo.id = ProposalId::new(format!("{}-revert", known.id));
                    undo.action.operation = operation;
                    undo.action.rollback = RollbackPlan::Impossible;
                    self.proposal = undo.reverting(known.idempotency_key().unwrap());
                }
            }
            Trick::ExpiredRight => self.interrupt(Interruption::Late, random),
            Trick::ClockSetBack => self.interrupt(Interruption::LongBack, random),
            Trick::KilledRight => self.interrupt(Interruption::Kill, random),
            Trick::RevokedRight => self.interrupt(Interruption::Revoke, random),
            Trick::FalsePrecondition => {
                let all = [
                    Precondition::ReadyReplicas(1000),
                    Precondition::Revision("r9".to_owned()),
                    Precondition::ReplicationHealthy,
                ];
                action.preconditions.push(all[random.usize(0..all.len())].clone());
            }
            Trick::LoweredRisk => {
                self.make_it_ask([Answer::Yes, Answer::No, Answer::Nothing][random.usize(0..3)]);
                self.proposal.action.raised_risk = Some(Risk::Low);
            }
        }
    }

    /// Numbers that are none, as they could come in by a file; what can be read is used.
    fn smuggle_numbers(&mut self, random: &mut Rng) {
        let odd = ["NaN", "1e999", "-1e999", "-0.5", "1.0000001", "-0.0", "1e-320", "null", "\"0.9\""];
        let number = any(&odd, random);
        if let Ok(share) = serde_json::from_str::<Share>(number) {
            self.proposal.action.blast_radius.share_of_fleet = share;
        }
        let known = serde_json::to_string(&Confidence::calibrated(0.95, "test").unwrap()).unwrap();
        let confidence = known.replace("0.95", number);
        if let Ok(confidence) = serde_json::from_str::<Confidence>(&confidence) {
            self.proposal.confidence = confidence;
        }
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.1] {
            assert!(Share::new(float).is_err() && Confidence::calibrated(float, "test").is_err(), "{float}");
        }
        let replicas = any(&["4294967296", "-1", "1.5", "4294967295"], random);
        let radius = format!(r#"{{"replicas": {replicas}, "share_of_fleet": 0.1}}"#);
        if let Ok(radius) = serde_json::from_str::<BlastRadius>(&radius) {
            self.proposal.action.blast_radius = radius;
        }
        // Fields nobody knows are not ignored.
        let mut unknown = serde_json::to_value(&self.proposal).unwrap();
        unknown["approved"] = json!(true);
        assert!(serde_json::from_value::<Proposal>(unknown).is_err());
    }
}
