//! Any bytes as the JSON of a metric series: a typed error, or a series whose columns agree and that survives a file.
#![no_main]

use aiops_core::model::MetricSeries;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(series) = serde_json::from_slice::<MetricSeries>(data) else { return };
    assert_eq!((series.times().len(), series.validity().len()), (series.len(), series.len()));
    assert_eq!(series.samples().flatten().count() + series.validity().gaps(), series.len());
    assert!(series.times().iter().zip(series.times().iter().skip(1)).all(|(a, b)| a < b));
    let written = serde_json::to_vec(&series).expect("what was read can be written");
    let again: MetricSeries = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("what was read can be written"), written);
});
