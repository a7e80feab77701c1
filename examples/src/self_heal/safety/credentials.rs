//! Keys and credentials in the state folder.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aiops_biscuit::{Authority, Credential, Grant, RootKey, Wallet, WalletConfig};
use aiops_core::Context;
use aiops_core::action::Principal;
use aiops_core::model::time::after;

use super::StateFolder;
use super::config::SafetyConfig;
use crate::self_heal::RunError;

/// Plays the platform team, who has the root key and is not on this machine in earnest: grants the service what the configuration says, and
/// forgets the secret. Returns the public key, with which anybody checks a credential.
pub(in crate::self_heal) fn issue(
    config: &SafetyConfig,
    folder: &StateFolder,
    ctx: &Context,
) -> Result<RootKey, RunError> {
    let root = Authority::from_secret(&random()?)?;
    let grant = Grant {
        by: config.grant.by.clone(),
        to: config.grant.to.clone(),
        actions: config.grant.actions.clone(),
        targets: config.grant.targets.clone(),
        until: after(ctx.now(), config.grant.valid_for),
    };
    private(&folder.file("credential"), root.grant(&grant)?.to_base64()?.as_bytes())?;
    std::fs::write(folder.file("root.key"), String::from(root.key()))?;
    Ok(root.key())
}

/// What the service holds.
pub(super) fn wallet(folder: &StateFolder, executor: &Principal) -> Result<Wallet, RunError> {
    let root = RootKey::try_from(std::fs::read_to_string(folder.file("root.key"))?)?;
    let credential = Credential::from_base64(&std::fs::read_to_string(folder.file("credential"))?, &root)?;
    Ok(Wallet::new(credential, root, executor.clone(), WalletConfig::default())?)
}

/// The secret in `path`; a new one where there is none. In earnest it is in a key service, and never in a file.
pub(super) fn secret(path: &Path) -> Result<[u8; 32], RunError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes.try_into().map_err(|_| format!("{}: not 32 bytes", path.display()))?),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let fresh = random()?;
            private(path, &fresh)?;
            Ok(fresh)
        }
        Err(e) => Err(e.into()),
    }
}

pub(in crate::self_heal) fn random() -> Result<[u8; 32], RunError> {
    let mut secret = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

/// Written aside and renamed, for nobody else to read.
fn private(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let aside = path.with_extension("part");
    // What another run left half written has the wrong owner's rights, perhaps.
    let _ = std::fs::remove_file(&aside);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(aside, path)?;
    Ok(())
}
