//! From a score to the frequency with which such scores were right.

use std::fmt;

use aiops_core::model::{Confidence, FittedHash};
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::config::{out_of_range, within};

/// Version of the format of a [`Calibrator`]. Version 1 did not say what it was fitted on; it stays readable and applies to nothing.
pub const CALIBRATOR_VERSION: u32 = 2;

/// What a [`Calibrator`] was fitted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FittedOn {
    /// Whose raw scores: [`RuleRca::configuration`](crate::RuleRca::configuration) for confidences of diagnoses.
    pub configuration: FittedHash,
    /// Cases the outcomes are of, 1 or more; a case may have several outcomes, one a hypothesis.
    pub cases: usize,
    /// Names of the sets of cases, as the caller calls them.
    pub sets: Vec<String>,
}

impl FittedOn {
    /// `cases` cases diagnosed by `configuration`.
    #[must_use]
    pub fn new(configuration: FittedHash, cases: usize) -> Self {
        Self { configuration, cases, sets: Vec::new() }
    }

    /// The same with the names of the sets.
    #[must_use]
    pub fn with_sets<S: Into<String>>(mut self, sets: impl IntoIterator<Item = S>) -> Self {
        self.sets = sets.into_iter().map(Into::into).collect();
        self
    }
}

/// Why a [`Calibrator`] tells no confidence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The raw score is outside 0..=1 or NaN.
    RawScore(f64),
    /// The score is another configuration's: how often those were right is not known.
    OtherConfiguration {
        /// What it was fitted on; `None` where its file does not say.
        fitted_on: Option<FittedHash>,
        /// Whose score it was asked about; `None` where the ranking does not name its localiser.
        asked_about: Option<FittedHash>,
    },
}

impl fmt::Display for CalibrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            |hash: &Option<FittedHash>| hash.as_ref().map_or("one unnamed".to_owned(), |h| h.0.clone());
        match self {
            Self::RawScore(raw) => write!(f, "the raw score {raw} lies outside 0..=1"),
            Self::OtherConfiguration { fitted_on, asked_about } => write!(
                f,
                "the calibrator was fitted on scores of another configuration ({}, asked about {})",
                name(fitted_on),
                name(asked_about)
            ),
        }
    }
}

impl std::error::Error for CalibrationError {}

impl From<CalibrationError> for Error {
    fn from(e: CalibrationError) -> Self {
        let kind = match e {
            CalibrationError::RawScore(_) => ErrorKind::Invalid,
            CalibrationError::OtherConfiguration { .. } => ErrorKind::Unsupported,
        };
        Self::new(kind, "no calibrated confidence").caused_by(e)
    }
}

/// Settings of [`Calibrator::fit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CalibrationConfig {
    /// Fewest outcomes to fit on; default 30, 10 or more.
    pub least_outcomes: usize,
    /// Fewest outcomes a bin; default 5, 1 or more.
    pub bin: usize,
    /// Laplace smoothing: this many right and as many wrong outcomes are added to each bin; default 1, 0.1..=100.
    pub smoothing: f64,
}

impl Default for CalibrationConfig {
    fn default() -> Self {
        Self { least_outcomes: 30, bin: 5, smoothing: 1.0 }
    }
}

/// A bin: outcomes whose raw scores centre at `raw` were right with `probability`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Knot {
    raw: f64,
    probability: f64,
    outcomes: usize,
}

/// Isotonic calibration (Zadrozny & Elkan 2002): bins of equal count, pooled until the smoothed frequency rises with the
/// score (pool adjacent violators), linear in between, flat outside.
///
/// It holds for scores of the configuration it was fitted on, and refuses those of any other. Serialisable; what is read back is
/// checked. Its id, a hash of its bins and of what it was fitted on, stands in every [`Confidence`] it gives.
///
/// ```
/// use aiops_rca::{CalibrationConfig, CalibrationError, Calibrator, FittedOn, FusedLocalizer, RuleRca};
/// let outcomes: Vec<(f64, bool)> = (0..100).map(|i| (f64::from(i) / 100.0, i % 10 < i / 10)).collect();
/// let ours = RuleRca::default().configuration(&FusedLocalizer::default().id());
/// let on = FittedOn::new(ours.clone(), 100).with_sets(["drills of spring"]);
/// let calibrator = Calibrator::fit(&outcomes, on, &CalibrationConfig::default())?;
/// let (low, high) = (calibrator.confidence(0.1, &ours)?, calibrator.confidence(0.9, &ours)?);
/// assert!(low.probability() < high.probability() && high.is_calibrated());
///
/// let theirs = RuleRca::default().configuration(&aiops_rca::TopologyLocalizer::default().id());
/// let refused = calibrator.confidence(0.9, &theirs);
/// assert!(matches!(refused, Err(CalibrationError::OtherConfiguration { .. })));
/// # Ok::<(), aiops_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Calibrator {
    knots: Vec<Knot>,
    fitted_on: Option<FittedOn>,
    id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    version: u32,
    knots: Vec<Knot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fitted_on: Option<FittedOn>,
}

impl From<Calibrator> for Parts {
    fn from(c: Calibrator) -> Self {
        let version = if c.fitted_on.is_some() { CALIBRATOR_VERSION } else { 1 };
        Self { version, knots: c.knots, fitted_on: c.fitted_on }
    }
}

impl TryFrom<Parts> for Calibrator {
    type Error = Error;
    fn try_from(p: Parts) -> Result<Self> {
        match (p.version, p.fitted_on) {
            (1, None) => Self::of(p.knots, None),
            (CALIBRATOR_VERSION, Some(on)) => Self::of(p.knots, Some(on)),
            (1 | CALIBRATOR_VERSION, _) => {
                Err(Error::new(ErrorKind::Malformed, "what it was fitted on does not go with its version")
                    .with("version", p.version))
            }
            (version, _) => Err(Error::new(ErrorKind::Unsupported, "a calibrator of another version")
                .with("version", version)
                .with("known", CALIBRATOR_VERSION)),
        }
    }
}

/// Outcomes pooled into one bin.
#[derive(Debug, Clone, Copy)]
struct Block {
    sum: f64,
    right: usize,
    outcomes: usize,
}

impl Block {
    fn probability(&self, smoothing: f64) -> f64 {
        (count(self.right) + smoothing) / (count(self.outcomes) + 2.0 * smoothing)
    }

    fn pooled(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            right: self.right + other.right,
            outcomes: self.outcomes + other.outcomes,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of outcomes are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

impl Calibrator {
    /// Fits on pairs of raw score, 0..=1, and whether the answer was right; `on` says whose they are. The order of pairs does not
    /// matter. O(n log n).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for fewer pairs than `least_outcomes`, more cases than pairs or none, scores outside 0..=1, or a
    /// configuration out of range.
    pub fn fit(outcomes: &[(f64, bool)], on: FittedOn, config: &CalibrationConfig) -> Result<Self> {
        if config.least_outcomes < 10 {
            return Err(out_of_range("least_outcomes", config.least_outcomes, "10 or more"));
        }
        if config.bin == 0 {
            return Err(out_of_range("bin", config.bin, "1 or more"));
        }
        within("smoothing", config.smoothing, 0.1, 100.0)?;
        if outcomes.len() < config.least_outcomes {
            return Err(Error::new(ErrorKind::Invalid, "too few outcomes to calibrate on")
                .with("outcomes", outcomes.len())
                .with("least_outcomes", config.least_outcomes));
        }
        if !(1..=outcomes.len()).contains(&on.cases) {
            return Err(out_of_range("cases", on.cases, "1 to the number of outcomes"));
        }
        for (raw, _) in outcomes {
            within("raw score", *raw, 0.0, 1.0)?;
        }
        let mut sorted = outcomes.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut pooled: Vec<Block> = Vec::new();
        for block in equal_counts(&sorted, config.bin) {
            pooled.push(block);
            while let [.., before, last] = pooled.as_slice() {
                if before.probability(config.smoothing) < last.probability(config.smoothing) {
                    break;
                }
                let both = before.pooled(*last);
                pooled.truncate(pooled.len() - 2);
                pooled.push(both);
            }
        }
        let knot = |b: &Block| Knot {
            raw: short(b.sum / count(b.outcomes)),
            probability: short(b.probability(config.smoothing)),
            outcomes: b.outcomes,
        };
        let mut knots: Vec<Knot> = pooled.iter().map(knot).collect();
        // Bins closer than the digits kept are one.
        knots.dedup_by(|b, a| a.raw >= b.raw);
        Self::of(knots, Some(on))
    }

    /// Checks the bins and names them.
    fn of(knots: Vec<Knot>, fitted_on: Option<FittedOn>) -> Result<Self> {
        let bad = |why: &str| Err(Error::new(ErrorKind::Malformed, format!("not a calibrator: {why}")));
        if knots.is_empty() {
            return bad("no bins");
        }
        let in_range = |v: f64| (0.0..=1.0).contains(&v);
        if knots.iter().any(|k| !in_range(k.raw) || !in_range(k.probability)) {
            return bad("a bin outside 0..=1");
        }
        let rises = |w: &[Knot]| matches!(w, [a, b] if a.raw < b.raw && a.probability <= b.probability);
        if !knots.windows(2).all(rises) {
            return bad("bins do not rise");
        }
        let text = match &fitted_on {
            Some(on) => serde_json::to_vec(&(&knots, on)),
            None => serde_json::to_vec(&knots),
        }
        .map_err(|e| Error::new(ErrorKind::Internal, "a calibrator cannot be serialised").caused_by(e))?;
        Ok(Self { knots, fitted_on, id: format!("isotonic-{}", FittedHash::of(&text).0) })
    }

    /// Names this fit.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Number of outcomes it rests on.
    #[must_use]
    pub fn outcomes(&self) -> usize {
        self.knots.iter().map(|k| k.outcomes).sum()
    }

    /// What it was fitted on; `None` for files of version 1, which do not say.
    #[must_use]
    pub fn fitted_on(&self) -> Option<&FittedOn> {
        self.fitted_on.as_ref()
    }

    /// Whether it holds for scores of `configuration`; `None` is one that is not known.
    ///
    /// # Errors
    /// [`CalibrationError::OtherConfiguration`].
    pub fn check(&self, configuration: Option<&FittedHash>) -> Result<(), CalibrationError> {
        let fitted_on = self.fitted_on.as_ref().map(|on| &on.configuration);
        if fitted_on.is_some() && fitted_on == configuration {
            return Ok(());
        }
        Err(CalibrationError::OtherConfiguration {
            fitted_on: fitted_on.cloned(),
            asked_about: configuration.cloned(),
        })
    }

    /// Frequency with which answers of this raw score, 0..=1, of `configuration` were right.
    ///
    /// # Errors
    /// [`CalibrationError::RawScore`] outside 0..=1 or for NaN; [`CalibrationError::OtherConfiguration`] for scores of a configuration
    /// it was not fitted on.
    pub fn confidence(&self, raw: f64, configuration: &FittedHash) -> Result<Confidence, CalibrationError> {
        self.check(Some(configuration))?;
        let outside = |_| CalibrationError::RawScore(raw);
        within("raw score", raw, 0.0, 1.0).map_err(outside)?;
        let above = self.knots.partition_point(|k| k.raw < raw);
        let (low, high) = (above.checked_sub(1).and_then(|i| self.knots.get(i)), self.knots.get(above));
        let probability = match (low, high) {
            (Some(a), Some(b)) => {
                let t = (raw - a.raw) / (b.raw - a.raw);
                a.probability + t * (b.probability - a.probability)
            }
            (Some(only), None) | (None, Some(only)) => only.probability,
            (None, None) => raw,
        };
        Confidence::calibrated(probability.clamp(0.0, 1.0), self.id.clone()).map_err(outside)
    }
}

/// To nine digits: enough for any count of outcomes, and short enough that every reader of decimal text gets the same number,
/// and so the same id.
fn short(v: f64) -> f64 {
    (v * 1e9).round() / 1e9
}

/// Bins of at least `size` outcomes in order of score; equal scores stay together, a short rest joins the last bin.
fn equal_counts(sorted: &[(f64, bool)], size: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(Block, f64)> = None;
    for (raw, right) in sorted {
        let one = Block { sum: *raw, right: usize::from(*right), outcomes: 1 };
        open = match open {
            Some((block, last)) if block.outcomes >= size && *raw > last => {
                blocks.push(block);
                Some((one, *raw))
            }
            Some((block, _)) => Some((block.pooled(one), *raw)),
            None => Some((one, *raw)),
        };
    }
    if let Some((rest, _)) = open {
        match blocks.pop() {
            Some(last) if rest.outcomes < size => blocks.push(last.pooled(rest)),
            last => blocks.extend(last.into_iter().chain([rest])),
        }
    }
    blocks
}
