//! A small web shop of real processes on loopback HTTP: gateway → orders → inventory → store, with a background
//! worker as second tenant of the store, under a supervisor and under traffic.
//!
//! ```text
//! customers ─▶ gateway ×2 ─▶ orders ×2 ─▶ inventory ×2 ═pool═▶ store ◀─ worker
//!                            cache, ledger
//! ```
//!
//! Every process is this program, started again with a hidden sub-command; see [`run_if_service`].

mod admin;
mod cache;
mod client;
mod gateway;
mod inventory;
mod metrics;
mod orders;
mod pool;
mod process;
mod spec;
mod store;
mod targets;
mod traffic;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aiops_core::Clock;
use aiops_process::{ProcessError, Supervisor};
use tempfile::TempDir;

pub(crate) use admin::{Setting, send};
pub(crate) use worker::SPOOL;

pub use process::run_if_service;
pub use targets::{Target, file_sd};
pub use traffic::{Traffic, TrafficWindow};

/// Products on sale; ids are `0..PRODUCTS`.
pub const PRODUCTS: u32 = 100;

/// What can go wrong in and around the shop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShopError {
    /// A process was started with arguments it does not understand.
    #[error("expected: serve SERVICE INSTANCE PORT CONFIG ENDPOINTS")]
    Arguments,
    /// A configuration revision cannot be read.
    #[error("configuration: {0}")]
    Config(#[from] toml::de::Error),
    /// A metric cannot be registered or encoded.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// An operating system call failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The supervisor refused or failed.
    #[error("supervisor: {0}")]
    Process(#[from] ProcessError),
    /// A setting outside its range.
    #[error("{field} = {value}: allowed is {allowed}")]
    Setting {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The range.
        allowed: &'static str,
    },
}

/// How the shop is started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ShopConfig {
    /// The program that runs the processes; it must call [`run_if_service`]. Default: this program.
    pub program: Option<PathBuf>,
    /// Mean requests per second, 1 to 500. Default 60.
    pub requests_per_second: f64,
    /// Length of the wave in the traffic, a day in seconds, 5 s to 1 h. Default 25 s.
    pub day: Duration,
    /// Amplitude of that wave as a share of the mean, 0 to 0.9. Default 0.15.
    pub swing: f64,
    /// Seed of the traffic.
    pub seed: u64,
}

impl Default for ShopConfig {
    fn default() -> Self {
        Self { program: None, requests_per_second: 60.0, day: Duration::from_secs(25), swing: 0.15, seed: 0 }
    }
}

impl ShopConfig {
    /// The default configuration with another seed.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn validate(&self) -> Result<(), ShopError> {
        let check = |field, value: f64, low, high, allowed| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err(ShopError::Setting { field, value, allowed })
            }
        };
        check("requests_per_second", self.requests_per_second, 1.0, 500.0, "1 to 500")?;
        check("day", self.day.as_secs_f64(), 5.0, 3600.0, "5 s to 1 h")?;
        check("swing", self.swing, 0.0, 0.9, "0 to 0.9")
    }
}

/// Puts yesterday's warm file in its place, so that the day does not begin with an empty cache.
fn warm_up(state: &Path) -> Result<(), ShopError> {
    let products = (0..PRODUCTS)
        .map(|id| (id, cache::Product { price_cents: store::price_of(id), name: store::name_of(id) }));
    let file = cache::WarmFile::new(&state.join("services").join("orders").join("cache"));
    Ok(file.write_products(&products.collect(), "start")?)
}

/// The running shop. When it is dropped all its processes are killed; [`stop`](Self::stop) ends them gracefully.
#[derive(Debug)]
pub struct Shop {
    supervisor: Supervisor,
    traffic: Arc<Traffic>,
    liveness: targets::LivenessPage,
    run_folder: PathBuf,
    state: TempDir,
}

impl Shop {
    /// Starts all processes, waits until they are ready, and lets customers in.
    ///
    /// # Errors
    /// A setting out of range, a process that does not start, no free port.
    pub async fn start(config: ShopConfig, clock: Arc<dyn Clock>) -> Result<Self, ShopError> {
        config.validate()?;
        let state = tempfile::Builder::new().prefix("shop-").tempdir()?;
        let run_folder = state.path().join("run");
        std::fs::create_dir(&run_folder)?;
        let program = match &config.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()?,
        };
        warm_up(state.path())?;
        let specification = spec::supervisor(state.path(), &run_folder, &program);
        let supervisor = Supervisor::start(specification, clock).await?;
        let liveness = targets::LivenessPage::serve(supervisor.clone()).await?;
        let traffic = Traffic::start(&config, supervisor.endpoints_path().to_owned());
        Ok(Self { supervisor, traffic, liveness, run_folder, state })
    }

    /// The supervisor under which the processes run.
    #[must_use]
    pub const fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// What customers see.
    #[must_use]
    pub const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Pages to scrape at present: every wanted replica, ready or not, and the supervisor's liveness page.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        targets::of(&self.supervisor, &self.liveness)
    }

    /// Empties the product caches in the memory of all ready orders processes.
    pub(crate) async fn flush_caches(&self) {
        let caller =
            client::Caller::new(client::Peers::new(self.supervisor.endpoints_path().to_owned()), None);
        for _ in self.supervisor.endpoints().of("orders") {
            // A process that does not answer has no cache worth emptying.
            let limit = Duration::from_secs(1);
            let _ = caller.call("orders", axum::http::Method::POST, "/cache/flush", "shop", limit).await;
        }
    }

    /// Folder of the operator's sockets.
    pub(crate) fn run_folder(&self) -> &Path {
        &self.run_folder
    }

    /// Working directory of a service.
    pub(crate) fn working_directory(&self, service: &str) -> PathBuf {
        self.state.path().join("services").join(service)
    }

    /// Sends the customers home and stops every process. Their files are removed when the shop is dropped.
    pub async fn stop(&self) {
        self.traffic.stop();
        self.supervisor.shutdown().await;
        self.liveness.stop();
    }
}
