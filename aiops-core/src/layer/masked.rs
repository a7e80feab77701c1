use async_trait::async_trait;

use crate::context::Context;
use crate::error::Result;
use crate::model::{Change, FetchRequest, Labels, TelemetryWindow, TimeRange};
use crate::seam::{
    AuditEvent, AuditSink, ChangeFeed, Completion, Delivered, Event, EventBus, LanguageModel, Mask,
    Notification, Notifier, Offset, Prompt, SourceCapability, TelemetrySource, Topic,
};

/// A seam through which no unmasked text passes (ING-08).
///
/// From a source, log bodies, summaries of changes, names of span operations, alert annotations and all
/// attribute values are masked; to a notifier and a model, everything is; to an audit log, what happened and all values of its detail; on a bus, all values of an event's payload, both when it
/// is published and when it is read. Attributes and fields are shown to the mask with their names; a field within an object or list whose name tells the mask
/// that it is secret, with that name too; numbers, with the names of passwords only. Identities (entity names, label values of series,
/// identifying labels of alerts, keys of events) are not: masked, they could no longer be queried. Mask them at the collector when they hold
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

/// Masks the value of an attribute. Its name may be what tells that it is secret, so the mask sees it first as
/// `name="value"`, then by itself.
fn mask_named(mask: &impl Mask, name: &str, value: &mut String) {
    let setting = serde_json::to_string(value).map(|quoted| format!("{name}={quoted}")).unwrap_or_default();
    if let std::borrow::Cow::Owned(masked) = mask.mask(&setting) {
        let rest = masked.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        // Where name or quotes are gone, more than the value was taken for a secret.
        *value = rest.and_then(|rest| serde_json::from_str(rest).ok()).unwrap_or(masked);
    }
    mask_text(mask, value);
}

fn mask_labels(mask: &impl Mask, labels: &mut Labels) {
    labels.iter_mut().for_each(|(name, value)| mask_named(mask, name, value));
}

/// Ends of the names of secrets that may be numbers; with other names that a mask knows numbers are counts, as in
/// `"token": 512`.
const PASSWORDS: [&str; 6] = ["password", "passwd", "passwort", "passphrase", "passcode", "pwd"];

fn names_password(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PASSWORDS.iter().any(|ending| name.ends_with(ending))
}

/// Whether `name` alone makes `mask` take a value for a secret.
fn tells(mask: &impl Mask, name: &str) -> bool {
    // Nothing about this value is secret, and it is no placeholder.
    let masked = mask.mask(&format!("{name}=\"value\"")).into_owned();
    // Where the name itself is gone it was that which is secret, and it tells nothing of the values below.
    masked.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).is_some_and(|rest| rest != "\"value\"")
}

/// Masks every value within `value`, the field `name` of an object. `above` is the name of the nearest object or list around
/// it that says that all in it is secret.
fn mask_json(mask: &impl Mask, name: &str, above: Option<&str>, value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => {
            // First, as it takes the whole value; what another rule leaves of it could not be taken any more.
            if let Some(above) = above {
                mask_named(mask, above, text);
            }
            mask_named(mask, name, text);
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| mask_json(mask, name, above, item));
        }
        serde_json::Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let secret = (field.is_object() || field.is_array()) && tells(mask, name);
                mask_json(mask, name, if secret { Some(name) } else { above }, field);
            }
        }
        serde_json::Value::Number(number) => {
            let shown = number.to_string();
            let mut masked = shown.clone();
            for name in above.into_iter().chain([name]).filter(|name| names_password(name)) {
                mask_named(mask, name, &mut masked);
            }
            // A card number may come as a number.
            mask_text(mask, &mut masked);
            if masked != shown {
                *value = serde_json::Value::String(masked);
            }
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
    }
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
impl<M: Mask, S: AuditSink> AuditSink for Masked<M, S> {
    async fn append(&self, event: &AuditEvent, ctx: &Context) -> Result<()> {
        let mut masked = event.clone();
        mask_text(&self.mask, &mut masked.what);
        mask_json(&self.mask, "", None, &mut masked.detail);
        self.inner.append(&masked, ctx).await
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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<M: Mask, S: EventBus> EventBus for Masked<M, S> {
    async fn publish(&self, topic: &Topic, event: &Event, ctx: &Context) -> Result<Offset> {
        let mut masked = event.clone();
        mask_json(&self.mask, "", None, &mut masked.payload);
        self.inner.publish(topic, &masked, ctx).await
    }

    async fn read(&self, topic: &Topic, after: Offset, most: usize, ctx: &Context) -> Result<Vec<Delivered>> {
        let mut delivered = self.inner.read(topic, after, most, ctx).await?;
        // Others may have published without a mask.
        delivered.iter_mut().for_each(|item| mask_json(&self.mask, "", None, &mut item.event.payload));
        Ok(delivered)
    }
}
