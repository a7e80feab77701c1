use serde::{Deserialize, Serialize};

use crate::error::{ConfigError, check};

/// Whether lines begin with a header (time, host, level, component) that says nothing about the template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header {
    /// Lines are messages.
    #[default]
    None,
    /// Lines are raw; what their headers look like is inferred from the lines themselves.
    Infer,
}

/// How lines are grouped into templates and how much memory that may take.
///
/// Plain fields with the defaults that are documented on each; [`MinerConfig`] holds a checked set.
///
/// Whether the words seen in one place of otherwise equal lines are values of a variable is decided by how many there
/// are: the longer what the lines share, the fewer differing words it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinerOptions {
    /// Header of the lines. Default: none.
    pub header: Header,
    /// Distinct words that make a variable where lines share one constant word, two, three, and so on; the last entry
    /// holds for all longer templates. 1 to 16 entries, each ≥ 2. Default 12, 10, 6, 5, 4.
    pub variable_words: Vec<u32>,
    /// Factor on `variable_words` where all the words but one look like names: components joined by dots, slashes
    /// or at signs; 0.1 to 1. Default 0.5.
    pub name_factor: f64,
    /// Factor on `variable_words` behind an equals sign; 0.1 to 1. Default 0.5.
    pub assigned_factor: f64,
    /// Factor on `variable_words` where two places differ at once; 1 to 10. Default 1.5.
    pub pair_factor: f64,
    /// Lines from which the header is inferred; 16 to 10⁶. Default 1000.
    pub header_lines: u64,
    /// Most line patterns kept; 64 to 10⁷. Beyond it patterns seen longest ago are forgotten. Default 65536.
    pub max_patterns: usize,
    /// Memory kept, by estimate, in bytes; 10⁶ to 10¹². Beyond it words of no pattern are forgotten, then the patterns seen
    /// longest ago. Default 256 MiB.
    pub max_bytes: usize,
    /// Most patterns kept of one template; 8 to 10⁵. Default 64.
    pub max_patterns_per_template: usize,
    /// Bytes of a line that are looked at; the rest is a variable. 64 to 10⁷. Default 16384.
    pub max_line_bytes: usize,
    /// Tokens of a line that are compared; the rest is a variable. 8 to 10⁵. Default 512.
    pub max_tokens: usize,
}

impl Default for MinerOptions {
    fn default() -> Self {
        Self {
            header: Header::None,
            variable_words: vec![12, 10, 6, 5, 4],
            name_factor: 0.5,
            assigned_factor: 0.5,
            pair_factor: 1.5,
            header_lines: 1000,
            max_patterns: 1 << 16,
            max_bytes: 1 << 28,
            max_patterns_per_template: 64,
            max_line_bytes: 1 << 14,
            max_tokens: 512,
        }
    }
}

/// Checked [`MinerOptions`].
///
/// ```
/// use aiops_compact::logs::{MinerConfig, MinerOptions};
/// let error = MinerConfig::try_from(MinerOptions { max_tokens: 1, ..Default::default() }).unwrap_err();
/// assert_eq!(error.field(), "max_tokens");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MinerOptions", into = "MinerOptions")]
pub struct MinerConfig(MinerOptions);

impl MinerConfig {
    /// The thresholds.
    #[must_use]
    pub fn options(&self) -> &MinerOptions {
        &self.0
    }
}

impl From<MinerConfig> for MinerOptions {
    fn from(config: MinerConfig) -> Self {
        config.0
    }
}

impl TryFrom<MinerOptions> for MinerConfig {
    type Error = ConfigError;

    fn try_from(options: MinerOptions) -> Result<Self, ConfigError> {
        let o = &options;
        let within = |field, value: usize, range: std::ops::RangeInclusive<usize>, allowed| {
            if range.contains(&value) { Ok(()) } else { Err(ConfigError::new(field, value, allowed)) }
        };
        within("variable_words", o.variable_words.len(), 1..=16, "1 to 16 entries")?;
        if let Some(few) = o.variable_words.iter().find(|n| **n < 2) {
            return Err(ConfigError::new("variable_words", few, "entries of at least 2"));
        }
        check("name_factor", o.name_factor, 0.1..=1.0, "0.1 to 1")?;
        check("assigned_factor", o.assigned_factor, 0.1..=1.0, "0.1 to 1")?;
        check("pair_factor", o.pair_factor, 1.0..=10.0, "1 to 10")?;
        if !(16..=1_000_000).contains(&o.header_lines) {
            return Err(ConfigError::new("header_lines", o.header_lines, "16 to 1000000 lines"));
        }
        within("max_bytes", o.max_bytes, 1_000_000..=1_000_000_000_000, "10^6 to 10^12 bytes")?;
        within("max_patterns", o.max_patterns, 64..=10_000_000, "64 to 10000000")?;
        within("max_patterns_per_template", o.max_patterns_per_template, 8..=100_000, "8 to 100000")?;
        within("max_line_bytes", o.max_line_bytes, 64..=10_000_000, "64 to 10000000 bytes")?;
        within("max_tokens", o.max_tokens, 8..=100_000, "8 to 100000")?;
        Ok(Self(options))
    }
}
