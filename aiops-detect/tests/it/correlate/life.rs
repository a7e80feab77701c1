//! Firing, repeating, ending, flapping, late and early.

use aiops_core::jiff::Timestamp;
use aiops_core::model::Severity;
use aiops_detect::correlate::{Disposition, IncidentState};

use super::{alert, at, critical, grouped, knowing, resolved};

#[test]
fn repeats_of_any_copy_are_one_alert() {
    let mut correlator = knowing(&[]);
    for t in 0..100 {
        let mut alert = alert("Slow", "cart", 0);
        alert.labels.insert("instance", format!("10.0.0.{t}"));
        alert.labels.insert("prometheus_replica", if t % 2 == 0 { "a" } else { "b" });
        let outcome = correlator.push(&alert, at(30 * t));
        assert_eq!(matches!(outcome.disposition, Disposition::New(_)), t == 0);
        assert_eq!(outcome.disposition.incident().unwrap().get(), 0);
    }
    let incidents = correlator.incidents();
    assert_eq!((incidents.len(), incidents[0].members.len()), (1, 1));
    assert_eq!((incidents[0].notifications, incidents[0].members[0].notifications), (100, 100));
    assert_eq!(correlator.stats().repeated, 99);
}

#[test]
fn what_is_not_heard_of_for_hours_is_forgotten() {
    let mut correlator = knowing(&[]);
    correlator.push(&alert("Slow", "cart", 0), at(0));
    let outcome = correlator.push(&alert("Slow", "cart", 0), at(6 * 3600));
    assert!(matches!(outcome.disposition, Disposition::Repeated(Some(_))), "still within six hours");
    let outcome = correlator.push(&alert("Slow", "cart", 12 * 3600 + 1), at(12 * 3600 + 1));
    assert!(matches!(outcome.disposition, Disposition::New(_)));
    assert_eq!(correlator.incidents().len(), 2);
}

#[test]
fn an_end_closes_an_incident_after_a_while() {
    let mut correlator = knowing(&[]);
    let (slow, down) = (alert("Slow", "cart", 0), critical("Down", "cart", 10));
    correlator.push(&slow, at(0));
    correlator.push(&down, at(10));
    correlator.push(&resolved(&slow), at(100));
    assert_eq!(correlator.incidents()[0].state, IncidentState::Firing);
    assert!(correlator.advance(at(5000)).is_empty(), "one alert still holds");
    let outcome = correlator.push(&resolved(&down), at(6000));
    assert!(matches!(outcome.disposition, Disposition::Resolved(Some(_))));
    assert_eq!(correlator.incidents()[0].state, IncidentState::Ended);
    assert!(correlator.advance(at(6000 + 899)).is_empty());
    let before = correlator.memory();
    let closed = correlator.advance(at(6000 + 900));
    assert_eq!(grouped(&closed), [["cart", "cart"]]);
    assert_eq!(closed[0].state, IncidentState::Closed);
    assert!(correlator.incidents().is_empty());
    assert!(correlator.memory() < before / 2, "words and rates are left: {}", correlator.memory());
    assert!(matches!(correlator.push(&resolved(&down), at(7000)).disposition, Disposition::Unmatched));
}

#[test]
fn an_incident_nothing_is_heard_of_is_closed_too() {
    let mut correlator = knowing(&[]);
    correlator.push(&alert("Slow", "cart", 0), at(0));
    assert!(correlator.advance(at(6 * 3600 - 1)).is_empty());
    assert_eq!(correlator.advance(at(6 * 3600)).len(), 1);
}

#[test]
fn flapping_stays_one_alert() {
    let mut correlator = knowing(&[]);
    for i in 0..10 {
        let alert = alert("Slow", "cart", 150 * i);
        correlator.push(&alert, at(150 * i));
        correlator.push(&resolved(&alert), at(150 * i + 100));
    }
    let incidents = correlator.incidents();
    assert_eq!((incidents.len(), incidents[0].members.len()), (1, 1));
    assert_eq!((incidents[0].members[0].flaps, correlator.stats().reopened), (9, 9));
    // More than a minute after its end it is a new firing, whose incident is sought anew.
    let outcome = correlator.push(&alert("Slow", "cart", 1520), at(1520));
    assert!(matches!(outcome.disposition, Disposition::New(_)));
}

#[test]
fn an_end_without_a_beginning_is_counted() {
    let mut correlator = knowing(&[]);
    let outcome = correlator.push(&resolved(&alert("Slow", "cart", 0)), at(0));
    assert_eq!((outcome.disposition, outcome.alert), (Disposition::Unmatched, None));
    assert_eq!((correlator.stats().unmatched, correlator.incidents().len()), (1, 0));
}

#[test]
fn what_comes_late_does_not_undo_what_came_after() {
    let mut correlator = knowing(&[]);
    let (first, second) = (alert("Slow", "cart", 0), alert("Slow", "cart", 150));
    correlator.push(&first, at(0));
    correlator.push(&resolved(&first), at(100));
    // The other replica still says that the first fires.
    let late = correlator.push(&first, at(101));
    assert!(matches!(late.disposition, Disposition::Late(Some(_))));
    assert_eq!(correlator.incidents()[0].state, IncidentState::Ended);
    correlator.push(&second, at(150));
    assert_eq!(correlator.incidents()[0].state, IncidentState::Firing);
    // And now that it ended.
    let late = correlator.push(&resolved(&first), at(151));
    assert!(matches!(late.disposition, Disposition::Late(Some(_))));
    assert_eq!(correlator.incidents()[0].state, IncidentState::Firing);
    assert_eq!(correlator.stats().late, 2);
}

#[test]
fn an_alert_that_grows_grave_makes_its_incident_grave() {
    let mut correlator = knowing(&[]);
    let mut slow = alert("Slow", "cart", 0);
    correlator.push(&slow, at(0));
    assert_eq!(correlator.incidents()[0].severity, Severity::Warning);
    let before = correlator.incidents()[0].score;
    slow.severity = Severity::Critical;
    slow.labels.insert("severity", "critical");
    correlator.push(&slow, at(60));
    slow.severity = Severity::Info;
    correlator.push(&slow, at(120));
    let incident = &correlator.incidents()[0];
    assert_eq!((incident.severity, incident.members.len()), (Severity::Critical, 1));
    assert!(incident.score > before);
}

#[test]
fn onsets_decide_and_arrivals_do_not() {
    let mut correlator = knowing(&["web>cart"]);
    // Began together, one came twenty minutes later.
    correlator.push(&alert("Slow", "web", 0), at(5));
    correlator.push(&alert("Slow", "cart", 10), at(1200));
    assert_eq!(correlator.incidents().len(), 1);
    // Came together, one began an hour before.
    correlator.push(&alert("Slow", "x", 3600), at(3600));
    correlator.push(&alert("Errors", "x", 0), at(3600));
    assert_eq!(correlator.incidents().len(), 3);
}

#[test]
fn clocks_may_jump_and_times_may_be_extreme() {
    let mut correlator = knowing(&["web>cart"]);
    let mut future = alert("Slow", "cart", 0);
    future.started_at = Timestamp::MAX;
    correlator.push(&future, at(0));
    let mut past = alert("Old", "cart", 0);
    past.started_at = Timestamp::MIN;
    correlator.push(&past, at(0));
    assert_eq!(correlator.stats().future, 1);
    let incidents = correlator.incidents();
    assert_eq!(incidents[0].members[0].onset, at(0), "what claims to begin later began when it came");
    assert_eq!(incidents.len(), 2);
    // The clock jumps back by a year and then forward by two.
    let year = 31_536_000;
    let outcome = correlator.push(&alert("Slow", "cart", 0), at(-year));
    assert!(matches!(outcome.disposition, Disposition::Repeated(_)));
    assert!(correlator.advance(at(-year)).is_empty());
    correlator.push(&critical("Down", "web", -year), at(-year));
    assert_eq!(correlator.advance(at(year)).len(), 3);
    for t in [Timestamp::MIN, Timestamp::MAX, at(0)] {
        correlator.push(&critical("Down", "web", 0), t);
        correlator.advance(t);
    }
}
