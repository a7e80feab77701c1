//! Operations, their idempotency keys and their fences.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::error::ProcessError;
use crate::spec::RolloutPolicy;

/// What a supervisor can do to a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Operation {
    /// Replace all replicas one by one, honouring `max_unavailable` and `max_surge`.
    RollingRestart {
        /// The service.
        service: String,
        /// Other bounds than those of the specification.
        bounds: Option<RolloutPolicy>,
    },
    /// Replace one replica.
    RestartReplica {
        /// The service.
        service: String,
        /// Name of the replica, such as `orders-1`.
        instance: String,
    },
    /// Run this many replicas.
    Scale {
        /// The service.
        service: String,
        /// Replicas wanted, at most `max_replicas`.
        replicas: u32,
    },
    /// Create a configuration revision and bring all replicas to it.
    RollOut {
        /// The service.
        service: String,
        /// What changes.
        change: ConfigChange,
    },
    /// Bring all replicas back to an earlier revision.
    RollBack {
        /// The service.
        service: String,
        /// Revision to go to; by default the one that was current before the present one was created.
        to: Option<u64>,
    },
    /// Stop all replicas and keep them stopped.
    Stop {
        /// The service.
        service: String,
    },
    /// Start the replicas of a stopped service.
    Start {
        /// The service.
        service: String,
    },
    /// Purge the cache as the specification declares.
    PurgeCache {
        /// The service.
        service: String,
    },
    /// Rotate the log file as the specification declares.
    RotateLogs {
        /// The service.
        service: String,
    },
    /// Reduce the declared configuration key in an overlay revision; a roll-back releases it.
    Throttle {
        /// The service.
        service: String,
        /// Share of the present value that remains, above 0 and below 1; by default the declared factor.
        factor: Option<f64>,
    },
    /// Set the declared throttle key to a value in a new revision.
    SetLimit {
        /// The service.
        service: String,
        /// The value.
        limit: u32,
    },
}

impl Operation {
    /// The service operated on.
    #[must_use]
    pub fn service(&self) -> &str {
        match self {
            Self::RollingRestart { service, .. }
            | Self::RestartReplica { service, .. }
            | Self::Scale { service, .. }
            | Self::RollOut { service, .. }
            | Self::RollBack { service, .. }
            | Self::Stop { service }
            | Self::Start { service }
            | Self::PurgeCache { service }
            | Self::RotateLogs { service }
            | Self::SetLimit { service, .. }
            | Self::Throttle { service, .. } => service,
        }
    }
}

/// How a roll-out changes the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigChange {
    /// The whole configuration.
    Replace(toml::Table),
    /// Keys laid over the current configuration; tables are merged.
    Overlay(toml::Table),
}

/// Identifies one intended run of an operation. The same key never runs twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationKey(String);

impl OperationKey {
    /// Wraps a key.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request to run one operation once.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OperationRequest {
    /// Idempotency key.
    pub key: OperationKey,
    /// Fencing token; a request whose fence is older than the newest seen for its service is refused. People's own
    /// operations carry none and are not fenced.
    pub fence: Option<u64>,
    /// Who asks; goes into the change log.
    pub author: String,
    /// Summary for the change log; by default one is made from the operation.
    pub summary: Option<String>,
    /// What to do.
    pub operation: Operation,
}

impl OperationRequest {
    /// A request without fence and with a default summary.
    #[must_use]
    pub fn new(key: OperationKey, author: impl Into<String>, operation: Operation) -> Self {
        Self { key, fence: None, author: author.into(), summary: None, operation }
    }

    /// Sets the fence.
    #[must_use]
    pub const fn with_fence(mut self, fence: u64) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Sets the summary for the change log.
    #[must_use]
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
}

/// What an operation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Replicas started, stopped, called or signalled.
    pub instances: Vec<String>,
    /// Current revision before.
    pub from_revision: Option<u64>,
    /// Current revision after.
    pub to_revision: Option<u64>,
    /// Replicas wanted before and after.
    pub replicas: (u32, u32),
}

/// What an operation would do, found without doing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preview {
    /// One line.
    pub summary: String,
    /// Replicas that would be started, stopped, called or signalled.
    pub instances: Vec<String>,
    /// Most replicas that would be missing at a time.
    pub unavailable_at_most: u32,
    /// Current revision.
    pub from_revision: Option<u64>,
    /// Revision afterwards.
    pub to_revision: Option<u64>,
    /// Replicas wanted before and after.
    pub replicas: (u32, u32),
}

/// State of the operation that a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationStatus {
    /// The key was never presented.
    NotStarted,
    /// It is running.
    Running,
    /// It ran to its end.
    Completed(Outcome),
    /// It ended with an error; what it had done by then stays done.
    Failed(ProcessError),
    /// Its run was cut off, or its record was evicted.
    Unknown,
}

/// The bounded table of operations: keys and fences.
#[derive(Debug)]
pub(crate) struct OperationTable {
    records: BTreeMap<OperationKey, Record>,
    order: VecDeque<OperationKey>,
    fences: BTreeMap<String, u64>,
    capacity: usize,
    evicted: bool,
}

#[derive(Debug)]
struct Record {
    /// Absent for a key that was withdrawn before it was ever presented.
    operation: Option<Operation>,
    status: watch::Sender<OperationStatus>,
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Admission {
    /// New: run it and report to the sender.
    Run(watch::Sender<OperationStatus>),
    /// Seen before: wait for its outcome.
    Known(watch::Receiver<OperationStatus>),
}

impl OperationTable {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            records: BTreeMap::new(),
            order: VecDeque::new(),
            fences: BTreeMap::new(),
            capacity,
            evicted: false,
        }
    }

    /// The run that this key already stands for.
    pub(crate) fn known(
        &self,
        request: &OperationRequest,
    ) -> Result<Option<watch::Receiver<OperationStatus>>, ProcessError> {
        match self.records.get(&request.key) {
            Some(Record { operation: None, .. }) => Err(ProcessError::Withdrawn { key: request.key.clone() }),
            Some(record) if record.operation.as_ref() == Some(&request.operation) => {
                Ok(Some(record.status.subscribe()))
            }
            Some(_) => Err(ProcessError::KeyReused { key: request.key.clone() }),
            None => Ok(None),
        }
    }

    pub(crate) fn admit(&mut self, request: &OperationRequest) -> Result<Admission, ProcessError> {
        if let Some(known) = self.known(request)? {
            return Ok(Admission::Known(known));
        }
        let service = request.operation.service();
        if let Some(fence) = request.fence {
            let newest = self.fences.get(service).copied().unwrap_or(0);
            if fence < newest {
                return Err(ProcessError::StaleFence { service: service.to_owned(), fence, newest });
            }
            self.fences.insert(service.to_owned(), fence);
        }
        Ok(Admission::Run(self.insert(
            request.key.clone(),
            Some(request.operation.clone()),
            OperationStatus::Running,
        )))
    }

    /// Makes sure that a key that was not presented so far never runs; answers its status.
    pub(crate) fn withdraw(&mut self, key: &OperationKey) -> OperationStatus {
        let status = self.status(key);
        if status == OperationStatus::NotStarted && !self.records.contains_key(key) {
            self.insert(key.clone(), None, OperationStatus::NotStarted);
        }
        status
    }

    fn insert(
        &mut self,
        key: OperationKey,
        operation: Option<Operation>,
        status: OperationStatus,
    ) -> watch::Sender<OperationStatus> {
        let status = watch::Sender::new(status);
        self.records.insert(key.clone(), Record { operation, status: status.clone() });
        self.order.push_back(key);
        self.evict();
        status
    }

    pub(crate) fn status(&self, key: &OperationKey) -> OperationStatus {
        match self.records.get(key) {
            Some(record) => record.status.borrow().clone(),
            None if self.evicted => OperationStatus::Unknown,
            None => OperationStatus::NotStarted,
        }
    }

    fn evict(&mut self) {
        while self.records.len() > self.capacity {
            let finished = self.order.iter().position(|key| {
                self.records.get(key).is_none_or(|record| *record.status.borrow() != OperationStatus::Running)
            });
            // Running operations are never forgotten; their number is bounded by the callers that wait.
            let Some(key) = finished.and_then(|position| self.order.remove(position)) else { break };
            self.records.remove(&key);
            self.evicted = true;
        }
    }
}

/// Reports `Unknown` unless the run came to its end.
#[derive(Debug)]
pub(crate) struct Completion(Option<watch::Sender<OperationStatus>>);

impl Completion {
    pub(crate) const fn new(status: watch::Sender<OperationStatus>) -> Self {
        Self(Some(status))
    }

    pub(crate) fn finish(mut self, result: Result<Outcome, ProcessError>) {
        if let Some(status) = self.0.take() {
            status.send_replace(match result {
                Ok(outcome) => OperationStatus::Completed(outcome),
                Err(error) => OperationStatus::Failed(error),
            });
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(status) = self.0.take() {
            status.send_replace(OperationStatus::Unknown);
        }
    }
}
