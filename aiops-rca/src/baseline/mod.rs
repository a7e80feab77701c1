//! Published localisers to compare with. // LOC-01
//!
//! Each scores entities by their metrics alone, from what was normal and what was not, and knows nothing of roles.
//!
//! | name | score of a series | source |
//! |---|---|---|
//! | [`NSigma`](Baseline::NSigma) | most standard deviations from the mean | Shewhart 1931; baseline of RCAEval (Pham et al. 2024) |
//! | [`RobustScorer`](Baseline::RobustScorer) | most interquartile ranges from the median, either way, of every series | BARO's idea |
//! | [`Baro`](Baseline::Baro) | most interquartile ranges *above* the median, with its reference's preprocessing | BARO (Pham, Ha & Zhang, FSE 2024) |
//! | [`Correlation`](Baseline::Correlation) | absolute correlation (Pearson) with the series that deviates most | MonitorRank's similarity (Kim, Sumbaly & Shah 2013) |
//! | [`RandomWalk`](Baseline::RandomWalk) | stationary probability of a walk over calls that prefers what correlates | MonitorRank, MicroScope |
//!
//! An entity scores as its best series does.
//!
//! BARO's reference implementation (`robust_scorer` and `preprocess` of its repository) drops columns that are constant before
//! the fault or constant after it, reads memory in MB, scales by scikit-learn's `RobustScaler` and takes the largest value,
//! not the largest distance: [`Baro`](Baseline::Baro) does the same. It does not choose columns by name (the reference's
//! `dk_select_useful`, off by default), nor does it find the time by BARO's own change points.

mod walk;

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::model::{EntityId, FittedHash, MetricSeries, Ranking, Suspect, TelemetryWindow};
use aiops_core::seam::Localizer;
use aiops_core::{CitedAnomaly, Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;

use crate::cite::{cite, first};
use crate::config::hash;
use crate::halves::cut;
use crate::robust::{count, quantile, sorted};

/// A published localiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Baseline {
    /// Most standard deviations from the mean of what is normal.
    NSigma,
    /// Most interquartile ranges from the median of what is normal, either way.
    RobustScorer,
    /// Most interquartile ranges above the median of what is normal, of series that vary both before and after.
    Baro,
    /// Correlation with what deviates most.
    Correlation,
    /// Random walk with restart from callers to callees.
    RandomWalk,
}

/// One series before and after.
struct Pair<'a> {
    entity: &'a EntityId,
    series: &'a MetricSeries,
    normal: Vec<f64>,
    after: Vec<f64>,
}

fn values(series: &MetricSeries) -> Vec<f64> {
    series.points().map(|(_, v)| v).filter(|v| v.is_finite()).collect()
}

fn pairs<'a>(reference: &'a TelemetryWindow, fault: &'a TelemetryWindow) -> Vec<Pair<'a>> {
    let mut normal: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for series in &reference.metrics {
        normal.entry((series.entity(), series.key())).or_default().extend(values(series));
    }
    let both = fault.metrics.iter().filter_map(|s| {
        let before = normal.get(&(s.entity(), s.key()))?;
        Some(Pair { entity: s.entity(), series: s, normal: before.clone(), after: values(s) })
    });
    both.filter(|p| p.normal.len() > 1 && !p.after.is_empty()).collect()
}

impl Baseline {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::NSigma, Self::RobustScorer, Self::Baro, Self::Correlation, Self::RandomWalk];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NSigma => "n-sigma",
            Self::RobustScorer => "robust-scorer",
            Self::Baro => "baro",
            Self::Correlation => "correlation",
            Self::RandomWalk => "random-walk",
        }
    }

    /// Kind and configuration, as a hash.
    #[must_use]
    pub fn id(self) -> FittedHash {
        hash(self.name(), 1, &())
    }

    /// Ranks suspects of a fault that began at `stated`: what precedes it in `window` by more than `guard` is normal and so
    /// is `normal`.
    #[must_use]
    pub fn rank_near(
        self,
        normal: Option<&TelemetryWindow>,
        window: &TelemetryWindow,
        stated: Timestamp,
        guard: Duration,
    ) -> Ranking {
        let (mut reference, fault) = cut(window, stated, guard);
        if let Some(normal) = normal {
            reference.merge(normal.clone());
        }
        self.rank(&reference, &fault)
    }

    /// Ranks the entities of both windows, without a runtime. O(samples · log samples).
    #[must_use]
    pub fn rank(self, reference: &TelemetryWindow, fault: &TelemetryWindow) -> Ranking {
        let pairs = pairs(reference, fault);
        let scores = match self {
            Self::NSigma => best(&pairs, sigmas),
            Self::RobustScorer => best(&pairs, ranges),
            Self::Baro => best(&pairs, baro),
            Self::Correlation => correlated(&pairs),
            Self::RandomWalk => walk::visits(&correlated(&pairs), &fault.topology, &reference.topology),
        };
        Ranking::new(scores.into_iter().map(|(entity, score)| Suspect::new(entity.clone(), score)).collect())
            .by(self.id())
    }
}

fn best<'a>(pairs: &[Pair<'a>], score: impl Fn(&Pair<'a>) -> Option<f64>) -> BTreeMap<&'a EntityId, f64> {
    let mut scores = BTreeMap::new();
    for pair in pairs {
        let entry: &mut f64 = scores.entry(pair.entity).or_default();
        *entry = entry.max(score(pair).filter(|s| s.is_finite()).unwrap_or(0.0));
    }
    scores
}

fn furthest(pair: &Pair<'_>, centre: f64, scale: f64) -> Option<f64> {
    // As the references do (scikit-learn's scalers): a constant series keeps its unit.
    let scale = if scale > 0.0 { scale } else { 1.0 };
    pair.after.iter().map(|v| ((v - centre) / scale).abs()).max_by(f64::total_cmp)
}

fn sigmas(pair: &Pair<'_>) -> Option<f64> {
    let n = count(pair.normal.len());
    let mean = pair.normal.iter().sum::<f64>() / n;
    let variance = pair.normal.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    furthest(pair, mean, variance.sqrt())
}

fn ranges(pair: &Pair<'_>) -> Option<f64> {
    let normal = sorted(pair.normal.iter().copied());
    let (low, high) = (quantile(&normal, 0.25)?, quantile(&normal, 0.75)?);
    furthest(pair, quantile(&normal, 0.5)?, high - low)
}

fn baro(pair: &Pair<'_>) -> Option<f64> {
    let constant = |values: &[f64]| values.first().is_none_or(|first| values.iter().all(|v| v == first));
    if constant(&pair.normal) || constant(&pair.after) {
        return None;
    }
    let name = &pair.series.key().name;
    let bytes = pair.series.unit().0 == "By" || name == "mem" || name.ends_with("_mem");
    let unit = if bytes { 1e6 } else { 1.0 };
    let normal = sorted(pair.normal.iter().map(|v| v / unit));
    let (centre, range) = (quantile(&normal, 0.5)?, quantile(&normal, 0.75)? - quantile(&normal, 0.25)?);
    let scale = if range > 0.0 { range } else { 1.0 };
    pair.after.iter().map(|v| (v / unit - centre) / scale).max_by(f64::total_cmp)
}

/// Correlation of each series with the one that deviates most, over what came before and after.
fn correlated<'a>(pairs: &[Pair<'a>]) -> BTreeMap<&'a EntityId, f64> {
    let first = pairs.iter().enumerate().filter_map(|(i, p)| Some((ranges(p)?, i)));
    let Some((_, first)) = first.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) else {
        return BTreeMap::new();
    };
    let joined = |p: &Pair<'_>| -> Vec<f64> { p.normal.iter().chain(&p.after).copied().collect() };
    let Some(symptom) = pairs.get(first).map(joined) else { return BTreeMap::new() };
    best(pairs, |pair| pearson(&joined(pair), &symptom).map(f64::abs))
}

/// Over the last samples of both, where one is longer.
fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let n = a.len().min(b.len());
    let pairs = || a.iter().rev().zip(b.iter().rev());
    let (ma, mb) =
        (pairs().map(|p| p.0).sum::<f64>() / count(n), pairs().map(|p| p.1).sum::<f64>() / count(n));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in pairs() {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// What precedes the first onset is normal, the rest is not.
#[async_trait]
impl Localizer for Baseline {
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking> {
        ctx.check()?;
        let Some(first) = first(anomalies) else { return Ok(Ranking::default()) };
        let (reference, fault) = cut(window, first.anomaly.onset, Duration::ZERO);
        let mut ranking = self.rank(&reference, &fault);
        for suspect in &mut ranking.suspects {
            suspect.evidence = cite(anomalies, std::slice::from_ref(&suspect.entity));
        }
        ranking.suspects.retain(|s| s.score > 0.0);
        if fault.metrics.is_empty() {
            ranking.unseen.push("metrics were not seen since the fault".to_owned());
        } else if reference.metrics.is_empty() {
            ranking.unseen.push("metrics have nothing normal to be compared with".to_owned());
        }
        Ok(ranking)
    }
}
