//! What a metric says about its entity, told from name, kind, unit and labels.

mod builtin;
mod words;

use aiops_core::model::{MetricKind, SeriesKey, Unit};
use aiops_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

pub(crate) use builtin::CAPACITY;
pub(crate) use words::Words;

/// What a metric says about its entity: the four golden signals and what stands beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricRole {
    /// Time to answer.
    Latency,
    /// Requests or work that failed.
    Errors,
    /// Requests or work done.
    Traffic,
    /// How full a bounded thing is: pools, queues, locks, requests in flight.
    Saturation,
    /// Memory, processor, disk, descriptors, devices.
    Resource,
    /// How often it was started anew.
    Restarts,
    /// Whether it is there and ready.
    Liveness,
    /// How well a cache and the like do their work.
    Efficiency,
    /// What it is set to: limits, versions, wanted copies.
    Configuration,
    /// Nothing that names and units tell.
    Other,
}

impl MetricRole {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Latency,
        Self::Errors,
        Self::Traffic,
        Self::Saturation,
        Self::Resource,
        Self::Restarts,
        Self::Liveness,
        Self::Efficiency,
        Self::Configuration,
        Self::Other,
    ];

    /// Whether it is seen on the way of requests, where the trouble of a callee shows in the caller.
    #[must_use]
    pub fn is_request_path(self) -> bool {
        matches!(self, Self::Latency | Self::Errors | Self::Traffic)
    }
}

/// Which way of a metric is harm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// More is worse.
    HigherIsWorse,
    /// Less is worse.
    LowerIsWorse,
    /// The further from this value, the worse: states that a number stands for, of which one is in order.
    AwayFrom(i32),
    /// Either may be.
    #[default]
    Either,
}

impl Polarity {
    /// How much worse `is` than `was`, in the metric's unit; less than nothing where it is better. Of [`Self::Either`] more counts as worse.
    pub(crate) fn worse_by(self, was: f64, is: f64) -> f64 {
        match self {
            Self::HigherIsWorse | Self::Either => is - was,
            Self::LowerIsWorse => was - is,
            Self::AwayFrom(right) => (is - f64::from(right)).abs() - (was - f64::from(right)).abs(),
        }
    }
}

/// On which side of a call a metric is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where requests arrive.
    Server,
    /// Where requests are sent; it tells as much about the one called.
    Client,
    /// Inside.
    Internal,
}

/// What [`MetricRoles`] tells of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricClass {
    /// What it says.
    pub role: MetricRole,
    /// The resource or part it speaks about, in the field's word (`memory`, `connection pool`, `lock`).
    pub mechanism: Option<String>,
    /// Which way is harm.
    pub polarity: Polarity,
    /// Where it is taken.
    pub side: Side,
    /// Name of the one called, where a label tells.
    pub peer: Option<String>,
    /// Name of the one who calls (a tenant, a client), where a label tells.
    pub caller: Option<String>,
}

/// Tells a role from words in a metric's name.
///
/// A phrase is one or more words in a row, e.g. `in use`. Names are split at everything but letters and digits and at
/// `camelCase`, put in lower case, and stripped of a plural `s`; of `rate(…)`, `p95(…)` the inner name counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleRule {
    /// Phrases of which one must be there.
    pub phrases: Vec<String>,
    /// Phrases of which none may be there.
    #[serde(default)]
    pub without: Vec<String>,
    /// Kinds of series; empty for all.
    #[serde(default)]
    pub kinds: Vec<MetricKind>,
    /// Role of what matches.
    pub role: MetricRole,
    /// Resource or part it speaks about.
    #[serde(default)]
    pub mechanism: Option<String>,
    /// Which way is harm; default [`Polarity::Either`].
    #[serde(default)]
    pub polarity: Polarity,
}

impl RoleRule {
    /// Metrics with one of `phrases` in the name have `role`.
    pub fn new<P: Into<String>>(
        phrases: impl IntoIterator<Item = P>,
        role: MetricRole,
        polarity: Polarity,
    ) -> Self {
        Self {
            phrases: phrases.into_iter().map(Into::into).collect(),
            without: Vec::new(),
            kinds: Vec::new(),
            role,
            mechanism: None,
            polarity,
        }
    }

    /// The same about this resource or part.
    #[must_use]
    pub fn about(mut self, mechanism: impl Into<String>) -> Self {
        self.mechanism = Some(mechanism.into());
        self
    }

    /// The same, unless one of `phrases` is there.
    #[must_use]
    pub fn without<P: Into<String>>(mut self, phrases: impl IntoIterator<Item = P>) -> Self {
        self.without = phrases.into_iter().map(Into::into).collect();
        self
    }

    /// The same for these kinds only.
    #[must_use]
    pub fn of_kinds(mut self, kinds: impl IntoIterator<Item = MetricKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }
}

/// Settings of [`MetricRoles`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricRolesConfig {
    /// Rules of one's own; the first that matches wins, and all come before the built-in ones.
    pub rules: Vec<RoleRule>,
    /// Labels that name the one called. Default: those of OpenTelemetry, Istio, Linkerd and Envoy.
    pub peer_labels: Vec<String>,
    /// Labels that name the one who calls. Default: `tenant`, `caller`, `client`, `source` and the like.
    pub caller_labels: Vec<String>,
    /// Labels by which one exporter tells about others (liveness, restarts). Default `service`, `deployment`, ….
    pub subject_labels: Vec<String>,
    /// Labels that tell how a request ended. Default `code`, `status`, `outcome`, `result` and the like.
    pub outcome_labels: Vec<String>,
}

impl Default for MetricRolesConfig {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Self {
            rules: Vec::new(),
            peer_labels: list(&[
                "peer.service",
                "peer_service",
                "peer",
                "destination_service_name",
                "destination_service",
                "destination_workload",
                "destination",
                "dst_deployment",
                "upstream_cluster",
                "upstream",
                "callee",
                "server.address",
                "server_address",
            ]),
            caller_labels: list(&[
                "tenant",
                "tenant_id",
                "caller",
                "client",
                "client_id",
                "client_service",
                "source_service",
                "source_workload",
                "source",
                "consumer",
                "origin",
            ]),
            subject_labels: list(&[
                "service.name",
                "service_name",
                "service",
                "deployment",
                "statefulset",
                "daemonset",
                "app",
            ]),
            outcome_labels: list(&[
                "http.response.status_code",
                "http_response_status_code",
                "status_code",
                "code",
                "status",
                "grpc_code",
                "response_code",
                "response_flags",
                "error.type",
                "error_type",
                "outcome",
                "result",
            ]),
        }
    }
}

/// Tells [`MetricClass`]es. Pure and deterministic; O(rules · words) a metric.
///
/// ```
/// use aiops_core::model::{MetricKind, SeriesKey, Unit};
/// use aiops_rca::{MetricRole, MetricRoles};
/// let roles = MetricRoles::default();
/// let errors = SeriesKey::new("http_server_requests_total").with("status", "503");
/// assert_eq!(roles.classify(&errors, MetricKind::Rate, &Unit::default()).role, MetricRole::Errors);
/// let pool = SeriesKey::new("db.client.connection.pending_requests");
/// let class = roles.classify(&pool, MetricKind::Gauge, &Unit::default());
/// assert_eq!((class.role, class.mechanism.as_deref()), (MetricRole::Saturation, Some("connection pool")));
/// ```
#[derive(Debug, Clone)]
pub struct MetricRoles {
    config: MetricRolesConfig,
    rules: Vec<Prepared>,
}

/// A rule with its phrases split into words.
#[derive(Debug, Clone)]
struct Prepared {
    rule: RoleRule,
    phrases: Vec<Words>,
    without: Vec<Words>,
}

impl Prepared {
    fn new(rule: RoleRule) -> Self {
        let split = |phrases: &[String]| phrases.iter().map(|p| Words::of(p)).collect();
        Self { phrases: split(&rule.phrases), without: split(&rule.without), rule }
    }

    fn matches(&self, words: &Words, kind: MetricKind) -> bool {
        (self.rule.kinds.is_empty() || self.rule.kinds.contains(&kind))
            && self.phrases.iter().any(|p| words.contain(p))
            && !self.without.iter().any(|p| words.contain(p))
    }
}

impl Default for MetricRoles {
    fn default() -> Self {
        Self::prepare(MetricRolesConfig::default())
    }
}

impl MetricRoles {
    /// The settings.
    #[must_use]
    pub fn config(&self) -> &MetricRolesConfig {
        &self.config
    }

    /// A classifier with rules of one's own.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a rule without phrases, or with a phrase without letters and digits.
    pub fn new(config: MetricRolesConfig) -> Result<Self> {
        for (i, rule) in config.rules.iter().enumerate() {
            let empty = rule.phrases.iter().chain(&rule.without).any(|p| Words::of(p).is_empty());
            if rule.phrases.is_empty() || empty {
                return Err(Error::new(ErrorKind::Invalid, "a role rule needs phrases of letters or digits")
                    .with("rules", i)
                    .with("value", format!("{:?}", rule.phrases)));
            }
        }
        Ok(Self::prepare(config))
    }

    fn prepare(config: MetricRolesConfig) -> Self {
        let rules = config.rules.iter().cloned().chain(builtin::rules()).map(Prepared::new).collect();
        Self { config, rules }
    }

    /// What `series` says.
    #[must_use]
    pub fn classify(&self, series: &SeriesKey, kind: MetricKind, unit: &Unit) -> MetricClass {
        let words = Words::of(inner_name(&series.name));
        let label = |names: &[String]| {
            names.iter().find_map(|n| series.labels.get(n)).filter(|v| !v.is_empty()).map(str::to_owned)
        };
        let peer = label(&self.config.peer_labels);
        let caller = label(&self.config.caller_labels);
        let side = side_of(&words, peer.is_some());
        let outcomes: Vec<&str> =
            self.config.outcome_labels.iter().filter_map(|n| series.labels.get(n)).collect();
        let mut class = MetricClass {
            role: MetricRole::Other,
            mechanism: None,
            polarity: Polarity::Either,
            side,
            peer,
            caller,
        };
        if let Some(own) = self.rules.iter().take(self.config.rules.len()).find(|r| r.matches(&words, kind)) {
            let class = own.give(class);
            // More requests that fail are no more traffic.
            return if class.role == MetricRole::Traffic {
                builtin::refine(class, &words, &outcomes)
            } else {
                class
            };
        }
        if builtin::is_failure_function(outer_name(&series.name)) {
            // `error_ratio(requests)`: what is derived speaks of failures, whatever it is derived from.
            (class.role, class.polarity) = (MetricRole::Errors, Polarity::HigherIsWorse);
        } else if is_event_count(&words, kind) {
            // The rate of a duration's histogram counts events, whatever the duration was of.
            class.role = MetricRole::Traffic;
            if side == Side::Server && !words.contain(&Words::of("request")) {
                class.side = Side::Internal;
            }
        } else if let Some(rule) = self.rules.iter().find(|r| r.matches(&words, kind)) {
            class = rule.give(class);
        } else {
            class = builtin::fallback(class, kind, unit);
        }
        builtin::refine(class, &words, &outcomes)
    }

    /// Names under which a series may speak about another entity than the one that exposes it.
    pub(crate) fn subject<'a>(&'a self, series: &'a SeriesKey) -> impl Iterator<Item = &'a str> {
        self.config.subject_labels.iter().filter_map(|n| series.labels.get(n)).filter(|v| !v.is_empty())
    }
}

impl Prepared {
    fn give(&self, mut class: MetricClass) -> MetricClass {
        class.role = self.rule.role;
        class.mechanism.clone_from(&self.rule.mechanism);
        class.polarity = self.rule.polarity;
        class
    }
}

/// `x` of `rate(x)` and `p95(x)`.
fn inner_name(name: &str) -> &str {
    let from = name.rfind('(').map_or(name, |i| name.get(i + 1..).unwrap_or(name));
    from.find(')').map_or(from, |i| from.get(..i).unwrap_or(from))
}

/// `rate` of `rate(x)`; empty for a plain name.
fn outer_name(name: &str) -> &str {
    name.rfind('(').map_or("", |i| name.get(..i).unwrap_or_default())
}

fn side_of(words: &Words, has_peer: bool) -> Side {
    let any = |list: &[&str]| list.iter().any(|w| words.contain(&Words::of(w)));
    if any(&["client", "outbound", "outgoing", "egress", "upstream"]) {
        Side::Client
    } else if any(&["server", "inbound", "incoming", "ingress"]) || !has_peer {
        Side::Server
    } else {
        Side::Client
    }
}

fn is_event_count(words: &Words, kind: MetricKind) -> bool {
    matches!(kind, MetricKind::Rate | MetricKind::Counter)
        && (words.end_with(&["second", "millisecond", "duration", "latency"]) || words.end_with(&["count"]))
}
