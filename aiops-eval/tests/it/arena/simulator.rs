//! The simulator against closed forms and laws.

use aiops_eval::arena::faults::daily_life;
use aiops_eval::arena::sim::draw::system;
use aiops_eval::arena::sim::spec::SystemSpec;
use aiops_eval::arena::sim::{SECOND, Simulator};

/// Probability that a request of an M/M/c queue waits (Erlang 1917), and its mean wait, s.
fn erlang_c(rate: f64, work: f64, servers: u32) -> (f64, f64) {
    let offered = rate * work;
    let c = f64::from(servers);
    // Erlang B by recursion, then C.
    let b = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    let waits = b / (1.0 - offered / c * (1.0 - b));
    (waits, waits * work / (c - offered))
}

/// Relative errors of the share that waits and of the mean wait, over `hours`.
fn compared(rate: f64, work: f64, servers: u32, hours: u64) -> (f64, f64) {
    let (waits, wait) = erlang_c(rate, work, servers);
    let mut sim = Simulator::new(SystemSpec::queue(rate, work, servers), 7, 0.0);
    sim.run_until(hours * 3600 * SECOND);
    let totals = sim.totals();
    let share = totals.waited as f64 / totals.arrived as f64;
    ((share / waits - 1.0).abs(), (sim.mean_wait() / wait - 1.0).abs())
}

#[test]
fn queues_wait_as_erlang_says() {
    // Load 0.5, 0.7, 0.8 with one, four and ten servers; some hundred thousand requests each.
    for (rate, work, servers, hours) in [(10.0, 0.05, 1, 6), (20.0, 0.14, 4, 4), (40.0, 0.2, 10, 3)] {
        let (share, wait) = compared(rate, work, servers, hours);
        assert!(share < 0.03, "{servers} servers: share that waits off by {share}");
        assert!(wait < 0.05, "{servers} servers: mean wait off by {wait}");
    }
}

/// A queue that is simulated wrongly must not pass: one server less is another formula.
#[test]
fn the_comparison_tells_one_server_from_two() {
    let mut sim = Simulator::new(SystemSpec::queue(10.0, 0.05, 2), 7, 0.0);
    sim.run_until(4 * 3600 * SECOND);
    let (_, of_one) = erlang_c(10.0, 0.05, 1);
    assert!((sim.mean_wait() / of_one - 1.0).abs() > 0.5);
}

#[test]
fn nothing_is_lost() {
    for seed in 0..3 {
        let mut sim = Simulator::new(system(seed), seed, 9.0);
        for (at, control) in daily_life(&system(seed), seed, 900.0) {
            sim.schedule(at, control);
        }
        for minute in 1..=15 {
            sim.run_until(minute * 60 * SECOND);
            let t = sim.totals();
            assert_eq!(t.arrived, t.succeeded + t.failed + t.in_flight);
            assert_eq!(t.calls, t.calls_ended + t.calls_live);
            assert!(t.in_flight <= t.calls_live, "every request under way is a call under way");
        }
        let t = sim.totals();
        assert!(t.arrived > 5_000, "seed {seed}: {t:?}");
        let failed = t.failed as f64 / t.arrived as f64;
        assert!(failed < 0.02, "a healthy system fails {failed} of its requests (seed {seed})");
    }
}

#[test]
fn a_simulation_does_not_depend_on_how_it_is_run() {
    let whole = |seed| {
        let mut sim = Simulator::new(system(seed), seed, 9.0);
        sim.run_until(600 * SECOND);
        sim.totals()
    };
    let mut pieces = Simulator::new(system(3), 3, 9.0);
    for i in 1..=600 {
        pieces.run_until(i * SECOND);
    }
    assert_eq!(whole(3), pieces.totals());
    let on_threads: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..2).map(|_| scope.spawn(|| whole(3))).collect();
        started.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(on_threads, [whole(3), whole(3)]);
    assert_ne!(whole(3), whole(4));
}
