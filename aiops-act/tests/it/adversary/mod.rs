//! A million hostile plans against the default guards and a policy: nothing runs that the policy does not allow.
//!
//! [`plant`] is what is acted on; it resolves names as sloppily as it can, so that whatever a guard lets through hits something.
//! [`generate`] makes plans that are honest but for one or two tricks. [`oracle`] judges what ran, from the plant's own log and the
//! person's own memory, and shares no code with the guards. With one guard taken out the same plans must hit what it guards.
//!
//! `AIOPS_PLANS` (default 20,000) and `AIOPS_PLANS_SEED` (default 1) choose the run; `scripts/adversary.sh` runs 1,000,000.

mod generate;
mod oracle;
mod plant;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aiops_act::PolicyTable;
use aiops_act::guards::{
    ActionCap, AllowList, BlastRadiusCap, CircuitBreaker, ConfidenceBands, Cooldown, HardRules, OneAtATime,
    RateSpike, RiskTiers, RollbackRequired,
};
use aiops_core::action::{ActionOutcome, JournalEntry, Mode, Principal, Proposal};
use aiops_core::fake::InMemoryJournal;
use aiops_core::guard::{ChainConfig, GuardChain, KillSwitch, Revocations};
use aiops_core::model::{Recovery, time};
use aiops_core::seam::{Guardrail, Journal, Mitigator};
use aiops_core::{Clock, Context, ManualClock};
use futures_lite::future::block_on;

use self::generate::{Flavour, Interruption, Plan, Trick};
use self::oracle::{Books, Run};
use self::plant::{Deed, Person, Plant};

/// Right to restart, scale and roll back the shop; to restart the ledger's database; nothing else.
const ALLOWED: &str = r#"[
  {"id": "shop", "actions": ["rolling_restart", "scale", "rollback", "throttle"], "target_kind": "service",
   "targets": ["orders", "gateway", "café", "huge", "murky", "shop-*"]},
  {"id": "ledger", "actions": ["rolling_restart"], "target_kind": "database", "targets": ["ledger"]}
]"#;

/// The planner may touch up to six copies of anything, but for the payment shop, and nothing on Friday evenings.
const POLICY: &str = r#"
[groups.payment]
service = ["shop-pay*"]

[[rules]]
id = "planner"
effect = "allow"
principals = ["planner"]
max_replicas = 6

[[rules]]
id = "payment"
effect = "deny"
groups = ["payment"]

[[rules]]
id = "freeze"
effect = "deny"
during = { days = ["friday"], from = "16:00:00", to = "00:00:00" }
"#;

const GUARDS: [&str; 12] = [
    "allow-list",
    "policy",
    "hard-rules",
    "risk-tiers",
    "confidence-bands",
    "action-cap",
    "cooldown",
    "rate-spike",
    "circuit-breaker",
    "blast-radius",
    "rollback-required",
    "one-at-a-time",
];

/// The guards by name, checked once: to parse a policy for every world would be most of the work.
fn guards() -> BTreeMap<&'static str, Arc<dyn Guardrail>> {
    let all: [Arc<dyn Guardrail>; 12] = [
        Arc::new(AllowList::new(serde_json::from_str(ALLOWED).unwrap()).unwrap()),
        Arc::new(PolicyTable::new(&toml::from_str(POLICY).unwrap()).unwrap()),
        Arc::new(HardRules),
        Arc::new(RiskTiers::default()),
        Arc::new(ConfidenceBands::default()),
        Arc::new(ActionCap::default()),
        Arc::new(Cooldown),
        Arc::new(RateSpike::default()),
        Arc::new(CircuitBreaker::default()),
        Arc::new(BlastRadiusCap::default()),
        Arc::new(RollbackRequired),
        Arc::new(OneAtATime),
    ];
    let named: BTreeMap<_, _> = GUARDS.into_iter().zip(all).collect();
    assert!(named.iter().all(|(name, guard)| guard.id().0 == *name), "names are those of the guards");
    named
}

/// Rights live this long.
const LIFE: Duration = Duration::from_secs(30);

/// A chain over a journal, a plant and a person, for some tens of plans.
struct World {
    clock: ManualClock,
    ctx: Context,
    journal: InMemoryJournal,
    plant: Plant,
    person: Person,
    kill_switch: KillSwitch,
    revocations: Revocations,
    chain: GuardChain,
    books: Books,
    proposals: Vec<Proposal>,
}

#[derive(Debug, Default)]
struct Tally {
    plans: u64,
    ran: u64,
    tricks: BTreeMap<Trick, u64>,
    refused_by: BTreeMap<String, u64>,
    stopped_later: u64,
    /// Ran and failed, so that nobody verified them.
    broke: u64,
}

impl World {
    fn new(
        guards: &BTreeMap<&'static str, Arc<dyn Guardrail>>,
        without: Option<&str>,
        flavour: &Flavour,
    ) -> Self {
        let clock = ManualClock::at(flavour.start());
        let (journal, plant) = (InMemoryJournal::new(), Plant::new());
        let person = Person::new(clock.clone(), plant.clone());
        let (kill_switch, revocations) = (KillSwitch::new(), Revocations::new());
        let mut config = ChainConfig::in_mode(Mode::Auto);
        config.token_life = LIFE;
        let mut kept = guards.iter().filter(|(name, _)| Some(**name) != without);
        let (_, first) = kept.next().expect("a guard");
        let mut chain = GuardChain::builder(journal.clone()).guard(Arc::clone(first));
        for (_, guard) in kept {
            chain = chain.guard(Arc::clone(guard));
        }
        let chain = chain
            .approver(person.clone())
            .kill_switch(kill_switch.clone())
            .revocations(revocations.clone())
            .config(config)
            .build()
            .unwrap();
        Self {
            ctx: Context::new(Arc::new(clock.clone())),
            clock,
            journal,
            plant,
            person,
            kill_switch,
            revocations,
            chain,
            books: Books::default(),
            proposals: Vec::new(),
        }
    }

    /// What comes between two steps of an action.
    fn interrupt(&self, how: Interruption, plan: &Plan) {
        match how {
            Interruption::None => {}
            Interruption::Late => self.clock.advance(LIFE),
            Interruption::LongBack => self.clock.set(time::before(self.clock.now(), LIFE * 2)),
            Interruption::Kill => self.kill_switch.engage(&Principal::new("operator"), "enough"),
            Interruption::Revoke => {
                if let Ok(key) = plan.proposal.idempotency_key() {
                    self.revocations.revoke(key, self.clock.now());
                }
            }
        }
    }

    /// Tries to get `plan` through; the oracle's objections to what was done to the plant meanwhile.
    fn attempt(&mut self, plan: &Plan, tally: &mut Tally) -> Vec<&'static str> {
        let run = self.pursue(plan, tally);
        let mut deeds = self.plant.take_log();
        match (run, deeds.pop()) {
            (_, Some(_)) if !deeds.is_empty() => vec!["it was done more than once"],
            (None, Some(_)) => vec!["it was done though it was refused"],
            (Some(_), None) => vec!["what is said to have been done was not"],
            (None, None) => Vec::new(),
            (Some(run), Some(deed)) => self.books.judge_and_enter(run(deed)),
        }
    }

    /// Takes `plan` as far as it gets. If it ran, how to judge what the plant says was done.
    fn pursue(&mut self, plan: &Plan, tally: &mut Tally) -> Option<impl FnOnce(Deed) -> Run + use<>> {
        tally.plans += 1;
        for trick in &plan.tricks {
            *tally.tricks.entry(*trick).or_default() += 1;
        }
        self.clock.advance(plan.wait);
        self.person.prepare(plan.answer);
        self.plant.prepare(plan.plight);
        let authorized = block_on(self.chain.authorize(plan.proposal.clone(), &self.plant, &self.ctx));
        let right = match authorized {
            Ok(right) => right,
            Err(denied) => {
                let by = denied.reason().split(':').next().unwrap_or_default().to_owned();
                *tally.refused_by.entry(by).or_default() += 1;
                return None;
            }
        };
        let minted = self.clock.now();
        self.interrupt(plan.before_record, plan);
        let Ok(intended) = block_on(right.record(&self.ctx)) else {
            tally.stopped_later += 1;
            self.kill_switch.release(&Principal::new("operator"));
            return None;
        };
        let key = intended.key().clone();
        self.interrupt(plan.before_execute, plan);
        let killed = self.kill_switch.is_engaged();
        let ran = block_on(self.plant.execute(intended, &self.ctx));
        let spent = self.clock.now();
        self.kill_switch.release(&Principal::new("operator"));
        let failed = !plan.leave_open && plan.breaks && plan.recovery == Some(Recovery::NotRecovered);
        // What broke is not verified.
        let recovery = plan.recovery.filter(|_| !failed && !plan.leave_open);
        if plan.leave_open && ran.is_ok() {
            // The reply is lost; somebody settles it a few plans later.
            self.books.open = Some((key.clone(), 3));
        } else {
            let outcome = match &ran {
                Ok(_) if failed => ActionOutcome::Failed { reason: "it broke".to_owned() },
                Ok(_) => ActionOutcome::Completed,
                Err(e) => ActionOutcome::NotStarted { reason: e.to_string() },
            };
            self.write(JournalEntry::Outcome { key: key.clone(), outcome, at: spent });
            if let (Ok(_), Some(recovery)) = (&ran, recovery) {
                self.write(JournalEntry::Verified { key: key.clone(), recovery, at: spent });
            }
        }
        if ran.is_err() {
            tally.stopped_later += 1;
            return None;
        }
        tally.ran += 1;
        tally.broke += u64::from(failed);
        let (proposal, consent) = (plan.proposal.clone(), self.person.last_consent());
        let revoked = [plan.before_record, plan.before_execute].contains(&Interruption::Revoke);
        let open = plan.leave_open;
        Some(move |deed| Run { deed, proposal, consent, minted, killed, revoked, open, failed, recovery })
    }

    fn write(&self, entry: JournalEntry) {
        block_on(self.journal.append(&entry, None, &self.ctx)).unwrap();
    }

    /// Settles what was left open long enough.
    fn settle(&mut self) {
        let Some((key, left)) = self.books.open.take() else { return };
        if left > 0 {
            self.books.open = Some((key, left - 1));
            return;
        }
        self.write(JournalEntry::Outcome {
            key: key.clone(),
            outcome: ActionOutcome::Completed,
            at: self.clock.now(),
        });
        self.books.settled(&key);
    }
}

/// Plans of one world.
const PLANS: u64 = 80;

/// Runs plans until there are enough, or until the oracle objects.
fn run(plans: u64, seed: u64, without: Option<&str>) -> (Tally, Option<(Vec<&'static str>, Plan)>) {
    let guards = guards();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tally = Tally::default();
    while tally.plans < plans {
        let flavour = Flavour::of(&mut random);
        let mut world = World::new(&guards, without, &flavour);
        for n in 0..PLANS {
            world.settle();
            let plan = flavour.plan(n, &world.proposals, &mut random);
            let objections = world.attempt(&plan, &mut tally);
            if !objections.is_empty() {
                return (tally, Some((objections, plan)));
            }
            world.proposals.push(plan.proposal);
        }
    }
    (tally, None)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
}

#[test]
fn no_plan_gets_outside_the_policy() {
    let (plans, seed) = (setting("AIOPS_PLANS", 20_000), setting("AIOPS_PLANS_SEED", 1));
    let (tally, violation) = run(plans, seed, None);
    println!(
        "{} plans (seed {seed}), {} ran, {} stopped after they were allowed",
        tally.plans, tally.ran, tally.stopped_later
    );
    println!("tricks: {:?}", tally.tricks);
    println!("refused by: {:?}", tally.refused_by);
    assert!(violation.is_none(), "outside the policy: {violation:#?}");
    assert!(
        tally.ran * 20 > tally.plans,
        "honest plans run, or the guards merely refuse everything: {tally:?}"
    );
    assert_eq!(tally.tricks.len(), Trick::ALL.len(), "every trick was tried");
    assert!(tally.broke * 100 > tally.ran, "remedies broke, which the breaker counts as well: {tally:?}");
    // Two of them never refuse, but ask a person.
    let deny = GUARDS.iter().filter(|g| !["risk-tiers", "rollback-required"].contains(*g));
    let silent: Vec<_> = deny.filter(|g| !tally.refused_by.contains_key(**g)).collect();
    assert!(silent.is_empty(), "never refused anything: {silent:?}");
}

/// A generator that finds nothing proves nothing: without any one guard it hits what that guard is for.
#[test]
fn without_any_one_guard_the_same_plans_get_outside() {
    for without in GUARDS {
        let (tally, violation) = run(200_000, 7, Some(without));
        let (objections, plan) = violation.unwrap_or_else(|| panic!("nothing is missed without {without}"));
        println!("without {without}: after {} plans {:?} by {:?}", tally.plans, objections, plan.tricks);
        assert_eq!(BTreeSet::from_iter(objections), BTreeSet::from([without]), "{plan:#?}");
    }
}
