use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use aiops_act::approval::check_name;
use aiops_core::action::Principal;
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Hash of a bearer token: its BLAKE3 hash in hexadecimal. The token cannot be told from it, if it was random.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash(blake3::Hash);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl TryFrom<String> for TokenHash {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let hash = blake3::Hash::from_hex(&text);
        hash.map(Self).map_err(|e| {
            Error::new(ErrorKind::Invalid, "the hash of a token is 64 hexadecimal digits").caused_by(e)
        })
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.0.to_hex().to_string()
    }
}

/// The hash of `token`, for a configuration.
#[must_use]
pub fn token_hash(token: &str) -> TokenHash {
    TokenHash(blake3::hash(token.as_bytes()))
}

/// Settings of an [`ApprovalServer`](crate::ApprovalServer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where to listen; default `127.0.0.1:8484`. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that others can reach; default no. The server speaks plain HTTP.
    pub allow_remote: bool,
    /// Who may answer, with the hash of their token; at least one, each token once.
    pub tokens: BTreeMap<Principal, TokenHash>,
    /// Longest body of a request in bytes, 256 or more; default 16 KiB.
    pub longest_body: usize,
    /// Most connections at once, 1..=10,000; default 64. More wait until one is closed.
    pub most_connections: usize,
    /// How long a client may take to send the head of a request, from the connection or from the answer before, 1 ms to 1 h; default 10 s. Then the connection
    /// is closed, so slow clients do not hold places.
    #[serde(with = "aiops_core::model::duration")]
    pub head_within: Duration,
    /// How long a request may take from its head to its answer, its body included, 1 ms to 1 h; default 30 s. Then it is answered with 408.
    #[serde(with = "aiops_core::model::duration")]
    pub answer_within: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8484)),
            allow_remote: false,
            tokens: BTreeMap::new(),
            longest_body: 16 << 10,
            most_connections: 64,
            head_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Invalid, what.to_owned()));
        if !self.allow_remote && !self.listen.ip().is_loopback() {
            return wrong("listen is not on the loopback, and allow_remote is not set");
        }
        if self.tokens.is_empty() {
            return wrong("tokens is empty: nobody could answer");
        }
        let mut people = BTreeSet::new();
        for who in self.tokens.keys() {
            check_name(who)
                .map_err(|e| Error::new(ErrorKind::Invalid, "tokens names nobody plainly").caused_by(e))?;
            if !people.insert(who.as_str().to_ascii_lowercase()) {
                return wrong("tokens has two names that differ by case only");
            }
        }
        let different = self.tokens.values().map(|hash| *hash.0.as_bytes()).collect::<BTreeSet<_>>();
        if different.len() < self.tokens.len() {
            return wrong("tokens has two people with one token");
        }
        if self.longest_body < 256 {
            return wrong("longest_body is less than 256");
        }
        if !(1..=10_000).contains(&self.most_connections) {
            return wrong("most_connections is not 1 to 10,000");
        }
        let waits = Duration::from_millis(1)..=Duration::from_secs(3600);
        if !waits.contains(&self.head_within) {
            return wrong("head_within is not 1 ms to 1 h");
        }
        if !waits.contains(&self.answer_within) {
            return wrong("answer_within is not 1 ms to 1 h");
        }
        Ok(())
    }

    /// Whose token this is. Every hash is compared, each in constant time.
    pub(crate) fn owner(&self, token: &str) -> Option<&Principal> {
        let given = token_hash(token);
        self.tokens.iter().fold(None, |found, (who, hash)| if given.0 == hash.0 { Some(who) } else { found })
    }
}
