use serde::{Deserialize, Serialize};

use super::custom::Pattern;
use crate::error::{ConfigError, check};

/// What is masked. Each field names the label of its tokens in backticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskOptions {
    /// E-mail addresses (`email`). Default on.
    pub email: bool,
    /// IPv4 and IPv6 addresses except loopback, unspecified and masks (`ip`). Default on.
    pub ip: bool,
    /// Payment cards with a valid check digit (`card`). Default on.
    pub card: bool,
    /// IBANs with a valid checksum (`iban`). Default on.
    pub iban: bool,
    /// JSON web tokens (`jwt`). Default on.
    pub jwt: bool,
    /// Credentials after `Bearer`, `Basic` and other authentication schemes (`auth`). Default on.
    pub auth: bool,
    /// Passwords in URLs (`password`). Default on.
    pub url: bool,
    /// Values of settings, headers and command-line options whose name says that they are secret (`secret`). Default on.
    pub setting: bool,
    /// Keys with the prefix of a known issuer: AWS, GitHub, Slack, Stripe, … (`key`). Default on.
    pub key: bool,
    /// Private keys in PEM (`private-key`). Default on.
    pub private_key: bool,
    /// Strings that look random (`random`); see `random_*`. Default on.
    pub random: bool,
    /// Telephone numbers with `+` and country code (`phone`). Default off: many counters look alike.
    pub phone: bool,
    /// UUIDs (`uuid`). Default off: they mostly name requests and objects, which diagnosis needs.
    pub uuid: bool,
    /// Fewest characters of a random string; 16 to 1,000. Default 24.
    pub random_min_length: usize,
    /// Least entropy of a random string in bits per character; 3 to 6. Default 4: no hexadecimal string has more.
    pub random_bits: f64,
    /// Least share of neighbouring characters of different kind (capital, small letter, digit) in a random string; 0 to 1.
    /// Chance gives 0.6, words in camel case 0.1 to 0.3. Default 0.35.
    pub random_changes: f64,
    /// The user's own patterns; at most 1,000 literals and 64 others.
    pub patterns: Vec<Pattern>,
}

impl Default for MaskOptions {
    fn default() -> Self {
        Self {
            email: true,
            ip: true,
            card: true,
            iban: true,
            jwt: true,
            auth: true,
            url: true,
            setting: true,
            key: true,
            private_key: true,
            random: true,
            phone: false,
            uuid: false,
            random_min_length: 24,
            random_bits: 4.0,
            random_changes: 0.35,
            patterns: Vec::new(),
        }
    }
}

/// Checked [`MaskOptions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MaskOptions", into = "MaskOptions")]
pub struct MaskConfig(MaskOptions);

impl MaskConfig {
    /// The settings.
    #[must_use]
    pub fn options(&self) -> &MaskOptions {
        &self.0
    }
}

impl From<MaskConfig> for MaskOptions {
    fn from(config: MaskConfig) -> Self {
        config.0
    }
}

impl TryFrom<MaskOptions> for MaskConfig {
    type Error = ConfigError;

    fn try_from(options: MaskOptions) -> Result<Self, ConfigError> {
        if !(16..=1000).contains(&options.random_min_length) {
            return Err(ConfigError::new(
                "random_min_length",
                options.random_min_length,
                "16 to 1000 characters",
            ));
        }
        check("random_bits", options.random_bits, 3.0..=6.0, "3 to 6 bits per character")?;
        check("random_changes", options.random_changes, 0.0..=1.0, "0 to 1")?;
        super::custom::validate(&options.patterns)?;
        Ok(Self(options))
    }
}
