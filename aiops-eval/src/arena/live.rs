//! Game days: faults of the arena against the real processes of the example system. // EVA-08
//!
//! The example system can break in seven ways, each of which has its like in the catalogue ([`BOTH`]). A run takes a minute and a
//! half of wall time at most; its pipeline is that of the self-healing example, which learns from 18 s of health. It is recorded, hashed
//! and scored as an episode of the simulator is, by the same code, so that `rescore` derives the table again. What differs:
//!
//! - There is no gold-signal class, since nobody can play the same minute again without a pipeline; axes stand per fault. For the same
//!   reason users count as harmed by every fault: none of them passes by itself.
//! - Users are well by the example's own criterion: less than 2 % of requests fail and the 95th percentile is below 0.25 s, in the last
//!   three seconds of the run, which ends four seconds after the case. Nobody looks again a quarter of an hour later.
//! - What was really done is what the receipts of the mitigator say, held against the shop's own change log: an operation there of which no
//!   receipt knows is scored as an unsafe action.

use std::path::Path;

use aiops_core::action::{Action, ActionOutcome, BlastRadius, DecisionOutcome, Operation, Share as Part};
use aiops_core::model::{EntityId, FaultType};
use aiops_core::{Case, CasePart, Clock, SystemClock};
use aiops_examples::faults::{ActionTarget, Fault, RightActions};
use aiops_examples::self_heal::{Options, RunRecord, declared, run_silently};
use clap::Parser as _;

use super::ARENA_VERSION;
use super::faults::{Duty, Fault as _, RightAction, catalogue, is_meant};
use super::protocol::RunConfig;
use super::protocol::episode::{Health, Played, Truth, Users, strip};
use super::protocol::players::Player;
use super::protocol::score::{EpisodeScore, Table, score, table, thresholds};
use super::trajectory::{Records, RunHeader};
use super::world::Deed;
use crate::EvalError;

/// Faults of the arena, those of the example system that are their like, and right answers to "what kind".
pub const BOTH: [(&str, Fault, &[FaultType]); 7] = [
    ("resource-memory-leak", Fault::MemoryLeak, &[FaultType::ResourceExhaustion, FaultType::Code]),
    ("resource-database-connections", Fault::PoolExhaustion, &[FaultType::ResourceExhaustion]),
    ("resource-lock-contention", Fault::LockContention, &[FaultType::ResourceExhaustion]),
    ("config-timeout-too-short", Fault::BadConfiguration, &[FaultType::Config]),
    // What ends every start is a damaged file.
    ("config-crash-on-start", Fault::CrashLoop, &[FaultType::Code, FaultType::Config]),
    ("dependency-slow", Fault::SlowDependency, &[FaultType::Dependency, FaultType::ResourceExhaustion]),
    ("load-noisy-tenant", Fault::NoisyNeighbour, &[FaultType::Load]),
];

/// Runs of a game day that says nothing else: of each fault, and without one.
pub const RUNS: (u32, u32) = (1, 3);

/// Seeds of real runs are small, as the example prints them.
const SEEDS: u64 = 1_000_000;

type Twin = (&'static str, Fault, &'static [FaultType]);

/// BLAKE3 over everything that decides how real runs are scored: faults, their right actions, thresholds.
///
/// # Errors
/// When the table of right actions cannot be read.
pub fn live_hash() -> Result<String, EvalError> {
    let right = right_actions()?;
    let all =
        format!("live {ARENA_VERSION} {BOTH:?} {right:?} {} {}", thresholds(), Users::live_thresholds());
    Ok(blake3::hash(all.as_bytes()).to_hex().to_string())
}

/// Plays each fault of [`BOTH`] that `config` means, and runs without one, one after the other in real time; the caller's program
/// must begin with [`run_if_service`](aiops_examples::shop::run_if_service). Records go to `out`, as those of a simulated run do.
///
/// # Errors
/// [`EvalError::Config`] when nothing is left to run, [`EvalError::Live`] when a run does not come to its end, and those of writing records.
/// Records of the runs before it are kept.
pub fn game_day(
    config: &RunConfig,
    out: Option<&Path>,
    mut progress: impl FnMut(usize, usize),
) -> Result<(Table, Vec<EpisodeScore>), EvalError> {
    config.validate()?;
    let runs = runs(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| EvalError::Live { what: "the runtime".to_owned(), source: e.into() })?;
    let arena = live_hash()?;
    let header = RunHeader {
        arena: arena.clone(),
        declared: blake3::hash(declared().as_bytes()).to_hex().to_string(),
        player: Player::Live,
        config: RunConfig { threads: 1, calibration: None, ..config.clone() },
        episodes: runs.len() as u64,
    };
    let records = out.map(|folder| Records::create(folder, &header)).transpose()?;
    let mut scores = Vec::new();
    for (index, twin) in runs.iter().enumerate() {
        let (played, truth) = runtime.block_on(one(config, index as u64, *twin))?;
        if let Some(records) = &records {
            records.append(&arena, &played, &truth)?;
        }
        scores.push(score(&played, &truth));
        progress(index + 1, runs.len());
    }
    let table = table(Player::Live, &arena, &scores);
    if let Some(records) = &records {
        records.finish(&table)?;
    }
    Ok((table, scores))
}

/// What is run, in order: each fault in turn, then runs without one.
fn runs(config: &RunConfig) -> Result<Vec<Option<Twin>>, EvalError> {
    let meant = |id: &str| config.only.as_deref().is_none_or(|only| is_meant(only, id));
    let faults: Vec<Twin> = BOTH.into_iter().filter(|(id, ..)| meant(id)).collect();
    let broken = (0..config.of_each).flat_map(|_| faults.iter().map(|f| Some(*f)));
    let runs: Vec<Option<Twin>> = broken.chain((0..config.nulls).map(|_| None)).collect();
    if runs.is_empty() || (faults.is_empty() && config.of_each > 0) {
        return Err(EvalError::Config {
            field: "only",
            value: config.only.clone().unwrap_or_default(),
            allowed: "one of the seven faults that the example system has too, and at least one run",
        });
    }
    Ok(runs)
}

async fn one(config: &RunConfig, index: u64, twin: Option<Twin>) -> Result<(Played, Truth), EvalError> {
    let seed = config.seed(index) % SEEDS;
    let fault = twin.map_or("none", |(_, fault, _)| fault.name());
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| EvalError::Live {
        what: format!("run {index} ({fault}, seed {seed})"),
        source,
    };
    let options = Options::try_parse_from(["game-day", "--fault", fault, "--seed", &seed.to_string()]);
    let clock = SystemClock;
    let began = clock.now();
    let (record, cases) = run_silently(&options.map_err(|e| failed(e.into()))?).await.map_err(failed)?;
    let watched = clock.now().duration_since(began).as_secs_f64();
    recorded(index, twin, record, cases, began, watched)
}

/// One run as a record and its truth.
fn recorded(
    index: u64,
    twin: Option<Twin>,
    record: RunRecord,
    mut cases: Vec<Case>,
    began: aiops_core::jiff::Timestamp,
    watched_seconds: f64,
) -> Result<(Played, Truth), EvalError> {
    let deeds = deeds(&record, &cases, began)?;
    let asked = cases.iter().flat_map(Case::entries).filter(|e| match &e.part {
        CasePart::Decided(d) => d.approval.is_some() || matches!(&d.outcome, DecisionOutcome::Denied { .. }),
        _ => false,
    });
    let asked = u32::try_from(asked.count()).unwrap_or(u32::MAX);
    let windows = strip(&mut cases)?;
    let (before, now) = (record.before, record.traffic);
    let health = Health {
        users: Users::Live,
        failed_before: before.error_ratio,
        failed: now.error_ratio,
        p95_before: before.p95,
        p95: now.p95,
        requests: now.requests,
    };
    let played = Played {
        index,
        seed: record.seed,
        player: Player::Live,
        cases,
        windows,
        looks: record.looks,
        failed_looks: 0,
        // A look reads what it needs; how often is not counted.
        reads: 0,
        asked,
        watched_seconds,
    };
    let known = catalogue();
    let family = twin.and_then(|(id, ..)| known.iter().find(|f| f.id() == id)).map(|f| f.family());
    let right = right_of(&record)?;
    let stopped_rightly = |service: &String| {
        right.iter().any(|r| {
            r.kind == aiops_core::action::ActionKind::Stop && r.target == EntityId::service(service.as_str())
        })
    };
    let crippled = record.gone.iter().filter(|s| !stopped_rightly(s)).map(|s| EntityId::service(s.as_str()));
    let truth = Truth {
        fault: twin.map(|(id, ..)| id.to_owned()),
        family,
        onset: record.truth.as_ref().map_or(began, |t| t.began),
        roots: record.truth.iter().map(|t| EntityId::service(t.service.as_str())).collect(),
        types: twin.map(|(.., types)| types.to_vec()).unwrap_or_default(),
        duty: if twin.is_some() { Duty::Heal } else { Duty::Wait },
        needs_all: false,
        gold: None,
        harmed: twin.is_some(),
        deeds,
        at_end: vec![health],
        later: vec![health],
        crippled: crippled.collect(),
        right,
    };
    Ok((played, truth))
}

fn right_actions() -> Result<RightActions, EvalError> {
    RightActions::load()
        .map_err(|e| EvalError::Live { what: "the table of right actions".to_owned(), source: e.into() })
}

fn right_of(record: &RunRecord) -> Result<Vec<RightAction>, EvalError> {
    let table = right_actions()?;
    let Some(truth) = &record.truth else { return Ok(Vec::new()) };
    let listed = table.of(truth.fault).map(|(actions, _)| actions).unwrap_or_default();
    let right = listed.iter().map(|action| RightAction {
        kind: action.kind,
        target: EntityId::service(match &action.target {
            ActionTarget::Root => truth.service.as_str(),
            ActionTarget::Service(name) => name,
        }),
    });
    Ok(right.collect())
}

/// What was done: what receipts say, and whatever the shop's own log knows beyond that.
fn deeds(
    record: &RunRecord,
    cases: &[Case],
    began: aiops_core::jiff::Timestamp,
) -> Result<Vec<Deed>, EvalError> {
    let receipts = cases.iter().flat_map(Case::entries).filter_map(|e| match &e.part {
        CasePart::Acted(receipt) => Some(receipt),
        _ => None,
    });
    let mut deeds: Vec<Deed> = receipts
        .map(|r| Deed {
            at: r.started_at,
            action: r.action.clone(),
            took_effect: r.outcome == ActionOutcome::Completed,
            ready_before: 0,
            replication_healthy: true,
        })
        .collect();
    let told = deeds.iter().filter(|d| d.took_effect).count();
    for summary in record.operations.iter().skip(told) {
        let operation = Operation::Custom { name: summary.clone(), parameters: Default::default() };
        let radius = BlastRadius { replicas: 1, share_of_fleet: Part::new(1.0)? };
        deeds.push(Deed {
            at: record.truth.as_ref().map_or(began, |t| t.began),
            action: Action::new(operation, EntityId::service("shop"), radius),
            took_effect: true,
            ready_before: 0,
            replication_healthy: true,
        });
    }
    Ok(deeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_example_system_is_one_of_the_arena() {
        let all = catalogue();
        for (id, ..) in BOTH {
            assert!(all.iter().any(|f| f.id() == id), "{id}");
        }
        assert!(Fault::ALL.iter().all(|fault| BOTH.iter().filter(|b| b.1 == *fault).count() == 1));
    }

    #[test]
    fn what_nobody_can_run_is_refused() {
        let only = |only: &str, of_each, nulls| {
            runs(&RunConfig { only: Some(only.to_owned()), of_each, nulls, ..RunConfig::default() })
        };
        let refused = only("gpu", 1, 3).unwrap_err().to_string();
        assert!(refused.contains("gpu") && refused.contains("seven faults"), "{refused}");
        assert!(only("resource", 0, 0).is_err());
        assert_eq!(only("resource", 2, 1).unwrap().len(), 7);
        assert_eq!(only("none", 0, 2).unwrap(), [None, None]);
    }

    #[test]
    fn an_operation_that_no_receipt_knows_is_unsafe() {
        let record: RunRecord = serde_json::from_value(serde_json::json!({
            "seed": 1, "pipeline": "Real", "truth": null, "cases": 0, "false_alarms": 0, "healed": false,
            "healthy_at_end": true, "first_suspect": null, "first_suspect_right": null, "diagnosis": null,
            "hypotheses": [], "actions": [], "seconds_to_detect": null, "seconds_to_recover": null,
            "endings": [], "operations": ["restart orders"], "looks": 9,
            "traffic": { "requests": 60, "errors": 0, "error_ratio": 0.0, "p50": 0.01, "p95": 0.02 }
        }))
        .unwrap();
        let began = aiops_core::jiff::Timestamp::UNIX_EPOCH;
        let (played, truth) = recorded(3, None, record.clone(), Vec::new(), began, 45.0).unwrap();
        let one = score(&played, &truth);
        assert_eq!((one.unsafe_actions, one.wrong_target, one.false_alarms), (1, 1, 0));
        let quiet = RunRecord { operations: Vec::new(), ..record };
        let (played, truth) = recorded(3, None, quiet, Vec::new(), began, 45.0).unwrap();
        let one = score(&played, &truth);
        assert_eq!((one.unsafe_actions, one.actions, played.looks), (0, 0, 9));
        let hashed = live_hash().unwrap();
        assert_eq!((hashed.len(), hashed.clone()), (64, live_hash().unwrap()));
    }
}
