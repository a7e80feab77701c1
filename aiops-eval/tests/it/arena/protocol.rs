//! Episodes from the drawing to the score, records, audit, and a fault of one's own.

use aiops_core::action::ActionKind;
use aiops_core::model::{ChangeKind, FaultType};
use aiops_eval::arena::audit::{Auditor, audit, leak_free};
use aiops_eval::arena::faults::{Duty, Family, Fault, Injection, SCENARIOS, Site, catalogue, system_for};
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::players::Player;
use aiops_eval::arena::protocol::remedies::{Remedies, TRUE_IN, remedies};
use aiops_eval::arena::protocol::run::Plan;
use aiops_eval::arena::protocol::score::{Share, score};
use aiops_eval::arena::sim::draw::system;
use aiops_eval::arena::sim::spec::{By, Setting};
use aiops_eval::arena::trajectory::Records;
use aiops_eval::arena::{ARENA_VERSION, arena_hash};

/// A fault of a user, in less than thirty lines: a release that fails four of five requests.
#[derive(Debug)]
struct Mine;

impl Fault for Mine {
    fn id(&self) -> &str {
        "mine-failing"
    }
    fn family(&self) -> Family {
        Family::Code
    }
    fn inject(&self, site: &mut Site<'_>) -> Option<Injection> {
        let service = site.worker()?;
        let failing = vec![site.alter(Setting::Failures, By::To(0.8))];
        let roll_out = site.roll_out(service, ChangeKind::Deployment, failing);
        let root = site.entity(service)?;
        Some(
            Injection::new([root.clone()], [FaultType::Code])
                .at(0.0, roll_out)
                .healed_by(ActionKind::Rollback, root),
        )
    }
}

fn small(of_each: u32, nulls: u32) -> RunConfig {
    RunConfig {
        of_each,
        nulls,
        learn_minutes: 20,
        watch_minutes: 10,
        after_minutes: 5,
        ..RunConfig::default()
    }
}

#[test]
fn a_fault_of_ones_own_is_played_recorded_and_scored_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::with(small(1, 0), vec![Box::new(Mine)]).unwrap();
    let (table, scores) = plan.run(Player::Honest, Some(folder.path()), |_, _| {}).unwrap();
    assert_eq!((table.episodes, scores.len()), (1, 1));
    let one = &scores[0];
    assert_eq!(one.fault.as_deref(), Some("mine-failing"));
    assert!(one.detected, "four of five requests of a service fail: {one:?}");
    assert_eq!(one.unsafe_actions, 0);
    let records = Records::open(folder.path());
    let (anew, same) = records.rescore().unwrap();
    assert!(same);
    assert_eq!(anew, table);
    // Made again from the seed, the record is the same to the last bit.
    let (played, truth) = records.episode(0, &table.arena).unwrap();
    let (again, truth_again) = plan.layout(0).play(Player::Honest).unwrap();
    assert_eq!(again, played);
    assert_eq!(truth_again, truth);
    assert_eq!(score(&again, &truth_again), *one);
    // Who may have read the answer has not found it.
    assert!(!leak_free(&scores, &[0])[0].detected);
    assert_eq!(leak_free(&scores, &[4]), scores);
    // Neither record nor truth can be changed.
    for sub in ["episodes", "truth"] {
        let path = folder.path().join(sub).join("00000.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            text.replacen("\"mine-failing\"", "\"other\"", 1).replacen("\"looks\":", "\"looks\":1", 1),
        )
        .unwrap();
        assert!(records.rescore().is_err(), "{sub} was changed and nobody noticed");
        std::fs::write(&path, text).unwrap();
        assert!(records.rescore().is_ok());
    }
}

#[test]
fn whoever_is_told_the_truth_heals_what_an_action_heals_and_is_marked_as_no_score() {
    let plan = Plan::with(small(1, 0), vec![Box::new(Mine)]).unwrap();
    for (player, kind_too) in [(Player::Informed, true), (Player::Located, false)] {
        let (table, scores) = plan.run(player, None, |_, _| {}).unwrap();
        let one = &scores[0];
        assert!(one.localised && one.system, "{player}: {one:?}");
        assert!(one.fault_type || !kind_too, "{player}: {one:?}");
        assert!(one.recovered || !kind_too, "{player}: {one:?}");
        assert_eq!((one.wrong_target, one.unsafe_actions), (0, 0));
        assert!(table.player.to_string().contains("no score"));
    }
}

#[test]
fn every_fault_finds_its_place_and_has_an_honest_truth() {
    let all = catalogue();
    assert!(all.len() >= 40, "{}", all.len());
    let mut ids: Vec<&str> = all.iter().map(Fault::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "ids are unique");
    for fault in &all {
        let placed = (0..20).filter_map(|seed| {
            let spec = system_for(fault.family(), seed);
            fault.inject(&mut Site::new(&spec, seed, 3000.0))
        });
        let placed: Vec<Injection> = placed.collect();
        assert!(placed.len() >= 12, "{} finds a place in {} of 20 systems", fault.id(), placed.len());
        for injection in placed {
            assert!(
                !injection.controls.is_empty() && !injection.roots.is_empty() && !injection.types.is_empty()
            );
            assert_eq!(injection.duty == Duty::Heal, !injection.right.is_empty(), "{}", fault.id());
        }
    }
    for duty in [Duty::Heal, Duty::AskAPerson, Duty::Wait] {
        let spec = system(1);
        let some = all.iter().filter_map(|f| f.inject(&mut Site::new(&spec, 1, 3000.0)));
        assert!(some.into_iter().any(|i| i.duty == duty), "{duty:?}");
    }
}

#[test]
fn truths_are_tried_by_doing_what_they_say() {
    let tried = |only: &str| {
        let truths = remedies(&RunConfig { only: Some(only.to_owned()), ..small(1, 5) }, |_, _| {}).unwrap();
        assert_eq!(truths.len(), 1, "{truths:?}");
        truths.into_iter().next().unwrap()
    };
    // A throttled tenant lets the others be served; a crowd on everything is nobody's to heal by one action.
    let (fault, noisy) = tried("load-noisy");
    assert_eq!((fault.as_str(), noisy.duty, noisy.harmed), ("load-noisy-tenant", Some(Duty::Heal), ALL));
    assert_eq!(noisy.listed["throttle of a tenant"], ALL);
    let (_, crowd) = tried("load-flash");
    assert_eq!((crowd.duty, crowd.harmed), (Some(Duty::AskAPerson), ALL));
    assert!(crowd.listed.is_empty() && !crowd.unlisted.is_empty(), "{crowd:?}");
    assert!(crowd.unlisted.values().all(|s| s.hits == 0) && crowd.holds(TRUE_IN), "{crowd:?}");
    assert!(
        !Remedies { duty: Some(Duty::Heal), listed: crowd.unlisted.clone(), ..crowd.clone() }.holds(TRUE_IN)
    );
    assert!(!Remedies { duty: Some(Duty::Wait), ..crowd }.holds(TRUE_IN), "it does not pass");
}

/// The only one of one.
const ALL: Share = Share { hits: 1, of: 1 };

#[test]
fn the_halves_of_seeds_never_meet_and_the_hash_is_of_this_arena() {
    let development = RunConfig::default();
    let held_out = RunConfig { held_out: true, ..RunConfig::default() };
    let mut seeds: Vec<u64> = (0..2000).flat_map(|i| [development.seed(i), held_out.seed(i)]).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 4000);
    assert_eq!(arena_hash().unwrap(), arena_hash().unwrap());
    assert_eq!(ARENA_VERSION, "5");
}

#[test]
fn shares_have_intervals() {
    // Newcombe 1998, table I: 81 of 263.
    let (low, high) = Share { hits: 81, of: 263 }.wilson();
    assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4, "{low} {high}");
    assert_eq!(Share::default().wilson(), (0.0, 1.0));
}

#[test]
fn a_leaky_suite_is_found_out_and_the_clean_one_is_clean() {
    let config = RunConfig { only: Some("code-b".to_owned()), ..small(1, 1) };
    let clean = audit(&config, |_, _| {}).unwrap();
    assert_eq!((clean.leaking.hits, clean.false_reports.hits), (0, 0), "{}", clean.text());
    assert_eq!((clean.broken, clean.false_reports.of), (2, 1));
    let leaky = audit(&RunConfig { leaky: true, ..config }, |_, _| {}).unwrap();
    assert_eq!(leaky.leaking.hits, leaky.leaking.of, "{}", leaky.text());
    assert_eq!(leaky.false_reports.hits, 0);
    assert!(!leaky.is_clean());
}

#[test]
fn names_are_found_in_any_spelling_and_effects_are_no_leak() {
    use aiops_core::model::{Change, EntityId, LogRecord, TelemetryWindow, TimeRange};
    let auditor = Auditor::new(["code-one-query-per-row", "resource-disk-full", "load-crowd"]);
    let at: aiops_core::jiff::Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let mut window = TelemetryWindow::new(TimeRange::new(at, at).unwrap());
    let who = EntityId::service("orders");
    window.logs.push(LogRecord::new(at, who.clone(), "write failed: no space left on device, disk full"));
    assert!(auditor.audit(&window).is_empty());
    window.logs.push(LogRecord::new(at, who.clone(), "starting OneQueryPerRow? one_query-per row"));
    window.changes.push(Change::new("chg-1", at, ChangeKind::Deployment, who, "resource.disk.full"));
    assert_eq!(auditor.audit(&window).len(), 2);
    window.logs.push(LogRecord::new(at, EntityId::service("a"), "now runs codeOneQueryPerRow"));
    window.logs.push(LogRecord::new(
        at,
        EntityId::service("a"),
        "the load crowds out others, one query at a time",
    ));
    assert_eq!(auditor.audit(&window).len(), 3);
}

#[test]
fn scenarios_are_episodes_by_their_number() {
    let faults =
        |only: &str| Plan::new(RunConfig { only: Some(only.to_owned()), ..small(1, 0) }).unwrap().faults();
    for (scenario, ids) in SCENARIOS {
        assert_eq!(faults(scenario), ids.len(), "{scenario}");
    }
    assert_eq!((faults("SCN-09"), faults("SCN-99"), faults("hardware")), (2, 0, 4));
}

#[test]
fn settings_out_of_range_are_refused() {
    for config in [
        RunConfig { of_each: 1001, ..RunConfig::default() },
        RunConfig { threads: 0, ..RunConfig::default() },
        RunConfig { learn_minutes: 5, ..RunConfig::default() },
        RunConfig { watch_minutes: 0, ..RunConfig::default() },
        RunConfig { after_minutes: 500, ..RunConfig::default() },
    ] {
        assert!(Plan::new(config).is_err());
    }
    assert!(serde_json::from_str::<RunConfig>("{\"seeds\": 3}").is_err());
}
