use std::fmt::Debug;

use async_trait::async_trait;

use crate::action::ReceiptRecord;
use crate::context::Context;
use crate::error::Result;
use crate::model::{Anomaly, RecoveryReport};
use crate::seam::forward::forward_seam;

/// Tells from telemetry whether it is over. It never asks the mitigator, an exit code or a model.
///
/// It re-reads what detected the incident, through [`Anomaly::reread`], and checks that the target lives and serves: deleted,
/// scaled to zero, silenced or restarting over and over is not recovered. Missing telemetry is
/// [`Inconclusive`](crate::model::Recovery::Inconclusive).
///
/// # Errors
/// Only when the context ends; a source that cannot be read makes the check inconclusive.
#[async_trait]
pub trait Verifier: Debug + Send + Sync + 'static {
    /// Watches after the action of `receipt` until the `detected` signals are back or time is up.
    async fn verify(
        &self,
        receipt: &ReceiptRecord,
        detected: &[Anomaly],
        ctx: &Context,
    ) -> Result<RecoveryReport>;
}

forward_seam!(repeatable Verifier {
    reads verify(receipt: &ReceiptRecord, detected: &[Anomaly]) -> RecoveryReport;
});
