//! One series: what is normal, what left it.

use aiops_core::model::{MetricKind, MetricSeries, Shape, TimeRange};
use jiff::Timestamp;

use super::reference::Summary;
use super::{DeviationConfig, DeviationOptions, Reference};
use crate::rolling::usable;
use crate::shape::{Excursion, ShapeFit, classify, excursions};

/// A sample beyond the threshold, or one that belongs to a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeptSample {
    /// When it was taken.
    pub time: Timestamp,
    /// Its value, in the series' unit.
    pub value: f64,
    /// Its deviation from the reference in σ; signed.
    pub sigma: f64,
}

/// An excursion that persists and is new for its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Shape over time.
    pub shape: Shape,
    /// First affected sample.
    pub onset: Timestamp,
    /// Last anomalous sample.
    pub last: Timestamp,
    /// First normal sample after it; `None` while it goes on.
    pub cleared: Option<Timestamp>,
    /// Most deviating value, in the series' unit.
    pub peak: f64,
    /// When that was.
    pub peak_time: Timestamp,
    /// Deviation of `peak` in σ; signed.
    pub peak_sigma: f64,
    /// Height of the shift, rise of the trend so far, or peak of the transient: in σ, signed.
    pub magnitude_sigma: f64,
    /// The same in the series' unit.
    pub magnitude: f64,
    /// Change per second in the series' unit, for a trend.
    pub slope: Option<f64>,
    /// The level that persisted (see [`Persistence`](crate::shape::Persistence)), in σ; > 0 on either side.
    pub level_sigma: f64,
}

/// What was found in one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDeviation {
    /// What it was compared with; its `scale` is the one used, more than 0.
    pub reference: Reference,
    /// Samples beyond the threshold or inside a finding, in order of time. // CMP-01
    pub kept: Vec<KeptSample>,
    /// Findings in order of onset.
    pub findings: Vec<Finding>,
}

/// Why a series was not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Skipped {
    /// Fewer reference samples than [`DeviationOptions::min_reference`].
    ShortReference,
    /// No sample in the recent part.
    Silent,
    /// A running total; only its rate can be compared.
    Counter,
}

/// A series' usable samples.
pub(super) struct Samples {
    times: Vec<Timestamp>,
    seconds: Vec<f64>,
    values: Vec<f64>,
    /// NaN, infinite or too large.
    pub(super) unusable: usize,
}

impl Samples {
    pub(super) fn of(series: &MetricSeries, range: TimeRange) -> Self {
        let mut samples = Self { times: Vec::new(), seconds: Vec::new(), values: Vec::new(), unusable: 0 };
        for (time, value) in series.points().filter(|(time, _)| range.contains(*time)) {
            if usable(value) {
                samples.times.push(time);
                samples.seconds.push(time.duration_since(range.start()).as_secs_f64());
                samples.values.push(value);
            } else {
                samples.unusable += 1;
            }
        }
        samples
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    /// Typical distance of two samples in seconds; 0 for fewer than two.
    fn step(&self) -> f64 {
        let later = self.seconds.iter().skip(1);
        let steps =
            crate::order::sorted(self.seconds.iter().zip(later).map(|(earlier, later)| later - earlier));
        crate::order::median_of_sorted(&steps).unwrap_or(0.0)
    }
}

/// Learns what is normal for a series from all of its samples.
pub(super) fn learn(
    series: &MetricSeries,
    range: TimeRange,
    config: &DeviationConfig,
) -> Result<Reference, Skipped> {
    if series.kind() == MetricKind::Counter {
        return Err(Skipped::Counter);
    }
    let samples = Samples::of(series, range);
    let recent = (samples.len() as f64 * config.options().recent_share).round() as usize;
    Reference::estimate(&samples.values, recent, samples.step(), series.kind(), config.options())
        .ok_or(Skipped::ShortReference)
}

/// Compares one series with its reference: `fitted` where given, else the part of the window before the recent one.
pub(super) fn compare(
    series: &MetricSeries,
    samples: &Samples,
    range: TimeRange,
    fitted: Option<&Reference>,
    config: &DeviationConfig,
) -> Result<SeriesDeviation, Skipped> {
    let options = config.options();
    if series.kind() == MetricKind::Counter {
        return Err(Skipped::Counter);
    }
    let boundary = range.length().as_secs_f64() * (1.0 - options.recent_share);
    let recent_from = samples.seconds.partition_point(|t| *t < boundary);
    let recent = samples.len() - recent_from;
    if recent == 0 {
        return Err(Skipped::Silent);
    }
    let step = samples.step();
    let judge = |reference: &Reference| {
        let (scores, scale) = reference.scores(&samples.values, step, series.kind(), options);
        let reference = Reference { scale, ..*reference };
        let found = novel(&scores, recent_from, &reference, options);
        (reference, scores, found)
    };
    let reference = match fitted {
        Some(fitted) => *fitted,
        None => {
            let before = samples.values.get(..recent_from).unwrap_or_default();
            let before = Summary::of(before, step, series.kind(), options).ok_or(Skipped::ShortReference)?;
            // What began before the recent part lies in its own reference and would hide behind the spread it causes
            // there: whatever is a candidate is judged by what came before it, where that is at least half of the
            // reference part (with less, the candidate is as likely to be the norm).
            let (_, _, candidates) = judge(&before.core());
            let clean = candidates.iter().map(|excursion| excursion.first).min().unwrap_or(recent_from);
            if clean >= recent_from || 2 * clean < recent_from {
                before.full(recent)
            } else {
                let clean = samples.values.get(..clean).unwrap_or_default();
                Summary::of(clean, step, series.kind(), options).as_ref().unwrap_or(&before).full(recent)
            }
        }
    };
    let (reference, scores, found) = judge(&reference);

    let mut findings: Vec<Finding> = Vec::new();
    let mut anomalous = vec![false; samples.len()];
    let mut from = 0;
    for excursion in &found {
        let (persistence, shape) = (&options.persistence, &options.shape);
        let Some(level) = level(&scores, excursion, options) else { continue };
        let fit = classify(&samples.seconds, &scores, from, excursion, persistence, shape);
        let Some(fit) = fit else { continue };
        findings.extend(finding(samples, &scores, excursion, &fit, level, &reference));
        anomalous.iter_mut().take(excursion.last + 1).skip(fit.onset).for_each(|belongs| *belongs = true);
        from = excursion.last + 1;
    }
    findings.sort_by_key(|finding| (finding.onset, finding.shape));
    let kept = samples
        .times
        .iter()
        .zip(&samples.values)
        .zip(scores.iter().zip(&anomalous))
        .filter(|(_, (sigma, belongs))| sigma.abs() > options.persistence.sigma || **belongs)
        .map(|((time, value), (sigma, _))| KeptSample { time: *time, value: *value, sigma: *sigma })
        .collect();
    Ok(SeriesDeviation { reference, kept, findings })
}

/// The persistent level of an excursion, in σ on its side.
fn level(scores: &[f64], excursion: &Excursion, options: &DeviationOptions) -> Option<f64> {
    // The last hit may stand at the end of its `of` samples; so may the first at their start.
    Some(options.persistence.level(scores.get(excursion.first..=excursion.last)?, excursion.sign()))
}

/// The excursions that reach into the recent part, persist high enough, and exceed what the reference did itself.
fn novel(
    scores: &[f64],
    recent_from: usize,
    reference: &Reference,
    options: &DeviationOptions,
) -> Vec<Excursion> {
    excursions(scores, &options.persistence)
        .into_iter()
        .filter(|excursion| excursion.last >= recent_from)
        .filter(|excursion| {
            let needed = options.finding_sigma.max(options.novelty * reference.reach(excursion.up));
            level(scores, excursion, options).is_some_and(|level| level >= needed)
        })
        .collect()
}

fn finding(
    samples: &Samples,
    scores: &[f64],
    excursion: &Excursion,
    fit: &ShapeFit,
    level_sigma: f64,
    reference: &Reference,
) -> Option<Finding> {
    let time = |position: usize| samples.times.get(position).copied();
    Some(Finding {
        shape: fit.shape,
        onset: time(fit.onset)?,
        last: time(excursion.last)?,
        cleared: excursion.cleared.and_then(time),
        peak: samples.values.get(fit.peak).copied()?,
        peak_time: time(fit.peak)?,
        peak_sigma: scores.get(fit.peak).copied()?,
        magnitude_sigma: fit.magnitude,
        magnitude: fit.magnitude * reference.scale,
        slope: fit.slope.map(|slope| slope * reference.scale),
        level_sigma,
    })
}
