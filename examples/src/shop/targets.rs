//! What can be scraped.

use std::net::{Ipv4Addr, SocketAddr};

use aiops_process::{Supervisor, exposition};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::ShopError;

/// One page in Prometheus text format.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The service that exposes it.
    pub service: String,
    /// The replica.
    pub instance: String,
    /// Address of the page.
    pub url: String,
}

impl Target {
    /// `host:port` of the page.
    #[must_use]
    pub fn address(&self) -> &str {
        let bare = self.url.strip_prefix("http://").unwrap_or(&self.url);
        bare.split_once('/').map_or(bare, |(address, _)| address)
    }
}

/// The targets as a page for Prometheus' file-based service discovery. The scrape configuration needs
/// `honor_labels: true`, since the pages name service and instance themselves.
#[must_use]
pub fn file_sd(targets: &[Target]) -> serde_json::Value {
    let addresses: Vec<&str> = targets.iter().map(Target::address).collect();
    serde_json::json!([{ "targets": addresses }])
}

/// The supervisor's liveness page.
#[derive(Debug)]
pub(crate) struct LivenessPage {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl LivenessPage {
    pub(crate) async fn serve(supervisor: Supervisor) -> Result<Self, ShopError> {
        async fn page(State(supervisor): State<Supervisor>) -> String {
            exposition(&supervisor.view())
        }
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/metrics", get(page)).with_state(supervisor);
        let task = tokio::spawn(async move {
            // Serving ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for LivenessPage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn of(supervisor: &Supervisor, liveness: &LivenessPage) -> Vec<Target> {
    let replicas = supervisor.view().into_iter().flat_map(|view| {
        view.replicas.into_iter().map(move |replica| Target {
            service: view.service.clone(),
            url: format!("http://127.0.0.1:{}/metrics", replica.port),
            instance: replica.instance,
        })
    });
    let page = Target {
        service: "supervisor".to_owned(),
        instance: "supervisor".to_owned(),
        url: format!("http://{}/metrics", liveness.address),
    };
    replicas.chain([page]).collect()
}
