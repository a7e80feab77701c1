//! Incidents of alerts as findings, so that they open cases. // COR-05

use aiops_core::Result;
use aiops_core::jiff::Timestamp;
use aiops_core::model::{
    AlertState, Anomaly, Baseline, DetectorId, FetchRequest, FittedHash, Selector, SeriesKey, Severity,
    Shape, Signal, TelemetryWindow, Unit,
};

use super::config::CorrelatorConfig;
use super::correlator::Correlator;
use super::incident::{Incident, IncidentState};
use crate::taxonomy::Labeller;

/// Correlates the alerts of a window and tells each incident as one finding about what it suspects as its root: so the alerts of other
/// systems open cases of the pipeline, one for an incident and not one for an alert.
///
/// Pure in its configuration and the window: each window is correlated from its beginning, with its own topology and changes. What a
/// correlator learns over days (rates, resolution) it does not know; for that, run a [`Correlator`] beside the pipeline and put
/// [`Correlator::incidents`] through [`IncidentDetector::finding`].
#[derive(Debug, Clone)]
pub struct IncidentDetector {
    config: CorrelatorConfig,
    from: Severity,
    labeller: Option<Labeller>,
    hash: FittedHash,
}

impl IncidentDetector {
    /// Name of this detector in findings.
    pub const ID: &'static str = "alert-incident";

    /// Tells incidents of at least severity `from`, named by `labeller`.
    ///
    /// # Errors
    /// [`Internal`](aiops_core::ErrorKind::Internal) when the configuration cannot be hashed.
    pub fn new(config: CorrelatorConfig, from: Severity, labeller: Option<Labeller>) -> Result<Self> {
        let hash = crate::state::hash(&(&config, from, &labeller))?;
        Ok(Self { config, from, labeller, hash })
    }

    /// The incidents of a window, in order of number. O(alerts · (log alerts + neighbours)).
    #[must_use]
    pub fn incidents(&self, window: &TelemetryWindow) -> Vec<Incident> {
        let mut correlator = Correlator::new(self.config.clone());
        correlator.set_topology(window.topology.clone());
        correlator.set_labeller(self.labeller.clone());
        let mut changes: Vec<_> = window.changes.iter().collect();
        changes.sort_by(|a, b| (a.time, &a.id.0).cmp(&(b.time, &b.id.0)));
        changes.into_iter().for_each(|change| correlator.change(change.clone()));
        let end = window.range.end();
        let mut alerts: Vec<_> = window.alerts.iter().filter(|alert| alert.started_at < end).collect();
        alerts.sort_by(|a, b| {
            (a.started_at, &a.entity, &a.name, &a.labels).cmp(&(b.started_at, &b.entity, &b.name, &b.labels))
        });
        for alert in &alerts {
            let mut firing = (*alert).clone();
            firing.state = AlertState::Firing;
            correlator.push(&firing, alert.started_at);
        }
        // When an alert ended is not told; that it did is.
        for alert in alerts.iter().filter(|alert| alert.state == AlertState::Resolved) {
            correlator.push(alert, end);
        }
        correlator.incidents()
    }

    /// An incident as a finding about its primary service, whose value is the number of its alerts. `None` where it is less grave than asked
    /// for, or began after `window` ended.
    #[must_use]
    pub fn finding(&self, incident: &Incident, window: &TelemetryWindow) -> Option<Anomaly> {
        let alerts = incident.members.len() as u64 + incident.folded.total();
        let (start, end) = (window.range.start(), window.range.end());
        let began = |at: Timestamp| at.max(start);
        let onset = began(incident.onsets.start());
        if incident.severity < self.from || onset >= end {
            return None;
        }
        let mut series = SeriesKey::new("incident.alerts").with("incident", incident.id.to_string());
        if let Some(label) = &incident.label {
            series = series.with("category", &label.category).with("taxonomy", label.version.to_string());
        }
        let reread = FetchRequest::new(window.range)
            .with_signals(Signal::Alerts.into())
            .with_selector(Selector::all().with_entity(incident.primary_service.clone()));
        // Without an incident there is no alert; one σ is one alert.
        let baseline = Baseline { center: 0.0, scale: 1.0, samples: 1 };
        let mut finding = Anomaly::new(
            DetectorId(Self::ID.to_owned()),
            self.hash.clone(),
            incident.primary_service.clone(),
            series,
            Shape::LevelShiftUp,
            onset,
            alerts as f64,
            baseline,
            reread,
        );
        finding.unit = Unit::new("{alert}");
        finding.last = began(incident.onsets.end()).max(onset);
        finding.ongoing = incident.state == IncidentState::Firing;
        finding.severity = incident.severity;
        Some(finding)
    }

    /// The synchronous form of [`Detector::detect`](aiops_core::seam::Detector::detect).
    #[must_use]
    pub fn find(&self, window: &TelemetryWindow) -> Vec<Anomaly> {
        let mut found: Vec<Anomaly> =
            self.incidents(window).iter().filter_map(|incident| self.finding(incident, window)).collect();
        crate::events::sort(&mut found);
        found
    }
}

crate::seam::detector!(IncidentDetector);
