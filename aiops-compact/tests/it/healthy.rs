//! False findings on healthy signals, and delay on true shifts.

use aiops_compact::deviation::{DeviationConfig, References, deviations};

use crate::synth::{HEALTHY, healthy, series, window};

/// Slides a window of `length` seconds by `stride` over `total` seconds of every healthy signal, `copies` of each.
/// Returns the windows with findings per signal, and the number of windows looked at.
fn false_findings(length: usize, stride: usize, total: usize, copies: u64) -> (Vec<(&'static str, usize)>, usize) {
    let mut o = aiops_compact::deviation::DeviationOptions::default();
    if let Ok(v) = std::env::var("FS") { o.finding_sigma = v.parse().unwrap(); }
    if let Ok(v) = std::env::var("NOV") { o.novelty = v.parse().unwrap(); }
    let config = DeviationConfig::try_from(o).unwrap();
    let mut windows = 0;
    let mut found = Vec::new();
    for name in HEALTHY {
        let mut alarms = 0;
        for copy in 0..copies {
            let mut rng = fastrand::Rng::with_seed(copy * 7919 + 17);
            let (kind, values) = healthy(name, total, &mut rng);
            for from in (0..=total - length).step_by(stride) {
                let samples = values[from..from + length].iter().map(|v| Some(*v));
                let window = window(vec![series(name, kind, samples)]);
                let report = deviations(&window, &References::new(), &config);
                assert_eq!(report.compared, 1);
                alarms += usize::from(report.with_findings().count() > 0);
                windows += 1;
            }
        }
        found.push((name, alarms));
    }
    (found, windows)
}

/// ≈ 0.1 healthy-series hours of every kind per window length; the release run by `AIOPS_LONG=1` takes hundreds.
#[test]
fn healthy_signals_stay_quiet() {
    let copies = if std::env::var_os("AIOPS_LONG").is_some() { 100 } else { 3 };
    for length in [60, 120, 240] {
        let (found, windows) = false_findings(length, 5, 3600, copies);
        let series_hours = windows as f64 * 5.0 / 3600.0;
        let alarms: usize = found.iter().map(|(_, n)| n).sum();
        println!("window {length}: {alarms} in {series_hours:.0} series-hours {found:?}");
    }
}
