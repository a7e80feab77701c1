//! Burn rates: against sums over all counts, the rules of the workbook, and bad input.

use std::time::Duration;

use aiops_detect::burn::{BurnAction, BurnConfig, BurnOptions, BurnRate, BurnRule, Slo, Stance};
use jiff::Timestamp;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn slo(target: f64) -> Slo {
    Slo {
        name: "pay".into(),
        journey: "pay for a basket".into(),
        owner: "payments".into(),
        indicator: "error_ratio".into(),
        requests: None,
        target,
        period: 30 * 24 * 60 * MINUTE,
    }
}

fn at(minute: u32) -> Timestamp {
    Timestamp::from_second(1_700_000_040).unwrap() + MINUTE * minute
}

fn burn() -> BurnRate {
    BurnRate::new(slo(0.999), BurnOptions::default().rules).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Any order of minutes within what is kept gives what adding up every count gives.
    #[test]
    fn rates_are_those_of_all_counts(
        counts in prop::collection::vec((0..300_u32, 1.0..1000.0_f64, 0.0..1.0_f64), 1..120),
    ) {
        let rule = BurnRule { action: BurnAction::Page, long: 60 * MINUTE, short: 5 * MINUTE, rate: 2.0 };
        let mut burn = BurnRate::new(slo(0.99), vec![rule]).unwrap();
        let mut taken: Vec<(u32, f64, f64)> = Vec::new();
        for (minute, total, share) in counts {
            if burn.push(at(minute), total, total * share).is_ok() {
                taken.push((minute, total, total * share));
            }
        }
        let (first, newest) = (taken[0].0, taken.iter().map(|c| c.0).max().unwrap());
        let ratio = |minutes: u32| {
            let inside = taken.iter().filter(|c| c.0 + minutes > newest);
            let (total, bad) = inside.fold((0.0, 0.0), |(t, b), c| (t + c.1, b + c.2));
            if total > 0.0 { bad / total } else { 0.0 }
        };
        let covered = (f64::from(newest - first + 1) / 60.0).min(1.0);
        let burning = burn.burning().next().unwrap();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.max(1.0);
        prop_assert!(close(burning.long, ratio(60) / 0.01 * covered), "{burning:?}");
        prop_assert!(close(burning.short, ratio(5) / 0.01), "{burning:?}");
        prop_assert_eq!(burn.firing().count() == 1, burning.long >= 2.0 && burning.short >= 2.0);
    }
}

#[test]
fn each_rule_fires_at_its_rate_and_ends_soon_after() {
    // (share that fails, minutes until a page, and whether a ticket comes before)
    for (share, page) in [(1.0, 1), (0.02, 44), (0.0145, 60), (0.0065, 333)] {
        let mut burn = burn();
        let mut fired = None;
        for minute in 0..3 * 1440 {
            burn.push(at(minute), 1000.0, 1000.0 * share).unwrap();
            if burn.firing().any(|b| b.rule.action == BurnAction::Page) {
                fired = Some(minute + 1);
                break;
            }
        }
        assert!(fired.is_some_and(|minute| minute.abs_diff(page) <= page / 20 + 1), "{share}: {fired:?}");
        // Half an hour and five minutes without errors end it.
        let end = fired.unwrap();
        (end..end + 36).for_each(|minute| burn.push(at(minute), 1000.0, 0.0).unwrap());
        assert!(burn.firing().all(|b| b.rule.action != BurnAction::Page), "{share}");
    }
    // Just within the budget fires nothing, ever.
    let mut burn = burn();
    for minute in 0..5 * 1440 {
        burn.push(at(minute), 1000.0, 0.9).unwrap();
        assert_eq!(burn.firing().count(), 0);
    }
    assert_eq!(burn.stance(), Stance::Usual);
    assert!((burn.remaining() - 0.1).abs() < 1e-9);
}

#[test]
fn the_stance_follows_the_budget_and_targets_are_only_proposed() {
    let mut burn = burn();
    let mut stances = Vec::new();
    for minute in 0..31 * 1440_u32 {
        // Five hours at 3 % in the third week.
        let bad = if (20 * 1440..20 * 1440 + 300).contains(&minute) { 30.0 } else { 0.05 };
        burn.push(at(minute), 1000.0, bad).unwrap();
        if stances.last() != Some(&burn.stance()) {
            stances.push(burn.stance());
        }
    }
    // What six hours, a day and three days hold ends later than what an hour holds.
    assert_eq!(stances, [Stance::Usual, Stance::Careful, Stance::Mitigate, Stance::Careful, Stance::Usual]);
    assert!(burn.proposal().is_none(), "{}", burn.remaining());
    for minute in 31 * 1440..61 * 1440 {
        burn.push(at(minute), 1000.0, 2.0).unwrap();
    }
    assert_eq!(burn.stance(), Stance::Frozen);
    let proposal = burn.proposal().unwrap();
    assert_eq!((proposal.owner.as_str(), proposal.target, burn.slo().target), ("payments", 0.999, 0.999));
    assert!((proposal.achieved - 0.998).abs() < 1e-9);
}

#[test]
fn counts_that_are_none_and_jumps_of_the_clock_are_defined() {
    let mut burn = burn();
    for (total, bad) in [(f64::NAN, 0.0), (1.0, f64::NAN), (1.0, 2.0), (-1.0, 0.0), (f64::INFINITY, 1.0)] {
        burn.push(at(0), total, bad).unwrap();
    }
    assert_eq!((burn.rejected(), burn.firing().count(), burn.remaining()), (5, 0, 1.0));
    for minute in 0..120 {
        burn.push(at(minute), 100.0, 50.0).unwrap();
    }
    assert!(burn.firing().count() > 0);
    // A year later nothing is left of it; back again, counts are too old.
    burn.push(at(525_600), 100.0, 0.0).unwrap();
    assert_eq!((burn.firing().count(), burn.remaining()), (0, 1.0));
    assert_eq!(burn.push(at(121), 1.0, 0.0).unwrap_err().at, at(121));
    burn.push(Timestamp::MAX, 1.0, 0.0).unwrap();
    assert!(burn.push(Timestamp::MIN, 1.0, 0.0).is_err());
}

#[test]
fn configurations_are_checked() {
    let field = |change: fn(&mut BurnOptions)| {
        let mut options = BurnOptions { slos: vec![slo(0.99)], ..Default::default() };
        change(&mut options);
        BurnConfig::try_from(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.slos[0].target = 1.0), "target");
    assert_eq!(field(|o| o.slos[0].target = f64::NAN), "target");
    assert_eq!(field(|o| o.slos[0].owner = " ".into()), "owner");
    assert_eq!(field(|o| o.slos[0].journey = String::new()), "journey");
    assert_eq!(field(|o| o.slos.push(slo(0.9))), "slos");
    assert_eq!(field(|o| o.rules.clear()), "rules");
    assert_eq!(field(|o| o.rules[0].short = Duration::MAX), "short");
    assert_eq!(field(|o| o.rules[0].rate = 0.0), "rate");
    assert_eq!(field(|o| o.slos[0].period = MINUTE), "period");
    let stored = serde_json::to_string(&BurnConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<BurnConfig>(&stored).unwrap(), BurnConfig::default());
}
