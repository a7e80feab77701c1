use std::fmt::Debug;

use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Anomaly, DetectorId, FittedHash, TelemetryWindow};
use crate::seam::forward::forward_seam;

/// Learns a detector's state from telemetry. Apart from [`Detector`], so that detecting never changes what is normal.
pub trait Fit {
    /// The learned state: a value that can be stored, compared by [`FittedHash`] and detected with.
    type Fitted;

    /// Learns from `history`.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) when there is too little to learn from.
    fn fit(&self, history: &TelemetryWindow) -> Result<Self::Fitted>;
}

/// Finds what left its norm. A pure function of its fitted state and the window: same input, same findings, in the order of
/// entity, series and onset.
///
/// # Errors
/// [`Invalid`](crate::ErrorKind::Invalid) for windows it cannot judge at all. Too little data in one series is no
/// error: that series yields no finding.
#[async_trait]
pub trait Detector: Debug + Send + Sync + 'static {
    /// Its name, as it stands in findings.
    fn id(&self) -> DetectorId;

    /// Hash of its fitted state and configuration.
    fn fitted(&self) -> FittedHash;

    /// Judges `window`.
    async fn detect(&self, window: &TelemetryWindow, ctx: &Context) -> Result<Vec<Anomaly>>;
}

forward_seam!(repeatable Detector {
    @get id -> DetectorId;
    @get fitted -> FittedHash;
    reads detect(window: &TelemetryWindow) -> Vec<Anomaly>;
});
