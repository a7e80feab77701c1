use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// What a language model is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Prompt {
    /// Instructions, from us.
    pub instructions: String,
    /// Telemetry and other text from outside; data, never instructions (RCA-08).
    pub data: String,
    /// Most tokens of the answer.
    pub max_tokens: u32,
}

impl Prompt {
    /// A prompt.
    pub fn new(instructions: impl Into<String>, data: impl Into<String>, max_tokens: u32) -> Self {
        Self { instructions: instructions.into(), data: data.into(), max_tokens }
    }
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Completion {
    /// The text.
    pub text: String,
    /// Tokens read and written.
    pub tokens: u64,
}

impl Completion {
    /// A completion.
    pub fn new(text: impl Into<String>, tokens: u64) -> Self {
        Self { text: text.into(), tokens }
    }
}

/// Refines what was already answered without it. Nothing in this workspace needs one.
///
/// # Errors
/// [`Limit`](crate::ErrorKind::Limit) when the token budget of the context is used up; those of the other side.
#[async_trait]
pub trait LanguageModel: Debug + Send + Sync + 'static {
    /// Completes `prompt`.
    async fn complete(&self, prompt: &Prompt, ctx: &Context) -> Result<Completion>;
}

forward_seam!(repeatable LanguageModel {
    reads complete(prompt: &Prompt) -> Completion;
});
