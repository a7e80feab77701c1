//! A mitigator that takes its time and does not always tell the truth.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aiops_core::action::{Action, ActionStatus, IdempotencyKey, Preview};
use aiops_core::fake::InMemoryMitigator;
use aiops_core::guard::{Intended, Receipt};
use aiops_core::seam::{Mitigator, MitigatorCapability};
use aiops_core::{Context, Result};
use async_trait::async_trait;

use super::Lie;

/// The fake mitigator, with actions that are still under way and an untruth for the next question.
#[derive(Debug, Clone)]
pub(super) struct Treacherous {
    pub(super) inner: InMemoryMitigator,
    flying: Arc<Mutex<BTreeSet<IdempotencyKey>>>,
    lie: Arc<Mutex<Option<Lie>>>,
}

impl Treacherous {
    pub(super) fn new(inner: InMemoryMitigator) -> Self {
        Self { inner, flying: Arc::default(), lie: Arc::default() }
    }

    /// The action goes on, and nobody waits for it.
    pub(super) fn take_off(&self, key: IdempotencyKey) {
        self.flying.lock().unwrap().insert(key);
    }

    /// It has come to its end.
    pub(super) fn land(&self, key: &IdempotencyKey) {
        self.flying.lock().unwrap().remove(key);
    }

    pub(super) fn lie_once(&self, lie: Option<Lie>) {
        *self.lie.lock().unwrap() = lie;
    }
}

#[async_trait]
impl Mitigator for Treacherous {
    fn capability(&self) -> MitigatorCapability {
        self.inner.capability()
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        self.inner.preview(action, ctx).await
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        self.inner.execute(action, ctx).await
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        if let Some(lie) = self.lie.lock().unwrap().take() {
            return Ok(match lie {
                Lie::Completed => ActionStatus::Completed,
                Lie::Failed => ActionStatus::Failed { reason: "it says".to_owned() },
                Lie::NotStarted => ActionStatus::NotStarted,
                Lie::Unknown => ActionStatus::Unknown,
            });
        }
        if self.flying.lock().unwrap().contains(key) {
            return Ok(ActionStatus::Running);
        }
        self.inner.status(key, ctx).await
    }
}
