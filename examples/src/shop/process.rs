//! What all processes of the shop share: arguments, configuration, the HTTP server, graceful stop.

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

use super::admin::{self, Knobs};
use super::client::{CallError, Caller, Peers};
use super::metrics::Metrics;
use super::pool::{PoolError, Raised};
use super::{ShopError, gateway, inventory, orders, store, worker};

/// The hidden sub-command with which the program starts itself as one process of the shop.
pub(crate) const SUBCOMMAND: &str = "serve";

/// Longest time for requests in flight to end after `SIGTERM`.
const DRAIN: Duration = Duration::from_millis(1500);

/// What a role gets to work with.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) instance: String,
    pub(crate) metrics: Metrics,
    pub(crate) caller: Caller,
    pub(crate) peers: Arc<Peers>,
    pub(crate) knobs: Arc<Knobs>,
    pub(crate) log: Arc<Log>,
    config: PathBuf,
    port: u16,
}

/// Runs one process of the shop if this program was started as one; call it first of all in `main`.
///
/// Returns `None` in the program itself.
#[must_use]
pub fn run_if_service() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(SUBCOMMAND) {
        return None;
    }
    let arguments: Vec<String> = arguments.collect();
    Some(match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    })
}

fn run(arguments: &[String]) -> Result<(), ShopError> {
    let [service, instance, port, config, endpoints] = arguments else {
        return Err(ShopError::Arguments);
    };
    let port = port.parse().map_err(|_| ShopError::Arguments)?;
    let config = PathBuf::from(config);
    let revision = config.file_stem().and_then(|stem| stem.to_str()?.strip_prefix('r')?.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    exit_with_parent();
    runtime.block_on(async {
        let metrics = Metrics::new(service, instance, revision.unwrap_or_default())?;
        let peers = Peers::new(PathBuf::from(endpoints));
        let process = Process {
            instance: instance.clone(),
            caller: Caller::new(Arc::clone(&peers), Some(metrics.clone())),
            metrics,
            peers: Arc::clone(&peers),
            knobs: Arc::default(),
            log: Arc::new(Log::new(service, instance)),
            config,
            port,
        };
        tokio::spawn(peers.follow());
        if let Some(folder) = std::env::var_os(admin::FOLDER_VARIABLE) {
            tokio::spawn(admin::serve(folder.into(), instance.clone(), Arc::clone(&process.knobs)));
        }
        match service.as_str() {
            "gateway" => gateway::run(process).await,
            "orders" => orders::run(process).await,
            "inventory" => inventory::run(process).await,
            "store" => store::run(process).await,
            "worker" => worker::run(process).await,
            _ => Err(ShopError::Arguments),
        }
    })
}

/// The supervisor holds the other end of our standard input: when it is gone, so are we.
fn exit_with_parent() {
    std::thread::spawn(|| {
        let mut sink = [0_u8; 64];
        while matches!(std::io::stdin().read(&mut sink), Ok(read) if read > 0) {}
        std::process::exit(0);
    });
}

#[derive(Debug, Clone)]
struct Server {
    process: Process,
    guard: Arc<MemoryGuard>,
    stopping: Arc<AtomicBool>,
}

impl Process {
    /// Reads the configuration revision this process was started with.
    pub(crate) fn config<C: DeserializeOwned>(&self) -> Result<C, ShopError> {
        Ok(toml::from_str(&std::fs::read_to_string(&self.config)?)?)
    }

    /// Serves `routes` beside `/healthz` and `/metrics` until `SIGTERM`.
    pub(crate) async fn serve(self, routes: Router, memory_limit_mb: u64) -> Result<(), ShopError> {
        let stopping = Arc::new(AtomicBool::new(false));
        let guard = Arc::new(MemoryGuard::new(memory_limit_mb));
        let limit = self.metrics.gauge("process_memory_limit_bytes", "Memory from which work is refused.")?;
        limit.set(i64::try_from(guard.limit_bytes).unwrap_or(i64::MAX));
        tokio::spawn(Arc::clone(&guard).watch(self.metrics.clone()));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let server = Server { process: self, guard, stopping: Arc::clone(&stopping) };
        let router = routes
            .layer(middleware::from_fn_with_state(server.clone(), observe))
            .route("/healthz", get(healthz).with_state(server.clone()))
            .route("/metrics", get(metrics).with_state(server));
        let mut terminate = signal(SignalKind::terminate())?;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(serving.into_future());
        terminate.recv().await;
        stopping.store(true, Ordering::Relaxed);
        let _ = stop.send(());
        // What is still running after this is cut off; the exit code stays clean.
        let _ = tokio::time::timeout(DRAIN, serving).await;
        Ok(())
    }
}

async fn healthz(State(server): State<Server>) -> StatusCode {
    if server.stopping.load(Ordering::Relaxed) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

async fn metrics(State(server): State<Server>) -> Result<String, StatusCode> {
    server.process.metrics.page().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Counts, times and admits every request.
async fn observe(
    State(server): State<Server>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let metrics = &server.process.metrics;
    let _in_flight = Raised::new(&metrics.in_flight);
    let response = if server.guard.is_over() {
        Failure(StatusCode::SERVICE_UNAVAILABLE).into_response()
    } else {
        server.guard.retain(server.process.knobs.retained_bytes.load(Ordering::Relaxed));
        let extra = server.process.knobs.extra_ms.load(Ordering::Relaxed);
        if extra > 0 {
            tokio::time::sleep(Duration::from_millis(extra)).await;
        }
        next.run(request).await
    };
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    metrics.requests.with_label_values(&[route, response.status().as_str()]).inc();
    metrics.duration.observe(began.elapsed().as_secs_f64());
    response
}

/// Refuses work while the process uses more memory than its configuration allows.
#[derive(Debug)]
struct MemoryGuard {
    limit_bytes: u64,
    over: AtomicBool,
    retained: std::sync::Mutex<Vec<Vec<u8>>>,
    written: AtomicU64,
}

impl MemoryGuard {
    fn new(limit_mb: u64) -> Self {
        Self {
            limit_bytes: limit_mb.saturating_mul(1 << 20),
            over: AtomicBool::new(false),
            retained: std::sync::Mutex::default(),
            written: AtomicU64::new(0),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn retain(&self, bytes: u64) {
        let Ok(bytes) = usize::try_from(bytes) else { return };
        if bytes > 0 {
            // Not zero, so that the pages are really there.
            let fill = u8::try_from(self.written.fetch_add(1, Ordering::Relaxed) % 251).unwrap_or(0) + 1;
            let held = vec![fill; bytes];
            self.retained.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(held);
        }
    }

    async fn watch(self: Arc<Self>, metrics: Metrics) {
        loop {
            self.over.store(metrics.observe_process() > self.limit_bytes, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// An answer without content other than its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) StatusCode);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self(match error {
            CallError::Timeout => StatusCode::GATEWAY_TIMEOUT,
            CallError::NoEndpoint | CallError::Connection => StatusCode::BAD_GATEWAY,
        })
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Exhausted => Self(StatusCode::SERVICE_UNAVAILABLE),
            PoolError::Call(error) => error.into(),
        }
    }
}

/// JSON lines on standard output, at most five a second.
#[derive(Debug)]
pub(crate) struct Log {
    service: String,
    instance: String,
    window: std::sync::Mutex<(Instant, u32)>,
}

impl Log {
    fn new(service: &str, instance: &str) -> Self {
        Self {
            service: service.to_owned(),
            instance: instance.to_owned(),
            window: std::sync::Mutex::new((Instant::now(), 0)),
        }
    }

    pub(crate) fn write(&self, level: &str, message: &str, detail: &str) {
        {
            let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if window.0.elapsed() >= Duration::from_secs(1) {
                *window = (Instant::now(), 0);
            }
            window.1 = window.1.saturating_add(1);
            if window.1 > 5 {
                return;
            }
        }
        let line = serde_json::json!({
            "level": level, "service": self.service, "instance": self.instance,
            "message": message, "detail": detail,
        });
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}
