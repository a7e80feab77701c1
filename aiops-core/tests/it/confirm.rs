//! When looks become an incident.

use std::collections::BTreeSet;

use aiops_core::jiff::Timestamp;
use aiops_core::pipeline::{Confirmation, Sighting};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn looks(confirmation: &mut Confirmation<char>, from: i64, looks: &str) -> Vec<Sighting<char>> {
    let looks = looks.split(' ').enumerate();
    looks
        .map(|(i, symptoms)| {
            confirmation.look(at(from + i as i64), symptoms.chars().filter(|c| *c != '-').collect())
        })
        .collect()
}

#[test]
fn only_shared_symptoms_in_a_row_confirm() {
    use Sighting::*;
    let row = |looks| Unconfirmed { looks };
    let mut three = Confirmation::new(3);
    // A chain of shared symptoms is one row; a quiet look or other symptoms begin anew.
    assert_eq!(looks(&mut three, 0, "a ab b"), [row(1), row(2), Confirmed]);
    assert_eq!(
        looks(&mut three, 3, "b b - b c c c"),
        [row(1), row(2), Quiet, row(1), row(1), row(2), Confirmed]
    );
    // Without a hold, what was confirmed counts again from the beginning.
    assert_eq!(looks(&mut three, 10, "c c c c"), [row(1), row(2), Confirmed, row(1)]);
    for needed in [0, 1] {
        assert_eq!(looks(&mut Confirmation::new(needed), 0, "- a"), [Quiet, Confirmed]);
    }
}

#[test]
fn what_is_held_is_quiet_until_it_is_gone_or_time_is_up() {
    use Sighting::*;
    let mut one = Confirmation::new(1);
    let held = |joined: &str| Held { joined: joined.chars().collect() };
    one.hold(BTreeSet::from(['a']), at(10));
    // What joins is told once and belongs to it, also without the first.
    assert_eq!(looks(&mut one, 0, "ab b bc c"), [held("b"), held(""), held("c"), held("")]);
    assert_eq!(looks(&mut one, 4, "d"), [Confirmed]);
    // A look without any of them ends the hold.
    assert_eq!(looks(&mut one, 5, "a"), [Confirmed]);
    one.hold(BTreeSet::from(['a']), at(10));
    assert_eq!(looks(&mut one, 6, "a - a"), [held(""), Quiet, Confirmed]);
    one.hold(BTreeSet::from(['a']), at(10));
    assert_eq!(looks(&mut one, 9, "a a"), [held(""), Confirmed]);
    // A clock that jumps back only holds longer.
    one.hold(BTreeSet::from(['a']), at(20));
    assert_eq!(looks(&mut one, -100, "a"), [held("")]);
}

#[test]
fn each_who_looks_after_something_goes_on_doing_so() {
    use Sighting::*;
    let held = |joined: &str| Held { joined: joined.chars().collect() };
    let mut one = Confirmation::new(1);
    one.hold(BTreeSet::from(['a']), at(10));
    one.hold(BTreeSet::from(['x']), at(4));
    assert_eq!(looks(&mut one, 0, "ax ax a a"), [held(""), held(""), held(""), held("")]);
    // The second was over with the first look that did not show it.
    assert_eq!(looks(&mut one, 4, "x"), [Confirmed]);
}

#[test]
fn one_blind_look_gives_nothing_back() {
    use Sighting::*;
    let held = |joined: &str| Held { joined: joined.chars().collect() };
    let mut two = Confirmation::new(2);
    two.hold(BTreeSet::from(['a']), at(60));
    assert_eq!(looks(&mut two, 0, "a - a a"), [held(""), Quiet, held(""), held("")]);
    assert_eq!(looks(&mut two, 4, "- - a a"), [Quiet, Quiet, Unconfirmed { looks: 1 }, Confirmed]);
}

#[test]
fn what_joins_stays_with_whoever_looks_longest() {
    use Sighting::*;
    let held = |joined: &str| Held { joined: joined.chars().collect() };
    let mut one = Confirmation::new(1);
    one.hold(BTreeSet::from(['a']), at(10));
    one.hold(BTreeSet::from(['b']), at(60));
    assert_eq!(looks(&mut one, 5, "abc"), [held("c")]);
    assert_eq!(looks(&mut one, 11, "bc"), [held("")]);
}
