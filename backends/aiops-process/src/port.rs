//! Loopback ports for replicas.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::error::ProcessError;
use crate::spec::PortRange;

/// Ports in use by any supervisor of this program: two supervisors must not pick the same port in the moment
/// between the check and the child's own bind.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that stays reserved within this program until dropped.
#[derive(Debug)]
pub(crate) struct Port(u16);

impl Port {
    pub(crate) fn reserve(range: PortRange) -> Result<Self, ProcessError> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let span = u32::from(range.last) - u32::from(range.first) + 1;
        // Different programs start at different places, so that they rarely probe the same port.
        let start = std::process::id().wrapping_mul(97) % span;
        let free = (0..span)
            .filter_map(|step| u16::try_from(u32::from(range.first) + (start + step) % span).ok())
            .find(|port| !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        let port = free.ok_or(ProcessError::NoPort { first: range.first, last: range.last })?;
        taken.insert(port);
        Ok(Self(port))
    }

    pub(crate) const fn get(&self) -> u16 {
        self.0
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}
