//! Inventory: knows products and stock, both kept in the store, which it reaches through a connection pool.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::routing::{get, post};
use serde::Deserialize;

use super::ShopError;
use super::pool::{Loan, Pool};
use super::process::{Failure, Process};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    pool_size: usize,
    acquire_timeout_ms: u64,
    store_timeout_ms: u64,
    memory_limit_mb: u64,
}

#[derive(Debug)]
struct Inventory {
    process: Process,
    pool: Arc<Pool>,
    timeout: Duration,
    served: AtomicU64,
    kept: Mutex<Vec<Loan>>,
}

pub(crate) async fn run(process: Process) -> Result<(), ShopError> {
    let config: Config = process.config()?;
    let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
    let inventory = Arc::new(Inventory {
        pool: Pool::new(Arc::clone(&process.peers), config.pool_size, acquire_timeout, &process.metrics)?,
        timeout: Duration::from_millis(config.store_timeout_ms),
        served: AtomicU64::new(0),
        kept: Mutex::default(),
        process: process.clone(),
    });
    let routes = Router::new()
        .route("/products/{id}", get(product))
        .route("/reservations/{id}", post(reserve))
        .with_state(inventory);
    process.serve(routes, config.memory_limit_mb).await
}

async fn product(State(inventory): State<Arc<Inventory>>, Path(id): Path<u32>) -> Result<Vec<u8>, Failure> {
    let record = format!("/records/{id}");
    let price = format!("/prices/{id}");
    inventory.query([(Method::GET, price), (Method::GET, record)]).await
}

async fn reserve(State(inventory): State<Arc<Inventory>>, Path(id): Path<u32>) -> Result<Vec<u8>, Failure> {
    let stock = format!("/stock/{id}");
    inventory.query([(Method::GET, stock.clone()), (Method::POST, stock)]).await
}

impl Inventory {
    /// Two statements on one connection; the answer of the second is returned.
    async fn query(&self, statements: [(Method, String); 2]) -> Result<Vec<u8>, Failure> {
        let result = async {
            let mut loan = self.pool.acquire().await?;
            let mut answer = Vec::new();
            for (method, path) in statements {
                let began = std::time::Instant::now();
                let result = loan.call(method, &path, self.timeout).await;
                let metrics = &self.process.metrics;
                let code = if result.is_ok() { "200" } else { "error" };
                metrics.calls.with_label_values(&["store", code]).inc();
                metrics.call_duration.with_label_values(&["store"]).observe(began.elapsed().as_secs_f64());
                answer = result?.to_vec();
            }
            self.finish(loan);
            Ok::<_, super::pool::PoolError>(answer)
        };
        result.await.map_err(|error| {
            self.process.log.write("warn", "store query failed", &error.to_string());
            error.into()
        })
    }

    fn finish(&self, loan: Loan) {
        let served = self.served.fetch_add(1, Ordering::Relaxed);
        let every = self.process.knobs.keep_every.load(Ordering::Relaxed);
        if every > 0 && served.is_multiple_of(every) {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(loan);
        }
    }
}
