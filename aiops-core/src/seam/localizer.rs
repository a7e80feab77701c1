use std::fmt::Debug;

use async_trait::async_trait;

use crate::case::CitedAnomaly;
use crate::context::Context;
use crate::error::Result;
use crate::model::{Ranking, TelemetryWindow};
use crate::seam::forward::forward_seam;

/// Ranks who may be the origin.
///
/// Suspects cite the anomalies they rest on, and carry what else was seen of them as observations, which the case makes
/// evidence. Without anomalies the ranking is empty. A missing modality degrades
/// the answer and is named in [`Ranking::unseen`].
///
/// # Errors
/// Only defects; missing data is not an error.
#[async_trait]
pub trait Localizer: Debug + Send + Sync + 'static {
    /// Ranks suspects for what was found in `window`.
    async fn localize(
        &self,
        window: &TelemetryWindow,
        anomalies: &[CitedAnomaly],
        ctx: &Context,
    ) -> Result<Ranking>;
}

forward_seam!(repeatable Localizer {
    reads localize(window: &TelemetryWindow, anomalies: &[CitedAnomaly]) -> Ranking;
});
