//! What the pipeline sees and touches of the shop: in its own process, or through a socket when it is a process of its own. Telemetry outlives the
//! pipeline there, as it does with a server of yours.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aiops_biscuit::{Credential, RootKey, Use, Wallet};
use aiops_core::action::{Action, ActionOutcome, ActionStatus, Fence, IdempotencyKey, Preview};
use aiops_core::guard::{Intended, Receipt};
use aiops_core::model::{FetchRequest, Signal, SignalSet, TelemetryWindow};
use aiops_core::seam::{Mitigator, MitigatorCapability, SourceCapability, TelemetrySource};
use aiops_core::{CompositeSource, Context, Error, ErrorKind, Result};
use aiops_process::{OperationKey, OperationRequest, ProcessError, ProcessMitigator};
use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::shop::{Shop, TrafficWindow};

/// Who acts, in the shop's change log.
pub(super) const AUTHOR: &str = "aiops";
/// Longest message on the socket, in bytes.
const LONGEST: u64 = 64 << 20;

/// The shop, as far as the pipeline knows it.
#[derive(Debug, Clone)]
pub(super) enum Plant {
    /// In this process.
    Here(Arc<Shop>),
    /// Behind a socket.
    There(Remote),
}

/// The shop of another process, and the credentials that are shown to it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) socket: PathBuf,
    /// Set once the safety is open; without it nothing can be done.
    pub(super) wallet: Option<Wallet>,
}

/// A message on the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Call {
    Fetch(Box<FetchRequest>),
    Traffic(Duration),
    Preview(Box<Action>),
    Status(IdempotencyKey),
    Execute { key: IdempotencyKey, fence: Fence, action: Box<Action>, credential: String },
}

/// The other side's answer: what was asked for, or an error's text.
type Answer = std::result::Result<serde_json::Value, String>;

impl Plant {
    /// What customers saw in the last `span`.
    pub(super) async fn traffic(&self, span: Duration) -> TrafficWindow {
        match self {
            Self::Here(shop) => shop.traffic().last(span),
            Self::There(remote) => remote.ask(&Call::Traffic(span)).await.unwrap_or_default(),
        }
    }

    /// The same, showing the credentials of `wallet` where it is in another process.
    pub(super) fn with_wallet(self, wallet: &Wallet) -> Self {
        match self {
            Self::Here(shop) => Self::Here(shop),
            Self::There(remote) => Self::There(Remote { wallet: Some(wallet.clone()), ..remote }),
        }
    }

    fn local(&self) -> Option<ProcessMitigator> {
        match self {
            Self::Here(shop) => Some(ProcessMitigator::new(shop.supervisor().clone(), AUTHOR)),
            Self::There(_) => None,
        }
    }
}

impl Remote {
    async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let failed =
            |e: std::io::Error| Error::new(ErrorKind::Unavailable, "the shop does not answer").caused_by(e);
        let answer = exchange(&self.socket, call).await.map_err(failed)?;
        let value = answer.map_err(|why| Error::new(ErrorKind::Unavailable, why))?;
        serde_json::from_value(value)
            .map_err(|e| Error::new(ErrorKind::Malformed, "the shop's answer is none").caused_by(e))
    }
}

async fn exchange(socket: &Path, call: &Call) -> std::io::Result<Answer> {
    let stream = UnixStream::connect(socket).await?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(&line(call)?).await?;
    let mut answer = String::new();
    BufReader::new(reader.take(LONGEST)).read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}

fn line(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[async_trait]
impl Mitigator for Plant {
    fn capability(&self) -> MitigatorCapability {
        ProcessMitigator::supported()
    }

    async fn preview(&self, action: &Action, ctx: &Context) -> Result<Preview> {
        match self {
            Self::There(remote) => ctx.bound(remote.ask(&Call::Preview(Box::new(action.clone())))).await,
            Self::Here(_) => self.local().ok_or_else(nowhere)?.preview(action, ctx).await,
        }
    }

    async fn execute(&self, action: Intended<Action>, ctx: &Context) -> Result<Receipt> {
        let remote = match self {
            Self::Here(_) => return self.local().ok_or_else(nowhere)?.execute(action, ctx).await,
            Self::There(remote) => remote,
        };
        let wallet = remote.wallet.as_ref().ok_or_else(nowhere)?;
        let credential = wallet.credential(action.key())?.to_base64()?;
        let (action, spent) = action.spend(ctx)?;
        let (key, fence) = (spent.key().clone(), spent.fence());
        let call = Call::Execute { key: key.clone(), fence, action: Box::new(action), credential };
        // Once it is sent nobody knows, until the other side says so.
        match ctx.bound(remote.ask::<Ran>(&call)).await {
            Ok(Ran { outcome, detail }) => Ok(Receipt::new(spent, outcome, detail)),
            Err(e) => Err(Error::new(ErrorKind::InDoubt, "the shop did not say how it ended")
                .with("key", &key)
                .caused_by(e)),
        }
    }

    async fn status(&self, key: &IdempotencyKey, ctx: &Context) -> Result<ActionStatus> {
        match self {
            Self::There(remote) => ctx.bound(remote.ask(&Call::Status(key.clone()))).await,
            Self::Here(_) => self.local().ok_or_else(nowhere)?.status(key, ctx).await,
        }
    }
}

#[async_trait]
impl TelemetrySource for Remote {
    fn capability(&self) -> SourceCapability {
        // What the other side has: metrics and the shop's own changes.
        SourceCapability::of(SignalSet::from_iter([Signal::Metrics, Signal::Changes]))
    }

    async fn fetch(&self, request: &FetchRequest, ctx: &Context) -> Result<TelemetryWindow> {
        ctx.bound(self.ask(&Call::Fetch(Box::new(request.clone())))).await
    }
}

fn nowhere() -> Error {
    Error::new(ErrorKind::Unavailable, "no shop to act on")
}

/// How an operation ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ran {
    outcome: ActionOutcome,
    detail: String,
}

/// The shop's end of the socket.
#[derive(Debug)]
pub(super) struct PlantServer {
    shop: Arc<Shop>,
    source: CompositeSource,
    root: RootKey,
    /// Told when an operation has begun.
    pub(super) begun: Notify,
}

impl PlantServer {
    /// Whoever asks for an action shows a credential of `root`.
    pub(super) fn new(shop: Arc<Shop>, source: CompositeSource, root: RootKey) -> Self {
        Self { shop, source, root, begun: Notify::new() }
    }

    /// Where it is to be served.
    pub(super) fn socket(&self) -> PathBuf {
        self.shop.run_folder().join("plant.sock")
    }

    /// Answers at `socket` until the task is aborted.
    pub(super) fn serve(self: Arc<Self>, socket: &Path, ctx: Context) -> std::io::Result<JoinHandle<()>> {
        let listener = UnixListener::bind(socket)?;
        Ok(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, ctx) = (Arc::clone(&self), ctx.clone());
                // What was begun goes on when whoever asked is gone.
                tokio::spawn(async move {
                    let (reader, mut writer) = stream.into_split();
                    let mut asked = String::new();
                    let read = BufReader::new(reader.take(LONGEST)).read_line(&mut asked).await;
                    let answer = match read.map(|_| serde_json::from_str::<Call>(&asked)) {
                        Ok(Ok(call)) => server.answer(call, &ctx).await.map_err(|e| e.to_string()),
                        Ok(Err(e)) => Err(e.to_string()),
                        Err(e) => Err(e.to_string()),
                    };
                    if let Ok(line) = line(&answer) {
                        // Nobody may be there to hear it.
                        let _ = writer.write_all(&line).await;
                    }
                });
            }
        }))
    }

    async fn answer(
        &self,
        call: Call,
        ctx: &Context,
    ) -> std::result::Result<serde_json::Value, super::RunError> {
        let supervisor = self.shop.supervisor();
        let mitigator = ProcessMitigator::new(supervisor.clone(), AUTHOR);
        Ok(match call {
            Call::Fetch(request) => serde_json::to_value(self.source.fetch(&request, ctx).await?)?,
            Call::Traffic(span) => serde_json::to_value(self.shop.traffic().last(span))?,
            Call::Preview(action) => serde_json::to_value(mitigator.preview(&action, ctx).await?)?,
            Call::Status(key) => serde_json::to_value(mitigator.status(&key, ctx).await?)?,
            Call::Execute { key, fence, action, credential } => {
                // Whoever is at the socket: without the credential of this very action nothing is done.
                let shown = Credential::from_base64(&credential, &self.root)?;
                shown.check(&Use::of(&action, &key, ctx.now()))?;
                let operation = mitigator.operation(&action)?;
                let request = OperationRequest::new(OperationKey::new(key.as_str()), AUTHOR, operation);
                let run = supervisor.apply(request.with_fence(fence.0));
                self.begun.notify_one();
                let (outcome, detail) = match run.await {
                    Ok(done) => {
                        (ActionOutcome::Completed, format!("replicas touched: {}", done.instances.join(", ")))
                    }
                    Err(e @ ProcessError::OutcomeUnknown { .. }) => return Err(e.into()),
                    Err(e) => (ActionOutcome::Failed { reason: e.to_string() }, "supervisor".to_owned()),
                };
                serde_json::to_value(Ran { outcome, detail })?
            }
        })
    }
}
