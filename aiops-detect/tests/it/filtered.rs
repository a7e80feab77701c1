//! Alerts that the pre-filter holds back are kept, counted, and come back when they must.

use std::time::Duration;

use aiops_core::jiff::Timestamp;
use aiops_core::model::{Alert, AlertState, EntityId, Severity, time};
use aiops_detect::Checked;
use aiops_detect::correlate::{Correlator, Disposition};
use aiops_detect::forest::{AlertPrefilter, PrefilterConfig, Reason};
use aiops_detect::intake::{FilteredIntake, FilteredOptions, Taken};

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn at(seconds: u64) -> Timestamp {
    time::after(start(), Duration::from_secs(seconds))
}

fn normal(rng: &mut fastrand::Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}

fn alert(rule: &str, service: &str, value: f64, began: Timestamp) -> Alert {
    let mut alert = Alert::new(rule, EntityId::service(service), began, Severity::Warning);
    alert.annotations.insert("value", value.to_string());
    alert
}

/// Alerts of usual days, five minutes old when they are told.
fn past(n: usize) -> Vec<(Alert, Timestamp)> {
    let mut rng = fastrand::Rng::with_seed(11);
    (0..n)
        .map(|_| {
            let (rule, service) = (rng.usize(..8), rng.usize(..12));
            let age = 300.0 * (0.5 * normal(&mut rng)).exp();
            let value = 100.0 + 5.0 * normal(&mut rng);
            let told = alert(&format!("rule-{rule}"), &format!("service-{service}"), value, start());
            (told, time::after(start(), Duration::from_secs_f64(age)))
        })
        .collect()
}

fn intake(change: impl FnOnce(&mut FilteredOptions)) -> FilteredIntake {
    let mut options = FilteredOptions::default();
    change(&mut options);
    let config = Checked::new(options).unwrap();
    let past = past(4000);
    let features = FilteredIntake::learnable(past.iter().map(|(alert, at)| (alert, *at)), &config);
    let prefilter = AlertPrefilter::fit(&features, PrefilterConfig::default()).unwrap();
    FilteredIntake::new(prefilter, config, Default::default())
}

/// As usual as can be: the middle of everything, told 300 s after it began.
fn usual(i: u64) -> Alert {
    alert(&format!("rule-{}", i % 8), &format!("service-{}", i % 12), 100.0, at(0))
}

fn resolved(alert: &Alert) -> Alert {
    let mut over = alert.clone();
    over.state = AlertState::Resolved;
    over
}

#[test]
fn what_is_usual_is_kept_and_counted_and_the_rest_goes_on() {
    let mut intake = intake(|_| {});
    let taken = intake.take(&usual(3), at(300));
    assert!(matches!(taken, Taken::Held(filtered) if filtered.reason == Reason::Usual) && !taken.goes_on());
    assert!(!intake.take(&usual(3), at(360)).goes_on());
    let unusual = alert("rule-1", "service-1", 900.0, at(0));
    let taken = intake.take(&unusual, at(300));
    assert!(matches!(taken, Taken::Judged(filtered) if filtered.reason == Reason::Unusual), "{taken:?}");
    let mut critical = usual(4);
    critical.severity = Severity::Critical;
    assert!(matches!(intake.take(&critical, at(300)), Taken::Judged(f) if f.reason == Reason::Critical));
    // What says no value cannot be judged.
    let silent = Alert::new("rule-2", EntityId::service("service-2"), at(0), Severity::Info);
    assert!(matches!(intake.take(&silent, at(300)), Taken::Judged(f) if f.reason == Reason::Unscored));
    let (_, held) = intake.held().next().unwrap();
    assert_eq!((held.count, held.first_seen, held.last_seen), (2, at(300), at(360)));
    assert_eq!(intake.about(&EntityId::service("service-3")).count(), 1);
    assert_eq!(intake.about(&EntityId::service("service-4")).count(), 0);
    let stats = intake.stats();
    assert_eq!((stats.notifications, stats.judged.of(Reason::Usual), stats.judged.went_on()), (5, 2, 3));
    assert_eq!(stats.held_by_rule.iter().collect::<Vec<_>>(), [(&"rule-3".to_owned(), &2)]);
}

#[test]
fn repeats_and_ends_go_where_their_alert_went() {
    let mut intake = intake(|_| {});
    let unusual = alert("rule-1", "service-1", 900.0, at(0));
    intake.take(&unusual, at(300));
    // It calms down, and is followed to its end all the same.
    let calmer = alert("rule-1", "service-1", 100.0, at(0));
    assert_eq!(intake.take(&calmer, at(310)), Taken::Follows);
    assert_eq!(intake.take(&resolved(&calmer), at(320)), Taken::Follows);
    // After its end it is judged like any other.
    let again = alert("rule-1", "service-1", 100.0, at(400));
    assert!(matches!(intake.take(&again, at(700)), Taken::Held(_)));
    assert_eq!(intake.take(&resolved(&again), at(710)), Taken::Ended);
    let (_, held) = intake.held().next().unwrap();
    assert_eq!((held.alert.state, held.count), (AlertState::Resolved, 2));
    assert_eq!(intake.take(&resolved(&usual(5)), at(710)), Taken::Unknown);
    let stats = intake.stats();
    assert_eq!((stats.followed, stats.ended, stats.unknown), (2, 1, 1));
    let all = stats.judged.went_on()
        + stats.judged.of(Reason::Usual)
        + stats.followed
        + stats.ended
        + stats.unknown;
    assert_eq!(all, stats.notifications);
}

#[test]
fn what_is_held_goes_on_when_it_becomes_grave_or_somebody_asks() {
    let mut intake = intake(|_| {});
    assert!(!intake.take(&usual(1), at(300)).goes_on());
    // Its like last minutes; this one is there the day after (repeated in between, so that it is remembered).
    assert!(intake.take(&usual(1), at(80_000)).goes_on());
    assert!(!intake.take(&usual(2), at(300)).goes_on());
    let mut critical = usual(2);
    critical.severity = Severity::Critical;
    assert!(intake.take(&critical, at(360)).goes_on());
    assert!(!intake.take(&usual(3), at(300)).goes_on());
    let id = intake.held().next().unwrap().0;
    assert_eq!(intake.release(id, at(400)), Some(usual(3)));
    assert_eq!(intake.release(id, at(400)), None);
    assert_eq!(intake.take(&usual(3), at(420)), Taken::Follows);
    assert_eq!((intake.stats().released, intake.held().count()), (3, 0));
}

#[test]
fn what_is_kept_is_bounded_and_what_is_forgotten_counted() {
    let mut intake = intake(|o| (o.most_held, o.most_passed, o.most_rules) = (10, 10, 3));
    for i in 0..96 {
        // Twelve services, eight rules: each pair is another alert within 24.
        intake.take(&self::usual(i), at(300 + i));
    }
    assert_eq!(intake.held().count(), 10);
    let stats = intake.stats().clone();
    // 24 alerts come four times each, and are forgotten before they come again.
    let usual = stats.judged.of(Reason::Usual);
    assert!(usual > 90, "{stats:?}");
    assert_eq!((stats.held_by_rule.len(), stats.forgotten), (3, usual - 10));
    assert_eq!(stats.held_by_rule.values().sum::<u64>() + stats.held_by_others, usual);
    // Nobody repeats them for a day.
    intake.expire(at(300 + 96 + 86_400));
    assert_eq!((intake.held().count(), intake.stats().forgotten), (0, usual));
    // Those that went on are forgotten too, and judged anew.
    let loud = |i: u64| alert("rule-1", &format!("service-{i}"), 900.0, at(0));
    for i in 0..11 {
        intake.take(&loud(i), at(300 + i));
    }
    assert!(matches!(intake.take(&loud(0), at(320)), Taken::Judged(_)));
    assert_eq!(intake.take(&loud(10), at(320)), Taken::Follows);
    // A clock that is set back forgets nothing.
    let mut intake = self::intake(|_| {});
    intake.take(&self::usual(1), at(90_000));
    intake.take(&self::usual(2), at(0));
    assert_eq!(intake.held().count() as u64 + intake.stats().judged.went_on(), 2);
}

#[test]
fn a_stored_intake_goes_on_as_if_it_had_never_been_away() {
    let mut intake = intake(|_| {});
    intake.take(&usual(1), at(300));
    intake.take(&alert("rule-1", "service-9", 900.0, at(0)), at(300));
    let text = serde_json::to_string(&intake).unwrap();
    let mut back: FilteredIntake = serde_json::from_str(&text).unwrap();
    assert_eq!(back, intake);
    for i in 0..40 {
        assert_eq!(back.take(&usual(i), at(400 + i)), intake.take(&usual(i), at(400 + i)));
    }
    assert_eq!(back, intake);
    for (what, damage) in [
        ("\"version\":1", "\"version\":2"),
        ("\"count\":1", "\"count\":0"),
        ("\"most_held\":100000", "\"most_held\":0"),
    ] {
        let wrong = text.replacen(what, damage, 1);
        assert!(wrong != text && serde_json::from_str::<FilteredIntake>(&wrong).is_err(), "{damage}");
    }
}

/// Held alerts never reach what is behind; whatever is critical does, however many there are.
#[test]
fn only_what_goes_on_reaches_the_correlator() {
    let mut intake = intake(|_| {});
    let mut correlator = Correlator::new(Default::default());
    let mut critical = 0;
    for i in 0..2400 {
        let mut alert = usual(i);
        if i % 200 == 0 {
            alert.severity = Severity::Critical;
            alert.labels.insert("n", i.to_string());
            critical += 1;
        }
        if intake.take(&alert, at(300)).goes_on() {
            assert!(matches!(correlator.push(&alert, at(300)).disposition, Disposition::New(_)));
        }
    }
    assert_eq!(correlator.stats().new, critical);
    assert_eq!(intake.held().map(|(_, held)| held.count).sum::<u64>(), 2400 - critical);
}

#[test]
fn options_are_checked() {
    let field = |change: fn(&mut FilteredOptions)| {
        let mut options = FilteredOptions::default();
        change(&mut options);
        Checked::new(options).unwrap_err().field()
    };
    assert_eq!(field(|o| o.value = " ".into()), "value");
    assert_eq!(field(|o| o.most_held = 0), "most_held");
    assert_eq!(field(|o| o.most_passed = 1_000_001), "most_passed");
    assert_eq!(field(|o| o.most_rules = 0), "most_rules");
    assert_eq!(field(|o| o.remember = Duration::ZERO), "remember");
    assert!(serde_json::from_str::<Checked<FilteredOptions>>(r#"{"most":1}"#).is_err());
}
