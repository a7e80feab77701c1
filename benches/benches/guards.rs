//! What a decision costs as rules and history grow. `cargo bench -p aiops-benches --bench guards`
//!
//! A decision is the whole of `GuardChain::authorize`: twelve guards heard twice, on the history of the journal, to a minted right. Times are of
//! single decisions, so that a percentile can be told.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints a table; the inputs are constant"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use aiops_act::guards::{
    ActionCap, AllowList, AllowRule, BlastRadiusCap, BreakerConfig, CircuitBreaker, ConfidenceBands,
    Cooldown, HardRules, OneAtATime, Pattern, RateSpike, RiskTiers, RollbackRequired, SpikeConfig,
};
use aiops_act::policy::{Policy, PolicyTable};
use aiops_core::Context;
use aiops_core::action::{
    Action, ActionKind, ActionOutcome, BlastRadius, IncidentId, JournalEntry, Mode, Operation, Principal,
    Proposal, ProposalId, RollbackPlan, Share,
};
use aiops_core::fake::{InMemoryJournal, InMemoryMitigator, SimulatedWorkload};
use aiops_core::guard::{ChainConfig, GuardChain};
use aiops_core::model::{Confidence, EntityId, EntityKind, Recovery};
use aiops_core::seam::Journal;
use aiops_testkit::sample;
use futures_lite::future::block_on;

/// Targets that the history is about; each incident has five actions.
const TARGETS: usize = 200;
const DECISIONS: usize = 20_000;

fn target(n: usize) -> EntityId {
    EntityId::service(format!("service-{}", n % TARGETS))
}

fn restart(id: &str, incident: usize, n: usize) -> Proposal {
    let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.01).unwrap() };
    let operation = Operation::RollingRestart { max_unavailable: 1, max_surge: 0 };
    let action = Action::new(operation, target(n), radius)
        .with_rollback(RollbackPlan::NotNeeded { reason: "starts anew".to_owned() })
        .with_cooldown(Duration::ZERO);
    let incident = IncidentId::new(format!("incident-{incident}"));
    let sure = Confidence::calibrated(0.95, "bench").unwrap();
    Proposal::new(ProposalId::new(id), incident, action, Principal::new("planner"), sure, "it leaks")
}

/// A journal of `n` actions within the last hour; none helped, so that the breaker finds no early end.
fn journal(n: usize, mitigator: &InMemoryMitigator, ctx: &Context) -> InMemoryJournal {
    let journal = InMemoryJournal::new();
    let chain = sample::chain(journal.clone()).unwrap();
    for i in 0..n {
        block_on(async {
            let right = chain.authorize(restart(&format!("h{i}"), i / 5, i), mitigator, ctx).await.unwrap();
            let key = right.key().clone();
            drop(right.record(ctx).await.unwrap());
            let entries = [
                JournalEntry::Outcome { key: key.clone(), outcome: ActionOutcome::Completed, at: ctx.now() },
                JournalEntry::Verified { key, recovery: Recovery::NotRecovered, at: ctx.now() },
            ];
            for entry in entries {
                journal.append(&entry, None, ctx).await.unwrap();
            }
        });
    }
    journal
}

/// `n` rules of each kind; one in a hundred is about all names with a beginning.
fn rules(n: usize) -> (AllowList, PolicyTable) {
    let name = |i: usize| if i % 100 == 99 { format!("service-{i}x*") } else { format!("service-{i}") };
    let allow = (0..n).map(|i| AllowRule {
        id: format!("a{i}"),
        actions: BTreeSet::from([ActionKind::RollingRestart]),
        target_kind: EntityKind::Service,
        targets: vec![Pattern::new(name(i)).unwrap()],
    });
    let policy: Vec<_> = (0..n)
        .map(|i| serde_json::json!({ "id": format!("p{i}"), "effect": "allow", "targets": { "service": [name(i)] } }))
        .collect();
    let policy: Policy = serde_json::from_value(serde_json::json!({ "rules": policy })).unwrap();
    (AllowList::new(allow.collect()).unwrap(), PolicyTable::new(&policy).unwrap())
}

fn chain(of_rules: usize, journal: InMemoryJournal) -> GuardChain {
    let (allow_list, policy) = rules(of_rules);
    // The limits are beyond what the history holds, so that every guard looks at all it must and the right is minted.
    let spike = SpikeConfig { actions: 1_000_000, ..SpikeConfig::default() };
    let breaker = BreakerConfig { failures: 100, open_for: Duration::from_nanos(1) };
    GuardChain::builder(journal)
        .guard(allow_list)
        .guard(policy)
        .guard(HardRules)
        .guard(RiskTiers::default())
        .guard(ConfidenceBands::default())
        .guard(ActionCap::default())
        .guard(Cooldown)
        .guard(RateSpike::new(spike).unwrap())
        .guard(CircuitBreaker::new(breaker).unwrap())
        .guard(BlastRadiusCap::default())
        .guard(RollbackRequired)
        .guard(OneAtATime)
        .config(ChainConfig::in_mode(Mode::Auto))
        .build()
        .unwrap()
}

/// Median, 99th percentile and mean of the time of a decision.
fn measure(rules: usize, actions: usize) -> [Duration; 3] {
    let ctx = Context::system();
    let add = |m: InMemoryMitigator, n| m.with(target(n), SimulatedWorkload::new(3, "r1"));
    let mitigator = (0..TARGETS).fold(InMemoryMitigator::new(), add);
    let chain = chain(rules, journal(actions, &mitigator, &ctx));
    let mut times: Vec<Duration> = (0..DECISIONS)
        .map(|i| {
            let proposal = restart(&format!("d{i}"), 1_000_000 + i, i % rules.min(99));
            let began = Instant::now();
            let right = block_on(chain.authorize(proposal, &mitigator, &ctx));
            let took = began.elapsed();
            drop(black_box(right.unwrap()));
            took
        })
        .skip(DECISIONS / 10)
        .collect();
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap();
    [at(50), at(99), mean]
}

fn main() {
    // `cargo test --benches` only wants to see it run.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    println!("{:>7} {:>8} {:>10} {:>10} {:>10}", "rules", "actions", "median", "p99", "mean");
    let sizes = [(10, 100), (100, 100), (1_000, 100), (1_000, 1_000), (1_000, 10_000), (10, 10_000)];
    for (rules, actions) in sizes {
        let [median, p99, mean] = measure(rules, actions);
        println!("{rules:>7} {actions:>8} {median:>10.1?} {p99:>10.1?} {mean:>10.1?}");
    }
}
