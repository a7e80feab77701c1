//! When the trouble of a system began, and how much of it began after an instant.

use std::time::Duration;

use aiops_core::model::time;
use jiff::Timestamp;

use crate::picture::{Group, Symptom};

/// Onsets and strengths of a system's harmful symptoms.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(Vec<(Timestamp, f64)>);

/// What an event may have caused: a cause comes before what it causes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explained {
    /// Share of the trouble, by strength, that began after the event; 0..=1.
    pub(super) share: f64,
    /// First onset of that.
    pub(super) onset: Timestamp,
}

impl Trouble {
    pub(super) fn of(group: &Group<'_>) -> Self {
        Self(group.harmful().map(|s: &Symptom<'_>| (s.onset(), s.strength)).collect())
    }

    /// First onset of all.
    pub(super) fn onset(&self) -> Option<Timestamp> {
        self.0.iter().map(|(onset, _)| *onset).min()
    }

    /// What began after `event`; onsets are known to within `resolution`. `None` when nothing did.
    pub(super) fn after(&self, event: Timestamp, resolution: Duration) -> Option<Explained> {
        let later = || self.0.iter().filter(|(onset, _)| event <= time::after(*onset, resolution));
        let (sum, all) = (later().map(|(_, s)| s).sum::<f64>(), self.0.iter().map(|(_, s)| s).sum::<f64>());
        let onset = later().map(|(onset, _)| *onset).min()?;
        (sum > 0.0).then_some(Explained { share: sum / all, onset })
    }
}
