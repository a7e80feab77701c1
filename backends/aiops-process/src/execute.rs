//! Running an operation: the half that changes something.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;

use crate::change::{ChangeKind, ChangeRecord};
use crate::error::ProcessError;
use crate::http;
use crate::operation::{Operation, OperationRequest, Outcome};
use crate::plan::{Plan, Step, bounds_of};
use crate::replica::Phase;
use crate::spec::{CachePurge, LogRotation, RolloutPolicy, RotationMethod};
use crate::supervisor::{Inner, Service};

/// Longest wait for the answer to a cache purge.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);

impl Inner {
    /// Runs a request. The caller holds the gate of the service.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        request: &OperationRequest,
    ) -> Result<Outcome, ProcessError> {
        let name = request.operation.service();
        let service = self.service(name)?;
        // Resolved again: what was planned when the request was admitted may have changed while it waited.
        let Plan { mut preview, step } = Plan::of(self, &request.operation)?;
        let summary = request.summary.clone().unwrap_or_else(|| preview.summary.clone());
        let commit = self.prepare(service, &step, &summary, &request.operation);
        if let Some((number, _)) = &commit {
            preview.to_revision = Some(*number);
        }
        let resized = preview.replicas.0 != preview.replicas.1;
        let revised = preview.from_revision != preview.to_revision;
        let sequence = self.change_log().push(ChangeRecord {
            sequence: 0,
            started: self.clock.now(),
            finished: None,
            service: name.to_owned(),
            kind: kind_of(&request.operation),
            author: request.author.clone(),
            summary,
            from_revision: preview.from_revision.filter(|_| revised),
            to_revision: preview.to_revision.filter(|_| revised),
            commit: commit.filter(|_| revised).map(|(_, commit)| commit),
            replicas: resized.then_some(preview.replicas),
        });
        let bounds = bounds_of(&service.spec, &request.operation)?;
        let instances = match step {
            Step::Replace(indices) => self.replace(service, indices, bounds).await?,
            Step::NewRevision(_) | Step::OldRevision(_) => {
                let wanted = service.lock().wanted;
                self.replace(service, (0..wanted).collect(), bounds).await?
            }
            Step::Resize(_) => self.resize(name, preview.replicas).await?,
            Step::Purge => self.purge(service).await?,
            Step::Rotate => self.rotate(service).await?,
        };
        self.change_log().finish(sequence, self.clock.now());
        Ok(Outcome {
            instances,
            from_revision: preview.from_revision,
            to_revision: preview.to_revision,
            replicas: preview.replicas,
        })
    }

    /// Changes the wanted state; returns number and commit of the revision then current.
    fn prepare(
        &self,
        service: &Service,
        step: &Step,
        summary: &str,
        operation: &Operation,
    ) -> Option<(u64, String)> {
        let mut state = service.lock();
        state.generation = state.generation.saturating_add(1);
        match step {
            Step::NewRevision(config) => {
                let number = state.revisions.as_mut()?.add(config.clone(), summary).number;
                state.revisions.as_mut()?.select(number);
            }
            Step::OldRevision(number) => {
                state.revisions.as_mut()?.select(*number);
            }
            Step::Resize(wanted) => {
                if matches!(operation, Operation::Stop { .. }) && state.wanted > 0 {
                    state.wanted_before_stop = state.wanted;
                }
                if matches!(operation, Operation::Scale { .. }) {
                    state.wanted_before_stop = *wanted;
                }
                state.wanted = *wanted;
            }
            Step::Replace(_) | Step::Purge | Step::Rotate => {}
        }
        let revisions = state.revisions.as_ref()?;
        let revision = revisions.get(revisions.current())?;
        Some((revision.number, revision.commit.clone()))
    }

    /// Replaces replicas, at most `max_unavailable + max_surge` at a time, while `max_surge` extra ones serve.
    async fn replace(
        self: &Arc<Self>,
        service: &Service,
        indices: Vec<u32>,
        bounds: RolloutPolicy,
    ) -> Result<Vec<String>, ProcessError> {
        let name = service.spec.name.as_str();
        let count = u32::try_from(indices.len()).unwrap_or(u32::MAX);
        let surge = bounds.max_surge.min(count);
        let wanted = service.lock().wanted;
        let extra: Vec<u32> = (wanted..wanted.saturating_add(surge)).collect();
        let result = self.replace_in_batches(service, &extra, indices, bounds.max_unavailable).await;
        self.stop_all(name, extra).await;
        result
    }

    async fn replace_in_batches(
        self: &Arc<Self>,
        service: &Service,
        extra: &[u32],
        mut indices: Vec<u32>,
        max_unavailable: u32,
    ) -> Result<Vec<String>, ProcessError> {
        let name = service.spec.name.as_str();
        self.start_all(name, extra.to_vec()).await?;
        // Replicas that do not serve anyway go first: replacing them costs no capacity.
        let ready = |index: &u32| {
            service.lock().slots.get(index).is_some_and(|slot| slot.state.phase() == Phase::Ready)
        };
        indices.sort_by_key(|index| (ready(index), *index));
        let budget = usize::try_from(max_unavailable).unwrap_or(usize::MAX);
        let batch = budget.saturating_add(extra.len()).max(1);
        let mut replaced = Vec::new();
        for batch in indices.chunks(batch) {
            self.stop_all(name, batch.to_vec()).await;
            replaced.extend(self.start_all(name, batch.to_vec()).await?);
        }
        replaced.sort();
        Ok(replaced)
    }

    async fn resize(
        self: &Arc<Self>,
        name: &str,
        (from, to): (u32, u32),
    ) -> Result<Vec<String>, ProcessError> {
        if to >= from {
            self.start_all(name, (from..to).collect()).await
        } else {
            let mut stopped = self.stop_all(name, (to..from).collect()).await;
            stopped.sort();
            Ok(stopped)
        }
    }

    async fn purge(&self, service: &Service) -> Result<Vec<String>, ProcessError> {
        let replicas: Vec<_> = {
            let state = service.lock();
            state.slots.values().map(|slot| Arc::clone(&slot.state)).collect()
        };
        match &service.spec.cache_purge {
            Some(CachePurge::Directory { path }) => {
                let (root, folder) = (service.working_directory.clone(), path.clone());
                blocking(move || empty_directory(&root, &folder)).await?;
                self.retry_now(service).await;
            }
            Some(CachePurge::Post { path }) => {
                for replica in replicas.iter().filter(|replica| replica.phase() == Phase::Ready) {
                    let answer = http::status(Method::POST, replica.port.get(), path, PURGE_TIMEOUT).await;
                    let failure = match answer {
                        Ok(code) if (200..300).contains(&code) => continue,
                        Ok(code) => format!("status {code}"),
                        Err(message) => message,
                    };
                    return Err(ProcessError::Http {
                        method: "POST",
                        path: path.clone(),
                        instance: replica.instance.clone(),
                        message: failure,
                    });
                }
            }
            None => return Err(crate::supervisor::unsupported(&service.spec.name, "a cache purge")),
        }
        Ok(replicas.iter().filter(|r| r.phase() != Phase::Stopped).map(|r| r.instance.clone()).collect())
    }

    async fn rotate(&self, service: &Service) -> Result<Vec<String>, ProcessError> {
        let rotation = service.spec.log_rotation.clone();
        let rotation =
            rotation.ok_or_else(|| crate::supervisor::unsupported(&service.spec.name, "a log rotation"))?;
        let root = service.working_directory.clone();
        let method = rotation.method;
        blocking(move || rotate_file(&root, &rotation)).await?;
        if method == RotationMethod::RenameAndHangup {
            self.hang_up(service).await;
        }
        let state = service.lock();
        let running = state.slots.values().filter(|slot| slot.state.phase().is_running());
        Ok(running.map(|slot| slot.state.instance.clone()).collect())
    }
}

const fn kind_of(operation: &Operation) -> ChangeKind {
    match operation {
        Operation::RollingRestart { .. } | Operation::RestartReplica { .. } => ChangeKind::Restart,
        Operation::Scale { .. } => ChangeKind::Scale,
        Operation::RollOut { .. } => ChangeKind::RollOut,
        Operation::RollBack { .. } => ChangeKind::RollBack,
        Operation::Stop { .. } => ChangeKind::Stop,
        Operation::Start { .. } => ChangeKind::Start,
        Operation::PurgeCache { .. } => ChangeKind::CachePurge,
        Operation::RotateLogs { .. } => ChangeKind::LogRotation,
        Operation::Throttle { .. } | Operation::SetLimit { .. } => ChangeKind::Throttle,
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<(), ProcessError> + Send + 'static,
) -> Result<(), ProcessError> {
    // A join error means that the runtime is being shut down.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ProcessError::ShuttingDown))
}

/// Resolves `relative` and makes sure that no symbolic link leads out of `root`.
fn resolve(root: &Path, relative: &Path) -> Result<Option<PathBuf>, ProcessError> {
    let root = root.canonicalize().map_err(|error| ProcessError::io("resolve", root, &error))?;
    let path = root.join(relative);
    match path.canonicalize() {
        Ok(real) if real.starts_with(&root) && real != root => Ok(Some(real)),
        Ok(_) => {
            let outside = std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                "leads out of the working directory",
            );
            Err(ProcessError::io("resolve", &path, &outside))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProcessError::io("resolve", &path, &error)),
    }
}

fn empty_directory(root: &Path, relative: &Path) -> Result<(), ProcessError> {
    let Some(folder) = resolve(root, relative)? else { return Ok(()) };
    let entries = std::fs::read_dir(&folder).map_err(|error| ProcessError::io("list", &folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| ProcessError::io("list", &folder, &error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| ProcessError::io("inspect", &path, &error))?;
        let removed =
            if kind.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => {}
            // A running replica may remove or replace its own files meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ProcessError::io("remove", &path, &error)),
        }
    }
    Ok(())
}

fn rotate_file(root: &Path, rotation: &LogRotation) -> Result<(), ProcessError> {
    let Some(file) = resolve(root, &rotation.file)? else { return Ok(()) };
    let numbered = |number: u32| {
        let mut name = file.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..rotation.keep).rev() {
        let from = numbered(number);
        if from.exists() {
            let to = numbered(number + 1);
            std::fs::rename(&from, &to).map_err(|error| ProcessError::io("rename", &from, &error))?;
        }
    }
    let first = numbered(1);
    match rotation.method {
        RotationMethod::RenameAndHangup => {
            std::fs::rename(&file, &first).map_err(|error| ProcessError::io("rename", &file, &error))
        }
        RotationMethod::CopyTruncate => {
            std::fs::copy(&file, &first).map_err(|error| ProcessError::io("copy", &file, &error))?;
            let truncated = std::fs::OpenOptions::new().write(true).open(&file).and_then(|f| f.set_len(0));
            truncated.map_err(|error| ProcessError::io("truncate", &file, &error))
        }
    }
}
