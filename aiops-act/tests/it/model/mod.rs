//! The life of actions, exhaustively: every order of calls, crashes, lost and late replies, lies, approvals, clock ticks and kills within the
//! stated bounds, for two replicas on one journal, stopped by one kill switch (a file that both watch).
//!
//! [`machine`] is the model, checked by `stateright`. A model proves something of the code only where both agree and something
//! at all only where it can fail: [`real`] takes the same steps with real pipelines, chains, guards and tokens and compares, and
//! [`each_protection_is_needed`] takes one protection away at a time and expects exactly the promises it keeps to break.
//!
//! `AIOPS_MODEL_TROUBLES` sets how many crashes and ticks each scenario has (default 1; 2 takes minutes and wants `--profile testrelease`).
//! `AIOPS_WALKS` sets how many paths are replayed (default 300), `AIOPS_WALKS_SEED` which (default 1).

mod machine;
mod real;
mod state;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use stateright::{Checker, HasDiscoveries, Model};

use self::machine::{PROMISES, Protection, SETTLED, Scenario, TRUTH};
use self::real::Real;
use self::state::{At, Close, Helped, State, Step, Troubles};

/// No trouble but what cannot be had without.
const CALM: Troubles = Troubles {
    crashes: 0,
    ticks: 0,
    kills: 0,
    releases: 0,
    tampers: 0,
    losses: 0,
    deaths: 0,
    failures: 0,
    lies: 0,
    recoveries: 3,
};

fn scenario(name: &'static str, plans: [Vec<Vec<u8>>; 2], troubles: Troubles) -> Scenario {
    Scenario {
        name,
        plans,
        looks: 1,
        cap: 2,
        breaker: false,
        helped: vec![Helped::Yes],
        troubles,
        removed: Vec::new(),
    }
}

/// Crashes and ticks of a scenario.
fn bound() -> u8 {
    u8::try_from(setting("AIOPS_MODEL_TROUBLES", 1)).unwrap()
}

/// Two replicas see one incident and want the same.
fn one_remedy() -> Scenario {
    let troubles = Troubles {
        crashes: bound(),
        ticks: bound(),
        kills: 1,
        releases: 1,
        losses: 1,
        deaths: 1,
        failures: 1,
        ..CALM
    };
    Scenario { looks: 2, ..scenario("one remedy, two replicas", [vec![vec![0]], vec![vec![0]]], troubles) }
}

/// Each replica wants something else of the same target.
fn one_target() -> Scenario {
    let troubles =
        Troubles { crashes: bound(), ticks: bound(), kills: 1, losses: 1, deaths: 1, failures: 1, ..CALM };
    scenario("two remedies for one target", [vec![vec![0]], vec![vec![2]]], troubles)
}

/// One action allowed, two wanted, one of them with a person's consent to a target that changes meanwhile.
fn one_allowed() -> Scenario {
    let troubles = Troubles {
        crashes: bound(),
        ticks: bound(),
        kills: 1,
        tampers: 1,
        losses: 1,
        deaths: 1,
        failures: 1,
        ..CALM
    };
    Scenario { cap: 1, ..scenario("cap and consent", [vec![vec![0]], vec![vec![1, 2]]], troubles) }
}

/// The first remedy may not help; whether a second one follows is for the breaker.
fn two_rounds() -> Scenario {
    let troubles = Troubles { crashes: bound(), ticks: bound(), kills: 1, ..CALM };
    Scenario {
        cap: 3,
        breaker: true,
        helped: vec![Helped::Yes, Helped::No, Helped::Unclear],
        ..scenario("two rounds and the breaker", [vec![vec![0], vec![2]], vec![vec![1]]], troubles)
    }
}

/// The mitigator tells untruths about what became of an action.
fn liar() -> Scenario {
    let troubles = Troubles { crashes: bound(), ticks: bound(), kills: 1, losses: 1, lies: 1, ..CALM };
    scenario("a mitigator that lies", [vec![vec![0]], vec![vec![2]]], troubles)
}

/// How many states there are, how deep, and the promises that broke with the shortest way there.
fn explore(scenario: Scenario) -> (usize, usize, BTreeMap<&'static str, Vec<Step>>) {
    let checker = scenario.checker().threads(2).finish_when(HasDiscoveries::All).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    let counterexamples =
        discoveries.into_iter().map(|(promise, path)| (promise, path.into_actions())).collect();
    (states, depth, counterexamples)
}

fn report(scenario: &Scenario, least: usize, expected: &[&'static str]) {
    let (states, depth, broken) = explore(scenario.clone());
    println!(
        "{:<28} {states:>8} states, depth {depth:>2}; plans {:?}, {} look(s) each, cap {}, breaker {}, {:?}",
        scenario.name, scenario.plans, scenario.looks, scenario.cap, scenario.breaker, scenario.troubles
    );
    let names: BTreeSet<_> = broken.keys().copied().collect();
    assert_eq!(names, expected.iter().copied().collect(), "{}: {broken:#?}", scenario.name);
    assert!(states >= least, "{}: {states} states are fewer than {least}: the model shrank", scenario.name);
}

#[test]
fn every_promise_is_kept_in_every_state() {
    for (scenario, least) in
        [(one_remedy(), 95_000), (one_target(), 84_000), (one_allowed(), 51_000), (two_rounds(), 114_000)]
    {
        report(&scenario, least, &[]);
    }
}

/// What a liar can make us believe, and what he cannot make us do: the kill switch, authorisation, the record, one run a key and one
/// open action a target hold. The cap counts what the mitigator admits.
#[test]
fn a_lying_mitigator_breaks_only_the_truth() {
    report(&liar(), 146_000, &[TRUTH]);
    let capped = Scenario { cap: 1, name: "a liar and the cap", ..liar() };
    report(&capped, 37_000, &[TRUTH, PROMISES[8]]);
}

/// What breaks when protections are taken away, and nothing else does.
#[test]
fn each_protection_is_needed() {
    use Protection::*;
    let ticks = |n| Troubles { ticks: n, ..CALM };
    let none = Vec::new;
    let twice =
        Scenario { looks: 2, ..scenario("", [vec![vec![0]], none()], Troubles { crashes: 1, ..CALM }) };
    let late = scenario("", [vec![vec![0]], vec![vec![2]]], ticks(1));
    let asked = scenario("", [vec![vec![1]], none()], Troubles { tampers: 1, ..CALM });
    let capped = Scenario { cap: 1, ..scenario("", [vec![vec![0]], vec![vec![2, 1]]], CALM) };
    let broken = Scenario {
        cap: 3,
        helped: vec![Helped::No],
        breaker: true,
        ..scenario("", [vec![vec![0], vec![2]], vec![]], CALM)
    };
    let killed = scenario("", [vec![vec![0]], none()], Troubles { kills: 1, ..CALM });
    let lost = scenario("", [vec![vec![0]], none()], Troubles { losses: 1, deaths: 1, ..ticks(1) });
    let cases: Vec<(Vec<Protection>, &Scenario, Vec<&str>)> = vec![
        (vec![Consent], &asked, vec![PROMISES[0]]),
        (vec![Generation], &asked, vec![PROMISES[0]]),
        (vec![HearingAsksKillSwitch], &killed, vec![PROMISES[10]]),
        (vec![SpendAsksKillSwitch], &killed, vec![PROMISES[2]]),
        (vec![WriteAhead], &killed, vec![PROMISES[3]]),
        (vec![SpendAsksClock], &late, vec![PROMISES[4]]),
        (vec![KeysOnce], &twice, vec![PROMISES[6]]),
        (vec![Hold], &late, vec![PROMISES[7]]),
        (vec![CompareAndAppend], &capped, vec![PROMISES[8]]),
        (vec![Cap], &capped, vec![PROMISES[8]]),
        (vec![Breaker], &broken, vec![PROMISES[9]]),
        (vec![Telling], &lost, vec![SETTLED]),
        // These stand behind another one: alone they are not missed, together they are.
        (vec![MitigatorRemembers], &twice, vec![]),
        (vec![KeysOnce, MitigatorRemembers], &twice, vec![PROMISES[6], PROMISES[1]]),
        (vec![MitigatorKeepsPromise], &late, vec![]),
        (vec![MitigatorKeepsPromise, SpendAsksClock], &late, vec![TRUTH, PROMISES[4]]),
        (vec![Fence], &late, vec![]),
        (vec![Fence, MitigatorKeepsPromise, SpendAsksClock], &late, vec![TRUTH, PROMISES[4], PROMISES[5]]),
    ];
    let mut broken_by_some = BTreeSet::new();
    for (removed, scenario, expected) in cases {
        let mutant = Scenario { removed: removed.clone(), ..scenario.clone() };
        let (states, _, broken) = explore(mutant);
        let names: BTreeSet<_> = broken.keys().copied().collect();
        println!("without {removed:?}: {states} states, broken: {names:?}");
        assert_eq!(names, expected.into_iter().collect(), "without {removed:?}: {broken:?}");
        broken_by_some.extend(names);
        assert!(explore(scenario.clone()).2.is_empty(), "with {removed:?} all is kept");
    }
    let all = PROMISES.into_iter().chain([TRUTH, SETTLED]).collect();
    assert_eq!(broken_by_some, all, "every promise can be broken");
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is no number: {v}")))
}

/// Where an action's name begins, for counting which were taken.
fn kind(step: Step) -> String {
    format!("{step:?}").split('(').next().unwrap_or_default().to_owned()
}

/// Random paths through the machine, each step taken by the real types as well, with the same result.
#[test]
fn what_the_machine_does_the_pipelines_do() {
    let (walks, seed) = (setting("AIOPS_WALKS", 300), setting("AIOPS_WALKS_SEED", 1));
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut steps_taken, mut states, mut kinds) = (0_u64, HashSet::new(), BTreeSet::new());
    let mut closed = BTreeSet::new();
    for _ in 0..walks {
        for scenario in [one_remedy(), one_target(), one_allowed(), two_rounds(), liar()] {
            let mut state = scenario.init_states().remove(0);
            let mut real = Real::new(&scenario);
            let mut path = Vec::new();
            loop {
                let mut steps = Vec::new();
                scenario.actions(&state, &mut steps);
                let Some(step) = random.choice(steps) else { break };
                path.push(step);
                state = scenario.next_state(&state, step).unwrap();
                real.take(step);
                let (expected, got) = (Real::expected(&scenario, &state), real.observed());
                assert_eq!(got, expected, "{}: after {path:?}", scenario.name);
                steps_taken += 1;
                kinds.insert(kind(step));
                states.insert((scenario.name, state.clone()));
            }
            closed.extend(state.at.iter().map(|at| format!("{at:?}")));
        }
    }
    println!("{walks} walks (seed {seed}): {steps_taken} steps, {} states, {kinds:?}", states.len());
    let ends: Vec<String> =
        [Close::Recovered, Close::Yielded, Close::Escalated].map(|c| format!("{:?}", At::Closed(c))).into();
    assert!(ends.iter().all(|e| closed.contains(e)), "{closed:?}");
    assert_eq!(kinds.len(), 19, "every kind of step was taken: {kinds:?}");
}

/// Every transition of a small scenario, not only sampled ones.
#[test]
fn every_transition_of_a_small_scenario_is_what_the_pipelines_do() {
    let troubles = Troubles { crashes: 1, kills: 1, ..CALM };
    let small = scenario("small", [vec![vec![0]], vec![vec![2]]], troubles);
    let first = small.init_states().remove(0);
    let mut seen = HashSet::from([first.clone()]);
    let mut open: Vec<(State, Vec<Step>)> = vec![(first, Vec::new())];
    let mut transitions = 0;
    while let Some((state, path)) = open.pop() {
        let mut steps = Vec::new();
        small.actions(&state, &mut steps);
        for step in steps {
            let next = small.next_state(&state, step).unwrap();
            let mut real = Real::new(&small);
            path.iter().for_each(|s| real.take(*s));
            real.take(step);
            assert_eq!(real.observed(), Real::expected(&small, &next), "after {path:?}, {step:?}");
            transitions += 1;
            if seen.insert(next.clone()) {
                open.push((next, path.iter().copied().chain([step]).collect()));
            }
        }
    }
    println!("{} states, {transitions} transitions, each taken by the real types", seen.len());
    assert!(transitions >= 1_000, "{transitions}");
}
