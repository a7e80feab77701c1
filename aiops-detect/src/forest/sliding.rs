use std::collections::VecDeque;

use aiops_compact::ConfigError;
use serde::{Deserialize, Serialize};

use super::grow::Grower;
use super::tree::average_path_length;
use super::{ForestConfig, IsolationForest, Tree};
use crate::error::{FitError, check_count};
use crate::rows::Rows;

/// How a [`SlidingForest`] follows its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlidingOptions {
    /// Trees and their samples.
    pub forest: ForestConfig,
    /// Rows remembered, the sample size to 1 000 000. Default 4096.
    pub window: usize,
    /// Usable rows between two renewals, 1 to `window`. Default 256.
    pub renew_every: usize,
    /// Trees replaced in a renewal, oldest first, 1 to all. Default 10: with the other defaults all trees are new after
    /// 2560 rows, and no single renewal moves the scores much.
    pub renew_trees: usize,
}

impl Default for SlidingOptions {
    fn default() -> Self {
        Self { forest: ForestConfig::default(), window: 4096, renew_every: 256, renew_trees: 10 }
    }
}

/// Checked [`SlidingOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SlidingOptions", into = "SlidingOptions")]
pub struct SlidingConfig(SlidingOptions);

impl SlidingConfig {
    /// The options.
    #[must_use]
    pub fn options(&self) -> &SlidingOptions {
        &self.0
    }
}

impl From<SlidingConfig> for SlidingOptions {
    fn from(config: SlidingConfig) -> Self {
        config.0
    }
}

impl TryFrom<SlidingOptions> for SlidingConfig {
    type Error = ConfigError;

    fn try_from(options: SlidingOptions) -> Result<Self, ConfigError> {
        let forest = options.forest.options();
        check_count(
            "window",
            options.window,
            forest.sample_size..=1_000_000,
            "`sample_size` to 1000000 rows",
        )?;
        check_count("renew_every", options.renew_every, 1..=options.window, "1 to `window` rows")?;
        check_count("renew_trees", options.renew_trees, 1..=forest.trees, "1 to `trees`")?;
        Ok(Self(options))
    }
}

/// Most that a stored counter may say: what every reader of JSON takes exactly, and far from where it overflows.
const MAX_COUNT: u64 = 1 << 53;

/// An isolation forest over the last rows of a stream: each row is scored by what came before it, then remembered, and
/// every so many rows the oldest trees are grown anew from what is remembered.
///
/// Memory: `window` rows and the trees. The same rows in the same order give the same scores, whatever was stored and
/// restored in between.
///
/// ```
/// use aiops_detect::forest::SlidingForest;
/// let mut forest = SlidingForest::new(2, Default::default())?;
/// for i in 0..300 {
///     let phase = f64::from(i) * 0.1;
///     forest.push(&[phase.sin(), phase.cos()])?;
/// }
/// assert!(forest.push(&[9.0, -9.0])?.is_some_and(|score| score < -0.5));
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct SlidingForest {
    config: SlidingConfig,
    columns: usize,
    remembered: VecDeque<f64>,
    trees: VecDeque<Tree>,
    since_renewal: usize,
    renewals: u64,
    skipped: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    config: SlidingConfig,
    columns: usize,
    remembered: Vec<f64>,
    forest: Option<IsolationForest>,
    since_renewal: usize,
    renewals: u64,
    skipped: u64,
}

impl From<SlidingForest> for Parts {
    fn from(sliding: SlidingForest) -> Self {
        let forest = sliding.forest();
        Self {
            config: sliding.config,
            columns: sliding.columns,
            remembered: sliding.remembered.into(),
            forest,
            since_renewal: sliding.since_renewal,
            renewals: sliding.renewals,
            skipped: sliding.skipped,
        }
    }
}

impl TryFrom<Parts> for SlidingForest {
    type Error = aiops_core::Error;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        let options = parts.config.options();
        let invalid = |what: &'static str| aiops_core::Error::new(aiops_core::ErrorKind::Invalid, what);
        let rows = Rows::new(&parts.remembered, parts.columns)
            .map_err(|e| invalid("remembered rows are not whole").caused_by(e))?;
        if rows.len() > options.window || parts.remembered.iter().any(|v| !v.is_finite()) {
            return Err(invalid("remembered rows are too many or not finite"));
        }
        let grown = parts.forest.as_ref().map_or(0, IsolationForest::trees);
        let fits = parts.forest.as_ref().is_none_or(|forest| {
            forest.columns == parts.columns && forest.sample_size == options.forest.options().sample_size
        });
        if !fits || (grown != 0 && grown != options.forest.options().trees) {
            return Err(invalid("the stored trees are not those of the configuration"));
        }
        // Counts that overflow, or a renewal that is long overdue.
        let pending = if grown == 0 { options.forest.options().sample_size } else { options.renew_every };
        if parts.since_renewal >= pending
            || grown == 0 && (parts.renewals > 0 || parts.since_renewal != rows.len())
            || parts.renewals > MAX_COUNT
            || parts.skipped > MAX_COUNT
        {
            return Err(invalid("the stored counts are not those of a stream"));
        }
        Ok(Self {
            config: parts.config,
            columns: parts.columns,
            remembered: parts.remembered.into(),
            trees: parts.forest.map(|forest| forest.trees).unwrap_or_default().into(),
            since_renewal: parts.since_renewal,
            renewals: parts.renewals,
            skipped: parts.skipped,
        })
    }
}

impl SlidingForest {
    /// A forest that has seen nothing, for rows of `columns` columns.
    ///
    /// # Errors
    /// [`FitError::Ragged`] when `columns` is 0.
    pub fn new(columns: usize, config: SlidingConfig) -> Result<Self, FitError> {
        Rows::new(&[], columns)?;
        Ok(Self {
            config,
            columns,
            remembered: VecDeque::new(),
            trees: VecDeque::new(),
            since_renewal: 0,
            renewals: 0,
            skipped: 0,
        })
    }

    /// Scores `row` as [`IsolationForest::score_samples`] does, then learns it. `None` until as many rows were seen as
    /// a tree needs, and for a row with NaN. A row with NaN or ±∞ is counted and not learned.
    ///
    /// O(trees · log(sample size)), plus the renewal when one is due.
    ///
    /// # Errors
    /// [`FitError::Columns`] when the row is of another width.
    pub fn push(&mut self, row: &[f64]) -> Result<Option<f64>, FitError> {
        if row.len() != self.columns {
            return Err(FitError::Columns { actual: row.len(), expected: self.columns });
        }
        let score = self.score(row);
        if !row.iter().all(|v| v.is_finite()) {
            self.skipped += 1;
            return Ok(score);
        }
        let options = *self.config.options();
        if self.remembered.len() == options.window * self.columns {
            self.remembered.drain(..self.columns);
        }
        self.remembered.extend(row);
        self.since_renewal += 1;
        let forest = options.forest.options();
        if self.trees.is_empty() {
            if self.remembered.len() == forest.sample_size * self.columns {
                self.renew(forest.trees);
            }
        } else if self.since_renewal >= options.renew_every {
            self.renew(options.renew_trees);
        }
        Ok(score)
    }

    fn score(&self, row: &[f64]) -> Option<f64> {
        if self.trees.is_empty() || row.iter().any(|v| v.is_nan()) {
            return None;
        }
        let sum: f64 = self.trees.iter().map(|tree| tree.path_length_of(row)).sum();
        let sample_size = self.config.options().forest.options().sample_size;
        let mean = sum / self.trees.len() as f64;
        Some(-(-mean / average_path_length(sample_size)).exp2())
    }

    fn renew(&mut self, trees: usize) {
        let forest = *self.config.options().forest.options();
        let values = self.remembered.make_contiguous();
        let Ok(rows) = Rows::new(values, self.columns) else { return };
        // Each renewal has draws of its own, and they do not depend on when the state was stored and read back.
        let mut grower = Grower::new(rows, forest.seed ^ self.renewals.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for _ in 0..trees {
            if self.trees.len() == forest.trees {
                self.trees.pop_front();
            }
            self.trees.push_back(grower.tree(forest.sample_size));
        }
        self.renewals += 1;
        self.since_renewal = 0;
    }

    /// The trees as they are now; `None` before there are any.
    #[must_use]
    pub fn forest(&self) -> Option<IsolationForest> {
        (!self.trees.is_empty()).then(|| IsolationForest {
            columns: self.columns,
            sample_size: self.config.options().forest.options().sample_size,
            trees: self.trees.iter().cloned().collect(),
        })
    }

    /// Rows remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remembered.len() / self.columns
    }

    /// Whether no row is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remembered.is_empty()
    }

    /// Renewals so far, the first growth included.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Rows not learned, because of NaN or ±∞.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}
