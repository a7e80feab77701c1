//! Real servers on free loopback ports, gone with their value.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiops_core::Context;
use aiops_prometheus::client::{ClientConfig, PrometheusClient};
use tempfile::TempDir;

pub(crate) fn find(binary: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(binary)).find(|file| file.is_file())
}

/// A running server; dropping it ends the process and removes its data.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Child,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// Starts a process until it answers at `ready`; `command` makes its command line for a folder and a port. A port
    /// that was free may be taken a moment later, hence several attempts.
    pub(crate) async fn start(
        scheme: &str,
        ready: &str,
        folder: TempDir,
        command: impl Fn(&Path, u16) -> Command,
    ) -> Self {
        let mut folder = folder;
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = std::fs::File::create(folder.path().join("log")).unwrap();
            let child = command(folder.path(), port).stdout(Stdio::null()).stderr(log).spawn().unwrap();
            let mut server = Self { url: format!("{scheme}://127.0.0.1:{port}"), child, folder };
            if server.becomes_ready(ready, port).await {
                return server;
            }
            server.child.kill().ok();
            server.child.wait().ok();
            let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
            eprintln!("not ready, once more: {log}");
            // `Server` has a `Drop`, so the folder is exchanged rather than moved out.
            folder = std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap());
        }
        panic!("the server never became ready");
    }

    async fn becomes_ready(&mut self, path: &str, port: u16) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let secure = self.url.starts_with("https");
            // Behind TLS and a password an open port is all that can be seen from here.
            let open = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            if open && (secure || plain_status(port, path).await == Some(200)) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn client(&self) -> Arc<PrometheusClient> {
        Arc::new(PrometheusClient::new(ClientConfig::new(&self.url)).unwrap())
    }
}

async fn plain_status(port: u16, path: &str) -> Option<u16> {
    let answer =
        exchange(port, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// One raw HTTP exchange.
pub(crate) async fn exchange(port: u16, request: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// Repeats `probe` until it gives something, for at most 30 s.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("in 30 s not: {what}");
}

pub(crate) fn context() -> Context {
    Context::system()
}
