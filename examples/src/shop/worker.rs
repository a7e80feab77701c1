//! The worker: reconciles stock in the background, a tenant of the store like the shop itself.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Method;
use prometheus::{IntCounterVec, IntGauge};
use serde::Deserialize;
use tokio::task::JoinSet;

use super::process::Process;
use super::{PRODUCTS, ShopError};

/// Folder of job files inside the working directory.
pub(crate) const SPOOL: &str = "spool";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    concurrency: usize,
    interval_ms: u64,
    sweep: u32,
    memory_limit_mb: u64,
}

#[derive(Debug)]
struct Worker {
    process: Process,
    concurrency: usize,
    backlog: IntGauge,
    jobs: IntCounterVec,
}

pub(crate) async fn run(process: Process) -> Result<(), ShopError> {
    let config: Config = process.config()?;
    let metrics = &process.metrics;
    let worker = Arc::new(Worker {
        concurrency: config.concurrency.max(1),
        backlog: metrics.gauge("worker_backlog", "Jobs known and not done.")?,
        jobs: metrics.counters("worker_jobs_total", "Jobs done, by outcome.", "outcome")?,
        process: process.clone(),
    });
    fs::create_dir_all(SPOOL)?;
    tokio::spawn(worker.work(Duration::from_millis(config.interval_ms), config.sweep));
    process.serve(Router::new(), config.memory_limit_mb).await
}

impl Worker {
    /// A regular sweep over some products, and whatever lies in the spool.
    async fn work(self: Arc<Self>, interval: Duration, sweep: u32) {
        let mut next = 0_u32;
        loop {
            tokio::time::sleep(interval).await;
            let keys: Vec<u32> = (0..sweep).map(|step| next.wrapping_add(step) % PRODUCTS).collect();
            next = next.wrapping_add(sweep);
            self.run_jobs(&keys).await;
            for file in spooled() {
                let text = fs::read_to_string(&file).unwrap_or_default();
                let jobs: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
                self.process.log.write("info", "job file", &format!("{} jobs", jobs.len()));
                self.run_jobs(&jobs).await;
                // Removed only when done: after a restart it is done again from the start.
                let _ = fs::remove_file(&file);
            }
        }
    }

    async fn run_jobs(self: &Arc<Self>, jobs: &[u32]) {
        let mut running = JoinSet::new();
        for (done, &job) in jobs.iter().enumerate() {
            self.backlog.set(i64::try_from(jobs.len() - done).unwrap_or(i64::MAX));
            if running.len() >= self.concurrency {
                running.join_next().await;
            }
            running.spawn(Arc::clone(self).job(job));
        }
        while running.join_next().await.is_some() {}
        self.backlog.set(0);
    }

    async fn job(self: Arc<Self>, key: u32) {
        let path = format!("/stock/{}", key % PRODUCTS);
        let timeout = Duration::from_secs(5);
        let answer = self.process.caller.call("store", Method::GET, &path, "reconciliation", timeout).await;
        let outcome = match answer {
            Ok((200, _)) => "ok",
            _ => {
                // A store that cannot be reached is not helped by a worker that spins.
                tokio::time::sleep(Duration::from_millis(200)).await;
                "failed"
            }
        };
        self.jobs.with_label_values(&[outcome]).inc();
    }
}

fn spooled() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(SPOOL)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jobs"))
        .collect();
    files.sort();
    files
}
