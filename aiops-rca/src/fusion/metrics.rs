//! Shifts of metrics against what was normal lately and against the reference.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::model::{MetricSeries, TelemetryWindow, time};
use jiff::Timestamp;

use super::config::FusionConfig;
use super::finding::{Finding, FindingKind, strength};
use crate::robust::{location_and_scale, quantile, sorted};
use crate::roles::{MetricRole, MetricRoles, Polarity, Side, Words};

/// A shift in standard deviations, signed.
#[derive(Debug, Clone, Copy)]
struct Shift {
    z: f64,
    from: f64,
    to: f64,
}

pub(super) fn findings(
    reference: &TelemetryWindow,
    fault: &TelemetryWindow,
    roles: &MetricRoles,
    config: &FusionConfig,
) -> Vec<Finding> {
    let normal: BTreeMap<_, _> = reference.metrics.iter().map(|s| ((s.entity(), s.key()), s)).collect();
    let mut found = Vec::new();
    for series in &fault.metrics {
        let Some(before) = normal.get(&(series.entity(), series.key())) else { continue };
        let Some(shift) = shift(before, series, fault.range.start(), config) else { continue };
        let class = roles.classify(series.key(), series.kind(), series.unit());
        let Some(kind) = kind(class.role, class.mechanism.as_deref()) else { continue };
        let up = shift.z > 0.0;
        let harm = match class.polarity {
            Polarity::HigherIsWorse if up => 1.0,
            Polarity::LowerIsWorse if !up => 1.0,
            Polarity::Either => config.either,
            _ => config.relief,
        };
        // What a client sees tells as much about the one it calls.
        let side = if class.side == Side::Client { config.client_side } else { 1.0 };
        // A machine's metric repeated at everyone on it tells little about one of them.
        let host = if of_host(&series.key().name) { config.host_metric } else { 1.0 };
        let strength = strength(shift.z.abs()) * harm * side * host;
        if strength < config.least_strength {
            continue;
        }
        let way = if up { "rose" } else { "fell" };
        let statement = format!(
            "{} {way} from {:.4} to {:.4} ({:+.1} σ)",
            series.key(),
            shift.from,
            shift.to,
            shift.z
        );
        found.push(Finding::new(series.entity(), kind, strength, statement));
    }
    found
}

fn of_host(name: &str) -> bool {
    let words = Words::of(name);
    words.contain(&Words::of("node")) || words.contain(&Words::of("host"))
}

fn kind(role: MetricRole, mechanism: Option<&str>) -> Option<FindingKind> {
    Some(match (role, mechanism) {
        (MetricRole::Resource, Some("cpu")) => FindingKind::Cpu,
        (MetricRole::Resource, Some("memory" | "garbage collection")) => FindingKind::Memory,
        (MetricRole::Resource, Some("network")) => FindingKind::NetworkCounters,
        (MetricRole::Resource, _) => FindingKind::Resource,
        (MetricRole::Latency, _) => FindingKind::Latency,
        (MetricRole::Errors, _) => FindingKind::Errors,
        (MetricRole::Traffic, _) => FindingKind::Traffic,
        (MetricRole::Saturation, _) => FindingKind::Saturation,
        (MetricRole::Restarts | MetricRole::Liveness, _) => FindingKind::Liveness,
        (MetricRole::Efficiency | MetricRole::Other, _) => FindingKind::Other,
        (MetricRole::Configuration, _) => return None,
    })
}

/// The weaker of the shifts against the last hours and against all else known to be normal, where both are known: a drift of
/// the day is in the first, a neighbouring disturbance in the second.
fn shift(
    normal: &MetricSeries,
    fault: &MetricSeries,
    onset: Timestamp,
    config: &FusionConfig,
) -> Option<Shift> {
    let now = sorted(fault.points().map(|p| p.1));
    let recent_from = time::before(onset, config.recent);
    let is_recent = |t: Timestamp| recent_from <= t && time::elapsed(t, onset) > Duration::ZERO;
    let part = |recent: bool| sorted(normal.points().filter(|p| is_recent(p.0) == recent).map(|p| p.1));
    let (recent, other) = (part(true), part(false));
    let enough = |v: &[f64]| v.len() >= config.least_samples;
    match (enough(&recent), enough(&other)) {
        (true, true) => {
            let (a, b) = (against(&recent, &now, config)?, against(&other, &now, config)?);
            if a.z * b.z <= 0.0 {
                return None;
            }
            Some(if a.z.abs() <= b.z.abs() { a } else { b })
        }
        _ => {
            let all = sorted(normal.points().map(|p| p.1));
            if all.len() < 2 { None } else { against(&all, &now, config) }
        }
    }
}

fn against(normal: &[f64], now: &[f64], config: &FusionConfig) -> Option<Shift> {
    let (centre, scale) = location_and_scale(normal)?;
    let (low, high) = (quantile(now, 1.0 - config.reach)?, quantile(now, config.reach)?);
    let one = |to: f64| {
        // A hundredth of what is compared bounds z where the norm is constant.
        let floor = (config.relative_floor * centre.abs()).max(to.abs() / 100.0).max(f64::MIN_POSITIVE);
        Shift { z: (to - centre) / scale.max(floor), from: centre, to }
    };
    let (down, up) = (one(low), one(high));
    Some(if up.z.abs() >= down.z.abs() { up } else { down })
}
