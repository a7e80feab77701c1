//! What is known beforehand: when it holds, on clocks that are moved, and what cannot be meant.

use aiops_core::jiff::civil::{Date, Time, date, time};
use aiops_core::jiff::tz::TimeZone;
use aiops_core::jiff::{Timestamp, ToSpan};
use aiops_core::model::calendar::{CalendarError, CalendarEvent, Day, Every, Once, Reading, When};
use aiops_core::model::{Calendar, CalendarFile, EntityId, EventKind};
use aiops_core::{Error, ErrorKind};

fn calendar(zone: &str, events: Vec<CalendarEvent>) -> Result<Calendar, CalendarError> {
    Calendar::try_from(CalendarFile { zone: zone.into(), events })
}

fn batch(id: &str, every: Every) -> CalendarEvent {
    CalendarEvent::new(id, EventKind::Batch, When::Every(every))
}

/// 2026: January, the 1st, is a Thursday.
fn hours(from: i8, to: i8) -> Every {
    Every::day(time(from, 0, 0, 0), time(to, 0, 0, 0))
}

fn holds(calendar: &Calendar, at: &str) -> bool {
    calendar.holding(at.parse().unwrap()).next().is_some()
}

#[test]
fn a_span_holds_from_its_first_to_before_its_last_instant() {
    let daily = calendar("Europe/Berlin", vec![batch("b", hours(1, 4))]).unwrap();
    for (at, held) in [
        ("2026-06-02T22:59:59.999Z", false),
        ("2026-06-02T23:00:00Z", true),
        ("2026-06-03T01:59:59.999Z", true),
        ("2026-06-03T02:00:00Z", false),
    ] {
        assert_eq!(holds(&daily, at), held, "{at}");
    }
    let once =
        When::Once(Once { from: date(2026, 12, 18).at(18, 0, 0, 0), to: date(2027, 1, 4).at(6, 0, 0, 0) });
    let freeze = calendar("UTC", vec![CalendarEvent::new("x", EventKind::Maintenance, once)]).unwrap();
    assert!(!holds(&freeze, "2026-12-18T17:59:59Z") && holds(&freeze, "2026-12-18T18:00:00Z"));
    assert!(holds(&freeze, "2027-01-04T05:59:59Z") && !holds(&freeze, "2027-01-04T06:00:00Z"));
}

#[test]
fn a_span_over_midnight_belongs_to_the_day_it_begins_on() {
    let friday = calendar("UTC", vec![batch("b", hours(22, 2).on([Day::Friday]))]).unwrap();
    // 2 January 2026 is a Friday.
    for (at, held) in [
        ("2026-01-02T01:00:00Z", false),
        ("2026-01-02T22:00:00Z", true),
        ("2026-01-03T01:59:59Z", true),
        ("2026-01-03T02:00:00Z", false),
        ("2026-01-03T22:00:00Z", false),
    ] {
        assert_eq!(holds(&friday, at), held, "{at}");
    }
    let at: Timestamp = "2026-01-03T01:00:00Z".parse().unwrap();
    let held = friday.holding(at).next().unwrap();
    assert_eq!(
        (held.date, held.range.to_string().as_str()),
        (date(2026, 1, 2), "2026-01-02T22:00:00Z/2026-01-03T02:00:00Z")
    );
}

#[test]
fn days_meet_every_condition() {
    let on = |every: Every| (1..=31).filter(|day| every.begins_on(date(2026, 1, *day))).collect::<Vec<i8>>();
    let all = Every::default();
    assert_eq!(on(all.clone()).len(), 31);
    assert_eq!(on(all.clone().on([Day::Sunday])), [4, 11, 18, 25]);
    let ends = Every { month_days: [1, -1, -31].into(), ..all.clone() };
    assert_eq!(on(ends.clone()), [1, 31]);
    assert!(ends.begins_on(date(2028, 2, 29)) && !ends.begins_on(date(2028, 2, 28)));
    // The last Friday is one of the last seven days.
    let last_friday = Every { month_days: (-7..=-1).collect(), ..all.clone() }.on([Day::Friday]);
    assert_eq!(on(last_friday), [30]);
    let bounded = Every {
        dates: (1..=9).map(|day| date(2026, 1, day)).collect(),
        except: [date(2026, 1, 5)].into(),
        first: Some(date(2026, 1, 4)),
        last: Some(date(2026, 1, 7)),
        ..all
    };
    assert_eq!(on(bounded), [4, 6, 7]);
}

/// Berlin: 02:00–03:00 is skipped on 2026-03-29 and happens twice on 2026-10-25.
#[test]
fn clocks_that_are_moved_have_three_readings() {
    let half = Every::day(time(2, 30, 0, 0), time(3, 30, 0, 0));
    let berlin = calendar("Europe/Berlin", vec![batch("b", half)]).unwrap();
    let range = |at: &str, reading| {
        let held = berlin.holding_by(at.parse().unwrap(), reading).next();
        held.map(|h| h.range.to_string().replace("2026-03-29T", "").replace("2026-10-25T", ""))
    };
    // Put forward: 02:30 is read as 03:30, and nothing is left; the longest begins an hour earlier by the clock.
    assert_eq!(range("2026-03-29T01:00:00Z", Reading::Compatible), None);
    assert_eq!(range("2026-03-29T01:00:00Z", Reading::Shorter), None);
    assert_eq!(range("2026-03-29T01:00:00Z", Reading::Longer).unwrap(), "00:30:00Z/01:30:00Z");
    // Put back: the first 02:30, or the second.
    let autumn = "2026-10-25T02:00:00Z";
    assert_eq!(range(autumn, Reading::Compatible).unwrap(), "00:30:00Z/02:30:00Z");
    assert_eq!(range(autumn, Reading::Longer).unwrap(), "00:30:00Z/02:30:00Z");
    assert_eq!(range(autumn, Reading::Shorter).unwrap(), "01:30:00Z/02:30:00Z");
    // Cuba puts the clock forward at midnight: 2026-03-08 begins at 01:00.
    let whole = calendar(
        "America/Havana",
        vec![batch("b", Every { dates: [date(2026, 3, 8)].into(), ..Every::default() })],
    );
    let whole = whole.unwrap();
    assert!(!holds(&whole, "2026-03-08T04:59:59Z") && holds(&whole, "2026-03-08T05:00:00Z"));
    assert!(holds(&whole, "2026-03-09T03:59:59Z") && !holds(&whole, "2026-03-09T04:00:00Z"));
}

/// Against all occurrences, listed and read one by one.
#[test]
fn what_holds_is_what_a_list_of_all_occurrences_says() {
    let mut rng = fastrand::Rng::with_seed(31);
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/Havana",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ];
    let days =
        [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];
    let mut held = 0;
    for round in 0..300 {
        let zone = zones[rng.usize(..zones.len())];
        let some = |rng: &mut fastrand::Rng| Time::constant(rng.i8(0..24), rng.i8(0..4) * 15, 0, 0);
        let mut every = Every::day(some(&mut rng), some(&mut rng));
        if rng.bool() {
            every.days = (0..rng.usize(1..5)).map(|_| days[rng.usize(..7)]).collect();
        }
        if rng.u8(..4) == 0 {
            every.month_days =
                (0..8).map(|_| if rng.bool() { rng.i8(1..=31) } else { rng.i8(-31..=-1) }).collect();
        }
        let Ok(calendar) = calendar(zone, vec![batch("b", every.clone())]) else { continue };
        let zone = TimeZone::get(zone).or_else(|_| TimeZone::posix(zone)).unwrap();
        // Weeks around a change of some clock.
        let first = [date(2026, 3, 5), date(2026, 10, 20), date(2026, 4, 1)][round % 3];
        let listed: Vec<(Timestamp, Timestamp)> = (0..16)
            .map(|n| first.checked_add(n.days()).unwrap())
            .filter(|day| every.begins_on(*day))
            .map(|day: Date| {
                let end = if every.from < every.to { day } else { day.tomorrow().unwrap() };
                let read =
                    |at: aiops_core::jiff::civil::DateTime| at.to_zoned(zone.clone()).unwrap().timestamp();
                (read(day.to_datetime(every.from)), read(end.to_datetime(every.to)))
            })
            .collect();
        let begin = first.checked_add(2.days()).unwrap().to_zoned(zone).unwrap().timestamp();
        for _ in 0..300 {
            let at = begin + i64::from(rng.u32(..11 * 24 * 60)).minutes();
            let expected = listed.iter().any(|(from, to)| *from <= at && at < *to);
            assert_eq!(calendar.holding(at).next().is_some(), expected, "{every:?} at {at}");
            held += usize::from(expected);
        }
    }
    assert!(held > 10_000, "{held}");
}

#[test]
fn what_is_about_somebody_is_not_about_others() {
    let db = EntityId::service("db");
    let events = vec![
        batch("db", hours(1, 4)).about([db.clone()]),
        CalendarEvent::new("sale", EventKind::Demand, When::Every(hours(0, 0))),
    ];
    let calendar = calendar("UTC", events).unwrap();
    let ids = |c: &Calendar| c.events().iter().map(|e| e.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&calendar.about(&db)), ["db", "sale"]);
    assert_eq!(ids(&calendar.about(&EntityId::service("web"))), ["sale"]);
    assert!(Calendar::new().is_empty() && Calendar::new().about(&db).is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = |zone: &str, events: Vec<CalendarEvent>| calendar(zone, events).unwrap_err();
    let of = |change: fn(&mut Every)| {
        let mut every = hours(1, 4);
        change(&mut every);
        refused("UTC", vec![batch("b", every)])
    };
    assert_eq!(
        refused("Europe/Atlantis", vec![]),
        CalendarError::UnknownZone { zone: "Europe/Atlantis".into() }
    );
    assert!(matches!(refused("", vec![]), CalendarError::UnknownZone { .. }));
    let many = (0..257).map(|i| batch(&i.to_string(), hours(1, 4)).about([EntityId::service(i.to_string())]));
    assert_eq!(refused("UTC", many.collect()), CalendarError::TooMany { events: 257 });
    assert!(matches!(refused("UTC", vec![batch(" ", hours(1, 4))]), CalendarError::Name { .. }));
    assert!(matches!(refused("UTC", vec![batch(&"x".repeat(129), hours(1, 4))]), CalendarError::Name { .. }));
    let twice = refused("UTC", vec![batch("a", hours(1, 2)), batch("a", hours(3, 4))]);
    assert_eq!(twice, CalendarError::Twice { id: "a".into() });
    let noon = date(2026, 1, 1).at(12, 0, 0, 0);
    for to in [noon, date(2025, 1, 1).at(0, 0, 0, 0)] {
        let once = CalendarEvent::new("o", EventKind::Demand, When::Once(Once { from: noon, to }));
        assert!(matches!(refused("UTC", vec![once]), CalendarError::Backwards { .. }));
    }
    let backwards = of(|e| (e.first, e.last) = (Some(date(2026, 1, 2)), Some(date(2026, 1, 1))));
    assert!(matches!(backwards, CalendarError::Backwards { .. }));
    assert_eq!(of(|e| e.month_days = [0].into()), CalendarError::MonthDay { event: "b".into(), day: 0 });
    assert_eq!(of(|e| e.month_days = [-32].into()), CalendarError::MonthDay { event: "b".into(), day: -32 });
    assert_eq!(
        of(|e| e.month_days = [i8::MIN].into()),
        CalendarError::MonthDay { event: "b".into(), day: i8::MIN }
    );
    for never in [
        of(|e| (e.dates, e.except) = ([date(2026, 1, 1)].into(), [date(2026, 1, 1)].into())),
        of(|e| (e.dates, e.days) = ([date(2026, 1, 1)].into(), [Day::Sunday].into())),
        of(|e| {
            (e.first, e.last, e.days) = (Some(date(2026, 1, 1)), Some(date(2026, 1, 2)), [Day::Sunday].into())
        }),
    ] {
        assert_eq!(never, CalendarError::Never { event: "b".into() });
    }
    // Rare, or over long ago, is not never.
    assert!(calendar("UTC", vec![batch("b", Every { month_days: [31].into(), ..hours(1, 2) })]).is_ok());
    assert!(calendar("UTC", vec![batch("b", Every { last: Some(date(2020, 1, 1)), ..hours(1, 2) })]).is_ok());
    let mut holds = batch("b", hours(1, 2));
    holds.holds_critical = true;
    assert_eq!(refused("UTC", vec![holds]), CalendarError::HoldsNothing { event: "b".into() });
    let seam = Error::from(twice);
    assert_eq!(seam.kind(), ErrorKind::Invalid);
    assert!(seam.to_string().contains("\"a\""), "{seam}");
}

#[test]
fn what_contradicts_is_refused_and_what_only_meets_is_not() {
    let db = || [EntityId::service("db")];
    let both = |one: CalendarEvent, other: CalendarEvent| calendar("UTC", vec![one, other]);
    let clash = |one: Every, other: Every| {
        let result = both(batch("a", one).about(db()), batch("b", other).about(db()));
        match result {
            Err(CalendarError::Contradiction { date, .. }) => Some(date),
            Ok(_) => None,
            Err(e) => panic!("{e}"),
        }
    };
    assert!(clash(hours(1, 4), hours(3, 5)).is_some());
    assert_eq!(clash(hours(1, 4), hours(4, 5)), None, "one ends where the other begins");
    assert!(clash(hours(22, 2), hours(1, 3)).is_some(), "over midnight");
    assert_eq!(clash(hours(22, 2).on([Day::Friday]), hours(1, 3).on([Day::Friday])), None);
    assert!(clash(hours(22, 2).on([Day::Friday]), hours(1, 3).on([Day::Saturday])).is_some());
    assert!(clash(hours(1, 3).on([Day::Saturday]), hours(22, 2).on([Day::Friday])).is_some());
    assert_eq!(clash(hours(1, 4).on([Day::Monday]), hours(1, 4).on([Day::Tuesday])), None);
    let dated =
        |days: &[i8]| Every { dates: days.iter().map(|d| date(2031, 5, *d)).collect(), ..hours(1, 4) };
    assert_eq!(clash(dated(&[1, 2]), dated(&[3])), None);
    assert_eq!(clash(dated(&[1, 2]), dated(&[2, 3])), Some(date(2031, 5, 2)));
    assert_eq!(clash(hours(2, 3), dated(&[9])), Some(date(2031, 5, 9)));
    let thirteenth = Every { month_days: [13].into(), ..hours(1, 4) };
    assert!(clash(thirteenth.clone(), hours(1, 4).on([Day::Friday])).is_some());
    assert_eq!(clash(thirteenth, Every { month_days: [14].into(), ..hours(1, 4) }), None);
    let until = |last| Every { last: Some(last), ..hours(1, 4) };
    let from = |first| Every { first: Some(first), ..hours(1, 4) };
    assert_eq!(clash(until(date(2026, 5, 1)), from(date(2026, 5, 2))), None);
    assert_eq!(clash(until(date(2026, 5, 2)), from(date(2026, 5, 2))), Some(date(2026, 5, 2)));
    let once = |from: i8, to: i8| {
        let at = |hour| date(2026, 1, 2).at(hour, 0, 0, 0);
        CalendarEvent::new("o", EventKind::Batch, When::Once(Once { from: at(from), to: at(to) }))
    };
    // It is a Friday.
    assert!(both(once(3, 5), batch("b", hours(1, 4).on([Day::Friday]))).is_err());
    assert!(both(once(3, 5), batch("b", hours(1, 4).on([Day::Sunday]))).is_ok());
    assert!(both(batch("b", hours(22, 4).on([Day::Thursday])), once(3, 5)).is_err(), "since the day before");
    assert!(both(once(3, 5), batch("b", hours(5, 6))).is_ok());
    let mut other = once(4, 6);
    other.id = "p".into();
    assert!(both(once(3, 5), other).is_err());
    // About others, of another kind, or maintenance: nothing to choose between.
    let web = [EntityId::service("web")];
    assert!(both(batch("a", hours(1, 4)).about(db()), batch("b", hours(1, 4)).about(web)).is_ok());
    assert!(
        both(batch("a", hours(1, 4)).about(db()), batch("b", hours(1, 4))).is_err(),
        "everybody is db too"
    );
    assert!(
        both(batch("a", hours(1, 4)), CalendarEvent::new("b", EventKind::Demand, When::Every(hours(1, 4))))
            .is_ok()
    );
    let upkeep = |id| CalendarEvent::new(id, EventKind::Maintenance, When::Every(hours(1, 4)));
    assert!(both(upkeep("a"), upkeep("b")).is_ok());
}

#[test]
fn a_file_reads_back_and_knows_its_fields() {
    let text = r#"{"zone":"Europe/Berlin","events":[{"id":"a","kind":"batch","about":["host/db-1"],"when":{"every":{"days":["monday","friday"],"month_days":[-1],"except":["2026-12-25"],"from":"01:00:00","to":"04:30:00"}}},{"id":"b","kind":"maintenance","when":{"once":{"from":"2026-06-01T22:00:00","to":"2026-06-02T02:00:00"}},"holds_critical":true}]}"#;
    let read: Calendar = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert_eq!(serde_json::from_str::<Calendar>("{}").unwrap(), Calendar::new());
    for wrong in [
        r#"{"zones":"UTC"}"#,
        r#"{"events":[{"id":"a","kind":"party","when":{"every":{}}}]}"#,
        r#"{"events":[{"id":"a","kind":"batch","when":{"every":{"at":"01:00"}}}]}"#,
        r#"{"events":[{"id":"a","kind":"batch","when":{}}]}"#,
        r#"{"events":[{"id":"a","kind":"batch"}]}"#,
        r#"{"events":[{"id":"a","kind":"batch","when":{"every":{"from":"25:00"}}}]}"#,
        r#"{"zone":"Europe/Atlantis"}"#,
    ] {
        assert!(serde_json::from_str::<Calendar>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_ends_of_time_hold_no_surprise() {
    let calendar = calendar("Europe/Berlin", vec![batch("b", hours(22, 2))]).unwrap();
    for at in [Timestamp::MIN, Timestamp::MAX] {
        assert!(calendar.holding(at).count() <= 1);
        assert!(calendar.holding_by(at, Reading::Longer).count() <= 1);
    }
}
