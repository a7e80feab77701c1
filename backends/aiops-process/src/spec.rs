//! Declarative specification: which services run, and how they are started, probed, stopped and changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// Everything a [`Supervisor`](crate::Supervisor) needs to know. Unknown fields are rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorConfig {
    /// Folder that the supervisor owns: configuration revisions, the endpoints file and the working
    /// directories of services that name none. Created when absent.
    pub state_directory: PathBuf,
    /// Loopback ports handed to replicas.
    #[serde(default)]
    pub ports: PortRange,
    /// Services in start order; they are stopped in reverse order.
    pub services: Vec<ServiceSpec>,
    /// Entries kept in the change log, 1 to 1 000 000. Default 1024; the oldest is dropped first.
    #[serde(default = "default_change_log")]
    pub change_log: usize,
    /// Operation records kept for idempotency, 16 to 1 000 000. Default 4096; the oldest finished one is
    /// dropped first, and from then on an unknown key answers `Unknown` instead of `NotStarted`.
    #[serde(default = "default_operation_records")]
    pub operation_records: usize,
    /// Configuration revisions kept per service, 2 to 10 000. Default 64; the current one is never dropped.
    #[serde(default = "default_revisions")]
    pub revisions: usize,
}

const fn default_change_log() -> usize {
    1024
}
const fn default_operation_records() -> usize {
    4096
}
const fn default_revisions() -> usize {
    64
}

impl SupervisorConfig {
    /// A configuration with defaults and no service yet.
    #[must_use]
    pub fn new(state_directory: impl Into<PathBuf>) -> Self {
        Self {
            state_directory: state_directory.into(),
            ports: PortRange::default(),
            services: Vec::new(),
            change_log: default_change_log(),
            operation_records: default_operation_records(),
            revisions: default_revisions(),
        }
    }

    /// Adds a service.
    #[must_use]
    pub fn with_service(mut self, service: ServiceSpec) -> Self {
        self.services.push(service);
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("change_log", self.change_log, 1, 1_000_000)?;
        within("operation_records", self.operation_records, 16, 1_000_000)?;
        within("revisions", self.revisions, 2, 10_000)?;
        self.ports.validate()?;
        let mut names = BTreeSet::new();
        for service in &self.services {
            service.validate()?;
            if !names.insert(service.name.as_str()) {
                return Err(ConfigError::new("services.name", &service.name, "a name used once"));
            }
        }
        Ok(())
    }
}

/// An inclusive range of loopback TCP ports.
///
/// The default lies below the range from which common systems take the local port of outgoing
/// connections (32768 on Linux, 49152 on macOS), so that a replica finds its port free again after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// First port, at least 1024. Default 18000.
    pub first: u16,
    /// Last port, not below `first`. Default 29999.
    pub last: u16,
}

impl Default for PortRange {
    fn default() -> Self {
        Self { first: 18_000, last: 29_999 }
    }
}

impl PortRange {
    fn validate(self) -> Result<(), ConfigError> {
        within("ports.first", self.first, 1024, u16::MAX)?;
        within("ports.last", self.last, self.first, u16::MAX)
    }
}

/// One service: a command that is run in one or more replicas.
///
/// In `args` and in the values of `env` these placeholders are replaced, everything else is left alone:
/// `{port}` the replica's loopback port, `{instance}` its name such as `orders-0`, `{replica}` its index,
/// `{config}` the path of its configuration revision, `{endpoints}` the path of the endpoints file,
/// `{workdir}` its working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Name: lower-case letters, digits and `-`, starting with a letter, at most 63 characters.
    pub name: String,
    /// Program to execute.
    pub command: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables added to the inherited ones.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Replicas wanted at the start. Default 1.
    #[serde(default = "default_replicas")]
    pub replicas: u32,
    /// Upper bound for scaling, 1 to 1000. Default 8.
    #[serde(default = "default_max_replicas")]
    pub max_replicas: u32,
    /// Working directory shared by the replicas; by default a folder of the state directory.
    #[serde(default)]
    pub working_directory: Option<PathBuf>,
    /// The service's configuration, kept in revisions. Without it there is nothing to roll out or back.
    #[serde(default)]
    pub config: Option<toml::Table>,
    /// How to see that a replica is ready; without it a started replica counts as ready.
    #[serde(default)]
    pub readiness: Option<Readiness>,
    /// How a replica is stopped.
    #[serde(default)]
    pub stop: StopPolicy,
    /// What happens when a replica exits by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How many replicas may be missing or extra while they are replaced one by one.
    #[serde(default)]
    pub rollout: RolloutPolicy,
    /// Bounds of the captured output.
    #[serde(default)]
    pub logs: LogCapture,
    /// Hold a pipe open on the standard input of each replica. A program that reads it and exits at its end
    /// cannot outlive the supervisor, even when the supervisor is killed. Default false: input is empty.
    #[serde(default)]
    pub lifeline: bool,
    /// How its cache is purged, where it has one.
    #[serde(default)]
    pub cache_purge: Option<CachePurge>,
    /// How its log file is rotated, where it writes one.
    #[serde(default)]
    pub log_rotation: Option<LogRotation>,
    /// How it is throttled, where it can be.
    #[serde(default)]
    pub throttle: Option<Throttle>,
}

const fn default_replicas() -> u32 {
    1
}
const fn default_max_replicas() -> u32 {
    8
}

impl ServiceSpec {
    /// One replica of `command` with defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, command: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            replicas: default_replicas(),
            max_replicas: default_max_replicas(),
            working_directory: None,
            config: None,
            readiness: None,
            stop: StopPolicy::default(),
            restart: RestartPolicy::default(),
            rollout: RolloutPolicy::default(),
            logs: LogCapture::default(),
            lifeline: false,
            cache_purge: None,
            log_rotation: None,
            throttle: None,
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let at = |field: &str| format!("services.{}.{field}", self.name);
        let well_formed = self.name.len() <= 63
            && self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !well_formed {
            return Err(ConfigError::new(
                "services.name",
                format!("{:?}", self.name),
                "[a-z][a-z0-9-]{0,62}",
            ));
        }
        if self.command.as_os_str().is_empty() {
            return Err(ConfigError::new(at("command"), "\"\"", "a path or a program name"));
        }
        within(&at("max_replicas"), self.max_replicas, 1, 1000)?;
        within(&at("replicas"), self.replicas, 0, self.max_replicas)?;
        if let Some(readiness) = &self.readiness {
            readiness.validate(&at("readiness"))?;
        }
        self.stop.validate(&at("stop"))?;
        self.restart.validate(&at("restart"))?;
        self.rollout.validate(&at("rollout"))?;
        self.logs.validate(&at("logs"))?;
        match &self.cache_purge {
            Some(CachePurge::Directory { path }) => inside(&at("cache_purge.path"), path)?,
            Some(CachePurge::Post { path }) => absolute_url_path(&at("cache_purge.path"), path)?,
            None => {}
        }
        if let Some(rotation) = &self.log_rotation {
            inside(&at("log_rotation.file"), &rotation.file)?;
            within(&at("log_rotation.keep"), rotation.keep, 1, 100)?;
        }
        if let Some(throttle) = &self.throttle {
            throttle.validate(&at("throttle"))?;
            let current = self.config.as_ref().and_then(|config| config.get(&throttle.key));
            if current.and_then(toml::Value::as_integer).is_none() {
                return Err(ConfigError::new(
                    at("throttle.key"),
                    &throttle.key,
                    "an integer key of the service's configuration",
                ));
            }
        }
        Ok(())
    }
}

/// Readiness probe: `GET http://127.0.0.1:{port}{path}` answered with a 2xx status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// Path asked for, starting with `/`.
    pub path: String,
    /// Pause between two probes while starting, 5 ms to 1 min. Default 50 ms.
    #[serde(default = "probe_interval", with = "duration")]
    pub interval: Duration,
    /// Pause between two probes once ready, 50 ms to 10 min. Default 500 ms.
    #[serde(default = "probe_period", with = "duration")]
    pub period: Duration,
    /// Longest wait for one answer, 10 ms to 1 min. Default 500 ms.
    #[serde(default = "probe_timeout", with = "duration")]
    pub timeout: Duration,
    /// A replica that is not ready this long after its start is killed and counted as crashed, 100 ms to 1 h.
    /// Default 10 s.
    #[serde(default = "probe_deadline", with = "duration")]
    pub deadline: Duration,
    /// Consecutive failures after which a ready replica is taken out of the endpoints, 1 to 100. Default 3.
    #[serde(default = "probe_failures")]
    pub failure_threshold: u32,
}

const fn probe_interval() -> Duration {
    Duration::from_millis(50)
}
const fn probe_period() -> Duration {
    Duration::from_millis(500)
}
const fn probe_timeout() -> Duration {
    Duration::from_millis(500)
}
const fn probe_deadline() -> Duration {
    Duration::from_secs(10)
}
const fn probe_failures() -> u32 {
    3
}

impl Readiness {
    /// A probe of `path` with default times.
    #[must_use]
    pub fn http(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            interval: probe_interval(),
            period: probe_period(),
            timeout: probe_timeout(),
            deadline: probe_deadline(),
            failure_threshold: probe_failures(),
        }
    }

    fn validate(&self, at: &str) -> Result<(), ConfigError> {
        absolute_url_path(&format!("{at}.path"), &self.path)?;
        between(&format!("{at}.interval"), self.interval, millis(5), millis(60_000))?;
        between(&format!("{at}.period"), self.period, millis(50), millis(600_000))?;
        between(&format!("{at}.timeout"), self.timeout, millis(10), millis(60_000))?;
        between(&format!("{at}.deadline"), self.deadline, millis(100), millis(3_600_000))?;
        within(&format!("{at}.failure_threshold"), self.failure_threshold, 1, 100)
    }
}

/// Graceful stop: out of the endpoints, drain, `SIGTERM`, grace, `SIGKILL` to the whole process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopPolicy {
    /// Time for callers to notice that the endpoint is gone before the signal is sent, 0 to 10 min. Default 0.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// Time between `SIGTERM` and `SIGKILL`, 0 to 10 min. Default 5 s.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { drain: Duration::ZERO, grace: Duration::from_secs(5) }
    }
}

impl StopPolicy {
    fn validate(self, at: &str) -> Result<(), ConfigError> {
        between(&format!("{at}.drain"), self.drain, Duration::ZERO, millis(600_000))?;
        between(&format!("{at}.grace"), self.grace, Duration::ZERO, millis(600_000))
    }
}

/// Restart with exponential back-off after an exit that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestartPolicy {
    /// Pause before the first restart, 1 ms to 1 h. Default 200 ms.
    #[serde(with = "duration")]
    pub initial: Duration,
    /// Factor from one pause to the next, 1 to 10. Default 2.
    pub factor: f64,
    /// Longest pause, `initial` to 1 h. Default 30 s.
    #[serde(with = "duration")]
    pub max: Duration,
    /// A replica that ran this long starts again with the first pause, 0 to 24 h. Default 10 s.
    #[serde(with = "duration")]
    pub stable_after: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            initial: millis(200),
            factor: 2.0,
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
        }
    }
}

impl RestartPolicy {
    fn validate(&self, at: &str) -> Result<(), ConfigError> {
        between(&format!("{at}.initial"), self.initial, millis(1), millis(3_600_000))?;
        between(&format!("{at}.max"), self.max, self.initial, millis(3_600_000))?;
        between(&format!("{at}.stable_after"), self.stable_after, Duration::ZERO, millis(86_400_000))?;
        // NaN fails the comparison and is refused with the rest.
        if (1.0..=10.0).contains(&self.factor) {
            Ok(())
        } else {
            Err(ConfigError::new(format!("{at}.factor"), self.factor, "1 to 10"))
        }
    }

    /// Pause before restart number `attempt` (the first is 0).
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.min(64)).unwrap_or(64);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(exponent);
        // INVARIANT: `max` is at most one hour, so the conversion cannot overflow.
        Duration::from_secs_f64(seconds.min(self.max.as_secs_f64()))
    }
}

/// How replicas are replaced one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutPolicy {
    /// Replicas that may be missing at a time, 0 to 1000. Default 1.
    pub max_unavailable: u32,
    /// Extra replicas that serve while others are replaced, 0 to 1000. Default 0. They take the indices above
    /// the wanted ones, are started first and stopped last, so that names and ports of the others stay.
    pub max_surge: u32,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self { max_unavailable: 1, max_surge: 0 }
    }
}

impl RolloutPolicy {
    pub(crate) fn validate(self, at: &str) -> Result<(), ConfigError> {
        within(&format!("{at}.max_unavailable"), self.max_unavailable, 0, 1000)?;
        within(&format!("{at}.max_surge"), self.max_surge, 0, 1000)?;
        if self.max_unavailable == 0 && self.max_surge == 0 {
            return Err(ConfigError::new(
                format!("{at}.max_surge"),
                0,
                "at least 1 when max_unavailable is 0",
            ));
        }
        Ok(())
    }
}

/// Bounds of the ring that holds a replica's standard output and error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogCapture {
    /// Lines kept per replica, 1 to 1 000 000. Default 512.
    pub lines: usize,
    /// Bytes kept per line, 16 to 1 048 576; the rest of a longer line is dropped and counted. Default 2048.
    pub line_bytes: usize,
}

impl Default for LogCapture {
    fn default() -> Self {
        Self { lines: 512, line_bytes: 2048 }
    }
}

impl LogCapture {
    fn validate(self, at: &str) -> Result<(), ConfigError> {
        within(&format!("{at}.lines"), self.lines, 1, 1_000_000)?;
        within(&format!("{at}.line_bytes"), self.line_bytes, 16, 1_048_576)
    }
}

/// How a cache is purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CachePurge {
    /// Empty a folder inside the working directory. Replicas that wait in back-off are started at once, since
    /// what they could not read is gone.
    Directory {
        /// Relative path without `..`.
        path: PathBuf,
    },
    /// `POST` to this path on every ready replica.
    Post {
        /// Path, starting with `/`.
        path: String,
    },
}

/// How a log file is rotated: `file` becomes `file.1`, `file.1` becomes `file.2`, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRotation {
    /// The file inside the working directory.
    pub file: PathBuf,
    /// Rotated files kept, 1 to 100.
    pub keep: u32,
    /// How the writer learns of it.
    #[serde(default)]
    pub method: RotationMethod,
}

/// How the writer of a log file learns that it was rotated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationMethod {
    /// Copy, then truncate the original: the writer needs to know nothing, lines written in between are lost.
    #[default]
    CopyTruncate,
    /// Rename, then send `SIGHUP`, upon which the writer reopens its file.
    RenameAndHangup,
}

/// Throttling: an integer key of the configuration is multiplied by `factor` in an overlay revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Top-level key of the configuration.
    pub key: String,
    /// Factor, above 0 and below 1.
    pub factor: f64,
    /// Smallest value it is reduced to. Default 1.
    #[serde(default = "throttle_minimum")]
    pub minimum: i64,
}

const fn throttle_minimum() -> i64 {
    1
}

impl Throttle {
    fn validate(&self, at: &str) -> Result<(), ConfigError> {
        if self.factor > 0.0 && self.factor < 1.0 {
            Ok(())
        } else {
            Err(ConfigError::new(format!("{at}.factor"), self.factor, "above 0 and below 1"))
        }
    }
}

/// Durations are written as `"250ms"`, `"3s"`, `"1m 30s"`.
mod duration {
    pub(super) use jiff::fmt::serde::unsigned_duration::friendly::compact::required::{
        deserialize, serialize,
    };
}

const fn millis(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn within<T: PartialOrd + std::fmt::Display + Copy>(
    field: &str,
    value: T,
    low: T,
    high: T,
) -> Result<(), ConfigError> {
    if value >= low && value <= high {
        Ok(())
    } else {
        Err(ConfigError::new(field, value, format!("{low} to {high}")))
    }
}

fn between(field: &str, value: Duration, low: Duration, high: Duration) -> Result<(), ConfigError> {
    if value >= low && value <= high {
        Ok(())
    } else {
        Err(ConfigError::new(field, format!("{value:?}"), format!("{low:?} to {high:?}")))
    }
}

/// A purge or a rotation must not be able to leave the service's own working directory.
fn inside(field: &str, path: &Path) -> Result<(), ConfigError> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && path.components().next().is_some() {
        Ok(())
    } else {
        Err(ConfigError::new(
            field,
            path.display(),
            "a relative path below the working directory, without `..`",
        ))
    }
}

fn absolute_url_path(field: &str, path: &str) -> Result<(), ConfigError> {
    let printable = path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.starts_with('/') && printable {
        Ok(())
    } else {
        Err(ConfigError::new(field, format!("{path:?}"), "a path that starts with `/`, without spaces"))
    }
}
