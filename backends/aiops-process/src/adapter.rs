//! The supervisor behind the seams of `aiops-core`.

use aiops_core::action::{
    Action, ActionKind, ActionOutcome, ActionStatus, IdempotencyKey, Operation as CoreOperation, Preview,
    TargetState,
};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::model::{Change, ChangeKind as CoreChangeKind, EntityId, EntityKind, Revision, TimeRange};
use aiops_core::seam::{ChangeFeed, Mitigator, MitigatorCapability};
use aiops_core::{Context, Error, ErrorKind, Result};
use async_trait::async_trait;

use crate::change::{ChangeKind, ChangeRecord};
use crate::error::ProcessError;
use crate::operation::{Operation, OperationKey, OperationRequest, OperationStatus};
use crate::plan::Plan;
use crate::spec::RolloutPolicy;
use crate::supervisor::{Submission, Supervisor, outcome};

const KINDS: [ActionKind; 8] = [
    ActionKind::RollingRestart,
    ActionKind::Scale,
    ActionKind::Rollback,
    ActionKind::CachePurge,
    ActionKind::LogRotation,
    ActionKind::Throttle,
    ActionKind::Concurrency,
    ActionKind::Stop,
];

/// A [`Mitigator`] over a [`Supervisor`].
///
/// Targets are services (`service/orders`); a rolling restart may also name one replica (`instance/orders-1`).
/// Revisions are written `r7`. Idempotency keys and fences are handed on to the supervisor.
#[derive(Debug, Clone)]
pub struct ProcessMitigator {
    supervisor: Supervisor,
    author: String,
}

impl ProcessMitigator {
    /// A mitigator whose changes carry `author` in the change log.
    #[must_use]
    pub fn new(supervisor: Supervisor, author: impl Into<String>) -> Self {
        Self { supervisor, author: author.into() }
    }

    /// Name of the service that `target` is or belongs to.
    fn service_of(&self, target: &EntityId) -> Result<String> {
        let found = match target.kind() {
            EntityKind::Service => Some(target.name().to_owned()),
            EntityKind::Instance => {
                let views = self.supervisor.view();
                let owner = views
                    .into_iter()
                    .find(|view| view.replicas.iter().any(|replica| replica.instance == target.name()));
                owner.map(|view| view.service)
            }
            _ => None,
        };
        found.ok_or_else(|| not_found(target))
    }

    /// What every mitigator of this kind can do, wherever its supervisor runs.
    #[must_use]
    pub fn supported() -> MitigatorCapability {
        MitigatorCapability::of(KINDS)
    }

    /// `action` in the supervisor's words, for who hands it over to another process. Does nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a target that the supervisor does not run, [`ErrorKind::Unsupported`] for an action it does not know,
    /// [`ErrorKind::Invalid`] for a revision that is none.
    pub fn operation(&self, action: &Action) -> Result<Operation> {
        let service = self.service_of(&action.target)?;
        if action.target.kind() == EntityKind::Instance {
            return match action.operation {
                CoreOperation::RollingRestart { .. } => {
                    Ok(Operation::RestartReplica { service, instance: action.target.name().to_owned() })
                }
                _ => Err(Error::new(ErrorKind::Unsupported, "a single replica can only be restarted")
                    .with("target", &action.target)),
            };
        }
        match &action.operation {
            CoreOperation::RollingRestart { max_unavailable, max_surge } => {
                let bounds = RolloutPolicy { max_unavailable: *max_unavailable, max_surge: *max_surge };
                Ok(Operation::RollingRestart { service, bounds: Some(bounds) })
            }
            CoreOperation::Scale { replicas } => Ok(Operation::Scale { service, replicas: *replicas }),
            CoreOperation::Rollback { to } => {
                let number =
                    to.strip_prefix('r').and_then(|number| number.parse().ok()).ok_or_else(|| {
                        Error::new(ErrorKind::Invalid, "a revision reads r7").with("revision", to)
                    })?;
                Ok(Operation::RollBack { service, to: Some(number) })
            }
            CoreOperation::CachePurge => Ok(Operation::PurgeCache { service }),
            CoreOperation::LogRotation => Ok(Operation::RotateLogs { service }),
            CoreOperation::Throttle { to } => Ok(Operation::Throttle { service, factor: Some(to.get()) }),
            CoreOperation::Concurrency { limit } => Ok(Operation::SetLimit { service, limit: *limit }),
            CoreOperation::Stop => Ok(Operation::Stop { service }),
            other => Err(Error::new(ErrorKind::Unsupported, format!("cannot {other}"))),
        }
    }

    fn target_state(&self, service: &str) -> TargetState {
        let views = self.supervisor.view();
        let generation = self.supervisor.inner.service(service).map(|service| service.lock().generation).ok();
        let mut state = TargetState::default();
        if let Some(view) = views.iter().find(|view| view.service == service) {
            state.exists = true;
            state.generation = generation.map(|generation| generation.to_string());
            state.revision = view.revision.map(|number| format!("r{number}"));
            state.replicas = Some(view.wanted);
            state.ready = Some(view.ready);
            state.fleet = Some(views.iter().fold(0, |sum: u32, view| sum.saturating_add(view.wanted)));
        }
        state
    }
}

#[async_trait]
impl Mitigator for ProcessMitigator {
    fn capability(&self) -> MitigatorCapability {
        Self::supported()
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        ctx.check()?;
        let service = match self.service_of(&action.target) {
            Ok(service) => service,
            Err(_) => {
                return Ok(Preview::new(TargetState::default(), format!("would not find {}", action.target)));
            }
        };
        let state = self.target_state(&service);
        if !state.exists {
            return Ok(Preview::new(state, format!("would not find {}", action.target)));
        }
        let operation = self.operation(action)?;
        let preview = self.supervisor.preview(&operation).map_err(|error| refused(&error))?;
        let touched = preview.instances.len();
        let effect = format!(
            "would {} ({touched} replicas, at most {} missing at a time)",
            preview.summary, preview.unavailable_at_most
        );
        Ok(Preview::new(state, effect))
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let (action, spent) = action.spend(ctx)?;
        // Nothing was done yet: what follows up to `submit` only reads, and `submit` refuses without an effect.
        let operation = self.operation(&action)?;
        Plan::of(&self.supervisor.inner, &operation).map_err(|error| refused(&error))?;
        let key = OperationKey::new(spent.key().as_str());
        let request =
            OperationRequest::new(key.clone(), self.author.clone(), operation).with_fence(spent.fence().0);
        let status = match self.supervisor.submit(request).map_err(|error| refused(&error))? {
            Submission::New(status) => status,
            Submission::Known(_) => {
                return Err(
                    Error::new(ErrorKind::Conflict, "this key was dealt with before").with("key", &key)
                );
            }
        };
        // The run goes on in a task of its own; only the wait for its answer can be cut short.
        let ended = ctx.bound(async { Ok(outcome(status, key.clone()).await) }).await;
        match ended {
            Ok(Ok(outcome)) => {
                let detail = format!("replicas touched: {}", outcome.instances.join(", "));
                Ok(Receipt::new(spent, ActionOutcome::Completed, detail))
            }
            Ok(Err(error @ ProcessError::OutcomeUnknown { .. })) => {
                Err(Error::new(ErrorKind::InDoubt, "the run was cut off").with("key", &key).caused_by(error))
            }
            Ok(Err(error)) => {
                Ok(Receipt::new(spent, ActionOutcome::Failed { reason: error.to_string() }, "supervisor"))
            }
            Err(error) => Err(Error::new(ErrorKind::InDoubt, "stopped waiting for the answer")
                .with("key", &key)
                .caused_by(error)),
        }
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        ctx.check()?;
        Ok(match self.supervisor.withdraw(&OperationKey::new(key.as_str())) {
            OperationStatus::NotStarted => ActionStatus::NotStarted,
            OperationStatus::Running => ActionStatus::Running,
            OperationStatus::Completed(_) => ActionStatus::Completed,
            OperationStatus::Failed(error) => ActionStatus::Failed { reason: error.to_string() },
            OperationStatus::Unknown => ActionStatus::Unknown,
        })
    }
}

#[async_trait]
impl ChangeFeed for Supervisor {
    async fn changes(&self, range: TimeRange, ctx: &Context) -> Result<Vec<Change>> {
        ctx.check()?;
        let mut records = Self::changes(self, range.start());
        records.retain(|record| record.started < range.end());
        // The log is in the order of events; after a clock that jumped back that is not the order of time.
        records.sort_by_key(|record| (record.started, record.sequence));
        Ok(records.into_iter().map(change).collect())
    }
}

fn change(record: ChangeRecord) -> Change {
    let kind = match record.kind {
        ChangeKind::RollOut | ChangeKind::Throttle => CoreChangeKind::ConfigRollout,
        ChangeKind::RollBack => CoreChangeKind::Rollback,
        ChangeKind::Scale | ChangeKind::Stop | ChangeKind::Start => CoreChangeKind::Scaling,
        ChangeKind::Restart => CoreChangeKind::Restart,
        ChangeKind::CachePurge | ChangeKind::LogRotation => CoreChangeKind::Maintenance,
    };
    let id = format!("process-{}", record.sequence);
    let entity = EntityId::service(record.service);
    let mut change = Change::new(id, record.started, kind, entity, record.summary).with_author(record.author);
    if let Some(to) = record.to_revision {
        let from = record.from_revision.map(|number| format!("r{number}"));
        let mut revision = Revision::new(from, format!("r{to}"));
        if let Some(commit) = record.commit {
            revision = revision.with_commit(commit);
        }
        change = change.with_revision(revision);
    }
    if let Some((from, to)) = record.replicas {
        change.attributes.insert("replicas.from", from.to_string());
        change.attributes.insert("replicas.to", to.to_string());
    }
    change
}

fn not_found(target: &EntityId) -> Error {
    Error::new(ErrorKind::NotFound, "the supervisor runs no such service").with("target", target)
}

/// A refusal: nothing was done.
fn refused(error: &ProcessError) -> Error {
    let kind = match error {
        ProcessError::UnknownService { .. }
        | ProcessError::UnknownInstance { .. }
        | ProcessError::UnknownRevision { .. }
        | ProcessError::NoPreviousRevision { .. } => ErrorKind::NotFound,
        ProcessError::Unsupported { .. } => ErrorKind::Unsupported,
        ProcessError::StaleFence { .. } | ProcessError::KeyReused { .. } | ProcessError::Withdrawn { .. } => {
            ErrorKind::Conflict
        }
        ProcessError::ShuttingDown => ErrorKind::Unavailable,
        ProcessError::ReplicaLimit { .. } => ErrorKind::Limit,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, error.to_string()).caused_by(error.clone())
}
