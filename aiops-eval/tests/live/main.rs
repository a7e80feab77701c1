//! A game day on real processes: one fault, some forty seconds. The program starts itself again as each process of the shop, which a test
//! binary of the usual kind cannot do; hence a `main` of our own, and a feature.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::process::ExitCode;

use aiops_eval::arena::live::game_day;
use aiops_eval::arena::protocol::RunConfig;
use aiops_eval::arena::protocol::players::Player;
use aiops_eval::arena::protocol::score::score;
use aiops_eval::arena::report::{self, Told};
use aiops_eval::arena::trajectory::Records;
use libtest_mimic::{Arguments, Failed, Trial};

const FAULT: &str = "resource-lock-contention";

fn main() -> ExitCode {
    if let Some(code) = aiops_examples::shop::run_if_service() {
        return code;
    }
    let trials = vec![Trial::test("a_real_fault_is_seen_healed_recorded_and_scored_again", live)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn live() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let config = RunConfig {
        of_each: 1,
        nulls: 0,
        only: Some(FAULT.to_owned()),
        first_seed: 45_000,
        ..RunConfig::default()
    };
    let (table, scores) = game_day(&config, Some(folder.path()), |_, _| {})?;
    let one = &scores[0];
    let told = report::episodes(&scores);
    assert_eq!((scores.len(), table.player, one.fault.as_deref()), (1, Player::Live, Some(FAULT)), "{told}");
    assert!(one.detected && one.recovered, "{told}");
    assert!(one.actions >= 1 && one.unsafe_actions == 0, "{told}");
    assert_eq!(
        (table.by_gold.len(), table.false_alarms.of),
        (0, 0),
        "nobody knows the class, and it is no null"
    );
    assert_eq!(table.by_fault[FAULT].recovery.hits, 1);

    // From the record alone, to the last bit, and nobody can change it.
    let records = Records::open(folder.path());
    assert_eq!(records.rescore()?, (table.clone(), true));
    let (played, truth) = records.episode(0, &table.arena)?;
    assert_eq!(score(&played, &truth), *one);
    assert!(played.looks > 10 && truth.at_end.iter().all(|h| h.requests > 0));
    let path = folder.path().join("truth/00000.json");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replacen("\"took_effect\":true", "\"took_effect\":false", 1))?;
    assert!(records.rescore().is_err(), "the truth was changed and nobody noticed");
    assert!(report::text(&Told { tables: &[table], ..Told::default() }).contains("real processes"));
    Ok(())
}
