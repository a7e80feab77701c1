//! Freezes, maintenance, clocks that are put forward and back.

use aiops_act::guards::{CalendarConfig, ChangeCalendar};
use aiops_core::action::{History, Mode, Verdict};
use aiops_core::model::{EntityId, Recovery};
use aiops_core::seam::{Guardrail, Review};
use aiops_core::{Context, ErrorKind, Result};
use futures_lite::future::block_on;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    World, allowed, asks, orders, preview, propose, refused, restart_of, rollback_of, secs, undoing,
};

fn calendar(config: Value) -> Result<ChangeCalendar> {
    ChangeCalendar::new(&serde_json::from_value::<CalendarConfig>(config).unwrap())
}

fn entry(effect: &str, from: &str, to: &str) -> Value {
    json!({"id": "one", "effect": effect, "from": from, "to": to})
}

fn judge_on(calendar: &ChangeCalendar, target: EntityId, at: &str) -> Verdict {
    let proposal = propose("p", "inc", restart_of(target));
    let now: Timestamp = at.parse().unwrap();
    let (history, preview) = (History::new(), preview(4, 16));
    let review = Review {
        proposal: &proposal,
        preview: &preview,
        history: &history,
        mode: Mode::Auto,
        now,
        revert_window: secs(1800),
    };
    block_on(calendar.check(&review, &Context::system())).unwrap()
}

fn judge(calendar: &ChangeCalendar, at: &str) -> Verdict {
    judge_on(calendar, orders(), at)
}

#[test]
fn a_freeze_holds_from_its_first_to_before_its_last_instant() {
    let calendar =
        calendar(json!({"zone": "Europe/Berlin", "entries": [entry("deny", "2026-12-18T18:00:00", "2027-01-04T06:00:00")]}))
            .unwrap();
    for (at, frozen) in [
        ("2026-12-18T16:59:59.999Z", false),
        ("2026-12-18T17:00:00Z", true),
        ("2027-01-04T04:59:59.999Z", true),
        ("2027-01-04T05:00:00Z", false),
    ] {
        assert_eq!(refused(&judge(&calendar, at)), frozen, "{at}");
    }
    assert!(judge(&calendar, "2026-12-24T12:00:00Z").reason().contains("one"));
}

/// Berlin: 02:00–03:00 is skipped on 2026-03-29 and happens twice on 2026-10-25.
#[test]
fn where_clocks_are_moved_a_freeze_is_long_and_maintenance_short() {
    let with = |effect: &str, from: &str, to: &str| {
        let confined = ["rolling_restart"];
        calendar(json!({"zone": "Europe/Berlin", "confined": confined, "entries": [entry(effect, from, to)]}))
            .unwrap()
    };
    // From a time that is skipped to one that comes twice.
    let (from, to) = ("2026-03-29T02:30:00", "2026-10-25T02:30:00");
    let (freeze, maintenance) = (with("deny", from, to), with("allow", from, to));
    for (at, frozen, open) in [
        ("2026-03-29T00:29:59Z", false, false),
        ("2026-03-29T00:30:00Z", true, false),
        ("2026-03-29T01:29:59Z", true, false),
        ("2026-03-29T01:30:00Z", true, true),
        ("2026-10-25T00:29:59Z", true, true),
        ("2026-10-25T00:30:00Z", true, false),
        ("2026-10-25T01:29:59Z", true, false),
        ("2026-10-25T01:30:00Z", false, false),
    ] {
        assert_eq!(refused(&judge(&freeze, at)), frozen, "freeze at {at}");
        assert_eq!(allowed(&judge(&maintenance, at)), open, "maintenance at {at}");
    }
}

#[test]
fn the_strictest_entry_decides_and_an_entry_is_about_what_it_names() {
    let (from, to) = ("2026-06-01T00:00:00", "2026-06-02T00:00:00");
    let calendar = calendar(json!({"entries": [
        {"id": "open", "effect": "allow", "from": from, "to": to},
        {"id": "careful", "effect": "ask", "from": from, "to": to, "targets": {"service": ["ord*"]}},
        {"id": "closed", "effect": "deny", "from": from, "to": to, "targets": {"service": ["store"]}},
        {"id": "other-kind", "effect": "deny", "from": from, "to": to, "actions": ["drain"]},
    ]}))
    .unwrap();
    let at = "2026-06-01T12:00:00Z";
    assert!(allowed(&judge_on(&calendar, EntityId::service("gateway"), at)));
    assert!(asks(&judge_on(&calendar, orders(), at)));
    assert!(refused(&judge_on(&calendar, EntityId::service("store"), at)));
    assert!(allowed(&judge_on(&calendar, EntityId::service("store"), "2026-06-02T00:00:00Z")));
}

#[test]
fn outside_maintenance_what_is_confined_asks() {
    let config = json!({"confined": ["rolling_restart"],
        "entries": [entry("allow", "2026-06-01T00:00:00", "2026-06-01T04:00:00")]});
    let calendar = calendar(config).unwrap();
    assert!(allowed(&judge(&calendar, "2026-06-01T03:59:59Z")));
    assert!(asks(&judge(&calendar, "2026-06-01T04:00:00Z")));
}

#[test]
fn undoing_is_let_through_by_what_asks_and_stopped_by_what_denies() {
    for (effect, stopped) in [("ask", false), ("deny", true)] {
        let calendar =
            calendar(json!({"entries": [entry(effect, "2026-01-01T00:00:00", "2027-01-01T00:00:00")]}))
                .unwrap();
        let world = World::new();
        let done = propose("p", "inc", rollback_of(orders()));
        world.done(&done, Some(Recovery::NotRecovered));
        assert_eq!(refused(&world.judge(&calendar, &undoing(&done))), stopped);
        assert!(!allowed(&world.judge(&calendar, &propose("q", "inc", restart_of(orders())))));
    }
}

/// The calendar that baselines and correlation go by: its maintenance opens what is confined, its sales days ask.
#[test]
fn events_that_are_known_beforehand_count_by_their_kind() {
    let events: aiops_core::model::Calendar = serde_json::from_value(json!({"zone": "Europe/Berlin", "events": [
        {"id": "backup", "kind": "maintenance", "about": ["service/orders"], "when": {"every": {"from": "02:30", "to": "03:30"}}},
        {"id": "sale", "kind": "demand", "when": {"every": {"dates": ["2026-11-27"]}}},
        {"id": "job", "kind": "batch", "when": {"every": {"from": "05:00", "to": "06:00"}}},
    ]}))
    .unwrap();
    let with = |config: Value| calendar(config).unwrap().with_events(events.clone());
    let usual = with(json!({"confined": ["rolling_restart"]}));
    assert!(allowed(&judge(&usual, "2026-06-02T00:30:00Z")), "02:30 in Berlin");
    assert!(asks(&judge(&usual, "2026-06-02T01:30:00Z")), "it is over");
    assert!(
        asks(&judge_on(&usual, EntityId::service("store"), "2026-06-02T00:30:00Z")),
        "about somebody else"
    );
    assert!(asks(&judge(&usual, "2026-06-02T03:30:00Z")), "a job opens nothing");
    // In the hour that comes twice, only what is surely within: from the second 02:30 on.
    assert!(asks(&judge(&usual, "2026-10-25T00:45:00Z")) && allowed(&judge(&usual, "2026-10-25T01:45:00Z")));
    let free = with(json!({}));
    let sale = "2026-11-27T12:00:00Z";
    assert!(asks(&judge(&free, sale)) && judge(&free, sale).reason().contains("sale"));
    assert!(allowed(&judge(&free, "2026-11-28T12:00:00Z")));
    let strict = with(json!({"known": {"demand": "deny", "batch": "ask"}, "confined": ["rolling_restart"]}));
    assert!(refused(&judge(&strict, sale)));
    assert!(judge(&strict, "2026-06-02T03:30:00Z").reason().contains("job"));
    assert!(asks(&judge(&strict, "2026-06-02T00:30:00Z")), "maintenance is not named and says nothing");
    let entry = entry("deny", "2026-06-02T00:00:00", "2026-06-03T00:00:00");
    let both = with(json!({"entries": [entry], "confined": ["rolling_restart"]}));
    assert!(refused(&judge(&both, "2026-06-02T00:30:00Z")), "of all that holds the strictest decides");
}

#[test]
fn what_cannot_be_meant_is_refused_when_loaded() {
    let fine = entry("deny", "2026-01-01T00:00:00", "2026-01-02T00:00:00");
    let mut nameless = fine.clone();
    nameless["targets"] = json!({"service": []});
    for (config, word) in [
        (json!({"zone": "Europe/Atlantis"}), "unknown time zone"),
        (json!({"entries": [fine, fine]}), "two entries"),
        (json!({"entries": [entry("deny", "2026-01-02T00:00:00", "2026-01-02T00:00:00")]}), "from"),
        (json!({"entries": [entry("deny", "2026-01-02T00:00:00", "2026-01-01T00:00:00")]}), "from"),
        (json!({"entries": [nameless]}), "no names"),
    ] {
        let error = calendar(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(word), "{error}");
    }
    for unknown in
        [json!({"frozen": []}), json!({"entries": [{"id": "x"}]}), json!({"entries": [{"until": 1}]})]
    {
        assert!(serde_json::from_value::<CalendarConfig>(unknown).is_err());
    }
    let whole = serde_json::from_value::<CalendarConfig>(json!({"entries": [fine]})).unwrap();
    let written = serde_json::to_value(&whole).unwrap();
    assert_eq!(serde_json::from_value::<CalendarConfig>(written).unwrap(), whole);
}
