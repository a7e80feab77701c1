//! Alarms on recorded telemetry.

use std::time::Duration;

use aiops_core::model::{Direction, MatchOp, Selector};
use aiops_core::pipeline::Trigger;
use aiops_eval::EvalError;
use aiops_eval::recording::Recording;
use aiops_eval::replay::{ReplayConfig, ReplayReport, replay};

use crate::world::{at, case, lines, range, window};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn config() -> ReplayConfig {
    ReplayConfig { window: seconds(60), interval: seconds(1), hold_off: seconds(600), ..Default::default() }
}

fn run(config: &ReplayConfig, windows: Vec<aiops_core::model::TelemetryWindow>) -> ReplayReport {
    replay(&Recording::join(windows).unwrap(), config, |_, _| {}).unwrap()
}

#[test]
fn quiet_telemetry_raises_no_alarm() {
    let report = run(&config(), vec![window(0, 1800, 0..0)]);
    assert_eq!((report.looks, report.looks_with_symptoms, report.alarms.len()), (1741, 0, 0));
    assert_eq!((report.hours, report.alarms_per_hour, report.series), (0.5, 0.0, 2));
}

#[test]
fn one_excursion_is_one_alarm() {
    let report = run(&config(), vec![window(0, 900, 400..420)]);
    assert_eq!(report.alarms.len(), 1, "{report:?}");
    assert_eq!(report.alarms_per_hour, 4.0);
    let first = &report.alarms[0];
    assert!(at(402) < first.at && first.at < at(420), "{first:?}");
    assert!(report.looks_with_symptoms > 2);
}

#[test]
fn excursions_far_apart_are_two_alarms() {
    let mut joined = vec![window(0, 500, 200..220), window(500, 1000, 700..720)];
    let report = run(&config(), joined.clone());
    assert_eq!(report.alarms.len(), 2, "{report:?}");
    // The order of windows in a file does not matter.
    joined.reverse();
    assert_eq!(run(&config(), joined), report);
}

#[test]
fn hold_off_that_is_over_lets_what_lasts_alarm_again() {
    let windows = vec![window(0, 600, 300..600)];
    let learned = ReplayConfig { learn: seconds(120), ..config() };
    assert_eq!(run(&learned, windows.clone()).alarms.len(), 1);
    let impatient = ReplayConfig { hold_off: seconds(100), ..learned };
    assert_eq!(run(&impatient, windows).alarms.len(), 3);
}

#[test]
fn only_the_wanted_symptoms_count() {
    let windows = || vec![window(0, 600, 300..330)];
    // Learned, because to an unfitted detector the way back from a long excursion is one in the other direction.
    let learned = ReplayConfig { learn: seconds(120), ..config() };
    let on = |trigger: Trigger| run(&ReplayConfig { trigger, ..learned.clone() }, windows()).alarms;
    let names = |alarms: &[aiops_eval::replay::Alarm]| -> Vec<String> {
        alarms.iter().flat_map(|a| &a.symptoms).map(|s| s.series.name.clone()).collect()
    };
    assert_eq!(names(&on(Trigger::on(Selector::all()).going(Direction::Up))), ["errors"]);
    assert_eq!(names(&on(Trigger::on(Selector::all().with_metric("load")))), ["load"]);
    let elsewhere = Selector::all().with_matcher("service", MatchOp::Equal, "orders");
    assert!(on(Trigger::on(elsewhere)).is_empty());
}

#[test]
fn confirmations_are_needed_in_a_row() {
    let windows = vec![window(0, 600, 300..330)];
    let twice = run(&config(), windows.clone());
    let once = run(&ReplayConfig { confirmations: 1, ..config() }, windows.clone());
    assert_eq!(once.alarms[0].at.duration_since(twice.alarms[0].at).as_secs(), -1);
    let hardly = ReplayConfig { confirmations: 100, ..config() };
    assert!(run(&hardly, windows).alarms.is_empty());
}

#[test]
fn overlapping_windows_count_once() {
    let whole = run(&config(), vec![window(0, 600, 300..330)]);
    let pieces = (0..=9).map(|i| window(i * 60, i * 60 + 60, 300..330));
    let overlapping = (0..=52).map(|i| window(i * 10, i * 10 + 80, 300..330));
    assert_eq!(run(&config(), pieces.collect()), whole);
    assert_eq!(run(&config(), overlapping.collect()), whole);
}

#[test]
fn what_is_learned_from_is_not_judged() {
    let config = ReplayConfig { learn: seconds(120), ..config() };
    let report = run(&config, vec![window(0, 720, 0..0)]);
    assert_eq!(report.judged, range(120, 720));
}

#[test]
fn settings_out_of_range_are_named() {
    let fields = [
        ("window", ReplayConfig { window: Duration::ZERO, ..config() }),
        ("window", ReplayConfig { window: seconds(601), ..config() }),
        ("window", ReplayConfig { learn: seconds(541), ..config() }),
        ("interval", ReplayConfig { interval: Duration::ZERO, ..config() }),
        ("interval", ReplayConfig { interval: Duration::from_nanos(1), ..config() }),
        ("confirmations", ReplayConfig { confirmations: 0, ..config() }),
    ];
    let recording = Recording::join(vec![window(0, 600, 0..0)]).unwrap();
    for (field, config) in fields {
        match replay(&recording, &config, |_, _| {}) {
            Err(EvalError::Config { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(serde_json::from_str::<ReplayConfig>("{\"windows\": \"1m\"}").is_err());
    let written = serde_json::to_string(&config()).unwrap();
    assert_eq!(serde_json::from_str::<ReplayConfig>(&written).unwrap(), config());
}

#[test]
fn recordings_are_cases_or_lines_and_anything_else_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let read = |bytes: &[u8]| {
        let file = folder.path().join("recording");
        std::fs::write(&file, bytes).unwrap();
        Recording::read(&file)
    };
    assert_eq!(
        read(lines(&[window(0, 60, 0..0), window(60, 120, 0..0)]).as_bytes()).unwrap().range(),
        range(0, 120)
    );
    assert_eq!(read(&case("x", None).to_json().unwrap()).unwrap().range(), range(0, 60));
    let cut = &lines(&[window(0, 60, 0..0)])[..200];
    assert!(matches!(read(cut.as_bytes()), Err(EvalError::Recording { .. })));
    assert!(matches!(read(b"{\"entries\": []}"), Err(EvalError::Case { .. })));
    assert!(matches!(read(&[0xff]), Err(EvalError::Recording { .. })));
    assert!(matches!(read(b""), Err(EvalError::Empty { .. })));
    let nothing = aiops_core::model::TelemetryWindow::new(range(0, 60));
    assert!(matches!(read(lines(&[nothing]).as_bytes()), Err(EvalError::Empty { .. })));
}
