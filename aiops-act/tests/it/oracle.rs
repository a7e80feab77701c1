//! Random histories against naive oracles that keep books of their own.

use aiops_act::guards::{
    ActionCap, BreakerConfig, CapConfig, CircuitBreaker, Cooldown, RateSpike, SpikeConfig,
};
use aiops_core::action::{ActionKind, ActionOutcome, Proposal};
use aiops_core::model::{EntityId, Recovery};
use aiops_core::seam::Guardrail;
use proptest::prelude::*;

use crate::support::{World, allowed, forged_undoing, propose, restart_of, rollback_of, secs, undoing};

const TARGETS: [&str; 3] = ["gateway", "orders", "inventory"];
const INCIDENTS: [&str; 2] = ["inc-1", "inc-2"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wish {
    Restart,
    Rollback,
    Forged,
    /// Of the last roll-back on the target in the incident, if it can be.
    Undo,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Helped,
    DidNotHelp,
    Unclear,
    Unverified,
    Failed,
    NotStarted,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    at: i64,
    wish: Wish,
    target: usize,
    incident: usize,
    cooldown: u64,
    end: End,
}

fn step() -> impl Strategy<Value = Step> {
    let wish = prop_oneof![Just(Wish::Restart), Just(Wish::Rollback), Just(Wish::Forged), Just(Wish::Undo)];
    let end = prop_oneof![
        Just(End::Helped),
        Just(End::DidNotHelp),
        Just(End::Unclear),
        Just(End::Unverified),
        Just(End::Failed),
        Just(End::NotStarted)
    ];
    (0..2000_i64, wish, 0..TARGETS.len(), 0..INCIDENTS.len(), 0..900_u64, end).prop_map(
        |(at, wish, target, incident, cooldown, end)| Step { at, wish, target, incident, cooldown, end },
    )
}

/// A line in the oracle's books.
#[derive(Debug, Clone)]
struct Line {
    step: Step,
    kind: ActionKind,
    /// A proven undoing.
    own: bool,
    cooldown: u64,
    proposal: Proposal,
    undone: bool,
}

impl Line {
    fn counts(&self) -> bool {
        self.step.end != End::NotStarted
    }
}

fn write(world: &World, books: &mut Vec<Line>, n: usize, step: Step) {
    world.go_to(step.at);
    let (target, incident) = (EntityId::service(TARGETS[step.target]), INCIDENTS[step.incident]);
    let id = format!("p{n}");
    let cool = |action: aiops_core::action::Action| action.with_cooldown(secs(step.cooldown));
    let latest = books.iter().rposition(|l| {
        l.step.target == step.target
            && l.step.incident == step.incident
            && l.kind == ActionKind::Rollback
            && !l.own
            && l.counts()
            && l.step.end != End::Helped
            && !l.undone
            && (step.at - l.step.at).max(0) <= 1800
    });
    let (proposal, kind, own, cooldown) = match (step.wish, latest) {
        (Wish::Restart, _) | (Wish::Undo, None) => (
            propose(&id, incident, cool(restart_of(target))),
            ActionKind::RollingRestart,
            false,
            step.cooldown,
        ),
        (Wish::Rollback, _) => {
            (propose(&id, incident, cool(rollback_of(target))), ActionKind::Rollback, false, step.cooldown)
        }
        (Wish::Forged, _) => {
            let forged = forged_undoing(&id, incident, cool(restart_of(target)));
            (forged, ActionKind::RollingRestart, false, step.cooldown)
        }
        (Wish::Undo, Some(i)) => {
            let mut undo = undoing(&books[i].proposal);
            undo.id = aiops_core::action::ProposalId::new(id);
            books[i].undone |= step.end != End::NotStarted;
            (undo, ActionKind::Rollback, true, 300)
        }
    };
    match step.end {
        End::Helped => drop(world.done(&proposal, Some(Recovery::Recovered))),
        End::DidNotHelp => drop(world.done(&proposal, Some(Recovery::NotRecovered))),
        End::Unclear => drop(world.done(&proposal, Some(Recovery::Inconclusive))),
        End::Unverified => drop(world.done(&proposal, None)),
        End::Failed => world.failed(&proposal),
        End::NotStarted => {
            let key = world.intend(&proposal);
            world.settle(&key, ActionOutcome::NotStarted { reason: "no".into() });
        }
    }
    books.push(Line { step, kind, own, cooldown, proposal, undone: false });
}

fn since(line: &Line, now: i64) -> u64 {
    u64::try_from(now - line.step.at).unwrap_or(0)
}

fn cap_allows(books: &[Line], incident: usize, limit: usize) -> bool {
    books.iter().filter(|l| l.counts() && !l.own && l.step.incident == incident).count() < limit
}

fn cooldown_allows(books: &[Line], probe: Step, kind: ActionKind) -> bool {
    books
        .iter()
        .filter(|l| l.counts() && l.step.target == probe.target && l.kind == kind)
        .all(|l| since(l, probe.at) >= l.cooldown && since(l, probe.at) >= probe.cooldown)
}

fn spike_allows(books: &[Line], now: i64, actions: usize, window: u64) -> bool {
    books.iter().filter(|l| l.counts() && since(l, now) <= window).count() < actions
}

fn breaker_allows(books: &[Line], now: i64, failures: usize, open_for: u64) -> bool {
    let mut row: Vec<&Line> = Vec::new();
    for line in books.iter().filter(|l| !l.own) {
        match line.step.end {
            End::Helped => row.clear(),
            End::DidNotHelp | End::Failed => row.push(line),
            End::Unclear | End::Unverified | End::NotStarted => {}
        }
    }
    row.len() < failures || row.iter().all(|l| since(l, now) >= open_for)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn guards_agree_with_the_books(
        steps in prop::collection::vec(step(), 0..25),
        probe in step(),
        limit in 1..6_usize,
        span in 1..1500_u64,
    ) {
        let world = World::new();
        let mut books = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            write(&world, &mut books, n, step);
        }
        world.go_to(probe.at);
        let target = EntityId::service(TARGETS[probe.target]);
        let (action, kind) = match probe.wish {
            Wish::Rollback => (rollback_of(target), ActionKind::Rollback),
            Wish::Restart | Wish::Forged | Wish::Undo => (restart_of(target), ActionKind::RollingRestart),
        };
        let proposal = propose("probe", INCIDENTS[probe.incident], action.with_cooldown(secs(probe.cooldown)));
        let says = |guard: &dyn Guardrail| allowed(&world.judge(guard, &proposal));

        let cap = ActionCap::new(CapConfig { remedies: limit, reverts: 3 }).unwrap();
        prop_assert_eq!(says(&cap), cap_allows(&books, probe.incident, limit), "cap");
        prop_assert_eq!(says(&Cooldown), cooldown_allows(&books, probe, kind), "cooldown");
        let spike = RateSpike::new(SpikeConfig { actions: limit, window: secs(span) }).unwrap();
        prop_assert_eq!(says(&spike), spike_allows(&books, probe.at, limit, span), "spike");
        let breaker = CircuitBreaker::new(BreakerConfig { failures: limit, open_for: secs(span) }).unwrap();
        prop_assert_eq!(says(&breaker), breaker_allows(&books, probe.at, limit, span), "breaker");
    }

    /// The allowance for undoing: counted apart, and only by what truly was one.
    #[test]
    fn undoings_are_counted_apart(steps in prop::collection::vec(step(), 1..25), limit in 0..4_usize) {
        let world = World::new();
        let mut books = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            write(&world, &mut books, n, step);
        }
        world.go_to(2000);
        let done = propose("last", INCIDENTS[0], rollback_of(EntityId::service("store")));
        world.done(&done, Some(Recovery::NotRecovered));
        let used = books.iter().filter(|l| l.own && l.counts() && l.step.incident == 0).count();
        let cap = ActionCap::new(CapConfig { remedies: 1, reverts: limit }).unwrap();
        prop_assert_eq!(allowed(&world.judge(&cap, &undoing(&done))), used < limit);
    }
}
