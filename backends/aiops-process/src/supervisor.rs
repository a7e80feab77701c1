//! The supervisor: owns services and their replicas, runs operations on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::change::{ChangeLog, ChangeRecord};
use crate::endpoints::{Endpoints, EndpointsFile};
use crate::error::{ConfigError, ProcessError};
use crate::log::LogSnapshot;
use crate::operation::{
    Admission, Completion, Operation, OperationKey, OperationRequest, OperationStatus, OperationTable,
    Outcome, Preview,
};
use crate::plan::Plan;
use crate::replica::{Launch, ReplicaState, ReplicaTask};
use crate::revision::{Revision, RevisionStore};
use crate::spec::{ServiceSpec, SupervisorConfig};
use crate::view::ServiceView;
use aiops_core::Clock;

/// How long a replica without a readiness probe may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Runs services as local processes. Cloning gives another handle to the same supervisor; when the last one is
/// dropped every process group is killed.
///
/// All methods need a tokio runtime with time and I/O enabled.
#[derive(Debug, Clone)]
pub struct Supervisor {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: SupervisorConfig,
    services: BTreeMap<String, Service>,
    order: Vec<String>,
    endpoints: Arc<EndpointsFile>,
    changes: Mutex<ChangeLog>,
    operations: Mutex<OperationTable>,
    closing: AtomicBool,
    pub(crate) clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) spec: Arc<ServiceSpec>,
    pub(crate) working_directory: PathBuf,
    /// Operations on one service run one after the other.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<ServiceState>,
}

#[derive(Debug)]
pub(crate) struct ServiceState {
    pub(crate) wanted: u32,
    pub(crate) wanted_before_stop: u32,
    /// Grows with every operation on the service.
    pub(crate) generation: u64,
    pub(crate) revisions: Option<RevisionStore>,
    pub(crate) slots: BTreeMap<u32, Slot>,
}

/// A replica's place. It stays when the replica stops, so that its port and its counters stay too.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: Arc<ReplicaState>,
    task: Option<ReplicaTask>,
}

/// What became of a submitted request.
#[derive(Debug)]
pub(crate) enum Submission {
    /// It runs now.
    New(watch::Receiver<OperationStatus>),
    /// Its key stands for an earlier run.
    Known(watch::Receiver<OperationStatus>),
}

/// Waits for the end of a run.
pub(crate) async fn outcome(
    mut status: watch::Receiver<OperationStatus>,
    key: OperationKey,
) -> Result<Outcome, ProcessError> {
    let ended = status.wait_for(|status| *status != OperationStatus::Running).await;
    match ended.map(|status| status.clone()) {
        Ok(OperationStatus::Completed(outcome)) => Ok(outcome),
        Ok(OperationStatus::Failed(error)) => Err(error),
        _ => Err(ProcessError::OutcomeUnknown { key }),
    }
}

impl Service {
    pub(crate) fn lock(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervisor {
    /// Starts all services in their declared order and waits until each is ready.
    ///
    /// # Errors
    /// An invalid specification, a folder that cannot be written, a replica that does not become ready; what
    /// was started by then is stopped again.
    pub async fn start(config: SupervisorConfig, clock: Arc<dyn Clock>) -> Result<Self, ProcessError> {
        config.validate()?;
        create_directory(&config.state_directory)?;
        let state_directory = config
            .state_directory
            .canonicalize()
            .map_err(|error| ProcessError::io("resolve", &config.state_directory, &error))?;
        // Paths are handed to the services as text.
        if state_directory.to_str().is_none() {
            let shown = state_directory.display();
            return Err(ConfigError::new("state_directory", shown, "a path in UTF-8").into());
        }
        let endpoints = EndpointsFile::new(state_directory.join("endpoints.json"));
        endpoints.write().map_err(|error| ProcessError::io("write", endpoints.path(), &error))?;
        let mut services = BTreeMap::new();
        for spec in &config.services {
            let working_directory = match &spec.working_directory {
                Some(directory) => directory.clone(),
                None => state_directory.join("services").join(&spec.name),
            };
            create_directory(&working_directory)?;
            if working_directory.to_str().is_none() {
                let field = format!("services.{}.working_directory", spec.name);
                return Err(ConfigError::new(field, working_directory.display(), "a path in UTF-8").into());
            }
            let state = ServiceState {
                wanted: spec.replicas,
                wanted_before_stop: spec.replicas,
                generation: 0,
                revisions: spec.config.clone().map(|config_| RevisionStore::new(config_, config.revisions)),
                slots: BTreeMap::new(),
            };
            let service = Service {
                spec: Arc::new(spec.clone()),
                working_directory,
                gate: tokio::sync::Mutex::new(()),
                state: Mutex::new(state),
            };
            services.insert(spec.name.clone(), service);
        }
        let inner = Inner {
            order: config.services.iter().map(|spec| spec.name.clone()).collect(),
            changes: Mutex::new(ChangeLog::new(config.change_log)),
            operations: Mutex::new(OperationTable::new(config.operation_records)),
            config: SupervisorConfig { state_directory, ..config },
            services,
            endpoints: Arc::new(endpoints),
            closing: AtomicBool::new(false),
            clock,
        };
        let supervisor = Self { inner: Arc::new(inner) };
        for name in &supervisor.inner.order {
            let service = supervisor.inner.service(name)?;
            let wanted: Vec<u32> = (0..service.spec.replicas).collect();
            if let Err(error) = supervisor.inner.start_all(name, wanted).await {
                supervisor.shutdown().await;
                return Err(error);
            }
        }
        Ok(supervisor)
    }

    /// Runs an operation once and waits for its end. The run goes on when the caller stops waiting;
    /// [`status`](Self::status) then tells how it ended. A key that was presented before is not run again: the
    /// call waits for, and returns, the outcome of the first run.
    ///
    /// # Errors
    /// Refusals (unknown service or revision, undeclared operation, stale fence, reused key, shutdown) leave
    /// everything as it was and do not use up the key. Failures of the run itself are kept under the key.
    pub async fn apply(&self, request: OperationRequest) -> Result<Outcome, ProcessError> {
        let key = request.key.clone();
        let (Submission::New(status) | Submission::Known(status)) = self.submit(request)?;
        outcome(status, key).await
    }

    /// Admits a request and starts its run unless the key is known.
    pub(crate) fn submit(&self, request: OperationRequest) -> Result<Submission, ProcessError> {
        if let Some(known) = self.operations().known(&request)? {
            return Ok(Submission::Known(known));
        }
        if self.inner.closing.load(Ordering::SeqCst) {
            return Err(ProcessError::ShuttingDown);
        }
        Plan::of(&self.inner, &request.operation)?;
        let admission = self.operations().admit(&request)?;
        Ok(match admission {
            Admission::Known(known) => Submission::Known(known),
            Admission::Run(status) => {
                let receiver = status.subscribe();
                tokio::spawn(Arc::clone(&self.inner).run(request, Completion::new(status)));
                Submission::New(receiver)
            }
        })
    }

    /// Like [`status`](Self::status), but a key that was never presented is withdrawn: it is refused from now on,
    /// as long as its record is kept.
    #[must_use]
    pub fn withdraw(&self, key: &OperationKey) -> OperationStatus {
        self.operations().withdraw(key)
    }

    /// What became of the operation with this key.
    #[must_use]
    pub fn status(&self, key: &OperationKey) -> OperationStatus {
        self.operations().status(key)
    }

    /// What an operation would do now. Reads only.
    ///
    /// # Errors
    /// The refusals of [`apply`](Self::apply) that depend on the operation alone.
    pub fn preview(&self, operation: &Operation) -> Result<Preview, ProcessError> {
        Ok(Plan::of(&self.inner, operation)?.preview)
    }

    /// State of every service, in the order of names.
    #[must_use]
    pub fn view(&self) -> Vec<ServiceView> {
        self.inner.services.values().map(ServiceView::of).collect()
    }

    /// Specification the supervisor was started with; `state_directory` is absolute.
    #[must_use]
    pub fn config(&self) -> &SupervisorConfig {
        &self.inner.config
    }

    /// Ready replicas of all services.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        self.inner.endpoints.current()
    }

    /// Path of the endpoints file.
    #[must_use]
    pub fn endpoints_path(&self) -> &Path {
        self.inner.endpoints.path()
    }

    /// Changes that began at `since` or later, oldest first, as far as the bounded log goes back.
    #[must_use]
    pub fn changes(&self, since: Timestamp) -> Vec<ChangeRecord> {
        self.inner.change_log().since(since)
    }

    /// Kept configuration revisions of a service, oldest first, and the number of the current one.
    ///
    /// # Errors
    /// Unknown service, or a service without configuration.
    pub fn revisions(&self, service: &str) -> Result<(Vec<Revision>, u64), ProcessError> {
        let state = self.inner.service(service)?.lock();
        let revisions = state.revisions.as_ref().ok_or_else(|| unsupported(service, "a configuration"))?;
        Ok((revisions.iter().cloned().collect(), revisions.current()))
    }

    /// Captured output of one replica.
    ///
    /// # Errors
    /// Unknown service or instance.
    pub fn logs(&self, service: &str, instance: &str) -> Result<LogSnapshot, ProcessError> {
        let state = self.inner.service(service)?.lock();
        let slot = state.slots.values().find(|slot| slot.state.instance == instance);
        slot.map(|slot| slot.state.log.snapshot()).ok_or_else(|| unknown_instance(service, instance))
    }

    /// Stops all services gracefully, in reverse start order. Operations are refused from now on.
    pub async fn shutdown(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        for name in self.inner.order.iter().rev() {
            if let Ok(service) = self.inner.service(name) {
                let _gate = service.gate.lock().await;
                let all: Vec<u32> = service.lock().slots.keys().copied().collect();
                self.inner.stop_all(name, all).await;
            }
        }
    }

    fn operations(&self) -> MutexGuard<'_, OperationTable> {
        self.inner.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn service(&self, name: &str) -> Result<&Service, ProcessError> {
        self.services.get(name).ok_or_else(|| ProcessError::UnknownService { service: name.to_owned() })
    }

    pub(crate) fn change_log(&self) -> MutexGuard<'_, ChangeLog> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, request: OperationRequest, completion: Completion) {
        let result = match self.service(request.operation.service()) {
            Ok(service) => {
                let _gate = service.gate.lock().await;
                // The shutdown may have come while the request waited; nothing is started behind its back.
                if self.closing.load(Ordering::SeqCst) {
                    Err(ProcessError::ShuttingDown)
                } else {
                    self.execute(&request).await
                }
            }
            Err(error) => Err(error),
        };
        completion.finish(result);
    }

    /// Starts replicas side by side and waits until all are ready.
    pub(crate) async fn start_all(
        self: &Arc<Self>,
        service: &str,
        indices: Vec<u32>,
    ) -> Result<Vec<String>, ProcessError> {
        let mut waits = Vec::new();
        for index in indices {
            waits.push(self.launch(service, index)?);
        }
        let limit =
            self.service(service)?.spec.readiness.as_ref().map_or(START_LIMIT, |probe| probe.deadline);
        // The waits run side by side because every task runs on its own; the slowest one decides.
        let deadline = tokio::time::Instant::now() + limit;
        let mut names = Vec::new();
        for state in waits {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            state.ready_within(left).await.map_err(|error| match error {
                ProcessError::NotReady { instance, .. } => ProcessError::NotReady { instance, waited: limit },
                other => other,
            })?;
            names.push(state.instance.clone());
        }
        Ok(names)
    }

    /// Starts one replica at the current revision, unless it runs already.
    fn launch(&self, name: &str, index: u32) -> Result<Arc<ReplicaState>, ProcessError> {
        let service = self.service(name)?;
        let mut state = service.lock();
        let (config, revision) = match &state.revisions {
            Some(revisions) => {
                let path = self.write_revision(name, revisions)?;
                (Some(path), Some(revisions.current()))
            }
            None => (None, None),
        };
        if let std::collections::btree_map::Entry::Vacant(vacant) = state.slots.entry(index) {
            let port = crate::port::Port::reserve(self.config.ports)?;
            let replica = ReplicaState::new(&service.spec, index, port, Arc::clone(&self.endpoints));
            vacant.insert(Slot { state: Arc::new(replica), task: None });
        }
        let missing = || unknown_instance(name, &index.to_string());
        let slot = state.slots.get_mut(&index).ok_or_else(missing)?;
        if slot.task.is_none() {
            let launch = Launch {
                spec: Arc::clone(&service.spec),
                working_directory: service.working_directory.clone(),
                config,
                revision,
            };
            slot.task = Some(ReplicaTask::spawn(Arc::clone(&slot.state), launch, Arc::clone(&self.clock)));
        }
        Ok(Arc::clone(&slot.state))
    }

    /// Writes the current revision to its file and forgets files of revisions that are no longer kept.
    fn write_revision(&self, service: &str, revisions: &RevisionStore) -> Result<PathBuf, ProcessError> {
        let folder = self.config.state_directory.join("config").join(service);
        create_directory(&folder)?;
        let path = folder.join(format!("r{}.toml", revisions.current()));
        std::fs::write(&path, revisions.current_config().to_string())
            .map_err(|error| ProcessError::io("write", &path, &error))?;
        let entries =
            std::fs::read_dir(&folder).map_err(|error| ProcessError::io("list", &folder, &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number =
                name.to_str().and_then(|name| name.strip_prefix('r')?.strip_suffix(".toml")?.parse().ok());
            if number.is_some_and(|number| revisions.get(number).is_none()) {
                // A leftover file does no harm, so a failure to remove it is not an error.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(path)
    }

    /// Stops replicas side by side and waits until they are gone.
    pub(crate) async fn stop_all(self: &Arc<Self>, service: &str, indices: Vec<u32>) -> Vec<String> {
        let mut stops = tokio::task::JoinSet::new();
        let mut names = Vec::new();
        if let Ok(service) = self.service(service) {
            let mut state = service.lock();
            for index in indices {
                let Some(slot) = state.slots.get_mut(&index) else { continue };
                if let Some(task) = slot.task.take() {
                    names.push(slot.state.instance.clone());
                    stops.spawn(task.stop());
                }
            }
        }
        while stops.join_next().await.is_some() {}
        names
    }

    /// Ends the back-off pauses of a service.
    pub(crate) async fn retry_now(&self, service: &Service) {
        for task in self.tasks(service) {
            task.retry_now().await;
        }
    }

    /// Sends `SIGHUP` to all running replicas of a service.
    pub(crate) async fn hang_up(&self, service: &Service) {
        for task in self.tasks(service) {
            task.signal(nix::sys::signal::Signal::SIGHUP).await;
        }
    }

    fn tasks(&self, service: &Service) -> Vec<ReplicaTask> {
        service.lock().slots.values().filter_map(|slot| slot.task.clone()).collect()
    }
}

pub(crate) fn unsupported(service: &str, operation: &'static str) -> ProcessError {
    ProcessError::Unsupported { service: service.to_owned(), operation }
}

pub(crate) fn unknown_instance(service: &str, instance: &str) -> ProcessError {
    ProcessError::UnknownInstance { service: service.to_owned(), instance: instance.to_owned() }
}

fn create_directory(path: &Path) -> Result<(), ProcessError> {
    std::fs::create_dir_all(path).map_err(|error| ProcessError::io("create", path, &error))
}
