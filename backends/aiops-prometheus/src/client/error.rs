use std::time::Duration;

use aiops_core::{Error, ErrorKind};

/// Why the server's API gave no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection: nothing listens, name unknown, TLS refused.
    #[error("cannot connect to the server")]
    Connect(#[source] reqwest::Error),
    /// The answer did not come, or not to its end, within the timeout.
    #[error("no complete answer within {timeout:?}")]
    Timeout {
        /// The limit.
        timeout: Duration,
        /// What the HTTP client said.
        source: reqwest::Error,
    },
    /// The connection broke during the exchange, or what came is not HTTP.
    #[error("the exchange broke off")]
    Transport(#[source] reqwest::Error),
    /// A status the API does not document, such as a proxy's, or one without an API error in its body.
    #[error("HTTP status {status}: {excerpt}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Start of the body.
        excerpt: String,
        /// `Retry-After`, where given in seconds.
        retry_after: Option<Duration>,
    },
    /// The API refused, in its own words.
    #[error("the server refused (HTTP {status}, {error_type}): {message}")]
    Api {
        /// HTTP status.
        status: u16,
        /// `bad_data`, `execution`, `timeout`, `canceled`, `internal`, `unavailable`, `not_found`, or what the server calls it.
        error_type: String,
        /// The server's message.
        message: String,
        /// `Retry-After`, where given in seconds.
        retry_after: Option<Duration>,
    },
    /// The body is longer than allowed.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// More series than allowed.
    #[error("the answer has {series} series, more than {limit}")]
    TooManySeries {
        /// Series in the answer.
        series: usize,
        /// The limit.
        limit: usize,
    },
    /// The body is not the JSON the API documents: cut short, nested too deeply, wrong types, numbers out of range.
    #[error("the answer is not what the API documents: {excerpt}")]
    Decode {
        /// Start of the body.
        excerpt: String,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// Well-formed, but impossible: a sample off the grid, series twice, another result type than asked for.
    #[error("the answer contradicts the request: {0}")]
    Protocol(String),
    /// The caller's context ended: cancelled or past its deadline.
    #[error(transparent)]
    Ended(#[from] aiops_core::Error),
    /// The request is senseless: no step, end before start, unknown time.
    #[error("invalid request: {0}")]
    Request(String),
}

impl ClientError {
    /// Whether the same read may succeed a moment later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            // A certificate that is not trusted now will not be in a second either.
            Self::Connect(error) => !is_tls(error),
            Self::Timeout { .. } | Self::Transport(_) => true,
            Self::Status { status, .. } => transient_status(*status),
            Self::Api { status, error_type, .. } => match error_type.as_str() {
                "timeout" | "unavailable" | "internal" | "canceled" => true,
                "bad_data" | "execution" | "not_found" => false,
                _ => transient_status(*status),
            },
            Self::TooLarge { .. }
            | Self::TooManySeries { .. }
            | Self::Decode { .. }
            | Self::Protocol(_)
            | Self::Ended(_)
            | Self::Request(_) => false,
        }
    }

    /// How long the server asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } | Self::Api { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn from_reqwest(error: reqwest::Error, timeout: Duration) -> Self {
        // The address may carry a label value in its path; the configuration already says which server it is.
        let error = error.without_url();
        if error.is_timeout() && !error.is_connect() {
            Self::Timeout { timeout, source: error }
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::Transport(error)
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let error = match error {
            ClientError::Ended(ended) => return ended,
            error => error,
        };
        let transient = error.is_transient();
        let kind = match &error {
            ClientError::Ended(ended) => ended.kind(),
            ClientError::Connect(_) | ClientError::Transport(_) => ErrorKind::Unavailable,
            ClientError::Timeout { .. } => ErrorKind::Timeout,
            ClientError::Status { status, .. } => kind_of_status(*status),
            ClientError::Api { status, error_type, .. } => match error_type.as_str() {
                "bad_data" | "execution" => ErrorKind::Invalid,
                "timeout" => ErrorKind::Timeout,
                "not_found" => ErrorKind::NotFound,
                "internal" | "unavailable" | "canceled" => ErrorKind::Unavailable,
                _ => kind_of_status(*status),
            },
            ClientError::TooLarge { .. } | ClientError::TooManySeries { .. } => ErrorKind::Limit,
            ClientError::Decode { .. } | ClientError::Protocol(_) => ErrorKind::Malformed,
            ClientError::Request(_) => ErrorKind::Invalid,
        };
        let seam = Self::new(kind, error.to_string()).caused_by(error);
        if transient { seam } else { seam.permanent() }
    }
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Unauthorized,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

fn transient_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // The handshake's failure comes wrapped in io::Errors, whose own `source` skips what they wrap.
        cause = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    false
}
