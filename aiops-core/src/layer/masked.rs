use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Change, FetchRequest, Labels, TelemetryWindow, TimeRange};
use crate::seam::{
    ChangeFeed, Completion, LanguageModel, Mask, Notification, Notifier, Prompt, SourceCapability,
    TelemetrySource,
};

/// A seam through which no unmasked text passes (ING-08).
///
/// From a source, log bodies, summaries of changes, names of span operations, alert annotations and all
/// attribute values are masked; to a notifier and a model, everything is. Identities (entity names, label values of series,
/// identifying labels of alerts) are not: masked, they could no longer be queried. Mask them at the collector when they hold
/// personal data.
#[derive(Debug)]
pub struct Masked<M, S> {
    mask: M,
    inner: S,
}

impl<M, S> Masked<M, S> {
    pub(super) fn new(mask: M, inner: S) -> Self {
        Self { mask, inner }
    }
}

fn mask_text(mask: &impl Mask, text: &mut String) {
    if let std::borrow::Cow::Owned(masked) = mask.mask(text) {
        *text = masked;
    }
}

fn mask_labels(mask: &impl Mask, labels: &mut Labels) {
    labels.values_mut().for_each(|v| mask_text(mask, v));
}

fn mask_change(mask: &impl Mask, change: &mut Change) {
    mask_text(mask, &mut change.summary);
    change.author.iter_mut().for_each(|a| mask_text(mask, a));
    mask_labels(mask, &mut change.attributes);
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<M: Mask, S: TelemetrySource> TelemetrySource for Masked<M, S> {
    fn capability(&self) -> SourceCapability {
        self.inner.capability()
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        let mut window = self.inner.fetch(request, ctx).await?;
        for log in &mut window.logs {
            mask_text(&self.mask, &mut log.body);
            mask_labels(&self.mask, &mut log.attributes);
        }
        for span in &mut window.spans {
            mask_text(&self.mask, &mut span.operation);
            mask_labels(&self.mask, &mut span.attributes);
        }
        window.changes.iter_mut().for_each(|c| mask_change(&self.mask, c));
        window.alerts.iter_mut().for_each(|a| mask_labels(&self.mask, &mut a.annotations));
        for health in &mut window.health {
            health.note.iter_mut().for_each(|n| mask_text(&self.mask, n));
        }
        Ok(window)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<M: Mask, S: ChangeFeed> ChangeFeed for Masked<M, S> {
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>> {
        let mut changes = self.inner.changes(range, ctx).await?;
        changes.iter_mut().for_each(|c| mask_change(&self.mask, c));
        Ok(changes)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<M: Mask, S: Notifier> Notifier for Masked<M, S> {
    async fn notify(&self, notification: &Notification, ctx: &Context) -> Result<()> {
        let mut masked = notification.clone();
        mask_text(&self.mask, &mut masked.title);
        mask_text(&self.mask, &mut masked.body);
        self.inner.notify(&masked, ctx).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<M: Mask, S: LanguageModel> LanguageModel for Masked<M, S> {
    async fn complete(&self, prompt: &Prompt, ctx: &Context) -> Result<Completion> {
        let mut masked = prompt.clone();
        mask_text(&self.mask, &mut masked.instructions);
        mask_text(&self.mask, &mut masked.data);
        self.inner.complete(&masked, ctx).await
    }
}
