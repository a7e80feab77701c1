//! The calibration that is shipped: what confidences of the default pipeline are worth in this arena.
//!
//! `scripts/arena_calibrate.sh` fits it on development seeds, tests it on others, and writes `data/arena_calibration.json` and its
//! reliability curve `data/arena_reliability.txt`. A fit holds for the rules and the arena it was made with, and for nothing else: with others
//! it is refused, since nobody may act on a confidence that was measured of somebody else.

use aiops_core::model::FittedHash;
use aiops_rca::{Calibrator, FittedOn};

use super::arena_hash;
use super::protocol::RunConfig;
use super::protocol::players::configuration;
use crate::EvalError;

const SHIPPED: &str = include_str!("../../data/arena_calibration.json");

/// The reliability curve of the shipped calibration, on seeds that it was not fitted on.
pub const RELIABILITY: &str = include_str!("../../data/arena_reliability.txt");

/// How a calibration names the arena that it was fitted in.
#[must_use]
pub fn set_of(arena: &str) -> String {
    format!("arena {arena}")
}

/// How a calibration names the episodes that it was fitted on.
#[must_use]
pub fn seeds_of(config: &RunConfig, episodes: u64) -> String {
    let half = if config.held_out { "held-out" } else { "development" };
    format!("{episodes} episodes of {half} seeds from {}", config.first_seed)
}

/// The shipped calibration, if it was fitted on the present rules and arena.
///
/// # Errors
/// [`EvalError::Stale`] when it was not.
pub fn calibration() -> Result<Calibrator, EvalError> {
    parse(SHIPPED, &configuration(), &arena_hash()?)
}

fn parse(text: &str, rules: &FittedHash, arena: &str) -> Result<Calibrator, EvalError> {
    let path = || "aiops-eval/data/arena_calibration.json".into();
    let shipped: Calibrator =
        serde_json::from_str(text).map_err(|source| EvalError::ConfigFile { path: path(), source })?;
    check(shipped.fitted_on(), rules, arena)?;
    Ok(shipped)
}

fn check(on: Option<&FittedOn>, rules: &FittedHash, arena: &str) -> Result<(), EvalError> {
    let stale = |what, fitted: String, present: String| Err(EvalError::Stale { what, fitted, present });
    let Some(on) = on else { return stale("rules", "nobody knows which".to_owned(), rules.0.clone()) };
    if on.configuration != *rules {
        return stale("rules", on.configuration.0.clone(), rules.0.clone());
    }
    if !on.sets.contains(&set_of(arena)) {
        return stale("arena", on.sets.join(", "), set_of(arena));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aiops_rca::CalibrationConfig;

    use super::*;

    fn fitted(rules: &FittedHash, arena: &str) -> String {
        let pairs: Vec<(f64, bool)> = (0..200).map(|i| (f64::from(i) / 200.0, i % 200 > 90)).collect();
        let config = RunConfig { first_seed: 9, ..RunConfig::default() };
        let on = FittedOn::new(rules.clone(), 200).with_sets([set_of(arena), seeds_of(&config, 200)]);
        serde_json::to_string(&Calibrator::fit(&pairs, on, &CalibrationConfig::default()).unwrap()).unwrap()
    }

    #[test]
    fn a_calibration_of_other_rules_or_another_arena_is_refused_and_says_which() {
        let (rules, others) = (FittedHash::of(b"these rules"), FittedHash::of(b"other rules"));
        let shipped = fitted(&rules, "a");
        assert!(parse(&shipped, &rules, "a").is_ok());
        for (rules, arena, what) in [(&others, "a", "rules"), (&rules, "b", "arena")] {
            let refused = parse(&shipped, rules, arena).unwrap_err();
            assert!(matches!(&refused, EvalError::Stale { what: w, .. } if *w == what), "{refused}");
            assert!(refused.to_string().contains("arena_calibrate.sh"), "{refused}");
        }
        assert!(parse("{}", &rules, "a").is_err());
    }

    #[test]
    fn what_is_shipped_is_a_calibration_with_a_curve_and_is_taken_or_refused_as_stale() {
        let shipped: Calibrator = serde_json::from_str(SHIPPED).unwrap();
        let on = shipped.fitted_on().unwrap();
        assert!(on.cases >= 50 && on.sets.iter().all(|set| !set.contains("held-out")), "{on:?}");
        assert!(RELIABILITY.contains("| said | right | of |"), "{RELIABILITY}");
        let fresh = on.configuration == configuration() && on.sets.contains(&set_of(&arena_hash().unwrap()));
        match calibration() {
            Ok(_) => assert!(fresh),
            Err(e) => assert!(!fresh && matches!(e, EvalError::Stale { .. }), "{e}"),
        }
    }
}
