use std::time::Duration;

use aiops_compact::order::{MAD_TO_SIGMA, mad_of_sorted, median_of_sorted};
use aiops_compact::shape::Persistence;
use aiops_compact::{ConfigError, Moments};
use aiops_core::model::{Baseline, EntityId, FittedHash, MetricSeries, SeriesKey, TelemetryWindow};
use aiops_core::seam::Fit;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{RowModel, align};
use crate::error::{check, check_count};
use crate::rows::Rows;

/// Version of a stored [`FittedGroups`].
pub const GROUPS_VERSION: u32 = 1;

/// How entities are judged by all their metrics together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupOptions<C: Default> {
    /// How the model is learned.
    pub model: C,
    /// When rows beyond the model's limit make an excursion; its σ are multiples of the limit. Default: 3 of 5 rows
    /// beyond 1, over after 3 rows in a row below 0.9.
    pub persistence: Persistence,
    /// Multiple of the limit from which a finding is critical, ≥ `persistence.sigma`. Default 3.
    pub critical: f64,
    /// Fewest usable rows to learn from, 16 to 10⁶. Default 120.
    pub min_rows: usize,
    /// Missing samples over which the last one holds, 0 to 1000. Default 3.
    pub carry: usize,
    /// Metrics named in a finding at most, 1 to 100. Default 2.
    pub named: usize,
    /// Metrics of one entity at most, 1 to 4096. Default 256; entities with more are passed over.
    pub max_columns: usize,
}

impl<C: Default> Default for GroupOptions<C> {
    fn default() -> Self {
        Self {
            model: C::default(),
            persistence: Persistence { sigma: 1.0, clear_sigma: 0.9, ..Persistence::default() },
            critical: 3.0,
            min_rows: 120,
            carry: 3,
            named: 2,
            max_columns: 256,
        }
    }
}

/// Checked [`GroupOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(
    try_from = "GroupOptions<C>",
    into = "GroupOptions<C>",
    bound(serialize = "C: Clone + Default + Serialize", deserialize = "C: Default + Deserialize<'de>")
)]
pub struct GroupConfig<C: Default>(GroupOptions<C>);

impl<C: Default> GroupConfig<C> {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &GroupOptions<C> {
        &self.0
    }
}

impl<C: Default> From<GroupConfig<C>> for GroupOptions<C> {
    fn from(config: GroupConfig<C>) -> Self {
        config.0
    }
}

impl<C: Default> TryFrom<GroupOptions<C>> for GroupConfig<C> {
    type Error = ConfigError;

    fn try_from(options: GroupOptions<C>) -> std::result::Result<Self, ConfigError> {
        options.persistence.validate()?;
        check("critical", options.critical, options.persistence.sigma.., "at least `persistence.sigma`")?;
        check_count("min_rows", options.min_rows, 16..=1_000_000, "16 to 1000000 rows")?;
        check_count("carry", options.carry, 0..=1000, "0 to 1000 samples")?;
        check_count("named", options.named, 1..=100, "1 to 100 metrics")?;
        check_count("max_columns", options.max_columns, 1..=4096, "1 to 4096 metrics")?;
        Ok(Self(options))
    }
}

/// What is normal for the metrics of one entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group<M> {
    pub(super) entity: EntityId,
    /// Distance of rows.
    pub(super) step: Duration,
    /// Columns, ascending.
    pub(super) keys: Vec<SeriesKey>,
    /// Each column by itself.
    pub(super) baselines: Vec<Baseline>,
    #[serde(bound(deserialize = "M: serde::de::DeserializeOwned"))]
    pub(super) model: M,
}

/// What a [`GroupDetector`](super::GroupDetector) knows: a model for each entity it has seen.
///
/// Serialises to a versioned document; a version this crate does not know is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document<M>", into = "Document<M>", bound = "M: RowModel")]
pub struct FittedGroups<M: RowModel> {
    pub(super) config: GroupConfig<M::Config>,
    pub(super) groups: Vec<Group<M>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "M: RowModel")]
struct Document<M: RowModel> {
    version: u32,
    detector: String,
    config: GroupConfig<M::Config>,
    groups: Vec<Group<M>>,
}

impl<M: RowModel> From<FittedGroups<M>> for Document<M> {
    fn from(fitted: FittedGroups<M>) -> Self {
        let FittedGroups { config, groups } = fitted;
        Self { version: GROUPS_VERSION, detector: M::ID.to_owned(), config, groups }
    }
}

impl<M: RowModel> TryFrom<Document<M>> for FittedGroups<M> {
    type Error = Error;

    fn try_from(document: Document<M>) -> Result<Self> {
        if document.version != GROUPS_VERSION || document.detector != M::ID {
            return Err(Error::new(ErrorKind::Unsupported, "not a state of this detector and version")
                .with("version", document.version)
                .with("detector", document.detector));
        }
        let usable = |g: &Group<M>| {
            let width = g.keys.len();
            g.model.columns() == width
                && g.baselines.len() == width
                && g.keys.is_sorted_by(|a, b| a < b)
                && !g.step.is_zero()
                && g.baselines.iter().all(|b| b.center.is_finite() && b.scale.is_finite() && b.scale > 0.0)
        };
        let ascending = document.groups.is_sorted_by(|a, b| a.entity < b.entity);
        if !ascending || !document.groups.iter().all(usable) {
            return Err(Error::new(ErrorKind::Invalid, "a stored group of metrics does not fit together"));
        }
        Ok(Self { config: document.config, groups: document.groups })
    }
}

impl<M: RowModel> FittedGroups<M> {
    /// A state that knows no entity: it finds nothing.
    #[must_use]
    pub fn unfitted(config: GroupConfig<M::Config>) -> Self {
        Self { config, groups: Vec::new() }
    }

    /// Entities it knows, ascending.
    pub fn entities(&self) -> impl Iterator<Item = &EntityId> {
        self.groups.iter().map(|g| &g.entity)
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns a model for each entity from a window that is known to be healthy.
#[derive(Debug, Clone)]
pub struct GroupFit<M: RowModel> {
    config: GroupConfig<M::Config>,
}

impl<M: RowModel> Default for GroupFit<M> {
    fn default() -> Self {
        Self::new(GroupConfig::default())
    }
}

impl<M: RowModel> GroupFit<M> {
    /// Learns with this configuration.
    #[must_use]
    pub fn new(config: GroupConfig<M::Config>) -> Self {
        Self { config }
    }

    fn learn(
        &self,
        entity: &EntityId,
        series: &[&MetricSeries],
        history: &TelemetryWindow,
    ) -> Option<Group<M>> {
        let options = self.config.options();
        let described: Vec<(&MetricSeries, Baseline)> =
            series.iter().filter_map(|s| Some((*s, baseline(s)?))).collect();
        if described.is_empty() || described.len() > options.max_columns {
            return None;
        }
        let (series, baselines): (Vec<_>, Vec<Baseline>) = described.into_iter().unzip();
        let step = align::step_of(&series)?;
        let columns: Vec<_> = series.iter().copied().map(Some).collect();
        let missing: Vec<f64> = baselines.iter().map(|b| b.center).collect();
        let aligned = align::align(history, &columns, step, options.carry, &missing).ok()?;
        let rows = Rows::new(&aligned.values, series.len()).ok()?;
        let usable = rows.iter().filter(|row| row.iter().all(|v| v.is_finite())).count();
        if usable < options.min_rows {
            return None;
        }
        let model = M::learn(rows, &options.model).ok()?;
        let keys = series.iter().map(|s| s.key().clone()).collect();
        Some(Group { entity: entity.clone(), step, keys, baselines, model })
    }
}

impl<M: RowModel> Fit for GroupFit<M> {
    type Fitted = FittedGroups<M>;

    fn fit(&self, history: &TelemetryWindow) -> Result<FittedGroups<M>> {
        let groups: Vec<_> = align::by_entity(history)
            .into_iter()
            .filter_map(|(entity, series)| self.learn(entity, &series, history))
            .collect();
        if groups.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "no entity has enough samples to learn from")
                .at("Fit::fit")
                .with("series", history.metrics.len()));
        }
        Ok(FittedGroups { config: self.config.clone(), groups })
    }
}

/// Median and a positive scale of a series by itself; `None` without a finite sample.
fn baseline(series: &MetricSeries) -> Option<Baseline> {
    let mut values: Vec<f64> = series.points().map(|(_, v)| v).filter(|v| v.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let center = median_of_sorted(&values)?;
    let mad = MAD_TO_SIGMA * mad_of_sorted(&values, center)?;
    let mut moments = Moments::new();
    values.iter().for_each(|v| moments.push(*v));
    // A series that is mostly constant: what varies at all says more than the zero of the middle half, and where
    // nothing varies a hundredth of the level, or of one unit, stands for it.
    let candidates = [mad, moments.standard_deviation().unwrap_or(0.0), 0.01 * center.abs(), 0.01];
    let scale = candidates.into_iter().find(|s| s.is_finite() && *s > 0.0)?;
    Some(Baseline { center, scale, samples: values.len() })
}
