//! What a replica and the system it acts on say to each other: one line of JSON each way, over a socket in the file system.

use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aiops_core::{Error, ErrorKind, Result};
use futures_channel::oneshot;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a replica is about to do. It says so before it does it, so what it said last is where it died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Waits for the lease.
    Waits,
    /// Looks, plans, hears the guards, writes the decision to the audit log.
    Decides,
    /// The intent is on its way to the disk.
    Intends,
    /// It is there, and the right was not spent.
    Intended,
    /// The right is spent, and the system is called.
    Calls(String),
    /// It answered.
    Answered,
    /// The outcome is on its way to the disk.
    Ends,
    /// It is there, and the verifier is asked.
    Verifies,
    /// Asks what became of an action, and writes it down.
    Settles,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// The first line of the one connection on which a process tells its phases.
    Hello(u32),
    Run {
        by: u32,
        key: String,
        fence: u64,
        target: String,
    },
    Status(String),
    /// A person is told that nobody knows what became of something in this incident.
    Told(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done,
    /// The key was called not started before.
    Refused,
    Running,
    NotStarted,
    Unknown,
    Heard,
}

fn send(stream: &mut UnixStream, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Every line of `stream` as a message, until its end.
pub(super) fn lines<T: DeserializeOwned>(stream: UnixStream) -> impl Iterator<Item = T> {
    let whole = BufReader::new(stream).lines().map_while(std::io::Result::ok);
    // The last one may be cut off by a kill.
    whole.map_while(|line| serde_json::from_str(&line).ok())
}

pub(super) fn answer(stream: &mut UnixStream, answer: Answer) {
    // Who asked may be dead.
    let _ = send(stream, &answer);
}

/// The end of a replica.
#[derive(Debug, Clone)]
pub(super) struct Line {
    socket: PathBuf,
    said: Arc<Mutex<(UnixStream, Phase)>>,
}

impl Line {
    pub(super) fn open(socket: &Path) -> Self {
        let mut stream = UnixStream::connect(socket).unwrap();
        send(&mut stream, &Request::Hello(std::process::id())).unwrap();
        let line = Self { socket: socket.to_owned(), said: Arc::new(Mutex::new((stream, Phase::Waits))) };
        line.say(Phase::Waits);
        line
    }

    pub(super) fn say(&self, phase: Phase) {
        let mut said = self.said.lock().unwrap();
        if send(&mut said.0, &phase).is_err() {
            // Whoever counts is gone: nobody would ever end this process.
            std::process::exit(3);
        }
        said.1 = phase;
    }

    pub(super) fn last_said(&self) -> Phase {
        self.said.lock().unwrap().1.clone()
    }

    /// Asks on a connection and a thread of its own, so that a slow answer keeps nobody from looking at the time.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer> {
        let (answered, answer) = oneshot::channel();
        let socket = self.socket.clone();
        std::thread::spawn(move || {
            let asked = UnixStream::connect(socket).and_then(|mut stream| {
                send(&mut stream, &request)?;
                Ok(lines::<Answer>(stream).next())
            });
            let _ = answered.send(asked.ok().flatten());
        });
        let answer = answer.await.ok().flatten();
        answer.ok_or_else(|| Error::new(ErrorKind::InDoubt, "no answer"))
    }
}
