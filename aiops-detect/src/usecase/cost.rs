use std::collections::BTreeMap;

use aiops_compact::ConfigError;
use aiops_core::model::{Baseline, MetricSeries, SeriesKey, Severity, Shape, TelemetryWindow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::signals::{check_names, increments, named, names};
use super::{Symptom, UseCase, UseCaseDetector};
use crate::checked::Options;
use crate::error::{check, check_count};
use crate::rolling::reread;
use crate::stats::{median, robust};

/// When spending is out of the ordinary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CostAnomalyOptions {
    /// Metrics of cost by resource: money an hour, or a running total.
    pub cost: Vec<String>,
    /// Metrics of what the money was spent on, by the same resource: requests served, jobs run. Cost that grows with them
    /// is business.
    pub usage: Vec<String>,
    /// Share of the window that is recent, more than 0 to 0.5. Default 0.25.
    pub recent: f64,
    /// Smallest rise of the total as a share of what it was, more than 0. Default 0.2.
    pub min_rise: f64,
    /// Rise from which it is critical, at least `min_rise`. Default 1: doubled.
    pub critical: f64,
    /// Smallest rise of the total in σ of its usual ups and downs, ≥ 0. Default 4.
    pub min_sigma: f64,
    /// Share of the rise that the named resources must make up, more than 0 to 1. Default 0.67.
    pub explained: f64,
    /// Fewest samples of the time before, 12 to 10⁶. Default 24: a day by the hour.
    pub min_samples: usize,
}

impl Default for CostAnomalyOptions {
    fn default() -> Self {
        Self {
            cost: names(&[
                "cost",
                "cloud.cost",
                "billed_cost",
                "effective_cost",
                "node_total_hourly_cost",
                "pv_hourly_cost",
                "kubecost_load_balancer_cost",
            ]),
            usage: names(&["cloud.usage", "requests_served", "http.server.request.count", "jobs_completed"]),
            recent: 0.25,
            min_rise: 0.2,
            critical: 1.0,
            min_sigma: 4.0,
            explained: 0.67,
            min_samples: 24,
        }
    }
}

impl Options for CostAnomalyOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check_names("cost", &self.cost)?;
        check("recent", self.recent, f64::MIN_POSITIVE..=0.5, "more than 0, at most 0.5")?;
        check("min_rise", self.min_rise, f64::MIN_POSITIVE.., "a finite number above 0")?;
        check("critical", self.critical, self.min_rise.., "at least `min_rise`")?;
        check("min_sigma", self.min_sigma, 0.0.., "a finite number ≥ 0")?;
        check("explained", self.explained, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        check_count("min_samples", self.min_samples, 12..=1_000_000, "12 to 1000000 samples")
    }
}

/// Spending whose total rose clearly, mapped to the resources that made it rise: as few as make up most of it.
///
/// The total of each metric is judged, not each resource: what moved from one resource to another costs nothing, and a
/// small resource that doubled matters little. A resource whose usage rose with its cost is not named, and a total that
/// rose with usage alone is no finding.
#[derive(Debug, Clone, Copy)]
pub struct CostAnomaly;

/// [`CostAnomaly`] behind its seam.
pub type CostAnomalyDetector = UseCaseDetector<CostAnomaly>;

/// Median of a series before and after the boundary; 0 where nothing was there yet.
fn levels(points: &[(Timestamp, f64)], boundary: Timestamp) -> (f64, f64) {
    let upto = points.partition_point(|(t, _)| *t < boundary);
    let (before, after) = points.split_at(upto.min(points.len()));
    let level = |part: &[(Timestamp, f64)]| {
        let level = median(part.iter().map(|p| p.1));
        if level.is_nan() { 0.0 } else { level }
    };
    (level(before), level(after))
}

struct Rise<'w> {
    series: &'w MetricSeries,
    points: Vec<(Timestamp, f64)>,
    before: f64,
    after: f64,
    /// What of the rise usage does not explain.
    unexplained: f64,
}

/// Sum over resources at each instant of any of them; a resource counts with its last value until it ends.
fn total(rises: &[Rise<'_>]) -> Vec<(Timestamp, f64)> {
    let mut changes: BTreeMap<Timestamp, f64> = BTreeMap::new();
    for rise in rises {
        let mut last = 0.0;
        for (t, value) in &rise.points {
            *changes.entry(*t).or_default() += value - last;
            last = *value;
        }
    }
    let mut sum = 0.0;
    let running = |(t, change): (Timestamp, f64)| {
        sum += change;
        (t, sum)
    };
    changes.into_iter().map(running).collect()
}

impl UseCase for CostAnomaly {
    const ID: &'static str = "cost-anomaly";

    type Options = CostAnomalyOptions;

    fn look(options: &CostAnomalyOptions, window: &TelemetryWindow) -> Vec<Symptom> {
        let length = window.range.length();
        let boundary = aiops_core::model::time::before(window.range.end(), length.mul_f64(options.recent));
        let usage = named(window, &options.usage);
        let mut groups: BTreeMap<&str, Vec<Rise<'_>>> = BTreeMap::new();
        for series in named(window, &options.cost) {
            let points = increments(series, window);
            let (before, after) = levels(&points, boundary);
            let grown = usage.iter().filter(|u| u.entity() == series.entity()).map(|u| {
                let (before, after) = levels(&increments(u, window), boundary);
                if before > 0.0 { after / before } else { 1.0 }
            });
            let expected = before * grown.fold(1.0, f64::max).max(1.0);
            let rise = Rise { series, points, before, after, unexplained: after - expected };
            groups.entry(&series.key().name).or_default().push(rise);
        }
        groups.into_values().flat_map(|rises| rose(options, rises, boundary, window)).collect()
    }
}

fn rose(
    options: &CostAnomalyOptions,
    mut rises: Vec<Rise<'_>>,
    boundary: Timestamp,
    window: &TelemetryWindow,
) -> Vec<Symptom> {
    let total = total(&rises);
    let earlier = total.iter().filter(|(t, _)| *t < boundary).map(|p| p.1);
    let Some(usual) = robust(earlier).filter(|u| u.samples >= options.min_samples) else { return Vec::new() };
    let (before, after) = levels(&total, boundary);
    // Resources that moved spending between them cancel out; only what rose in sum is unexplained.
    let net: f64 = rises.iter().map(|r| r.unexplained).sum();
    let risen = (after - before).min(net);
    if before <= 0.0 || risen < options.min_rise * before || risen < options.min_sigma * usual.scale {
        return Vec::new();
    }
    rises.sort_by(|a, b| {
        b.unexplained.total_cmp(&a.unexplained).then(a.series.entity().cmp(b.series.entity()))
    });
    let critical = risen >= options.critical * before;
    let (mut found, mut explained) = (Vec::new(), 0.0);
    for rise in rises.iter().take_while(|r| r.unexplained > 0.0) {
        if explained >= options.explained * risen {
            break;
        }
        explained += rise.unexplained;
        let own = robust(rise.points.iter().filter(|(t, _)| *t < boundary).map(|p| p.1));
        // A new resource has no past: what is unusual for the total is unusual for it.
        let baseline = own.unwrap_or(Baseline { center: 0.0, ..usual });
        let late = rise.points.iter().filter(|(t, _)| *t >= boundary);
        let Some((last, value)) = late.clone().max_by(|a, b| a.1.total_cmp(&b.1)).map(|p| (p.0, p.1)) else {
            continue;
        };
        let threshold = (rise.before + rise.after) / 2.0;
        let onset = rise.points.iter().rev().take_while(|(_, v)| *v >= threshold).last().map(|p| p.0);
        found.push(Symptom {
            entity: rise.series.entity().clone(),
            series: SeriesKey::clone(rise.series.key()),
            unit: rise.series.unit().clone(),
            shape: Shape::LevelShiftUp,
            onset: onset.unwrap_or(boundary),
            last: rise.points.last().map_or(last, |p| p.0),
            ongoing: true,
            value,
            baseline,
            severity: if critical { Severity::Critical } else { Severity::Warning },
            reread: reread(window, rise.series),
            evidence: format!(
                "{} costs {:.4} where it cost {:.4}; it makes {:.0} % of the total's rise from {before:.4} to {after:.4}",
                rise.series.entity(),
                rise.after,
                rise.before,
                100.0 * rise.unexplained / risen,
            ),
        });
    }
    found
}
