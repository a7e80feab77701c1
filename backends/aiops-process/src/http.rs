//! The two HTTP calls a supervisor makes to its own replicas, over loopback only.

use std::net::Ipv4Addr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Sends one request and returns the status code; the body is not read.
///
/// # Errors
/// A short text: refused, closed, timed out.
pub(crate) async fn status(method: Method, port: u16, path: &str, timeout: Duration) -> Result<u16, String> {
    let exchange = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("connection", "close")
            .body(Empty::<Bytes>::new())
            .map_err(|e| e.to_string())?;
        let driver = async {
            // An error of the connection shows up as an error of the request.
            let _ = connection.await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = sender.send_request(request) => answer.map(|a| a.status().as_u16()).map_err(|e| e.to_string()),
            () = driver => Err("connection ended".to_owned()),
        }
    };
    tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(format!("no answer in {timeout:?}")))
}
