use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::seam::{Delivered, Event, EventBus, Offset, Topic};

/// A bus in memory, shared by its clones. A full topic pushes back instead of dropping.
#[derive(Debug, Clone)]
pub struct InMemoryBus {
    topics: Arc<Mutex<BTreeMap<Topic, Vec<Event>>>>,
    capacity: usize,
}

impl InMemoryBus {
    /// A bus that holds `capacity` events a topic.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { topics: Arc::default(), capacity }
    }
}

#[async_trait]
impl EventBus for InMemoryBus {
    async fn publish(&self, topic: &Topic, event: &Event, ctx: &Context) -> Result<Offset> {
        ctx.check()?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let events = topics.entry(topic.clone()).or_default();
        if events.len() >= self.capacity {
            return Err(Error::new(ErrorKind::RateLimited, "the topic is full").with("topic", &topic.0));
        }
        events.push(event.clone());
        Ok(Offset(events.len() as u64))
    }

    async fn read(&self, topic: &Topic, after: Offset, most: usize, ctx: &Context) -> Result<Vec<Delivered>> {
        ctx.check()?;
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let events = topics.get(topic).map(Vec::as_slice).unwrap_or_default();
        let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
        let rest = (1_u64..).zip(events).skip(skip).take(most);
        Ok(rest.map(|(n, event)| Delivered { offset: Offset(n), event: event.clone() }).collect())
    }
}
