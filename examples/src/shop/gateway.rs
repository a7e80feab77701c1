//! The gateway: the only process that customers talk to.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;

use super::ShopError;
use super::process::{Failure, Process};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    upstream_timeout_ms: u64,
    memory_limit_mb: u64,
    log_every: u64,
}

#[derive(Debug)]
struct Gateway {
    process: Process,
    timeout: Duration,
    log_every: u64,
    seen: std::sync::atomic::AtomicU64,
}

pub(crate) async fn run(process: Process) -> Result<(), ShopError> {
    let config: Config = process.config()?;
    let gateway = Arc::new(Gateway {
        process: process.clone(),
        timeout: Duration::from_millis(config.upstream_timeout_ms),
        log_every: config.log_every,
        seen: std::sync::atomic::AtomicU64::new(0),
    });
    let routes = Router::new()
        .route("/products/{id}", get(product))
        .route("/orders/{id}", post(order))
        .with_state(gateway);
    process.serve(routes, config.memory_limit_mb).await
}

async fn product(State(gateway): State<Arc<Gateway>>, Path(id): Path<u32>) -> Result<Vec<u8>, Failure> {
    gateway.forward(Method::GET, &format!("/products/{id}")).await
}

async fn order(State(gateway): State<Arc<Gateway>>, Path(id): Path<u32>) -> Result<Vec<u8>, Failure> {
    gateway.forward(Method::POST, &format!("/orders/{id}")).await
}

impl Gateway {
    async fn forward(&self, method: Method, path: &str) -> Result<Vec<u8>, Failure> {
        let seen = self.seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.log_every > 0 && seen.is_multiple_of(self.log_every) {
            self.process.log.write("info", "request", path);
        }
        match self.process.caller.call("orders", method, path, "shop", self.timeout).await {
            Ok((200, body)) => Ok(body.to_vec()),
            Ok((code, _)) => {
                self.process.log.write("warn", "orders answered", &code.to_string());
                let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
                Err(Failure(code))
            }
            Err(error) => {
                self.process.log.write("warn", "call to orders failed", &error.to_string());
                Err(error.into())
            }
        }
    }
}
