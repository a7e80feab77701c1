use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use aiops_core::{Error, ErrorKind, Result};
use futures_channel::oneshot;

use super::disk::{Disk, MachineDisk};
use super::file::{Appender, LedgerFile};
use super::line::{Damage, Link};

/// Lines that are written and synced together at most.
const BATCH: usize = 1024;

/// What the lines of a ledger add up to, and which lines may follow.
pub(crate) trait Fold: fmt::Debug + Clone + Send + 'static {
    /// The ledger's kind, as its header states it.
    const KIND: &'static str;
    /// What may be asked to be written.
    type Request: Send + 'static;
    /// What the asker learns.
    type Answer: Send + 'static;
    /// What readers see.
    type View: Send + 'static;

    /// Takes in a line of the file; `link` is the chain up to it.
    fn replay(&mut self, payload: &[u8], link: &Link) -> Result<()>;

    /// Whether the file, read to its end, is one to go on with.
    fn opened(&self) -> Result<()> {
        Ok(())
    }

    /// Takes in a new line and hands it to `appender`, or refuses it and changes nothing.
    fn admit(&mut self, request: &Self::Request, appender: &mut Appender) -> Result<Self::Answer>;

    /// What readers see now.
    fn view(&self) -> Self::View;
}

type Answer<T> = oneshot::Sender<Result<T>>;

enum Message<F: Fold> {
    Write(F::Request, Answer<F::Answer>),
    View(Answer<F::View>),
}

/// A ledger with its fold, kept on a thread of its own, since a sync blocks.
pub(crate) struct Keeper<F: Fold> {
    path: PathBuf,
    messages: mpsc::Sender<Message<F>>,
}

impl<F: Fold> Clone for Keeper<F> {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), messages: self.messages.clone() }
    }
}

impl<F: Fold> fmt::Debug for Keeper<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<F: Fold> Keeper<F> {
    /// Opens the ledger at `path`, or creates it, reads all of it into `blank`, and mends what a crash left.
    pub(crate) fn open(path: &Path, blank: F) -> Result<Self> {
        Self::open_on(path, blank, Arc::new(MachineDisk))
    }

    /// The same on `disk`.
    pub(crate) fn open_on(path: &Path, blank: F, disk: Arc<dyn Disk>) -> Result<Self> {
        let worker = Worker::open(path, blank, disk)?;
        let (messages, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name(format!("aiops-{}", F::KIND))
            .spawn(move || worker.serve(&queue))
            .map_err(|e| Error::new(ErrorKind::Unavailable, "no thread for the ledger").caused_by(e))?;
        Ok(Self { path: path.to_owned(), messages })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what `request` asks for. It is on disk when this returns.
    pub(crate) async fn write(&self, request: F::Request) -> Result<F::Answer> {
        self.ask(|answer| Message::Write(request, answer)).await
    }

    /// What readers see now, lines of other processes included.
    pub(crate) async fn view(&self) -> Result<F::View> {
        self.ask(Message::View).await
    }

    async fn ask<T>(&self, message: impl FnOnce(Answer<T>) -> Message<F>) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::new(ErrorKind::InDoubt, "the ledger's thread has ended");
        self.messages.send(message(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

#[derive(Debug)]
struct Worker<F> {
    ledger: LedgerFile,
    blank: F,
    fold: F,
    /// Whether memory and file may differ; nothing is answered any more then.
    in_doubt: bool,
}

impl<F: Fold> Worker<F> {
    fn open(path: &Path, blank: F, disk: Arc<dyn Disk>) -> Result<Self> {
        let mut ledger = LedgerFile::open(path, F::KIND, disk)?;
        let mut fold = blank.clone();
        // Writes the header of a new file, and mends what a crash left.
        ledger.append(|payload, link| fold.replay(payload, link), |_| ())?;
        fold.opened()?;
        Ok(Self { ledger, blank, fold, in_doubt: false })
    }

    /// Answers until every sender is gone.
    fn serve(mut self, queue: &mpsc::Receiver<Message<F>>) {
        while let Ok(first) = queue.recv() {
            let (mut requests, mut answers) = (Vec::new(), Vec::new());
            for message in std::iter::once(first).chain(queue.try_iter().take(BATCH - 1)) {
                match message {
                    // Whoever gave up was told that nothing was written.
                    Message::Write(_, answer) if answer.is_canceled() => {}
                    Message::Write(request, answer) => {
                        requests.push(request);
                        answers.push(answer);
                    }
                    // Whoever asks does not know yet of lines that are not answered.
                    Message::View(answer) => drop(answer.send(self.view())),
                }
            }
            if requests.is_empty() {
                continue;
            }
            for (answer, outcome) in answers.into_iter().zip(self.write(&requests)) {
                drop(answer.send(outcome));
            }
        }
    }

    fn view(&mut self) -> Result<F::View> {
        self.check()?;
        let Self { ledger, fold, .. } = self;
        ledger.read(|payload, link| fold.replay(payload, link))?;
        Ok(fold.view())
    }

    /// Writes what is admitted, in the order given, with one sync; one outcome for each request.
    fn write(&mut self, requests: &[F::Request]) -> Vec<Result<F::Answer>> {
        let mut admitted = Vec::with_capacity(requests.len());
        let Err(failure) = self.check().and_then(|()| self.append(requests, &mut admitted)) else {
            return admitted;
        };
        if failure.kind() == ErrorKind::InDoubt {
            self.in_doubt = true;
        } else if admitted.iter().any(Result::is_ok) {
            self.recover();
        }
        // What was refused was refused for a reason of its own; the rest shares the failure.
        let mut admitted = admitted.into_iter();
        let outcome = |_| match admitted.next() {
            Some(Err(refusal)) => Err(refusal),
            _ => Err(share(&failure)),
        };
        requests.iter().map(outcome).collect()
    }

    fn append(&mut self, requests: &[F::Request], admitted: &mut Vec<Result<F::Answer>>) -> Result<()> {
        // Both closures need the fold, one after the other.
        let fold = RefCell::new(&mut self.fold);
        self.ledger.append(
            |payload, link| fold.borrow_mut().replay(payload, link),
            |appender| {
                let mut fold = fold.borrow_mut();
                admitted.extend(requests.iter().map(|request| fold.admit(request, appender)));
            },
        )
    }

    /// Memory is ahead of the file, from which what was admitted was taken back: the file is read again.
    fn recover(&mut self) {
        match Self::open(self.ledger.path(), self.blank.clone(), self.ledger.disk()) {
            Ok(afresh) => *self = afresh,
            Err(_) => self.in_doubt = true,
        }
    }

    fn check(&self) -> Result<()> {
        if self.in_doubt {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the ledger could not be synced: what is on disk must be looked at",
            )
            .with("file", self.ledger.path().display())
            .permanent());
        }
        Ok(())
    }
}

/// `failure` once more, for each of those that share it.
fn share(failure: &Error) -> Error {
    let shared = Error::new(failure.kind(), failure.to_string());
    // The damage is what tells where; the rest of a chain of sources stays in the text.
    let damage = std::error::Error::source(failure).and_then(|s| s.downcast_ref::<Damage>());
    match damage {
        Some(damage) => shared.caused_by(damage.clone()),
        None => shared,
    }
}
