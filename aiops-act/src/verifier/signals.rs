//! The signals that detected the incident, against the baseline they left.

use std::collections::HashMap;

use aiops_core::model::{Anomaly, Direction, FetchRequest, MetricKind, MetricSeries, Recovery, SignalCheck};
use aiops_core::{Context, Result};

use super::read::{Look, slots};
use super::{VerifierConfig, check as verdict};

pub(super) async fn check(
    look: &Look<'_>,
    detected: &[Anomaly],
    config: &VerifierConfig,
    ctx: &Context,
) -> Result<Vec<SignalCheck>> {
    // Findings of one read share it, so that all are judged on the same data. Only looked up, never walked.
    let mut read: HashMap<FetchRequest, Result<Vec<MetricSeries>, String>> = HashMap::new();
    let mut checks = Vec::with_capacity(detected.len());
    for anomaly in detected {
        let request = anomaly.reread.over(look.range);
        let answer = match read.remove(&request) {
            Some(known) => known,
            None => look.metrics(&request, ctx).await?,
        };
        let (recovery, detail) = match &answer {
            Ok(series) => {
                let same =
                    series.iter().find(|s| *s.key() == anomaly.series && *s.entity() == anomaly.entity);
                match same {
                    Some(series) => judge(series, anomaly, look, config),
                    None => (Recovery::Inconclusive, "the series is gone".to_owned()),
                }
            }
            Err(why) => (Recovery::Inconclusive, why.clone()),
        };
        read.insert(request, answer);
        checks.push(verdict(&anomaly.entity, anomaly.series.to_string(), recovery, detail));
    }
    Ok(checks)
}

/// NaN says that there was nothing to measure: it speaks neither for nor against a recovery.
fn judge(
    series: &MetricSeries,
    anomaly: &Anomaly,
    look: &Look<'_>,
    config: &VerifierConfig,
) -> (Recovery, String) {
    let (center, reach) = (anomaly.baseline.center, config.tolerance_sigma * anomaly.baseline.scale);
    if !center.is_finite() || !reach.is_finite() || reach < 0.0 {
        return (Recovery::Inconclusive, "the finding has no usable baseline".to_owned());
    }
    if was_reset(series, anomaly) {
        return (Recovery::Inconclusive, "the counter was reset since the finding".to_owned());
    }
    let back = |value: f64| {
        value.is_finite()
            && match anomaly.direction() {
                Direction::Up => value <= center + reach,
                Direction::Down => value >= center - reach,
            }
    };
    let (mut there, mut total) = (0_usize, 0_usize);
    for (_, value) in series.points().filter(|(_, value)| !value.is_nan()) {
        total += 1;
        there += usize::from(back(value));
    }
    let step = anomaly.reread.step;
    let expected = slots(look.range, step);
    if total < config.min_samples || share(total, expected) < config.coverage {
        return (Recovery::Inconclusive, format!("{total} of {expected} samples are too few to tell"));
    }
    let detail = format!("{there} of {total} samples within {reach:.4} of {center:.4}");
    // What was seen last speaks even where it is too old to prove a recovery.
    let last = series.points().rfind(|(_, value)| !value.is_nan()).is_some_and(|(_, value)| back(value));
    if share(there, total) < config.share_back || !last {
        (Recovery::NotRecovered, detail)
    } else if look.newest(series, step).is_none() {
        (Recovery::Inconclusive, "the series fell silent".to_owned())
    } else {
        (Recovery::Recovered, detail)
    }
}

/// Whether a running total fell: below what it was when it was found, or within the range. A lower total proves nothing then.
fn was_reset(series: &MetricSeries, anomaly: &Anomaly) -> bool {
    let mut least = anomaly.value;
    series.kind() == MetricKind::Counter
        && series.points().filter(|(_, value)| !value.is_nan()).any(|(_, value)| {
            let fell = value < least;
            least = value;
            fell
        })
}

#[allow(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
