//! Maintenance, deployments, limits.

use aiops_core::jiff::civil::time;
use aiops_core::model::calendar::{Every, When};
use aiops_core::model::{
    Calendar, CalendarEvent, CalendarFile, Change, ChangeKind, EventKind, Severity, TimeRange,
};
use aiops_detect::correlate::{
    CorrelatorOptions, Disposition, HeldBy, LimitOptions, MaintenanceWindow, Tier,
};

use super::{alert, at, critical, knowing, resolved, service, with};

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(at(start), at(end)).unwrap()
}

#[test]
fn upkeep_holds_back_what_it_covers_and_nothing_critical() {
    let mut correlator = knowing(&["web>db"]);
    correlator.announce(MaintenanceWindow::new("m1", range(0, 3600), [service("db")]));
    let outcome = correlator.push(&alert("Slow", "db", 10), at(10));
    assert_eq!(outcome.disposition, Disposition::Held(HeldBy::Maintenance("m1".into())));
    assert!(matches!(correlator.push(&critical("Down", "db", 10), at(10)).disposition, Disposition::New(_)));
    assert!(matches!(
        correlator.push(&alert("Slow", "web", 1000), at(1000)).disposition,
        Disposition::New(_)
    ));
    assert!(matches!(
        correlator.push(&alert("Slower", "db", 4000), at(4000)).disposition,
        Disposition::New(_)
    ));
    // What still fires when it ends is not lost.
    assert_eq!(correlator.stats().released, 1);
    let about_db =
        correlator.incidents().iter().flat_map(|i| &i.members).filter(|m| m.about == service("db")).count();
    assert_eq!(about_db, 3);
}

#[test]
fn a_window_may_cover_everything_and_critical_alerts_too() {
    let mut correlator = knowing(&[]);
    correlator.announce(MaintenanceWindow::new("m1", range(0, 100), []).holding_critical());
    assert!(matches!(
        correlator.push(&critical("Down", "any", 10), at(10)).disposition,
        Disposition::Held(_)
    ));
    assert_eq!(correlator.quiet().count(), 1);
    // Announced again under the same id, it is another window.
    correlator.announce(MaintenanceWindow::new("m1", range(0, 100), []));
    assert!(matches!(correlator.push(&critical("Down", "b", 10), at(10)).disposition, Disposition::New(_)));
    assert!(correlator.advance(at(100)).is_empty());
    assert_eq!((correlator.incidents().len(), correlator.stats().released), (2, 1));
}

/// Of what is known beforehand, maintenance holds back in its hours, each time; jobs and sales days hold nothing back.
#[test]
fn a_calendar_holds_back_in_its_hours() {
    let hour = |from: i8| When::Every(Every::day(time(from, 0, 0, 0), time(from + 1, 0, 0, 0)));
    let upkeep = CalendarEvent::new("backup", EventKind::Maintenance, hour(1)).about([service("db")]);
    let mut closed = CalendarEvent::new("closed", EventKind::Maintenance, hour(3));
    closed.holds_critical = true;
    let events = vec![upkeep, closed, CalendarEvent::new("job", EventKind::Batch, hour(5))];
    let calendar = Calendar::try_from(CalendarFile { events, ..CalendarFile::default() }).unwrap();
    let mut correlator = knowing(&["web>db"]);
    correlator.set_calendar(calendar);
    // `at(0)` is midnight of some day by universal time.
    let midnight = 86_400 - at(0).as_second().rem_euclid(86_400);
    let hour = |hour: i64| midnight + hour * 3600;
    let mut push = |name: &str, about: &str, severity: Severity, t: i64| {
        let mut alert = alert(name, about, t);
        alert.severity = severity;
        correlator.push(&alert, at(t)).disposition
    };
    let held = |by: &str| Disposition::Held(HeldBy::Maintenance(by.into()));
    assert_eq!(push("A", "db", Severity::Warning, hour(1)), held("backup"));
    assert!(matches!(push("B", "db", Severity::Critical, hour(1) + 1), Disposition::New(_)));
    assert!(matches!(push("A", "web", Severity::Warning, hour(1) + 2), Disposition::New(_)));
    assert!(matches!(push("C", "db", Severity::Warning, hour(2)), Disposition::New(_)), "over");
    assert_eq!(push("D", "web", Severity::Critical, hour(3)), held("closed"));
    assert!(matches!(push("E", "db", Severity::Warning, hour(5)), Disposition::New(_)));
    assert_eq!(push("F", "db", Severity::Warning, hour(25)), held("backup"), "the day after too");
    // Stored, it goes on; the calendar is a setting, to be set again.
    let stored = serde_json::to_string(&correlator).unwrap();
    let mut back: aiops_detect::Correlator = serde_json::from_str(&stored).unwrap();
    let late = alert("G", "db", hour(25) + 60);
    let mut blind = back.clone();
    assert!(matches!(blind.push(&late, at(hour(25) + 60)).disposition, Disposition::New(_)));
    let events = vec![CalendarEvent::new("backup", EventKind::Maintenance, When::Every(Every::default()))];
    back.set_calendar(Calendar::try_from(CalendarFile { events, ..CalendarFile::default() }).unwrap());
    assert_eq!(back.push(&late, at(hour(25) + 60)).disposition, held("backup"));
}

#[test]
fn a_roll_out_hides_its_own_noise_and_nothing_that_lasts() {
    let deploy = |id: &str, t: i64| Change::new(id, at(t), ChangeKind::Deployment, service("cart"), "v2");
    // Noise: it ends within the five minutes.
    let mut correlator = knowing(&["web>cart"]);
    correlator.change(deploy("d1", 0));
    let noise = alert("PodNotReady", "cart", 30);
    let outcome = correlator.push(&noise, at(30));
    assert!(matches!(&outcome.disposition, Disposition::Held(HeldBy::Change(id)) if id.0 == "d1"));
    correlator.push(&resolved(&noise), at(90));
    correlator.advance(at(1000));
    assert_eq!((correlator.incidents().len(), correlator.stats().suppressed), (0, 1));
    assert_eq!(correlator.quiet().count(), 1, "kept and countable");
    correlator.advance(at(90 + 6 * 3600 + 1));
    assert_eq!(correlator.quiet().count(), 0, "until it is forgotten");
    // Not noise: it lasts, and the roll-out is the first suspect.
    let mut correlator = knowing(&["web>cart"]);
    correlator.change(deploy("d1", 0));
    correlator.push(&alert("Errors", "cart", 30), at(30));
    assert!(matches!(correlator.push(&alert("Errors", "web", 40), at(40)).disposition, Disposition::New(_)));
    assert!(correlator.advance(at(299)).is_empty());
    assert_eq!(correlator.incidents()[0].members.len(), 1);
    correlator.advance(at(300));
    let incidents = correlator.incidents();
    assert_eq!((incidents.len(), incidents[0].members.len()), (1, 2));
    assert_eq!(incidents[0].primary_service, service("cart"));
    assert!(incidents[0].root_cause.as_ref().unwrap().contains("deployment of service/cart (v2)"));
    // Critical: not hidden, and one that grows critical comes out.
    let mut correlator = knowing(&[]);
    correlator.change(deploy("d1", 0));
    assert!(matches!(correlator.push(&critical("Down", "cart", 5), at(5)).disposition, Disposition::New(_)));
    let mut growing = alert("Errors", "cart", 5);
    assert!(matches!(correlator.push(&growing, at(5)).disposition, Disposition::Held(_)));
    growing.severity = Severity::Critical;
    assert!(correlator.push(&growing, at(6)).disposition.incident().is_some());
    assert_eq!(correlator.incidents()[0].members.len(), 2);
}

#[test]
fn what_flaps_after_a_roll_out_is_not_hidden_for_good() {
    let five_minutes = std::time::Duration::from_secs(300);
    let mut correlator =
        with(CorrelatorOptions { reopen_within: five_minutes, ..CorrelatorOptions::default() });
    correlator.change(Change::new("d1", at(0), ChangeKind::Restart, service("cart"), "restart"));
    let flapping = alert("Errors", "cart", 30);
    correlator.push(&flapping, at(30));
    correlator.push(&resolved(&flapping), at(60));
    let again = correlator.push(&alert("Errors", "cart", 330), at(330));
    assert!(matches!(again.disposition, Disposition::Reopened(Some(_))), "{again:?}");
}

#[test]
fn limits_have_tiers_and_a_path_for_what_is_critical() {
    let limits = LimitOptions {
        info_per_minute: 6,
        info_burst: 3,
        warning_per_minute: 6,
        warning_burst: 5,
        entity_per_minute: 6,
        entity_burst: 2,
        max_entities: 100,
    };
    let mut correlator = with(CorrelatorOptions { limits, ..CorrelatorOptions::default() });
    let mut push = |name: &str, about: &str, severity: Severity, t: i64| {
        let mut alert = alert(name, about, t);
        alert.severity = severity;
        correlator.push(&alert, at(t)).disposition
    };
    use Severity::{Critical, Info, Warning};
    for (name, limit) in [("a", None), ("b", None), ("c", Some(Tier::Entity))] {
        let disposition = push(name, "x", Warning, 0);
        assert_eq!(
            matches!(disposition, Disposition::Limited(t) if Some(t) == limit),
            limit.is_some(),
            "{name}"
        );
    }
    // The other service has its own, and all warnings have one together.
    assert!(matches!(push("a", "y", Warning, 0), Disposition::New(_)));
    assert!(matches!(push("a", "z", Warning, 0), Disposition::New(_)));
    assert!(matches!(push("a", "u", Warning, 0), Disposition::New(_)));
    assert_eq!(push("a", "v", Warning, 0), Disposition::Limited(Tier::Warning));
    assert!(matches!(push("a", "w", Info, 0), Disposition::New(_)), "another tier");
    // Known ones and critical ones cost nothing.
    assert!(matches!(push("a", "x", Warning, 0), Disposition::Repeated(_)));
    for i in 0..50 {
        assert!(matches!(push(&format!("crit{i}"), "x", Critical, 0), Disposition::New(_)));
    }
    // Ten seconds later there is one more of each.
    assert!(matches!(push("c", "x", Warning, 10), Disposition::New(_)));
    assert!(matches!(push("d", "x", Warning, 10), Disposition::Limited(_)));
    let stats = *correlator.stats();
    assert_eq!((stats.limited_entity, stats.limited_warning, stats.limited_info), (2, 1, 0));
    let refused: u64 = correlator.incidents().iter().map(|i| i.limited).sum();
    assert_eq!(refused, 2, "counted where they belong");
}
