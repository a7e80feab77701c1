use std::fmt::Debug;

use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Change, TimeRange};
use crate::seam::forward::forward_seam;

/// Tells what was changed (ING-04).
///
/// # Errors
/// Those of the other side.
#[async_trait]
pub trait ChangeFeed: Debug + Send + Sync + 'static {
    /// Changes in `range`, in order of time.
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>>;
}

forward_seam!(repeatable ChangeFeed {
    reads changes(range: TimeRange) -> Vec<Change>;
});
