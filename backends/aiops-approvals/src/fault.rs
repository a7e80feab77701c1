use aiops_core::{Error, ErrorKind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What a client is told went wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    kind: &'a str,
    message: &'a str,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { status, kind: kind.as_str(), message: message.into() }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::Unauthorized, "a bearer token is needed")
    }

    /// The same answer may be sent again: it counts once.
    pub(crate) fn too_late() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Timeout, "the request took too long")
    }
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        let status = match e.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Denied => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Expired => StatusCode::GONE,
            ErrorKind::Invalid | ErrorKind::Limit => StatusCode::UNPROCESSABLE_ENTITY,
            // The file is not as it should be; the details, its path among them, are for the log.
            _ => {
                tracing::error!(error = %e, "the approval desk failed");
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, e.kind(), "the approval desk failed");
            }
        };
        Self::new(status, e.kind(), e.message())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = Body { error: Told { kind: self.kind, message: &self.message } };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
