//! Observe and detect, and decide whether what is seen is an incident.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use tracing::Instrument as _;

use super::{Pipeline, Sighting};
use crate::action::IncidentId;
use crate::case::Case;
use crate::context::Context;
use crate::error::Result;
use crate::model::{
    Anomaly, EntityId, FetchRequest, FittedHash, SeriesKey, TelemetryWindow, TimeRange, time,
};
use crate::seam::{Notification, NotificationKind};

/// What a look came to.
#[derive(Debug)]
pub enum Look {
    /// No symptom.
    Quiet,
    /// Symptoms that too few looks have shown so far.
    Unconfirmed {
        /// Looks in a row that showed one of them.
        looks: u32,
    },
    /// Symptoms of an incident that a person has taken over. Others that joined them were told.
    HandedOver,
    /// An incident.
    Incident(Case),
}

/// Whose signal, and which.
pub(super) type Symptom = (EntityId, SeriesKey);

impl Pipeline {
    /// Reads a window and judges it. Opens a case, without handling it, when symptoms are confirmed.
    pub(super) async fn look(&self, ctx: &Context) -> Result<Look> {
        let window = self.observe(ctx).await?;
        let anomalies = self.detect(&window, ctx).await?;
        let symptoms: Vec<&Anomaly> = anomalies.iter().filter(|a| self.config.trigger.matches(a)).collect();
        let keys: BTreeSet<Symptom> = symptoms.iter().map(|a| (a.entity.clone(), a.series.clone())).collect();
        let id = incident_id(&symptoms);
        let sighting = self.confirmation.lock().unwrap_or_else(PoisonError::into_inner).look(ctx.now(), keys);
        match sighting {
            Sighting::Quiet => return Ok(Look::Quiet),
            Sighting::Held { joined } => {
                if !joined.is_empty() {
                    self.tell_who_looks_after_it(&joined, ctx).await;
                }
                return Ok(Look::HandedOver);
            }
            Sighting::Unconfirmed { looks } => return Ok(Look::Unconfirmed { looks }),
            Sighting::Confirmed => {}
        }
        let mut case = Case::open(id, ctx.now(), self.guards.mode());
        self.append(&mut case, |case| case.observe(ctx.now(), window));
        self.append(&mut case, |case| case.detect(ctx.now(), anomalies));
        Ok(Look::Incident(case))
    }

    /// What joins a handed-over incident opens no case of its own, so the person hears of it.
    async fn tell_who_looks_after_it(&self, joined: &BTreeSet<Symptom>, ctx: &Context) {
        let mut body = String::new();
        for (entity, series) in joined {
            body += &format!("- {series} of {entity}\n");
        }
        let title = format!("{} more signals left their norm beside a handed-over incident", joined.len());
        let Some(id) = self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return;
        };
        self.tell(&Notification::new(id, NotificationKind::Joined, title, body), ctx).await;
    }

    /// A person takes the incident of `case` over: its symptoms open no other case for a while.
    pub(super) fn hand_over(&self, case: &Case, ctx: &Context) {
        let symptoms = case.detected().into_iter().filter(|a| self.config.trigger.matches(a));
        let symptoms = symptoms.map(|a| (a.entity, a.series)).collect();
        let until = time::after(ctx.now(), self.config.hold_off);
        *self.handed_over.lock().unwrap_or_else(PoisonError::into_inner) = Some(case.id().clone());
        self.confirmation.lock().unwrap_or_else(PoisonError::into_inner).hold(symptoms, until);
    }

    /// Reads the window that ends now.
    pub(super) async fn observe(&self, ctx: &Context) -> Result<TelemetryWindow> {
        let end = time::before(ctx.now(), self.config.lag);
        let request =
            FetchRequest::new(TimeRange::ending_at(end, self.config.window)).with_step(self.config.step);
        let limited = ctx.with_timeout(self.config.stage_timeout);
        let read = limited.bound(self.source.fetch(&request, &limited));
        read.instrument(tracing::info_span!("stage", name = "observe")).await.map_err(|e| e.at("observe"))
    }

    /// Runs every detector; findings in the order of entity, series, onset and detector.
    pub(super) async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>> {
        let limited = ctx.with_timeout(self.config.stage_timeout);
        let all = async {
            let mut found = Vec::new();
            for detector in &self.detectors {
                found.extend(
                    limited.bound(detector.detect(window, &limited)).await.map_err(|e| e.at("detect"))?,
                );
            }
            Ok::<_, crate::Error>(found)
        };
        let mut found = all.instrument(tracing::info_span!("stage", name = "detect")).await?;
        found.sort_by(|a, b| {
            (&a.entity, &a.series, a.onset, &a.detector).cmp(&(&b.entity, &b.series, b.onset, &b.detector))
        });
        Ok(found)
    }
}

/// Replicas that see the same first symptom begin in the same minute derive the same id.
fn incident_id(symptoms: &[&Anomaly]) -> IncidentId {
    let first = symptoms.iter().min_by_key(|a| (a.onset, &a.entity, &a.series));
    let text = first.map_or_else(String::new, |a| {
        format!("{} {} {}", a.entity, a.series, a.onset.as_second().div_euclid(60))
    });
    IncidentId::new(format!("inc-{}", FittedHash::of(text.as_bytes()).0))
}
