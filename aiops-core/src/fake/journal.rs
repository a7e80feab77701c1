use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::action::{History, JournalEntry, Sequence};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::seam::Journal;

/// A journal in memory: correct, shared by its clones, and gone with the process.
#[derive(Debug, Clone, Default)]
pub struct InMemoryJournal(Arc<Mutex<Arc<History>>>);

impl InMemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Journal for InMemoryJournal {
    async fn append(
        &self,
        entry: &JournalEntry,
        expected: Option<Sequence>,
        ctx: &Context,
    ) -> Result<Sequence> {
        ctx.check()?;
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if expected.is_some_and(|e| e != history.head()) {
            return Err(
                Error::new(ErrorKind::Conflict, "the journal moved on").with("head", history.head().0)
            );
        }
        // Copies only while somebody still holds the former history.
        Arc::make_mut(&mut history).apply(entry)
    }

    async fn history(&self, ctx: &Context) -> Result<Arc<History>> {
        ctx.check()?;
        Ok(Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
