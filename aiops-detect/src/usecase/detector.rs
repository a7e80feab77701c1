use std::fmt::Debug;

use aiops_core::model::{
    Anomaly, Baseline, DetectorId, EntityId, FetchRequest, FittedHash, SeriesKey, Severity, Shape,
    TelemetryWindow, Unit,
};
use aiops_core::seam::Detector;
use aiops_core::{Context, Result};
use async_trait::async_trait;
use jiff::Timestamp;

use crate::checked::{Checked, Options};

/// What a use case found, before it is stamped with the name and the configuration of its detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Symptom {
    /// Whose signal.
    pub entity: EntityId,
    /// Which signal; what comes from logs or spans has a name of its own.
    pub series: SeriesKey,
    /// Unit of the values.
    pub unit: Unit,
    /// Shape over time.
    pub shape: Shape,
    /// When it began.
    pub onset: Timestamp,
    /// Last sign of it.
    pub last: Timestamp,
    /// Whether it went on at the end of the window.
    pub ongoing: bool,
    /// Most deviating value.
    pub value: f64,
    /// What was normal.
    pub baseline: Baseline,
    /// How grave.
    pub severity: Severity,
    /// The read that shows it again.
    pub reread: FetchRequest,
    /// What speaks for it, in one sentence.
    pub evidence: String,
}

impl Symptom {
    /// A finding about a series, told otherwise.
    pub(crate) fn told(anomaly: Anomaly, evidence: String) -> Self {
        Self {
            entity: anomaly.entity,
            series: anomaly.series,
            unit: anomaly.unit,
            shape: anomaly.shape,
            onset: anomaly.onset,
            last: anomaly.last,
            ongoing: anomaly.ongoing,
            value: anomaly.value,
            baseline: anomaly.baseline,
            severity: anomaly.severity,
            reread: anomaly.reread,
            evidence,
        }
    }

    fn stamped(self, id: &str, hash: &FittedHash) -> Anomaly {
        let mut anomaly = Anomaly::new(
            DetectorId(id.to_owned()),
            hash.clone(),
            self.entity,
            self.series,
            self.shape,
            self.onset,
            self.value,
            self.baseline,
            self.reread,
        );
        anomaly.unit = self.unit;
        anomaly.last = self.last;
        anomaly.ongoing = self.ongoing;
        anomaly.severity = self.severity;
        anomaly
    }
}

/// One thing that goes wrong, and how it shows in a window.
pub trait UseCase: Debug + Clone + Copy + Send + Sync + 'static {
    /// Name of its detector.
    const ID: &'static str;

    /// Its thresholds, and the names of what it looks at.
    type Options: Options;

    /// What it finds in `window`, in any order. Pure in its arguments.
    fn look(options: &Self::Options, window: &TelemetryWindow) -> Vec<Symptom>;
}

/// A use case behind the [`Detector`] seam. Findings in the order of entity, series, onset; of several about one series with
/// one onset, the gravest.
#[derive(Debug, Clone)]
pub struct UseCaseDetector<U: UseCase> {
    config: Checked<U::Options>,
    hash: FittedHash,
}

impl<U: UseCase> UseCaseDetector<U> {
    /// Name of this detector in findings.
    pub const ID: &'static str = U::ID;

    /// Looks with this configuration.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: Checked<U::Options>) -> Result<Self> {
        let hash = crate::state::hash(&config)?;
        Ok(Self { config, hash })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Checked<U::Options> {
        &self.config
    }

    /// What is the matter, each finding with its evidence.
    #[must_use]
    pub fn explain(&self, window: &TelemetryWindow) -> Vec<Symptom> {
        let mut found = U::look(self.config.options(), window);
        // What began before the window is known to last since its beginning.
        for symptom in &mut found {
            symptom.onset = symptom.onset.max(window.range.start());
            symptom.last = symptom.last.max(symptom.onset);
        }
        found.retain(|s| window.range.contains(s.onset) && s.baseline.scale > 0.0 && s.value.is_finite());
        found.sort_by(|a, b| {
            (&a.entity, &a.series, a.onset, b.severity).cmp(&(&b.entity, &b.series, b.onset, a.severity))
        });
        found.dedup_by(|b, a| (&a.entity, &a.series, a.onset) == (&b.entity, &b.series, b.onset));
        found
    }

    /// The synchronous form of [`Detector::detect`].
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        self.explain(window).into_iter().map(|symptom| symptom.stamped(U::ID, &self.hash)).collect()
    }
}

#[async_trait]
impl<U: UseCase> Detector for UseCaseDetector<U> {
    fn id(&self) -> DetectorId {
        DetectorId(U::ID.to_owned())
    }

    fn fitted(&self) -> FittedHash {
        self.hash.clone()
    }

    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        ctx.check().map_err(|e| e.at("Detector::detect"))?;
        Ok(self.find(window))
    }
}
