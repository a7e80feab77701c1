use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use aiops_act::KillFile;
use aiops_act::approval::{ApprovalDesk, Reply, RequestId, Standing, Ticket, check_reason};
use aiops_core::action::Principal;
use aiops_core::guard::KillSwitch;
use aiops_core::{Context, Error, ErrorKind, Result};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};

use crate::config::ServerConfig;
use crate::fault::Fault;
use crate::serve::serve;

/// The HTTP API over an approval desk.
#[derive(Debug)]
pub struct ApprovalServer {
    desk: ApprovalDesk,
    kill_switch: Option<KillSwitch>,
    kill_file: Option<KillFile>,
    config: ServerConfig,
}

#[derive(Debug)]
struct Shared {
    server: ApprovalServer,
    ctx: Context,
}

type Shop = State<Arc<Shared>>;

impl ApprovalServer {
    /// A server over `desk`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when nobody has a token, two people have one, a name is none an approver may have, or the address can be reached by
    /// others and that is not allowed.
    pub fn new(desk: ApprovalDesk, config: ServerConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { desk, kill_switch: None, kill_file: None, config })
    }

    /// The same; people can stop this process here too, until it ends. Other replicas go on:
    /// [`with_kill_file`](Self::with_kill_file) stops them all.
    #[must_use]
    pub fn with_kill_switch(mut self, kill_switch: KillSwitch) -> Self {
        self.kill_switch = Some(kill_switch);
        self
    }

    /// The same; whoever stops this process here also makes `file`, which `kill_switch` watches from now on: so every process that
    /// watches it is stopped, and stays so after a restart, until somebody removes the file.
    #[must_use]
    pub fn with_kill_file(mut self, kill_switch: KillSwitch, file: KillFile) -> Self {
        kill_switch.watch(file.clone());
        (self.kill_switch, self.kill_file) = (Some(kill_switch), Some(file));
        self
    }

    /// Takes its address. Returns it, with the future that serves until it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the address cannot be had.
    pub async fn bind(
        self,
        ctx: Context,
    ) -> Result<(SocketAddr, impl Future<Output = Result<()>> + Send + 'static)> {
        let (listen, most, head) =
            (self.config.listen, self.config.most_connections, self.config.head_within);
        let taken = async {
            let listener = tokio::net::TcpListener::bind(listen).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = taken.await.map_err(|e: std::io::Error| unavailable(listen, e))?;
        let router = self.router(ctx);
        Ok((address, async move { match serve(listener, router, most, head).await {} }))
    }

    /// The routes, to be nested in a server of one's own. They authenticate by themselves; the number of connections and the time for heads are that server's.
    pub fn router(self, ctx: Context) -> Router {
        let longest_body = self.config.longest_body;
        let shared = Arc::new(Shared { server: self, ctx });
        Router::new()
            .route("/v1/approvals", get(pending))
            .route("/v1/approvals/{id}", get(one))
            .route("/v1/approvals/{id}/answer", post(answer))
            .route("/v1/kill-switch", get(kill_switch).post(engage))
            .fallback(async || Fault::new(StatusCode::NOT_FOUND, ErrorKind::NotFound, "no such resource"))
            .method_not_allowed_fallback(async || {
                Fault::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::Unsupported, "not with this method")
            })
            .layer(DefaultBodyLimit::max(longest_body))
            // Outermost, so that nothing is told to whom has no token.
            .layer(from_fn_with_state(Arc::clone(&shared), authenticate))
            .with_state(shared)
    }
}

fn unavailable(address: SocketAddr, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the approval server cannot serve")
        .with("address", address)
        .caused_by(e)
}

async fn authenticate(State(shared): Shop, mut request: Request, next: Next) -> Response {
    let owner = bearer(request.headers()).and_then(|token| shared.server.config.owner(token));
    let Some(who) = owner.cloned() else {
        tracing::warn!(method = %request.method(), path = request.uri().path(), "a request without a known token");
        return Fault::unauthorized().into_response();
    };
    request.extensions_mut().insert(who);
    let answered = tokio::time::timeout(shared.server.config.answer_within, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| Fault::too_late().into_response());
    // What is shown is for this person, now.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 6750, section 2.1. Of several headers none counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let only = given.next().filter(|_| given.next().is_none())?;
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A request as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    standing: Standing,
    #[serde(flatten)]
    ticket: Ticket,
}

impl Shown {
    fn of(ticket: Ticket, ctx: &Context) -> Json<Self> {
        Json(Self { standing: ticket.standing(ctx.now()), ticket })
    }
}

#[derive(Debug, Serialize)]
struct Waiting {
    approvals: Vec<Ticket>,
}

async fn pending(State(shared): Shop) -> Result<Json<Waiting>, Fault> {
    let approvals = shared.server.desk.pending(&shared.ctx).await?;
    Ok(Json(Waiting { approvals }))
}

async fn one(State(shared): Shop, Path(id): Path<String>) -> Result<Json<Shown>, Fault> {
    let ticket = shared.server.desk.ticket(&RequestId::new(id), &shared.ctx).await?;
    Ok(Shown::of(ticket, &shared.ctx))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    granted: bool,
    reason: String,
    #[serde(default)]
    diagnosis_right: Option<bool>,
}

async fn answer(
    State(shared): Shop,
    Extension(who): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Shown>, Fault> {
    let Answered { granted, reason, diagnosis_right } = read(&headers, body)?;
    let reply = if granted { Reply::grant(who, reason) } else { Reply::refuse(who, reason) };
    let reply = reply.with_diagnosis(diagnosis_right);
    let ticket = shared.server.desk.answer(&RequestId::new(id), reply, &shared.ctx).await?;
    Ok(Shown::of(ticket, &shared.ctx))
}

/// The body as JSON; a page of another origin cannot send one without being asked about first.
fn read<T: for<'de> Deserialize<'de>>(
    headers: &HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<T, Fault> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let why = "the body is to be application/json";
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorKind::Unsupported, why));
    }
    let body = body.map_err(|e| {
        let kind =
            if e.status() == StatusCode::PAYLOAD_TOO_LARGE { ErrorKind::Limit } else { ErrorKind::Malformed };
        Fault::new(e.status(), kind, "the body cannot be read")
    })?;
    serde_json::from_slice(&body)
        .map_err(|e| Fault::new(StatusCode::BAD_REQUEST, ErrorKind::Malformed, format!("the body: {e}")))
}

#[derive(Debug, Serialize)]
struct Switched {
    engaged: bool,
    reason: Option<String>,
    /// What `POST` here stops.
    reach: Reach,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    /// This process, until it ends.
    Process,
    /// Every process that watches the kill file, until somebody removes it.
    File,
}

impl Shared {
    fn kill_switch(&self) -> Result<&KillSwitch, Fault> {
        let none =
            || Fault::new(StatusCode::NOT_FOUND, ErrorKind::Unsupported, "no kill switch is wired here");
        self.server.kill_switch.as_ref().ok_or_else(none)
    }

    fn switched(&self, switch: &KillSwitch) -> Json<Switched> {
        let reason = switch.reason();
        let reach = if self.server.kill_file.is_some() { Reach::File } else { Reach::Process };
        Json(Switched { engaged: reason.is_some(), reason, reach })
    }
}

async fn kill_switch(State(shared): Shop) -> Result<Json<Switched>, Fault> {
    Ok(shared.switched(shared.kill_switch()?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Engage {
    reason: String,
}

async fn engage(
    State(shared): Shop,
    Extension(who): Extension<Principal>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Switched>, Fault> {
    let Engage { reason } = read(&headers, body)?;
    let switch = shared.kill_switch()?;
    check_reason(&reason)?;
    if reason.trim().is_empty() || reason.contains(char::is_control) {
        let why = "a reason in one line is needed";
        return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorKind::Invalid, why));
    }
    // This process at once; it says so only when the others are stopped too.
    switch.engage(&who, &reason);
    if let Some(file) = shared.server.kill_file.clone() {
        let made = tokio::task::spawn_blocking(move || file.engage(&who, &reason)).await;
        if let Err(e) =
            made.unwrap_or_else(|e| Err(Error::new(ErrorKind::Internal, "the task ended").caused_by(e)))
        {
            tracing::error!(error = %e, "the kill file could not be made");
            let why = "stopped in this process only: the kill file could not be made";
            return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, e.kind(), why));
        }
    }
    Ok(shared.switched(switch))
}
