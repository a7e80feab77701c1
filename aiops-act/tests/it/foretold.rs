//! Predictions only suggest until their record is good enough, and what nobody can know counts for nothing.

use std::path::PathBuf;
use std::time::Duration;

use aiops_act::foretold::{Foretold, ForetoldConfig, Horizon, Judgement, Line, Outcome, Tally};
use aiops_core::action::{Action, ActionOutcome, IncidentId, Mode, Principal, Proposal, ReceiptRecord};
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FetchRequest, FittedHash, Recovery, RecoveryReport, Selector,
    SeriesKey, Shape, SignalCheck, TimeRange,
};
use aiops_core::pipeline::Trigger;
use aiops_core::{Case, CasePart, ErrorKind};
use futures_lite::future::block_on;
use serde_json::json;

use crate::support::{World, allowed, asks, at, orders, propose, restart_of, secs, undoing};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foretold");
    (folder, path)
}

fn open(path: &PathBuf) -> Foretold {
    Foretold::open(path, ForetoldConfig::default()).unwrap()
}

/// Users feel errors; `capacity` and `precursor` foretell.
fn trigger() -> Trigger {
    Trigger::on(Selector::all().with_metric("error_ratio"))
        .or_foretold_by("capacity")
        .or_foretold_by("precursor")
}

fn anomaly(detector: &str, entity: EntityId, metric: &str, onset: i64) -> Anomaly {
    Anomaly::new(
        DetectorId(detector.to_owned()),
        FittedHash::of(b"state"),
        entity,
        SeriesKey::new(metric),
        Shape::SteadyIncrease,
        at(onset),
        0.9,
        Baseline { center: 0.05, scale: 0.01, samples: 60 },
        FetchRequest::new(TimeRange::ending_at(at(onset), Duration::from_secs(60))),
    )
}

fn full_soon(onset: i64) -> Anomaly {
    anomaly("capacity", orders(), "memory", onset)
}

fn errors(entity: EntityId, onset: i64) -> Anomaly {
    anomaly("rolling", entity, "error_ratio", onset)
}

/// A case opened at `seconds` by what was found then.
fn case(id: &str, seconds: i64, found: Vec<Anomaly>) -> Case {
    let mut case = Case::open(IncidentId::new(id), at(seconds), Mode::Auto);
    case.detect(at(seconds), found);
    case
}

fn act(case: &mut Case, seconds: i64, outcome: ActionOutcome, recovery: Option<Recovery>) {
    let action: Action = restart_of(orders());
    let receipt: ReceiptRecord = serde_json::from_value(json!({
        "key": format!("key-{seconds}"), "fence": 1, "action": action,
        "started_at": at(seconds), "finished_at": at(seconds), "outcome": outcome,
    }))
    .unwrap();
    case.act(receipt);
    if let Some(recovery) = recovery {
        let check = SignalCheck { entity: orders(), what: "memory".into(), recovery, detail: String::new() };
        let report = RecoveryReport::from_checks(at(seconds + 10), vec![check]);
        case.push(at(seconds + 10), CasePart::Verified(report));
    }
}

fn foretold_proposal(by: &[&str]) -> Proposal {
    let mut proposal = propose("p", "inc", restart_of(orders()));
    proposal.foretold_by = by.iter().map(|name| DetectorId((*name).to_owned())).collect();
    proposal
}

struct Bench {
    world: World,
    book: Foretold,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (folder, path) = folder();
        Self { world: World::new(), book: open(&path), _folder: folder }
    }

    fn note(&self, case: &Case) -> Vec<Line> {
        block_on(self.book.note(case, &trigger(), &self.world.ctx)).unwrap()
    }

    fn outcome(&self, id: &str) -> Outcome {
        block_on(self.book.outcome(&IncidentId::new(id), &self.world.ctx)).unwrap()
    }

    fn tally(&self, by: Option<&str>) -> Tally {
        let by = by.map(|name| DetectorId(name.to_owned()));
        block_on(self.book.tally(by.as_ref(), &self.world.ctx)).unwrap()
    }

    fn judge(&self, id: &str, judgement: Judgement) {
        let ann = Principal::new("ann");
        block_on(self.book.judge(&IncidentId::new(id), judgement, ann, "seen it", &self.world.ctx)).unwrap();
    }

    fn left_alone(&self, id: &str) {
        let feed = Principal::new("change-feed");
        block_on(self.book.left_alone(&IncidentId::new(id), feed, &self.world.ctx)).unwrap();
    }

    /// `n` predictions, one a day from `day` on, of which users feel those that `came` says, and nobody does anything about the others.
    fn career(&self, day: i64, n: i64, came: impl Fn(i64) -> bool) {
        for i in 0..n {
            let opened = (day + i) * DAY;
            let mut told = case(&format!("c{}", day + i), opened, vec![full_soon(opened)]);
            if came(i) {
                told.detect(at(opened + HOUR), vec![full_soon(opened), errors(orders(), opened + HOUR)]);
            }
            self.world.go_to(opened + 2 * HOUR);
            self.note(&told);
            if !came(i) {
                self.left_alone(&format!("c{}", day + i));
            }
        }
        self.world.go_to((day + n + 1) * DAY);
    }
}

#[test]
fn a_prediction_asks_until_its_record_is_good_enough() {
    let bench = Bench::new();
    let judge = |proposal: &Proposal| bench.world.judge(&bench.book, proposal);
    let told = foretold_proposal(&["capacity"]);
    // Whatever the confidence; what is felt is for the other guards.
    assert!(asks(&judge(&told)) && judge(&told).reason().contains("0 of 20"));
    assert!(allowed(&judge(&propose("p", "inc", restart_of(orders())))));
    bench.career(0, 19, |_| true);
    assert!(asks(&judge(&told)), "too few");
    bench.career(19, 1, |_| true);
    assert!(allowed(&judge(&told)));
    assert_eq!(bench.tally(Some("capacity")).known(), 20);
    // The record of one says nothing of another, and all that foretold it must be trusted.
    assert!(asks(&judge(&foretold_proposal(&["precursor"]))));
    assert!(asks(&judge(&foretold_proposal(&["capacity", "precursor"]))));
    // One false alarm in 21 may be one in four.
    bench.career(21, 1, |_| false);
    assert!(asks(&judge(&told)) && judge(&told).reason().contains("false alarms"));
    bench.career(22, 9, |_| true);
    assert!(allowed(&judge(&told)), "one in thirty");
    let lacking = block_on(bench.book.lacking(&DetectorId("capacity".into()), &bench.world.ctx)).unwrap();
    assert_eq!(lacking, None);
}

#[test]
fn the_right_to_act_runs_out_with_its_evidence() {
    let bench = Bench::new();
    bench.career(0, 30, |_| true);
    let told = foretold_proposal(&["capacity"]);
    assert!(allowed(&bench.world.judge(&bench.book, &told)));
    bench.world.go_to(180 * DAY);
    assert!(allowed(&bench.world.judge(&bench.book, &told)));
    bench.world.go_to(195 * DAY);
    let late = bench.world.judge(&bench.book, &told);
    assert!(asks(&late) && late.reason().contains("of 20"), "{late:?}");
    // A clock that is set back makes what was foretold later no older.
    bench.world.go_to(0);
    assert!(asks(&bench.world.judge(&bench.book, &told)) || bench.tally(None).known() == 30);
}

#[test]
fn what_nobody_can_know_counts_for_nothing() {
    let bench = Bench::new();
    let mut acted = case("acted", 0, vec![full_soon(0)]);
    act(&mut acted, 60, ActionOutcome::Completed, Some(Recovery::Recovered));
    let mut useless = case("useless", 0, vec![full_soon(0)]);
    act(&mut useless, 60, ActionOutcome::Completed, Some(Recovery::NotRecovered));
    let mut never = case("never-begun", 0, vec![full_soon(0)]);
    act(&mut never, 60, ActionOutcome::NotStarted { reason: "no".into() }, None);
    let mut doubt = case("doubt", 0, vec![full_soon(0)]);
    let key = aiops_core::action::IdempotencyKey::new("k");
    doubt.push(at(60), CasePart::InDoubt { key, reason: "lost".into() });
    let escalated = case("escalated", 0, vec![full_soon(0)]);
    for told in [&acted, &useless, &never, &doubt, &escalated] {
        bench.note(told);
    }
    assert_eq!(bench.outcome("acted"), Outcome::Open);
    bench.world.go_to(DAY);
    assert_eq!(bench.tally(None).open, 5);
    bench.world.go_to(DAY + 1);
    for id in ["acted", "useless", "never-begun", "doubt", "escalated"] {
        assert_eq!(bench.outcome(id), Outcome::Unknown, "{id}");
    }
    let tally = bench.tally(None);
    assert_eq!((tally.unknown, tally.averted, tally.known(), tally.prevented), (5, 1, 0, 0));
    assert_eq!(
        (tally.false_alarm_share(), tally.false_alarms_at_most(1.96), tally.expected(1.96)),
        (None, 1.0, 0.0)
    );
    // Who vouches that nobody did anything makes it a false alarm; where we acted nobody can.
    bench.left_alone("escalated");
    assert_eq!(bench.outcome("escalated"), Outcome::FalseAlarm);
    let feed = Principal::new("change-feed");
    let refused =
        block_on(bench.book.left_alone(&IncidentId::new("acted"), feed, &bench.world.ctx)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    // A person may know, and may think again.
    bench.judge("acted", Judgement::WouldHaveCome);
    assert_eq!(bench.outcome("acted"), Outcome::Prevented);
    bench.judge("acted", Judgement::WouldNotHaveCome);
    assert_eq!(bench.outcome("acted"), Outcome::FalseAlarm);
    let tally = bench.tally(None);
    assert_eq!((tally.false_alarms, tally.prevented, tally.averted), (2, 0, 0));
}

#[test]
fn prevented_incidents_are_counted_and_probable_ones_apart() {
    let bench = Bench::new();
    bench.career(0, 40, |_| true);
    for i in 0..10 {
        let mut averted = case(&format!("a{i}"), 41 * DAY, vec![full_soon(41 * DAY)]);
        act(&mut averted, 41 * DAY + 60, ActionOutcome::Completed, Some(Recovery::Recovered));
        bench.note(&averted);
    }
    bench.world.go_to(43 * DAY);
    let before = bench.tally(Some("capacity"));
    assert_eq!((before.came_true, before.prevented, before.averted), (40, 0, 10));
    // 40 of 40 were right: at least 91 % by the interval.
    assert!((before.expected(1.96) - 9.12).abs() < 0.01, "{}", before.expected(1.96));
    bench.judge("a3", Judgement::WouldHaveCome);
    let after = bench.tally(Some("capacity"));
    assert_eq!((after.prevented, after.averted, after.known()), (1, 9, 41));
}

#[test]
fn what_users_feel_later_is_known_to_have_been_foretold() {
    let bench = Bench::new();
    bench.note(&case("told", 0, vec![full_soon(0)]));
    bench.note(&case("other", 0, vec![anomaly("capacity", EntityId::service("store"), "memory", 0)]));
    // Felt by others from the start: no prediction, but the one about the same system came true.
    let felt = case("felt", HOUR, vec![errors(orders(), HOUR), full_soon(0)]);
    let lines = bench.note(&felt);
    assert_eq!(lines, [Line::Felt { incident: IncidentId::new("told"), at: at(HOUR) }]);
    assert_eq!(bench.note(&felt), [], "once");
    assert_eq!((bench.outcome("told"), bench.outcome("other")), (Outcome::CameTrue, Outcome::Open));
    let unknown = block_on(bench.book.outcome(&IncidentId::new("felt"), &bench.world.ctx)).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    // Felt elsewhere, and diagnosed to come from the one foretold.
    let mut gateway = case("gateway", 2 * HOUR, vec![errors(EntityId::service("gateway"), 2 * HOUR)]);
    let confidence = crate::support::sure(0.9);
    let store = EntityId::service("store");
    let fault = aiops_core::model::FaultType::ResourceExhaustion;
    let citations: Vec<_> = gateway.anomalies().iter().map(|cited| cited.id.clone()).collect();
    let mut cause = aiops_core::model::Hypothesis::new(store, fault, "full", confidence, citations.clone());
    cause.explains = citations;
    gateway.push(at(2 * HOUR + 1), CasePart::Diagnosed(aiops_core::model::Diagnosis::new(vec![cause])));
    bench.note(&gateway);
    assert_eq!(bench.outcome("other"), Outcome::CameTrue);
    // Too late is not in time, and acting does not undo that it came.
    bench.note(&case("slow", 3 * HOUR, vec![full_soon(3 * HOUR)]));
    bench.note(&case("late", 3 * HOUR + DAY + 1, vec![errors(orders(), 3 * HOUR + DAY)]));
    bench.world.go_to(3 * DAY);
    assert_eq!(bench.outcome("slow"), Outcome::Unknown);
    let mut tried = case("tried", 3 * DAY, vec![full_soon(3 * DAY)]);
    act(&mut tried, 3 * DAY + 60, ActionOutcome::Completed, Some(Recovery::NotRecovered));
    tried.detect(at(3 * DAY + HOUR), vec![errors(orders(), 3 * DAY + HOUR)]);
    bench.note(&tried);
    assert_eq!(bench.outcome("tried"), Outcome::CameTrue);
    bench.judge("tried", Judgement::WouldNotHaveCome);
    assert_eq!(bench.outcome("tried"), Outcome::CameTrue, "what was felt counts more than what is said");
}

#[test]
fn horizons_are_those_of_the_slowest_that_foretold_it() {
    let (_folder, path) = folder();
    let mut config = ForetoldConfig::default();
    config.horizon_of.insert(DetectorId("precursor".into()), Horizon(secs(5400)));
    let book = Foretold::open(&path, config).unwrap();
    let world = World::new();
    let told = |id: &str, found: Vec<Anomaly>| {
        let lines = block_on(book.note(&case(id, 0, found), &trigger(), &world.ctx)).unwrap();
        let [Line::Foretold { until, .. }] = lines.as_slice() else { panic!("{lines:?}") };
        *until
    };
    let precursor = || anomaly("precursor", orders(), "precursor", 0);
    assert_eq!(told("a", vec![precursor()]), at(5400));
    assert_eq!(told("b", vec![precursor(), full_soon(0)]), at(DAY));
}

#[test]
fn the_record_survives_a_restart_and_tells_damage() {
    let (_folder, path) = folder();
    let world = World::new();
    let note = |book: &Foretold, case: &Case| block_on(book.note(case, &trigger(), &world.ctx)).unwrap();
    let first = open(&path);
    assert_eq!(note(&first, &case("told", 0, vec![full_soon(0)])).len(), 1);
    note(&first, &case("felt", HOUR, vec![errors(orders(), HOUR)]));
    let before = block_on(first.foretellings(&world.ctx)).unwrap();
    drop(first);
    let second = open(&path);
    assert_eq!(block_on(second.foretellings(&world.ctx)).unwrap(), before);
    assert_eq!(before[0].outcome(at(0)), Outcome::CameTrue);
    drop(second);
    let text = std::fs::read_to_string(&path).unwrap();
    let damaged = text.replacen("\"incident\":\"told\"", "\"incident\":\"tolk\"", 1);
    assert_ne!(damaged, text);
    std::fs::write(&path, damaged).unwrap();
    assert_eq!(Foretold::open(&path, ForetoldConfig::default()).unwrap_err().kind(), ErrorKind::Malformed);
}

#[test]
fn what_is_kept_is_bounded_and_the_oldest_goes_first() {
    let (_folder, path) = folder();
    let book = Foretold::open(&path, ForetoldConfig { most: 100, ..ForetoldConfig::default() }).unwrap();
    let world = World::new();
    for i in 0..130 {
        block_on(book.note(&case(&format!("c{i}"), i, vec![full_soon(i)]), &trigger(), &world.ctx)).unwrap();
    }
    let kept = block_on(book.foretellings(&world.ctx)).unwrap();
    assert_eq!((kept.len(), kept[0].incident.as_str(), kept[99].incident.as_str()), (100, "c30", "c129"));
}

#[test]
fn undoing_is_no_prediction_and_a_nameless_word_is_none() {
    let bench = Bench::new();
    let done = {
        let mut proposal = crate::support::propose("p", "inc", crate::support::rollback_of(orders()));
        proposal.foretold_by = [DetectorId("capacity".into())].into();
        proposal
    };
    bench.world.done(&done, Some(Recovery::NotRecovered));
    let mut back = undoing(&done);
    back.foretold_by = done.foretold_by.clone();
    assert!(allowed(&bench.world.judge(&bench.book, &back)));
    bench.note(&case("told", 0, vec![full_soon(0)]));
    let told = IncidentId::new("told");
    let nobody = Principal::new(" ");
    let judged = |by: &Principal, reason: &str| {
        block_on(bench.book.judge(&told, Judgement::WouldHaveCome, by.clone(), reason, &bench.world.ctx))
    };
    assert_eq!(judged(&nobody, "why").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(judged(&Principal::new("ann"), " ").unwrap_err().kind(), ErrorKind::Invalid);
    let alone = block_on(bench.book.left_alone(&told, nobody, &bench.world.ctx));
    assert_eq!(alone.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bench.outcome("told"), Outcome::Open);
}

#[test]
fn settings_out_of_range_are_refused() {
    let (_folder, path) = folder();
    let refused = |change: fn(&mut ForetoldConfig)| {
        let mut config = ForetoldConfig::default();
        change(&mut config);
        Foretold::open(&path, config).unwrap_err().to_string()
    };
    assert!(refused(|c| c.horizon = Horizon(Duration::ZERO)).contains("horizon"));
    assert!(
        refused(|c| {
            c.horizon_of.insert(DetectorId("x".into()), Horizon(Duration::MAX));
        })
        .contains("horizon_of")
    );
    assert!(refused(|c| c.known = 0).contains("known"));
    assert!(refused(|c| c.false_alarms = f64::NAN).contains("false_alarms"));
    assert!(refused(|c| c.z = 5.1).contains("z is"));
    assert!(refused(|c| c.memory = Duration::ZERO).contains("memory"));
    assert!(refused(|c| c.most = 99).contains("most"));
    let text = "horizon = \"2h\"\n[horizon_of]\nprecursor = \"90m\"\n";
    let read: ForetoldConfig = toml::from_str(text).unwrap();
    assert_eq!(
        (read.horizon.0, read.horizon_of[&DetectorId("precursor".into())].0),
        (secs(7200), secs(5400))
    );
    assert!(toml::from_str::<ForetoldConfig>("horizons = 1").is_err());
}
