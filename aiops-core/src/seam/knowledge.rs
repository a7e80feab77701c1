use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Result;
use crate::seam::forward::forward_seam;

/// A piece of a runbook, post-mortem or note.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Passage {
    /// Where it stands.
    pub source: String,
    /// When that was last changed, so that a reader sees its age.
    pub updated: Timestamp,
    /// How well it fits; larger is better, comparable within one answer.
    #[serde(with = "crate::model::float")]
    pub score: f64,
    /// The text.
    pub text: String,
}

impl Passage {
    /// A passage.
    pub fn new(source: impl Into<String>, updated: Timestamp, score: f64, text: impl Into<String>) -> Self {
        Self { source: source.into(), updated, score, text: text.into() }
    }
}

/// Finds what is known about something (KNO-01).
///
/// # Errors
/// Those of the store.
#[async_trait]
pub trait KnowledgeBase: Debug + Send + Sync + 'static {
    /// The best `top` passages for `query`, best first.
    async fn search(&self, query: &str, top: usize, ctx: &Context) -> Result<Vec<Passage>>;
}

forward_seam!(repeatable KnowledgeBase {
    reads search(query: &str, top: usize) -> Vec<Passage>;
});
