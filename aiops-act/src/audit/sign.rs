use std::fmt;

use aiops_core::{Error, ErrorKind, Result};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// An Ed25519 public key (RFC 8032), in files as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuditKey(VerifyingKey);

impl AuditKey {
    /// The key of these 32 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for bytes that are no key, and for a weak one, under which anybody can sign.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self> {
        let key = VerifyingKey::from_bytes(bytes)
            .map_err(|e| Error::new(ErrorKind::Invalid, "not an Ed25519 public key").caused_by(e))?;
        if key.is_weak() {
            return Err(Error::new(ErrorKind::Invalid, "a weak Ed25519 public key"));
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }
}

impl fmt::Display for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0.to_bytes()))
    }
}

impl TryFrom<String> for AuditKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let bytes =
            unhex(&text).ok_or_else(|| Error::new(ErrorKind::Invalid, "a key is 64 hexadecimal digits"))?;
        Self::from_bytes(&bytes)
    }
}

impl From<AuditKey> for String {
    fn from(key: AuditKey) -> Self {
        key.to_string()
    }
}

/// Signs checkpoints: a key in memory ([`Ed25519Signer`]), or one that never leaves a key service.
///
/// It is called on the log's own thread and may block; whoever appends waits meanwhile.
pub trait CheckpointSigner: fmt::Debug + Send + Sync + 'static {
    /// The public half.
    fn key(&self) -> AuditKey;

    /// The Ed25519 signature of `message`, not hashed before.
    ///
    /// # Errors
    /// When it cannot be had now. The log goes on and asks again a few events later. Appends wait meanwhile: give up within a second or two.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64]>;
}

/// A signing key in memory. It is wiped when dropped and does not show in `Debug`.
pub struct Ed25519Signer(SigningKey);

impl Ed25519Signer {
    /// The signer of this secret, 32 bytes from a good source of randomness.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ed25519Signer").field(&self.key()).finish()
    }
}

impl CheckpointSigner for Ed25519Signer {
    fn key(&self) -> AuditKey {
        AuditKey(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.0.sign(message).to_bytes())
    }
}

/// A signature under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Signature {
    /// Key it is said to be of.
    pub key: AuditKey,
    /// 128 hexadecimal digits.
    pub ed25519: String,
}

impl Signature {
    pub(super) fn by(signer: &dyn CheckpointSigner, message: &[u8]) -> Result<Self> {
        let signature = Self { key: signer.key(), ed25519: hex(&signer.sign(message)?) };
        // A key service that signs with another key than it names would spoil the log for good.
        if !signature.is_of(message) {
            return Err(Error::new(ErrorKind::Malformed, "the signer's signature is not of its own key"));
        }
        Ok(signature)
    }

    /// Whether its key signed `message`. Malleable and mixed-order signatures are refused.
    #[must_use]
    pub fn is_of(&self, message: &[u8]) -> bool {
        let Some(bytes) = unhex::<64>(&self.ed25519) else { return false };
        self.key.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower case only, so that one value has one text.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes?.try_into().ok()
}
