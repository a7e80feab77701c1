use aiops_core::model::FittedHash;
use aiops_core::{Error, ErrorKind, Result};
use serde::Serialize;

/// Hash of a fitted state in its serialised form.
///
/// # Errors
/// [`ErrorKind::Internal`] when it cannot be serialised.
pub(crate) fn hash(fitted: &impl Serialize) -> Result<FittedHash> {
    let bytes = serde_json::to_vec(fitted)
        .map_err(|e| Error::new(ErrorKind::Internal, "cannot serialise a fitted state").caused_by(e))?;
    Ok(FittedHash::of(&bytes))
}
