//! Typed errors of the supervisor.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::operation::OperationKey;

/// A configuration value that the supervisor refuses, with the range it accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value}: allowed is {allowed}")]
pub struct ConfigError {
    /// Dotted path of the field, such as `services.orders.replicas`.
    pub field: String,
    /// The refused value as written.
    pub value: String,
    /// What would be accepted.
    pub allowed: String,
}

impl ConfigError {
    pub(crate) fn new(
        field: impl Into<String>,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }
}

/// Why the supervisor could not do what it was asked.
///
/// Errors are `Clone`: the outcome of an operation is kept under its key and handed out again when the
/// same key is presented a second time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The declarative specification is not valid.
    #[error("invalid specification: {0}")]
    InvalidConfig(#[from] ConfigError),
    /// No service has this name.
    #[error("unknown service {service:?}")]
    UnknownService {
        /// The name asked for.
        service: String,
    },
    /// The service has no replica of this name.
    #[error("service {service:?} has no instance {instance:?}")]
    UnknownInstance {
        /// The service.
        service: String,
        /// The replica asked for.
        instance: String,
    },
    /// The revision was never created, or was dropped from the bounded history.
    #[error("service {service:?} keeps no revision {revision}")]
    UnknownRevision {
        /// The service.
        service: String,
        /// The revision asked for.
        revision: u64,
    },
    /// The current revision has no predecessor to roll back to.
    #[error("revision {current} of service {service:?} has no previous revision")]
    NoPreviousRevision {
        /// The service.
        service: String,
        /// The current revision.
        current: u64,
    },
    /// The specification of the service does not declare how this operation is done.
    #[error("service {service:?} does not declare {operation}")]
    Unsupported {
        /// The service.
        service: String,
        /// Name of the operation.
        operation: &'static str,
    },
    /// A replica count outside `0..=max_replicas`.
    #[error("service {service:?}: {wanted} replicas asked, at most {limit} allowed")]
    ReplicaLimit {
        /// The service.
        service: String,
        /// Replicas asked for.
        wanted: u32,
        /// Upper bound of the specification.
        limit: u32,
    },
    /// A newer holder already operates on this service.
    #[error("fence {fence} for service {service:?} is older than {newest}")]
    StaleFence {
        /// The service.
        service: String,
        /// Fence of the refused request.
        fence: u64,
        /// Newest fence seen.
        newest: u64,
    },
    /// An idempotency key was presented again for another operation.
    #[error("key {key} was already used for another operation")]
    KeyReused {
        /// The key.
        key: OperationKey,
    },
    /// The key was withdrawn before it was presented: whoever asked for its status was told that it never runs.
    #[error("key {key} was withdrawn")]
    Withdrawn {
        /// The key.
        key: OperationKey,
    },
    /// The record of this key was evicted from the bounded table, or its run was cut off: whether it ran
    /// to its end is not known, so it is not run again.
    #[error("outcome of key {key} is not known")]
    OutcomeUnknown {
        /// The key.
        key: OperationKey,
    },
    /// The command could not be executed.
    #[error("cannot start {instance}: {message}")]
    Spawn {
        /// The replica.
        instance: String,
        /// The operating system's words.
        message: String,
    },
    /// A replica did not become ready in time; a roll-out stops at the first such replica.
    #[error("{instance} was not ready after {waited:?}")]
    NotReady {
        /// The replica.
        instance: String,
        /// How long was waited.
        waited: Duration,
    },
    /// A file operation failed.
    #[error("{operation} {}: {message}", path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which path.
        path: PathBuf,
        /// Kind of the underlying error.
        kind: io::ErrorKind,
        /// The operating system's words.
        message: String,
    },
    /// A declared HTTP call to a replica failed.
    #[error("{method} {path} on {instance}: {message}")]
    Http {
        /// HTTP method.
        method: &'static str,
        /// Path called.
        path: String,
        /// The replica.
        instance: String,
        /// Status line or transport error.
        message: String,
    },
    /// No free port in the configured range.
    #[error("no free port in {first}..={last}")]
    NoPort {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
    },
    /// The supervisor is being shut down.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
}

impl ProcessError {
    pub(crate) fn io(operation: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), kind: error.kind(), message: error.to_string() }
    }
}
