//! What an operation would do: the read-only half, shared by preview and execution.

use crate::error::{ConfigError, ProcessError};
use crate::operation::{ConfigChange, Operation, Preview};
use crate::revision::merge;
use crate::spec::{RolloutPolicy, ServiceSpec};
use crate::supervisor::{Inner, Service, ServiceState, unknown_instance, unsupported};

/// An operation resolved against the current state.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) preview: Preview,
    pub(crate) step: Step,
}

/// What is to be done, with everything looked up.
#[derive(Debug)]
pub(crate) enum Step {
    /// Replace these replicas in turn.
    Replace(Vec<u32>),
    /// Bring all replicas to this new configuration.
    NewRevision(toml::Table),
    /// Bring all replicas to this kept revision.
    OldRevision(u64),
    /// Have this many replicas.
    Resize(u32),
    Purge,
    Rotate,
}

impl Plan {
    pub(crate) fn of(inner: &Inner, operation: &Operation) -> Result<Self, ProcessError> {
        let service = inner.service(operation.service())?;
        let state = service.lock();
        let step = Step::of(service, &state, operation)?;
        let spec = &service.spec;
        let current = state.revisions.as_ref().map(super::revision::RevisionStore::current);
        let all: Vec<u32> = (0..state.wanted).collect();
        let gap = bounds_of(spec, operation)?.max_unavailable.min(state.wanted);
        let name = &spec.name;
        let (summary, indices, unavailable, to, wanted) = match &step {
            Step::Replace(indices) if matches!(operation, Operation::RollingRestart { .. }) => {
                (format!("restart {name}"), indices.clone(), gap, current, state.wanted)
            }
            Step::Replace(indices) => {
                (format!("restart a replica of {name}"), indices.clone(), 1, current, state.wanted)
            }
            Step::NewRevision(_) => {
                let next = state.revisions.as_ref().map(super::revision::RevisionStore::next);
                let number = next.unwrap_or_default();
                let limits = matches!(operation, Operation::Throttle { .. } | Operation::SetLimit { .. });
                let verb = if limits { "throttle" } else { "roll out" };
                (format!("{verb} {name} r{number}"), all, gap, next, state.wanted)
            }
            Step::OldRevision(number) => {
                (format!("roll back {name} to r{number}"), all, gap, Some(*number), state.wanted)
            }
            Step::Resize(wanted) => {
                let (low, high) = (state.wanted.min(*wanted), state.wanted.max(*wanted));
                let lost = state.wanted.saturating_sub(*wanted);
                let summary = format!("scale {name} from {} to {wanted}", state.wanted);
                (summary, (low..high).collect(), lost, current, *wanted)
            }
            Step::Purge => (format!("purge cache of {name}"), all, 0, current, state.wanted),
            Step::Rotate => (format!("rotate logs of {name}"), all, 0, current, state.wanted),
        };
        let preview = Preview {
            summary,
            instances: indices.iter().map(|index| format!("{name}-{index}")).collect(),
            unavailable_at_most: unavailable,
            from_revision: current,
            to_revision: to,
            replicas: (state.wanted, wanted),
        };
        Ok(Self { preview, step })
    }
}

impl Step {
    fn of(service: &Service, state: &ServiceState, operation: &Operation) -> Result<Self, ProcessError> {
        let spec = &service.spec;
        let name = spec.name.as_str();
        let revisions = || state.revisions.as_ref().ok_or_else(|| unsupported(name, "a configuration"));
        match operation {
            Operation::RollingRestart { .. } => Ok(Self::Replace((0..state.wanted).collect())),
            Operation::RestartReplica { instance, .. } => {
                let index = (0..state.wanted).find(|index| format!("{name}-{index}") == *instance);
                Ok(Self::Replace(vec![index.ok_or_else(|| unknown_instance(name, instance))?]))
            }
            Operation::Scale { replicas, .. } => {
                if *replicas > spec.max_replicas {
                    return Err(ProcessError::ReplicaLimit {
                        service: name.to_owned(),
                        wanted: *replicas,
                        limit: spec.max_replicas,
                    });
                }
                Ok(Self::Resize(*replicas))
            }
            Operation::Stop { .. } => Ok(Self::Resize(0)),
            Operation::Start { .. } => Ok(Self::Resize(state.wanted.max(state.wanted_before_stop))),
            Operation::RollOut { change, .. } => {
                let mut config = revisions()?.current_config();
                match change {
                    ConfigChange::Replace(table) => config = table.clone(),
                    ConfigChange::Overlay(overlay) => merge(&mut config, overlay.clone()),
                }
                Ok(Self::NewRevision(config))
            }
            Operation::RollBack { to, .. } => {
                let revisions = revisions()?;
                let current = revisions.current();
                let target = to.or_else(|| revisions.previous());
                let target = target
                    .ok_or_else(|| ProcessError::NoPreviousRevision { service: name.to_owned(), current })?;
                if revisions.get(target).is_none() {
                    return Err(ProcessError::UnknownRevision { service: name.to_owned(), revision: target });
                }
                Ok(Self::OldRevision(target))
            }
            Operation::Throttle { .. } | Operation::SetLimit { .. } => {
                let throttle = spec.throttle.as_ref().ok_or_else(|| unsupported(name, "a throttle"))?;
                let mut config = revisions()?.current_config();
                let value = config.get(&throttle.key).and_then(toml::Value::as_integer);
                // A roll-out may have removed the key since the specification was checked.
                let value = value.ok_or_else(|| unsupported(name, "an integer under its throttle key"))?;
                let limit = match operation {
                    Operation::SetLimit { limit, .. } => i64::from(*limit).max(throttle.minimum),
                    Operation::Throttle { factor, .. } => {
                        let factor = factor.unwrap_or(throttle.factor);
                        if !(factor > 0.0 && factor < 1.0) {
                            return Err(
                                ConfigError::new("throttle.factor", factor, "above 0 and below 1").into()
                            );
                        }
                        reduce(value, factor).max(throttle.minimum).min(value)
                    }
                    _ => value,
                };
                config.insert(throttle.key.clone(), toml::Value::Integer(limit));
                Ok(Self::NewRevision(config))
            }
            Operation::PurgeCache { .. } => match spec.cache_purge {
                Some(_) => Ok(Self::Purge),
                None => Err(unsupported(name, "a cache purge")),
            },
            Operation::RotateLogs { .. } => match spec.log_rotation {
                Some(_) => Ok(Self::Rotate),
                None => Err(unsupported(name, "a log rotation")),
            },
        }
    }
}

/// Bounds under which the replicas are replaced.
pub(crate) fn bounds_of(spec: &ServiceSpec, operation: &Operation) -> Result<RolloutPolicy, ProcessError> {
    match operation {
        Operation::RollingRestart { bounds: Some(bounds), .. } => {
            bounds.validate("bounds")?;
            Ok(*bounds)
        }
        _ => Ok(spec.rollout),
    }
}

/// `floor(value * factor)`, saturating.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "float casts saturate")]
fn reduce(value: i64, factor: f64) -> i64 {
    (value as f64 * factor).floor() as i64
}
