//! The one error of every seam: opaque, boxed, with a kind and a retry status.

use std::error::Error as StdError;
use std::fmt;

/// `Result` with the seams' [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, in terms a caller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The implementation cannot do this at all (see its capability).
    Unsupported,
    /// The input or configuration is wrong; the same call fails again.
    Invalid,
    /// What was named does not exist.
    NotFound,
    /// The other side does not know or trust us.
    Unauthorized,
    /// A guard said no.
    Denied,
    /// Asked to slow down.
    RateLimited,
    /// No answer in time, to a call without side effects.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// The other side cannot be reached or reports a fault of its own.
    Unavailable,
    /// The answer cannot be understood.
    Malformed,
    /// A stated bound would be exceeded.
    Limit,
    /// Somebody else was first: a stale head, a repeated key, a held target.
    Conflict,
    /// Whether the effect took place is unknown. Never treated as failure, never blindly repeated.
    InDoubt,
    /// A token or approval is too old.
    Expired,
    /// The kill switch is engaged.
    Killed,
    /// A defect of the implementation.
    Internal,
}

impl ErrorKind {
    /// The kind as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Unauthorized => "unauthorized",
            Self::Denied => "denied",
            Self::RateLimited => "rate limited",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Unavailable => "unavailable",
            Self::Malformed => "malformed",
            Self::Limit => "limit exceeded",
            Self::Conflict => "conflict",
            Self::InDoubt => "in doubt",
            Self::Expired => "expired",
            Self::Killed => "kill switch engaged",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error at a seam.
///
/// ```
/// use aiops_core::{Error, ErrorKind};
/// let e = Error::new(ErrorKind::Unavailable, "no answer").at("TelemetrySource::fetch").with("host", "db-1");
/// assert_eq!(e.kind(), ErrorKind::Unavailable);
/// assert!(e.is_transient());
/// assert_eq!(e.to_string(), "unavailable at TelemetrySource::fetch: no answer (host: db-1)");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    transient: bool,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind`. Transient by default are [`Unavailable`](ErrorKind::Unavailable),
    /// [`Timeout`](ErrorKind::Timeout) and [`RateLimited`](ErrorKind::RateLimited).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let transient = matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited);
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            context: Vec::new(),
            transient,
            source: None,
        }))
    }

    /// The same error with the operation that failed, `Seam::method`. An operation that is already set stays.
    #[must_use]
    pub fn at(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// The same error with one more context pair.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((name, value.to_string()));
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, not worth retrying.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.transient = false;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same read may succeed later. Says nothing about actions: those are never repeated.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Context pairs in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(k, v)| (*k, v.as_str()))
    }

    /// The sentence without kind, operation and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.kind)?;
        if let Some(operation) = self.0.operation {
            write!(f, " at {operation}")?;
        }
        write!(f, ": {}", self.0.message)?;
        for (i, (name, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("operation", &self.0.operation)
            .field("context", &self.0.context)
            .field("transient", &self.0.transient)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}
