//! Serving so many connections at once and no more, none of which keeps its place without speaking.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// After an error that is not of one connection, such as no file descriptor left, the next one is taken only then.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until it is dropped, and with it every connection. Of `most` connections a further one waits until one of them is closed; one that has not
/// sent a whole head within `head`, after it came or after the answer before, is closed.
pub(crate) async fn serve(listener: TcpListener, router: Router, most: usize, head: Duration) -> Infallible {
    let free = Arc::new(Semaphore::new(most));
    let mut open = JoinSet::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    loop {
        // The semaphore is never closed; without a permit the connection would only not be counted.
        let place = Arc::clone(&free).acquire_owned().await.ok();
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!(error = %e, "a connection could not be taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let connection =
            http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        open.spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection ended");
            }
            drop(place);
        });
        while open.try_join_next().is_some() {}
    }
}
