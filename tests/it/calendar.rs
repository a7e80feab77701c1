//! One calendar for everybody: the one in the guide, and what baseline, correlation and guard make of it.

use std::path::Path;
use std::time::Duration;

use aiops::act::guards::{CalendarConfig, ChangeCalendar};
use aiops::core::Context;
use aiops::core::action::{
    Action, ActionKind, BlastRadius, History, IncidentId, Mode, Operation, Preview, Principal, Proposal,
    ProposalId, Share, TargetState, Verdict,
};
use aiops::core::jiff::Timestamp;
use aiops::core::jiff::civil::{Weekday, date};
use aiops::core::jiff::tz::TimeZone;
use aiops::core::model::{
    Alert, Anomaly, Calendar, Confidence, Direction, EntityId, EntityKind, MetricSeries, SeriesKey, Severity,
    TelemetryWindow, TimeAxis, TimeRange,
};
use aiops::core::seam::{Fit, Guardrail, Review};
use aiops::detect::correlate::{Correlator, Disposition, HeldBy};
use aiops::detect::{BaselineDetector, BaselineFit};
use futures_lite::future::block_on;

use crate::repository::read;

const STEP: Duration = Duration::from_secs(300);
const DAY: u32 = 288;

/// The calendar of the guide.
fn guide() -> Calendar {
    let page = read(Path::new("docs/guide/calendar.md"));
    let toml = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    toml::from_str(toml).unwrap()
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// Midnight in Berlin of a day in May 2026; the 4th is a Monday.
fn midnight(day: i8) -> Timestamp {
    date(2026, 5, day).to_zoned(berlin()).unwrap().timestamp()
}

fn host() -> EntityId {
    EntityId::new(EntityKind::Host, "db-1")
}

/// A processor that idles at 20 to 26 %, and is at 92 to 98 % while the job runs.
fn cpu(at: Timestamp, busy: impl Fn(&aiops::core::jiff::civil::DateTime) -> bool) -> f64 {
    let noise = (at.as_second() / 300 % 7) as f64;
    if busy(&berlin().to_datetime(at)) { 92.0 + noise } else { 20.0 + noise }
}

fn working_night(local: &aiops::core::jiff::civil::DateTime) -> bool {
    let working = !matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
    working && (1..4).contains(&local.hour())
}

fn window(
    from: Timestamp,
    days: u32,
    busy: impl Fn(&aiops::core::jiff::civil::DateTime) -> bool,
) -> TelemetryWindow {
    let axis = TimeAxis::regular(from, STEP, (days * DAY) as usize).unwrap();
    let values: Vec<_> = axis.iter().map(|at| Some(cpu(at, &busy))).collect();
    let mut window = TelemetryWindow::new(TimeRange::new(from, from + STEP * days * DAY).unwrap());
    window
        .metrics
        .push(MetricSeries::new(SeriesKey::new("system.cpu.utilization"), host(), axis, values).unwrap());
    window
}

/// SCN-04: CPU at 95 % in the nightly batch is normal, the same on a Sunday at three is not.
#[test]
fn the_nightly_batch_is_normal_and_the_same_on_a_sunday_is_not() {
    // Four weeks from Monday the 4th on.
    let history = window(midnight(4), 28, working_night);
    let monday = window(midnight(4) + STEP * 28 * DAY, 1, working_night);
    let loud = |local: &aiops::core::jiff::civil::DateTime| local.hour() == 3;
    let sunday = window(midnight(4) + STEP * 34 * DAY, 1, loud);
    let find = |fit: &BaselineFit, window: &TelemetryWindow| -> Vec<Anomaly> {
        BaselineDetector::new(fit.fit(&history).unwrap()).unwrap().find(window)
    };
    // The zone of the baseline's day and that of the calendar are each their own; both are Berlin's.
    let options =
        aiops::detect::baseline::BaselineOptions { time_zone: "Europe/Berlin".into(), ..Default::default() };
    let blind = BaselineFit::new(options.try_into().unwrap());
    let knowing = blind.clone().with_calendar(guide());
    assert_eq!(find(&knowing, &monday), []);
    let found = find(&knowing, &sunday);
    let told: Vec<(i8, Severity)> =
        found.iter().map(|a| (berlin().to_datetime(a.onset).hour(), a.severity)).collect();
    assert_eq!(told, [(3, Severity::Critical)]);
    // Who is not told of the job takes the loud night for the usual one: nothing is too high on a Sunday, its quiet is too low.
    let unaware = find(&blind, &sunday);
    assert!(!unaware.is_empty() && unaware.iter().all(|a| a.direction() == Direction::Down), "{unaware:?}");
}

fn restart(at: Timestamp, guard: &ChangeCalendar) -> Verdict {
    let radius = BlastRadius { replicas: 1, share_of_fleet: Share::new(0.1).unwrap() };
    let action = Action::new(Operation::RollingRestart { max_unavailable: 1, max_surge: 0 }, host(), radius);
    let sure = Confidence::calibrated(0.95, "test").unwrap();
    let (id, incident) = (ProposalId::new("p"), IncidentId::new("i"));
    let proposal = Proposal::new(id, incident, action, Principal::new("planner"), sure, "it leaks");
    let (history, preview) = (History::new(), Preview::new(TargetState::existing(), "a preview"));
    let review = Review {
        proposal: &proposal,
        preview: &preview,
        history: &history,
        mode: Mode::Auto,
        now: at,
        revert_window: Duration::from_secs(1800),
    };
    block_on(guard.check(&review, &Context::system())).unwrap()
}

/// The same hours for whoever groups alerts, whoever guards actions, and whoever learns.
#[test]
fn alerts_wait_and_actions_run_in_the_hours_in_which_nothing_is_learned() {
    let calendar = guide();
    let mut correlator = Correlator::new(Default::default());
    correlator.set_calendar(calendar.clone());
    let confined =
        CalendarConfig { confined: [ActionKind::RollingRestart].into(), ..CalendarConfig::default() };
    let guard = ChangeCalendar::new(&confined).unwrap().with_events(calendar.clone());
    let upkeep =
        [("2026-06-13T20:00:00Z", true), ("2026-06-13T23:59:59Z", true), ("2026-06-14T00:00:00Z", false)];
    for (at, within) in upkeep {
        let at: Timestamp = at.parse().unwrap();
        let alert = Alert::new(format!("Slow{at}"), host(), at, Severity::Warning);
        let held = correlator.push(&alert, at).disposition
            == Disposition::Held(HeldBy::Maintenance("upgrade".into()));
        let allowed = matches!(restart(at, &guard), Verdict::Allow { .. });
        let ids: Vec<&str> = calendar.holding(at).map(|held| held.event.id.as_str()).collect();
        assert_eq!((held, allowed, ids.contains(&"upgrade")), (within, within, within), "{at}");
    }
    let sale = restart("2026-11-27T12:00:00Z".parse().unwrap(), &guard);
    assert!(
        matches!(&sale, Verdict::NeedsApproval { .. }) && sale.reason().contains("black-friday"),
        "{sale:?}"
    );
}
