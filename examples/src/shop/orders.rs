//! Orders: looks products up in its cache, reserves stock, writes the ledger.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use prometheus::{Histogram, IntCounterVec, IntGauge};
use serde::Deserialize;

use super::ShopError;
use super::cache::{Product, ProductCache, WarmFile};
use super::process::{Failure, Process};

/// Entries the ledger keeps in memory.
const LEDGER: usize = 2000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    inventory_timeout_ms: u64,
    cache_entries: usize,
    cache_ttl_ms: u64,
    warm_interval_ms: u64,
    memory_limit_mb: u64,
}

#[derive(Debug)]
struct Orders {
    process: Process,
    timeout: Duration,
    cache: Mutex<ProductCache>,
    warm: WarmFile,
    lookups: IntCounterVec,
    entries: IntGauge,
    ledger: tokio::sync::Mutex<VecDeque<(u32, u32)>>,
    lock_wait: Histogram,
}

pub(crate) async fn run(process: Process) -> Result<(), ShopError> {
    let config: Config = process.config()?;
    let warm = WarmFile::new(&PathBuf::from("cache"));
    let mut cache = ProductCache::new(config.cache_entries, Duration::from_millis(config.cache_ttl_ms));
    cache.merge(warm.read()?);
    let metrics = &process.metrics;
    let orders = Arc::new(Orders {
        timeout: Duration::from_millis(config.inventory_timeout_ms),
        cache: Mutex::new(cache),
        warm,
        lookups: metrics.counters("cache_requests_total", "Lookups in the product cache.", "result")?,
        entries: metrics.gauge("cache_entries", "Products in the cache.")?,
        ledger: tokio::sync::Mutex::default(),
        lock_wait: metrics.histogram("lock_wait_seconds", "Time to obtain the ledger's lock.")?,
        process: process.clone(),
    });
    let failed = Arc::clone(&orders).keep_warm(Duration::from_millis(config.warm_interval_ms));
    tokio::spawn(Arc::clone(&orders).snapshots());
    let routes = Router::new()
        .route("/products/{id}", get(product))
        .route("/orders/{id}", post(order))
        .route("/cache/flush", post(flush))
        .with_state(orders);
    tokio::select! {
        served = process.serve(routes, config.memory_limit_mb) => served,
        error = failed => Err(error.into()),
    }
}

async fn product(State(orders): State<Arc<Orders>>, Path(id): Path<u32>) -> Result<String, Failure> {
    let product = orders.lookup(id).await?;
    Ok(format!("{},{}", product.price_cents, product.name))
}

async fn order(State(orders): State<Arc<Orders>>, Path(id): Path<u32>) -> Result<String, Failure> {
    let product = orders.lookup(id).await?;
    orders.call(Method::POST, &format!("/reservations/{id}")).await?;
    let began = Instant::now();
    let mut ledger = orders.ledger.lock().await;
    orders.lock_wait.observe(began.elapsed().as_secs_f64());
    if ledger.len() >= LEDGER {
        ledger.pop_front();
    }
    ledger.push_back((id, product.price_cents));
    Ok(format!("{}", ledger.len()))
}

async fn flush(State(orders): State<Arc<Orders>>) -> StatusCode {
    orders.cache.lock().unwrap_or_else(PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

impl Orders {
    async fn lookup(&self, id: u32) -> Result<Product, Failure> {
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        self.lookups.with_label_values(&[if cached.is_some() { "hit" } else { "miss" }]).inc();
        if let Some(product) = cached {
            return Ok(product);
        }
        let text = self.call(Method::GET, &format!("/products/{id}")).await?;
        let (price, name) = text.split_once(',').ok_or(Failure(StatusCode::BAD_GATEWAY))?;
        let price_cents = price.parse().map_err(|_| Failure(StatusCode::BAD_GATEWAY))?;
        let product = Product { price_cents, name: name.to_owned() };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(id, product.clone());
        self.entries.set(i64::try_from(cache.len()).unwrap_or(i64::MAX));
        Ok(product)
    }

    async fn call(&self, method: Method, path: &str) -> Result<String, Failure> {
        match self.process.caller.call("inventory", method, path, "shop", self.timeout).await {
            Ok((200, body)) => Ok(String::from_utf8_lossy(&body).into_owned()),
            Ok((code, _)) => {
                self.process.log.write("warn", "inventory answered", &code.to_string());
                Err(Failure(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY)))
            }
            Err(error) => {
                self.process.log.write("warn", "call to inventory failed", &error.to_string());
                Err(error.into())
            }
        }
    }

    /// Takes over what other replicas cached and writes the union; ends when the file cannot be read.
    async fn keep_warm(self: Arc<Self>, interval: Duration) -> std::io::Error {
        loop {
            tokio::time::sleep(interval).await;
            let round = self.warm.read().and_then(|warm| {
                let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                cache.merge(warm);
                self.warm.write(&cache, &self.process.instance)
            });
            if let Err(error) = round {
                return error;
            }
        }
    }

    /// Writes the ledger to disk, chunk by chunk, under its lock.
    async fn snapshots(self: Arc<Self>) {
        loop {
            let hold = self.process.knobs.snapshot_ms.load(Ordering::Relaxed);
            if hold == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            {
                let ledger = self.ledger.lock().await;
                let path = format!("ledger-{}.csv", self.process.instance);
                let until = Instant::now() + Duration::from_millis(hold);
                while Instant::now() < until {
                    let text: String = ledger.iter().map(|(id, price)| format!("{id},{price}\n")).collect();
                    let written = std::fs::File::create(&path).and_then(|mut f| f.write_all(text.as_bytes()));
                    if let Err(error) = written {
                        self.process.log.write("error", "ledger not written", &error.to_string());
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
