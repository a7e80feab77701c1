use std::fmt::Debug;

use async_trait::async_trait;

use crate::case::Case;
use crate::context::Context;
use crate::error::Result;
use crate::model::Diagnosis;
use crate::seam::forward::forward_seam;

/// Tells the cause from everything the case holds, earlier attempts included.
///
/// Hypotheses are ordered, cite evidence of the case, and carry a confidence that is calibrated or marked
/// as not. Telling nothing is an answer: [`Inconclusive`](crate::model::DiagnosisStatus::Inconclusive), or
/// [`ObservabilityDark`](crate::model::DiagnosisStatus::ObservabilityDark).
///
/// # Errors
/// Only defects; missing data is not an error.
#[async_trait]
pub trait Rca: Debug + Send + Sync + 'static {
    /// Diagnoses `case`.
    async fn diagnose(&self, case: &Case, ctx: &Context) -> Result<Diagnosis>;
}

forward_seam!(repeatable Rca {
    reads diagnose(case: &Case) -> Diagnosis;
});
