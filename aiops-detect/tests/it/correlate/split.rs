//! Undoing merges.

use std::collections::BTreeSet;

use aiops_core::model::Severity;
use aiops_detect::correlate::{AlertId, Correlator, Disposition, Incident, SplitError};

use super::{alert, at, critical, grouped, knowing};

fn ids(incident: &Incident, about: &[&str]) -> BTreeSet<AlertId> {
    incident.members.iter().filter(|m| about.contains(&m.about.name())).map(|m| m.id).collect()
}

/// `a – b – c – d` in one incident.
fn chain() -> Correlator {
    let mut correlator = knowing(&["a>b", "b>c", "c>d", "a>x", "c>x"]);
    for (i, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let t = 100 * i as i64;
        correlator.push(&alert("Slow", name, t), at(t));
    }
    correlator.push(&critical("Down", "d", 300), at(300));
    correlator
}

#[test]
fn cutting_a_link_takes_what_hangs_on_it() {
    let mut correlator = chain();
    let before = correlator.incidents();
    assert_eq!(grouped(&before), [["a", "b", "c", "d", "d"]]);
    let link = before[0].links().find(|link| link.alert == before[0].members[2].id).unwrap().clone();
    let behind = correlator.behind(before[0].number, &link);
    assert_eq!(behind, ids(&before[0], &["c", "d"]));
    let part = correlator.split(before[0].number, &behind, at(400)).unwrap();
    let after = correlator.incidents();
    assert_eq!(grouped(&after), [vec!["a", "b"], vec!["c", "d", "d"]]);
    assert_eq!((after[1].number, after[1].split_from), (part, Some(before[0].number)));
    assert_eq!((after[0].severity, after[1].severity), (Severity::Warning, Severity::Critical));
    assert_eq!(after[0].notifications + after[1].notifications, before[0].notifications);
    assert_eq!((after[0].onsets.end(), after[1].onsets.start()), (at(100), at(200)));
    // Every link that is left lies within its incident.
    for incident in &after {
        let own: BTreeSet<AlertId> = incident.members.iter().map(|m| m.id).collect();
        assert!(incident.links().all(|l| own.contains(&l.alert) && own.contains(&l.to)));
    }
    assert!(correlator.behind(before[0].number, &link).is_empty(), "it is gone");
}

#[test]
fn what_was_split_is_never_made_one_again() {
    let mut correlator = chain();
    let whole = correlator.incidents().remove(0);
    let part = correlator.split(whole.number, &ids(&whole, &["c", "d"]), at(300)).unwrap();
    // Needed by members of both, it would unite them.
    let outcome = correlator.push(&critical("Down", "x", 301), at(301));
    let Disposition::New(placed) = outcome.disposition else { panic!("{outcome:?}") };
    assert_eq!((placed.incident, placed.merged.len()), (part, 0));
    assert!(placed.link.unwrap().to_string().contains("needs service/x"));
    // Repeats go where their alert is.
    let outcome = correlator.push(&alert("Slow", "a", 0), at(302));
    assert_eq!(outcome.disposition.incident(), Some(whole.number));
    assert_eq!(correlator.incidents().len(), 2);
}

#[test]
fn a_split_that_makes_no_sense_changes_nothing() {
    let mut correlator = chain();
    correlator.push(&alert("Slow", "far", 0), at(300));
    let [whole, other] = &correlator.incidents()[..] else { panic!() };
    let before = correlator.clone();
    let all = ids(whole, &["a", "b", "c", "d"]);
    let stranger = other.members[0].id;
    let mut split =
        |number, members: &BTreeSet<AlertId>| correlator.split(number, members, at(400)).unwrap_err();
    assert_eq!(split(whole.number, &all), SplitError::OneSided);
    assert_eq!(split(whole.number, &BTreeSet::new()), SplitError::OneSided);
    assert_eq!(split(whole.number, &BTreeSet::from([stranger])), SplitError::NotAMember(stranger));
    assert_eq!(split(other.number, &BTreeSet::from([stranger])), SplitError::OneSided);
    assert_eq!(correlator, before);
    let gone = other.number;
    correlator.advance(at(100_000));
    assert_eq!(correlator.split(gone, &all, at(0)), Err(SplitError::NoIncident(gone)));
}

#[test]
fn every_alert_of_an_incident_is_linked_or_opened_it() {
    let correlator = chain();
    let incident = correlator.incidents().remove(0);
    let unlinked: Vec<_> = incident.members.iter().filter(|m| m.links.is_empty()).collect();
    assert_eq!(unlinked.len(), 1);
    assert_eq!(unlinked[0].id, incident.members[0].id);
    for link in incident.links() {
        assert!(!link.reasons.is_empty() && link.strength >= 0.5 && link.strength <= 1.0, "{link}");
    }
}
