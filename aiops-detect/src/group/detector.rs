use aiops_compact::shape::{Excursion, excursions};
use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FittedHash, MetricSeries, SeriesKey, Severity, Shape,
    TelemetryWindow,
};
use aiops_core::seam::Detector;
use aiops_core::{Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;

use super::align::{align, by_entity};
use super::fitted::{FittedGroups, Group};
use super::{GroupConfig, RowModel};
use crate::rolling::reread;
use crate::rows::Rows;

/// An excursion of at most so many rows that ended is a spike or dip.
const TRANSIENT: usize = 5;

/// Finds where all metrics of an entity together leave what was learned, and names those that contribute most.
///
/// Pure in (fitted state, window). One finding for each named metric of an excursion, in the order of entity, series,
/// onset. Entities it has not learned yield nothing.
#[derive(Debug, Clone)]
pub struct GroupDetector<M: RowModel> {
    fitted: FittedGroups<M>,
    hash: FittedHash,
}

impl<M: RowModel> GroupDetector<M> {
    /// Name of this detector in findings.
    pub const ID: &'static str = M::ID;

    /// Detects with a learned state.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the state cannot be hashed.
    pub fn new(fitted: FittedGroups<M>) -> Result<Self> {
        let hash = fitted.hash()?;
        Ok(Self { fitted, hash })
    }

    /// Knows no entity yet, and finds nothing.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unfitted(config: GroupConfig<M::Config>) -> Result<Self> {
        Self::new(FittedGroups::unfitted(config))
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedGroups<M> {
        &self.fitted
    }

    /// The synchronous form of [`Detector::detect`].
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> =
            self.each_excursion(window, |at| self.name(at, window)).into_iter().flatten().collect();
        found.sort_by(|a, b| (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset)));
        found
    }

    /// Calls `look` with each excursion, in the order of entities and onsets.
    pub(crate) fn each_excursion<T>(
        &self,
        window: &TelemetryWindow,
        mut look: impl FnMut(&Excursed<'_, M>) -> Option<T>,
    ) -> Vec<T> {
        let present = by_entity(window);
        let mut seen = Vec::new();
        for group in &self.fitted.groups {
            if let Some(series) = present.get(&group.entity) {
                // An error is a window that cannot be laid out in rows of the learned step: nothing to judge.
                seen.extend(self.excursions_of(group, series, window, &mut look).unwrap_or_default());
            }
        }
        seen
    }

    fn excursions_of<T>(
        &self,
        group: &Group<M>,
        present: &[&MetricSeries],
        window: &TelemetryWindow,
        look: &mut impl FnMut(&Excursed<'_, M>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let options = self.fitted.config.options();
        let columns: Vec<Option<&MetricSeries>> = group
            .keys
            .iter()
            .map(|key| {
                let at = present.binary_search_by(|s| s.key().cmp(key)).ok()?;
                present.get(at).copied()
            })
            .collect();
        let centers: Vec<f64> = group.baselines.iter().map(|b| b.center).collect();
        let unseen = vec![f64::NAN; centers.len()];
        let missing = if M::SEES_GAPS { &unseen } else { &centers };
        let aligned = align(window, &columns, group.step, options.carry, missing).ok()?;
        let width = columns.len();
        let heights = group.model.judge(Rows::new(&aligned.values, width).ok()?).ok()?;
        let mut seen = Vec::new();
        for excursion in excursions(&heights, &options.persistence) {
            let from = heights.get(excursion.first..=excursion.last)?;
            let height = |i: &usize| from.get(*i).copied().filter(|h| !h.is_nan()).unwrap_or(0.0);
            let peak = (0..from.len()).rev().max_by(|a, b| height(a).total_cmp(&height(b)))?;
            let upto = (excursion.first + peak + 1) * width;
            seen.extend(look(&Excursed {
                entity: &group.entity,
                keys: &group.keys,
                baselines: &group.baselines,
                model: &group.model,
                columns: &columns,
                centers: &centers,
                rows: Rows::new(aligned.values.get(..upto)?, width).ok()?,
                excursion,
                onset: aligned.axis.get(excursion.first)?,
                last: aligned.axis.get(excursion.last)?,
                height: height(&peak),
            }));
        }
        Some(seen)
    }

    /// A finding for each of the metrics that contribute most at the peak: as many as make up two thirds of it.
    fn name(&self, at: &Excursed<'_, M>, window: &TelemetryWindow) -> Option<Vec<Anomaly>> {
        let options = self.fitted.config.options();
        let shares = at.model.contributions(at.rows, at.centers).ok()?;
        let row = at.rows.iter().next_back()?;
        let total: f64 = shares.iter().sum();
        let mut order: Vec<(f64, usize)> = shares.iter().copied().zip(0..).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (mut found, mut explained) = (Vec::new(), 0.0);
        for (share, column) in order {
            if found.len() == options.named || explained * 3.0 >= total * 2.0 && !found.is_empty() {
                break;
            }
            explained += share;
            let Some(series) = at.columns.get(column).copied().flatten() else { continue };
            let (value, baseline) = (*row.get(column)?, *at.baselines.get(column)?);
            if !value.is_nan() {
                found.push(self.anomaly(at, series, value, baseline, window));
            }
        }
        Some(found)
    }

    fn anomaly(
        &self,
        at: &Excursed<'_, M>,
        series: &MetricSeries,
        value: f64,
        baseline: Baseline,
        window: &TelemetryWindow,
    ) -> Anomaly {
        let Excursion { first, last, cleared, .. } = at.excursion;
        let brief = cleared.is_some() && last - first < TRANSIENT;
        let shape = match (value >= baseline.center, brief) {
            (true, true) => Shape::Spike,
            (false, true) => Shape::Dip,
            (true, false) => Shape::LevelShiftUp,
            (false, false) => Shape::LevelShiftDown,
        };
        let mut anomaly = Anomaly::new(
            DetectorId(M::ID.to_owned()),
            self.hash.clone(),
            series.entity().clone(),
            series.key().clone(),
            shape,
            at.onset,
            value,
            baseline,
            reread(window, series),
        );
        anomaly.unit = series.unit().clone();
        anomaly.last = at.last;
        anomaly.ongoing = cleared.is_none();
        let critical = at.height >= self.fitted.config.options().critical;
        anomaly.severity = if critical { Severity::Critical } else { Severity::Warning };
        anomaly
    }
}

/// Rows of one entity that left the norm.
#[derive(Debug)]
pub(crate) struct Excursed<'a, M> {
    pub(crate) entity: &'a EntityId,
    /// Columns, ascending.
    pub(crate) keys: &'a [SeriesKey],
    pub(crate) baselines: &'a [Baseline],
    pub(crate) model: &'a M,
    columns: &'a [Option<&'a MetricSeries>],
    centers: &'a [f64],
    /// From the first row of the window to the one farthest from the norm.
    pub(crate) rows: Rows<'a>,
    excursion: Excursion,
    pub(crate) onset: Timestamp,
    pub(crate) last: Timestamp,
    /// How far that row was from the norm, in limits.
    pub(crate) height: f64,
}

#[async_trait]
impl<M: RowModel> Detector for GroupDetector<M> {
    fn id(&self) -> DetectorId {
        DetectorId(M::ID.to_owned())
    }

    fn fitted(&self) -> FittedHash {
        self.hash.clone()
    }

    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        ctx.check().map_err(|e| e.at("Detector::detect"))?;
        Ok(self.find(window))
    }
}
