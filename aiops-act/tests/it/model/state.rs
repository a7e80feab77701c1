//! What the machine is made of, and how it stands.

/// What can be proposed: a restart of target 0, a roll-back of target 1 that a person is asked about, another restart of target 0.
pub(super) const TARGET: [u8; 3] = [0, 1, 0];
pub(super) const ASKS: [bool; 3] = [false, true, false];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ended {
    Completed,
    Failed,
    /// Two of these differ in their reason when one was written by settling.
    NotStarted {
        settled: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Helped {
    Yes,
    No,
    Unclear,
}

/// An action in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Trace {
    pub(super) key: u8,
    pub(super) at: u8,
    pub(super) ended: Option<Ended>,
    pub(super) helped: Option<Helped>,
}

/// What the other side has of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Remote {
    #[default]
    Nothing,
    Flying,
    Done,
    Failed,
    /// It died under way and cannot tell.
    Lost,
}

/// Which proposal a replica is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Work {
    pub(super) round: u8,
    pub(super) place: u8,
    pub(super) tries: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Close {
    Recovered,
    Yielded,
    Escalated,
}

/// The call that a replica is about to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum At {
    Idle,
    Dead,
    Asked { work: Work, generation: u8 },
    Recording { work: Work, seen: u8, born: u8, fair: bool },
    Executing { work: Work, fence: u8, born: u8, since: u8, fair: bool },
    Waiting { work: Work, since: u8 },
    Doubting { work: Work },
    Ending { work: Work, ended: Ended },
    Verifying { work: Work, helped: Helped },
    Settling { keys: Vec<u8>, write: Option<Ended>, then: Option<Close> },
    Closed(Close),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Start(usize),
    Answer(usize, bool),
    Record(usize),
    Execute(usize),
    Reply(usize),
    LoseReply(usize),
    TimeOut(usize),
    /// The mitigator tells what became of the key, truly or not.
    Status(usize, Option<Ended>),
    /// The outcome is written; if it completed, this is what the verifier will say.
    End(usize, Helped),
    Verified(usize),
    Recover(usize),
    Crash(usize),
    Restart(usize),
    Land(u8, bool),
    Die(u8),
    Kill,
    Release,
    Tick,
    Tamper,
}

/// How often each trouble may still come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Troubles {
    pub(super) crashes: u8,
    pub(super) ticks: u8,
    pub(super) kills: u8,
    pub(super) releases: u8,
    pub(super) tampers: u8,
    pub(super) losses: u8,
    pub(super) deaths: u8,
    pub(super) failures: u8,
    pub(super) lies: u8,
    pub(super) recoveries: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) at: [At; 2],
    /// How often each replica may still look.
    pub(super) looks: [u8; 2],
    pub(super) journal: Vec<Trace>,
    pub(super) head: u8,
    pub(super) killed: bool,
    pub(super) now: u8,
    pub(super) generation: u8,
    pub(super) remote: [Remote; 3],
    /// Keys the mitigator promised never to run.
    pub(super) refused: [bool; 3],
    pub(super) newest_fence: [u8; 2],
    pub(super) left: Troubles,
    /// How often each key was begun.
    pub(super) begun: [u8; 3],
    /// Doubts that people were told of.
    pub(super) told: [bool; 3],
    pub(super) broken: u16,
}

impl State {
    pub(super) fn broke(&mut self, promise: u16, is: bool) {
        self.broken |= u16::from(is) << promise;
    }

    /// Actions that count: all but those that were never begun.
    pub(super) fn counted(&self) -> usize {
        self.journal.iter().filter(|t| !matches!(t.ended, Some(Ended::NotStarted { .. }))).count()
    }

    /// Whether the latest remedy of which it is known did not help.
    pub(super) fn breaker_is_open(&self) -> bool {
        let helped = |t: &Trace| match (t.ended, t.helped) {
            (Some(Ended::Failed), _) | (_, Some(Helped::No)) => Some(false),
            (_, Some(Helped::Yes)) => Some(true),
            _ => None,
        };
        self.journal.iter().rev().find_map(helped) == Some(false)
    }

    pub(super) fn holder(&self, target: u8) -> Option<&Trace> {
        self.journal.iter().find(|t| t.ended.is_none() && TARGET[usize::from(t.key)] == target)
    }

    /// In doubt for longer than an action may take.
    pub(super) fn old_doubts(&self) -> Vec<u8> {
        let old = self.journal.iter().filter(|t| t.ended.is_none() && self.now > t.at);
        old.map(|t| t.key).collect()
    }

    pub(super) fn is_worth_settling(&self) -> bool {
        self.old_doubts().iter().map(|k| usize::from(*k)).any(|k| {
            !self.told[k] || matches!(self.remote[k], Remote::Nothing | Remote::Done | Remote::Failed)
        })
    }

    pub(super) fn has_untold_doubt(&self) -> bool {
        self.journal.iter().any(|t| t.ended.is_none() && !self.told[usize::from(t.key)])
    }

    /// Writes an outcome; `false` where another one stands already.
    pub(super) fn write(&mut self, key: u8, ended: Ended) -> bool {
        let Some(trace) = self.journal.iter_mut().rev().find(|t| t.key == key) else { return false };
        if trace.ended.is_some_and(|known| known != ended) {
            return false;
        }
        trace.ended = Some(ended);
        self.head += 1;
        true
    }

    pub(super) fn settle_next(&mut self, r: usize, mut keys: Vec<u8>, then: Option<Close>) {
        keys.remove(0);
        self.at[r] = match (keys.is_empty(), then) {
            (true, None) => At::Idle,
            (true, Some(close)) => At::Closed(close),
            (false, then) => At::Settling { keys, write: None, then },
        };
    }
}
