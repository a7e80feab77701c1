//! Customers: open-loop traffic with a daily wave, noise, and favourites among the products.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Method;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::client::{Caller, Peers};
use super::{PRODUCTS, ShopConfig};

/// A customer gives up after this time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Requests under way at most; further ones count as errors, as at a full accept queue.
const MOST_IN_FLIGHT: usize = 400;

/// Requests remembered for statistics.
const REMEMBERED: usize = 60_000;

/// Share of requests that are orders; the others look at a product.
const ORDERS: f64 = 0.75;

/// The running customers and what they saw.
#[derive(Debug)]
pub struct Traffic {
    began: Instant,
    seen: Mutex<VecDeque<Seen>>,
    in_flight: AtomicUsize,
    /// Multiplier of the rate as the bits of an `f64`.
    level: AtomicU64,
    stopped: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    ended: Instant,
    seconds: f64,
    ok: bool,
}

/// What customers saw over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficWindow {
    /// Requests that ended.
    pub requests: u64,
    /// Those that were not answered with success.
    pub errors: u64,
    /// Errors by requests; 0 without requests.
    pub error_ratio: f64,
    /// Median seconds to the end of a request, failed ones included; 0 without requests.
    pub p50: f64,
    /// 95th percentile of the same.
    pub p95: f64,
}

impl Traffic {
    pub(crate) fn start(config: &ShopConfig, endpoints: PathBuf) -> Arc<Self> {
        let traffic = Arc::new(Self {
            began: Instant::now(),
            seen: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            level: AtomicU64::new(1.0_f64.to_bits()),
            stopped: AtomicBool::new(false),
        });
        let peers = Peers::new(endpoints);
        let follower = tokio::spawn(Arc::clone(&peers).follow());
        let caller = Caller::new(peers, None);
        let (running, config) = (Arc::clone(&traffic), config.clone());
        tokio::spawn(async move {
            running.run(&config, caller).await;
            follower.abort();
        });
        traffic
    }

    async fn run(self: Arc<Self>, config: &ShopConfig, caller: Caller) {
        let mut rng = Rng::with_seed(config.seed ^ 0x7261_6666_6963);
        let phase = rng.f64() * TAU;
        let mut next = tokio::time::Instant::now();
        while !self.stopped.load(Ordering::Relaxed) {
            let day = self.began.elapsed().as_secs_f64() / config.day.as_secs_f64();
            let wave = 1.0 + config.swing * (TAU * day + phase).sin();
            let rate = config.requests_per_second * wave * self.level();
            // Exponential gaps: independent customers arrive as a Poisson process.
            let gap = -(1.0 - rng.f64()).ln() / rate.max(0.1);
            next += Duration::from_secs_f64(gap.min(1.0));
            tokio::time::sleep_until(next).await;
            let draw = rng.f64();
            // The cube makes some products far more popular than others.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to PRODUCTS")]
            let product = (f64::from(PRODUCTS) * draw * draw * draw) as u32;
            let (method, path) = if rng.f64() < ORDERS {
                (Method::POST, format!("/orders/{product}"))
            } else {
                (Method::GET, format!("/products/{product}"))
            };
            tokio::spawn(Arc::clone(&self).request(caller.clone(), method, path));
        }
    }

    async fn request(self: Arc<Self>, caller: Caller, method: Method, path: String) {
        let began = Instant::now();
        let under_way = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let ok = under_way < MOST_IN_FLIGHT
            && matches!(caller.call("gateway", method, &path, "shop", PATIENCE).await, Ok((200, _)));
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.pop_front();
        }
        let ended = Instant::now();
        seen.push_back(Seen { ended, seconds: (ended - began).as_secs_f64(), ok });
    }

    fn level(&self) -> f64 {
        f64::from_bits(self.level.load(Ordering::Relaxed))
    }

    /// Multiplies the rate by `level` from now on; 1 is ordinary. Values outside 0.1 to 3 are clamped.
    pub fn set_level(&self, level: f64) {
        let level = if level.is_finite() { level.clamp(0.1, 3.0) } else { 1.0 };
        self.level.store(level.to_bits(), Ordering::Relaxed);
    }

    /// Time since the customers were let in.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What customers saw in the last `span`.
    #[must_use]
    pub fn last(&self, span: Duration) -> TrafficWindow {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = seen.iter().rev().take_while(|seen| seen.ended.elapsed() <= span);
        let recent: Vec<Seen> = recent.copied().collect();
        drop(seen);
        let mut seconds: Vec<f64> = recent.iter().map(|seen| seen.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let errors = recent.iter().filter(|seen| !seen.ok).count();
        let requests = recent.len();
        #[allow(clippy::cast_precision_loss, reason = "bounded by REMEMBERED")]
        let error_ratio = if requests == 0 { 0.0 } else { errors as f64 / requests as f64 };
        TrafficWindow {
            requests: requests as u64,
            errors: errors as u64,
            error_ratio,
            p50: quantile(&seconds, 0.50),
            p95: quantile(&seconds, 0.95),
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nearest-rank quantile of sorted values; 0 without values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "bounded by REMEMBERED")]
    let rank = (q * sorted.len() as f64).ceil();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the number of values")]
    let index = (rank as usize).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0.0)
}
