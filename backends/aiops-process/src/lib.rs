#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("aiops-process runs on Unix-like systems: it relies on process groups and signals");

mod adapter;
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

pub use adapter::ProcessMitigator;
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
