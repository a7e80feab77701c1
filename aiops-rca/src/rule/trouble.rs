//! When the trouble of a system began, and how much of it began after an instant.

use std::collections::BTreeMap;
use std::time::Duration;

use aiops_core::model::{EntityId, Observation, SeriesKey, time};
use jiff::Timestamp;

use crate::picture::{Group, Symptom};
use crate::roles::{MetricRole, Words};

/// Onsets and strengths of a system's harmful symptoms, over all rounds of a case: a later round may see a symptom begin later
/// than it did, or only then see what the case was opened too early for.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(BTreeMap<(EntityId, SeriesKey), (Timestamp, f64)>);

/// What an event may have caused: a cause comes before what it causes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explained {
    /// Share of the trouble, by strength, that began after the event; 0..=1.
    pub(super) share: f64,
    /// First onset of that.
    pub(super) onset: Timestamp,
}

impl Trouble {
    /// Takes in what one round saw. What began clearly after `acted`, the first action of the case, may be of our
    /// own making and speaks for no change.
    pub(super) fn see(&mut self, group: &Group<'_>, acted: Option<Timestamp>, resolution: Duration) {
        for symptom in group.harmful() {
            let anomaly = symptom.anomaly();
            if acted.is_some_and(|acted| anomaly.onset > time::after(acted, resolution)) {
                continue;
            }
            let key = (anomaly.entity.clone(), anomaly.series.clone());
            let began = waiting_since(symptom).unwrap_or(anomaly.onset).min(anomaly.onset);
            let (onset, strength) = self.0.entry(key).or_insert((began, symptom.strength));
            *onset = began.min(*onset);
            *strength = symptom.strength.max(*strength);
        }
    }

    /// Takes in what a localiser observed of an entity, where nothing else tells when its trouble began.
    pub(super) fn see_observed(&mut self, entity: &EntityId, seen: &Observation, half: f64) {
        let Some(since) = seen.since.filter(|_| seen.strength.is_finite() && seen.strength > 0.0) else {
            return;
        };
        let key = (entity.clone(), SeriesKey::new(seen.aspect.clone()));
        let (onset, strength) = self.0.entry(key).or_insert((since, 0.0));
        *onset = since.min(*onset);
        *strength = (seen.strength / (seen.strength + half)).max(*strength);
    }

    /// Whether anything was seen.
    pub(super) fn is_told(&self) -> bool {
        !self.0.is_empty()
    }

    /// First onset of all.
    pub(super) fn onset(&self) -> Option<Timestamp> {
        self.0.values().map(|(onset, _)| *onset).min()
    }

    /// What began after `event`; onsets are known to within `resolution`. `None` when nothing did.
    pub(super) fn after(&self, event: Timestamp, resolution: Duration) -> Option<Explained> {
        let later = || self.0.values().filter(|(onset, _)| event <= time::after(*onset, resolution));
        let (sum, all) = (later().map(|(_, s)| s).sum::<f64>(), self.0.values().map(|(_, s)| s).sum::<f64>());
        let onset = later().map(|(onset, _)| *onset).min()?;
        (sum > 0.0).then_some(Explained { share: sum / all, onset })
    }
}

/// Since when whoever waits longest has waited, where the symptom is an age in seconds: how long somebody waits is felt only after a
/// while, and the age itself dates its beginning.
fn waiting_since(symptom: &Symptom<'_>) -> Option<Timestamp> {
    let anomaly = symptom.anomaly();
    let waits = symptom.class.role == MetricRole::Saturation && anomaly.unit.0 == "s";
    if !waits || !Words::of(&anomaly.series.name).contain(&Words::of("age")) {
        return None;
    }
    let age = Duration::try_from_secs_f64(anomaly.value).ok()?;
    // The greatest age is the last where it only grows.
    anomaly.ongoing.then(|| time::before(anomaly.last, age))
}
