use std::time::Duration;

use aiops_core::model::duration;
use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

/// Settings of the [`BriefingBuilder`](super::BriefingBuilder).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BriefingOptions {
    /// Items that get lines, most telling first; 1 to 10,000. Default 40.
    pub top_items: usize,
    /// Lines of one item; 1 to 1,000. Default 8.
    pub lines_per_item: usize,
    /// Longest distance of two neighbouring onsets at one entity that still belong to the same item; 0 to 1 day.
    /// Default 10 min: two samples of a metric read every five minutes, the slowest common pace.
    #[serde(with = "duration")]
    pub same_onset: Duration,
    /// What rank 1 of a modality weighs against the following ranks: an item of rank r in a modality earns
    /// 1 / (`rank_offset` + r) there (reciprocal rank fusion); 0 to 1,000. Default 2: to be first in one modality
    /// outweighs being tenth in two. Large values count modalities, small ones ranks.
    pub rank_offset: f64,
    /// What each further line of an item is worth against the one before it; more than 0, at most 1. Default 0.25.
    /// With a short budget, many items get one line each before the first gets its second.
    pub line_discount: f64,
    /// Characters of a finding's summary before it is cut; 16 to 10,000. Default 280.
    pub summary_chars: usize,
}

impl Default for BriefingOptions {
    fn default() -> Self {
        Self {
            top_items: 40,
            lines_per_item: 8,
            same_onset: Duration::from_secs(600),
            rank_offset: 2.0,
            line_discount: 0.25,
            summary_chars: 280,
        }
    }
}

/// Checked [`BriefingOptions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BriefingOptions", into = "BriefingOptions")]
pub struct BriefingConfig(BriefingOptions);

impl BriefingConfig {
    /// The settings.
    #[must_use]
    pub fn options(&self) -> &BriefingOptions {
        &self.0
    }
}

impl From<BriefingConfig> for BriefingOptions {
    fn from(config: BriefingConfig) -> Self {
        config.0
    }
}

impl TryFrom<BriefingOptions> for BriefingConfig {
    type Error = ConfigError;

    fn try_from(options: BriefingOptions) -> Result<Self, ConfigError> {
        for (field, value, most, allowed) in [
            ("top_items", options.top_items, 10_000, "1 to 10000"),
            ("lines_per_item", options.lines_per_item, 1000, "1 to 1000"),
        ] {
            if !(1..=most).contains(&value) {
                return Err(ConfigError::new(field, value, allowed));
            }
        }
        if options.same_onset > Duration::from_secs(86_400) {
            return Err(ConfigError::new("same_onset", format!("{:?}", options.same_onset), "at most 1 day"));
        }
        check("rank_offset", options.rank_offset, 0.0..=1000.0, "0 to 1000")?;
        check("line_discount", options.line_discount, f64::MIN_POSITIVE..=1.0, "more than 0, at most 1")?;
        if !(16..=10_000).contains(&options.summary_chars) {
            return Err(ConfigError::new("summary_chars", options.summary_chars, "16 to 10000 characters"));
        }
        Ok(Self(options))
    }
}
