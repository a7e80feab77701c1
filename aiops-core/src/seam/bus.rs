use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// Name of a stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Topic(pub String);

/// Position in a topic; the first event has offset 1, so 0 reads from the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

/// What one pillar tells the others (BUS-01).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// Events of one key stay in order.
    pub key: String,
    /// What.
    pub payload: serde_json::Value,
}

impl Event {
    /// An event.
    pub fn new(at: Timestamp, key: impl Into<String>, payload: serde_json::Value) -> Self {
        Self { at, key: key.into(), payload }
    }
}

/// An event and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivered {
    /// Where.
    pub offset: Offset,
    /// What.
    pub event: Event,
}

/// Carries events between pillars: at least once, in order per key, replayable from an offset.
///
/// # Errors
/// [`RateLimited`](crate::ErrorKind::RateLimited) as back-pressure instead of loss; those of the other side.
#[async_trait]
pub trait EventBus: Debug + Send + Sync + 'static {
    /// Appends `event` to `topic`.
    async fn publish(&self, topic: &Topic, event: &Event, ctx: &Context) -> Result<Offset>;

    /// Up to `most` events of `topic` after `after`; empty when there is none yet.
    async fn read(&self, topic: &Topic, after: Offset, most: usize, ctx: &Context) -> Result<Vec<Delivered>>;
}

forward_seam!(once EventBus {
    acts publish(topic: &Topic, event: &Event) -> Offset;
    reads read(topic: &Topic, after: Offset, most: usize) -> Vec<Delivered>;
});
