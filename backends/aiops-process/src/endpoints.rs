//! The endpoints file: file-based discovery of ready replicas.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Ready replicas: service → instance → `127.0.0.1:port`. This is also the format of the endpoints file (JSON).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Endpoints(pub BTreeMap<String, BTreeMap<String, String>>);

impl Endpoints {
    /// Addresses of a service in the order of instance names; empty for an unknown service.
    pub fn of<'a>(&'a self, service: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .get(service)
            .into_iter()
            .flatten()
            .map(|(instance, address)| (instance.as_str(), address.as_str()))
    }
}

/// Keeps the endpoints and writes them to a file on each change.
#[derive(Debug)]
pub(crate) struct EndpointsFile {
    path: PathBuf,
    current: Mutex<Endpoints>,
}

impl EndpointsFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, current: Mutex::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn current(&self) -> Endpoints {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds, replaces or (with `None`) removes one instance.
    pub(crate) fn set(&self, service: &str, instance: &str, address: Option<String>) {
        // The lock is held while writing so that an older state never overwrites a newer one on disk.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let instances = current.0.entry(service.to_owned()).or_default();
        let changed = match address {
            Some(address) => instances.insert(instance.to_owned(), address.clone()) != Some(address),
            None => instances.remove(instance).is_some(),
        };
        if changed && let Err(error) = write_atomically(&self.path, &current) {
            tracing::warn!(path = %self.path.display(), %error, "endpoints file not written");
        }
    }

    pub(crate) fn write(&self) -> std::io::Result<()> {
        write_atomically(&self.path, &self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Readers see the old or the new content, never half of it.
fn write_atomically(path: &Path, endpoints: &Endpoints) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, serde_json::to_vec(endpoints).map_err(std::io::Error::other)?)?;
    fs::rename(&temporary, path)
}
