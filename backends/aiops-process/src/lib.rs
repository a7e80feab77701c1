#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("aiops-process runs on Unix-like systems: it relies on process groups and signals");

mod change;
mod endpoints;
mod error;
mod execute;
mod http;
mod log;
mod operation;
mod plan;
mod port;
mod replica;
mod revision;
mod spec;
mod supervisor;
mod view;

use std::sync::Arc;

use jiff::Timestamp;

pub use change::{ChangeKind, ChangeRecord};
pub use endpoints::Endpoints;
pub use error::{ConfigError, ProcessError};
pub use log::{LogLine, LogSnapshot, Stream};
pub use operation::{
    ConfigChange, Operation, OperationKey, OperationRequest, OperationStatus, Outcome, Preview,
};
pub use replica::Phase;
pub use revision::{Revision, RevisionStore};
pub use spec::{
    CachePurge, LogCapture, LogRotation, PortRange, Readiness, RestartPolicy, RolloutPolicy, RotationMethod,
    ServiceSpec, StopPolicy, SupervisorConfig, Throttle,
};
pub use supervisor::Supervisor;
pub use view::{ReplicaView, ServiceView, exposition};

/// Where the supervisor takes the time of changes and log lines from.
#[derive(Clone)]
pub struct Now(pub Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Now {
    fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Now")
    }
}
