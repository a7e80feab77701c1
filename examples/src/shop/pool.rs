//! A finite pool of connections to the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use prometheus::{Histogram, IntCounter, IntGauge};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ShopError;
use super::client::{CallError, Peers};
use super::metrics::Metrics;

/// Why no connection could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("no connection became free in time")]
    Exhausted,
    #[error("{0}")]
    Call(#[from] CallError),
}

/// A pool of at most `size` connections; further callers wait up to `acquire_timeout` in the order of arrival.
#[derive(Debug)]
pub(crate) struct Pool {
    peers: Arc<Peers>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    acquire_timeout: Duration,
    in_use: IntGauge,
    waiting: IntGauge,
    timeouts: IntCounter,
    acquire: Histogram,
}

#[derive(Debug)]
struct Connection {
    address: String,
    sender: SendRequest<Empty<Bytes>>,
}

/// A connection on loan. It goes back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct Loan {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(
        peers: Arc<Peers>,
        size: usize,
        acquire_timeout: Duration,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, ShopError> {
        let capacity = metrics.gauge("db_pool_connections_max", "Most connections the pool may open.")?;
        capacity.set(i64::try_from(size).unwrap_or(i64::MAX));
        Ok(Arc::new(Self {
            peers,
            permits: Arc::new(Semaphore::new(size)),
            idle: Mutex::default(),
            acquire_timeout,
            in_use: metrics.gauge("db_pool_connections_in_use", "Connections on loan.")?,
            waiting: metrics.gauge("db_pool_pending_requests", "Callers waiting for a connection.")?,
            timeouts: metrics.counter("db_pool_timeouts_total", "Callers that waited in vain.")?,
            acquire: metrics.histogram("db_pool_wait_seconds", "Time to obtain a connection.")?,
        }))
    }

    /// Waits for a connection.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Loan, PoolError> {
        let began = Instant::now();
        let permit = {
            let _waiting = Raised::new(&self.waiting);
            tokio::time::timeout(self.acquire_timeout, Arc::clone(&self.permits).acquire_owned()).await
        };
        self.acquire.observe(began.elapsed().as_secs_f64());
        let Ok(Ok(permit)) = permit else {
            self.timeouts.inc();
            return Err(PoolError::Exhausted);
        };
        let addresses = self.peers.addresses("store");
        let connection = match self.take_idle(&addresses) {
            Some(connection) => connection,
            None => connect(&addresses).await?,
        };
        self.in_use.inc();
        Ok(Loan { connection: Some(connection), pool: Arc::clone(self), _permit: permit })
    }

    /// The most recently used idle connection that still leads to a live replica.
    fn take_idle(&self, addresses: &[String]) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && addresses.contains(&connection.address) {
                return Some(connection);
            }
        }
        None
    }
}

async fn connect(addresses: &[String]) -> Result<Connection, CallError> {
    let address = addresses.first().ok_or(CallError::NoEndpoint)?;
    let stream = TcpStream::connect(address).await.map_err(|_| CallError::Connection)?;
    stream.set_nodelay(true).map_err(|_| CallError::Connection)?;
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| CallError::Connection)?;
    tokio::spawn(driver);
    Ok(Connection { address: address.clone(), sender })
}

impl Loan {
    /// One request on this connection.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        timeout: Duration,
    ) -> Result<Bytes, PoolError> {
        let connection = self.connection.as_mut().ok_or(CallError::Connection)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &connection.address)
            .header("x-tenant", "shop")
            .body(Empty::new())
            .map_err(|_| CallError::Connection)?;
        let exchange = async {
            connection.sender.ready().await?;
            let response = connection.sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>((status, body))
        };
        match tokio::time::timeout(timeout, exchange).await {
            Ok(Ok((status, body))) if status.is_success() => Ok(body),
            Ok(_) => {
                self.connection = None;
                Err(CallError::Connection.into())
            }
            Err(_) => {
                // An answer may still come; the connection must not be given to another caller.
                self.connection = None;
                Err(CallError::Timeout.into())
            }
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.pool.in_use.dec();
        if let Some(connection) = self.connection.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// A gauge that is one higher while this lives.
#[derive(Debug)]
pub(crate) struct Raised<'a>(&'a IntGauge);

impl<'a> Raised<'a> {
    pub(crate) fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
