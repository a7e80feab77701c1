//! Isolation Forest: rows that few random splits set apart are anomalous. // DET-02
//!
//! Liu, Ting, Zhou: *Isolation Forest*, ICDM 2008, and *Isolation-Based Anomaly Detection*, TKDD 6(1), 2012. A row `x` with
//! the mean path length E(h(x)) over the trees has the score s(x) = 2^(−E(h(x)) / c(ψ)), where ψ rows made each tree and
//! c(ψ) is the [average path length](average_path_length) of an unsuccessful search among ψ keys.
//!
//! Signs are those of scikit-learn: [`score_samples`](IsolationForest::score_samples) is −s, −1 (anomalous) to 0, about
//! −0.5 for rows like any other; [`decision_function`](IsolationForest::decision_function) is that plus 0.5, negative for
//! anomalies. Given scikit-learn's trees the scores are scikit-learn's.

mod config;

mod grow;
mod model;
mod prefilter;
mod sliding;
mod tree;

use aiops_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::error::FitError;
use crate::rows::Rows;

pub use config::{ForestConfig, ForestOptions};

pub use model::{
    FittedForest, ForestDetector, ForestFit, ForestModel, ForestModelConfig, ForestModelOptions,
};
pub use prefilter::{
    AlertPrefilter, Filtered, PrefilterConfig, PrefilterCounts, PrefilterFeatures, PrefilterOptions, Reason,
};
pub use sliding::{SlidingConfig, SlidingForest, SlidingOptions};
pub use tree::average_path_length;

use grow::Grower;
use tree::{LANES, Tree};

/// Version of a stored [`IsolationForest`].
pub const FOREST_VERSION: u32 = 1;

/// Rows scored with one tree before the next: they and the tree stay in the first-level cache.
const BLOCK: usize = 256;

/// A grown forest.
///
/// ```
/// use aiops_detect::Rows;
/// use aiops_detect::forest::IsolationForest;
/// let mut values: Vec<f64> = (0..500).map(|i| f64::from(i % 25)).collect();
/// values.push(400.0);
/// let rows = Rows::new(&values, 1)?;
/// let forest = IsolationForest::fit(rows, Default::default())?;
/// let scores = forest.score_samples(rows)?;
/// assert!(scores.last() < Some(&-0.7) && scores.iter().take(500).all(|s| *s > -0.6));
/// # Ok::<(), aiops_detect::FitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct IsolationForest {
    columns: usize,
    /// ψ: rows that made each tree.
    sample_size: usize,
    trees: Vec<Tree>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    columns: usize,
    trees: Vec<Tree>,
}

impl From<IsolationForest> for Document {
    fn from(forest: IsolationForest) -> Self {
        Self { version: FOREST_VERSION, columns: forest.columns, trees: forest.trees }
    }
}

impl TryFrom<Document> for IsolationForest {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self, Error> {
        if document.version != FOREST_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of an isolation forest")
                .with("version", document.version)
                .with("known", FOREST_VERSION));
        }
        let sizes: Vec<usize> = document.trees.iter().map(Tree::sample_size).collect();
        let same = sizes.first().filter(|first| **first >= 2 && sizes.iter().all(|size| size == *first));
        let Some(sample_size) = same.copied() else {
            return Err(Error::new(ErrorKind::Invalid, "stored trees were not grown from equally many rows"));
        };
        let last = document.trees.iter().filter_map(Tree::last_feature).max();
        if document.columns == 0 || last.is_some_and(|feature| feature as usize >= document.columns) {
            return Err(Error::new(ErrorKind::Invalid, "a stored tree splits a column that is not there")
                .with("columns", document.columns));
        }
        Ok(Self { columns: document.columns, sample_size, trees: document.trees })
    }
}

impl IsolationForest {
    /// Grows a forest. Rows with NaN or ±∞ are left out; with fewer usable rows than the sample size, every tree sees
    /// all of them. O(trees · sample size · log(sample size) + rows).
    ///
    /// # Errors
    /// [`FitError::TooFew`] with fewer than two usable rows.
    pub fn fit(rows: Rows<'_>, config: ForestConfig) -> Result<Self, FitError> {
        let options = config.options();
        let mut grower = Grower::new(rows, options.seed);
        if grower.usable() < 2 {
            return Err(FitError::TooFew { usable: grower.usable(), needed: 2 });
        }
        let sample_size = options.sample_size.min(grower.usable());
        let trees = (0..options.trees).map(|_| grower.tree(sample_size)).collect();
        Ok(Self { columns: rows.columns(), sample_size, trees })
    }

    /// Columns of the rows it judges.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// ψ: rows that made each tree.
    #[must_use]
    pub fn sample_size(&self) -> usize {
        self.sample_size
    }

    /// The negated score of the paper, one a row: −1 to 0, the lower the more anomalous. NaN for a row with NaN; ±∞ is
    /// beyond every threshold. O(rows · trees · log(sample size)).
    ///
    /// # Errors
    /// [`FitError::Columns`] when the rows are of another width.
    pub fn score_samples(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        rows.expect_columns(self.columns)?;
        let mut scores = vec![0.0; rows.len()];
        let normaliser = self.trees.len() as f64 * average_path_length(self.sample_size);
        let mut lanes = Vec::new();
        for (block, values) in scores.chunks_mut(BLOCK).zip(rows.blocks(BLOCK)) {
            transpose(values, self.columns, &mut lanes);
            let mut sums = [[0.0; LANES]; BLOCK / LANES];
            for tree in &self.trees {
                tree.add_path_lengths(&lanes, self.columns, &mut sums);
            }
            let rows = values.chunks_exact(self.columns).zip(sums.iter().flatten());
            for (score, (row, sum)) in block.iter_mut().zip(rows) {
                let known = !row.iter().any(|v| v.is_nan());
                *score = if known { -(-sum / normaliser).exp2() } else { f64::NAN };
            }
        }
        Ok(scores)
    }

    /// [`score_samples`](Self::score_samples) + 0.5: negative for anomalies.
    ///
    /// # Errors
    /// As `score_samples`.
    pub fn decision_function(&self, rows: Rows<'_>) -> Result<Vec<f64>, FitError> {
        let mut scores = self.score_samples(rows)?;
        scores.iter_mut().for_each(|score| *score += 0.5);
        Ok(scores)
    }
}

/// Lays rows out so that equal columns of [`LANES`] rows stand side by side; a group that is not full ends in zeros.
fn transpose(values: &[f64], columns: usize, lanes: &mut Vec<[f64; LANES]>) {
    lanes.clear();
    for group in values.chunks(columns * LANES) {
        let from = lanes.len();
        lanes.resize(from + columns, [0.0; LANES]);
        for (lane, row) in group.chunks_exact(columns).enumerate() {
            for (column, value) in lanes.iter_mut().skip(from).zip(row) {
                if let Some(cell) = column.get_mut(lane) {
                    *cell = *value;
                }
            }
        }
    }
}
