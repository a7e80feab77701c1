//! A server on a free loopback port that answers as a script says, down to the byte: what a well-behaved HTTP framework
//! would not let a test do.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// A field of the form body or of the query.
    pub fn field(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let pairs = if self.method == "POST" { self.body.as_str() } else { query };
        let url = reqwest::Url::parse(&format!("http://x/?{pairs}")).unwrap();
        url.query_pairs().find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
    }
}

/// What the server does next.
#[derive(Debug, Clone)]
pub enum Reply {
    Status(u16, &'static str, String),
    Headers(u16, Vec<(&'static str, String)>, String),
    /// These bytes, then close.
    Raw(Vec<u8>),
    /// These bytes, then silence.
    RawThenHang(Vec<u8>),
    /// One byte of the body at a time, with a pause.
    Trickle(String, Duration),
    /// An answer without end.
    Endless,
    /// Close without a word.
    Close,
    /// Read and stay silent.
    Hang,
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Self::Status(200, "application/json", body.into())
    }

    pub fn text(body: impl Into<String>) -> Self {
        Self::Status(200, "text/plain; version=0.0.4", body.into())
    }
}

type Script = dyn Fn(usize, &Request) -> Reply + Send + Sync;

pub struct Stub {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Stub {
    /// Serves by `script`, which gets the number of the request, from 0.
    pub async fn start(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with("http", script, |stream| async move { Some(stream) }).await
    }

    /// The same behind TLS.
    pub async fn start_tls(
        config: rustls::ServerConfig,
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        Self::with("https", script, move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        })
        .await
    }

    async fn with<S, F>(
        scheme: &str,
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let script: Arc<Script> = Arc::new(script);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, script, stream) = (Arc::clone(&seen), Arc::clone(&script), wrap(stream));
                tokio::spawn(async move {
                    if let Some(stream) = stream.await {
                        serve(stream, &seen, &*script).await;
                    }
                });
            }
        });
        Self { url, requests, accepting }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &Mutex<Vec<Request>>,
    script: &Script,
) {
    let Some(request) = read_request(&mut stream).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let write = |status: u16, headers: &[(&str, String)], body: &str| {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    // A client that gave up makes a write fail; that is its right.
    match script(number, &request) {
        Reply::Status(status, content_type, body) => {
            let answer = write(status, &[("content-type", content_type.to_owned())], &body);
            stream.write_all(answer.as_bytes()).await.ok();
        }
        Reply::Headers(status, headers, body) => {
            stream.write_all(write(status, &headers, &body).as_bytes()).await.ok();
        }
        Reply::Raw(bytes) => {
            stream.write_all(&bytes).await.ok();
        }
        Reply::RawThenHang(bytes) => {
            stream.write_all(&bytes).await.ok();
            stream.flush().await.ok();
            std::future::pending::<()>().await;
        }
        Reply::Trickle(body, pause) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.ok();
            for byte in body.bytes() {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
        Reply::Endless => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.ok();
            let chunk = format!("1000\r\n{}\r\n", "a 1\n".repeat(1_024));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
        Reply::Close => {}
        Reply::Hang => std::future::pending::<()>().await,
    }
    stream.shutdown().await.ok();
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let mut request = Request { method, target, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

/// A port on which nothing listens.
pub async fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
