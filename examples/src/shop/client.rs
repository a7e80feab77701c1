//! How processes find and call each other.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aiops_process::Endpoints;
use axum::http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::metrics::Metrics;

/// How often the endpoints file is looked at.
const REFRESH: Duration = Duration::from_millis(100);

/// Addresses of peers, read from the endpoints file.
#[derive(Debug)]
pub(crate) struct Peers {
    path: PathBuf,
    known: Mutex<(Option<SystemTime>, Endpoints)>,
    turn: AtomicUsize,
}

impl Peers {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        let peers = Arc::new(Self { path, known: Mutex::default(), turn: AtomicUsize::new(0) });
        peers.refresh();
        peers
    }

    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REFRESH).await;
            self.refresh();
        }
    }

    fn refresh(&self) {
        let modified = std::fs::metadata(&self.path).and_then(|data| data.modified()).ok();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if modified == known.0 {
            return;
        }
        let read = std::fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(endpoints) = read {
            *known = (modified, endpoints);
        }
    }

    /// Addresses of a service, starting with another one each time.
    pub(crate) fn addresses(&self, service: &str) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses: Vec<String> = known.1.of(service).map(|(_, address)| address.to_owned()).collect();
        if !addresses.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        addresses
    }
}

/// Why a call brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no endpoint")]
    NoEndpoint,
    #[error("timeout")]
    Timeout,
    #[error("connection failed")]
    Connection,
}

impl CallError {
    const fn label(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
        }
    }
}

/// A pooled HTTP client that spreads calls over a service's replicas.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    peers: Arc<Peers>,
    client: Client<HttpConnector, Empty<Bytes>>,
    metrics: Option<Metrics>,
}

impl Caller {
    pub(crate) fn new(peers: Arc<Peers>, metrics: Option<Metrics>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_millis(500)));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(10))
            .build(connector);
        Self { peers, client, metrics }
    }

    /// Calls a replica of `service`; a replica that refuses the connection is passed over once.
    pub(crate) async fn call(
        &self,
        service: &'static str,
        method: Method,
        path: &str,
        tenant: &'static str,
        timeout: Duration,
    ) -> Result<(u16, Bytes), CallError> {
        let began = Instant::now();
        let attempts = async {
            let mut result = Err(CallError::NoEndpoint);
            for address in self.peers.addresses(service).iter().take(2) {
                result = self.once(address, method.clone(), path, tenant).await;
                if result.is_ok() {
                    break;
                }
            }
            result
        };
        let result = tokio::time::timeout(timeout, attempts).await.unwrap_or(Err(CallError::Timeout));
        if let Some(metrics) = &self.metrics {
            let code = match &result {
                Ok((code, _)) => code.to_string(),
                Err(error) => error.label().to_owned(),
            };
            metrics.calls.with_label_values(&[service, &code]).inc();
            metrics.call_duration.with_label_values(&[service]).observe(began.elapsed().as_secs_f64());
        }
        result
    }

    async fn once(
        &self,
        address: &str,
        method: Method,
        path: &str,
        tenant: &'static str,
    ) -> Result<(u16, Bytes), CallError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header("x-tenant", tenant)
            .body(Empty::new())
            .map_err(|_| CallError::Connection)?;
        let response = self.client.request(request).await.map_err(|_| CallError::Connection)?;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|_| CallError::Connection)?;
        Ok((code, body.to_bytes()))
    }
}
