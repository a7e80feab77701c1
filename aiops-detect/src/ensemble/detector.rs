use std::collections::BTreeMap;
use std::sync::Arc;

use aiops_core::model::{
    Anomaly, DetectorId, Direction, EntityId, FittedHash, SeriesKey, Severity, TelemetryWindow,
};
use aiops_core::seam::Detector;
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use super::combine::{combine, confidence};
use super::fit::FittedEnsemble;

/// What an ensemble says of one series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Combined {
    /// The finding: that of the member that is surest, under the ensemble's name.
    pub anomaly: Anomaly,
    /// Combined p-value.
    pub p_value: f64,
    /// The most that it allows to believe, see [`confidence`].
    pub confidence: f64,
    /// p-value of each member that found something, in the order of members.
    pub members: Vec<(DetectorId, f64)>,
}

/// Which member found it, what, and with which p-value.
type Found = (usize, Anomaly, f64);

/// Several detectors as one: what they find of one series and direction becomes one finding with a combined p-value, told when that is at
/// most the [`level`](super::EnsembleOptions::level). A finding that a member calls critical is told whatever the others say. // DET-08
///
/// A member that finds nothing has a p-value of 1, which the rules take for no evidence. Findings in the order of entity, series,
/// onset.
#[derive(Debug, Clone)]
pub struct EnsembleDetector {
    fitted: FittedEnsemble,
    members: Vec<Arc<dyn Detector>>,
    weights: Vec<f64>,
    hash: FittedHash,
}

impl EnsembleDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "ensemble";

    /// The ensemble of `members`, which must be those that were calibrated, in the same order and with the same fitted states.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when they are others; [`ErrorKind::Internal`] when the state cannot be hashed.
    pub fn new(fitted: FittedEnsemble, members: Vec<Arc<dyn Detector>>) -> Result<Self> {
        let known = fitted.members.iter().map(|m| (m.detector.clone(), m.fitted.clone()));
        if !known.eq(members.iter().map(|m| (m.id(), m.fitted()))) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the members of an ensemble are not those it was fitted with",
            ));
        }
        let (hash, weights) = (fitted.hash()?, fitted.weights());
        Ok(Self { fitted, members, weights, hash })
    }

    /// The fitted state.
    #[must_use]
    pub fn state(&self) -> &FittedEnsemble {
        &self.fitted
    }

    /// What the members find, combined; what is not told included.
    ///
    /// # Errors
    /// Those of the members.
    pub async fn explain(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Combined>> {
        ctx.check().map_err(|e| e.at("Detector::detect"))?;
        let mut found: BTreeMap<(EntityId, SeriesKey, bool), Vec<Found>> = BTreeMap::new();
        for (at, (member, fitted)) in self.members.iter().zip(&self.fitted.members).enumerate() {
            for anomaly in member.detect(window, ctx).await? {
                let up = anomaly.direction() == Direction::Up;
                let p = fitted.tail.p_value(anomaly.sigma.abs());
                let key = (anomaly.entity.clone(), anomaly.series.clone(), up);
                found.entry(key).or_default().push((at, anomaly, p));
            }
        }
        let mut combined: Vec<Combined> = found.into_values().filter_map(|of| self.judge(of)).collect();
        combined.sort_by(|a, b| {
            let (a, b) = (&a.anomaly, &b.anomaly);
            (&a.entity, &a.series, a.onset).cmp(&(&b.entity, &b.series, b.onset))
        });
        Ok(combined)
    }

    /// One finding of all those about a series and direction.
    fn judge(&self, of: Vec<Found>) -> Option<Combined> {
        let options = self.fitted.config.options();
        let least =
            |at: usize| of.iter().filter(|(member, ..)| *member == at).map(|(.., p)| *p).reduce(f64::min);
        let told: Vec<(usize, f64)> =
            (0..self.members.len()).filter_map(|at| Some((at, least(at)?))).collect();
        let p_values: Vec<(f64, f64)> =
            self.weights.iter().enumerate().map(|(at, w)| (least(at).unwrap_or(1.0), *w)).collect();
        let p_value = combine(&p_values, options.rule);
        let severity = of.iter().map(|(_, a, _)| a.severity).max()?;
        let members = told
            .iter()
            .filter_map(|(at, p)| Some((self.fitted.members.get(*at)?.detector.clone(), *p)))
            .collect();
        // The surest; of equal ones that of the first member, and its earliest.
        let (_, mut anomaly, _) = of
            .into_iter()
            .min_by(|a, b| a.2.total_cmp(&b.2).then((a.0, a.1.onset).cmp(&(b.0, b.1.onset))))?;
        anomaly.detector = DetectorId(Self::ID.to_owned());
        anomaly.fitted = self.hash.clone();
        anomaly.severity = severity;
        Some(Combined { anomaly, p_value, confidence: confidence(p_value, options.prevalence), members })
    }

    /// Whether something is sure, or grave, enough to be told.
    #[must_use]
    pub fn is_told(&self, combined: &Combined) -> bool {
        combined.p_value <= self.fitted.config.options().level
            || combined.anomaly.severity == Severity::Critical
    }
}

#[async_trait]
impl Detector for EnsembleDetector {
    fn id(&self) -> DetectorId {
        DetectorId(Self::ID.to_owned())
    }

    fn fitted(&self) -> FittedHash {
        self.hash.clone()
    }

    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let combined = self.explain(window, ctx).await?;
        Ok(combined.into_iter().filter(|c| self.is_told(c)).map(|c| c.anomaly).collect())
    }
}
