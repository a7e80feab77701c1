//! The store: a table in memory behind a limited number of I/O slots.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use prometheus::{IntCounterVec, IntGauge};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::process::{Failure, Process};
use super::{PRODUCTS, ShopError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    io_slots: usize,
    io_ms: f64,
    queue_limit: i64,
    memory_limit_mb: u64,
}

#[derive(Debug)]
struct Store {
    stock: Mutex<BTreeMap<u32, i64>>,
    slots: Semaphore,
    io_ms: f64,
    queue_limit: i64,
    queue: IntGauge,
    operations: IntCounterVec,
}

pub(crate) async fn run(process: Process) -> Result<(), ShopError> {
    let config: Config = process.config()?;
    let metrics = &process.metrics;
    let store = Arc::new(Store {
        stock: Mutex::new((0..PRODUCTS).map(|id| (id, 1_000_000)).collect()),
        slots: Semaphore::new(config.io_slots),
        io_ms: config.io_ms.clamp(0.0, 60_000.0),
        queue_limit: config.queue_limit,
        queue: metrics.gauge("queue_depth", "Operations waiting for an I/O slot.")?,
        operations: metrics.counters("store_operations_total", "Operations done, by tenant.", "tenant")?,
    });
    let routes = Router::new()
        .route("/records/{id}", get(record))
        .route("/prices/{id}", get(price))
        .route("/stock/{id}", get(stock).post(take))
        .with_state(store);
    process.serve(routes, config.memory_limit_mb).await
}

async fn record(
    State(store): State<Arc<Store>>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<String, Failure> {
    store.io(&headers).await?;
    Ok(format!("{},{}", price_of(id), name_of(id)))
}

async fn price(
    State(store): State<Arc<Store>>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<String, Failure> {
    store.io(&headers).await?;
    Ok(price_of(id).to_string())
}

async fn stock(
    State(store): State<Arc<Store>>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<String, Failure> {
    store.io(&headers).await?;
    let stock = store.stock.lock().unwrap_or_else(PoisonError::into_inner);
    stock.get(&id).map(ToString::to_string).ok_or(Failure(StatusCode::NOT_FOUND))
}

async fn take(
    State(store): State<Arc<Store>>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<String, Failure> {
    store.io(&headers).await?;
    let mut stock = store.stock.lock().unwrap_or_else(PoisonError::into_inner);
    let left = stock.get_mut(&id).ok_or(Failure(StatusCode::NOT_FOUND))?;
    *left -= 1;
    Ok(left.to_string())
}

/// Price in cents.
pub(crate) const fn price_of(id: u32) -> u32 {
    500 + (id * 37) % 9_500
}

pub(crate) fn name_of(id: u32) -> String {
    format!("product {id}")
}

impl Store {
    /// Waits for a slot and then for the device.
    async fn io(&self, headers: &HeaderMap) -> Result<(), Failure> {
        if self.queue.get() >= self.queue_limit {
            return Err(Failure(StatusCode::SERVICE_UNAVAILABLE));
        }
        let slot = {
            let _queued = super::pool::Raised::new(&self.queue);
            self.slots.acquire().await
        };
        let _slot = slot.map_err(|_| Failure(StatusCode::SERVICE_UNAVAILABLE))?;
        let spread = 0.7 + 0.6 * fastrand::f64();
        tokio::time::sleep(Duration::from_secs_f64(self.io_ms * spread / 1e3)).await;
        let tenant = match headers.get("x-tenant").and_then(|value| value.to_str().ok()) {
            Some("shop") => "shop",
            Some("reconciliation") => "reconciliation",
            _ => "other",
        };
        self.operations.with_label_values(&[tenant]).inc();
        Ok(())
    }
}
