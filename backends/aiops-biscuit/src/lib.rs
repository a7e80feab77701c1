#![doc = include_str!("../README.md")]

mod authority;
mod credential;
mod mitigator;
mod wallet;

pub use authority::{Authority, Grant, RootKey};
pub use credential::{Credential, Delegation, Use};
pub use mitigator::CredentialedMitigator;
pub use wallet::{CredentialedJournal, Wallet, WalletConfig};

use aiops_core::{Error, ErrorKind};

/// A token that cannot be made or read: its own words may quote it, so only their kind is told.
fn broken(what: &'static str, e: biscuit_auth::error::Token) -> Error {
    Error::new(ErrorKind::Malformed, what).caused_by(e)
}
