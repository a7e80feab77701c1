use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_compact::ConfigError;
use aiops_core::model::{DetectorId, EntityId, FittedHash, SeriesKey, TelemetryWindow};
use aiops_core::seam::Detector;
use aiops_core::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::combine::Combination;
use super::tail::{TailCalibration, TailOptions};
use crate::checked::{Checked, Options};
use crate::error::check;

/// Version of [`FittedEnsemble`]'s serialised form.
pub const FITTED_VERSION: u32 = 1;

/// How detectors become one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnsembleOptions {
    /// How p-values are combined.
    pub rule: Combination,
    /// Combined p-value up to which a finding is told, 10⁻¹² to 0.5. Default 0.001: in a thousand healthy looks at a series, one.
    pub level: f64,
    /// Share of looks at a series in which something is the matter, before it was looked; for the confidence. 10⁻⁶ to 0.5, default 0.01.
    pub prevalence: f64,
    /// How the members' tails are learned.
    pub tail: TailOptions,
    /// Findings that are worth as much as what is held of a member's precision beforehand, more than 0. Default 10.
    pub prior_findings: f64,
}

impl Default for EnsembleOptions {
    fn default() -> Self {
        Self {
            rule: Combination::default(),
            level: 1e-3,
            prevalence: 0.01,
            tail: TailOptions::default(),
            prior_findings: 10.0,
        }
    }
}

impl Options for EnsembleOptions {
    fn validate(&self) -> Result<(), ConfigError> {
        check("level", self.level, 1e-12..=0.5, "1e-12 to 0.5")?;
        check("prevalence", self.prevalence, 1e-6..=0.5, "1e-6 to 0.5")?;
        self.tail.validate()?;
        check("prior_findings", self.prior_findings, f64::MIN_POSITIVE.., "more than 0")
    }
}

/// What is known of one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedMember {
    /// Its name.
    pub detector: DetectorId,
    /// The fitted state it was calibrated with.
    pub fitted: FittedHash,
    /// Of the largest |σ| it finds in one look at a healthy series; 0 where it finds nothing.
    pub tail: TailCalibration,
    /// Its findings that persons confirmed.
    #[serde(default)]
    pub confirmed: u64,
    /// Those they rejected.
    #[serde(default)]
    pub rejected: u64,
}

/// What an ensemble knows. Serialises to a versioned document; a version this crate does not know is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct FittedEnsemble {
    pub(super) config: Checked<EnsembleOptions>,
    pub(super) members: Vec<FittedMember>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    config: Checked<EnsembleOptions>,
    members: Vec<FittedMember>,
}

impl From<FittedEnsemble> for Document {
    fn from(fitted: FittedEnsemble) -> Self {
        Self { version: FITTED_VERSION, config: fitted.config, members: fitted.members }
    }
}

impl TryFrom<Document> for FittedEnsemble {
    type Error = Error;

    fn try_from(document: Document) -> Result<Self> {
        if document.version != FITTED_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "unknown version of a fitted ensemble")
                .with("version", document.version)
                .with("known", FITTED_VERSION));
        }
        if let Some(odd) = document.members.iter().find(|m| !m.tail.is_sound()) {
            return Err(Error::new(ErrorKind::Invalid, "a stored calibration cannot be calculated with")
                .with("member", &odd.detector));
        }
        Ok(Self { config: document.config, members: document.members })
    }
}

impl FittedEnsemble {
    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Checked<EnsembleOptions> {
        &self.config
    }

    /// The members, in the order they were given.
    #[must_use]
    pub fn members(&self) -> &[FittedMember] {
        &self.members
    }

    /// The same with another level, as an [`AlarmBudget`](super::AlarmBudget) asks for.
    ///
    /// # Errors
    /// [`ConfigError`] when the level is outside its range.
    pub fn with_level(mut self, level: f64) -> Result<Self, ConfigError> {
        self.config = Checked::new(EnsembleOptions { level, ..self.config.into_options() })?;
        Ok(self)
    }

    /// Notes that persons confirmed and rejected so many of a member's findings; whether there is such a member.
    pub fn judged(&mut self, detector: &DetectorId, confirmed: u64, rejected: u64) -> bool {
        let member = self.members.iter_mut().find(|m| m.detector == *detector);
        if let Some(member) = member {
            member.confirmed = member.confirmed.saturating_add(confirmed);
            member.rejected = member.rejected.saturating_add(rejected);
            return true;
        }
        false
    }

    /// Weights of the members, one on average: the mean of a Beta distribution of their precision that begins at the pooled one
    /// and is updated by judgements. Equal while nobody has judged.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let sum = |of: fn(&FittedMember) -> u64| self.members.iter().map(of).sum::<u64>() as f64;
        let (confirmed, rejected) = (sum(|m| m.confirmed), sum(|m| m.rejected));
        // One finding of either kind is held beforehand, so that no member is left out for good.
        let pooled = (confirmed + 1.0) / (confirmed + rejected + 2.0);
        let prior = self.config.options().prior_findings;
        let precision = |m: &FittedMember| {
            (prior * pooled + m.confirmed as f64) / (prior + m.confirmed as f64 + m.rejected as f64)
        };
        let all: Vec<f64> = self.members.iter().map(precision).collect();
        let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
        all.into_iter().map(|precision| precision / mean).collect()
    }

    /// Hash of the serialised state.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the state cannot be serialised.
    pub fn hash(&self) -> Result<FittedHash> {
        crate::state::hash(self)
    }
}

/// Learns from healthy windows what the members' findings are worth.
#[derive(Debug, Clone)]
pub struct EnsembleFit {
    config: Checked<EnsembleOptions>,
    members: Vec<Arc<dyn Detector>>,
}

/// Strongest finding of a member about each series.
pub(super) type Strongest<'a> = BTreeMap<(&'a EntityId, &'a SeriesKey), f64>;

impl EnsembleFit {
    /// An ensemble of these detectors, none twice.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] without a member, or with two of one name and fitted state.
    pub fn new(config: Checked<EnsembleOptions>, members: Vec<Arc<dyn Detector>>) -> Result<Self> {
        if members.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "an ensemble has at least one member"));
        }
        for (at, member) in members.iter().enumerate() {
            let same = |other: &&Arc<dyn Detector>| other.id() == member.id();
            if members.iter().skip(at + 1).any(|other| same(&other)) {
                return Err(Error::new(ErrorKind::Invalid, "two members of an ensemble have one name")
                    .with("member", member.id()));
            }
        }
        Ok(Self { config, members })
    }

    /// Lets every member look at windows in which nothing was the matter. A look is one series of one window; what a
    /// member finds that is about no series of the window counts as one more look.
    ///
    /// # Errors
    /// Those of the members; [`ErrorKind::Invalid`] with too few looks.
    pub async fn fit(&self, healthy: &[TelemetryWindow], ctx: &Context) -> Result<FittedEnsemble> {
        let options = self.config.options();
        let tail = Checked::new(options.tail)
            .map_err(|e| Error::new(ErrorKind::Invalid, "options of a tail").caused_by(e))?;
        let mut members = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let mut peaks = Vec::new();
            for window in healthy {
                let found = member.detect(window, ctx).await?;
                let mut strongest: Strongest<'_> =
                    window.metrics.iter().map(|s| ((s.entity(), s.key()), 0.0)).collect();
                for a in &found {
                    let peak = strongest.entry((&a.entity, &a.series)).or_default();
                    *peak = a.sigma.abs().max(*peak);
                }
                peaks.extend(strongest.into_values());
            }
            let tail = TailCalibration::fit(peaks, &tail).map_err(|e| {
                Error::new(ErrorKind::Invalid, "too few healthy looks to calibrate a member")
                    .with("member", member.id())
                    .caused_by(e)
            })?;
            let (detector, fitted) = (member.id(), member.fitted());
            members.push(FittedMember { detector, fitted, tail, confirmed: 0, rejected: 0 });
        }
        Ok(FittedEnsemble { config: self.config, members })
    }
}
