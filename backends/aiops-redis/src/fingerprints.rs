use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aiops_core::{Context, Error, ErrorKind, Result};
use aiops_detect::correlate::{Claim, Fingerprint, SharedFingerprints};
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use crate::config::{ConfigError, RedisConfig};

/// Takes a key that is free, prolongs one that is the claimer's, and says whose it is.
const CLAIM: &str = "local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]";

/// [`SharedFingerprints`] in Redis: a key for each alert that somebody has, with a time to live. // COR-01
///
/// Connects when it is first asked, and anew after an error. Needs a tokio runtime with time and I/O.
pub struct RedisFingerprints {
    client: redis::Client,
    config: RedisConfig,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for RedisFingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFingerprints").field("config", &self.config).finish_non_exhaustive()
    }
}

impl RedisFingerprints {
    /// Asks the server of `config`; nothing is sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] for an address that is none, and for options outside their ranges.
    pub fn new(config: RedisConfig) -> std::result::Result<Self, ConfigError> {
        config.check()?;
        let client = redis::Client::open(config.url.as_str())
            // The address is not repeated: it may hold a password.
            .map_err(|_| ConfigError::new("url", "an address that cannot be read", "redis://host:port"))?;
        Ok(Self { client, config, connection: Mutex::new(None) })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        if let Some(connection) = self.kept().clone() {
            return Ok(connection);
        }
        let connection = self.client.get_multiplexed_async_connection().await?;
        *self.kept() = Some(connection.clone());
        Ok(connection)
    }

    async fn ask(&self, key: &str, owner: &str, lease: Duration) -> redis::RedisResult<String> {
        let mut connection = self.connection().await?;
        let milliseconds = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64);
        let mut claim = redis::cmd("EVAL");
        claim.arg(CLAIM).arg(1).arg(key).arg(owner).arg(milliseconds);
        claim.query_async(&mut connection).await
    }
}

#[async_trait]
impl SharedFingerprints for RedisFingerprints {
    async fn claim(
        &self,
        fingerprint: Fingerprint,
        owner: &str,
        lease: Duration,
        ctx: &Context,
    ) -> Result<Claim> {
        let key = format!("{}{fingerprint}", self.config.prefix);
        let asked = async {
            match tokio::time::timeout(self.config.patience, self.ask(&key, owner, lease)).await {
                Ok(Ok(who)) => Ok(who),
                Ok(Err(e)) if e.is_io_error() || e.is_timeout() || e.is_connection_dropped() => {
                    Err(Error::new(ErrorKind::Unavailable, "Redis does not answer").caused_by(e))
                }
                Ok(Err(e)) => Err(Error::new(ErrorKind::Invalid, "Redis refuses a claim").caused_by(e)),
                Err(_) => Err(Error::new(ErrorKind::Timeout, "Redis is too slow")),
            }
        };
        let answer = ctx.bound(asked).await.map_err(|e| e.at("SharedFingerprints::claim"));
        let who = answer.inspect_err(|_| *self.kept() = None)?;
        Ok(if who == owner { Claim::Own } else { Claim::Other(who) })
    }
}
