//! The operator's channel of a process: a Unix socket in a private folder, apart from everything that serves,
//! is scraped or is logged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Name of the environment variable that tells a process where its socket belongs.
pub(crate) const FOLDER_VARIABLE: &str = "SHOP_RUN_FOLDER";

/// Behaviour that can be changed while a process runs. All zero in ordinary operation; a restart brings that back.
#[derive(Debug, Default)]
pub(crate) struct Knobs {
    /// Bytes kept from each request and never given back.
    pub(crate) retained_bytes: AtomicU64,
    /// One request in so many keeps its pool connection for ever.
    pub(crate) keep_every: AtomicU64,
    /// Milliseconds for which the ledger is locked by each snapshot; snapshots follow each other closely.
    pub(crate) snapshot_ms: AtomicU64,
    /// Milliseconds of additional work per request.
    pub(crate) extra_ms: AtomicU64,
}

/// One message on the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setting {
    RetainedBytes(u64),
    KeepEvery(u64),
    SnapshotMs(u64),
    ExtraMs(u64),
}

impl Knobs {
    fn set(&self, setting: Setting) {
        let (knob, value) = match setting {
            Setting::RetainedBytes(value) => (&self.retained_bytes, value),
            Setting::KeepEvery(value) => (&self.keep_every, value),
            Setting::SnapshotMs(value) => (&self.snapshot_ms, value),
            Setting::ExtraMs(value) => (&self.extra_ms, value),
        };
        knob.store(value, Ordering::Relaxed);
    }
}

fn socket(folder: &Path, instance: &str) -> PathBuf {
    folder.join(format!("{instance}.sock"))
}

/// Serves the channel for ever.
pub(crate) async fn serve(folder: PathBuf, instance: String, knobs: Arc<Knobs>) -> std::io::Result<()> {
    let path = socket(&folder, &instance);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        if BufReader::new(reader).read_line(&mut line).await.is_ok()
            && let Ok(setting) = serde_json::from_str(&line)
        {
            knobs.set(setting);
            let _ = writer.write_all(b"ok\n").await;
        }
    }
}

/// Sends one setting to a process and waits for its acknowledgement.
pub(crate) async fn send(folder: &Path, instance: &str, setting: Setting) -> std::io::Result<()> {
    let stream = UnixStream::connect(socket(folder, instance)).await?;
    let (reader, mut writer) = stream.into_split();
    let mut message = serde_json::to_string(&setting)?;
    message.push('\n');
    writer.write_all(message.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(reader).read_line(&mut answer).await?;
    if answer.trim_end() == "ok" { Ok(()) } else { Err(std::io::Error::other("not acknowledged")) }
}
