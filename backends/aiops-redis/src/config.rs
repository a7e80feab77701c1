use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use aiops_detect::ConfigError;

/// Which server, and how it is asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port[/database]`, or `unix:///path`.
    pub url: String,
    /// What the keys begin with; instances that share have the same. Default `aiops:alert:`.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Time for connecting and for an answer together, 1 ms to 1 min. Default 200 ms.
    #[serde(default = "patience", with = "aiops_core::model::duration")]
    pub patience: Duration,
}

fn prefix() -> String {
    "aiops:alert:".to_owned()
}

fn patience() -> Duration {
    Duration::from_millis(200)
}

impl RedisConfig {
    /// The server at `url`, asked as by default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), prefix: prefix(), patience: patience() }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.prefix.is_empty() {
            return Err(ConfigError::new("prefix", "\"\"", "a prefix that no other use of the server has"));
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&self.patience) {
            return Err(ConfigError::new("patience", format!("{:?}", self.patience), "1 ms to 1 min"));
        }
        Ok(())
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
