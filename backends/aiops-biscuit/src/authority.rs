use std::collections::BTreeSet;
use std::fmt;

use aiops_act::policy::Targets;
use aiops_core::action::{ActionKind, Principal};
use aiops_core::{Error, ErrorKind, Result};
use biscuit_auth::builder::{Fact, Term};
use biscuit_auth::{Algorithm, Biscuit, KeyPair, PrivateKey, PublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::broken;
use crate::credential::{Credential, expiry, handed_on, text};

/// The root's public key, in files as 64 hexadecimal digits: all that is needed to check a credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootKey(pub(crate) PublicKey);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootKey({})", self.0.to_bytes_hex())
    }
}

impl TryFrom<String> for RootKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let key = PublicKey::from_bytes_hex(&text, Algorithm::Ed25519);
        key.map(Self).map_err(|e| Error::new(ErrorKind::Invalid, "not an Ed25519 public key").caused_by(e))
    }
}

impl From<RootKey> for String {
    fn from(key: RootKey) -> Self {
        key.0.to_bytes_hex()
    }
}

/// What the root grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Who grants.
    pub by: Principal,
    /// To whom.
    pub to: Principal,
    /// Kinds of action, at least one.
    pub actions: BTreeSet<ActionKind>,
    /// Names of targets by kind, at least one.
    pub targets: Targets,
    /// First instant at which it no longer holds.
    pub until: Timestamp,
}

/// The root of all credentials. It shows no secret in `Debug`, and belongs where the services are not.
pub struct Authority(KeyPair);

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.key()).finish()
    }
}

impl Authority {
    /// The authority with this Ed25519 secret, 32 bytes from a good source of randomness.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for bytes that are no secret.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self> {
        let secret = PrivateKey::from_bytes(secret, Algorithm::Ed25519);
        secret
            .map(|secret| Self(KeyPair::from(&secret)))
            .map_err(|e| Error::new(ErrorKind::Invalid, "not an Ed25519 secret").caused_by(e))
    }

    /// Its public half.
    #[must_use]
    pub fn key(&self) -> RootKey {
        RootKey(self.0.public())
    }

    /// A credential for what `grant` says, and nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a grant without names, kinds of action or targets.
    pub fn grant(&self, grant: &Grant) -> Result<Credential> {
        let named = [&grant.by, &grant.to].iter().all(|who| !who.as_str().trim().is_empty());
        if !named || grant.actions.is_empty() || grant.targets.values().all(Vec::is_empty) {
            return Err(Error::new(ErrorKind::Invalid, "a grant has names, kinds of action and targets"));
        }
        let build = || {
            let mut token = Biscuit::builder()
                .fact(handed_on(0, &grant.by, &grant.to, grant.until, None))?
                .check(expiry(grant.until)?)?;
            for action in &grant.actions {
                token = token.fact(Fact::new("may".to_owned(), vec![text(action.as_str())]))?;
            }
            for (kind, names) in &grant.targets {
                for name in names {
                    // As data, never as source: a name cannot become a rule.
                    let (fact, name) = match name.as_str().strip_suffix('*') {
                        Some(beginning) => ("on_beginning", beginning),
                        None => ("on_name", name.as_str()),
                    };
                    let terms: Vec<Term> = vec![text(kind.as_str()), text(name)];
                    token = token.fact(Fact::new(fact.to_owned(), terms))?;
                }
            }
            token.build(&self.0)
        };
        build().map(Credential).map_err(|e| broken("a grant cannot be signed", e))
    }
}
