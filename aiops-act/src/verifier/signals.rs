//! The signals that detected the incident, against the baseline they left.

use aiops_core::model::{Anomaly, Direction, MetricSeries, Recovery, SignalCheck, TimeRange};
use aiops_core::seam::TelemetrySource;
use aiops_core::{Context, Result};

use super::{VerifierConfig, check as verdict, read};

pub(super) async fn check(
    source: &dyn TelemetrySource,
    detected: &[Anomaly],
    range: TimeRange,
    config: &VerifierConfig,
    ctx: &Context,
) -> Result<Vec<SignalCheck>> {
    let mut checks = Vec::with_capacity(detected.len());
    for anomaly in detected {
        let request = anomaly.reread.over(range);
        let series = match read::metrics(source, &request, ctx).await? {
            Ok(series) => series,
            Err(why) => {
                checks.push(verdict(
                    &anomaly.entity,
                    anomaly.series.to_string(),
                    Recovery::Inconclusive,
                    why,
                ));
                continue;
            }
        };
        let same = series.iter().find(|s| *s.key() == anomaly.series && *s.entity() == anomaly.entity);
        let (recovery, detail) = match same {
            Some(series) => judge(series, anomaly, config),
            None => (Recovery::Inconclusive, "the series is gone".to_owned()),
        };
        checks.push(verdict(&anomaly.entity, anomaly.series.to_string(), recovery, detail));
    }
    Ok(checks)
}

fn judge(series: &MetricSeries, anomaly: &Anomaly, config: &VerifierConfig) -> (Recovery, String) {
    let baseline = anomaly.baseline;
    let reach = config.tolerance_sigma * baseline.scale;
    let back = |value: f64| match anomaly.direction() {
        Direction::Up => value <= baseline.center + reach,
        Direction::Down => value >= baseline.center - reach,
    };
    // NaN compares false, so it is never "back".
    let (mut there, mut total) = (0_usize, 0_usize);
    for (_, value) in series.points() {
        total += 1;
        there += usize::from(back(value));
    }
    let detail = format!("{there} of {total} samples within {:.4} of {:.4}", reach, baseline.center);
    if total < config.min_samples {
        return (Recovery::Inconclusive, format!("{total} samples are too few to tell"));
    }
    // Counts of samples are far below 2^53.
    #[allow(clippy::cast_precision_loss, reason = "counts of samples are far below 2^53")]
    let share = there as f64 / total as f64;
    let newest = series.points().next_back().is_some_and(|(_, value)| back(value));
    if share >= config.share_back && newest {
        (Recovery::Recovered, detail)
    } else {
        (Recovery::NotRecovered, detail)
    }
}
